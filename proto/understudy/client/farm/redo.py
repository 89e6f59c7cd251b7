"""Which frames of a bundle's merges have to be made again, as values for the same template."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from understudy.client import frames as ranges
from understudy.client.errors import Refused
from understudy.client.farm.bundle import MERGES, VALUES
from understudy.client.farm.commands import LONGEST
from understudy.client.farm.paths import plain
from understudy.client.session import Session
from understudy.client.specs import Plate

FILE = "redo.json"
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Faulty:
    """One frame that has to be made again.

    Attributes:
        why: what is wrong with it, as the check or the merge said.
    """

    frame: int
    why: str


def merges(bundle: Path) -> dict[str, Mapping[str, str]]:
    """The bundle's merges: the parameter that holds the frames → `plate`, `out` and `frames`.

    Raises:
        NotFound: there is no bundle.
        Refused: it has no merge.
    """
    found, values = (_read(bundle / name) for name in (MERGES, VALUES))
    if not found:
        raise Refused.invalid("bundle", bundle, f"{bundle}: has no merge")
    return {name: {**patterns, "frames": values[name]} for name, patterns in found.items()}


def faulty(session: Session, merge: Mapping[str, str]) -> list[Faulty]:
    """Frames that are missing, that do not pass `verify`, or that the manifest says have failed.

    Raises:
        UnderstudyError: the output cannot be checked.
    """
    wanted = ranges.parse(merge["frames"], "openjd")
    job = session.verify(Plate(merge["out"], wanted), merge["plate"])
    job.wait()
    found = {
        each.frame: Faulty(each.frame, each.error.message or each.error.reason)
        for each in job.frames(("FAILED", "MISSING"))
    }
    asked = set(ranges.expand(wanted))
    for record in _records(merge["out"]):
        frame = int(record["frame"])
        if record.get("status") == "failed" and frame in asked:
            found.setdefault(frame, Faulty(frame, str(record.get("message"))))
    return [found[number] for number in sorted(found)]


def write(bundle: Path, found: Mapping[str, list[Faulty]]) -> Path:
    """Write the values that make the template's merges make these frames, whatever lies there, and no others.

    Args:
        found: the parameter that holds the frames → the frames; those without any keep what they have.

    Raises:
        Refused: too many single frames for a parameter.
    """
    values: dict[str, str] = {}
    for name, frames in found.items():
        if not frames:
            continue
        text = ranges.text(ranges.segments_of(each.frame for each in frames), "openjd")
        if len(text) > LONGEST:
            why = f"{len(frames)} scattered frames are {len(text)} characters; a farm's parameter holds {LONGEST}"
            raise Refused.invalid("frames", f"{text[:60]}…", f"{why}: submit the bundle as it was")
        values |= {name: text, re.sub("Frames$", "Again", name): "--again"}
    file = bundle / FILE
    file.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    return file


def _records(out: str) -> list[dict[str, Any]]:
    """What the manifest says of each frame of a sequence; nothing where it is not to be seen from here."""
    folder = next(each for each in Path(out).absolute().parents if "%v" not in str(each).lower())
    file = folder / MANIFEST
    if not file.is_file():
        return []
    named = Path(out).name
    sequences = _read(file).get("sequences", {})
    return [
        record
        for name, sequence in sequences.items()
        if plain(Path(name).name) == plain(named)
        for record in sequence.get("frames", ())
    ]


def _read(file: Path) -> dict[str, Any]:
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise Refused.missing(str(file), f"{file}: {error.strerror}") from error
    except ValueError as error:
        raise Refused.invalid("bundle", file, f"{file}: not JSON: {error}") from error
    if not isinstance(said, dict):
        raise Refused.invalid("bundle", file, f"{file}: holds no object")
    return said
