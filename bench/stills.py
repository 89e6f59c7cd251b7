"""Two portraits in the public domain, and how a person in a still picture is made to act.

Both come inside wheels of the package index: `astronaut` is NASA's portrait in scikit-image, `hopper` the US
Navy's in matplotlib. Feature points were set by hand, once, in pixels of the still; everything else is a
displacement field around them, scaled by the distance between the eyes, so that both can do the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float32]
Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Still:
    """A portrait and where its features are, in pixels of the still (x right, y down, +0.5 centres).

    Attributes:
        load: gives (H, W, 3) uint8, display-encoded sRGB.
        centre, view: what the camera frames at rest: its middle and its width.
        eyes, brows, lids, floors, creases: the left one in the picture first. `lids` run along the upper
            lashes, `floors` is how low they come in a blink, unrolling the skin between `creases` and lid.
        seam: along the line where the lips part; below the upper teeth when these show.
        nose, chin: tips.
    """

    name: str
    load: Callable[[], npt.NDArray[np.uint8]]
    centre: Point
    view: float
    eyes: tuple[Point, Point]
    brows: tuple[Point, Point]
    lids: tuple[tuple[Point, ...], tuple[Point, ...]]
    floors: tuple[float, float]
    creases: tuple[float, float]
    seam: tuple[Point, ...]
    nose: Point
    chin: Point

    @property
    def unit(self) -> float:
        """Distance between the eyes: the measure of every displacement."""
        return float(np.hypot(self.eyes[1][0] - self.eyes[0][0], self.eyes[1][1] - self.eyes[0][1]))


def _astronaut() -> npt.NDArray[np.uint8]:
    from skimage import data

    return np.asarray(data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]  # scikit-image's own stub


def _hopper() -> npt.NDArray[np.uint8]:
    from matplotlib import get_data_path

    path = Path(get_data_path()) / "sample_data" / "grace_hopper.jpg"
    picture = cv2.imread(str(path))
    assert picture is not None, f"{path} is not in the matplotlib that is installed"
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


STILLS = {
    still.name: still
    for still in (
        Still(
            name="astronaut",
            load=_astronaut,
            centre=(228.0, 140.0),
            view=310.0,
            eyes=((203.0, 101.5), (246.5, 104.0)),
            brows=((200.0, 90.5), (250.0, 93.5)),
            lids=(
                ((191.0, 103.0), (196.0, 98.5), (202.0, 97.0), (207.0, 98.5), (212.0, 104.0)),
                ((235.0, 106.0), (240.0, 101.5), (246.0, 100.0), (252.0, 101.5), (260.0, 105.5)),
            ),
            floors=(105.0, 107.5),
            creases=(92.5, 95.5),
            seam=((203.0, 140.5), (214.0, 147.5), (225.0, 150.0), (237.0, 147.0), (248.0, 141.5)),
            nose=(224.0, 126.0),
            chin=(224.0, 177.0),
        ),
        Still(
            name="hopper",
            load=_hopper,
            centre=(264.0, 226.0),
            view=500.0,
            eyes=((220.0, 188.5), (306.0, 185.5)),
            brows=((214.0, 150.0), (303.0, 146.0)),  # above them: the rims below must not bend
            lids=(
                ((207.0, 191.0), (213.0, 185.5), (221.0, 183.5), (229.0, 185.0), (237.0, 192.0)),
                ((289.0, 190.0), (297.0, 182.5), (305.0, 180.5), (313.0, 182.0), (320.0, 188.0)),
            ),
            floors=(191.0, 188.0),  # half shut at most: there is no more skin above them than the rims leave,
            creases=(181.0, 177.0),
            seam=((229.0, 281.0), (246.0, 278.6), (268.0, 279.4), (290.0, 278.6), (307.0, 281.0)),
            nose=(267.0, 236.0),
            chin=(265.0, 328.0),
        ),
    )
}


@dataclass(frozen=True, kw_only=True)
class Pose:
    """What the face does on one frame; all zero is the still itself.

    jaw, blink: 0 to 1. smile, brows: −1 to 1. yaw, pitch, lean: degrees, small (a still has no far side).
    """

    jaw: float = 0.0
    smile: float = 0.0
    brows: float = 0.0
    blink: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0
    lean: float = 0.0


def _bump(x: Float, y: Float, centre: Point, sx: float, sy: float) -> Float:
    """(h, w) in (0, 1]: a Gaussian hill of half-widths sx, sy (to 1/e) around `centre`."""
    return np.asarray(cv2.exp(-(((x - centre[0]) / sx) ** 2) - ((y - centre[1]) / sy) ** 2), np.float32)


def _head(still: Still, pose: Pose, x: Float, y: Float) -> tuple[Float, Float]:
    """The turn of the whole head, as parallax: what is near to the lens moves, the background stays."""
    u = still.unit
    middle = ((still.nose[0] + still.chin[0]) / 2, still.nose[1] - 0.1 * u)
    near = 0.8 * u * _bump(x, y, middle, 1.25 * u, 1.5 * u) + 0.25 * u * _bump(
        x, y, still.nose, 0.35 * u, 0.5 * u
    )
    pivot = (still.chin[0], still.chin[1] + 0.7 * u)
    around = np.float32(np.radians(pose.lean)) * _bump(x, y, middle, 1.9 * u, 2.2 * u)
    yaw, pitch = np.sin(np.radians([pose.yaw, pose.pitch])).astype(np.float32)
    return yaw * near - around * (y - pivot[1]), -pitch * near + around * (x - pivot[0])


def _expression(still: Still, pose: Pose, x: Float, y: Float) -> tuple[Float, Float]:
    """Jaw, smile and brows, on a face that looks straight ahead."""
    u = still.unit
    dx, dy = np.zeros_like(x), np.zeros_like(y)
    dy += 0.19 * u * pose.jaw * _bump(x, y, (still.chin[0], still.chin[1] + 0.1 * u), 0.85 * u, 0.8 * u)
    for side, corner in ((-1, still.seam[0]), (1, still.seam[-1])):
        pull = pose.smile * _bump(x, y, corner, 0.42 * u, 0.42 * u)
        dx += side * 0.09 * u * pull
        dy -= 0.12 * u * pull
    for brow in still.brows:
        dy -= 0.08 * u * pose.brows * _bump(x, y, brow, 0.5 * u, 0.2 * u)
    return dx, dy


def displace(still: Still, pose: Pose, x: Float, y: Float) -> tuple[Float, Float]:
    """Where to look in the still for what shows at (x, y), but for lips and lids (see `part`).

    The fields are written as backward maps, head first, so that nothing has to be inverted; they are smooth,
    so a coarse grid is enough.

    Returns:
        Offsets to add to x and y, (h, w) float32 each.
    """
    hx, hy = _head(still, pose, x, y)
    ex, ey = _expression(still, pose, x - hx, y - hy)
    return -hx - ex, -hy - ey


def _ease(t: Float) -> Float:
    """1 at 0, 0 from 1 on, level at both ends."""
    t = np.clip(t, 0, 1)
    return (1 - t) * (1 - t) * (1 + 2 * t)


def _curve(points: tuple[Point, ...], x: Float) -> Float:
    """Height of the quartic through five points, at x."""
    xs, ys = np.array(points, np.float64).T
    scale = (xs[-1] - xs[0]) / 2  # centred and scaled, or float32 loses the fourth power
    coefficients = np.polyfit((xs - xs.mean()) / scale, ys, len(xs) - 1).astype(np.float32)
    return np.polyval(coefficients, np.clip((x - np.float32(xs.mean())) / np.float32(scale), -1.1, 1.1))


def _span(points: tuple[Point, ...], x: Float) -> Float:
    """A parabola over x: 1 half way between the first and the last point, 0 at both and outside."""
    first, last = points[0][0], points[-1][0]
    return np.clip((x - first) * (last - x) * np.float32(4 / (last - first) ** 2), 0, 1)


def part(still: Still, pose: Pose, x: Float, y: Float) -> tuple[Float, Float]:
    """Lips that part and lids that close: the two places where a face tears instead of stretching.

    Args:
        x, y: (h, w) float32, positions in the still after `displace`.

    Returns:
        The height to look at instead of y, and how much of the pixel is the open mouth, 0 to 1; both (h, w).
    """
    u = still.unit
    y, hollow = _lips(still, pose, x, y)
    for lid, floor, crease in zip(still.lids, still.floors, still.creases, strict=True):
        span = _span(lid, x)
        edge = _curve(lid, x)
        drop = pose.blink * np.minimum(span * 4, 1) * np.maximum(np.float32(floor) - edge, 0)
        above = np.minimum(edge - crease, 0.25 * u)
        unrolled = y - drop * np.clip(1 - (edge + drop - y) / np.maximum(above + drop, 1e-3), 0, 1)
        y = np.where((y <= edge + drop) & (span > 0), unrolled, y)
    return y, hollow


def _lips(still: Still, pose: Pose, x: Float, y: Float) -> tuple[Float, Float]:
    u = still.unit
    # half of the opening: the jaw itself carries the lower lip as far again
    half = 0.085 * u * pose.jaw * _span(still.seam, x)
    from_seam = y - _curve(still.seam, x)
    beyond = np.abs(from_seam) - half  # how far outside of the opening
    reach = 0.45 * u
    lips = np.sign(from_seam) * np.maximum(beyond, 0) + (y - from_seam)
    pushed = y - np.sign(from_seam) * half * _ease(beyond / reach)
    return np.where(beyond < 0, lips, pushed), np.clip(-beyond / np.float32(0.05 * u), 0, 1)
