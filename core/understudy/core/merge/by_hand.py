"""The mattes in plate space by which a person says where the face goes: read, and put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.errors import FrameMissing, InvalidInput
from understudy.core.frames import Float, Frame, Window
from understudy.core.merge.headers import file_digest
from understudy.core.merge.layers import BY_HAND
from understudy.core.merge.settings import UserMatte
from understudy.core.plate.mattes import read_matte, refuse_nonfinite, refuse_picture, told


def identity(mattes: Sequence[UserMatte], number: int, views: Sequence[str]) -> list[Any]:
    """What those that have a say on a frame, in these views, are and hold, as JSON can hold it.

    Raises:
        FrameMissing: a file is not there; names it.
        FrameUnreadable: it cannot be read.
    """
    speaking = [matte for matte in mattes if matte.speaks(number)]
    found: list[Any] = []
    for matte in speaking:
        paths = {matte.template.of_view(view).path(number): view for view in reversed(views)}
        digests = [_digest(path, number, paths[path]) for path in reversed(paths)]
        found.append([matte.use, matte.channel, matte.invert, digests])
    return found


def over(mattes: Sequence[UserMatte], frame: Frame, view: str, window: Window) -> dict[str, Float]:
    """What they say about a window of a frame: layer → (h, w) float32 in [0, 1], for each use that there is.

    On a frame where those of a use have no say, it is what changes nothing: a limit is 1, the others are 0.

    Raises:
        FrameMissing, FrameUnreadable: of a file.
        InvalidInput: a file has another format than the plate, or not the channel or the view; it is a
            picture, not a matte, or has values there that are not finite.
    """
    found: dict[str, Float] = {}
    for matte in mattes:
        layer = BY_HAND[matte.use]
        if layer not in found:
            found[layer] = np.full((window.height, window.width), float(matte.use == "limit"), np.float32)
        if matte.speaks(frame.number):
            found[layer] = _JOINED[matte.use](found[layer], _read(matte, frame, view, window))
    return found


def join(matte: Float, said: Mapping[str, Float]) -> Float:
    """The recipe's matte (h, w) and what a person said: limits, then what is added, and what is kept wins over all."""
    if "mask_user" in said:
        matte = matte * said["mask_user"]
    if "mask_add" in said:
        matte = np.maximum(matte, said["mask_add"])
    if "mask_keep" in said:
        matte = matte * (np.float32(1.0) - said["mask_keep"])
    return matte


def _digest(path: Path, number: int, view: str) -> str:
    if not path.is_file():
        eye = f"{view}: " if view else ""
        message = f"{eye}{path}: the user's matte has no frame {number}"
        raise FrameMissing(message, path=path, frame=number, field="user_mattes")
    return file_digest(path)


def _multiplied(a: Float, b: Float) -> Float:
    return a * b


def _greater(a: Float, b: Float) -> Float:
    found: Float = np.maximum(a, b)
    return found


def _either(a: Float, b: Float) -> Float:
    """So that 1 minus it is the product of 1 minus each."""
    return a + b - a * b


_JOINED = {"limit": _multiplied, "add": _greater, "keep": _either}


def _read(matte: UserMatte, frame: Frame, view: str, window: Window) -> Float:
    roto = read_matte(
        matte.template, frame.number, view=view, channel=matte.channel, invert=matte.invert, strict=True
    )
    refuse_picture(roto)
    if roto.display != frame.display:
        raise InvalidInput(
            f"{roto.path}: the user's matte is {told(roto.display)}, the plate {told(frame.display)}; render it "
            "at the plate's size",
            path=roto.path,
            frame=frame.number,
            field="user_mattes",
            value=roto.display,
        )
    refuse_nonfinite(roto, window.intersect(roto.data))
    return roto.over(window)
