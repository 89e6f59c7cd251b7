"""Extraction in pieces: ranges, workers and stops give the faces of the whole run, to the bit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bench import clips as plates
from tests.core.extraction import (
    SPACE,
    changed,
    copy_of,
    frames_of,
    run_fixture,  # noqa: F401  pytest finds it by its being here
    statuses,
    with_pixels,
)
from understudy.core import extract, plate
from understudy.core.errors import UnderstudyError
from understudy.core.extract import ExtractSettings, crew
from understudy.core.extract.station import Station
from understudy.core.faceset import Faceset
from understudy.core.frames import FrameRange
from understudy.core.plate import Template
from understudy.core.reports import FrameReport


@pytest.fixture(name="long", scope="module")
def long_fixture(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Twenty frames, three blocks of eight and a bit."""
    folder = tmp_path_factory.mktemp("long")
    return plates.make("hopper", str(folder / "long.%04d.exr"), frames=20, width=320, height=240)


def content(folder: Path) -> dict[str, tuple[dict[str, object], bytes]]:
    """Name → header and pixels of each face."""
    found = Faceset.open(folder)
    return {r.path.name: (r.header(), found.load(r).tobytes()) for r in found.records}


@pytest.mark.parametrize("every", [1, 8])
def test_pieces_are_the_whole_run_to_the_bit(run, long, tmp_path: Path, every: int):
    """Pieces that begin and end within blocks, in another order; frames beside them are read, but not reported."""
    run(long, into="whole", search_every=every)
    for first, last in ((1001, 1004), (1013, 1020), (1005, 1012)):
        piece = FrameRange.of(first, last)
        reports = run(long, into="pieces", search_every=every, frames=piece)
        assert [r.frame for r in frames_of(reports)] == list(piece)
    whole = content(tmp_path / "whole")
    assert len(whole) == 20
    assert content(tmp_path / "pieces") == whole


def test_two_workers_find_what_one_finds(run, long, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run(long, into="one", workers=1)
    theirs = threading.Event()
    work, done = crew._There.work, []

    def told(lane, tasks, then):
        done.append(tasks)
        theirs.set()
        return work(lane, tasks, then)

    monkeypatch.setattr(crew._There, "work", told)
    monkeypatch.setattr(crew._Here, "begin", lambda lane: theirs.wait(300.0))  # the other one begins
    reports = run(long, into="two", workers=2)
    assert [r.frame for r in frames_of(reports)] == list(range(1001, 1021))
    assert done
    assert content(tmp_path / "two") == content(tmp_path / "one")


def test_following_finds_what_searching_finds(run, long, tmp_path: Path):
    run(long, into="every", search_every=1)
    run(long, into="follow", search_every=8)
    every, follow = (Faceset.open(tmp_path / name).records for name in ("every", "follow"))
    assert [r.face.frame for r in follow] == [r.face.frame for r in every]
    for a, b in zip(every, follow, strict=True):
        x0, _, x1, _ = a.face.box
        off = np.linalg.norm(a.face.landmarks.points - b.face.landmarks.points, axis=1).mean()
        assert off < 0.015 * (x1 - x0)


def test_a_block_goes_on_after_frames_that_cannot_be_read(run, long, tmp_path: Path):
    text = copy_of(long, tmp_path / "plate", 16)
    template = Template.parse(text)
    template.path(1008).write_bytes(b"")  # an anchor
    template.path(1011).unlink()
    template.path(1012).write_bytes(template.path(1012).read_bytes()[:2000])
    got = statuses(run(text))
    assert {n for n, status in got.items() if status != "done"} == {1008, 1011, 1012}
    assert (got[1008], got[1011], got[1012]) == ("failed", "missing", "failed")
    assert len(Faceset.open(tmp_path / "faces").records) == 13


def test_who_comes_in_between_anchors_is_followed_back_to_where(run, long, tmp_path: Path):
    """Nobody until 1005, an anchor at 1008 only."""
    text = copy_of(long, tmp_path / "plate", 12)
    template = Template.parse(text)
    for number in range(1001, 1005):
        empty = with_pixels(plate.read(template, number), lambda p: np.full_like(p, 0.2))
        plate.write(empty, template.path(number))
    # a cut in the light: the empty frames are of another picture, so 1005 is searched wholly; without it see below
    assert [n for n, status in statuses(run(text)).items() if status == "done"] == list(range(1005, 1013))


def test_who_walks_in_slowly_is_followed_back(run, clips, tmp_path: Path):
    """A matte opens over the face within a block: no cut, no face in the anchor, and faces before the next one."""

    def covered(frame):
        width = frame.data.width
        seen = max(0, frame.number - 1003) * width // 4  # all covered to 1003, open from 1007

        def cover(pixels: np.ndarray) -> np.ndarray:
            pixels[60:200, seen:] = 0.25
            return pixels

        return with_pixels(frame, cover)

    text = changed(clips.dst, tmp_path, covered, count=8)
    searched = statuses(run(text, into="every", search_every=1))
    followed = statuses(run(text, into="follow", search_every=8))
    assert searched[1001] == "no_face"
    assert followed[1007] == followed[1008] == "done"
    assert [n for n in followed if followed[n] == "done"] == [n for n in searched if searched[n] == "done"]


def test_a_cut_within_a_block_is_told(run, clips, tmp_path: Path):
    text = copy_of(clips.dst, tmp_path / "plate", 7)
    template = Template.parse(text)
    for number in (1005, 1006, 1007):
        other = plate.read(Template.parse(clips.src), number)
        mirrored = with_pixels(other, lambda p: np.ascontiguousarray(p[:, ::-1]) * 0.4)
        plate.write(mirrored, template.path(number))
    assert set(statuses(run(text)).values()) == {"done"}
    found = Faceset.open(tmp_path / "faces").records
    assert [r.face.frame for r in found if r.face.cut] == [1005]
    assert len({r.face.track for r in found if r.face.frame < 1005}) == 1


def running(text: str, folder: Path, colour, store, **settings):
    found = plate.find(text, None, SPACE)
    wanted = ExtractSettings(plate=found, faceset=folder, size=128, **settings)
    return extract.run(wanted, store=store, colour=colour)


def children() -> set[int]:
    """Processes of ours that look for faces."""
    found = subprocess.run(["pgrep", "-P", str(os.getpid())], capture_output=True, text=True, check=False)
    return {pid for pid in map(int, found.stdout.split()) if "crew.serve" in command(pid)}


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return ""


def alive(pid: int) -> bool:
    return bool(command(pid))


def test_closing_ends_the_workers_at_once(
    long, colour, weight_store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The other process is killed; this one answers the look that it is at, and no further one."""
    serve, stop = Station._serve, Station.stop
    over, late = threading.Event(), []

    def served(station, requests):
        answers = serve(station, requests)
        if over.is_set():
            late.append(requests)
        return answers

    def stopped(station):
        stop(station)
        over.set()

    monkeypatch.setattr(Station, "_serve", served)
    monkeypatch.setattr(Station, "stop", stopped)
    reports = running(long, tmp_path / "faces", colour, weight_store, workers=2)
    while not isinstance(next(reports), FrameReport):
        pass
    there = children()
    assert len(there) == 1
    reports.close()
    assert over.is_set()
    assert len(late) <= 1
    assert not children()
    assert not any(map(alive, there))


def test_a_worker_that_dies_is_an_error_that_says_so(long, colour, weight_store, tmp_path: Path):
    reports = running(long, tmp_path / "faces", colour, weight_store, workers=2, search_every=1)
    while not isinstance(next(reports), FrameReport):
        pass
    (victim,) = children()
    os.kill(victim, signal.SIGKILL)
    with pytest.raises(UnderstudyError, match=rf"pid {victim}\) was killed by signal 9"):
        list(reports)
    assert not children()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks at /proc")
def test_workers_end_with_a_parent_that_is_killed(long, tmp_path: Path, weight_store):
    script = tmp_path / "script.py"  # without a `__main__` guard: it is not run again
    script.write_text(
        "import os, subprocess, time\n"
        "from pathlib import Path\n"
        "from understudy.core import extract, plate\n"
        "from understudy.core.colour import ColourConfig\n"
        "from understudy.core.reports import FrameReport\n"
        "from understudy.core.weights import WeightStore\n"
        f"found = plate.find({long!r}, None, {SPACE!r})\n"
        f"settings = extract.ExtractSettings(plate=found, faceset=Path({str(tmp_path / 'faces')!r}), workers=2)\n"
        f"run = extract.run(settings, store=WeightStore(Path({str(weight_store.cache)!r})), "
        "colour=ColourConfig.open(None))\n"
        "while not isinstance(next(run), FrameReport): pass\n"
        "print(subprocess.run(['pgrep', '-P', str(os.getpid()), '-f', 'crew.serve'], capture_output=True, "
        "text=True).stdout.strip(), flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        (pid,) = map(int, parent.stdout.readline().split())
        assert alive(pid)
        parent.kill()
    while alive(pid):  # or pytest's own patience ends
        time.sleep(0.1)


def test_more_processes_are_started_only_where_they_pay(monkeypatch: pytest.MonkeyPatch):
    """By what a block takes and how many are left; on a machine of four cores."""
    now, started = [0.0], list[object]()
    monkeypatch.setattr(crew, "cores", lambda: 4)
    monkeypatch.setattr(crew, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    class Station:
        abreast, gain = 1, 1.0

        def stop(self) -> None: ...

        def work(self, tasks, then):
            now[0] += 0.05
            return [None for _ in tasks]

    class Idle:
        abreast = 1

        def __init__(self, outfit, gain) -> None:
            started.append(outfit)

        def begin(self) -> None: ...

        def stop(self) -> None: ...

        def work(self, tasks, then):
            return [None for _ in tasks]

    monkeypatch.setattr(crew, "_There", Idle)
    hands = crew.Crew(Station(), outfit=None)  # type: ignore[arg-type]  # neither is looked at
    try:
        hands.submit(None).result()  # type: ignore[arg-type]
        hands.consider(left=20)
        assert (hands.workers, started) == (1, [])
        hands.consider(left=1000)
        assert (hands.workers, len(started)) == (4, 3)
    finally:
        hands.close()
