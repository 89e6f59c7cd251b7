"""Colour match beside DeepFaceLab's own numbers and the trainer's: the mathematics under `match` is theirs.

DeepFaceLab's form of each is ours without what we add: its codes are sRGB's as they come, every pixel counts the same,
those beyond the matte as black (or white, in its histograms), its colours spread as far as they will, and its results
end at 0 and 1.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from understudy.core.match import _affine, idt, rct, sot
from understudy.core.match._space import LAB, SRGB
from understudy.core.match._statistics import Moments, Sample, deviations, shares
from understudy.core.train.transfer import transfer

TABLES = replace(
    LAB,
    encode=lambda codes: np.asarray(cv2.cvtColor(codes, cv2.COLOR_RGB2Lab), np.float32),
    decode=lambda lab: np.asarray(cv2.cvtColor(lab, cv2.COLOR_Lab2RGB), np.float32),
)
"""L*a*b* as OpenCV's tables have it, from codes; DeepFaceLab's."""
EXACT = replace(
    LAB,
    encode=lambda codes: LAB.encode(SRGB.decode(codes)),
    decode=lambda lab: SRGB.encode(LAB.decode(lab)),
)
FREE = np.array([[0.0], [np.inf]])
"""Bounds of a slope that are none."""


@pytest.fixture(scope="module")
def golden(shared: Path) -> dict[str, np.ndarray]:
    with np.load(shared / "golden" / "dfl" / "color.npz") as file:
        return dict(file)


def theirs(golden, key):
    """(128, 128, 3) RGB."""
    return (golden[key] if key in golden else golden[f"{key}_u16"] / 65535)[..., ::-1]


def pictures(golden, pair):
    """Target, source and the mask of each; codes (128, 128, 3) and (128, 128, 1)."""
    for what in ("target", "source"):
        yield np.ascontiguousarray(golden[f"{pair}_{what}_u8"][..., ::-1]).astype(np.float32) / np.float32(
            255
        )
    for what in ("target", "source"):
        yield golden[f"{pair}_{what}_mask_u8"].astype(np.float32)


def even(face, plate) -> Sample:
    """All pixels alike."""
    count = face.shape[0] * face.shape[1]
    codes = (p.reshape(count, 3).astype(np.float64) for p in (face, plate))
    return Sample(face=next(codes), plate=next(codes), weights=np.full(count, 1 / count))


def moments(sample):
    return [Moments.of(codes, sample.weights) for codes in (sample.face, sample.plate)]


MATRICES = {
    "lct": lambda face, plate: _affine.coloured(face, plate, 1e-5),
    "mkl": _affine.least,
}


def through(matrix, codes):
    return np.clip(codes @ matrix[:, :3].T + matrix[:, 3], 0, 1)


def of_lab(space, x, like, *, onto):
    """`rct` in a space of L*a*b* that goes from codes."""
    sample = even(space.encode(x), space.encode(like))
    numbers = [*deviations(sample.face, sample.weights), *deviations(sample.plate, sample.weights)]
    slope, offset = rct.line(np.concatenate(numbers), FREE)
    lab = (space.encode(onto) * slope + offset).astype(np.float32)
    lab = np.clip(lab, [0, -127, -127], [100, 127, 127]).astype(np.float32)
    return np.clip(space.decode(lab), 0, 1)


@pytest.mark.parametrize("pair", ["p0", "p1"])
@pytest.mark.parametrize("kind", ["lct", "mkl"])
def test_matrices(golden, pair, kind):
    x, like, *_ = pictures(golden, pair)
    found = through(MATRICES[kind](*moments(even(x, like))), x)
    np.testing.assert_allclose(found, theirs(golden, f"{pair}_{kind}"), atol=5e-5)


def test_a_matrix_of_what_is_masked_to_black(golden):
    x, like, mask, _ = pictures(golden, "p0")
    found = through(_affine.least(*moments(even(x * mask, like * mask))), x * mask)
    np.testing.assert_allclose(found, theirs(golden, "p0_mkl_m"), atol=5e-5)


@pytest.mark.parametrize(("space", "near"), [(TABLES, 1e-4), (EXACT, 0.01)], ids=["tables", "exact"])
@pytest.mark.parametrize("pair", ["p0", "p1"])
@pytest.mark.parametrize("masked", [False, True])
def test_lightness_and_opponent_colours(golden, pair, space, near, masked):
    """By OpenCV's tables to the number; by the formulas as near as those are to the tables."""
    x, like, *masks = pictures(golden, pair)
    seen = (x * masks[0], like * masks[1]) if masked else (x, like)
    found = of_lab(space, *seen, onto=x)
    np.testing.assert_allclose(found, theirs(golden, f"{pair}_rct{'_masked' * masked}"), atol=near)


@pytest.mark.parametrize(
    ("key", "top", "white"),
    [
        ("p0_hist238", 238, False),
        ("p0_hist255", 255, False),
        ("p1_hist238", 238, False),
        ("p0_hist238_masked_white", 238, True),
    ],
)
def test_histograms(golden, key, top, white):
    """Each value goes where its share of all pixels, `top` / 255 of it, lies in the other picture."""
    x, like, mask, _ = pictures(golden, key[:2])
    if white:
        x, like = (p * mask + (1 - mask) for p in (x, like))
    sample, found = even(x, like), []
    for channel, wanted in zip(sample.face.T, sample.plate.T, strict=True):
        (values, share), (targets, theirs_share) = (
            shares(each, sample.weights) for each in (channel, wanted)
        )
        found.append(np.interp(channel, values, np.interp(share * top / 255, theirs_share, targets)))
    np.testing.assert_allclose(np.stack(found, axis=-1).reshape(x.shape), theirs(golden, key), atol=5e-5)


@pytest.mark.parametrize("pair", ["p0", "p1"])
@pytest.mark.parametrize(("member", "key"), [(idt, "idt"), (sot, "sot_10x5")], ids=["idt", "sot"])
def test_transports_arrive_where_deepfacelabs_set_out_for(golden, pair, member, key):
    """Theirs draw, so that only means and deviations compare. They stop on the way; ours are there."""
    x, like, *_ = pictures(golden, pair)
    found = member._TRANSPORT.change(member._TRANSPORT.fit(even(x, like)))(x)
    start, wanted, ours = (
        np.concatenate([p.reshape(-1, 3).mean(0), p.reshape(-1, 3).std(0)]) for p in (x, like, found)
    )
    stored = golden[f"{pair}_{key}_mean_std"].mean(0).reshape(2, 3)[:, ::-1].ravel()
    np.testing.assert_allclose(ours, wanted, atol=0.003)
    means = slice(0, 3)
    way = (stored[means] - start[means]) @ (wanted[means] - start[means])
    assert 0.0 < way < np.square(wanted[means] - start[means]).sum()


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("kind", ["rct", "lct", "mkl"])
def test_the_trainers_transfer_is_the_same(golden, kind, masked):
    """`train.transfer` has these for batches on any device; what one learns to expect of a name holds in both."""
    x, like, mask, _ = pictures(golden, "p0")
    weights = mask if masked else np.ones_like(mask)
    picture, reference, matte = (torch.from_numpy(p).permute(2, 0, 1)[None] for p in (x, like, weights))
    made = transfer(kind, picture, reference, torch.Generator(), matte=matte, like_matte=matte)
    expected = made[0].permute(1, 2, 0).numpy()
    inside = weights[..., 0] > 0.0
    sample = even(x[inside][None], like[inside][None])
    if kind == "rct":
        lab = even(EXACT.encode(x[inside][None]), EXACT.encode(like[inside][None]))
        numbers = [*deviations(lab.face, lab.weights), *deviations(lab.plate, lab.weights)]
        slope, offset = rct.line(np.concatenate(numbers), FREE)
        found = EXACT.decode((EXACT.encode(x) * slope + offset).astype(np.float32))
    else:
        matrix = MATRICES[kind](*moments(sample))
        found = x @ matrix[:, :3].T + matrix[:, 3]
    # Below black the trainer's curve goes on as a line
    np.testing.assert_allclose(np.maximum(found, 0), np.maximum(expected, 0), atol=3e-4)
