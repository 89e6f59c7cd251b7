"""The index of a faceset: it makes opening fast, and never says anything that the files do not."""

from __future__ import annotations

import errno
import multiprocessing
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.faces import KEPT, age, fill, odd_faces, pixels, record, same_columns, several
from understudy.core import faceset, plate
from understudy.core.errors import FrameMissing, FrameUnreadable, NotFound
from understudy.core.faceset import FaceRecord, Faceset, index

INDEX = Path(index.FOLDER) / "faces"


@pytest.fixture
def headers(monkeypatch) -> list[str]:
    """The names of the files whose headers are read."""
    seen: list[str] = []
    real = plate.read_header

    def counted(path: Path, number: int | None = None):
        seen.append(path.name)
        return real(path, number)

    monkeypatch.setattr(plate, "read_header", counted)
    return seen


def without_index(folder: Path) -> Faceset:
    """What the files alone say."""
    shutil.rmtree(folder / index.FOLDER, ignore_errors=True)
    return Faceset.open(folder)


def told(found: Faceset) -> tuple[list[str], tuple[str, ...], str]:
    return found.columns.name.tolist(), found.broken, found.digest()


def test_only_new_and_changed_files_are_read(tmp_path, headers):
    several(tmp_path, 4)
    assert sorted(set(headers)) == [f"shot_t0.{n}.exr" for n in range(1001, 1005)]
    age(tmp_path)
    first = Faceset.open(tmp_path)
    headers.clear()
    again = Faceset.open(tmp_path)
    assert headers == []
    assert same_columns(again.columns, first.columns)
    assert told(again) == told(first)
    (tmp_path / "shot_t0.1002.exr").unlink()
    faceset.write(record(tmp_path, 1003, half=50.0), pixels(9))
    faceset.write(record(tmp_path, 1009), pixels(9))
    edited = Faceset.open(tmp_path)
    assert sorted(headers) == ["shot_t0.1003.exr", "shot_t0.1009.exr"]
    assert edited.columns.frame.tolist() == [1001, 1003, 1004, 1009]
    assert edited.columns.box[1, 0] == 910.0


def test_a_file_changed_within_the_clocks_grain_is_seen_though_size_and_time_are_the_same(tmp_path):
    several(tmp_path, 2)
    file = tmp_path / "shot_t0.1001.exr"
    file.touch()  # writing the other one may have taken longer than the grain
    Faceset.open(tmp_path)
    stat, content = file.stat(), file.read_bytes()
    at = content.index(b"understudy/frame\0int\0") + len(b"understudy/frame\0int\0") + 4
    file.write_bytes(content[:at] + (1777).to_bytes(4, "little") + content[at + 4 :])
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert file.stat().st_size == stat.st_size
    assert Faceset.open(tmp_path).columns.frame.tolist() == [1002, 1777]


def test_all_that_a_header_says_is_in_the_columns(tmp_path):
    points = record(tmp_path).face.landmarks
    sure = replace(points, confidence=np.linspace(0.25, 1.0, 68).astype(np.float32).round(3))
    face = record(tmp_path).face
    said: list[dict[str, Any]] = [{"cut": True}, {"origin": "manual", "landmarks": sure}, {"track": 3}]
    for number, changes in enumerate(said):
        one = record(tmp_path, view=("", "left", "right")[number], plate=f"/p/{number}.%04d.exr")
        faceset.write(replace(one, face=replace(face, frame=1001 + number, **changes)), pixels())
        (tmp_path / "shot_t0.1001.exr").rename(tmp_path / f"{number}.exr")
    odd_faces(tmp_path)
    for found in (without_index(tmp_path), Faceset.open(tmp_path)):  # the second is of the index
        for got in found.records:
            header = plate.read_header(got.path)
            wanted = FaceRecord.from_header(got.path, header.metadata, header.data.width)
            assert_same_record(got, wanted)
        assert found.broken == ()
        assert [bool(record.face.cut) for record in found.records[:3]] == [True, False, False]


def assert_same_record(got: FaceRecord, wanted: FaceRecord) -> None:
    for name in KEPT:
        assert getattr(got, name) == getattr(wanted, name), name
    for name in ("frame", "box", "score", "pitch", "yaw", "roll", "track", "cut", "origin"):
        assert getattr(got.face, name) == getattr(wanted.face, name), name
    np.testing.assert_array_equal(got.face.landmarks.points, wanted.face.landmarks.points, strict=True)
    np.testing.assert_array_equal(got.alignment.matrix, wanted.alignment.matrix, strict=True)
    sure = wanted.face.landmarks.confidence
    assert (got.face.landmarks.confidence is None) == (sure is None)
    if got.face.landmarks.confidence is not None and sure is not None:
        np.testing.assert_array_equal(got.face.landmarks.confidence, sure, strict=True)
    assert (got.alignment.size, got.alignment.face_type) == (
        wanted.alignment.size,
        wanted.alignment.face_type,
    )


@pytest.fixture(scope="module")
def pool(tmp_path_factory) -> list[bytes]:
    """The bytes of a few faces, no two of one size, and of two that are broken."""
    folder = tmp_path_factory.mktemp("pool")
    for number in range(4):
        faceset.write(record(folder, 1001 + number % 3, track=number % 2), pixels(number, 16 + number))
    contents = [file.read_bytes() for file in sorted(folder.glob("*.exr"))]
    return [*contents, contents[0][:300], b""]


NAMES = [f"{name}.exr" for name in "abcd"]


@settings(max_examples=30, deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["put", "delete", "rename", "touch", "old", "open"]),
            st.sampled_from(NAMES),
            st.integers(0, 5),
        ),
        max_size=14,
    )
)
def test_after_any_edits_the_index_says_what_the_files_say(steps, pool, tmp_path_factory):
    folder = tmp_path_factory.mktemp("edited")
    for what, name, number in [*steps, ("open", "", 0)]:
        file = folder / name
        if what == "put":
            file.write_bytes(pool[number % len(pool)])
        elif what == "open":
            Faceset.open(folder)
        elif file.exists() and what == "delete":
            file.unlink()
        elif file.exists() and what == "rename":
            file.replace(folder / NAMES[number % len(NAMES)])
        elif file.exists() and what == "touch":
            file.touch()
        elif file.exists():
            os.utime(file, (1e9, 1e9))
    indexed = Faceset.open(folder)
    alone = without_index(folder)
    assert told(indexed) == told(alone)
    assert same_columns(indexed.columns, alone.columns)
    shutil.rmtree(folder)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_broken_index_is_made_again(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("broken")
    wanted = told(several(folder, 2))
    file = folder / INDEX
    content = bytearray(file.read_bytes())
    kind = data.draw(st.sampled_from(["flip", "cut", "grow", "other", "empty"]))
    at = data.draw(st.integers(0, len(content) - 1))
    if kind == "flip":
        content[at] ^= 1 << data.draw(st.integers(0, 7))
    file.write_bytes(
        {"cut": bytes(content[:at]), "grow": bytes(content) + b"x", "other": b"alien" * at, "empty": b""}.get(
            kind, bytes(content)
        )
    )
    assert told(Faceset.open(folder)) == wanted
    shutil.rmtree(folder)


def test_an_index_of_another_version_is_made_again(tmp_path, monkeypatch, headers):
    several(tmp_path, 2)
    age(tmp_path)
    Faceset.open(tmp_path)
    headers.clear()
    monkeypatch.setattr(index, "version", lambda _: "99.0")
    Faceset.open(tmp_path)
    assert len(headers) == 2


def test_where_no_index_can_be_written_a_faceset_opens_all_the_same(tmp_path, monkeypatch, headers):
    wanted = told(several(tmp_path, 2))
    shutil.rmtree(tmp_path / index.FOLDER)
    (tmp_path / index.FOLDER).write_bytes(b"a file where the folder should be")
    assert told(Faceset.open(tmp_path)) == wanted
    (tmp_path / index.FOLDER).unlink()

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        assert told(Faceset.open(tmp_path)) == wanted
    assert list((tmp_path / index.FOLDER).iterdir()) == []  # nothing half-written


def test_what_a_killed_writer_left_goes(tmp_path):
    (tmp_path / index.FOLDER).mkdir()
    old, new = (tmp_path / index.FOLDER / f".faces.{name}" for name in ("0ld", "new"))
    for left in (old, new):
        left.write_bytes(b"half")
    os.utime(old, (1e9, 1e9))
    several(tmp_path, 1)
    assert not old.exists()
    assert new.exists()  # somebody may be writing it


def test_a_file_that_goes_while_the_folder_is_read_was_never_there(tmp_path, monkeypatch):
    several(tmp_path, 3)
    shutil.rmtree(tmp_path / index.FOLDER)
    real = plate.read_header

    def late(path: Path, number: int | None = None):
        if "1002" in path.name:
            path.unlink()
        return real(path, number)

    monkeypatch.setattr(plate, "read_header", late)
    found = Faceset.open(tmp_path)
    assert found.columns.frame.tolist() == [1001, 1003]
    assert found.broken == ()
    (tmp_path / "shot_t0.1001.exr").unlink()
    with pytest.raises(FrameMissing, match=r"shot_t0\.1001"):
        found.load(found.records[0])


def test_what_is_broken_is_remembered_and_named_where_the_folder_is_now(tmp_path, headers):
    folder = tmp_path / "a"
    several(folder, 2)
    (folder / "shot_t0.1002.exr").write_bytes(b"")
    (folder / "lost.exr").symlink_to(folder / "nowhere.exr")
    (folder / "folder.exr").mkdir()
    for file in ("shot_t0.1002.exr", "folder.exr"):
        os.utime(folder / file, (1e9, 1e9))
    age(folder)
    Faceset.open(folder)
    headers.clear()
    shutil.move(folder, tmp_path / "b")
    found = Faceset.open(tmp_path / "b")
    assert headers in ([], ["lost.exr"])  # a link's own time is of its making
    for name, sentence in zip(("folder.exr", "lost.exr", "shot_t0.1002.exr"), found.broken, strict=True):
        assert sentence.startswith(f"{tmp_path / 'b' / name}: ")
    assert "zero bytes" in found.broken[2]


def test_what_the_system_refuses_once_is_tried_again(tmp_path, monkeypatch):
    several(tmp_path, 1)
    shutil.rmtree(tmp_path / index.FOLDER)
    age(tmp_path)

    def refused(path: Path, _=None):
        raise FrameUnreadable(f"{path}: cannot be read: Permission denied") from PermissionError()

    with monkeypatch.context() as patched:
        patched.setattr(plate, "read_header", refused)
        assert "Permission denied" in Faceset.open(tmp_path).broken[0]
    assert len(Faceset.open(tmp_path).records) == 1


def test_numbers_beyond_any_faceset_are_a_broken_face(tmp_path):
    several(tmp_path, 1)
    frame = plate.read_file(tmp_path / "shot_t0.1001.exr")
    for name, value in (("a", "9" * 30), ("b", plate.Typed("double", (float("inf"),)))):
        key = "understudy/frame" if name == "a" else "understudy/score"
        plate.write(replace(frame, metadata={**frame.metadata, key: value}), tmp_path / f"{name}.exr")
    found = Faceset.open(tmp_path)
    assert len(found.records) == 1
    assert [Path(sentence.split(":")[0]).name for sentence in found.broken] == ["a.exr", "b.exr"]


def test_a_folder_that_cannot_be_looked_into_is_named(tmp_path, monkeypatch):
    def refused(_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(NotFound, match="Permission denied") as caught:
        Faceset.open(tmp_path)
    assert str(tmp_path) in caught.value.message


def digest_of(folder: str) -> str:
    return Faceset.open(Path(folder)).digest()


def test_several_processes_may_open_at_once(tmp_path):
    wanted = several(tmp_path, 40).digest()
    shutil.rmtree(tmp_path / index.FOLDER)
    with multiprocessing.get_context("spawn").Pool(3) as workers:
        assert set(workers.map(digest_of, [str(tmp_path)] * 12, chunksize=1)) == {wanted}
    assert [file.name for file in (tmp_path / index.FOLDER).iterdir()] == ["faces"]
    assert Faceset.open(tmp_path).digest() == wanted


def test_a_moved_or_copied_index_holds_for_no_other_files(tmp_path):
    fill(tmp_path / "a", (1001, 0, 100.0))
    fill(tmp_path / "b", (1001, 0, 50.0))
    age(tmp_path / "a")
    Faceset.open(tmp_path / "a")
    shutil.copytree(tmp_path / "a" / index.FOLDER, tmp_path / "b" / index.FOLDER, dirs_exist_ok=True)
    assert Faceset.open(tmp_path / "b").columns.box[0, 0] == 910.0
