"""What a part of the soak is given, and what it says; how lost, torn and twice are found."""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np

from bench.soak.host import Host, Taken
from understudy.core import plate
from understudy.core.errors import UnderstudyError
from understudy.core.frames import Frame
from understudy.core.merge.headers import file_digest
from understudy.v1 import job_pb2

HIDDEN = re.compile(r"\..+\.[0-9a-f]{12}(\.[^.]+)?")  # as `core.files` calls what is not finished
DONE = job_pb2.FRAME_STATE_DONE
SHORT = 100  # frames of a job that something happens to


@dataclass
class Found:
    """What a part found.

    Attributes:
        count: what was done, in words.
        jobs, lost: that were started; that are not in the store, or are not what they should be.
        frames, torn, twice: that are on disk; of them broken or other than written down; made more than once.
        refused: of what had to be refused: how many were, of how many.
        left: unfinished files that nobody took away.
        faults: anything else, in words.
    """

    count: str = ""
    jobs: int = 0
    lost: int = 0
    frames: int = 0
    torn: int = 0
    twice: int = 0
    refused: tuple[int, int] = (0, 0)
    left: int = 0
    faults: list[str] = field(default_factory=list)
    taken: Taken = field(default_factory=Taken)
    seconds: float = 0.0

    def stored(self, host: Host, wanted: Mapping[str, Iterable[int]]) -> None:
        """Compare what was started, id → states that it may have, with the store of a daemon that was started anew."""
        host.end()
        there = host.start().all_jobs()
        self.jobs += len(wanted)
        for job, states in wanted.items():
            if job not in there or there[job].state not in states:
                self.lost += 1
                found = there.get(job)
                self.fault(
                    f"job {job}: {found.state if found else 'gone'}: {found.error.message if found else ''}"
                )

    def reported(self, host: Host, jobs: Iterable[str]) -> None:
        """Count the frames that a job told as done more than once."""
        for job in host.all_jobs().keys() & set(jobs):  # the others are lost, and counted so
            told = Counter(
                e.frame.frame for e in host.events(job) if e.HasField("frame") and e.frame.state == DONE
            )
            again = {frame: count for frame, count in told.items() if count > 1}
            self.twice += sum(again.values()) - len(again)
            if again:
                self.fault(f"job {job}: frames told as done more than once: {again}")

    def whole(self, paths: Iterable[Path], right: Callable[[Path, Frame], bool]) -> None:
        """Open every file of finished frames, and compare it with what it should be."""
        for path in paths:
            self.frames += 1
            try:
                good = right(path, plate.read_file(path))
                why = "other than written down"
            except UnderstudyError as error:
                good, why = False, error.message
            if not good:
                self.torn += 1
                self.fault(f"{path}: {why}")

    def clean(self, folder: Path) -> None:
        """Count what is unfinished."""
        found = [path for path in folder.rglob(".*") if HIDDEN.fullmatch(path.name)]
        self.left += len(found)
        if found:
            self.fault(f"left behind: {', '.join(map(str, found[:3]))}")

    def fault(self, text: str) -> None:
        self.faults.append(text)


def manifested(folder: Path) -> Callable[[Path, Frame], bool]:
    """Whether a merged frame's bytes are those of the manifest."""
    said = json.loads((folder / "manifest.json").read_text())
    digests = {
        name: digest
        for sequence in said["sequences"].values()
        for frame in sequence["frames"]
        for name, digest in frame["outputs"].items()
    }
    return lambda path, _: digests.get(path.relative_to(folder).as_posix()) == file_digest(path)


class Alike:
    """Whether ingested frames of one number have the same pixels, whoever made them."""

    def __init__(self) -> None:
        self._seen: dict[str, str] = {}

    def __call__(self, path: Path, frame: Frame) -> bool:
        pixels = b"".join(np.ascontiguousarray(frame.planes[name]).tobytes() for name in sorted(frame.planes))
        digest = hashlib.sha256(pixels).hexdigest()
        return self._seen.setdefault(path.name, digest) == digest


@dataclass(frozen=True)
class Given:
    """What every part works with.

    Attributes:
        folder: its own.
        count: how many of what it does.
        chance: its own, by the seed.
        workers: of the daemon.
    """

    folder: Path
    count: int
    chance: random.Random
    workers: str


def video(path: Path, count: int) -> Path:
    """So many small pictures of noise: one takes a millisecond or two."""
    noise = np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", 24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(count):
            picture = av.VideoFrame.from_ndarray(np.roll(noise, number, axis=1), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def ingest(clip: Path, folder: Path, count: int) -> job_pb2.JobSpec:
    """An ingest of the first pictures of a video."""
    frames = [{"first": 1001, "last": 1000 + count}]
    return job_pb2.JobSpec(
        ingest=job_pb2.IngestSpec(video=str(clip), pattern=str(folder / "p.%04d.exr"), frames=frames)
    )


def finished(folder: Path) -> list[Path]:
    """The frames below a folder that have their names."""
    return sorted(path for path in folder.rglob("[!.]*.exr") if path.is_file())
