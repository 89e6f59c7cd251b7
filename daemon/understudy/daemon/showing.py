"""The worker's end of previews: what it was asked for, until it comes to show it."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from understudy.core import drawing
from understudy.core.errors import UnderstudyError
from understudy.core.reports import Lent
from understudy.daemon.asks import Answer, Ask, Asked, Frame, Grid, Refused, Shown
from understudy.daemon.errors import JobStateRefused, Late

if TYPE_CHECKING:
    from understudy.core.merge.preview import Previewer
    from understudy.core.model.swap import SwapModel

log = logging.getLogger(__name__)


class Shows:
    """Answers asks one after the other, whenever the worker has a moment.

    Args:
        previewer: makes what shows frames, when the first is asked for.
        fault: what an unexpected error is for a person.
    """

    def __init__(
        self, previewer: Callable[[], Previewer], fault: Callable[[Exception], UnderstudyError]
    ) -> None:
        self._make, self._fault = previewer, fault
        self._previewer: Previewer | None = None
        self._waiting: dict[int, Ask] = {}
        self._dropped: list[int] = []

    @property
    def waiting(self) -> bool:
        return bool(self._waiting or self._dropped)

    def hear(self, asked: Asked) -> None:
        """Keep an ask for later, or let go of one."""
        if isinstance(asked, Ask):
            self._waiting[asked.number] = asked
        elif self._waiting.pop(asked.number, None):
            self._dropped.append(asked.number)

    def serve(self, send: Callable[[Answer], None], lent: Lent | None, hear: Callable[[], None]) -> None:
        """Answer all that waits.

        Args:
            send: to the server; what it raises comes through.
            lent: the network of a training that runs.
            hear: lets in what has come meanwhile, before each answer.
        """
        while True:
            hear()
            while self._dropped:
                send(Shown(number=self._dropped.pop()))
            if not self._waiting:
                return
            ask = self._waiting.pop(next(iter(self._waiting)))
            send(self._answer(ask, lent))

    def forget(self) -> None:
        """Let go of the models that are kept for the next ask: a job needs the memory."""
        if self._previewer is not None:
            self._previewer.forget()

    def _answer(self, ask: Ask, lent: Lent | None) -> Answer:
        try:
            if time.monotonic() >= ask.until:
                raise Late("the preview's turn came after its deadline")
            if isinstance(ask.what, Grid):
                return _grid(ask.number, ask.what, lent)
            return self._frame(ask.number, ask.what, lent)
        except UnderstudyError as error:
            refused = error
        except Exception as error:  # whatever core did not foresee ends this preview, not the training
            log.exception("preview=%d", ask.number)
            refused = self._fault(error)
            self.forget()
        return Refused(ask.number, refused.reason, refused.message, refused.details())

    def _frame(self, number: int, what: Frame, lent: Lent | None) -> Shown:
        if self._previewer is None:
            self._previewer = self._make()
        models: Mapping[Path, SwapModel] = {} if lent is None else {_real(lent.folder): lent.model}
        shown = self._previewer.show(what.merge, models)
        return Shown(
            number=number,
            data=shown.exr() if what.exr else drawing.png(shown.picture(what.size)),
            iteration=shown.iteration,
            live=any(_real(person.model) in models for person in what.merge.people),
            warnings=shown.warnings,
            faces=len(shown.job.faces),
        )


def _grid(number: int, what: Grid, lent: Lent | None) -> Shown:
    if lent is None or _real(lent.folder) != _real(what.model):
        raise JobStateRefused(
            f"{what.model}: no training of this model takes iterations; its folder `previews` has the last picture",
            field="model",
            value=str(what.model),
        )
    return Shown(number=number, data=drawing.png(lent.grid()), iteration=lent.model.iteration, live=True)


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
