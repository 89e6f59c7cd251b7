"""`manifest.json` beside the frames: what was made of what, frame by frame.

Every worker of a farm job writes one small record per frame, in a hidden folder, and nobody shares a file.
The manifest is put together from all records at the end of each chunk; whoever comes last has them all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from understudy.core.files import write_text
from understudy.core.plate import Template

FORMAT = "understudy.manifest/1"
NAME = "manifest.json"
_FOLDER = ".understudy"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The manifest of one output sequence, all views of it. A folder may hold several sequences; all are in its
    `manifest.json`.
    """

    out: Template

    @property
    def path(self) -> Path:
        return folder_of(self.out) / NAME

    @property
    def _records(self) -> Path:
        return folder_of(self.out) / _FOLDER / self._named(self.out.hashes)

    def _named(self, text: str) -> str:
        return Path(text).relative_to(folder_of(self.out)).as_posix()

    def record(self, frame: int) -> dict[str, Any] | None:
        """What was written down about a frame, or None."""
        return _read(self._records / f"{frame}.json")

    def put(self, frame: int, record: Mapping[str, Any]) -> None:
        """Write down what became of a frame.

        Raises:
            WriteFailed: as `files.write_text`.
        """
        write_text(self._records / f"{frame}.json", _text({"frame": frame, **record}))

    def about(self) -> dict[str, Any]:
        """What the manifest says of the sequence; empty where there is none."""
        found = (_read(self.path) or {}).get("sequences", {}).get(self._named(self.out.text))
        return found if isinstance(found, dict) else {}

    def assemble(self, about: Mapping[str, Any]) -> Path:
        """Put the records together; `about` is the same for every frame: model, recipe, colour, release,
        versions.

        Raises:
            WriteFailed: as `files.write_text`.
        """
        seen: dict[str, int] | None = None
        while seen != (now := self._state()):
            seen = now
            frames = [record for path in self._files() if (record := _read(path))]
            whole = _read(self.path) or {}
            sequences = whole.get("sequences", {}) if whole.get("format") == FORMAT else {}
            entry = {**about, "frames": sorted(frames, key=lambda record: int(record["frame"]))}
            sequences[self._named(self.out.text)] = entry
            text = _text({"format": FORMAT, "sequences": sequences})
            if not self.path.is_file() or self.path.read_text(encoding="utf-8") != text:
                write_text(self.path, text)
        return self.path

    def _state(self) -> dict[str, int]:
        """Changes when another worker adds a record while we put them together."""
        return {path.name: path.stat().st_mtime_ns for path in self._files()}

    def _files(self) -> list[Path]:
        """The records; not those that a neighbour is still writing under a hidden name."""
        return list(self._records.glob("[!.]*.json"))


def folder_of(out: Template) -> Path:
    """The folder of an output; the one that holds those of all views where each view has its own."""
    folders = (out.directory, *out.directory.parents)
    return next(folder for folder in folders if "%v" not in str(folder).lower())


def _read(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None  # not ours: it is written anew
    return content if isinstance(content, dict) else None


def _text(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n"
