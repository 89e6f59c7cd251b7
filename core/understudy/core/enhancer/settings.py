"""What the training of an enhancer is asked for. Imports no torch: the server reads this to refuse at submit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from understudy.core.enhancer.config import preset
from understudy.core.train.settings import SessionSettings

SMALLEST, LARGEST = 64, 1024
"""Pixels a side of the crops that are learnt from."""
MOST = 1024
"""Samples per iteration."""


@dataclass(frozen=True, kw_only=True)
class EnhancerTrainSettings(SessionSettings):
    """One training of an enhancer. What is not here is as in `SessionSettings`.

    Attributes:
        enhancer: folder of the enhancer; made if it is not there, gone on with if it is.
        facesets: folders or packs of sharp, large faces, one at least; each needs a release.
        resolution: side of the crops that are learnt from, `SMALLEST` to `LARGEST`, even; of smaller faces, which
            would teach blur, nothing is learnt. 0: so that three in four of the faces are large enough.
        batch_size: up to `MOST`; None is 16.

    Raises:
        InvalidInput: names the field and the value.
    """

    command = "enhance train"
    enhancer: Path
    facesets: tuple[Path, ...]
    resolution: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.preset:
            preset(self.preset)
        if (self.batch_size or 0) > MOST:
            raise self.refusal("batch_size", self.batch_size, f"must be at most {MOST}")
        if self.resolution and (not SMALLEST <= self.resolution <= LARGEST or self.resolution % 2):
            raise self.refusal("resolution", self.resolution, f"must be even, {SMALLEST} to {LARGEST}, or 0")
        self.check_facesets(self.facesets, "enhancer")
