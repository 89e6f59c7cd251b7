"""What a 4096×2160 frame costs to merge, beside what OpenImageIO alone needs to read that plate and write that output.

Both write the same 12 half channels. The peer has the best case: nothing is computed, its pixels lie ready in memory,
interleaved and of one type, and it does not wait for the disk, as the merge does. It is measured frame after
frame, and overlapped in the same pipeline as the merge. The settings are how many threads each library may use; the
merge's stages overlap in both, which the CPU column shows. Beside them Debian's `oiiotool` copies both sequences.

Last, the peak of resident memory of merges of 10 and of 2,000 tiny frames: tiny, so that nothing that grows with the
sequence can hide behind the frames.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
import OpenImageIO as oiio  # noqa: N813  as its own documentation does
import torch

from bench import clips, common, merge
from understudy.core import extract, faceset, pipeline, plate
from understudy.core.colour import ColourConfig
from understudy.core.frames import Array, Frame, FrameRange, Window
from understudy.core.merge import shot
from understudy.core.merge.settings import MergeSettings, Person
from understudy.core.pipeline import overlapped
from understudy.core.plate import Plate, Template
from understudy.core.reports import FrameReport, FrameStatus

FOLDER = common.FOLDER / "plate"
WIDTH, HEIGHT = 4096, 2160
SHOTS = {"close-up": 1.0, "medium shot": 0.4}  # how wide the portrait is, over the plate
LAYERS = ("face", "face_raw", "mask_blend", "mask_face")
CHANNELS = 12  # R, G, B and those: what the limit is stated for
LIMIT = 1.25
ALONE = f"OIIO: read, then write {CHANNELS} half"
TOOL = Path("/usr/bin/oiiotool")


@dataclass(frozen=True)
class Cost:
    """Of one frame, in seconds: that pass, and of CPU over all threads and child processes."""

    wall: float
    cpu: float


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.plate")
    parser.add_argument("--frames", type=int, default=8, help="of each big plate (default: 8)")
    parser.add_argument("--shots", nargs="*", choices=SHOTS, default=list(SHOTS), help="default: all")
    parser.add_argument("--memory", type=int, nargs="*", default=[10, 2000], help="frames (default: 10 2000)")
    asked = parser.parse_args(arguments)
    model = merge.random_model(FOLDER / "model", "quick64")
    for name in asked.shots:
        speed(name, model, asked.frames)
    if asked.memory:
        memory(model, asked.memory)


def speed(name: str, model: Path, frames: int) -> None:
    """Measure one shot and print its table."""
    folder = FOLDER / name
    found = _plate(folder, frames, SHOTS[name])
    for _ in extract.run(_extraction(found, folder), store=common.weights(), colour=ColourConfig.open(None)):
        pass
    out = Template.parse(str(folder / "out" / "comp.%04d.exr"))
    people = (Person(faceset=folder / "faceset", model=model),)
    settings = MergeSettings(plate=found, people=people, out=out, layers=LAYERS)
    counts = (1, os.cpu_count() or 1)
    columns = [_column(settings, count) for count in counts]
    rows = [(row, *(cell for column in columns for cell in _cells(column, row))) for row in columns[0]]
    heads = (f"{head} {count}T" for count in counts for head in ("ms", "CPU", "×"))
    title = f"plate: {name}, {WIDTH}×{HEIGHT} half zips, {frames} frames; limit {LIMIT} × ({ALONE})"
    common.show(title, ("per frame", *heads), rows)
    shutil.rmtree(out.directory)


def _extraction(found: Plate, folder: Path) -> extract.ExtractSettings:
    return extract.ExtractSettings(plate=found, faceset=folder / "faceset")


def _cells(column: dict[str, Cost], row: str) -> tuple[str, str, str]:
    cost = column[row]
    return f"{1000 * cost.wall:.0f}", f"{1000 * cost.cpu:.0f}", f"{cost.wall / column[ALONE].wall:.2f}"


def _column(settings: MergeSettings, threads: int) -> dict[str, Cost]:
    """What everybody needs for a frame, with so many threads for each library."""
    numbers, plates, out = list(settings.wanted), settings.plate.template, settings.out
    with _threads(threads):
        merged = _merged(settings)
        ready = Ready.of(out.path(numbers[0]), CHANNELS)

        def read(number: int) -> int:
            Ready.of(plates.path(number), 3)
            return number

        def write(number: int) -> None:
            ready.write(out.directory / f"peer.{number % 2}.exr")

        def both(number: int) -> int:
            write(read(number))
            return number

        return {
            "OIIO: read the plate": _cost(numbers, lambda: [read(n) for n in numbers]),
            ALONE: _cost(numbers, lambda: [both(n) for n in numbers]),
            "the same, overlapped": _cost(
                numbers, lambda: list(overlapped(numbers, read, read_already, write))
            ),
            f"merge, writes {_layout(out.path(numbers[0]))}": merged,
            **_copies({"plate": plates, "output": out}, numbers, threads),
        }


def read_already(number: int) -> int:
    """What the overlapped peer computes."""
    return number


def _merged(settings: MergeSettings) -> Cost:
    """A merge of all frames; a merge of the first one has analysed the shot before the clock runs."""
    shutil.rmtree(settings.out.directory, ignore_errors=True)
    numbers, colour = list(settings.wanted), ColourConfig.open(None)
    _all_done(shot.run(replace(settings, frames=FrameRange.from_frames(numbers[:1])), colour=colour))
    settings.out.path(numbers[0]).unlink()
    return _cost(numbers, lambda: _all_done(shot.run(settings, colour=colour)))


def _all_done(reports: Iterable[object]) -> None:
    for report in reports:
        assert not isinstance(report, FrameReport) or report.status is FrameStatus.DONE, report


def _copies(sequences: dict[str, Template], numbers: list[int], threads: int) -> dict[str, Cost]:
    """Debian's `oiiotool` over the sequences, two frames of each: it makes float of mixed channels, slowly."""
    if not TOOL.exists():
        return {}
    version = subprocess.run([TOOL, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    costs: dict[str, Cost] = {}
    some = numbers[:2]
    for what, template in sequences.items():
        target = FOLDER / "oiiotool"
        target.mkdir(exist_ok=True)
        command = [str(TOOL), "--threads", str(threads), "--frames", f"{some[0]}-{some[-1]}", template.text]
        command += ["-o", str(target / "copy.%04d.exr")]
        costs[f"oiiotool {version}: copy {what}"] = _cost(some, partial(subprocess.run, command, check=True))
        shutil.rmtree(target)
    return costs


@dataclass(frozen=True, kw_only=True)
class Ready:
    """The first channels of a file as half pixels (H, W, C), ready for OpenImageIO to write."""

    spec: Any
    pixels: Array

    @classmethod
    def of(cls, path: Path, channels: int) -> Ready:
        """Read them, by OpenImageIO alone."""
        source = oiio.ImageInput.open(str(path))
        assert source is not None, oiio.geterror()
        said = source.spec()
        pixels = source.read_image(0, 0, 0, channels, "half")
        assert pixels is not None, source.geterror()
        source.close()
        spec = oiio.ImageSpec(said.width, said.height, channels, "half")
        spec.channelnames = said.channelnames[:channels]
        spec.attribute("compression", said.getattribute("compression"))
        return cls(spec=spec, pixels=pixels)

    def write(self, path: Path) -> None:
        target = oiio.ImageOutput.create(str(path))
        assert target is not None, oiio.geterror()
        good = target.open(str(path), self.spec) and target.write_image(self.pixels)
        assert good, target.geterror()
        target.close()


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let every library that decodes, encodes or computes have so many threads."""
    oiio.attribute("threads", count)
    oiio.attribute("exr_threads", count if count > 1 else -1)  # -1 is none beside the caller's own
    torch.set_num_threads(count)
    with mock.patch.object(pipeline, "cores", return_value=count):
        cv2.setNumThreads(pipeline.share())  # as the daemon's worker does
        yield


def _cost(numbers: Sequence[int], work: Callable[[], object]) -> Cost:
    wall, cpu = time.perf_counter(), _cpu()
    work()
    return Cost((time.perf_counter() - wall) / len(numbers), (_cpu() - cpu) / len(numbers))


def _cpu() -> float:
    """Seconds of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _layout(path: Path) -> str:
    kinds = [kind.name for kind in plate.read_header(path).channels.values()]
    counts = {name: kinds.count(kind) for name, kind in (("half", "float16"), ("float", "float32"))}
    return " + ".join(f"{count} {name}" for name, count in counts.items() if count)


def _plate(folder: Path, frames: int, share: float) -> Plate:
    """The clip `hopper` in the middle of a wide set: its edges go on, with its grain on them."""
    template = Template.parse(str(folder / "plate.%04d.exr"))
    clip = clips.Clip(name="hopper", frames=frames, width=round(WIDTH * share), height=round(HEIGHT * share))
    left, top = (WIDTH - clip.width) // 2, (HEIGHT - clip.height) // 2
    around = ((top, HEIGHT - clip.height - top), (left, WIDTH - clip.width - left), (0, 0))
    window = Window(0, 0, WIDTH, HEIGHT)
    for index in range(frames):
        path = template.path(clip.first + index)
        if path.exists():
            continue
        picture = clips.render(clip, index)
        wide = np.pad(picture, around, "edge")
        corner = picture[:256, :256]
        grain = np.tile(corner - cv2.blur(corner, (31, 31)), (HEIGHT // 256 + 1, WIDTH // 256 + 1, 1))
        set_ = np.pad(np.zeros(picture.shape[:2], np.float32), around[:2], constant_values=1.0)
        stored = (wide + grain[:HEIGHT, :WIDTH] * set_[..., None]).astype(np.float16)
        planes = {c: np.ascontiguousarray(stored[..., i]) for i, c in enumerate("RGB")}
        frame = Frame(number=clip.first + index, planes=planes, display=window, data=window)
        plate.write(frame, path, compression="zips")
    return plate.find(template.text, colour_space=clips.COLOUR_SPACE)


def memory(model: Path, counts: Sequence[int]) -> None:
    """Print the peaks of merges of so many frames, each in a process of its own."""
    folder = FOLDER / "tiny"
    shutil.rmtree(folder, ignore_errors=True)
    found = _tiny(folder, max(counts))
    peaks = []
    for count in counts:
        out = folder / f"out{count}" / "comp.%04d.exr"
        files = map(str, (folder / "faceset", found.template.text, model, out))
        command = [sys.executable, "-m", "bench.peak", *files, str(count)]
        peaks.append(int(subprocess.run(command, check=True, capture_output=True).stdout))
    rows = [
        (f"{count} frames", f"{peak / 2**20:.0f}", f"{peak / peaks[0]:.3f}")
        for count, peak in zip(counts, peaks, strict=True)
    ]
    common.show("plate: memory of a merge, 160×120", ("merge of", "peak MiB", "× first"), rows)
    shutil.rmtree(folder)


def _tiny(folder: Path, frames: int) -> Plate:
    """A plate of so many frames, each with its face: ten frames, extracted, under many numbers."""
    made = Template.parse(
        clips.make("hopper", str(folder / "ten" / "hopper.%05d.exr"), frames=10, width=160, height=120)
    )
    ten = plate.find(made.text, colour_space=clips.COLOUR_SPACE)
    source = extract.ExtractSettings(plate=ten, faceset=folder / "ten" / "faceset")
    _all_done(extract.run(source, store=common.weights(), colour=ColourConfig.open(None)))
    opened = faceset.Faceset.open(source.faceset)
    many = Template.parse(str(folder / "plate" / "hopper.%05d.exr"))
    Path(many.directory).mkdir()
    (folder / "faceset").mkdir()
    for index in range(frames):
        record, number = opened.records[index % len(opened.records)], 1001 + index
        os.link(made.path(record.face.frame), many.path(number))
        moved = replace(
            record,
            path=folder / "faceset" / f"face.{number:05d}.exr",
            face=replace(record.face, frame=number),
            plate=many.text,
        )
        faceset.write(moved, opened.load(record))
    return plate.find(many.text, colour_space=clips.COLOUR_SPACE)


if __name__ == "__main__":
    main(sys.argv[1:])
