"""Samples of a segmenter: what moves moves the label too, all else leaves it; degradations are what they say."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from understudy.core.errors import InvalidInput
from understudy.core.segment import augment
from understudy.core.segment.augmentation import DFL, NONE, Augmentation
from understudy.core.train import degrade

SHARE = 0.8
SIDE = 64
PICTURE_ONLY: dict[str, dict[str, Any]] = {
    "background": {"background": 1.0},
    "face flare": {"face_flare": 1.0, "flare": 1.0},
    "background flare": {"background_flare": 1.0, "flare": 1.0},
    "hue": {"colour": 1.0, "hue": 90.0, "saturation": 0.5, "value": 0.3},
    "levels": {"colour": 1.0, "levels": 1.0},
    "sharpen": {"sharpen": 1.0},
    "blur": {"blur": 1.0},
    "resize": {"resize": 1.0},
    "jpeg": {"jpeg": 1.0},
    "grain": {"grain": 1.0, "noise": 0.1},
}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def dice(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def smooth(count: int, channels: int, side: int, seed: int = 0) -> torch.Tensor:
    """(count, channels, side, side) in [0.1, 0.9]: another soft pattern for each."""
    waves = torch.rand(count, channels, 4, generator=dice(seed)) * 5
    at = torch.linspace(-1, 1, side)
    a, b, c, d = waves[..., None, None].unbind(2)
    return 0.5 + 0.4 * torch.sin(a * at + b * at[:, None] + c) * torch.cos(d * at[:, None])


@pytest.fixture
def crops() -> torch.Tensor:
    """(4, 4, 80, 80): patterns with a round label whose edge is soft."""
    at = torch.linspace(-1, 1, 80)
    label = ((0.6 - torch.hypot(at, at[:, None])) * 8).clamp(0, 1)
    return torch.cat([smooth(4, 3, 80), label[None, None].expand(4, 1, 80, 80)], 1)


def draw(crops, amount, seed: int = 0, laid=None) -> tuple[torch.Tensor, torch.Tensor]:
    laid = torch.zeros(len(crops), 5, *crops.shape[2:]) if laid is None else laid
    return augment.batch(crops, laid, SIDE, amount, dice(seed), share=SHARE)


def test_without_augmentation_a_sample_is_the_middle_of_its_crop(crops):
    inputs, targets = draw(crops, NONE)
    assert inputs.shape == (4, 3, SIDE, SIDE)
    assert targets.shape == (4, 1, SIDE, SIDE)
    torch.testing.assert_close(inputs, crops[:, :3, 8:72, 8:72], atol=1e-5, rtol=0)
    torch.testing.assert_close(targets, crops[:, 3:, 8:72, 8:72], atol=1e-5, rtol=0)


def test_picture_and_label_move_together():
    label = smooth(6, 1, 80)
    moves = replace(NONE, rotation=30, scale=0.3, shift=0.1, flip=0.5, warp=1.0)
    inputs, targets = draw(label.expand(6, 4, 80, 80), moves)
    torch.testing.assert_close(inputs, targets.expand(6, 3, SIDE, SIDE), atol=0.02, rtol=0)
    still = label[:, :, 8:72, 8:72]
    assert all(float(change) > 0.03 for change in (targets - still).abs().amax((1, 2, 3)))


@pytest.mark.parametrize("what", PICTURE_ONLY)
def test_what_is_done_to_the_picture_leaves_the_label(crops, what):
    crops = crops.clone()
    crops[:, :3] += 0.15 * (torch.rand(4, 3, 80, 80, generator=dice(9)) - 0.5)  # texture, to be lost
    plain, wanted = draw(crops, NONE)
    worst = torch.zeros(4)
    for seed in range(12):
        inputs, targets = draw(crops, replace(NONE, **PICTURE_ONLY[what]), seed)
        assert torch.equal(targets, wanted)
        assert torch.isfinite(inputs).all()
        assert float(inputs.min()) >= 0
        assert float(inputs.max()) <= 1
        worst = torch.maximum(worst, (inputs - plain).abs().amax((1, 2, 3)))
    assert (worst > 0.005).all()


@pytest.mark.parametrize(
    "what", [what for what in PICTURE_ONLY if "flare" not in what and what != "background"]
)
def test_it_is_done_to_a_part_of_the_picture(crops, what):
    """Where the spot ends, the picture is as it was."""
    plain, _ = draw(crops, NONE)
    changed = torch.stack([draw(crops, replace(NONE, **PICTURE_ONLY[what]), seed)[0] for seed in range(12)])
    same = (changed - plain).abs().amax(2) < 1e-6
    assert float(same.float().mean((2, 3)).max()) > 0.2


def test_another_background_comes_where_neither_sample_has_a_face(crops):
    plain, label = draw(crops, NONE)
    inputs, _ = draw(crops, replace(NONE, background=1.0))
    moved = (inputs - plain).abs().amax(1, keepdim=True)
    assert float(moved[label == 1].max()) < 1e-5
    assert float(moved[label == 0].max()) > 0.1
    alone, _ = draw(crops[:1], replace(NONE, background=1.0))
    torch.testing.assert_close(alone, plain[:1])


def test_occluders_take_the_label_away_as_far_as_they_are_solid(crops):
    laid = torch.zeros(4, 5, 80, 80)
    laid[0, :3], laid[0, 3, :, :40] = 0.25, 1.0  # solid on the left
    laid[1, :3], laid[1, 3] = 0.25, 0.5
    laid[2, 4] = 0.6  # a shadow, and what throws it not in the picture
    laid[2, 3, 0, 0] = 1.0
    plain, wanted = draw(crops, NONE)
    inputs, targets = draw(crops, NONE, laid=laid)
    torch.testing.assert_close(inputs[0, :, :, :31], torch.full((3, SIDE, 31), 0.25), atol=1e-4, rtol=0)
    assert not targets[0, :, :, :31].any()
    torch.testing.assert_close(targets[0, :, :, 33:], wanted[0, :, :, 33:])
    torch.testing.assert_close(targets[1], wanted[1] / 2, atol=1e-5, rtol=0)
    light = (plain[1].square() + 0.25**2) / 2  # light is mixed, not codes
    torch.testing.assert_close(inputs[1], light.sqrt(), atol=1e-4, rtol=0)
    torch.testing.assert_close(inputs[2], plain[2] * 0.4, atol=1e-3, rtol=0)
    torch.testing.assert_close(targets[2:], wanted[2:])
    torch.testing.assert_close(inputs[3], plain[3])


def test_occluders_move_with_the_face(crops):
    laid = torch.zeros(4, 5, 80, 80)
    laid[:, 3] = (crops[:, 3] > 0.5).float()  # just the face
    _, targets = draw(crops, replace(NONE, rotation=40, shift=0.15, scale=0.3, warp=1.0), laid=laid)
    assert float(targets.max()) < 0.6  # what is left is the soft edge
    _, bare = draw(crops, replace(NONE, rotation=40, shift=0.15, scale=0.3, warp=1.0))
    assert float(bare.max()) > 0.99


def test_labels_stay_soft_unless_told(crops):
    _, soft = draw(crops, Augmentation())
    _, hard = draw(crops, replace(NONE, binary=True))
    assert ((soft > 0.1) & (soft < 0.9)).any()
    assert set(hard.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("amount", [Augmentation(), DFL])
def test_equal_seeds_make_equal_samples_and_others_others(crops, amount):
    one, two, other = (draw(crops, amount, seed) for seed in (1, 1, 2))
    assert torch.equal(one[0], two[0])
    assert torch.equal(one[1], two[1])
    assert not torch.equal(one[0], other[0])
    assert not torch.equal(one[0][0], one[0][1])


def test_a_chance_changes_what_happens_and_not_what_is_drawn(crops):
    """Moves are drawn first: with all else at zero they are what they were."""
    _, full = draw(crops, replace(Augmentation(), occluder=0.0), 3)
    moves = {name: getattr(Augmentation(), name) for name in ("rotation", "scale", "shift", "flip", "warp")}
    _, bare = draw(crops, replace(NONE, **moves), 3)
    assert torch.equal(full, bare)


def test_spots_lie_anywhere_with_edges_of_any_width():
    found = augment.spots(200, 32, dice())
    assert found.shape == (200, 1, 32, 32)
    assert float(found.min()) == 0
    assert float(found.max()) == 1
    assert 0.2 < float(found.mean()) < 0.8
    soft = ((found > 0.02) & (found < 0.98)).float().mean((1, 2, 3))
    assert float(soft.min()) < 0.05
    assert float(soft.max()) > 0.4


def test_hue_saturation_and_value_shift_as_in_hsv():
    x = torch.rand(2, 3, 16, 16, generator=dice())
    torch.testing.assert_close(augment.shifted(x, torch.zeros(2, 3)), x, atol=1e-5, rtol=0)
    third = torch.tensor([[1 / 3, 0, 0]] * 2)
    torch.testing.assert_close(
        augment.shifted(x, third), x.roll(1, 1), atol=1e-5, rtol=0
    )  # red becomes green
    grey = augment.shifted(x, torch.tensor([[0, -1.0, 0]] * 2))
    torch.testing.assert_close(grey, x.amax(1, keepdim=True).expand_as(x), atol=1e-5, rtol=0)
    shift = torch.tensor([[0.13, 0.2, -0.1], [-0.4, -0.1, 0.15]])
    for one, by, found in zip(x, shift, augment.shifted(x, shift), strict=True):
        hsv = cv2.cvtColor(one.permute(1, 2, 0).numpy(), cv2.COLOR_RGB2HSV)  # degrees, 0 to 1, 0 to 1
        hsv = np.stack(
            [
                (hsv[..., 0] + 360 * float(by[0])) % 360,
                *np.clip(hsv[..., 1:] + by[1:].numpy(), 0, 1).T.swapaxes(1, 2),
            ],
            2,
        )
        wanted = cv2.cvtColor(hsv.astype(np.float32), cv2.COLOR_HSV2RGB)
        np.testing.assert_allclose(found.permute(1, 2, 0).numpy(), wanted, atol=2e-3)


def test_levels_keep_order_and_change_nothing_at_zero():
    x = torch.linspace(0, 1, 64).expand(5, 3, 8, 64)
    torch.testing.assert_close(augment.levelled(x, torch.zeros(5, 5, 3)), x, atol=2e-4, rtol=0)
    draws = torch.rand(5, 5, 3, generator=dice())
    draws[:, 2] = draws[:, 2] * 2 - 1
    found = augment.levelled(x, draws)
    assert (found.diff(dim=-1) >= -1e-6).all()
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1
    torch.testing.assert_close(
        found[..., 0].amin((1, 2))[:, None], draws[:, 3].amin(1, keepdim=True) / 4, atol=1e-3, rtol=0
    )


def test_a_blur_is_a_gaussian():
    x = torch.rand(3, 2, 48, 48, generator=dice())
    sigma = torch.tensor([0.6, 2.0, 5.0])
    found = degrade.both_ways(x, degrade.gaussian(sigma, 48))
    inside = np.s_[18:30]
    for one, s, got in zip(x, sigma.tolist(), found, strict=True):
        wanted = cv2.GaussianBlur(one.permute(1, 2, 0).numpy(), (47, 47), s)
        np.testing.assert_allclose(
            got.permute(1, 2, 0)[inside, inside].numpy(), wanted[inside, inside], atol=2e-3
        )
    flat = torch.full((3, 1, 48, 48), 0.7)
    torch.testing.assert_close(degrade.both_ways(flat, degrade.gaussian(sigma, 48)), flat, atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [16, 23, 48, 64])
def test_smaller_and_back_is_as_opencv_resizes(size):
    x = torch.rand(1, 3, 64, 64, generator=dice())
    found = degrade.both_ways(x, degrade.resize(torch.tensor([float(size)]), 64, torch.tensor([False])))
    picture = x[0].permute(1, 2, 0).numpy()
    wanted = cv2.resize(cv2.resize(picture, (size, size)), (64, 64))
    np.testing.assert_allclose(found[0].permute(1, 2, 0).numpy(), wanted, atol=1e-4)


@pytest.mark.parametrize("size", [16, 23, 48, 64])
def test_smaller_and_back_by_the_nearest_takes_the_pixel_at_the_middle(size):
    """In whole numbers: OpenCV's own rounds some centres that lie between two pixels up, and some down."""
    taken = [((2 * k + 1) * 64) // (2 * size) for k in range(size)]
    back = [taken[((2 * i + 1) * size) // 128] for i in range(64)]
    x = torch.rand(1, 3, 64, 64, generator=dice())
    found = degrade.both_ways(x, degrade.resize(torch.tensor([float(size)]), 64, torch.tensor([True])))
    torch.testing.assert_close(found, x[:, :, back][:, :, :, back], atol=1e-5, rtol=0)


@pytest.mark.parametrize("quality", [15, 50, 80, 95])
def test_jpeg_is_what_a_jpeg_library_makes(quality):
    """Nearer to the library's picture than that is to the original, by far."""
    noise = torch.rand(1, 3, 12, 12, generator=dice())
    x = torch.nn.functional.interpolate(noise, 72, mode="bicubic").clamp(0, 1)
    found = degrade.jpeg(x, torch.tensor([float(quality)]))[0].permute(1, 2, 0).numpy()
    picture = (x[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    done, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    theirs = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.float32)[..., ::-1] / 255
    assert done
    lost = np.sqrt(np.mean((theirs - x[0].permute(1, 2, 0).numpy()) ** 2))
    apart = np.sqrt(np.mean((found - theirs) ** 2))
    assert apart < max(0.35 * lost, 0.006)


def test_jpeg_takes_sides_that_are_no_multiple_of_its_blocks():
    x = smooth(2, 3, 50)
    found = degrade.jpeg(x, torch.tensor([100.0, 90.0]))
    assert found.shape == x.shape
    assert float((found - x).square().mean().sqrt()) < 0.01
    assert float((found - x)[..., -6:].abs().mean()) < 0.02


def test_what_moves_is_smeared_along_its_way():
    dots = torch.zeros(2, 1, 33, 33)
    dots[:, :, 16, 16] = 1
    found = degrade.moved(dots, torch.tensor([9.0, 0.0]), torch.tensor([math.pi / 2, 1.0]))
    torch.testing.assert_close(found[1], dots[1], atol=1e-4, rtol=0)
    assert float(found[0].sum()) == pytest.approx(1, abs=1e-3)
    rows, columns = torch.nonzero(found[0, 0] > 1e-3, as_tuple=True)
    assert 8 <= int(rows.max() - rows.min()) <= 10
    assert int(columns.max() - columns.min()) == 0


@pytest.mark.parametrize("field", [f.name for f in fields(Augmentation) if f.name != "binary"])
def test_amounts_out_of_range_are_refused(field):
    for value in (-0.01, 1e3, float("nan")):
        with pytest.raises(InvalidInput, match=field) as caught:
            Augmentation(**{field: value})  # type: ignore[arg-type]
        assert caught.value.field == field


def test_deepfacelabs_ranges():
    """As the notes on its code have them (reference/peers.md, 2.8)."""
    assert (DFL.rotation, DFL.scale, DFL.shift, DFL.flip) == (10, 0.05, 0.05, 0.4)
    assert (DFL.background, DFL.face_flare, DFL.background_flare) == (0.5, 0.5, 0.5)
    assert (DFL.sharpen, DFL.blur, DFL.resize, DFL.jpeg) == (0.25, 0.25, 0.25, 0.25)
    assert (DFL.hue, DFL.saturation, DFL.value, DFL.levels) == (180, 0.5, 0.5, 1)
    assert DFL.binary
    assert DFL.occluder == DFL.grain == 0
