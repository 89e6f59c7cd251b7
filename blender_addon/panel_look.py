# SPDX-License-Identifier: GPL-3.0-or-later
"""Panels of the Movie Clip Editor for the look, and for several people in one shot."""

import bpy

from . import look
from .panel_clip import Panel


class UNDERSTUDY_PT_look(Panel, bpy.types.Panel):
    bl_idname = "UNDERSTUDY_PT_look"
    bl_label = "Look"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        settings, layout = context.scene.understudy, self.fields(context, "recipe")
        layout.operator("understudy.look_update", icon="FILE_REFRESH")
        column = layout.column()
        column.active = not settings.recipe
        for parameter in look.described(settings):
            row = column.row()
            row.use_property_decorate = bool(parameter.get("keyable"))
            row.prop(
                settings.look, f'["{parameter["name"]}"]', text=parameter["name"].replace("_", " ").title()
            )


class UNDERSTUDY_UL_people(bpy.types.UIList):
    bl_idname = "UNDERSTUDY_UL_people"

    def draw_item(  # as Blender calls it
        self,
        _context: bpy.types.Context,
        layout: bpy.types.UILayout,
        _data: object,
        item: bpy.types.PropertyGroup,
        _icon: int,
        _active: object,
        _active_name: str,
    ) -> None:
        row = layout.row(align=True)
        row.prop(item, "name", text="", emboss=False)
        row.prop(item, "track", text="", emboss=False)


class UNDERSTUDY_PT_people(Panel, bpy.types.Panel):
    bl_idname = "UNDERSTUDY_PT_people"
    bl_label = "People"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        settings, layout = context.scene.understudy, self.layout
        row = layout.row()
        row.template_list("UNDERSTUDY_UL_people", "", settings, "people", settings, "person", rows=2)
        column = row.column(align=True)
        column.operator("understudy.person_add", text="", icon="ADD")
        column.operator("understudy.person_remove", text="", icon="REMOVE")
        if 0 <= settings.person < len(settings.people):
            layout.prop(settings.people[settings.person], "model")


classes = (UNDERSTUDY_PT_look, UNDERSTUDY_UL_people, UNDERSTUDY_PT_people)
