"""Previews while a training runs: how long an artist waits, against an iteration and an inference.

The limit is one iteration plus one inference. The iteration is what the training takes without previews, before and
after, by its own count; the inference the same preview by the same worker with nothing else to do, its model in memory
(of a training's grid there is none without a training). Asks come at moments that have nothing to do with the
training's. The training is a real one, of two of the bench's plates.
"""

from __future__ import annotations

import random
import shutil
import statistics
import time
from collections.abc import Callable, Sequence

from bench import common
from bench.daemon import Here
from understudy.client.job import Job
from understudy.client.session import Session
from understudy.client.specs import Plate as ClientPlate

FOLDER = common.FOLDER / "preview"
ASKS = 20
ALONE_S = 20.0  # of training without previews, before and after
PRESETS = ("quick64", "quick96")


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    shutil.rmtree(common.FOLDER / "daemon", ignore_errors=True)
    hopper = common.plate("hopper")
    Here(hopper).model(common.plate("astronaut"))  # leaves the facesets
    plate = ClientPlate(hopper.template.text, str(hopper.frames), hopper.colour_space or "")
    rows = []
    with Session(state=FOLDER / "state") as session:
        for preset in PRESETS:
            rows += measured(session, preset, plate)
    common.show(
        f"preview: seconds from asking to having it while a training runs, {ASKS} asks each; ratio to an iteration",
        (
            "model, what",
            "iteration s",
            "inference s",
            "p50 s",
            "p95 s",
            "p50 ratio",
            "p95 ratio",
            "limit ratio",
        ),
        rows,
    )


def measured(session: Session, preset: str, plate: ClientPlate) -> list[tuple[str, ...]]:
    """A row for each kind of preview of a model of this preset."""
    faces, model = common.FOLDER / "daemon", FOLDER / f"{preset}.model"

    def frame(number: int) -> object:
        return session.preview(plate, faces / "dst", model, 1001 + number % common.FRAMES)

    def grid(_: int) -> object:
        return session.preview_training(model)

    training = session.train(
        model, faces / "src", faces / "dst", preset=preset, iterations=10**8, options={"batch_size": 4}
    )
    while not training.refresh().message.training.iteration:
        time.sleep(0.5)
    frame(0)  # what is loaded once
    before = alone(training)
    grids, frames = ([asked(ask, n, before) for n in range(ASKS)] for ask in (grid, frame))
    iteration = statistics.mean([before, alone(training)])
    training.cancel()
    while not training.refresh().ended:
        time.sleep(0.2)
    frame(0)
    inference = statistics.median(timed(lambda n=n: frame(n)) for n in range(12))
    return [
        row(f"{preset} frame", frames, iteration, inference),
        row(f"{preset} grid", grids, iteration, None),
    ]


def alone(training: Job) -> float:
    """Seconds of an iteration while nobody asks."""
    began = training.refresh().message.training
    first = (began.iteration, seconds(training))
    time.sleep(ALONE_S)
    training.refresh()
    return (seconds(training) - first[1]) / max(1, training.message.training.iteration - first[0])


def seconds(training: Job) -> float:
    """That the model has been trained."""
    return training.message.training.time_spent.ToNanoseconds() / 1e9


def asked(ask: Callable[[int], object], number: int, iteration: float) -> float:
    time.sleep(random.uniform(0.5, 2.5) * iteration)
    return timed(lambda: ask(number))


def timed(what: Callable[[], object]) -> float:
    began = time.perf_counter()
    what()
    return time.perf_counter() - began


def row(name: str, waits: Sequence[float], iteration: float, inference: float | None) -> tuple[str, ...]:
    p50, p95 = statistics.median(waits), statistics.quantiles(waits, n=20)[-1]
    alone_s = "" if inference is None else f"{inference:.3f}"
    limit = "" if inference is None else f"{(iteration + inference) / iteration:.2f}"
    shares = (f"{p50 / iteration:.2f}", f"{p95 / iteration:.2f}", limit)
    return (name, f"{iteration:.3f}", alone_s, f"{p50:.3f}", f"{p95:.3f}", *shares)
