"""The shot as strips in real Blenders: range, place, colour space, gaps, versions, the face over its plate.

What the sequencer shows is rendered as float EXR with a linear sequencer, and held against the merge's own files: the
result to the bit; the face over its plate within two steps of half float, for merge, plate and
the face's own file are rounded each.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.blender import comping
from tests.blender.conftest import VERSIONS, Blender
from tests.core import shots
from understudy.core import plate
from understudy.core.frames import Window

FRAMES = comping.FRAMES
SIZE = Window(0, 0, 161, 121)


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> shots.Shot:
    """Three frames of an odd size in a space that Blender calls otherwise; two versions of them."""
    made = comping.merge(
        tmp_path_factory.mktemp("shot sh 020 é"),
        data=SIZE,
        display=SIZE,
        holes=False,
        flat=True,
        colour_space="Linear Rec.709 (sRGB)",
    )
    comping.again(made, "swap_v002/swap_v002.####.exr", recipe=shots.FAST.__class__())
    return made


EDIT = """
import json, os, shutil
folder, whole, plates = arguments[1:4]
scene = bpy.context.scene
settings = scene.understudy
settings.output = arguments[0]
scene.sequencer_colorspace_settings.name = "Linear Rec.709"
scene.view_settings.view_transform = "Standard"
scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 161, 121, 100
form = scene.render.image_settings
form.file_format, form.color_depth, form.color_mode = "OPEN_EXR", "32", "RGBA"
editing = scene.sequence_editor_create()
every = lambda: editing.strips if hasattr(editing, "strips") else editing.sequences
def landing(version, *numbers):
    for n in numbers:
        name = f"swap_v00{version}/swap_v00{version}.{n}.exr"
        shutil.copy(f"{whole}/{name}", f"{folder}/{name}")
def refused(call, **settings):
    try:
        call(**settings)
    except RuntimeError as error:
        return str(error)
def render(name, first=11, last=13):
    scene.frame_start, scene.frame_end = first, last
    scene.render.filepath = f"{folder}/{name}/out.####.exr"
    bpy.ops.render.render(animation=True)
def pick(strip):
    for each in every(): each.select = each == strip
    editing.active_strip = strip
compat = module("compat_comp")
def seen():
    ours = [s for s in every() if s.get("understudy")]
    told = lambda s: (s.blend_type, s.colorspace_settings.name, s.mute)
    return sorted([s.channel, *compat.handles(s), len(s.elements), *told(s)] for s in ours)
source = every().new_image("plate", plates + "/plate.1001.exr", 1, 11)
for n in (1002, 1003): source.elements.append(f"plate.{n}.exr")
source.colorspace_settings.name = "Linear Rec.709"
long = {"length": 5} if bpy.app.version >= (5, 0, 0) else {"frame_end": 18}
every().new_effect("in the way", "COLOR", 2, frame_start=13, **long)
next(s for s in every() if s.type == "COLOR").mute = True
pick(source)
result["early"] = refused(bpy.ops.understudy.seq_add)
landing(1, 1001, 1003)
result["none"] = refused(bpy.ops.understudy.seq_refresh)
source.use_reverse_frames = True
result["backwards"] = refused(bpy.ops.understudy.seq_add)
source.use_reverse_frames = False
bpy.ops.understudy.seq_add()
result["gap"] = seen()
render("gap")
landing(1, 1002)
bpy.ops.understudy.seq_refresh()
result["whole"] = seen()
render("whole")
ours = next(s for s in every() if s.get("understudy"))
ours.blend_alpha = 0.5
compat.set_handles(ours, 12, 14)
result["later"] = refused(bpy.ops.understudy.seq_version, version=2)
landing(2, 1001, 1002, 1003)
bpy.ops.understudy.seq_version(version=2)
ours = next(s for s in every() if s.get("understudy"))
result["second"] = [seen(), ours.blend_alpha, settings.version]
ours.blend_alpha = 1.0
render("second")
bpy.ops.understudy.seq_version(by=-1)
for s in every():
    if s.get("understudy"): s.mute = True
pick(source)
bpy.ops.understudy.seq_add(kind="OVER")
result["over"] = seen()[-1]
render("over")
pick(source)
bpy.ops.understudy.seq_add(kind="MATTE")
result["matte"] = seen()[-1]
result["left"] = [len(bpy.data.scenes), len([i for i in bpy.data.images if i.source == "SEQUENCE"])]
bpy.ops.wm.save_as_mainfile(filepath=folder + "/b.blend")
bpy.ops.wm.open_mainfile(filepath=folder + "/b.blend")
scene = bpy.context.scene
settings, editing = scene.understudy, scene.sequence_editor
bpy.ops.understudy.seq_version(version=2)
result["loaded"] = seen()
render("loaded")
"""


@pytest.mark.parametrize("version", VERSIONS)
def test_strips_lie_where_the_plate_lies(
    version: str, blender: Callable[[str], Blender], shot: shots.Shot, tmp_path: Path
):
    host = blender(version)
    for folder in ("swap_v001", "swap_v002"):
        (tmp_path / folder).mkdir()
    output = tmp_path / "swap_v001" / "swap_v001.####.exr"
    seen = host.run(EDIT, output, tmp_path, shot.folder, shot.folder / "plate")
    assert "no frame of it is there yet" in seen["early"]
    assert "no strip of this shot" in seen["none"]
    assert "backwards" in seen["backwards"]
    assert "swap_v002" in seen["later"]
    result = ["REPLACE", "Linear Rec.709", False]
    assert seen["gap"] == [[3, 11, 12, 1, *result], [3, 13, 14, 1, *result]]  # channel 2 is taken
    assert seen["whole"] == [[3, 11, 14, 3, *result]]
    assert seen["second"] == [[[3, 12, 14, 3, *result]], 0.5, 2]
    assert seen["over"] == [4, 11, 14, 3, "ALPHA_OVER", "Linear Rec.709", False]
    assert seen["matte"] == [5, 11, 14, 3, "REPLACE", "Non-Color", True]
    assert seen["left"] == [1, 0]
    assert [strip[1:4] for strip in seen["loaded"]] == [[12, 14, 3], [11, 14, 3], [11, 14, 3]]
    check_pictures(tmp_path, shot)
    host.ok("understudy.seq_add", "understudy.seq_refresh", "understudy.seq_version")


def check_pictures(folder: Path, shot: shots.Shot) -> None:
    plates = [comping.rgb(plate.read_file(shot.plate.template.path(n))) for n in FRAMES]
    first, second = (merged(shot, v) for v in (1, 2))
    same(folder / "gap", [first[0], plates[1], first[2]])
    same(folder / "whole", first)
    same(folder / "second", [plates[0], *second[1:]])
    for i, (wanted, below) in enumerate(zip(first, plates, strict=True)):
        ours = comping.rgb(comping.opened(folder / "over", 11 + i))
        step = np.spacing(np.maximum(np.abs(wanted), np.abs(below)).astype(np.float16)).astype(np.float32)
        assert (np.abs(ours - wanted) <= 2 * step).all()
    check_matte(folder, shot)


def merged(shot: shots.Shot, version: int) -> list[np.ndarray]:
    name = f"swap_v{version:03d}"
    return [comping.rgb(plate.read_file(shot.folder / name / f"{name}.{n}.exr")) for n in FRAMES]


def same(folder: Path, wanted: list[np.ndarray]) -> None:
    """To the bit, from scene frame 11 on."""
    for i, picture in enumerate(wanted):
        np.testing.assert_array_equal(comping.rgb(comping.opened(folder, 11 + i)), picture)


def check_matte(folder: Path, shot: shots.Shot) -> None:
    """Grey as the layer, to the bit; the face's file has it as its alpha."""
    for n in FRAMES:
        layers = plate.read_file(shot.folder / "swap_v001" / f"swap_v001.{n}.exr")
        matte = comping.one(layers, "mask_blend.A")
        grey = comping.opened(folder / "swap_v001" / "matte", n, "swap_v001_matte")
        over = comping.opened(folder / "swap_v001" / "over", n, "swap_v001_over")
        np.testing.assert_array_equal(comping.rgb(grey), np.stack([matte] * 3, axis=-1))
        np.testing.assert_array_equal(comping.one(over, "A"), matte)
        wanted = comping.rgb(layers, "face") * matte[..., None]
        step = np.spacing(np.abs(wanted).astype(np.float16)).astype(np.float32)
        assert (np.abs(comping.rgb(over) - wanted) <= 0.501 * step).all()
