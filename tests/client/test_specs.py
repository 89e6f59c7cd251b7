"""From Python values to specs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from understudy.client import specs
from understudy.client.errors import NotFound, Refused
from understudy.v1.common_pb2 import Key, Keyable, Keys
from understudy.v1.recipe_pb2 import Recipe


@pytest.mark.parametrize("token", ["%04d", "####", "@@@@"])
def test_paths_become_absolute_and_keep_their_token(tmp_path, monkeypatch, token):
    monkeypatch.chdir(tmp_path)
    assert specs.absolute(f"../x/plate.{token}.exr") == f"{tmp_path.parent}/x/plate.{token}.exr"
    assert specs.absolute("") == ""


def test_a_home_folder_is_expanded_but_links_are_not_followed(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "latest").symlink_to(tmp_path)
    assert specs.absolute("~/latest/a.%04d.exr") == f"{tmp_path}/latest/a.%04d.exr"


@pytest.mark.parametrize(
    ("path", "video"), [("a.mp4", True), ("A.MOV", True), ("a.####.exr", False), ("a.dpx", False)]
)
def test_videos_are_known_by_their_suffix(path, video):
    assert specs.is_video(path) is video


def test_a_recipe_from_settings_leaves_out_what_was_not_said():
    recipe = specs.recipe(match="reinhard", erode=2, smooth=None, keep_highlights=False, mask_smooth=3)
    assert recipe == Recipe(match="reinhard", erode=Keyable(value=2), keep_highlights=False, mask_smooth=3)


def test_a_recipe_file_with_keys_is_overridden_by_settings(tmp_path: Path):
    keys = {"keys": {"keys": [{"frame": 1001, "value": 1}, {"frame": "1010", "value": 4}]}}
    file = tmp_path / "look.json"
    file.write_text(json.dumps({"match": "reinhard", "erode": keys, "feather": {"value": 8}}))
    recipe = specs.recipe(file, feather=3.0)
    assert recipe.match == "reinhard"
    assert recipe.erode == Keyable(keys=Keys(keys=[Key(frame=1001, value=1), Key(frame=1010, value=4)]))
    assert recipe.feather.value == 3.0


def test_a_recipe_is_copied_not_shared():
    base = specs.recipe(match="none")
    specs.recipe(base, match="reinhard")
    assert base.match == "none"


def test_wrong_recipes_name_what_is_wrong(tmp_path: Path):
    with pytest.raises(Refused, match=r"recipe\.sharpness: a recipe has match, .*; did you mean 'sharpen'\?"):
        specs.recipe(sharpness=1)
    with pytest.raises(Refused, match=r"recipe\.mask: it is empty"):
        specs.recipe(mask="")
    with pytest.raises(Refused, match=r"recipe\.erode"):
        specs.recipe(erode="much")
    with pytest.raises(NotFound, match=r"look\.json") as caught:
        specs.recipe(tmp_path / "look.json")
    assert caught.value.exit_code == 3
    (tmp_path / "look.json").write_text('{"sharpness": 1}')
    with pytest.raises(Refused, match="sharpness"):
        specs.recipe(tmp_path / "look.json")


def test_targets_are_totals_on_the_wire():
    spec = specs.train("/m", "/a", "/b", iterations=500, minutes=1.5, src_track=0).train
    assert spec.target_iterations == 500
    assert spec.target_time.ToTimedelta().total_seconds() == 90
    assert spec.HasField("src_track")
    assert not spec.HasField("dst_track")
    assert not specs.train("/m", "/a", "/b", iterations=5).train.HasField("target_time")


def test_a_persons_mattes_and_the_segmenter_of_a_merge():
    mattes = (
        specs.UserMatte("/limit.####.exr"),
        specs.UserMatte(specs.Plate("/add.####.exr", "1001-1003"), "add", channel="roto.A"),
        specs.UserMatte("/keep.####.exr", use="keep", invert=True),
    )
    spec = specs.merge("/p.####.exr", "/f", "/m", "/o.####.exr", segmenter="/s", user_mattes=mattes).merge
    assert spec.swaps[0].segmenter == "/s"
    limit, add, keep = spec.swaps[0].user_mattes
    assert (limit.use, limit.matte.pattern, list(limit.matte.frames)) == (1, "/limit.####.exr", [])
    assert (add.use, add.matte.frames[0].last, add.channel) == (2, 1003, "roto.A")
    assert (keep.use, keep.invert) == (3, True)
    with pytest.raises(Refused, match="one of limit, add, keep is needed") as caught:
        specs.UserMatte("/m.####.exr", "hold").message()
    assert caught.value.field == "user_mattes.use"


def test_merge_and_verify_specs():
    plate = specs.Plate("/p.%04d.exr", "1001-1100", "ACEScg")
    spec = specs.merge(plate, "/f", "/m", "/o.%04d.exr", frames="1001-1003", track=2, layers=False).merge
    assert (spec.plate.colour_space, spec.plate.frames[0].last, spec.frames[0].last) == ("ACEScg", 1100, 1003)
    assert spec.no_layers
    assert specs.merge(plate, "/f", "/m", "/o.%04d.exr", layers=["face", "uv"]).merge.layers == ["face", "uv"]
    assert spec.swaps[0].track == 2
    assert not specs.verify("/o.%04d.exr").verify.HasField("plate")
    assert specs.verify("/o.%04d.exr", "/p.%04d.exr").verify.plate.pattern == "/p.%04d.exr"
