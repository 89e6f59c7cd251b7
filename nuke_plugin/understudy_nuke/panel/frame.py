"""The frame at hand as a merge would make it now, asked for again when frame, look or model change."""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, List

import nuke

from understudy_nuke import previews
from understudy_nuke.daemon import UnderstudyError
from understudy_nuke.qt import QtCore, QtWidgets

from . import advice, look
from .advice import Trouble
from .picture import Ask, View
from .way import Way

Json = Dict[str, Any]

LOOK_MS = 250  # how often the node is looked at; what stays the same for so long is asked for
LIVE_MS = 5000  # a training changes the picture of a frame that stays
SIZES = (("640", 640), ("960", 960), ("1280", 1280), ("full size", 0))
NO_NODE = "Choose an Understudy node above."


class Frame(QtWidgets.QWidget):
    """A live preview of the chosen node.

    Args:
        node: gives the node that is chosen, or None.
    """

    def __init__(self, way: Way, node: Callable[[], Any]) -> None:
        super().__init__()
        self._way, self._node = way, node
        self._ask: Ask | None = None
        self._seen = self._asked = ""  # what the node says, and what was asked for last
        self._notes: List[str] = []  # in what the picture differs from a merge
        self.live = QtWidgets.QCheckBox("live")
        self.live.setChecked(True)
        self.live.setToolTip("Ask again whenever frame, look or model change.")
        self.size = QtWidgets.QComboBox()
        self.size.setToolTip("Longer side of the picture, in pixels.")
        for label, pixels in SIZES:
            self.size.addItem(label, pixels)
        self.size.setCurrentIndex(1)
        self.picture = View(NO_NODE)
        self._said = look.note("", look.QUIET)
        now = look.button("Show now", "Ask for the picture of this moment.", self.ask)
        top = look.row(self.live, self.size, self._said, now)
        top.setStretchFactor(self._said, 1)
        layout = look.column(top, self.picture, margin=look.GAP, parent=self)
        layout.setStretchFactor(self.picture, 1)
        self._timer = QtCore.QTimer(self)
        self._timer.timeout.connect(self._look)
        self._again = QtCore.QTimer(self)
        self._again.setSingleShot(True)
        self._again.timeout.connect(self._forget)

    def showEvent(self, event: Any) -> None:  # noqa: ARG002, N802 - Qt's names
        self._timer.start(LOOK_MS)

    def hideEvent(self, event: Any) -> None:  # noqa: ARG002, N802
        self._timer.stop()
        self._stop()
        self._asked = ""

    def ask(self) -> None:
        """For the frame as the node is now."""
        request = self._request()
        if request is not None:
            self._begin(request)

    def reset(self) -> None:
        """Another node, or another script."""
        self._stop()
        self._seen = self._asked = ""
        self.picture.clear(NO_NODE if self._node() is None else "")
        self._said.setText("")

    def retry(self) -> None:
        """The daemon is there again."""
        self._asked = ""

    def _forget(self) -> None:
        """So that the same picture is asked for again."""
        self._asked = ""

    def _look(self) -> None:
        """Ask when what is wanted has changed, and stays for a moment."""
        if not self.live.isChecked() or self._way.state != "on":
            return
        request = self._request()
        if request is None:
            return
        wanted = json.dumps(request, sort_keys=True)
        settled, self._seen = wanted == self._seen, wanted
        if settled and wanted != self._asked:
            self._begin(request)

    def _request(self) -> Json | None:
        """What is to be asked, with the look as it is on this frame; None, and said why, where it cannot be."""
        node = self._node()
        if node is None:
            if self._seen or self.picture.image is not None:
                self.reset()
            return None
        try:
            wanted, self._notes = previews.request(node, nuke.frame(), self.size.currentData())
        except UnderstudyError as error:
            said = advice.of(error)
            if str(said) != self._seen:
                self._stop()
                self._seen, self._asked = str(said), ""
                self._failed(said)
            return None
        return dict(wanted, asker="nuke-frame-{}".format(id(self)))

    def _begin(self, request: Json) -> None:
        self._stop()
        self._asked = json.dumps(request, sort_keys=True)
        self._said.setText("frame {} …".format(request["frame"]))
        notes = self._notes
        self._ask = Ask(
            self._way,
            "PreviewFrame",
            request,
            lambda image, about: self._shown(request["frame"], notes, image, about),
            self._refused,
        )

    def _stop(self) -> None:
        self._again.stop()
        if self._ask is not None:
            self._ask.cancel()
        self._ask = None

    def _shown(self, frame: int, notes: List[str], image: Any, about: Json) -> None:
        self._ask = None
        faces = int(about.get("faces", 0))
        words = "frame {}, {}, iteration {:,}".format(
            frame,
            "no face" if not faces else "1 face" if faces == 1 else "{} faces".format(faces),
            int(about.get("iteration", 0)),
        )
        self._said.setText(", ".join([words, *(["training"] if about.get("live") else []), *notes]))
        self._said.setToolTip("\n".join(about.get("warnings") or []))
        self.picture.show_image(image)
        if about.get("live"):
            self._again.start(LIVE_MS)

    def _refused(self, trouble: Trouble) -> None:
        """By the daemon: what it lacks may come."""
        self._failed(trouble)
        self._again.start(LIVE_MS)

    def _failed(self, trouble: Trouble) -> None:
        self._ask = None
        self._said.setText("")
        self.picture.say(str(trouble), wrong=True)
