"""Short film plates out of two still portraits: what the demo, the tests and the benchmarks work on.

Everything a plate from a camera has is put on: camera move, a performance, exposure drift, highlights above 1, grain
in linear light (and with it the small negatives of a dark frame), timecode and rate. Frames are a function of the
arguments alone, so a plate that is there already is not made again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache

import cv2
import numpy as np

from bench.stills import STILLS, Float, Pose, Still, displace, part
from understudy.core.errors import InvalidInput

COLOUR_SPACE = "Linear Rec.709 (sRGB)"
_VERSION = 1  # of what the code below makes of the same arguments


@dataclass(frozen=True, kw_only=True)
class Clip:
    """Everything that decides the pixels of a plate.

    Attributes:
        name: `astronaut` or `hopper`.
        frames, first: how many, and the number of the first on the slate.
        width, height: pixels; the portrait is framed by its width.
        seed: of the performance, the hand that holds the camera, and the grain.
        timecode: of the first frame, SMPTE, non-drop.
        rate: frames per second as a fraction.
    """

    name: str
    frames: int = 48
    first: int = 1001
    width: int = 640
    height: int = 480
    seed: int = 1
    timecode: str = "01:00:00:00"
    rate: tuple[int, int] = (24000, 1001)

    def __post_init__(self) -> None:
        if self.name not in STILLS:
            raise InvalidInput(
                f"clip: there is no still {self.name!r}; there are {', '.join(STILLS)}", field="name", value=self.name
            )
        for field in ("frames", "width", "height"):
            if getattr(self, field) < 1:
                raise InvalidInput(
                    f"clip: {field} is {getattr(self, field)}; at least 1", field=field, value=getattr(self, field)
                )

    @property
    def digest(self) -> str:
        """Names the pixels: same digest, same plate."""
        return hashlib.sha256(repr((_VERSION, sorted(asdict(self).items()))).encode()).hexdigest()[:16]


def _waves(clip: Clip, index: int, stream: int, *hertz: float) -> float:
    """A smooth curve in −1 to 1 over time: sines of these frequencies, each with a phase of its own.

    Frequencies that share no period never fall into step, which is what makes a movement look unplanned.
    """
    phases = np.random.default_rng((clip.seed, STILLS[clip.name].view.__trunc__(), stream)).uniform(0, 1, len(hertz))
    seconds = index * clip.rate[1] / clip.rate[0]
    return float(np.mean(np.sin(2 * np.pi * (seconds * np.array(hertz) + phases))))


def performance(clip: Clip, index: int) -> Pose:
    """What the performer does on frame `index` (from 0): talks, smiles, blinks and looks around."""
    talk = _waves(clip, index, 0, 1.7, 2.9) * 0.65 + 0.35 * _waves(clip, index, 1, 0.45)
    return Pose(
        jaw=float(np.clip(1.6 * talk, 0, 1)),
        smile=_waves(clip, index, 2, 0.55, 0.9),
        brows=_waves(clip, index, 3, 0.7, 1.1),
        blink=float(np.clip(5 * _waves(clip, index, 4, 0.85) - 4, 0, 1)),
        yaw=9 * _waves(clip, index, 5, 0.5),
        pitch=5 * _waves(clip, index, 6, 0.6),
        lean=3 * _waves(clip, index, 7, 0.4, 0.75),
    )


def _camera(clip: Clip, index: int) -> Float:
    """(2, 3) float32: from plate pixels to the still's: a held camera that drifts, rolls and breathes."""
    still = STILLS[clip.name]
    zoom = clip.width / still.view * (1 + 0.025 * _waves(clip, index, 10, 0.3))
    roll = np.radians(1.2 * _waves(clip, index, 11, 0.35, 0.8))
    cos, sin = np.cos(roll) / zoom, np.sin(roll) / zoom
    pan = 0.022 * still.view * np.array([_waves(clip, index, 12, 0.4, 1.3), 0.6 * _waves(clip, index, 13, 0.5, 1.6)])
    linear = np.array([[cos, -sin], [sin, cos]])
    offset = np.array(still.centre) + pan - linear @ (clip.width / 2, clip.height / 2)
    return np.hstack([linear, offset[:, None]]).astype(np.float32)


def _resample(clip: Clip, index: int, encoded: Float) -> Float:
    """(H, W, 3) float32 in [0, 1], display-encoded like `encoded`: the still as this frame's camera sees it."""
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
    return acted + hollow[..., None] * (_MOUTH - acted)


_MOUTH = np.array([0.20, 0.09, 0.08], np.float32)  # display-encoded: the dark behind the teeth


def _scene_linear(encoded: Float) -> Float:
    """sRGB's curve undone (IEC 61966-2-1), and the shoulder of a photographic print undone above its knee.

    A print squeezes everything from a white shirt to the sun into its last stop; here luminance 1 goes back to 4.
    """
    code = np.clip(encoded, 0, 1.06)
    linear = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4).astype(np.float32)
    luminance = linear @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    knee, room = 0.55, 0.45
    over = np.clip((luminance - knee) / room, 0, 1.1)
    lifted = knee + room * over / (1 - 0.87 * over)  # slope 1 at the knee
    return linear * np.where(over > 0, lifted / np.maximum(luminance, 1e-6), 1)[..., None].astype(np.float32)


def _grain(clip: Clip, index: int, linear: Float) -> Float:
    """Grain as film and sensors have it: grows with the root of the light, reaches below black, spans pixels."""
    rng = np.random.default_rng((clip.seed, index, len(clip.name)))
    noise = cv2.GaussianBlur(rng.standard_normal(linear.shape, np.float32), (0, 0), 0.6)
    noise += 0.6 * noise[..., 1:2]  # the layers see the same light
    spread = np.sqrt(0.0006 * np.maximum(linear, 0) + 3e-6)
    return noise * spread * np.array([1.0, 0.7, 1.3], np.float32)
