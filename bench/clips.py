"""Short film plates out of two still portraits: what the demo, the tests and the benchmarks work on.

All that a plate from a camera has is put on: camera move, a performance, exposure drift, highlights above 1,
grain in linear light (and with it the small negatives of the blacks), timecode and rate. Frames are a
function of the arguments alone, so a plate that is there already is not made again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench.stills import STILLS, Float, Pose, displace, part
from understudy.core.errors import FrameUnreadable, InvalidInput
from understudy.core.frames import Frame, Window
from understudy.core.plate import (
    COLOUR_KEY,
    RATE_KEY,
    TIMECODE_KEY,
    Template,
    Timecode,
    rate_entry,
    read_header,
    write,
)
from understudy.core.reports import FrameReport, FrameStatus

COLOUR_SPACE = "Linear Rec.709 (sRGB)"
_DIGEST = "understudy/clip"
_VERSION = 1  # of what the code below makes of the same arguments


@dataclass(frozen=True, kw_only=True)
class Clip:
    """Everything that decides the pixels of a plate.

    Attributes:
        name: `astronaut` or `hopper`.
        frames, first: how many, and the number of the first on the slate.
        width, height: pixels; the portrait is framed by its width.
        seed: of the performance, the hand that holds the camera, and the grain.
        timecode: of the first frame, HH:MM:SS:FF.
        rate: frames per second.
    """

    name: str
    frames: int = 48
    first: int = 1001
    width: int = 640
    height: int = 480
    seed: int = 1
    timecode: str = "01:00:00:00"
    rate: Fraction = Fraction(24000, 1001)

    def __post_init__(self) -> None:
        if self.name not in STILLS:
            raise _wrong("name", self.name, f"is none of {', '.join(STILLS)}")
        for field in ("frames", "width", "height"):
            if getattr(self, field) < 1:
                raise _wrong(field, getattr(self, field), "is below 1")
        if self.rate <= 0:
            raise _wrong("rate", self.rate, "is not above 0")
        Timecode.parse(self.timecode)

    @property
    def digest(self) -> str:
        """Names the pixels: same digest, same plate."""
        return hashlib.sha256(repr((_VERSION, sorted(asdict(self).items()))).encode()).hexdigest()[:16]


def _wrong(field: str, value: object, why: str) -> InvalidInput:
    return InvalidInput(f"clip: {field} {value} {why}", field=field, value=value)


def _dice(clip: Clip, *stream: int) -> np.random.Generator:
    """Independent random numbers for each purpose, the same on every machine."""
    return np.random.default_rng((clip.seed, *clip.name.encode(), *stream))


def _waves(clip: Clip, index: int, stream: int, *hertz: float) -> float:
    """A smooth curve in −1 to 1 over time: sines of these frequencies, each with a phase of its own.

    Frequencies that share no period never fall into step, which is what makes a movement look unplanned.
    """
    phases = _dice(clip, stream).uniform(0, 1, len(hertz))
    seconds = float(index / clip.rate)
    return float(np.mean(np.sin(2 * np.pi * (seconds * np.array(hertz) + phases))))


def performance(clip: Clip, index: int) -> Pose:
    """What the performer does on frame `index` (from 0): talks, smiles, blinks and looks around."""
    talk = _waves(clip, index, 0, 1.7, 2.9) * 0.65 + 0.35 * _waves(clip, index, 1, 0.45)
    return Pose(
        jaw=float(np.clip(0.12 + 1.2 * talk, 0, 1)),
        smile=_waves(clip, index, 2, 0.55, 0.9),
        brows=_waves(clip, index, 3, 0.7, 1.1),
        blink=float(np.clip(5 * _waves(clip, index, 4, 0.85) - 4, 0, 1)),
        yaw=14 * _waves(clip, index, 5, 0.5),
        pitch=8 * _waves(clip, index, 6, 0.6),
        lean=3 * _waves(clip, index, 7, 0.4, 0.75),
    )


def _camera(clip: Clip, index: int) -> Float:
    """(2, 3) float32: from plate pixels to the still's: a held camera that drifts, rolls and breathes."""
    still = STILLS[clip.name]
    zoom = clip.width / still.view * (1 + 0.025 * _waves(clip, index, 10, 0.3))
    roll = np.radians(1.2 * _waves(clip, index, 11, 0.35, 0.8))
    cos, sin = np.cos(roll) / zoom, np.sin(roll) / zoom
    pan = (
        0.022
        * still.view
        * np.array([_waves(clip, index, 12, 0.4, 1.3), 0.6 * _waves(clip, index, 13, 0.5, 1.6)])
    )
    linear = np.array([[cos, -sin], [sin, cos]])
    offset = np.array(still.centre) + pan - linear @ (clip.width / 2, clip.height / 2)
    return np.hstack([linear, offset[:, None]]).astype(np.float32)


def _resample(clip: Clip, index: int, encoded: Float) -> Float:
    """(H, W, 3) float32, display-encoded as `encoded` is: the still as this frame's camera sees it."""
    still, pose, camera = STILLS[clip.name], performance(clip, index), _camera(clip, index)
    step = 4  # the smooth fields are worked out on every fourth pixel
    plate_x, plate_y = np.meshgrid(np.arange(clip.width) + 0.5, np.arange(clip.height) + 0.5)
    x, y = (camera[i, 0] * plate_x + camera[i, 1] * plate_y + camera[i, 2] for i in (0, 1))
    x, y = x.astype(np.float32), y.astype(np.float32)
    small = (max(1, clip.width // step), max(1, clip.height // step))
    offsets = displace(still, pose, cv2.resize(x, small), cv2.resize(y, small))
    dx, dy = (cv2.resize(d, (clip.width, clip.height), interpolation=cv2.INTER_CUBIC) for d in offsets)
    y, hollow = part(still, pose, x + dx, y + dy)
    acted = cv2.remap(encoded, x + dx - 0.5, y - 0.5, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(acted + hollow[..., None] * (_MOUTH - acted), np.float32)


_MOUTH = np.array([0.17, 0.07, 0.06], np.float32)  # display-encoded: the dark behind the teeth


def _scene_linear(encoded: Float) -> Float:
    """sRGB's curve undone (IEC 61966-2-1), and the shoulder of a photographic print undone above its knee.

    A print squeezes everything from a white shirt to the sun into its last stop; here luminance 1 becomes 4.
    """
    code = np.clip(encoded, 0, 1.06)
    linear = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4).astype(np.float32)
    luminance = linear @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    knee, room = 0.55, 0.45
    over = np.clip((luminance - knee) / room, 0, 1.03)
    lifted = knee + room * over / (1 - 0.87 * over)  # slope 1 at the knee
    return linear * np.where(over > 0, lifted / np.maximum(luminance, 1e-6), 1)[..., None].astype(np.float32)


def _grain(clip: Clip, index: int, linear: Float) -> Float:
    """Grain as film and sensors have it: grows with the root of the light, dips below black, spans pixels."""
    white = _dice(clip, 100, index).standard_normal(linear.shape, np.float32)
    noise = np.asarray(cv2.GaussianBlur(white, (0, 0), 0.6), np.float32)
    noise += 0.6 * noise[..., 1:2]  # the layers see the same light
    spread = np.sqrt(0.0006 * np.maximum(linear, 0) + 3e-6)
    return np.asarray(noise * spread * (1.0, 0.7, 1.3), np.float32)


def render(clip: Clip, index: int) -> Float:
    """Frame `index` (from 0) of the clip: (H, W, 3) float32, scene-linear Rec.709.

    Highlights reach 2 to 6, blacks dip below 0.
    """
    linear = _scene_linear(_resample(clip, index, _encoded(clip.name)))
    linear *= np.float32(2 ** (0.3 * _waves(clip, index, 20, 0.35)))  # the light drifts by a third of a stop
    return linear + _grain(clip, index, linear)


@cache
def _encoded(name: str) -> Float:
    return STILLS[name].load().astype(np.float32) / np.float32(255)


def run(clip: Clip, pattern: str) -> Generator[FrameReport]:
    """Write the clip as half-float EXR frames, in the order they get ready; what is there already stays.

    Args:
        pattern: where to, with a frame token: `plates/astronaut.####.exr`.

    Raises:
        InvalidInput: the pattern has no frame token, or two.
        WriteFailed, DiskFull: with the path.
    """
    template = Template.parse(pattern)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [pool.submit(_frame, clip, template, index) for index in range(clip.frames)]
        try:
            for job in as_completed(jobs):
                yield job.result()
        finally:  # closed early, or one failed: what has not begun need not
            pool.shutdown(cancel_futures=True)


def make(name: str, pattern: str, **settings: Any) -> str:
    """Make the whole clip (fields of `Clip` by keyword) and return its pattern in canonical `%04d` form."""
    for _ in run(Clip(name=name, **settings), pattern):
        pass
    return Template.parse(pattern).text


def _frame(clip: Clip, template: Template, index: int) -> FrameReport:
    number = clip.first + index
    path = template.path(number)
    if _is_made(clip, path):
        return FrameReport(frame=number, status=FrameStatus.SKIPPED, outputs=(path,))
    pixels = render(clip, index).astype(np.float16)
    window = Window(0, 0, clip.width, clip.height)
    header = {
        RATE_KEY: rate_entry(clip.rate),
        TIMECODE_KEY: Timecode.parse(clip.timecode).plus(index, clip.rate).entry,
        COLOUR_KEY: COLOUR_SPACE,
        "reelName": clip.name,
        _DIGEST: clip.digest,
    }
    frame = Frame(
        number=number,
        planes={c: np.ascontiguousarray(pixels[..., i]) for i, c in enumerate("RGB")},
        display=window,
        data=window,
        metadata=header,
    )
    write(frame, path)
    return FrameReport(frame=number, status=FrameStatus.DONE, outputs=(path,))


def _is_made(clip: Clip, path: Path) -> bool:
    if not path.exists():
        return False
    try:
        return read_header(path).metadata.get(_DIGEST) == clip.digest
    except FrameUnreadable:  # half a file of somebody's: made anew
        return False
