"""An enhancer on disk: a folder of `checkpoints`, with what else a training leaves in it.

    performer_a.enhancer/
    ├── config.json, checkpoint.json, checkpoints/    as `checkpoints` has it
    ├── history/            TensorBoard
    ├── previews/           PNG
    └── cache/              crops made ready for training; derived and disposable

`weights.safetensors` is the running mean over iterations (EMA); `optimizer.safetensors` holds the weights of the very
last iteration and all else that training goes on from. Imports torch only to read or write weights.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.core import checkpoints
from understudy.core.checkpoints import OPTIMIZER, WEIGHTS
from understudy.core.enhancer.config import EnhancerConfig
from understudy.core.release import Release

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True, kw_only=True)
class State(checkpoints.State):
    """Everything about a checkpoint but its tensors.

    Attributes:
        digest: of the weights: what frames name as their enhancer.
        preset: how it was last trained.
        releases: the records that came with the facesets, of all sessions: pores and lashes are a likeness too.
        facesets: folder → digest of each faceset that it was last trained on, where it was then.
        resolution: side of the crops that it last learnt from.
        psnr, plain: on the faces that were held out, of the enhancer and of bicubic enlargement, in dB; None where
            none was.
    """

    preset: str = ""
    releases: tuple[Release, ...] = ()
    facesets: Mapping[str, str] = field(default_factory=dict)
    resolution: int = 0
    psnr: float | None = None
    plain: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON; a release record as it lies in a file."""
        return {**super().to_dict(), "releases": [json.loads(record.to_json()) for record in self.releases]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, origin: Path) -> Self:
        """Raises ReleaseInvalid where a release record in it was altered."""
        records = tuple(Release.from_dict(record, origin=origin) for record in values.get("releases", ()))
        return super().from_dict({**values, "releases": records}, origin=origin)


__all__ = [
    "OPTIMIZER", "WEIGHTS", "State", "create", "current", "exists", "load", "load_optimizer", "read_config",
    "read_state", "save",
]  # fmt: skip

_enhancers = checkpoints.Checkpoints(EnhancerConfig, State)
exists = _enhancers.exists
read_config = _enhancers.read_config
read_state = _enhancers.read_state
current = _enhancers.current
create = _enhancers.create
save = _enhancers.save
load = _enhancers.load
load_optimizer = _enhancers.load_optimizer
