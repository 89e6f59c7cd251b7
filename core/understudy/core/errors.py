"""The errors of core, one tree.

    UnderstudyError
    ├── InvalidInput        a setting is wrong: names the field and the value
    ├── NotFound            a plate, faceset, model or file is not there
    ├── FrameMissing        a frame of the range is not on disk
    ├── FrameUnreadable     a frame is there but zero bytes, truncated or of a kind we refuse
    ├── NoFace              nothing to work with: no face in the whole shot or faceset
    ├── TrackAmbiguous      several people and no choice made
    ├── WriteFailed         the output could not be written
    │   └── DiskFull
    ├── OutOfMemory         the device's or the machine's memory did not suffice
    ├── WeightsMissing      a network's weights are not on this machine
    ├── WeightsCorrupt      they are, but their SHA-256 is not the published one
    ├── LicenceNotAccepted  their licence forbids commercial use, and nobody has said that they may be used here
    ├── ModelInvalid        a model folder that can not be read
    ├── NotMeasured         a faceset is sorted by what has not been measured yet
    ├── ReleaseMissing      a likeness without a release record
    └── ReleaseInvalid      a release record that is malformed, revoked or out of date

`reason` is a stable token: the daemon puts it on the wire and scripts branch on it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar


class UnderstudyError(Exception):
    """Base of every error that core raises on purpose.

    Args:
        message: a whole sentence for a person: what is wrong, where, and what to do about it.
        path: the file or folder concerned.
        frame: the frame number concerned.
        field: the setting concerned, as the API names it.
        value: the value that was refused.
    """

    reason: ClassVar[str] = "INTERNAL"

    def __init__(
        self,
        message: str,
        *,
        path: Path | str | None = None,
        frame: int | None = None,
        field: str | None = None,
        value: object = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.path = None if path is None else str(path)
        self.frame = frame
        self.field = field
        self.value = value

    def details(self) -> dict[str, str]:
        """The parts that are set, as text: what the daemon sends beside the reason."""
        parts = {"path": self.path, "frame": self.frame, "field": self.field, "value": self.value}
        return {name: str(part) for name, part in parts.items() if part is not None}


@contextmanager
def said_by(saying: Callable[[str], str]) -> Iterator[None]:
    """Errors raised within get their message from `saying`."""
    try:
        yield
    except UnderstudyError as error:
        error.message = saying(error.message)
        error.args = (error.message,)
        raise


def meant(name: str, known: Iterable[str]) -> str:
    """What a message about a name that is not known ends with: the one most like it, or nothing."""
    near = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {near[0]!r}?" if near else ""


class InvalidInput(UnderstudyError):
    reason = "INVALID_INPUT"


class NotFound(UnderstudyError):
    reason = "NOT_FOUND"


class FrameMissing(UnderstudyError):
    reason = "FRAME_MISSING"


class FrameUnreadable(UnderstudyError):
    reason = "FRAME_UNREADABLE"


class NoFace(UnderstudyError):
    reason = "NO_FACE"


class TrackAmbiguous(UnderstudyError):
    reason = "TRACK_AMBIGUOUS"


class WriteFailed(UnderstudyError):
    reason = "WRITE_FAILED"


class DiskFull(WriteFailed):
    reason = "DISK_FULL"


class OutOfMemory(UnderstudyError):
    reason = "OUT_OF_MEMORY"


class WeightsMissing(UnderstudyError):
    reason = "WEIGHTS_MISSING"


class WeightsCorrupt(UnderstudyError):
    reason = "WEIGHTS_CORRUPT"


class LicenceNotAccepted(UnderstudyError):
    reason = "LICENCE_NOT_ACCEPTED"


class ModelInvalid(UnderstudyError):
    reason = "MODEL_INVALID"


class NotMeasured(UnderstudyError):
    reason = "NOT_MEASURED"


class ReleaseMissing(UnderstudyError):
    reason = "RELEASE_MISSING"


class ReleaseInvalid(UnderstudyError):
    reason = "RELEASE_INVALID"
