"""What every output frame says about itself: header keys of at most 31 characters, strings and numbers only.

`understudy/digest` is the identity of everything that shaped the frame; a frame whose digest is the wanted
one is not made again (promise 5).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from understudy.core.errors import FrameUnreadable

VERSION = 7  # of what a merge makes of the same frame and settings: count it up when pixels change
PREFIX = "understudy/"
PEOPLE = PREFIX + "people"  # their names by commas, where there are several: the first is on the bottom
DIGEST = PREFIX + "digest"
MODEL = PREFIX + "model"
MODEL_SHA = PREFIX + "modelSha"
RELEASE = PREFIX + "release"
RECIPE = PREFIX + "recipe"
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
ENHANCER = PREFIX + "enhancer"  # names of networks, by commas; of a trained one that of its folder
ENHANCER_SHA = PREFIX + "enhancerSha"
BOX = PREFIX + "box"
_OF_OTHERS = re.compile(rf"{PREFIX}\d/")
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


def people(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of several people; one empty name where there is one person, or nobody says."""
    return tuple(str(metadata.get(PEOPLE, "")).split(","))


def of_person(index: int, key: str) -> str:
    """The key under which an entry is one person's: the first one's are plain, others have their number."""
    return f"{PREFIX}{index + 1}/{key.removeprefix(PREFIX)}" if index else key


def box_key(view: str, views: Sequence[str], person: int = 0) -> str:
    """The key of a view's box among all `views` of a merge; its place where its name is too long for a key."""
    place, box = views.index(view), of_person(person, BOX)
    if place == 0:
        return box
    key = f"{box}/{view}"
    return key if len(key) <= LONGEST else f"{box}/{place}"


def fresh(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """A plate's header without what an earlier merge said that this one may have no say on, such as its box."""
    gone = (GAIN, BRIGHTEST, VIEWS, BOX, LAYERS, SEGMENTER, SEGMENTER_SHA, ENHANCER, ENHANCER_SHA, PEOPLE)
    kept = {n: v for n, v in metadata.items() if n not in gone and not n.startswith(f"{BOX}/")}
    return {n: v for n, v in kept.items() if not _OF_OTHERS.match(n)}


def own(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a header that is ours."""
    return {name: value for name, value in metadata.items() if name.startswith(PREFIX)}
