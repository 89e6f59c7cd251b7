"""Merges for the tests in Blender, what runs inside it, and how its pictures are held against the merge's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.core import shots
from understudy.core import plate
from understudy.core.frames import Frame, Window
from understudy.core.merge import shot as merges

FRAMES = (1001, 1002, 1003)
FACELESS = 1003

# Renders sockets of a node as float EXR: `render(tree, {"name": socket}, folder, first, last)`. RGBA for all:
# 5.2.3 dies on a single channel ("double free").
RENDER = """
def render(tree, sockets, folder, first, last, size=(160, 120)):
    import os
    new = bpy.app.version >= (5, 0, 0)
    os.makedirs(folder, exist_ok=True)
    node = tree.nodes.new("CompositorNodeOutputFile")
    if new:
        node.format.media_type = "MULTI_LAYER_IMAGE"
        node.directory, node.file_name = folder + "/", "out.####"
        node.format.use_exr_interleave = True
        node.file_output_items.clear()
    else:
        node.base_path = folder + "/out."
        node.format.file_format = "OPEN_EXR_MULTILAYER"
        node.layer_slots.clear()
    node.format.color_depth, node.format.exr_codec = "32", "ZIP"
    for name, socket in sockets.items():
        if new:
            node.file_output_items.new("RGBA", name)
        else:
            node.layer_slots.new(name)
        tree.links.new(socket, node.inputs[name])
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = size
    scene.render.resolution_percentage = 100
    scene.frame_start, scene.frame_end = first, last
    scene.render.filepath = folder + "/junk"
    bpy.ops.render.render(animation=True)
    tree.nodes.remove(node)
"""
# The scene's compositor, and the shot's group in it.
NODES = """
tree = lambda: getattr(bpy.context.scene, "compositing_node_group" if bpy.app.version >= (5, 0, 0) else "node_tree")
shot = lambda: next(n for n in tree().nodes if n.bl_idname == "CompositorNodeGroup")
"""
# A plain scene: no 3D, nothing in the compositor; the shot's settings from the arguments.
SCENE = (
    RENDER
    + """
scene = bpy.context.scene
if bpy.app.version < (5, 0, 0):
    scene.use_nodes = True
    scene.node_tree.nodes.clear()
settings = scene.understudy
settings.output = arguments[0]
"""
    + NODES
)


def merge(
    folder: Path,
    *,
    out: str = "swap_v001/swap_v001.####.exr",
    data: Window = shots.DATA,
    display: Window = shots.DISPLAY,
    holes: bool = True,
    flat: bool = False,
    numbers: Sequence[int] = FRAMES,
    colour_space: str = "ACEScg",
) -> shots.Shot:
    """A short merge, as the daemon's worker runs it, into `folder`; `flat`: the plate has R, G and B alone."""
    made = {n: shots.frame(n, data=data, display=display, holes=holes) for n in numbers}
    if flat:
        made = {n: replace(f, planes={c: f.planes[c] for c in "RGB"}) for n, f in made.items()}
    shot = shots.make(
        folder, numbers=list(numbers), without_face=[FACELESS], frames=made, colour_space=colour_space
    )
    again(shot, out)
    return shot


def again(shot: shots.Shot, out: str, **changes: object) -> None:
    """The same shot merged to another version."""
    if not (shot.folder / "a.model").is_dir():
        shots.tiny_model(shot.folder / "a.model")
    list(merges.run(shot.settings(shot.folder / "a.model", out=out, **changes), colour=shots.colour()))


def rgb(frame: Frame, layer: str = "") -> np.ndarray:
    """(H, W, 3) float32 of a layer; a Blender layer's name may have a pass before its channel."""
    names = [f"{layer}.{c}" if layer else c for c in "RGB"]
    return np.stack([frame.planes[n].astype(np.float32) for n in names], axis=-1)


def one(frame: Frame, name: str) -> np.ndarray:
    return frame.planes[name].astype(np.float32)


def opened(folder: Path, number: int, stem: str = "out") -> Frame:
    return plate.read_file(folder / f"{stem}.{number:04d}.exr")
