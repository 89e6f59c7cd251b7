"""What a look says that nobody can have meant: told with field, frame and value, and never in the way."""

from __future__ import annotations

import pytest

from understudy.core.frames import FrameRange
from understudy.core.merge.curve import Curve, Key
from understudy.core.merge.doubts import doubts
from understudy.core.merge.recipe import Override, Recipe

SHOT = FrameRange.of(1001, 1020)


def keys(*pairs):
    return Curve(tuple(Key(frame=frame, value=float(value)) for frame, value in pairs))


def over(first, last, like=None, step=1, **settings):
    said = {n: Curve.constant(v) if isinstance(v, (int, float)) else v for n, v in settings.items()}
    return Override(frames=FrameRange.of(first, last, step), like=like, settings=tuple(said.items()))


def told(recipe, frames=SHOT):
    return [(each.reason, each.message) for each in doubts(recipe, frames)]


@pytest.mark.parametrize(
    ("recipe", "reason", "message"),
    [
        (
            Recipe(erode=keys((990, 2.5), (1010, 4))),
            "KEY_OUTSIDE",
            "recipe.erode: the key at frame 990 (value 2.5) is outside the plate's frames 1001-1020",
        ),
        (
            Recipe(feather=keys((1, 0), (2, 4), (1010, 1), (1021, 3))),
            "KEY_OUTSIDE",
            "recipe.feather: the key at frame 1 (value 0), and 2 more, are outside the plate's frames 1001-1020",
        ),
        (
            Recipe(overrides=(over(1005, 1008, erode=keys((1004, -1), (1008, 1))),)),
            "KEY_OUTSIDE",
            "recipe.overrides: 1005-1008: erode: the key at frame 1004 (value -1) is outside these frames",
        ),
        (
            Recipe(overrides=(over(900, 1000, erode=4),)),
            "OVERRIDE_OUTSIDE",
            "recipe.overrides: 900-1000: none of its frames is among the plate's 1001-1020; it changes nothing",
        ),
        (
            Recipe(overrides=(over(1003, 1004, like=1021),)),
            "OVERRIDE_OUTSIDE",
            "recipe.overrides: 1003-1004: is like frame 1021, which is not among the plate's 1001-1020",
        ),
        (
            Recipe(overrides=(over(1003, 1010, erode=keys((1003, 1), (1010, 8))), over(1008, 1012, erode=4))),
            "OVERRIDES_OVERLAP",
            "recipe.overrides: erode on frame 1008: 1003-1010 says 6, 1008-1012 says 4; the later goes over the "
            "earlier",
        ),
        (
            Recipe(overrides=(over(1003, 1004, blend="over"), over(1001, 1020, blend="seamless"))),
            "OVERRIDES_OVERLAP",
            "recipe.overrides: blend on frame 1003: 1003-1004 says over, 1001-1020 says seamless; the later goes over "
            "the earlier",
        ),
    ],
)
def test_what_is_hardly_meant_is_told(recipe, reason, message):
    assert told(recipe) == [(reason, message)]


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(),
        Recipe(erode=keys((1001, 0), (1020, 4))),
        Recipe(erode=keys((7, 4))),  # a constant
        Recipe(overrides=(over(1015, 1500, erode=2),)),  # to the end
        Recipe(overrides=(over(1003, 1010, erode=1), over(1005, 1006, erode=4))),  # an exception
        Recipe(overrides=(over(1003, 1010, erode=1), over(1008, 1012, erode=1))),
        Recipe(overrides=(over(1003, 1010, erode=1), over(1008, 1012, feather=1))),
        Recipe(overrides=(over(1001, 1019, step=2, erode=1), over(1002, 1020, step=2, erode=4))),
        Recipe(overrides=(over(1003, 1010, erode=1), over(1008, 1012, like=1003))),
        Recipe(overrides=(over(1000, 1003, erode=1), over(1, 1000, erode=2))[:1]),
    ],
)
def test_what_may_well_be_meant_is_not(recipe):
    assert told(recipe) == []


def test_a_plate_of_no_frames():
    assert told(Recipe(erode=keys((1, 0), (2, 1))), FrameRange()) == []


def test_overlaps_beyond_the_shot_do_not_count():
    both = over(1, 1003, erode=1), over(1, 1000, erode=2)
    assert [reason for reason, _ in told(Recipe(overrides=both))] == ["OVERRIDE_OUTSIDE"]


def test_of_many_a_few_are_told_and_the_others_counted():
    found = told(Recipe(overrides=tuple(over(n, n, erode=1) for n in range(1, 900))))
    assert len(found) == 6
    assert found[-1] == ("OVERRIDE_OUTSIDE", "recipe: 894 more of this kind")


def test_each_of_three_that_meet_is_held_against_the_last_before_it():
    recipe = Recipe(
        overrides=(over(1001, 1010, erode=1), over(1005, 1006, erode=2), over(1006, 1011, erode=3))
    )
    (said,) = told(recipe)
    assert "erode on frame 1006: 1005-1006 says 2, 1006-1011 says 3" in said[1]
