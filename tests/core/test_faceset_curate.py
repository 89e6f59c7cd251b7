"""Rejecting moves faces aside, restoring moves them back; nothing is lost or overwritten, whenever it is stopped."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.faces import fill, listing, pixels, record, several
from understudy.core import faceset
from understudy.core.errors import DiskFull, InvalidInput, NotFound, WriteFailed
from understudy.core.faceset import Faceset, curate
from understudy.core.faceset.pack import PackSettings, pack


def rows(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def test_a_rejected_face_is_aside_and_comes_back_as_it_was(tmp_path):
    found = several(tmp_path, 3)
    before = {name: (tmp_path / name).read_bytes() for name in listing(tmp_path)}
    digest = found.digest()
    (tmp_path / "dfl").mkdir()
    (tmp_path / "dfl" / "shot_t0.1002.json").write_text("{}")
    assert curate.reject(found, rows(1)) == 1
    assert curate.rejected(tmp_path) == 1
    assert Faceset.open(tmp_path).columns.frame.tolist() == [1001, 1003]
    assert (tmp_path / "rejected" / "shot_t0.1002.exr").read_bytes() == before["shot_t0.1002.exr"]
    assert (tmp_path / "dfl" / "shot_t0.1002.json").exists()  # waits for it
    assert curate.restore(tmp_path) == 1
    assert curate.rejected(tmp_path) == 0
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    assert Faceset.open(tmp_path).digest() == digest


def test_some_are_restored_by_name(tmp_path):
    curate.reject(several(tmp_path, 3), rows(0, 2))
    assert curate.rejected_names(tmp_path) == ["shot_t0.1001.exr", "shot_t0.1003.exr"]
    assert curate.restore(tmp_path, ["shot_t0.1003.exr", "shot_t0.1003.exr"]) == 1
    assert Faceset.open(tmp_path).columns.frame.tolist() == [1002, 1003]
    for names in (["shot_t0.1001.exr", "other.exr"], ["../shot_t0.1002.exr"]):
        with pytest.raises(NotFound, match="is not there") as caught:
            curate.restore(tmp_path, names)
        assert caught.value.value == names[-1]
    assert curate.rejected(tmp_path) == 1  # nothing was moved
    curate.restore(tmp_path)
    with pytest.raises(NotFound, match="no face was rejected"):
        curate.restore(tmp_path)


def test_faces_of_one_name_do_not_overwrite_each_other(tmp_path):
    contents = []
    for seed in range(3):  # rejected, extracted again, rejected again
        faceset.write(record(tmp_path), pixels(seed))
        contents.append((tmp_path / "shot_t0.1001.exr").read_bytes())
        curate.reject(Faceset.open(tmp_path), rows(0))
    names = ["shot_t0.1001.exr", "shot_t0.1001.rejected-2.exr", "shot_t0.1001.rejected-3.exr"]
    assert curate.rejected_names(tmp_path) == names
    assert [(tmp_path / "rejected" / name).read_bytes() for name in names] == contents
    with pytest.raises(InvalidInput, match=r"were both called shot_t0\.1001\.exr"):
        curate.restore(tmp_path)
    assert curate.restore(tmp_path, names[1:2]) == 1
    assert (tmp_path / "shot_t0.1001.exr").read_bytes() == contents[1]
    with pytest.raises(InvalidInput, match="a face of that name is there") as caught:
        curate.restore(tmp_path, names[2:])
    assert caught.value.value == names[2]
    assert (tmp_path / "shot_t0.1001.exr").read_bytes() == contents[1]


def test_a_face_that_has_gone_is_passed_over(tmp_path):
    found = several(tmp_path, 2)
    (tmp_path / "shot_t0.1001.exr").unlink()
    assert curate.reject(found, rows(0, 1)) == 1
    assert curate.reject(found, rows(0, 1)) == 0


def test_a_pack_is_not_changed(tmp_path):
    several(tmp_path / "f", 2)
    list(pack(PackSettings(faceset=tmp_path / "f", out=tmp_path / "a.faceset")))
    packed = Faceset.open(tmp_path / "a.faceset")
    for change in (lambda: curate.reject(packed, rows(0)), lambda: curate.restore(packed.path)):
        with pytest.raises(InvalidInput, match="is a pack, which is never changed: unpack it") as caught:
            change()
        assert caught.value.path == str(tmp_path / "a.faceset")
    assert curate.rejected(packed.path) == 0


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
def test_what_the_system_refuses_names_the_file_and_can_be_repeated(error, tmp_path, monkeypatch):
    found = several(tmp_path, 3)
    real = os.link

    def refused(source: Path, *rest, **options):
        if "1002" in Path(source).name:
            raise OSError(error, os.strerror(error))
        real(source, *rest, **options)

    with monkeypatch.context() as patched:
        patched.setattr(os, "link", refused)
        with pytest.raises(DiskFull if error == errno.ENOSPC else WriteFailed, match=r"shot_t0\.1002\.exr"):
            curate.reject(found, rows(0, 1, 2))
        assert curate.rejected_names(tmp_path) == ["shot_t0.1001.exr"]
    assert curate.reject(found, rows(0, 1, 2)) == 2
    assert curate.rejected(tmp_path) == 3


def test_where_the_disk_has_no_links_files_are_renamed(tmp_path, monkeypatch):
    def none(*_, **__):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", none)
    found = several(tmp_path, 2)
    content = (tmp_path / "shot_t0.1001.exr").read_bytes()
    assert curate.reject(found, rows(0)) == 1
    faceset.write(record(tmp_path), pixels(9))
    assert curate.reject(Faceset.open(tmp_path), rows(0)) == 1
    assert curate.rejected_names(tmp_path) == ["shot_t0.1001.exr", "shot_t0.1001.rejected-2.exr"]
    assert curate.restore(tmp_path, ["shot_t0.1001.exr"]) == 1
    assert (tmp_path / "shot_t0.1001.exr").read_bytes() == content


class Killed(BaseException):
    """What a kill is to the code: it goes no further."""


@settings(max_examples=40, deadline=None)
@given(stop=st.integers(0, 12), back=st.booleans())
def test_killed_between_any_two_steps_it_is_ended_by_repeating(stop, back, tmp_path_factory):
    """Each move is a link and an unlink; a kill is put before the n-th of these."""
    folder = tmp_path_factory.mktemp("killed")
    found = several(folder, 3)
    before = sorted((folder / name).read_bytes() for name in listing(folder))
    if back:
        curate.reject(found, rows(0, 1, 2))
    steps, real_link, real_unlink = 0, os.link, Path.unlink

    def step() -> None:
        nonlocal steps
        steps += 1
        if steps > stop:
            raise Killed

    def link(*given_, **options):
        step()
        real_link(*given_, **options)

    def unlink(self, missing_ok=False):
        step()
        real_unlink(self, missing_ok)

    def work() -> int:
        return curate.restore(folder) if back else curate.reject(found, rows(0, 1, 2))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "link", link)
        patched.setattr(Path, "unlink", unlink)
        try:
            work()
        except Killed:
            assert stop < 6
    for name in ("shot_t0.1001.exr", "shot_t0.1002.exr", "shot_t0.1003.exr"):  # never lost
        assert (folder / name).exists() or (folder / "rejected" / name).exists()
    if not back or curate.rejected(folder):
        work()
    home, away = (folder, folder / "rejected") if back else (folder / "rejected", folder)
    assert sorted(file.read_bytes() for file in home.glob("*.exr")) == before
    assert list(away.glob("*.exr")) == []


def test_a_chosen_person_is_rejected_by_the_rows_of_that_choice(tmp_path):
    fill(tmp_path, (1001, 0, 100.0), (1001, 1, 90.0), (1002, 0, 100.0), (1002, 1, 90.0))
    other = Faceset.open(tmp_path).select(1)
    assert curate.reject(other, rows(0, 1)) == 2
    assert {track.id for track in Faceset.open(tmp_path).tracks()} == {0}
