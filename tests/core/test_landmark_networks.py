"""The landmark networks against their published originals; what their files may be, and what is refused.

`python -m bench.parity` prints the differences.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench import parity
from tests.core.landmarking import boxed, one_thread, portrait, present, still, with_shared
from understudy.core.errors import WeightsCorrupt, WeightsMissing
from understudy.core.landmark import _square, fan2d, pfld, prnet
from understudy.core.weights import WeightStore

TENSOR_BUNDLE = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="module", autouse=True)
def threads():
    with one_thread():
        yield


class OneFile(WeightStore):
    """Gives this file, whatever is asked for."""

    def __init__(self, file: Path) -> None:
        super().__init__(file.parent)
        self._file = file

    def path(self, name: str) -> Path:
        return self._file


def held(rows: list[parity.Parity]) -> None:
    assert rows
    for row in rows:
        assert row.difference <= row.limit, row


def test_2dfan_is_the_packages():
    pytest.importorskip("face_alignment", reason="the package face-alignment is not here")
    held(parity.fan())


def test_pfld_gives_what_onnxruntime_gave(weight_store, request):
    store = with_shared(weight_store, request)
    if not present("landmark", "pfld", store):
        pytest.skip("the weights of pfld are not on this machine")
    held(parity.pfld_(store))


def test_prnet_gives_what_tensorflow_gave():
    held(parity.prnet_())


def test_prnet_has_as_many_numbers_as_the_published_file():
    """Which holds each variable, two of Adam's for each that was trained, and Adam's two powers: 4 bytes each."""
    variables = parity.prnet_variables()
    everything = sum(v.numel() for v in variables.values())
    trained = sum(v.numel() for name, v in variables.items() if "/moving_" not in name)
    assert 4 * (everything + 2 * trained + 2) == WeightStore(Path()).entry("prnet").size


def test_2dfans_square_is_the_packages():
    """Its crop is cut on whole pixels and enlarged by lines; ours is not, but shows the same place."""
    utils = pytest.importorskip("face_alignment.utils", reason="the package face-alignment is not here")
    picture = still("hopper")
    for box in [(190.0, 120.0, 345.0, 335.0), (150.4, 99.2, 370.8, 341.9), (5.0, 10.0, 200.0, 260.0)]:
        theirs = utils.crop((picture * 255).round().astype(np.uint8), *parity.fan_square(boxed(box))) / 255.0
        ours = _square.cut(picture, fan2d.squares_of(boxed(box))[0], "zero")
        shifted = [np.abs(np.roll(ours, by, axis=1) - theirs).mean() for by in (-2, 0, 2)]
        assert shifted[1] == min(shifted)
        assert shifted[1] < 0.02


def test_2dfans_points_are_the_packages_before_it_cuts_them_to_pixels():
    utils = pytest.importorskip("face_alignment.utils", reason="the package face-alignment is not here")
    rng = np.random.default_rng(0)
    for _ in range(20):
        x, y = rng.uniform(0.0, 200.0, 2)
        detection = boxed((x, y, x + rng.uniform(60.0, 300.0), y + rng.uniform(60.0, 300.0)))
        cell = rng.uniform(0.0, 64.0, 2).astype(np.float32)
        (point,) = _square.back(fan2d.squares_of(detection)[1], cell[None])
        theirs = utils.transform_np(cell, *parity.fan_square(detection), 64, True)
        np.testing.assert_array_equal(np.trunc(point + 0.5), theirs)


@given(st.integers(0, 63), st.integers(0, 63), st.sampled_from([-1, 0, 1]), st.sampled_from([-1, 0, 1]))
def test_a_point_is_the_highest_cell_and_a_quarter_towards_the_higher_neighbour(row, column, right, down):
    heat = np.zeros((68, 64, 64), np.float32)
    heat[:, row, column] = 0.9
    inside = 0 < row < 63 and 0 < column < 63
    if inside:
        heat[:, row, column + 1], heat[:, row + 1, column] = 0.1 * right, 0.1 * down
    points, peaks = fan2d.decode(heat)
    expected = np.array([column + 0.5, row + 0.5]) + (0.25 * np.array([right, down]) if inside else 0.0)
    np.testing.assert_allclose(points, np.tile(expected, (68, 1)))
    np.testing.assert_allclose(peaks, 0.9)


def test_2dfan_reads_the_published_kind_of_file(tmp_path):
    """A state dict in torch's old format, without the counters that newer normalisations have."""
    state = parity.randomised(fan2d.Network()).state_dict()
    old = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    torch.save(old, tmp_path / "2DFAN4.pth.tar", _use_new_zipfile_serialization=False)
    landmarker = fan2d.create(OneFile(tmp_path / "2DFAN4.pth.tar"), device="cpu")
    (found,) = landmarker.landmarks([portrait()])
    assert found.landmarks.points.shape == (68, 2)
    assert found.landmarks.confidence is not None
    assert found.score == pytest.approx(float(np.median(found.landmarks.confidence)))


def test_prnet_reads_the_published_kind_of_file(tmp_path):
    data = tmp_path / "256_256_resfcn256_weight.data-00000-of-00001"
    data.write_bytes((TENSOR_BUNDLE / "tf_bundle.data-00000-of-00001").read_bytes())
    with pytest.raises(WeightsMissing, match=r"256_256_resfcn256_weight\.index is not beside"):
        prnet.create(OneFile(data), device="cpu")
    data.with_name("256_256_resfcn256_weight.index").write_bytes(
        (TENSOR_BUNDLE / "tf_bundle.index").read_bytes()
    )
    with pytest.raises(WeightsCorrupt, match="it lacks"):
        prnet.create(OneFile(data), device="cpu")


def test_the_optimisers_variables_are_left_out():
    variables = parity.prnet_variables()
    more = {f"{name}/Adam": value for name, value in variables.items()}
    network = prnet.network(variables | more | {"beta1_power": torch.tensor(0.9)}, Path("whole"))
    assert torch.equal(network.Conv.weight, variables["resfcn256/Conv/weights"].permute(3, 2, 0, 1))


@pytest.mark.parametrize("module", [fan2d, pfld])
def test_a_file_of_something_else_is_refused_by_name(module, tmp_path):
    file = tmp_path / "weights.bin"
    file.write_bytes(b"no network" * 100)
    with pytest.raises(WeightsCorrupt, match=r"weights\.bin"):
        module.create(OneFile(file), device="cpu")


def test_points_of_a_map_are_read_where_the_authors_read_them():
    """A map that says of each of its places where that is in the map."""
    y, x = np.indices((256, 256), np.float32)
    points = prnet.points_of((np.stack([x, y, y]) / 281.6).astype(np.float32)) - 0.5
    np.testing.assert_allclose(points[[0, 8, 16]], [(15, 96), (128, 193), (240, 96)], atol=1e-4)
    np.testing.assert_allclose(points[:17, 0] + points[16::-1, 0], 256, atol=6)  # nearly its own mirror image
