"""What the training of a segmenter is asked for. Imports no torch: the server reads this to refuse at submit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from understudy.core.errors import InvalidInput
from understudy.core.segment.config import preset
from understudy.core.train.settings import PRECISIONS


@dataclass(frozen=True, kw_only=True)
class SegmentTrainSettings:
    """One training of a segmenter.

    Attributes:
        segmenter: folder of the segmenter; made if it is not there, gone on with if it is.
        facesets: folders or packs with labels, one at least. Without `self_label`, faces that have a label are trained
            on and no others.
        preset: name of a configuration (`config.PRESETS`). Empty: the segmenter's own where it is there, else `xseg`.
        self_label: take the hull of its landmarks as the label of every face that has none, and draw occluders over
            it: for faces that nothing covers.
        target_iterations, target_seconds: totals for the segmenter over all sessions, as of a swap model: one that has
            either is done.
        until_converged: end when the held-out labels (without any, the loss) get no better. Without a target and this,
            training goes on until it is closed.
        all_labels: learn from every label, also from those that were held out so far: then none judges.
        batch_size: samples per iteration; None takes the preset's.
        seed: of weights, samples and occluders.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        precision: `float32`, `bfloat16`, or `auto`: the faster that works on the device.
        start_from: folder of a segmenter of the same configuration, or a file of published weights, whose weights a
            new segmenter begins with. Of no influence on one that has a checkpoint.
        save_seconds: between checkpoints. What a kill can lose.
        preview_seconds: between preview pictures.

    Raises:
        InvalidInput: names the field and the value.
    """

    segmenter: Path
    facesets: tuple[Path, ...]
    preset: str = ""
    self_label: bool = False
    target_iterations: int | None = None
    target_seconds: float | None = None
    until_converged: bool = False
    all_labels: bool = False
    batch_size: int | None = None
    seed: int = 1
    device: str = "auto"
    precision: str = "auto"
    start_from: Path | None = None
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
        for name in ("save_seconds", "preview_seconds"):
            if not getattr(self, name) > 0:
                raise _refuse(name, getattr(self, name), "must be above 0")
        if not 0 <= self.seed < 2**63:
            raise _refuse("seed", self.seed, "must be 0 to 2^63 - 1")
        if self.precision not in PRECISIONS:
            raise _refuse("precision", self.precision, f"is none of {', '.join(PRECISIONS)}")
        self._check_paths()

    def _check_paths(self) -> None:
        folders = [f.resolve() for f in self.facesets]
        for index, faceset in enumerate(folders):
            if faceset in folders[:index]:
                raise _refuse("facesets", faceset, "is named twice")
        own = self.segmenter.resolve()
        if own in folders:
            raise _refuse("segmenter", self.segmenter, "is a folder of faces")
        if self.start_from is not None and self.start_from.resolve() == own:
            raise _refuse("start_from", self.start_from, "is the segmenter itself, which goes on by itself")


def _refuse(field: str, value: object, why: str) -> InvalidInput:
    return InvalidInput(f"segment train: {field} {value!s} {why}", field=field, value=value)
