"""Detectors: on real portraits, small, large, many, rolled, cut off, and on pictures without a face."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest

from bench.stills import STILLS
from understudy.core import _plugins
from understudy.core.detect import blazeface
from understudy.core.errors import InvalidInput


@pytest.fixture(scope="module", params=_plugins.names("detect"))
def detector(request, weight_store):
    return _plugins.load("detect", request.param).create(weight_store)


def proxy(name: str) -> np.ndarray:
    return STILLS[name].load().astype(np.float32) / 255.0


def on_canvas(picture: np.ndarray, scale: float, where: tuple[int, int], canvas: np.ndarray) -> np.ndarray:
    """The picture at this scale, its corner at `where`, on a copy of the canvas."""
    kernel = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=kernel)
    out, (x, y) = canvas.copy(), where
    out[y : y + small.shape[0], x : x + small.shape[1]] = small[: out.shape[0] - y, : out.shape[1] - x]
    return out


def grey(width: int, height: int) -> np.ndarray:
    return np.full((height, width, 3), 0.4, np.float32)


@pytest.mark.parametrize("name", STILLS)
def test_finds_the_one_face_of_a_portrait(detector, name):
    still = STILLS[name]
    (found,) = detector.detect(proxy(name))
    x0, y0, x1, y1 = found.box
    for x, y in (*still.eyes, still.nose):
        assert x0 < x < x1
        assert y0 < y < y1
    assert 1.5 * still.unit < x1 - x0 < 4 * still.unit
    assert 0.7 < found.score <= 1.0
    assert found.keypoints.dtype == np.float32
    np.testing.assert_allclose(found.keypoints[:2], still.eyes, atol=0.12 * still.unit)


@pytest.mark.parametrize("where", [(40, 30), (1500, 640), (833, 401), (1237, 12)])
def test_finds_a_face_of_sixty_pixels_in_an_hd_plate(detector, where):
    box = np.reshape(detector.detect(proxy("hopper"))[0].box, (2, 2))
    scale = 60.0 / (box[1, 0] - box[0, 0])
    found = detector.detect(on_canvas(proxy("hopper"), scale, where, grey(1920, 1080)))
    assert len(found) == 1
    np.testing.assert_allclose(np.reshape(found[0].box, (2, 2)), box * scale + where, atol=6)


def test_finds_a_face_that_fills_the_plate(detector):
    """Larger than any tile of the finer levels, which must not report pieces of it."""
    still = STILLS["astronaut"]
    crop = proxy("astronaut")[20:220, 120:340]
    large = cv2.resize(crop, (1760, 1600), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    (found,) = detector.detect(large)
    np.testing.assert_allclose(found.keypoints[:2] / 8 + (120, 20), still.eyes, atol=0.15 * still.unit)


def test_finds_all_faces_each_once(detector):
    plate = on_canvas(proxy("hopper"), 0.5, (60, 400), grey(1920, 1080))
    plate = on_canvas(proxy("astronaut"), 0.9, (700, 100), plate)
    plate = on_canvas(proxy("hopper"), 1.2, (1250, 200), plate)
    found = detector.detect(plate)
    assert len(found) == 3
    middles = sorted((d.box[0] + d.box[2]) / 2 for d in found)
    expected = [267 * 0.5 + 60, 225 * 0.9 + 700, 267 * 1.2 + 1250]
    np.testing.assert_allclose(middles, expected, atol=15)
    scores = [d.score for d in found]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("shape", [(1080, 1920), (64, 64), (1, 1), (9, 700), (700, 9)])
def test_no_face_gives_an_empty_list(detector, shape):
    assert detector.detect(np.full((*shape, 3), 0.5, np.float32)) == []


def test_noise_and_stripes_are_no_faces(detector):
    rng = np.random.default_rng(0)
    assert detector.detect(rng.random((480, 640, 3)).astype(np.float32)) == []
    stripes = np.broadcast_to((np.arange(640) // 20 % 2).astype(np.float32)[None, :, None], (480, 640, 3))
    assert detector.detect(np.ascontiguousarray(stripes)) == []


def test_the_same_picture_gives_the_same_answer(detector):
    first, second = detector.detect(proxy("astronaut")), detector.detect(proxy("astronaut"))
    assert first[0].box == second[0].box


@pytest.mark.parametrize("bad", [np.zeros((10, 10), np.float32), np.zeros((10, 10, 3), np.uint8)])
def test_refuses_what_is_no_proxy(detector, bad):
    with pytest.raises(InvalidInput, match="proxy"):
        detector.detect(bad)


def test_anchors_are_the_published_ones():
    assert blazeface._anchors((16, 2), (8, 6)).shape == (896, 2)
    assert blazeface._anchors((48, 1)).shape == (2304, 2)
    anchors = blazeface._anchors((16, 2), (8, 6))
    assert anchors[0].tolist() == [1 / 32, 1 / 32]
    assert anchors[2].tolist() == [3 / 32, 1 / 32]
    assert anchors[512].tolist() == [1 / 16, 1 / 16]


@pytest.mark.parametrize("length", [1, 191, 192, 193, 300, 384, 672, 1344])
def test_tiles_cover_the_axis_and_overlap_by_a_quarter(length):
    origins = blazeface._origins(length, 192)
    assert origins[0] == 0
    assert origins[-1] == max(0, length - 192)
    assert all(b - a <= 145 for a, b in pairwise(origins))


def test_blending_weighs_by_score_and_swallows_pieces():
    """Two boxes of one face are averaged, a piece inside it goes, another face stays."""

    def points(x0, y0, x1, y1):
        return [(x0, y0), (x1, y1), *[((x0 + x1) / 2, (y0 + y1) / 2)] * 6]

    boxes = [
        points(0, 0, 100, 100),
        points(10, 0, 110, 100),
        points(30, 60, 60, 90),
        points(300, 0, 400, 100),
    ]
    faces = blazeface._merge(np.array([0.9, 0.6, 0.7, 0.8], np.float32), np.array(boxes, np.float32))
    assert [round(f.score, 2) for f in faces] == [0.9, 0.8]
    assert faces[0].box == pytest.approx((4.0, 0.0, 104.0, 100.0), abs=1e-3)
    assert faces[0].keypoints[0].tolist() == pytest.approx([54.0, 50.0], abs=1e-3)
