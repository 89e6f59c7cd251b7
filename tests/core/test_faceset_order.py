"""Orders: what each key means, that equals stay as they were, and that chains are chains."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.looks import add, frames, measured, portrait
from understudy.core.errors import InvalidInput
from understudy.core.faceset import Faceset, chains, order


@pytest.fixture(scope="module")
def faces(tmp_path_factory, colour):
    """Six faces that differ in everything; 1003 and 1004 in nothing but their numbers."""
    folder = tmp_path_factory.mktemp("faces")
    #       yaw  pitch  roll  score  half of the box, faces in the frame, light, blur
    rows = [
        (30.0, 1.0, 0.0, 0.90, 60, 1, 0.18, 1.0),
        (-10.0, 9.0, 5.0, 0.95, 40, 2, 0.10, 0.0),
        (0.0, 0.0, -5.0, 0.85, 50, 1, 0.30, 2.0),
        (0.0, 0.0, -5.0, 0.85, 50, 1, 0.30, 2.0),
        (12.0, -9.0, 2.0, 0.99, 90, 2, 0.14, 4.0),
        (-40.0, 3.0, 1.0, 0.70, 20, 1, 0.60, 0.5),
    ]
    for i, (yaw, pitch, roll, score, half, many, light, blur) in enumerate(rows):
        seed = 3 if i in (2, 3) else i
        box = (960.0 - half, 540.0 - half, 960.0 + half, 540.0 + half)
        tint = (1.0, 0.4 + 0.1 * (seed % 4), 0.4)
        picture = portrait(7, level=light, blur=blur, tint=tint)
        add(folder, 1001 + i, picture, yaw=yaw, pitch=pitch, roll=roll, score=score, box=box, faces=many)
    return measured(folder, colour)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("frame", [1001, 1002, 1003, 1004, 1005, 1006]),
        ("name", [1001, 1002, 1003, 1004, 1005, 1006]),
        ("yaw", [1001, 1005, 1003, 1004, 1002, 1006]),
        ("pitch", [1002, 1006, 1001, 1003, 1004, 1005]),
        ("roll", [1002, 1005, 1006, 1001, 1003, 1004]),
        ("confidence", [1005, 1002, 1001, 1003, 1004, 1006]),
        ("source_rect_size", [1005, 1001, 1003, 1004, 1002, 1006]),
        ("one_face", [1001, 1003, 1004, 1006, 1002, 1005]),
        ("brightness", [1006, 1003, 1004, 1001, 1005, 1002]),
        ("luma", [1006, 1003, 1004, 1001, 1005, 1002]),
    ],
)
def test_each_key_has_its_own_direction_and_equals_stay_as_they_were(faces, key, expected):
    assert frames(faces, order.order(faces, key)) == expected


@pytest.mark.parametrize("key", [key for key in order.KEYS if key != "reference"])
def test_every_order_is_of_all_faces_and_the_reverse_goes_against_it(faces, key):
    values = order.values(faces, key)
    assert values.shape == (6,)
    assert values.dtype == np.float64
    forth, back = order.order(faces, key), order.order(faces, key, reverse=True)
    assert forth.dtype == np.int64
    assert sorted(forth) == sorted(back) == list(range(6))
    np.testing.assert_array_equal(values[forth], values[back][::-1])
    assert (np.diff(values[forth]) * (-1 if order.KEYS[key].descending else 1) >= 0).all()
    np.testing.assert_array_equal(forth, order.order(faces, key))  # and always the same
    if order.KEYS[key].unit == "rank":
        assert sorted(values) == list(range(6))


def test_the_sharpest_comes_first(faces):
    found = frames(faces, order.order(faces, "blur"))
    assert found[:2] == [1002, 1006]
    assert found.index(1001) < found.index(1003)
    assert found.index(1003) + 1 == found.index(1004)


def test_the_same_picture_is_next_in_a_chain(faces):
    for key in ("hist", "absolute"):
        found = frames(faces, order.order(faces, key))
        assert abs(found.index(1003) - found.index(1004)) == 1, key
        assert found[0] == 1001


def test_of_a_subset_everything_is_within_it(faces):
    some = faces.subset(np.array([4, 2, 3]))
    assert frames(some, order.order(some, "brightness")) == [1003, 1004, 1005]
    assert sorted(order.values(some, "hist")) == [0, 1, 2]
    assert order.values(some, "hist_dissim")[0] > order.values(some, "hist_dissim")[1]


def test_an_unknown_key_is_refused(faces):
    with pytest.raises(InvalidInput, match="no sort key is called 'charm'; there are frame, name,") as caught:
        order.order(faces, "charm")
    assert (caught.value.field, caught.value.value) == ("key", "charm")


def test_no_face_at_all(tmp_path):
    assert order.order(Faceset.open(tmp_path), "blur").tolist() == []


def roots(counts: np.ndarray) -> np.ndarray:
    return np.asarray(np.sqrt(counts / counts.sum(axis=-1, keepdims=True)), np.float32)


def colours(count: int, seed: int = 0) -> np.ndarray:
    """(3, N, 256) roots of histograms as a shot has them: a few looks, and something between them."""
    rng = np.random.default_rng(seed)
    looks = np.exp(
        -(((np.arange(256) - rng.uniform(40, 200, (6, 3, 1))) / rng.uniform(10, 60, (6, 3, 1))) ** 2)
    )
    mixed = np.einsum("nk,kcb->cnb", rng.dirichlet(np.ones(6) * 0.3, count), looks)
    return roots(mixed + 1e-3 * rng.random(mixed.shape))


def thumbnails(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    looks = cv2.resize(rng.random((32 * 8, 8), np.float32), (32, 32 * 32)).reshape(32, 32, 32)
    mixed = np.einsum("nk,khw->nhw", rng.dirichlet(np.ones(32) * 0.2, count), looks)
    return np.asarray(np.clip(255 * mixed + rng.normal(0, 1, mixed.shape), 0, 255), np.uint8)


def chained(distances: np.ndarray) -> list[int]:
    """The chain as one would write it down, from all distances (N, N)."""
    left, at, found = set(range(1, len(distances))), 0, [0]
    while left:
        at = min(left, key=lambda j: (distances[at, j], j))
        left.remove(at)
        found.append(at)
    return found


def bhattacharyya(rows: np.ndarray) -> np.ndarray:
    """(N, N) by OpenCV, as DeepFaceLab calls it."""
    shares = rows.astype(np.float64).swapaxes(0, 1) ** 2
    pairs = [
        [sum(cv2.compareHist(p.astype(np.float32), q.astype(np.float32), cv2.HISTCMP_BHATTACHARYYA)
             for p, q in zip(a, b, strict=True)) for b in shares]
        for a in shares
    ]  # fmt: skip
    return np.array(pairs)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_chain_of_colours_is_the_greedy_one(seed):
    rows = colours(60, seed)
    found = chains.chain(chains.Histograms(rows)).tolist()
    distances = bhattacharyya(rows)
    steps = np.array([distances[a, b] for a, b in pairwise(found)])
    for place, at in enumerate(found[:-1]):  # float32 may choose another of equals
        assert steps[place] <= distances[at, found[place + 1 :]].min() + 1e-3
    assert sorted(found) == list(range(60))


@pytest.mark.parametrize("count", [1, 2, 33, 150])
def test_a_chain_of_pictures_is_the_greedy_one(count):
    pictures = thumbnails(count)
    flat = pictures.reshape(count, -1).astype(np.int64)
    distances = np.abs(flat[:, None] - flat[None]).sum(axis=2)
    assert chains.chain(chains.Pictures(pictures)).tolist() == chained(distances)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**16), st.integers(2, 80))
def test_bounds_bound(seed, count):
    every = np.arange(count)
    for space in (chains.Histograms(colours(count, seed)), chains.Pictures(thumbnails(count, seed))):
        distances = space.distances(0, every)
        assert (space.bounds(0) <= distances + 1e-5).all()
        np.testing.assert_allclose(space.distances(0, every[:1]), distances[:1], atol=1e-3)


def test_longer_chains_are_made_in_chunks(monkeypatch):
    pictures = thumbnails(100)
    whole = chains.chain(chains.Pictures(pictures)).tolist()
    monkeypatch.setattr(chains, "CHUNK", 30)
    found = chains.chain(chains.Pictures(pictures)).tolist()
    assert [sorted(found[i : i + 30]) for i in (0, 30, 60, 90)] == [
        list(range(i, min(i + 30, 100))) for i in (0, 30, 60, 90)
    ]
    assert found != whole
    flat = pictures.reshape(100, -1).astype(int)
    near = np.abs(flat[30:60] - flat[found[29]]).sum(axis=1)
    assert found[30] == 30 + near.argmin()


def test_unlike_histograms_are_those_far_from_all_others():
    rows = colours(50)[0]
    every = np.sqrt(np.maximum(1.0 - rows.astype(np.float64) @ rows.T.astype(np.float64), 0.0))
    np.testing.assert_allclose(chains.unlike_histograms(rows), every.sum(axis=1) / 49, atol=1e-3)


def test_unlike_histograms_of_many_are_told_from_some(monkeypatch):
    rows = colours(400)[0]
    exact = chains.unlike_histograms(rows)
    monkeypatch.setattr(chains, "CHUNK", 200)
    np.testing.assert_allclose(chains.unlike_histograms(rows), exact, rtol=0.15)


def test_unlike_pictures_are_those_far_from_all_others():
    pictures = thumbnails(40)
    flat = pictures.reshape(40, -1).astype(np.float64)
    every = np.abs(flat[:, None] - flat[None]).mean(axis=2) / 255
    np.testing.assert_allclose(chains.unlike_pictures(pictures), every.sum(axis=1) / 39, rtol=1e-5)


def test_the_best_are_of_all_poses_and_sharp():
    rng = np.random.default_rng(0)
    yaw = np.concatenate([rng.normal(0, 5, 5000), rng.uniform(-60, 60, 200)])  # most look ahead
    poses = np.column_stack([yaw, rng.normal(0, 8, len(yaw))])
    sharp = rng.random(len(yaw))
    found = chains.best(poses, sharp, colours(len(yaw))[0], 256)
    assert sorted(found) == list(range(len(yaw)))
    chosen = found[:256]
    turned = np.abs(yaw) > 20
    assert turned[chosen].mean() > 0.3 > 10 * turned.mean()
    ahead = chosen[~turned[chosen]]
    assert sharp[ahead].mean() > 0.7  # where there is a choice
    first = found[:100]
    assert np.ptp(yaw[first]) > 100  # any beginning of it covers the range
    rest = found[600:]
    assert (np.diff(sharp[rest]) <= 0).all()


def test_the_best_few(faces):
    by_size = order.order(faces, "best_fast", limit=2)
    assert sorted(by_size) == list(range(6))
    assert frames(faces, by_size[:2]) in (
        [1005, 1003],
        [1005, 1002],
        [1005, 1001],
        [1001, 1003],
        [1001, 1002],
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**16), st.integers(1, 60), st.integers(1, 300))
def test_the_best_are_a_permutation_whatever_is_asked(seed, count, wanted):
    rng = np.random.default_rng(seed)
    merit = np.where(rng.random(count) < 0.1, np.nan, rng.random(count).round(1))
    found = chains.best(rng.uniform(-120, 120, (count, 2)), merit, colours(count, seed)[0], wanted)
    assert sorted(found) == list(range(count))
