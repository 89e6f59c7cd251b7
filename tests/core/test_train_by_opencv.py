"""On CPUs OpenCV works on samples, elsewhere PyTorch: the same but for rounding."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.core.test_train_augment import MOVED, SPOILS, dice, draw, person
from understudy.core.train import colours, degrade, resampling
from understudy.core.train.augmentation import TRANSFERS


def by_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on other devices than CPUs."""
    monkeypatch.setattr(colours, "by_opencv", lambda _: False)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_a_picture_is_sampled_alike_by_opencv_and_by_pytorch(mode, channels, monkeypatch):
    x = torch.rand(2, channels, 30, 41, generator=dice())
    places = torch.rand(2, 2, 17, 23, generator=dice(1)) * 50 - 5  # and beyond the border
    found = resampling.sampled(x, places, mode)
    into = torch.empty(2, channels + 1, 17, 23)
    resampling.sampled(x.contiguous(memory_format=torch.channels_last), places, mode, into[:, 1:])
    torch.testing.assert_close(into[:, 1:], found, atol=2e-5, rtol=0)
    by_pytorch(monkeypatch)
    torch.testing.assert_close(found, resampling.sampled(x, places, mode), atol=5e-5, rtol=0)


def test_matrices_and_powers_are_the_same_however_a_picture_lies(monkeypatch):
    x = torch.rand(2, 3, 9, 7, generator=dice()) + 0.01
    matrix, offset = torch.rand(2, 3, 3, generator=dice(1)), torch.rand(2, 3, 1, generator=dice(2))
    wanted = torch.einsum("bdc,bchw->bdhw", matrix, x) + offset[..., None]
    exponent = torch.tensor([0.4, 2.4])[:, None, None, None]
    within = torch.empty(2, 5, 9, 7)
    for _ in ("OpenCV", "PyTorch"):
        for lying in (x, x.contiguous(memory_format=torch.channels_last)):
            torch.testing.assert_close(colours.mixed(lying, matrix, offset), wanted)
            torch.testing.assert_close(
                colours.mixed(lying, matrix[0]), torch.einsum("dc,bchw->bdhw", matrix[0], x)
            )
            powers = colours.power_(lying.clone(), exponent)
            torch.testing.assert_close(powers, x**exponent, rtol=1e-5, atol=1e-6)
            first, others = colours.apart(lying.half(), 2)
            assert torch.equal(torch.cat([first, others], 1), x.half().float())
        part = within[:, :3].copy_(x)
        assert colours.power_(part, 2.0) is part
        torch.testing.assert_close(within[:, :3], x**2, rtol=1e-5, atol=1e-6)
        by_pytorch(monkeypatch)


@pytest.mark.parametrize("side", [10, 64])
def test_pictures_are_spoilt_alike_by_opencv_and_by_pytorch(side, monkeypatch):
    x = torch.rand(2, 3, side, side, generator=dice())

    def spoilt() -> list[torch.Tensor]:
        return [
            degrade.blurred(x, torch.tensor([0.0, 2.3])),
            degrade.shrunk(x, [side // 3, side]),
            degrade.moved(x, torch.tensor([5.0, 0.0]), torch.tensor([0.6, 2.0])),
        ]

    found = spoilt()
    by_pytorch(monkeypatch)
    for each, wanted in zip(found, spoilt(), strict=True):
        torch.testing.assert_close(each, wanted, atol=2e-5, rtol=0)


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_a_gpu_has_the_samples_that_a_cpu_has(transfer, monkeypatch):
    people = person(1), person(5)
    spoils: dict[str, Any] = {name: 0.5 for name in SPOILS if name != "jpeg"}  # which rounds
    amount = replace(MOVED, warp=1.0, gamma=0.2, hue=9.0, saturation=0.05, transfer=transfer, **spoils)
    found = draw(people, amount)
    by_pytorch(monkeypatch)
    for samples, wanted in zip(found, draw(people, amount), strict=True):
        torch.testing.assert_close(samples, wanted, atol=1e-4, rtol=0)
