"""One user's folder of files that were sent: whole or not at all, and nothing beside it."""

from __future__ import annotations

import hashlib
import os
import random
from pathlib import Path

import pytest

from understudy.core.errors import DiskFull, InvalidInput, NotFound, WriteFailed
from understudy.daemon import scratch
from understudy.daemon.errors import LimitReached, PathNotAllowed
from understudy.daemon.scratch import Folder

SENT = random.Random(0).randbytes(300_000)
HOSTILE = (
    "", "/", "/etc/passwd", "//x", "..", ".", "../x", "a/../../x", "a/..", "a//b", "a/", "./a", "a/./b", "~/x/..",
    ".hidden", "a/.parts/x", ".parts/x", ".understudy-lock", "a\0b", "a\nb", "a\x7fb", "a\u202eb", "a\u2028b", "a\\b",
    "..\\x", "C:\\x", "C:x", "c:/x", "a:stream", "\\\\server\\share", "a*", "a?", 'a"', "a<b", "a>b", "a|b", "con",
    "CON", "Con.exr", "nul.txt", "a/aux", "prn", "COM1", "com9.x", "lpt1.1001.exr", "com¹", "CONIN$", "a.", "a ",
    "a/b. /c", "é" * 101, "x" * 201, "/".join("a" * 33), "x/" * 2000 + "x",
)  # fmt: skip


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def receive(folder: Folder, name: str, data: bytes = SENT, step: int = 100_000) -> scratch.Received:
    """Send all of a file."""
    found = folder.receive(name, len(data), digest(data), 0, b"")
    while not found.complete:
        found = folder.receive(
            name, len(data), digest(data), found.size, data[found.size : found.size + step]
        )
    return found


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "own", 0)


def test_a_file_comes_in_parts_and_has_its_name_when_it_is_whole(folder: Folder):
    name, whole = "sh010/plate/plate.1001.exr", (len(SENT), digest(SENT))
    assert folder.receive(name, *whole, 0, b"") == scratch.Received(0, False)
    assert folder.receive(name, *whole, 0, SENT[:1000]) == scratch.Received(1000, False)
    assert folder.receive(name, *whole, 0, SENT[:1000]) == scratch.Received(
        1000, False
    )  # the answer was lost
    assert folder.receive(name, *whole, 500, SENT[500:2000]) == scratch.Received(2000, False)
    assert folder.receive(name, *whole, 5000, SENT[5000:6000]) == scratch.Received(
        2000, False
    )  # a gap is none
    assert folder.files() == []
    again = Folder(folder.place, 0)  # a daemon that was started anew
    assert again.receive(name, *whole, 0, b"") == scratch.Received(2000, False)
    assert again.receive(name, *whole, 2000, SENT[2000:]) == scratch.Received(len(SENT), True)
    assert again.receive(name, *whole, 0, b"") == scratch.Received(len(SENT), True)  # there already
    assert again.receive(name, *whole, 7, SENT[7:9]) == scratch.Received(len(SENT), True)
    assert everything(folder.place) == {name: SENT}
    assert receive(again, name, b"another").complete  # in its place
    assert receive(again, "empty", b"").complete
    assert everything(folder.place) == {name: b"another", "empty": b""}


def test_what_is_not_what_was_promised_never_gets_the_name(folder: Folder):
    receive(folder, "a")
    wrong = bytearray(SENT)
    wrong[12345] ^= 1
    with pytest.raises(WriteFailed, match="changed on the way"):
        folder.receive("a", len(SENT), digest(b"x"), 0, bytes(wrong))
    assert everything(folder.place) == {"a": SENT}
    receive(folder, "a", bytes(wrong))  # said honestly it is taken
    assert everything(folder.place) == {"a": bytes(wrong)}
    # Who sends another file by the same name at the same time does not come into it.
    folder.receive("b", 10, digest(b"0123456789"), 0, b"01234")
    receive(folder, "b", b"abcdefghij", 5)
    assert folder.receive("b", 10, digest(b"0123456789"), 5, b"56789").complete
    assert everything(folder.place)["b"] == b"0123456789"


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_leads_out_or_is_one_on_some_systems_only(folder: Folder, name: str):
    (folder.place.parent / "x").write_text("a secret")
    for call in (
        lambda: folder.receive(name, 1, digest(b"x"), 0, b"x"),
        lambda: folder.give(name, 0, 10),
        lambda: folder.files(name or "/"),
        lambda: folder.delete(name),
    ):
        with pytest.raises(InvalidInput) as error:
            call()
        assert error.value.field == "name"
    assert not folder.place.exists()
    assert (folder.place.parent / "x").read_text() == "a secret"


def test_names_of_every_case_and_script_are_kept_as_they_are(folder: Folder):
    names = [
        "Plate.1001.EXR",
        "plate.1001.exr",
        "ÄÖ/日本.1001.exr",
        "a b/c'd {e} $(f)",
        "console",
        "com10",
        "x" * 200,
    ]
    for name in names:
        receive(folder, name, name.encode())
    assert [file.name for file in folder.files()] == sorted(names)
    assert {name: folder.give(name, 0, 999).data for name in names} == {n: n.encode() for n in names}


@pytest.mark.parametrize(
    ("size", "sha256", "offset", "data", "field"),
    [
        (-1, digest(b""), 0, b"", "size_bytes"),
        (5, "", 0, b"", "sha256"),
        (5, digest(b"x").upper(), 0, b"", "sha256"),
        (5, digest(b"x")[:-1] + "/", 0, b"", "sha256"),
        (5, digest(b"x"), -1, b"", "offset"),
        (5, digest(b"x"), 3, b"xyz", "offset"),
        (5, digest(b"x"), 2**62, b"x", "offset"),
    ],
)
def test_what_cannot_be_is_refused_by_field(
    folder: Folder, size: int, sha256: str, offset: int, data: bytes, field: str
):
    with pytest.raises(InvalidInput) as error:
        folder.receive("a", size, sha256, offset, data)
    assert error.value.field == field
    assert not folder.place.exists()


def test_links_and_what_is_no_file_are_not_followed(folder: Folder, tmp_path: Path):
    receive(folder, "real/a")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a").write_bytes(b"a secret")
    (folder.place / "folder").symlink_to(outside)
    (folder.place / "file").symlink_to(outside / "a")
    os.mkfifo(folder.place / "pipe")
    for call in (
        lambda: receive(folder, "folder/a"),
        lambda: receive(folder, "folder/new/a"),
        lambda: folder.give("folder/a", 0, 9),
        lambda: folder.give("folder", 0, 9),
    ):
        with pytest.raises(PathNotAllowed):
            call()
    with pytest.raises(PathNotAllowed):
        folder.files("folder")
    with pytest.raises(PathNotAllowed):
        folder.delete("folder/a")
    with pytest.raises(PathNotAllowed):
        folder.give("file", 0, 9)
    with pytest.raises(NotFound):
        folder.give("pipe", 0, 9)
    assert [file.name for file in folder.files()] == ["real/a"]
    with pytest.raises(InvalidInput, match="a file is in the way"):
        receive(folder, "real/a/b")
    with pytest.raises(InvalidInput, match="a folder is in the way"):
        receive(folder, "real")
    assert folder.delete("folder") == 1  # the link alone
    with pytest.raises(PathNotAllowed):
        receive(folder, "file", b"new")
    assert everything(outside) == {"a": b"a secret"}


def test_parts_of_a_file_and_whether_the_caller_has_it(folder: Folder):
    receive(folder, "a")
    first = folder.give("a", 0, 200_000)
    assert first == scratch.Given(len(SENT), SENT[:200_000])
    assert folder.give("a", 200_000, 200_000) == scratch.Given(len(SENT), SENT[200_000:], digest(SENT))
    assert folder.give("a", len(SENT) + 5, 10) == scratch.Given(len(SENT), b"", digest(SENT))
    assert folder.give("a", 0, 10, digest(SENT)) == scratch.Given(len(SENT), sha256=digest(SENT), same=True)
    assert folder.give("a", 0, 10, digest(b"x")) == scratch.Given(len(SENT), SENT[:10])
    with pytest.raises(NotFound):
        folder.give("b", 0, 10)
    with pytest.raises(NotFound):
        Folder(folder.place.parent / "none", 0).give("a", 0, 10)


def test_a_quota_and_a_full_disk_say_so(folder: Folder, monkeypatch: pytest.MonkeyPatch):
    small = Folder(folder.place, 1_000_000)
    for name in "abc":
        receive(small, name)
    with pytest.raises(LimitReached, match=r"scratch.quota_mib") as error:
        receive(small, "d")
    assert error.value.field == "scratch.quota_mib"
    assert receive(small, "a").complete  # it is there already
    assert sorted(everything(small.place)) == ["a", "b", "c"]
    assert small.delete("b") == 1
    assert receive(small, "d").complete  # there is room again at once

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(DiskFull, match=r"scratch:e: .*No space left"):
        receive(folder, "e")
    monkeypatch.undo()
    assert receive(folder, "e").complete


def test_many_empty_files_fill_a_quota_too(folder: Folder):
    small = Folder(folder.place, 10 * scratch.BLOCK)
    for name in range(10):
        receive(small, f"f{name}", b"x")
    with pytest.raises(LimitReached):
        receive(Folder(folder.place, small.quota), "g", b"x")
