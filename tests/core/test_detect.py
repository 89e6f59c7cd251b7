"""Detectors: on real portraits, small, large, many, rolled, cut off, and on pictures without a face."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch

from bench.stills import STILLS
from tests.core.detecting import NETWORKS, MadeUp, grey, on_canvas, present, proxy, real
from understudy.core import _plugins
from understudy.core.detect import Detector, blazeface
from understudy.core.errors import InvalidInput, WeightsCorrupt, WeightsMissing
from understudy.core.weights import WeightStore

NAMES = _plugins.names("detect")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Small networks wait for a busy processor's second thread longer than they compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def store(weight_store: WeightStore) -> WeightStore:
    """Also with what the shared material has of networks that no package index has."""
    shared = Path(__file__).parents[3] / "shared" / "weights"
    return WeightStore(weight_store.cache, (shared,) if shared.is_dir() else ())


@pytest.fixture(scope="module", params=NAMES)
def detector(request: pytest.FixtureRequest, store: WeightStore) -> Detector:
    """With the weights that its makers trained."""
    if not present(request.param, store):
        pytest.skip(f"the weights of {request.param} are not on this machine")
    return real(request.param, store)


@pytest.fixture(scope="module", params=NAMES)
def any_detector(
    request: pytest.FixtureRequest, store: WeightStore, tmp_path_factory: pytest.TempPathFactory
) -> Detector:
    """Made-up weights will do where nothing has to be found."""
    if present(request.param, store):
        return real(request.param, store)
    if request.param not in NETWORKS:
        pytest.skip(f"the weights of {request.param} are not on this machine and cannot be made up")
    return real(request.param, MadeUp(request.param, tmp_path_factory.mktemp("weights")))


@pytest.mark.parametrize("name", STILLS)
def test_finds_the_one_face_of_a_portrait(detector: Detector, name: str):
    still = STILLS[name]
    ((found,),) = detector.detect([proxy(name)])
    x0, y0, x1, y1 = found.box
    for x, y in (*still.eyes, still.nose):
        assert x0 < x < x1
        assert y0 < y < y1
    assert 1.5 * still.unit < x1 - x0 < 4 * still.unit
    assert 0.7 < found.score <= 1.0
    assert found.keypoints.dtype == np.float32
    if len(found.keypoints):
        np.testing.assert_allclose(found.keypoints[:2], still.eyes, atol=0.12 * still.unit)


@pytest.mark.parametrize(
    ("size", "where"),
    [
        ((1920, 1080), (40, 30)),
        ((1920, 1080), (1500, 640)),
        ((1920, 1080), (1237, 12)),
        ((4096, 2160), (3900, 1962)),
    ],
)
def test_finds_a_face_of_sixty_pixels(detector: Detector, size: tuple[int, int], where: tuple[int, int]):
    box = np.reshape(detector.detect([proxy("hopper")])[0][0].box, (2, 2))
    scale = 60.0 / (box[1, 0] - box[0, 0])
    (found,) = detector.detect([on_canvas(proxy("hopper"), scale, where, grey(*size))])
    assert len(found) == 1
    atol = 8 if size[0] < 4096 else 16  # in a level where the face has 14 pixels
    np.testing.assert_allclose(np.reshape(found[0].box, (2, 2)), box * scale + where, atol=atol)


def test_finds_a_face_that_fills_the_plate(detector: Detector):
    """Larger than any tile of the finer levels, which must not report pieces of it."""
    still = STILLS["astronaut"]
    crop = proxy("astronaut")[20:220, 120:340]
    large = cv2.resize(crop, (1760, 1600), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    ((found,),) = detector.detect([large])
    eyes = np.array(still.eyes)
    low, high = np.reshape(found.box, (2, 2)) / 8 + (120, 20)
    assert (low < eyes).all()
    assert (eyes < high).all()
    if len(found.keypoints):
        np.testing.assert_allclose(found.keypoints[:2] / 8 + (120, 20), eyes, atol=0.15 * still.unit)


def test_finds_all_faces_each_once(detector: Detector):
    plate = on_canvas(proxy("hopper"), 0.5, (60, 400), grey(1920, 1080))
    plate = on_canvas(proxy("astronaut"), 0.9, (700, 100), plate)
    plate = on_canvas(proxy("hopper"), 1.2, (1250, 200), plate)
    (found,) = detector.detect([plate])
    assert len(found) == 3
    middles = sorted((d.box[0] + d.box[2]) / 2 for d in found)
    expected = [267 * 0.5 + 60, 225 * 0.9 + 700, 267 * 1.2 + 1250]
    np.testing.assert_allclose(middles, expected, atol=15)
    scores = [d.score for d in found]
    assert scores == sorted(scores, reverse=True)


def test_who_follows_a_face_finds_it_in_a_crop(detector: Detector):
    still = STILLS["hopper"]
    crop = np.ascontiguousarray(proxy("hopper")[60:420, 90:450])
    ((found,),) = detector.detect([crop], smallest=1.5 * still.unit)
    ((whole,),) = detector.detect([proxy("hopper")])
    np.testing.assert_allclose(np.add(found.box, (90, 60, 90, 60)), whole.box, atol=0.35 * still.unit)


@pytest.mark.parametrize("shape", [(540, 960), (64, 64), (1, 1), (9, 700), (700, 9)])
def test_no_face_gives_an_empty_list(any_detector: Detector, shape: tuple[int, int]):
    assert any_detector.detect([np.full((*shape, 3), 0.5, np.float32)]) == [[]]


def test_no_picture_gives_an_empty_list(any_detector: Detector):
    assert any_detector.detect([]) == []


def test_noise_and_stripes_are_no_faces(detector: Detector):
    rng = np.random.default_rng(0)
    stripes = np.broadcast_to((np.arange(640) // 20 % 2).astype(np.float32)[None, :, None], (480, 640, 3))
    assert detector.detect([rng.random((480, 640, 3)).astype(np.float32), stripes]) == [[], []]


def test_a_picture_is_found_the_same_faces_in_any_company(any_detector: Detector):
    rng = np.random.default_rng(2)
    astronaut, hopper = proxy("astronaut")[20:276, 100:356], proxy("hopper")[60:420, 90:450]
    others = [hopper, rng.random(astronaut.shape, np.float32), grey(90, 70), astronaut[:, ::-1]]
    together = any_detector.detect([others[0], astronaut, *others[1:]], smallest=80)
    for n, picture in enumerate((others[0], astronaut, *others[1:])):
        (alone,) = any_detector.detect([picture], smallest=80)
        assert [f.box for f in alone] == [f.box for f in together[n]]
        assert [f.score for f in alone] == [f.score for f in together[n]]
        for one, other in zip(alone, together[n], strict=True):
            np.testing.assert_array_equal(one.keypoints, other.keypoints)


def test_a_grey_plate_has_three_equal_channels(detector: Detector):
    one = proxy("astronaut").mean(axis=2, keepdims=True)
    ((found,),) = detector.detect([np.repeat(one, 3, axis=2)])
    ((coloured,),) = detector.detect([proxy("astronaut")])
    np.testing.assert_allclose(found.box, coloured.box, atol=10)


@pytest.mark.parametrize("bad", [np.zeros((10, 10), np.float32), np.zeros((10, 10, 3), np.uint8)])
def test_refuses_what_is_no_proxy(any_detector: Detector, bad: np.ndarray):
    with pytest.raises(InvalidInput, match=r"proxies\[1\].*\(10, 10") as caught:
        any_detector.detect([grey(8, 8), bad])
    assert caught.value.field == "proxies"


@pytest.mark.parametrize("bad", [0.0, -4.0, float("nan"), float("inf")])
def test_refuses_a_size_that_is_none(any_detector: Detector, bad: float):
    with pytest.raises(InvalidInput, match="smallest") as caught:
        any_detector.detect([grey(8, 8)], smallest=bad)
    assert caught.value.field == "smallest"


@pytest.mark.parametrize("name", NAMES)
def test_missing_weights_are_named_with_the_command(name: str, tmp_path: Path):
    with pytest.raises(WeightsMissing, match="understudy weights pull"):
        real(name, WeightStore(tmp_path))


@pytest.mark.parametrize("name", [*NETWORKS, "yunet"])
def test_a_file_that_is_no_network_is_named(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "weights.pth").write_bytes(b"no network")
    monkeypatch.setattr(WeightStore, "path", lambda self, _: tmp_path / "weights.pth")
    with pytest.raises(WeightsCorrupt, match=r"weights\.pth"):
        real(name, WeightStore(tmp_path))


@pytest.mark.parametrize("name", NETWORKS)
def test_refuses_a_device_that_is_not_there(name: str, tmp_path: Path):
    with pytest.raises(InvalidInput, match="device: there is no 'cuda:99'"):
        real(name, MadeUp(name, tmp_path), device="cuda:99")


@pytest.mark.parametrize(
    ("clip", "faces"),
    [("performer_a", 1), ("performer_b", 1), ("plate_office_720p", 1), ("greenscreen_512", 1)],
)
def test_finds_the_performer_of_every_clip(detector: Detector, shared: Path, clip: str, faces: int):
    with av.open(str(shared / "footage" / f"{clip}.mp4")) as video:
        frames = [f for n, f in enumerate(video.decode(video=0)) if n in {0, 35, 70}]
    pictures = [f.to_ndarray(format="rgb24").astype(np.float32) / 255.0 for f in frames]
    assert [len(found) for found in detector.detect(pictures)] == [faces] * 3


def test_anchors_are_the_published_ones():
    assert blazeface._anchors((16, 2), (8, 6)).shape == (896, 2)
    assert blazeface._anchors((48, 1)).shape == (2304, 2)
    anchors = blazeface._anchors((16, 2), (8, 6))
    assert anchors[0].tolist() == [1 / 32, 1 / 32]
    assert anchors[2].tolist() == [3 / 32, 1 / 32]
    assert anchors[512].tolist() == [1 / 16, 1 / 16]
