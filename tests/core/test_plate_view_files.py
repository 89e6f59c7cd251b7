"""Stereo plates with a file for each eye: `%V` and `%v` in the template."""

from __future__ import annotations

import pytest

from understudy.core.errors import InvalidInput, NotFound
from understudy.core.frames import FrameRange
from understudy.core.plate import Template, find, views_of


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_a_view_is_put_wherever_its_token_stands():
    template = Template.parse("/s/%V/sh_%v.####.%V.exr")
    assert template.has_view
    assert str(template.of_view("left").path(7)) == "/s/left/sh_l.0007.left.exr"
    assert template.text == "/s/%V/sh_%v.%04d.%V.exr"
    plain = Template.parse("/s/sh.####.exr")
    assert not plain.has_view
    assert plain.of_view("left") is plain


@pytest.mark.parametrize(
    "pattern", ["%V/p.####.exr", "p_%V.####.exr", "p.%v.####.exr", "p.####.%V.exr", "%V/%v/p_%V.####.exr"]
)
def test_views_are_found_by_their_files(tmp_path, pattern):
    template = Template.parse(str(tmp_path / pattern))
    for view, frames in (("right", (1001, 1002, 1003)), ("left", (1001, 1003, 1004))):
        touch(tmp_path, *(str(template.of_view(view).path(n).relative_to(tmp_path)) for n in frames))
    plate = find(template.text)
    assert plate.views == ("left", "right") == views_of(plate)
    assert plate.frames == FrameRange.of(1001, 1004)
    assert list(plate.present) == [1001, 1003]  # a frame with one eye is no frame
    assert list(plate.missing) == [1002, 1004]
    assert [path.exists() for path in plate.paths(1002)] == [False, True]
    assert find(template.text, views=("right",)).present == FrameRange.of(1001, 1003)


def test_other_views_may_have_any_name(tmp_path):
    touch(tmp_path, "p_main.1001.exr", "p_cam2.1001.exr", "p_.1001.exr", "q_left.1001.exr")
    assert find(str(tmp_path / "p_%V.####.exr")).views == ("cam2", "main")


def test_a_view_without_files_is_refused(tmp_path):
    touch(tmp_path, "p_left.1001.exr")
    with pytest.raises(InvalidInput, match=r"no files of 'right'; it has left") as caught:
        find(str(tmp_path / "p_%V.####.exr"), views=("left", "right"))
    assert caught.value.field == "view"
    with pytest.raises(NotFound, match="no frame of any view"):
        find(str(tmp_path / "other_%V.####.exr"))


@pytest.mark.parametrize("view", ["../../secret", "a/b", "..", ".", "x\0"])
def test_a_views_name_leads_nowhere_else(view):
    with pytest.raises(InvalidInput, match="cannot be part of a file's name") as caught:
        Template.parse("/s/%V/p.####.exr").of_view(view)
    assert caught.value.field == "view"
    assert Template.parse("/s/p.####.exr").of_view(view)  # a file of all views


def test_views_may_have_words_in_their_names(tmp_path):
    touch(tmp_path, "left_eye/p.1001.exr", "right_eye/p.1001.exr")
    assert find(str(tmp_path / "%V/p.####.exr")).views == ("left_eye", "right_eye")


def test_a_stray_file_does_not_make_a_plate_of_a_million_frames(tmp_path):
    touch(tmp_path, "p.1001.exr", "p.1002.exr", "p.20261121093000.exr")
    with pytest.raises(InvalidInput, match=r"from 1001 to 20261121093000 .* move stray files") as caught:
        find(str(tmp_path / "p.####.exr"))
    assert caught.value.field == "frames"
    assert find(str(tmp_path / "p.####.exr"), FrameRange.of(1001, 1002)).present == FrameRange.of(1001, 1002)
