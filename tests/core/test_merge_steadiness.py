"""What is said of a face's flicker: against pictures whose movement, tremble and flicker are known."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from understudy.core.errors import InvalidInput
from understudy.core.frames import Window
from understudy.core.merge.steadiness import Look, measured

SIZE = 96
COUNT = 12
POINTS = np.array([(30.0, 30.0), (66.0, 30.0), (48.0, 50.0), (34.0, 68.0), (62.0, 68.0)])


def texture():
    """(96, 96, 3) scene-linear: smooth to about four pixels, two stops from dark to bright, some of it far above 1."""
    rng = np.random.default_rng(4)
    stops = cv2.GaussianBlur(rng.standard_normal((SIZE, SIZE, 3)).astype(np.float32), (0, 0), 3.0)
    return (0.4 * 2.0 ** (stops / stops.std())).astype(np.float32)


def oval():
    y, x = np.mgrid[0:SIZE, 0:SIZE] + 0.5 - SIZE / 2
    return np.clip((30.0 - np.hypot(x, y)) / 6.0 + 0.5, 0.0, 1.0).astype(np.float32)


def shifted(image, x, y):
    matrix = np.array([(1.0, 0.0, x), (0.0, 1.0, y)])
    return cv2.warpAffine(image, matrix, (SIZE, SIZE), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)


def shot(*, tremble=0.0, speed=0.7, stops=0.0, edge=0.0, follow=True, seed=1):
    """A face that moves at `speed` px a frame, with its landmarks; beside them it trembles, its exposure flickers and
    its matte's outline jumps, each by a deviation.
    """
    rng = np.random.default_rng(seed)
    face, matte = texture(), oval()
    for i in range(COUNT):
        x, y = speed * i, 0.3 * speed * i
        off = tremble * rng.standard_normal(2)
        lit = 2.0 ** (stops * rng.standard_normal())
        jump = edge * rng.standard_normal(2)
        yield Look(
            number=1001 + i,
            rgb=(shifted(face, x + off[0], y + off[1]) * lit).astype(np.float32),
            matte=np.clip(shifted(matte, x + jump[0], y + jump[1]), 0.0, 1.0),
            window=Window(200, -40, SIZE, SIZE),
            points=POINTS + (200.0, -40.0) + (np.array([x, y]) if follow else 0.0),
        )


def test_what_moves_with_the_landmarks_does_not_flicker():
    found = measured(shot())
    assert found.pairs == COUNT - 1
    assert found.warp < 0.04  # two interpolations of a texture
    assert found.edge < 0.01
    assert found.level < 0.02
    assert measured(shot(follow=False)).warp > 5 * found.warp


def test_of_the_window_only_what_it_shows_counts():
    still = measured(shot())
    moving = [replace(look, window=Window(200 + i, -40, SIZE, SIZE)) for i, look in enumerate(shot())]
    moving = [replace(look, points=look.points + np.array([i, 0])) for i, look in enumerate(moving)]
    assert measured(moving).warp < 2 * still.warp
    cut = [
        replace(
            look, rgb=look.rgb[:, 20:], matte=look.matte[:, 20:], window=Window(220, -40, SIZE - 20, SIZE)
        )
        for look in shot()
    ]
    assert measured(cut).warp == pytest.approx(still.warp, rel=0.3)


def test_tremble_shows_in_proportion():
    warps = [measured(shot(tremble=each)).warp for each in (0.1, 0.2, 0.4)]
    assert warps[1] == pytest.approx(2 * warps[0], rel=0.15)
    assert warps[2] == pytest.approx(4 * warps[0], rel=0.15)


@pytest.mark.parametrize("exposure", [1.0, 40.0])
def test_a_flicker_of_light_is_its_deviation_in_stops(exposure):
    looks = [replace(look, rgb=look.rgb * np.float32(exposure)) for look in shot(stops=0.1, speed=0.0)]
    lit = np.log2([look.rgb[48, 48, 0] for look in looks])
    expected = np.sqrt(np.square(np.diff(lit, 2)).mean() / 6.0)
    assert measured(looks).level == pytest.approx(expected, rel=0.05)
    differences = np.sqrt(np.square(np.diff(lit)).mean())
    assert measured(looks).warp == pytest.approx(differences, rel=0.05)


def test_light_that_changes_smoothly_is_no_flicker():
    looks = [replace(look, rgb=look.rgb * np.float32(1.05**i)) for i, look in enumerate(shot(speed=0.0))]
    assert measured(looks).level < 2e-3


def test_a_matte_whose_outline_jumps():
    still, jumping = measured(shot()), measured(shot(edge=0.5))
    assert jumping.edge > 5 * still.edge
    assert jumping.warp < 2 * still.warp + 1e-3  # the picture under it stands


def test_what_smears_flickers_less_and_is_less_sharp():
    trembling = list(shot(tremble=0.4))
    smeared = [
        replace(look, rgb=cv2.GaussianBlur(look.rgb, (0, 0), 4.0, borderType=cv2.BORDER_REFLECT))
        for look in trembling
    ]
    sharp, soft = measured(trembling), measured(smeared)
    assert soft.warp < 0.8 * sharp.warp
    assert soft.sharpness < 0.7 * sharp.sharpness


def test_wide_pixels():
    """On a plate whose pixels are twice as wide the same picture has half the columns, and turns as the head does."""
    wide = []
    for look, degrees in zip(shot(speed=0.0), np.linspace(0.0, 12.0, COUNT), strict=True):
        turn = cv2.getRotationMatrix2D((SIZE / 2 - 0.5, SIZE / 2 - 0.5), -degrees, 1.0)
        rgb, matte = (
            cv2.warpAffine(a, turn, (SIZE, SIZE), flags=cv2.INTER_CUBIC) for a in (look.rgb, look.matte)
        )
        centre = np.array([SIZE / 2, SIZE / 2])
        points = (POINTS - centre) @ turn[:, :2].T + centre
        half = [cv2.resize(a, (SIZE // 2, SIZE), interpolation=cv2.INTER_AREA) for a in (rgb, matte)]
        wide.append(
            replace(
                look,
                rgb=half[0],
                matte=np.clip(half[1], 0.0, 1.0),
                window=Window(0, 0, SIZE // 2, SIZE),
                points=points / (2.0, 1.0),
                pixel_aspect=2.0,
            )
        )
    squares = [replace(look, pixel_aspect=1.0) for look in wide]
    assert measured(wide).warp < 0.5 * measured(squares).warp


def test_across_a_gap_nothing_is_compared():
    looks = [look for look in shot() if look.number != 1006]
    assert measured(looks).pairs == COUNT - 3
    jumped = [replace(look, rgb=look.rgb * np.float32(1 if look.number < 1006 else 8)) for look in looks]
    assert measured(jumped).warp == pytest.approx(measured(looks).warp, rel=0.02)
    assert measured(jumped).level == pytest.approx(measured(looks).level, rel=0.02)


def test_what_is_not_finite_stays_out():
    holed = []
    for look in shot():
        rgb = look.rgb.copy()
        rgb[50, 40:42] = (np.nan, np.inf, -np.inf)
        holed.append(replace(look, rgb=rgb))
    found = measured(holed)
    assert np.isfinite([found.warp, found.edge, found.level, found.sharpness]).all()
    assert found.warp < 3 * measured(shot()).warp


@pytest.mark.parametrize(
    ("looks", "why"),
    [
        ([], "no two frames"),
        (list(shot())[:1], "no two frames"),
        (list(shot())[::2], "no two frames"),
        ([replace(look, matte=look.matte * 0) for look in shot()], "nothing under the mattes"),
    ],
)
def test_nothing_to_measure_is_refused(looks, why):
    with pytest.raises(InvalidInput, match=why) as refused:
        measured(looks)
    assert refused.value.field == "looks"


def test_two_frames_have_no_level():
    found = measured(list(shot())[:2])
    assert found.pairs == 1
    assert np.isnan(found.level)
