"""What the training of a segmenter is asked for. Imports no torch: the server reads this to refuse at submit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from understudy.core.segment.config import preset
from understudy.core.train.settings import SessionSettings


@dataclass(frozen=True, kw_only=True)
class SegmentTrainSettings(SessionSettings):
    """One training of a segmenter. What is not here is as in `SessionSettings`.

    Attributes:
        segmenter: folder of the segmenter; made if it is not there, gone on with if it is.
        facesets: folders or packs with labels, one at least. Without `self_label`, faces that have a label are trained
            on and no others.
        self_label: take the hull of its landmarks as the label of every face that has none, and draw occluders over
            it: for faces that nothing covers.
        until_converged: end when the held-out labels (without any, the loss) get no better. Without a target and this,
            training goes on until it is closed.
        all_labels: learn from every label, also from those that were held out so far: then none judges.
        start_from: folder of a segmenter of the same configuration, or a file of published weights, whose weights a
            new segmenter begins with. Of no influence on one that has a checkpoint.

    Raises:
        InvalidInput: names the field and the value.
    """

    command = "segment train"
    segmenter: Path
    facesets: tuple[Path, ...]
    self_label: bool = False
    until_converged: bool = False
    all_labels: bool = False
    start_from: Path | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.preset:
            preset(self.preset)
        self.check_facesets(self.facesets, "segmenter")
        if self.start_from is not None and self.start_from.resolve() == self.segmenter.resolve():
            raise self.refusal(
                "start_from", self.start_from, "is the segmenter itself, which goes on by itself"
            )
