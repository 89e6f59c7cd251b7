"""What extraction has looked at: `extract.jsonl` in the faceset's folder, one line of JSON a frame.

The images say which faces there are; the journal says which frames need no second look, so that a face that a
person deleted stays deleted and a frame without a face costs nothing again. It is a memory, not an index: nothing
but extraction reads it, and who deletes it loses nothing but that. It goes where the folder goes, for no line names
the folder.

Lines are only ever added, and the last one of a frame counts; of a stereo plate each view has lines of its own. A
line that a kill or a full disk cut short is no JSON and is passed over: that frame is told by its images, or looked at
again.
"""

from __future__ import annotations

import errno
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from os import SEEK_END
from pathlib import Path

from understudy.core.errors import DiskFull, WriteFailed
from understudy.core.files import appending
from understudy.core.plate.views import MONO

NAME = "extract.jsonl"


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What came of looking at a frame, or at one view of it.

    Attributes:
        digest: of the settings and of the frame's file at that time.
        gain: exposure that the shot was looked at with.
        tracks: the person's id of each face found; empty where there was none.
    """

    digest: str
    gain: float
    tracks: tuple[int, ...] = ()


class Journal:
    """The lines about one view of one plate; a faceset may hold faces of several.

    Attributes:
        looked: frame → what its last line says; as it was on opening.
    """

    def __init__(self, faceset: Path, plate: str, view: str = MONO) -> None:
        """Read what there is; a folder without a journal has an empty one. `plate`: template in `%04d` form."""
        self._path = faceset / NAME
        self._subject = {"plate": plate} | ({"view": view} if view else {})
        self.looked: dict[int, Looked] = {}
        if self._path.is_file():
            with self._path.open("rb") as lines:
                self.looked = looked(lines).get((plate, view), {})

    def add(self, frame: int, looked: Looked) -> None:
        """Write a line, which the system has when this returns; any thread may.

        Not forced onto the disk: after a power cut the images, which are, tell what is done.

        Raises:
            DiskFull, WriteFailed: with the path and the frame.
        """
        entry = {**self._subject, "frame": frame, **vars(looked)}
        line = json.dumps(entry, allow_nan=False).encode() + b"\n"
        try:
            with appending(self._path) as file:  # one write, at the end whoever else writes
                file.write(line if _ends_clean(self._path) else b"\n" + line)
        except OSError as error:
            kind = DiskFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else WriteFailed
            raise kind(
                f"{self._path}: frame {frame} could not be noted: {error.strerror or error}",
                path=self._path,
                frame=frame,
            ) from error


def looked(lines: Iterable[bytes]) -> dict[tuple[str, str], dict[int, Looked]]:
    """All that a journal's lines say: plate and view → frame → what its last line says."""
    found: dict[tuple[str, str], dict[int, Looked]] = {}
    for line in lines:
        if entry := _entry(line):
            plate, view, frame, content = entry
            found.setdefault((plate, view), {})[frame] = content
    return found


def _ends_clean(path: Path) -> bool:
    """Whether the file ends with a whole line, so that the next one begins one."""
    with path.open("rb") as file:
        if not file.seek(0, SEEK_END):
            return True
        file.seek(-1, SEEK_END)
        return file.read(1) == b"\n"


def _entry(line: bytes) -> tuple[str, str, int, Looked] | None:
    """Plate, view, frame and content of a line, or None if it is not whole."""
    try:
        entry = json.loads(line)
        gain, tracks = float(entry["gain"]), tuple(map(int, entry["tracks"]))
        content = Looked(digest=str(entry["digest"]), gain=gain, tracks=tracks)
        where = str(entry["plate"]), str(entry.get("view", MONO)), int(entry["frame"])
        return (*where, content) if 0.0 < gain < math.inf else None
    except (ValueError, TypeError, KeyError, OverflowError, AttributeError):
        return None
