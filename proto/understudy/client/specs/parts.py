"""What specs are made of: paths, frame ranges, plates."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Union

from understudy.client import frames as ranges
from understudy.client.errors import Refused
from understudy.v1 import job_pb2 as pb
from understudy.v1.common_pb2 import FrameSegment, PlateRef

PathLike = Union[str, "os.PathLike[str]"]
Frames = Union[None, str, Iterable[FrameSegment]]  # text is fileseq's grammar; None is all frames on disk

SCRATCH = "scratch:"  # of a path that is in the caller's own folder on the daemon's machine

# What FFmpeg's libraries call containers of moving pictures. Everything else needs a frame token.
VIDEO_SUFFIXES = frozenset(
    "3gp asf avi flv m2ts m4v mkv mov mp4 mpeg mpg mts mxf ogv ts webm wmv".split()  # noqa: SIM905
)


def absolute(path: PathLike) -> str:
    """The path as any process on this machine may use it; `~` is expanded, empty stays empty, so does `scratch:`."""
    text = os.fspath(path)
    if not text:
        return ""
    if text.startswith(SCRATCH):
        return text.replace("\\", "/")  # as Windows' own paths have it
    # Not Path.resolve: what a link points to today is the daemon's to find out when it opens it.
    return os.path.abspath(Path(text).expanduser())  # noqa: PTH100


def is_video(path: PathLike) -> bool:
    """Whether the path is a video by its suffix, as opposed to a pattern of frames."""
    return Path(path).suffix.lower().lstrip(".") in VIDEO_SUFFIXES


def segments(frames: Frames, field: str = "frames") -> list[FrameSegment]:
    """Segments of a range given as text, as segments or not at all."""
    if frames is None or frames == "":
        return []
    return ranges.parse(frames, field=field) if isinstance(frames, str) else list(frames)


@dataclass(frozen=True)
class Plate:
    """An image sequence.

    Attributes:
        pattern: path with one frame token: `%04d`, `####` or `@@@@`.
        frames: which frames; None for all on disk.
        colour_space: as the colour config calls it; empty for what the headers say.
        views: names of those of a stereo plate to work on; none for all.
    """

    pattern: PathLike
    frames: Frames = None
    colour_space: str = ""
    views: Sequence[str] = ()

    def message(self) -> PlateRef:
        return PlateRef(
            pattern=absolute(self.pattern),
            frames=segments(self.frames),
            colour_space=self.colour_space,
            views=self.views,
        )


# What a matte of a person does to the one that the recipe makes.
USES = {
    "limit": pb.USER_MATTE_USE_LIMIT,
    "add": pb.USER_MATTE_USE_ADD,
    "keep": pb.USER_MATTE_USE_KEEP,
}


@dataclass(frozen=True)
class UserMatte:
    """A matte in plate space by which a person says where the face goes.

    Attributes:
        matte: pattern or plate of it; where its frames are named, it has a say on these alone.
        use: `limit`: the face goes nowhere else; `add`: it goes here whatever the other mattes say; `keep`: the
            plate stays here.
        channel: empty for alpha where there is one, else the only one, or the red one where all
            colours are the same.
        invert: it is 1 outside and 0 inside.
    """

    matte: PathLike | Plate
    use: str = "limit"
    channel: str = ""
    invert: bool = False

    def message(self) -> pb.UserMatte:
        """Its wire form; raises Refused for a use that there is not."""
        if self.use not in USES:
            raise Refused.invalid("user_mattes.use", self.use, f"one of {', '.join(USES)} is needed")
        return pb.UserMatte(
            matte=plate(self.matte), use=USES[self.use], channel=self.channel, invert=self.invert
        )


def plate(given: PathLike | Plate) -> PlateRef:
    """The wire form of a plate; a bare path means all its frames."""
    return given.message() if isinstance(given, Plate) else Plate(given).message()
