"""A training: how its losses fall, and what its model makes now."""

from __future__ import annotations

from typing import Any, Dict

from understudy_nuke.qt import QtCore, QtWidgets

from . import look
from .advice import Trouble
from .jobs import state
from .picture import Ask, View
from .plot import Plot
from .way import Way

Json = Dict[str, Any]

REFRESH_MS = 10000  # a picture costs the training an iteration or two
TRAININGS = ("train", "trainSegmenter", "trainEnhancer")
NONE = "Choose a training in the table above."
WAITING = "The picture comes when the training runs."


class Training(QtWidgets.QWidget):
    """Of the job that is chosen in the table; asks for pictures only while it is seen."""

    def __init__(self, way: Way) -> None:
        super().__init__()
        self._way = way
        self._job: Json | None = None
        self._ask: Ask | None = None
        self.plot, self.picture = Plot(), View(NONE)
        self._title = look.note(NONE, look.QUIET)
        self._again = look.button("Refresh", "Ask for a picture of this moment.", self.refresh)
        split = QtWidgets.QSplitter(QtCore.Qt.Orientation.Horizontal)
        split.addWidget(self.plot)
        split.addWidget(self.picture)
        split.setSizes([300, 300])
        split.setChildrenCollapsible(False)
        top = look.row(self._title, self._again)
        top.setStretchFactor(self._title, 1)
        layout = look.column(top, split, margin=look.GAP, parent=self)
        layout.setStretchFactor(split, 1)
        self._timer = QtCore.QTimer(self)
        self._timer.timeout.connect(self.refresh)
        self._timer.start(REFRESH_MS)

    def choose(self, job: Json | None) -> None:
        """Another job; its losses are told by `told`."""
        job = job if job and any(kind in job.get("spec", {}) for kind in TRAININGS) else None
        self._stop()
        self._job = job
        self.plot.clear()
        self.picture.clear(WAITING if job else NONE)
        self.show_job(job)
        self.refresh()

    def show_job(self, job: Json | None) -> None:
        """The same one, further on."""
        begins = job is not None and state(job) == "running" and self._state() != "running"
        self._job = job if self._job is not None else None
        self._title.setText(NONE if self._job is None else _title(self._job))
        self._again.setEnabled(bool(self._model()) and self._state() == "running")
        if begins and self.picture.image is None:
            self.refresh()

    def told(self, event: Json) -> None:
        """A report of the training."""
        self.plot.add(int(event.get("iteration", 0)), event.get("losses") or {})

    def refresh(self) -> None:
        """A picture, where the training runs, this is seen, and none is under way."""
        if self._ask is None and self.isVisible() and self._model() and self._state() == "running":
            request = {"model": self._model(), "asker": "nuke-training-{}".format(id(self))}
            self._ask = Ask(self._way, "PreviewTraining", request, self._shown, self._failed)

    def showEvent(self, event: Any) -> None:  # noqa: ARG002, N802 - Qt's names
        self.refresh()

    def _stop(self) -> None:
        if self._ask is not None:
            self._ask.cancel()
        self._ask = None

    def _shown(self, image: Any, about: Json) -> None:
        self._ask = None
        self.picture.show_image(image, "iteration {:,}".format(int(about.get("iteration", 0))))

    def _failed(self, trouble: Trouble) -> None:
        self._ask = None
        if self._state() == "running":
            self.picture.say(str(trouble), wrong=True)

    def _state(self) -> str:
        return state(self._job) if self._job else ""

    def _model(self) -> str:
        return str((self._job or {}).get("spec", {}).get("train", {}).get("model", ""))


def _title(job: Json) -> str:
    told = job.get("training") or {}
    words = [str(job.get("label") or job["id"]), state(job)]
    if told.get("iteration"):
        words.append("iteration {:,}".format(int(told["iteration"])))
    if told.get("timeSpent"):
        words.append("{} of training".format(look.duration(look.seconds_of(told["timeSpent"]))))
    return ", ".join(words)
