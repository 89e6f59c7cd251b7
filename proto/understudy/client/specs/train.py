"""The spec of a training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType

from understudy.client import phases as _phases
from understudy.client.specs.parts import PathLike, absolute
from understudy.v1 import job_pb2 as pb
from understudy.v1.model_pb2 import PlotHistorySpec

phase = _phases.phase
_NONE: Mapping[str, object] = MappingProxyType({})


def train(
    model: PathLike,
    src: PathLike,
    dst: PathLike,
    *,
    preset: str = "",
    way: str = "",
    options: Mapping[str, object] = _NONE,
    phases: PathLike | Iterable[pb.TrainPhase] = (),
    iterations: int | None = None,
    minutes: float | None = None,
    until_plateau: bool = False,
    until: datetime | None = None,
    batch_size: int = 0,
    memory: int = 0,
    seed: int = 0,
    device: str = "",
    compile: bool = False,  # noqa: A002 - as the contract calls it
    start_from: PathLike = "",
    new_inter: bool = False,
    preview_exr: bool = False,
    src_track: int | None = None,
    dst_track: int | None = None,
    release: PathLike = "",
) -> pb.JobSpec:
    """Two facesets become a model. `iterations` and `minutes` are totals over the model's life.

    Args:
        preset: a name of `session.info()`; a model that is there keeps its own.
        way: how to train: a name of `session.info()`. Empty: the model's own, or the usual one.
        options: by name, as `session.info().training` lists them: numbers, text, True and False.
        phases: options that hold from some point on: of `specs.phase`, or a TOML file of `understudy.client.phases`.
        until_plateau: end when the losses get no better.
        until: end at this time; one without a time zone is this machine's.
        memory: bytes of the device's memory that it may take; 0 for what there is.
        compile: compile the network for this machine: slow to begin, then faster.
        device: `auto`, `cpu`, `cuda`, `cuda:N`, or several GPUs: `cuda:0,cuda:1`.
        start_from: a trained model that a new one begins with.
        new_inter: with `start_from`: what joins the two people is made anew, as after pretraining.
        preview_exr: previews also as EXR.
        release: path of a record to attach to src, where `extract` attached none.

    Raises:
        Refused: a value has no text form, or a file of phases is wrong.
        NotFound: there is no such file.
    """
    said = phases if isinstance(phases, Iterable) and not isinstance(phases, str) else _phases.read(phases)
    spec = pb.TrainSpec(
        model=absolute(model),
        src=absolute(src),
        dst=absolute(dst),
        preset=preset,
        way=way,
        options=_phases.texts(options),
        phases=said,
        target_iterations=iterations or 0,
        until_plateau=until_plateau,
        batch_size=batch_size,
        memory_bytes=memory,
        seed=seed,
        device=device,
        compile=compile,
        start_from=absolute(start_from),
        new_inter=new_inter,
        preview_exr=preview_exr,
        src_track=src_track,
        dst_track=dst_track,
        release=absolute(release),
    )
    if minutes is not None:
        spec.target_time.FromMilliseconds(round(minutes * 60_000))
    if until is not None:
        spec.until.FromMilliseconds(round(until.timestamp() * 1000))
    return pb.JobSpec(train=spec)


def plot_history(model: PathLike, output: PathLike) -> pb.JobSpec:
    """A model's losses over its iterations are drawn as a PNG; a segmenter's too."""
    return pb.JobSpec(plot_history=PlotHistorySpec(model=absolute(model), output=absolute(output)))
