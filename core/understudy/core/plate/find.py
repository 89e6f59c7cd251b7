"""Which frames of a sequence are on disk."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from understudy.core.errors import InvalidInput, NotFound
from understudy.core.frames import FrameRange
from understudy.core.plate.read import EXTENSIONS
from understudy.core.plate.template import Template


@dataclass(frozen=True, kw_only=True)
class Plate:
    """An image sequence on disk, and the part of it that work is asked for.

    Attributes:
        template: where the frames are.
        frames: those asked for.
        present: those of them that are on disk.
        colour_space: the name of the space the pixels are in; None is not known: see `guess_colour_space`.
    """

    template: Template
    frames: FrameRange
    present: FrameRange
    colour_space: str | None = None

    def __post_init__(self) -> None:
        stray = [n for n in self.present if n not in self.frames]
        if stray:
            raise InvalidInput(
                f"{self.template}: frame {stray[0]} is present but was not asked for",
                field="present",
                value=stray[0],
            )

    @property
    def missing(self) -> FrameRange:
        """Asked for, but not on disk."""
        return FrameRange.from_frames(n for n in self.frames if n not in self.present)


def find(path: str, frames: FrameRange | None = None, colour_space: str | None = None) -> Plate:
    """Look for a sequence.

    Args:
        path: a template such as `shot/plate.####.exr`.
        frames: those wanted; default: all from the first to the last on disk, so that holes count as missing.
        colour_space: the name of the space the pixels are in, handed on.

    Raises:
        NotFound: no frame of the sequence is on disk.
        InvalidInput: not a template; not EXR or DPX; one name with two paddings on disk; a frame wanted that
            lies before the first or after the last on disk.
    """
    template = Template.parse(path)
    if template.extension not in EXTENSIONS:
        raise InvalidInput(f"path: {path!r} is not {' or '.join(EXTENSIONS)}", field="path", value=path)
    on_disk = FrameRange.from_frames(_numbers(template))
    if not len(on_disk):
        raise NotFound(
            f"{template}: no frame of this sequence is on disk{_hint(template)}", path=template.hashes
        )
    first, last = _ends(on_disk)
    outside = FrameRange.from_frames(n for n in frames or () if not first <= n <= last)
    if len(outside):
        raise InvalidInput(
            f"frames: {frames} asks for {outside}, but {template} has {on_disk} on disk",
            path=template.hashes,
            field="frames",
            value=str(frames),
        )
    asked = frames if frames is not None else FrameRange.of(first, last)
    present = FrameRange.from_frames(n for n in asked if n in on_disk)
    return Plate(template=template, frames=asked, present=present, colour_space=colour_space)


def _ends(frames: FrameRange) -> tuple[int, int]:
    numbers = list(frames)
    return numbers[0], numbers[-1]


def _names(template: Template) -> list[str]:
    try:
        return os.listdir(template.directory)  # noqa: PTH208  names are all we need, and folders hold thousands
    except (FileNotFoundError, NotADirectoryError):
        return []


def _numbers(template: Template) -> list[int]:
    """The frames on disk; refuses a folder where one name comes with two paddings."""
    numbers: list[int] = []
    others: dict[int, str] = {}
    for name in _names(template):
        number = template.number(name)
        if number is not None:
            numbers.append(number)
        elif (width := template.padding(name)) is not None:
            others[width] = name
    if numbers and others:
        raise InvalidInput(
            f"{template}: the folder has the same name with another padding, {min(others.values())}; "
            "move one of the two sequences away",
            path=template.hashes,
            field="path",
            value=template.hashes,
        )
    return numbers


def _hint(template: Template) -> str:
    """What to do about a sequence that is not there: the folder or the padding may be meant otherwise."""
    if not template.directory.is_dir():
        return f": there is no folder {template.directory}"
    widths = {width for name in _names(template) if (width := template.padding(name)) is not None}
    return f"; {replace(template, width=min(widths))} is" if widths else ""
