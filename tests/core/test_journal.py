"""The journal of an extraction: what is noted is known, whatever a kill leaves of the file."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from understudy.core.errors import DiskFull, WriteFailed
from understudy.core.faceset.journal import NAME, Journal, Looked

PLATE = "/plates/shot.%04d.exr"


def looked(*tracks: int, digest: str = "d" * 64) -> Looked:
    return Looked(digest=digest, gain=1.0 / 3.0, tracks=tracks)


def test_what_is_noted_is_known_and_the_last_word_counts(tmp_path: Path):
    assert Journal(tmp_path, PLATE).looked == {}
    journal = Journal(tmp_path / "faces", PLATE)
    journal.add(1001, looked(0))
    journal.add(1002, looked())
    journal.add(1001, looked(0, 1, digest="e" * 64))
    Journal(tmp_path / "faces", "/plates/other.%04d.exr").add(1002, looked(7))
    assert Journal(tmp_path / "faces", PLATE).looked == {1001: looked(0, 1, digest="e" * 64), 1002: looked()}


def test_each_view_has_lines_of_its_own_and_mono_ones_are_as_ever(tmp_path: Path):
    views = {view: Journal(tmp_path, PLATE, view) for view in ("left", "right", "")}
    for track, journal in enumerate(views.values()):
        journal.add(1001, looked(track))
    for track, view in enumerate(views):
        assert Journal(tmp_path, PLATE, view).looked == {1001: looked(track)}
    lines = [json.loads(line) for line in (tmp_path / NAME).read_text().splitlines()]
    assert [line.get("view") for line in lines] == ["left", "right", None]
    assert list(lines[2]) == ["plate", "frame", "digest", "gain", "tracks"]


def test_a_line_cut_anywhere_costs_that_line_only(tmp_path: Path):
    journal, file = Journal(tmp_path, PLATE), tmp_path / NAME
    journal.add(1001, looked(0))
    whole = file.stat().st_size
    journal.add(1002, looked(0))
    text = file.read_bytes()
    for end in range(whole, len(text)):
        file.write_bytes(text[:end])
        journal.add(1003, looked())
        known = Journal(tmp_path, PLATE).looked
        assert known.keys() - {1002} == {1001, 1003}
        assert (1002 in known) == (end == len(text) - 1)  # only its line's end is missing


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe",
        b"[]",
        b"null",
        b'"plate"',
        b"{}",
        b'{"plate": "/plates/shot.%04d.exr", "frame": 1002, "digest": "d", "gain": NaN, "tracks": []}',
        b'{"plate": "/plates/shot.%04d.exr", "frame": 1002, "digest": "d", "gain": 0, "tracks": []}',
        b'{"plate": "/plates/shot.%04d.exr", "frame": Infinity, "digest": "d", "gain": 1, "tracks": []}',
        b'{"plate": "/plates/shot.%04d.exr", "frame": 1002, "digest": "d", "gain": 1, "tracks": 3}',
    ],
)
def test_what_is_no_entry_is_passed_over(tmp_path: Path, line: bytes):
    (tmp_path / NAME).write_bytes(line + b"\n")
    journal = Journal(tmp_path, PLATE)
    assert journal.looked == {}
    journal.add(1001, looked())
    assert set(Journal(tmp_path, PLATE).looked) == {1001}


def test_threads_may_add_at_once(tmp_path: Path):
    journal = Journal(tmp_path, PLATE)

    def every_fourth(first: int) -> None:
        for n in range(first, 400, 4):
            journal.add(n, looked(first))

    threads = [threading.Thread(target=every_fourth, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {n: entry.tracks for n, entry in Journal(tmp_path, PLATE).looked.items()} == {
        n: (n % 4,) for n in range(400)
    }


def test_ten_thousand_frames_are_little(tmp_path: Path):
    journal = Journal(tmp_path, PLATE)
    journal.add(1, looked(0))
    (tmp_path / NAME).write_bytes((tmp_path / NAME).read_bytes() * 10_000)
    assert (tmp_path / NAME).stat().st_size < 3_000_000
    began = time.thread_time()
    assert len(Journal(tmp_path, PLATE).looked) == 1
    assert time.thread_time() - began < 2.0


def test_what_can_not_be_noted_is_an_error_with_path_and_frame(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WriteFailed, match=r"extract\.jsonl: frame 1001") as caught:
        Journal(tmp_path / "file" / "faces", PLATE).add(1001, looked())
    assert caught.value.frame == 1001
    if Path("/dev/full").exists():
        (tmp_path / NAME).symlink_to("/dev/full")
        with pytest.raises(DiskFull, match="No space"):
            Journal(tmp_path, PLATE).add(1001, looked())
