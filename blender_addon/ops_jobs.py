# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators of the job list and of the preferences."""

import bpy
from bpy.props import EnumProperty, IntProperty, StringProperty

from . import runner
from .ops_base import fail
from .preferences import preferences
from .runner import UnderstudyError


class UNDERSTUDY_OT_jobs_refresh(bpy.types.Operator):
    """Ask the daemon for its latest jobs"""

    bl_idname = "understudy.jobs_refresh"
    bl_label = "Refresh Jobs"

    def execute(self, _context: bpy.types.Context) -> set[str]:
        def told(error: UnderstudyError | None) -> None:
            runner.problem = ""
            if error is not None:
                runner.complain(error)

        try:
            runner.jobs().refresh(done=told)
        except UnderstudyError as error:
            return fail(self, error)
        return {"FINISHED"}


class UNDERSTUDY_OT_job(bpy.types.Operator):
    """Steer a job; what it has finished stays"""

    bl_idname = "understudy.job"
    bl_label = "Job"

    job: StringProperty(name="Job", description="Its id")
    what: EnumProperty(
        name="What",
        items=(
            ("CancelJob", "Cancel", "End it; what is finished stays"),
            ("PauseJob", "Pause", "Let it stop at its next frame or iteration"),
            ("ResumeJob", "Resume", "Let it go on"),
            ("RetryJobFrames", "Retry", "Do again what failed"),
        ),
    )

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        return cls.bl_rna.properties["what"].enum_items[properties.what].description

    def execute(self, _context: bpy.types.Context) -> set[str]:
        try:
            runner.jobs().tell(self.what, self.job, lambda error: error and runner.complain(error))
        except UnderstudyError as error:
            return fail(self, error)
        return {"FINISHED"}


class UNDERSTUDY_OT_problem_clear(bpy.types.Operator):
    """I have read it"""

    bl_idname = "understudy.problem_clear"
    bl_label = "Clear"

    def execute(self, _context: bpy.types.Context) -> set[str]:
        runner.problem = ""
        return {"FINISHED"}


class UNDERSTUDY_OT_path_rule_add(bpy.types.Operator):
    """Add a rule"""

    bl_idname = "understudy.path_rule_add"
    bl_label = "Add Path Rule"

    def execute(self, _context: bpy.types.Context) -> set[str]:
        preferences().paths.add()
        return {"FINISHED"}


class UNDERSTUDY_OT_path_rule_remove(bpy.types.Operator):
    """Remove this rule"""

    bl_idname = "understudy.path_rule_remove"
    bl_label = "Remove Path Rule"

    index: IntProperty()

    def execute(self, _context: bpy.types.Context) -> set[str]:
        preferences().paths.remove(self.index)
        return {"FINISHED"}


classes = (
    UNDERSTUDY_OT_jobs_refresh,
    UNDERSTUDY_OT_job,
    UNDERSTUDY_OT_problem_clear,
    UNDERSTUDY_OT_path_rule_add,
    UNDERSTUDY_OT_path_rule_remove,
)
