"""From any thread to the main one, by Qt's own queue."""

from __future__ import annotations

import contextlib
import time
import traceback
from typing import Any, Callable

import nuke

from understudy_nuke.qt import QtCore

Work = Callable[[], object]


class Hop(QtCore.QObject):
    """Has the main thread do things, one after the other.

    Attributes:
        longest: seconds that one of them took at most.
    """

    _asked = QtCore.Signal(object)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.longest = 0.0
        self._asked.connect(self._do, QtCore.Qt.ConnectionType.QueuedConnection)

    def __call__(self, work: Work) -> None:
        """From any thread; returns at once. Dropped where the panel has gone meanwhile."""
        with contextlib.suppress(RuntimeError):  # Qt's part of this object is deleted
            self._asked.emit(work)

    def _do(self, work: Work) -> None:
        begun = time.monotonic()
        try:
            work()
        except Exception:  # noqa: BLE001 - Qt would drop it
            nuke.tprint("Understudy: " + traceback.format_exc())
        self.longest = max(self.longest, time.monotonic() - begun)
