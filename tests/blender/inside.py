"""Runs in a real Blender (the module `bpy`): installs or enables the extension, then runs a script of a test.

    python inside.py install ZIP
    python inside.py run SCRIPT RESULT [ARGUMENT…]

`BLENDER_USER_RESOURCES` is the isolated home. A script finds `bpy`, `us` (the extension's package), `module` (a
module of it by name), `arguments` and `result`, a dict that becomes the file RESULT as JSON.
"""

import importlib
import json
import os
import sys
import traceback
from pathlib import Path

import bpy

PACKAGE = "bl_ext.user_default.understudy"


def install(path: str) -> None:
    done = bpy.ops.extensions.package_install_files(
        filepath=path, repo="user_default", enable_on_install=True, overwrite=True
    )
    assert done == {"FINISHED"}, done


def run(script: str, path: str, *arguments: str) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=False)
    bpy.ops.preferences.addon_enable(module=PACKAGE)
    assert PACKAGE in bpy.context.preferences.addons, "the extension was not enabled"
    result: dict = {}
    names = {
        "bpy": bpy,
        "us": sys.modules[PACKAGE],
        "module": lambda name: importlib.import_module(f"{PACKAGE}.{name}"),
        "arguments": arguments,
        "result": result,
        "__name__": "__main__",
    }
    exec(compile(Path(script).read_text(encoding="utf-8"), script, "exec"), names)
    Path(path).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    code = 0
    try:
        {"install": install, "run": run}[sys.argv[1]](*sys.argv[2:])
    except BaseException:  # 4.5 may write without end while it goes down, so nothing of it goes down
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
