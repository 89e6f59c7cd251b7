"""`understudy nuke install`: a folder that needs nothing else, on every Python that Nuke has had."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.client.command import Command
from tests.client.links import VERSIONS, interpreter
from tests.nuke.conftest import FAKE
from understudy.client import plugins
from understudy.client.cli.doctor import version as released
from understudy.client.errors import Refused

HERE = Path(__file__).parent
PLUGIN = plugins.nuke_source()
CODE = sorted([*PLUGIN.rglob("*.py"), *FAKE.rglob("*.py")])


def day(python: str, info: dict[str, Any], tmp_path: Path, *rest: object) -> dict[str, Any]:
    """What `host_day.py` saw."""
    (tmp_path / "info.json").write_text(json.dumps(info), encoding="utf-8")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("UNDERSTUDY_", "PYTHON"))}
    command = [python, str(HERE / "host_day.py"), str(FAKE), str(tmp_path / "info.json"), *map(str, rest)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, env=environment, check=False, cwd=tmp_path
    )
    assert (done.returncode, done.stderr) == (0, "")
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("mode", ["-t", "window"])
@pytest.mark.parametrize("version", VERSIONS)
def test_it_works_in_this_python(version: str, mode: str, plugin: Path, info: dict[str, Any], tmp_path: Path):
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version} here")
    seen = day(python, info, tmp_path, *(["-t"] if mode == "-t" else []), plugin)
    assert (seen["after_init"], seen["after_menu"], seen["foreign"]) == ([], [], [])
    assert (seen["version"], seen["from"]) == ("1.2.3", str(plugin))
    assert seen["menu"] == ([] if mode == "-t" else [1, 1])  # of nodes, of panes
    assert seen["plate"] == ["/p/p.%04d.exr", 1001, 1010, ""]
    assert [key["value"] for key in seen["recipe"]["erode"]["keys"]["keys"]] == [500.5, 501.0, 501.5]
    assert seen["file"] == "/out/v002/c_v002.%04d.exr"
    assert seen["error"] == ["BridgeMissing", "UNAVAILABLE"]


def test_two_releases_on_the_path_do_not_fight(plugin: Path, info: dict[str, Any], tmp_path: Path):
    """The first one is it, all of it; the other says so once and adds nothing."""
    older = plugins.install_nuke(tmp_path / "older", "0.9.0")
    seen = day(sys.executable, info, tmp_path, older, plugin)
    assert (seen["version"], seen["from"], seen["menu"]) == ("0.9.0", str(older), [1, 1])
    (told,) = seen["told"]
    assert str(plugin) in told
    assert "not used" in told


def test_a_folder_that_may_only_be_read_will_do(plugin: Path, info: dict[str, Any], tmp_path: Path):
    shut = tmp_path / "shut"
    shutil.copytree(plugin, shut)
    for path in [shut, *shut.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert day(sys.executable, info, tmp_path, shut)["version"] == "1.2.3"
    finally:
        for path in [shut, *shut.rglob("*")]:
            path.chmod(0o755)


def test_the_command_writes_it_and_replaces_only_its_own(tmp_path: Path):
    understudy = Command(tmp_path / "state", folder=tmp_path)
    done = understudy("nuke", "install", "a folder/nuke", "--json")
    assert done.code == 0, done.err
    folder = tmp_path / "a folder/nuke"
    assert done.lines[0]["data"] == {"folder": str(folder), "version": released()}
    assert json.loads((folder / plugins.STAMP).read_text()) == {"plugin": "nuke", "version": released()}
    assert (folder / "understudy_nuke/link/supervisor.py").is_file()
    (folder / "understudy_nuke/gone_since.py").write_text("")
    assert understudy("nuke", "install", "a folder/nuke").code == 0
    assert not (folder / "understudy_nuke/gone_since.py").exists()
    assert [p.name for p in folder.parent.iterdir()] == ["nuke"]
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "init.py").write_text("# a studio's own")
    refused = understudy("nuke", "install", "mine")
    assert refused.code == 1
    assert "something else" in refused.err
    assert (mine / "init.py").read_text() == "# a studio's own"


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Refused, match="cannot be written"):
        plugins.install_nuke(tmp_path / "file" / "nuke", "1")


@pytest.mark.parametrize("path", CODE, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_syntax_is_that_of_python_3_7_and_imports_are_the_standard_librarys(path: Path):
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 7))
    checking = {
        id(inner)
        for n in ast.walk(tree)
        if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"
        for one in n.body
        for inner in ast.walk(one)
    }
    imported = {a.name.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    imported |= {
        (n.module or "").split(".")[0]
        for n in ast.walk(tree)
        if isinstance(n, ast.ImportFrom) and not n.level and id(n) not in checking
    }
    ours = {"nuke", "nukescripts", "understudy_nuke"} | (
        {"PySide2", "PySide6"} if path.name == "qt.py" else set()
    )
    assert imported - ours <= set(sys.stdlib_module_names)
