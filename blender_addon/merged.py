# SPDX-License-Identifier: GPL-3.0-or-later
"""What a merge has written so far: its frames on disk, and its layers by the first frame's own header."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from . import exr

if TYPE_CHECKING:
    from understudy.client.link import Refused
    from understudy.client.link.naming import at_frame
else:
    from .link import Refused
    from .link.naming import at_frame

_TOKEN = re.compile(r"%0?\d*d|#+|@+")
_VERSION = re.compile(r"(?<=[/._])v(\d+)(?=[/._])")
FACE, MATTE = "face", "mask_blend"  # of each person a merge always has both


class Merged(NamedTuple):
    """Frames of one version.

    Attributes:
        pattern: on this machine, with a frame token.
        numbers: of the frames that are there, sorted; at least one.
        header: the first one's.
    """

    pattern: str
    numbers: tuple[int, ...]
    header: exr.Header

    @property
    def first(self) -> int:
        return self.numbers[0]

    @property
    def last(self) -> int:
        return self.numbers[-1]

    @property
    def path(self) -> str:
        """Of the first frame."""
        return at_frame(self.pattern, self.first)

    @property
    def colour_space(self) -> str:
        """Of the picture and the faces, as the daemon's colour config calls it."""
        return self.header.texts.get("understudy/colour", "")

    @property
    def plate(self) -> str:
        """The plate's pattern, as the daemon's machine calls it."""
        return self.header.texts.get("understudy/plate", "")

    @property
    def people(self) -> tuple[str, ...]:
        """What stands before the layers' names, in the order of the merge: the first one's have nothing."""
        names = [n.strip() for n in self.header.texts.get("understudy/people", "").split(",")]
        return ("", *(f"{name}_" for name in names[1:]))

    @property
    def layers(self) -> tuple[str, ...]:
        """The merge's own, without what the plate had."""
        said = [n.strip() for n in self.header.texts.get("understudy/layers", "").split(",")]
        return tuple(n for n in said if n in self.header.layers)


def find(pattern: str, *, layered: bool = True) -> Merged:
    """The frames of a pattern.

    Args:
        layered: refuse frames that have no layers.

    Raises:
        Refused: no frame yet, a damaged one, no layers, or a name that Blender reads otherwise than it is meant.
    """
    found = numbers(pattern)
    if not found:
        raise Refused(f"{pattern}: no frame of it is there yet", field="output")
    header = exr.read(at_frame(pattern, found[0]))
    merged = Merged(pattern, found, header)
    if layered and not all(p + name in header.layers for p in merged.people for name in (FACE, MATTE)):
        if any(f"{FACE}.{view}" in header.layers for view in header.views):
            raise Refused(
                f"{merged.path}: the views {', '.join(header.views)} in one file, which Blender's nodes do not take "
                "apart; merge a plate that has files of its own for each view",
                field="layers",
            )
        raise Refused(f"{merged.path}: no layers in it; merge with layers", field="layers")
    return merged


def numbers(pattern: str) -> tuple[int, ...]:
    """Of the frames on disk, sorted; nothing where there is no such folder."""
    folder, name = os.path.split(pattern)
    token = _TOKEN.search(name)
    if token is None:
        raise Refused(f"{pattern}: no frame token such as #### in it", field="output")
    form = re.compile(re.escape(name[: token.start()]) + r"(-?\d+)" + re.escape(name[token.end() :]))
    try:
        entries = os.listdir(folder)
    except OSError:
        return ()
    words = (m[1] for m in map(form.fullmatch, entries) if m)
    return tuple(
        sorted(n for n in {int(w) for w in words} if os.path.basename(at_frame(pattern, n)) in entries)
    )


def version(path: str) -> int | None:
    """The last `v001` in a path."""
    said = _VERSION.findall(path.replace("\\", "/"))
    return int(said[-1]) if said else None


def counted(merged: Merged) -> None:
    """Refuse what Blender's own counting of image sequences reads otherwise.

    It takes the last digits of a file's name for the number, and knows none below 0.

    Raises:
        Refused
    """
    name = os.path.basename(merged.path)
    stem, digits = os.path.splitext(name)[0], at_frame("####", merged.first)
    if merged.first < 0:
        raise Refused(
            f"{name}: Blender counts no frame below 0; write the shot with other numbers", field="output"
        )
    last = re.findall(r"\d+", stem)[-1]
    if int(last) != int(digits) or not stem.endswith(last):
        raise Refused(
            f"{name}: Blender takes {last} for its number; the number must come last", field="output"
        )


def gaps(found: Sequence[int]) -> tuple[int, ...]:
    """The numbers between the first and the last that are not there."""
    there = set(found)
    return tuple(n for n in range(found[0], found[-1]) if n not in there)
