"""The log: what happened, when, and what to do about it."""

from __future__ import annotations

import html
import time
from typing import Any, Dict

from understudy_nuke.qt import QtCore, QtGui, QtWidgets

from . import advice, look
from .advice import Trouble

Json = Dict[str, Any]
LINES = 2000


class Log(QtWidgets.QPlainTextEdit):
    """Text that can be copied; the oldest goes.

    Attributes:
        troubles: how many were told.
    """

    def __init__(self) -> None:
        super().__init__()
        self.troubles = 0
        self._last = ""
        self.setReadOnly(True)
        self.setMaximumBlockCount(LINES)
        self.setFont(QtGui.QFontDatabase.systemFont(QtGui.QFontDatabase.SystemFont.FixedFont))
        self.setPlaceholderText("Nothing has happened yet.")

    def say(self, text: str, colour: str = "", at: str = "") -> None:
        """A line; `at`: when, as the daemon says it. Default: now."""
        style = ' style="color: {}"'.format(colour) if colour else ""
        shown = html.escape(text).replace("\n", "<br>")
        self.appendHtml(
            '<span style="color: {}">{}</span> <span{}>{}</span>'.format(look.QUIET, _clock(at), style, shown)
        )
        self._last = ""

    def trouble(self, trouble: Trouble, about: str = "", at: str = "") -> None:
        """What went wrong, and the next step; the same one twice in a row is told once."""
        said = "{}: {}".format(about, trouble) if about else str(trouble)
        if said != self._last:
            self.troubles += 1
            message, step = said.rsplit("\n→ ", 1)
            self.say(message, look.BAD, at)
            self.appendHtml('<span style="color: {}">→ {}</span>'.format(look.BUSY, html.escape(step)))
            self._last = said

    def told(self, label: str, kind: str, event: Json) -> None:
        """An event of a job, as `watch` gives it."""
        at = str(event.get("time", ""))
        if kind == "state":
            state = words(str(event.get("toState", "")))
            error = event.get("error") or {}
            if error.get("reason") or error.get("message"):
                self.trouble(advice.of_job(error), "{} {}".format(label, state), at)
            else:
                self.say("{} {}".format(label, state), look.GOOD if state == "succeeded" else "", at)
        elif kind == "warning" and event.get("reason") in advice.BY_REASON:
            self.trouble(advice.of_job(event), label, at)
        elif kind == "warning":  # its message says what to do; that of NETWORK is what the model is made of
            colour = "" if event.get("reason") == "NETWORK" else look.BUSY
            self.say("{}: {}".format(label, event.get("message", "")), colour, at)
        elif kind == "frame":
            error = event.get("error") or {}
            self.trouble(advice.of_job(error), "{}, frame {}".format(label, event.get("frame")), at)
        elif kind == "artifact":
            self.say("{} wrote {} {}".format(label, event.get("kind", ""), event.get("path", "")), "", at)


def words(state: str) -> str:
    """`JOB_STATE_RUNNING` as a person says it."""
    return state.replace("JOB_STATE_", "").lower()


def _clock(at: str) -> str:
    if not at:
        return time.strftime("%H:%M:%S")
    utc = QtCore.QDateTime.fromString(at[:19] + "Z", QtCore.Qt.DateFormat.ISODate)
    return str(utc.toLocalTime().toString("HH:mm:ss"))
