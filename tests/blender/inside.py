"""Runs in a real Blender (the module `bpy`): installs or enables the extension, then runs a script of a test.

    python inside.py install ZIP
    python inside.py run SCRIPT RESULT [ARGUMENT…]

`BLENDER_USER_RESOURCES` is the isolated home. A script finds `bpy`, `us` (the extension's package), `module` (a
module of it by name), `arguments` and `result`, a dict that becomes the file RESULT as JSON. There it stands beside
the extension's operators, and those of them that Blender finished at least once.
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
    finished = watched()
    names = {
        "bpy": bpy,
        "us": sys.modules[PACKAGE],
        "module": lambda name: importlib.import_module(f"{PACKAGE}.{name}"),
        "arguments": arguments,
        "result": result,
        "__name__": "__main__",
    }
    exec(compile(Path(script).read_text(encoding="utf-8"), script, "exec"), names)
    told = {"result": result, "operators": dir(bpy.ops.understudy), "finished": sorted(finished)}
    Path(path).write_text(json.dumps(told), encoding="utf-8")


def watched() -> set[str]:
    """Names of the extension's operators that have finished, from now on."""
    finished: set[str] = set()

    def watch(kind: type) -> None:
        execute = kind.execute

        def counted(operator: bpy.types.Operator, context: bpy.types.Context) -> set[str]:
            ended = execute(operator, context)
            if ended == {"FINISHED"}:
                finished.add(kind.bl_idname.partition(".")[2])
            return ended

        kind.execute = counted

    for name in dir(bpy.ops.understudy):
        watch(getattr(bpy.types, f"UNDERSTUDY_OT_{name}"))
    return finished


if __name__ == "__main__":
    code = 0
    try:
        {"install": install, "run": run}[sys.argv[1]](*sys.argv[2:])
    except BaseException:  # noqa: BLE001 - 4.5 may write without end while it goes down, so nothing of it goes down
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
