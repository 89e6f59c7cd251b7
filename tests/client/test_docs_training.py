"""docs/training.md does what it says: its own commands, in their order, on small facesets and with a small preset.

What the page leaves to time, to GPUs or to a person is added: how long to train, devices that are here, a job's id.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

from tests.client.command import Command, Done
from tests.core.shots import make_release
from tests.daemon import facesets
from tests.daemon.support import Daemon, until
from understudy.core import release
from understudy.core.model import store
from understudy.core.train.plots import read

PAGE = Path(__file__).parents[2] / "docs" / "training.md"
SMALL = {"quick96", "df-ud-256", "liae-ud-128", "liae-ud-256"}  # presets that the page names
LIMIT = "430MiB"  # too little for `BATCH` of the small preset at once, in float32 and in bfloat16
BATCH = 32


def blocks(kind: str) -> list[str]:
    """The blocks of the page that are marked as of a kind."""
    return re.findall(rf"```{kind}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def commands() -> Iterator[list[str]]:
    """All commands of the page, without `understudy`."""
    for block in blocks("sh"):
        for line in block.splitlines():
            name, *words = shlex.split(re.sub(r"\s#\s.*", "", line))
            assert name == "understudy"
            yield words


def shortened(words: list[str]) -> list[object]:
    """A command of the page that takes seconds here: two iterations, or as many as it says, of two small faces."""
    if words[0] != "train" or "--list-options" in words:
        return list(words)
    said = ["quick64" if word in SMALL else word for word in words]
    batch = 2
    for place, word in enumerate(said):
        if word == "--minutes":
            said[place : place + 2] = ["--iterations", "1000000" if "--detach" in words else "2"]
        elif word == "--memory":
            said[place + 1], batch = LIMIT, BATCH
        elif word == "--device":
            said[place + 1] = (
                "cpu"  # several GPUs are not here; tests/core/test_train_distributed.py has two processes
            )
    return [*said, "--batch-size", batch]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What the page takes for granted."""
    folder = tmp_path_factory.mktemp("training")
    for seed, name in enumerate(("src", "dst", "one", "two", "three", "four")):
        facesets.make(folder / name, seed=seed, plate=f"/p/{name}.%04d.exr")
    for name in ("a", "many"):
        release.write(make_release(), folder / f"{name}.release.json")
    (phases,) = blocks("toml")
    (folder / "phases.toml").write_text(phases)
    (settings,) = blocks("json")
    (folder / "settings.json").write_text(settings)
    yield folder
    shutil.rmtree(folder)  # gigabytes, which pytest would keep until the whole run has ended


@pytest.fixture(scope="module")
def said(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Done]]:
    """What each command of the page said, by its words, run one after the other with one daemon."""
    state = tmp_path_factory.mktemp("state")
    daemon = Daemon(state / "served").start()
    try:
        yield _told(Command(state / "own", daemon.announced()["endpoint"], folder), folder)
    finally:
        assert daemon.stop() == 0


def _told(understudy: Command, folder: Path) -> dict[str, Done]:
    found: dict[str, Done] = {}
    job = ""
    for words in commands():
        if words[:2] == ["jobs", "cancel"]:  # what was asked of the job is done in its time
            until(lambda: store.read_state(folder / "c.model").changes)
            until(lambda: list((folder / "c.model" / "backups").glob("[0-9]*")))
        names = {"3f2a": job[:6], "BACKUP": _backup(folder)}
        done = understudy(*(names.get(str(word), word) for word in shortened(words)), timeout=300)
        assert done.code == 0, (words, done.out, done.err)
        if "--detach" in words:
            job = re.search(r"[0-9a-f]{12}", done.out + done.err)[0]  # type: ignore[index]
        found[" ".join(words)] = done
    return found


def _backup(folder: Path) -> str:
    """A name from the list of backups, if there is one yet."""
    names = sorted(path.name for path in (folder / "c.model" / "backups").glob("[0-9]*"))
    return names[-1] if names else "BACKUP"


def _of(said: dict[str, Done], part: str) -> Done:
    """What the only command with these words in it said."""
    (found,) = [done for words, done in said.items() if part in words]
    return found


@pytest.mark.timeout(1200)  # with all of the commands; a minute or two where the machine is free
def test_every_command_runs(folder: Path, said: dict[str, Done]):
    models = {"a": 2, "small": 2, "b": 20, "faces": 2, "d": 2, "e": 2}
    found = {name: store.read_state(folder / f"{name}.model").iteration for name in models}
    assert found == models
    assert len(list((folder / "many").glob("*.exr"))) == 2 * len(facesets.NUMBERS)


def test_what_memory_traded_is_said(said: dict[str, Done]):
    told = _of(said, "--memory")
    assert re.search(
        r"memory: the batch of 32 is computed in \d+ parts of \d+, which changes no result", told.err
    )


def test_the_course_of_c_is_as_the_page_tells_it(folder: Path, said: dict[str, Done]):
    """Phases at 12 and 16 of 20 iterations; then it is gone on with, changed, and set back to the backup."""
    state = store.read_state(folder / "c.model")
    options = [(each["iteration"], each["options"]) for each in state.begun]
    assert options[:2] == [
        (12, {"warp": "0", "learning_rate": "0.0001"}),
        (16, {"gan": "0.1", "gan_patch": "16"}),
    ]
    assert options[2:] == [(state.changes[0]["iteration"], {"gan": "0.1", "gan_patch": "16"})]
    assert state.resumed == (20,)
    assert (
        state.iteration >= state.changes[0]["iteration"] >= 20
    )  # the one that was asked for after the change
    assert {"gan", "gan_judge"} <= read(folder / "c.model").keys()
    listed = re.findall(r"^\d{8}-\w{6}", _of(said, "model backups").out, re.MULTILINE)
    assert [int(name[:8]) for name in listed] == [state.iteration]
    picture = cv2.imread(str(folder / "c.png"))
    assert picture is not None
    assert picture.std() > 10


def test_what_starts_from_many_faces_has_their_weights_and_release(folder: Path, said: dict[str, Done]):
    assert "encoder" in _of(said, "--start-from").err
    state = store.read_state(folder / "d.model")
    assert state.pretrained == store.read_state(folder / "faces.model").digest
    assert len(state.releases) == 1  # both people's are the test's one record


@pytest.mark.timeout(1200)
def test_torchrun_takes_the_settings_of_the_page(folder: Path, said: dict[str, Done]):
    file = folder / "settings.json"
    settings = json.loads(file.read_text())
    settings |= {"preset": "quick64", "target_iterations": 2, "options": {"batch_size": "2"}}
    file.write_text(json.dumps(settings))
    (line,) = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("torchrun ")]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", *shlex.split(line)[1:]]
    paths = os.pathsep.join(path for path in (str(PAGE.parents[1]), *sys.path) if path)
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": paths},
    )
    assert done.returncode == 0, done.stderr
    assert store.read_state(folder / "f.model").iteration == 2
