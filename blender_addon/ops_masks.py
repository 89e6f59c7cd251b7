# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks of the mask editor as mattes of a merge and as labels of the faces; and the landmarks' hull as a mask."""

import os
from collections.abc import Generator

import bpy
from bpy.props import EnumProperty, StringProperty

from . import clip, compat, faces, paths, rasterise, runner, specs
from .ops_base import Steady, Steps
from .runner import Refused

HULL = "Understudy hull"
_HANDLE = 1.0 / 3.0  # of the way to the neighbour: the spline between them is straight


class _OfAMask:
    """To be mixed into an operator on a mask."""

    mask: StringProperty(name="Mask", description="Empty: the one that the editor shows, or the only one")

    def chosen(self, context: bpy.types.Context) -> str:
        shown = getattr(context.space_data, "mask", None) if context.space_data else None
        only = bpy.data.masks[0].name if len(bpy.data.masks) == 1 else ""
        name = self.mask or (shown.name if shown else only)
        if name not in bpy.data.masks:
            raise Refused(f"there is no mask {name!r}" if name else "choose a mask", field="mask")
        return name

    def ready(self, context: bpy.types.Context) -> clip.ClipPlate:
        """The plate; pixels must be square, as Blender draws masks without a look at the clip's aspect."""
        shown = clip.active(context)
        if shown.display_aspect[0] != shown.display_aspect[1]:
            raise Refused(
                f"{shown.name}: its pixels are not square; set the clip's display aspect to 1:1 and draw the mask so",
                field="clip",
            )
        return clip.resolve(context)

    def asked(self, plate: clip.ClipPlate) -> Generator[runner.Call, None, clip.Windows]:
        """The plate's windows; it must be of one view, for the mask is drawn on one."""
        windows = yield from faces.ask_windows(plate)
        if windows.view:
            raise Refused(
                f"{plate.pattern}: a stereo plate, of which the clip shows the view {windows.view} and a mask would "
                "count in all; write a matte for each view elsewhere, with %V in its name, and set it as Matte",
                field="mask",
            )
        return windows


class UNDERSTUDY_OT_mask_to_matte(_OfAMask, Steady):
    """Write the mask, feather and all, on every frame of the plate: the merge lets the face go only where it is"""

    bl_idname = "understudy.mask_to_matte"
    bl_label = "Mask to Matte"

    def steps(self, context: bpy.types.Context) -> Steps:
        mask, plate, settings = self.chosen(context), self.ready(context), context.scene.understudy
        scene = context.scene.name
        pattern = paths.local(settings.user_matte, "user_matte")
        if not pattern:
            folder = os.path.dirname(paths.output(settings)) + "_matte"
            pattern = f"{folder}/matte.####.exr"
        windows = yield from self.asked(plate)
        yield from rasterise.frames(mask, plate, windows, pattern, plate.frames)
        bpy.data.scenes[scene].understudy.user_matte = pattern
        self.report({"INFO"}, f"{len(plate.frames)} frames: {pattern}")


class UNDERSTUDY_OT_mask_to_labels(_OfAMask, Steady):
    """Teach the segmenter: the mask, on these frames, becomes the label of the face"""

    bl_idname = "understudy.mask_to_labels"
    bl_label = "Mask to Labels"

    marks: EnumProperty(
        name="Marks",
        items=(
            ("face", "The Face", "All of it that is seen"),
            ("occluder", "What Covers It", "A hand, hair, glasses"),
        ),
    )
    which: EnumProperty(
        name="Frames",
        items=(("CURRENT", "This One", "The frame that is shown"), ("ALL", "All", "All of the plate")),
    )

    def steps(self, context: bpy.types.Context) -> Steps:
        mask, plate, settings = self.chosen(context), self.ready(context), context.scene.understudy
        scene = context.scene.name
        folder = paths.local(settings.dst_faceset, "dst_faceset")
        if not folder:
            raise Refused("set the target faces", field="dst_faceset")
        if self.which == "CURRENT":
            now = plate.file(context.scene.frame_current - plate.start + 1)
            if now not in plate.frames:
                raise Refused(f"frame {now} is none of the plate's", field="which")
            plate = clip.of_frames(plate, (now,))
        pattern = f"{folder}_labels/label.####.exr"
        windows = yield from self.asked(plate)
        yield from rasterise.frames(mask, plate, windows, pattern, plate.frames)
        settings = bpy.data.scenes[scene].understudy
        runner.start(bpy.data.scenes[scene], [specs.label(settings, plate, pattern, self.marks)])
        self.report({"INFO"}, f"{len(plate.frames)} frames: {pattern}")


class UNDERSTUDY_OT_hull_to_mask(Steady):
    """The outline of the landmarks as a mask, a shape on every frame: to mend by hand, and to send as a matte"""

    bl_idname = "understudy.hull_to_mask"
    bl_label = "Hull to Mask"

    def steps(self, context: bpy.types.Context) -> Steps:
        shown, scene = clip.active(context).name, context.scene.name
        shot = yield from faces.ask(context)
        name = _new_mask()
        before = bpy.data.scenes[scene].frame_current
        try:
            for number, face in sorted(shot.faces.items()):
                points = [shot.windows.to_mask(*point) for point in faces.outline(face)]
                _key(shown, scene, name, shot.plate.scene(number), points)
                yield None
        finally:
            if scene in bpy.data.scenes:
                bpy.data.scenes[scene].frame_current = before
        mask = bpy.data.masks[name]
        files = sorted(shot.faces)
        mask.frame_start, mask.frame_end = shot.plate.scene(files[0]), shot.plate.scene(files[-1])
        self.report({"INFO"}, f"{len(files)} shapes in {name}")


def _new_mask() -> str:
    """An empty mask with a ring of points; its name."""
    mask = bpy.data.masks.new(HULL)
    spline = mask.layers.new(name="hull").splines.new()
    spline.use_cyclic = True
    spline.points.add(27 - len(spline.points))
    for point in spline.points:
        point.handle_type = "FREE"
        point.select = True  # only what is selected gets a shape
    return mask.name


def _key(shown: str, scene: str, name: str, frame: int, points: list[faces.Point]) -> None:
    """A shape on one frame of the scene."""
    mask = bpy.data.masks[name]
    ring = mask.layers[0].splines[0].points
    for i, point in enumerate(ring):
        x, y = points[i]
        point.co = (x, y)
        for side, (nx, ny) in (
            ("handle_left", points[i - 1]),
            ("handle_right", points[(i + 1) % len(points)]),
        ):
            setattr(point, side, (x + _HANDLE * (nx - x), y + _HANDLE * (ny - y)))
    bpy.data.scenes[scene].frame_current = frame
    with compat.clip_editor(bpy.context, bpy.data.movieclips[shown], "MASK") as space:
        space.mask = mask
        bpy.ops.mask.shape_key_insert()


classes = (UNDERSTUDY_OT_mask_to_matte, UNDERSTUDY_OT_mask_to_labels, UNDERSTUDY_OT_hull_to_mask)
