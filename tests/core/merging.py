"""What the tests of merge do all the time: run it, look at a frame of it, hold it against verify."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.core import shots
from understudy.core import plate, verify
from understudy.core.merge import shot
from understudy.core.reports import FrameReport, Warned


def reports(settings, colour):
    return [r for r in shot.run(settings, colour=colour) if isinstance(r, FrameReport)]


def statuses(settings, colour):
    """Frame number → status."""
    return {r.frame: r.status.value for r in reports(settings, colour)}


def warned(settings, colour):
    """Reason → message of what is said of the whole merge."""
    return {r.reason: r.message for r in shot.run(settings, colour=colour) if isinstance(r, Warned)}


def verified(settings, colour):
    """The different faults that verify finds; `{""}` is none."""
    return {r.message for r in verify.run(settings.out, colour=colour) if isinstance(r, FrameReport)}


def made(settings, number=shots.FIRST):
    return plate.read(settings.out, number)


def bits(plane):
    return np.ascontiguousarray(plane).view(f"u{plane.dtype.itemsize}")


def contents(folder: Path):
    return {p.name: p.read_bytes() for p in sorted(folder.glob("*.exr"))}
