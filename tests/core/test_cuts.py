"""Cuts, and what is none: flashes, fades, pans, grain."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy.core.cuts import is_cut, thumbnail
from understudy.core.frames import Float


def scene(seed: int) -> Float:
    """(270, 960, 3): a picture with structure of all sizes, twice as wide as the camera sees."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((270, 960, 3), np.float32)
    for cells in (2, 4, 9, 18):
        coarse = rng.random((cells, 4 * cells, 3)).astype(np.float32)
        picture += np.float32(0.25) * cv2.resize(coarse, (960, 270), interpolation=cv2.INTER_CUBIC)
    return picture.clip(0.0, 1.0)


def at(picture: Float, x: float) -> Float:
    """What the camera sees from x on, in widths of its picture."""
    left = round(480 * x)
    return np.ascontiguousarray(picture[:, left : left + 480])


A, B = scene(1), scene(2)
SEEN, OTHER = thumbnail(at(A, 0.0)), thumbnail(at(B, 0.0))


def test_another_picture_is_a_cut_both_ways():
    assert is_cut(SEEN, OTHER)
    assert is_cut(OTHER, SEEN)
    assert not is_cut(SEEN, SEEN)


@pytest.mark.parametrize("gain", [0.2, 0.5, 1.6, 3.0, 10.0])
def test_neither_flash_nor_fade_is_one(gain: float):
    """Up to a picture that is burnt out all over, and back."""
    flash = thumbnail((at(A, 0.0) * gain).clip(0.0, 1.0))
    assert not is_cut(SEEN, flash)
    assert not is_cut(flash, SEEN)


def test_a_fade_has_no_cut_in_it_and_what_follows_on_black_is_another_picture():
    steps = [thumbnail(at(A, 0.0) * np.float32(g)) for g in np.linspace(1.0, 0.05, 13)]
    assert not any(is_cut(a, b) or is_cut(b, a) for a, b in pairwise(steps))
    assert is_cut(np.zeros_like(SEEN), SEEN)


@pytest.mark.parametrize("speed", [0.02, 0.1, 0.25])
def test_a_whip_pan_is_none(speed: float):
    """By up to a quarter of the picture's width from frame to frame, blurred by half of that."""
    blurred = np.asarray(cv2.blur(A, (max(1, round(240 * speed)), 1)), np.float32)
    seen = [thumbnail(at(blurred, x)) for x in np.arange(0.0, 1.0, speed)]
    assert not any(is_cut(a, b) for a, b in pairwise(seen))


def test_grain_on_a_flat_picture_is_none():
    rng = np.random.default_rng(0)
    a, b = (
        thumbnail(np.float32(0.4) + rng.normal(0, 0.05, (270, 480, 3)).astype(np.float32)) for _ in range(2)
    )
    assert not is_cut(a, b)


def test_a_dissolve_is_none_step_by_step():
    steps = [thumbnail(at(A, 0) * (1 - t) + at(B, 0) * t) for t in np.linspace(0, 1, 17, dtype=np.float32)]
    assert not any(is_cut(a, b) for a, b in pairwise(steps))


CLIPS = ("performer_a", "performer_b", "plate_office_720p", "greenscreen_512")


@pytest.fixture(scope="module")
def footage(shared: Path) -> dict[str, list[Float]]:
    """Every fourth frame of the first 160 of each clip, as thumbnails."""
    found = {}
    for name in CLIPS:
        video = cv2.VideoCapture(str(shared / "footage" / f"{name}.mp4"))
        read = (video.read() for _ in range(160))
        frames = [frame for n, (there, frame) in enumerate(read) if there and n % 4 == 0]
        found[name] = [thumbnail(frame[..., ::-1] / np.float32(255)) for frame in frames]
        video.release()
    return found


def test_within_a_clip_there_is_no_cut_and_from_one_to_another_there_is(footage: dict[str, list[Float]]):
    for name, frames in footage.items():
        assert len(frames) > 15
        assert not any(is_cut(a, b) for a, b in pairwise(frames)), name
        for other in set(CLIPS) - {name}:
            assert all(is_cut(frames[i], footage[other][i]) for i in (0, 7, 15)), (name, other)
