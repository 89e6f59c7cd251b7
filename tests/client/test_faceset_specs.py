"""From Python values and options to queries, faceset specs and what a person says of faces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.client import specs
from understudy.client.cli.faceset import manual
from understudy.client.cli.faceset.look import links
from understudy.client.cli.faceset.wanted import limits
from understudy.client.errors import NotFound, Refused
from understudy.v1.resource_pb2 import FaceQuery


def test_a_query_holds_what_was_said_and_nothing_else():
    query = specs.query(
        tracks=[0, 2],
        frames="1001-1010",
        ranges={"yaw": (-30, 30), "blur": (0.2, None)},
        order="blur",
        limit=50,
    )
    assert (list(query.tracks), query.frames[0].last, query.order, query.limit) == ([0, 2], 1010, "blur", 50)
    yaw, blur = query.ranges
    assert (yaw.key, yaw.minimum, yaw.maximum) == ("yaw", -30, 30)
    assert (blur.key, blur.minimum, blur.HasField("maximum")) == ("blur", 0.2, False)
    assert specs.query() == FaceQuery()


@pytest.mark.parametrize("limit", [5, (1, 2, 3), ("a", "b"), None])
def test_limits_that_are_not_two_numbers_name_their_key(limit):
    with pytest.raises(Refused, match=r"ranges\.yaw"):
        specs.query(ranges={"yaw": limit})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("yaw=-30..30", ("yaw", (-30.0, 30.0))),
        ("blur=0.2..", ("blur", (0.2, None))),
        ("blur=..1e-3", ("blur", (None, 0.001))),
        ("pitch=-5.5..-.5", ("pitch", (-5.5, -0.5))),
    ],
)
def test_limits_are_read(text: str, expected: tuple):
    assert limits(text) == expected


@pytest.mark.parametrize(
    "text", ["yaw", "yaw=", "yaw=..", "=1..2", "yaw=1", "yaw=a..b", "yaw=1..2..3", "yaw<3"]
)
def test_limits_that_cannot_be_read_are_shown(text: str):
    with pytest.raises(Refused, match=r"is not KEY=MIN\.\.MAX") as caught:
        limits(text)
    assert (caught.value.field, caught.value.value) == ("range", text)


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_any_two_limits_come_back(low: float, high: float):
    assert limits(f"key={low!r}..{high!r}") == ("key", (low, high))


def test_paths_of_faceset_specs_become_absolute(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    join = specs.join_facesets(["a", "b"], "c").join_facesets
    assert (list(join.facesets), join.output) == ([f"{tmp_path}/a", f"{tmp_path}/b"], f"{tmp_path}/c")
    sheet = specs.faceset_sheet("a", "s.png", query=specs.query(order="blur"), cell=64).faceset_sheet
    assert (sheet.faceset, sheet.output, sheet.query.order, sheet.cell) == (
        f"{tmp_path}/a",
        f"{tmp_path}/s.png",
        "blur",
        64,
    )
    assert not specs.faceset_sheet("a", "s.png").faceset_sheet.HasField("query")
    measure = specs.measure_faceset("a", keys=["blur"], identity="dlib").measure_faceset
    assert (list(measure.keys), measure.reference, measure.identity) == (["blur"], "", "dlib")
    assert (
        specs.import_faceset("faceset.pak", "o", release="r.json").import_faceset.release
        == f"{tmp_path}/r.json"
    )
    assert specs.faceset_coverage("a", "c.png").faceset_coverage.against == ""
    face = specs.manual_face(1001, plate="plate.####.exr", absent=True)
    assert (face.plate, face.track) == (f"{tmp_path}/plate.####.exr", 0)


def test_points_of_a_face_lie_flat_on_the_wire():
    face = specs.manual_face(1001, 2, points=[(1, 2.5), (3, 4)], interpolate=True)
    assert (list(face.points), face.track, face.interpolate) == ([1.0, 2.5, 3.0, 4.0], 2, True)
    wrong: list[Any] = [[1, 2], [(1,)], [(1, 2, 3)], ["ab"]]
    for bad in wrong:
        with pytest.raises(Refused, match="is not x and y"):
            specs.manual_face(1001, points=bad)


def test_a_file_of_faces_is_read_in_both_forms(tmp_path: Path):
    listed = tmp_path / "list.json"
    entries = [{"frame": 1001, "track": 1, "points": [[1, 2], [3, 4]]}, {"frame": 1002, "absent": True}]
    listed.write_text(json.dumps(entries))
    first, second = manual.read(str(listed))
    assert (list(first.points), first.track, second.absent) == ([1, 2, 3, 4], 1, True)
    printed = tmp_path / "printed.json"
    line = {"event": "manual_face", "data": {"frame": 1001, "track": 1, "points": [1, 2, 3, 4], "box": []}}
    printed.write_text(json.dumps(line) + "\n\n")
    assert manual.read(str(printed)) == [first]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nonsense", "is no JSON"),
        ('[{"track": 1}]', "entry 1: no frame"),
        ('[{"frame": 1, "absent": true}, {"frame": 1, "eyes": 2}]', "entry 2: no field 'eyes'"),
        ('[{"frame": 1, "points": [[1, "x"]]}]', "entry 1: points"),
        ("[3]", "entry 1"),
        ('[{"frame": "x", "absent": true}]', "entry 1"),
    ],
)
def test_a_file_of_faces_that_cannot_be_read_names_the_entry(tmp_path: Path, text: str, why: str):
    file = tmp_path / "faces.json"
    file.write_text(text)
    with pytest.raises(Refused, match=why) as caught:
        manual.read(str(file))
    assert str(file) in caught.value.message
    with pytest.raises(NotFound):
        manual.read(str(tmp_path / "nowhere.json"))


class TestLinks:
    """A folder of links in the order of a key."""

    def test_are_numbered_and_made_anew(self, tmp_path: Path):
        faces = [tmp_path / name for name in ("b.exr", "a.exr", "c.exr")]
        for face in faces:
            face.write_bytes(face.name.encode())
        folder = tmp_path / "sorted"
        assert links(map(str, faces), folder)[0] == 3
        assert sorted(p.name for p in folder.iterdir()) == ["00001_b.exr", "00002_a.exr", "00003_c.exr"]
        assert (folder / "00002_a.exr").read_bytes() == b"a.exr"
        assert links([str(faces[2])], folder)[0] == 1
        assert [p.name for p in folder.iterdir()] == ["00001_c.exr"]
        assert all(face.exists() for face in faces)

    def test_do_not_mix_with_anything_else(self, tmp_path: Path):
        (tmp_path / "mine.txt").write_text("keep")
        with pytest.raises(Refused, match=r"holds mine\.txt"):
            links([], tmp_path)
        assert (tmp_path / "mine.txt").read_text() == "keep"

    def test_of_packed_faces_there_are_none(self, tmp_path: Path):
        with pytest.raises(Refused, match="unpack the faceset first"):
            links([str(tmp_path / "a.faceset" / "x.exr")], tmp_path / "sorted")
