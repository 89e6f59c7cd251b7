"""What a training is asked for. Imports no torch: the server reads this to refuse at submit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from understudy.core.errors import InvalidInput
from understudy.core.model.presets import preset
from understudy.core.release import Release

PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """One training.

    Attributes:
        model: folder of the model; made if it is not there, gone on with if it is.
        src: faceset of the identity put on, a folder or a pack, as all facesets here. Needs a release.
        dst: faceset of the performance in the plate.
        preset: name of a configuration (`presets.PRESETS`). A model that is there must have the same.
        target_iterations, target_seconds: totals for the model over all sessions, not for this one: a model that
            has either is done. Without both, training goes on until it is closed.
        batch_size: samples of each person per iteration; None takes the preset's.
        seed: of weights and samples.
        save_seconds: between checkpoints. What a kill can lose.
        preview_seconds: between preview pictures.
        backup_seconds: between backups.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        precision: `float32`, `bfloat16`, or `auto`: the faster that works on the device.
        src_track, dst_track: which person, where a faceset holds several.
        release: a record to attach to src, where extraction attached none.

    Raises:
        InvalidInput: names the field and the value.
    """

    model: Path
    src: Path
    dst: Path
    preset: str = "quick64"
    target_iterations: int | None = None
    target_seconds: float | None = None
    batch_size: int | None = None
    seed: int = 1
    save_seconds: float = 60.0
    preview_seconds: float = 60.0
    backup_seconds: float = 3600.0
    device: str = "auto"
    precision: str = "auto"
    src_track: int | None = None
    dst_track: int | None = None
    release: Release | None = None

    def __post_init__(self) -> None:
        preset(self.preset)
        for name in ("target_iterations", "target_seconds", "batch_size"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise _refuse(name, value, "must be above 0")
        for name in ("save_seconds", "preview_seconds", "backup_seconds"):
            if not getattr(self, name) > 0:
                raise _refuse(name, getattr(self, name), "must be above 0")
        if not 0 <= self.seed < 2**63:
            raise _refuse("seed", self.seed, "must be 0 to 2^63 - 1")
        if self.precision not in PRECISIONS:
            raise _refuse("precision", self.precision, f"is none of {', '.join(PRECISIONS)}")
        if self.src.resolve() == self.dst.resolve():
            raise _refuse("dst", self.dst, "is the same folder as src")


def _refuse(field: str, value: object, why: str) -> InvalidInput:
    return InvalidInput(f"train: {field} {value!s} {why}", field=field, value=value)
