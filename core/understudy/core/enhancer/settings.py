"""What the training of an enhancer is asked for. Imports no torch: the server reads this to refuse at submit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from understudy.core.enhancer.config import preset
from understudy.core.errors import InvalidInput
from understudy.core.train.settings import PRECISIONS

SMALLEST, LARGEST = 64, 1024
"""Pixels a side of the crops that are learnt from."""
MOST = 1024
"""Samples per iteration."""


@dataclass(frozen=True, kw_only=True)
class EnhancerTrainSettings:
    """One training of an enhancer.

    Attributes:
        enhancer: folder of the enhancer; made if it is not there, gone on with if it is.
        facesets: folders or packs of sharp, large faces, one at least; each needs a release.
        preset: name of a configuration (`config.PRESETS`). Empty: the enhancer's own where it is there, else `small`.
        resolution: side of the crops that are learnt from, `SMALLEST` to `LARGEST`, even; of smaller faces, which
            would teach blur, nothing is learnt. 0: so that three in four of the faces are large enough.
        target_iterations, target_seconds: totals for the enhancer over all sessions: one that has either is done.
            Without a target training goes on until it is closed.
        batch_size: samples per iteration, up to `MOST`; None is 16.
        seed: of weights and samples.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        precision: `float32`, `bfloat16`, or `auto`: the faster that works on the device.
        save_seconds: between checkpoints. What a kill can lose.
        preview_seconds: between preview pictures.

    Raises:
        InvalidInput: names the field and the value.
    """

    enhancer: Path
    facesets: tuple[Path, ...]
    preset: str = ""
    resolution: int = 0
    target_iterations: int | None = None
    target_seconds: float | None = None
    batch_size: int | None = None
    seed: int = 1
    device: str = "auto"
    precision: str = "auto"
    save_seconds: float = 60.0
    preview_seconds: float = 60.0

    def __post_init__(self) -> None:
        if self.preset:
            preset(self.preset)
        if not self.facesets:
            raise _refuse("facesets", "()", "is empty: name one at least")
        for name in ("target_iterations", "target_seconds", "batch_size"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise _refuse(name, value, "must be above 0")
        if (self.batch_size or 0) > MOST:
            raise _refuse("batch_size", self.batch_size, f"must be at most {MOST}")
        if self.resolution and (not SMALLEST <= self.resolution <= LARGEST or self.resolution % 2):
            raise _refuse("resolution", self.resolution, f"must be even, {SMALLEST} to {LARGEST}, or 0")
        for name in ("save_seconds", "preview_seconds"):
            if not getattr(self, name) > 0:
                raise _refuse(name, getattr(self, name), "must be above 0")
        if not 0 <= self.seed < 2**63:
            raise _refuse("seed", self.seed, "must be 0 to 2^63 - 1")
        if self.precision not in PRECISIONS:
            raise _refuse("precision", self.precision, f"is none of {', '.join(PRECISIONS)}")
        self._check_paths()

    def _check_paths(self) -> None:
        folders = [folder.resolve() for folder in self.facesets]
        for index, faceset in enumerate(folders):
            if faceset in folders[:index]:
                raise _refuse("facesets", faceset, "is named twice")
        if self.enhancer.resolve() in folders:
            raise _refuse("enhancer", self.enhancer, "is a folder of faces")


def _refuse(field: str, value: object, why: str) -> InvalidInput:
    return InvalidInput(f"enhance train: {field} {value!s} {why}", field=field, value=value)
