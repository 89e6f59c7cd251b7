"""docs/exchange.md does what it says: its own commands, in their order, on models that are there."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.command import Command
from tests.core.exchanging import deepfacelabs, made, options_of, save_as_deepfacelab
from tests.core.shots import make_release
from tests.daemon.support import Daemon
from understudy.core import release
from understudy.core.model import store
from understudy.core.model.exchange import dfm, inside, onnx

PAGE = Path(__file__).parents[2] / "docs" / "exchange.md"
MADE = ["losses.png", "a.onnx", "a.dfm", "a.pt", "archive/a-00120000", "back.onnx"]
MADE += ["amy.model", "back.model", "c.model"]


def commands() -> Iterator[list[str]]:
    """All commands of the page, without `understudy`."""
    for block in re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        for line in block.splitlines():
            name, *words = shlex.split(re.sub(r"\s#\s.*", "", line))
            assert name == "understudy"
            yield words


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the page takes for granted."""
    folder = tmp_path_factory.mktemp("exchange")
    first = made(folder / "a.model", working_space="ACEScg", iteration=120_000)
    made(folder / "b.model", working_space="ACEScg")
    (folder / "workspace").mkdir()
    for name in ("amy_SAEHD", "bob_SAEHD"):
        where = folder / "workspace" / "model"
        save_as_deepfacelab(where, deepfacelabs(first.config), options_of(first.config), name=name)
    for who in "ab":
        release.write(make_release(subject=f"performer-{who}"), folder / f"{who}.release.json")
    history = folder / "a.model" / "history"
    history.mkdir()
    said = [{"iteration": i, "losses": {"face": 1 / i}, "scores": {}} for i in range(100, 120_000, 500)]
    (history / "losses.jsonl").write_text("\n".join(map(json.dumps, said)))
    return folder


@pytest.fixture
def understudy(folder: Path, tmp_path: Path) -> Iterator[Command]:
    """With one daemon for all commands, which is quicker."""
    daemon = Daemon(tmp_path / "served").start()
    yield Command(tmp_path / "state", daemon.announced()["endpoint"], folder)
    assert daemon.stop() == 0


def test_every_command_runs(folder: Path, understudy: Command):
    backup = store.back_up(folder / "a.model").name
    for words in commands():
        done = understudy(*(backup if word == "BACKUP" else word for word in words), timeout=120)
        assert done.code == 0, (words, done.out, done.err)
    assert [name for name in MADE if not (folder / name).exists()] == []
    assert store.read_state(folder / "back.model").digest == store.read_state(folder / "a.model").digest
    assert inside.read(folder / "back.onnx")["releases"][0]["subject"] == "performer-b"


def test_what_it_says_of_files_is_so(folder: Path):
    """Ports and card of each, as the table has them."""
    page = PAGE.read_text(encoding="utf-8")
    for ports in (onnx.PORTS, dfm.PORTS):
        for port in (ports.input, *ports.outputs):
            assert f"`{port}`" in page, port
    for name in (inside.FACTS, inside.CARD, inside.WEIGHTS, inside.KEY):
        assert name in page, name
