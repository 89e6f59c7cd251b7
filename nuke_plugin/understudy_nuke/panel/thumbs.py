"""The faces of a contact sheet as a Qt model; a face's picture is fetched when it is first to be seen."""

from __future__ import annotations

import base64
import collections
import os
from typing import Any, Dict, List

from understudy_nuke.daemon import UnderstudyError
from understudy_nuke.qt import QtCore, QtGui

from . import advice
from .advice import Trouble
from .picture import decoded
from .way import Way

Qt = QtCore.Qt
Json = Dict[str, Any]

CELL = 112  # pixels of a picture's side
AT_ONCE = 24  # pictures of one call
KEPT = 2000  # pictures, 50 kB each
NAME = int(Qt.ItemDataRole.UserRole) + 1


class Thumbs(QtCore.QAbstractListModel):
    """Faces in the order of the list.

    Args:
        ratio: pixels of the screen to a point.
    """

    failed = QtCore.Signal(object)  # why pictures do not come

    def __init__(self, way: Way, ratio: float = 1.0, parent: Any = None) -> None:
        super().__init__(parent)
        self._way, self._size, self._ratio = way, int(CELL * ratio), ratio
        self.path, self.faces = "", []  # type: str, List[Json]
        self._kept: collections.OrderedDict[str, Any] = collections.OrderedDict()
        self._wanted: List[str] = []
        self._rows: Dict[str, int] = {}
        self._stream: Any = None
        self._soon = QtCore.QTimer(self)  # the view asks for many in one go
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self._fetch)

    def begin(self, path: str) -> None:
        """Another faceset, or the same one anew: no faces yet; pictures of the same one are kept."""
        self.beginResetModel()
        if path != self.path:
            self._kept.clear()
        self.stop()
        self.path, self.faces, self._rows = path, [], {}
        self.endResetModel()

    def add(self, faces: List[Json]) -> None:
        """More of `understudy.v1.Face`, behind those that are there."""
        if faces:
            first = len(self.faces)
            self.beginInsertRows(QtCore.QModelIndex(), first, first + len(faces) - 1)
            for row, face in enumerate(faces, first):
                self._rows[name_of(face)] = row
            self.faces = self.faces + faces
            self.endInsertRows()

    def drop(self, names: List[str]) -> None:
        """Those are gone."""
        gone = set(names)
        self.beginResetModel()
        self.faces = [face for face in self.faces if name_of(face) not in gone]
        self._rows = {name_of(face): row for row, face in enumerate(self.faces)}
        self.endResetModel()

    def stop(self) -> None:
        """Fetch nothing more."""
        stream, self._stream, self._wanted = self._stream, None, []
        if stream is not None:
            stream.cancel()

    def rowCount(self, parent: Any = None) -> int:  # noqa: N802 - Qt's names
        return 0 if parent is not None and parent.isValid() else len(self.faces)

    def data(self, index: Any, role: int = 0) -> Any:
        face = self.faces[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return str(face.get("frame", ""))
        if role == Qt.ItemDataRole.ToolTipRole:
            return "{}\nperson {}, confidence {:.2f}".format(
                name_of(face), face.get("track", 0), float(face.get("score", 0.0))
            )
        if role == NAME:
            return name_of(face)
        if role == Qt.ItemDataRole.DecorationRole:
            return self._picture(name_of(face))
        return None

    def _picture(self, name: str) -> Any:
        picture = self._kept.get(name)
        if picture is None:
            if name in self._wanted:
                self._wanted.remove(name)
            self._wanted.append(name)
            self._soon.start(0)
            return _blank(self._size, self._ratio)
        self._kept.move_to_end(name)
        return picture

    def _fetch(self) -> None:
        """Those that the view asked for last come first."""
        if self._stream is not None or not self._wanted:
            return
        names, self._wanted = self._wanted[-AT_ONCE:], self._wanted[:-AT_ONCE][-10 * AT_ONCE :]
        request = {"path": self.path, "names": names, "size": self._size}
        serial = object()

        def event(message: Json) -> None:  # on the link's thread
            image = decoded(base64.b64decode(message.get("picture") or ""))
            self._way.hop(lambda: self._came(serial, str(message.get("name", "")), image))

        def end(error: UnderstudyError | None) -> None:
            self._way.hop(lambda: self._ended(serial, error))

        self._serial = serial
        self._stream = self._way.link().stream(
            "FacesetService/ShowFaces", request, on_event=event, on_end=end
        )

    def _came(self, serial: object, name: str, image: Any) -> None:
        row = self._rows.get(name)
        if serial is not self._serial or row is None:
            return
        if image.isNull():  # it cannot be read
            picture = _blank(self._size, self._ratio, "?")
        else:
            picture = QtGui.QPixmap.fromImage(image)
            picture.setDevicePixelRatio(self._ratio)
        self._kept[name] = picture
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        self.dataChanged.emit(self.index(row, 0), self.index(row, 0))

    def _ended(self, serial: object, error: UnderstudyError | None) -> None:
        if serial is not self._serial or self._stream is None:
            return
        self._stream = None
        if error is not None:
            self._wanted = []
            trouble: Trouble = advice.of(error)
            self.failed.emit(trouble)
        elif self._wanted:
            self._soon.start(0)


def name_of(face: Json) -> str:
    return os.path.basename(str(face.get("path", "")).replace("\\", "/"))


def _blank(size: int, ratio: float, words: str = "") -> Any:
    picture = QtGui.QPixmap(size, size)
    picture.setDevicePixelRatio(ratio)
    picture.fill(QtGui.QColor(70, 70, 70))
    if words:
        painter = QtGui.QPainter(picture)
        painter.drawText(picture.rect(), int(Qt.AlignmentFlag.AlignCenter), words)
        painter.end()
    return picture
