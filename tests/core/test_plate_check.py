"""`plate check`: every frame is decoded to its end, and what is odd about it is said."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import OpenEXR
import pytest

from tests.core import ailing
from understudy.core import plate
from understudy.core.frames import Frame, FrameRange, Window
from understudy.core.plate import Template, Timecode, check
from understudy.core.reports import FrameReport, FrameStatus, Report, Started, Warned


def run(template: Template, frames: FrameRange | None = None) -> list[Report]:
    return list(check.run(plate.find(template.text, frames)))


def frames_of(reports: list[Report]) -> dict[int, FrameReport]:
    return {report.frame: report for report in reports if isinstance(report, FrameReport)}


def warned(reports: list[Report]) -> dict[str, str]:
    return {report.reason: report.message for report in reports if isinstance(report, Warned)}


def test_a_whole_plate_has_nothing_to_say(tmp_path):
    reports = run(ailing.make(tmp_path))
    assert reports[0] == Started(total=5)
    assert reports[1:] == [FrameReport(frame=n, status=FrameStatus.DONE) for n in range(1001, 1006)]


@pytest.mark.parametrize("kind", ailing.BREAK)
def test_a_broken_frame_fails_and_the_others_do_not(tmp_path, kind):
    template = ailing.make(tmp_path)
    ailing.BREAK[kind](template.path(1003))
    found = frames_of(run(template))
    assert found[1003].status is FrameStatus.FAILED
    assert found[1003].reason == "FRAME_UNREADABLE"
    assert str(template.path(1003)) in found[1003].message
    assert [n for n, report in found.items() if report.status is FrameStatus.DONE] == [1001, 1002, 1004, 1005]
    assert not any(report.warnings for report in found.values())  # 1004 goes on where 1002 was


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("zero bytes", "zero bytes"),
        ("a folder", "is a folder"),
        ("a dangling link", "is a link to "),
        ("a pipe", "file"),
    ],
)
def test_what_broke_it_is_said(tmp_path, kind, words):
    template = ailing.make(tmp_path)
    ailing.BREAK[kind](template.path(1003))
    assert words in frames_of(run(template))[1003].message


def test_a_file_that_may_not_be_read_is_a_broken_frame(tmp_path, monkeypatch):
    template = ailing.make(tmp_path)
    closed = template.path(1002)
    closed.chmod(0)
    allowed = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: path != closed and allowed(path, mode)
    )  # root may read all
    report = frames_of(run(template))[1002]
    assert report.status is FrameStatus.FAILED
    assert "permissions" in report.message


def test_a_hole_is_missing_and_timecode_counts_it(tmp_path):
    template = ailing.make(tmp_path, (1001, 1002, 1004))
    found = frames_of(run(template))
    assert list(found) == [1001, 1002, 1003, 1004]
    assert (found[1003].status, found[1003].reason) == (FrameStatus.MISSING, "FRAME_MISSING")
    assert str(template.path(1003)) in found[1003].message
    assert not found[1004].warnings


def test_values_that_are_not_finite_are_counted_and_located(tmp_path):
    odd = ailing.frame(1002, data=Window(-4, -2, 24, 16))
    odd.planes["G"][3, 5] = np.nan
    odd.planes["G"][7, 2] = -np.inf
    odd = odd.with_planes({**odd.planes, "depth.Z": np.full((16, 24), np.inf, np.float32)})
    others = {n: ailing.frame(n, data=odd.data) for n in (1001, 1003)}
    found = frames_of(run(ailing.make(tmp_path, (1001, 1002, 1003), {**others, 1002: odd})))
    said = next(text for text in found[1002].warnings if "NaN" in text)
    assert said.startswith("NaN or Inf in G (2 of 384 values, first at (1, 1)), ")
    assert said.endswith("depth.Z (384 of 384 values, first at (-4, -2))")
    assert found[1002].status is FrameStatus.DONE
    assert not found[1003].warnings


def test_a_channel_whose_name_is_not_utf8_fails_its_frame_or_is_read_but_breaks_nothing(tmp_path):
    odd = ailing.frame(1001)
    odd = odd.with_planes({**odd.planes, "caf_.R": np.full((16, 24), np.nan, np.float16)})
    path = ailing.make(tmp_path, (1001, 1002), {1001: odd}).path(1001)
    path.write_bytes(path.read_bytes().replace(b"caf_.R", b"caf\xe9.R"))
    report = frames_of(run(Template.parse(str(tmp_path / "p.####.exr"))))[1001]
    said = report.message or " ".join(report.warnings)
    assert said.isprintable()
    assert "caf" in said


def test_every_kind_of_non_finite_half_and_float_is_found_and_no_other(tmp_path):
    every = np.arange(2**16, dtype=np.uint16).view(np.float16).reshape(256, 256)
    shown = Frame(number=1, planes={"Y": every}, display=Window(0, 0, 256, 256), data=Window(0, 0, 256, 256))
    (said,) = frames_of(run(ailing.make(tmp_path, (1001,), {1001: shown})))[1001].warnings
    assert f"{np.count_nonzero(~np.isfinite(every))} of 65536" in said


def test_a_header_unlike_the_first_says_in_what(tmp_path):
    wider = ailing.frame(1003, data=Window(-2, 0, 28, 16))
    fatter = ailing.frame(1004, pixel_aspect=2.0)
    more = ailing.frame(1005)
    more = more.with_planes({**more.planes, "A": more.planes["R"]})
    found = frames_of(run(ailing.make(tmp_path, frames={1003: wider, 1004: fatter, 1005: more})))
    assert found[1003].warnings == ("data window is 28×16 at -2, 0, the first frame's is 24×16",)
    assert found[1004].warnings == ("pixel aspect is 2, the first frame's is 1",)
    assert found[1005].warnings == ("channels is A half, the first frame's is none",)


def test_a_stuck_frame_and_a_break_of_timecode_are_told(tmp_path):
    template = ailing.make(
        tmp_path,
        frames={
            1003: ailing.frame(1003, planes=ailing.frame(1002).planes),
            1005: ailing.frame(1005, timecode=Timecode(2, 0, 0, 0)),
        },
    )
    found = frames_of(run(template))
    assert found[1003].warnings == ("the picture is that of frame 1002, bit for bit",)
    assert found[1005].warnings == ("timecode 02:00:00:00 does not follow 01:00:00:03 of frame 1004",)
    assert not found[1002].warnings
    assert not found[1004].warnings


def test_a_copied_file_is_stuck_in_picture_and_timecode(tmp_path):
    template = ailing.make(tmp_path)
    template.path(1003).write_bytes(template.path(1002).read_bytes())
    assert len(frames_of(run(template))[1003].warnings) == 2


def lossy(path: Path) -> None:
    picture = np.linspace(0, 1, 32 * 32 * 3, dtype=np.float32).reshape(32, 32, 3).astype(np.float16)
    header = {"compression": OpenEXR.DWAA_COMPRESSION, "type": OpenEXR.scanlineimage}
    with OpenEXR.File(header, {"RGB": picture}) as file:
        file.write(str(path))


def test_a_lossy_codec_is_told_once(tmp_path):
    template = Template.parse(str(tmp_path / "p.####.exr"))
    for number in (1001, 1002):
        lossy(template.path(number))
    reports = run(template)
    assert [r.reason for r in reports if isinstance(r, Warned)] == [check.LOSSY_PLATE]
    assert "frame 1001 is compressed with dwaa" in warned(reports)[check.LOSSY_PLATE]


def test_what_writers_left_behind_is_listed(tmp_path):
    template = ailing.make(tmp_path)
    left = (".p.1001.0123456789ab.exr", "p.1002.exr.tmp", ".p.1003.exr.Xa93kd", "p.1001.exr~")
    for name in (*left, "p.1001.exr.xml", "notes.txt", "q.1001.exr", ".p.thumbs.exr"):
        (tmp_path / name).touch()
    said = warned(run(template))
    assert set(said) == {check.LEFTOVERS}
    assert all(name in said[check.LEFTOVERS] for name in left)
    assert not any(name in said[check.LEFTOVERS] for name in ("xml", "notes", "q.", "thumbs"))


def test_two_paddings_are_told_of_a_plate_that_was_found_before(tmp_path):
    template = ailing.make(tmp_path, (1001, 1002))
    found = plate.find(template.text)
    (tmp_path / "p.00001.exr").touch()
    said = warned(list(check.run(found)))
    assert "p.00001.exr" in said[check.TWO_PADDINGS]


def test_the_middle_of_a_plate_is_checked_on_its_own(tmp_path):
    template = ailing.make(tmp_path)
    ailing.BREAK["zero bytes"](template.path(1001))
    found = frames_of(run(template, FrameRange.of(1002, 1004)))
    assert {n: report.status for n, report in found.items()} == dict.fromkeys(
        (1002, 1003, 1004), FrameStatus.DONE
    )


def test_views_in_files_of_their_own_are_all_read(tmp_path):
    for view in ("left", "right"):
        ailing.make(tmp_path / view, (1001, 1002))
    template = Template.parse(str(tmp_path / "%V" / "p.####.exr"))
    assert not any(report.warnings for report in frames_of(run(template)).values())
    ailing.BREAK["truncated"](tmp_path / "right" / "p.1002.exr")
    report = frames_of(run(template))[1002]
    assert report.status is FrameStatus.FAILED
    assert "right/p.1002.exr" in report.message
    (tmp_path / "left" / "p.1002.exr").unlink()
    missing = frames_of(run(template))[1002]
    assert (missing.status, "left/p.1002.exr" in missing.message) == (FrameStatus.MISSING, True)


def test_closing_stops_the_reading(tmp_path):
    reports = check.run(plate.find(ailing.make(tmp_path).text))
    assert next(reports) == Started(total=5)
    assert isinstance(next(reports), FrameReport)
    reports.close()
    assert list(reports) == []
