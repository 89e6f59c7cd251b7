"""Samples stray as far as they are told, what is shared alike on input and target, and the same for the same seed."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from understudy.core import parameters
from understudy.core.train import augment, colours, degrade
from understudy.core.train.augmentation import TRANSFERS, Augmentation

NUMBERS = [each.name for each in fields(Augmentation) if each.name != "transfer"]
STILL = Augmentation(**dict.fromkeys(NUMBERS, 0.0))  # type: ignore[arg-type]  # `transfer` is not among them
MOVED = replace(STILL, rotation=20.0, scale=0.2, shift=0.08, flip_src=0.5, flip_dst=0.5)
SPOILS = ["shadow", "motion", "blur", "downscale", "noise", "jpeg"]
INPUT_ONLY: dict[str, dict[str, Any]] = {
    "warp": {"warp": 1.0},
    "hue": {"hue": 60.0},
    "saturation": {"saturation": 0.8},
    **{name: {name: 1.0} for name in SPOILS},
}
SHARE = 0.8
SIDE = 64


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def dice(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def person(seed: int, count: int = 4, side: int = 80) -> torch.Tensor:
    """(count, 5, side, side): a soft pattern for each, with some texture, a round matte and one for the eyes; laid out
    in memory as `Crops.gather` gives them."""
    at = torch.linspace(-1, 1, side)
    a, b, c, d = (torch.rand(count, 3, 4, generator=dice(seed)) * 5)[..., None, None].unbind(2)
    pattern = 0.5 + 0.3 * torch.sin(a * at + b * at[:, None] + c) * torch.cos(d * at[:, None])
    pattern = pattern + 0.1 * (torch.rand(count, 3, side, side, generator=dice(seed + 1)) - 0.5)
    mattes = torch.stack([((r - torch.hypot(at, at[:, None])) * 8).clamp(0, 1) for r in (0.6, 0.2)])
    crops = torch.cat([pattern, mattes.expand(count, 2, side, side)], 1)
    return crops.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)


@pytest.fixture
def people() -> tuple[torch.Tensor, torch.Tensor]:
    return person(1), person(5)


def draw(
    people: tuple[torch.Tensor, torch.Tensor], amount: Augmentation, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    return augment.pairs(people[0], people[1], SIDE, amount, dice(seed), share=SHARE)


def still(**options: Any) -> Augmentation:
    """Nothing but these."""
    return replace(STILL, **options)


def middle(people) -> torch.Tensor:
    return torch.cat(people)[:, :, 8:72, 8:72]


def test_without_augmentation_a_sample_is_the_middle_of_its_crop(people):
    inputs, targets = draw(people, STILL)
    assert inputs.shape == (8, 3, SIDE, SIDE)
    assert targets.shape == (8, 5, SIDE, SIDE)
    torch.testing.assert_close(inputs, middle(people)[:, :3], atol=2e-5, rtol=0)
    torch.testing.assert_close(targets, middle(people), atol=2e-5, rtol=0)
    plain = augment.straight(torch.cat(people), SIDE, share=SHARE)
    torch.testing.assert_close(plain, middle(people), atol=2e-5, rtol=0)


def test_crops_are_left_as_they_are(people):
    before = [crops.clone() for crops in people]
    every = replace(
        MOVED, **{k: v for each in INPUT_ONLY.values() for k, v in each.items()}, exposure=0.2, gamma=0.3
    )
    for kind in ("none", "rct", "sot"):
        draw(people, replace(every, transfer=kind))
        assert all(torch.equal(*both) for both in zip(before, people, strict=True))


@pytest.mark.parametrize("what", INPUT_ONLY)
def test_the_target_knows_nothing_of_what_is_done_to_the_input(people, what):
    moves = replace(MOVED, exposure=0.1, tint=0.05, gamma=0.1)
    plain, wanted = draw(people, moves)
    worst = torch.zeros(8)
    for seed in range(4):
        plain, wanted = draw(people, moves, seed)
        inputs, targets = draw(people, replace(moves, **INPUT_ONLY[what]), seed)
        assert torch.equal(targets, wanted)
        assert torch.isfinite(inputs).all()
        assert float(inputs.min()) >= 0
        assert float(inputs.max()) <= 1
        worst = torch.maximum(worst, (inputs - plain).abs().amax((1, 2, 3)))
    assert (worst > 0.002).all()


@pytest.mark.parametrize(("who", "flipped"), [("flip_src", slice(0, 4)), ("flip_dst", slice(4, 8))])
def test_flips_turn_input_and_target_of_one_person(people, who, flipped):
    inputs, targets = draw(people, still(**{who: 1.0}))
    wanted = middle(people).clone()
    wanted[flipped] = wanted[flipped].flip(-1)
    torch.testing.assert_close(targets, wanted, atol=2e-5, rtol=0)
    torch.testing.assert_close(inputs, wanted[:, :3], atol=2e-5, rtol=0)


def test_a_flip_happens_as_often_as_told():
    many = (person(1, 200, 20), person(5, 200, 20))
    _, targets = augment.pairs(*many, 16, still(flip_src=0.3), dice(), share=SHARE)
    plain = torch.cat(many)[:, :, 2:18, 2:18]
    mirrored = (targets - plain).abs().amax((1, 2, 3)) > 1e-3
    assert 0.2 < float(mirrored[:200].float().mean()) < 0.4
    assert not mirrored[200:].any()


def test_pictures_and_mattes_move_together():
    at = torch.linspace(0, 3, 80)
    soft = (0.5 + 0.4 * torch.sin(at + torch.arange(6)[:, None, None]) * torch.cos(2 * at[:, None]))[:, None]
    people = (soft[:3].expand(3, 5, 80, 80), soft[3:].expand(3, 5, 80, 80))
    inputs, targets = draw(people, MOVED)
    torch.testing.assert_close(targets[:, :1].expand(6, 5, SIDE, SIDE), targets, atol=2e-3, rtol=0)
    assert torch.equal(inputs, targets[:, :3])
    assert (torch.linalg.vector_norm(targets - middle(people), dim=(1, 2, 3)) > 1).all()


@pytest.mark.parametrize("strength", [0.0, 1.3])
def test_samples_lie_where_affine_and_field_say(strength):
    """The picture is its own coordinates: what is sampled says from where. Drawn by hand in the promised order."""
    at = (torch.arange(80) + 0.5) / 40 - 1
    x, y = (each.expand(80, 80) for each in (at, at[:, None]))
    crops = (0.5 + torch.stack([x, y, x, x, y]) / 4).expand(3, 5, 80, 80)
    amount = replace(MOVED, rotation=8.0, scale=0.1, shift=0.03, warp=strength)
    inputs, targets = draw((crops, crops), amount)
    by_hand = dice()
    torch.randint(3, (3,), generator=by_hand)  # whose colours
    torch.randint(2**62, (), generator=by_hand)
    placed = augment.affine(6, amount, 0.5, by_hand) * SHARE
    bend = augment.field(6, SIDE, strength, by_hand)
    plain = functional.affine_grid(placed, [6, 1, SIDE, SIDE], align_corners=False)
    bent = plain + torch.einsum("bij,bhwj->bhwi", placed[:, :, :2], bend)
    bicubic = 5e-3  # which is not exact on a slope
    for found, wanted, near in (
        (targets[:, 3:], plain, 2e-4),
        (targets[:, :2], plain, bicubic),
        (inputs[:, :2], bent, 2e-4 if strength else bicubic),
    ):
        inside = (wanted.abs() < 0.97).all(3)
        grid = ((found - 0.5) * 4).permute(0, 2, 3, 1)
        torch.testing.assert_close(grid[inside], wanted[inside], atol=near, rtol=0)
        assert float(inside.float().mean()) > 0.9


def test_affine_stays_in_its_ranges():
    amount = Augmentation(rotation=10, scale=0.15, shift=0.05)
    matrices = augment.affine(2000, amount, 0.0, dice())
    zoom = matrices[:, :, :2].det().sqrt()
    assert 1 / 1.15 - 1e-5 <= float(zoom.min()) < 0.89
    assert 1.13 < float(zoom.max()) <= 1.15 + 1e-5
    turn = torch.rad2deg(torch.atan2(matrices[:, 1, 0], matrices[:, 0, 0]))
    assert 9.8 < float(turn.abs().max()) <= 10
    assert 0.095 < float(matrices[:, :, 2].abs().max()) <= 0.1  # half a side is 1


def test_warp_is_as_strong_as_deepfacelabs_but_its_fields_are_independent():
    """DeepFaceLab's y field is its x field transposed, and its points move 6.3 of 128 pixels at the farthest, in the
    mean over samples (measured on its own code: the notes on its quirks)."""
    side = 128
    x, y = (augment.field(600, side, 1.0, dice()) * side / 2).unbind(-1)
    both = torch.stack([x.flatten(), y.transpose(1, 2).flatten()])
    assert abs(float(torch.corrcoef(both)[0, 1])) < 0.25  # few points move much: this is noisy
    edges = torch.cat([x[:, [0, -1]], y[:, [0, -1]]])
    assert float(edges.abs().max()) == 0  # the border stays
    farthest = x.abs().flatten(1).max(dim=1).values
    assert 5.7 < float(farthest.mean()) < 6.9
    assert float(farthest.max()) < 0.24 * 2**0.5 * 64


def test_light_is_the_same_on_input_and_target_and_never_on_the_mattes(people):
    inputs, targets = draw(people, still(exposure=0.1, tint=0.05))
    assert torch.equal(inputs, targets[:, :3])
    gain = targets[:, :3].mean((2, 3)) / middle(people)[:, :3].mean((2, 3))
    assert 0.01 < float((gain - 1).abs().max()) <= 0.16
    assert float((gain - gain.mean(1, keepdim=True)).abs().max()) > 1e-3
    torch.testing.assert_close(targets[:, 3:], middle(people)[:, 3:], atol=2e-5, rtol=0)


def test_gamma_is_a_power_of_each_sample(people):
    inputs, targets = draw(people, still(gamma=0.5))
    assert torch.equal(inputs, targets[:, :3])
    ratio = targets[:, :3].log() / middle(people)[:, :3].log()
    power = ratio.mean((1, 2, 3))
    torch.testing.assert_close(ratio, power[:, None, None, None].expand_as(ratio), atol=2e-3, rtol=0)
    assert 1 / 1.5 <= float(power.min()) < 0.9
    assert 1.1 < float(power.max()) <= 1.5


@pytest.mark.parametrize("kind", [kind for kind in TRANSFERS if kind != "none"])
def test_src_takes_the_colours_of_a_dst_sample_on_input_and_target(people, kind):
    src, dst = people[0], people[1].clone()
    for sample, colour in zip(dst, torch.rand(4, 3, generator=dice(2)) * 0.8 + 0.1, strict=True):
        sample[:3] = colour[:, None, None] + 0.1 * (sample[:3] - 0.5)
    inputs, targets = draw((src, dst), still(transfer=kind), 3)
    assert torch.equal(inputs, targets[:, :3])
    torch.testing.assert_close(targets[4:], middle((dst,)), atol=2e-5, rtol=0)
    torch.testing.assert_close(targets[:4, 3:], middle((src,))[:, 3:], atol=2e-5, rtol=0)
    off = (targets[:4, :3].mean((2, 3))[:, None] - dst[:, :3].mean((2, 3))[None]).abs().amax(2)
    assert (off.amin(1) < 0.05).all()
    assert len(set(off.argmin(1).tolist())) > 1  # not all from the same one


def test_equal_seeds_make_equal_samples_and_others_others(people):
    every = Augmentation(**{k: v for each in INPUT_ONLY.values() for k, v in each.items()}, transfer="idt")
    for amount in (Augmentation(), every):
        first, same, other = (draw(people, amount, seed) for seed in (1, 1, 2))
        assert torch.equal(first[0], same[0])
        assert torch.equal(first[1], same[1])
        assert not torch.equal(first[0], other[0])
        assert not torch.equal(first[0][0], first[0][1])  # each sample of a batch has its own draw


@pytest.mark.parametrize("what", SPOILS)
def test_a_share_of_inputs_is_spoilt_and_which_ones_is_nobody_elses_business(what):
    many = (person(1, 16), person(5, 16))

    def inputs(amount: Augmentation) -> torch.Tensor:
        return draw(many, amount, 4)[0]

    plain = inputs(STILL)
    spoilt = inputs(still(**{what: 0.4}))
    hit = (spoilt - plain).abs().amax((1, 2, 3)) > 0
    assert 4 <= int(hit.sum()) <= 22
    for other in SPOILS:
        if other != what:
            alone = inputs(still(**{other: 0.5}))
            spared = (alone - plain).abs().amax((1, 2, 3)) == 0
            both = inputs(still(**{what: 0.4, other: 0.5}))
            assert torch.equal(both[spared], spoilt[spared])
            assert bool((spared & hit).any())


def test_downscaled_and_blurred_inputs_lose_detail_and_keep_their_light(people):
    plain, _ = draw(people, STILL)
    for what in ("downscale", "blur", "motion"):
        inputs, _ = draw(people, still(**{what: 1.0}))
        detail = [each.diff(dim=-1).abs().mean((1, 2, 3)) for each in (inputs, plain)]
        assert (detail[0] < 1.001 * detail[1]).all()
        assert float((detail[0] / detail[1]).min()) < 0.9
        torch.testing.assert_close(inputs.mean((2, 3)), plain.mean((2, 3)), atol=0.01, rtol=0)


def test_noise_is_as_strong_as_said_and_differs(people):
    grey = (torch.full_like(people[0], 0.5),) * 2
    noise = draw(grey, still(noise=1.0))[0] - 0.5
    strength = noise.std((1, 2, 3))
    assert 0.01 < float(strength.max()) < 0.042
    assert float(noise.mean((1, 2, 3)).abs().max()) < 0.01
    flat = noise.flatten(1)
    alike = torch.corrcoef(flat) - torch.eye(8)
    assert float(alike.abs().max()) < 0.3


def test_a_shadow_is_a_soft_spot_darker_or_lighter():
    grey = (torch.full((24, 5, 80, 80), 0.5),) * 2
    inputs, _ = draw(grey, still(shadow=1.0))
    ratio = inputs / 0.5
    assert 0.5 <= float(ratio.min()) < 0.65
    assert 1.35 < float(ratio.max()) <= 1.5
    assert torch.equal(inputs[:, :1].expand_as(inputs), inputs)  # of no colour
    assert float(ratio.diff(dim=-1).abs().max()) < 0.5 / (0.05 * SIDE) + 1e-3
    assert 0.1 < float((ratio == 1).float().mean()) < 0.9


@settings(max_examples=50, deadline=None)
@given(st.floats(-3.14, 3.14), st.floats(0, 2), st.integers(0, 1000))
def test_hue_and_saturation_leave_luma_and_greys(hue, saturation, seed):
    x = torch.rand(1, 3, 8, 8, generator=dice(seed))
    turn = colours.turns(torch.tensor([hue]), torch.tensor([saturation]))
    found = colours.mixed(x, turn)
    luma = colours.YCC[0]
    torch.testing.assert_close(torch.einsum("c,bchw->bhw", luma, found), torch.einsum("c,bchw->bhw", luma, x))
    grey = x[:, :1].expand_as(x)
    torch.testing.assert_close(colours.mixed(grey, turn), grey, atol=1e-5, rtol=0)
    back = colours.turns(torch.tensor([-hue]), torch.ones(1))
    torch.testing.assert_close(
        colours.mixed(found, back),
        colours.mixed(x, colours.turns(torch.zeros(1), torch.tensor([saturation]))),
        atol=1e-4,
        rtol=0,
    )


def test_hue_turns_by_the_angle_in_the_plane_of_colour_differences():
    x = torch.rand(1, 3, 8, 8, generator=dice())
    turned = colours.mixed(x, colours.turns(torch.tensor([0.7]), torch.tensor([1.5])))
    blue, red, blue_after, red_after = (
        colours.mixed(each, colours.YCC)[0, i] for each in (x, turned) for i in (1, 2)
    )
    before, after = torch.complex(blue, red), torch.complex(blue_after, red_after)
    wanted = before * 1.5 * torch.exp(torch.tensor(0.7j))
    torch.testing.assert_close(after, wanted, atol=1e-5, rtol=0)


@settings(max_examples=30, deadline=None)
@given(
    st.fixed_dictionaries(
        {
            each.name: st.floats(each.minimum, each.maximum, width=32)
            for each in parameters.of(Augmentation())
            if each.name in NUMBERS and each.minimum is not None and each.maximum is not None
        }
    ),
    st.sampled_from(TRANSFERS),
    st.integers(0, 2**40),
)
def test_whatever_is_asked_for_samples_are_codes(numbers, kind, seed):
    amount = Augmentation(**numbers, transfer=kind)
    people = (person(1, 2, 40).requires_grad_(), person(5, 3, 40))
    inputs, targets = augment.pairs(*people, 32, amount, dice(seed), share=SHARE)
    for samples, channels in ((inputs, 3), (targets, 5)):
        assert samples.shape == (5, channels, 32, 32)
        assert samples.dtype == torch.float32
        assert not samples.requires_grad
        assert samples.is_contiguous()
        assert float(samples.min()) >= 0
        assert float(samples.max()) <= 1  # and so no NaN


@pytest.mark.parametrize("transfer", ["none", "rct"])
def test_autocast_means_nothing(people, transfer):
    every = Augmentation(**{k: v for each in INPUT_ONLY.values() for k, v in each.items()}, transfer=transfer)
    wanted = draw(people, every)
    with torch.autocast("cpu", torch.bfloat16):
        found = draw(people, every)
    assert all(torch.equal(*both) for both in zip(wanted, found, strict=True))


@pytest.mark.parametrize("side", [70, 128, 200])
@pytest.mark.parametrize("sigma", [0.3, 2.0])
def test_a_banded_product_is_the_whole_one(side, sigma):
    x = torch.rand(2, 3, side, side, generator=dice())
    kernel = degrade.gaussian(torch.tensor([sigma, sigma / 2]), side)
    whole = degrade.both_ways(x, kernel)
    torch.testing.assert_close(degrade.both_ways(x, kernel, 11), whole, atol=1e-5, rtol=0)
    small = degrade.resize(torch.tensor([side / 4.0, side / 2.3]).round(), side, torch.tensor([False, False]))
    torch.testing.assert_close(degrade.both_ways(x, small, 8), degrade.both_ways(x, small), atol=1e-5, rtol=0)


@pytest.mark.parametrize("taps", [4, 7])
def test_a_moving_picture_is_smeared_by_as_many_taps(taps):
    dots = torch.zeros(1, 1, 33, 33)
    dots[..., 16, 16] = 1
    found = degrade.moved(dots, torch.tensor([float(taps - 1) * 2]), torch.tensor([0.0]), taps)[0, 0]
    assert np.count_nonzero(found[16] > 0.9 / taps) == taps
    assert float(found.sum()) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("length", "angle"), [(0.0, 1.0), (3.3, 0.4), (6.0, 2.9)])
def test_a_moving_picture_is_the_mean_of_those_the_taps_see(length, angle):
    """Sampled one by one, and still ones beside it; beyond the border is its pixel."""
    x, side = torch.rand(2, 3, 40, 40, generator=dice()), 40
    found = degrade.moved(x, torch.tensor([0.0, length]), torch.tensor([0.7, angle]), 4)
    way = torch.tensor([np.cos(angle), np.sin(angle)], dtype=torch.float32) * length * 2 / side
    grid = functional.affine_grid(torch.eye(2, 3)[None], [1, 1, side, side], align_corners=False)
    seen = [augment.sample(x[1:], grid + tap * way, "bilinear") for tap in torch.linspace(-0.5, 0.5, 4)]
    torch.testing.assert_close(found[1:], torch.stack(seen).mean(0), atol=2e-5, rtol=0)
    torch.testing.assert_close(found[:1], x[:1], atol=1e-6, rtol=0)


@pytest.mark.parametrize("side", [33, 64])
def test_a_shrunk_picture_is_a_resized_one(side):
    x, sizes = torch.rand(3, 3, side, side, generator=dice()), [2, side // 3, side]
    kernel = degrade.resize(torch.tensor(sizes), side, torch.zeros(3, dtype=torch.bool))
    torch.testing.assert_close(degrade.shrunk(x, sizes), degrade.both_ways(x, kernel), atol=2e-5, rtol=0)


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_a_sample_is_the_same_alone_and_among_others(people, transfer, monkeypatch):
    """CPUs work samples out one by one, other devices a person's at a time, with more of the crops."""
    spoils: dict[str, Any] = {name: 0.5 for name in SPOILS if name != "jpeg"}  # which rounds
    amount = replace(MOVED, warp=1.0, gamma=0.2, hue=9.0, saturation=0.05, transfer=transfer, **spoils)
    alone = draw(people, amount)
    monkeypatch.setattr(augment, "_parts", lambda x: [slice(0, len(x))])
    for found, wanted in zip(draw(people, amount), alone, strict=True):
        torch.testing.assert_close(found, wanted, atol=5e-5, rtol=0)


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_all_is_done_on_the_device_and_nothing_is_asked_back(transfer, monkeypatch):
    """PyTorch's `meta` device has no numbers: what is not on it, or wants to see one, fails."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # which `meta` has not
    every = Augmentation(**{k: v for each in INPUT_ONLY.values() for k, v in each.items()}, transfer=transfer)
    crops = torch.empty(3, 5, 80, 80, device="meta")
    inputs, targets = draw((crops, crops), replace(every, gamma=0.2))
    assert inputs.shape == (6, 3, SIDE, SIDE)
    assert targets.shape == (6, 5, SIDE, SIDE)
    assert {inputs.device.type, targets.device.type} == {"meta"}
