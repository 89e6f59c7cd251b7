"""What a frame costs to extract, stage by stage, beside the least that any extraction has to do: read the plate.

The stages of different frames overlap: together they take longer than the whole.
"""

from __future__ import annotations

import shutil
import time
from collections import defaultdict

from bench import common
from understudy.core import extract, plate
from understudy.core.colour import ColourConfig
from understudy.core.reports import FrameReport, FrameStatus


def main() -> None:
    shot, store = common.plate("hopper"), common.weights()
    faceset = common.FOLDER / "extract"
    shutil.rmtree(faceset, ignore_errors=True)
    settings = extract.ExtractSettings(plate=shot, faceset=faceset)

    began = time.perf_counter()
    for number in shot.present:
        plate.read(shot.template, number)
    bare = time.perf_counter() - began

    stages: dict[str, float] = defaultdict(float)
    frames, began = 0, time.perf_counter()
    for report in extract.run(settings, store=store, colour=ColourConfig.open(None)):
        if isinstance(report, FrameReport):
            assert report.status is FrameStatus.DONE, report.message
            frames += 1
            for stage, seconds in report.seconds.items():
                stages[stage] += seconds
    total = time.perf_counter() - began

    rows = [(stage, ms(seconds / frames), f"{seconds / total:.0%}") for stage, seconds in stages.items()]
    rows += [
        ("all", ms(total / frames), "100%"),
        ("limit: read the plate", ms(bare / frames), f"{bare / total:.0%}"),
    ]
    size = plate.read_header(shot.template.path(next(iter(shot.present)))).display
    common.show(
        f"extract: {frames} frames of {size.width}×{size.height}, crops of {settings.size}",
        ("stage", "ms/frame", "share"),
        rows,
    )


def ms(seconds: float) -> str:
    return f"{1000 * seconds:.1f}"


if __name__ == "__main__":
    main()
