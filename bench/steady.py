"""How much found landmarks tremble, and what smoothing leaves of that and of real movement.

A portrait at 1080p, grain over it: at rest, in a pan that speeds up and slows down, and in a hand that shakes. How the
picture moves is known to a fraction of a pixel, so that the error of the smoothed landmarks is too: it is measured
from where the mean of the landmarks at rest has been carried to. Part of it is the network's own, which reads a face
elsewhere on the pixels differently, and no smoothing takes that out. The limit is issue 4's: a face at rest moves
less than 0.1 px RMS.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from bench import clips, common
from bench.stills import STILLS, Float
from understudy.core import _plugins, steady, track
from understudy.core.colour import ColourConfig
from understudy.core.extract import ExtractSettings
from understudy.core.face import Face, Matrix
from understudy.core.landmark import Look
from understudy.core.merge.recipe import Recipe

LIMIT = 0.1
FRAMES = 40
WINDOWS = (1, 3, 5, 7, 9, 15)
CLIP = clips.Clip(name="hopper", frames=FRAMES, width=1920, height=1080)


def _ease(n: float) -> float:
    """From 0 to 2 over the shot, slow at both ends."""
    return float(1.0 - np.cos(np.pi * n / (FRAMES - 1)))


MOVES: dict[str, Callable[[float], tuple[float, float, float]]] = {  # frame → px right, px down, degrees
    "rest": lambda n: (0.0 * n, 0.0, 0.0),
    "pan": lambda n: (90.0 * _ease(n), -30.0 * _ease(n), 0.0),  # to 7.6 px a frame and back to rest
    "shake": lambda n: (6.0 * np.sin(0.55 * n), 4.0 * np.sin(0.83 * n + 1.0), 0.5 * np.sin(0.4 * n)),
}
SHOTS = (("close-up", "rest"), ("medium", "rest"), ("medium", "pan"), ("medium", "shake"))
VIEWS = {"close-up": 500.0, "medium": 1100.0}  # pixels of the still across the picture


def moved(name: str, index: int) -> Matrix:
    """(2, 3) from a point of the plate at rest to where it is on this frame."""
    x, y, degrees = MOVES[name](index)
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    linear, middle = np.array([(c, -s), (s, c)]), np.array([CLIP.width / 2, CLIP.height / 2])
    return np.column_stack([linear, middle - linear @ middle + (x, y)])


def seen(framing: str, matrix: Matrix) -> Float:
    """The portrait so framed and moved, display-encoded, without grain; grey beyond its edges."""
    still = STILLS[CLIP.name]
    scale = CLIP.width / VIEWS[framing]
    framed = np.column_stack(
        [np.eye(2) * scale, np.array([CLIP.width / 2, CLIP.height / 2]) - scale * np.array(still.centre)]
    )
    linear = matrix[:, :2] @ framed[:, :2]
    shift = matrix[:, :2] @ framed[:, 2] + matrix[:, 2]
    centres = shift + linear @ (0.5, 0.5) - 0.5  # OpenCV's pixel centres are whole numbers
    picture = still.load().astype(np.float32) / np.float32(255)
    whole, size = np.column_stack([linear, centres]), (CLIP.width, CLIP.height)
    warped = cv2.warpAffine(picture, whole, size, flags=cv2.INTER_CUBIC, borderValue=(0.4, 0.4, 0.4))
    return np.asarray(warped, np.float32)


def find() -> dict[tuple[str, str], list[Face]]:
    """For each shot the face of each frame, by the default networks."""
    store, colour = common.weights(), ColourConfig.open(None)
    detector = _plugins.load("detect", ExtractSettings.detector).create(store)
    landmarker = _plugins.load("landmark", ExtractSettings.landmarker).create(store)
    found: dict[tuple[str, str], list[Face]] = {}
    for framing, move in SHOTS:
        for index in range(FRAMES):
            linear = clips._scene_linear(seen(framing, moved(move, index)))
            proxy = colour.proxy(linear + clips._grain(CLIP, index, linear))
            detection = detector.detect([proxy])[0][0]
            (made,) = landmarker.landmarks([Look(proxy=proxy, detection=detection)])
            marks = landmarker.to_68(made.landmarks)
            face = Face(frame=index, box=detection.box, landmarks=marks, score=detection.score)
            found.setdefault((framing, move), []).append(face)
    return found


def points(faces: list[Face]) -> npt.NDArray[np.float64]:
    return np.stack([face.landmarks.points for face in faces]).astype(np.float64)


def row(window: int, found: dict[tuple[str, str], list[Face]], home: npt.NDArray[np.float64]) -> list[str]:
    """What a window leaves; `home`: where the landmarks of the medium shot are at rest."""
    cells = [f"{window}, recipe" if window == Recipe().smooth else str(window)]
    for (_, move), faces in found.items():
        smooth = points(track.smooth(faces, window))
        if move == "rest":
            cells.append(f"{steady.jitter(smooth, still=True):.3f}")
            continue
        matrices = [moved(move, index) for index in range(FRAMES)]
        true = np.stack([home @ m[:, :2].T + m[:, 2] for m in matrices])
        error = np.sqrt(((smooth - true) ** 2).sum(axis=-1).mean())
        cells += [f"{error:.3f}", f"{steady.lag(true, smooth):+.3f}"]
    return cells


def main() -> None:
    found = find()
    home = points(found["medium", "rest"]).mean(axis=0)
    rows = [row(window, found, home) for window in WINDOWS]
    rows.append(["limit", f"{LIMIT:.3f}", f"{LIMIT:.3f}", "", "0", "", "0"])
    widths = [np.ptp(points(found[framing, "rest"])[0, :, 0]) for framing in VIEWS]
    common.show(
        f"steady: {FRAMES} frames of 1080p, RMS px; faces {widths[0]:.0f} and {widths[1]:.0f} px wide",
        ("window", "close-up", "medium", "pan", "its lag", "shake", "its lag "),
        rows,
    )


if __name__ == "__main__":
    main()
