# SPDX-License-Identifier: GPL-3.0-or-later
"""`blender -b shot.blend --command understudy merge`: a scene's work from a terminal or a farm.

Exit codes are those of `understudy` itself.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import bpy

from . import clip, look, runner, specs
from .link import jobs as told
from .link.errors import LicenceRequired, NotFound, PathNotAllowed, ReleaseRequired, Unreachable
from .runner import UnderstudyError

NAME = "understudy"
WHOLE = ("extract", "train", "merge")
FAILED, FRAMES_FAILED, INTERRUPTED = 1, 2, 130
_CODES = (
    ((Unreachable,), 69),
    ((ReleaseRequired, LicenceRequired, PathNotAllowed), 4),
    ((NotFound,), 3),
)


def main(arguments: Sequence[str]) -> int:
    """Run one verb for one scene; gives the exit code."""
    try:
        said = _parser().parse_args(list(arguments))
    except SystemExit as end:
        return FAILED if end.code else 0
    try:
        if said.blend:
            bpy.ops.wm.open_mainfile(filepath=said.blend)
        return _run(said)
    except UnderstudyError as error:
        print(f"understudy: {error.message}" + (f" ({error.field})" if error.field else ""), file=sys.stderr)
        return next((code for kinds, code in _CODES if isinstance(error, kinds)), FAILED)
    except RuntimeError as error:  # of Blender's own operators
        print(f"understudy: {error}", file=sys.stderr)
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"blender -b FILE --command {NAME}", description=__doc__.splitlines()[0]
    )
    parser.add_argument("verb", choices=("swap", *WHOLE, "plate"))
    parser.add_argument("--blend", metavar="FILE", help="open this file first")
    parser.add_argument("--scene", help="default: the file's own")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="of the scene's settings: version=3, look.erode=4",
    )
    return parser


def _run(said: argparse.Namespace) -> int:
    scene = _scene(said.scene)
    for text in said.set:
        _set(scene.understudy, text)
    with bpy.context.temp_override(scene=scene):
        plate = clip.resolve(bpy.context) if said.verb != "train" else None
    for note in plate.notes if plate else ():
        print(f"understudy: {note}", file=sys.stderr)
    if said.verb == "plate":
        print(f"{plate.pattern} {plate.frames[0]}-{plate.frames[-1]} {plate.colour_space}")
        return 0
    names = WHOLE if said.verb == "swap" else (said.verb,)
    runner.listen(_print)
    try:
        started = runner.start(scene, [specs.STAGES[name](scene.understudy, plate) for name in names])
        runner.wait(lambda: started.over)
    except KeyboardInterrupt:
        for job in reversed(started.ids):
            runner.jobs().tell("CancelJob", job)
        runner.wait(lambda: started.over, 10.0)
        return INTERRUPTED
    finally:
        runner.unlisten(_print)
    failure = started.failure()
    if failure is not None:
        raise failure
    done = (runner.jobs().known[job] for job in started.ids)
    return FRAMES_FAILED if any(int(job.get("framesFailed", 0)) for job in done) else 0


def _scene(name: str | None) -> bpy.types.Scene:
    scene = bpy.data.scenes.get(name) if name else bpy.context.scene
    if scene is None:
        raise runner.Refused(
            f"there is no scene {name}; there are {', '.join(s.name for s in bpy.data.scenes)}"
        )
    return scene


def _set(settings: bpy.types.PropertyGroup, text: str) -> None:
    name, equals, value = text.partition("=")
    if equals and name.startswith("look."):
        look.put(settings, name.partition(".")[2], value)
        return
    known = settings.bl_rna.properties.get(name)
    if not equals or known is None or name == "rna_type":
        raise runner.Refused(f"{text!r}: write NAME=VALUE with a setting of the scene", field="set")
    try:
        if known.type == "BOOLEAN":
            setattr(settings, name, {"true": True, "1": True, "false": False, "0": False}[value.lower()])
        elif known.type == "POINTER":
            setattr(settings, name, bpy.data.movieclips[value])
        else:
            setattr(settings, name, int(value) if known.type == "INT" else value)
    except (KeyError, TypeError, ValueError) as error:
        raise runner.Refused(f"{text!r}: not a value of {name}", field="set") from error


def _print(job: runner.Json, event: runner.Json | None) -> None:
    """A line a change of state, and one a tenth of the way, so that a farm's log stays short."""
    if event is None or "stateChange" in event:
        line = told.words(job)
    elif "progress" in event and int(event["progress"].get("done", 0)) % max(
        1, int(event["progress"].get("total", 0)) // 10
    ):
        return
    else:
        line = told.words(job) if "progress" in event else ""
    if line:
        print(f"understudy: {job.get('label', '')}: {line}", flush=True)


_handle = None


def register() -> None:
    global _handle
    _handle = bpy.utils.register_cli_command(NAME, main)


def unregister() -> None:
    global _handle
    if _handle is not None:
        bpy.utils.unregister_cli_command(_handle)
    _handle = None


classes = ()
