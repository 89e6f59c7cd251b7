"""How the panel looks: the host's palette, and a few colours of its own that are read on dark and on light."""

from __future__ import annotations

from typing import Any

from understudy_nuke.qt import QtCore, QtGui, QtWidgets

Qt = QtCore.Qt

GOOD, BUSY, BAD, QUIET = "#6fae6f", "#d9a441", "#e06c5f", "#9a9a9a"
CURVES = ("#e8a33d", "#5aa9e6", "#7fc97f", "#c792ea", "#e06c75", "#9aa7b0")
MARGIN, GAP = 8, 6  # pixels


def column(*parts: Any, margin: int = 0, parent: Any = None) -> Any:
    """A layout from top to bottom of widgets, layouts and, for None, room that stretches."""
    return _filled(QtWidgets.QVBoxLayout(parent), parts, margin)


def row(*parts: Any, margin: int = 0, parent: Any = None) -> Any:
    """The same from left to right."""
    return _filled(QtWidgets.QHBoxLayout(parent), parts, margin)


def button(label: str, tooltip: str, pressed: Any) -> Any:
    made = QtWidgets.QPushButton(label)
    made.setToolTip(tooltip)
    made.clicked.connect(lambda *_: pressed())
    made.setAutoDefault(False)
    made.setMinimumWidth(made.fontMetrics().boundingRect(label).width() + 26)
    return made


def note(text: str = "", colour: str = "") -> Any:
    """A line of text that wraps and can be copied."""
    made = QtWidgets.QLabel(text)
    made.setWordWrap(True)
    made.setTextFormat(Qt.TextFormat.PlainText)
    made.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    if colour:
        made.setStyleSheet("color: {}".format(colour))
    return made


def elided(widget: Any, text: str, width: int) -> str:
    """As much of a text as fits, its middle left out: a path's two ends say most."""
    return str(QtGui.QFontMetrics(widget.font()).elidedText(text, Qt.TextElideMode.ElideMiddle, width))


def duration(seconds: float) -> str:
    """`8 s`, `12 min`, `1 h 05 min`, `3 d 4 h`."""
    whole = int(seconds + 0.5)
    if whole < 90:
        return "{} s".format(whole)
    minutes = (whole + 30) // 60
    if minutes < 60:
        return "{} min".format(minutes)
    hours, minutes = divmod(minutes, 60)
    return "{} h {:02d} min".format(hours, minutes) if hours < 48 else "{} d {} h".format(*divmod(hours, 24))


def seconds_of(said: str) -> float:
    """Of a protobuf Duration as JSON has it, `12.5s`."""
    return float(said[:-1])


def _filled(layout: Any, parts: Any, margin: int) -> Any:
    layout.setContentsMargins(margin, margin, margin, margin)
    layout.setSpacing(GAP)
    for part in parts:
        if part is None:
            layout.addStretch(1)
        elif isinstance(part, QtWidgets.QLayout):
            layout.addLayout(part)
        else:
            layout.addWidget(part)
    return layout
