"""docs/merge.md says what is there and does what it says: every setting with default and range, every member, and its
own commands, in their order, on two small shots.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf import json_format

from tests.client.command import Command
from tests.core import shots
from understudy.client import specs
from understudy.core import _plugins, plate
from understudy.core.merge.recipe import Recipe, parameters
from understudy.v1 import recipe_pb2

PAGE = (Path(__file__).parents[2] / "docs" / "merge.md").read_text(encoding="utf-8")


def chapter(title: str) -> str:
    return PAGE.split(f"# {title}\n")[1].split("\n#")[0]


def rows(title: str) -> list[list[str]]:
    """The cells of a chapter's table, without its head."""
    lines = [line for line in chapter(title).splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.replace("\\|", "/").strip("|").split("|")] for line in lines]


def commands() -> Iterator[list[str]]:
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            yield shlex.split(line)


def read(message: recipe_pb2.Recipe) -> Recipe:
    return Recipe.from_dict(json_format.MessageToDict(message))


def test_every_setting_is_there_with_default_and_range():
    described = {parameter.name: parameter for parameter in parameters()}
    found = {cells[0].strip("`"): cells for cells in rows("Settings")}
    assert set(found) == set(described)
    for name, (_, key, default, between, _) in found.items():
        parameter = described[name]
        assert bool(key) == parameter.keyable, name
        shown = {"true": "yes", "false": "no"}.get(parameter.default, parameter.default)
        assert default.strip("`") == shown, name
        if parameter.type == "number":
            assert between.replace("−", "-") == f"{parameter.minimum:g} to {parameter.maximum:g}", name


@pytest.mark.parametrize(("family", "title"), [("blend", "Blends"), ("match", "Colour match")])
def test_every_member_is_there(family, title):
    named = [name for cells in rows(title) for name in re.findall(r"`(\w+)`", cells[0])]
    assert sorted(named) == sorted(_plugins.names(family))


def test_what_it_sets_can_be_set():
    said = re.findall(r"--set ([^\s`]+)", PAGE)
    assert len(said) > 8
    for text in said:
        look = specs.recipe()
        specs.change(look, [text])
        assert read(look) != Recipe(), text


def test_the_file_is_a_recipe_and_does_what_the_page_says(tmp_path):
    (example,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    recipe = read(specs.recipe(json.loads(example)))
    assert recipe.erode.at(1024) == 3.0
    assert (recipe.at(1012).erode.at(1012), recipe.at(1012).blend) == (4.0, "seamless")
    assert (recipe.at(1035).erode.at(1035), recipe.at(1035).blend) == (4.0, "seamless")
    assert recipe.at(1025).blend == "over"


def test_recipe_files_are_made_as_the_page_says(tmp_path):
    """All but the one that starts from a finished frame, with a daemon of their own."""
    understudy = Command(tmp_path / "state", folder=tmp_path)
    ran = [
        words
        for words in commands()
        if words[:2] != ["understudy", "merge"] and "out/comp.1004.exr" not in words
    ]
    assert len(ran) == 3
    shown = [understudy(*words[1:]) for words in ran]
    assert [done.code for done in shown] == [0, 0, 0], shown
    wide = read(specs.recipe(tmp_path / "wide.json"))
    assert (wide.blend, wide.feather.at(1)) == ("seamless", 6.0)
    assert ["feather", "6"] in [line.split() for line in shown[2].out.splitlines()]


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """The folder after all commands of the page, and what each said, by its words. Added is only what a plate's files
    do not say.
    """
    folder = tmp_path_factory.mktemp("merge")
    scene = shots.make(folder / "made", numbers=[1003, 1004], without_face=[])
    for plate_, faces in (("sh010", "faces"), ("sh020", "faces20")):
        shutil.copytree(scene.plate.template.directory, folder / plate_)
        shutil.copytree(scene.faceset, folder / faces)
    shots.tiny_model(folder / "a.model")
    understudy = Command(tmp_path_factory.mktemp("state"), folder=folder)
    said = {}
    for words in commands():
        more = ("--colour-space", "ACEScg", "--device", "cpu") if words[1] == "merge" else ()
        said[" ".join(words)] = done = understudy(*words[1:], *more, timeout=300)
        assert done.code == 0, (words, done.err)
    return folder, said


def header(path):
    return plate.read_header(path).metadata


def test_each_merge_is_the_look_that_was_set(story):
    folder, said = story
    assert len([words for words in said if words.startswith("understudy merge")]) == 2
    frame = plate.read_file(folder / "out" / "comp.1004.exr")
    look = Recipe.from_dict(json.loads(header(folder / "out" / "comp.1004.exr")["understudy/recipe"]))
    assert (look.blend, look.sharpen.at(1004), look.grain.at(1004)) == ("seamless", 0.4, 1.0)
    assert "grain.R" in frame.planes
    assert (frame.planes["mask_blend.A"] > 0.5).any()


def test_the_look_of_a_finished_frame_is_taken_whole(story):
    folder, _ = story
    first, second = (header(folder / out / "comp.1004.exr")["understudy/recipe"] for out in ("out", "out20"))
    assert first == second
    saved = Recipe.from_dict(json.loads((folder / "again.json").read_text()))
    assert saved == Recipe.from_dict(json.loads(first))


def test_what_came_out_keeps_the_promises(story):
    folder, _ = story
    understudy = Command(folder / "state", folder=folder)
    for out in ("out/comp.####.exr", "out20/comp.####.exr"):
        done = understudy("verify", out, timeout=300)
        assert done.code == 0, done.err


def test_the_same_look_again_writes_nothing_and_another_one_all(story):
    """As compositor.md has it: each frame's header holds the whole look, also of frames that it leaves as they are."""
    folder, said = story
    understudy = Command(folder / "state", folder=folder)
    first = shlex.split(next(words for words in said if words.startswith("understudy merge")))[1:]
    more = ("--colour-space", "ACEScg", "--device", "cpu", "--json")

    def states(*change):
        done = understudy(*first, *more, *change, timeout=300)
        assert done.code == 0, done.err
        return [line["data"]["state"] for line in done.lines if line["event"] == "frame"]

    assert states() == ["FRAME_STATE_SKIPPED"] * 2
    assert states("--set", "erode@1003=2") == ["FRAME_STATE_DONE"] * 2


def test_what_is_hardly_meant_is_told_and_what_cannot_be_is_refused(story):
    folder, _ = story
    understudy = Command(folder / "state", folder=folder)
    base = (
        "merge",
        "sh010/plate.####.exr",
        "--faceset",
        "faces",
        "--model",
        "a.model",
        "--colour-space",
        "ACEScg",
    )
    told = understudy(
        *base,
        *("--out", "told/comp.####.exr", "--device", "cpu", "--json", "--set", "erode=900:0,1004:2"),
        *("--set", "blend@1=over", "--set", "feather@1003=2", "--set", "feather@1003-1004=3"),
        timeout=300,
    )
    assert told.code == 0, told.err
    reasons = [line["data"]["reason"] for line in told.lines if line["event"] == "warning"]
    assert reasons == ["KEY_OUTSIDE", "OVERRIDE_OUTSIDE", "OVERRIDES_OVERLAP"]
    for change, word in (
        ("blend=seamles", "did you mean 'seamless'"),
        ("mask=face*hul", "did you mean 'hull'"),
        ("opacity=1003:0,1004:2", "2 at frame 1004 is outside 0 to 1"),
        ("smooth=1003:3,1004:5", "smooth takes no keys"),
        ("match@1003=mkl", "is fitted over the whole shot"),
    ):
        refused = understudy(*base, "--out", "refused/comp.####.exr", "--set", change)
        assert refused.code == 1
        assert word in refused.err
    assert not (folder / "refused").exists()
