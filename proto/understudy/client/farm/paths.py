"""Which options of a command are paths, of what kind, and whether the work reads or writes there.

A farm maps paths from the machine that submits to the one that works, and some carry the files over; both need to
know what is a path. A pattern of frames is no file: its folder is the path, its name a text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from understudy.client.specs.parts import absolute, is_video

IN, OUT, INOUT = "IN", "OUT", "INOUT"
FILE, FOLDER = "FILE", "DIRECTORY"
PATTERN = "PATTERN"  # a folder, and a name with a frame token
_PACK = ".faceset"  # what lies where a folder may, and is a file


@dataclass(frozen=True)
class Kind:
    """What one option names.

    Attributes:
        form: `FILE`, `FOLDER` or `PATTERN`.
        flow: as Open Job Description's dataFlow.
        ranged: `=RANGE` may stand behind it.
    """

    form: str
    flow: str
    ranged: bool = False


_PLATE, _FACES, _READ, _MATTE = Kind(PATTERN, IN), Kind(FOLDER, IN), Kind(FILE, IN), Kind(PATTERN, IN, True)

# By verb and by the name of the command's parameter. A test goes through all options of these verbs.
OPTIONS: Mapping[str, Mapping[str, Kind]] = MappingProxyType(
    {
        "ingest": {"video": _READ, "pattern": Kind(PATTERN, OUT)},
        "extract": {
            "plate": _PLATE,
            "faceset": Kind(FOLDER, INOUT),
            "release": _READ,
            "reference": _READ,
        },
        "train": {
            "model": Kind(FOLDER, INOUT),
            "src": _FACES,
            "dst": _FACES,
            "start_from": _FACES,
            "phases_": _READ,
            "release": _READ,
        },
        "merge": {
            "plate": _PLATE,
            "faceset": _FACES,
            "model": _FACES,
            "segmenter": _FACES,
            "enhancer": _FACES,
            "out": Kind(PATTERN, INOUT),
            "recipe": _READ,
            "recipe_from": _READ,
            "limit_matte": _MATTE,
            "add_matte": _MATTE,
            "keep_matte": _MATTE,
        },
        "verify": {"output": _PLATE, "plate": _PLATE},
        "review": {
            "output": _PLATE,
            "plate": _PLATE,
            "out": Kind(FILE, OUT),
            "sheet": Kind(FILE, OUT),
        },
    }
)


@dataclass(frozen=True)
class Place:
    """A path of a command line, absolute.

    Attributes:
        path: of a folder, or of a file.
        name: of a pattern, seen from that folder; else empty.
        form: `FILE` or `FOLDER`.
        flow: as Open Job Description's dataFlow.
    """

    path: str
    name: str
    form: str
    flow: str

    def needs(self, other: Place) -> bool:
        """Whether something that is read here is written there, or both write the same."""
        if other.flow == IN:
            return False
        mine, theirs = (Path(each.path, plain(each.name)) for each in (self, other))
        return mine == theirs or theirs in mine.parents or mine in theirs.parents


def place(text: str, kind: Kind) -> Place:
    """Where an option's value points to, from the folder that the command runs in."""
    path = absolute(text)
    if kind.form != PATTERN:
        form = FILE if Path(path).suffix == _PACK else kind.form
        return Place(path, "", form, kind.flow)
    if is_video(path):
        return Place(path, "", FILE, kind.flow)
    folder = next(each for each in Path(path).parents if not _has_token(str(each)))
    return Place(str(folder), Path(path).relative_to(folder).as_posix(), FOLDER, kind.flow)


def plain(pattern: str) -> str:
    """A pattern with its frame token in one form: `####`, `@@@@` and `%04d` are the same."""
    return re.sub(r"#+|@+|%0?\d*d", "#", pattern)


def _has_token(text: str) -> bool:
    """Whether a frame's or a view's token may be in it."""
    return any(sign in text for sign in "%#@")
