"""What every plug-in of a family must do, asked of each by name."""

from types import ModuleType

import numpy as np
import pytest

from understudy.core import _plugins
from understudy.core.merge import layers

MATCHES, BLENDS = _plugins.names("match"), _plugins.names("blend")
S = 48


@pytest.fixture
def images():
    """Face, plate and matte with the values that film has: below 0, above 1, far above."""
    rng = np.random.default_rng(7)
    face, plate = (rng.lognormal(-1.7, 0.7, (S, S, 3)).astype(np.float32) for _ in range(2))
    plate[3:6, 3:6], face[9:12, 9:12] = -0.05, 90.0
    y, x = np.mgrid[0:S, 0:S] / S
    matte = np.clip(1.5 - 4.0 * np.hypot(x - 0.5, y - 0.5), 0.0, 1.0).astype(np.float32)
    return face, plate, matte


@pytest.fixture(params=MATCHES)
def match(request) -> ModuleType:
    return _plugins.load("match", request.param)


@pytest.fixture(params=BLENDS)
def blend(request) -> ModuleType:
    return _plugins.load("blend", request.param)


class TestMatch:
    def test_shape_type_and_finite(self, match, images):
        face, plate, matte = images
        numbers = match.measure(face, plate, matte)
        assert numbers.ndim == 1
        assert numbers.dtype == np.float64
        assert np.isfinite(numbers).all()
        made = match.apply(face, numbers, 1.0)
        assert made.shape == face.shape
        assert made.dtype == np.float32
        assert np.isfinite(made).all()

    def test_numbers_are_as_many_on_every_frame(self, match, images):
        face, plate, matte = images
        counts = {
            len(match.measure(f, p, m)) for f, p, m in [(face, plate, matte), (plate, face, matte * 0.0)]
        }
        assert len(counts) == 1

    def test_nothing_is_measured_from_an_empty_matte(self, match, images):
        face, plate, matte = images
        numbers = match.measure(face, plate, matte * 0.0)
        assert np.isnan(numbers).all()  # none at all passes too: there is nothing to fit

    def test_inputs_are_not_written_to(self, match, images):
        face, plate, matte = images
        kept = [image.copy() for image in images]
        match.apply(face, match.measure(face, plate, matte), 0.5)
        for image, before in zip(images, kept, strict=True):
            np.testing.assert_array_equal(image, before)

    def test_same_in_same_out(self, match, images):
        face, plate, matte = images
        numbers = match.measure(face, plate, matte)
        np.testing.assert_array_equal(numbers, match.measure(face, plate, matte))
        np.testing.assert_array_equal(match.apply(face, numbers, 1.0), match.apply(face, numbers, 1.0))

    def test_each_pixel_by_itself(self, match, images):
        """A crop of one pixel gets what it gets in the picture: no tile, batch or border shows."""
        face, plate, matte = images
        numbers = match.measure(face, plate, matte)
        whole = match.apply(face, numbers, 1.0)
        np.testing.assert_allclose(
            match.apply(face[10:11, 20:21], numbers, 1.0), whole[10:11, 20:21], rtol=1e-5
        )

    def test_highlights_and_negatives_survive(self, match, images):
        face, plate, matte = images
        made = match.apply(face, match.measure(face, plate, matte), 1.0)
        assert made.max() > 20.0


class TestBlend:
    def test_shape_type_and_finite(self, blend, images):
        face, plate, matte = images
        made = blend.finish(plate, face, matte)
        assert made.shape == face.shape
        assert made.dtype == np.float32
        assert np.isfinite(made).all()

    def test_empty_matte_leaves_the_plate_alone(self, blend, images):
        face, plate, matte = images
        made = blend.finish(plate, face, matte * 0.0)
        stored = plate.astype(np.float16)
        mixed = layers.mix(stored[..., 0], made[..., 0].astype(np.float16), (matte * 0.0).astype(np.float16))
        assert (mixed.view(np.uint16) == stored[..., 0].view(np.uint16)).all()

    def test_face_equal_to_plate_changes_nothing(self, blend, images):
        _, plate, matte = images
        np.testing.assert_allclose(blend.finish(plate, plate.copy(), matte), plate, rtol=1e-4, atol=1e-4)

    def test_inputs_are_not_written_to(self, blend, images):
        face, plate, matte = images
        kept = [image.copy() for image in images]
        blend.finish(plate, face, matte)
        for image, before in zip(images, kept, strict=True):
            np.testing.assert_array_equal(image, before)
