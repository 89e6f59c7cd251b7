"""Recipes: keyable numbers, the text form, and refusals that name the field."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.core import _plugins
from understudy.core.errors import InvalidInput
from understudy.core.face import Alignment
from understudy.core.finish import degrade, denoise, motion, place
from understudy.core.finish.grain import Grain, layer
from understudy.core.finish.sharpen import Sharpen
from understudy.core.frames import FrameRange, Segment, Window
from understudy.core.merge.recipe import Curve, Key, Override, Recipe, parameters
from understudy.core.parameters import of

KEYED = Curve(
    (Key(frame=1001, value=0.0), Key(frame=1011, value=1.0, interpolation="hold"), Key(frame=1021, value=0.5))
)


OVERRIDES = (
    Override(frames=FrameRange.of(1004, 1008, 2), settings=(("sharpen", KEYED), ("blend", "raw_rgb"))),
    Override(frames=FrameRange((Segment(1007, 1009), Segment(1020, 1020))), like=1006),
    Override(frames=FrameRange.of(1009, 1009), settings=(("keep_highlights", False), ("blend", "over"))),
)


@pytest.mark.parametrize(
    ("frame", "value"),
    [(1, 0.0), (1001, 0.0), (1006, 0.5), (1011, 1.0), (1020, 1.0), (1021, 0.5), (5000, 0.5)],
)
def test_curve_holds_before_after_and_between_by_choice(frame, value):
    assert KEYED.at(frame) == value


def test_constant_is_the_same_everywhere():
    assert {Curve.constant(3.5).at(frame) for frame in (-10, 0, 1001)} == {3.5}


@pytest.mark.parametrize("frames", [(), (2, 1), (1, 1)])
def test_keys_ascend(frames):
    with pytest.raises(InvalidInput, match="ascending"):
        Curve(tuple(Key(frame=frame, value=1.0) for frame in frames))


def test_keys_are_numbers_and_ways():
    with pytest.raises(InvalidInput, match="frame 7"):
        Key(frame=7, value=float("nan"))
    with pytest.raises(InvalidInput, match="spline"):
        Key(frame=7, value=1.0, interpolation="spline")  # type: ignore[arg-type]


numbers = st.floats(0.0, 1.0)
curves = st.one_of(
    numbers.map(Curve.constant),
    st.dictionaries(
        st.integers(-(2**40), 2**40), st.tuples(numbers, st.sampled_from(["linear", "hold"])), min_size=2
    ).map(
        lambda keys: Curve(
            tuple(Key(frame=f, value=v, interpolation=w) for f, (v, w) in sorted(keys.items()))  # type: ignore[arg-type]
        )
    ),
)


@given(curves, curves, st.sampled_from(["face", "(eyes + mouth)*occ"]), st.sampled_from([0, 5]))
def test_text_form_round_trips(opacity, amount, mask, window):
    recipe = Recipe(opacity=opacity, match_amount=amount, mask=mask, mask_smooth=window)
    assert Recipe.from_dict(json.loads(recipe.to_json())) == recipe


def test_text_form_is_the_protobuf_json_mapping():
    json_format = pytest.importorskip("google.protobuf.json_format")
    from understudy.v1 import recipe_pb2

    recipe = Recipe(
        opacity=KEYED,
        smooth=9,
        keep_highlights=False,
        mask="hull*(1 - 0.5*occ)",
        mask_smooth=3,
        overrides=OVERRIDES,
    )
    message = json_format.ParseDict(recipe.to_dict(), recipe_pb2.Recipe())
    assert message.opacity.keys.keys[1].interpolation == 2
    assert Recipe.from_dict(json_format.MessageToDict(message)) == recipe
    assert Recipe.from_dict(json_format.MessageToDict(recipe_pb2.Recipe())) == Recipe()


@pytest.mark.parametrize(
    ("field", "form"),
    [
        ("recipe.match", {"match": "histogram"}),
        ("recipe.blend", {"blend": "seamles"}),
        ("recipe.mask", {"mask": "face*hair"}),
        ("recipe.mask", {"mask": "face*"}),
        ("recipe.mask", {"mask": "2*face"}),
        ("recipe.mask_smooth", {"maskSmooth": 4}),
        ("recipe.mask_smooth", {"maskSmooth": 27}),
        ("recipe.erode", {"erode": "much"}),
        ("recipe.erode", {"erode": {"keys": {"keys": []}}}),
        ("recipe.feather", {"feather": {"value": -1.0}}),
        ("recipe.opacity", {"opacity": 1.5}),
        ("recipe.opacity", {"opacity": {"keys": {"keys": [{"frame": "1", "value": 2.0}]}}}),
        ("recipe.smooth", {"smooth": -1}),
        ("recipe.smooth", {"smooth": 2.5}),
        ("recipe.erode", {"erode": {"value": "NaN"}}),
        ("recipe.erode", {"erode": {"keys": {"keys": [{"frame": 1, "value": "Infinity"}]}}}),
        ("recipe.erode", {"erode": {"keys": {"keys": [{"frame": 1}, {"frame": 1}]}}}),
        (
            "recipe.erode",
            {"erode": {"keys": {"keys": [{"frame": 1, "interpolation": "INTERPOLATION_CUBIC"}]}}},
        ),
        ("recipe.keep_highlights", {"keepHighlights": 1}),
        ("recipe", {"sharpness": 1}),
        ("recipe.sharpen_kind", {"sharpenKind": "none"}),
        ("recipe.relight", {"relight": "soft"}),
        ("recipe.degrade", {"degrade": {"value": 100.0}}),
        ("recipe.match_per_frame", {"matchPerFrame": "yes"}),
        ("recipe.overrides", {"overrides": {}}),
        ("recipe.overrides", {"overrides": ["1001"]}),
        ("recipe.overrides", {"overrides": [{"settings": {"blend": "over"}}]}),
        ("recipe.overrides", {"overrides": [{"frames": [], "settings": {"blend": "over"}}]}),
        ("recipe.overrides", {"overrides": [{"frames": [{"first": 2, "last": 1}], "likeFrame": "1"}]}),
        ("recipe.overrides", {"overrides": [{"frames": [{"first": 0, "last": 10**12}], "likeFrame": "1"}]}),
        ("recipe.overrides", {"overrides": [{"frames": [{"first": 1, "last": 1}]}]}),
        ("recipe.overrides", {"overrides": [{"frames": [{"first": 1, "last": 1}], "blend": "over"}]}),
    ],
)
def test_refusals_name_the_field(field, form):
    with pytest.raises(InvalidInput) as caught:
        Recipe.from_dict(form)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("form", "why"),
    [
        (
            {"keys": {"keys": [{"frame": 7}, {"frame": 7}]}},
            "keys must be .* ascending order of frame, not \\[7, 7\\]",
        ),
        ({"keys": {"keys": [{"frame": 7, "value": "NaN"}]}}, "key at frame 7: nan is not a number"),
        ({"value": "Infinity"}, "Infinity is not a number"),
        ("much", "'much' is neither a number nor keys"),
    ],
)
def test_what_is_wrong_with_a_number_or_its_keys_is_said_in_a_few_words(form, why):
    with pytest.raises(InvalidInput, match=f"^recipe.erode: {why}"):
        Recipe.from_dict({"erode": form})


def test_every_setting_is_described_for_hosts():
    described = {parameter.name: parameter for parameter in parameters()}
    assert [*described, "overrides"] == list(Recipe.__dataclass_fields__)
    assert {"none", "reinhard"} <= set(described["match"].choices)
    assert described["sharpen_kind"].choices == ("box", "gaussian", "unsharp")
    assert {"none", "low_frequency"} <= set(described["relight"].choices)
    assert described["erode"].keyable
    assert not described["smooth"].keyable
    assert described["keep_highlights"].default == "true"
    assert described["mask_smooth"].maximum == 25
    assert "eyes" in described["mask"].help


def test_what_is_meant_is_said():
    with pytest.raises(InvalidInput, match="did you mean 'seamless'"):
        Recipe(blend="seamles")
    with pytest.raises(InvalidInput, match="did you mean 'sharpenKind'"):
        Recipe.from_dict({"sharpenKnd": "box"})
    with pytest.raises(InvalidInput, match="did you mean 'hull'"):
        Recipe(mask="face*hul")
    with pytest.raises(InvalidInput, match="did you mean 'unsharp'"):
        Recipe(sharpen_kind="unsharpen")
    with pytest.raises(InvalidInput, match="there is no 'likeframe'; did you mean 'likeFrame'"):
        Recipe.from_dict({"overrides": [{"frames": [{"first": 1, "last": 1}], "likeframe": 3}]})
    with pytest.raises(InvalidInput, match=r"2 at frame 1011 is outside 0 to 1"):
        Recipe(opacity=Curve((Key(frame=1001, value=0.0), Key(frame=1011, value=2.0))))


@pytest.mark.parametrize("name", [p.name for p in parameters() if not p.keyable])
def test_keys_for_what_takes_none_are_refused_by_name_frame_and_value(name):
    keys = {"keys": {"keys": [{"frame": "1001", "value": 3.0}, {"frame": "1010", "value": 5.0}]}}
    camel = next(camel for camel in Recipe().to_dict() if camel.lower() == name.replace("_", ""))
    with pytest.raises(
        InvalidInput, match=rf"recipe\.{name}: takes no keys, not .*'1001', 'value': 3\.0"
    ) as caught:
        Recipe.from_dict({camel: keys})
    assert caught.value.field == f"recipe.{name}"


def test_every_setting_is_in_the_contract_under_its_name():
    recipe_pb2 = pytest.importorskip("understudy.v1.recipe_pb2")
    assert set(recipe_pb2.Recipe.DESCRIPTOR.fields_by_name) == set(Recipe.__dataclass_fields__)


def test_ranges_are_those_of_what_does_the_work():
    """What a recipe lets through, a merge must not refuse."""
    described = {parameter.name: parameter for parameter in parameters()}
    own = {parameter.name: parameter for parameter in of(Sharpen)}
    for name, ours in (
        ("amount", "sharpen"),
        ("radius", "sharpen_radius"),
        ("threshold", "sharpen_threshold"),
    ):
        assert (own[name].minimum, own[name].maximum) == (described[ours].minimum, described[ours].maximum)
    assert own["kind"].choices == described["sharpen_kind"].choices
    flat = np.full((8, 8, 3), 0.18, np.float32)
    grain = Grain(
        levels=np.array([0.18]),
        deviations=np.full((1, 3), 0.01),
        correlation=np.ones((3, 1, 1)),
        channels=np.eye(3),
    )
    lit = _plugins.load("finish.relight", "low_frequency")
    work = {
        "denoise": lambda v: denoise.denoise(flat, grain, v),
        "relight_amount": lambda v: lit.relight(flat, flat, flat[..., 0], v, 0.25),
        "relight_softness": lambda v: lit.relight(flat, flat, flat[..., 0], 1.0, v),
        "degrade": lambda v: degrade.soften(flat, 1.0 - v / 100.0),
        "degrade_colour": lambda v: degrade.posterise(flat, 8.0, v),
        "degrade_steps": lambda v: degrade.posterise(flat, v),
        "grain": lambda v: layer(grain, flat, (1,), amount=v),
        "motion_blur": lambda v: motion.blur(
            flat,
            flat[..., 0],
            motion.Motion(velocity=np.zeros((3, 3)), bend=np.zeros((3, 3))),
            Window(0, 0, 8, 8),
            shutter=v,
        ),
        "face_scale": lambda v: place.resized(
            Alignment(matrix=np.eye(2, 3), size=8, face_type="full"), 1.0 + v / 100.0
        ),
    }
    for name, done in work.items():
        for value in (described[name].minimum, described[name].maximum):
            done(value)


# Overrides


def test_a_frame_looks_as_its_overrides_say():
    recipe = Recipe(
        erode=Curve((Key(frame=1001, value=0.0), Key(frame=1011, value=10.0))), overrides=OVERRIDES
    )
    assert recipe.at(1003) is recipe
    fourth = recipe.at(1004)
    assert (fourth.blend, fourth.sharpen.at(1004), fourth.erode.at(1004)) == ("raw_rgb", KEYED.at(1004), 3.0)
    assert recipe.at(1005).blend == "over"
    assert fourth.overrides == ()


def test_frames_like_another_have_its_numbers_and_not_its_curves():
    recipe = Recipe(
        erode=Curve((Key(frame=1001, value=0.0), Key(frame=1011, value=10.0))), overrides=OVERRIDES
    )
    for frame in (1007, 1020):
        look = recipe.at(frame)
        assert (look.blend, look.sharpen.at(frame), look.erode.at(frame)) == ("raw_rgb", KEYED.at(1006), 5.0)
    ninth = recipe.at(1009)  # the last override goes over the one before it
    assert (ninth.blend, ninth.keep_highlights, ninth.erode.at(1009)) == ("over", False, 5.0)


def test_like_sees_only_what_stands_before_it():
    """So that two ranges that are like each other end."""
    frames = FrameRange.of(1, 1), FrameRange.of(2, 2)
    swap = (Override(frames=frames[0], like=2), Override(frames=frames[1], like=1))
    recipe = Recipe(erode=Curve((Key(frame=1, value=1.0), Key(frame=2, value=2.0))), overrides=swap)
    assert [recipe.at(frame).erode.at(frame) for frame in (1, 2)] == [2.0, 2.0]


def test_a_long_chain_of_frames_that_are_like_the_last_one():
    chain = tuple(Override(frames=FrameRange.of(n, n), like=n - 1) for n in range(1, 1200))
    recipe = Recipe(erode=Curve((Key(frame=0, value=7.0), Key(frame=1200, value=0.0))), overrides=chain)
    assert recipe.at(1199).erode.at(1199) == 7.0


def test_later_overrides_go_over_earlier_ones():
    both = FrameRange.of(5, 6)
    recipe = Recipe(
        overrides=(
            Override(
                frames=both, settings=(("erode", Curve.constant(1.0)), ("feather", Curve.constant(2.0)))
            ),
            Override(frames=FrameRange.of(6, 6), settings=(("erode", Curve.constant(3.0)),)),
        )
    )
    assert [(recipe.at(n).erode.at(n), recipe.at(n).feather.at(n)) for n in (5, 6)] == [
        (1.0, 2.0),
        (3.0, 2.0),
    ]


def test_the_order_in_which_settings_are_said_is_nothing():
    said = (("erode", Curve.constant(1.0)), ("blend", "over"))
    one, other = (Override(frames=FrameRange.of(1, 1), settings=order) for order in (said, said[::-1]))
    assert one == other


@pytest.mark.parametrize(
    "name", ["match", "match_per_frame", "mask", "smooth", "mask_smooth", "overrides", "erod"]
)
def test_what_is_fitted_over_the_shot_can_not_be_overridden(name):
    with pytest.raises(InvalidInput, match=rf"7-8: {name} can not be overridden") as caught:
        Recipe(overrides=(Override(frames=FrameRange.of(7, 8), settings=((name, 3),)),))
    assert caught.value.field == "recipe.overrides"
    assert "keep_highlights" in caught.value.message


def test_an_overrides_value_is_held_to_the_settings_range():
    with pytest.raises(InvalidInput, match=r"7: recipe.opacity: 2 is outside 0 to 1") as caught:
        Recipe(
            overrides=(Override(frames=FrameRange.of(7, 7), settings=(("opacity", Curve.constant(2.0)),)),)
        )
    assert (caught.value.field, caught.value.value) == ("recipe.overrides", 2.0)


def test_what_a_shot_needs_is_known_from_all_its_frames():
    """Keys and overrides count; keys that only say the default do not."""
    assert not Recipe().ever("grain")
    assert Recipe(grain=Curve((Key(frame=1, value=0.0), Key(frame=9, value=1.0)))).ever("grain")
    assert not Recipe(grain=Curve((Key(frame=1, value=0.0), Key(frame=9, value=0.0)))).ever("grain")
    assert Recipe(overrides=OVERRIDES).ever("sharpen")
    assert Recipe(overrides=OVERRIDES).ever("keep_highlights")
    assert not Recipe(overrides=OVERRIDES).ever("erode")
