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
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.core import checkpoints
from understudy.core.checkpoints import CONFIG, OPTIMIZER, POINTER, STATE, WEIGHTS
from understudy.core.model.presets import ModelConfig
from understudy.core.release import Release

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "CONFIG", "OPTIMIZER", "POINTER", "STATE", "WEIGHTS", "State", "back_up", "create", "current", "exists",
    "fall_back", "load", "load_optimizer", "read_config", "read_state", "restore", "save",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class State(checkpoints.State):
    """Everything about a checkpoint but its tensors.

    Attributes:
        digest: of the weights: what frames name as their model.
        src, dst: digests of the facesets it was last trained on.
        src_folder: where src was then; it may have moved since.
        releases: the release records that came with src, and those of the model that it started from.
        preset: name of its configuration, as it was last asked for.
        way, options: how it was last asked to be trained: `train.settings`.
        changes: what a person changed while it ran, as `train.plan.Phase` for JSON.
        begun: all that another plan began with, likewise, at its iteration: phases, changes, and what was asked for
            anew when training went on.
        resumed: iterations at which it went on, each time.
        pretrained: digest of the model that it started from.
        combined: part → digest of the model that it was taken from, where it was made of several (`combine`).
        average: whether the weights are a running mean over iterations.
        losses: means of the last report, by name.
        plateau: how long the loss has not got better: `train.plateau`.
    """

    src: str = ""
    dst: str = ""
    src_folder: str = ""
    releases: tuple[Release, ...] = ()
    preset: str = ""
    way: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    changes: tuple[Mapping[str, Any], ...] = ()
    begun: tuple[Mapping[str, Any], ...] = ()
    resumed: tuple[int, ...] = ()
    pretrained: str = ""
    combined: Mapping[str, str] = field(default_factory=dict)
    average: bool = False
    losses: Mapping[str, float] = field(default_factory=dict)
    plateau: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """For JSON; a release record as it lies in a file."""
        return {**super().to_dict(), "releases": [json.loads(record.to_json()) for record in self.releases]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, origin: Path) -> Self:
        """Raises ReleaseInvalid where a release record in it was altered."""
        records = tuple(Release.from_dict(record, origin=origin) for record in values.get("releases", ()))
        lists = {name: tuple(values.get(name, ())) for name in ("changes", "begun", "resumed")}
        return super().from_dict({**values, **lists, "releases": records}, origin=origin)


_models = checkpoints.Checkpoints(ModelConfig, State)
exists = _models.exists
fall_back = _models.fall_back
read_config = _models.read_config
read_state = _models.read_state
current = _models.current
create = _models.create
save = _models.save
load = _models.load
load_optimizer = _models.load_optimizer
back_up = _models.back_up
restore = _models.restore
