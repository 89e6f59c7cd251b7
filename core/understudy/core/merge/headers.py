"""What every output frame says about itself: header keys of at most 31 characters, strings and numbers only.

`understudy/digest` is the identity of everything that shaped the frame; a frame whose digest is the wanted
one is not made again (promise 5).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from understudy.core.errors import FrameUnreadable

VERSION = 3  # of what a merge makes of the same frame and settings: count it up when pixels change
PREFIX = "understudy/"
DIGEST = PREFIX + "digest"
PLATE = PREFIX + "plate"
PLATE_FRAME = PREFIX + "plateFrame"
PLATE_COLOUR = PREFIX + "plateColour"
COLOUR = PREFIX + "colour"
CONFIG = PREFIX + "config"
CONFIG_ID = PREFIX + "configId"
KNEE = PREFIX + "curveKnee"
MAXIMUM = PREFIX + "curveMaximum"
BRIGHTEST = PREFIX + "brightest"  # the largest value, in the working space, that a network says by itself
VIEWS = PREFIX + "views"
SYNTHETIC = PREFIX + "synthetic"
REPLACED = "face_replacement"  # what it says of a frame with a swapped face
GAIN = PREFIX + "gain"
LAYERS = PREFIX + "layers"  # names of ours in the file, by commas
SEGMENTER = PREFIX + "segmenter"
SEGMENTER_SHA = PREFIX + "segmenterSha"
BOX = PREFIX + "box"
LONGEST = 31  # characters of a key that every reader takes
_BLOCK = 1 << 20


def software() -> str:
    """The version of this software, as packaged."""
    return version("understudy")


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hex digits.

    Raises:
        FrameUnreadable: the system does not let us.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        raise FrameUnreadable(f"{path}: could not be read: {error.strerror}", path=path) from error
    return digest.hexdigest()


def digest(*parts: Any) -> str:
    """SHA-256 of values that JSON can hold, 64 hex digits."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def box_key(view: str, views: Sequence[str]) -> str:
    """The key of a view's box among all `views` of a merge; its place where its name is too long for a key."""
    place = views.index(view)
    if place == 0:
        return BOX
    key = f"{BOX}/{view}"
    return key if len(key) <= LONGEST else f"{BOX}/{place}"


def fresh(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """A plate's header without what an earlier merge said that this one may have no say on, such as its box."""
    gone = (GAIN, BRIGHTEST, VIEWS, BOX, LAYERS, SEGMENTER, SEGMENTER_SHA)
    return {n: v for n, v in metadata.items() if n not in gone and not n.startswith(f"{BOX}/")}


def own(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a header that is ours."""
    return {name: value for name, value in metadata.items() if name.startswith(PREFIX)}
