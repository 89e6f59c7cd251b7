"""The table of jobs, and what can be done to one."""

from __future__ import annotations

from typing import Any, Dict, List

from understudy_nuke.qt import QtCore, QtGui, QtWidgets

from . import look
from .log import words

Qt = QtCore.Qt
Json = Dict[str, Any]

COLUMNS = ("job", "state", "progress", "rate", "left")
LONGEST = {
    1: "succeeded",
    2: "9,999 of 9,999 frames",
    3: "0.0999 it/s",
    4: "10 h 00 min",
}  # what has to fit; the first has the rest
ENDED = ("succeeded", "failed", "cancelled")
COLOURS = {"running": look.BUSY, "succeeded": look.GOOD, "failed": look.BAD, "cancelling": look.BUSY}
# What may be done in which state: label, method, states, tooltip.
ACTIONS = (
    (
        "Pause",
        "PauseJob",
        ("queued", "running"),
        "Stop at the next frame or iteration; what is done is kept.",
    ),
    ("Resume", "ResumeJob", ("paused",), "Go on with it."),
    ("Cancel", "CancelJob", ("queued", "running", "paused"), "End it; finished frames stay."),
    ("Try again", "RetryJobFrames", ENDED, "Queue it again: what is finished stays, the rest is made."),
)
NOTHING = "No jobs yet. The buttons of an Understudy node start them."
PROGRESS = int(Qt.ItemDataRole.UserRole) + 1


class Model(QtCore.QAbstractTableModel):
    """The daemon's jobs, newest first."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.jobs: List[Json] = []

    def show(self, jobs: List[Json]) -> None:
        if [job["id"] for job in jobs] != [job["id"] for job in self.jobs]:
            self.beginResetModel()
            self.jobs = jobs
            self.endResetModel()
            return
        self.jobs = jobs
        if jobs:
            self.dataChanged.emit(self.index(0, 0), self.index(len(jobs) - 1, len(COLUMNS) - 1))

    def rowCount(self, parent: Any = None) -> int:  # noqa: N802 - Qt's names
        return 0 if parent is not None and parent.isValid() else len(self.jobs)

    def columnCount(self, parent: Any = None) -> int:  # noqa: N802
        return 0 if parent is not None and parent.isValid() else len(COLUMNS)

    def headerData(self, section: int, orientation: Any, role: int = 0) -> Any:  # noqa: N802
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return COLUMNS[section]
        return None

    def data(self, index: Any, role: int = 0) -> Any:
        job, column = self.jobs[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return _cells(job)[column]
        if role == Qt.ItemDataRole.ForegroundRole and column == 1:
            colour = COLOURS.get(state(job))
            return QtGui.QBrush(QtGui.QColor(colour)) if colour else None
        if role == Qt.ItemDataRole.ToolTipRole:
            return _tooltip(job)
        if role == PROGRESS:
            return _fraction(job)
        return None


class Bar(QtWidgets.QStyledItemDelegate):
    """How far a job is, as a bar behind its numbers."""

    def paint(self, painter: Any, option: Any, index: Any) -> None:
        fraction = index.data(PROGRESS)
        box = option.rect.adjusted(4, 4, -4, -4)
        painter.save()
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        if option.state & QtWidgets.QStyle.StateFlag.State_Selected:
            painter.fillRect(option.rect, option.palette.highlight())
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(option.palette.window().color().darker(125))
        painter.drawRoundedRect(box, 3, 3)
        if fraction > 0:
            done = QtCore.QRect(box.left(), box.top(), max(6, int(box.width() * fraction)), box.height())
            painter.setBrush(QtGui.QColor("#5f7f4f" if fraction >= 1 else "#8a6a2c"))
            painter.drawRoundedRect(done, 3, 3)
        painter.setPen(option.palette.brightText().color() if fraction else option.palette.text().color())
        painter.drawText(box, int(Qt.AlignmentFlag.AlignCenter), index.data(Qt.ItemDataRole.DisplayRole))
        painter.restore()


class Jobs(QtWidgets.QWidget):
    """The table and its buttons.

    Attributes:
        chosen: the job that is selected, or None.
    """

    selected = QtCore.Signal(str)  # id of a job
    wanted = QtCore.Signal(str, str)  # method and job

    def __init__(self) -> None:
        super().__init__()
        self.model = Model(self)
        self.table = QtWidgets.QTableView()
        self._set_up(self.table)
        self.buttons = []
        for label, method, _, tooltip in ACTIONS:
            self.buttons.append(look.button(label, tooltip, lambda method=method: self._pressed(method)))
        self._nothing = look.note(NOTHING, look.QUIET)
        bar = look.row(self._nothing, *self.buttons)
        bar.setStretchFactor(self._nothing, 1)
        look.column(self.table, bar, parent=self)
        self._chosen = ""
        self._enable()

    @property
    def chosen(self) -> Json | None:
        return next((job for job in self.model.jobs if job["id"] == self._chosen), None)

    def show_jobs(self, jobs: List[Json]) -> None:
        """The daemon's list; the selection stays, and where there is none it is the job that runs."""
        keep = self._chosen
        self.model.show(jobs)
        self._nothing.setText("" if jobs else NOTHING)
        if not any(job["id"] == keep for job in jobs):
            running = [job for job in jobs if state(job) == "running"]
            keep = (running or jobs)[0]["id"] if jobs else ""
        self.choose(keep)

    def choose(self, job: str) -> None:
        for row, one in enumerate(self.model.jobs):
            if one["id"] == job and not self.table.selectionModel().isRowSelected(row, QtCore.QModelIndex()):
                self.table.selectRow(row)
        self._enable()

    def _set_up(self, table: Any) -> None:
        table.setModel(self.model)
        table.setItemDelegateForColumn(2, Bar(table))
        table.setSelectionBehavior(QtWidgets.QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QtWidgets.QAbstractItemView.SelectionMode.SingleSelection)
        table.setShowGrid(False)
        table.setWordWrap(False)
        table.setAlternatingRowColors(True)
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 9)
        header = table.horizontalHeader()
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setMinimumSectionSize(60)
        header.setSectionResizeMode(0, QtWidgets.QHeaderView.ResizeMode.Stretch)
        for column, text in LONGEST.items():
            table.setColumnWidth(column, self.fontMetrics().boundingRect(text).width() + 14)
        table.selectionModel().selectionChanged.connect(self._changed)

    def _changed(self, *_: Any) -> None:
        rows = self.table.selectionModel().selectedRows()
        job = self.model.jobs[rows[0].row()]["id"] if rows else ""
        if job and job != self._chosen:
            self._chosen = job
            self.selected.emit(job)
        self._enable()

    def _enable(self) -> None:
        now = state(self.chosen) if self.chosen else ""
        for button, (_, _, states, _) in zip(self.buttons, ACTIONS):
            button.setEnabled(now in states)

    def _pressed(self, method: str) -> None:
        if self._chosen:
            self.wanted.emit(method, self._chosen)


def state(job: Json) -> str:
    return words(str(job.get("state", "")))


def _fraction(job: Json) -> float:
    return 1.0 if state(job) == "succeeded" else float((job.get("progress") or {}).get("fraction", 0.0))


def _cells(job: Json) -> List[str]:
    progress = job.get("progress") or {}
    done, total = int(progress.get("done", 0)), int(progress.get("total", 0))
    unit = str(progress.get("unit") or "")
    counted = "{:,} of {:,}".format(done, total) if total else "{:,}".format(done) if done else ""
    running = state(job) == "running"
    rate = float(progress.get("rate") or 0.0) if running else 0.0
    left = str(progress.get("remaining") or "") if running else ""
    return [
        str(job.get("label") or job.get("id")),
        state(job),
        "{} {}s".format(counted, unit) if counted and unit else counted,
        "{:.3g} {}/s".format(rate, {"iteration": "it", "frame": "fr"}.get(unit, unit)) if rate else "",
        look.duration(look.seconds_of(left)) if left else "",
    ]


def _tooltip(job: Json) -> str:
    lines = [str(job.get("label") or ""), "job {}".format(job.get("id"))]
    if job.get("user"):
        lines.append("of {}".format(job["user"]))
    if job.get("waitsFor") and state(job) == "queued":
        lines.append("waits for {}".format(job["waitsFor"]))
    for name, count in (("failed", job.get("framesFailed")), ("missing", job.get("framesMissing"))):
        if count:
            lines.append("{} frames {}".format(count, name))
    error = job.get("error") or {}
    return "\n".join([*lines, *([str(error["message"])] if error.get("message") else [])])
