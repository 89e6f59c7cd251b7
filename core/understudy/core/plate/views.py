"""Stereo, and files of several parts: where the picture of a view is, and how a changed one goes back.

OpenEXR keeps views in either of two ways ("Storing Multi-View Images in OpenEXR Files"): one part whose attribute
`multiView` lists them and whose channels are `layer.view.channel` (the first view's own channels are plain), or parts
that each carry an attribute `view`. Layers may be dotted channels or parts of their own. The rest of the house sees
one view at a time, as a frame of one part with plain names: R, G, B, A, `depth.Z`, `face.R`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from understudy.core.errors import InvalidInput
from understudy.core.frames import Array, Frame
from understudy.core.plate.header import Header
from understudy.core.plate.metadata import Typed

MONO = ""
"""The view of a file that has none."""

Part = TypeVar("Part", Frame, Header)


def names(file: Frame | Header) -> tuple[str, ...]:
    """The views in a file, the default one first; `(MONO,)` if it says nothing of views."""
    listed = _listed(file)
    if len(listed) > 1:
        return listed
    said = dict.fromkeys(view for part in _parts(file) if (view := _of(part)))
    return tuple(said) or listed or (MONO,)


def select(frame: Frame, view: str = MONO) -> Frame:
    """One view of a frame as a frame of one part.

    Its planes are the picture's part, and every layer of the same view and data window, under names without view.
    Windows and metadata are the picture part's.

    Args:
        frame: as `plate.read` gives it.
        view: one of `names`; `MONO` is the default view.

    Raises:
        InvalidInput: the file has no such view.
    """
    where = _located(frame, view)
    home = where.parts[where.home]
    planes = {
        name: where.parts[part].planes[stored]
        for name, (part, stored) in where.channels.items()
        if where.parts[part].data == home.data
    }
    return replace(home, planes=planes, name="", others=())


def header_of(header: Header, view: str = MONO) -> Header:
    """`select` for a header."""
    where = _located(header, view)
    home = where.parts[where.home]
    channels = {
        name: where.parts[part].channels[stored]
        for name, (part, stored) in where.channels.items()
        if where.parts[part].data == home.data
    }
    return replace(home, channels=channels, name="", others=())


def put(frame: Frame, view: str, planes: Mapping[str, Array]) -> Frame:
    """The file with these planes of a view in place of those it had, and new ones where they belong.

    A new layer becomes dotted channels of the picture's part; but where another part has plain names (`diffuse`: R, G,
    B) a part of its own, because Nuke stops reading part names as soon as one channel has a dot.

    Args:
        frame: as `plate.read` gives it.
        view: as for `select`.
        planes: names without view → (H, W) over the data window of the view's picture.
    """
    where = _located(frame, view)
    parts = list(where.parts)
    home = parts[where.home]
    changed: dict[int, dict[str, Array]] = {}
    layers: dict[str, dict[str, Array]] = {}
    for name, plane in planes.items():
        if name in where.channels:
            part, stored = where.channels[name]
            changed.setdefault(part, {})[stored] = plane
        else:
            layer, _, channel = name.rpartition(".")
            if layer and where.apart:
                layers.setdefault(layer, {})[channel] = plane
            else:
                changed.setdefault(where.home, {})[where.stored(layer, channel)] = plane
    for index, new in changed.items():
        parts[index] = replace(parts[index], planes={**parts[index].planes, **new})
    for layer, new in layers.items():
        parts.append(replace(home, name=where.part_name(layer), planes=new, others=()))
    return replace(parts[0], others=tuple(parts[1:]))


@dataclass(frozen=True, kw_only=True)
class _Where:
    """A view's channels in a file.

    Attributes:
        home: index of the part that has its picture.
        channels: name without view → (index of the part, name in it).
        view: what its channels are named by in a `multiView` file, else empty.
        default: whether that is the first of the list, whose channels outside layers are plain.
        in_parts: whether views are parts.
    """

    parts: tuple[Any, ...]
    home: int
    channels: Mapping[str, tuple[int, str]]
    view: str = MONO
    default: bool = True
    in_parts: bool = False

    @property
    def apart(self) -> bool:
        """Whether layers are parts of their own."""
        several = len(self.parts) > 1
        return several and not any("." in name for part in self.parts for name in _channels(part))

    def stored(self, layer: str, channel: str) -> str:
        view = self.view if layer or not self.default else MONO
        return ".".join(word for word in (layer, view, channel) if word)

    def part_name(self, layer: str) -> str:
        return ".".join(word for word in (layer, self.in_parts and _of(self.parts[self.home])) if word)


def _located(file: Any, view: str) -> _Where:
    parts, known = _parts(file), names(file)
    asked = view or known[0]
    if asked not in known:
        there = "no views" if known == (MONO,) else f"the views {', '.join(known)}"
        raise InvalidInput(f"view: no {view!r}; the file has {there}", field="view", value=view)
    listed = _listed(file)
    if len(listed) > 1:
        found: dict[str, tuple[int, str]] = {}
        for index, part in enumerate(parts):
            for stored in _channels(part):
                owner, name = _split(stored, listed)
                if owner in (asked, MONO):
                    found.setdefault(name, (index, stored))
        home = next((found[c][0] for c in "RGB" if c in found), 0)
        return _Where(parts=parts, home=home, channels=found, view=asked, default=asked == listed[0])
    mine = [i for i, part in enumerate(parts) if known == (MONO,) or _of(part) in (asked, MONO)]
    found = {}
    home = next((i for i in mine if set("RGB") <= set(_channels(parts[i]))), mine[0])
    for index in [home, *(i for i in mine if i != home)]:
        layer = _layer(parts[index].name, asked)
        for stored in _channels(parts[index]):
            plain = "." not in stored and index != home and layer
            found.setdefault(f"{layer}.{stored}" if plain else stored, (index, stored))
    return _Where(parts=parts, home=home, channels=found, in_parts=known != (MONO,))


def _split(stored: str, views: tuple[str, ...]) -> tuple[str, str]:
    """The view a channel belongs to (`MONO`: to none, which is to all) and its name without it."""
    words = stored.split(".")
    if len(words) == 1:
        return views[0], stored
    if words[-2] in views:
        return words[-2], ".".join((*words[:-2], words[-1]))
    return MONO, stored


def _layer(part: str, view: str) -> str:
    """`diffuse` of the part `diffuse` or `diffuse.left`."""
    return part.removesuffix(f".{view}") if view else part


def _parts(file: Part) -> tuple[Part, ...]:
    return (file, *file.others)


def _channels(part: Frame | Header) -> tuple[str, ...]:
    return tuple(part.planes if isinstance(part, Frame) else part.channels)


def _listed(file: Frame | Header) -> tuple[str, ...]:
    """The views of `multiView`."""
    entry = file.metadata.get("multiView")
    return tuple(map(str, entry.value)) if isinstance(entry, Typed) else ()


def _of(part: Frame | Header) -> str:
    said = part.metadata.get("view", MONO)
    return said if isinstance(said, str) else MONO
