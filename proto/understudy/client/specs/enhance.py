"""The spec of an enhancer's training."""

from __future__ import annotations

from collections.abc import Iterable

from understudy.client.specs.parts import PathLike, absolute
from understudy.v1 import enhance_pb2
from understudy.v1 import job_pb2 as pb


def train_enhancer(
    enhancer: PathLike,
    facesets: Iterable[PathLike],
    *,
    preset: str = "",
    resolution: int = 0,
    iterations: int | None = None,
    minutes: float | None = None,
    batch_size: int = 0,
    seed: int = 0,
    device: str = "",
) -> pb.JobSpec:
    """Large faces become an enhancer. `iterations` and `minutes` are totals over its life.

    Args:
        facesets: folders or packs, each with a release.
        preset: `session.info()` lists them. Empty: the default one, or the enhancer's own.
        resolution: side of the crops that are learnt from; 0 so that three in four of the faces are large enough.
        batch_size: 0 for the default.
    """
    spec = enhance_pb2.TrainEnhancerSpec(
        enhancer=absolute(enhancer),
        facesets=[absolute(each) for each in facesets],
        preset=preset,
        resolution=resolution,
        target_iterations=iterations or 0,
        batch_size=batch_size,
        seed=seed,
        device=device,
    )
    if minutes is not None:
        spec.target_time.FromMilliseconds(round(minutes * 60_000))
    return pb.JobSpec(train_enhancer=spec)
