"""A face swapped in a film plate, from nothing: what `make demo` runs.

Makes two plates out of portraits in the public domain, writes a release for the face that is put on, and has the real
command line do the rest. Every step skips what an earlier run has finished, so the second run is quick and says so.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

SRC, DST = "astronaut", "hopper"  # puts on, wears
CANCELLED = 130


@dataclass(frozen=True, kw_only=True)
class Demo:
    """What to make and where.

    Attributes:
        folder: everything goes below it.
        minutes: of training, in all: a model that has had them is not trained again.
        frames: of each plate.
        preset: size of the network.
    """

    folder: Path = Path("out/demo")
    minutes: float = 5.0
    frames: int = 48
    preset: str = "quick64"

    def plate(self, name: str) -> str:
        return str(self.folder / "plates" / f"{name}.####.exr")

    @property
    def release(self) -> Path:
        return self.folder / f"{SRC}.release.json"

    @property
    def comp(self) -> str:
        return str(self.folder / "comp" / "comp.####.exr")


class CommandFailed(Exception):
    """A command ended badly; it has said why on stderr itself."""

    def __init__(self, command: list[str], code: int) -> None:
        super().__init__(f"exit code {code} of: {shlex.join(command)}")
        self.code = code
