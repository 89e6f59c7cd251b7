"""Grain: what a plate's is, as numbers, and more of the like for a face that has none.

A layer of its own that is added to the face in scene-linear, so that a compositor can take it off again or put in
another. How much there is goes by luminance; how it looks goes by its autocorrelation: coarse, fine, stretched by an
anamorphic lens, or with the dark rims of a sharpened scan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from understudy.core.errors import InvalidInput
from understudy.core.finish import _checks, _stops
from understudy.core.frames import Float
from understudy.core.image import fill_nonfinite, luminance

Numbers = npt.NDArray[np.float64]

_SEEDS = 2**64  # a frame before 0 has a seed too
_FAINT = 0.2  # of a matte, at which the gain is 3, its most


@dataclass(frozen=True, kw_only=True)
class Grain:
    """What grain a plate has, in scene-linear light of the working space.

    Attributes:
        levels: (B,) luminance at which it is known, ascending; between them it is interpolated in stops, beyond them
            it stays as it is at the last.
        deviations: (B, 3) standard deviation of R, G and B there.
        correlation: (3, K, K) autocorrelation of R, G and B, K odd: how much a pixel has in common with one so many
            rows and columns away; 1 in the middle.
        channels: (3, 3) correlation between the channels.
    """

    levels: Numbers
    deviations: Numbers
    correlation: Numbers
    channels: Numbers

    def __post_init__(self) -> None:
        count, side = len(self.levels), self.correlation.shape[-1]
        shapes = {
            "levels": (count,),
            "deviations": (count, 3),
            "correlation": (3, side, side),
            "channels": (3, 3),
        }
        for name, shape in shapes.items():
            found = getattr(self, name)
            if found.shape != shape or count < 1 or side % 2 == 0 or not np.isfinite(found).all():
                raise InvalidInput(
                    f"grain.{name}: expected finite numbers {shape}, got {found.shape}", field=f"grain.{name}"
                )
        if (np.diff(self.levels) < 0.0).any() or (self.deviations < 0.0).any():
            raise InvalidInput(
                "grain: levels must ascend, and deviations not be negative", field="grain.levels"
            )

    @property
    def size(self) -> Numbers:
        """(3,) px: the side of the square of pixels that have one grain in common, by the correlation's squares.

        1 for white noise; for white noise after a Gaussian blur, 2.5 times its standard deviation.
        """
        side: Numbers = np.sqrt((self.correlation**2).sum((1, 2)))
        return side

    def deviation(self, level: Float) -> Float:
        """(…) luminance → (…, 3) standard deviation of the three channels."""
        at, known = _stops.encode(level), _stops.encode(self.levels.astype(np.float32))
        found = [np.interp(at, known, channel) for channel in self.deviations.T]
        return np.stack(found, axis=-1).astype(np.float32)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it, for the manifest."""
        return {name: getattr(self, name).tolist() for name in self.__dataclass_fields__}

    @classmethod
    def from_dict(cls, form: Mapping[str, Any]) -> Grain:
        """Read `to_dict`'s form.

        Raises:
            InvalidInput: it is none.
        """
        try:
            return cls(**{name: np.array(form[name], np.float64) for name in cls.__dataclass_fields__})
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(f"grain: {error} is missing or no number", field="grain") from error


def missing(plate: Grain, face: Grain) -> Grain:
    """What a face with grain of its own lacks of the plate's: frequency by frequency, variance less variance.

    A network's face may have slow mottles and nothing finer; then the fine is what it gets. Where it has more than the
    plate, nothing is added (`denoise` is for that).
    """
    reach = max(plate.correlation.shape[-1], face.correlation.shape[-1]) // 2
    wanted, there = (_spectrum(_grown(each.correlation, reach)) for each in (plate, face))
    has = face.deviation(plate.levels.astype(np.float32)).astype(np.float64)
    power = plate.deviations[..., None, None] ** 2 * wanted - has[..., None, None] ** 2 * there
    power = np.maximum(power, 0.0)
    variance = power.mean((2, 3))
    shape = power.sum(0)
    shape = np.where(shape.sum((1, 2), keepdims=True) > 0.0, shape, wanted)
    spatial = np.fft.fftshift(np.fft.ifft2(shape).real, axes=(1, 2))
    correlation = spatial / spatial[:, reach, reach, None, None]
    return replace(plate, deviations=np.sqrt(variance), correlation=correlation)


def layer(grain: Grain, face: Float, seed: Sequence[int], *, amount: float = 1.0) -> Float:
    """Grain (H, W, 3) for a face, to be added to it: scene-linear, about 0, finite.

    Args:
        grain: what there is to be added.
        face: (H, W, 3) scene-linear in the working space: wherever it is as bright as the plate, it gets as much
            grain.
        seed: the frame's number, and the view's and person's where there are several: of the same seed and size comes
            the same grain, of another frame's another.
        amount: 0 (none) to 10, of the deviation.

    Raises:
        InvalidInput: the amount is out of range.
    """
    _checks.within("grain.amount", amount, 0.0, 10.0)
    if amount == 0.0 or not grain.deviations.any():
        return np.zeros_like(face)
    height, width = face.shape[:2]
    kernels = _kernels(grain.correlation)
    reach = kernels.shape[-1] // 2
    draw = np.random.Generator(np.random.PCG64([number % _SEEDS for number in seed]))
    white = draw.standard_normal((height + 2 * reach, width + 2 * reach, 3), dtype=np.float32)
    white = white @ _root(grain.channels).astype(np.float32)
    unit = np.empty_like(face)
    for i, kernel in enumerate(kernels):
        wide = cv2.filter2D(np.ascontiguousarray(white[..., i]), -1, kernel)
        unit[..., i] = wide[reach : reach + height, reach : reach + width]
    level = luminance(fill_nonfinite(face)[0])
    return unit * grain.deviation(level) * np.float32(amount)


def through(grain: Float, matte: Float) -> Float:
    """The layer (H, W, 3) made stronger where the matte (H, W) is not full, so that the mix has the plate's grain.

    Of two independent grains mixed half and half, 0.7 of either is left: a feather would show as a smooth rim. The
    gain √(2 / matte − 1) mends that. Where less than `_FAINT` of the face is there it goes back to 1, so that no ring
    of strong grain stands in the layer around the face; a twelfth of the plate's grain, at most, is lost for it.
    """
    share = np.clip(np.nan_to_num(matte), np.float32(1e-3), np.float32(1.0))
    most = 1.0 + share * np.float32((np.sqrt(2.0 / _FAINT - 1.0) - 1.0) / _FAINT)
    stronger: Float = grain * np.minimum(np.sqrt(2.0 / share - 1.0), most)[..., None]
    return stronger


def _grown(correlation: Numbers, reach: int) -> Numbers:
    over = reach - correlation.shape[-1] // 2
    return np.pad(correlation, ((0, 0), (over, over), (over, over)))


def _spectrum(correlation: Numbers) -> Numbers:
    """(3, K, K) power per frequency, never negative, 1 on average."""
    power = np.maximum(np.fft.fft2(np.fft.ifftshift(correlation, axes=(1, 2))).real, 0.0)
    spectrum: Numbers = power / power.mean((1, 2), keepdims=True)
    return spectrum


def _kernels(correlation: Numbers) -> Float:
    """(3, K, K): filters that make grain so correlated out of white noise, and keep its variance."""
    root = np.fft.ifft2(np.sqrt(_spectrum(correlation))).real
    kernels = np.fft.fftshift(root, axes=(1, 2))
    kernels /= np.sqrt((kernels**2).sum((1, 2), keepdims=True))
    return kernels.astype(np.float32)


def _root(channels: Numbers) -> Numbers:
    """(3, 3), symmetric, whose square is the nearest correlation that there can be."""
    values, axes = np.linalg.eigh((channels + channels.T) / 2.0)
    possible = (axes * np.maximum(values, 0.0)) @ axes.T
    scale = np.sqrt(np.maximum(np.diag(possible), 1e-12))
    values, axes = np.linalg.eigh(possible / np.outer(scale, scale))
    root: Numbers = (axes * np.sqrt(np.maximum(values, 0.0))) @ axes.T
    return root
