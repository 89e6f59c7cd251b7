# SPDX-License-Identifier: GPL-3.0-or-later
"""The shot in the compositor's side bar."""

import bpy

from . import compositor, panels


class UNDERSTUDY_PT_comp(bpy.types.Panel):
    bl_idname = "UNDERSTUDY_PT_comp"
    bl_label = "Shot"
    bl_space_type = "NODE_EDITOR"
    bl_region_type = "UI"
    bl_category = panels.CATEGORY

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return getattr(context.space_data, "tree_type", "") == "CompositorNodeTree"

    def draw(self, context: bpy.types.Context) -> None:
        settings, layout = context.scene.understudy, self.layout
        layout.use_property_split, layout.use_property_decorate = True, False
        layout.prop(settings, "output")
        layout.operator("understudy.comp_add", icon="NODETREE")
        draw_version(layout, settings, "understudy.comp_version")
        layout.operator("understudy.comp_refresh", icon="FILE_REFRESH")
        for group in compositor.groups():
            node = group.nodes.get(compositor.LAYERS)
            image = node.image if node else None
            layout.label(
                text=image.name if image else f"{group.name}: no image",
                icon="IMAGE_DATA" if image else "ERROR",
            )


def draw_version(layout: bpy.types.UILayout, settings: bpy.types.PropertyGroup, operator: str) -> None:
    """The version with a step down and up, and a button that shows it."""
    row = layout.row(align=True)
    row.operator(operator, text="", icon="TRIA_LEFT").by = -1
    row.prop(settings, "version")
    row.operator(operator, text="", icon="TRIA_RIGHT").by = 1
    layout.operator(operator, icon="FILE_TICK")


classes = (UNDERSTUDY_PT_comp,)
