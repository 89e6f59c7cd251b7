"""`python -m bench.peak FACESET PLATE MODEL OUT COUNT`: merge so many frames and print the peak of resident memory.

A process of its own, because a peak counts from the start of the process and never falls.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import torch

from bench import clips
from understudy.core import plate
from understudy.core.colour import ColourConfig
from understudy.core.frames import FrameRange
from understudy.core.merge import shot
from understudy.core.merge.settings import MergeSettings, Person
from understudy.core.plate import Template
from understudy.core.reports import FrameReport, FrameStatus


def main(faceset: str, pattern: str, model: str, out: str, count: str) -> None:
    torch.set_num_threads(1)
    found = plate.find(pattern, colour_space=clips.COLOUR_SPACE)
    first = next(iter(found.present))
    settings = MergeSettings(
        plate=found,
        people=(Person(faceset=Path(faceset), model=Path(model)),),
        out=Template.parse(out),
        frames=FrameRange.of(first, first + int(count) - 1),
    )
    for report in shot.run(settings, colour=ColourConfig.open(None)):
        if isinstance(report, FrameReport):
            assert report.status is FrameStatus.DONE, report.message
    print(resident_peak())


def resident_peak() -> int:
    """Bytes. Not `ru_maxrss`, which on Linux begins with what the parent had when it forked."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
