"""A faceset of 100,000 faces: how long it takes to open, list, sort, choose, pack and train from, in how much memory.

The faces are of 32 pixels, in files of the real kind: 200 are written by the library, and every other file is one of
them with a frame number and a digest of its own. Beside each row stands its limit (1 s to open what is indexed,
2 GiB to train), or what the same costs without our files: reading every header, `os.scandir` with a stat of each, a
gather through a memory map. Crops are cut from some of the faces; the file that batches are drawn from is a sparse one
of the full count, so that all this fits into 4 GB.

Everything that is drawn from runs in a process of its own: a peak of memory never falls.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.common import show
from bench.peak import resident_peak
from understudy.core import align, faceset
from understudy.core.colour import SwapCurve
from understudy.core.face import Face, Landmarks
from understudy.core.faceset import FaceRecord, Faceset, pack
from understudy.core.frames import Float
from understudy.core.model.presets import PRESETS
from understudy.core.reports import Artifact

SIDE = 32  # of a face, pixels
KINDS = 200  # faces that the library writes; the others are made of them
CUT = 1000  # faces of which crops are cut
BATCH, BATCHES = 16, 3000
GIB = 2**30

Row = tuple[str, str, str, str]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.faceset", description=__doc__)
    parser.add_argument("--faces", type=int, default=100_000, help="how many; default: 100000")
    parser.add_argument("--folder", type=Path, help="where to work, on a disk with 3 GB; default: temporary")
    asked = parser.parse_args([] if arguments is None else arguments)
    root = Path(tempfile.mkdtemp(prefix="understudy-faceset-", dir=asked.folder))
    try:
        rows = list(measured(root, asked.faces))
    finally:
        shutil.rmtree(root)
    show(
        f"a faceset of {asked.faces:,} faces of {SIDE} px; in brackets seconds of CPU",
        ("what", "ours", "other", "which is"),
        rows,
    )


def measured(root: Path, count: int) -> Iterator[Row]:
    folder, packed = root / "faces", root / "faces.faceset"
    with timed() as made:
        make(folder, count)
    time.sleep(2.1)  # what is younger than a clock's grain is read again, whatever the index says of it
    yield "made", str(made), "", ""
    with timed() as first:
        opened = Faceset.open(folder)
    assert len(opened.records) == count
    again, floor = quickest(lambda: Faceset.open(folder)), quickest(lambda: looked_at(folder))
    yield "first open", str(first), "", ""
    yield "open again", str(again), "1.000 s", "limit"
    yield "", "", str(floor), "scandir and stat"
    yield "", "", str(first), "every header read"
    yield from looked(opened)
    with timed() as packing:
        *_, last = pack.pack(pack.PackSettings(faceset=folder, out=packed))
    assert isinstance(last, Artifact)
    with timed() as copying:
        shutil.copyfile(packed, root / "copy")
    (root / "copy").unlink()
    yield "pack", str(packing), str(copying), f"copying its {packed.stat().st_size / 1e9:.2f} GB"
    from_pack = Faceset.open(packed)
    yield "open the pack", str(quickest(lambda: Faceset.open(packed))), "1.000 s", "limit"
    assert from_pack.digest() == opened.digest()
    yield from loaded(opened, from_pack)
    for source in (folder, packed):
        took, peak = apart(cut, source, root / "crops", count)
        told = f"{CUT / took:.0f} faces / s"
        yield f"cut crops of a {'pack' if source == packed else 'folder'}", told, "", ""
        yield "  peak RSS", gib(peak), "2.00 GiB", "limit"
    sparse(root / "sparse.npy", count)
    (took, peak), (took_mapped, peak_mapped) = (
        apart(gather, root / "sparse.npy", mapped) for mapped in (False, True)
    )
    yield f"draw batches of {BATCH}", rate(took), rate(took_mapped), "memory-mapped"
    yield "  peak RSS", gib(peak), "2.00 GiB", "limit"
    yield "", "", gib(peak_mapped), "memory-mapped"


def looked_at(folder: Path) -> int:
    """The least that knows whether a folder has changed."""
    with os.scandir(folder) as entries:
        return sum(entry.stat().st_size > 0 for entry in entries)


def looked(opened: Faceset) -> Iterator[Row]:
    """What needs headers only."""
    with timed() as all_records:
        for _ in opened.records:
            pass
    for name, work in (
        ("list 1,000 faces", lambda: list(opened.records[5000:6000])),
        ("sort by yaw", lambda: opened.subset(np.argsort(opened.columns.pose[:, 1], kind="stable"))),
        ("sort by size", lambda: opened.subset(np.argsort(-opened.columns.area, kind="stable"))),
        ("choose a person", lambda: opened.select(0)),
        ("digest", opened.digest),
    ):
        yield name, str(quickest(work)), str(all_records), "all records, one by one"


def loaded(folder: Faceset, packed: Faceset) -> Iterator[Row]:
    """What a face's pixels cost."""
    rows = np.random.default_rng(1).integers(len(folder.columns), size=CUT)
    took = []
    for source in (packed, folder):
        records = [source.records[int(row)] for row in rows]
        with timed() as each:
            for record in records:
                source.load(record)
        took.append(each.wall / CUT)
    ours, other = (f"{one * 1e3:.2f} ms" for one in took)
    yield "load a packed face", ours, other, "from its file"


def make(folder: Path, count: int) -> None:
    """Write the faces: two people, in the order of frames."""
    folder.mkdir(parents=True)
    kinds = [_kind(folder, number) for number in range(min(KINDS, count))]
    for number in range(count):
        content, frame_at, digest_at = kinds[number % len(kinds)]
        content[frame_at : frame_at + 4] = number.to_bytes(4, "little")
        content[digest_at : digest_at + 64] = f"{number:064x}".encode()
        (folder / f"shot_t0.{number:06d}.exr").write_bytes(content)


def _kind(folder: Path, number: int) -> tuple[bytearray, int, int]:
    """The bytes of a face's file, and where its frame number and its digest are in them."""
    dice = np.random.default_rng(number)
    points = dice.normal((960.0, 540.0), 90.0, (68, 2)).astype(np.float32)
    low, high = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    face = Face(
        frame=0x7EEDBEEF,
        box=(low[0], low[1], high[0], high[1]),
        landmarks=Landmarks(scheme="68", points=points),
        score=0.9,
        pitch=float(dice.normal(0.0, 10.0)),
        yaw=float(dice.normal(0.0, 30.0)),
    )
    record = FaceRecord(
        path=folder / f"kind{number}.exr",
        face=face,
        alignment=align.fit(points, "whole", SIDE),
        plate="/plates/shot.%04d.exr",
        gain=1.0,
        colour="ACEScg",
        digest="d" * 64,
    )
    pixels: Float = dice.lognormal(-1.7, 1.0, (SIDE, SIDE, 3)).astype(np.float32)
    faceset.write(record, pixels)
    content = bytearray(record.path.read_bytes())
    record.path.unlink()
    return content, content.index((0x7EEDBEEF).to_bytes(4, "little")), content.index(b"d" * 64)


def sparse(file: Path, count: int) -> None:
    """As many crops as there are faces, of zeros that take no room on the disk."""
    size = round(PRESETS["quick64"].resolution / 0.8)
    with file.open("wb") as opened:
        said = {"descr": "<f2", "fortran_order": False, "shape": (count, size, size, 4)}
        np.lib.format.write_array_header_1_0(opened, said)
        opened.truncate(opened.tell() + count * size * size * 5 * 2)


def cut(source: Path, folder: Path, count: int) -> float:
    """Seconds to cut crops of some faces, evenly spread, of all that are open."""
    from understudy.core.train.data import Crops, prepare

    opened = Faceset.open(source).select()
    some = opened.subset(np.linspace(0, count - 1, min(CUT, count)).astype(np.int64))
    with timed() as took:
        *_, crops = prepare(some, folder / source.name, "src", PRESETS["quick64"], SwapCurve(gain=1.0))
    assert isinstance(crops, Crops)
    return took.wall * CUT / len(crops)


def gather(file: Path, mapped: bool) -> float:
    """Seconds to draw the batches, in the order that a training would."""
    from understudy.core.train.data import Crops
    from understudy.core.train.sampling import indices

    crops = Crops.open(file, "")
    if mapped:
        crops = replace(crops, source=None)
    for _ in range(2):  # the first time they come from the disk
        with timed() as took:
            for iteration in range(BATCHES):
                crops.gather(indices(len(crops), BATCH, iteration, 1))
    return took.wall


def apart(work: Callable[..., float], *arguments: Any) -> tuple[float, int]:
    """What work gives, and the peak of memory, in bytes, of the new process that it runs in."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments), pool.apply(resident_peak)


class Took:
    """Seconds that pass, and that this process's processors work."""

    wall = cpu = 0.0

    def __str__(self) -> str:
        return f"{self.wall:.3f} s ({self.cpu:.3f})"


@contextmanager
def timed() -> Iterator[Took]:
    """What the block takes, once it has ended."""
    took, wall, cpu = Took(), time.perf_counter(), time.process_time()
    yield took
    took.wall, took.cpu = time.perf_counter() - wall, time.process_time() - cpu


def quickest(work: Callable[[], object], times: int = 3) -> Took:
    """The least that work takes: other programs only ever add to it."""
    tries = []
    for _ in range(times):
        with timed() as took:
            work()
        tries.append(took)
    return min(tries, key=lambda took: took.wall)


def rate(took: float) -> str:
    return f"{BATCHES / took:.0f} / s"


def gib(size: int) -> str:
    return f"{size / GIB:.2f} GiB"


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
