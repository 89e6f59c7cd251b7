"""A new model that begins with the weights of another, as far as their parts agree."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from understudy.core.errors import InvalidInput
from understudy.core.model import store
from understudy.core.model.networks import build
from understudy.core.model.presets import ModelConfig


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """What is taken of a model.

    Attributes:
        state: of the model.
        weights: those that are taken.
        taken, anew: names of parts that are taken, and of those that begin anew.
    """

    state: store.State
    weights: dict[str, Tensor]
    taken: tuple[str, ...]
    anew: tuple[str, ...]

    def __str__(self) -> str:
        """A sentence's end: which parts."""
        rest = f"; {', '.join(self.anew)} begin anew" if self.anew else ""
        return f"takes {', '.join(self.taken)}{rest}"


def of(path: Path, config: ModelConfig, *, new_inter: bool) -> Beginning:
    """Take every part all of whose weights have the same names and shapes in both.

    Args:
        path: folder of the model.
        config: of the new one.
        new_inter: whether the inters begin anew all the same: after pretraining on many people they know too many.

    Raises:
        NotFound, ModelInvalid: as `store.load`.
        InvalidInput: no part agrees.
    """
    state, theirs = store.load(path)
    with torch.device("meta"):
        net = build(config)
    weights: dict[str, Tensor] = {}
    taken: dict[str, bool] = {}
    for part, module in net.parts.items():
        shapes = {f"{part}.{name}": weight.shape for name, weight in module.state_dict().items()}
        agrees = all(n in theirs and theirs[n].shape == shape for n, shape in shapes.items())
        taken[part] = agrees and not (new_inter and part.startswith("inter"))
        if taken[part]:
            weights |= {name: theirs[name] for name in shapes}
    if not weights:
        raise InvalidInput(
            f"start_from: {path} has no part that a model of this preset could take: architecture, options and dims "
            "decide; name a preset of the same",
            path=path,
            field="start_from",
            value=path,
        )
    return Beginning(
        state=state,
        weights=weights,
        taken=tuple(part for part in taken if taken[part]),
        anew=tuple(part for part in taken if not taken[part]),
    )
