"""The short way to convolve: that it is the plain sum, forward and backward, and who takes it."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from understudy.core.model import winograd
from understudy.core.model.winograd import Convolution, convolved, product

NEAR = 3e-5  # of the largest; float32 through matrices whose numbers reach 8


def apart(found: torch.Tensor, wanted: torch.Tensor, usual: float = 1e-12) -> float:
    """Of the largest of what is wanted, or of what such sums usually are, where their terms happen to cancel."""
    assert found.shape == wanted.shape
    return float((found - wanted).abs().max() / wanted.abs().max().clamp_min(usual))


def both(shape: tuple[int, ...], out: int, seed: int = 0) -> list[tuple[torch.Tensor, ...]]:
    """The output, and the gradients of input, weight and bias: the short way, and in double precision the plain."""
    dice = torch.Generator().manual_seed(seed)
    x, weight = torch.randn(shape, generator=dice), torch.randn(out, shape[1], 3, 3, generator=dice) / 3
    bias, cotangent = torch.randn(out, generator=dice), torch.randn(shape[0], out, *shape[2:], generator=dice)
    results = []
    for way, kind in ((convolved, torch.float32), (plain, torch.float64)):
        inputs = [each.to(kind).requires_grad_() for each in (x, weight, bias)]
        made = way(*inputs)
        results.append((made.detach(), *torch.autograd.grad(made, inputs, cotangent.to(kind))))
    return results


def plain(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    return functional.conv2d(x, weight, bias, padding=1)


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 40), st.integers(1, 21), st.integers(1, 21)),
    out=st.integers(1, 40),
    seed=st.integers(0, 2**31),
)
def test_it_is_the_plain_sum_and_so_are_its_gradients(shape, out, seed):
    count, channels, height, width = shape
    pixels = count * height * width
    # of normal numbers, as `both` draws them
    usual = [math.sqrt(terms) for terms in (channels, out, pixels, pixels)]
    for found, wanted, size in zip(*both(shape, out, seed), usual, strict=True):
        assert apart(found.double(), wanted, size) < NEAR


@pytest.mark.parametrize("block", [1, 36 * 40 * 3, 36 * 40 * 12])
def test_work_is_cut_into_rows_and_channels_without_a_seam(monkeypatch, block):
    """Blocks of a row of tiles, of some rows, of whole pictures; of 16 channels, and of all."""
    whole = both((3, 40, 18, 23), 50)[0]
    monkeypatch.setattr(winograd, "_BLOCK", block)
    for found, wanted in zip(both((3, 40, 18, 23), 50)[0], whole, strict=True):
        assert apart(found, wanted) < NEAR


@pytest.mark.parametrize("threads", [2, 3, 16])
@pytest.mark.parametrize("shape", [(3, 40, 18, 23), (4, 40, 18, 23), (4, 40, 4, 4)])
def test_parts_of_a_layer_on_several_threads_are_the_whole(shape, threads):
    """Of the pictures, of channels out, and of both; the same to the bit each time."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found, again = both(shape, 150), both(shape, 150)[0]
    finally:
        torch.set_num_threads(before)
    for made, twice, wanted in zip(found[0], again, found[1], strict=True):
        assert apart(made.double(), wanted) < NEAR
        assert torch.equal(made, twice)


def test_what_is_kept_between_calls_is_not_what_was_given():
    first = both((2, 33, 9, 9), 35, seed=1)[0]
    again = [each.clone() for each in first]
    both((4, 64, 16, 16), 64, seed=2)
    for found, wanted in zip(first, again, strict=True):
        assert torch.equal(found, wanted)


def test_no_gradient_for_an_input_that_needs_none():
    x, weight = torch.randn(4, 32, 16, 16), torch.randn(32, 32, 3, 3, requires_grad=True)
    convolved(x, weight).sum().backward()
    assert x.grad is None
    assert weight.grad is not None


def test_what_is_changed_in_place_after_it_is_not_what_it_keeps():
    """Networks put their activation in place."""
    x, layer = torch.randn(4, 64, 64, 64, requires_grad=True), Convolution(64, 96)
    assert winograd.pays(x.shape, 96)
    functional.leaky_relu(layer(x), 0.1, inplace=True).sum().backward()
    assert x.grad is not None
    twin = x.detach().clone().requires_grad_()
    functional.leaky_relu(layer(twin), 0.1).sum().backward()
    assert twin.grad is not None
    assert torch.equal(x.grad, twin.grad)


class TestProduct:
    """The same of small pictures in bfloat16, as one matrix product."""

    def test_it_is_the_plain_sum_and_so_are_its_gradients(self):
        dice = torch.Generator().manual_seed(3)
        shapes = (2, 5, 6, 3), (7, 5, 3, 3), (7,)
        inputs = [
            torch.randn(shape, generator=dice, dtype=torch.float64).requires_grad_() for shape in shapes
        ]
        cotangent = torch.randn(2, 7, 6, 3, generator=dice, dtype=torch.float64)
        for found, wanted in zip(
            *(
                (made, *torch.autograd.grad(made, inputs, cotangent))
                for made in (product(*inputs), plain(*inputs))
            ),
            strict=True,
        ):
            assert apart(found.detach(), wanted.detach()) < 1e-12

    @pytest.fixture
    def calls(self, monkeypatch) -> list[torch.Size]:
        calls: list[torch.Size] = []

        def noted(x, weight, bias):
            calls.append(x.shape)
            return product(x, weight, bias)

        monkeypatch.setattr(winograd, "product", noted)
        return calls

    @pytest.mark.parametrize(("side", "taken"), [(8, True), (16, False)])
    def test_of_few_pixels_alone(self, calls, side, taken):
        layer = Convolution(32, 64).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        x = torch.randn(4, 32, side, side)
        with torch.autocast("cpu", torch.bfloat16):
            made = layer(x)
        assert bool(calls) == taken
        assert made.dtype == torch.bfloat16
        made.float().sum().backward()
        assert layer.weight.grad is not None
        assert layer.weight.grad.stride() == layer.weight.stride()

    def test_not_who_only_looks_is_told_not_to_or_trains_in_float32(self, calls):
        layer, x = Convolution(32, 64).to(memory_format=torch.channels_last), torch.randn(4, 32, 8, 8)  # type: ignore[call-overload]
        layer(x)
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                layer(x)
            winograd.allow(layer, False)
            layer(x)
        assert not calls


class TestWho:
    """Takes the short way."""

    @pytest.fixture
    def calls(self, monkeypatch) -> list[torch.Size]:
        calls: list[torch.Size] = []

        def short(x, weight, bias):
            calls.append(x.shape)
            return plain(x, weight, bias)

        monkeypatch.setattr(winograd, "convolved", short)
        return calls

    def test_a_training_in_float32(self, calls):
        Convolution(64, 96)(torch.randn(4, 64, 64, 64))
        assert len(calls) == 1

    @pytest.mark.parametrize("shape", [(4, 60, 64, 64), (1, 512, 20, 20), (4, 64, 32, 32)])
    def test_not_of_few_channels_tiles_or_products(self, calls, shape):
        Convolution(shape[1], 256 if shape[1] > 64 else 96)(torch.randn(shape))
        assert not calls

    def test_not_who_only_looks_and_it_is_torchs_to_the_bit(self, calls):
        layer, x = Convolution(64, 96), torch.randn(4, 64, 64, 64)
        with torch.no_grad():
            assert torch.equal(layer(x), functional.conv2d(x, layer.weight, layer.bias, padding=1))
        assert not calls

    def test_not_a_network_that_is_told_not_to(self, calls):
        net = nn.Sequential(Convolution(64, 96))
        winograd.allow(net, False)
        net(torch.randn(4, 64, 64, 64))
        winograd.allow(net, True)
        net(torch.randn(4, 64, 64, 64))
        assert len(calls) == 1

    def test_not_weights_that_stay(self, calls):
        Convolution(64, 96).requires_grad_(False)(torch.randn(4, 64, 64, 64))
        assert not calls

    def test_not_in_other_precisions(self, calls):
        Convolution(64, 96).double()(torch.randn(4, 64, 64, 64, dtype=torch.float64))
        with torch.autocast("cpu", torch.bfloat16, enabled=True):
            assert not winograd._trains(torch.randn(1), nn.Parameter(torch.randn(1)))
        assert not calls

    def test_not_on_another_device(self, calls):
        layer = Convolution(64, 96).to("meta")
        assert layer(torch.randn(4, 64, 64, 64, device="meta")).shape == (4, 96, 64, 64)
        assert not calls

    def test_not_what_is_exported(self, calls):
        program = torch.export.export(Convolution(64, 96), (torch.randn(4, 64, 64, 64),))
        assert any("conv2d" in str(node.target) for node in program.graph.nodes)
        assert not calls
