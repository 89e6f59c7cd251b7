"""Pixels from the plate to aligned space and back, float32 end to end, values above 1 and below 0 kept.

Resampling is cubic convolution behind a Gaussian low-pass that opens exactly as far as the picture shrinks: a shot
in which the face grows past the crop's size changes sharpness smoothly, where a switch of kernels would be seen.
Cubic rather than Lanczos: half the ringing, a seventh of the time. What ringing is left would still put a black
ring around a highlight of 60 in scene-linear, so every value is held inside the range of the 4×4 pixels it was
interpolated from: nothing comes out that was not in the picture.

Time goes by the smaller of the two pictures. One that shrinks is halved first as often as the low-pass allows, and
sampled linearly where what is left of that is wide enough for it. One
that grows threefold or more is made three times as large by the same convolution, and sampled linearly there, in a
quarter of the time and as sharp.

This is the only module that knows that OpenCV puts pixel centres on whole numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from understudy.core.errors import InvalidInput
from understudy.core.face import Alignment, Matrix
from understudy.core.frames import Array, Float, Window
from understudy.core.half import widened
from understudy.core.threads import spread

BORDERS = ("replicate", "zero")  # what lies beyond the edge of the source: its last pixels, or 0
_ENOUGH = 1.7  # pixels of sigma that let the picture be halved: what is left of it then is 0.7 at least
_SUPPORT = 3  # pixels that cubic interpolation and its clamp reach beyond a sample, rounded up
_FINE = 3  # times as large is a picture made that grows so much or more
_CRISP = np.array([-0.018, 1.036, -0.018])  # gives back what linear sampling then takes of the finest detail
_SOFT = 0.9  # pixels of sigma from which a linear kernel does as well, and never rings
_LINEAR = 1.0 / 6.0  # its own variance, on average
_ROWS = 64  # at a time: so many stay in a processor's cache
_EVEN = 32  # pixels: OpenCV's last bits go by how wide an array is beyond a multiple of 16

Pull = npt.NDArray[np.float64]


def footprint(alignment: Alignment, data: Window) -> Window:
    """The smallest window of plate pixels that holds the whole crop, clipped to `data`; may be empty."""
    size = float(alignment.size)
    return _bounds(alignment.inverse, (0.0, 0.0, size, size)).intersect(data)


def to_aligned(
    rgb: Float | Sequence[Array], data: Window, alignment: Alignment, *, border: str = "replicate"
) -> Float:
    """The crop (S, S[, C]) float32 of plate pixels `rgb` (H, W[, C]), which cover `data` and must be finite.

    Anti-aliased however small the crop is; reads only the pixels around the crop's footprint. A sequence is the C
    planes (H, W) as a file stores them, half or float.

    Raises:
        InvalidInput: the crop lies outside the plate altogether, or the border is unknown.
    """
    inside = footprint(alignment, data)
    if inside.empty:
        raise InvalidInput(
            f"alignment: the crop lies outside the plate's data window {data}", field="alignment"
        )
    sigmas = _low_pass(alignment.matrix)
    reach = _SUPPORT * 2 ** _halvings(sigmas) + math.ceil(4.0 * max(sigmas))
    grown = Window(inside.x - reach, inside.y - reach, inside.width + 2 * reach, inside.height + 2 * reach)
    window = grown.intersect(data)
    rows, columns = window.slices(data)
    matrix = _shift(alignment.matrix, source=(window.x, window.y))
    planes = [rgb[rows, columns]] if isinstance(rgb, np.ndarray) else [each[rows, columns] for each in rgb]
    return _prepared(planes, matrix, border).over(Window(0, 0, alignment.size, alignment.size))


def between(stored: Alignment, wanted: Alignment) -> Alignment:
    """Aligned pixels of one crop → those of another of the same plate, for `to_aligned` to cut it out of the first."""
    back = stored.inverse
    linear = wanted.matrix[:, :2] @ back[:, :2]
    offset = wanted.matrix[:, :2] @ back[:, 2:] + wanted.matrix[:, 2:]
    return Alignment(matrix=np.hstack([linear, offset]), size=wanted.size, face_type=wanted.face_type)


def to_plate(image: Float, alignment: Alignment, window: Window, *, border: str = "zero") -> Float:
    """Aligned pixels (S, S[, C]) resampled onto the plate pixels of `window`: (h, w[, C]) float32.

    `border` "zero" for mattes, "replicate" for colour that must stay solid under a soft matte's edge.
    """
    if window.empty:
        return np.zeros((window.height, window.width, *image.shape[2:]), np.float32)
    return onto_plate(image, alignment, border=border).over(window)


def onto_plate(image: Float, alignment: Alignment, *, border: str = "zero") -> Prepared:
    """The same, to be sampled in any windows of the plate."""
    return _prepared([image], alignment.inverse, border)


def support(matte: Array, alignment: Alignment, data: Window) -> Window:
    """The smallest window of `data` that holds all that a matte (S, S) can come to on the plate; may be empty."""
    rows, columns = (np.flatnonzero(matte.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return Window(data.x, data.y, 0, 0)
    reach = _SUPPORT + math.ceil(4.0 * max(_low_pass(alignment.inverse)))
    x, y, x1, y1 = columns[0] - reach, rows[0] - reach, columns[-1] + 1 + reach, rows[-1] + 1 + reach
    return _bounds(alignment.inverse, (x, y, x1, y1)).intersect(data)


def uv(alignment: Alignment, window: Window) -> Float:
    """(h, w, 2) float32 STMap over `window`: where in the crop each plate pixel's centre lies.

    u runs from 0 at the left to 1 at the right edge, v from 0 at the bottom to 1 at the top, as Nuke's STMap reads
    it; values outside 0…1 lie outside the crop.
    """
    x = np.arange(window.x, window.x1) + 0.5
    y = np.arange(window.y, window.y1) + 0.5
    (a, b, c), (d, e, f) = alignment.matrix / alignment.size
    found = np.empty((window.height, window.width, 2), np.float32)
    found[..., 0] = np.add.outer(b * y + c, a * x)  # column and row apart: fifty times faster than by points
    found[..., 1] = np.add.outer(1.0 - (e * y + f), -d * x)
    return found


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A picture that is ready to be sampled.

    Attributes:
        image: (H, W[, C]) what is sampled: by cubic convolution, or linearly where there is no `range`.
        pull: the target's pixel centres → its own.
        channels: shape of a pixel of what comes of it.
        whole: the least and the most of the picture, where rounding may lead beyond.
        range: (H, W[, C]) twice, the least and the most of the 4×4 pixels around a sample, by its top left pixel.
    """

    image: Array
    pull: Pull
    channels: tuple[int, ...]
    whole: tuple[float, float] | None = None
    range: tuple[Array, Array] | None = None

    def over(self, window: Window) -> Float:
        """(h, w[, C]) float32 of a window of the target; what a pixel is does not depend on the window."""
        found = np.empty((window.height, window.width, *self.channels), np.float32)
        left, right = window.x // _EVEN * _EVEN, -(-window.x1 // _EVEN) * _EVEN
        columns = slice(window.x - left, window.x1 - left)

        def fill(y: int) -> None:
            band = Window(left, y, right - left, min(_ROWS, window.y1 - y))
            found[y - window.y :][: band.height] = self._band(band)[:, columns]

        spread(fill, range(window.y, window.y1, _ROWS))
        return found if self.whole is None else np.clip(found, *self.whole, out=found)

    def _band(self, band: Window) -> Array:
        """Not yet held within `whole`; the width is to be a multiple of `_EVEN`."""
        x, y = np.arange(band.x, band.x1), np.arange(band.y, band.y1)
        across, down = (np.add.outer(b * y + c, a * x).astype(np.float32) for a, b, c in self.pull)
        if self.range is None:
            sampled = _sample(self.image, across, down, cv2.INTER_LINEAR)
            same = sampled.shape[2:] == self.channels
            return sampled if same else cv2.cvtColor(sampled, cv2.COLOR_RGBA2RGB)
        sampled = _sample(self.image, across, down, cv2.INTER_CUBIC)
        whole, nothing = cv2.convertMaps(np.floor(across), np.floor(down), cv2.CV_16SC2, nninterpolation=True)
        low, high = (_sample(each, whole, nothing, cv2.INTER_NEAREST) for each in self.range)
        cv2.max(sampled, low, dst=sampled)
        return cv2.min(sampled, high, dst=sampled)


def _shift(
    matrix: Matrix, *, source: tuple[int, int] = (0, 0), target: tuple[int, int] = (0, 0)
) -> npt.NDArray[np.float64]:
    """The same map between arrays whose first pixels are at `source` and `target`."""
    offset = matrix[:, 2] + matrix[:, :2] @ np.array(source, np.float64) - target
    return np.column_stack([matrix[:, :2], offset])


def _low_pass(matrix: Matrix) -> tuple[float, float]:
    """Sigma along x and y, in source pixels, of the Gaussian that lets through what the target can hold.

    A target pixel seen as a Gaussian of half a pixel has covariance C/4 in the source; the source's own pixel has
    1/4 of it already. Zero where the picture is enlarged.
    """
    inverse = np.linalg.inv(matrix[:, :2])
    variance = np.maximum(np.diag(inverse @ inverse.T) - 1.0, 0.0) / 4.0
    return math.sqrt(variance[0]), math.sqrt(variance[1])


def _bounds(matrix: Matrix, box: tuple[float, float, float, float]) -> Window:
    """The smallest window that holds a box (x, y, x1, y1) after the map."""
    x, y, x1, y1 = box
    corners = np.array([(x, y), (x1, y), (x1, y1), (x, y1)]) @ matrix[:, :2].T + matrix[:, 2]
    left, top = (int(v) for v in np.floor(corners.min(axis=0) + 1e-9))
    right, bottom = (int(v) for v in np.ceil(corners.max(axis=0) - 1e-9))
    return Window(left, top, right - left, bottom - top)


def _halvings(sigmas: tuple[float, float]) -> int:
    """How often a picture may be halved before a Gaussian so wide, for it to come out the same."""
    times, sigma = 0, min(sigmas)
    while sigma >= _ENOUGH:
        times, sigma = times + 1, math.sqrt(sigma**2 - 1.0) / 2.0
    return times


def _halved(planes: list[Array], matrix: Matrix, sigmas: tuple[float, float]) -> tuple[Array, Matrix, Array]:
    """The planes as one picture (H, W[, C]), halved as often as may be; the same map from it; what is left of the
    Gaussian to do on it, pixels.

    Each halving is a binomial of five taps, whose variance is 1, on every second pixel: for a close-up of 2000 pixels
    and a crop of 64, thirty times less for all of `to_aligned`.
    """
    left = np.array(sigmas)
    if len(planes) > 1:
        planes = [
            widened(each) if each.dtype == np.float16 else np.ascontiguousarray(each) for each in planes
        ]
    for _ in range(_halvings(sigmas)):
        planes = [cv2.pyrDown(each, borderType=cv2.BORDER_REPLICATE) for each in planes]
        matrix = np.column_stack([2.0 * matrix[:, :2], matrix[:, 2] - matrix[:, :2] @ (0.5, 0.5)])
        left = np.sqrt(left**2 - 1.0) / 2.0
    return cv2.merge(planes) if len(planes) > 1 else planes[0], matrix, left


def _prepared(planes: list[Array], matrix: Matrix, border: str) -> Prepared:
    """`matrix` carries source to target points, both with pixel centres at +0.5."""
    if border not in BORDERS:
        raise InvalidInput(
            f"border: no {border!r}; there are {', '.join(BORDERS)}", field="border", value=border
        )
    sigmas = _low_pass(matrix)
    if border == "zero":  # a rim of zeros makes the rest of the function one case
        rim = _SUPPORT + math.ceil(4.0 * max(sigmas))
        planes = [cv2.copyMakeBorder(p, *(rim,) * 4, cv2.BORDER_CONSTANT, value=0) for p in planes]
        matrix = _shift(matrix, source=(-rim, -rim))
    image, matrix, (sigma_x, sigma_y) = _halved(planes, matrix, sigmas)
    assert image.dtype == np.float32, f"warp works on float32, got {image.dtype}"
    whole, is_soft = None, min(sigma_x, sigma_y) >= _SOFT
    if is_soft:
        sigma_x, sigma_y = (math.sqrt(each**2 - _LINEAR) for each in (sigma_x, sigma_y))
    if max(sigma_x, sigma_y) > 0.0:
        whole = (float(image.min()), float(image.max()))
        image = cv2.GaussianBlur(
            image, (0, 0), max(sigma_x, 1e-3), sigmaY=max(sigma_y, 1e-3), borderType=cv2.BORDER_REPLICATE
        )
    if is_soft:
        return Prepared(image=image, pull=_pull(matrix), channels=image.shape[2:], whole=whole)
    if np.linalg.svd(matrix[:, :2], compute_uv=False)[-1] >= _FINE:
        whole = whole or (float(image.min()), float(image.max()))
        pull = _pull(matrix / (_FINE, _FINE, 1.0))
        return Prepared(image=_enlarged(image), pull=pull, channels=image.shape[2:], whole=whole)
    support = np.ones((4, 4), np.uint8)  # rows and columns i-1 … i+2 around i = floor(sample)
    least, most = (morph(image, support, anchor=(1, 1)) for morph in (cv2.erode, cv2.dilate))
    return Prepared(
        image=image, pull=_pull(matrix), channels=image.shape[2:], whole=whole, range=(least, most)
    )


def _enlarged(image: Array) -> Array:
    """(3 H, 3 W[, C]): each value held in the range of the 3×3 pixels around the nearest; of three channels, four,
    which OpenCV samples in half the time.
    """
    if image.ndim == 3 and image.shape[2] == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA)
    size = (_FINE * image.shape[1], _FINE * image.shape[0])
    crisp = cv2.sepFilter2D(image, cv2.CV_32F, _CRISP, _CRISP, borderType=cv2.BORDER_REPLICATE)
    made = cv2.resize(crisp, size, interpolation=cv2.INTER_CUBIC)
    around = np.ones((3, 3), np.uint8)
    for morph, hold in ((cv2.erode, cv2.max), (cv2.dilate, cv2.min)):
        hold(made, cv2.resize(morph(image, around), size, interpolation=cv2.INTER_NEAREST), dst=made)
    return made


def _pull(matrix: Matrix) -> Pull:
    """OpenCV's map from target to source, pixel centres on whole numbers."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, linear @ (0.5 - matrix[:, 2]) - 0.5])


def _sample(picture: Array, across: Array, down: Array, kernel: int) -> Array:
    """The picture where maps say, as `cv2.remap` takes them, (h, w[, C])."""
    taken = cv2.remap(picture, across, down, kernel, borderMode=cv2.BORDER_REPLICATE)
    return taken.reshape(*across.shape[:2], *picture.shape[2:])
