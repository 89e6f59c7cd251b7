"""docs/mattes.md does what it says: its own commands, in their order, on a plate with a bar before the face.

What the page leaves to a person or a machine is added: the roto, a swap model, and how long to train.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.client.command import Command, Done
from tests.conftest import Clips
from understudy.core import plate
from understudy.core.faceset import Faceset
from understudy.core.faceset.labels import Labels
from understudy.core.matte import soft
from understudy.core.matte.hull import hull

PAGE = Path(__file__).parents[2] / "docs" / "mattes.md"
SHORT = ("--iterations", 2, "--batch-size", 2, "--device", "cpu")
PLATE = "sh010/plate.####.exr"


def commands(title: str) -> Iterator[tuple[str, ...]]:
    """The commands of a chapter of the page, without `understudy`."""
    chapter = PAGE.read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]
    for block in re.findall(r"```sh\n(.*?)```", chapter, re.DOTALL):
        for line in block.splitlines():
            name, *words = shlex.split(re.sub(r"\s#\s.*", "", line))
            assert name == "understudy"
            yield tuple(words)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, clips: Clips) -> Iterator[tuple[Path, dict[str, Done]]]:
    """The folder after the loop, and what each command said, by its words without options."""
    folder = tmp_path_factory.mktemp("mattes")
    understudy = Command(tmp_path_factory.mktemp("state"), folder=folder)

    def ran(*words: object) -> Done:
        done = understudy(*words, timeout=300)
        assert done.code == 0, (words, done.err)
        return done

    _plates(clips, folder)
    said: dict[str, Done] = {}
    for words in commands("The loop"):
        name = " ".join(words[:2]) if words[0] == "segment" else words[0]
        more: tuple[object, ...] = ()
        match name:
            case "segment label":
                _roto(folder, _named(said["segment next"])[:4])
            case "segment train":
                more = ("--preset", "xseg-light", *SHORT)
            case "merge":
                _model(ran, clips)
        said[name] = ran(*words, *more)
    yield folder, said
    shutil.rmtree(folder)  # hundreds of megabytes, which pytest would keep until the whole run has ended


def _plates(clips: Clips, folder: Path) -> None:
    """The performance with a green bar before it."""
    source, target = plate.Template.parse(clips.dst), plate.Template.parse(str(folder / PLATE))
    (folder / "sh010").mkdir()
    for number in clips.frames:
        frame = plate.read(source, number)
        planes = {name: plane.copy() for name, plane in frame.planes.items()}
        for name, value in zip("RGB", (0.05, 0.4, 0.1), strict=True):
            planes[name][_bar(number, planes[name].shape)] = value
        plate.write(replace(frame, planes=planes), target.path(number))


def _bar(number: int, shape: tuple[int, ...]) -> tuple[slice, slice]:
    left = shape[1] // 2 + number % 7
    return slice(0, shape[0]), slice(left, left + 14)


def _named(suggested: Done) -> list[int]:
    """The frames that it says to label, best first."""
    return [int(number) for number in re.findall(r"^\S+\.exr +(\d+)", suggested.out, re.MULTILINE)]


def _roto(folder: Path, numbers: list[int]) -> None:
    """What a person would draw: the face, less the bar."""
    (folder / "roto").mkdir()
    faces = {record.face.frame: record for record in Faceset.open(folder / "faces").records}
    template = plate.Template.parse(str(folder / PLATE))
    for number in numbers:
        frame = plate.read(template, number)
        matte = soft(hull, faces[number].face.landmarks.points, frame.planes["R"].shape).astype(np.float16)
        matte[_bar(number, matte.shape)] = 0
        plate.write(replace(frame, planes={"A": matte}), folder / f"roto/label.{number:04d}.exr")


def _model(ran: Callable[..., Done], clips: Clips) -> None:
    ran("extract", clips.src, "src")
    ran(
        "release",
        "create",
        "--kind",
        "public-domain",
        "--subject",
        "a",
        "--granted-by",
        "NASA",
        "--out",
        "a.json",
    )
    ran(
        "train",
        "a.model",
        "--src",
        "src",
        "--dst",
        "faces",
        "--preset",
        "quick64",
        "--release",
        "a.json",
        *SHORT,
    )


def test_each_step_says_what_it_made(story: tuple[Path, dict[str, Done]]):
    folder, said = story
    assert list(said) == [
        *("extract", "segment next", "segment label", "segment train", "segment apply", "segment preview"),
        "merge",
    ]
    assert "4 in all" in said["segment label"].out
    assert "on 1 label that it never saw" in said["segment train"].out
    assert len(_named(said["segment apply"])) == 4  # the others have labels
    picture = cv2.imread(str(folder / "look.png"))
    assert picture is not None
    assert picture.std() > 10


def test_on_labelled_frames_what_was_drawn_stays_before_the_face(story: tuple[Path, dict[str, Done]]):
    folder, _ = story
    ours, theirs = (plate.Template.parse(str(folder / p)) for p in ("out/comp.####.exr", PLATE))
    labelled = sorted(int(path.stem.split(".")[1]) for path in (folder / "roto").iterdir())
    for number in labelled:
        made, given = plate.read(ours, number), plate.read(theirs, number)
        drawn = plate.read(plate.Template.parse(str(folder / "roto/label.####.exr")), number).planes["A"]
        occ, mask = made.planes["mask_occ.A"], made.planes["mask_blend.A"]
        rows, columns = _bar(number, occ.shape)
        middle = slice(
            columns.start + 2, columns.stop - 2
        )  # carried to the crop and back, the edge is as wide
        assert not mask[rows, middle].any()
        for name in "RGB":
            assert (made.planes[name][rows, middle] == given.planes[name][rows, middle]).all()
        inside = (drawn == 1) & (cv2.erode(drawn.astype(np.float32), np.ones((7, 7))) == 1)
        assert inside.sum() > 500
        assert occ[inside].min() > 0.9
        assert mask[inside].max() > 0.5


def test_the_finished_frames_are_whole(story: tuple[Path, dict[str, Done]]):
    folder, _ = story
    template = plate.Template.parse(str(folder / "out/comp.####.exr"))
    for number in range(1001, 1009):
        assert {"mask_occ.A", "mask_hull.A", "mask_face.A", "face.R"} <= set(
            plate.read(template, number).planes
        )
    passed = Command(folder / "state", folder=folder)("verify", "out/comp.####.exr", timeout=120)
    assert passed.code == 0, passed.err


def test_a_generic_segmenter_is_taught_the_shot(story: tuple[Path, dict[str, Done]]):
    """The chapter after the loop, with the facesets that are there."""
    folder, _ = story
    understudy = Command(folder / "state", folder=folder)
    for words in commands("A generic matte"):
        given = [word for word in words if word not in ("--minutes", "60", "30", "--until-converged")]
        at = next((i for i, word in enumerate(given) if word == "other_shot"), None)
        given = given if at is None else given[: at - 1] + given[at + 1 :]
        given = ["ternausnet-light" if word == "ternausnet" else word for word in given]
        given = ["seg2" if word == "seg" else word for word in given]
        more = SHORT if words[1] == "train" else ()
        done = understudy(*given, *more, timeout=300)
        assert done.code == 0, (given, done.err)
    assert "on 1 label that it never saw" in understudy("segment", "show", "seg2").out


def test_polygons_are_as_the_page_has_them(story: tuple[Path, dict[str, Done]]):
    folder, _ = story
    page = PAGE.read_text(encoding="utf-8")
    (example,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    said = json.loads(example)
    (folder / "hands.json").write_text(example)
    understudy = Command(folder / "state", folder=folder)
    done = understudy("segment", "label", "faces", "--polygons", "hands.json", "--json", timeout=120)
    assert done.code == 0, done.err
    faceset = Faceset.open(folder / "faces")
    labels = Labels(faceset)
    face = next(r for r in faceset.records if r.path.name == said["faces"][0]["face"])
    label = labels.read(face)
    assert label is not None
    assert [polygon.include for polygon in label.polygons] == [True, False]
    assert label.drawn(face.alignment).mean() == pytest.approx(0.5 * 269.5 * 378 / 512**2, rel=0.2)
