"""Roto in: as a matte of the merge, and as labels that a segmenter learns from; by a real bridge, daemon and EXR."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.core import shots
from tests.nuke import render
from tests.nuke.test_swap import PATIENT, daemon, node_of, plug, scene  # noqa: F401 - fixtures


def roto_of(nuke: Any, plate: Any, box: tuple[float, float, float, float], **knobs: object) -> Any:
    """A Roto on the plate with a rectangle: left, bottom, right, top in Nuke's pixels."""
    roto = nuke.nodes.Roto(name="Roto", inputs=[plate], replace=True, **knobs)
    shape = nuke.rotopaint.Shape(roto["curves"])
    left, bottom, right, top = box
    for x, y in ((left, bottom), (right, bottom), (right, top), (left, top)):
        shape.append(nuke.rotopaint.ShapeControlPoint(x, y))
    roto["curves"].rootLayer.append(shape)
    roto["curves"].changed()
    return roto


@pytest.mark.parametrize(("use", "layer"), [("limit", "user"), ("add", "add"), ("keep", "keep")])
def test_a_roto_says_where_the_face_goes(
    nuke: Any,
    plug: Any,  # noqa: F811
    scene: shots.Shot,  # noqa: F811
    use: str,
    layer: str,
    tmp_path: Path,
):
    """Left half of the plate: the merge's own matte is held to it, and the very roto comes back as a layer."""
    nuke.GUI = False
    node = node_of(nuke, plug, scene, us_out=str(tmp_path / "r_v001" / "c.%04d.exr"), us_mask=use)
    node["us_first"].setValue(1001)
    node["us_last"].setValue(1002)
    roto = roto_of(nuke, node.input(0), (0, 0, 80, 120))
    node.setInput(2, roto)
    nuke._fake.state.renderer = render.write
    steps = len(nuke._fake.state.undo.steps)
    plug.merge(node).wait(PATIENT)
    assert nuke.allNodes("Write") == []
    drawn = render.evaluated(roto, 1001)
    merged = render.opened(tmp_path / "r_v001" / "c.1001.exr")
    assert drawn is not None
    mask = drawn.channel("rgba.alpha").astype(np.float16).astype(np.float32)
    crop = merged.channel("mask_valid.alpha") > 0  # the layer is as large as the face's crop
    assert crop.sum() > 2000
    np.testing.assert_array_equal(merged.channel(f"mask_{layer}.alpha")[crop], mask[crop])
    blend = merged.channel("mask_blend.alpha")
    beyond, within = blend[:, 86:].max() > 0.5, blend[50:70, 50:70].max() > 0.5
    assert (bool(beyond), bool(within)) == (use != "limit", use != "keep")
    assert sorted(p.name for p in (tmp_path / "r_v001_mask").iterdir()) == ["mask.1001.exr", "mask.1002.exr"]
    assert [name for name, _ in nuke._fake.state.undo.steps[steps:]] == ["Understudy: merge"]


def test_a_read_is_taken_as_it_is(nuke: Any, plug: Any, scene: shots.Shot, tmp_path: Path):  # noqa: F811
    nuke.GUI = False
    node = node_of(nuke, plug, scene, us_out=str(tmp_path / "r_v001" / "c.%04d.exr"))
    matte = shots.user_matte(tmp_path, [1001, 1002, 1003])
    read = nuke.nodes.Read(name="Matte", file=matte.text.replace("####", "%04d"), first=1001, last=1003)
    node.setInput(2, nuke.nodes.Dot(inputs=[read]))
    plug.merge(node).wait(PATIENT)
    assert not (tmp_path / "r_v001_mask").exists()
    merged, given = (render.opened(p) for p in (tmp_path / "r_v001" / "c.1001.exr", matte.path(1001)))
    inside = slice(2, 122), slice(4, 164)  # the plate has overscan around its format
    crop = merged.channel("mask_valid.alpha")[inside] > 0
    ours, theirs = merged.channel("mask_user.alpha")[inside], given.channel("rgba.alpha")
    np.testing.assert_allclose(ours[crop], theirs[crop], atol=1e-3)


@pytest.mark.parametrize("name", ["garbage matte.exr", "garbage.%04d.exr"])
def test_one_picture_is_held_for_every_frame(
    nuke: Any,
    plug: Any,  # noqa: F811
    scene: shots.Shot,  # noqa: F811
    name: str,
    tmp_path: Path,
):
    """As Nuke shows it, whether its file has a number or none; with more than one a range has to have them all."""
    from understudy_nuke.daemon import Refused  # type: ignore[import-not-found,unused-ignore]

    nuke.GUI = False
    node = node_of(nuke, plug, scene, us_out=str(tmp_path / "r_v001" / "c.%04d.exr"))
    drawn = shots.user_matte(tmp_path, [1]).path(1)
    still = drawn.rename(tmp_path / (name.replace("%04d", "0001")))
    read = nuke.nodes.Read(name="Still", file=str(tmp_path / name), first=1, last=1)
    node.setInput(2, read)
    nuke._fake.state.renderer = render.write
    plug.merge(node).wait(PATIENT)
    given = render.opened(still).channel("rgba.alpha")
    inside = slice(2, 122), slice(4, 164)
    for frame in (1001, 1002):
        merged = render.opened(tmp_path / "r_v001" / f"c.{frame}.exr")
        crop = merged.channel("mask_valid.alpha")[inside] > 0
        np.testing.assert_allclose(
            merged.channel("mask_user.alpha")[inside][crop], given[crop], atol=1e-3, err_msg=str(frame)
        )
    read["last"].setValue(2)
    if "%" in name:
        with pytest.raises(Refused, match="Still has frames 1-2; 1001-1003 were asked for"):
            plug.merge(node)


def test_what_cannot_be_a_mask_is_refused(nuke: Any, plug: Any, scene: shots.Shot, tmp_path: Path):  # noqa: F811
    from understudy_nuke.daemon import Refused  # type: ignore[import-not-found,unused-ignore]

    nuke.GUI = False
    node = node_of(nuke, plug, scene, us_out=str(tmp_path / "r_v001" / "c.%04d.exr"))
    node.setInput(2, nuke.nodes.Roto(name="Small"))
    with pytest.raises(Refused, match="Small has 2048×1556 pixels, the plate 160×120"):
        plug.merge(node)
    node.setInput(2, roto_of(nuke, node.input(0), (0, 0, 80, 120)))

    def stopped(write: Any, frame: int) -> None:
        assert nuke.root()["proxy"].value() is False
        raise RuntimeError("Cancelled")

    nuke.root()["proxy"].setValue(True)
    nuke._fake.state.renderer = stopped
    with pytest.raises(Refused, match="was not written: Cancelled"):
        plug.merge(node)
    assert (nuke.root()["proxy"].value(), nuke.allNodes("Write")) == (True, [])
    with pytest.raises(Refused, match="set 'mask input is' to labels first"):
        plug.label(node)
    node["us_mask"].setValue("labels")
    for text, why in (("", "say which frames"), ("1001-", "'1001-' are no frames"), ("9-3", "no frames")):
        node["us_label_frames"].setValue(text)
        with pytest.raises(Refused, match=why) as caught:
            plug.label(node)
        assert caught.value.field == "us_label_frames"
    with pytest.raises(Refused, match="set the segmenter"):
        plug.teach(node)


def test_labels_teach_a_segmenter_and_the_mask_knows_occ(
    nuke: Any,
    plug: Any,  # noqa: F811
    scene: shots.Shot,  # noqa: F811
    tmp_path: Path,
):
    """By the buttons, in a window: suggest, label, teach, apply, merge."""
    nuke.GUI = False
    node = node_of(nuke, plug, scene, us_out=str(tmp_path / "o_v001" / "c.%04d.exr"), us_mask="labels")
    nuke.GUI = True
    for name, value in {"us_seg": str(tmp_path / "seg"), "us_seg_preset": "xseg-light"}.items():
        node[name].setValue(value)
    node["us_seg_iterations"].setValue(2)
    told = nuke._fake.state.messages
    node["us_do_suggest"].execute()
    nuke._fake.serve(lambda: told, PATIENT)
    assert told.pop() == "Roto these frames, connect it to the mask input: 1001-1002"
    assert node["us_label_frames"].value() == "1001-1002"
    node.setInput(2, roto_of(nuke, node.input(0), (30, 20, 76, 110)))
    nuke._fake.state.renderer = render.write
    for action, last in (("label", 0), ("teach", 0), ("apply", 0), ("merge", 3)):
        nuke.Undo.disable()
        node["us_status"].setValue(" ")
        nuke.Undo.enable()
        node[f"us_do_{action}"].execute()
        nuke._fake.serve(lambda: node["us_status"].value().strip(), PATIENT)
        assert (node["us_status"].value(), told) == (f"{action} done", [])
        assert len(list((tmp_path / "o_v001").glob("c.*.exr"))) == last
    assert node["look_mask"].value() == "face*hull*occ"
    assert (scene.folder / "faceset_roto" / "label.1002.exr").is_file()
    merged = render.opened(tmp_path / "o_v001" / "c.1001.exr")
    occ = merged.channel("mask_occ.alpha")
    assert occ[52, 60] > 0.9  # inside of the roto
    assert occ[52, 90] < 0.1  # and beyond its edge
    nuke.undo()  # the merge's Read
    nuke.undo()
    assert node["look_mask"].value() == "face*hull"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("face*hull", "face*hull*occ"),
        ("eyes + mouth", "(eyes + mouth)*occ"),
        ("face*occ_face", "face*occ_face"),
        ("face*(1 - occ)", "face*(1 - occ)"),
    ],
)
def test_occ_is_named_once(nuke: Any, before: str, after: str):
    from understudy_nuke import mattes  # type: ignore[import-not-found,unused-ignore]

    node = nuke.nodes.Group()
    node.addKnob(nuke.String_Knob("look_mask", "mask", before))
    mattes.use_occ(node)
    assert node["look_mask"].value() == after


def test_frames_as_a_person_writes_them(nuke: Any):
    from understudy_nuke import ranges

    assert ranges.parsed(" 1004,1017 1030-1032,-3--2", "x") == [-3, -2, 1004, 1017, 1030, 1031, 1032]
    assert ranges.said([1032, 1004, 1030, 1031]) == "1004, 1030-1032"
    assert ranges.parsed(ranges.said([-3, -2, 5]), "x") == [-3, -2, 5]
