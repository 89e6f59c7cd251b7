"""What a job writes, and whether two jobs would write to the same place."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from understudy.core.frames import FrameRange, Segment
from understudy.core.plate import Template


@dataclass(frozen=True, kw_only=True)
class Output:
    """A folder with all below it, or an image sequence or a file in a folder.

    Attributes:
        folder: real path: links are followed, so that two names of one place are one place.
        name: the file's name, or the sequence's with `%04d`; empty where the whole folder is meant.
        frames: which frames of the sequence; empty: any.
    """

    folder: str
    name: str = ""
    frames: FrameRange = field(default_factory=FrameRange)

    @classmethod
    def of_folder(cls, path: Path) -> Output:
        return cls(folder=os.path.realpath(path))

    @classmethod
    def of_file(cls, path: Path) -> Output:
        folder, name = os.path.split(os.path.realpath(path))
        return cls(folder=folder, name=name)

    @classmethod
    def of_sequence(cls, template: Template, frames: FrameRange | None) -> Output:
        name = Path(template.text).name
        return cls(folder=os.path.realpath(template.directory), name=name, frames=frames or FrameRange())

    @property
    def text(self) -> str:
        return f"{self.folder}/{self.name}" if self.name else self.folder

    def overlaps(self, other: Output) -> bool:
        """Whether a file may belong to both. Chunks of a sequence that share no frame do not overlap."""
        if self.name and other.name:
            if (self.folder, self.name) != (other.folder, other.name):
                return False
            return not (len(self.frames) and len(other.frames)) or any(n in other.frames for n in self.frames)
        return (not self.name and Path(other.folder).is_relative_to(self.folder)) or (
            not other.name and Path(self.folder).is_relative_to(other.folder)
        )

    def dump(self) -> tuple[str, str, str]:
        """As the store keeps it."""
        frames = [(s.first, s.last, s.step) for s in self.frames.segments]
        return self.folder, self.name, json.dumps(frames)

    @classmethod
    def load(cls, folder: str, name: str, frames: str) -> Output:
        segments = tuple(Segment(first, last, step) for first, last, step in json.loads(frames))
        return cls(folder=folder, name=name, frames=FrameRange(segments))
