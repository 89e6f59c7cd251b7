"""Looks as people write them: `--set`, keys, overrides, and recipe files."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.command import Command
from tests.client.fake import FakeDaemon
from understudy.client import specs
from understudy.client.errors import Refused
from understudy.v1.common_pb2 import (
    INTERPOLATION_HOLD,
    INTERPOLATION_LINEAR,
    FrameSegment,
    Key,
    Keyable,
    Keys,
)
from understudy.v1.recipe_pb2 import Recipe, RecipeOverride

MERGE = ("merge", "plate.####.exr", "--faceset", "faces", "--model", "model", "--out", "comp.####.exr")


@pytest.fixture
def understudy(daemon: FakeDaemon, tmp_path) -> Command:
    return Command(tmp_path / "state", daemon.endpoint, tmp_path)


def said(*texts: str, dialect: str = "fileseq") -> Recipe:
    look = specs.recipe()
    specs.change(look, texts, dialect)
    return look


def test_what_is_set_on_all_frames():
    look = said(
        "erode = 2.5", "smooth=9", "keep_highlights=no", "mask=max(eyes, mouth)*face", "blend=seamless"
    )
    assert look == Recipe(
        erode=Keyable(value=2.5),
        smooth=9,
        keep_highlights=False,
        mask="max(eyes, mouth)*face",
        blend="seamless",
    )


def test_numbers_take_keys():
    keys = [
        Key(frame=1001, value=2, interpolation=INTERPOLATION_LINEAR),
        Key(frame=1020, value=-6.5, interpolation=INTERPOLATION_HOLD),
    ]
    assert said("erode=1001:2, 1020:-6.5:hold") == Recipe(erode=Keyable(keys=Keys(keys=keys)))


def test_overrides_in_their_order_over_each_other():
    look = said("erode@1010-1020x2=4", "like@1030=1012", "blend@1030=over")
    assert list(look.overrides) == [
        RecipeOverride(
            frames=[FrameSegment(first=1010, last=1020, step=2)], settings=Recipe(erode=Keyable(value=4))
        ),
        RecipeOverride(frames=[FrameSegment(first=1030, last=1030, step=1)], like_frame=1012),
        RecipeOverride(frames=[FrameSegment(first=1030, last=1030, step=1)], settings=Recipe(blend="over")),
    ]
    assert said("erode@1010-1020:2=4", dialect="openjd").overrides[0] == look.overrides[0]


@pytest.mark.parametrize(
    ("texts", "word"),
    [
        (("erode",), "NAME=VALUE"),
        (("=3",), "NAME=VALUE"),
        (("erode=",), "NAME=VALUE"),
        (("erode@=3",), "NAME=VALUE or NAME@RANGE=VALUE"),
        (("erode=1", "erode=2"), "set twice"),
        (("erode@5=1", "erode@5=2"), "set twice"),
        (("eroed=1",), "did you mean 'erode'"),
        (("overrides=1",), "a recipe has match"),
        (("likee@5=1",), "did you mean 'like'"),
        (("like=1",), "a recipe has match"),
        (("like@5=first",), "no frame number"),
        (("like@5=99999999999999999999",), "no frame number"),
        (("erode=much",), "FRAME:VALUE"),
        (("erode=1001:2:spline",), "FRAME:VALUE"),
        (("erode=1001:2:hold:3",), "FRAME:VALUE"),
        (("erode=1001:2,",), "FRAME:VALUE"),
        (("erode=1001.5:2",), "FRAME:VALUE"),
        (("blend=1001:over,1003:seamless",), "takes no keys; NAME@RANGE=VALUE"),
        (("smooth=2.5",), "whole number"),
        (("smooth=99999999999",), "recipe.smooth"),
        (("keep_highlights=2",), "yes or no"),
        (("erode@1020-1010=3",), "runs backwards"),
        (("erode@1010:2=3",), "1010:2"),
    ],
)
def test_what_cannot_be_set_says_why(texts, word):
    with pytest.raises(Refused) as caught:
        said(*texts)
    assert word in caught.value.message
    assert caught.value.exit_code == 1


numbers = st.floats(-500, 500).map(lambda value: float(f"{value:.6g}"))
keyables = st.one_of(
    numbers.map(lambda value: Keyable(value=value)),
    st.dictionaries(
        st.integers(-9999, 9999),
        st.tuples(numbers, st.sampled_from([INTERPOLATION_LINEAR, INTERPOLATION_HOLD])),
        min_size=1,
    ).map(
        lambda keys: Keyable(
            keys=Keys(keys=[Key(frame=f, value=v, interpolation=w) for f, (v, w) in sorted(keys.items())])
        )
    ),
)
settings = st.fixed_dictionaries(
    {},
    optional={
        "erode": keyables,
        "blend": st.sampled_from(["over", "seamless"]),
        "keep_highlights": st.booleans(),
        "smooth": st.integers(0, 9),
    },
)


@given(settings, st.lists(st.tuples(st.integers(1, 9), settings), max_size=3))
def test_a_look_as_text_is_read_again(base, overrides):
    """Overrides that say several things come back as several, of the same frames and in the same order."""
    look = Recipe(**base)
    for number, more in overrides:
        frames = [FrameSegment(first=1000 + number, last=1010 + number, step=1)]
        look.overrides.append(RecipeOverride(frames=frames, settings=Recipe(**more)))
        look.overrides.append(RecipeOverride(frames=frames, like_frame=number))
    read = Recipe()
    for name, value in specs.texts(look):  # one by one: the same name on the same frames may come twice
        specs.change(read, [f"{name}={value}"])
    assert specs.texts(read) == specs.texts(look)
    del read.overrides[:]
    assert read == Recipe(**base)


# The commands


def test_what_is_set_arrives_over_file_and_options(daemon: FakeDaemon, understudy: Command, tmp_path):
    (tmp_path / "look.json").write_text(
        json.dumps({"blend": "seamless", "erode": {"value": 8}, "mask": "hull"})
    )
    done = understudy(
        *(*MERGE, "--recipe", "look.json", "--feather", 3, "--erode", 5),
        *("--set", "erode=1001:2,1020:6", "--set", "grain@1004-1006=1"),
    )
    assert done.code == 0, done.err
    look = daemon.requests[0].spec.merge.swaps[0].recipe
    assert (look.blend, look.mask, look.feather.value) == ("seamless", "hull", 3)
    assert [(key.frame, key.value) for key in look.erode.keys.keys] == [(1001, 2), (1020, 6)]
    assert (look.overrides[0].frames[0].last, look.overrides[0].settings.grain.value) == (1006, 1)


@pytest.mark.parametrize("command", ["merge", "swap"])
def test_a_finished_frames_look_is_asked_of_the_daemon(
    daemon: FakeDaemon, understudy: Command, tmp_path, command
):
    daemon.look = Recipe(blend="multiband", erode=Keyable(value=8))
    swap = (
        "swap",
        "--src",
        "a.####.exr",
        "--dst",
        "plate.####.exr",
        "--release",
        "a.release.json",
        "--out",
        "c.#.exr",
    )
    done = understudy(
        *({"merge": MERGE, "swap": swap}[command]),
        *("--recipe-from", "old.1004.exr", "--erode", 5, "--set", "grain=1"),
    )
    assert done.code == 0, done.err
    assert daemon.looked == [f"{tmp_path}/old.1004.exr"]
    look = daemon.requests[-1].spec.merge.swaps[0].recipe
    assert (look.blend, look.erode.value, look.grain.value) == ("multiband", 5, 1)


def test_a_file_and_a_frame_exclude_each_other(understudy: Command, tmp_path):
    done = understudy(*MERGE, "--recipe", "look.json", "--recipe-from", "old.1004.exr")
    assert done.code == 1
    assert "exclude each other" in done.err


def test_a_look_is_saved_for_the_next_merge(daemon: FakeDaemon, understudy: Command, tmp_path):
    daemon.look = Recipe(blend="multiband")
    done = understudy("recipe", "save", "looks.json", "--from", "old.1004.exr", "--set", "erode@1003=2")
    assert done.code == 0, done.err
    assert done.out.strip() == f"{tmp_path}/looks.json"
    frames = [FrameSegment(first=1003, last=1003, step=1)]
    assert specs.recipe(tmp_path / "looks.json") == Recipe(
        blend="multiband",
        overrides=[RecipeOverride(frames=frames, settings=Recipe(erode=Keyable(value=2)))],
    )
    assert [p.name for p in tmp_path.iterdir() if "looks" in p.name] == ["looks.json"]


def test_a_file_that_cannot_be_saved_is_told(understudy: Command, tmp_path):
    assert "must end in .json" in understudy("recipe", "save", "look.exr").err
    (tmp_path / "there.json").mkdir()
    for file in ("there.json", "nowhere/look.json"):
        done = understudy("recipe", "save", file)
        assert done.code == 1
        assert "[WRITE_FAILED]" in done.err
        assert "Traceback" not in done.err
    assert not list(tmp_path.glob(".*.tmp"))


def test_a_look_is_shown_as_set_takes_it(daemon: FakeDaemon, understudy: Command):
    daemon.look = said(
        "blend=seamless", "erode=1001:2,1020:6:hold", "like@1003-1005=1001", "opacity@1009=0.5"
    )
    done = understudy("recipe", "show", "old.1004.exr")
    assert [line.split() for line in done.out.splitlines()] == [
        ["erode", "1001:2,1020:6:hold"],
        ["blend", "seamless"],
        ["like@1003-1005", "1001"],
        ["opacity@1009", "0.5"],
    ]
    assert understudy("recipe", "show", "old.1004.exr", "--json").lines[0]["data"]["blend"] == "seamless"


def test_settings_are_listed_with_range_and_keys(understudy: Command):
    rows = understudy("recipe", "list").out.splitlines()
    assert rows[1].split() == ["erode", "K", "0", "-500", "to", "500", "Shrinks", "the", "matte"]
    assert rows[2].split() == ["blend", "over", "over,", "seamless", "How"]
    assert rows[3].split() == ["keep_highlights", "yes", "yes,", "no", "Kept"]
    listed = understudy("recipe", "list", "--json").lines
    assert [line["data"]["name"] for line in listed] == ["erode", "blend", "keep_highlights"]
