"""XSeg: its normalisation by the formula, its layers and weights as DeepFaceLab has them."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file
from torch.nn import functional

from bench import parity_segment
from understudy.core.errors import WeightsCorrupt
from understudy.core.segment.config import SegmenterConfig
from understudy.core.segmenter import _frn, xseg

TINY = SegmenterConfig(resolution=64, channels=2)


def by_the_formula(x, weight, bias, eps, tau):
    energy = (x**2).mean((2, 3), keepdim=True)
    made = weight[:, None, None] * x / (energy + eps.abs()).sqrt() + bias[:, None, None]
    return torch.maximum(made, tau[:, None, None])


def arguments(seed: int, shape: tuple[int, ...], dtype=torch.float64) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    sizes = [shape, shape[1:2], shape[1:2], (1,), shape[1:2]]
    drawn = [torch.randn(size, generator=generator, dtype=dtype) for size in sizes]
    return [value.requires_grad_() for value in drawn]


class TestFrn:
    @given(
        seed=st.integers(0, 2**31),
        shape=st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 5), st.integers(1, 5)),
    )
    @settings(max_examples=30, deadline=None)
    def test_value_and_derivatives_are_the_formulas(self, seed, shape):
        ours, plain = arguments(seed, shape), arguments(seed, shape)
        direction = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        made, wanted = _frn.frn_tlu(*ours), by_the_formula(*plain)
        torch.testing.assert_close(made, wanted)
        made.backward(direction)
        wanted.backward(direction)
        for mine, theirs in zip(ours, plain, strict=True):
            torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-8, atol=1e-10)

    def test_derivatives_by_differences(self):
        assert torch.autograd.gradcheck(_frn.frn_tlu, arguments(3, (2, 3, 4, 4)))

    def test_channels_may_lie_innermost(self):
        """Of pictures that are not square: a line's factors are not a column's."""
        (x, *others), (plain, *same) = arguments(7, (2, 3, 4, 6)), arguments(7, (2, 3, 4, 6))
        made = _frn.frn_tlu(x.contiguous(memory_format=torch.channels_last), *others)
        wanted = by_the_formula(plain, *same)
        assert made.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(made, wanted)
        direction = torch.randn(made.shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
        made.backward(direction)  # whose channels lie outermost
        wanted.backward(direction)
        for mine, theirs in zip((x, *others), (plain, *same), strict=True):
            torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-8, atol=1e-10)

    def test_a_crop_of_a_larger_picture_is_taken_as_it_is(self):
        """As the doubling hands it over: not one block of memory."""
        x, *others = arguments(4, (2, 3, 5, 5))
        made = _frn.frn_tlu(x[..., :-1, :-1], *others)
        made.sum().backward()
        torch.testing.assert_close(made, by_the_formula(x[..., :-1, :-1], *others))
        assert x.grad is not None
        assert not x.grad[..., -1].any()

    def test_coarse_numbers_are_added_up_finely(self):
        """bfloat16 as a GPU has it: sums in 8 bits would stand still at 256 pixels."""
        x, *others = (value.detach() for value in arguments(5, (1, 2, 64, 64), torch.float32))
        coarse = _frn.frn_tlu(x.bfloat16(), *others)
        assert coarse.dtype == torch.bfloat16
        assert (coarse.float() - by_the_formula(x, *others)).abs().max() < 0.06

    def test_parameters_learn_in_their_own_type(self):
        x, *others = (value.detach() for value in arguments(6, (1, 2, 8, 8), torch.float32))
        x = x.bfloat16().requires_grad_()
        others = [value.requires_grad_() for value in others]
        _frn.frn_tlu(x, *others).sum().backward()
        types = [None if value.grad is None else value.grad.dtype for value in (x, *others)]
        assert types == [torch.bfloat16] + [torch.float32] * 4


class TestDoubled:
    @given(
        seed=st.integers(0, 2**31),
        sizes=st.tuples(*(st.integers(1, most) for most in (2, 3, 4, 5, 6))),
        inner=st.booleans(),
    )
    @settings(max_examples=20, deadline=None)
    def test_is_the_transposed_convolution_without_what_sticks_out(self, seed, sizes, inner):
        count, inputs, outputs, height, width = sizes
        generator = torch.Generator().manual_seed(seed)
        shapes = (count, inputs, height, width), (inputs, outputs, 3, 3), (outputs,)
        drawn = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
        if inner:
            drawn[0] = drawn[0].contiguous(memory_format=torch.channels_last)
        ours, plain = ([value.clone().requires_grad_() for value in drawn] for _ in range(2))
        made = xseg.doubled(ours[0], ours[1], ours[2])
        wanted = functional.conv_transpose2d(plain[0], plain[1], plain[2], stride=2)[..., :-1, :-1]
        torch.testing.assert_close(made, wanted)
        direction = torch.randn(wanted.shape, generator=generator, dtype=torch.float64)
        made.backward(direction)
        wanted.backward(direction)
        for mine, theirs in zip(ours, plain, strict=True):
            torch.testing.assert_close(mine.grad, theirs.grad)


class TestHalve:
    @pytest.mark.parametrize(
        ("taps", "corner"), [(2, [1.0]), (3, [0.75]), (4, [0.875])]
    )  # what zeros outside leave of a row of ones
    def test_of_a_flat_picture_the_border_alone_fades(self, taps, corner):
        made = xseg.Halve(taps)(torch.ones(1, 1, 12, 12))[0, 0]
        assert made.shape == (6, 6)
        torch.testing.assert_close(made[1:5, 1:5], torch.ones(4, 4))
        assert made[0, 2].item() == pytest.approx(corner[0])

    @pytest.mark.parametrize("taps", [2, 3, 4])
    def test_a_single_pixel_is_blurred_by_the_binomial(self, taps):
        x = torch.zeros(1, 1, 12, 12)
        x[0, 0, 4:6, 4:6] = 1.0  # whatever the phase, all weight of one row of the filter is met
        weights = {2: [0, 4, 0], 3: [0, 3, 1], 4: [0.5, 3, 0.5]}[taps]
        row = torch.tensor(weights) / 4
        torch.testing.assert_close(xseg.Halve(taps)(x)[0, 0, 1:4, 1:4], torch.outer(row, row))


def in_deepfacelabs_layout(state: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """Our state as its file has it, by other means than the reader's."""
    depths = (2, 2, 2, 3, 3, 3)
    ours = [f"encoder.{level}.{n}" for level in range(6) for n in range(depths[level])]
    theirs = [f"conv{level}{n + 1}" for level in range(6) for n in range(depths[level])]
    for step, level in enumerate((5, 4, 3, 2, 1, 0)):
        ours += [f"ups.{step}", *(f"decoder.{step}.{n}" for n in range(depths[level]))]
        theirs += [f"up{level}", *(f"uconv{level}{n}" for n in range(depths[level], 0, -1))]
    found = {}
    for mine, name in zip(ours, theirs, strict=True):
        kernel = np.einsum("oihw->hwio", state[f"{mine}.conv.weight"].numpy())
        found[f"{name}/conv/weight:0"] = kernel[:, :, ::-1] if name == "conv01" else kernel
        found[f"{name}/conv/bias:0"] = state[f"{mine}.conv.bias"].numpy()
        for kind in ("weight", "bias", "eps"):
            found[f"{name}/frn/{kind}:0"] = state[f"{mine}.{kind}"].numpy()
        found[f"{name}/tlu/tau:0"] = state[f"{mine}.tau"].numpy()
    for layer in ("dense1", "dense2"):
        found[f"{layer}/weight:0"] = state[f"{layer}.weight"].numpy().T
        found[f"{layer}/bias:0"] = state[f"{layer}.bias"].numpy()
    found["out_conv/weight:0"] = np.einsum("oihw->hwio", state["out.weight"].numpy())
    found["out_conv/bias:0"] = state["out.bias"].numpy()
    return {name: np.ascontiguousarray(array) for name, array in found.items()}


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    net = xseg.build(TINY)
    xseg.initialise(net, torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    return {name: torch.randn(v.shape, generator=generator) for name, v in net.state_dict().items()}


class TestDeepFaceLab:
    def test_it_computes_what_deepfacelab_computed(self, shared):
        with np.load(shared / "golden/dfl/xseg.npz") as golden:
            rows = list(parity_segment.xseg_(golden))
        assert len(rows) == 4
        for row in rows:
            assert row[3] <= row[4], row

    @pytest.mark.parametrize("kind", ["npy", "npz", "safetensors"])
    @pytest.mark.parametrize("prefix", ["", "XSeg/"])
    def test_its_weights_load(self, state, tmp_path, kind, prefix):
        arrays = {prefix + name: array for name, array in in_deepfacelabs_layout(state).items()}
        path = tmp_path / f"XSeg_256.{kind}"
        if kind == "npy":  # so does DeepFaceLab name its pickles
            path.write_bytes(pickle.dumps(arrays, 4))
        elif kind == "npz":
            np.savez(path, **arrays)  # type: ignore[arg-type]
        else:
            save_file(arrays, path)
        found = xseg.published(path, TINY)
        assert found.keys() == state.keys()
        for name, value in state.items():
            assert torch.equal(found[name], value), name

    def test_half_floats_are_widened(self, state, tmp_path):
        arrays = {n: a.astype(np.float16) for n, a in in_deepfacelabs_layout(state).items()}
        (tmp_path / "x.npy").write_bytes(pickle.dumps(arrays, 4))
        found = xseg.published(tmp_path / "x.npy", TINY)
        assert {value.dtype for value in found.values()} == {torch.float32}
        torch.testing.assert_close(found["out.weight"], state["out.weight"], rtol=1e-3, atol=1e-3)

    @pytest.mark.parametrize("changed", [{"resolution": 128}, {"channels": 4}])
    def test_another_size_is_refused_with_both_shapes(self, state, tmp_path, changed):
        (tmp_path / "x.npy").write_bytes(pickle.dumps(in_deepfacelabs_layout(state), 4))
        with pytest.raises(WeightsCorrupt, match=r"becomes \(.*\), but .* is \(.*resolution and channels"):
            xseg.published(tmp_path / "x.npy", replace(TINY, **changed))

    @pytest.mark.parametrize(
        ("value", "says"),
        [
            (np.full(1, np.nan, np.float32), "no array of finite numbers"),
            (np.ones(1, np.int32), "no array of finite numbers"),
            ("text", "no array of finite numbers"),
            (None, "lacks out_conv/bias:0"),
        ],
    )
    def test_a_bad_weight_is_named(self, state, tmp_path, value, says):
        arrays: dict = in_deepfacelabs_layout(state)
        arrays["out_conv/bias:0"] = value
        if value is None:
            del arrays["out_conv/bias:0"]
        (tmp_path / "x.npy").write_bytes(pickle.dumps(arrays, 4))
        with pytest.raises(WeightsCorrupt, match=says) as refused:
            xseg.published(tmp_path / "x.npy", TINY)
        assert "out_conv/bias:0" in refused.value.message

    def test_a_file_that_breaks_off(self, state, tmp_path):
        data = pickle.dumps(in_deepfacelabs_layout(state), 4)
        for length in (1, 100, len(data) // 2, len(data) - 1):
            (tmp_path / "x.npy").write_bytes(data[:length])
            with pytest.raises(WeightsCorrupt, match="its content"):
                xseg.published(tmp_path / "x.npy", TINY)

    def test_an_archive_that_would_fill_the_memory(self, tmp_path, monkeypatch):
        np.savez_compressed(tmp_path / "x.npz", a=np.zeros(1 << 20, np.float32))
        monkeypatch.setattr("understudy.core.segmenter._dfl._LARGEST", 1 << 20)
        with pytest.raises(WeightsCorrupt, match="unpacks to more"):
            xseg.published(tmp_path / "x.npz", TINY)


def test_without_skips_the_decoder_sees_the_bottleneck_only():
    """Zero what the bottleneck says, and nothing of the picture is left."""
    net = xseg.build(TINY)
    xseg.initialise(net, torch.Generator().manual_seed(0))
    with torch.no_grad():
        net.dense2.weight.zero_()
        pictures = torch.rand((2, 3, 64, 64), generator=torch.Generator().manual_seed(1))
        bare, whole = net(pictures, skips=False), net(pictures)
    assert torch.equal(bare[0], bare[1])
    assert not torch.allclose(whole[0], whole[1])
