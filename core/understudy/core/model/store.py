"""A swap model on disk: a folder of `checkpoints`, with what else a training leaves in it.

    performer_a/
    ├── config.json, checkpoint.json, checkpoints/, backups/    as `checkpoints` has it
    ├── history/            TensorBoard
    ├── previews/           PNG
    └── cache/              crops made ready for training; derived and disposable

Imports torch only to read or write weights.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.core import checkpoints
from understudy.core.checkpoints import CONFIG, OPTIMIZER, POINTER, STATE, WEIGHTS
from understudy.core.model.presets import ModelConfig
from understudy.core.release import Release

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "CONFIG", "OPTIMIZER", "POINTER", "STATE", "WEIGHTS", "State", "back_up", "create", "current", "exists", "load",
    "load_optimizer", "read_config", "read_state", "restore", "save",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class State(checkpoints.State):
    """Everything about a checkpoint but its tensors.

    Attributes:
        digest: of the weights: what frames name as their model.
        src, dst: digests of the facesets it was last trained on.
        src_folder: where src was then; it may have moved since.
        releases: the release records that came with src.
    """

    src: str = ""
    dst: str = ""
    src_folder: str = ""
    releases: tuple[Release, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """For JSON; a release record as it lies in a file."""
        return {**super().to_dict(), "releases": [json.loads(record.to_json()) for record in self.releases]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, origin: Path) -> Self:
        """Raises ReleaseInvalid where a release record in it was altered."""
        records = tuple(Release.from_dict(record, origin=origin) for record in values.get("releases", ()))
        return super().from_dict({**values, "releases": records}, origin=origin)


_models = checkpoints.Checkpoints("model", ModelConfig, State)
exists = _models.exists
read_config = _models.read_config
read_state = _models.read_state
current = _models.current
create = _models.create
save = _models.save
load = _models.load
load_optimizer = _models.load_optimizer
back_up = _models.back_up
restore = _models.restore
