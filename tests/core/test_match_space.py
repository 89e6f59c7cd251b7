"""The spaces of colour match: that they are what their names say, and come back from any light."""

from __future__ import annotations

import cv2
import numpy as np
import PyOpenColorIO as ocio  # noqa: N813
import pytest

from understudy.core.match import _space
from understudy.core.match._space import LAB, SRGB

SPACES = pytest.mark.parametrize("space", [SRGB, LAB], ids=lambda space: space.name)


def film(seed: int = 0, side: int = 200):
    """(side, side, 3) from below black to a lamp."""
    rng = np.random.default_rng(seed)
    rgb = rng.lognormal(-2.0, 1.8, (side, side, 3)).astype(np.float32)
    rgb[:20] *= -0.02
    rgb[20:24] = 0.0
    rgb[24:28] *= 1e4
    return rgb


def test_srgb_is_ocios():
    """A comp that picks the space by its name gets these very codes."""
    config = ocio.Config.CreateFromBuiltinConfig("ocio://default")
    way = config.getProcessor("ACEScg", SRGB.name).getDefaultCPUProcessor()
    rgb = np.abs(film())
    rgb = np.ascontiguousarray(rgb[(_space.held(rgb)[0] > 1e-4).all(axis=-1) & (rgb < 0.5).all(axis=-1)])[
        None
    ]
    expected = rgb.copy()
    way.applyRGB(expected)
    np.testing.assert_allclose(SRGB.sampled(rgb), expected, atol=2e-5)


def test_lab_is_the_cies():
    """Rec.709's primaries and white under D65: the values that every table of colours has."""
    light = np.array(
        [[[1, 1, 1], [0.18, 0.18, 0.18], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]]], np.float32
    )
    known: list[list[float]] = [
        [100, 0, 0],
        [49.50, 0, 0],
        [53.24, 80.09, 67.20],
        [87.73, -86.18, 83.18],
        [32.30, 79.19, -107.86],
        [0, 0, 0],
    ]
    np.testing.assert_allclose(LAB.encode(light)[0], known, atol=0.02)
    np.testing.assert_allclose(
        LAB.encode(light), cv2.cvtColor(SRGB.encode(light), cv2.COLOR_RGB2Lab), atol=0.3
    )


@SPACES
def test_all_light_comes_back(space):
    """To a hundredth of half's precision of the pixel's brightest channel, or of the smallest step that half has."""
    rgb = film()
    back = space.matched(rgb, lambda codes: codes, 1.0)
    size = np.abs(rgb).max(axis=-1, keepdims=True)
    assert (np.abs(back - rgb) <= 1e-5 * size + 2.0**-24).all()


@SPACES
def test_codes_rise_with_light(space):
    """Without a step at the knee or at black."""
    ramp = np.linspace(-0.1, 1.0, 100_001)[None, :, None].repeat(3, 2).astype(np.float32)
    rise = np.diff(space.encode(ramp)[0, :, 0])
    assert (rise > 0.0).all()
    assert np.abs(np.diff(rise)).max() < 0.02 * rise.max()


def test_light_above_the_limit_is_taken_down_its_ray():
    rgb = film()
    light, scale = _space.held(rgb)
    assert light.max() <= 1.0 + 1e-6
    assert scale.min() == 1.0
    np.testing.assert_allclose(light * scale, _space.mixed(rgb, _space._REC709), rtol=1e-6, atol=1e-30)
    dim, ones = _space.held(np.full((2, 3, 3), 0.5, np.float32))
    assert ones.shape == (1, 1, 1)
    np.testing.assert_allclose(dim, 0.5, rtol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 40_000, 3), (700, 30, 3)])
def test_bands_of_any_shape_are_the_picture(shape):
    picture = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    seen = []

    def change(rows):
        seen.append(len(rows))
        return rows * 2

    np.testing.assert_array_equal(_space.in_bands(picture, change), picture * 2)
    assert sum(seen) == shape[0]
