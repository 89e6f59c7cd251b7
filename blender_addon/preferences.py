# SPDX-License-Identifier: GPL-3.0-or-later
"""The preferences: which daemon, by which bridge, whose paths, which release."""

import bpy
from bpy.props import CollectionProperty, EnumProperty, StringProperty


def _changed(_preferences: bpy.types.AddonPreferences, _context: bpy.types.Context) -> None:
    from . import runner

    runner.disconnect()


class UnderstudyPathRule(bpy.types.PropertyGroup):
    """Paths that begin with `here` are called `there` on the daemon's machine."""

    here: StringProperty(name="Here", description="How the path begins on this machine")
    there: StringProperty(name="There", description="How the daemon's machine calls it")


class UnderstudyPreferences(bpy.types.AddonPreferences):
    bl_idname = __package__

    endpoint: StringProperty(
        name="Daemon",
        description="Such as unix:/run/understudy.sock or host:7600. Empty: your own, started when it is needed",
        update=_changed,
    )
    bridge: StringProperty(
        name="Bridge",
        description="Path of `understudy`, or of a Python that has it. Empty: $UNDERSTUDY_BRIDGE, else the PATH",
        subtype="FILE_PATH",
        update=_changed,
    )
    start: EnumProperty(
        name="Where None Runs",
        items=(
            ("detached", "Start one that stays", "A training goes on when Blender is closed"),
            ("embedded", "Start one for this session", "It stops with Blender; its jobs go on with the next one"),
            ("never", "Start none", "Say that there is none"),
        ),
        update=_changed,
    )
    release: StringProperty(
        name="Release",
        description="Record that is attached to source faces where the scene names none",
        subtype="FILE_PATH",
    )
    paths: CollectionProperty(type=UnderstudyPathRule)

    def draw(self, _context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        for name in ("endpoint", "bridge", "start", "release"):
            layout.prop(self, name)
        layout.label(text="Paths on the daemon's machine")
        for i, rule in enumerate(self.paths):
            row = layout.row(align=True)
            row.use_property_split = False
            row.prop(rule, "here", text="")
            row.prop(rule, "there", text="", icon="FORWARD")
            row.operator("understudy.path_rule_remove", text="", icon="REMOVE").index = i
        layout.operator("understudy.path_rule_add", icon="ADD")


def preferences() -> UnderstudyPreferences:
    """As they are set now."""
    return bpy.context.preferences.addons[__package__].preferences


classes = (UnderstudyPathRule, UnderstudyPreferences)
