"""What the daemon adds: the same extraction and the same merge, called in this process and asked of a daemon.

Both sides have their libraries loaded before the clock runs; starting a daemon and the first job of its worker is a
row of its own. The sides take turns, and each round gives a ratio of its own, of wall time and of processor time
(client, daemon and worker together). The model has had two iterations: a merge costs the same whatever the faces look
like. The limit is issue 8's: 3 % on 200 frames (`--frames 200`).
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from bench import common
from understudy.client.session import Session
from understudy.client.specs import Plate as ClientPlate
from understudy.core import extract, release
from understudy.core.colour import ColourConfig
from understudy.core.frames import FrameRange
from understudy.core.merge import shot
from understudy.core.merge.headers import file_digest
from understudy.core.merge.settings import MergeSettings, Person
from understudy.core.plate import Plate, Template, find
from understudy.core.reports import FrameReport, FrameStatus, Report
from understudy.core.train import loop
from understudy.core.train.settings import TrainSettings

FOLDER = common.FOLDER / "daemon"
LIMIT = 1.03
JOBS = ("extract", "merge")


class Here:
    """The work in this process."""

    def __init__(self, plate: Plate) -> None:
        self.plate, self.store, self.colour = plate, common.weights(), ColourConfig.open(None)

    def model(self, src: Plate, folder: Path = FOLDER) -> Path:
        """A model of the two plates' faces, hardly trained; beside it, in `folder`, those: `src` and `dst`."""
        record = release.create(subject=src.template.prefix, kind="public-domain", granted_by="public domain")
        for plate, side, right in ((src, "src", record), (self.plate, "dst", None)):
            settings = extract.ExtractSettings(plate=plate, faceset=folder / side, release=right)
            done(extract.run(settings, store=self.store, colour=self.colour))
        model = folder / "model"
        training = TrainSettings(model=model, src=folder / "src", dst=folder / "dst", target_iterations=2)
        done(loop.run(training, colour=self.colour))
        return model

    def extract(self, faceset: Path) -> None:
        settings = extract.ExtractSettings(plate=self.plate, faceset=faceset)
        done(extract.run(settings, store=self.store, colour=self.colour))

    def merge(self, faceset: Path, model: Path, output: str) -> None:
        people = (Person(faceset=faceset, model=model),)
        settings = MergeSettings(plate=self.plate, people=people, out=Template.parse(output))
        done(shot.run(settings, colour=self.colour))


class There:
    """The same, asked of a daemon."""

    def __init__(self, plate: Plate, session: Session) -> None:
        self.session = session
        self.plate = ClientPlate(plate.template.text, str(plate.frames), plate.colour_space or "")

    def extract(self, faceset: Path) -> None:
        self.session.extract(self.plate, faceset).wait()

    def merge(self, faceset: Path, model: Path, output: str) -> None:
        self.session.merge(self.plate, faceset, model, output, contact_sheet=False).wait()


def done(work: Iterable[Report]) -> None:
    """Let it run to its end."""
    for report in work:
        failed = isinstance(report, FrameReport) and report.status is FrameStatus.FAILED
        assert not failed, report


@dataclass(frozen=True)
class Took:
    """Seconds of an extraction or a merge.

    Attributes:
        wall: from the call to its end.
        cpu: of processors, in all processes that had a part in it; other work on the machine hardly touches it.
    """

    wall: float
    cpu: float


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.daemon", description=__doc__.partition("\n")[0])
    parser.add_argument("--frames", type=int, default=common.FRAMES, help="of the plate (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of each side (%(default)s)")
    parser.add_argument("--only", choices=JOBS, help="this job; default: both")
    given = parser.parse_args()
    jobs = (given.only,) if given.only else JOBS
    shutil.rmtree(FOLDER, ignore_errors=True)
    made = common.plate("hopper", given.frames)
    absolute = str(Path(made.template.text).absolute())  # as the daemon has it; frames name their plate
    plate = find(absolute, colour_space=made.colour_space)
    one = FrameRange.of(1001, 1001)
    here, first = Here(plate), replace(plate, frames=one, present=one)
    model = here.model(common.plate("astronaut"))
    Here(first).merge(FOLDER / "dst", model, str(FOLDER / "warm_here.%04d.exr"))
    began = time.perf_counter()
    with Session(state=FOLDER / "state") as session:
        there, warm = There(plate, session), There(first, session)
        warm.extract(FOLDER / "warm_faces")
        warm.merge(FOLDER / "dst", model, str(FOLDER / "warm_there.%04d.exr"))
        start = time.perf_counter() - began
        rounds = []
        for number in range(given.rounds):
            rounds.append(turn(here, there, model, number, jobs))
            print(f"round {number + 1}: {rounds[-1]}", flush=True)
        asked = pings(session)
    if "merge" in jobs:
        alike(given.rounds)

    rows = [row(job, what, rounds) for job in jobs for what in ("wall", "cpu")]
    rows.append(("start of daemon and worker", "", f"{start:.2f}", "", ""))
    rows.append(("GetJob, median of 1000", "", f"{asked:.5f}", "", ""))
    common.show(
        f"daemon: {len(plate.frames)} frames, the same work in seconds, medians of {given.rounds} rounds; "
        "the frames are the same to the byte",
        ("job", "in this process", "through the daemon", f"ratio (limit {LIMIT})", "of the rounds"),
        rows,
    )


def turn(
    here: Here, there: There, model: Path, number: int, jobs: Sequence[str]
) -> dict[str, tuple[Took, Took]]:
    """One round: job → (in this process, through the daemon). Each begins every other round."""
    sides: list[Here | There] = [here, there] if number % 2 == 0 else [there, here]
    daemon = there.session.info().process_id
    found = {job: {side: timed(side, job, model, number, daemon) for side in sides} for job in jobs}
    return {job: (took[here], took[there]) for job, took in found.items()}


def timed(side: Here | There, job: str, model: Path, number: int, daemon: int) -> Took:
    """An extraction or a merge from nothing."""
    name = f"{'here' if isinstance(side, Here) else 'there'}{number}"
    spent = partial(cpu, os.getpid(), without=daemon if isinstance(side, Here) else 0)  # it is our child
    began, before = time.perf_counter(), spent()
    if job == "extract":
        side.extract(FOLDER / f"faces_{name}")
    else:
        side.merge(FOLDER / "dst", model, str(FOLDER / f"comp_{name}.%04d.exr"))
    return Took(time.perf_counter() - began, spent() - before)


def cpu(process: int, *, without: int = 0) -> float:
    """Seconds of processors that a process and those it started have had, but for one of them, by Linux."""
    if process == without:
        return 0.0
    folder = Path(f"/proc/{process}")
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    own = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")  # with those that have ended
    children = " ".join(each.read_text() for each in folder.glob("task/*/children")).split()
    return own + sum(cpu(int(child), without=without) for child in children)


def row(job: str, what: str, rounds: Sequence[Mapping[str, tuple[Took, Took]]]) -> tuple[str, ...]:
    """Medians of both sides, and of the rounds' own ratios: what disturbs a round meets both sides of it."""
    pairs = [(getattr(a, what), getattr(b, what)) for a, b in (each[job] for each in rounds)]
    ratios = [b / a for a, b in pairs]
    one, other = (statistics.median(side) for side in zip(*pairs, strict=True))
    told = " ".join(f"{ratio:.3f}" for ratio in ratios)
    return f"{job}, {what}", f"{one:.2f}", f"{other:.2f}", f"{statistics.median(ratios):.3f}", told


def alike(rounds: int) -> None:
    """Both sides must have made the same frames."""
    for number in range(rounds):
        ours, theirs = (sorted(FOLDER.glob(f"comp_{side}{number}.*.exr")) for side in ("here", "there"))
        assert len(ours) == len(theirs) > 0
        for one, other in zip(ours, theirs, strict=True):
            assert file_digest(one) == file_digest(other), (one, other)


def pings(session: Session) -> float:
    """Seconds from question to answer, over and over: the median."""
    job, took = next(session.jobs()).id, []
    for _ in range(1000):
        began = time.perf_counter()
        session.job(job)
        took.append(time.perf_counter() - began)
    return statistics.median(took)


if __name__ == "__main__":
    main()
