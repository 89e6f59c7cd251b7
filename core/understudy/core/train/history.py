"""The losses over time, for TensorBoard."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from torch.utils.tensorboard import SummaryWriter

from understudy.core.reports import TrainReport


class History:
    """Appends to a folder of event files; points from `iteration` on, which a kill left behind, are superseded."""

    def __init__(self, folder: Path, iteration: int) -> None:
        self._writer = SummaryWriter(str(folder), purge_step=iteration or None)

    def __enter__(self) -> History:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def write(self, report: TrainReport) -> None:
        for name, value in report.losses.items():
            self._writer.add_scalar(f"loss/{name}", value, report.iteration)
        for name, value in report.scores.items():
            self._writer.add_scalar(f"score/{name}", value, report.iteration)
        self._writer.add_scalar("iterations_per_second", report.rate, report.iteration)
