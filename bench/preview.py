"""Previews while a training runs: how long an artist waits, against an iteration and an inference.

The limit is one iteration plus one inference. The iteration is what the training takes by its own count, which leaves
previews out, over the time in which it is asked; the inference the same preview by the same worker with nothing else
to do, its model in memory (of a training's grid there is none without a training). Asks come at moments that have
nothing to do with the training's. The training is a real one, of two of the bench's plates.
"""

from __future__ import annotations

import random
import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial

from bench import common
from bench.daemon import Here
from understudy.client.job import Job
from understudy.client.session import Session
from understudy.client.specs import Plate as ClientPlate

FOLDER = common.FOLDER / "preview"
ASKS = 20
PRESETS = ("quick64", "quick96")


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    hopper = common.plate("hopper")
    Here(hopper).model(common.plate("astronaut"), FOLDER)  # leaves the facesets
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
    faces, model = FOLDER, FOLDER / f"{preset}.model"

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
    before = standing(training)
    frames, grids = list[float](), list[float]()
    for number in range(ASKS):
        frames.append(asked(frame, number))
        grids.append(asked(grid, number))
    after = standing(training)
    iteration = (after[1] - before[1]) / (after[0] - before[0])
    training.cancel()
    while not training.refresh().ended:
        time.sleep(0.2)
    frame(0)
    inference = statistics.median(timed(partial(frame, n)) for n in range(12))
    return [
        row(f"{preset} frame", frames, iteration, inference),
        row(f"{preset} grid", grids, iteration, None),
    ]


def standing(training: Job) -> tuple[int, float]:
    """Iterations, and the seconds that they took, previews left out."""
    told = training.refresh().message.training
    return told.iteration, told.time_spent.ToNanoseconds() / 1e9


def asked(ask: Callable[[int], object], number: int) -> float:
    time.sleep(random.uniform(0.5, 3.0))
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


if __name__ == "__main__":
    main()
