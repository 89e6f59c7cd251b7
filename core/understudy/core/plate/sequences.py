"""Which sequences lie in a folder: for who names a folder or a single frame where a plate is wanted."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from understudy.core.errors import NotFound
from understudy.core.frames import FrameRange
from understudy.core.plate.read import EXTENSIONS
from understudy.core.plate.template import Template

# the last number, unless it is too long for one; a minus behind a letter or digit is a dash between words: shot-1001
_NUMBERED = re.compile(
    r"(?P<prefix>.*?)(?P<number>(?:(?<![^\W_])-)?(?<![0-9])[0-9]{1,11})(?P<suffix>[^0-9]*)", re.DOTALL
)
_LISTED = 10  # of the sequences of a folder in one message


@dataclass(frozen=True, kw_only=True)
class Sequence:
    """An image sequence and what is on disk of it."""

    template: Template
    frames: FrameRange

    def __str__(self) -> str:
        return f"{Path(self.template.hashes).name} {self.frames}"


def sequences(folder: Path) -> list[Sequence]:
    """The EXR and DPX sequences of a folder, by name; hidden files are none.

    The last number of a name is the frame's. One name with two paddings is two sequences.

    Raises:
        NotFound: the folder cannot be listed.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for name in names(folder):
        if name.startswith("."):
            continue
        stem, extension = os.path.splitext(name)  # noqa: PTH122  a Path for each of thousands of names
        match = _NUMBERED.fullmatch(stem)
        if match and extension.lower() in EXTENSIONS:
            groups.setdefault((match["prefix"], match["suffix"] + extension), []).append(match["number"])
    return [found for group, numbers in groups.items() for found in _padded(folder, *group, numbers)]


def names(folder: Path) -> list[str]:
    """What is in a folder, in order.

    Raises:
        NotFound: it cannot be listed.
    """
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208  names are all we need, and folders hold thousands
    except OSError as error:
        raise NotFound(f"{folder}: cannot be listed: {error.strerror}", path=folder) from error


def refuse_single(path: Path) -> None:
    """Refuse a folder or a file that is there, where a plate's pattern is wanted.

    Raises:
        NotFound: names the sequences in the folder, the file's own first.
    """
    if not path.exists():
        return
    folder = path if path.is_dir() else path.parent
    found = sorted(sequences(folder), key=lambda s: s.template.number(path.name) is None)
    what = "a folder" if path.is_dir() else "a single file"
    if not found:
        raise NotFound(
            f"{path} is {what}, and there is no EXR or DPX sequence in {folder}; "
            "a plate is named as in plate.####.exr",
            path=path,
            field="path",
            value=path,
        )
    more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    listed = "; ".join(map(str, found[:_LISTED]))
    raise NotFound(
        f"{path} is {what}, not a sequence; name one, such as {found[0].template.hashes}. "
        f"In the folder: {listed}{more}",
        path=path,
        field="path",
        value=path,
    )


def _padded(folder: Path, prefix: str, suffix: str, numbers: list[str]) -> list[Sequence]:
    """The numbers of one name, parted by how wide they are written."""
    found: list[Sequence] = []
    for width in sorted(set(map(len, numbers))):
        template = Template(folder, prefix, width, suffix)
        mine = {n for n in numbers if template.path(int(n)).name == f"{prefix}{n}{suffix}"}
        if mine:
            found.append(Sequence(template=template, frames=FrameRange.from_frames(map(int, mine))))
        numbers = [n for n in numbers if n not in mine]
    return found
