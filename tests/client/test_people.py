"""Several people by the command line: what is written of each arrives, and a whole merge of two."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.client.command import Command
from tests.client.fake import FakeDaemon
from tests.core import shots
from understudy.core import plate
from understudy.v1.recipe_pb2 import Recipe

MERGE = ("merge", "plate.####.exr", "--out", "comp.####.exr")
ANNA = "anna track=0 model=anna.model recipe=anna.json"
BEN = (
    "ben track=1 model='b c/ben.model' faceset=bens segmenter=seg enhancer=finer set=blend=seamless set=erode@1002=2 "
    "limit-matte=roto.####.exr keep_matte=hand.####.exr=1001-1003,1007"
)


@pytest.fixture
def understudy(daemon: FakeDaemon, tmp_path: Path) -> Command:
    return Command(tmp_path / "state", daemon.endpoint, tmp_path)


def test_what_is_said_of_each_arrives(daemon: FakeDaemon, understudy: Command, tmp_path: Path):
    (tmp_path / "anna.json").write_text('{"blend": "multiband", "match": "mkl"}')
    common = ("--faceset", "faces", "--feather", 5, "--set", "grain=1", "--add-matte", "all.####.exr")
    done = understudy(*MERGE, *common, "--person", ANNA, "--person", BEN)
    assert done.code == 0, done.err
    one, other = daemon.requests[0].spec.merge.swaps
    assert (one.name, one.track, other.name, other.track) == ("anna", 0, "ben", 1)
    assert (one.model, other.model) == (f"{tmp_path}/anna.model", f"{tmp_path}/b c/ben.model")
    assert (one.faceset, other.faceset) == (f"{tmp_path}/faces", f"{tmp_path}/bens")
    assert (one.segmenter, other.segmenter, other.enhancer) == ("", f"{tmp_path}/seg", f"{tmp_path}/finer")
    assert (one.recipe.blend, one.recipe.match, other.recipe.blend) == ("multiband", "mkl", "seamless")
    assert [each.recipe.feather.value for each in (one, other)] == [5, 5]
    assert [each.recipe.grain.value for each in (one, other)] == [1, 1]
    assert other.recipe.overrides[0].settings.erode.value == 2
    assert [m.matte.pattern for m in one.user_mattes] == [f"{tmp_path}/all.####.exr"]
    names = [(Path(m.matte.pattern).name, m.use, len(m.matte.frames)) for m in other.user_mattes]
    assert names == [("all.####.exr", 2, 0), ("roto.####.exr", 1, 0), ("hand.####.exr", 3, 2)]


def test_looks_of_a_frame_with_several_people_are_asked_for_by_name(
    daemon: FakeDaemon, understudy: Command, tmp_path: Path
):
    daemon.look = Recipe(blend="multiband")
    people = ("--person", "anna model=a recipe-from=other.1001.exr", "--person", "ben model=b")
    done = understudy(*MERGE, "--faceset", "f", "--recipe-from", "old.1004.exr", *people)
    assert done.code == 0, done.err
    assert daemon.looked == [f"{tmp_path}/other.1001.exr", f"{tmp_path}/old.1004.exr"]
    assert daemon.whose == ["anna", "ben"]
    assert understudy("recipe", "show", "old.1004.exr", "--person", "ben").code == 0
    assert daemon.whose[-1] == "ben"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--model", "m"), "--faceset FOLDER is needed"),
        (("--faceset", "f"), "--model FOLDER is needed"),
        (("--faceset", "f", "--person", "ben track=1"), "of ben: --model FOLDER is needed"),
        (("--faceset", "f", "--person", ""), "is not 'NAME KEY=VALUE"),
        (("--faceset", "f", "--person", "ben 'model=b"), "is not 'NAME KEY=VALUE"),
        (("--faceset", "f", "--person", "model=b track=1"), "begins with no name"),
        (("--faceset", "f", "--person", "ben modle=b"), "did you mean 'model'"),
        (("--faceset", "f", "--person", "ben model=b model=c"), "model is said twice"),
        (("--faceset", "f", "--person", "ben model=b track=one"), "'one' is no number"),
        (("--faceset", "f", "--track", 1, "--person", "ben model=b"), "a track= of its own"),
        (("--faceset", "f", "--person", "b model=b recipe=a recipe-from=c"), "exclude each other"),
        (("--faceset", "f", "--person", "ben model=b set=blur=1"), "a recipe has"),
    ],
)
def test_what_cannot_be_meant_is_refused(daemon: FakeDaemon, understudy: Command, words: tuple, message: str):
    done = understudy(*MERGE, *words)
    assert done.code == 1
    assert message in " ".join(done.err.split())
    assert "Traceback" not in done.err
    assert not daemon.requests


def test_two_people_from_the_command_line_to_verified_frames(tmp_path: Path):
    """By the real daemon; then again, each with the look that the frame's header has of them."""
    scene = shots.make(tmp_path / "shot", numbers=[1001, 1002], without_face=[])
    text = scene.plate.template.text
    shots.write_faceset(scene.faceset, [1001], text, centre=(110.0, 60.0), track=1)
    for name, seed in (("anna", 3), ("ben", 4)):
        shots.tiny_model(tmp_path / "shot" / f"{name}.model", seed=seed)
    understudy = Command(tmp_path / "state", folder=tmp_path / "shot")
    words = ("merge", text, "--colour-space", "ACEScg", "--faceset", "faceset", "--json", "--device", "cpu")
    people = (
        "--person",
        "anna track=0 model=anna.model",
        "--person",
        "ben track=1 model=ben.model set=erode=2",
    )
    done = understudy(*words, *people, "--out", "out/comp.####.exr", timeout=300)
    assert done.code == 0, done.err
    frames = [line["data"] for line in done.lines if line["event"] == "frame"]
    assert [frame["faces"] for frame in frames] == [2, 1]
    out = tmp_path / "shot/out"
    assert {p.name for p in out.glob("*.png")} == {"contact_sheet.png", "contact_sheet_ben.png"}
    titles = [np.asarray(cv2.imread(str(path)))[:30] for path in sorted(out.glob("*.png"))]
    assert (titles[0] != titles[1]).any()  # each says whose it is
    assert "ben_face.R" in plate.read_file(out / "comp.1002.exr").planes
    checked = understudy("verify", "out/comp.####.exr", timeout=300)
    assert checked.code == 0, checked.err
    told = understudy("recipe", "show", "out/comp.1001.exr", timeout=300)
    assert told.code == 1
    assert "looks of anna, ben; name one of them (--person)" in " ".join(told.err.split())
    shown = understudy("recipe", "show", "out/comp.1001.exr", "--person", "ben", timeout=300)
    assert ["erode", "2"] in [line.split() for line in shown.out.splitlines()]
    looks = ("--recipe-from", "out/comp.1001.exr")
    names = ("--person", "anna track=0 model=anna.model", "--person", "ben track=1 model=ben.model")
    again = understudy(*words, *looks, *names, "--out", "again/comp.####.exr", timeout=300)
    assert again.code == 0, again.err
    for number in (1001, 1002):
        first, second = (plate.read_file(tmp_path / f"shot/{d}/comp.{number}.exr") for d in ("out", "again"))
        assert all((first.planes[n].tobytes() == second.planes[n].tobytes()) for n in first.planes)
    bad = understudy(*words, *names[:2], "--person", "anna track=1 model=ben.model", "--out", "x/c.####.exr")
    assert bad.code == 1
    assert "merge.swaps.name" in bad.err or "another person's" in bad.err
