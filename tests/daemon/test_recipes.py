"""Looks through the daemon: out of files and of finished frames, with changes, and what is no look."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from tests.core import ailing
from tests.daemon.support import SECONDS, Daemon, refusal
from understudy.core import plate
from understudy.core.colour import ColourConfig
from understudy.core.errors import UnderstudyError
from understudy.core.frames import FrameRange
from understudy.core.merge.recipe import Curve, Key, Override, Recipe
from understudy.daemon.decode import recipes
from understudy.daemon.paths import Roots
from understudy.daemon.refs import Refs
from understudy.daemon.site import Site
from understudy.v1 import recipe_pb2, recipe_pb2_grpc

LOOK = Recipe(
    blend="seamless",
    erode=Curve((Key(frame=1001, value=0.0), Key(frame=1009, value=4.0))),
    sharpen_kind="unsharp",
    overrides=(Override(frames=FrameRange.of(1003, 1005), settings=(("feather", Curve.constant(3.0)),)),),
)
Read = Callable[..., Recipe]


@pytest.fixture
def read(colour: ColourConfig, tmp_path: Path) -> Read:
    """The look at a path, with changes, on a site that may read `tmp_path` alone."""
    roots = Roots(read=(tmp_path,), write=(tmp_path,))
    refs = Refs(site=Site(weights_cache=tmp_path / "weights", roots=roots), colour=colour)

    def resolved(path: object = "", person: str = "", **changes) -> Recipe:
        asked = recipe_pb2.Recipe(**changes)
        request = recipe_pb2.GetRecipeRequest(path=str(path), changes=asked, person=person)
        return recipes.resolved(request, refs)

    return resolved


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A frame whose header says that `LOOK` made it."""
    made = ailing.frame(1004)
    path = tmp_path / "comp.1004.exr"
    plate.write(replace(made, metadata={**made.metadata, "understudy/recipe": LOOK.to_json()}), path)
    return path


def test_a_finished_frames_look_is_the_one_that_made_it(read: Read, finished: Path):
    assert read(finished) == LOOK


def test_of_several_people_one_is_named(read: Read, tmp_path: Path, finished: Path):
    made = plate.read_file(finished)
    said = {"understudy/people": "anna,ben", "understudy/2/recipe": Recipe(blend="multiband").to_json()}
    plate.write(replace(made, metadata={**made.metadata, **said}), path := tmp_path / "both.1004.exr")
    assert read(path, person="anna") == LOOK
    assert read(path, person="ben").blend == "multiband"
    assert read(finished, person="ben") == LOOK  # of one person, whatever the name
    for nobody in ("", "carla"):
        with pytest.raises(UnderstudyError, match="looks of anna, ben; name one of them") as caught:
            read(path, person=nobody)
        assert caught.value.field == "person"


def test_a_recipe_file_may_be_written_by_a_person(read: Read, tmp_path: Path):
    file = tmp_path / "look.json"
    frames = [{"first": 1003, "last": 1004}]
    file.write_text(
        json.dumps(
            {
                "sharpen_kind": "box",
                "erode": {"value": 2},
                "overrides": [{"frames": frames, "likeFrame": 1001}],
            }
        )
    )
    found = read(file)
    assert found == Recipe(
        sharpen_kind="box",
        erode=Curve.constant(2.0),
        overrides=(Override(frames=FrameRange.of(1003, 1004), like=1001),),
    )


def test_changes_go_over_what_is_there_and_overrides_come_after(read: Read, finished: Path):
    override = {"frames": [{"first": 1005, "last": 1005}], "settings": {"blend": "over"}}
    found = read(finished, erode={"value": 9.0}, keep_highlights=False, overrides=[override])
    assert (found.erode, found.keep_highlights, found.sharpen_kind) == (Curve.constant(9.0), False, "unsharp")
    assert found.overrides == (
        *LOOK.overrides,
        Override(frames=FrameRange.of(1005, 1005), settings=(("blend", "over"),)),
    )


def test_without_a_path_changes_are_checked_against_the_defaults(read: Read):
    assert read() == Recipe()
    assert read(smooth=0) == Recipe(smooth=0)
    with pytest.raises(UnderstudyError, match="did you mean 'multiband'"):
        read(blend="multibnd")


def test_every_field_of_what_comes_back_is_set(read: Read, finished: Path):
    """So that a file of it means the same when defaults change."""
    message = recipes.message_of(read(finished))
    assert {field.name for field, _ in message.ListFields()} >= set(Recipe.__dataclass_fields__)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "holds no recipe"),
        (b"[1]", "not an object"),
        (b"\xff\xfe{", "holds no recipe"),
        (b'{"sharpness": 1}', "sharpness"),
        (b'{"erode": {"value": 900}}', "recipe.erode: 900 is outside -500 to 500"),
        (b'{"erode": {"value": "NaN"}}', "not a number"),
        (b"[" * 100_000, "holds no recipe"),
        (b'{"overrides": [{"frames": [{"first": 1, "last": 1}], "settings": {"mask": "hull"}}]}', "mask"),
    ],
)
def test_a_file_that_is_no_recipe_says_why(read: Read, tmp_path: Path, content: bytes, word: str):
    (tmp_path / "look.json").write_bytes(content)
    with pytest.raises(UnderstudyError) as caught:
        read(tmp_path / "look.json")
    assert (caught.value.reason, caught.value.field) == ("INVALID_INPUT", "path")
    assert str(tmp_path / "look.json") in caught.value.message
    assert word in caught.value.message


def test_a_large_file_is_not_read(read: Read, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(recipes, "MOST_BYTES", 100)
    (tmp_path / "look.json").write_text('{"blend": "over"}' + " " * 100)
    with pytest.raises(UnderstudyError, match="too large"):
        read(tmp_path / "look.json")


def test_of_a_dpx_the_file_that_has_its_look_is_told(read: Read, tmp_path: Path):
    (path := tmp_path / "comp.1001.dpx").write_bytes(b"SDPX")
    with pytest.raises(UnderstudyError, match=r"no room for a look.*comp_layers\.1001\.exr"):
        read(path)


def test_what_no_merge_has_made_is_told(read: Read, tmp_path: Path):
    path = ailing.make(tmp_path, (1001,)).path(1001)
    with pytest.raises(UnderstudyError, match=r"no understudy/recipe") as caught:
        read(path)
    assert caught.value.reason == "NOT_FOUND"
    ailing.BREAK["zero bytes"](path)
    with pytest.raises(UnderstudyError) as caught:
        read(path)
    assert caught.value.reason == "FRAME_UNREADABLE"
    with pytest.raises(UnderstudyError) as caught:
        read(tmp_path / "comp.####.exr")
    assert caught.value.reason == "NOT_FOUND"


def test_looks_outside_the_roots_are_not_read(read: Read, finished: Path, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / finished.name
    finished.rename(outside)
    finished.symlink_to(outside)
    for path in (outside, finished):
        with pytest.raises(UnderstudyError) as caught:
            read(path)
        assert caught.value.reason == "PATH_NOT_ALLOWED"


def test_over_the_wire(daemon: Daemon, finished: Path):
    stub = recipe_pb2_grpc.RecipeServiceStub(daemon.channel)
    request = recipe_pb2.GetRecipeRequest(path=str(finished))
    assert recipes.read(stub.GetRecipe(request, timeout=SECONDS).recipe) == LOOK
    request.changes.blend = "overr"
    with pytest.raises(grpc.RpcError) as error:
        stub.GetRecipe(request, timeout=SECONDS)
    code, reason, metadata = refusal(error.value)
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUT")
    assert metadata["field"] == "recipe.blend"
