"""Colour transfer gives one picture the other's statistics, DeepFaceLab's numbers where it is right, and never NaN."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.core.train import transfer as transfers
from understudy.core.train.augmentation import TRANSFERS
from understudy.core.train.transfer import transfer

KINDS = [kind for kind in TRANSFERS if kind != "none"]
LINEAR = ["lct", "mkl"]
WHOLE = ["idt", "sot"]


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def dice(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(count: int, side: int = 48, seed: int = 0) -> torch.Tensor:
    """(count, 3, side, side) within [0.1, 0.9]: smooth, each with its own mixture of channels."""
    noise = torch.rand(count, 3, 6, 6, generator=dice(seed))
    waves = torch.nn.functional.interpolate(noise, (side, side), mode="bilinear") - 0.5
    mixture = torch.eye(3) + 0.6 * torch.rand(count, 3, 3, generator=dice(seed + 1)) - 0.3
    middle = 0.35 + 0.3 * torch.rand(count, 3, 1, 1, generator=dice(seed + 2))
    return (middle + 0.4 * torch.einsum("bij,bjhw->bihw", mixture, waves)).clamp(0.1, 0.9)


def moments(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Means (B, 3) and covariances (B, 3, 3)."""
    return x.mean((2, 3)), torch.stack([torch.cov(each.flatten(1), correction=0) for each in x])


@pytest.fixture
def golden(shared: Path) -> dict[str, np.ndarray]:
    with np.load(shared / "golden" / "dfl" / "color.npz") as file:
        return dict(file)


def picture(array: np.ndarray) -> torch.Tensor:
    """(1, 3, H, W) of BGR bytes."""
    rgb = np.ascontiguousarray(array[..., ::-1]).astype(np.float32) / np.float32(255)
    return torch.from_numpy(rgb).permute(2, 0, 1)[None]


@pytest.mark.parametrize("pair", ["p0", "p1"])
@pytest.mark.parametrize(("kind", "near"), [("rct", 0.005), ("lct", 1e-4), ("mkl", 1e-4)])
def test_deepfacelabs_numbers(golden, pair, kind, near):
    """`rct` by the exact formulas of L*a*b*; DeepFaceLab's come out of OpenCV's tables (the set's README)."""
    key = f"{pair}_{kind}"
    theirs = golden[key] if key in golden else golden[f"{key}_u16"] / 65535
    x, like = (picture(golden[f"{pair}_{what}_u8"]) for what in ("target", "source"))
    found = transfer(kind, x, like, dice()).clamp(0, 1)
    np.testing.assert_allclose(found[0].permute(1, 2, 0).numpy()[..., ::-1], theirs, rtol=0, atol=near)


@pytest.mark.parametrize("pair", ["p0", "p1"])
def test_sot_agrees_with_deepfacelabs_statistics(golden, pair):
    """It draws, so that only means and deviations compare; its own runs differ by 0.001."""
    x, like = (picture(golden[f"{pair}_{what}_u8"]) for what in ("target", "source"))
    found = transfer("sot", x, like, dice())[0].flatten(1).numpy()[::-1]
    theirs = golden[f"{pair}_sot_10x5_mean_std"].mean(0)
    np.testing.assert_allclose(found.mean(1), theirs[:3], atol=0.01)
    np.testing.assert_allclose(found.std(1), theirs[3:], atol=0.012)


@pytest.mark.parametrize("kind", LINEAR)
def test_means_and_covariances_become_those_of_the_reference(kind):
    x, like = pictures(4), pictures(4, 64, seed=5)
    found, wanted = moments(transfer(kind, x, like, dice())), moments(like)
    torch.testing.assert_close(found[0], wanted[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(found[1], wanted[1], atol=3e-5, rtol=0)


def test_rct_gives_the_means_and_deviations_of_lab():
    x, like = pictures(3), pictures(3, 64, seed=5)
    for one, other in zip(transfer("rct", x, like, dice()), like, strict=True):
        ours, theirs = (
            cv2.cvtColor(np.ascontiguousarray(p.permute(1, 2, 0).numpy()), cv2.COLOR_RGB2LAB).reshape(-1, 3)
            for p in (one, other)
        )
        np.testing.assert_allclose(ours.mean(0), theirs.mean(0), atol=0.3)
        np.testing.assert_allclose(ours.std(0), theirs.std(0), atol=0.3)


def test_idt_gives_the_whole_distribution():
    x, like = pictures(3), pictures(3, seed=5)
    found = transfer("idt", x, like, dice())
    levels = torch.linspace(0.02, 0.98, 25)
    axes = torch.cat([torch.eye(3), torch.tensor([[0.6, 0.8, 0.0], [0.5, -0.5, 0.7], [-0.3, 0.2, 0.9]])])

    def quantiles(p: torch.Tensor) -> torch.Tensor:
        return torch.quantile(torch.einsum("di,bihw->bdhw", axes, p).flatten(2), levels, dim=2)

    off, before = ((quantiles(p) - quantiles(like)).abs() for p in (found, x))
    assert float(off.mean()) < 0.01  # its look-up table smooths a little
    assert float(off.max()) < 0.08
    assert float(before.mean()) > 0.05
    assert float(before.max()) > 0.15


def test_sot_comes_near_and_its_change_is_smooth():
    x, like = pictures(3, 96), pictures(3, 96, seed=5)
    x = (x + 0.05 * torch.randn(x.shape, generator=dice(3))).clamp(0, 1)
    found = transfer("sot", x, like, dice())
    assert float((found.mean((2, 3)) - like.mean((2, 3))).abs().max()) < 0.02
    change = found - x
    assert float(change.abs().mean()) > 0.05
    assert float(change.diff(dim=3).abs().max()) < 0.02
    sharp = transfer("idt", x, like, dice()) - x
    assert float(sharp.diff(dim=3).abs().max()) > 0.1


def test_mkl_moves_colours_least():
    x, like = pictures(6), pictures(6, seed=5)
    moved = {kind: (transfer(kind, x, like, dice()) - x).square().mean() for kind in LINEAR}
    assert float(moved["mkl"]) < float(moved["lct"])


@pytest.mark.parametrize(
    ("kind", "near"), [("rct", 1e-4), ("lct", 1e-5), ("mkl", 1e-5), ("idt", 1e-2), ("sot", 1e-2)]
)
def test_a_picture_that_is_alike_stays(kind, near):
    x = pictures(3)
    torch.testing.assert_close(transfer(kind, x, x, dice()), x, atol=near, rtol=0)
    assert transfer("none", x, x.flip(0), dice()) is x


@pytest.mark.parametrize("kind", KINDS)
def test_each_sample_has_its_own_reference(kind):
    x, like = pictures(3), pictures(3, seed=5)
    together = transfer(kind, x, like, dice())
    for i in range(3):
        alone = transfer(kind, x[i : i + 1], like[i : i + 1], dice())
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_argument_is_left_alone_and_autocast_means_nothing(kind):
    x, like = pictures(2), pictures(2, seed=5)
    before = x.clone()
    found = transfer(kind, x, like, dice())
    assert torch.equal(x, before)
    assert found.dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        again = transfer(kind, x, like, dice())
    assert torch.equal(again, found)
    nhwc = x.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(transfer(kind, nhwc, like, dice()), found, atol=1e-3, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_draws_are_the_generators(kind):
    x, like = pictures(2), pictures(2, seed=5)
    used = dice(1)
    one, same, other = (
        transfer(kind, x, like, used),
        transfer(kind, x, like, dice(1)),
        transfer(kind, x, like, dice(2)),
    )
    assert torch.equal(one, same)
    assert torch.equal(used.get_state(), dice(1).get_state()) == (kind not in WHOLE)
    if kind in WHOLE:
        assert not torch.equal(one, other)
        assert float((one - other).abs().mean()) < 0.02  # the result is not left to chance
    else:
        assert torch.equal(one, other)


@pytest.mark.parametrize("kind", KINDS)
def test_a_matte_says_what_counts(kind):
    """What lies beyond it may be anything."""
    x, like = pictures(2), pictures(2, seed=5)
    matte = torch.zeros(2, 1, 48, 48)
    matte[..., :24] = 1
    spoilt, other = x.clone(), like.clone()
    spoilt[..., 24:], other[..., 24:] = 0.0, 1.0
    found = transfer(kind, spoilt, other, dice(), matte=matte, like_matte=matte)[..., :24]
    alone = transfer(kind, x, like, dice(), matte=matte, like_matte=matte)[..., :24]
    torch.testing.assert_close(found, alone, atol=1e-3 if kind in WHOLE else 1e-5, rtol=0)
    assert float((alone.mean((2, 3)) - like[..., :24].mean((2, 3))).abs().max()) < 0.025


@pytest.mark.parametrize("kind", KINDS)
def test_an_even_or_an_empty_matte_is_none(kind):
    x, like = pictures(2), pictures(2, seed=5)
    bare = transfer(kind, x, like, dice())
    for value in (1.0, 0.3, 0.0):
        even = torch.full((2, 1, 48, 48), value)
        found = transfer(kind, x, like, dice(), matte=even, like_matte=even)
        torch.testing.assert_close(found, bare, atol=2e-3, rtol=0)


COLOUR = st.tuples(*(st.sampled_from([0.0, 1e-3, 0.04, 0.5, 1.0]) for _ in range(3)))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(
    x=COLOUR, like=COLOUR, flat=st.sampled_from(["both", "x", "like"]), grain=st.sampled_from([0.0, 2.0**-12])
)
def test_pictures_of_one_colour_are_no_trouble(kind, x, like, flat, grain):
    one, other = (
        torch.tensor(colour)[None, :, None, None].expand(1, 3, 20, 20).clone() for colour in (x, like)
    )
    if flat == "x":
        other = pictures(1, 20)
    elif flat == "like":
        one = pictures(1, 20)
    one += grain * torch.randn(
        one.shape, generator=dice()
    )  # float16's rounding must not become a picture's contrast
    found = transfer(kind, one, other, dice())
    assert torch.isfinite(found).all()
    assert float(found.min()) > -2
    assert float(found.max()) < 3
    if flat == "both":
        torch.testing.assert_close(found.mean((2, 3)), other.mean((2, 3)), atol=0.02, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_two_colours_and_grey_pictures_are_no_trouble(kind):
    grey = pictures(2)[:, :1].expand(2, 3, 48, 48)
    halves = (torch.arange(48) < 24).float().expand(2, 3, 48, 48) * torch.tensor([1.0, 0.2, 0.0])[
        :, None, None
    ]
    for x, like in (
        (grey, pictures(2)),
        (pictures(2), grey),
        (halves, grey),
        (grey, halves),
        (halves, halves),
    ):
        found = transfer(kind, x, like, dice())
        assert torch.isfinite(found).all()
        assert float((found.mean((2, 3)) - like.mean((2, 3))).abs().max()) < 0.1


@pytest.mark.parametrize("kind", ["rct", *LINEAR])
def test_values_beyond_the_range_stay_in_order(kind):
    """A merge must not clip a highlight."""
    ramp = torch.linspace(0, 1.6, 200).expand(1, 3, 200, 200)
    grey = pictures(1)[:, :1].expand(1, 3, 48, 48)
    found = transfer(kind, ramp, grey, dice())[0, :, 100]
    assert (found.diff(dim=1) > 0).all()
    bright = transfer(kind, ramp + 0.5, grey + 1, dice())
    assert float(bright.max()) > 1.3


@pytest.mark.parametrize("kind", WHOLE)
def test_beyond_the_table_the_change_stays_that_of_its_border(kind):
    x = pictures(1)
    x[..., :4, :4] = 1.0
    beyond = x.clone()
    beyond[..., :4, :4] = 1.5
    change = transfers.fit(kind, x, pictures(1, seed=5), dice())
    part = transfers.whole(x)
    torch.testing.assert_close(change(beyond, part) - beyond, change(x, part) - x, atol=1e-5, rtol=0)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(1e-4, 1), min_size=3, max_size=3), st.floats(1e-6, 10), st.integers(0, 2**31))
def test_roots_of_matrices(spread, scale, seed):
    turn = torch.linalg.qr(torch.randn(1, 3, 3, generator=dice(seed), dtype=torch.float64)).Q
    matrix = scale * turn @ torch.diag(torch.tensor(spread, dtype=torch.float64).square()) @ turn.mT
    root, inverse = transfers._root(matrix)
    torch.testing.assert_close(root @ root, matrix, rtol=1e-6, atol=1e-9 * scale)
    torch.testing.assert_close(root @ inverse, torch.eye(3, dtype=torch.float64)[None], rtol=0, atol=1e-6)
