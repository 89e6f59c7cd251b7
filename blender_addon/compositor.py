# SPDX-License-Identifier: GPL-3.0-or-later
"""The node group of a shot: Blender's own nodes, which rebuild the comp from the layers by the published rule.

    rgb = plate × (1 − mask_blend) + face × mask_blend

so a file renders wherever Blender does, without this add-on. It is laid out from left to right: the plate's pipe
straight along the top, the layers below it, and where two people are swapped one mix follows the other.
"""

from __future__ import annotations

import bpy

from . import compat_comp as compat
from .merged import FACE, MATTE, Merged, counted

NAME = "Understudy: shot"
LAYERS = "Layers"  # the Image node's name
MARK = "understudy"  # a group's own property: it is ours
PEOPLE = "understudy_people"  # and for whom it was built: what stands before their layers' names
PLATE, REBUILT, AS_MERGED = "Plate", "Image", "As Merged"  # sockets of the group

ENDLESS = 1_000_000  # frames; Blender's own limit is 1,048,574

_COLUMN, _ROW = 240, 150  # between nodes, in the editor's units
_COLOURS = {"layers": (0.20, 0.26, 0.16), "person": (0.30, 0.24, 0.16), "out": (0.18, 0.18, 0.22)}


def build(merged: Merged, start: int) -> bpy.types.NodeTree:
    """A new group for what a merge has written.

    Its input is the plate; it gives the comp rebuilt, the comp as merged, and each layer by its name, where each
    person's face and matte are as they are after what was changed by hand.

    Args:
        start: the scene's frame that shows the merge's first frame.

    Raises:
        Refused: a colour space, or a way of numbering frames, that this Blender has not.
    """
    counted(merged)
    colour = compat.colour_space(merged.colour_space)
    group = bpy.data.node_groups.new(NAME, "CompositorNodeTree")
    group[MARK], group[PEOPLE] = 1, list(merged.people)
    given = {person + name for person in merged.people for name in (FACE, MATTE)}
    group.interface.new_socket(PLATE, in_out="INPUT", socket_type="NodeSocketColor")
    for name in (REBUILT, AS_MERGED, *merged.layers):
        kind = "NodeSocketFloat" if len(merged.header.layers.get(name, "RGB")) == 1 else "NodeSocketColor"
        group.interface.new_socket(name, in_out="OUTPUT", socket_type=kind)
    read = layers_node(group, merged, start, colour)
    plate, out = group.nodes.new("NodeGroupInput"), group.nodes.new("NodeGroupOutput")
    _place(plate, 0, 0)
    _frame(group, "layers of the merge", "layers", read)
    pipe = plate.outputs[PLATE]
    for i, person in enumerate(merged.people):
        pipe = _person(group, person, read, pipe, column=2 + 3 * i, out=out)
    last = 2 + 3 * len(merged.people)
    alpha = compat.with_alpha(group, pipe, plate.outputs[PLATE])
    for i, node in enumerate(alpha):
        _place(node, last + i, 1 - i)
    _frame(group, "the plate's own alpha", "out", *alpha)
    _place(out, last + 2.5, 0)
    group.links.new(alpha[-1].outputs[0], out.inputs[REBUILT])
    group.links.new(read.outputs["Combined"], out.inputs[AS_MERGED])
    for name in merged.layers:
        if name not in given:
            group.links.new(read.outputs[name], out.inputs[name])
    return group


def layers_node(tree: bpy.types.NodeTree, merged: Merged, start: int, colour: str) -> bpy.types.Node:
    """An Image node with the layers as sockets; frame N of the files shows on frame N − first + start."""
    node = tree.nodes.new("CompositorNodeImage")
    node.name, node.label = LAYERS, "layers of the merge"
    image = bpy.data.images.load(merged.path)
    image.source = "SEQUENCE"
    image.colorspace_settings.name = colour
    node.image = image
    _count(node, merged, start)
    _place(node, 0, 1)
    return node


def show(group: bpy.types.NodeTree, merged: Merged, start: int | None = None) -> None:
    """Have a group show these frames: another version, or more frames of the same. Its nodes stay as they are.

    Args:
        start: the scene's frame of the first one. Default: each frame stays where it is.

    Raises:
        Refused: as `build`; the group has lost its Image node, or is for other people.
    """
    counted(merged)
    built_for = list(group.get(PEOPLE, merged.people))
    if built_for != list(merged.people):
        names = [
            ", ".join(f"{p.rstrip('_') or 'the first'}" for p in each) for each in (merged.people, built_for)
        ]
        raise compat.Refused(
            f"{merged.pattern} is of other people ({names[0]}) than {group.name} ({names[1]}): "
            "Add Shot builds one anew",
            field="group",
        )
    node = reader(group)
    if start is None:
        start = scene_frame(group, merged.first)
    node.image.filepath = merged.path
    node.image.colorspace_settings.name = compat.colour_space(merged.colour_space)
    _count(node, merged, start)
    node.image.reload()
    group.update_tag()


def reader(group: bpy.types.NodeTree) -> bpy.types.Node:
    """The Image node of a group.

    Raises:
        Refused: it was deleted, or has no image any more.
    """
    node = group.nodes.get(LAYERS)
    if node is None or getattr(node, "image", None) is None:
        raise compat.Refused(
            f"{group.name}: its Image node {LAYERS} is gone; build the group anew", field="group"
        )
    return node


def scene_frame(group: bpy.types.NodeTree, number: int) -> int:
    """The scene's frame that shows the file of this number."""
    node = reader(group)
    return int(number - node.frame_offset - 1 + node.frame_start)


def groups() -> list[bpy.types.NodeTree]:
    """Those of the open file."""
    return [g for g in bpy.data.node_groups if g.get(MARK) and g.library is None]


def clip_start(clip: bpy.types.MovieClip, first_of_clip: int, number: int) -> int:
    """The scene's frame where a clip shows the file of this number.

    Args:
        first_of_clip: the number in the clip's own path.
    """
    return int(number - first_of_clip + clip.frame_start - clip.frame_offset)


def _count(node: bpy.types.Node, merged: Merged, start: int) -> None:
    """File N on frame N − first + start, and on no other.

    Within its range a node shows nothing where a file is missing; beyond it, it holds the first or the last one. So
    the range begins at file 0 and does not end.
    """
    node.frame_start, node.frame_offset, node.frame_duration = start - merged.first, -1, ENDLESS
    node.use_auto_refresh = True


def _person(
    group: bpy.types.NodeTree,
    person: str,
    read: bpy.types.Node,
    plate: bpy.types.NodeSocket,
    *,
    column: int,
    out: bpy.types.Node,
) -> bpy.types.NodeSocket:
    """One person's face over the picture so far; gives the new picture."""
    face = _spot(group, read.outputs[person + FACE], "regrade the face here", column, 1.5)
    matte = _spot(group, read.outputs[person + MATTE], "change the edge here", column, 2.2)
    mixed = compat.mix(group)
    mixed.node.label = f"{person.rstrip('_') or 'face'} over plate"
    _place(mixed.node, column + 1, 0)
    for source, into in (
        (plate, mixed.below),
        (face.outputs[0], mixed.above),
        (matte.outputs[0], mixed.factor),
    ):
        group.links.new(source, into)
    group.links.new(face.outputs[0], out.inputs[person + FACE])
    group.links.new(matte.outputs[0], out.inputs[person + MATTE])
    _frame(group, person.rstrip("_") or "face and matte", "person", mixed.node, face, matte)
    return mixed.result


def _spot(
    group: bpy.types.NodeTree, source: bpy.types.NodeSocket, label: str, column: int, row: float
) -> bpy.types.Node:
    """A corner in a wire, where other nodes go in."""
    node = group.nodes.new("NodeReroute")
    node.label = label
    _place(node, column, row)
    group.links.new(source, node.inputs[0])
    return node


def _place(node: bpy.types.Node, column: float, row: float) -> None:
    node.location = (column * _COLUMN, -row * _ROW)
    node.select = False


def _frame(group: bpy.types.NodeTree, label: str, colour: str, *nodes: bpy.types.Node) -> None:
    frame = group.nodes.new("NodeFrame")
    frame.label, frame.use_custom_color, frame.color = label, True, _COLOURS[colour]
    frame.select = False
    for node in nodes:
        node.parent = frame
