# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames for the sequencer, which sees one picture in a file: Blender's compositor writes them from the layers.

`over` is face × mask_blend with mask_blend as alpha: premultiplied, to be laid over the plate; `matte` is mask_blend
as grey; `flat` is the result alone. They are half EXR in the merge's own colour space: nothing is converted.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import bpy

from . import compat_comp as compat
from . import compositor
from .merged import FACE, MATTE, Merged, at_frame, numbers
from .sequencer import FLAT, pattern_of
from .sequencer import MATTE as MATTE_STRIP

SCRATCH = "Understudy: writing"


def missing(found: Merged, kind: str) -> list[int]:
    """Frames of a merge of which this kind is not written yet, or older than the merge's own."""
    pattern = pattern_of(found.pattern, kind)
    there = set(numbers(pattern))

    def fresh(n: int) -> bool:
        at = at_frame
        return n in there and os.path.getmtime(at(pattern, n)) >= os.path.getmtime(at(found.pattern, n))

    return [n for n in found.numbers if not fresh(n)]


def write(found: Merged, kind: str, wanted: list[int]) -> Iterator[None]:
    """Render these frames; in a window Blender renders on its own thread, and this gives None while it does."""
    scene = _scene(found, kind)
    display = bpy.context.preferences.view.render_display_type
    bpy.context.preferences.view.render_display_type = "NONE"
    call = "EXEC_DEFAULT" if bpy.app.background else "INVOKE_DEFAULT"
    try:
        for first, last in _spans(wanted):
            scene.frame_start, scene.frame_end = first, last
            bpy.ops.render.render(call, animation=True, scene=scene.name)
            while bpy.app.is_job_running("RENDER"):
                yield None
    finally:
        bpy.context.preferences.view.render_display_type = display
        if not bpy.app.is_job_running("RENDER"):  # else the next one clears up
            _clear()


def _scene(found: Merged, kind: str) -> bpy.types.Scene:
    """A scene of its own that renders one kind, frame N to file N."""
    _clear()
    scene = bpy.data.scenes.new(SCRATCH)
    tree = compat.scene_tree(scene, make=True)
    tree.nodes.clear()
    read = compositor.layers_node(tree, found, found.first, "Non-Color")
    picture = compat.centred(tree, _picture(tree, read, found, kind), found.header.data, found.header.display)
    tree.links.new(picture, compat.scene_output(tree))
    render = scene.render
    render.resolution_x, render.resolution_y = found.header.size
    render.resolution_percentage, render.use_sequencer = 100, False
    render.filepath = pattern_of(found.pattern, kind)
    os.makedirs(os.path.dirname(render.filepath), exist_ok=True)
    form = render.image_settings
    form.file_format, form.color_mode, form.color_depth, form.exr_codec = "OPEN_EXR", "RGBA", "16", "ZIP"
    return scene


def _picture(
    tree: bpy.types.NodeTree, read: bpy.types.Node, found: Merged, kind: str
) -> bpy.types.NodeSocket:
    if kind == FLAT:
        return read.outputs["Combined"]
    faces = [(read.outputs[p + FACE], read.outputs[p + MATTE]) for p in found.people]
    grey = _over_black(tree, [(None, matte) for _, matte in faces])
    if kind == MATTE_STRIP:
        return grey
    return compat.with_alpha(tree, _over_black(tree, faces), grey, "Red")[-1].outputs[0]


def _over_black(tree: bpy.types.NodeTree, faces: list) -> bpy.types.NodeSocket:
    """One over the other, over black; white where there is no face."""
    below = None
    for face, matte in faces:
        mixed = compat.mix(tree)
        mixed.below.default_value, mixed.above.default_value = (0, 0, 0, 1), (1, 1, 1, 1)
        for source, into in ((below, mixed.below), (face, mixed.above), (matte, mixed.factor)):
            if source is not None:
                tree.links.new(source, into)
        below = mixed.result
    return below


def _spans(wanted: list[int]) -> Iterator[tuple[int, int]]:
    """Runs of neighbours, first and last."""
    begin = wanted[0] if wanted else 0
    for a, b in zip(wanted, [*wanted[1:], None], strict=True):
        if b != a + 1:
            yield begin, a
            begin = b


def _clear() -> None:
    """Take away what a render left."""
    for scene in [s for s in bpy.data.scenes if s.name.startswith(SCRATCH)]:
        tree = compat.scene_tree(scene)
        images = {n.image for n in tree.nodes if getattr(n, "image", None)} if tree else set()
        bpy.data.scenes.remove(scene)
        for image in images:
            bpy.data.images.remove(image)
    for tree in [t for t in bpy.data.node_groups if t.name.startswith(SCRATCH)]:
        bpy.data.node_groups.remove(tree)
