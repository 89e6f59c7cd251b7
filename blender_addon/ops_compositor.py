# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators of the compositor: the shot as a node group, its versions, new frames as they land."""

import os
import re

import bpy
from bpy.props import IntProperty

from . import compat_comp as compat
from . import compositor, merged, paths, runner
from .landing import Landing
from .merged import Merged, find
from .ops_base import fail
from .runner import UnderstudyError
from .sequencer import plain


class UNDERSTUDY_OT_comp_add(bpy.types.Operator):
    """Put the shot into the compositor as a node group, built from the layers of the merge"""

    bl_idname = "understudy.comp_add"
    bl_label = "Add Shot"
    bl_options = {"REGISTER", "UNDO"}

    start: IntProperty(
        name="Start",
        description="Scene frame of the merge's first frame. Not set: where the plate's clip has it",
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = context.scene
        try:
            found = find(paths.output(scene.understudy))
            start = self.start if self.properties.is_property_set("start") else first_frame(scene, found)
            group = compositor.build(found, start)
        except UnderstudyError as error:
            return fail(self, error)
        tree = compat.scene_tree(scene, make=True)
        try:
            plate = _plate(scene, tree, found, start)
        except UnderstudyError as error:
            return fail(self, error)
        if plate is None:
            self.report({"WARNING"}, f"{found.plate}: the plate is not there; connect one to the group")
        node = tree.nodes.new("CompositorNodeGroup")
        node.node_tree, node.label, node.width = group, compositor.NAME, 200
        _wire(node, plate)
        for each in tree.nodes:
            each.select = each == node
        tree.nodes.active = node
        for text in remarks(scene, found):
            self.report({"WARNING"}, text)
        return {"FINISHED"}


class UNDERSTUDY_OT_comp_version(bpy.types.Operator):
    """Show another version in the groups of this file; what was changed in them by hand stays"""

    bl_idname = "understudy.comp_version"
    bl_label = "Show Version"
    bl_options = {"REGISTER", "UNDO"}

    version: IntProperty(name="Version", min=0, description="Not set: the scene's own")
    by: IntProperty(name="Step", description="So many versions on", options={"SKIP_SAVE"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = context.scene.understudy
        set_ = self.properties.is_property_set("version")
        wanted = (self.version if set_ else settings.version) + self.by
        try:
            found = find(paths.output(settings, wanted))
            count = show(found)
        except UnderstudyError as error:
            return fail(self, error)
        settings.version = wanted
        self.report({"INFO"}, f"version {wanted} in {count} groups, frames {said(found)}")
        return {"FINISHED"}


class UNDERSTUDY_OT_comp_refresh(bpy.types.Operator):
    """Read the layers again, with the frames that have landed since"""

    bl_idname = "understudy.comp_refresh"
    bl_label = "Refresh Layers"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, _context: bpy.types.Context) -> set[str]:
        try:
            count = refresh()
        except UnderstudyError as error:
            return fail(self, error)
        self.report({"INFO"}, f"{count} groups read again")
        return {"FINISHED"}


def first_frame(scene: bpy.types.Scene, found: Merged) -> int:
    """The scene's frame of the merge's first frame: where the clip shows that file, else that number itself."""
    clip = scene.understudy.clip or scene.active_clip
    number = re.search(r"(\d+)(?=\.\w+$)", clip.filepath) if clip and clip.source == "SEQUENCE" else None
    return compositor.clip_start(clip, int(number[1]), found.first) if number else found.first


def remarks(scene: bpy.types.Scene, found: Merged) -> list[str]:
    """What the artist should know of these frames in this scene."""
    told_ = []
    missing = merged.gaps(found.numbers)
    if missing:
        told_.append(f"{len(missing)} frames are not there, {missing[0]} the first: they {compat.MISSING}")
    rate = scene.render.fps / scene.render.fps_base
    if found.header.rate and abs(rate - found.header.rate) > 0.001:
        told_.append(
            f"the plate has {found.header.rate:.3f} frames a second and the scene {rate:.3f}: frames go one for one"
        )
    if found.header.data != found.header.display:
        width, height = found.header.size
        where = "off its middle where the margins are uneven" if compat.PLACED else "centred"
        told_.append(f"overscan or a crop: Blender shows the data window, {width} × {height}, {where}")
    if found.header.views:
        told_.append("views " + ", ".join(found.header.views) + ": the group is of the first one")
    return told_


def show(found: Merged) -> int:
    """These frames in all groups of the same shot; how many there are.

    Raises:
        Refused: in a group as `compositor.show`; there is no group of this shot.
    """
    shown = [group for group in compositor.groups() if _same_shot(group, found.pattern)]
    if not shown:
        raise compat.Refused("no node group of this shot in the file: Add Shot makes one", field="group")
    for group in shown:
        compositor.show(group, found)
    return len(shown)


def refresh() -> int:
    """Read all groups' frames again."""
    for group in compositor.groups():
        compositor.show(group, find(pattern(group)))
    return len(compositor.groups())


def pattern(group: bpy.types.NodeTree) -> str:
    """Of the frames that a group shows."""
    path = bpy.path.abspath(compositor.reader(group).image.filepath)
    return re.sub(r"\d+(?=\.\w+$)", lambda m: "#" * len(m[0]), path.replace("\\", "/"))


def said(found: Merged) -> str:
    return f"{found.first}-{found.last}"


def _same_shot(group: bpy.types.NodeTree, wanted: str) -> bool:
    """The same pattern but for versions and padding."""
    return plain(pattern(group)) == plain(wanted)


def _wire(node: bpy.types.Node, plate: "bpy.types.NodeSocket | None") -> None:
    """The plate into the group, the group into what has no picture yet."""
    tree = node.id_data
    if plate is not None:
        x, y = plate.node.location
        node.location = (x + plate.node.width + 80, y)
        tree.links.new(plate, node.inputs[compositor.PLATE])
    out = compat.scene_output(tree)
    if not out.is_linked:
        out.node.location = (node.location.x + 280, node.location.y)
        tree.links.new(node.outputs[compositor.REBUILT], out)


def _plate(
    scene: bpy.types.Scene, tree: bpy.types.NodeTree, found: Merged, start: int
) -> "bpy.types.NodeSocket | None":
    """The picture of the selected node, else of the plate's clip, else of its files in a node of their own."""
    active = tree.nodes.active
    # of the 3D scene no plate was filmed: Blender leaves its node selected where nobody has chosen one
    picked = active is not None and active.select and active.bl_idname != "CompositorNodeRLayers"
    chosen = active.outputs if picked else ()
    for socket in chosen:
        if socket.type == "RGBA":
            return socket
    clip = scene.understudy.clip or scene.active_clip
    plate = found._replace(pattern=paths.here(found.plate))
    there = os.path.isfile(plate.path)
    if clip and not (there and compat.PLACED and found.header.data != found.header.display):
        node = tree.nodes.new("CompositorNodeMovieClip")
        node.clip = clip
        return node.outputs[0]
    if not there:
        return None
    node = compositor.layers_node(tree, plate, start, _plate_space(found))
    node.name = node.label = "Plate"
    node.location = (0, 0)
    return node.outputs[0]


def _plate_space(found: Merged) -> str:
    return compat.colour_space(found.header.texts.get("understudy/plateColour", "") or found.colour_space)


def landed(wanted: str) -> None:
    """Have the groups show what is on disk of this pattern, where there are such groups."""
    if merged.numbers(wanted) and any(_same_shot(group, wanted) for group in compositor.groups()):
        show(find(wanted))


_landing = Landing(landed)


def register() -> None:
    runner.listen(_landing)


def unregister() -> None:
    runner.unlisten(_landing)


classes = (UNDERSTUDY_OT_comp_add, UNDERSTUDY_OT_comp_version, UNDERSTUDY_OT_comp_refresh)
