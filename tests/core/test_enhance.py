"""What every enhancer must do, asked of each by name; and what the default one promises beyond it."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.core import _plugins, warp
from understudy.core.enhance import Enhancer, lanczos
from understudy.core.errors import InvalidInput, WeightsMissing
from understudy.core.face import Alignment
from understudy.core.frames import Window
from understudy.core.weights import WeightStore

S = 48


def picture(seed: int = 7, side: int = S) -> np.ndarray:
    """Smooth, with the values that film has: below 0, above 1, far above."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    waves = [np.sin(rng.uniform(4, 9) * x + rng.uniform(4, 9) * y + i) for i in range(3)]
    rgb = np.exp(np.dstack(waves) - 1.7).astype(np.float32)
    rgb[5:9, 5:9], rgb[20:24, 20:24] = -0.05, 90.0
    return rgb


@pytest.fixture(params=_plugins.names("enhance"))
def family(request: pytest.FixtureRequest) -> ModuleType:
    return _plugins.load("enhance", request.param)


@pytest.fixture
def enhancer(family: ModuleType, tmp_path: Path) -> Enhancer:
    try:
        made: Enhancer = family.create(WeightStore(tmp_path))
    except WeightsMissing as error:
        pytest.skip(error.message)
    return made


class TestEveryEnhancer:
    def test_it_says_what_it_needs(self, family: ModuleType):
        assert isinstance(family.WEIGHTS, tuple)

    @pytest.mark.parametrize("size", [S, S + 1, 2 * S, 200])
    def test_shape_type_and_finite(self, enhancer: Enhancer, size: int):
        made = enhancer.enlarge(picture(), size)
        assert made.shape == (size, size, 3)
        assert made.dtype == np.float32
        assert np.isfinite(made).all()

    def test_inputs_are_not_written_to_nor_handed_out(self, enhancer: Enhancer):
        rgb = picture()
        kept = rgb.copy()
        for size in (S, 2 * S):
            enhancer.enlarge(rgb, size)[:] = 7.0
            np.testing.assert_array_equal(rgb, kept)

    def test_same_in_same_out(self, enhancer: Enhancer):
        np.testing.assert_array_equal(enhancer.enlarge(picture(), 100), enhancer.enlarge(picture(), 100))

    def test_nothing_is_clipped(self, enhancer: Enhancer):
        made = enhancer.enlarge(picture(), 2 * S)
        assert made[44, 44].min() > 45.0
        assert made[14, 14].max() < 0.0

    def test_nothing_moves(self, enhancer: Enhancer):
        """A blob's centre stays where it was, in shares of the side."""
        y, x = np.mgrid[:S, :S] + 0.5
        blob = np.exp(-((x - 20.3) ** 2 + (y - 29.7) ** 2) / 18)
        rgb = np.dstack([blob] * 3).astype(np.float32)
        for size in (S + 5, 2 * S, 3 * S):
            made = enhancer.enlarge(rgb, size)[..., 1]
            v, u = np.mgrid[:size, :size] + 0.5
            centre = np.array([(u * made).sum(), (v * made).sum()]) / made.sum() * S / size
            np.testing.assert_allclose(centre, (20.3, 29.7), atol=0.05)

    def test_brightness_and_colour_stay(self, enhancer: Enhancer):
        rgb = np.clip(picture(3), 0, 1)
        made = enhancer.enlarge(rgb, 2 * S)
        np.testing.assert_allclose(made.mean(axis=(0, 1)), rgb.mean(axis=(0, 1)), rtol=0.01)

    def test_a_pixel_that_is_no_number_does_not_spread(self, enhancer: Enhancer):
        rgb = picture()
        rgb[30, 30] = np.nan, np.inf, 0.0
        made = enhancer.enlarge(rgb, 2 * S)
        assert np.isfinite(made).all()
        clean = enhancer.enlarge(picture(), 2 * S)
        np.testing.assert_allclose(made[:40], clean[:40], rtol=1e-5, atol=1e-6)

    def test_a_smaller_size_is_refused(self, enhancer: Enhancer):
        with pytest.raises(InvalidInput, match="size: 47"):
            enhancer.enlarge(picture(), S - 1)


class TestLanczos:
    @settings(max_examples=30, deadline=None)
    @given(st.integers(0, 999), st.integers(24, 90))
    def test_nothing_comes_out_that_was_not_in_the_picture(self, seed: int, size: int):
        """Not even around a pixel of 60 in noise near black."""
        rng = np.random.default_rng(seed)
        rgb = np.where(rng.random((24, 24, 3)) > 0.97, 60.0, rng.random((24, 24, 3)) * 0.02).astype(
            np.float32
        )
        made = lanczos.Lanczos().enlarge(rgb, size)
        assert rgb.min() <= made.min()
        assert made.max() <= rgb.max()

    def test_no_ring_around_a_highlight(self):
        """Far from it all is as it was; plain Lanczos in scene-linear would dig down by more than 1."""
        rgb = np.full((24, 24, 3), 0.2, np.float32)
        rgb[12, 12] = 60.0
        made = lanczos.Lanczos().enlarge(rgb, 96)
        near = np.zeros((96, 96), bool)
        near[40:60, 40:60] = True
        np.testing.assert_array_equal(made[~near], np.float32(0.2))
        assert made.min() == np.float32(0.2)

    def test_an_even_picture_stays_what_it_is(self):
        for value in (-3.0, 0.0, 0.18, 65504.0):
            flat = np.full((16, 16, 3), value, np.float32)
            np.testing.assert_array_equal(lanczos.Lanczos().enlarge(flat, 40), np.float32(value))

    def test_it_is_sharper_than_what_warping_alone_gives(self):
        """Of a picture that the small one can hold, it comes nearer to the large one."""

        def waves(side: int) -> np.ndarray:
            y, x = (np.mgrid[:side, :side] + 0.5) / side
            return np.dstack([0.3 + 0.2 * np.sin(2 * np.pi * (k * x + 9 * y)) for k in (13, 14, 15)]).astype(
                "f4"
            )

        double = Alignment(matrix=np.eye(2, 3) * 2.0, size=96, face_type="whole")
        by_warp = warp.to_aligned(waves(48), Window(0, 0, 48, 48), double)
        by_lanczos = lanczos.Lanczos().enlarge(waves(48), 96)
        errors = [np.abs(made - waves(96))[8:-8, 8:-8].mean() for made in (by_lanczos, by_warp)]
        assert errors[0] < 0.9 * errors[1]
