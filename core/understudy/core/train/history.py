"""The losses over time: for TensorBoard, and line by line for `plots`."""

from __future__ import annotations

import io
import json
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from torch.utils.tensorboard import SummaryWriter

from understudy.core import confine
from understudy.core.files import appending, failed
from understudy.core.reports import TrainReport
from understudy.core.train.plots import FILE


class History:
    """Appends to a folder: event files, and a file of JSON lines, of which a kill takes the one that is being written.

    Points from `iteration` on, which a kill left behind, are superseded.

    Raises:
        WriteFailed, DiskFull: naming the file.
    """

    def __init__(self, folder: Path, iteration: int) -> None:
        self._path = folder / FILE
        with ExitStack() as opening:
            try:
                held = opening.enter_context(confine.opened(folder))
                lines = opening.enter_context(appending(held / FILE))
            except OSError as error:
                raise failed(self._path, error) from error
            self._lines = opening.enter_context(io.TextIOWrapper(lines, encoding="utf-8"))
            self._writer = SummaryWriter(str(held), purge_step=iteration or None)
            self._opened = opening.pop_all()

    def __enter__(self) -> History:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        try:
            with self._opened:
                self._writer.close()
        except OSError as error:
            if kind is None or issubclass(kind, GeneratorExit):  # else that is what matters
                raise failed(self._path, error) from error

    def write(self, report: TrainReport) -> None:
        """Raises WriteFailed, DiskFull."""
        said = {"iteration": report.iteration, "losses": report.losses, "scores": report.scores}
        try:
            for name, value in report.losses.items():
                self._writer.add_scalar(f"loss/{name}", value, report.iteration)
            for name, value in report.scores.items():
                self._writer.add_scalar(f"score/{name}", value, report.iteration)
            self._writer.add_scalar("iterations_per_second", report.rate, report.iteration)
            self._lines.write(
                f"\n{json.dumps(said)}"
            )  # the break goes before: a kill may have cut the last line
            self._lines.flush()
        except OSError as error:
            raise failed(self._path, error) from error
