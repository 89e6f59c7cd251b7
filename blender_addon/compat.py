# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs from Blender 4.2 LTS to 5.2 LTS, in one place. Each says from which version on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import bpy

VERSION: tuple[int, int, int] = tuple(bpy.app.version)
NEW_COMPOSITOR = VERSION >= (5, 0, 0)  # a node group of the file, its sockets in place of nodes' properties


def folder_options() -> dict[str, Any]:
    """Keywords of a path property that takes Blender's `//`: 4.2 refuses the option, later ones want it."""
    return {"options": {"PATH_SUPPORTS_BLEND_RELATIVE"}} if VERSION >= (4, 5, 0) else {}


@contextlib.contextmanager
def clip_editor(
    context: bpy.types.Context, clip: bpy.types.MovieClip, mode: str = "TRACKING"
) -> Iterator[Any]:
    """A Movie Clip Editor that shows the clip, for operators that need one; what was there comes back.

    Args:
        mode: of the editor's space: `TRACKING` or `MASK`.

    Yields:
        The space, within a context where that editor is the active one.
    """
    window = context.window or context.window_manager.windows[0]
    area = context.area if context.area and context.area.type == "CLIP_EDITOR" else None
    area = area or max(window.screen.areas, key=lambda a: a.width * a.height)
    kind = area.type
    area.type = "CLIP_EDITOR"
    space = area.spaces.active
    before = (space.clip, space.mode, space.mask)
    region = next(r for r in area.regions if r.type == "WINDOW")
    try:
        space.clip, space.mode = clip, mode
        with context.temp_override(window=window, area=area, region=region, space_data=space):
            yield space
    finally:
        space.clip, space.mode, space.mask = before
        area.type = kind


def compositor_of(scene: bpy.types.Scene) -> bpy.types.NodeTree:
    """An empty compositor of a scene that had none. From 5.0 on it is a node group of the file."""
    if NEW_COMPOSITOR:
        tree = bpy.data.node_groups.new(scene.name, "CompositorNodeTree")
        tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        scene.compositing_node_group = tree
        return tree
    scene.use_nodes = True
    scene.node_tree.nodes.clear()
    return scene.node_tree


def compositor_output(tree: bpy.types.NodeTree) -> bpy.types.Node:
    """A new node whose first socket is the picture. 5.0 has no Composite node any more."""
    return tree.nodes.new("NodeGroupOutput" if NEW_COMPOSITOR else "CompositorNodeComposite")


def on_cpu(render: bpy.types.RenderSettings) -> None:
    """Composite on the CPU, which is there everywhere."""
    render.compositor_device = "CPU"


def fcurves(animation: bpy.types.AnimData) -> list[bpy.types.FCurve]:
    """Of its action; from 4.4 on an action has layers, and a slot for each thing that it animates."""
    action = animation.action
    if action is None:
        return []
    if not hasattr(animation, "action_slot"):
        return list(action.fcurves)
    if animation.action_slot is None:
        return []
    bags = [s.channelbag(animation.action_slot) for layer in action.layers for s in layer.strips]
    return [curve for bag in bags if bag is not None for curve in bag.fcurves]
