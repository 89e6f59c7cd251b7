# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture of what a merge would make of this frame, or of where a training stands: no file of the shot is made."""

import base64
import os

import bpy
import bpy.utils.previews
from bpy.props import EnumProperty, IntProperty

from . import clip, runner, specs
from .ops_base import Steady, Steps
from .runner import Refused

IMAGE = "Understudy preview"  # also an image of the file, for the Image Editor
_shown: bpy.utils.previews.ImagePreviewCollection | None = None
caption = ""


def icon() -> int:
    """Of the latest preview, for `template_icon`; 0 where there is none."""
    return _shown["preview"].icon_id if _shown is not None and "preview" in _shown else 0


class UNDERSTUDY_OT_preview(Steady):
    """Show what the merge would make of this frame, or how far the training is"""

    bl_idname = "understudy.preview"
    bl_label = "Preview"
    bl_options = {"REGISTER"}

    what: EnumProperty(
        name="What",
        items=(
            ("FRAME", "Frame", "This frame as a merge would make it now"),
            ("TRAINING", "Training", "Faces by the model that is being trained"),
        ),
    )
    size: IntProperty(
        name="Size",
        default=1024,
        min=0,
        description="Pixels of the longer side at most; 0: as the plate has it",
    )

    def steps(self, context: bpy.types.Context) -> Steps:
        global caption
        settings = context.scene.understudy
        if self.what == "TRAINING":
            request = {"model": specs.folder(settings, "model", "model"), "asker": "blender"}
            asked = runner.Gathered("PreviewService/PreviewTraining", request)
        else:
            plate = clip.resolve(context)
            frame = plate.file(context.scene.frame_current - plate.start + 1)
            if frame not in plate.frames:
                raise Refused(f"frame {frame} is none of the plate's", field="frame")
            merge = specs.merge(settings, plate)[1]["merge"]
            request = {"merge": merge, "frame": frame, "size": self.size, "asker": "blender"}
            asked = runner.Gathered("PreviewService/PreviewFrame", request)
        yield asked
        parts = asked.result()
        _show(b"".join(base64.b64decode(part["data"]) for part in parts if "data" in part))
        told = next((part["preview"] for part in parts if "preview" in part), {})
        caption = ", ".join(["iteration {}".format(told.get("iteration", 0)), *told.get("warnings", [])])
        self.report({"INFO"}, caption)


def _show(png: bytes) -> None:
    folder = bpy.utils.extension_path_user(__package__, path="previews", create=True)
    path = os.path.join(folder, "preview.png")
    with open(path, "wb") as file:
        file.write(png)
    if _shown is not None:
        _shown.clear()
        _shown.load("preview", path, "IMAGE")
    image = bpy.data.images.get(IMAGE)
    if image is None:
        image = bpy.data.images.load(path)
        image.name = IMAGE
    image.reload()
    runner.redraw()


def register() -> None:
    global _shown
    _shown = bpy.utils.previews.new()


def unregister() -> None:
    global _shown
    if _shown is not None:
        bpy.utils.previews.remove(_shown)
    _shown = None


classes = (UNDERSTUDY_OT_preview,)
