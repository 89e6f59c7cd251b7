# SPDX-License-Identifier: GPL-3.0-or-later
"""The shot in the Video Sequencer's side bar."""

import bpy

from . import compat_comp as compat
from . import panels, sequencer
from .panel_compositor import draw_version


class UNDERSTUDY_PT_seq(bpy.types.Panel):
    bl_idname = "UNDERSTUDY_PT_seq"
    bl_label = "Shot"
    bl_space_type = "SEQUENCE_EDITOR"
    bl_region_type = "UI"
    bl_category = panels.CATEGORY

    def draw(self, context: bpy.types.Context) -> None:
        settings, layout = compat.sequencer_scene(context).understudy, self.layout
        layout.use_property_split, layout.use_property_decorate = True, False
        layout.prop(settings, "output")
        column = layout.column(align=True)
        for kind, label, icon in (
            (sequencer.RESULT, "Result", "IMAGE_DATA"),
            (sequencer.OVER, "Face", "USER"),
            (sequencer.MATTE, "Matte", "MOD_MASK"),
        ):
            column.operator("understudy.seq_add", text=f"Add {label}", icon=icon).kind = kind
        draw_version(layout, settings, "understudy.seq_version")
        layout.operator("understudy.seq_refresh", icon="FILE_REFRESH")


classes = (UNDERSTUDY_PT_seq,)
