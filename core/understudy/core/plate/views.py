"""Stereo, and files of several parts: where the picture of a view is, and how a changed one goes back.

OpenEXR keeps views in either of two ways ("Storing Multi-View Images in OpenEXR Files"): parts that each say in `view`
which they belong to, and are the default's if they are the first; or one list, `multiView`, and channels called
`layer.view.channel`, where the first view's own channels are plain. Channels of no view are everyone's. Layers may be
dotted channels or, as Nuke writes them, parts with plain channels. The rest of the house sees one view at a time,
as a frame of one part with plain names: R, G, B, A, `depth.Z`, `face.R`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from understudy.core.errors import InvalidInput
from understudy.core.frames import Array, Frame
from understudy.core.plate.header import Header
from understudy.core.plate.metadata import Typed

MONO = ""
"""The view of a file that has none."""

Part = Frame | Header


def names(file: Frame | Header) -> tuple[str, ...]:
    """The views in a file, the default one first; `(MONO,)` if it says nothing of views."""
    return _names((file, *file.others))


def _names(parts: Sequence[Part]) -> tuple[str, ...]:
    said = tuple(dict.fromkeys(view for part in parts if (view := _view(part))))
    listed = _listed(parts[0])
    if len(said) > 1 or not listed:  # parts of several views: these count, and not a list beside them
        return said or (MONO,)
    return listed if len(listed) > 1 else said or listed


def select(frame: Frame, view: str = MONO) -> Frame:
    """One view of a frame as a frame of one part.

    Its planes are the picture's part, and every layer of the same view and data window, under names without view.
    Windows and metadata are the picture part's; a list of views becomes this view.

    Args:
        frame: as `plate.read` gives it.
        view: one of `names`; `MONO` is the default view.

    Raises:
        InvalidInput: the file has no such view.
    """
    parts = (replace(frame, others=()), *frame.others)
    where = _located(parts, view)
    home = parts[where.home]
    planes = {name: parts[part].planes[stored] for name, (part, stored) in where.channels.items()}
    return replace(home, planes=planes, name="", metadata=_alone(home.metadata, where.view))


def header_of(header: Header, view: str = MONO) -> Header:
    """`select` for a header."""
    parts = (replace(header, others=()), *header.others)
    where = _located(parts, view)
    home = parts[where.home]
    channels = {name: parts[part].channels[stored] for name, (part, stored) in where.channels.items()}
    return replace(home, channels=channels, name="", metadata=_alone(home.metadata, where.view))


def put(frame: Frame, view: str, planes: Mapping[str, Array]) -> Frame:
    """The file with these planes of a view in place of those it had, and new ones where they belong.

    A new layer becomes dotted channels of the picture's part; but where layers are parts with plain names (`diffuse`:
    R, G, B) a part of its own, because Nuke stops reading part names as soon as one channel has a dot.

    Args:
        frame: as `plate.read` gives it.
        view: as for `select`.
        planes: names without view → (H, W) over the data window of the view's picture.

    Raises:
        InvalidInput: the file has no such view.
    """
    parts = [replace(frame, others=()), *frame.others]
    where = _located(parts, view)
    home = parts[where.home]
    changed: dict[int, dict[str, Array]] = {}
    layers: dict[str, dict[str, Array]] = {}
    for name, plane in planes.items():
        layer, _, channel = name.rpartition(".")
        if name in where.channels:
            part, stored = where.channels[name]
            changed.setdefault(part, {})[stored] = plane
        elif layer and where.apart:
            layers.setdefault(layer, {})[channel] = plane
        else:
            changed.setdefault(where.home, {})[where.stored(layer, channel)] = plane
    for index, new in changed.items():
        parts[index] = replace(parts[index], planes={**parts[index].planes, **new})
    for layer, new in layers.items():
        suffix = f".{where.view}" if _view(home) else ""
        parts.append(replace(home, name=f"{layer}{suffix}", planes=new))
    return replace(parts[0], others=tuple(parts[1:]))


@dataclass(frozen=True, kw_only=True)
class _Where:
    """A view's channels in a file.

    Attributes:
        view: its name.
        home: index of the part that has its picture.
        channels: name without view → (index of the part, name in it), of those that cover what the picture covers.
        listed: the views of a `multiView` file, whose channels are named by them; else none.
        apart: whether layers are parts of their own, with plain channels.
    """

    view: str
    home: int
    channels: Mapping[str, tuple[int, str]]
    listed: tuple[str, ...]
    apart: bool

    def stored(self, layer: str, channel: str) -> str:
        """What a new channel is called in the picture's part: the default view's own channels are plain."""
        named = self.listed and (layer or self.view != self.listed[0])
        return ".".join(word for word in (layer, self.view if named else "", channel) if word)


def _located(parts: Sequence[Part], view: str) -> _Where:
    known = _names(parts)
    asked = view or known[0]
    if asked not in known:
        there = "no views" if known == (MONO,) else f"the views {', '.join(known)}"
        raise InvalidInput(f"view: no {view!r}; the file has {there}", field="view", value=view)
    in_parts = len({view for part in parts if (view := _view(part))}) > 1
    listed = () if in_parts else _listed(parts[0])
    found: dict[int, dict[str, str]] = {}  # part → name without view → name in it
    for index, part in enumerate(parts):
        if not in_parts or _view(part) in (asked, MONO):
            split = ((stored, *_split(stored, listed, asked)) for stored in _channels(part))
            found[index] = {name: stored for stored, owner, name in split if owner == asked}
    home = _home(parts, found, asked)
    channels: dict[str, tuple[int, str]] = {}
    for index in (home, *(index for index in found if index != home)):
        layer = "" if index == home else _layer(parts[index].name, asked)
        if parts[index].data == parts[home].data:
            for name, stored in found[index].items():
                plain = layer and "." not in name
                channels.setdefault(f"{layer}.{name}" if plain else name, (index, stored))
    dotted = any("." in name for part in parts for name in _channels(part))
    apart = not dotted and len(parts) > len(known)
    return _Where(view=asked, home=home, channels=channels, listed=listed, apart=apart)


def _home(parts: Sequence[Part], found: Mapping[int, Mapping[str, str]], asked: str) -> int:
    """The first part with the view's R, G and B, rather one that is the view's own; without such its first part."""
    return min(
        found,
        key=lambda index: (not set("RGB") <= set(found[index]), _view(parts[index]) != asked, index),
    )


def _split(stored: str, listed: tuple[str, ...], asked: str) -> tuple[str, str]:
    """The view that a channel belongs to, where to none to the one asked for; and its name without it."""
    *layers, name = stored.split(".")
    if not listed or (layers and layers[-1] not in listed):
        return asked, stored
    return (layers[-1], ".".join((*layers[:-1], name))) if layers else (listed[0], stored)


def _layer(part: str, view: str) -> str:
    """`diffuse` of the part `diffuse`, `diffuse.left` or `diffuse_left`."""
    return re.sub(rf"[._-]{re.escape(view)}$", "", part) if view else part


def _alone(metadata: Mapping[str, Any], view: str) -> Mapping[str, Any]:
    """What a file says that has this view of several only: it names it in both ways."""
    listed = metadata.get("multiView")
    if not isinstance(listed, Typed) or len(listed.value) < 2:
        return metadata
    return {**metadata, "view": view, "multiView": Typed("stringvector", (view,))}


def _channels(part: Part) -> tuple[str, ...]:
    return tuple(part.planes if isinstance(part, Frame) else part.channels)


def _listed(part: Part) -> tuple[str, ...]:
    """The views of `multiView`."""
    entry = part.metadata.get("multiView")
    if not isinstance(entry, Typed) or isinstance(entry.value, bytes):
        return ()
    return tuple(dict.fromkeys(map(str, entry.value)))


def _view(part: Part) -> str:
    said = part.metadata.get("view", MONO)
    return said if isinstance(said, str) else MONO
