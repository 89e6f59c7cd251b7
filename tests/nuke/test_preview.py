"""One frame as a merge would make it, without a job: by Python, with a real bridge and daemon."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.core import shots
from tests.nuke import render
from tests.nuke.test_roto import roto_of
from tests.nuke.test_swap import PATIENT, daemon, node_of, plug, scene  # noqa: F401 - fixtures


def test_a_file_with_all_layers(nuke: Any, plug: Any, scene: shots.Shot, tmp_path: Path):  # noqa: F811
    """Of any frame, wherever the script stands; it needs neither an output nor a window."""
    nuke.GUI = False
    node = node_of(nuke, plug, scene, us_out="")
    picture = plug.preview(node, 1002, str(tmp_path / "é one.exr")).wait(PATIENT)
    assert picture.path == str(tmp_path / "é one.exr")
    assert Path(picture.path).read_bytes() == picture.data
    assert picture.about["faces"] == 1
    made = render.opened(Path(picture.path))
    source = render.opened(scene.plate.template.path(1002))
    matte = made.channel("mask_blend.alpha")
    assert (matte > 0.5).sum() > 500
    red, plate, face = made.channel("rgba.red"), source.channel("rgba.red"), made.channel("face.red")
    good = np.isfinite(plate)
    mixed = (plate * (1 - matte) + face * matte)[good]
    np.testing.assert_allclose(red[good], mixed, rtol=1e-3, atol=1e-4)
    assert [path.name for path in tmp_path.iterdir()] == ["é one.exr"]


def test_in_a_window_it_is_called_back(nuke: Any, plug: Any, scene: shots.Shot):  # noqa: F811
    """A PNG of the current frame, no larger than was asked for."""
    nuke.GUI = False
    node = node_of(nuke, plug, scene)
    nuke.GUI = True
    nuke.frame(1001)
    told: list[Any] = []
    with pytest.raises(RuntimeError, match="freeze"):
        plug.preview(node, size=64, done=told.append).wait()
    (pending,) = nuke._fake.serve(lambda: told, PATIENT)
    shown = cv2.imdecode(np.frombuffer(pending.value.data, np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None
    assert max(shown.shape[:2]) == 64
    assert shown.std() > 5
    node["look_mask"].setValue("face*nose")
    plug.preview(node, done=told.append)
    nuke._fake.serve(lambda: len(told) == 2, PATIENT)
    assert (told[1].value, "nose" in told[1].error.message) == (None, True)


def test_what_cannot_be_previewed_is_refused(nuke: Any, plug: Any, scene: shots.Shot, tmp_path: Path):  # noqa: F811
    from understudy_nuke.daemon import Refused  # type: ignore[import-not-found,unused-ignore]

    nuke.GUI = False
    node = node_of(nuke, plug, scene)
    for frame, output, why in (
        (1050, "", "frame 1050 is outside the plate's 1001-1003"),
        (1001, "/tmp/a.jpg", r"a\.jpg: a preview is a \.png or an \.exr"),
    ):
        with pytest.raises(Refused, match=why):
            plug.preview(node, frame, output)
    with pytest.raises(Refused, match=r"nowhere/a\.png cannot be written"):
        plug.preview(node, 1001, str(tmp_path / "nowhere" / "a.png")).wait(PATIENT)
    node["us_model"].setValue("[value x]")
    with pytest.raises(Refused, match="TCL"):
        plug.preview(node, 1001)
    node["us_do_preview"].execute()
    assert "understudy_nuke.preview(node, frame)" in nuke._fake.state.messages[-1]


def test_what_lies_between_is_previewed_as_it_was_written(
    nuke: Any,
    plug: Any,  # noqa: F811
    scene: shots.Shot,  # noqa: F811
    tmp_path: Path,
):
    """A panel holds nobody up by writing files, so it takes what the last merge had; a TD may have it written."""
    from understudy_nuke import plates, previews  # type: ignore[import-not-found,unused-ignore]

    nuke.GUI = False
    node = node_of(nuke, plug, scene, us_out=str(tmp_path / "x_v001" / "x.%04d.exr"), us_colour="ACEScg")
    source = node.input(0)
    node.setInput(0, nuke.nodes.Grade(name="Warm", inputs=[source], multiply=0.5, black_clamp=False))
    nuke._fake.state.renderer = render.write
    for ask in (plug.preview, previews.request):
        with pytest.raises(plates.Between, match="Warm lies between"):
            ask(node, 1001)
    written = str(tmp_path / "x_v001_plate" / "plate.%04d.exr")
    whole = plug.preview(node, 1001, str(tmp_path / "p.exr"), prerender=written).wait(PATIENT)
    assert [path.name for path in (tmp_path / "x_v001_plate").iterdir()] == ["plate.1001.exr"]
    made, before = render.opened(Path(whole.path)), render.opened(scene.plate.template.path(1001))
    outside = (made.channel("mask_blend.alpha") == 0) & np.isfinite(before.channel("rgba.red"))
    half = (before.channel("rgba.red") * np.float32(0.5)).astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(made.channel("rgba.red")[outside], half[outside])
    wanted, notes = previews.request(node, 1001)
    assert wanted["merge"]["plate"]["pattern"] == written
    assert notes == ["of the plate as it was written out"]
    with pytest.raises(plates.Between):
        previews.request(node, 1002)


def test_a_roto_is_in_it(nuke: Any, plug: Any, scene: shots.Shot, tmp_path: Path):  # noqa: F811
    """Written for the one frame; a panel writes none, and says what is left out."""
    from understudy_nuke import previews  # type: ignore[import-not-found,unused-ignore]

    nuke.GUI = False
    node = node_of(nuke, plug, scene, us_out=str(tmp_path / "r_v001" / "c.%04d.exr"))
    node.setInput(2, roto_of(nuke, node.input(0), (0, 0, 80, 120)))
    nuke._fake.state.renderer = render.write
    assert previews.request(node, 1001)[1] == ["without the mask, which a merge writes out"]
    assert not (tmp_path / "r_v001_mask").exists()
    made = render.opened(Path(plug.preview(node, 1001, str(tmp_path / "p.exr")).wait(PATIENT).path))
    assert [path.name for path in (tmp_path / "r_v001_mask").iterdir()] == ["mask.1001.exr"]
    blend = made.channel("mask_blend.alpha")
    assert blend[50:70, 50:70].max() > 0.5
    assert blend[:, 86:].max() == 0
    assert previews.request(node, 1001)[1] == []
