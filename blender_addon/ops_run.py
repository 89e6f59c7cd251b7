# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that start jobs: extract, train, merge, and all three in a row. They give the word and return."""

import bpy
from bpy.props import BoolProperty

from . import clip, paths, runner, specs
from .ops_base import fail
from .runner import Refused, UnderstudyError


class _Run:
    """To be mixed into an operator that starts these stages."""

    bl_options = {"REGISTER"}
    stages: tuple[str, ...] = ()

    wait: BoolProperty(
        name="Wait",
        description="Return when all has ended, and fail as it fails: for scripts, not for windows",
        options={"SKIP_SAVE"},
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = context.scene.understudy
        try:
            plate = clip.resolve(context) if {"extract", "merge"} & set(self.stages) else None
            stages = [specs.STAGES[name](settings, plate) for name in self.stages]
            started = runner.start(context.scene, stages)
            if plate is not None:
                for note in plate.notes:
                    self.report({"WARNING"}, note)
                _compare_colour(plate, bool(settings.colour_space))
            if self.wait:
                runner.wait(lambda: started.over)
                failure = started.failure()
                if failure is not None:
                    return fail(self, failure)
        except UnderstudyError as error:
            return fail(self, error)
        return {"FINISHED"}


class UNDERSTUDY_OT_swap(_Run, bpy.types.Operator):
    """Extract, train and merge; what is done already is not done again"""

    bl_idname = "understudy.swap"
    bl_label = "Swap"
    stages = ("extract", "train", "merge")


class UNDERSTUDY_OT_extract(_Run, bpy.types.Operator):
    """Find the faces of the plate"""

    bl_idname = "understudy.extract"
    bl_label = "Extract"
    stages = ("extract",)


class UNDERSTUDY_OT_train(_Run, bpy.types.Operator):
    """Train the model, or go on with it"""

    bl_idname = "understudy.train"
    bl_label = "Train"
    stages = ("train",)


class UNDERSTUDY_OT_merge(_Run, bpy.types.Operator):
    """Write the frames of this version"""

    bl_idname = "understudy.merge"
    bl_label = "Merge"
    stages = ("merge",)


class UNDERSTUDY_OT_version_up(bpy.types.Operator):
    """The next version of the output"""

    bl_idname = "understudy.version_up"
    bl_label = "Version Up"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = context.scene.understudy
        try:
            paths.output(settings)  # says what is wrong with it
        except UnderstudyError as error:
            return fail(self, error)
        settings.version += 1
        return {"FINISHED"}


class UNDERSTUDY_OT_plate(bpy.types.Operator):
    """Say which files, frames and colour space the clip stands for"""

    bl_idname = "understudy.plate"
    bl_label = "Resolve Plate"

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            plate = clip.resolve(context)
        except UnderstudyError as error:
            return fail(self, error)
        frames = f"{plate.frames[0]}-{plate.frames[-1]} ({len(plate.frames)})"
        self.report({"INFO"}, f"{plate.pattern}, frames {frames}, {plate.colour_space}")
        for note in plate.notes:
            self.report({"WARNING"}, note)
        return {"FINISHED"}


def _compare_colour(plate: clip.ClipPlate, chosen: bool) -> None:
    """Blender calls every EXR linear Rec.709 until somebody says otherwise: headers that differ are worth a word."""

    def told(call: runner.Call) -> None:
        if call.exception() is not None:
            return  # the job says it better
        guess = call.result()["plate"].get("colour", {}).get("guess", "")
        if guess and not chosen and not clip.same_space(guess, plate.colour_space):
            runner.complain(
                Refused(
                    f"the plate's headers say {guess}, the clip's colour space {plate.colour_space}, which was "
                    "taken: set the clip's, or the scene's own",
                    field="colour_space",
                )
            )

    request = {"plate": {**plate.ref(), "colourSpace": ""}}
    runner.link().call("PlateService/GetPlate", request, done=told)


classes = (
    UNDERSTUDY_OT_swap,
    UNDERSTUDY_OT_extract,
    UNDERSTUDY_OT_train,
    UNDERSTUDY_OT_merge,
    UNDERSTUDY_OT_version_up,
    UNDERSTUDY_OT_plate,
)
