"""The extension as it is built: valid by Blender's own check, and at home in each Blender."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.blender.conftest import VERSIONS, Blender, interpreter
from tests.client.command import Command
from understudy.client import plugins
from understudy.client.errors import Refused

SOURCE = plugins.blender_source()
STARTS = """
import time
began = time.process_time()
bpy.ops.preferences.addon_disable(module=us.__name__)
bpy.ops.preferences.addon_enable(module=us.__name__)
result["seconds"] = time.process_time() - began
import sys
result["modules"] = sorted({name.split(".")[0] for name in sys.modules})
result["classes"] = sorted(n for n in dir(bpy.ops.understudy))
result["scene"] = bpy.context.scene.understudy.version
bpy.ops.preferences.addon_disable(module=us.__name__)
result["left"] = [n for n in dir(bpy.types) if n.startswith("UNDERSTUDY_")] + list(
    filter(None, [hasattr(bpy.types.Scene, "understudy") and "Scene.understudy"])
)
result["timers"] = bpy.app.timers.is_registered(sys.modules[us.__name__ + ".runner"]._tick)
"""


@pytest.mark.parametrize("version", VERSIONS)
def test_blenders_own_check_takes_it(version: str, extension: Path):
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Blender {version} here")
    (tool,) = python.parents[1].glob(f"lib/python*/site-packages/bpy/{version}/scripts/addons_core/bl_pkg/cli/blender_ext.py")
    done = subprocess.run(
        [str(python), str(tool), "validate", str(extension)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("version", VERSIONS)
def test_it_comes_and_goes_and_brings_nothing_along(version: str, blender: Callable[[str], Blender]):
    seen = blender(version).run(STARTS)
    assert not {"grpc", "google", "torch", "understudy"} & set(seen["modules"])
    assert len(seen["classes"]) > 3
    assert (seen["scene"], seen["left"], seen["timers"]) == (1, [], False)


def test_the_same_sources_give_the_same_zip(extension: Path, tmp_path: Path):
    assert plugins.build_blender(tmp_path).read_bytes() == extension.read_bytes()
    names = zipfile.ZipFile(extension).namelist()
    assert {"__init__.py", "blender_manifest.toml", "LICENSE", "link/supervisor.py"} <= set(names)
    assert not [n for n in names if "__pycache__" in n or n.endswith(".md")]


def test_it_has_the_releases_number():
    project = (SOURCE.parent / "pyproject.toml").read_text(encoding="utf-8")
    manifest = (SOURCE / "blender_manifest.toml").read_text(encoding="utf-8")
    version = re.compile(r'^version = "(.+)"$', re.MULTILINE)
    assert version.findall(manifest) == version.findall(project)[:1]


def test_the_commands_write_it_and_replace_only_their_own(tmp_path: Path):
    understudy = Command(tmp_path / "state", folder=tmp_path)
    built = understudy("blender", "build", "a folder", "--json")
    assert built.code == 0, built.err
    assert zipfile.is_zipfile(built.lines[0]["data"]["file"])
    for _ in range(2):
        assert understudy("blender", "install", "repository").code == 0
    folder = tmp_path / "repository" / "understudy"
    assert (folder / "link" / "jobs.py").is_file()
    assert [p.name for p in folder.parent.iterdir()] == ["understudy"]
    other = tmp_path / "other" / "understudy"
    other.mkdir(parents=True)
    with pytest.raises(Refused, match="something else"):
        plugins.install_blender(other.parent)


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: path.stem)
def test_imports_are_relative_or_the_standard_librarys(path: Path):
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 11))
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
    assert imported - {"bpy", "mathutils"} <= set(sys.stdlib_module_names)
