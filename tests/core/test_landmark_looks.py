"""Several looks at a face: they are steadier than one, and no chance is in them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tests.core.landmarking import BOXES, boxed, in_hd, portrait, present, still, with_shared
from understudy.core import _plugins
from understudy.core.errors import InvalidInput
from understudy.core.face import Detection, Landmarks
from understudy.core.landmark import Found, Look, _looks


@pytest.fixture(scope="module")
def facemesh(weight_store):
    return _plugins.load("landmark", "facemesh").create(weight_store)


@pytest.fixture(scope="module")
def pfld(weight_store, request):
    store = with_shared(weight_store, request)
    if not present("landmark", "pfld", store):
        pytest.skip("the weights of pfld are not on this machine")
    return _plugins.load("landmark", "pfld").create(store)


class OffByTheBox:
    """Points that depend on the box as a network's do: exactly, so that what is averaged can be worked out."""

    def __init__(self) -> None:
        self.asked: list[Detection] = []

    def landmarks(self, looks):
        self.asked += [look.detection for look in looks]
        unit = np.stack([np.linspace(0.1, 0.9, 68), np.tile([0.4, 0.6], 34)], axis=1)
        unit[36:42], unit[42:48] = (0.3, 0.4), (0.7, 0.4)
        found = []
        for look in looks:
            x0, y0, x1, y1 = look.detection.box
            points = unit * (x1 - x0, y1 - y0) + (x0, y0)
            confidence = np.full(68, 0.5, np.float32)
            landmarks = Landmarks(scheme="68", points=points.astype(np.float32), confidence=confidence)
            found.append(Found(landmarks=landmarks, score=0.75))
        return found

    def to_68(self, landmarks):
        return landmarks


def test_one_look_is_the_landmarkers_own(facemesh):
    (one,), (own,) = _looks.averaged(facemesh, [portrait()], 1), facemesh.landmarks([portrait()])
    np.testing.assert_array_equal(one.landmarks.points, own.landmarks.points)


def test_looks_are_spread_around_the_points_of_the_first():
    network = OffByTheBox()
    look = Look(proxy=np.zeros((400, 400, 3), np.float32), detection=boxed((100.0, 100.0, 200.0, 240.0)))
    (found,) = _looks.averaged(network, [look], 7)
    first, *others = network.asked
    assert first is look.detection
    assert len(others) == 7
    boxes = np.array([d.box for d in others])
    widths = boxes[:, 2] - boxes[:, 0]
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2.0
    assert len(np.unique(widths.round(6))) == 7
    assert np.ptp(widths) < 0.07 * widths.mean()
    assert np.abs(middles - middles[0]).max() < 0.06 * widths.mean()
    assert np.linalg.norm(middles.mean(axis=0) - middles[0]) < 0.02 * widths.mean()
    assert found.landmarks.confidence is not None
    np.testing.assert_allclose(found.landmarks.confidence, 0.5)
    assert found.score == 0.75
    np.testing.assert_allclose(others[0].keypoints, [(130.0, 156.0), (170.0, 156.0)], atol=1e-3)


@pytest.mark.parametrize("count", [0, -1])
def test_fewer_than_one_look_is_refused(facemesh, count):
    with pytest.raises(InvalidInput) as caught:
        _looks.averaged(facemesh, [portrait()], count)
    assert caught.value.field == "looks"


@pytest.mark.parametrize("roll", [0.0, 30.0, 90.0, 180.0, -120.0])
def test_the_box_around_points_is_as_a_detector_has_it(roll):
    network = OffByTheBox()
    (found,) = network.landmarks(
        [Look(proxy=np.zeros((9, 9, 3), np.float32), detection=boxed((0, 0, 100, 100)))]
    )
    M = cv2.getRotationMatrix2D((50, 50), -roll, 1.0)  # OpenCV turns anticlockwise
    points = (found.landmarks.points @ M[:, :2].T + M[:, 2]).astype(np.float32)
    detection = _looks.around(Landmarks(scheme="68", points=points), 0.5)
    assert (detection.roll - roll + 180.0) % 360.0 - 180.0 == pytest.approx(0.0, abs=1e-3)
    x0, y0, x1, y1 = detection.box
    lying = round(roll / 90.0) % 2 == 1
    assert ((x1 - x0) > (y1 - y0)) != lying  # these points are wider than high
    assert max(x1 - x0, y1 - y0) == pytest.approx(88.0, rel=1e-3)


def test_looks_of_a_batch_do_not_mix(facemesh):
    together = _looks.averaged(facemesh, [portrait("hopper"), portrait("astronaut")], 3)
    for name, found in zip(("hopper", "astronaut"), together, strict=True):
        (alone,) = _looks.averaged(facemesh, [portrait(name)], 3)
        np.testing.assert_array_equal(found.landmarks.points, alone.landmarks.points)


@pytest.mark.parametrize("name", ["facemesh", "pfld"])
def test_a_still_face_in_grain_trembles_less_by_several_looks(request, name):
    """A face of 230 pixels in HD, grain of two hundredths: how far its points are off their own mean, in pixels."""
    landmarker = request.getfixturevalue(name)
    scale, where = 1.5, (500, 0)
    plate = in_hd(still("hopper"), scale, where)
    x0, y0, x1, y1 = BOXES["hopper"]
    box = (x0 * scale + where[0], y0 * scale + where[1], x1 * scale + where[0], y1 * scale + where[1])
    looks = []
    for seed in range(10):
        white = np.random.default_rng(seed).standard_normal(plate.shape, np.float32)
        grain = cv2.GaussianBlur(white, (0, 0), 0.6)
        noisy = (plate + grain * np.float32(0.02 / grain.std())).clip(0.0, 1.0)
        looks.append(Look(proxy=noisy, detection=boxed(box)))
    once, often = (_trembling(landmarker, looks, count) for count in (1, 5))
    assert once < 1.0
    assert often < 0.85 * once


def _trembling(landmarker, looks: list[Look], count: int) -> float:
    found = _looks.averaged(landmarker, looks, count)
    points = np.stack([landmarker.to_68(f.landmarks).points for f in found]).astype(np.float64)
    return float(np.sqrt(((points - points.mean(axis=0)) ** 2).sum(axis=2).mean()))
