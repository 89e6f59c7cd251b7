"""Landmarkers: the points lie on the face, whatever the size, turn and place of it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from bench.stills import STILLS
from tests.core.landmarking import NAMES, present, still, with_shared
from understudy.core import _plugins, align
from understudy.core.face import Detection
from understudy.core.landmark import Look

EXPECTED = json.loads((Path(__file__).parents[1] / "golden/stills_68.json").read_text("utf-8"))
FOOTAGE = {"performer_a": 100, "performer_b": 300, "plate_office_720p": 140, "greenscreen_512": 30}
_SYMMETRIC = (
    [(i, 16 - i) for i in range(8)] + [(17 + i, 26 - i) for i in range(5)] + [(36, 45), (39, 42), (48, 54)]
)


@pytest.fixture(scope="module")
def detector(weight_store):
    return _plugins.load("detect", "blazeface").create(weight_store)


@pytest.fixture(scope="module")
def facemesh(weight_store):
    return _plugins.load("landmark", "facemesh").create(weight_store)


@pytest.fixture(scope="module", params=NAMES)
def landmarker(request, weight_store):
    store = with_shared(weight_store, request)
    if not present("landmark", request.param, store):
        pytest.skip(f"the weights of {request.param} are not on this machine")
    return _plugins.load("landmark", request.param).create(store, device="cpu")


def points(detector, landmarker, proxy: np.ndarray) -> np.ndarray:
    detection = detector.detect([proxy])[0][0]
    (found,) = landmarker.landmarks([Look(proxy=proxy, detection=detection)])
    assert found.score > 0.85
    sixty_eight = landmarker.to_68(found.landmarks)
    assert sixty_eight.scheme == "68"
    assert sixty_eight.points.dtype == np.float32
    return np.asarray(sixty_eight.points)


@pytest.mark.parametrize("name", STILLS)
def test_points_are_where_they_were_looked_at(detector, facemesh, name):
    """Computed once, drawn on the portrait and checked by eye."""
    found = points(detector, facemesh, still(name))
    assert np.linalg.norm(found - EXPECTED[name], axis=1).max() < 0.5


@pytest.mark.parametrize("name", STILLS)
def test_points_agree_between_networks(detector, facemesh, landmarker, name):
    found = points(detector, landmarker, still(name))
    off = np.linalg.norm(found - points(detector, facemesh, still(name)), axis=1)
    assert off.mean() < 0.09 * STILLS[name].unit


@pytest.mark.parametrize("name", STILLS)
def test_points_agree_with_features_set_by_hand(detector, landmarker, name):
    found, known = points(detector, landmarker, still(name)), STILLS[name]
    eyes = found[36:42].mean(axis=0), found[42:48].mean(axis=0)
    np.testing.assert_allclose(eyes, known.eyes, atol=0.1 * known.unit)
    np.testing.assert_allclose(found[8], known.chin, atol=0.3 * known.unit)
    np.testing.assert_allclose(found[30], known.nose, atol=0.2 * known.unit)


@pytest.mark.parametrize("name", STILLS)
def test_the_mirror_image_has_mirrored_points(detector, landmarker, name):
    picture = still(name)
    found, mirrored = (
        points(detector, landmarker, picture),
        points(detector, landmarker, picture[:, ::-1].copy()),
    )
    off = []
    for left, right in _SYMMETRIC:
        back = (picture.shape[1] - mirrored[right][0], mirrored[right][1])
        off.append(np.linalg.norm(found[left] - back) / STILLS[name].unit)
    assert np.mean(off) < 0.07
    assert max(off) < 0.17


@pytest.mark.parametrize(("turn", "scale"), [(25.0, 1.0), (-30.0, 1.0), (0.0, 2.5), (10.0, 0.6)])
def test_points_follow_turn_and_size(detector, landmarker, turn, scale):
    picture = still("hopper")
    M = cv2.getRotationMatrix2D((266, 240), turn, scale)
    M[:, 2] += (scale * 260 - 266, scale * 260 - 240)
    side = round(520 * scale)
    flags = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    moved = cv2.warpAffine(picture, M, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE).clip(0, 1)
    found = points(detector, landmarker, moved)
    expected = (points(detector, landmarker, picture) - 0.5) @ M[:, :2].T + M[:, 2] + 0.5
    assert np.linalg.norm(found - expected, axis=1).mean() < 0.04 * STILLS["hopper"].unit * scale


def test_a_trembling_box_hardly_moves_the_points(detector, landmarker):
    picture = still("hopper")
    detection = detector.detect([picture])[0][0]
    x0, y0, x1, y1 = detection.box
    side, known = x1 - x0, points(detector, landmarker, picture)
    rng = np.random.default_rng(0)
    for _ in range(6):
        dx, dy = rng.normal(0, 0.03 * side, 2)
        shaken = Detection(
            box=(x0 + dx, y0 + dy, x1 + dx, y1 + dy),
            score=1.0,
            keypoints=detection.keypoints + np.array([dx, dy], np.float32),
        )
        (again,) = landmarker.landmarks([Look(proxy=picture, detection=shaken)])
        off = np.linalg.norm(landmarker.to_68(again.landmarks).points - known, axis=1)
        assert off.mean() < 0.006 * side


@pytest.mark.parametrize(("clip", "index"), FOOTAGE.items())
def test_real_performers_have_their_points_on_the_mean_face(detector, landmarker, shared, clip, index):
    """Aligned points are within a tenth of the face of where the mean face has them."""
    av = pytest.importorskip("av")
    with av.open(str(shared / "footage" / f"{clip}.mp4")) as container:
        picture = next(f for i, f in enumerate(container.decode(video=0)) if i == index).to_ndarray(
            format="rgb24"
        )
    found = points(detector, landmarker, picture.astype(np.float32) / 255.0)
    unit = align.fit(found, "half", 1).apply(found)
    off = np.linalg.norm(unit[align._TEMPLATE_OF_68] - align._TEMPLATE, axis=1)
    assert off.mean() < 0.05
    assert off.max() < 0.16
    jaw = np.diff(found[:17], axis=0)
    steps = np.linalg.norm(jaw, axis=1) / math.dist(found[36], found[45])
    assert steps.max() < 3.5 * steps.min()
