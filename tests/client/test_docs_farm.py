"""docs/farm.md does what it says: its own commands, in their order, on a small shot, as a real farm runs them."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.command import Command
from tests.client.farming import Openjd, messages
from tests.core import shots
from understudy.client.errors import EXIT_CODES, RETRYABLE

PAGE = (Path(__file__).parents[2] / "docs" / "farm.md").read_text(encoding="utf-8")
SHOT = ("--colour-space", "ACEScg", "--device", "cpu")  # what the small plate's files do not say, and no GPU
LOST = "comp.1002.exr"  # a frame that goes missing before the page looks for such


def commands() -> Iterator[list[str]]:
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            yield shlex.split(line)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The folder after all commands of the page, and what each said, by its words."""
    folder = tmp_path_factory.mktemp("docs")
    scene = shots.make(folder / "made", numbers=range(1001, 1005), without_face=[])
    shutil.copytree(scene.plate.template.directory, folder / "sh010")
    shutil.copytree(scene.faceset, folder / "faces")
    shots.tiny_model(folder / "a.model")
    understudy = Command(folder / "state", folder=folder)
    said = {}
    with tempfile.TemporaryDirectory(prefix="farm") as sessions:
        openjd = Openjd(folder, Path(sessions))
        for words in commands():
            if words[1:3] == ["farm", "redo"]:
                (folder / "out" / LOST).unlink()
            if words[0] == "openjd":
                code, told = openjd(*words[1:], timeout=900)
            else:
                done = understudy(*_with_shot(words[1:]), timeout=600)
                code, told = done.code, done.out + done.err
            assert code == (2 if words[1:3] == ["farm", "redo"] else 0), (words, told)
            said[" ".join(words)] = told
    return folder, said


def _with_shot(words: list[str]) -> list[str]:
    """The command, with what has to be known of the small plate behind each merge."""
    found: list[str] = []
    for word in words:
        found += [word, *SHOT] if word == "merge" else [word]
    return found


@pytest.mark.timeout(1800)
def test_every_command_runs(story: tuple[Path, dict[str, str]]):
    folder, said = story
    assert sum(words.startswith("openjd run") for words in said) == 2
    assert (folder / "out" / "sheet.png").is_file()
    for out in ("out", "out3"):
        assert len(list((folder / out).glob("comp.*.exr"))) == 4
    assert [each.read_bytes() for each in sorted((folder / "out3" / "track").iterdir())]


@pytest.mark.timeout(1800)
def test_what_went_missing_is_found_and_made_and_nothing_else(story: tuple[Path, dict[str, str]]):
    folder, said = story
    (told,) = [told for words, told in said.items() if "farm redo" in words]
    assert "MergeFrames=1002" in told
    assert json.loads((folder / "sh010.farm" / "redo.json").read_text()) == {
        "MergeFrames": "1002",
        "MergeAgain": "--again",
    }
    (again,) = [told for words, told in said.items() if "redo.json" in words]
    assert any("1/1 frames" in each for each in messages(again, "status"))
    assert not any("4/4 frames" in each for each in messages(again, "status"))


def test_the_steps_are_those_of_the_page(story: tuple[Path, dict[str, str]]):
    folder, said = story
    rows = re.findall(r"^\| (\w+) \|", PAGE.split("| Step | Does |")[1].split("\n\n")[0], re.MULTILINE)
    (told,) = [told for words, told in said.items() if words.startswith("understudy farm bundle --chunk")]
    assert all((folder / name).is_file() for name in told.split())
    steps = re.findall(
        r'^  - name: "(\w+)"\n    (?:dep|step)',
        (folder / "sh010.farm/template.yaml").read_text(),
        re.MULTILINE,
    )
    assert steps == rows


def test_what_may_be_tried_again_is_what_the_page_says():
    (row,) = [
        line for line in PAGE.splitlines() if line.endswith("| try again, on another machine or later |")
    ]
    assert {int(code) for code in re.findall(r"\d+", row)} == set(RETRYABLE)
    told = {
        int(code)
        for cell in re.findall(r"^\| ([\d,; ]+)", PAGE, re.MULTILINE)
        for code in cell.replace(";", ",").split(",")
        if code.strip()
    }
    assert set(EXIT_CODES.values()) <= told
