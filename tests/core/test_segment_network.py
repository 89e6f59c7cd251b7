"""Segmenters at work: what they make of crops, and how sure they say they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.core.looks import SIZE
from tests.core.segmenting import SMALL, OneSided, disc, faces, on_disk, segmenter
from tests.core.shots import landmarks
from understudy.core import align, warp
from understudy.core.colour import SwapCurve
from understudy.core.errors import InvalidInput, ModelInvalid, NotFound
from understudy.core.frames import Window
from understudy.core.segment import judge, network, store

SIDE = SMALL.resolution


@pytest.fixture(autouse=True)
def one_thread():
    """Small networks gain nothing by two threads, and lose much where other tests run."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def codes(seen: np.ndarray) -> np.ndarray:
    return np.repeat((0.1 + 0.8 * seen)[..., None], 3, axis=-1).astype(np.float32)


# What a segmenter makes of crops


def test_a_matte_is_where_the_face_is_not_where_its_mirror_image_is():
    seen = disc(0.3, 0.6, 0.2, SIDE)
    mattes, sure = segmenter().mattes(codes(seen)[None])
    assert mattes.shape == (1, SIDE, SIDE)
    assert mattes.dtype == np.float32
    assert judge.iou(mattes[0], seen) > 0.98
    assert sure.dtype == np.float64
    assert sure[0] > 0.95


def test_alone_and_among_others_a_crop_gives_the_same(tmp_path):
    on_disk(tmp_path / "s")
    loaded = network.load(tmp_path / "s", "cpu")
    crops = np.random.default_rng(3).random((4, SIDE, SIDE, 3), np.float32)
    together, sure = loaded.mattes(crops)
    for i, crop in enumerate(crops):
        alone, its = loaded.mattes(crop[None])
        np.testing.assert_allclose(alone[0], together[i], atol=1e-5)
        assert its[0] == pytest.approx(sure[i], abs=1e-5)
    assert len(np.unique(sure)) == 4


def test_broken_weights_make_no_matte(tmp_path):
    net = on_disk(tmp_path / "s")
    next(net.parameters()).data.fill_(float("nan"))
    with pytest.raises(ModelInvalid, match="its matte is not finite") as caught:
        segmenter(net.eval()).mattes(codes(disc(0.5, 0.5, 0.3, SIDE))[None])
    assert caught.value.field == "segmenter"


def test_both_looks_count_alike():
    mattes, sure = segmenter(OneSided()).mattes(codes(disc(0.5, 0.5, 0.3, SIDE))[None])
    np.testing.assert_allclose(
        mattes[0], 0.5, atol=1e-6
    )  # one look says all of the left, the other all right
    assert sure[0] < 0.6


def test_a_crop_and_its_mirror_image_give_mirror_images(tmp_path):
    on_disk(tmp_path / "s")
    loaded = network.load(tmp_path / "s", "cpu")
    crop = np.random.default_rng(5).random((1, SIDE, SIDE, 3), np.float32)
    straight, sure = loaded.mattes(crop)
    mirrored, its = loaded.mattes(crop[:, :, ::-1])
    np.testing.assert_allclose(mirrored[:, :, ::-1], straight, atol=1e-5)
    assert its[0] == pytest.approx(sure[0], abs=1e-5)


def test_crops_of_another_size_are_refused():
    with pytest.raises(InvalidInput, match="64, 64, 3") as caught:
        segmenter().mattes(np.zeros((1, 32, 32, 3), np.float32))
    assert caught.value.field == "crops"


def test_faint_is_nothing_and_nearly_all_is_all_without_a_step():
    levels = np.linspace(0.0, 1.0, 10001, dtype=np.float32)
    found = network.remapped(levels)
    assert not found[levels < 0.1].any()
    assert (found[levels > 0.98] == 1.0).all()
    assert network.remapped(np.array([0.5], np.float32)) == 0.5
    steps = np.diff(found)
    assert (steps >= 0.0).all()
    assert steps.max() < 2e-4  # the levels are 1e-4 apart


def test_what_is_half_seen_is_no_doubt_while_both_looks_see_it_alike():
    """Smoke: there, each pixel is half a face in both looks. A hand that one look sees, and the other does not, is."""
    face = disc(0.5, 0.5, 0.4, 64)
    smoke = np.where(disc(0.5, 0.6, 0.15, 64) > 0.5, 0.5, face).astype(np.float32)
    hand = np.where(disc(0.5, 0.6, 0.15, 64) > 0.5, 0.0, face).astype(np.float32)
    assert network.confidence(smoke, smoke) == 1.0
    assert network.confidence(face, hand) < 0.9 < network.confidence(smoke, 0.98 * smoke)


def test_confidence_grows_as_pixels_are_decided():
    flat = np.full((64, 64), 0.6, np.float32)
    looks = [np.where(disc(0.5, 0.5, r, 64) > 0.5, 0.99, flat) for r in (0.1, 0.3, 0.5)]
    for shared in (1.0, 0.9):
        sure = [network.confidence(look, np.where(look > 0.9, look, shared * look)) for look in looks]
        assert sure == sorted(sure)
        assert sure[0] < sure[-1] or shared == 1.0
    assert network.confidence(np.ones((64, 64), np.float32), np.ones((64, 64), np.float32)) == 1.0


@pytest.mark.parametrize("level", [0.5, 0.3])
def test_a_network_that_says_the_same_everywhere_knows_nothing(level: float):
    flat = np.full((64, 64), level, np.float32)
    assert 0.0 <= network.confidence(flat, flat) < 0.1


def test_a_face_that_is_not_seen_at_all_may_be_sure():
    nothing = np.full((64, 64), 1e-4, np.float32)
    assert network.confidence(nothing, nothing) > 0.95
    assert network.confidence(nothing, np.full((64, 64), 2e-4, np.float32)) > 0.95


def test_a_crop_out_of_a_larger_one_is_that_of_the_plate():
    """The same picture, once through the image of a head, once straight from the plate."""
    rows, columns = np.mgrid[:400, :400].astype(np.float32)
    plate = np.stack([0.3 + 0.2 * np.sin(rows / 31 + i) * np.cos(columns / 23) for i in range(3)], axis=-1)
    plate = plate.astype(np.float32)
    points = leaning()
    data = Window(0, 0, 400, 400)
    head, whole = align.fit(points, "head", 512), align.fit(points, "whole", SIDE)
    curve = SwapCurve(gain=0.7)
    stored = warp.to_aligned(plate, data, head)
    found = network.crop_of(stored, head, whole, curve)
    wanted = curve.encode(warp.to_aligned(plate, data, whole))
    assert found.shape == (SIDE, SIDE, 3)
    np.testing.assert_allclose(found, wanted, atol=2e-3)


def leaning() -> np.ndarray:
    points: np.ndarray = landmarks((200.0, 200.0), 90.0, 12.0)
    return points


def test_codes_are_held_to_what_a_network_sees():
    stored = align.fit(leaning(), "whole", SIZE)
    wild = np.full((SIZE, SIZE, 3), -0.5, np.float32)
    wild[40:80] = 500.0
    wild[60, 60] = np.nan
    found = network.crop_of(wild, stored, align.fit(leaning(), "whole", SIDE), SwapCurve(gain=1.0))
    assert np.isfinite(found).all()
    assert found.min() == 0.0
    assert 0.9 < found.max() <= 1.0


def test_a_narrower_crop_says_nothing_of_what_it_does_not_see(tmp_path):
    """A segmenter that sees a full face, and faces cut as whole ones."""
    (record,) = faces(tmp_path, 1).records
    narrow = segmenter(face_type="full")
    found = narrow.back(np.ones((SIDE, SIDE), np.float32), record)
    rows, columns = np.mgrid[: record.alignment.size, : record.alignment.size] + 0.5
    centres = np.stack([columns, rows], axis=-1).reshape(-1, 2)
    seen = warp.between(record.alignment, narrow.alignment(record)).apply(centres)
    reach = np.maximum(-seen, seen - SIDE).max(axis=1).reshape(found.shape)  # pixels beyond its crop
    assert found.shape == rows.shape
    assert 0.5 < (reach < 0).mean() < 0.6  # (1.5966 / 2.1314)², the two crops' sides
    assert (found[reach < -2] == 1.0).all()
    assert (found[reach > 2] == 0.0).all()


# Loading


def test_a_loaded_segmenter_is_the_network_that_was_saved(tmp_path):
    net = on_disk(tmp_path / "s")
    loaded = network.load(tmp_path / "s", "cpu")
    assert loaded.config == SMALL
    assert loaded.digest == store.read_state(tmp_path / "s").digest
    crop = np.random.default_rng(1).random((SIDE, SIDE, 3), np.float32)
    picture = torch.from_numpy(crop).permute(2, 0, 1)[None]
    with torch.inference_mode():
        one, other = net(picture).sigmoid(), net(picture.flip(3)).sigmoid().flip(3)
    expected = network.remapped(((one + other) / 2)[0, 0].numpy())
    np.testing.assert_allclose(loaded.mattes(crop[None])[0][0], expected, atol=1e-5)


def test_what_cannot_be_loaded_says_why(tmp_path):
    with pytest.raises(NotFound):
        network.load(tmp_path / "none", "cpu")
    on_disk(tmp_path / "s")
    with pytest.raises(InvalidInput, match="abacus"):
        network.load(tmp_path / "s", "abacus")
    state, weights = store.load(tmp_path / "s")
    store.save(tmp_path / "s", state, {name: weights[name] for name in list(weights)[1:]}, {})
    with pytest.raises(ModelInvalid, match="not of this configuration"):
        network.load(tmp_path / "s", "cpu")
