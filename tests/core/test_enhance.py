"""What every enhancer must do, asked of each by name; and what the default one promises beyond it."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core import enhancers
from understudy.core import _plugins, enhance, warp
from understudy.core.enhance import TRAINED, Enhancer, lanczos
from understudy.core.enhancer import store
from understudy.core.errors import InvalidInput, ModelInvalid, NotFound, WeightsMissing
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
    name = family.__name__.rpartition(".")[2]
    folder = enhancers.on_disk(tmp_path / "own") if name == TRAINED else None
    store = WeightStore(tmp_path, accepted=family.WEIGHTS)
    try:
        return enhance.opened(name, store, device="cpu", folder=folder)
    except WeightsMissing as error:
        pytest.skip(error.message)


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


class TestTrained:
    def test_its_detail_is_in_the_picture(self, tmp_path: Path):
        """As the network's codes say, where the curve is straight."""
        plain, other = (
            enhance.opened(
                TRAINED, WeightStore(tmp_path), folder=enhancers.on_disk(tmp_path / str(d), detail=d)
            )
            for d in (0.0, 0.02)
        )
        rgb = np.clip(picture(3), 0.01, 0.4)
        apart = np.abs(other.enlarge(rgb, 2 * S) - plain.enlarge(rgb, 2 * S))
        assert np.median(apart) > 1e-3

    def test_what_it_has_never_seen_is_as_lanczos_has_it(self, tmp_path: Path):
        """Light beyond the curve's maximum, and negative light; whatever the network says there."""
        mine = enhance.opened(
            TRAINED, WeightStore(tmp_path), folder=enhancers.on_disk(tmp_path / "own", detail=0.5)
        )
        for value in (70.0, 4000.0, -0.2, -90.0):
            rgb = np.full((S, S, 3), value, np.float32)
            plain = lanczos.Lanczos().enlarge(rgb, 2 * S)
            np.testing.assert_allclose(mine.enlarge(rgb, 2 * S), plain, rtol=1e-6)

    def test_a_hot_pixel_rings_nowhere(self, tmp_path: Path):
        mine = enhance.opened(
            TRAINED, WeightStore(tmp_path), folder=enhancers.on_disk(tmp_path / "own", detail=0.01)
        )
        rgb = np.full((S, S, 3), 0.2, np.float32)
        hot = rgb.copy()
        hot[20, 20] = 5000.0
        made, plain = mine.enlarge(hot, 2 * S), mine.enlarge(rgb, 2 * S)
        far = np.ones((2 * S, 2 * S), bool)
        far[30:52, 30:52] = False
        np.testing.assert_allclose(made[far], plain[far], atol=1e-6)
        assert made.max() == pytest.approx(lanczos.Lanczos().enlarge(hot, 2 * S).max())

    def test_it_needs_a_folder(self, tmp_path: Path):
        with pytest.raises(InvalidInput, match="name its folder") as error:
            enhance.opened(TRAINED, WeightStore(tmp_path))
        assert error.value.field == "enhancer"
        with pytest.raises(NotFound, match="no enhancer here"):
            enhance.opened(TRAINED, WeightStore(tmp_path), folder=tmp_path)

    def test_broken_weights_are_named(self, tmp_path: Path):
        folder = enhancers.on_disk(tmp_path / "own", detail=float("nan"))
        mine = enhance.opened(TRAINED, WeightStore(tmp_path), folder=folder)
        with pytest.raises(ModelInvalid, match="not finite"):
            mine.enlarge(picture(), 2 * S)
        weights = next(folder.rglob(store.WEIGHTS))
        weights.write_bytes(weights.read_bytes()[:-8])
        with pytest.raises(ModelInvalid, match=r"weights\.safetensors"):
            enhance.opened(TRAINED, WeightStore(tmp_path), folder=folder)

    def test_weights_of_another_network_are_refused(self, tmp_path: Path):
        folder = enhancers.on_disk(tmp_path / "own")
        (folder / "config.json").write_text(json.dumps({"format": 1, "channels": 16, "layers": 1}))
        with pytest.raises(ModelInvalid, match="another network"):
            enhance.opened(TRAINED, WeightStore(tmp_path), folder=folder)

    def test_its_digest_is_its_weights(self, tmp_path: Path):
        folders = [enhancers.on_disk(tmp_path / str(d), detail=d) for d in (0.0, 0.1)]
        one, other = (enhance.opened(TRAINED, WeightStore(tmp_path), folder=f).digest for f in folders)
        assert one != other
        assert [one, other] == [store.read_state(folder).digest for folder in folders]


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
