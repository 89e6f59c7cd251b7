"""Expressions over mattes: what they mean, against numpy's own arithmetic; and that nothing in them is ever run."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.core.errors import InvalidInput
from understudy.core.merge import expression
from understudy.core.merge.expression import DFL_MODES, OURS, parse

NAMES = ("face", "hull", "dst", "occ")
MATTES = dict(zip(NAMES, np.random.default_rng(3).random((4, 6, 5), np.float32), strict=True))


def joined(parts):
    """A text with full parentheses, and what it is."""
    (a, x), op, (b, y) = parts
    means = {
        "+": lambda: np.minimum(x + y, 1.0),
        "-": lambda: np.maximum(x - y, 0.0),
        "*": lambda: x * y,
        "min": lambda: np.minimum(x, y),
        "max": lambda: np.maximum(x, y),
    }
    return (f"({a} {op} {b})" if op in "+-*" else f"{op}({a}, {b})"), means[op]()


numbers = st.sampled_from([0, 1, 0.25, 0.5]).map(lambda v: (str(v), float(v)))
leaves = st.one_of(st.sampled_from(NAMES).map(lambda name: (name, MATTES[name])), numbers)
trees = st.recursive(
    leaves,
    lambda inner: st.tuples(inner, st.sampled_from(["+", "-", "*", "min", "max"]), inner).map(joined),
    max_leaves=9,
)


@given(trees)
def test_any_tree_means_what_arithmetic_says(tree):
    text, value = tree
    if np.ndim(value) == 0:
        text, value = f"full*{text}", np.broadcast_to(np.float32(value), (6, 5))
    found = parse(text).of({**MATTES, "full": np.ones((6, 5), np.float32)})
    assert found.dtype == np.float32
    assert found.shape == (6, 5)
    assert 0.0 <= found.min() <= found.max() <= 1.0
    np.testing.assert_allclose(found, value, atol=1e-6)


def test_precedence_is_arithmetics_and_each_step_is_held():
    f, h, d, o = (MATTES[name] for name in NAMES)
    cases = {
        "face + hull*occ": np.minimum(f + h * o, 1),
        "face - hull - dst": np.maximum(np.maximum(f - h, 0) - d, 0),
        "face - (hull - dst)": np.maximum(f - np.maximum(h - d, 0), 0),
        "face + hull - occ": np.maximum(np.minimum(f + h, 1) - o, 0),
        "1 - face": 1 - f,
        "max(face, hull, dst)": np.maximum(np.maximum(f, h), d),
        " face*hull ": f * h,
        "face*face": f * f,
        "face*(0.3 + 0.7*occ)": f * (0.3 + 0.7 * o),
    }
    for text, value in cases.items():
        np.testing.assert_allclose(parse(text).of(MATTES), value, atol=1e-6, err_msg=text)


def test_deepfacelabs_ten_modes():
    """By its merger's formulas: ones, hull, learned of src and dst, their product and clipped sum, XSeg of both."""
    names = ("hull", "face", "dst", "occ_face", "occ")
    rng = np.random.default_rng(5)
    hull, prd, dst, x_prd, x_dst = found = rng.random((5, 8, 8), np.float32)
    theirs = [
        np.ones((8, 8)),
        hull,
        prd,
        dst,
        prd * dst,
        np.clip(prd + dst, 0, 1),
        x_prd,
        x_dst,
        x_prd * x_dst,
        prd * dst * x_prd * x_dst,
    ]
    mattes = {**dict(zip(names, found, strict=True)), "full": np.ones((8, 8), np.float32)}
    assert len(DFL_MODES) == 10
    for (mode, text), value in zip(DFL_MODES.items(), theirs, strict=True):
        np.testing.assert_allclose(parse(text).of(mattes), value, atol=1e-6, err_msg=mode)


def test_names_come_once_in_order():
    assert parse("min(occ, hull)*face + hull").names == ("occ", "hull", "face")
    assert set(OURS) < set(expression.names())
    assert {"hull", "eyes", "mouth"} <= set(expression.names())


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "is no expression"),
        ("   ", "is no expression"),
        ("face*", "is no expression"),
        ("face hull", "is no expression"),
        ("(face", "is no expression"),
        ("face*hair", "there is no matte 'hair'; there are full, face"),
        ("face*hul", "did you mean 'hull'[?]"),
        ("occface", "did you mean 'occ_face'[?]"),
        ("2*face", "2 is not from 0 to 1"),
        ("1e999*face", "1e999 is not from 0 to 1"),
        ("face*" + "9" * 390, "'face*" + "9" * 390 + "': " + "9" * 390 + " is not from 0 to 1"),
        ("-face", "'-face' is no name"),
        ("face - -1", "'-1' is no name"),
        ("face/hull", "signs other than"),
        ("face**2", "'face**2' is no name"),
        ("face and hull", "is no name"),
        ("True*face", "'True' is no name"),
        ("0x1j*face", "expression"),
        ("1j*face", "'1j' is no name"),
        ("min(face)", "min takes two"),
        ("max()", "max takes two"),
        ("max", "names no matte|'max' is no name"),
        ("min(*face, hull)", "is no name"),
        ("pow(face, hull)", "'pow(face, hull)' is no name"),
        ("face.real", "'face.real' is no name"),
        ("1", "names no matte; 'full' is all"),
        ("full*\N{FULLWIDTH LATIN SMALL LETTER F}ace", "signs other than"),
        ("face\nhull", "signs other than"),
        ("face*" * 100 + "hull", "at most 400"),
        ("(" * 300 + "face" + ")" * 90, "is no expression"),
        ("-" * 399 + "1", "is no name"),
    ],
)
def test_what_is_none_is_refused_by_field_and_part(text, word):
    with pytest.raises(
        InvalidInput, match=word.replace("*", r"\*").replace("(", r"\(").replace(")", r"\)")
    ) as caught:
        parse(text, field="recipe.mask")
    assert caught.value.field == "recipe.mask"
    assert caught.value.value == text


@settings(max_examples=300)
@given(st.text(alphabet="faceuldiorm()+-*., 01_", max_size=40) | st.text(max_size=20))
def test_any_text_is_an_expression_or_refused(text):
    try:
        found = parse(text)
    except InvalidInput:
        return
    everything = {name: np.full((2, 2), 0.5, np.float32) for name in expression.names()}
    value = found.of(everything)
    assert 0.0 <= value.min() <= value.max() <= 1.0


def test_long_chains_are_no_trouble():
    text = "+".join(["occ"] * 99)
    assert len(text) <= 400
    np.testing.assert_allclose(parse(text).of(MATTES), np.minimum(99 * MATTES["occ"], 1), atol=1e-5)


def test_a_members_name_that_means_something_else_cannot_be_named():
    assert expression.members(["hull", "valid", "min", "face", "studio_hair", "not-a-name"]) == (
        "hull",
        "studio_hair",
    )
