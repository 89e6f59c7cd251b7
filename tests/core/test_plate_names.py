"""Templates and what is found on disk by them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.core.errors import InvalidInput, NotFound
from understudy.core.frames import Frame, FrameRange, Window
from understudy.core.plate import Plate, Template, find, read, refuse_other_padding, write


class TestTemplate:
    @pytest.mark.parametrize("text", ["/shot/p.%04d.exr", "/shot/p.####.exr", "/shot/p.@@@@.exr"])
    def test_three_spellings_are_one(self, text):
        template = Template.parse(text)
        assert template == Template(Path("/shot"), "p.", 4, ".exr")
        assert (template.text, template.hashes) == ("/shot/p.%04d.exr", "/shot/p.####.exr")
        assert (str(template), template.extension) == ("/shot/p.####.exr", ".exr")

    @pytest.mark.parametrize(
        ("text", "number", "name"),
        [
            ("p.%04d.exr", 7, "p.0007.exr"),
            ("p.%04d.exr", -5, "p.-005.exr"),
            ("p.####.exr", 0, "p.0000.exr"),
            ("p.####.exr", 10000, "p.10000.exr"),
            ("p.%d.exr", 7, "p.7.exr"),
            ("p.#.exr", 12, "p.12.exr"),
            ("%08d.dpx", 86400, "00086400.dpx"),
            ("v2_100%_@@@.exr", 7, "v2_100%_007.exr"),
        ],
    )
    def test_paths(self, text, number, name):
        template = Template.parse(f"some/me@work/{text}")
        assert template.path(number) == Path("some/me@work") / name
        assert template.number(name) == number

    @given(st.integers(1, 8), st.integers(-(10**7), 10**7))
    def test_a_name_gives_its_number_back(self, width, number):
        template = Template(Path("a.b"), "p+(1).", width, ".v2.exr")
        assert template.number(template.path(number).name) == number
        assert Template.parse(template.text) == template
        assert Template.parse(template.hashes) == template

    @pytest.mark.parametrize(
        "name",
        ["p.1.exr", "p.00001.exr", "p.0001.EXR", "p.0001.exr.tmp", ".p.0001.exr", "p.x.exr", "p.٠٠٠١.exr"],
    )
    def test_other_names_are_not_of_the_sequence(self, name):
        assert Template.parse("p.####.exr").number(name) is None

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("p.exr", "no frame number"),
            ("p.%s.exr", "no frame number"),
            ("", "no frame number"),
            ("p.####.##.exr", "2 frame numbers"),
            ("shot.####/p.####.exr", "folder"),
            ("p.####", "no extension"),
            ("p." + "#" * 40 + ".exr", "40 wide"),
        ],
    )
    def test_what_is_not_a_template_is_refused(self, text, words):
        with pytest.raises(InvalidInput, match=words) as caught:
            Template.parse(text)
        assert caught.value.field == "path"


def touch(folder, *names):
    for name in names:
        (folder / name).write_bytes(b"")
    return folder


class TestFind:
    def test_holes_are_missing_and_strangers_are_ignored(self, tmp_path):
        touch(
            tmp_path, "p.1001.exr", "p.1002.exr", "p.1004.exr", ".p.1003.ab12.exr", "q.1003.exr", "p.1003.dpx"
        )
        plate = find(str(tmp_path / "p.####.exr"), colour_space="ACEScg")
        assert (str(plate.frames), str(plate.present), str(plate.missing)) == (
            "1001-1004",
            "1001-1002,1004",
            "1003",
        )
        assert plate.colour_space == "ACEScg"

    def test_only_what_is_asked_for(self, tmp_path):
        touch(tmp_path, *(f"p.{n}.exr" for n in (998, 999, 1000, 1001)))
        plate = find(str(tmp_path / "p.###.exr"), FrameRange.of(998, 1001, 2))
        assert list(plate.present) == [998, 1000]
        assert not len(plate.missing)

    def test_negative_frames_and_growing_width(self, tmp_path):
        touch(tmp_path, "p.-002.exr", "p.0000.exr", "p.10000.exr")
        assert list(find(str(tmp_path / "p.%04d.exr")).present) == [-2, 0, 10000]

    def test_nothing_there(self, tmp_path):
        with pytest.raises(NotFound, match=r"p\.####\.exr: no frame of this sequence is on disk$"):
            find(str(tmp_path / "p.####.exr"))
        with pytest.raises(NotFound, match="there is no folder"):
            find(str(tmp_path / "no" / "p.####.exr"))

    def test_another_padding_is_named(self, tmp_path):
        touch(tmp_path, "p.00001.exr")
        with pytest.raises(NotFound, match=r"p\.#####\.exr is"):
            find(str(tmp_path / "p.####.exr"))

    def test_two_paddings_of_one_name_are_refused(self, tmp_path):
        touch(tmp_path, "p.0001.exr", "p.001.exr")
        with pytest.raises(InvalidInput, match=r"another padding, p\.001\.exr"):
            find(str(tmp_path / "p.####.exr"))

    def test_a_folder_that_cannot_be_listed_is_left_to_who_writes(self, tmp_path):
        template = Template.parse(str(tmp_path / "out" / "p.####.exr"))
        refuse_other_padding(template)  # not there yet
        (tmp_path / "out").symlink_to("out")
        refuse_other_padding(template)

    def test_a_range_outside_gives_both_ranges(self, tmp_path):
        touch(tmp_path, *(f"p.{n}.exr" for n in range(1001, 1011)))
        with pytest.raises(
            InvalidInput, match=r"1005-1012 asks for 1011-1012, .* has 1001-1010 on disk"
        ) as caught:
            find(str(tmp_path / "p.####.exr"), FrameRange.of(1005, 1012))
        assert (caught.value.field, caught.value.value) == ("frames", "1005-1012")

    def test_other_formats_are_refused(self, tmp_path):
        with pytest.raises(InvalidInput, match=r"not \.exr or \.dpx"):
            find(str(tmp_path / "p.####.png"))

    def test_present_is_part_of_asked(self):
        with pytest.raises(InvalidInput, match="frame 3 is present but was not asked for"):
            Plate(template=Template.parse("p.#.exr"), frames=FrameRange.of(1, 2), present=FrameRange.of(1, 3))


@pytest.mark.parametrize("extension", ["exr", "dpx"])
class TestGrowingNumbers:
    """9999 → 10000 and −1 → 0: a width is the least number of characters, never the most."""

    def shot(self, folder, extension, *, first, last, holes=()):
        template = Template.parse(str(folder / f"p.####.{extension}"))
        for number in set(range(first, last + 1)) - set(holes):
            level = np.full((4, 6), number % 251, np.float16 if extension == "exr" else np.uint16)
            window, white = Window(0, 0, 6, 4), 1.0 if extension == "exr" else 1023.0
            planes = dict.fromkeys("RGB", level)
            frame = Frame(number=number, planes=planes, display=window, data=window, maximum=white)
            write(frame, template.path(number))
        return template

    def test_a_shot_that_grows_a_digit(self, tmp_path, extension):
        template = self.shot(tmp_path, extension, first=9997, last=10003, holes=(9998, 10000))
        names = sorted(path.name for path in tmp_path.iterdir())
        assert names == [f"p.{n}.{extension}" for n in ("10001", "10002", "10003", "9997", "9999")]
        plate = find(str(tmp_path / f"p.%04d.{extension}"))
        assert (str(plate.frames), str(plate.missing)) == ("9997-10003", "9998,10000")
        assert list(plate.present) == [9997, 9999, 10001, 10002, 10003]
        for number in plate.present:
            assert read(template, number).planes["G"][0, 0] == number % 251

    def test_every_second_frame_across_it(self, tmp_path, extension):
        self.shot(tmp_path, extension, first=9995, last=10005, holes=(10001,))
        plate = find(str(tmp_path / f"p.####.{extension}"), FrameRange.of(9995, 10005, 2))
        assert (str(plate.frames), str(plate.present), str(plate.missing)) == (
            "9995-10005x2",
            "9995-9999x2,10003,10005",
            "10001",
        )

    def test_a_shot_that_begins_below_0(self, tmp_path, extension):
        template = self.shot(tmp_path, extension, first=-2, last=1, holes=(-1,))
        names = sorted(path.name for path in tmp_path.iterdir())
        assert names == [f"p.{n}.{extension}" for n in ("-002", "0000", "0001")]
        plate = find(str(template))
        assert (str(plate.frames), str(plate.missing)) == ("-2-1", "-1")
        assert read(template, -2).number == -2

    def test_five_digits_below_10000_are_another_sequence(self, tmp_path, extension):
        self.shot(tmp_path, extension, first=9999, last=10000)
        (tmp_path / f"p.09998.{extension}").write_bytes(b"")
        with pytest.raises(InvalidInput, match=r"another padding, p\.09998"):
            find(str(tmp_path / f"p.####.{extension}"))
