"""Recipes: keyable numbers, the text form, and refusals that name the field."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.core.errors import InvalidInput
from understudy.core.merge.recipe import Curve, Key, Recipe, parameters

KEYED = Curve(
    (Key(frame=1001, value=0.0), Key(frame=1011, value=1.0, interpolation="hold"), Key(frame=1021, value=0.5))
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

    recipe = Recipe(opacity=KEYED, smooth=9, keep_highlights=False, mask="hull*(1 - 0.5*occ)", mask_smooth=3)
    message = json_format.ParseDict(recipe.to_dict(), recipe_pb2.Recipe())
    assert message.opacity.keys.keys[1].interpolation == 2
    assert Recipe.from_dict(json_format.MessageToDict(message)) == recipe
    assert Recipe.from_dict(json_format.MessageToDict(recipe_pb2.Recipe())) == Recipe()


@pytest.mark.parametrize(
    ("field", "form"),
    [
        ("recipe.match", {"match": "histogram"}),
        ("recipe.blend", {"blend": "seamless"}),
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
        ("recipe.keep_highlights", {"keepHighlights": 1}),
        ("recipe", {"sharpen": 1}),
    ],
)
def test_refusals_name_the_field(field, form):
    with pytest.raises(InvalidInput) as caught:
        Recipe.from_dict(form)
    assert caught.value.field == field


def test_every_setting_is_described_for_hosts():
    described = {parameter.name: parameter for parameter in parameters()}
    assert list(described) == list(Recipe.__dataclass_fields__)
    assert described["match"].choices == ("none", "reinhard")
    assert described["erode"].keyable
    assert not described["smooth"].keyable
    assert described["keep_highlights"].default == "true"
    assert described["mask_smooth"].maximum == 25
    assert "eyes" in described["mask"].help
