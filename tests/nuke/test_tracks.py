"""Points in and tracks out: a Tracker's points become the extraction's, and a merge's track becomes nodes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.core import shots
from tests.nuke import render
from tests.nuke.test_swap import FRAMES, PATIENT, daemon, node_of, plug, scene  # noqa: F401 - fixtures
from understudy.client import Session, specs
from understudy.core import align

FIVE = {
    "right eye": (60, 70),
    "left_eye": (80, 70),
    "Nose": (70, 60),
    "right mouth": (62, 50),
    "left mouth": (78, 50),
}


def matrix_of(node: Any, frame: int) -> np.ndarray:
    values = [node["transform_matrix"].getValueAt(frame, i) for i in range(16)]
    return np.array(values).reshape(4, 4)[np.ix_([0, 1, 3], [0, 1, 3])]


def pinned(node: Any, frame: int) -> np.ndarray:
    """The projective map of a corner pin, by its four pairs."""
    pairs = [
        [[node[f"{end}{i}"].getValueAt(frame, axis) for axis in (0, 1)] for i in range(1, 5)]
        for end in ("from", "to")
    ]
    rows, right = [], []
    for (x, y), (u, v) in zip(*pairs, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        right += [u, v]
    return np.append(np.linalg.solve(rows, right), 1.0).reshape(3, 3)


@pytest.fixture(scope="module")
def version(scene: shots.Shot, daemon: Any) -> str:  # noqa: F811
    """A merge with its track."""
    out = scene.folder / "t_v001" / "t.%04d.exr"
    with Session(str(daemon.announced()["endpoint"])) as session:
        plate = specs.Plate(scene.plate.template.text, specs.segments("1001-1003", "frames"), "ACEScg")
        session.merge(plate, scene.faceset, scene.folder / "a.model", out).wait()
    return str(out)


def test_the_nodes_land_on_the_plate(
    nuke: Any,
    plug: Any,  # noqa: F811
    scene: shots.Shot,  # noqa: F811
    version: str,
    tmp_path: Path,
):
    """Within a tenth of a pixel of what the merge itself says of every pixel: its layer `uv`."""
    nuke.GUI = False
    node = node_of(nuke, plug, scene, us_out=version)
    steps = len(nuke._fake.state.undo.steps)
    tracker, pin, matrix, hull = plug.make_nodes(node).wait(PATIENT)
    assert [name for name, _ in nuke._fake.state.undo.steps[steps:]] == ["Understudy: tracks"]
    assert tracker.input(0) is node.input(0)
    size = pin["from3"].getValueAt(1001, 0)
    for frame in (1001, 1002):
        merged = render.opened(Path(version % frame))
        u, v = merged.channel("uv.u"), merged.channel("uv.v")
        y, x = np.nonzero((u > 0.2) & (u < 0.8) & (v > 0.2) & (v < 0.8))
        aligned = np.stack([size * u[y, x], size * v[y, x], np.ones(len(x))])
        there = np.stack([x + merged.data.x + 0.5, 120 - (y + merged.data.y + 0.5)])
        for way in (matrix_of(matrix, frame), pinned(pin, frame)):
            moved = way @ aligned
            assert np.abs(moved[:2] / moved[2] - there).max() < 0.1
        given = shots.face_at(frame).landmarks.points  # before the merge held them steady
        for i, at in enumerate(given):
            x_, y_ = (tracker["tracks"].getValueAt(frame, 31 * i + 2 + axis) for axis in (0, 1))
            assert abs(x_ - at[0]) + abs(120 - y_ - at[1]) < 1.0
    drawn = render.evaluated(hull, 1001)
    assert drawn is not None
    inside = drawn.channel("rgba.alpha") - node_alpha(node, 1001)
    assert inside[55 + 2, 70 + 4] > 0.3  # the middle of the face; the plate has overscan
    (shape,) = hull["curves"].rootLayer
    assert [shape.getVisible(f) for f in (1000, 1001, 1002, 1003)] == [False, True, True, False]
    nuke.frame(1002)
    script = str(tmp_path / "s.nk")
    nuke.scriptSaveAs(script)
    before = tracker["tracks"].toScript(), [matrix_of(matrix, f).tolist() for f in FRAMES]
    nuke.scriptOpen(script)
    back = nuke.toNode(tracker.name()), nuke.toNode(matrix.name())
    assert back[0]["tracks"].toScript() == before[0]
    np.testing.assert_allclose([matrix_of(back[1], f) for f in FRAMES], before[1])


def node_alpha(node: Any, frame: int) -> np.ndarray:
    plate = render.evaluated(node.input(0), frame)
    assert plate is not None
    return plate.channel("rgba.alpha")


def test_no_stray_key_where_the_artist_stands(nuke: Any, plug: Any, scene: shots.Shot, version: str):  # noqa: F811
    nuke.GUI = False
    node = node_of(nuke, plug, scene, us_out=version)
    nuke.frame(7)
    matrix = plug.make_nodes(node).wait(PATIENT)[2]
    assert matrix["transform_matrix"].getKeyList() == [1001, 1002]


def test_one_undo_takes_the_nodes_away(nuke: Any, plug: Any, scene: shots.Shot, version: str):  # noqa: F811
    nuke.GUI = False
    node = node_of(nuke, plug, scene, us_out=version)
    nuke.GUI = True
    there = nuke.allNodes()
    node["us_do_nodes"].execute()
    nuke._fake.serve(lambda: len(nuke.allNodes()) > len(there), PATIENT)
    assert len(nuke.allNodes()) == len(there) + 4
    nuke.undo()
    assert nuke.allNodes() == there


def test_a_track_that_is_not_there_or_broken_is_named(
    nuke: Any,
    plug: Any,  # noqa: F811
    scene: shots.Shot,  # noqa: F811
    tmp_path: Path,
):
    from understudy_nuke.daemon import Refused  # type: ignore[import-not-found,unused-ignore]

    nuke.GUI = False
    node = node_of(nuke, plug, scene, us_out=str(tmp_path / "v001" / "c.%04d.exr"))
    with pytest.raises(Refused, match="no track yet: merge this version first"):
        plug.make_nodes(node, of="merge")
    (tmp_path / "v001" / "track").mkdir(parents=True)
    for text in ("{", '{"frames": [1]}', "{}", '{"frames": {"1": {"size": 1}}}'):
        (tmp_path / "v001" / "track" / "c.json").write_text(text)
        with pytest.raises(Refused, match=r"c\.json cannot be read"):
            plug.make_nodes(node).wait(PATIENT)
    (tmp_path / "v001" / "track" / "c.json").write_text(json.dumps({"frames": {}}))
    with pytest.raises(Refused, match="no face on any frame"):
        plug.make_nodes(node).wait(PATIENT)


def test_a_faceset_gives_nodes_before_there_is_a_merge(
    nuke: Any,
    plug: Any,  # noqa: F811
    scene: shots.Shot,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
):
    """In pages of one face; no model and no output is needed. Landmarks and their maps are the faceset's own."""
    from understudy_nuke import tracks  # type: ignore[import-not-found,unused-ignore]

    monkeypatch.setattr(tracks, "PAGE", 1)
    nuke.GUI = False
    node = node_of(nuke, plug, scene, us_out="", us_model="")
    nuke.GUI = True
    there = nuke.allNodes()
    node["us_do_nodes"].execute()
    nuke._fake.serve(lambda: len(nuke.allNodes()) > len(there), PATIENT)
    tracker, pin, matrix, hull = (
        nuke.toNode(f"Understudy1_{name}") for name in ("landmarks", "pin", "matrix", "hull")
    )
    assert matrix["transform_matrix"].getKeyList() == [1001, 1002]
    for frame in (1001, 1002):
        plate = shots.face_at(frame).landmarks.points
        found = align.fit(plate, "whole", 96)
        aligned = plate @ found.matrix[:, :2].T + found.matrix[:, 2]
        upright = np.stack([aligned[:, 0], 96 - aligned[:, 1], np.ones(68)])
        there_up = np.stack([plate[:, 0], 120 - plate[:, 1]])
        for way in (matrix_of(matrix, frame), pinned(pin, frame)):
            moved = way @ upright
            assert np.abs(moved[:2] / moved[2] - there_up).max() < 0.01
        given = [
            [tracker["tracks"].getValueAt(frame, 31 * i + 2 + axis) for i in range(68)] for axis in (0, 1)
        ]
        np.testing.assert_allclose(given, there_up, atol=1e-3)
    (shape,) = hull["curves"].rootLayer
    assert [shape.getVisible(f) for f in (1000, 1001, 1002, 1003)] == [False, True, True, False]


def test_whose_face_of_a_faceset_is_said(nuke: Any, plug: Any, scene: shots.Shot, tmp_path: Path):  # noqa: F811
    from understudy_nuke.daemon import Refused, UnderstudyError  # type: ignore[import-not-found,unused-ignore]

    nuke.GUI = False
    both = shutil.copytree(scene.faceset, tmp_path / "both")
    shots.write_faceset(both, [1001], scene.plate.template.text, centre=(122.0, 62.0), track=1)
    node = node_of(nuke, plug, scene, us_out="", us_dst=str(both))
    with pytest.raises(Refused, match=r"several people, \[0, 1\]: set the person"):
        plug.make_nodes(node).wait(PATIENT)
    node["us_track"].setValue(1)
    assert plug.make_nodes(node).wait(PATIENT)[2]["transform_matrix"].getKeyList() == [1001]
    node["us_people"].setValue("anna: 0, /a\nben: 1, /b")
    made = plug.make_nodes(node, "ben").wait(PATIENT)
    assert made[0].name() == "Understudy1_ben_landmarks"
    assert made[2]["transform_matrix"].getKeyList() == [1001]
    assert plug.make_nodes(node).wait(PATIENT)[2]["transform_matrix"].getKeyList() == [1001, 1002]
    with pytest.raises(Refused, match="'plate' is none of"):
        plug.make_nodes(node, of="plate")
    with pytest.raises(Refused, match="cem is not there"):
        plug.make_nodes(node, "cem")
    node["us_people"].setValue("")
    node["us_track"].setValue(7)
    with pytest.raises(Refused, match="does not have 7"):
        plug.make_nodes(node).wait(PATIENT)
    node["us_dst"].setValue(str(tmp_path / "nothing"))
    with pytest.raises(UnderstudyError, match="nothing"):
        plug.make_nodes(node).wait(PATIENT)


def test_faces_of_a_stereo_plate_are_those_of_its_first_view(nuke: Any):
    from understudy_nuke import tracks  # type: ignore[import-not-found,unused-ignore]
    from understudy_nuke.daemon import Refused  # type: ignore[import-not-found,unused-ignore]

    faces = [
        {
            "frame": str(frame),
            "view": view,
            "landmarks": [x, 2, 3, 4],
            "alignment": [1, 0, 5, 0, 1, 6],
            "size": 64,
        }
        for frame in (7, 8)
        for view, x in (("right", 9), ("left", 1))
    ]
    at = {"landmarks": [(1, 2), (3, 4)], "matrix": ([1, 0, 5], [0, 1, 6]), "size": 64}
    assert tracks.of_faces("/f", faces) == {7: at, 8: at}
    with pytest.raises(Refused, match="/f has no such face: extract first"):
        tracks.of_faces("/f", [])


def points_node(nuke: Any) -> Any:
    """Five 2D knobs, of which one is keyed."""
    source = nuke.nodes.NoOp(name="Points")
    for name, at in FIVE.items():
        knob = nuke.XY_Knob(name.replace(" ", "_"), name)
        source.addKnob(knob)
        knob.setValue(list(at))
    source["right_eye"].fromScript("{{curve L x1001 60 x1002 62} 70}")
    return source


def test_points_of_knobs_are_given(nuke: Any, plug: Any, scene: shots.Shot, daemon: Any):  # noqa: F811
    """By the button, on the current frame and on named ones; y turned over by the plate's height."""
    nuke.GUI = False
    node = node_of(nuke, plug, scene)
    nuke.GUI = True
    source = points_node(nuke)
    told = nuke._fake.state.messages
    node["us_do_points"].execute()
    assert told.pop().startswith("nothing is no node")
    source.setSelected(True)
    nuke.frame(1002)
    for text, frames in (("", "1002"), ("1001-1002", "1001-1002")):
        node["us_point_frames"].setValue(text)
        node["us_do_points"].execute()
        nuke._fake.serve(lambda: told, PATIENT)
        assert told.pop() == f"Kept for {frames}. Press extract: it makes these frames again."
    with Session(str(daemon.announced()["endpoint"])) as session:
        kept = {face.frame: face for face in session.manual_faces(scene.faceset)}
    assert sorted(kept) == [1001, 1002]
    assert {frame: face.points[:2] for frame, face in kept.items()} == {1001: [60, 50], 1002: [62, 50]}
    assert kept[1001].points[8:] == [78, 70]


def test_our_own_tracker_comes_back_in(nuke: Any, plug: Any, scene: shots.Shot, version: str, daemon: Any):  # noqa: F811
    """All 68, as the artist has moved them."""
    nuke.GUI = False
    node = node_of(nuke, plug, scene, us_out=version)
    tracker = plug.make_nodes(node).wait(PATIENT)[0]
    plug.give_points(node, tracker, [1001]).result(PATIENT)
    with Session(str(daemon.announced()["endpoint"])) as session:
        (face,) = (face for face in session.manual_faces(scene.faceset) if face.frame == 1001)
    assert len(face.points) == 2 * 68
    assert face.points[66] == pytest.approx(tracker["tracks"].getValueAt(1001, 31 * 33 + 2))


@pytest.mark.parametrize(
    ("name", "why"),
    [("nostril", "has no nose"), ("{odd", "has no right eye"), ('a "b" \\', "has no right eye")],
)
def test_points_that_are_not_there_are_named(nuke: Any, name: str, why: str):
    from understudy_nuke import points
    from understudy_nuke.daemon import Refused

    source = points_node(nuke)
    if name == "nostril":
        source.removeKnob(source["Nose"])
    else:
        source = nuke.nodes.NoOp()
        source.addKnob(nuke.XY_Knob(name, name))
    node = nuke.nodes.Group(inputs=[])
    with node:
        nuke.nodes.Input()
    with pytest.raises(Refused, match="connect the plate"):
        points.give(node, source, [1])
    node.setInput(0, nuke.nodes.Read())
    with pytest.raises(Refused, match=why) as caught:
        points.give(node, source, [1])
    assert caught.value.field == "us_points"


def test_words_of_a_table(nuke: Any):
    from understudy_nuke import points
    from understudy_nuke.daemon import Refused

    assert points.words('a {b {c d}} "e } f" {} \\{x') == ["a", "b {c d}", "e } f", "", "\\{x"]
    for broken in ("{a {b}", '"a'):
        with pytest.raises(Refused, match="ends in its middle"):
            points.words(broken)
