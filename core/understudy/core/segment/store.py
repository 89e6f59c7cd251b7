"""A segmenter on disk: a folder of `checkpoints`, with what else a training leaves in it.

    crowd_hands/
    ├── config.json, checkpoint.json, checkpoints/    as `checkpoints` has it
    ├── history/            TensorBoard
    ├── previews/           PNG
    └── cache/              crops and labels made ready for training; derived and disposable

`weights.safetensors` is the running mean over iterations (EMA) than which none did better on the held-out labels;
`optimizer.safetensors` holds the weights of the very last iteration and all else that training goes on from.
Imports torch only to read or write weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.core import checkpoints
from understudy.core.checkpoints import CONFIG, OPTIMIZER, POINTER, STATE, WEIGHTS
from understudy.core.segment.config import SegmenterConfig

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "CONFIG", "OPTIMIZER", "POINTER", "STATE", "WEIGHTS", "State", "create", "current", "exists", "load",
    "load_optimizer", "read_config", "read_state", "save",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class State(checkpoints.State):
    """Everything about a checkpoint but its tensors.

    Attributes:
        digest: of the weights: what mattes name as their segmenter.
        preset: how it was last trained.
        iou: intersection over union of the weights with the labels that were held out, 0 to 1; None where none was.
        converged: whether that got no better for a while (without held-out labels, the loss).
        mark: what has to be beaten for that; iou, or minus the loss's logarithm. None: nothing yet.
        beaten: the iteration that last beat it.
        trained: the labels that it was trained on, in any session, as `<faceset>/<face>`: such a label can no
            longer be held out.
        held_out: labels that it was never trained on, which judge it where they are there.
        judged: how many of these gave `iou`.
        samples: digest of the crops and labels that it was last trained on.
        facesets: folder → digest of each faceset that it was last trained on, where it was then.
        self_labelled: how many faces it last had hulls for labels of.
        start_from: digest of the weights that it began with; empty where it began from nothing.
    """

    preset: str = ""
    iou: float | None = None
    converged: bool = False
    mark: float | None = None
    beaten: int = 0
    trained: tuple[str, ...] = ()
    held_out: tuple[str, ...] = ()
    judged: int = 0
    samples: str = ""
    facesets: Mapping[str, str] = field(default_factory=dict)
    self_labelled: int = 0
    start_from: str = ""

    @property
    def labels(self) -> int:
        """On how many labels it was trained; those held out are not among them."""
        return len(self.trained)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, origin: Path) -> Self:
        names = {n: tuple(values[n]) for n in ("trained", "held_out") if n in values}
        return super().from_dict({**values, **names}, origin=origin)


_segmenters = checkpoints.Checkpoints(SegmenterConfig, State)
exists = _segmenters.exists
read_config = _segmenters.read_config
read_state = _segmenters.read_state
current = _segmenters.current
create = _segmenters.create
save = _segmenters.save
load = _segmenters.load
load_optimizer = _segmenters.load_optimizer
