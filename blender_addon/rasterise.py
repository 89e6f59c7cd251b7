# SPDX-License-Identifier: GPL-3.0-or-later
"""A mask as frames on disk, drawn by Blender's own compositor: shapes, feather and parents as they are on screen."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence

import bpy

from . import clip, compat, exr_window, paths
from .runner import Refused

_SCENE = "Understudy mask"


def frames(
    mask: str, plate: clip.ClipPlate, windows: clip.Windows, pattern: str, numbers: Sequence[int]
) -> Generator[None, None, None]:
    """Steps of an operator: write the mask on these frames of the plate, one at a time.

    Args:
        mask: its name.
        windows: of the plate; the files have the same.
        pattern: of the files, on this machine.
        numbers: of the plate's files.

    Raises:
        Refused: no such mask, no frame token in the pattern; the folder cannot be written.
    """
    _check(mask, pattern)
    try:
        os.makedirs(os.path.dirname(pattern), exist_ok=True)
        for number in numbers:
            path = paths.at_frame(pattern, number)
            made = f"{path}.{os.getpid()}.exr"
            _render(mask, plate.scene(number), windows.data[2:], made)
            exr_window.place(made, path, windows.data, windows.display)
            yield None
    except OSError as error:
        raise Refused(f"{pattern}: cannot be written: {error}", field="user_matte") from error


def _check(mask: str, pattern: str) -> None:
    if mask not in bpy.data.masks:
        raise Refused("choose a mask in the Movie Clip Editor's mask mode", field="mask")
    if not paths.has_token(pattern):
        raise Refused(f"{pattern}: no frame token such as #### in it", field="user_matte")


def _render(mask: str, frame: int, size: tuple[int, int], path: str) -> None:
    """One frame, by a scene that comes and goes: nothing of the file's own scenes is touched."""
    scene = bpy.data.scenes.new(_SCENE)
    tree = None
    try:
        render, image = scene.render, scene.render.image_settings
        render.resolution_x, render.resolution_y, render.resolution_percentage = *size, 100
        render.use_sequencer, render.use_compositing, render.dither_intensity = False, True, 0.0
        render.use_file_extension, render.filepath = False, path
        compat.on_cpu(render)
        image.file_format, image.color_mode, image.color_depth, image.exr_codec = (
            "OPEN_EXR",
            "RGB",
            "16",
            "ZIP",
        )
        tree = compat.compositor_of(scene)
        node = tree.nodes.new("CompositorNodeMask")
        node.mask = bpy.data.masks[mask]
        tree.links.new(node.outputs[0], compat.compositor_output(tree).inputs[0])
        scene.frame_set(frame)
        bpy.ops.render.render(write_still=True, scene=scene.name)
    finally:
        bpy.data.scenes.remove(scene)
        if tree is not None and compat.NEW_COMPOSITOR:
            bpy.data.node_groups.remove(tree)
    if not os.path.isfile(path):
        raise Refused(f"{path}: Blender wrote nothing", field="user_matte")
