"""The finished picture and its layers in plate space; the published mix rule.

    rgba = plate                                        where mask_blend is 0: the stored bits
           plate * (1 - mask_blend) + face * mask_blend elsewhere, in float32, of the *stored* values

rounded once to the type that R, G and B are stored in. Where the plate itself is not finite, the face stands
alone. Everything is done inside the crop's footprint; the rest of a 4K frame is copied, never recomputed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from understudy.core.colour import ColourConfig
from understudy.core.frames import Array, Float, Frame, Window
from understudy.core.half import narrowed, widened
from understudy.core.image import fill_nonfinite, to_half
from understudy.core.located import Located, Mask, by_channel
from understudy.core.merge.expression import FULL, Expression

COLOUR = ("R", "G", "B")
_FINE = (
    1023.0  # integer plates above 10 bits become float: half has 11 significant bits, and would merge codes
)
_BAND, _ROWS = 2**17, 64  # pixels; their rows are so many or a multiple
_MOST = np.float32(1e15)  # what filters can add up in float32; half ends far below it
OUTSIDE = -1.0  # of uv where there is no crop: an STMap samples nothing there


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What the finished picture starts from.

    Attributes:
        planes: R, G and B over the data window, in the type that they will be stored in.
        space: their colour space: the plate's own where that is scene-linear, else the working space.
        own: whether nobody else has a use for the planes, so that a face may be mixed into them.
    """

    planes: Mapping[str, Array]
    space: str
    own: bool = False


def ground(frame: Frame, space: str, colour: ColourConfig) -> Ground:
    """The plate as the EXR output stores it: its very planes where it is scene-linear, else linearised.

    Linearising is a function of the frame and the colour config alone, so that `verify` repeats it bit for
    bit. Non-finite values stay as and where they were.

    Raises:
        InvalidInput: the frame has no R, G and B, or they are UINT, which is no picture.
    """
    frame.rgb(Window(frame.data.x, frame.data.y, 0, 0))  # refuses what is no picture, at no cost
    own_space = colour.is_scene_linear(space)
    if own_space and frame.maximum == 1.0:
        return Ground(planes={c: frame.planes[c] for c in COLOUR}, space=space)
    half = all(frame.planes[c].dtype == np.float16 for c in COLOUR) or 1.0 < frame.maximum <= _FINE
    size = (frame.data.height, frame.data.width)
    planes: dict[str, Array] = {c: np.empty(size, np.float16 if half else np.float32) for c in COLOUR}
    for band in bands(frame.data):
        linear = _linear(frame.rgb(band), "" if own_space else space, colour)
        kept, area = to_half(linear) if half else linear, band.slices(frame.data)
        for i, channel in enumerate(COLOUR):
            planes[channel][area] = kept[..., i]
    return Ground(planes=planes, space=space if own_space else colour.working, own=True)


def working(
    frame: Frame, window: Window, space: str, colour: ColourConfig
) -> tuple[Float, dict[str, Located]]:
    """(h, w, 3) scene-linear in the working space, finite; and by channel where the plate was not and was filled. A
    code so far outside its curve that it overflows counts as all three.

    Args:
        space: the plate's colour space.
    """
    stored = frame.rgb(window)
    filled, bad = fill_nonfinite(stored)
    linear = colour.to_working(filled, space)
    finished, overflown = fill_nonfinite(linear)
    np.clip(finished, -_MOST, _MOST, out=finished)
    masks: dict[str, Mask] = {}
    if bad:
        for i, channel in enumerate(COLOUR):
            masks[channel] = ~np.isfinite(stored[..., i])
    if overflown:
        masks["RGB"] = np.asarray(~np.isfinite(linear).all(axis=-1))
    return finished, by_channel(masks, window)


def bands(data: Window) -> Iterator[Window]:
    """The window in strips that fit a processor's cache: a 4K frame in float32 and its copies take a gigabyte. They
    end at multiples of 64 rows of the plate, as what is resampled does.
    """
    height = max(1, _BAND // max(data.width, 1) // _ROWS) * _ROWS
    y = data.y
    while y < data.y1:
        end = min(y - y % _ROWS + height, data.y1)
        yield Window(data.x, y, data.width, end - y)
        y = end


def _linear(stored: Float, space: str, colour: ColourConfig) -> Float:
    """(h, w, 3) from `space` ("": as it is) to the working space; what is not finite stays as and where it is."""
    if not space:
        return stored
    finite = np.isfinite(stored)
    linear = colour.to_working(np.where(finite, stored, np.float32(0.0)), space)
    # a code far outside the curve's range may overflow: it stays a number
    kept: Float = np.where(finite, np.nan_to_num(linear), stored)
    return kept


def mix(plate: Array, face: Array, matte: Array) -> Array:
    """The published rule for one channel of the file: three arrays of one shape, as stored.

    Returns an array of the plate's type. Where `matte` is 0 its bits are the plate's; elsewhere they are
    finite.
    """
    p, f, m = (widened(a) if a.dtype == np.float16 else a.astype(np.float32) for a in (plate, face, matte))
    finite = np.isfinite(p)
    alone = None if finite.all() else np.where(finite, np.float32(0.0), f)
    with np.errstate(invalid="ignore"):
        p *= np.float32(1.0) - m
        f *= m
        p += f
    mixed = p if alone is None else np.where(finite, p, alone)
    stored: Array = narrowed(mixed) if plate.dtype == np.float16 else mixed.astype(plate.dtype)
    np.copyto(stored, plate, where=matte == 0)
    return stored


def encoded(
    frame: Frame, rgb: Mapping[str, Array], inside: Array, space: str, colour: ColourConfig
) -> tuple[dict[str, Array], int]:
    """A finished picture as code values of the plate's kind, where `inside` (H, W) is true; the plate's
    own elsewhere.

    Rounded here, to the nearest: OpenImageIO's own conversion lands one code off now and then. Also
    returns how many values lie beyond the codes and were held at the end.
    """
    planes = {channel: frame.planes[channel].copy() for channel in COLOUR}
    if not inside.any():
        return planes, 0
    finished = np.stack([rgb[c][inside] for c in COLOUR], axis=-1).astype(np.float32)
    if not colour.is_scene_linear(space):
        finished = colour.from_working(finished[None], space)[0]
    codes = np.rint(finished * np.float32(frame.maximum))
    held = np.clip(codes, 0.0, frame.maximum)
    for i, channel in enumerate(COLOUR):
        planes[channel][inside] = held[:, i].astype(planes[channel].dtype)
    return planes, int(np.count_nonzero(held != codes))


ALL = (
    "face",
    "face_raw",
    "grain",
    "mask_add",
    "mask_blend",
    "mask_face",
    "mask_hull",
    "mask_keep",
    "mask_occ",
    "mask_user",
    "mask_valid",
    "uv",
)
"""The layers that any merge may have; others are `mask_` with the name of a matte. They lie in files by name."""

NEEDED = ("face", "mask_blend")
"""Those that the published rule needs: always written where any is."""

BY_HAND: Mapping[str, str] = MappingProxyType({"limit": "mask_user", "add": "mask_add", "keep": "mask_keep"})
"""What a person's matte is used for → its layer."""

_MASK = re.compile(r"mask_[A-Za-z_][A-Za-z0-9_]*")
_INNER = {"face": "RGBA", "face_raw": "RGB", "grain": "RGB", "uv": "uv"}


def there_are(mask: Expression) -> tuple[str, ...]:
    """The layers that there may be under a recipe's mask, in order: what is 1 everywhere is none."""
    return tuple(sorted({*ALL, *(f"mask_{name}" for name in mask.names if name != FULL)}))


def is_layer(name: str) -> bool:
    """Whether a layer may have that name."""
    return name in ALL or bool(_MASK.fullmatch(name))


def channels(names: Collection[str]) -> tuple[str, ...]:
    """The channels of layers."""
    return tuple(f"{name}.{c}" for name in sorted(names) for c in _INNER.get(name, "A"))


def blank(data: Window, names: Collection[str]) -> dict[str, Array]:
    """Layers over the data window, to be filled in: 0, and `uv` outside the crop."""
    return {channel: _blank(data, channel) for channel in channels(names)}


def empty(data: Window, names: Collection[str]) -> dict[str, Array]:
    """Layers of a frame that holds no face. Those of one kind share their plane, which is read-only."""
    kinds = {channel: _blank(data, channel) for channel in ("uv.u", "face.R")}
    for plane in kinds.values():
        plane.setflags(write=False)
    return {channel: kinds["uv.u" if channel.startswith("uv.") else "face.R"] for channel in channels(names)}


def _blank(data: Window, name: str) -> Array:
    size = (data.height, data.width)
    return np.full(size, OUTSIDE, np.float32) if name.startswith("uv.") else np.zeros(size, np.float16)


def as_exr(frame: Frame) -> Frame:
    """The frame as an EXR made from it holds it: codes have become numbers, 0 to 1, as half or float; R, G and B are
    the ground's to give.
    """
    if frame.maximum == 1.0:
        return frame
    kind = np.float16 if frame.maximum <= _FINE else np.float32
    planes = {
        name: (plane / np.float32(frame.maximum)).astype(kind)
        for name, plane in frame.planes.items()
        if name not in COLOUR
    }
    return replace(frame, maximum=1.0, planes=planes)
