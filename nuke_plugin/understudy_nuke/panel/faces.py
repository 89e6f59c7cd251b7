"""The contact sheet of a faceset, from which faces are rejected."""

from __future__ import annotations

from typing import Any, Dict, List

from understudy_nuke.qt import QtCore, QtWidgets

from . import look
from .advice import Trouble
from .thumbs import CELL, NAME, Thumbs
from .way import Way

Qt = QtCore.Qt
Json = Dict[str, Any]

PAGE = 300  # faces of one answer, 2 kB each
BY_FRAME = "by frame"
HINT = "Name a faceset's folder, or choose a node above."


class Faces(QtWidgets.QWidget):
    """Of one faceset at a time.

    Attributes:
        thumbs: the faces.
    """

    def __init__(self, way: Way) -> None:
        super().__init__()
        self._way, self._serial = way, 0
        self._rejected = 0
        self._trouble = False  # what is said is an error
        self.path = QtWidgets.QComboBox()
        self.path.setEditable(True)
        self.path.setMinimumContentsLength(12)
        self.path.setToolTip("Folder of a faceset, as the daemon's machine sees it.")
        self.path.lineEdit().setPlaceholderText("faceset")
        self.path.lineEdit().returnPressed.connect(self.load)
        self.path.activated.connect(lambda *_: self.load())
        self.order = QtWidgets.QComboBox()
        self.order.addItem(BY_FRAME)
        self.order.setToolTip("In which order; some need the faceset to be measured first.")
        self.order.activated.connect(lambda *_: self.load())
        self.thumbs = Thumbs(way, self.devicePixelRatioF(), self)
        self.thumbs.failed.connect(self._failed)
        self.view = QtWidgets.QListView()
        self._set_up(self.view)
        self.said = look.note(HINT, look.QUIET)
        self.reject_button = look.button(
            "Reject", "Move the chosen faces into 'rejected'; nothing is deleted.", self.reject
        )
        self.restore_button = look.button("Restore", "Move all rejected faces back.", self.restore)
        again = look.button("Load", "Look at the folder again.", self.load)
        top = look.row(self.path, self.order, again)
        top.setStretchFactor(self.path, 1)
        below = look.row(self.said, self.restore_button, self.reject_button)
        below.setStretchFactor(self.said, 1)
        look.column(top, self.view, below, margin=look.GAP, parent=self)
        self._tell()

    def offer(self, paths: List[str]) -> None:
        """Facesets of the chosen node; the first one is loaded when this is seen, where nothing is yet."""
        typed = self.path.currentText().strip()
        self.path.clear()
        for path in paths:
            self.path.addItem(path)
        fits = typed if typed and typed == self.thumbs.path else (paths[0] if paths else typed)
        self.path.setEditText(fits)
        if self.isVisible():
            self._load_new()

    def offer_orders(self, names: List[str]) -> None:
        """Sort keys of the daemon."""
        if [self.order.itemText(i) for i in range(1, self.order.count())] != names:
            now = self.order.currentText()
            self.order.clear()
            self.order.addItems([BY_FRAME, *names])
            self.order.setCurrentIndex(max(0, self.order.findText(now)))

    def load(self) -> None:
        """All of it anew, in pages."""
        path = self.path.currentText().strip().replace("\\", "/")
        self._serial += 1
        self.thumbs.begin(path)
        self._rejected, self._trouble = 0, False
        if not path:
            self.said.setText(HINT)
            return
        self.said.setText("Looking …")
        self._way.ask("FacesetService/GetFaceset", {"path": path}, then=self._counted)
        self._page(self._serial, "")

    def reject(self) -> None:
        """Those that are chosen."""
        path = self.thumbs.path
        names = [index.data(NAME) for index in self.view.selectionModel().selectedIndexes()]
        if names:

            def moved(reply: Json) -> None:
                if path == self.thumbs.path:
                    self._rejected, self._trouble = self._rejected + int(reply.get("moved", 0)), False
                    at = self.view.verticalScrollBar().value()
                    self.thumbs.drop(names)
                    self.view.doItemsLayout()
                    self.view.verticalScrollBar().setValue(at)
                    self._tell()

            self._way.ask(
                "FacesetService/RejectFaces",
                {"path": path, "query": {"names": names}},
                then=moved,
                failed=self._failed,
            )

    def restore(self) -> None:
        """All that were rejected."""
        self._way.ask(
            "FacesetService/RestoreFaces",
            {"path": self.thumbs.path},
            then=lambda _: self.load(),
            failed=self._failed,
        )

    def showEvent(self, event: Any) -> None:  # noqa: ARG002, N802 - Qt's names
        self._load_new()

    def _load_new(self) -> None:
        if self.path.currentText().strip().replace("\\", "/") != self.thumbs.path:
            self.load()

    def _page(self, serial: int, token: str) -> None:
        order = self.order.currentText()
        query = {"order": order} if order and order != BY_FRAME else {}
        request = {"path": self.thumbs.path, "pageSize": PAGE, "pageToken": token, "query": query}

        def came(reply: Json) -> None:
            if serial == self._serial:
                self.thumbs.add(reply.get("faces") or [])
                self._tell()
                if reply.get("nextPageToken"):
                    self._page(serial, str(reply["nextPageToken"]))

        def failed(trouble: Trouble) -> None:
            if serial == self._serial:
                self._failed(trouble)

        self._way.ask("FacesetService/ListFaces", request, then=came, failed=failed)

    def _counted(self, reply: Json) -> None:
        faceset = reply.get("faceset") or {}
        if faceset.get("path", "").rstrip("/") == self.thumbs.path.rstrip("/"):
            self._rejected = int(faceset.get("rejected", 0))
            self._tell()

    def _tell(self) -> None:
        chosen = len(self.view.selectionModel().selectedIndexes())
        self.reject_button.setEnabled(chosen > 0)
        self.restore_button.setEnabled(self._rejected > 0)
        self.reject_button.setText("Reject {:,}".format(chosen) if chosen else "Reject")
        if self.thumbs.path and not self._trouble:  # the count may come after the error
            words = "{:,} faces".format(len(self.thumbs.faces))
            self.said.setStyleSheet("color: {}".format(look.QUIET))
            self.said.setText(words + (", {:,} rejected".format(self._rejected) if self._rejected else ""))

    def _failed(self, trouble: Trouble) -> None:
        self._trouble = True
        self.said.setStyleSheet("color: {}".format(look.BAD))
        self.said.setText(str(trouble))

    def _set_up(self, view: Any) -> None:
        view.setModel(self.thumbs)
        view.setViewMode(QtWidgets.QListView.ViewMode.IconMode)
        view.setResizeMode(QtWidgets.QListView.ResizeMode.Adjust)
        view.setMovement(QtWidgets.QListView.Movement.Static)
        view.setLayoutMode(QtWidgets.QListView.LayoutMode.Batched)
        view.setBatchSize(500)
        view.setUniformItemSizes(True)
        view.setSelectionMode(QtWidgets.QAbstractItemView.SelectionMode.ExtendedSelection)
        view.setIconSize(QtCore.QSize(CELL, CELL))
        view.setGridSize(QtCore.QSize(CELL + 10, CELL + 26))
        view.selectionModel().selectionChanged.connect(lambda *_: self._tell())
