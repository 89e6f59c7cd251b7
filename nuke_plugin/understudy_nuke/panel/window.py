"""The panel itself: the daemon on top, its jobs below, and tabs for what a job or a node shows."""

from __future__ import annotations

from typing import Any, Callable, Dict, List

from understudy_nuke.qt import QtCore, QtWidgets

from . import advice, look
from .advice import Trouble
from .faces import Faces
from .frame import Frame
from .jobs import ENDED, Jobs, state
from .log import Log
from .script import Chooser, Landing, Scripts, facesets
from .training import Training
from .watch import Told, Watch
from .way import Way

Qt = QtCore.Qt
Json = Dict[str, Any]

DOTS = {"on": look.GOOD, "asking": look.BUSY, "old": look.BUSY, "off": look.BAD}


class Panel(QtWidgets.QWidget):
    """Asks and draws only while it is seen.

    Args:
        gone: told with it when it is closed for good.
    """

    def __init__(self, gone: Callable[[Any], object]) -> None:
        super().__init__()
        self.setWindowTitle("Understudy")
        self.setObjectName("understudy_panel")
        self._watch: Watch | None = None
        self.way = Way(self)
        self.node = Chooser(self._node_changed)
        self.jobs, self.log = Jobs(), Log()
        self.training, self.faces = Training(self.way), Faces(self.way)
        self.frame = Frame(self.way, self.node.node)
        self._landing = Landing()
        self._scripts = Scripts(self.node.leave, self.node.refresh)
        self._lay_out()
        self.way.changed.connect(self._way_changed)
        self.way.jobs.connect(self._jobs_came)
        self.jobs.selected.connect(self._job_chosen)
        self.jobs.wanted.connect(self._steer)
        self._way_changed()
        self.destroyed.connect(lambda *_: self._leave(gone))

    def choose(self, node: Any) -> None:
        """This node from now on."""
        self.node.refresh(node)

    def preview(self) -> None:
        """The chosen node's frame at hand, now; a daemon is started for it where none runs."""
        self.tabs.setCurrentWidget(self.frame)
        if self.way.state != "on":
            self.way.start()
        self.frame.ask()

    def to_front(self) -> None:
        """Before the other tabs of its pane."""
        child = self
        while child.parentWidget() is not None:
            parent = child.parentWidget()
            if isinstance(parent, QtWidgets.QStackedWidget):
                parent.setCurrentWidget(child)
            child = parent
        child.show()
        child.raise_()

    def sizeHint(self) -> Any:  # noqa: N802 - Qt's names
        return QtCore.QSize(720, 760)

    def showEvent(self, event: Any) -> None:  # noqa: ARG002, N802
        self._scripts.switch(True)
        self.node.refresh()
        self.way.wake()

    def hideEvent(self, event: Any) -> None:  # noqa: ARG002, N802
        self._scripts.switch(False)
        self.way.sleep()

    def _leave(self, gone: Callable[[Any], object]) -> None:
        """Qt's part of it is deleted already."""
        self._scripts.switch(False)
        if self._watch is not None:
            self._watch.close()
        self.way.close()
        gone(self)

    # The daemon

    def _way_changed(self) -> None:
        way = self.way
        self._dot.setStyleSheet("color: {}".format(DOTS[way.state]))
        self._status.setText(_status(way))
        self._status.setToolTip(_about(way.info))
        self._banner.setVisible(way.trouble is not None)
        if way.trouble is not None:
            self._wrong.setText(way.trouble.message)
            self._step.setText("→ " + way.trouble.step)
            self.log.trouble(way.trouble)
        self._start.setEnabled(way.state != "on")
        self._bridge.setVisible(
            way.trouble is not None and way.trouble.step in (advice.BRIDGE, advice.OLDER_BRIDGE)
        )
        if way.state == "on":
            self.log.say("connected: {}".format(_status(way)), look.GOOD)
            self.faces.offer_orders(way.choices("sort_key"))
            self.frame.retry()
            if self._watch is not None:
                self._watch.go_on()

    def _choose_bridge(self) -> None:
        title = "The program 'understudy', or a Python that has it"
        path, _ = QtWidgets.QFileDialog.getOpenFileName(self, title)
        if path:
            self.way.reconnect(path)

    # Jobs

    def _jobs_came(self, jobs: List[Json]) -> None:
        self.jobs.show_jobs(jobs)
        job = self.jobs.chosen
        if job is not None:
            self.training.show_job(job)
            if self._watch is not None and self._watch.job == job["id"]:
                self._watch.go_on(more=state(job) not in ENDED)
        node = self.node.node()
        if node is not None:
            self._landing.look(node, jobs)

    def _job_chosen(self, job: str) -> None:
        if self._watch is not None:
            self._watch.close()
        self.training.choose(self.jobs.chosen)
        label = str((self.jobs.chosen or {}).get("label") or job)
        self._watch = Watch(self.way, job, lambda told: self._told(label, told))

    def _told(self, label: str, told: List[Told]) -> None:
        for kind, event in told:
            if kind == "training":
                self.training.told(event)
            else:
                self.log.told(label, kind, event)

    def _steer(self, method: str, job: str) -> None:
        def failed(trouble: Trouble) -> None:
            self.log.trouble(trouble, method)
            self.tabs.setCurrentWidget(self.log)

        self.way.ask("JobService/" + method, {"id": job}, failed=failed)

    # The node

    def _node_changed(self) -> None:
        node = self.node.node()
        self.faces.offer(facesets(node) if node is not None else [])
        self.frame.reset()

    # Looks

    def _lay_out(self) -> None:
        self._dot, self._status = QtWidgets.QLabel("●"), QtWidgets.QLabel()
        self._status.setSizePolicy(
            QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Preferred
        )
        self._start = look.button("Start", "Start a daemon on this machine, where none runs.", self.way.start)
        again = look.button(
            "Reconnect", "Begin anew with the bridge and the daemon; jobs go on.", self.way.reconnect
        )
        self._bridge = look.button(
            "Choose the bridge …", "Name the program for this session.", self._choose_bridge
        )
        top = look.row(self._dot, self._status, self.node, self._start, again)
        top.setStretchFactor(self._status, 1)
        self._wrong, self._step = look.note("", look.BAD), look.note("", look.BUSY)
        self._banner = QtWidgets.QFrame()
        self._banner.setFrameShape(QtWidgets.QFrame.Shape.StyledPanel)
        words = look.column(self._wrong, self._step)
        told = look.row(words, self._bridge, margin=look.MARGIN, parent=self._banner)
        told.setStretchFactor(words, 1)
        self.tabs = QtWidgets.QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.tabBar().setDrawBase(False)
        for label, tab in (
            ("Training", self.training),
            ("Faces", self.faces),
            ("Frame", self.frame),
            ("Log", self.log),
        ):
            self.tabs.addTab(tab, label)
        split = QtWidgets.QSplitter(Qt.Orientation.Vertical)
        split.addWidget(self.jobs)
        split.addWidget(self.tabs)
        split.setStretchFactor(1, 1)
        split.setSizes([220, 460])
        split.setChildrenCollapsible(False)
        whole = look.column(top, self._banner, split, margin=look.MARGIN, parent=self)
        whole.setStretchFactor(split, 1)


def _status(way: Way) -> str:
    info = way.info
    if way.state == "asking":
        return "looking for the daemon …"
    if way.state == "off":
        return "no answer" if way.trouble is not None and way.trouble.step == advice.BUSY else "no daemon"
    words = ["understudy {}".format(info.get("version", ""))]
    words += [str(device["name"]) for device in info.get("devices", [])]
    return ", ".join(words) + (" (too old)" if way.state == "old" else "")


def _about(info: Json) -> str:
    lines = ["{}: {}".format(d.get("name"), d.get("description")) for d in info.get("devices", [])]
    if info.get("stateFolder"):
        lines.append("jobs in {}, process {}".format(info["stateFolder"], info.get("processId", "")))
    return "\n".join(lines)
