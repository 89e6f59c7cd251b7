"""What a frame costs to merge, stage by stage, beside the least that any merge must do, and beside DeepFaceLab.

Three tables. The whole of a merge with a network whose weights are random, for time does not know: its stages overlap
in threads, so their sum may exceed the time that passes. How well they overlap: each stage alone, one frame after the
other, beside the time that passes when they overlap. And the merge alone, nothing read or written, with the identity
for a network, as DeepFaceLab was measured (reference/peers.md, 3.2: two shared cores, 8 bits).

`python -m bench.merge [TABLE…]` makes some of them: `stages`, `overlap`, `peer`; `--rows 1080p/512` some rows of the
last, `--rounds 5` the best and the median of so many. DeepFaceLab's seconds are that reference's, not measured here.
On a machine that does other work too, the columns of CPU seconds are those to look at.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any
from unittest import mock

import cv2

from bench import clips, common, stand_ins
from understudy.core import extract, pages, pipeline, plate, release
from understudy.core.colour import ColourConfig
from understudy.core.frames import Frame, FrameRange, Window
from understudy.core.merge import job, shot
from understudy.core.merge.recipe import Curve, Recipe
from understudy.core.merge.settings import MergeSettings, Person
from understudy.core.plate import Plate, Template
from understudy.core.reports import FrameReport, FrameStatus

PRESET = "quick96"
STAGES = ("read", "align", "swap", "match", "finish", "blend", "write")
STEPS = {"read": ("read", "align"), "compute": ("swap", "match", "finish"), "write": ("blend", "write")}
"""What of the pipeline runs together → its stages."""
OVERLAP_LIMIT = 1.15
FOLDER = common.FOLDER / "merge"
_FACE = 0.376  # how wide the face is, jaw to jaw, in widths of the clip `hopper`


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A row of DeepFaceLab's figures: rct, its mask 4, erode 10 and blur 20, both in pixels of four times the model.

    Attributes:
        width, height: of the plate.
        face: pixels from jaw to jaw.
        model: side of the crop.
        seconds: blend and sharpening → what it took.
    """

    width: int
    height: int
    face: int
    model: int
    seconds: dict[tuple[str, float], float]

    @property
    def name(self) -> str:
        return f"{'4K' if self.width > 1920 else '1080p'}/{self.model}"

    @property
    def pixel(self) -> float:
        """Plate pixels in one of its mask's, by a crop of the type `full`, about 1.3 times as wide as the face."""
        return 1.3 * self.face / (4 * self.model)


_SMALL, _LARGE = {"width": 1920, "height": 1080, "face": 420}, {"width": 3840, "height": 2160, "face": 900}
PEERS = (
    Peer(**_SMALL, model=256, seconds={("over", 0.0): 0.165, ("over", 1.0): 0.236, ("seamless", 0.0): 0.97}),
    Peer(**_SMALL, model=512, seconds={("over", 0.0): 0.294, ("over", 1.0): 0.299, ("seamless", 0.0): 1.67}),
    Peer(**_LARGE, model=256, seconds={("over", 0.0): 0.441, ("over", 1.0): 0.735, ("seamless", 0.0): 6.40}),
    Peer(**_LARGE, model=512, seconds={("over", 0.0): 0.615, ("over", 1.0): 0.880}),
)
PEER_LIMIT = 5.0
_MERGE = ("align", "swap", "match", "finish", "blend")  # what DeepFaceLab's figures are of


def main(arguments: Sequence[str] = ()) -> None:
    tables: dict[str, Callable[..., None]] = {"stages": stages, "overlap": overlap, "peer": peer}
    parser = argparse.ArgumentParser(prog="python -m bench.merge")
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"of {', '.join(tables)}; default: all")
    parser.add_argument("--frames", type=int, default=8, help="of each plate beyond 480p (default: 8)")
    rows = [each.name for each in PEERS]
    parser.add_argument(
        "--rows", nargs="*", choices=rows, default=rows, help="of the table peer (default: all)"
    )
    parser.add_argument("--rounds", type=int, default=1, help="of each row of the table peer (default: 1)")
    asked = parser.parse_args(arguments)
    pages.keep()  # as the daemon's worker
    if unknown := sorted(set(asked.tables) - set(tables)):
        parser.error(f"no table is called {unknown[0]}; there are {', '.join(tables)}")
    for name in asked.tables or tables:
        if name == "peer":
            peer(asked.frames, asked.rows, asked.rounds)
        else:
            tables[name](asked.frames)


def stages(frames: int) -> None:
    """Milliseconds a frame of a whole merge, all layers."""
    columns = [measure(*size) for size in ((640, 480, max(frames, 24)), (2048, 1080, frames))]
    rows = [(stage, *(column[stage] for column in columns)) for stage in columns[0]]
    common.show(
        f"merge: {PRESET}, all layers; limit: read + write of the same frames",
        ("stage", "640×480 ms", "2048×1080 ms"),
        rows,
    )


def measure(width: int, height: int, frames: int) -> dict[str, str]:
    """Stage → milliseconds per frame; `all` is the time that passed, `ratio` is it over the limit."""
    settings = of_plate(_whole(width, height, frames), random_model(FOLDER / "model", PRESET))
    taken = run(settings)
    seconds = {**taken.stages, "all": taken.wall, "limit": bare(settings.plate, settings.out)}
    shown = {stage: f"{1000 * each / frames:.1f}" for stage, each in seconds.items()}
    return {**shown, "ratio": f"{seconds['all'] / seconds['limit']:.1f}"}


def overlap(frames: int) -> None:
    """The time that passes beside that of the slowest step alone, at 2048×1080."""
    settings = of_plate(_whole(2048, 1080, frames), random_model(FOLDER / "model", PRESET))
    run(
        replace(settings, frames=FrameRange.of(clips.Clip.first, clips.Clip.first))
    )  # analyses the shot, warms up
    with one_after_another():
        alone, cpu = run(settings), run(settings, time.process_time)
    together = run(settings)
    slowest = max(alone.of(step) for step in STEPS)
    rows = [
        (step, *(f"{1000 * each.of(step) / frames:.0f}" for each in (alone, cpu, together))) for step in STEPS
    ]
    rows.append(("all", *(f"{1000 * each.wall / frames:.0f}" for each in (alone, cpu, together))))
    rows.append(("× slowest alone", f"{alone.wall / slowest:.2f}", "", f"{together.wall / slowest:.2f}"))
    common.show(
        f"merge: stages, {PRESET}, 2048×1080, all layers, {pipeline.cores()} cores; limit {OVERLAP_LIMIT} × slowest",
        ("per frame", "alone ms", "alone CPU ms", "overlapped ms"),
        rows,
    )


def peer(frames: int, names: Sequence[str], rounds: int) -> None:
    """Seconds a frame of the merge alone, the network replaced by the identity, beside DeepFaceLab's.

    One frame after the other, with as many of OpenCV's threads as it takes by itself, as DeepFaceLab had; in seconds
    of the processor on one thread.
    """
    rows = [row for each in PEERS if each.name in names for row in _peer_rows(each, min(frames, 4), rounds)]
    common.show(
        f"merge: identity for a network, reinhard, {pipeline.cores()} cores (CPU: one thread); limit ×{PEER_LIMIT:g}",
        (
            "plate/model, blend",
            "DFL s",
            "best s",
            "×",
            "median s",
            "×",
            "CPU s",
            "×",
            "all layers CPU s",
            "×",
        ),
        rows,
    )


def _peer_rows(row: Peer, frames: int, rounds: int) -> Iterator[tuple[str, ...]]:
    settings = of_plate(_framed(row, frames), FOLDER / "identity")
    model = stand_ins.identity(row.model)
    for (blend, sharpen), theirs in row.seconds.items():
        recipe = Recipe(
            blend=blend,
            sharpen=Curve.constant(sharpen),
            erode=Curve.constant(10 * row.pixel),
            feather=Curve.constant(20 * row.pixel),
        )
        plain = replace(common.looking(settings, recipe), layers=())
        whole = replace(plain, layers=None)
        with stand_ins.as_network(model), one_after_another():
            run(replace(plain, frames=FrameRange.of(clips.Clip.first, clips.Clip.first)))  # analyses the shot
            walls = [run(plain).per_frame(frames) for _ in range(rounds)]
            with _one_thread():
                costs = [run(each, time.process_time).per_frame(frames) for each in (plain, whole)]
        cells = [
            cell
            for ours in (min(walls), median(walls), *costs)
            for cell in (f"{ours:.3f}", f"×{theirs / ours:.1f}")
        ]
        yield (f"{row.name}, {blend}{' + sharpen' * (sharpen > 0)}", f"{theirs:.3f}", *cells)
    shutil.rmtree(settings.out.directory)


@dataclass(frozen=True, kw_only=True)
class Taken:
    """Seconds of one merge: of each stage over all frames, and of the whole of it after the analysis; and what it
    warned of.
    """

    stages: dict[str, float]
    wall: float
    warnings: tuple[str, ...] = ()

    def of(self, step: str) -> float:
        return sum(self.stages[stage] for stage in STEPS[step])

    def per_frame(self, frames: int) -> float:
        """Of the merge alone."""
        return sum(self.stages[stage] for stage in _MERGE) / frames


def run(settings: MergeSettings, clock: Callable[[], float] = time.perf_counter) -> Taken:
    """Merge everything anew, by a clock: `time.process_time` counts what all threads compute, and nobody else.

    An analysis that is there is not made again, else it is in the whole.
    """
    for number in settings.wanted:
        settings.out.path(number).unlink(missing_ok=True)
    seconds, began = dict.fromkeys(STAGES, 0.0), clock()
    warnings = dict[str, None]()  # each once, in their order
    with mock.patch.object(job, "time", SimpleNamespace(perf_counter=clock)):
        for report in shot.run(settings, colour=ColourConfig.open(None)):
            if isinstance(report, FrameReport):
                assert report.status is FrameStatus.DONE, report.message
                warnings |= dict.fromkeys(report.warnings)
                for stage, taken in report.seconds.items():
                    seconds[stage] += taken
    return Taken(stages=seconds, wall=clock() - began, warnings=tuple(warnings))


@contextmanager
def one_after_another() -> Iterator[None]:
    """A merge's stages do not overlap: what each takes is its own time."""

    def through(
        items: Iterable[Any], read: Callable[..., Any], compute: Callable[..., Any], write: Callable[..., Any]
    ) -> Iterator[Any]:
        for item in items:
            yield write(compute(read(item)))

    with mock.patch.object(shot, "overlapped", through):
        yield


@contextmanager
def _one_thread() -> Iterator[None]:
    before = cv2.getNumThreads()
    with ExitStack() as stack:
        stack.callback(cv2.setNumThreads, before)
        cv2.setNumThreads(1)
        yield


def of_plate(found: Plate, model: Path, folder: Path | None = None) -> MergeSettings:
    """Of a plate whose faceset and output lie in a folder, default: its own; extracted where it is not."""
    folder = folder or found.template.directory
    faces = extract.ExtractSettings(plate=found, faceset=folder / "faceset")
    for _ in extract.run(faces, store=common.weights(), colour=ColourConfig.open(None)):
        pass
    shutil.rmtree(folder / "out", ignore_errors=True)
    return MergeSettings(
        plate=found,
        people=(Person(faceset=folder / "faceset", model=model),),
        out=Template.parse(str(folder / "out" / "comp.%04d.exr")),
    )


def _whole(width: int, height: int, frames: int) -> Plate:
    """The clip `hopper`, the portrait as wide as the plate."""
    pattern = str(FOLDER / f"{width}x{height}-{frames}" / "hopper.%04d.exr")
    made = clips.make("hopper", pattern, frames=frames, width=width, height=height)
    return plate.find(made, colour_space=clips.COLOUR_SPACE)


def _framed(row: Peer, frames: int) -> Plate:
    """The clip `hopper` with a face so wide, in the middle of a plate so large; its edge goes on around it."""
    template = Template.parse(
        str(FOLDER / f"{row.width}x{row.height}-{row.face}-{frames}" / "hopper.%04d.exr")
    )
    width = round(row.face / _FACE)
    clip = clips.Clip(name="hopper", frames=frames, width=width, height=min(row.height, round(width * 0.75)))
    left, top = (row.width - clip.width) // 2, (row.height - clip.height) // 2
    around = (top, row.height - clip.height - top, left, row.width - clip.width - left)
    window = Window(0, 0, row.width, row.height)
    for index in range(frames):
        path = template.path(clip.first + index)
        if path.exists():
            continue
        stored = cv2.copyMakeBorder(clips.render(clip, index), *around, cv2.BORDER_REPLICATE).astype(
            "float16"
        )
        planes = {c: stored[..., i].copy() for i, c in enumerate("RGB")}
        frame = Frame(number=clip.first + index, planes=planes, display=window, data=window)
        plate.write(frame, path, compression="zips")
    return plate.find(template.text, colour_space=clips.COLOUR_SPACE)


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
    import sys

    main(sys.argv[1:])
