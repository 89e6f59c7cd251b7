"""What every landmarker must do, asked of each by name; with made-up weights where the real ones are not here."""

from __future__ import annotations

import numpy as np
import pytest

from tests.core.landmarking import (
    BOXES,
    NAMES,
    boxed,
    made_up,
    one_thread,
    portrait,
    present,
    still,
    with_shared,
)
from understudy.core import _plugins
from understudy.core.errors import InvalidInput
from understudy.core.face import Detection, Landmarks
from understudy.core.landmark import Look


@pytest.fixture(scope="module", autouse=True)
def threads():
    with one_thread():
        yield


@pytest.fixture(scope="module")
def store(weight_store, request):
    return with_shared(weight_store, request)


@pytest.fixture(scope="module", params=NAMES)
def landmarker(request, store):
    if present("landmark", request.param, store):
        return _plugins.load("landmark", request.param).create(store, device="cpu")
    return made_up(request.param)


@pytest.fixture(scope="module", params=NAMES)
def trained(request, store):
    if not present("landmark", request.param, store):
        pytest.skip(f"the weights of {request.param} are not on this machine")
    return _plugins.load("landmark", request.param).create(store, device="cpu")


def points(landmarker, look: Look) -> np.ndarray:
    (found,) = landmarker.landmarks([look])
    return np.asarray(landmarker.to_68(found.landmarks).points)


def test_shape_type_and_range(landmarker):
    (found,) = landmarker.landmarks([portrait()])
    count = len(found.landmarks.points)
    assert found.landmarks.points.shape == (count, 2)
    assert found.landmarks.points.dtype == np.float32
    assert np.isfinite(found.landmarks.points).all()
    assert 0.0 <= found.score <= 1.0
    confidence = found.landmarks.confidence
    if confidence is not None:
        assert confidence.shape == (count,)
        assert confidence.dtype == np.float32
        assert confidence.min() >= 0.0
        assert confidence.max() <= 1.0
    sixty_eight = landmarker.to_68(found.landmarks)
    assert sixty_eight.scheme == "68"
    assert sixty_eight.points.shape == (68, 2)


def test_a_batch_is_its_members(landmarker):
    outside = Look(proxy=still("hopper"), detection=boxed((-900.0, -900.0, -800.0, -800.0)))
    looks = [portrait("hopper"), outside, portrait("astronaut")]
    together = landmarker.landmarks(looks)
    for look, found in zip(looks[1:], together[1:], strict=True):
        (alone,) = landmarker.landmarks([look])
        np.testing.assert_array_equal(found.landmarks.points, alone.landmarks.points)
        assert found.score == alone.score
    assert landmarker.landmarks([]) == []


def test_inputs_are_not_written_to(landmarker):
    look = portrait()
    look.proxy.flags.writeable = False
    before = look.proxy.copy()
    landmarker.landmarks([look])
    np.testing.assert_array_equal(look.proxy, before)


@pytest.mark.parametrize(
    "box", [(-60.0, -40.0, 120.0, 150.0), (400.0, 500.0, 700.0, 900.0), (10.0, 10.0, 10.0, 10.0)]
)
def test_a_box_may_reach_beyond_the_picture_or_be_a_point(landmarker, box):
    (found,) = landmarker.landmarks([Look(proxy=still("hopper"), detection=boxed(box))])
    assert np.isfinite(found.landmarks.points).all()
    assert np.isfinite(found.score)


def test_a_box_outside_the_picture_scores_nothing(landmarker):
    (found,) = landmarker.landmarks(
        [Look(proxy=still("hopper"), detection=boxed((-950.0, 40.0, -850.0, 160.0)))]
    )
    assert found.score < 0.5
    assert np.isfinite(found.landmarks.points).all()


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_head_that_lies_or_stands_on_itself_is_seen_upright(landmarker, quarters):
    """Through the very same pixels: even a network that was taught nothing gives the same points."""
    look, (height, width) = portrait(), still("hopper").shape[:2]
    upright = points(landmarker, look)
    turned = np.ascontiguousarray(np.rot90(look.proxy, -quarters))
    x0, y0, x1, y1 = BOXES["hopper"]
    corners = np.array([(x0, y0), (x1, y1)])
    for _ in range(quarters):  # clockwise
        corners, upright = (np.stack([height - p[:, 1], p[:, 0]], axis=1) for p in (corners, upright))
        height, width = width, height
    low, high = corners.min(axis=0), corners.max(axis=0)
    detection = boxed(
        (*low.tolist(), *high.tolist()), roll=90.0 * quarters - (360.0 if quarters == 3 else 0.0)
    )
    off = np.linalg.norm(points(landmarker, Look(proxy=turned, detection=detection)) - upright, axis=1)
    assert np.quantile(off, 0.9) < 1.0


def test_key_points_tell_the_lean_like_roll_does(landmarker):
    look = portrait()
    x0, y0, x1, _ = BOXES["hopper"]
    eyes = np.array([(x0 + 40.0, y0 + 70.0), (x1 - 40.0, y0 + 70.0)], np.float32)
    keyed = Detection(box=BOXES["hopper"], score=1.0, keypoints=eyes)
    np.testing.assert_array_equal(
        points(landmarker, Look(proxy=look.proxy, detection=keyed)), points(landmarker, look)
    )


def test_to_68_refuses_other_schemes(landmarker):
    with pytest.raises(InvalidInput) as caught:
        landmarker.to_68(Landmarks(scheme="5", points=np.zeros((5, 2), np.float32)))
    assert caught.value.field == "landmarks"


@pytest.mark.parametrize("name", BOXES)
def test_the_68_are_in_the_order_of_ibug(trained, name):
    found = points(trained, portrait(name))
    assert (np.diff(found[0:17:4, 0]) > 0).all()  # the jaw from the person's right, in the picture's left
    assert found[8, 1] > found[[0, 16], 1].max()
    assert (np.diff(found[17:27, 0]) > 0).all()  # brows
    assert (np.diff(found[27:31, 1]) > 0).all()  # down the nose
    assert found[36:42, 0].max() < found[42:48, 0].min()  # right eye, left eye
    assert (
        found[17:27, 1].mean() < found[36:48, 1].mean() < found[30, 1] < found[48:68, 1].mean() < found[8, 1]
    )
    assert found[48, 0] < found[51, 0] < found[54, 0]
    assert found[51, 1] < found[57, 1]


def test_what_is_no_face_scores_low(trained):
    noise = np.random.default_rng(0).random((300, 300, 3)).astype(np.float32)
    for x, y in [(140, 150), (-850, -850)]:  # in the picture, and far out of it
        box = (x - 60.0, y - 60.0, x + 60.0, y + 60.0)
        (found,) = trained.landmarks([Look(proxy=noise, detection=boxed(box))])
        assert found.score < 0.5
