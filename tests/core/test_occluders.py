"""Made-up things before a face: in range, the same for the same seed, where and how the face and its light say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.core.heads import face as head
from understudy.core import align
from understudy.core.segment import occluders
from understudy.core.segment.augmentation import NONE
from understudy.core.segment.occluders import KINDS, Scene, paint

SIZE = 80


def dice(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def crop(skin=(0.6, 0.45, 0.4), size: int = SIZE) -> np.ndarray:
    """(size, size, 4): a round face on grey."""
    y, x = np.mgrid[0:size, 0:size] / size - 0.5
    face = (np.hypot(x / 0.25, y / 0.33) < 1).astype(np.float32)
    colours = np.where(face[..., None] > 0, np.float32(skin), np.float32(0.3))
    return np.dstack([colours, face]).astype(np.float32)


def crops(count: int = 4) -> torch.Tensor:
    return torch.from_numpy(np.stack([crop()] * count)).permute(0, 3, 1, 2)


def drawn(kind: str, seed: int, scene: Scene | None = None) -> paint.Layer:
    """One of a kind, in a scene that is made up where none is given."""
    rng = dice(seed)
    return KINDS[kind][0](rng, scene or Scene.made_up(rng, SIZE))


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_draws_finite_colours_and_covers_some_of_the_picture(kind):
    covered = []
    for seed in range(12):
        colours, alpha = drawn(kind, seed)
        assert (colours.shape, alpha.shape) == ((SIZE, SIZE, 3), (SIZE, SIZE))
        assert [str(part.dtype) for part in (colours, alpha)] == ["float32", "float32"]
        for part in (colours, alpha):
            assert np.isfinite(part).all()
            assert part.min() >= 0
            assert part.max() <= 1
        covered.append(float(alpha.mean()))
    assert np.count_nonzero(covered) >= 10  # one may miss the picture
    assert max(covered) > 0.005
    assert np.mean(covered) < 0.7
    assert np.ptp(covered) > 0.002  # none is the same thing over and over


@pytest.mark.parametrize("kind", KINDS)
def test_equal_seeds_draw_the_same(kind):
    one, two, other = (drawn(kind, seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one[0], two[0])
    np.testing.assert_array_equal(one[1], two[1])
    assert not np.array_equal(one[1], other[1])


def test_of_all_kinds_each_is_drawn_in_its_share(monkeypatch):
    found = []
    fakes = {name: (lambda rng, scene, n=name: found.append(n), share) for name, (_, share) in KINDS.items()}
    monkeypatch.setattr(occluders, "KINDS", fakes)
    rng = dice()
    scene = Scene.made_up(rng, 16)
    for _ in range(2000):
        occluders.draw(rng, scene)
    total = sum(share for _, share in KINDS.values())
    for name, (_, share) in KINDS.items():
        assert found.count(name) / 2000 == pytest.approx(share / total, abs=0.03)


@pytest.mark.parametrize("face_type", ["half", "mid_full", "full", "whole"])
def test_a_scene_has_the_face_where_alignment_puts_it(face_type):
    points = head()
    points[align._TEMPLATE_OF_68] = align._TEMPLATE * 100 + 500
    wanted = align.fit(points, face_type, SIZE, scale=0.8).apply(points)[align._TEMPLATE_OF_68]
    scene = Scene.made_up(dice(), SIZE, face_type, 0.8)
    np.testing.assert_allclose(scene.pixels(align._TEMPLATE), wanted, atol=0.05)


def test_glasses_are_before_the_eyes():
    heights = []
    scene = Scene.made_up(dice(), SIZE, "whole", 0.8)
    for seed in range(10):
        alpha = drawn("glasses", seed, scene)[1]
        heights.append(float((alpha.sum(1) * np.arange(SIZE)).sum() / alpha.sum()))
    eyes = float(scene.pixels((0.5, 0.215))[1])
    assert abs(np.median(heights) - eyes) < 0.15 * scene.unit


def test_smoke_is_never_solid():
    assert max(drawn("smoke", seed)[1].max() for seed in range(20)) < 0.97


def test_hands_have_the_skin_of_the_face_more_often_than_not():
    """A face that nobody has: hands that come out green took it from there."""
    green = 0
    for seed in range(16):
        rng = dice(seed)
        scene = Scene.of(rng, crop((0.2, 0.6, 0.2)), None, "whole", 0.8)
        colours, alpha = KINDS["hand"][0](rng, replace(scene, level=1.0))
        if (alpha > 0.9).any():
            red, level, blue = np.median(colours[alpha > 0.9], axis=0)
            green += bool(level > 1.3 * max(red, blue))
    assert 8 <= green < 16


def test_a_scene_sees_skin_and_where_the_light_comes_from():
    face = crop()
    ramp = np.linspace(0.6, 1.4, SIZE, dtype=np.float32)[None, :, None]
    lit, dim = face.copy(), face.copy()
    lit[..., :3] *= ramp
    dim[..., :3] *= 0.3
    scenes = {
        name: Scene.of(dice(), picture, None, "whole", 0.8)
        for name, picture in (("plain", face), ("right", lit), ("left", lit[:, ::-1].copy()), ("dim", dim))
    }
    np.testing.assert_allclose(scenes["plain"].skin, (0.6, 0.45, 0.4), atol=0.01)
    assert scenes["left"].light[0] < -0.3 < 0.3 < scenes["right"].light[0]
    assert abs(scenes["plain"].light[0]) < 0.1
    assert scenes["dim"].level < 0.6 * scenes["plain"].level
    assert all(np.linalg.norm(scene.light) == pytest.approx(1, abs=1e-5) for scene in scenes.values())


def test_a_crop_without_a_face_has_a_made_up_scene():
    nobody = crop()
    nobody[..., 3] = 0
    assert Scene.of(dice(), nobody, None, "whole", 0.8).level == 1.0


def test_what_faces_the_camera_has_its_own_colour_and_the_lit_side_is_brighter():
    scene = replace(Scene.made_up(dice(), SIZE), light=np.array([0.6, 0, 0.8], np.float32))
    grey = np.full(3, 0.5, np.float32)
    flat = paint.lit(grey, np.zeros((SIZE, SIZE), np.float32), scene, gloss=0.0)
    np.testing.assert_allclose(flat, 0.5, atol=1e-3)
    x, y = paint.grid(SIZE)
    ball = np.sqrt(np.maximum(30**2 - (x - 40) ** 2 - (y - 40) ** 2, 0)).astype(np.float32)
    shaded = paint.lit(grey, ball, scene, gloss=0.0)
    assert shaded[40, 55].mean() > 0.5 > shaded[40, 20].mean()


def test_one_layer_hides_the_other():
    red, blue = np.full((4, 4, 3), (1, 0, 0), np.float32), np.full((4, 4, 3), (0, 0, 1), np.float32)
    half, whole = np.full((4, 4), 0.5, np.float32), np.ones((4, 4), np.float32)
    colours, alpha = occluders.over((red, half), (blue, whole))
    np.testing.assert_allclose(alpha, 1)
    np.testing.assert_allclose(colours, np.broadcast_to((0.5, 0, 0.5), (4, 4, 3)), atol=1e-6)
    colours, alpha = occluders.over((red, half), (blue, half))
    np.testing.assert_allclose(alpha, 0.75)
    np.testing.assert_allclose(colours[0, 0] * 0.75, (0.5, 0, 0.25), atol=1e-6)


def test_what_moves_smears_along_its_way_and_keeps_its_light():
    dot = np.zeros((41, 41), np.float32)
    dot[20, 20] = 1
    smeared = paint.moved(dot, 12, 0.0)
    assert smeared.sum() == pytest.approx(1, abs=1e-4)
    rows, columns = np.nonzero(smeared > 1e-3)
    assert np.ptp(columns) >= 10
    assert np.ptp(rows) <= 2


def test_a_shadow_lies_away_from_the_light():
    scene = replace(Scene.made_up(dice(), SIZE), light=np.array([0.7, 0.0, 0.714], np.float32))
    alpha = np.zeros((SIZE, SIZE), np.float32)
    alpha[30:50, 30:50] = 1
    dark = np.mean([occluders.shadow(dice(seed), alpha, scene, 0.5) for seed in range(8)], axis=0)
    assert (dark * np.arange(SIZE)).sum() / dark.sum() < 38  # its middle is left of the thing's, 39.5
    assert 0 <= dark.min() <= dark.max() <= 0.5
    assert not occluders.shadow(dice(), alpha, scene, 0.0).any()


def test_a_batch_covers_as_many_as_it_is_told():
    never = occluders.batch(crops(), NONE, dice())
    assert never.shape == (4, 5, SIZE, SIZE)
    assert not never.any()
    always = occluders.batch(crops(8), replace(NONE, occluder=1.0, shadow=0.5), dice())
    assert np.count_nonzero(always[:, 3].flatten(1).amax(1) > 0.05) >= 7
    assert float(always.min()) >= 0
    assert float(always.max()) <= 1
    assert float(always[:, 4].max()) <= 0.5
    some = occluders.batch(crops(40), replace(NONE, occluder=0.3), dice(1))
    assert 4 <= np.count_nonzero(some[:, 3].flatten(1).amax(1) > 0) <= 20


def test_a_batch_is_a_function_of_its_seed_and_changes_no_crop():
    given = crops()
    kept = given.clone()
    one, two, other = (occluders.batch(given, replace(NONE, occluder=1.0), dice(s)) for s in (3, 3, 4))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    assert torch.equal(given, kept)
