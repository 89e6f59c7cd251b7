"""Optimisers against DeepFaceLab's own numbers; dropout, schedules, averages and other beginnings."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from understudy.core.errors import InvalidInput
from understudy.core.train import initialisers, optimisers
from understudy.core.train.averaging import Average
from understudy.core.train.optimisers import OptimiserSettings


@pytest.fixture(scope="module")
def golden(shared):
    with np.load(shared / "golden" / "dfl" / "optim.npz") as file:
        return dict(file)


# Against DeepFaceLab


@pytest.mark.parametrize("name", ["adabelief", "rmsprop"])
@pytest.mark.parametrize(
    ("tag", "rate", "clip"), [("lr5e5", 5e-5, None), ("lr1e2", 1e-2, None), ("lr1e2_clip1", 1e-2, 1.0)]
)
def test_steps_are_deepfacelabs(golden, name, tag, rate, clip):
    weight = nn.Parameter(torch.from_numpy(golden["param0"].copy()))
    settings = OptimiserSettings(learning_rate=rate, clip=clip)
    descent = optimisers.build(f"{name}-dfl", [weight], settings)
    kinds = {"adabelief": ("exp_avg", "exp_avg_sq"), "rmsprop": ("square_avg",)}[name]
    for number, grad in enumerate(golden["grads"]):
        weight.grad = torch.from_numpy(grad.copy())
        optimisers.schedule(descent, settings, number)
        descent.step()
        theirs = golden[f"{name}_{tag}_params"][number]
        np.testing.assert_allclose(weight.detach(), theirs, rtol=0, atol=5e-7)
        moments = torch.cat([descent.state[weight][kind] for kind in kinds])
        np.testing.assert_allclose(moments, golden[f"{name}_{tag}_moments"][number], rtol=2e-6, atol=1e-7)


def test_cycle_is_deepfacelabs_lr_cos(golden):
    settings = OptimiserSettings(learning_rate=1.0, cycle=500)
    found = [settings.rate(iteration) for iteration in range(1002)]
    np.testing.assert_allclose(found, golden["lr_cos500_factor_formula_it0_to_1001"], atol=1e-9)


# As published


def test_adabelief_is_the_papers():
    dice = np.random.default_rng(1)
    scales = np.array([1.0, 1e-3, 1e-7, 1e-9, 0.0])  # the small ones show ε
    grads, start = dice.normal(size=(20, 5)) * scales, dice.normal(size=5)
    weight = nn.Parameter(torch.tensor(start))
    descent = optimisers.build("adabelief", [weight], OptimiserSettings(learning_rate=0.01))
    w, m, s = start.copy(), np.zeros(5), np.zeros(5)
    for t, g in enumerate(grads, 1):
        m = 0.9 * m + 0.1 * g
        s = 0.999 * s + 0.001 * (g - m) ** 2 + 1e-16
        w -= 0.01 * (m / (1 - 0.9**t)) / (np.sqrt(s / (1 - 0.999**t)) + 1e-16)
        weight.grad = torch.tensor(g)
        descent.step()
    np.testing.assert_allclose(weight.detach(), w, rtol=1e-12)


@pytest.mark.parametrize("name", optimisers.NAMES)
def test_each_finds_the_bottom(name):
    torch.manual_seed(0)
    weight = nn.Parameter(torch.tensor([3.0, -2.0, 0.5]))
    descent = optimisers.build(name, [weight], OptimiserSettings(learning_rate=0.02))
    for _ in range(800):
        descent.zero_grad()
        (weight - torch.tensor([1.0, 2.0, 3.0])).square().sum().backward()
        descent.step()
    np.testing.assert_allclose(weight.detach(), [1, 2, 3], atol=0.05)


@pytest.mark.parametrize("shape", [(6, 5, 3, 3), (6, 5, 1, 1), (6, 1, 3, 3)])
def test_a_step_does_not_hang_on_how_weights_lie(shape):
    """torch's fused Adam goes by addresses alone."""
    dice, found = torch.Generator().manual_seed(5), []
    start, grads = torch.randn(shape, generator=dice), torch.randn(3, *shape, generator=dice)
    for layout in (torch.contiguous_format, torch.channels_last):
        weight = nn.Parameter(start.clone(memory_format=layout))
        optimiser = optimisers.build("adam", [weight], OptimiserSettings(learning_rate=0.1))
        for grad in grads:
            weight.grad = grad.clone(memory_format=layout)
            optimiser.step()
        found.append((weight.detach(), optimiser.state[weight]["exp_avg"]))
        assert optimiser.state[weight]["exp_avg"].shape == weight.shape
    for plain, last in zip(*found, strict=True):
        assert torch.allclose(plain, last, rtol=1e-6, atol=1e-7)


def test_weights_without_gradient_stay():
    used, unused = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    descent = optimisers.build("adabelief", [used, unused], OptimiserSettings(keep=0.5, clip=1.0))
    used.sum().backward()
    descent.step()
    assert unused not in descent.state
    assert unused.tolist() == [1, 1, 1]


# Learning-rate dropout


def network() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(3, 24, 5, padding=2), nn.LeakyReLU(), nn.Conv2d(24, 3, 3, padding=1))


def train(net: nn.Module, descent: torch.optim.Optimizer, settings: OptimiserSettings, first: int, last: int):
    for iteration in range(first, last):
        x = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(iteration))
        descent.zero_grad()
        (net(x) - x.flip(3)).square().mean().backward()
        optimisers.schedule(descent, settings, iteration)
        descent.step()


@pytest.mark.parametrize("name", optimisers.NAMES)
def test_going_on_takes_the_same_steps_to_the_bit(name):
    settings = OptimiserSettings(learning_rate=1e-3, keep=0.3, clip=1.0, warmup=4, cycle=7)
    whole, parted = network(), network()
    train(whole, optimisers.build(name, whole.parameters(), settings), settings, 0, 12)
    descent = optimisers.build(name, parted.parameters(), settings)
    train(parted, descent, settings, 0, 5)
    weights, moments = parted.state_dict(), descent.state_dict()["state"]
    again = network()
    again.load_state_dict(weights)
    descent = optimisers.build(name, again.parameters(), settings)
    descent.load_state_dict({**descent.state_dict(), "state": moments})
    train(again, descent, settings, 5, 12)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))


def test_dropout_moves_that_share_by_what_the_full_step_moves():
    before, full, part, other = network(), network(), network(), network()
    for net, keep, seed in ((full, 1.0, 1), (part, 0.3, 1), (other, 0.3, 2)):
        settings = OptimiserSettings(learning_rate=1e-3, keep=keep, seed=seed)
        train(net, optimisers.build("adabelief-dfl", net.parameters(), settings), settings, 0, 1)
    flat = [
        torch.cat([w.detach().flatten() for w in net.parameters()]) for net in (before, full, part, other)
    ]
    moved = flat[2] != flat[0]
    assert float(moved.float().mean()) == pytest.approx(0.3, abs=0.02)
    assert torch.equal(flat[2], torch.where(moved, flat[1], flat[0]))
    agree = (moved == (flat[3] != flat[0])).float().mean()
    assert float(agree) == pytest.approx(0.3 * 0.3 + 0.7 * 0.7, abs=0.03)  # another seed, another choice


def test_each_iteration_chooses_anew_and_moments_move_all():
    weight = nn.Parameter(torch.zeros(4000))
    settings = OptimiserSettings(keep=0.3)
    descent = optimisers.build("adam", [weight], settings)
    chosen = []
    for iteration in range(2):
        before = weight.detach().clone()
        weight.grad = torch.ones(4000)
        optimisers.schedule(descent, settings, iteration)
        descent.step()
        chosen.append(weight.detach() != before)
    both = (chosen[0] & chosen[1]).float().mean()
    assert float(both) == pytest.approx(0.09, abs=0.02)
    assert bool((descent.state[weight]["exp_avg"] > 0).all())


def test_the_choice_does_not_depend_on_threads_or_layout():
    before, found = torch.get_num_threads(), []
    try:
        for threads, layout in (
            (1, torch.contiguous_format),
            (2, torch.contiguous_format),
            (1, torch.channels_last),
        ):
            torch.set_num_threads(threads)
            weight = nn.Parameter(torch.zeros(90, 61, 5, 11).to(memory_format=layout))
            weight.grad = torch.ones_like(weight)
            optimisers.build("adam", [weight], OptimiserSettings(keep=0.3)).step()
            found.append(weight.detach())
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


@pytest.mark.parametrize("keep", [0.001, 0.3, 0.999999])
def test_dropout_keeps_to_its_share(keep):
    weight = nn.Parameter(torch.zeros(1_000_001))
    weight.grad = torch.ones(1_000_001)
    optimisers.build("adam", [weight], OptimiserSettings(keep=keep)).step()
    assert float((weight.detach() != 0).float().mean()) == pytest.approx(keep, abs=2e-3 * math.sqrt(keep))


# Schedules and settings


def test_rate_rises_falls_and_ends_at_the_floor():
    settings = OptimiserSettings(learning_rate=2.0, warmup=10, floor=0.1)
    assert [settings.rate(i) for i in (0, 4, 9, 100)] == pytest.approx([0.2, 1.0, 2.0, 2.0])
    assert [settings.rate(100, p) for p in (0.5, 1.0, 1.7)] == pytest.approx([1.1, 0.2, 0.2])
    assert OptimiserSettings(learning_rate=2.0).rate(7, 0.9) == 2.0


def test_settings_may_change_while_running():
    weight = nn.Parameter(torch.zeros(100))
    descent = optimisers.build("rmsprop", [weight], OptimiserSettings(learning_rate=1.0))
    optimisers.schedule(descent, OptimiserSettings(learning_rate=0.5, keep=0.5, clip=2.0), 3)
    weight.grad = torch.full((100,), 4.0)
    descent.step()
    assert float(weight.grad.norm()) == pytest.approx(2.0, rel=1e-4)
    assert 25 < int((weight != 0).sum()) < 75
    assert float(weight.detach().min()) == pytest.approx(-0.5 / math.sqrt(1 - 0.99), rel=1e-4)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("learning_rate", 0.0),
        ("learning_rate", math.inf),
        ("clip", -1.0),
        ("warmup", -1),
        ("cycle", -1),
        ("seed", -1),
        ("floor", 1.1),
        ("keep", 0.0),
        ("keep", math.nan),
    ],
)
def test_settings_out_of_range_are_refused(field, value):
    with pytest.raises(InvalidInput, match=field) as caught:
        OptimiserSettings(**{field: value})
    assert caught.value.field == field


def test_an_unknown_name_is_refused_with_those_there_are():
    with pytest.raises(InvalidInput, match="is none of adam, rmsprop, adabelief") as caught:
        optimisers.build("lion", [nn.Parameter(torch.zeros(1))], OptimiserSettings())
    assert caught.value.field == "optimiser"


# Averages


def test_an_average_is_the_running_mean():
    net = nn.Linear(2, 1)
    average = Average(net, 0.9)
    mean = net.weight.detach().clone()
    for iteration in range(300):
        with torch.no_grad():
            net.weight += 0.1
        average.update(net, iteration)
        kept = min(0.9, (1 + iteration) / (10 + iteration))
        mean = kept * mean + (1 - kept) * net.weight.detach()
    np.testing.assert_allclose(average.net.weight, mean, rtol=1e-5)
    lag = (net.weight - average.net.weight).detach() / 0.1
    np.testing.assert_allclose(lag, 9, rtol=1e-3)  # decay / (1 - decay)
    assert not any(weight.requires_grad for weight in average.net.parameters())


def test_an_average_soon_forgets_where_it_began_and_keeps_counts():
    net = nn.BatchNorm1d(1)
    average = Average(net, 0.9999)
    assert net.running_mean is not None
    assert net.num_batches_tracked is not None
    net.running_mean.fill_(1)
    net.num_batches_tracked.fill_(7)
    for iteration in range(100):
        average.update(net, iteration)
    assert average.net.running_mean is not None
    assert 0.999 < float(average.net.running_mean) < 1
    assert average.net.num_batches_tracked == torch.tensor(7)


@pytest.mark.parametrize("decay", [-0.1, 1.0, math.nan])
def test_a_decay_out_of_range_is_refused(decay):
    with pytest.raises(InvalidInput, match="decay"):
        Average(nn.Linear(1, 1), decay)


# Other beginnings


class Layers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv5 = nn.Conv2d(3, 32, 5)
        self.conv3 = nn.Conv2d(24, 32, 3)
        self.up = nn.ConvTranspose2d(24, 16, 3)
        self.point = nn.Conv2d(16, 8, 1)
        self.dense = nn.Linear(4, 4)


@pytest.fixture
def aware():
    torch.manual_seed(5)
    net = Layers()
    dense = net.dense.weight.detach().clone()
    initialisers.convolution_aware(net, torch.Generator().manual_seed(1))
    assert torch.equal(net.dense.weight, dense)
    return net


def test_convolution_aware_filters_have_the_spread_that_layers_keep(aware):
    for layer, fan in ((aware.conv5, 75), (aware.conv3, 216), (aware.up, 216), (aware.point, 16)):
        assert float(layer.weight.detach().var(correction=0)) == pytest.approx(2 / fan, rel=1e-4)
        assert not bool(layer.bias.any())


def test_convolution_aware_filters_have_orthogonal_real_spectra(monkeypatch):
    monkeypatch.setattr(initialisers, "_NOISE", 0.0)
    layer = nn.Conv2d(
        6, 40, 3
    )  # as many channels as a 3×3 filter has frequencies: a whole basis for each output
    initialisers.convolution_aware(layer, torch.Generator().manual_seed(1))
    weight = layer.weight.detach()
    mirrored = weight.flip(2, 3).roll((1, 1), (2, 3))
    np.testing.assert_allclose(weight, mirrored, atol=1e-6)  # as a real spectrum makes them
    # by Parseval a basis has one energy, whichever it is: 1 and 1 of the frequencies that are their own mirror
    # images or each other's, 2 of each other
    energies = weight.square().sum(dim=(1, 2, 3))
    assert float(energies.std() / energies.mean()) < 1e-5
    # filters that have the three other frequencies in common are orthogonal over these
    spectra = torch.fft.rfft2(weight).real.flatten(2)
    gram = spectra.mT @ spectra
    frequencies = gram[:, 1::2, 1::2]
    scale = frequencies.diagonal(dim1=1, dim2=2).mean()
    np.testing.assert_allclose(frequencies / scale, torch.eye(3).expand(40, 3, 3), atol=1e-5)


def test_equal_seeds_begin_alike(aware):
    again, other = Layers(), Layers()
    initialisers.convolution_aware(again, torch.Generator().manual_seed(1))
    initialisers.convolution_aware(other, torch.Generator().manual_seed(2))
    assert torch.equal(again.up.weight, aware.up.weight)
    assert not torch.equal(other.up.weight, aware.up.weight)


def test_glorot_is_uniform_within_its_bound():
    net = Layers()
    initialisers.glorot(net, torch.Generator().manual_seed(1))
    fans = {"conv5": (3 + 32) * 25, "conv3": (24 + 32) * 9, "up": (24 + 16) * 9, "point": 24, "dense": 8}
    for name, both in fans.items():
        bound, weight = math.sqrt(6 / both), net.get_parameter(f"{name}.weight").detach()
        assert 0.8 * bound < float(weight.abs().max()) <= bound
        assert not bool(net.get_parameter(f"{name}.bias").any())
