"""Movies for people to look at: display-referred pictures in, ProRes or H.264 out, tagged as what they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

import av
import av.error
import cv2
import numpy as np

from understudy.core.errors import InvalidInput
from understudy.core.frames import Array, Float
from understudy.core.pipeline import cores
from understudy.core.plate.timing import Timecode

MADE_BY = "understudy review"
"""How a movie's comment begins that we may put another in place of."""


@dataclass(frozen=True, kw_only=True)
class _Codec:
    """How one kind of file is coded: FFmpeg's names, bits of a code, and luma rows for each of chroma."""

    name: str
    layout: str
    bits: int
    down: int
    options: Mapping[str, str]
    container: Mapping[str, str]


_CODECS: Mapping[str, _Codec] = MappingProxyType(
    {
        ".mov": _Codec(
            name="prores_ks",
            layout="yuv422p10le",
            bits=10,
            down=1,
            options={"profile": "hq", "vendor": "apl0"},
            container={},
        ),
        ".mp4": _Codec(
            name="libx264",
            layout="yuv420p",
            bits=8,
            down=2,
            options={"crf": "16", "preset": "medium"},
            container={"movflags": "+faststart"},  # a browser begins before it has all of the file
        ),
    }
)
SUFFIXES = tuple(_CODECS)


@dataclass(frozen=True, kw_only=True)
class Tags:
    """What a movie says of its codes.

    Attributes:
        primaries, transfer, matrix: code points of ITU-T H.273; 2 is not said. Pictures are coded by `matrix`.
        white: the code, 0 to 1, of what is as bright as paper: of text.
    """

    primaries: int = 2
    transfer: int = 2
    matrix: int = 1
    white: float = 1.0

    @property
    def hdr(self) -> bool:
        """Whether 8 bits would show steps: PQ and HLG."""
        return self.transfer in (16, 18)


# By the aliases that the ACES configs give their displays. White of HDR is at 203 cd/m² (ITU-R BT.2408).
_TAGS: Mapping[str, Tags] = MappingProxyType(
    {
        "srgb_display": Tags(primaries=1, transfer=13),
        "displayp3_display": Tags(primaries=12, transfer=13),
        "rec1886_rec709_display": Tags(primaries=1, transfer=1),
        "rec1886_rec2020_display": Tags(primaries=9, transfer=14, matrix=9),
        "rec2100_hlg_display": Tags(primaries=9, transfer=18, matrix=9, white=0.75),
        "rec2100_pq_display": Tags(primaries=9, transfer=16, matrix=9, white=0.58),
        "st2084_p3d65_display": Tags(primaries=12, transfer=16, white=0.58),
        "p3d65_display": Tags(primaries=12),  # gamma 2.6 alone has no code point
    }
)
_LUMA: Mapping[int, tuple[float, float]] = MappingProxyType(
    {1: (0.2126, 0.0722), 9: (0.2627, 0.0593)}
)  # Kr, Kb


def tags_of(screen: tuple[str, ...]) -> Tags:
    """The tags of a display, by the names of its colour space; one that is not known says nothing but its matrix."""
    return next((_TAGS[name] for name in screen if name in _TAGS), Tags())


def refuse(path: Path, tags: Tags) -> None:
    """Refuse a movie that cannot be made, or should not.

    Raises:
        InvalidInput: HDR in 8 bits; or there is a file of this name which no review made.
    """
    if tags.hdr and _CODECS[path.suffix.lower()].bits == 8:
        raise InvalidInput(
            f"movie: {path} has 8 bits, too few for an HDR display; name a .mov", field="movie", value=path
        )
    if path.exists() and not _ours(path):
        raise InvalidInput(
            f"movie: {path} is on disk and was not made by a review; name another file or move it away",
            path=path,
            field="movie",
            value=path,
        )


def _ours(path: Path) -> bool:
    try:
        with av.open(str(path)) as container:
            return container.metadata.get("comment", "").startswith(MADE_BY)
    except (av.error.FFmpegError, OSError):
        return False


class Movie:
    """A movie file that takes one picture after the other."""

    def __init__(self, container: Any, stream: Any, codec: _Codec, tags: Tags) -> None:
        """Use `Movie.making`."""
        self._container, self._stream, self._codec = container, stream, codec
        self._tags, self._count = tags, 0

    @classmethod
    @contextmanager
    def making(
        cls,
        path: Path,
        *,
        size: tuple[int, int],
        rate: Fraction,
        tags: Tags,
        timecode: Timecode | None = None,
        title: str = "",
        note: str = "",
    ) -> Iterator[Movie]:
        """A movie that is whole when the block ends.

        Args:
            path: ends in one of `SUFFIXES`.
            size: width and height in pixels, both even.
            rate: frames a second.
            timecode: of the first picture; it goes with `rate`.
            title, note: for the file's header, the note in its comment.

        Raises:
            OSError: here, of `add` or at the end of the block, with FFmpeg's words.
        """
        codec = _CODECS[path.suffix.lower()]
        with _as_system_errors(), av.open(str(path), "w", options=dict(codec.container)) as container:
            container.metadata.update({"comment": "; ".join(filter(None, (MADE_BY, note))), "title": title})
            stream: Any = container.add_stream(codec.name, rate=rate, options=dict(codec.options))
            stream.width, stream.height = size
            stream.pix_fmt = codec.layout
            context = stream.codec_context
            context.color_primaries, context.color_trc = tags.primaries, tags.transfer
            context.colorspace, context.color_range = tags.matrix, 1  # video levels
            context.gop_size = max(1, round(rate))  # a second: players that step backwards decode no more
            context.thread_count = cores()
            if timecode is not None:
                stream.metadata["timecode"] = str(timecode)
            yield cls(container, stream, codec, tags)
            container.mux(stream.encode(None))

    def add(self, picture: Float) -> None:
        """Append a picture.

        Args:
            picture: (H, W, 3) codes of the display; beyond [0, 1] they are held there.
        """
        codec, tags = self._codec, self._tags
        height, width = picture.shape[:2]
        frame: Any = av.VideoFrame(width, height, codec.layout)
        coded = to_ycbcr(picture, matrix=tags.matrix, bits=codec.bits, down=codec.down)
        for plane, codes in zip(frame.planes, coded, strict=True):
            rows = np.frombuffer(plane, codes.dtype).reshape(plane.height, -1)  # longer than the picture's
            rows[:, : plane.width] = codes
        frame.color_primaries, frame.color_trc = tags.primaries, tags.transfer
        frame.colorspace, frame.color_range = tags.matrix, 1
        frame.pts, frame.time_base = self._count, 1 / Fraction(self._stream.codec_context.framerate)
        self._count += 1
        with _as_system_errors():
            self._container.mux(self._stream.encode(frame))


def to_ycbcr(rgb: Float, *, matrix: int, bits: int, down: int) -> tuple[Array, Array, Array]:
    """R'G'B' → Y', Cb and Cr at video levels, with half the columns of chroma: the inverse of `plate.video.to_rgb`.

    Chroma is filtered, sited as MPEG-2 and H.264 have it by default: on the even columns, between two rows.

    Args:
        rgb: (H, W, 3), H and W even; held in [0, 1].
        matrix: code point of ITU-T H.273, 1 or 9.
        bits: of a code: 8 gives uint8, more uint16.
        down: luma rows for each of chroma, 1 or 2.
    """
    red, blue = _LUMA[matrix]
    luma = np.array([red, 1.0 - red - blue, blue])
    rows = [luma, ([0, 0, 1] - luma) / (2.0 - 2.0 * blue), ([1, 0, 0] - luma) / (2.0 - 2.0 * red)]
    y, *chroma = cv2.split(cv2.transform(np.clip(rgb, 0.0, 1.0), np.array(rows, np.float32)))
    step, kind = float(1 << bits - 8), np.uint8 if bits == 8 else np.uint16
    across, along = np.array([0.25, 0.5, 0.25]), np.ones(1)
    small = [cv2.sepFilter2D(c, -1, across, along, borderType=cv2.BORDER_REPLICATE)[:, ::2] for c in chroma]
    if down == 2:
        small = [0.5 * (c[::2] + c[1::2]) for c in small]
    cb, cr = (np.rint((224.0 * c + 128.0) * step).astype(kind) for c in small)
    return np.rint((219.0 * y + 16.0) * step).astype(kind), cb, cr


@contextmanager
def _as_system_errors() -> Iterator[None]:
    """FFmpeg's errors as what they mostly are: `files.replacing` has the words and the name of the file for them."""
    try:
        yield
    except av.error.FFmpegError as error:
        raise OSError(error.errno, error.strerror) from error
