"""Pictures of the daemon's: asked for, put together on the link's thread, shown as large as there is room."""

from __future__ import annotations

from typing import Any, Callable, Dict

from understudy_nuke import previews
from understudy_nuke.daemon import UnderstudyError
from understudy_nuke.qt import QtCore, QtGui, QtWidgets

from . import advice, look
from .advice import Trouble
from .way import Way

Qt = QtCore.Qt
Json = Dict[str, Any]
Shown = Callable[[Any, Json], object]


class Ask:
    """One preview under way.

    Args:
        method: of PreviewService.
        shown: gets the QImage and what it shows, on the main thread.
        failed: gets why there is none.
    """

    def __init__(
        self, way: Way, method: str, request: Json, shown: Shown, failed: Callable[[Trouble], object]
    ) -> None:
        self._way, self._shown, self._failed = way, shown, failed
        self._stream = previews.collect(way.link(), method, request, self._came)

    def cancel(self) -> None:
        """Nothing more is told of it."""
        self._shown, self._failed = (lambda *_: None), (lambda *_: None)
        self._stream.cancel()

    # On the link's thread

    def _came(self, data: bytes, about: Json, error: UnderstudyError | None) -> None:
        if error is None:
            image = decoded(data)
            if not image.isNull():
                self._way.hop(lambda: self._shown(image, about))
                return
        trouble = (
            advice.of(error)
            if error is not None
            else Trouble("The daemon's picture did not come whole.", advice.UNKNOWN)
        )
        self._way.hop(lambda: self._failed(trouble))


def decoded(data: bytes) -> Any:
    """A QImage of a file's bytes, null where they are none; from any thread.

    By a reader, which lets other threads go on meanwhile: PySide6's `QImage.fromData` holds the interpreter, and the
    main thread with it, for 170 ms of a PNG of 3840 x 2160.
    """
    buffer = QtCore.QBuffer()
    buffer.setData(data)
    buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
    return QtGui.QImageReader(buffer).read()


class View(QtWidgets.QWidget):
    """A picture in the middle of the room there is, with a line below; or words where there is none.

    Attributes:
        image: what it shows; None: nothing yet.
    """

    def __init__(self, words: str) -> None:
        super().__init__()
        self.image: Any = None
        self._words, self._caption, self._wrong = words, "", False
        self._scaled: Any = None
        self.setMinimumSize(160, 120)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Expanding)

    def show_image(self, image: Any, caption: str = "") -> None:
        self.image, self._caption, self._wrong, self._scaled = image, caption, False, None
        self.update()

    def say(self, words: str, *, wrong: bool = False) -> None:
        """Below a picture that stays, or instead of one."""
        self._words = self._caption = words
        self._wrong = wrong
        self.update()

    def clear(self, words: str) -> None:
        self.image = self._scaled = None
        self.say(words)

    def words(self) -> str:
        return self._caption if self.image is not None else self._words

    def paintEvent(self, event: Any) -> None:  # noqa: ARG002, N802 - Qt's names
        painter = QtGui.QPainter(self)
        painter.fillRect(self.rect(), self.palette().base())
        ink = look.BAD if self._wrong else look.QUIET
        painter.setPen(QtGui.QColor(ink))
        metrics, flags = self.fontMetrics(), int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap)
        room = self.rect().adjusted(look.MARGIN, look.MARGIN, -look.MARGIN, -look.MARGIN)
        if self.image is None:
            painter.drawText(room, flags, self._words)
            return
        if self._caption:
            needed = metrics.boundingRect(room, flags, self._caption).height()
            low = min(needed, room.height() // 2)
            text = QtCore.QRect(room.left(), room.bottom() - low + 1, room.width(), low)
            painter.drawText(text, flags, self._caption)
            room.setBottom(text.top() - look.GAP)
        shown = self._fitted(room.size(), self.devicePixelRatioF())
        ratio = shown.devicePixelRatio()
        left = room.left() + (room.width() - shown.width() / ratio) / 2
        top = room.top() + (room.height() - shown.height() / ratio) / 2
        painter.drawImage(QtCore.QPointF(left, top), shown)

    def _fitted(self, size: Any, ratio: float) -> Any:
        """The picture for a screen of so many pixels to a point, kept until the size changes."""
        pixels = size * ratio
        key = (pixels.width(), pixels.height(), ratio)
        if self._scaled is None or self._scaled[0] != key:
            image = self.image.scaled(
                pixels, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
            )
            image.setDevicePixelRatio(ratio)
            self._scaled = (key, image)
        return self._scaled[1]
