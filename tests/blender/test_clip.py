"""A day in the Movie Clip Editor of each real Blender, with a real daemon and EXR with overscan."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio  # noqa: N813 - as everywhere
import pytest

from tests.blender.conftest import VERSIONS, Blender
from tests.conftest import Clips
from tests.core import shots
from tests.daemon.support import Daemon
from understudy.client import Session, specs
from understudy.core import release as records
from understudy.core.matte import hull
from understudy.v1 import resource_pb2, segment_pb2

SCRIPT = Path(__file__).parent / "days" / "clip.py"
NUMBERS = (1001, 1002, 1003, 1004, 1006)  # Blender's clip ends before the gap
FACELESS = 1004
OPERATORS = (
    "swap extract merge train plate version_up landmarks_to_tracks tracks_add tracks_to_landmarks hull_to_mask "
    "mask_to_matte mask_to_labels preview job jobs_refresh problem_clear path_rule_add path_rule_remove"
)


@dataclass
class Day:
    """What one Blender's day came to."""

    version: str
    shot: shots.Shot
    out: Path
    seen: dict[str, Any]


@pytest.fixture(scope="module")
def real_faces(clips: Clips, endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A faceset with a release, of two frames."""
    folder = tmp_path_factory.mktemp("faces")
    records.write(shots.make_release(), folder / "a.release.json")
    plate = specs.Plate(clips.src, specs.segments("1001,1005", "frames"), clips.colour_space)
    with Session(endpoint) as session:
        session.extract(plate, folder / "src", release=str(folder / "a.release.json")).wait()
    return folder / "src"


@pytest.fixture(scope="module", params=VERSIONS)
def day(
    request: pytest.FixtureRequest,
    blender: Callable[[str], Blender],
    endpoint: str,
    clips: Clips,
    real_faces: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Day]:
    host = blender(request.param)
    folder = tmp_path_factory.mktemp("shot sh 010")
    made = shots.make(folder, numbers=NUMBERS, without_face=[FACELESS])
    shots.tiny_model(folder / "a.model")
    shots.write_faceset(folder / "src", [1001, 1002], "elsewhere.####.exr")
    records.write(shots.make_release(), folder / "a.release.json")
    out = tmp_path_factory.mktemp("out")
    places = (folder, out, folder / "a.release.json", clips.dst % 1001, real_faces)
    seen = host.run(SCRIPT.read_text(encoding="utf-8"), *places, endpoint=endpoint)
    longest = 1000 * seen["longest"]["seconds"]
    print(f"\nBlender {request.param}: {longest:.0f} ms the longest step, of {seen['longest']['operator']}")
    host.ok(*OPERATORS.split())
    yield Day(request.param, made, out, seen)
    shutil.rmtree(out)  # hundreds of megabytes, which pytest would keep until the whole run has ended


def test_the_clip_is_a_plate_whatever_its_offset(day: Day):
    pattern, frames, colour, notes = day.seen["plate"]
    assert pattern.replace("####", "%04d") == day.shot.plate.template.text
    assert (frames, colour) == ([1001, 1002, 1003, 1004], "ACEScg")
    assert "plate.1005.exr is missing" in notes[0]
    assert day.seen["numbers"] == [1, 1001, 11]
    frames, (note,) = day.seen["with_a_gap"]
    assert frames == [1001, 1002, 1003, 1004, 1006]
    assert "2 frames are missing, the first 1005" in note
    assert day.seen["default_space"] == "lin_rec709_scene"


def test_what_cannot_be_is_refused_in_words(day: Day):
    assert "open the plate" in day.seen["no_clip"]
    assert "Non-Color" in day.seen["no_colour"]
    assert "nothing to send" in day.seen["nothing_moved"]
    assert "not square" in day.seen["squeezed"]
    assert "/nowhere/model" in day.seen["no_model"]
    assert "/nowhere/model" in day.seen["problem"]
    assert day.seen["cleared"] == ""
    online, said = day.seen["online"]
    assert (online, "may not go online" in said) == (False, True)


def test_landmarks_come_as_tracks_where_they_are(day: Day):
    tracks = day.seen["tracks"]
    assert len([n for n in tracks if n.startswith("face 0 ")]) == 68 + 5 + 4
    window = shots.DATA
    for number in (1001, 1002, 1003):
        points = shots.face_at(number).landmarks.points
        for i, (x, y) in enumerate(points):
            u, v, mute = tracks[f"face 0 {i:02d}"][str(number - 1000)]
            assert not mute
            assert window.x + u * window.width == pytest.approx(x, abs=0.01)
            assert window.y + (1 - v) * window.height == pytest.approx(y, abs=0.01)
        u, v, _ = tracks["face 0 right eye"][str(number - 1000)]
        assert window.x + u * window.width == pytest.approx(points[36:42, 0].mean(), abs=0.01)
    assert tracks["face 0 30"]["4"][2] is True  # no face there: the track is off
    assert set(tracks["face 0 30"]) == {"1", "2", "3", "4"}


def test_the_plane_is_the_aligned_square(day: Day):
    assert day.seen["planes"] == 1
    assert set(day.seen["corners"]) >= {"1", "2", "3"}
    for number in (1001, 1002, 1003):
        corners = np.array(day.seen["corners"][str(number - 1000)])
        x = shots.DATA.x + corners[:, 0] * shots.DATA.width
        y = shots.DATA.y + (1 - corners[:, 1]) * shots.DATA.height
        alignment = _alignment(day, number)
        in_crop = alignment @ np.stack([x, y, np.ones(4)])
        assert (
            np.abs(in_crop.T - [(0, 96), (96, 96), (96, 0), (0, 0)]).max() < 0.05
        )  # from the bottom left on


def test_only_what_was_moved_by_hand_is_sent(day: Day, daemon: Daemon):
    asked = resource_pb2.ListManualFacesRequest(path=str(day.shot.faceset))
    faces = {(f.track, f.frame): f for f in daemon.facesets.ListManualFaces(asked).faces}
    assert set(faces) == {(0, 1003), (7, 1002)}
    sent = np.array(faces[0, 1003].points).reshape(68, 2)
    moved = sent - shots.face_at(1003).landmarks.points
    assert moved[30] == pytest.approx([5, 0], abs=0.01)
    assert np.abs(np.delete(moved, 30, axis=0)).max() < 0.01
    assert (len(faces[7, 1002].points), faces[7, 1002].interpolate) == (10, True)


def test_the_hull_comes_as_a_mask_and_goes_as_a_matte(day: Day):
    for number in (1001, 1003):
        image = oiio.ImageBuf(day.seen["matte"].replace("####", f"{number:04d}"))
        assert (image.xbegin, image.ybegin, image.spec().full_width) == (-4, -2, 160)
        matte = np.asarray(image.get_pixels(oiio.FLOAT))[..., 0]
        points = shots.face_at(number).landmarks.points - [shots.DATA.x, shots.DATA.y]
        ours, theirs = matte > 0.5, hull.hull(points, matte.shape) > 0.5
        assert (ours & theirs).sum() / (
            ours | theirs
        ).sum() > 0.8  # the hull has the pixels of its outline whole: of a face 44 wide that is much
    assert day.seen["frame_after"] == 0
    assert day.seen["scenes"] == ["Scene"]


def test_feather_is_kept(day: Day):
    """By arithmetic: in mask units, of which the longer side has one, the square is full and fades out over 0.05."""
    image = oiio.ImageBuf(str(day.out / "soft" / "soft.1002.exr"))
    soft = np.asarray(image.get_pixels(oiio.FLOAT))[..., 0]
    side, middle = shots.DATA.width, shots.DATA.height / 2
    row = soft[int(middle + 0.05 * side)]  # y 0.45: through the square
    columns = (np.arange(side) + 0.5) / side
    assert (row[(columns > 0.31) & (columns < 0.69)] == 1).all()
    assert (row[(columns < 0.24) | (columns > 0.76)] == 0).all()
    fading = row[(columns > 0.255) & (columns < 0.295)]
    assert len(fading) > 4
    assert (np.diff(fading) > 0).all()
    assert 0 < fading[0] < fading[-1] < 1


def test_a_mask_becomes_a_label(day: Day, daemon: Daemon):
    assert day.seen["label"] == ["JOB_STATE_SUCCEEDED", None]
    labels = daemon.segments.ListLabels(segment_pb2.ListLabelsRequest(path=str(day.shot.faceset))).labels
    assert [(label.frame, label.kind) for label in labels] == [(1002, "matte")]


def test_the_merge_has_the_matte_in_it(day: Day):
    assert day.seen["merged"]["state"] == "JOB_STATE_SUCCEEDED"
    assert day.seen["version"] == 2
    files = sorted(p.name for p in (day.out / "swap_v001").glob("*.exr"))
    assert files == [f"swap_v001.{n}.exr" for n in (1001, 1002, 1003, 1004)]
    image = oiio.ImageBuf(str(day.out / "swap_v001" / "swap_v001.1002.exr"))
    assert "mask_user.A" in image.spec().channelnames
    assert day.seen["preview"][0] == 80


def test_a_training_is_steered_and_survives_reload_and_load(day: Day):
    assert day.seen["training"][0] == "RUNNING"
    assert day.seen["training"][1].startswith("running")
    assert min(day.seen["training_preview"]) > 60
    assert day.seen["states"] == ["PAUSED", "RUNNING"]
    assert day.seen["forgotten"] == 0
    assert day.seen["remembered"][0] >= 1
    assert day.seen["remembered"][1] == "RUNNING"
    assert day.seen["ended"][0] == "CANCELLED"


def test_a_real_face_is_swapped_in_one_go(day: Day):
    assert day.seen["swapped"] == [f"{stage} JOB_STATE_SUCCEEDED" for stage in ("merge", "train", "extract")]
    assert sorted(p.name for p in (day.out / "real_v001").glob("*.exr")) == [
        "real_v001.1002.exr",
        "real_v001.1003.exr",
    ]


def test_panels_name_only_what_there_is(day: Day):
    drawn = day.seen["panels"]
    assert {"dst_faceset", "first", "understudy.swap"} <= set(drawn["UNDERSTUDY_PT_shot"])
    assert "something is wrong" in drawn["UNDERSTUDY_PT_jobs_clip"]
    assert "understudy.daemon_start" in drawn["UNDERSTUDY_PT_jobs_clip"]
    assert any(text.startswith("succeeded") for text in drawn["UNDERSTUDY_PT_jobs_sequence"])
    assert len(drawn) == 8


def test_a_terminal_has_exit_codes(day: Day):
    assert day.seen["exits"] == [0, 0, 3, 1, 1]
    image = oiio.ImageBuf(str(day.out / "swap_v002" / "swap_v002.1002.exr"))
    assert "uv.u" not in image.spec().channelnames
    assert "face.R" in image.spec().channelnames


def test_paths_are_mapped_by_whole_folders(day: Day):
    assert day.seen["paths"] == ["Z:/shots/a/b.exr", f"{day.out}/a", f"{day.out}x/a"]


def test_escape_ends_it_and_nothing_takes_the_window(day: Day):
    assert day.seen["modal"] == [["PASS_THROUGH"], ["PASS_THROUGH"], ["CANCELLED"]]
    assert day.seen["given_up"] == [[True], ["cancelled"]]


def _alignment(day: Day, number: int) -> np.ndarray:
    from understudy.core import align

    return align.fit(shots.face_at(number).landmarks.points, "whole", 96, 1.0).matrix
