"""Where the picture of a view is, in files of every kind that OpenEXR's multi-view convention describes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from understudy.core.errors import InvalidInput
from understudy.core.frames import Frame, Window
from understudy.core.plate import Typed, read_file, read_header, write
from understudy.core.plate.views import MONO, header_of, names, put, select

DATA = Window(0, 0, 6, 4)
CROP = Window(1, 1, 3, 2)
STEREO = Typed("stringvector", ("right", "left"))


def part(channels: str, name: str = "", view: str = "", data: Window = DATA, **metadata) -> Frame:
    """A part whose channels each hold another number, so that it shows which is which."""
    planes = {
        channel: np.full((data.height, data.width), sum(map(ord, channel + name)), np.float32)
        for channel in channels.split()
    }
    says = {**metadata, **({"view": view} if view else {})}
    return Frame(number=1, planes=planes, display=DATA, data=data, name=name, metadata=says)


def file(*parts: Frame) -> Frame:
    first, *others = parts
    return Frame(**{**vars(first), "others": tuple(others)})


LISTED = file(part("R G B A left.R left.G left.B depth.right.Z depth.left.Z notes.N", multiView=STEREO))
PARTS = file(
    part("R G B", "rgba.right", "right", timeCode="x"),
    part("R G B", "rgba.left", "left"),
    part("diff.R diff.G", "diff-left", "left"),
    part("diff.R diff.G", "diff-right", "right"),
    part("notes.N", "annotations"),
)
SPLIT = file(
    part("R G B A", "rgba_left", "left"),
    part("Z", "depth_left", "left"),
    part("R G B A", "rgba_right", "right"),
    part("Z", "depth_right", "right"),
)
LAYERS = file(part("Z", "depth"), part("R G B", "rgba"), part("R G B", "diffuse"))


@pytest.mark.parametrize(
    ("frame", "views"),
    [
        (part("R G B"), (MONO,)),
        (LAYERS, (MONO,)),
        (LISTED, ("right", "left")),
        (PARTS, ("right", "left")),
        (SPLIT, ("left", "right")),
        (part("R G B", view="left", multiView=Typed("stringvector", ("left",))), ("left",)),
        (part("R G B", multiView=Typed("stringvector", ("left",))), ("left",)),
        (part("R G B", view="left"), ("left",)),
        (file(part("R", "r", "right", multiView=STEREO), part("R", "l", "left")), ("right", "left")),
        (replace(part("R G B"), metadata={"multiView": "left, right", "view": 7}), (MONO,)),
    ],
)
def test_views_are_found_the_default_one_first(frame, views):
    assert names(frame) == views


@pytest.mark.parametrize(
    ("frame", "view", "channels"),
    [
        (LISTED, "right", "R G B A depth.Z notes.N"),
        (LISTED, "left", "R G B depth.Z notes.N"),
        (LISTED, MONO, "R G B A depth.Z notes.N"),
        (PARTS, "right", "R G B diff.R diff.G notes.N"),
        (PARTS, "left", "R G B diff.R diff.G notes.N"),
        (SPLIT, "left", "R G B A depth.Z"),
        (SPLIT, "right", "R G B A depth.Z"),
        (LAYERS, MONO, "R G B depth.Z diffuse.R diffuse.G diffuse.B"),
        (part("left.shadows left.X R", multiView=Typed("stringvector", ("left",))), "left", "R X shadows"),
        (part("got.it.right.now R background.data speed.left", multiView=STEREO), "right",
         "R background.data got.it.now speed.left"),
        (part("beauty.R beauty.G Y"), MONO, "beauty.R beauty.G Y"),
    ],
)  # fmt: skip
def test_a_view_is_a_frame_of_plain_names(frame, view, channels):
    found = select(frame, view)
    assert sorted(found.planes) == sorted(channels.split())
    assert (found.name, found.others) == ("", ())


def test_the_planes_are_the_views_own():
    left, right = select(PARTS, "left"), select(PARTS, "right")
    assert left.planes["R"] is PARTS.others[0].planes["R"]
    assert right.planes["diff.R"] is PARTS.others[2].planes["diff.R"]
    assert left.planes["notes.N"] is right.planes["notes.N"]
    assert select(LISTED, "left").planes["depth.Z"] is LISTED.planes["depth.left.Z"]
    assert select(LISTED, "left").planes["R"] is LISTED.planes["left.R"]
    assert (right.metadata["timeCode"], "timeCode" in left.metadata) == ("x", False)


def test_one_view_out_of_a_list_says_which_it_is():
    alone = select(LISTED, "left")
    assert (alone.metadata["view"], alone.metadata["multiView"].value) == ("left", ("left",))
    assert names(alone) == ("left",)
    assert sorted(select(alone, "left").planes) == sorted(alone.planes)


def test_layers_of_another_window_are_not_the_pictures():
    frame = file(part("R G B", "rgba"), part("A", "mask", data=CROP), part("Z", "depth"))
    assert sorted(select(frame).planes) == ["B", "G", "R", "depth.Z"]


@pytest.mark.parametrize("frame", [part("R G B"), LISTED, PARTS])
def test_a_view_that_is_not_there(frame):
    with pytest.raises(InvalidInput, match="no 'centre'; the file has") as caught:
        select(frame, "centre")
    assert (caught.value.field, caught.value.value) == ("view", "centre")


NEW = {"R": np.ones((4, 6), np.float16), "face.R": np.ones((4, 6), np.float16)}


@pytest.mark.parametrize(
    ("frame", "view", "where"),
    [
        (part("R G B"), MONO, [(0, "R"), (0, "face.R")]),
        (LISTED, "right", [(0, "R"), (0, "face.right.R")]),
        (LISTED, "left", [(0, "left.R"), (0, "face.left.R")]),
        (PARTS, "left", [(1, "R"), (1, "face.R")]),
        (SPLIT, "right", [(2, "R"), (4, "R")]),
        (LAYERS, MONO, [(1, "R"), (3, "R")]),
    ],
)
def test_changed_planes_go_back_where_they_were_and_new_ones_beside_them(frame, view, where):
    made = put(frame, view, NEW)
    parts, before = (made, *made.others), (frame, *frame.others)
    for (index, stored), plane in zip(where, NEW.values(), strict=True):
        assert parts[index].planes[stored] is plane
    touched = set(where)
    for index, old in enumerate(before):
        assert (parts[index].name, parts[index].metadata) == (old.name, old.metadata)
        kept = {name: plane for name, plane in old.planes.items() if (index, name) not in touched}
        assert all(parts[index].planes[name] is plane for name, plane in kept.items())
    assert all(select(made, view).planes[name] is plane for name, plane in NEW.items())


def test_a_layer_beside_layers_in_parts_is_a_part_of_its_view():
    made = put(put(SPLIT, "left", NEW), "right", NEW)
    assert [part.name for part in made.others[3:]] == ["face.left", "face.right"]
    assert [part.metadata["view"] for part in made.others[3:]] == ["left", "right"]
    assert [part.data for part in made.others] == [DATA] * 5


@pytest.mark.parametrize("frame", [part("R G B"), LISTED, PARTS, SPLIT, LAYERS])
def test_views_survive_the_disk(tmp_path, frame):
    made = frame
    for view in names(frame):
        made = put(made, view, NEW)
    write(made, tmp_path / "p.1001.exr")
    found, header = read_file(tmp_path / "p.1001.exr", 1), read_header(tmp_path / "p.1001.exr")
    assert names(found) == names(header) == names(frame)
    for view in names(frame):
        asked, back = select(made, view), select(found, view)
        assert set(back.planes) == set(asked.planes) == set(header_of(header, view).channels)
        assert {n: k.dtype for n, k in back.planes.items()} == dict(header_of(header, view).channels)
        assert all((back.planes[name] == plane).all() for name, plane in asked.planes.items())
