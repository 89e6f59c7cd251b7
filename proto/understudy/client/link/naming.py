"""Names of sequences, as hosts' files and knobs say them: `/shots/sh010/swap_v001/swap_v001.####.exr`."""

from __future__ import annotations

import os
import re

from .errors import Refused

_TOKEN = re.compile(r"%0?\d*d|#+|@+")
_VERSION = re.compile(r"(?<=[/._])v(\d+)(?=[/._]|$)")


def has_token(pattern: str) -> bool:
    """Whether the file's name has a place for the frame's number."""
    return bool(_TOKEN.search(os.path.basename(pattern)))


def at_frame(pattern: str, frame: int) -> str:
    """The path of one frame; a negative number's sign stands before its zeros."""

    def number(match: re.Match[str]) -> str:
        token = match.group(0)
        return token % frame if token[0] == "%" else "{:0{}d}".format(frame, len(token) + (frame < 0))

    folder, name = os.path.split(pattern)
    return os.path.join(folder, _TOKEN.sub(number, name))


def at_version(pattern: str, version: int, field: str = "output") -> str:
    """The pattern of one version; every `v001` in it is counted alike.

    Raises:
        Refused: there is no version or no frame token in it; `field` says whose.
    """
    if not _VERSION.search(pattern):
        raise Refused("{}: no version such as v001 in it".format(pattern), field=field)
    if not has_token(pattern):
        raise Refused("{}: no frame token such as #### in it".format(pattern), field=field)
    return _VERSION.sub(lambda m: "v{:0{}d}".format(version, len(m.group(1))), pattern)
