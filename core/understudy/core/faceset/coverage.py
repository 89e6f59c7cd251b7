"""Where in yaw and pitch the faces of a faceset are, and where there is none that a performance needs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from understudy.core import drawing, files
from understudy.core.errors import InvalidInput, NoFace
from understudy.core.faceset import coverage_chart
from understudy.core.faceset.store import Faceset
from understudy.core.frames import Array
from understudy.core.reports import Advanced, Artifact, Report, Started, Warned

CELL = 10  # degrees
YAW, PITCH = 90, 60  # degrees to each side that are shown; who is turned further counts in the outermost cell
LIKE = 5.0  # degrees: a face that is turned as little from another's pose stands for it
WARNINGS = 6  # gaps that are warned of; all are in the JSON

_USUAL = (70.0, 35.0)  # yaw and pitch of the ellipse that heads in films mostly stay in

Cells = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class CoverageSettings:
    """What to draw.

    Attributes:
        faceset: whose poses are counted.
        out: the PNG; a JSON of the same name is written beside it.
        against: the faceset of a performance that it is to cover; without it, gaps are those in the usual range of a
            head.
    """

    faceset: Path
    out: Path
    against: Path | None = None

    def __post_init__(self) -> None:
        if self.out.suffix.lower() != ".png":
            raise InvalidInput(f"out: {self.out} does not end in .png", field="out", value=self.out)


@dataclass(frozen=True, kw_only=True)
class Gap:
    """A rectangle of cells without the faces that are needed there.

    Attributes:
        yaw, pitch: degrees, from and to.
        faces: that are there, in other corners of the cells than those that are needed.
        frames: of the performance that need it; 0 where there is no performance.
    """

    yaw: tuple[int, int]
    pitch: tuple[int, int]
    faces: int
    frames: int

    def __str__(self) -> str:
        where = f"looking {_range(*self.yaw, ('left', 'right'))} and {_range(*self.pitch, ('down', 'up'))}"
        there = "no face" if not self.faces else f"only {self.faces} face{'s' if self.faces != 1 else ''}"
        if not self.frames:
            return f"{there} {where}"
        frames = "1 frame" if self.frames == 1 else f"{self.frames} frames"
        needs = "needs" if self.frames == 1 else "need"
        what = "it" if not self.faces else f"one that is within {LIKE:g}°"
        return f"{there} {where}; {frames} of the performance {needs} {what}"


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Poses by cells of 10°: rows are pitch from -60° up to 60°, columns yaw from -90° to 90°.

    Attributes:
        counts: (12, 18) faces of the faceset.
        needed: (12, 18) frames of the performance; without one, 1 in the usual range of a head.
        lacking: (12, 18) how many of these have no face within 5°; without a performance, in the cell.
        against: whether there is a performance.
    """

    counts: Cells
    needed: Cells
    lacking: Cells
    against: bool

    @cached_property
    def gaps(self) -> list[Gap]:
        """The cells that lack faces, as few rectangles, those first that most frames need; empty cells apart."""
        found = []
        for lacking in (self.lacking * (self.counts == 0), self.lacking * (self.counts > 0)):
            while (lacking > 0).any():
                bottom, top, first, last = _fullest(lacking)
                cells = np.s_[bottom:top, first:last]
                gap = Gap(
                    yaw=(first * CELL - YAW, last * CELL - YAW),
                    pitch=(bottom * CELL - PITCH, top * CELL - PITCH),
                    faces=int(self.counts[cells].sum()),
                    frames=int(lacking[cells].sum()) if self.against else 0,
                )
                found.append(gap)
                lacking[cells] = 0
        return sorted(found, key=lambda gap: -gap.frames)

    def to_dict(self) -> dict[str, Any]:
        """For the JSON."""
        return {
            "cell": CELL,
            "yaw": list(range(-YAW, YAW + 1, CELL)),
            "pitch": list(range(-PITCH, PITCH + 1, CELL)),
            "counts": self.counts.tolist(),
            "needed": self.needed.tolist(),
            "lacking": self.lacking.tolist(),
            "gaps": [{**asdict(gap), "message": str(gap)} for gap in self.gaps],
        }


def run(settings: CoverageSettings) -> Iterator[Report]:
    """Count, warn of the largest gaps, and draw.

    Raises:
        NotFound: a faceset is not there.
        NoFace: one of them is empty.
        WriteFailed, DiskFull.
    """
    faceset = _opened(settings.faceset, "faceset")
    against = _opened(settings.against, "against") if settings.against else None
    yield Started(total=len(faceset.columns.name), unit="face")
    found = measure(faceset, against)
    for gap in found.gaps[:WARNINGS]:
        yield Warned(reason="COVERAGE_GAP", message=str(gap))
    picture = coverage_chart.draw(
        coverage_chart.Chart(
            counts=found.counts,
            needed=found.needed,
            lacking=found.lacking,
            cell=CELL,
            name=faceset.path.stem,
            against=against.path.stem if against else "",
            faces=len(faceset.columns.name),
            frames=len(against.columns.name) if against else 0,
            gaps=tuple(map(str, found.gaps)),
        )
    )
    names = {"faceset": str(faceset.path), "against": str(against.path) if against else ""}
    text = json.dumps({**names, "faces": len(faceset.columns.name), **found.to_dict()}, indent=1)
    files.write_text(settings.out.with_suffix(".json"), text)
    drawing.save(picture, settings.out)
    yield Advanced(done=len(faceset.columns.name))
    yield Artifact(kind="coverage", path=settings.out)


def measure(faceset: Faceset, against: Faceset | None = None) -> Coverage:
    """Count the poses of a faceset, and of a performance that it is to cover; neither is empty."""
    poses = _poses(faceset)
    counts = _counted(poses)
    if against is None:
        pitch, yaw = np.mgrid[-PITCH:PITCH:CELL, -YAW:YAW:CELL] + CELL / 2
        needed = ((yaw / _USUAL[0]) ** 2 + (pitch / _USUAL[1]) ** 2 <= 1.0).astype(np.int64)
        return Coverage(counts=counts, needed=needed, lacking=needed * (counts == 0), against=False)
    wanted = _poses(against)
    apart, _ = cKDTree(poses).query(wanted, distance_upper_bound=LIKE)
    return Coverage(
        counts=counts, needed=_counted(wanted), lacking=_counted(wanted[~np.isfinite(apart)]), against=True
    )


def _opened(path: Path, field: str) -> Faceset:
    faceset = Faceset.open(path)
    if not len(faceset.columns.name):
        raise NoFace(f"{field}: there is no face in {path}", path=path, field=field, value=path)
    return faceset


def _poses(faceset: Faceset) -> Array:
    """(N, 2) yaw and pitch, held within what is shown."""
    pose = np.asarray(faceset.columns.pose, np.float64)
    return np.clip(pose[:, 1::-1], (-YAW, -PITCH), (YAW, PITCH))


def _counted(poses: Array) -> Cells:
    """(12, 18) how many of the poses are in each cell."""
    column = np.clip(np.floor((poses[:, 0] + YAW) / CELL), 0, 2 * YAW // CELL - 1).astype(np.int64)
    row = np.clip(np.floor((poses[:, 1] + PITCH) / CELL), 0, 2 * PITCH // CELL - 1).astype(np.int64)
    counts = np.zeros((2 * PITCH // CELL, 2 * YAW // CELL), np.int64)
    np.add.at(counts, (row, column), 1)
    return counts


def _fullest(cells: Cells) -> tuple[int, int, int, int]:
    """Rows and columns (from, to) of the rectangle without a zero that has the largest sum."""
    rows, columns = cells.shape
    best, found = -1, (0, 0, 0, 0)
    for bottom in range(rows):
        for first in range(columns):
            widest = columns
            for top in range(bottom + 1, rows + 1):
                run = np.flatnonzero(cells[top - 1, first:widest] == 0)
                widest = first + int(run[0]) if len(run) else widest
                if widest == first:
                    break
                total = int(cells[bottom:top, first:widest].sum())
                if total > best:
                    best, found = total, (bottom, top, first, widest)
    return found


def _range(low: int, high: int, words: tuple[str, str]) -> str:
    """`30-40° left`, `10° down to 20° up`."""
    if high <= 0:
        return f"{-high}-{-low}° {words[0]}"
    if low >= 0:
        return f"{low}-{high}° {words[1]}"
    return f"{-low}° {words[0]} to {high}° {words[1]}"
