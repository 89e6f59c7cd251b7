"""Pixels to the crop and back: where they land, what they are worth, what is read for it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.core import warp
from understudy.core.errors import InvalidInput
from understudy.core.face import Alignment
from understudy.core.frames import Window


def square(centre, side: float, size: int, turn: float = 0.0, aspect: float = 1.0) -> Alignment:
    """A crop of `size` px on a square of `side` un-squeezed plate px around `centre` (plate px)."""
    c, s = size / side * math.cos(turn), size / side * math.sin(turn)
    linear = np.array([(c, s), (-s, c)]) * (aspect, 1.0)
    return Alignment(
        matrix=np.column_stack([linear, size / 2 - linear @ np.asarray(centre)]), size=size, face_type="whole"
    )


def coordinates(window: Window) -> np.ndarray:
    """(h, w, 2): every pixel's value is where its centre is on the plate."""
    x, y = np.arange(window.x, window.x1) + 0.5, np.arange(window.y, window.y1) + 0.5
    return np.stack(np.meshgrid(x, y), axis=-1).astype(np.float32)


@pytest.mark.parametrize("turn", [0.0, 0.3, -1.2])
@pytest.mark.parametrize(("side", "size"), [(200.0, 64), (120.0, 128), (100.0, 256), (200.3, 200)])
@pytest.mark.parametrize("aspect", [1.0, 2.0])
def test_pixels_land_where_the_matrix_says(turn: float, side: float, size: int, aspect: float):
    data = Window(-30, 40, 500, 400)
    crop = square((220.3, 240.7), side, size, turn, aspect)
    found = warp.to_aligned(coordinates(data), data, crop).reshape(-1, 2)
    inverse = crop.inverse
    expected = coordinates(Window(0, 0, size, size)).reshape(-1, 2) @ inverse[:, :2].T + inverse[:, 2]
    np.testing.assert_allclose(found, expected, atol=0.06)


@pytest.mark.parametrize("turn", [0.0, 0.3])
@pytest.mark.parametrize("aspect", [1.0, 2.0])
def test_pixels_of_a_close_up_land_there_too(turn: float, aspect: float):
    """Where the picture is halved before the filter, nothing may shift it."""
    data = Window(-30, 40, 1903, 1799)
    crop = square((900.3, 940.7), 1100.0, 48, turn, aspect)
    found = warp.to_aligned(coordinates(data), data, crop).reshape(-1, 2)
    inverse = crop.inverse
    expected = coordinates(Window(0, 0, 48, 48)).reshape(-1, 2) @ inverse[:, :2].T + inverse[:, 2]
    np.testing.assert_allclose(found, expected, atol=8 * 0.06)  # halved three times


@pytest.mark.parametrize("turn", [0.0, 0.4])
def test_there_and_back_is_the_picture(turn: float):
    data = Window(10, 20, 240, 220)
    y, x = np.mgrid[:220, :240].astype(np.float32)
    picture = np.stack([np.sin(x / 17), 40 + 30 * np.cos(y / 23), x * y / 500 - 9], axis=-1).astype(
        np.float32
    )
    crop = square((130, 130), 150, 256, turn)
    inner = Window(90, 90, 80, 80)
    back = warp.to_plate(warp.to_aligned(picture, data, crop), crop, inner, border="replicate")
    rows, columns = inner.slices(data)
    np.testing.assert_allclose(back, picture[rows, columns], atol=0.03 * float(np.ptp(picture)) / 20)


def test_values_beyond_white_and_below_black_survive():
    data = Window(0, 0, 200, 200)
    picture = np.full((200, 200, 3), -0.25, np.float32)
    picture[60:140, 60:140] = 48.0
    out = warp.to_aligned(picture, data, square((100, 100), 160, 128))
    assert out[64, 64].tolist() == pytest.approx([48.0] * 3, rel=1e-6)
    assert out[2, 2].tolist() == pytest.approx([-0.25] * 3, rel=1e-6)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 99), st.floats(20, 400), st.floats(-3.2, 3.2), st.sampled_from(["zero", "replicate"]))
def test_nothing_comes_out_that_was_not_in_the_picture(seed: int, side: float, turn: float, border: str):
    """No ringing: a highlight of 60 leaves no black ring, a matte stays in 0 to 1."""
    rng = np.random.default_rng(seed)
    picture = np.where(rng.random((90, 110, 2)) > 0.97, 60.0, rng.random((90, 110, 2))).astype(np.float32)
    crop = square((50, 48), side, 64, turn)
    out = warp.to_aligned(picture, Window(0, 0, 110, 90), crop, border=border)
    low = 0.0 if border == "zero" else picture.min()
    assert low <= out.min()
    assert out.max() <= picture.max()
    matte = (rng.random((64, 64)) > 0.5).astype(np.float32)
    back = warp.to_plate(matte, crop, Window(0, 0, 110, 90), border=border)
    assert back.min() >= 0.0
    assert back.max() <= 1.0


@pytest.mark.parametrize("aspect", [1.0, 2.0])
def test_a_small_crop_of_a_large_face_does_not_alias(aspect: float):
    """Lines finer than the crop can hold become grey, not false wide lines."""
    y, x = np.mgrid[:1000, :1000]
    lines = ((x // 3 + y // 3) % 2).astype(np.float32)
    out = warp.to_aligned(lines, Window(0, 0, 1000, 1000), square((500, 500), 900 / aspect, 64, 0.1, aspect))
    inner = out[8:-8, 8:-8]
    assert inner.mean() == pytest.approx(0.5, abs=0.01)
    assert inner.std() < 0.02


def test_sharpness_does_not_jump_where_shrinking_begins():
    rng = np.random.default_rng(0)
    noise, data = rng.random((400, 400)).astype(np.float32), Window(0, 0, 400, 400)
    around = [warp.to_aligned(noise, data, square((200, 200), side, 200, 0.2)).std() for side in (199, 201)]
    assert around[1] == pytest.approx(around[0], rel=0.02)


@pytest.mark.parametrize("side", [156.9, 315.4])
def test_nor_where_it_is_halved_once_more(side: float):
    noise, data = np.random.default_rng(0).random((800, 800)).astype(np.float32), Window(0, 0, 800, 800)
    before, after = (warp.to_aligned(noise, data, square((400, 400), side + by, 32, 0.2)) for by in (-1, 1))
    assert after.std() == pytest.approx(before.std(), rel=0.03)


def test_nor_where_it_grows_threefold():
    """There a linear kernel on three times the pixels takes over. Noise has more fine detail than any face."""
    noise, window = np.random.default_rng(0).random((64, 64)).astype(np.float32), Window(60, 60, 80, 80)
    before, after = (
        warp.to_plate(noise, square((100, 100), 192 + by, 64, 0.2), window, border="replicate")
        for by in (-0.1, 0.1)
    )
    assert after.std() == pytest.approx(before.std(), rel=0.02)
    assert float(np.abs(after - before).mean()) < 0.02


@pytest.mark.parametrize("side", [30.0, 90.0, 400.0])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_a_part_is_the_whole_s_part_to_the_bit(side: float, channels: tuple[int, ...]):
    image = np.random.default_rng(0).random((64, 64, *channels)).astype(np.float32)
    crop, window = square((100, 100), side, 64, 0.2), Window(-40, 20, 500, 190)
    prepared = warp.onto_plate(image, crop, border="replicate")
    whole = prepared.over(window)
    for part in (
        Window(101, 95, 40, 21),
        Window(-7, 20, 300, 1),
        Window(250, 60, 9, 130),
        Window(33, 33, 1, 1),
    ):
        np.testing.assert_array_equal(prepared.over(part), whole[part.slices(window)])


def test_planes_as_stored_are_the_picture():
    rng, data = np.random.default_rng(0), Window(-5, 3, 300, 280)
    picture = rng.random((280, 300, 3)).astype(np.float16)
    for side in (40.0, 90.0, 250.0):
        crop = square((150, 140), side, 32, 0.2)
        whole = warp.to_aligned(picture.astype(np.float32), data, crop)
        planes = [picture[..., i].copy() for i in range(3)]
        np.testing.assert_allclose(warp.to_aligned(planes, data, crop), whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("turn", [0.0, 0.7])
def test_support_holds_all_that_a_matte_comes_to(turn: float):
    matte, data = np.zeros((64, 64), np.float32), Window(-10, 0, 220, 200)
    matte[20:33, 41:50] = 1.0
    for side in (30.0, 100.0, 400.0):
        crop = square((100, 100), side, 64, turn)
        held = warp.support(matte, crop, data)
        there = warp.to_plate(matte, crop, data)
        there[held.slices(data)] = 0.0
        assert not there.any()
        assert held.width < 0.7 * side + 12
    assert warp.support(np.zeros((64, 64), np.float32), crop, data).empty


def test_only_the_footprint_is_read():
    data = Window(0, 0, 2000, 1500)
    plate = np.full((1500, 2000, 3), np.nan, np.float32)
    crop = square((700, 600), 300, 128)
    inside = warp.footprint(crop, data)
    assert inside == Window(550, 450, 300, 300)
    plate[430:770, 530:870] = 1.0
    np.testing.assert_allclose(warp.to_aligned(plate, data, crop), 1.0, rtol=1e-6)


def test_footprint_is_clipped_to_the_plate_and_may_be_empty():
    data = Window(-16, -16, 132, 132)
    assert warp.footprint(square((0, 0), 60, 64), data) == Window(-16, -16, 46, 46)
    assert warp.footprint(square((500, 500), 60, 64), data).empty
    with pytest.raises(InvalidInput, match="outside the plate"):
        warp.to_aligned(np.zeros((132, 132, 3), np.float32), data, square((500, 500), 60, 64))


def test_borders():
    data = Window(0, 0, 100, 100)
    ones = np.ones((100, 100), np.float32)
    crop = square((0, 50), 80, 64)
    np.testing.assert_allclose(warp.to_aligned(ones, data, crop), 1.0, rtol=1e-6)
    cut = warp.to_aligned(ones, data, crop, border="zero")
    assert (cut[:, :30] == 0.0).all()
    np.testing.assert_allclose(cut[10:-10, 34:], 1.0, rtol=1e-6)
    valid = warp.to_plate(np.ones((64, 64), np.float32), square((50, 50), 40, 64), data)
    assert valid[50, 50] == pytest.approx(1.0, rel=1e-6)
    assert valid.max() <= 1.0
    assert valid[50, 10] == 0.0
    assert valid.sum() == pytest.approx(1600, rel=0.01)
    with pytest.raises(InvalidInput, match="mirror"):
        warp.to_plate(ones, crop, data, border="mirror")


def test_uv_is_a_stmap():
    """Reading the crop through it, v up, gives what `to_plate` gives."""
    crop, window = square((60, 50), 50, 100, 0.2), Window(45, 40, 20, 20)
    uv = warp.uv(crop, window)
    assert uv.dtype == np.float32
    x, y = uv[..., 0] * 100, (1.0 - uv[..., 1]) * 100
    held = warp.to_plate(coordinates(Window(0, 0, 100, 100)), crop, window, border="replicate")
    np.testing.assert_allclose(np.stack([x, y], axis=-1), held, atol=0.06)
    assert warp.uv(square((50, 50), 100, 100), Window(0, 0, 100, 100))[0, 0].tolist() == pytest.approx(
        [0.005, 0.995]
    )


def test_an_empty_window_gives_an_empty_picture():
    assert warp.to_plate(np.ones((8, 8, 3), np.float32), square((4, 4), 8, 8), Window(0, 0, 0, 5)).shape == (
        5,
        0,
        3,
    )
