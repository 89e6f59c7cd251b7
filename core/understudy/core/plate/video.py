"""Video files: what they say of themselves, and their frames as R'G'B' with nothing rounded to 8 bits on the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

import av
import av.error
import cv2
import numpy as np

from understudy.core.errors import FrameUnreadable, InvalidInput, NotFound
from understudy.core.frames import Array, Float
from understudy.core.plate.timing import Timecode

# Code points of ITU-T H.273, which FFmpeg uses as they are
_UNSPECIFIED = 2
_FULL_RANGE = 2  # FFmpeg's own: 0 unknown, 1 limited, 2 full
_WEIGHTS = MappingProxyType(  # matrix → Kr, Kb
    {
        1: (0.2126, 0.0722),  # BT.709
        4: (0.30, 0.11),  # FCC
        5: (0.299, 0.114),  # BT.601, 625 lines
        6: (0.299, 0.114),  # BT.601, 525 lines
        7: (0.212, 0.087),  # SMPTE 240M
        9: (0.2627, 0.0593),  # BT.2020
    }
)
_SUBSAMPLING = MappingProxyType(
    {(1, 1): "444", (2, 1): "422", (2, 2): "420"}
)  # luma pixels for each of chroma


@dataclass(frozen=True, kw_only=True)
class Video:
    """What a video file says of its first picture stream.

    Attributes:
        rate: frames a second.
        frames: how many there are, by the container's packets.
        even: is every frame shown equally long?
        timecode: of the first frame, if the file has one.
        pixel_aspect: width of a pixel over its height, as stored (before rotation).
        matrix, transfer, primaries: code points of ITU-T H.273.
        full_range: do codes use all of their range (0-255) instead of video levels (16-235)?
        guessed: which of these the file leaves open, so that a convention was used.
    """

    path: Path
    width: int
    height: int
    rate: Fraction
    frames: int
    even: bool
    timecode: Timecode | None
    pixel_aspect: Fraction
    matrix: int
    transfer: int
    primaries: int
    full_range: bool
    guessed: tuple[str, ...]


def probe(path: Path) -> Video:
    """Read headers and packets; no picture is decoded.

    Untagged video: BT.709's matrix from 1280 columns or 577 lines up, BT.601's below, as broadcast and
    players have it; video levels.

    Raises:
        NotFound: there is no such file.
        InvalidInput: it is not a video, or in a form we do not decode (a matrix, a palette).
    """
    with _opened(path) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        rate = stream.guessed_rate or stream.average_rate
        if not rate or not stream.width:
            raise InvalidInput(
                f"{path}: the video names no frame rate or size", path=path, field="video", value=path
            )
        times = sorted(
            p.pts for p in container.demux(stream) if p.pts is not None and p.size and not p.is_discard
        )
        step = 1 / (rate * stream.time_base)
        even = all(abs(at - times[0] - n * step) <= max(2, step / 4) for n, at in enumerate(times))
        rgb = context.format is not None and context.format.is_rgb
        matrix = _matrix(path, stream, rgb)
        said = {
            f"matrix (BT.{709 if matrix == 1 else 601})": rgb or int(context.colorspace) == matrix,
            f"range ({'full' if rgb else 'video levels'})": int(context.color_range) != 0,
            "transfer": int(context.color_trc) != _UNSPECIFIED,
        }
        return Video(
            path=path,
            width=stream.width,
            height=stream.height,
            rate=Fraction(rate),
            frames=len(times),
            even=even,
            timecode=_timecode(container),
            pixel_aspect=Fraction(stream.sample_aspect_ratio or 1),
            matrix=matrix,
            transfer=int(context.color_trc),
            primaries=int(context.color_primaries),
            full_range=int(context.color_range) == _FULL_RANGE or rgb or "yuvj" in (context.pix_fmt or ""),
            guessed=tuple(name for name, is_said in said.items() if not is_said),
        )


def pictures(video: Video) -> Iterator[Any]:
    """The decoded frames in the order of showing, from the first.

    Raises:
        FrameUnreadable: the stream breaks off in the middle of a picture.
    """
    count = 0
    with _opened(video.path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        try:
            for picture in container.decode(stream):
                yield picture
                count += 1
        except av.error.FFmpegError as error:
            raise FrameUnreadable(
                f"{video.path}: picture {count} (counted from 0) can not be decoded: {error}", path=video.path
            ) from error


def to_rgb(picture: Any, video: Video) -> Float:
    """A decoded picture → (H, W, 3) float32 R'G'B' in the video's own transfer and primaries, turned upright.

    Black is 0 and white 1; codes beyond them (limited range holds 16 below and 20 above in 8 bits) stay
    beyond. Chroma is widened linearly, sited as MPEG-2 and H.264 have it by default: on the even columns,
    between two rows.

    Raises:
        FrameUnreadable: the picture changes size or comes in a layout that we do not decode.
    """
    if (picture.width, picture.height) != (video.width, video.height):
        size = f"{picture.width}×{picture.height}"
        raise FrameUnreadable(
            f"{video.path}: the picture becomes {size} in the middle of the video", path=video.path
        )
    turns, rest = divmod(int(picture.rotation), 90)
    if rest:
        raise FrameUnreadable(
            f"{video.path}: rotated by {picture.rotation}°, not a quarter turn", path=video.path
        )
    planes, bits = _planes(picture, video)
    rgb = _from_gbr(planes, bits) if picture.format.is_rgb else _from_ycbcr(planes, bits, video)
    return np.ascontiguousarray(np.rot90(rgb, turns))


def _opened(path: Path) -> Any:
    if not path.is_file():
        raise NotFound(f"{path}: no such video", path=path)
    try:
        container = av.open(str(path))
    except av.error.FFmpegError as error:
        raise InvalidInput(
            f"{path}: is not a video we can open: {error.strerror}", path=path, field="video", value=path
        ) from error
    if not container.streams.video:
        container.close()
        raise InvalidInput(
            f"{path}: has no pictures, only sound or data", path=path, field="video", value=path
        )
    return container


def _matrix(path: Path, stream: Any, rgb: bool) -> int:
    """The code point of the YCbCr matrix: as tagged, or by the picture's size."""
    matrix = int(stream.codec_context.colorspace)
    if matrix in (0, _UNSPECIFIED) and not rgb:
        return 1 if stream.width >= 1280 or stream.height > 576 else 6
    if matrix not in _WEIGHTS and not rgb:
        raise InvalidInput(
            f"{path}: YCbCr matrix {matrix} (ITU-T H.273) is not supported",
            path=path,
            field="video",
            value=matrix,
        )
    return matrix


def _timecode(container: Any) -> Timecode | None:
    """From the picture stream, the container or a timecode track, whichever has one."""
    for holder in (container.streams.video[0], container, *container.streams):
        text = holder.metadata.get("timecode")
        if text:
            return Timecode.parse(text)
    return None


def _planes(picture: Any, video: Video) -> tuple[list[Array], int]:
    """Three planes (one for grey) of codes, uint8 or uint16, and their bits; packed layouts are taken apart."""
    layout = picture.format
    luma = layout.components[0]
    if layout.has_palette or layout.is_bayer or luma.bits > 16 or luma.bits < 8:
        raise FrameUnreadable(f"{video.path}: pixel layout {layout.name} is not supported", path=video.path)
    if len(layout.components) < 3:
        family, count = "gray", 1
    elif layout.is_rgb:
        family, count = "gbrp", 3
    else:
        chroma = layout.components[1]
        ratio = (round(luma.width / chroma.width), round(luma.height / chroma.height))
        if ratio not in _SUBSAMPLING:
            raise FrameUnreadable(
                f"{video.path}: pixel layout {layout.name} is not supported", path=video.path
            )
        family, count = f"yuv{_SUBSAMPLING[ratio]}p", 3
    wanted = family + (f"{luma.bits}le" if luma.bits > 8 else "")
    if layout.name.replace("yuvj", "yuv").replace("yuva", "yuv") != wanted:
        picture = picture.reformat(format=wanted)  # the same numbers, in planes
    dtype = np.dtype("u1" if luma.bits == 8 else "<u2")
    planes = []
    for plane in list(picture.planes)[:count]:
        rows = np.frombuffer(plane, np.uint8)[: plane.height * plane.line_size].reshape(
            plane.height, plane.line_size
        )
        planes.append(rows[:, : plane.width * dtype.itemsize].view(dtype))
    return planes, luma.bits


def _from_gbr(planes: list[Array], bits: int) -> Float:
    g, b, r = planes
    rgb: Float = np.stack([r, g, b], axis=-1).astype(np.float32) / np.float32(2**bits - 1)
    return rgb


def _from_ycbcr(planes: list[Array], bits: int, video: Video) -> Float:
    """ITU-R BT.709 / BT.2020 section 3: undo quantisation, then the matrix."""
    unit = 2.0 ** (bits - 8)
    full = 2.0**bits - 1
    black, luma, chroma = (0.0, full, full) if video.full_range else (16 * unit, 219 * unit, 224 * unit)
    y = (planes[0].astype(np.float32) - black) / luma
    if len(planes) == 1:
        return np.stack([y, y, y], axis=-1).astype(np.float32)
    cb, cr = (_widened((plane.astype(np.float32) - 128 * unit) / chroma, y.shape) for plane in planes[1:])
    kr, kb = _WEIGHTS[video.matrix]
    red, blue = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
    green = (y - kr * red - kb * blue) / (1 - kr - kb)
    return np.stack([red, green, blue], axis=-1).astype(np.float32)


def _widened(plane: Array, shape: tuple[int, ...]) -> Array:
    """Chroma at luma's resolution."""
    height, width = shape
    if plane.shape == shape:
        return plane
    across, down = round(width / plane.shape[1]), round(height / plane.shape[0])
    # luma pixel (x, y) lies at chroma (x / across, (y + ½) / down − ½), both counted from the first pixel's
    # centre
    back = np.array([[1 / across, 0, 0], [0, 1 / down, 0.5 / down - 0.5]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(plane, back, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    )
