# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators of the look's settings and of the list of people."""

import bpy

from . import look, runner
from .ops_base import Steady, Steps

INFO_S = 60.0  # a daemon that has to be started first included


class UNDERSTUDY_OT_look_update(Steady):
    """Ask the daemon which settings the look has: new ones appear, and the others keep their values"""

    bl_idname = "understudy.look_update"
    bl_label = "Get Settings"

    def steps(self, context: bpy.types.Context) -> Steps:
        scene = context.scene.name
        asked = runner.link().call("SystemService/GetInfo", deadline_s=INFO_S)
        yield asked
        added = look.add(bpy.data.scenes[scene].understudy, asked.result()["recipe"])
        self.report({"INFO"}, f"{len(added)} new settings")


class UNDERSTUDY_OT_person_add(bpy.types.Operator):
    """Another person of the shot, with the model that is set now"""

    bl_idname = "understudy.person_add"
    bl_label = "Add Person"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = context.scene.understudy
        free = next(n for n in range(len(settings.people) + 1) if all(n != p.track for p in settings.people))
        person = settings.people.add()
        person.track = max(settings.track, 0) if len(settings.people) == 1 else free
        person.name, person.model = f"person{person.track}", settings.model
        settings.person = len(settings.people) - 1
        return {"FINISHED"}


class UNDERSTUDY_OT_person_remove(bpy.types.Operator):
    """Take the chosen person out of the list"""

    bl_idname = "understudy.person_remove"
    bl_label = "Remove Person"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return bool(context.scene.understudy.people)

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = context.scene.understudy
        settings.people.remove(min(settings.person, len(settings.people) - 1))
        settings.person = max(0, min(settings.person, len(settings.people) - 1))
        return {"FINISHED"}


classes = (UNDERSTUDY_OT_look_update, UNDERSTUDY_OT_person_add, UNDERSTUDY_OT_person_remove)
