"""Extraction into a faceset that is there: after a stop, a kill, a person's hand, or with other settings."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Generator
from pathlib import Path

from tests.core.extraction import (
    SPACE,
    copy_of,
    frames_of,
    run_fixture,  # noqa: F401  pytest finds it by its being here
    statuses,
    with_pixels,
)
from understudy.core import extract, plate
from understudy.core.extract import ExtractSettings
from understudy.core.faceset import Faceset, journal
from understudy.core.frames import FrameRange
from understudy.core.plate import Template
from understudy.core.reports import Artifact, Started


def test_a_second_run_does_nothing(run, clips, tmp_path: Path):
    run(clips.src)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "faces").iterdir() if p.is_file()}
    reports = run(clips.src)
    assert reports[0] == Started(total=8, skipped=8)
    assert set(statuses(reports).values()) == {"skipped"}
    assert all(r.faces == 1 and r.outputs for r in frames_of(reports))
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "faces").iterdir() if p.is_file()} == before


def test_a_stopped_run_goes_on_where_it_was(run, clips, colour, weight_store, tmp_path: Path):
    settings = ExtractSettings(plate=plate.find(clips.src, None, SPACE), faceset=tmp_path / "faces", size=128)
    running = extract.run(settings, store=weight_store, colour=colour)
    assert isinstance(running, Generator)
    for _ in range(4):  # Started and three frames
        next(running)
    running.close()
    there = len(list((tmp_path / "faces").glob("*.exr")))
    assert 3 <= there < 8  # a frame or two more may have been on their way
    assert not list((tmp_path / "faces").glob(".*.exr"))
    reports = run(clips.src)
    assert list(statuses(reports).values()) == ["skipped"] * there + ["done"] * (8 - there)
    stopped = Faceset.open(tmp_path / "faces").records
    run(clips.src, into="whole")
    whole = Faceset.open(tmp_path / "whole").records
    assert [r.header() for r in stopped] == [r.header() for r in whole]


def test_other_settings_or_another_render_replace_what_was_there(run, clips, tmp_path: Path):
    text = copy_of(clips.dst, tmp_path / "plate")
    run(text)
    os.utime(Template.parse(text).path(1002), ns=(1, 1))
    assert list(statuses(run(text)).values()) == ["skipped", "done", "skipped", "skipped"]
    assert set(statuses(run(text, face_type="full")).values()) == {"done"}
    found = Faceset.open(tmp_path / "faces").records
    assert [(r.face.frame, r.alignment.face_type) for r in found] == [(n, "full") for n in range(1001, 1005)]


def test_deleted_means_deleted(run, clips, tmp_path: Path):
    text = copy_of(clips.dst, tmp_path / "plate")
    run(text)
    faces = sorted((tmp_path / "faces").glob("*.exr"))
    for face in faces[1:3]:
        face.unlink()
    shutil.move(tmp_path / "faces", tmp_path / "elsewhere")
    reports = run(text, into="elsewhere")
    assert reports[0] == Started(total=4, skipped=4)
    assert [(r.status.value, r.faces) for r in frames_of(reports)] == [
        ("skipped", 1), ("skipped", 0), ("skipped", 0), ("skipped", 1),
    ]  # fmt: skip
    assert reports[-1] == Artifact(kind="faceset", path=tmp_path / "elsewhere")
    assert len(list((tmp_path / "elsewhere").glob("*.exr"))) == 2
    os.utime(Template.parse(text).path(1002), ns=(1, 1))  # but of another render there are new faces
    assert list(statuses(run(text, into="elsewhere")).values()) == ["skipped", "done", "skipped", "skipped"]
    assert set(statuses(run(text, into="elsewhere", min_score=0.6)).values()) == {"done"}


def test_an_empty_faceset_stays_empty_and_its_people_keep_their_ids(run, clips, tmp_path: Path):
    """All faces of a person are deleted, then the shot grows: newcomers are not taken for them; the gain stays."""
    text = copy_of(clips.dst, tmp_path / "plate", 2)
    run(text)
    gain = Faceset.open(tmp_path / "faces").records[0].gain
    for face in (tmp_path / "faces").glob("*.exr"):
        face.unlink()
    assert isinstance(run(text)[-1], Artifact)
    dark = with_pixels(plate.read(Template.parse(clips.dst), 1003), lambda p: p * 0.5)
    plate.write(dark, Template.parse(text).path(1003))
    assert statuses(run(text)) == {1001: "skipped", 1002: "skipped", 1003: "done"}
    (found,) = Faceset.open(tmp_path / "faces").records
    assert (found.face.frame, found.face.track, found.gain) == (1003, 1, gain)


def test_a_kill_between_face_and_note_loses_nothing_and_does_nothing_twice(run, clips, tmp_path: Path):
    text = copy_of(clips.dst, tmp_path / "plate", 3)
    run(text)
    noted = tmp_path / "faces" / journal.NAME
    lines = noted.read_bytes()
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "faces").glob("*.exr")}
    noted.write_bytes(lines[: lines.rindex(b"{") + 40])  # the last note was cut short
    assert set(statuses(run(text)).values()) == {"skipped"}
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "faces").glob("*.exr")} == before
    max(before).unlink()  # what was noted late is remembered all the same
    assert set(statuses(run(text)).values()) == {"skipped"}
    assert len(list((tmp_path / "faces").glob("*.exr"))) == 2


def test_a_run_killed_among_other_settings_is_not_taken_for_the_first(run, clips, tmp_path: Path):
    """The journal still says `whole`, one face is `full` already: going back to `whole` makes that one anew."""
    text = copy_of(clips.dst, tmp_path / "plate", 2)
    run(text)
    noted = tmp_path / "faces" / journal.NAME
    lines = noted.read_bytes()
    run(text, frames=FrameRange.of(1002, 1002), face_type="full")
    noted.write_bytes(lines)
    assert list(statuses(run(text)).values()) == ["skipped", "done"]
    assert {r.alignment.face_type for r in Faceset.open(tmp_path / "faces").records} == {"whole"}


def test_a_face_that_was_broken_is_made_again(run, clips, tmp_path: Path):
    text = copy_of(clips.dst, tmp_path / "plate", 2)
    run(text)
    face = min((tmp_path / "faces").glob("*.exr"))
    face.write_bytes(face.read_bytes()[:100])
    assert list(statuses(run(text)).values()) == ["done", "skipped"]
    assert not Faceset.open(tmp_path / "faces").broken


def test_closing_leaves_no_thread_and_no_half_file(clips, colour, weight_store, tmp_path: Path):
    settings = ExtractSettings(plate=plate.find(clips.src, None, SPACE), faceset=tmp_path / "faces", size=128)
    before = set(threading.enumerate())
    running = extract.run(settings, store=weight_store, colour=colour)
    assert isinstance(running, Generator)
    next(running)
    next(running)
    running.close()
    left = {thread.name for thread in set(threading.enumerate()) - before}
    assert all(name.startswith("spread") for name in left), left  # those of `core.threads` stay
    found = Faceset.open(tmp_path / "faces")
    noted = journal.Journal(tmp_path / "faces", clips.src).looked
    assert not found.broken
    assert {r.face.frame for r in found.records} == set(noted)


def test_frames_that_go_after_the_plate_was_looked_up_are_missing(
    clips, colour, weight_store, tmp_path: Path
):
    """A job waits in the queue: first one of its frames goes, then all of them."""
    text = copy_of(clips.src, tmp_path / "plate", 3)
    settings = ExtractSettings(plate=plate.find(text, None, SPACE), faceset=tmp_path / "faces", size=128)
    for gone, said in (
        ((1002,), {1001: "done", 1002: "missing", 1003: "done"}),
        ((1001, 1003), {1001: "missing", 1002: "missing", 1003: "missing"}),
    ):
        for number in gone:
            Template.parse(text).path(number).unlink()
        assert statuses(list(extract.run(settings, store=weight_store, colour=colour))) == said
        shutil.rmtree(settings.faceset, ignore_errors=True)
