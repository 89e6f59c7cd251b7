"""What the tests of extraction share: running one, plates to break, and what the reports say."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from understudy.core import extract, plate
from understudy.core.extract import ExtractSettings
from understudy.core.frames import Frame, FrameRange
from understudy.core.plate import Template
from understudy.core.reports import FrameReport, Report

SPACE = "Linear Rec.709 (sRGB)"


@pytest.fixture(name="run")
def run_fixture(weight_store, colour, tmp_path: Path):
    """Extract `text` into tmp_path / "faces" (or `into`), to the end."""

    def extracted(
        text: str,
        *,
        into: str = "faces",
        frames: FrameRange | None = None,
        views: tuple[str, ...] = (),
        **settings,
    ) -> list[Report]:
        found = plate.find(text, frames, SPACE, views)
        wanted = ExtractSettings(plate=found, faceset=tmp_path / into, size=128, **settings)
        return list(extract.run(wanted, store=weight_store, colour=colour))

    return extracted


def frames_of(reports: list[Report]) -> list[FrameReport]:
    return [r for r in reports if isinstance(r, FrameReport)]


def statuses(reports: list[Report]) -> dict[int, str]:
    return {r.frame: r.status.value for r in frames_of(reports)}


def copy_of(text: str, folder: Path, count: int = 4) -> str:
    """The first frames of a plate, in a folder of one's own."""
    folder.mkdir()
    template = Template.parse(text)
    for number in range(1001, 1001 + count):
        shutil.copy(template.path(number), folder)
    return str(folder / Path(text).name)


def changed(text: str, folder: Path, change, count: int = 2) -> str:
    """The first frames of a plate, each made another by `change(frame)`."""
    out = folder / "changed.%04d.exr"
    for number in range(1001, 1001 + count):
        plate.write(change(plate.read(Template.parse(text), number)), Template.parse(str(out)).path(number))
    return str(out)


def with_pixels(frame: Frame, change) -> Frame:
    return replace(
        frame, planes={n: change(p.astype(np.float32)).astype(p.dtype) for n, p in frame.planes.items()}
    )
