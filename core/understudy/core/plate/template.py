"""The name of an image sequence, in any of the spellings the hosts use, kept in one form."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from understudy.core.errors import InvalidInput

_TOKEN = re.compile(r"%(?P<printf>0\d+)?d|(?P<hash>#+)|(?P<at>@+)")
_FOLDER_TOKEN = re.compile(r"%0\d+d|##|@@")  # one # or @ alone is a folder's good right
_VIEW = re.compile(r"%[Vv]")
_MAXIMUM_WIDTH = 12


@dataclass(frozen=True)
class Template:
    """A sequence's path with one frame number in the file's name.

    `####`, `@@@@` and `%04d` mean the same: as many digits as there are signs (Nuke's reading of `#`;
    fileseq's own default counts four for each). As in C, the sign of a negative frame counts in the width and
    a longer number is written in full: width 4 gives `-005`, `0000`, `9999`, `10000`.

    Folder and name may also have `%V` or `%v`, Nuke's tokens for the view: one file for each eye. Such a template
    names no file until `of_view` has put a view in.

    Attributes:
        directory: the folder, as given (relative or absolute).
        prefix, suffix: what stands before and after the number; the suffix ends with the extension.
        width: the least number of characters of the frame number; 1 is unpadded.
    """

    directory: Path
    prefix: str
    width: int
    suffix: str

    def __post_init__(self) -> None:
        if not 1 <= self.width <= _MAXIMUM_WIDTH:
            raise InvalidInput(
                f"path: a frame number {self.width} wide is not between 1 and {_MAXIMUM_WIDTH}",
                field="path",
                value=self.width,
            )

    @classmethod
    def parse(cls, text: str) -> Template:
        """Read a template such as `shot/plate.####.exr`.

        Raises:
            InvalidInput: there is no frame number in the file's name, or more than one, or one in a folder's
                name, or no extension.
        """
        directory, name = Path(text).parent, Path(text).name
        tokens = list(_TOKEN.finditer(name))
        if _FOLDER_TOKEN.search(str(directory)):
            raise _refusal(text, "has a frame number in a folder's name; only the file's name may have it")
        if not tokens:
            raise _refusal(text, "has no frame number; write it as ####, @@@@ or %04d, as in plate.####.exr")
        if len(tokens) > 1:
            raise _refusal(
                text, f"has {len(tokens)} frame numbers ({', '.join(t[0] for t in tokens)}); it needs one"
            )
        token = tokens[0]
        printf, signs = token["printf"], token["hash"] or token["at"]
        width = len(signs) if signs else int(printf or 1)
        if not Path(name[token.end() :]).suffix and not name[token.end() :].startswith("."):
            raise _refusal(text, "has no extension such as .exr or .dpx")
        return cls(directory, name[: token.start()], max(width, 1), name[token.end() :])

    @property
    def has_view(self) -> bool:
        """Whether each view has files of its own: there is `%V` or `%v`."""
        return bool(_VIEW.search(f"{self.directory}/{self.prefix}{self.suffix}"))

    def of_view(self, view: str) -> Template:
        """The files of one view: `%V` is its name, `%v` the name's first letter. Itself where there is neither.

        Raises:
            InvalidInput: the view, which may be a header's word, would lead to another folder.
        """
        if not self.has_view:
            return self
        if view in (".", "..") or "/" in view or "\0" in view:
            raise InvalidInput(f"view: {view!r} cannot be part of a file's name", field="view", value=view)

        def put(text: str) -> str:
            return text.replace("%V", view).replace("%v", view[:1])

        return replace(
            self, directory=Path(put(str(self.directory))), prefix=put(self.prefix), suffix=put(self.suffix)
        )

    def path(self, number: int) -> Path:
        """The file of a frame."""
        return self.directory / f"{self.prefix}{number:0{self.width}d}{self.suffix}"

    def number(self, name: str) -> int | None:
        """The frame that a file's name stands for, or None if the name is not one of the sequence."""
        match = self._pattern.fullmatch(name)
        if match is None or self.path(int(match[1])).name != name:
            return None
        return int(match[1])

    def padding(self, name: str) -> int | None:
        """How wide the number is in a name that matches but for its padding; None if it does not."""
        match = self._pattern.fullmatch(name)
        return None if match is None else len(match[1])

    @property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(f"{re.escape(self.prefix)}(-?[0-9]+){re.escape(self.suffix)}")

    @property
    def extension(self) -> str:
        """In lower case, with its dot."""
        return Path(self.suffix).suffix.lower() or self.suffix.lower()

    @property
    def text(self) -> str:
        """With `%04d`: what the API, reports and manifests carry."""
        return self._spelled("%d" if self.width == 1 else f"%0{self.width}d")

    @property
    def hashes(self) -> str:
        """With `####`: what people read and Nuke writes."""
        return self._spelled("#" * self.width)

    def _spelled(self, token: str) -> str:
        return str(self.directory / f"{self.prefix}{token}{self.suffix}")

    def __str__(self) -> str:
        return self.hashes


def _refusal(text: str, why: str) -> InvalidInput:
    return InvalidInput(f"path: {text!r} {why}", field="path", value=text)
