# SPDX-License-Identifier: GPL-3.0-or-later
"""The panels in the Movie Clip Editor's side bar: the shot, its faces, mattes, training and merge."""

import bpy

from . import ops_preview
from .panels import CATEGORY, draw_text


class Panel:
    """To be mixed into a panel of the Movie Clip Editor."""

    bl_space_type = "CLIP_EDITOR"
    bl_region_type = "UI"
    bl_category = CATEGORY

    def fields(self, context: bpy.types.Context, *names: str) -> bpy.types.UILayout:
        """These settings, one below the other; the layout for more."""
        self.layout.use_property_split = True
        self.layout.use_property_decorate = False
        for name in names:
            self.layout.prop(context.scene.understudy, name)
        return self.layout


class UNDERSTUDY_PT_shot(Panel, bpy.types.Panel):
    bl_idname = "UNDERSTUDY_PT_shot"
    bl_label = "Shot"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.fields(context, "clip", "colour_space", "src_faceset", "dst_faceset", "model", "track")
        chosen = context.scene.understudy.clip or getattr(context.space_data, "clip", None)
        if chosen is not None and chosen.source == "MOVIE":
            layout.operator("understudy.ingest", icon="FILE_MOVIE")
        row = layout.row(align=True)
        row.prop(context.scene.understudy, "first", text="Frames")
        row.prop(context.scene.understudy, "last", text="")
        layout.operator("understudy.plate", icon="INFO")
        layout.operator("understudy.swap", icon="MOD_PHYSICS")


class UNDERSTUDY_PT_faces(Panel, bpy.types.Panel):
    bl_idname = "UNDERSTUDY_PT_faces"
    bl_label = "Faces"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.operator("understudy.extract", icon="VIEWZOOM")
        layout.operator("understudy.landmarks_to_tracks", icon="TRACKER")
        layout.separator()
        layout.operator("understudy.tracks_add", icon="ADD")
        self.fields(context, "interpolate")
        layout.operator("understudy.tracks_to_landmarks", icon="EXPORT")


class UNDERSTUDY_PT_mattes(Panel, bpy.types.Panel):
    bl_idname = "UNDERSTUDY_PT_mattes"
    bl_label = "Mattes"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.operator("understudy.hull_to_mask", icon="MOD_MASK")
        layout.operator("understudy.mask_to_matte", icon="RENDER_ANIMATION")
        self.fields(context, "user_matte", "user_matte_use", "segmenter")
        layout.operator("understudy.mask_to_labels", icon="BOOKMARKS")


class UNDERSTUDY_PT_train(Panel, bpy.types.Panel):
    bl_idname = "UNDERSTUDY_PT_train"
    bl_label = "Training"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.fields(context, "preset", "iterations", "minutes", "release")
        layout.operator("understudy.train", icon="PLAY")
        layout.operator("understudy.preview", text="Show Faces", icon="IMAGE_DATA").what = "TRAINING"


class UNDERSTUDY_PT_merge(Panel, bpy.types.Panel):
    bl_idname = "UNDERSTUDY_PT_merge"
    bl_label = "Merge"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.fields(context, "output", "version", "layers")
        layout.operator("understudy.version_up", icon="DUPLICATE")
        layout.operator("understudy.preview", icon="IMAGE_DATA").what = "FRAME"
        layout.operator("understudy.merge", icon="RENDER_ANIMATION")
        if ops_preview.icon():
            layout.template_icon(icon_value=ops_preview.icon(), scale=10.0)
            draw_text(layout, ops_preview.caption)


classes = (
    UNDERSTUDY_PT_shot,
    UNDERSTUDY_PT_faces,
    UNDERSTUDY_PT_mattes,
    UNDERSTUDY_PT_train,
    UNDERSTUDY_PT_merge,
)
