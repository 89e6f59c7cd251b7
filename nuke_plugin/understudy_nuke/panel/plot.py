"""How the losses of a training fall: drawn by Qt alone."""

from __future__ import annotations

import math
from typing import Any, Dict, Iterator, List, Tuple

from understudy_nuke.qt import QtCore, QtGui, QtWidgets

from . import look

Qt = QtCore.Qt
Point = Tuple[int, float]  # iteration, loss

MOST = 20000  # points of a curve; then every other one goes
LEFT, TOP, RIGHT, BOTTOM = 52, 26, 12, 22  # pixels around the field


class Plot(QtWidgets.QWidget):
    """Losses over iterations; losses on a logarithmic scale.

    Attributes:
        curves: points by the loss's name, by iteration.
    """

    def __init__(self) -> None:
        super().__init__()
        self.curves: Dict[str, List[Point]] = {}
        self.setMinimumSize(200, 120)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Expanding)

    def clear(self) -> None:
        self.curves = {}
        self.update()

    def add(self, iteration: int, losses: Dict[str, float]) -> None:
        """Of a report; only what is above 0 has a place on the scale. After a restart iterations may come again."""
        for name, loss in losses.items():
            if not (math.isfinite(loss) and loss > 0):
                continue
            points = self.curves.setdefault(name, [])
            while points and points[-1][0] >= iteration:
                points.pop()
            points.append((iteration, loss))
            if len(points) > MOST:
                del points[1:-1:2]
        self.update()

    def paintEvent(self, event: Any) -> None:  # noqa: ARG002, N802 - Qt's names
        painter = QtGui.QPainter(self)
        painter.fillRect(self.rect(), self.palette().base())
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        legend = self._legend()
        top = TOP * (1 + max([line for *_, line in legend], default=0))
        field = QtCore.QRectF(self.rect().adjusted(LEFT, top, -RIGHT, -BOTTOM))
        if not any(self.curves.values()) or field.width() < 20 or field.height() < 20:
            painter.setPen(QtGui.QColor(look.QUIET))
            painter.drawText(self.rect(), int(Qt.AlignmentFlag.AlignCenter), "No losses yet.")
            return
        scale = _Scale(self.curves, field)
        self._axes(painter, scale)
        for i, (_, points) in enumerate(sorted(self.curves.items())):
            painter.setPen(QtGui.QPen(QtGui.QColor(look.CURVES[i % len(look.CURVES)]), 1.6))
            painter.drawPolyline(QtGui.QPolygonF(list(scale.path(points))))
        for i, (text, x, line) in enumerate(legend):
            y = line * TOP + TOP // 2
            painter.setPen(QtGui.QPen(QtGui.QColor(look.CURVES[i % len(look.CURVES)]), 3))
            painter.drawLine(x, y, x + 12, y)
            painter.setPen(self.palette().text().color())
            painter.drawText(x + 17, y + self.fontMetrics().ascent() // 2 - 1, text)

    def _axes(self, painter: Any, scale: _Scale) -> None:
        field, ink = scale.field, QtGui.QColor(look.QUIET)
        faint = QtGui.QColor(look.QUIET)
        faint.setAlpha(60)
        for value in scale.marks():
            y = scale.y(value)
            painter.setPen(faint)
            painter.drawLine(QtCore.QPointF(field.left(), y), QtCore.QPointF(field.right(), y))
            painter.setPen(ink)
            box = QtCore.QRectF(0, y - 8, LEFT - 6, 16)
            painter.drawText(
                box, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter), "{:g}".format(value)
            )
        below = QtCore.QRectF(field.left(), field.bottom() + 3, field.width(), BOTTOM - 4)
        painter.drawText(below, int(Qt.AlignmentFlag.AlignLeft), "{:,}".format(scale.first))
        painter.drawText(below, int(Qt.AlignmentFlag.AlignHCenter), "iteration")
        painter.drawText(below, int(Qt.AlignmentFlag.AlignRight), "{:,}".format(scale.last))

    def _legend(self) -> List[Tuple[str, int, int]]:
        """Of each curve its name and latest loss, where it begins, and in which line."""
        placed, x, line = [], LEFT, 0
        for name, points in sorted(self.curves.items()):
            text = "{} {:.4g}".format(name, points[-1][1])
            width = 17 + self.fontMetrics().boundingRect(text).width() + 18
            if x > LEFT and x + width > self.width():
                x, line = LEFT, line + 1
            placed.append((text, x, line))
            x += width
        return placed


class _Scale:
    """From iterations and losses to the field's pixels."""

    def __init__(self, curves: Dict[str, List[Point]], field: Any) -> None:
        self.field = field
        self.first = min(points[0][0] for points in curves.values() if points)
        self.last = max(points[-1][0] for points in curves.values() if points)
        losses = [loss for points in curves.values() for _, loss in points]
        low, high = math.log10(min(losses)), math.log10(max(losses))
        room = max(0.02, 0.05 * (high - low))
        self._low, self._high = low - room, high + room

    def x(self, iteration: float) -> float:
        share = (iteration - self.first) / max(1, self.last - self.first)
        return float(self.field.left() + share * self.field.width())

    def y(self, loss: float) -> float:
        share = (math.log10(loss) - self._low) / (self._high - self._low)
        return float(self.field.bottom() - share * self.field.height())

    def marks(self) -> List[float]:
        """Round losses within the scale, at most one every 24 pixels."""
        for steps in ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1,)):
            found = [
                step * 10.0**exponent
                for exponent in range(math.floor(self._low), math.ceil(self._high) + 1)
                for step in steps
                if self._low <= math.log10(step * 10.0**exponent) <= self._high
            ]
            if len(found) <= max(1, self.field.height() / 24):
                return found
        return found[:: max(1, int(len(found) * 24 / self.field.height()))]

    def path(self, points: List[Point]) -> Iterator[Any]:
        """One point a column of pixels: the middle of the losses in it, by their logarithms."""
        column, held = None, []  # type: int | None, List[float]
        for iteration, loss in points:
            here = int(self.x(iteration))
            if column is not None and here != column:
                yield QtCore.QPointF(column, sum(held) / len(held))
                held = []
            column = here
            held.append(self.y(loss))
        if held and column is not None:
            yield QtCore.QPointF(column, sum(held) / len(held))
