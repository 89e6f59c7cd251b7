"""The node group in real Blenders: built from a real merge, it gives the merge's own picture again.

Blender's compositor works in float32 and the merge is stored as half float, so what the group gives may differ
from what is stored by half a step of half float, which is its rounding, and by float32's own rounding. Outside the
matte it is the plate's very bits.
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

FRAMES, FACELESS = comping.FRAMES, comping.FACELESS


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> shots.Shot:
    """Three frames, overscan, NaN and Inf, a name with spaces and letters beyond ASCII; the last has no face."""
    return comping.merge(tmp_path_factory.mktemp("shot sh 010 é"))


# Numbers only, so that what comes out can be compared: Blender's working space is then the files' own.
BUILD = (
    comping.SCENE
    + """
import json
for image in list(bpy.data.images): bpy.data.images.remove(image)
result["said"] = [str(bpy.ops.understudy.comp_add())]
group = shot().node_tree
for image in bpy.data.images: image.colorspace_settings.name = "Linear Rec.709"
sockets = {s.name: s for s in shot().outputs}
result["sockets"] = list(sockets)
result["size"] = list(bpy.context.scene.render.resolution_x for _ in "1")
plate = shot().inputs["Plate"].links[0].from_node
result["plate"] = plate.bl_idname
wanted = {n: sockets[n] for n in ("Image", "As Merged", "face", "mask_blend")}
render(tree(), {**wanted, "source": plate.outputs[0]}, arguments[1], 1001, 1003)
"""
)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_group_gives_the_merge_again(
    version: str, blender: Callable[[str], Blender], shot: shots.Shot, tmp_path: Path
):
    host = blender(version)
    seen = host.run(BUILD, shot.folder / "swap_v001" / "swap_v001.####.exr", tmp_path / "out")
    assert seen["said"] == ["{'FINISHED'}"]
    assert seen["sockets"][:2] == ["Image", "As Merged"]
    covered = [check(tmp_path / "out", shot, n) for n in FRAMES]
    assert min(covered[:2]) > 500
    assert covered[2] == 0
    host.ok("understudy.comp_add")


def check(out: Path, shot: shots.Shot, number: int) -> int:
    """Rebuilt against merged, by the rule; gives how many pixels the matte covers."""
    ours = comping.opened(out, number)
    merged = plate.read_file(shot.folder / "swap_v001" / f"swap_v001.{number}.exr")
    source = plate.read_file(shot.plate.template.path(number))
    matte = comping.one(merged, "mask_blend.A")
    rebuilt, wanted, was = comping.rgb(ours, "Image"), comping.rgb(merged), comping.rgb(source)
    np.testing.assert_array_equal(comping.rgb(ours, "As Merged"), wanted)
    np.testing.assert_array_equal(comping.rgb(ours, "source"), was)
    outside = np.where(np.isinf(rebuilt), np.nan, rebuilt), np.where(np.isinf(was), np.nan, was)
    np.testing.assert_array_equal(*(picture[matte == 0] for picture in outside))  # 5.2 makes NaN of Inf
    close(rebuilt, wanted, wanted, was)
    np.testing.assert_array_equal(comping.one(ours, "Image.A"), comping.one(source, "A"))
    return int((matte > 0).sum())


# A shot whose second and third frame are still to come; then a grade on the face, and another version.
LIVE = (
    comping.SCENE
    + """
import os, shutil
folder, whole = arguments[1], arguments[2]
def landing(*numbers):
    for n in numbers:
        shutil.copy(f"{whole}/swap_v001.{n}.exr", os.path.dirname(arguments[0]))
def refused(call, **settings):
    try:
        call(**settings)
    except RuntimeError as error:
        return str(error)
def plain():
    for image in bpy.data.images: image.colorspace_settings.name = "Linear Rec.709"
    picture = {n: shot().outputs[n] for n in ("Image", "face", "mask_blend")}
    return {**picture, "source": shot().inputs["Plate"].links[0].from_node.outputs[0]}
result["early"] = refused(bpy.ops.understudy.comp_add)
landing(1001)
settings.first, settings.last = 1001, 1003
scene.render.fps, scene.render.fps_base = 25, 1.0
result["odd"] = refused(bpy.ops.understudy.comp_version)
bpy.ops.understudy.comp_add()
group = shot().node_tree
render(tree(), plain(), folder + "/first", 1001, 1003)
landing(1002, 1003)
bpy.ops.understudy.comp_refresh()
render(tree(), plain(), folder + "/all", 1001, 1003)
spot = next(n for n in group.nodes if n.label.startswith("regrade"))
mix = spot.outputs[0].links[0].to_node
stop = group.nodes.new("CompositorNodeExposure")
stop.inputs["Exposure"].default_value = 1.0
into = next(l.to_socket for l in spot.outputs[0].links if l.to_node.bl_idname != "NodeGroupOutput")
group.links.new(spot.outputs[0], stop.inputs[0])
group.links.new(stop.outputs[0], into)
links = lambda: sorted((l.from_node.name, l.from_socket.name, l.to_node.name, l.to_socket.name) for l in group.links)
before, nodes = links(), len(group.nodes)
render(tree(), plain(), folder + "/graded", 1001, 1002)
result["none"] = refused(bpy.ops.understudy.comp_version, version=7)
result["kept"] = settings.version
bpy.ops.understudy.comp_version(by=1)
result["version"] = settings.version
result["same"] = [links() == before, len(group.nodes) == nodes]
render(tree(), plain(), folder + "/second", 1001, 1002)
bpy.ops.wm.save_as_mainfile(filepath=folder + "/a é.blend")
bpy.ops.wm.open_mainfile(filepath=folder + "/a é.blend")
scene = bpy.context.scene
bpy.ops.understudy.comp_version(version=1)
render(tree(), plain(), folder + "/back", 1001, 1002)
"""
)


@pytest.mark.parametrize("version", VERSIONS)
def test_it_stays_live(version: str, blender: Callable[[str], Blender], shot: shots.Shot, tmp_path: Path):
    """Frames that have not landed show the plate (in 4.2 magenta); another version keeps what was changed by hand."""
    host, whole = blender(version), shot.folder / "swap_v001"
    other = shot.folder / "swap_v002" / "swap_v002.####.exr"
    if not other.parent.is_dir():
        comping.again(shot, "swap_v002/swap_v002.####.exr", recipe=shots.FAST.__class__())
    for folder in ("swap_v001", "swap_v002"):
        (tmp_path / "sh é" / folder).mkdir(parents=True)
    for n in FRAMES:
        name = f"swap_v002.{n}.exr"
        (tmp_path / "sh é" / "swap_v002" / name).write_bytes((other.parent / name).read_bytes())
    seen = host.run(LIVE, tmp_path / "sh é" / "swap_v001" / "swap_v001.####.exr", tmp_path, whole)
    assert "no frame of it is there yet" in seen["early"]
    assert "no node group of this shot" in seen["odd"]
    assert "swap_v007" in seen["none"]
    assert (seen["kept"], seen["version"], seen["same"]) == (1, 2, [True, True])
    for n in FRAMES:
        merged, source = (
            plate.read_file(whole / f"swap_v001.{n}.exr"),
            plate.read_file(shot.plate.template.path(n)),
        )
        for folder in ("first", "all"):
            if version == "4.2" and folder == "first" and n > FRAMES[0]:
                continue
            wanted = comping.rgb(source if folder == "first" and n > FRAMES[0] else merged)
            close(
                comping.rgb(comping.opened(tmp_path / folder, n), "Image"),
                wanted,
                wanted,
                comping.rgb(source),
            )
    for folder, at in (("graded", whole), ("second", other.parent), ("back", whole)):
        merged = plate.read_file(at / f"{at.name}.{FRAMES[0]}.exr")
        added = comping.rgb(merged, "face") * comping.one(merged, "mask_blend.A")[..., None]
        ours = comping.rgb(comping.opened(tmp_path / folder, FRAMES[0]), "Image")
        source = plate.read_file(shot.plate.template.path(FRAMES[0]))
        close(ours, comping.rgb(merged) + added, comping.rgb(merged), comping.rgb(source))
    host.ok("understudy.comp_refresh", "understudy.comp_version")


def close(ours: np.ndarray, wanted: np.ndarray, stored: np.ndarray, source: np.ndarray) -> None:
    """Within half a step of half float, of what is stored so; where the plate is no number, no mix is."""
    ok = np.isfinite(source)
    step = np.spacing(np.abs(stored[ok]).astype(np.float16)).astype(np.float32)
    assert (np.abs(ours[ok] - wanted[ok]) <= 0.501 * step + 1e-6 * np.abs(wanted[ok])).all()


REFUSED = (
    comping.SCENE
    + """
import os
folder = arguments[1]
merged, compositor = module("merged"), module("compositor")
def said(call, *given):
    try:
        return str(call(*given))
    except Exception as error:
        return f"{type(error).__name__}: {error}"
def build(pattern):
    return said(lambda: compositor.build(merged.find(f"{folder}/{pattern}"), 1))
for name in ("minus.####", "no_layers.####", "c.####_v2", "damaged.####", "text.####", "far.####", "none.####"):
    result[name] = build(name + ".exr")
result["groups"] = len(compositor.groups())
result["numbers"] = merged.numbers(folder + "/mixed.%04d.exr")
result["header"] = list(merged.find(folder + "/far.####.exr").header.size)
"""
)


def test_what_cannot_be_is_refused_by_name(
    blender: Callable[[str], Blender], shot: shots.Shot, tmp_path: Path
):
    """Numbers below 0 or not at the name's end, frames without layers, damaged ones, spaces that Blender has not."""
    good = shot.folder / "swap_v001" / "swap_v001.1001.exr"
    for name in (
        "minus.-0005.exr",
        "c.1001_v2.exr",
        *(f"mixed.{n}.exr" for n in ("0999", "10000", "99", "1001_old")),
    ):
        (tmp_path / name).write_bytes(good.read_bytes())
    (tmp_path / "no_layers.1001.exr").write_bytes(shot.plate.template.path(1001).read_bytes())
    (tmp_path / "damaged.1001.exr").write_bytes(good.read_bytes()[:200])
    (tmp_path / "text.1001.exr").write_text("no picture")
    far = good.read_bytes().replace(
        b"understudy/colour\0string\0\x06\0\0\0ACEScg", b"understudy/colour\0string\0\x06\0\0\0ACESxx"
    )
    (tmp_path / "far.1001.exr").write_bytes(far)
    seen = blender("4.5").run(REFUSED, shot.folder / "x_v001.####.exr", tmp_path)
    wanted = {
        "minus.####": "no frame below 0",
        "no_layers.####": "no layers in it",
        "c.####_v2": "takes 2 for its number",
        "damaged.####": "damaged or not whole yet",
        "text.####": "no OpenEXR file",
        "far.####": "ACESxx: this Blender has no such colour space",
        "none.####": "no frame of it is there yet",
    }
    for name, words in wanted.items():
        assert words in seen[name], seen[name]
        assert seen[name].startswith("Refused"), seen[name]
    assert (seen["groups"], seen["numbers"], seen["header"]) == (0, [999, 10000], [168, 124])
