"""A small network that the user trained on their own faces (`enhancer`), in a folder that the request names."""

from __future__ import annotations

from pathlib import Path

from understudy.core.enhance import Enhancer
from understudy.core.errors import InvalidInput
from understudy.core.weights import WeightStore

WEIGHTS: tuple[str, ...] = ()


def create(store: WeightStore, *, device: str = "auto", folder: Path | None = None) -> Enhancer:  # noqa: ARG001  as all
    """The enhancer in a folder.

    Raises:
        InvalidInput: no folder is named, or there is no such device.
        NotFound, ModelInvalid: as `checkpoints.Checkpoints.load`.
    """
    if folder is None:
        raise InvalidInput(
            "enhancer: `trained` is a network of yours: name its folder (--enhancer), or make one with "
            "understudy enhance train FOLDER --faceset FACES --minutes 60",
            field="enhancer",
            value="",
        )
    from understudy.core.enhancer import network

    return network.load(folder, device)
