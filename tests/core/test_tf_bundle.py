"""TensorFlow's checkpoints: one that TensorFlow 2.21 wrote, and what can be wrong with them."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.core.errors import WeightsCorrupt
from understudy.core.landmark import _tf_bundle

INDEX = Path(__file__).parents[1] / "golden/tf_bundle.index"
DATA = INDEX.with_name("tf_bundle.data-00000-of-00001")


def test_reads_what_tensorflow_wrote():
    """Names that share their beginnings over several blocks, five types, a scalar, an array of none."""
    found = _tf_bundle.load(INDEX, DATA)
    assert len(found) == 306
    np.testing.assert_array_equal(found["net/Conv/weights"], np.arange(24).reshape(2, 3, 4) / 8)
    assert found["net/Conv/weights"].dtype == np.float32
    assert found["net/Conv/BatchNorm/beta"].tolist() == [-1.5, 2.25]
    np.testing.assert_array_equal(found["net/Conv_1/weights"], np.arange(6.0).reshape(3, 2))
    assert found["net/Conv_1/weights"].dtype == np.float64
    assert found["net/step"].shape == ()
    assert int(found["net/step"]) == 12345678901
    assert found["net/half"].dtype == np.float16
    assert found["net/half"].tolist() == [0.5, -3.0]
    assert found["net/empty"].shape == (0, 3)
    for i in range(300):
        assert found[f"net/many/of_them_{i:03d}"].tolist() == [i, -i]
    assert "net/flag" not in found  # no network has a bool


def test_what_is_read_may_be_written_to():
    found = _tf_bundle.load(INDEX, DATA)
    found["net/Conv/weights"][:] = 0


@pytest.mark.parametrize("size", [0, 40, 48, 2000])
def test_an_index_that_was_cut_is_refused_by_name(tmp_path, size):
    cut = tmp_path / "cut.index"
    cut.write_bytes(INDEX.read_bytes()[:size])
    with pytest.raises(WeightsCorrupt, match=r"cut\.index"):
        _tf_bundle.load(cut, DATA)


def test_data_that_was_cut_is_refused_by_name(tmp_path):
    cut = tmp_path / "cut.data-00000-of-00001"
    cut.write_bytes(DATA.read_bytes()[:-1])
    with pytest.raises(WeightsCorrupt, match=r"cut\.data-00000-of-00001: net/"):
        _tf_bundle.load(INDEX, cut)


@given(st.integers(0, INDEX.stat().st_size - 1), st.integers(1, 255))
def test_a_changed_byte_is_refused_or_harmless(tmp_path_factory, at, by):
    """Its check sums are not looked at: the store has compared the SHA-256 of the data."""
    changed = bytearray(INDEX.read_bytes())
    changed[at] ^= by
    file = tmp_path_factory.getbasetemp() / "changed.index"
    file.write_bytes(changed)
    with contextlib.suppress(WeightsCorrupt):  # no other error comes out
        assert all(array.dtype.kind in "fi" for array in _tf_bundle.load(file, DATA).values())
