"""The pyramid: with any network that finds what is whole in its tile, every face of a picture, each once."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.core.detect import _pyramid
from understudy.core.detect._pyramid import Finds, Plan, Pyramid

PLANS = {
    "blazeface": Plan(enough=14, tile=192, overlap=48, margin=2, fixed=True),
    "s3fd": Plan(enough=20, tile=256, overlap=96, margin=8),
    "batched": Plan(enough=32, tile=320, overlap=96, margin=8, batch=1 << 20),
}


class Squares:
    """A network that finds bright squares from `enough` pixels on, and pieces of them that a tile cuts off."""

    def __init__(self, enough: float) -> None:
        self.enough = enough
        self.shown: list[tuple[int, ...]] = []

    def __call__(self, tiles: np.ndarray) -> list[Finds]:
        self.shown.append(tiles.shape)
        return [self._look(tile) for tile in tiles]

    def _look(self, tile: np.ndarray) -> Finds:
        count, _, stats, _ = cv2.connectedComponentsWithStats((tile[..., 0] > 0.5).astype(np.uint8))
        boxes = [(x, y, x + w, y + h) for x, y, w, h, _ in stats[1:count] if max(w, h) >= 0.9 * self.enough]
        points = np.array(boxes, np.float32).reshape(-1, 2, 2)
        return np.linspace(0.95, 0.9, len(points), dtype=np.float32), points


def plate(width: int, height: int, *boxes: tuple[int, int, int]) -> np.ndarray:
    out = np.zeros((height, width, 3), np.float32)
    for x, y, side in boxes:
        out[y : y + side, x : x + side] = 1.0
    return out


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(sorted(PLANS)),
    width=st.integers(1, 1500),
    height=st.integers(1, 1200),
    smallest=st.floats(8.0, 200.0),
    data=st.data(),
)
def test_a_face_of_any_size_anywhere_is_whole_in_some_tile(name, width, height, smallest, data):
    plan = PLANS[name]
    side = data.draw(st.floats(1.0, min(width, height)))
    x, y = data.draw(st.floats(0.0, width - side)), data.draw(st.floats(0.0, height - side))
    long_side = max(width, height)
    scales = list(plan.scales(long_side, smallest))
    assert all(b < a for a, b in pairwise(scales))
    seen = [
        scale
        for scale in scales
        if whole(plan, round(width * scale), x * scale, side * scale)
        and whole(plan, round(height * scale), y * scale, side * scale)
    ]
    assert seen  # the whole picture shows all
    if side >= smallest:  # a level shows it large enough, or every pixel of it
        assert max(seen) * side >= plan.enough - 1e-6 or max(seen) >= 1.0


def whole(plan: Plan, length: int, begin: float, side: float) -> bool:
    """Whether some tile of an axis has all of it, and its inner edges stay clear of it."""
    tile, origins = plan.axis(max(1, length))
    return any(
        (o == 0 or begin >= o + plan.margin)
        and (o + tile >= length or begin + side <= o + tile - plan.margin)
        for o in origins
    )


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
@pytest.mark.parametrize("length", [1, 31, 191, 192, 193, 256, 257, 300, 384, 672, 1344, 4096])
def test_tiles_cover_the_axis_and_overlap(plan: Plan, length: int):
    side, origins = plan.axis(length)
    assert side <= max(plan.tile, plan.least)
    assert origins[0] == 0
    assert origins[-1] == max(0, length - side)
    assert all(b - a <= side - plan.overlap + 1 for a, b in pairwise(origins))


def test_tiles_are_no_larger_than_they_need_be():
    plan = Plan(enough=20, tile=1024, overlap=96)
    assert plan.axis(1025) == (576, [0, 449])
    assert plan.axis(1024) == (1024, [0])


@settings(max_examples=40, deadline=None)
@given(name=st.sampled_from(sorted(PLANS)), seed=st.integers(0, 2**32 - 1))
def test_every_face_is_found_once_where_it_is(name: str, seed: int):
    """Squares of 40 px to half the picture on a grid of places, so that none touches another."""
    rng = np.random.default_rng(seed)
    width, height = rng.integers(500, 1300, 2)
    cell = int(min(width, height) // 2)
    boxes = []
    for row in range(height // cell):
        for column in range(width // cell):
            side = int(np.exp(rng.uniform(np.log(40), np.log(cell - 60))))
            x, y = rng.integers(20, cell - side - 20, 2)
            boxes.append((int(column * cell + x), int(row * cell + y), side))
    network = Squares(PLANS[name].enough)
    (found,) = Pyramid((network, PLANS[name]), same=0.3).detect([plate(width, height, *boxes)])
    assert len(found) == len(boxes)
    for x, y, side in boxes:
        nearest = min(found, key=lambda f: abs(f.box[0] - x) + abs(f.box[1] - y))
        np.testing.assert_allclose(nearest.box, (x, y, x + side, y + side), atol=6 + 0.06 * side)


def test_what_a_batch_holds_changes_nothing_but_the_number_of_calls():
    pictures = [
        plate(700, 500, (100, 100, 60)),
        plate(640, 480, (20, 300, 45), (400, 30, 200)),
        plate(700, 500),
    ]
    plans = PLANS["s3fd"], Plan(enough=20, tile=256, overlap=96, margin=8, batch=1 << 22)
    networks = Squares(20), Squares(20)
    alone, together = (
        Pyramid((n, p), same=0.3).detect(pictures) for n, p in zip(networks, plans, strict=True)
    )
    assert [len(faces) for faces in alone] == [1, 2, 0]
    assert [[f.box for f in faces] for faces in alone] == [[f.box for f in faces] for faces in together]
    assert len(networks[1].shown) < len(networks[0].shown) / 2
    assert {shape[0] for shape in networks[0].shown} == {1}
    assert max(b * h * w for b, h, w, _ in networks[1].shown) <= 1 << 22


def test_who_asks_for_large_faces_only_shows_little():
    network = Squares(20)
    crop = plate(400, 400, (100, 100, 200))
    pyramid = Pyramid((network, PLANS["s3fd"]), same=0.3)
    ((small,),), shown = pyramid.detect([crop]), network.shown
    network.shown = []
    ((large,),) = pyramid.detect([crop], smallest=150)
    np.testing.assert_allclose(small.box, large.box, atol=12)
    assert sum(h * w for _, h, w, _ in network.shown) * 8 < sum(h * w for _, h, w, _ in shown)


def test_by_default_faces_of_forty_pixels_in_hd_and_57_in_4k_are_looked_for():
    for width, height, least in ((1920, 1080, 40), (4096, 2160, 57)):
        network = Squares(20)
        pyramid = Pyramid((network, PLANS["s3fd"]), same=0.3)
        boxes = [(100, 100, least), (width - 70, height - 70, least), (width // 2, 40, least)]
        assert len(pyramid.detect([plate(width, height, *boxes)])[0]) == 3


def test_a_picture_smaller_than_a_tile_gets_a_rim():
    network = Squares(20)
    Pyramid((network, PLANS["s3fd"]), same=0.3).detect([np.ones((1, 1, 3), np.float32)])
    assert network.shown == [(1, 32, 32, 3)]


def merged(*finds: tuple[float, float, float, float, float], mean: bool = False) -> list[tuple[float, ...]]:
    """Score, x, y, width, height of each; the rounded boxes that are left."""
    rows = np.array(finds, np.float32)
    corner, size = rows[:, 1:3], rows[:, 3:5]
    points = np.stack((corner, corner + size, corner + size / 2), axis=1)
    return [tuple(np.round(f.box, 3)) for f in _pyramid.merge(rows[:, 0], points, same=0.3, mean=mean)]


def test_one_face_seen_twice_is_the_better_one_or_their_mean():
    twice = ((0.9, 0, 0, 100, 100), (0.6, 10, 0, 100, 100))
    assert merged(*twice) == [(0, 0, 100, 100)]
    assert merged(*twice, mean=True) == [(4, 0, 104, 100)]


def test_pieces_of_a_face_and_what_is_around_it_are_that_face():
    assert merged((0.9, 0, 0, 100, 100), (0.7, 30, 60, 30, 30), (0.8, 300, 0, 100, 100)) == [
        (0, 0, 100, 100),
        (300, 0, 400, 100),
    ]
    assert merged((0.9, 50, 50, 50, 50), (0.7, 20, 40, 105, 105)) == [(50, 50, 100, 100)]


def test_a_face_far_behind_another_is_one_of_its_own():
    """A small one, surer than the large one that it overlaps with."""
    assert len(merged((0.9, 80, 10, 30, 30), (0.8, 0, 0, 100, 100))) == 2
    assert len(merged((0.9, 10, 10, 30, 30), (0.8, 0, 0, 100, 100))) == 2


def test_key_points_go_with_their_box():
    points = np.array([[(0, 0), (100, 100), (30, 40)], [(10, 0), (110, 100), (45, 40)]], np.float32)
    (face,) = _pyramid.merge(np.array([0.9, 0.6], np.float32), points, same=0.3, mean=True)
    assert face.keypoints.tolist() == [[36.0, 40.0]]
    assert face.keypoints.dtype == np.float32
