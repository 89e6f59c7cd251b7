"""Overscan that is not the same on all sides, and a crop: plate, layers and strips lie on each other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.blender import comping
from tests.blender.conftest import VERSIONS, Blender
from tests.blender.test_compositor import check
from tests.blender.test_people import check_strip
from understudy.core import plate
from understudy.core.frames import Window

WINDOWS = {"overscan": Window(-4, -2, 180, 130), "crop": Window(20, 10, 120, 100)}

SCRIPT = (
    comping.SCENE
    + """
import os
folder, out = arguments[1:3]
settings.clip = bpy.data.movieclips.load(os.path.join(folder, "plate", "plate.1001.exr"))
settings.clip.frame_start = 1001
bpy.ops.understudy.comp_add()
result["plate"] = shot().inputs["Plate"].links[0].from_node.bl_idname
for image in bpy.data.images: image.colorspace_settings.name = "Linear Rec.709"
settings.clip.colorspace_settings.name = "Linear Rec.709"
sockets = {n: shot().outputs[n] for n in ("Image", "As Merged", "face", "mask_blend")}
render(tree(), {**sockets, "source": shot().inputs["Plate"].links[0].from_socket}, out, 1001, 1002)

# In the sequencer: the face over the plate, and the result, each by itself
compat = module("compat_comp")
scene.sequencer_colorspace_settings.name = "Linear Rec.709"
scene.view_settings.view_transform = "Standard"
scene.render.image_settings.file_format, scene.render.image_settings.color_depth = "OPEN_EXR", "32"
editing = scene.sequence_editor_create()
every = compat.strips(editing)
source = every.new_image("plate", os.path.join(folder, "plate", "plate.1001.exr"), 1, 1001)
source.elements.append("plate.1002.exr")
source.colorspace_settings.name = "Linear Rec.709"
for kind in ("OVER", "RESULT"):
    for each in every: each.select = each == source
    editing.active_strip = source
    bpy.ops.understudy.seq_add(kind=kind)
    for each in every: each.colorspace_settings.name = "Linear Rec.709"
    scene.frame_start, scene.frame_end = 1001, 1002
    scene.render.filepath = f"{out}/{kind}/out.####.exr"
    bpy.ops.render.render(animation=True)
"""
)


@pytest.mark.parametrize("kind", WINDOWS)
@pytest.mark.parametrize("version", VERSIONS)
def test_they_lie_on_each_other(version: str, kind: str, blender: Callable[[str], Blender], tmp_path: Path):
    shot = comping.merge(tmp_path / "shot", data=WINDOWS[kind], holes=False)
    pattern = shot.folder / "swap_v001" / "swap_v001.####.exr"
    seen = blender(version).run(SCRIPT, pattern, shot.folder, tmp_path / "out")
    assert (seen["plate"] == "CompositorNodeImage") is (version == "5.2")
    for number in (1001, 1002):
        assert check(tmp_path / "out", shot, number) > 500
        merged = plate.read_file(pattern.parent / f"swap_v001.{number}.exr")
        check_strip(pattern.parent / "over" / f"swap_v001_over.{number}.exr", merged)
        if version != "4.2":  # whose sequencer reads no plate with layers
            over, result = (
                comping.rgb(comping.opened(tmp_path / "out" / k, number)) for k in ("OVER", "RESULT")
            )
            assert np.percentile(np.abs(over - result), 99.9) < 0.01
            assert np.abs(over - np.roll(over, 1, axis=1)).mean() > 0.01
