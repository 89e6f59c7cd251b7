"""Which files a node's plate is: the nearest Read, refused by name, or written out first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.core import shots
from tests.nuke import render


@pytest.fixture
def plates(nuke: Any) -> Any:
    from understudy_nuke import plates as module  # type: ignore[import-not-found,unused-ignore]

    return module


@pytest.fixture
def read(nuke: Any) -> Any:
    return nuke.nodes.Read(name="Plate", file="/p/a.%04d.exr", first=1001, last=1010)


def behind(nuke: Any, *chain: Any) -> Any:
    """A node of ours behind these, the first the nearest."""
    group = nuke.nodes.Group(name="Swap")
    with group:
        nuke.nodes.Input()
    below = group
    for one in chain:
        below.setInput(0, one)
        below = one
    return group


def test_the_nearest_read_behind_what_changes_nothing(nuke: Any, plates: Any, read: Any):
    off = nuke.nodes.Grade()
    off["disable"].setValue(True)
    node = behind(nuke, nuke.nodes.Dot(), nuke.nodes.NoOp(), off, read)
    found = plates.resolve(node)
    assert found == ("/p/a.%04d.exr", 1001, 1010, "")
    assert plates.resolve(node, 1003, 1005).ref() == {
        "pattern": "/p/a.%04d.exr",
        "frames": [{"first": 1003, "last": 1005}],
        "colourSpace": "",
    }


@pytest.mark.parametrize("kind", ["Grade", "Reformat", "Blur", "Shuffle"])
def test_what_changes_pixels_is_named(nuke: Any, plates: Any, read: Any, kind: str):
    node = behind(nuke, nuke.nodes.Dot(), getattr(nuke.nodes, kind)(name="Look"), read)
    with pytest.raises(plates.Between, match=r"Look lies between.*pre-render") as caught:
        plates.resolve(node)
    assert caught.value.nodes == ["Look"]


@pytest.mark.parametrize("kind", ["TimeOffset", "FrameHold", "Retime"])
def test_what_changes_time_is_named(nuke: Any, plates: Any, read: Any, kind: str):
    node = behind(nuke, nuke.nodes.Grade(), getattr(nuke.nodes, kind)(name="Slow"), read)
    with pytest.raises(plates.Between, match="Slow changes the frames' numbers"):
        plates.resolve(node)


@pytest.mark.parametrize(
    ("mode", "said", "moves"),
    [
        ("expression", "frame", False),
        ("expression", "frame+10", True),
        ("offset", "0", False),
        ("offset", "8", True),
        ("start at", "1001", False),
        ("start at", "1", True),
    ],
)
def test_an_offset_within_the_read(nuke: Any, plates: Any, read: Any, mode: str, said: str, moves: bool):
    read["frame_mode"].setValue(mode)
    read["frame"].setValue(said)
    node = behind(nuke, read)
    if not moves:
        assert plates.resolve(node).first == 1001
        return
    with pytest.raises(plates.Between, match="moves its frames") as caught:
        plates.resolve(node)
    assert said in caught.value.message


def test_what_is_wrong_is_said(nuke: Any, plates: Any, read: Any):
    from understudy_nuke.daemon import Refused

    for chain, why in (
        ([], "no Read is connected"),
        ([nuke.nodes.Dot()], "no Read is connected"),
        ([nuke.nodes.Read(file="/p/[value root.name].%04d.exr")], "TCL"),
        ([nuke.nodes.Read(file="/p/still.exr")], "no sequence"),
        ([nuke.nodes.Read(file="/p/a.%04d.exr", disable=True)], "disabled"),
    ):
        with pytest.raises(Refused, match=why):
            plates.resolve(behind(nuke, *chain))
    node = behind(nuke, read)
    for first, last in ((1000, 1005), (1005, 1011), (1008, 1003)):
        with pytest.raises(Refused, match=f"{first}-{last}") as caught:
            plates.resolve(node, first, last)
        assert caught.value.field == "us_first"


@pytest.mark.parametrize(
    ("shown", "name"),
    [
        ("default", ""),
        ("default (linear)", ""),
        ("linear", "linear"),
        ("scene_linear (ACES - ACEScg)", "ACES - ACEScg"),
        ("Linear Rec.709 (sRGB)", "Linear Rec.709 (sRGB)"),
        ("ACES/ACEScg", "ACEScg"),
        ("Input - ARRI - V3 LogC (EI800) - Wide Gamut", "Input - ARRI - V3 LogC (EI800) - Wide Gamut"),
    ],
)
def test_the_colour_space_goes_by_its_name(nuke: Any, plates: Any, read: Any, shown: str, name: str):
    read["colorspace"].setValues([shown])
    assert plates.colour_space(read) == name
    read["raw"].setValue(True)
    assert plates.colour_space(read) == ""


def test_paths_of_windows_get_forward_slashes(nuke: Any, plates: Any, read: Any):
    read["file"].setValue("P:\\Ünï show\\a.####.exr")
    assert plates.resolve(behind(nuke, read)).pattern == "P:/Ünï show/a.####.exr"


def test_a_branch_is_written_out_as_it_is(nuke: Any, plates: Any, tmp_path: Path):
    """Through a grade; half, data window kept; the Write is gone again, and nothing of it is in the undo list."""
    scene = shots.make(tmp_path / "shot", numbers=[1001, 1002], without_face=[])
    source = nuke.nodes.Read(file=scene.plate.template.text, first=1001, last=1002)
    node = behind(nuke, nuke.nodes.Grade(inputs=[source], multiply=2.0, black_clamp=False))
    steps, before = len(nuke._fake.state.undo.steps), nuke.allNodes()
    nuke._fake.state.renderer = render.write
    written = plates.prerender(node, str(tmp_path / "pre render" / "p.%04d.exr"))
    assert (written.first, written.last, written.colour_space) == (1001, 1002, "lin_rec709_scene")
    assert (len(nuke._fake.state.undo.steps), nuke.allNodes()) == (steps, before)
    for number in (1001, 1002):
        ours = render.opened(Path(written.pattern % number))
        theirs = render.opened(scene.plate.template.path(number))
        assert (ours.data, ours.display) == (theirs.data, theirs.display)
        double = (theirs.channel("rgba.red") * 2).astype(np.float16).astype(np.float32)
        np.testing.assert_array_equal(ours.channel("rgba.red"), double)


def test_a_pre_render_checks_range_and_files(nuke: Any, plates: Any, read: Any, tmp_path: Path):
    from understudy_nuke.daemon import Refused

    node = behind(nuke, nuke.nodes.Grade(inputs=[read]))
    with pytest.raises(Refused, match="1001-1010; 1001-1020"):
        plates.prerender(node, str(tmp_path / "p.%04d.exr"), 1001, 1020)
    with pytest.raises(Refused, match="frame token"):
        plates.prerender(node, str(tmp_path / "p.exr"))
    nuke._fake.state.renderer = lambda write, frame: None
    with pytest.raises(Refused, match="10 frames were not written, the first 1001"):
        plates.prerender(node, str(tmp_path / "p.%04d.exr"))
    assert nuke.allNodes("Write") == []
