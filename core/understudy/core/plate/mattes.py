"""Mattes that a person made, in plate space: which channel of a frame is one, and its values over a window.

Hosts write roto as the alpha of a picture, as a picture of one channel, or in red, green and blue alike; with a data
window as small as the shapes. Whoever takes a matte of a person reads it here. A picture that was multiplied by its
alpha is no matter: alpha itself never is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import OpenImageIO as oiio  # noqa: N813  as its own documentation does

from understudy.core.errors import FrameMissing, FrameUnreadable, InvalidInput
from understudy.core.frames import Float, Frame, Window
from understudy.core.plate.read import EXTENSIONS, read, read_file
from understudy.core.plate.template import Template
from understudy.core.plate.views import MONO, names, select

_SLACK = 2.0**-10  # one in the last place of a half at 1
_MOST_PIXELS = 2**28
_COLOURS = ("R", "G", "B")
_WORDS = {"alpha": "A", "red": "R", "green": "G", "blue": "B", "luminance": "Y"}  # hosts' own
_LAYERS = ("", "rgba.", "rgb.", "alpha.", "mask.")  # Nuke's layers that have them


@dataclass(frozen=True, kw_only=True, eq=False)
class Roto:
    """One frame's matte, as it is in its file but for the range.

    Attributes:
        path: its file.
        number: of the frame.
        channel: the one that was read.
        values: (h, w) float32 in [0, 1] over `data`; 0 where the file's are not finite.
        data, display: windows of the file, in its own pixels.
        invert: it is 1 outside and 0 inside: `over` turns it.
        named: whether a person named the channel.
        beyond: how many values were outside 0 to 1, by more than the rounding of a half.
        most: the greatest value that the file has.
        nonfinite: (h, w) bool, where a value was NaN or infinite.
        others: the file's other channels.
    """

    path: Path
    number: int
    channel: str
    values: Float
    data: Window
    display: Window
    invert: bool
    named: bool
    beyond: int
    most: float
    nonfinite: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
    others: tuple[str, ...]

    def over(self, window: Window) -> Float:
        """(h, w) float32 in [0, 1] on a window of the file's own pixels; beyond its data window the file is 0."""
        matte = np.zeros((window.height, window.width), np.float32)
        both = window.intersect(self.data)
        if not both.empty:
            matte[both.slices(window)] = self.values[both.slices(self.data)]
        return np.subtract(1.0, matte, out=matte) if self.invert else matte

    def scale(self, display: Window, *, field: str) -> tuple[float, float]:
        """How many of its pixels are one of a plate with that display window, across and down; (1, 1) mostly.

        Raises:
            InvalidInput: it is of another shape, or begins elsewhere: it is not of this plate.
        """
        x, y = self.display.width / display.width, self.display.height / display.height
        same = abs(x * display.height - self.display.height) < 1.0  # a pixel of rounding
        there = abs(self.display.x - display.x * x) < 1.0 and abs(self.display.y - display.y * y) < 1.0
        if not (same and there):
            raise InvalidInput(
                f"{self.path}: the matte is {told(self.display)}, the plate {told(display)}",
                path=self.path,
                frame=self.number,
                field=field,
                value=self.display,
            )
        return x, y


def refuse_nonfinite(roto: Roto, window: Window) -> None:
    """Raise InvalidInput if there is NaN or infinity in a window, which lies within its data window."""
    count = int(roto.nonfinite[window.slices(roto.data)].sum())
    if count:
        raise InvalidInput(
            f"{roto.path}: {count} values of {roto.channel} around the face are not finite; render it again",
            path=roto.path,
            frame=roto.number,
            field="channel",
            value=roto.channel,
        )


def refuse_picture(roto: Roto) -> None:
    """Raise InvalidInput for colours that nobody named, and that no matte has: they are a picture's."""
    if roto.beyond and roto.channel != "A" and not roto.named:
        raise InvalidInput(
            f"{roto.path}: its channel {roto.channel} reaches {roto.most:.3g} and a matte ends at 1: is it a picture? "
            "Name the channel that is the matte",
            path=roto.path,
            frame=roto.number,
            field="channel",
            value=roto.channel,
        )


def read_matte(
    template: Template,
    number: int,
    *,
    view: str = MONO,
    channel: str = "",
    invert: bool = False,
    strict: bool = False,
) -> Roto:
    """Read one frame's matte.

    Args:
        template: of its files; `%V` stands for the view.
        number: of the frame.
        view: whose matte; a file that has but one view is taken for any.
        channel: its name, such as `B` or `roto.A`; a layer's name stands for its alpha or its only channel. Empty:
            alpha where there is one, else the only one, else luminance, else red.
        invert: the file is 1 outside and 0 inside.
        strict: without a name, red is taken only where red, green and blue are the same.

    Raises:
        FrameMissing: there is no such file.
        FrameUnreadable: it cannot be read, or has no channel that could be a matte.
        InvalidInput: it has no view, or no channel, of that name; the channel has whole numbers; or `strict`, and it
            has colours that differ.
    """
    files = template.of_view(view)
    file = read(files, number)
    frame = select(file, MONO if template.has_view or len(names(file)) == 1 else view)
    return of_frame(frame, files.path(number), channel=channel, invert=invert, strict=strict)


def of_frame(
    frame: Frame, path: Path, *, channel: str = "", invert: bool = False, strict: bool = False
) -> Roto:
    """The matte of a frame that was read from `path`; the rest as `read_matte`."""
    found = _channel(frame, path, channel, strict=strict)
    stored = frame.planes[found]
    if stored.dtype == np.uint32:
        raise InvalidInput(
            f"{path}: its channel {found} has whole numbers: IDs or counts, no matte; name another",
            path=path,
            frame=frame.number,
            field="channel",
            value=found,
        )
    values = stored.astype(np.float32) / np.float32(frame.maximum)
    finite = np.isfinite(values)
    values[~finite] = 0.0
    return Roto(
        path=path,
        number=frame.number,
        channel=found,
        beyond=int(np.count_nonzero((values < -_SLACK) | (values > 1.0 + _SLACK))),
        most=float(values.max(initial=0.0)),
        nonfinite=~finite,
        values=np.clip(values, 0.0, 1.0),
        data=frame.data,
        display=frame.display,
        invert=invert,
        named=bool(channel),
        others=tuple(name for name in frame.planes if name != found),
    )


def read_still(path: Path, number: int = 0) -> Frame:
    """A matte that is a file of its own: OpenEXR or DPX as `read_file` has it, PNG and TIFF as float32 in [0, 1].

    Channels of PNG and TIFF are called R, G, B and A, or Y and A; colours that are not multiplied by alpha stay so.

    Raises:
        FrameMissing, FrameUnreadable: naming the file.
    """
    if path.suffix.lower() in EXTENSIONS:
        return read_file(path, number)
    if not path.is_file():
        raise FrameMissing(f"{path}: is not on disk", path=path)
    asked = oiio.ImageSpec()
    asked.attribute("oiio:UnassociatedAlpha", 1)
    source = oiio.ImageInput.open(str(path), asked)
    if source is None:
        raise _unreadable(path, oiio.geterror())
    try:
        spec = source.spec()
        if not 0 < spec.width * spec.height <= _MOST_PIXELS or not 0 < spec.nchannels <= 4:
            raise _unreadable(path, f"{spec.width}×{spec.height} pixels of {spec.nchannels} channels")
        pixels = source.read_image(0, 0, 0, spec.nchannels, oiio.FLOAT)
        if pixels is None:
            raise _unreadable(path, source.geterror())
    finally:
        source.close()
    window = Window(0, 0, spec.width, spec.height)
    planes = {name: pixels[..., i] for i, name in enumerate(spec.channelnames)}
    return Frame(number=number, planes=planes, display=window, data=window)


def _unreadable(path: Path, why: str) -> FrameUnreadable:
    return FrameUnreadable(
        f"{path}: is not an image we can open: {why.strip() or 'no reason given'}", path=path
    )


def _channel(frame: Frame, path: Path, asked: str, *, strict: bool) -> str:
    """Which plane is the matte."""
    there = list(frame.planes)
    if asked:
        return _named(there, path, frame.number, asked)
    if "A" in there:
        return "A"
    if len(there) == 1:
        return there[0]
    if "Y" in there:
        return "Y"
    if "R" not in there:
        raise FrameUnreadable(
            f"{path}: no channel A or R; it has {', '.join(there)}: name one", path=path, frame=frame.number
        )
    colours = [frame.planes[name] for name in _COLOURS if name in there]
    if strict and not all(np.array_equal(colours[0], other, equal_nan=True) for other in colours[1:]):
        raise InvalidInput(
            f"{path}: it has no alpha, and red, green and blue differ; name the channel that is the matte",
            path=path,
            frame=frame.number,
            field="channel",
            value=",".join(there),
        )
    return "R"


def _named(there: list[str], path: Path, number: int, asked: str) -> str:
    if asked in there:
        return asked
    layer, _, word = asked.rpartition(".")
    letter = _WORDS.get(word.lower(), word.upper() if len(word) == 1 else word)
    prefix = f"{layer}." if layer else ""
    plain = letter if prefix in _LAYERS else ""
    of_layer = [name for name in there if name.startswith(f"{asked}.")]
    meant = [f"{prefix}{letter}", plain, f"{asked}.A", *(of_layer if len(of_layer) == 1 else [])]
    if found := [name for name in meant if name in there]:
        return found[0]
    raise InvalidInput(
        f"{path}: no channel {asked!r}; it has {', '.join(there)}",
        path=path,
        frame=number,
        field="channel",
        value=asked,
    )


def told(window: Window) -> str:
    at = f" at {window.x}, {window.y}" if (window.x, window.y) != (0, 0) else ""
    return f"{window.width}×{window.height}{at}"
