"""The torture set: small plates of every kind that a show can bring, for our tests and for a studio's own pipeline.

One folder a plate; `refused/` holds files that must be turned down, and with which reason. `README.md` says in a
table what each is for, `torture.json` says it to programs, with the 68 landmarks of the drawn head on every frame.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from understudy.core.errors import InvalidInput
from understudy.core.files import replacing
from understudy.core.frames import FrameRange, Window
from understudy.core.plate.template import Template
from understudy.core.plate.torture.plates import plates
from understudy.core.plate.torture.sample import Sample
from understudy.core.reports import Artifact, Report, Started

INDEX = "torture.json"
_FORMAT = 1


def names() -> tuple[str, ...]:
    """The plates of the set, without those that must be refused."""
    return tuple(sample.name for sample in plates() if not sample.refused)


def refused() -> tuple[str, ...]:
    """The files that must be refused."""
    return tuple(sample.name for sample in plates() if sample.refused)


def run(folder: Path) -> Iterator[Report]:
    """Write the set into a folder: `Started`, an `Artifact` for each plate, one for the README and the index.

    The same bytes every time; what is there already is left alone.

    Raises:
        InvalidInput: the folder holds something, and no set.
        WriteFailed, DiskFull: a file could not be written.
    """
    if folder.is_dir() and any(folder.iterdir()) and not _is_set(folder):
        raise InvalidInput(
            f"{folder}: holds files that are no torture set; name a folder that is new or empty",
            path=folder,
            field="folder",
            value=folder,
        )
    samples = list(plates())
    yield Started(total=len(samples), unit="plate")
    index = json.dumps({"torture": _FORMAT, "plates": list(map(_entry, samples))}, indent=1) + "\n"
    _put(folder / INDEX, index.encode())  # first: a set that was interrupted is known for one
    _put(folder / "README.md", _readme(samples).encode())
    for sample in samples:
        for number in sample.numbers:
            for view in sample.views if sample.in_files else ("",):
                path = _path(folder, sample, number, view)
                _put(path, sample.file(number, view))
        yield Artifact(kind="plate", path=Path(Template.parse(str(folder / sample.pattern)).text))
    yield Artifact(kind="readme", path=folder / "README.md")
    yield Artifact(kind="index", path=folder / INDEX)


def _path(folder: Path, sample: Sample, number: int, view: str) -> Path:
    return folder / Template.parse(sample.pattern.replace("%V", view)).path(number)


def _put(path: Path, content: bytes) -> None:
    if path.is_file() and path.read_bytes() == content:
        return
    with replacing(path) as beside:
        beside.write_bytes(content)


def _is_set(folder: Path) -> bool:
    try:
        found = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return False
    return isinstance(found, dict) and "torture" in found


def _entry(sample: Sample) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": sample.name,
        "pattern": sample.pattern,
        "tests": sample.proves,
        "frames": list(sample.numbers),
        "colour_space": sample.colour_space,
    }
    if sample.refused:
        return {**entry, "refused": sample.refused}
    return {
        **entry,
        "missing": list(sample.missing),
        "views": list(sample.views),
        "pixel_aspect": sample.aspect,
        "display": _box(sample.display),
        "data": _box(sample.data),
        "lossy": sample.lossy,
        "non_finite": sample.non_finite,
        "must_go": list(sample.stale),
        "must_survive": list(_PROMISES),
        "landmarks": _landmarks(sample),
    }


_PROMISES: Mapping[str, str] = {
    "frames": "file names and numbers are the plate's; what is missing stays missing and is reported",
    "windows": "display and data window are the plate's",
    "aspect": "pixel aspect is the plate's, to the bit",
    "header": "every attribute has the plate's type and bytes, but for what is listed as must_go",
    "channels": "every other channel, part and view has the plate's type and bits",
    "outside": "where mask_blend is 0, R, G and B have the plate's bits (linearised where the plate is not linear)",
    "mix": "elsewhere they are plate × (1 − mask_blend) + face × mask_blend, to one unit in the last place",
    "finite": "inside the matte nothing is NaN or Inf; the report counts what was",
    "highlights": "what is brighter on the face than the network can say keeps the plate's ratio",
    "codec": "the file is written lossless; the report names a plate that was not",
}


def _box(window: Window) -> list[int]:
    return [window.x, window.y, window.width, window.height]


def _landmarks(sample: Sample) -> dict[str, dict[str, list[list[float]]]]:
    """View (`""` for mono) → frame → 68 points in plate pixels."""
    return {
        view: {str(n): scene.landmarks(n).astype(float).round(3).tolist() for n in sample.numbers}
        for view, scene in sample.scenes.items()
    }


def _readme(samples: list[Sample]) -> str:
    good = [s for s in samples if not s.refused]
    bad = [s for s in samples if s.refused]
    lines = [
        "# Torture set",
        "",
        "Small plates of every kind that a show can bring. The head is drawn by a program; it is nobody's portrait.",
        f"`{INDEX}` says the same to programs, with the head's 68 landmarks (iBUG order, plate pixels).",
        "",
        "What must survive a merge on every plate:",
        "",
        *(f"- **{name}**: {words}" for name, words in _PROMISES.items()),
        "",
        "| plate | frames | colour space | tests |",
        "|---|---|---|---|",
        *(
            f"| {s.name} | {FrameRange.from_frames(s.numbers)} | {s.colour_space} | {s.proves} |"
            for s in good
        ),
        "",
        "To be refused, with a reason that has these words, and nothing written:",
        "",
        "| file | what it is | words |",
        "|---|---|---|",
        *(f"| {s.name} | {s.proves} | {s.refused} |" for s in bad),
    ]
    return "\n".join(lines) + "\n"
