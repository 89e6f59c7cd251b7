"""What a frame costs to merge, stage by stage, beside the least that any merge has to do: read and write the frames.

Stages overlap in threads, so their sum may exceed the time that passes; the ratio is of the time that passes. The
weights are random: time does not know.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from bench import clips, common
from understudy.core import extract, plate, release
from understudy.core.colour import ColourConfig
from understudy.core.merge import shot
from understudy.core.merge.settings import MergeSettings
from understudy.core.plate import Plate, Template
from understudy.core.reports import FrameReport, FrameStatus

PRESET = "quick96"
STAGES = ("read", "align", "swap", "match", "blend", "write")
SIZES = ((640, 480, 24), (1920, 1080, 8))


def main() -> None:
    model = random_model(common.FOLDER / "merge" / "model", PRESET)
    columns = [measure(model, *size) for size in SIZES]
    rows = [(stage, *(column[stage] for column in columns)) for stage in columns[0]]
    names = (f"{width}×{height} ms" for width, height, _ in SIZES)
    common.show(
        f"merge: {PRESET}, all layers; limit: read + write of the same frames", ("stage", *names), rows
    )


def measure(model: Path, width: int, height: int, frames: int) -> dict[str, str]:
    """Stage → milliseconds per frame; `all` is the time that passed, `ratio` is it over the limit."""
    folder = common.FOLDER / "merge" / f"{height}p"
    shutil.rmtree(folder / "out", ignore_errors=True)
    pattern = clips.make("hopper", str(folder / "hopper.%04d.exr"), frames=frames, width=width, height=height)
    found = plate.find(pattern, colour_space=clips.COLOUR_SPACE)
    colour = ColourConfig.open(None)
    faces = extract.ExtractSettings(plate=found, faceset=folder / "faceset")
    for _ in extract.run(faces, store=common.weights(), colour=colour):
        pass
    settings = MergeSettings(
        plate=found,
        faceset=folder / "faceset",
        model=model,
        out=Template.parse(str(folder / "out" / "comp.%04d.exr")),
    )
    seconds = dict.fromkeys(STAGES, 0.0)
    began = time.perf_counter()
    for report in shot.run(settings, colour=colour):
        if isinstance(report, FrameReport):
            assert report.status is FrameStatus.DONE, report.message
            for stage, taken in report.seconds.items():
                seconds[stage] += taken
    seconds["all"] = time.perf_counter() - began
    seconds["limit"] = bare(found, settings.out)
    shown = {stage: f"{1000 * taken / frames:.1f}" for stage, taken in seconds.items()}
    return {**shown, "ratio": f"{seconds['all'] / seconds['limit']:.1f}"}


def bare(found: Plate, out: Template) -> float:
    """Seconds to read each plate frame and each finished one, and to write the finished one again."""
    seconds = 0.0
    for number in found.present:
        finished = plate.read(out, number)
        began = time.perf_counter()
        plate.read(found.template, number)
        plate.write(finished, out.path(number).with_name(f"bare.{number}.exr"))
        seconds += time.perf_counter() - began
    return seconds


def random_model(folder: Path, name: str) -> Path:
    """A model of the preset `name` as training would save it before its first step, made where it is not there."""
    import torch

    from understudy.core.model import store
    from understudy.core.model.df import DF
    from understudy.core.model.presets import preset

    if not store.exists(folder):
        torch.manual_seed(1)
        record = release.create(subject="nobody", kind="fictional", granted_by="this benchmark")
        config = preset(name)
        store.create(folder, config)
        store.save(folder, store.State(releases=(record,)), DF(config).state_dict(), {})
    return folder


if __name__ == "__main__":
    main()
