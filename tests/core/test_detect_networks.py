"""Our networks beside those of others with the same weights: equal numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bench import parity_detect
from tests.core.detecting import NETWORKS, made_up, proxy, real
from understudy.core import _checkpoint
from understudy.core.detect import _ssd, retinaface, retinaface_resnet50, s3fd
from understudy.core.detect._ssd import Layer, Ssd
from understudy.core.weights import WeightStore

CPU = torch.device("cpu")
QUIET = 0.03


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Small networks wait for a busy processor's second thread longer than they compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(parity_detect.FILE) as file:
        return dict(file)


@pytest.fixture(scope="module")
def peer() -> nn.Module:
    """S3FD of the package face-alignment 1.5.0 (the Makefile installs it for tests), with weights of ours at which few
    anchors believe in a face.
    """
    network: nn.Module = pytest.importorskip("face_alignment.detection.sfd.net_s3fd").s3fd()
    network.load_state_dict(made_up("s3fd", quiet=QUIET))
    return network.eval()


@pytest.fixture(scope="module")
def own(peer: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> s3fd.S3fd:
    """Ours with the same, read from a file in the old format, as the published one is."""
    path = tmp_path_factory.mktemp("s3fd") / "s3fd-619a316812.pth"
    torch.save(peer.state_dict(), path, _use_new_zipfile_serialization=False)
    return _checkpoint.fill(s3fd.S3fd(), _checkpoint.load(path), path).joined()


@pytest.mark.parametrize("size", [(240, 256), (33, 70), (97, 161)])
def test_s3fd_has_the_heads_of_face_alignment(peer: nn.Module, own: s3fd.S3fd, size: tuple[int, int]):
    noise = np.random.default_rng(1).random((2, 3, *size), np.float32) * 255.0 - 114.0
    with torch.inference_mode():
        expected, layers = peer(torch.from_numpy(noise)), own(torch.from_numpy(noise))
    assert len(layers) == 6
    for n, layer in enumerate(layers):
        score, box = expected[2 * n].softmax(dim=1)[:, 1], expected[2 * n + 1]
        torch.testing.assert_close(layer.logits[..., 0].sigmoid(), score, rtol=0, atol=1e-4)
        torch.testing.assert_close(layer.raw[..., 0, :].permute(0, 3, 1, 2), box, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["astronaut", "hopper"])
def test_s3fd_has_the_faces_of_face_alignment(peer: nn.Module, own: s3fd.S3fd, name: str):
    """From a picture of 0 to 255 to boxes and scores: their way and ours."""
    detect = pytest.importorskip("face_alignment.detection.sfd.detect").detect
    picture = (proxy(name)[100:292, 90:306] * 255.0).round().astype(np.float32)
    expected = detect(peer, picture, "cpu")[0]
    expected = expected[expected[:, 4] >= 0.5]
    ((scores, points),) = Ssd(own, CPU, threshold=0.5)(picture[None] / np.float32(255.0))
    assert 20 < len(scores) < 3000
    np.testing.assert_allclose(scores, expected[:, 4], rtol=0, atol=1e-4)
    np.testing.assert_allclose(points.reshape(-1, 4), expected[:, :4], rtol=0, atol=1e-4)


class TestRetinaFace:
    """Beside facexlib 0.3.0; `golden.make_detect` says how its numbers were made."""

    def check(self, network: nn.Module, golden: dict[str, np.ndarray], kind: str) -> None:
        with torch.inference_mode():
            layers: list[Layer] = network(torch.from_numpy(parity_detect.picture()))
        score = torch.cat([layer.logits.sigmoid().flatten() for layer in layers])
        raw = torch.cat([layer.raw.flatten(0, 3) for layer in layers])
        np.testing.assert_allclose(score, golden[f"{kind}.score"], rtol=0, atol=1e-4)
        np.testing.assert_allclose(raw[:, :4], golden[f"{kind}.box"], rtol=0, atol=1e-4)
        np.testing.assert_allclose(raw[:, 4:], golden[f"{kind}.points"], rtol=0, atol=1e-4)
        assert np.ptp(golden[f"{kind}.score"]) > 1e-3  # not all one number

    def test_mobilenet_with_its_published_weights(self, golden: dict[str, np.ndarray], shared: Path):
        path = shared / "weights" / "retinaface_mobilenet0.25.pth"
        network = _checkpoint.fill(retinaface.network(), _checkpoint.load(path), path).joined()
        self.check(network, golden, "mobilenet")

    def test_resnet_with_made_up_weights(self, golden: dict[str, np.ndarray]):
        network = retinaface_resnet50.network()
        network.load_state_dict(parity_detect.weights_of(network.state_dict()))
        self.check(network.eval().requires_grad_(False).joined(), golden, "resnet")

    def test_resnet_has_the_published_number_of_parameters(self):
        """Its file has 109,497,761 bytes: four a parameter or statistic, and their names."""
        state = retinaface_resnet50.network().state_dict()
        floats = sum(4 * v.numel() for v in state.values() if v.is_floating_point())
        assert 0 < 109_497_761 - floats < 250 * len(state)


class TestYunet:
    """Beside onnxruntime and a decoder of numpy; see `golden.make_detect`."""

    @pytest.mark.parametrize("still", ["astronaut", "hopper"])
    def test_faces_are_equal(self, golden: dict[str, np.ndarray], shared: Path, tmp_path: Path, still: str):
        detector = real("yunet", WeightStore(tmp_path, (shared / "weights",)))
        network, _ = detector._looks[0]  # type: ignore[attr-defined]
        ((scores, points),) = network(proxy(still)[None])
        expected = golden[f"yunet.{still}"].reshape(-1)
        assert scores[0] == pytest.approx(expected[14], abs=0.006)  # OpenCV rounds down to hundredths
        corners = np.concatenate((expected[:2], expected[:2] + expected[2:4], expected[4:14]))
        np.testing.assert_allclose(points[0].reshape(-1), corners, rtol=0, atol=0.02)  # and so does it boxes


@pytest.mark.parametrize("name", NETWORKS)
def test_tiles_together_are_seen_as_alone(name: str):
    network = _checkpoint.fill(NETWORKS[name](), made_up(name, quiet=0.1), Path(name)).joined()  # type: ignore[operator]
    ssd = Ssd(network, CPU, threshold=0.5)
    tiles = np.random.default_rng(3).random((3, 64, 96, 3), np.float32)
    together = ssd(tiles)
    assert sum(len(scores) for scores, _ in together) > 0
    for n, (scores, points) in enumerate(together):
        ((alone, at),) = ssd(tiles[n : n + 1])
        np.testing.assert_allclose(scores, alone, rtol=0, atol=1e-5)
        np.testing.assert_allclose(points, at, rtol=1e-5, atol=1e-3)


def test_boxes_and_points_are_decoded_from_their_anchor():
    """By hand: a cell of 8 px at (2, 1), anchor 16 px: centre (20, 12) and offsets of a tenth of its side."""
    raw = torch.zeros(1, 2, 3, 2, 6)
    logits = torch.full((1, 2, 3, 2), -9.0)
    logits[0, 1, 2, 0] = 2.0
    raw[0, 1, 2, 0] = torch.tensor([1.0, -1.0, 0.0, np.log(2.0) / 0.2, 2.0, 3.0])
    picture, score, points = _ssd._decoded(Layer(8, (16.0, 32.0), logits, raw), 0.0)
    assert picture.tolist() == [0]
    assert score[0] == pytest.approx(1 / (1 + np.exp(-2.0)))
    np.testing.assert_allclose(
        points[0], [(21.6 - 8, 10.4 - 16), (21.6 + 8, 10.4 + 16), (23.2, 16.8)], rtol=1e-6
    )
