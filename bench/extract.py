"""Extraction: frames a second where every frame is searched, where faces are followed, and with two processes.

Beside them the least that any extraction must do: read the plate. Stages overlap: together they take longer than the
whole. With the shared footage also a real plate: a woman in a room, 1280×720, the camera moving.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from bench import common
from understudy.core import extract, plate
from understudy.core.colour import ColourConfig
from understudy.core.frames import FrameRange
from understudy.core.plate import PLATE_SPACE, Plate, Template, ingest
from understudy.core.reports import FrameReport, FrameStatus

OFFICE = Path("../shared/footage/plate_office_720p.mp4")
MODES = {"search every frame": (1, 1), "follow, search every 8": (8, 1), "the same, 2 processes": (8, 2)}
"""Name → `search_every`, `workers`."""


@dataclass(kw_only=True)
class Timed:
    """Seconds of a whole run and, per stage, of all frames together."""

    total: float = 0.0
    first: float = 0.0
    faces: int = 0
    stages: dict[str, float] = field(default_factory=lambda: defaultdict(float))


def main() -> None:
    compare(common.plate("hopper", common.FRAMES))
    if OFFICE.is_file():
        compare(office(int(sys.argv[1]) if len(sys.argv) > 1 else 96))


def office(frames: int) -> Plate:
    """The first frames of the room, as a plate."""
    template = Template.parse(str(common.FOLDER / "plates" / "office.%04d.exr"))
    for _ in ingest(OFFICE, template, frames=FrameRange.of(1001, 1000 + frames)):
        pass
    return plate.find(template.text, FrameRange.of(1001, 1000 + frames), PLATE_SPACE)


def compare(shot: Plate) -> None:
    began = time.perf_counter()
    for number in shot.present:
        plate.read(shot.template, number)
    bare, frames = time.perf_counter() - began, len(shot.present)
    rows = []
    for name, (every, workers) in MODES.items():
        timed = run(shot, every, workers)
        stages = [ms(timed.stages[stage] / frames) for stage in ("read", "detect", "write")]
        rows.append(
            (
                name,
                f"{frames / timed.total:.1f}",
                *stages,
                f"{timed.first:.1f}",
                f"{timed.faces / frames:.2f}",
            )
        )
    rows.append(("limit: read the plate", f"{frames / bare:.1f}", ms(bare / frames), "", "", "", ""))
    size = plate.read_header(shot.template.path(next(iter(shot.present)))).display
    columns = ("", "frames/s", "read ms", "search ms", "write ms", "first report s", "faces/frame")
    common.show(
        f"extract: {frames} frames of {size.width}×{size.height}, crops of 512, all networks' defaults",
        columns,
        rows,
    )


def run(shot: Plate, every: int, workers: int) -> Timed:
    faceset = common.FOLDER / "extract"
    shutil.rmtree(faceset, ignore_errors=True)
    wanted = extract.ExtractSettings(plate=shot, faceset=faceset, search_every=every, workers=workers)
    store, timed, began = common.weights(), Timed(), time.perf_counter()
    for report in extract.run(wanted, store=store, colour=ColourConfig.open(None)):
        if isinstance(report, FrameReport):
            assert report.status is FrameStatus.DONE, report.message
            timed.first = timed.first or time.perf_counter() - began
            timed.faces += report.faces
            for stage, seconds in report.seconds.items():
                timed.stages[stage] += seconds
    timed.total = time.perf_counter() - began
    return timed


def ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f}"


if __name__ == "__main__":
    main()
