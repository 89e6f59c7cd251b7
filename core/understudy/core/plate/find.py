"""Which frames of a sequence are on disk."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from understudy.core.errors import FrameMissing, FrameUnreadable, InvalidInput, NotFound
from understudy.core.frames import FrameRange
from understudy.core.plate.read import EXTENSIONS, read_header
from understudy.core.plate.template import Template
from understudy.core.plate.views import MONO, header_of, names

_MOST = (
    1_000_000  # frames between first and last: 11 hours of film; a file named by a date would make billions
)


@dataclass(frozen=True, kw_only=True)
class Plate:
    """An image sequence on disk, and the part of it that work is asked for.

    Attributes:
        template: where the frames are.
        frames: those asked for.
        present: those of them that are on disk, in every view.
        views: the views to work on, where files or names tell several apart; none is all that there are
            (`views_of`).
        colour_space: the name of the space the pixels are in; None is not known: see `guess_colour_space`.
    """

    template: Template
    frames: FrameRange
    present: FrameRange
    colour_space: str | None = None
    views: tuple[str, ...] = ()

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

    def paths(self, number: int) -> tuple[Path, ...]:
        """The files of a frame: one, or one of each view."""
        if not self.template.has_view:
            return (self.template.path(number),)
        return tuple(self.template.of_view(view).path(number) for view in self.views)


def views_of(plate: Plate) -> tuple[str, ...]:
    """The views to work on, the default one first; `(MONO,)` for a plate that has none.

    Which views are in a file its header says: of the first frame that can be opened.

    Raises:
        InvalidInput: a view was asked for that the file has not.
    """
    if plate.template.has_view:
        return plate.views
    for path in map(plate.template.path, plate.present):
        try:
            header = read_header(path)
        except (FrameMissing, FrameUnreadable):
            continue  # its own report will say so
        for view in plate.views:
            header_of(header, view)
        return plate.views or names(header)
    return plate.views or (MONO,)


def find(
    path: str,
    frames: FrameRange | None = None,
    colour_space: str | None = None,
    views: tuple[str, ...] = (),
) -> Plate:
    """Look for a sequence.

    Args:
        path: a template such as `shot/plate.####.exr`.
        frames: those wanted; default: all from the first to the last on disk, so that holes count as missing.
        colour_space: the name of the space the pixels are in, handed on.
        views: those wanted; default: all that there are.

    Raises:
        NotFound: no frame of the sequence is on disk.
        InvalidInput: not a template; not EXR or DPX; one name with two paddings on disk; a frame wanted that
            lies before the first or after the last on disk; a view wanted that no file has.
    """
    template = Template.parse(path)
    if template.extension not in EXTENSIONS:
        raise InvalidInput(f"path: {path!r} is not {' or '.join(EXTENSIONS)}", field="path", value=path)
    if template.has_view:
        views = _views(template, views)
        each = [set(_numbers(template.of_view(view))) for view in views]
        on_disk = FrameRange.from_frames(set.intersection(*each))
        whole = FrameRange.from_frames(set.union(*each))
    else:
        on_disk = whole = FrameRange.from_frames(_numbers(template))
    if not len(on_disk):
        raise NotFound(
            f"{template}: no frame of this sequence is on disk{_hint(template)}", path=template.hashes
        )
    first, last = _ends(whole)
    outside = FrameRange.from_frames(n for n in frames or () if not first <= n <= last)
    if len(outside):
        raise InvalidInput(
            f"frames: {frames} asks for {outside}, but {template} has {whole} on disk",
            path=template.hashes,
            field="frames",
            value=str(frames),
        )
    if frames is None and last - first >= _MOST:
        raise InvalidInput(
            f"frames: {template} goes from {first} to {last} on disk, which is more than {_MOST} frames; move stray "
            "files away, or say which frames are meant",
            path=template.hashes,
            field="frames",
            value=f"{first}-{last}",
        )
    asked = frames if frames is not None else FrameRange.of(first, last)
    present = FrameRange.from_frames(n for n in asked if n in on_disk)
    return Plate(template=template, frames=asked, present=present, colour_space=colour_space, views=views)


def _views(template: Template, asked: tuple[str, ...]) -> tuple[str, ...]:
    """The views that have files, `left` first as Nuke has it; refuses one that was asked for and has none."""
    found = _views_on_disk(template)
    if not found:
        raise NotFound(f"{template}: no frame of any view is on disk", path=template.hashes)
    if lacking := [view for view in asked if view not in found]:
        raise InvalidInput(
            f"view: {template} has no files of {lacking[0]!r}; it has {', '.join(found)}",
            path=template.hashes,
            field="view",
            value=lacking[0],
        )
    return asked or found


def _views_on_disk(template: Template) -> tuple[str, ...]:
    """Names that may stand for `%V`, by the files that are there; `%v` alone is taken for left and right."""
    if "%V" not in template.text:
        return tuple(view for view in ("left", "right") if _numbers(template.of_view(view)))
    path = Path(template.directory) / f"{template.prefix}*{template.suffix}"
    first = next(i for i, word in enumerate(path.parts) if "%V" in word)
    pattern = re.escape(path.parts[first]).replace("%V", "(?P<view>[A-Za-z][A-Za-z0-9_]*)", 1)
    pattern = pattern.replace("%V", "(?P=view)").replace("%v", "[a-z]").replace(r"\*", "-?[0-9]+")
    matches = (re.fullmatch(pattern, name) for name in _list(Path(*path.parts[:first])))
    found = {match["view"] for match in matches if match}
    with_frames = (view for view in found if _numbers(template.of_view(view)))
    return tuple(sorted(with_frames, key=lambda view: (view != "left", view)))


def _ends(frames: FrameRange) -> tuple[int, int]:
    numbers = list(frames)
    return numbers[0], numbers[-1]


def _list(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208  names are all we need, and folders hold thousands
    except (FileNotFoundError, NotADirectoryError):
        return []


def refuse_other_padding(template: Template) -> None:
    """Refuse to write where the same name with another padding is: no reader could tell the two sequences apart.

    Raises:
        InvalidInput: so it is.
    """
    try:
        others = _by_padding(template)[1]
    except OSError:
        return  # a folder that may not be listed, say: what cannot be written is told where it is written
    if others:
        raise _two_paddings(template, others)


def _numbers(template: Template) -> list[int]:
    """The frames on disk; refuses a folder where one name comes with two paddings."""
    numbers, others = _by_padding(template)
    if numbers and others:
        raise _two_paddings(template, others)
    return numbers


def _by_padding(template: Template) -> tuple[list[int], list[str]]:
    """The frames on disk, and the files that would be frames but for their padding."""
    numbers: list[int] = []
    others: list[str] = []
    for name in _list(template.directory):
        number = template.number(name)
        if number is not None:
            numbers.append(number)
        elif template.padding(name) is not None:
            others.append(name)
    return numbers, others


def _two_paddings(template: Template, others: list[str]) -> InvalidInput:
    return InvalidInput(
        f"{template}: the folder has the same name with another padding, {min(others)}; "
        "move one of the two sequences away",
        path=template.hashes,
        field="path",
        value=template.hashes,
    )


def _hint(template: Template) -> str:
    """What to do about a sequence that is not there: the folder or the padding may be meant otherwise."""
    if not template.directory.is_dir():
        return f": there is no folder {template.directory}"
    widths = {width for name in _list(template.directory) if (width := template.padding(name)) is not None}
    return f"; {replace(template, width=min(widths))} is" if widths else ""
