"""A faceset in one file: the same faces, there and back to the bit; what is no pack, or not whole, is refused."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core import merging, shots
from tests.core.faces import listing, odd_faces, pixels, record, same_columns, same_image, several
from understudy.core import faceset, files, plate, release
from understudy.core.errors import (
    DiskFull,
    FrameMissing,
    FrameUnreadable,
    InvalidInput,
    NoFace,
    NotFound,
    ReleaseInvalid,
)
from understudy.core.faceset import Faceset, attach_release, manual, packed, table
from understudy.core.faceset.pack import PackSettings, UnpackSettings, pack, unpack
from understudy.core.reports import Advanced, Artifact, Started, Warned


def granted(subject: str = "performer-a") -> release.Release:
    return release.create(subject=subject, kind="test", granted_by="test clip", granted=date(2026, 1, 1))


def packing(folder: Path, out: Path) -> list:
    return list(pack(PackSettings(faceset=folder, out=out)))


def unpacking(file: Path, out: Path) -> list:
    return list(unpack(UnpackSettings(pack=file, out=out)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four faces of many kinds, and all that may lie beside them."""
    made = tmp_path / "faces"
    odd_faces(made)
    release.write(granted(), made / "release.json")
    (made / "extract.jsonl").write_bytes(b'{"plate": "a"}\n{"half')
    manual.Manual(made).set([manual.ManualFace(track=0, frame=1001, absent=True)])
    (made / "dfl").mkdir()
    (made / "dfl" / "shot_t0.1001.json").write_text('{"sharp": 1}')
    (made / "dfl" / "shot_t0.1001.xseg.png").write_bytes(b"\x89PNG")
    (made / "rejected").mkdir()
    (made / "rejected" / "a.exr").write_bytes(b"kept where it is")
    (made / "notes.txt").write_text("not a part of it")
    return made


def test_a_pack_is_the_folder_it_was_made_of(folder, tmp_path):
    wanted, file = Faceset.open(folder), tmp_path / "out" / "a.faceset"
    reports = packing(folder, file)
    assert reports == [Started(total=4, unit="face"), Advanced(done=4), Artifact(kind="pack", path=file)]
    found = Faceset.open(file)
    assert (found.packed, wanted.packed) == (True, False)
    assert same_columns(found.columns, wanted.columns)
    assert found.digest() == wanted.digest()
    assert [str(t) for t in found.tracks()] == [str(t) for t in wanted.tracks()]
    assert found.release() == granted()
    assert found.beside("extract.jsonl") == (folder / "extract.jsonl").read_bytes()
    assert found.beside("notes.txt") is None
    for one, two in zip(found.records, wanted.records, strict=True):
        assert one.path == file / two.path.name
        assert same_image(found.frame(one), wanted.frame(two))
        np.testing.assert_array_equal(found.load(one), wanted.load(two))
    assert found.frame(found.records[0]).number == 1001
    assert found.pack is not None
    assert (found.pack.planes[:, 0] % packed.PAGE == 0).all()


def test_unpacked_it_is_the_same_faces(folder, tmp_path):
    file, again = tmp_path / "a.faceset", tmp_path / "again"
    packing(folder, file)
    again.mkdir()  # an empty folder is as good as none
    assert unpacking(file, again)[-1] == Artifact(kind="faceset", path=again)
    kept = [name for name in listing(folder) if name not in ("notes.txt", "rejected/a.exr")]
    assert listing(again) == kept
    for name in kept:
        if name.endswith(".exr"):
            assert same_image(plate.read_file(again / name), plate.read_file(folder / name))
        else:
            assert (again / name).read_bytes() == (folder / name).read_bytes()


def test_what_we_wrote_ourselves_has_the_same_digest_unpacked(tmp_path):
    wanted = several(tmp_path / "faces", 3)
    packing(tmp_path / "faces", tmp_path / "a.faceset")
    unpacking(tmp_path / "a.faceset", tmp_path / "again")
    assert Faceset.open(tmp_path / "again").digest() == wanted.digest()
    packing(tmp_path / "again", tmp_path / "b.faceset")
    assert Faceset.open(tmp_path / "b.faceset").digest() == wanted.digest()


def test_a_person_is_chosen_in_a_pack_as_in_a_folder(tmp_path):
    for frame in (1001, 1002):
        for track, half in ((0, 100.0), (1, 10.0)):
            faceset.write(record(tmp_path / "f", frame, track, half), pixels(track))
    packing(tmp_path / "f", tmp_path / "a.faceset")
    chosen, wanted = (Faceset.open(tmp_path / name).select() for name in ("a.faceset", "f"))
    assert chosen.columns.name.tolist() == ["shot_t0.1001.exr", "shot_t0.1002.exr"]
    assert chosen.digest() == wanted.digest()
    assert len(chosen.warnings) == 1
    np.testing.assert_array_equal(chosen.load(chosen.records[1]), wanted.load(wanted.records[1]))


def test_a_merge_from_a_pack_is_the_one_from_its_folder(tmp_path, colour):
    scene = shots.make(tmp_path / "scene", numbers=[1001, 1002], without_face=[])
    model, file = shots.tiny_model(tmp_path / "model"), tmp_path / "a.faceset"
    settings = scene.settings(model)
    merging.reports(settings, colour)
    packing(settings.people[0].faceset, file)
    again = shots.of(settings, faceset=file)
    assert set(merging.statuses(again, colour).values()) == {"skipped"}  # it has the same digest
    anew = replace(again, out=plate.Template.parse(str(tmp_path / "anew" / "comp.####.exr")))
    assert set(merging.statuses(anew, colour).values()) == {"done"}
    for number in (1001, 1002):
        ours, wanted = (merging.made(one, number).planes for one in (anew, settings))
        assert {name: plane.tobytes() for name, plane in ours.items()} == {
            name: plane.tobytes() for name, plane in wanted.items()
        }


def test_a_face_that_cannot_be_read_is_left_out_and_named(tmp_path, monkeypatch):
    several(tmp_path / "f", 4)
    torn = tmp_path / "f" / "shot_t0.1002.exr"
    torn.write_bytes(torn.read_bytes()[:-600])  # its header is whole
    (tmp_path / "f" / "none.exr").write_bytes(b"")
    real = Faceset.frame

    def late(self, one):
        if one.face.frame == 1003:
            one.path.unlink()
        return real(self, one)

    monkeypatch.setattr(Faceset, "frame", late)
    reports = packing(tmp_path / "f", tmp_path / "a.faceset")
    told = [report.message for report in reports if isinstance(report, Warned)]
    assert len(told) == 3
    for message, name in zip(told, ("none.exr", "shot_t0.1002.exr", "shot_t0.1003.exr"), strict=True):
        assert message.startswith("left out: ")
        assert name in message
    assert Faceset.open(tmp_path / "a.faceset").columns.frame.tolist() == [1001, 1004]


def test_nothing_to_pack(tmp_path):
    (tmp_path / "f").mkdir()
    with pytest.raises(NoFace):
        packing(tmp_path / "f", tmp_path / "a.faceset")
    with pytest.raises(NotFound):
        packing(tmp_path / "gone", tmp_path / "a.faceset")
    several(tmp_path / "f", 1)
    packing(tmp_path / "f", tmp_path / "a.faceset")
    with pytest.raises(InvalidInput, match="is a pack already"):
        packing(tmp_path / "a.faceset", tmp_path / "b.faceset")
    with pytest.raises(InvalidInput, match="is a folder, not a pack"):
        unpacking(tmp_path / "f", tmp_path / "g")


def test_settings_name_what_they_refuse(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").touch()
    for make, value in (
        (lambda out: PackSettings(faceset=tmp_path, out=out), tmp_path / "a.zip"),
        (lambda out: PackSettings(faceset=tmp_path, out=out), tmp_path / "d.faceset"),
        (lambda out: UnpackSettings(pack=tmp_path, out=out), tmp_path / "full"),
        (lambda out: UnpackSettings(pack=tmp_path, out=out), tmp_path / "full" / "a"),
    ):
        if value.name == "d.faceset":
            value.mkdir()
        with pytest.raises(InvalidInput) as caught:
            make(value)
        assert caught.value.field == "out"
        assert str(value) in caught.value.message


def test_closing_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("understudy.core.faceset.pack._STEP", 1)
    several(tmp_path / "f", 6)
    for job in (
        pack(PackSettings(faceset=tmp_path / "f", out=tmp_path / "a.faceset")),
        None,
    ):
        if job is None:
            packing(tmp_path / "f", tmp_path / "b.faceset")
            job = unpack(UnpackSettings(pack=tmp_path / "b.faceset", out=tmp_path / "g"))  # noqa: PLW2901
        while not isinstance(next(job), Advanced):
            pass
        job.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.faceset", "f"]


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    several(tmp_path / "f", 2)
    packing(tmp_path / "f", tmp_path / "a.faceset")
    before = (tmp_path / "a.faceset").read_bytes()

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull, match=r"a\.faceset: could not be written: No space left"):
        packing(tmp_path / "f", tmp_path / "a.faceset")
    with pytest.raises(DiskFull, match=r"could not be written: No space left"):
        unpacking(tmp_path / "a.faceset", tmp_path / "g")
    assert (tmp_path / "a.faceset").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.faceset", "f"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    """A small pack."""
    folder: Path = tmp_path_factory.mktemp("whole")
    several(folder / "f", 2)
    release.write(granted(), folder / "f" / "release.json")
    packing(folder / "f", folder / "a.faceset")
    return (folder / "a.faceset").read_bytes()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_pack_that_is_cut_short_or_grown_is_named_with_the_byte(data, whole, tmp_path_factory):
    file = tmp_path_factory.mktemp("torn") / "a.faceset"
    length = data.draw(st.one_of(st.integers(0, 80), st.integers(0, len(whole) - 1), st.just(len(whole) + 7)))
    file.write_bytes(whole[:length].ljust(length, b"x"))
    with pytest.raises((FrameUnreadable, InvalidInput)) as caught:
        Faceset.open(file)
    assert str(file) in caught.value.message
    if length >= 8:
        assert "at byte" in caught.value.message


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_flipped_bit_in_head_or_table_is_found(data, whole, tmp_path_factory):
    file = tmp_path_factory.mktemp("flipped") / "a.faceset"
    offset, length = (int.from_bytes(whole[at : at + 8], "little") for at in (16, 24))
    at = data.draw(st.one_of(st.integers(0, 63), st.integers(offset, offset + length - 1)))
    content = bytearray(whole)
    content[at] ^= 1 << data.draw(st.integers(0, 7))
    file.write_bytes(content)
    with pytest.raises((FrameUnreadable, InvalidInput)):
        Faceset.open(file)


def forged(whole, change):
    """A pack whose table was changed by somebody who knows its digest."""
    offset = int.from_bytes(whole[16:24], "little")
    arrays = {name: array.copy() for name, array in table.decode(memoryview(whole)[offset:]).arrays.items()}
    change(arrays)
    content = table.encode(arrays, {})
    return packed.head(offset, content) + whole[packed.PAGE : offset] + content


def called(name: str):
    return lambda arrays: arrays.update(name=table.texts([name, "b.exr"]))


def placed(column: str, row: int, *span: int):
    def change(arrays):
        arrays[column][row] = span

    return change


@pytest.mark.parametrize(
    "change",
    [
        called("../b.exr"),
        called("/etc/b.exr"),
        called(".hidden.exr"),
        called("a\\b.exr"),
        called("a.sh"),
        called("b.exr"),
        lambda arrays: arrays.update({"beside.name": table.texts(["../../release.json"])}),
        placed("planes", 0, 2**62, 2**62),
        placed("planes", 0, -4096, 24576),
        placed("planes", 0, 4096, -1),
        placed("planes", 0, 4097, 24576),
        placed("headers", 1, 4096, 2**40),
        placed("beside.place", 0, 0, 10),
        lambda arrays: arrays.pop("frame"),
        lambda arrays: arrays.update(frame=arrays["frame"].astype(np.float64)),
        lambda arrays: arrays.update(frame=arrays["frame"][:1]),
        lambda arrays: arrays.update(view=arrays["view"] + 5),
        lambda arrays: arrays.update(name=np.frombuffer(b"[1, 2]", np.uint8)),
        lambda arrays: arrays.update(name=np.frombuffer(b"[" * 9999, np.uint8)),
        lambda arrays: arrays.update({"view.table": table.texts(["b", "a"])}),
        lambda arrays: arrays.update(planes=arrays["planes"].astype(np.int32)),
    ],
)
def test_a_forged_table_is_refused_before_anything_is_made_of_it(change, whole, tmp_path):
    file = tmp_path / "a.faceset"
    file.write_bytes(forged(whole, change))
    with pytest.raises(FrameUnreadable, match=r"at byte \d+: the table is malformed"):
        Faceset.open(file)


def test_a_pack_of_before_plates_sizes_were_kept_is_read(whole, tmp_path):
    file = tmp_path / "a.faceset"
    file.write_bytes(forged(whole, lambda arrays: [arrays.pop("plate_size"), arrays.pop("plate_size.table")]))
    assert {record.plate_size for record in Faceset.open(file).records} == {""}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"data":[0,0,64,64]', b'"data":[0,0,99,99]'),
        (b'"data":[0,0,64,64]', b'"data":[0,0,-4,64]'),
        (b'"half"', b'"bool"'),
        (b'[{"number"', b'{["number"'),
        (b'"utf-8"', b'"utf-9"'),
        (b'1001,"name":""', b'1e999,"name":0'),
    ],
)
def test_a_header_that_is_not_that_of_its_pixels_is_refused(old, new, whole, tmp_path):
    assert old in whole
    file = tmp_path / "a.faceset"
    file.write_bytes(whole.replace(old, new))
    found = Faceset.open(file)
    with pytest.raises(FrameUnreadable, match=r"the header of shot_t0\.1001\.exr is malformed"):
        found.load(found.records[0])


def test_a_table_that_claims_more_than_there_is_allocates_nothing():
    for claim in (2**63, 2**40, 2**20 + 1):
        with pytest.raises(table.Broken):
            table.decode(memoryview(claim.to_bytes(8, "little") + b"{}" * 20))
    said = b'{"a":{"dtype":"F64","shape":[1e999],"data_offsets":[0,0]}}'
    with pytest.raises(table.Broken):
        table.decode(memoryview(len(said).to_bytes(8, "little") + said))
    said = b'{"a":{"dtype":"F64","shape":[1099511627776],"data_offsets":[0,8796093022208]}}'
    with pytest.raises(table.Broken, match="malformed"):
        table.decode(memoryview(len(said).to_bytes(8, "little") + said))


def test_other_files_and_newer_packs_are_no_faceset(whole, tmp_path):
    file = tmp_path / "a.faceset"
    for content in (b"", b"\x89PNG and so on" * 1000):
        file.write_bytes(content)
        with pytest.raises(InvalidInput, match="not a packed faceset") as caught:
            Faceset.open(file)
        assert caught.value.field == "faceset"
    file.write_bytes(whole[:8] + (3).to_bytes(4, "little") + whole[12:])
    with pytest.raises(InvalidInput, match="version 3"):
        Faceset.open(file)


def test_a_pack_that_changes_while_it_is_open(whole, tmp_path):
    file = tmp_path / "a.faceset"
    file.write_bytes(whole)
    opened = Faceset.open(file)
    wanted = opened.load(opened.records[1])
    with files.replacing(file) as beside:
        shutil.copy(Path(__file__), beside)
    np.testing.assert_array_equal(opened.load(opened.records[1]), wanted)  # it stays what it was
    file.write_bytes(whole)
    opened = Faceset.open(file)
    os.truncate(file, packed.PAGE + 100)
    with pytest.raises(FrameUnreadable, match="cut short after it was opened"):
        opened.load(opened.records[1])
    with pytest.raises(FrameMissing, match=r"has no face other\.exr"):
        opened.frame(replace(opened.records[1], path=file / "other.exr"))


def test_a_release_is_not_put_into_a_pack_but_may_be_there(whole, tmp_path):
    file = tmp_path / "a.faceset"
    file.write_bytes(whole)
    attach_release(file, granted())
    with pytest.raises(InvalidInput, match="attach release") as caught:
        attach_release(file, granted("performer-b"))
    assert caught.value.field == "release"
    assert hashlib.sha256(file.read_bytes()).digest() == hashlib.sha256(whole).digest()


def test_a_malformed_release_in_a_pack_is_named(tmp_path):
    several(tmp_path / "f", 1)
    (tmp_path / "f" / "release.json").write_text("{}")
    packing(tmp_path / "f", tmp_path / "a.faceset")
    with pytest.raises(ReleaseInvalid, match=r"a\.faceset"):
        Faceset.open(tmp_path / "a.faceset").release()


@pytest.mark.parametrize(
    ("name", "goes"),
    [
        ("labels/shot_t0.1001.json", True),
        ("labels/shot_t0.1001.exr", True),
        ("mattes/shot_t0.1001.exr", True),
        ("mattes/shot_t0.1001.json", False),
        ("labels/../release.json", False),
        ("labels/.hidden.json", False),
        ("labels/a/b.json", False),
        ("mattes\\a.exr", False),
        ("rejected/shot_t0.1001.exr", False),
        ("shot_t0.1001.exr", False),
    ],
)
def test_what_may_lie_beside_the_faces_in_a_pack(name: str, goes: bool):
    assert packed.is_beside(name) is goes
