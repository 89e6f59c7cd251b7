# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs from Blender 4.2 to 5.2 in compositor and Video Sequencer. Each says from which version on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import bpy

from .compat import NEW_COMPOSITOR, VERSION

if TYPE_CHECKING:
    from understudy.client.link import Refused
else:
    from .link import Refused

SEQUENCER_READS_LAYERS = VERSION >= (4, 5, 0)  # 4.2 shows magenta for any EXR that has layers
MISSING = (
    "show the plate" if VERSION >= (4, 5, 0) else "are magenta"
)  # frames that are not there, in the compositor
# An Image node puts an EXR's data window where its display window has it, though with y the wrong way round (5.2.3); a
# Movie Clip node, and before 5.1 both, centre it.
PLACED = VERSION >= (5, 1, 0)
_CONTENT = VERSION >= (5, 1, 0)  # `content_start` and handles by name; the old names go in 6.0

# Names of colour spaces of the daemon's configs (ACES cg and studio, and the colour interop ids) → Blender's own.
_SPACES = {
    "lin_ap1_scene": "ACEScg",
    "aces - acescg": "ACEScg",
    "lin_ap0_scene": "ACES2065-1",
    "aces - aces2065-1": "ACES2065-1",
    "lin_rec709": "Linear Rec.709",
    "lin_rec709_scene": "Linear Rec.709",
    "lin_rec709_srgb": "Linear Rec.709",
    "linear rec.709 (srgb)": "Linear Rec.709",
    "utility - linear - srgb": "Linear Rec.709",
    "lin_rec2020": "Linear Rec.2020",
    "lin_rec2020_scene": "Linear Rec.2020",
    "lin_p3d65_scene": "Linear DCI-P3 D65",
    "linear p3-d65": "Linear DCI-P3 D65",
    "raw": "Non-Color",
}


class Mix(NamedTuple):
    """A node that mixes colours, neither clamped, and its sockets."""

    node: bpy.types.Node
    factor: bpy.types.NodeSocket
    below: bpy.types.NodeSocket
    above: bpy.types.NodeSocket
    result: bpy.types.NodeSocket


def mix(tree: bpy.types.NodeTree) -> Mix:
    """The compositor's own mix goes with 5.0; all trees share one then."""
    if not NEW_COMPOSITOR:
        node = tree.nodes.new("CompositorNodeMixRGB")
        node.blend_type, node.use_clamp = "MIX", False
        return Mix(node, node.inputs[0], node.inputs[1], node.inputs[2], node.outputs[0])
    node = tree.nodes.new("ShaderNodeMix")
    node.data_type, node.blend_type = "RGBA", "MIX"
    node.clamp_factor = node.clamp_result = False
    sockets = {s.identifier: s for s in node.inputs}
    result = next(s for s in node.outputs if s.type == "RGBA")
    return Mix(node, sockets["Factor_Float"], sockets["A_Color"], sockets["B_Color"], result)


def with_alpha(
    tree: bpy.types.NodeTree, picture: bpy.types.NodeSocket, of: bpy.types.NodeSocket, channel: str = "Alpha"
) -> tuple[bpy.types.Node, bpy.types.Node]:
    """Nodes that give a picture a channel of another as its alpha, the last one last; nothing is multiplied.

    A Mix needs it: 5.2's mixes the alphas too, older ones leave the first one's.
    """
    parted, node = tree.nodes.new("CompositorNodeSeparateColor"), tree.nodes.new("CompositorNodeSetAlpha")
    if NEW_COMPOSITOR:
        node.inputs["Type"].default_value = "Replace Alpha"
    else:
        node.mode = "REPLACE_ALPHA"
    tree.links.new(of, parted.inputs[0])
    tree.links.new(picture, node.inputs["Image"])
    tree.links.new(parted.outputs[channel], node.inputs["Alpha"])
    return parted, node


def centred(
    tree: bpy.types.NodeTree, picture: bpy.types.NodeSocket, data: Sequence[int], display: Sequence[int]
) -> bpy.types.NodeSocket:
    """The picture of an Image node with its data window in the middle of what is rendered, pixel for pixel.

    Args:
        data, display: windows of its file: left, top, right and bottom, both inclusive.
    """
    off = [(data[i] + data[i + 2] - display[i] - display[i + 2]) / 2 for i in (0, 1)]
    if not PLACED or tuple(data) == tuple(display):
        return picture
    node = tree.nodes.new("CompositorNodeTranslate")
    node.inputs["Interpolation"].default_value = "Nearest"  # to the pixel, not within rounding of it
    node.inputs["X"].default_value, node.inputs["Y"].default_value = -off[0], -off[1]
    tree.links.new(picture, node.inputs["Image"])
    return node.outputs[0]


def scene_tree(scene: bpy.types.Scene, make: bool = False) -> bpy.types.NodeTree | None:
    """The scene's compositor tree; from 5.0 on a node group of the file."""
    if not NEW_COMPOSITOR:
        if make and not scene.use_nodes:
            fresh = scene.node_tree is None
            scene.use_nodes = True
            if fresh:  # what Blender puts there: the 3D scene's render, straight to the output
                scene.node_tree.nodes.clear()
        return scene.node_tree if scene.use_nodes else None
    if make and scene.compositing_node_group is None:
        tree = bpy.data.node_groups.new(scene.name, "CompositorNodeTree")
        tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        scene.compositing_node_group = tree
    return scene.compositing_node_group


def scene_output(tree: bpy.types.NodeTree) -> bpy.types.NodeSocket:
    """Where the scene's picture goes; the node is made where there is none."""
    kind = "NodeGroupOutput" if NEW_COMPOSITOR else "CompositorNodeComposite"
    node = next((n for n in tree.nodes if n.bl_idname == kind), None) or tree.nodes.new(kind)
    if NEW_COMPOSITOR and not any(s.type == "RGBA" for s in node.inputs):
        tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
    return next(s for s in node.inputs if s.type == "RGBA")


def colour_space(name: str) -> str:
    """Blender's name of a colour space that the daemon names.

    Raises:
        Refused: this Blender has none like it.
    """
    known = bpy.types.ColorManagedInputColorspaceSettings.bl_rna.properties["name"].enum_items.keys()
    wanted = _SPACES.get(name.lower(), name).lower()
    for own in known:
        if own.lower() == wanted:
            return own
    raise Refused(
        f"{name}: this Blender has no such colour space, only {', '.join(known)}", field="colour_space"
    )


def strips(owner: Any) -> Any:
    """Of an editing or a meta strip; called sequences until 4.4."""
    return owner.strips if hasattr(owner, "strips") else owner.sequences


def active_strip(context: bpy.types.Context) -> Any:
    """The active strip, or None."""
    scene = sequencer_scene(context)
    return scene.sequence_editor.active_strip if scene.sequence_editor else None


def sequencer_scene(context: bpy.types.Context) -> bpy.types.Scene:
    """From 5.0 on the sequencer may show another scene than the window."""
    return getattr(context, "sequencer_scene", None) or context.scene


def start(strip: Any) -> int:
    """The scene's frame where its content begins, trimmed or not."""
    return int(strip.content_start if _CONTENT else strip.frame_start)


def handles(strip: Any) -> tuple[int, int]:
    """The first frame that shows it, and the one after the last."""
    if _CONTENT:
        return int(strip.left_handle), int(strip.right_handle)
    return int(strip.frame_final_start), int(strip.frame_final_end)


def set_handles(strip: Any, left: int, right: int) -> None:
    """Trim it; the content stays where it is."""
    names = ("left_handle", "right_handle") if _CONTENT else ("frame_final_start", "frame_final_end")
    order = zip(names, (left, right), strict=True)
    for name, at in order if left < handles(strip)[1] else reversed(list(order)):
        setattr(strip, name, at)


def move(strip: Any, to: int) -> None:
    """Put the content's beginning there, with its trims."""
    setattr(strip, "content_start" if _CONTENT else "frame_start", to)
