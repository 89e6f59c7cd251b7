"""FacesetService on real facesets: what they hold, lists and their order, weeding, picking."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import grpc
import numpy as np
import pytest

from tests.core import shots
from tests.daemon import facesets
from tests.daemon.support import Daemon, refusal
from understudy.core import release
from understudy.core.faceset import journal
from understudy.v1 import common_pb2, job_pb2
from understudy.v1 import resource_pb2 as pb

Refusal = tuple[grpc.StatusCode, str, str | None]


@pytest.fixture
def faceset(tmp_path: Path) -> Path:
    return facesets.make(tmp_path / "faces")


def refused(call: Callable[[], object]) -> Refusal:
    """Code, reason and field of a refused call."""
    with pytest.raises(grpc.RpcError) as error:
        call()
    code, reason, metadata = refusal(error.value)
    return code, reason, metadata.get("field")


def listed(daemon: Daemon, path: Path, query: pb.FaceQuery | None = None, size: int = 0) -> list[pb.Face]:
    """All pages."""
    request = pb.ListFacesRequest(path=str(path), query=query, page_size=size)
    faces: list[pb.Face] = []
    while True:
        page = daemon.facesets.ListFaces(request)
        faces += page.faces
        if not page.next_page_token:
            return faces
        request.page_token = page.next_page_token


def measure(daemon: Daemon, path: Path, **options) -> job_pb2.Job:
    spec = job_pb2.JobSpec(measure_faceset={"faceset": str(path), **options})
    return daemon.succeed(daemon.submit(spec).id)


def test_what_a_faceset_holds(daemon: Daemon, tmp_path: Path):
    folder = facesets.make(tmp_path / "faces", tracks=(0, 1))
    release.write(shots.make_release(), folder / "release.json")
    looked = journal.Journal(folder, facesets.PLATE)
    for number in range(1001, 1010):
        looked.add(number, journal.Looked(digest="d", gain=1.0))
    (folder / "broken_t0.1099.exr").write_bytes(b"")
    found = daemon.facesets.GetFaceset(pb.GetFacesetRequest(path=str(folder))).faceset
    assert (found.faces, found.size, found.face_type, found.packed) == (12, 64, "whole", False)
    assert [(s.first, s.last) for s in found.frames] == [(1001, 1006)]
    assert [(s.first, s.last) for s in found.looked_at] == [(1001, 1009)]
    assert {track.id: track.faces for track in found.tracks} == {0: 6, 1: 6}
    assert all(35 < track.mean_size < 50 for track in found.tracks)
    assert list(found.plates) == [facesets.PLATE]
    assert "broken_t0.1099.exr" in found.broken[0]
    assert found.release_id == release.read(folder / "release.json").id
    assert "yaw" in found.measured
    assert "blur" not in found.measured
    assert found.rejected == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda stub, path: stub.GetFaceset(pb.GetFacesetRequest(path=path)),
        lambda stub, path: stub.ListFaces(pb.ListFacesRequest(path=path)),
        lambda stub, path: stub.ListDuplicates(pb.ListDuplicatesRequest(path=path)),
        lambda stub, path: list(stub.ShowFaces(pb.ShowFacesRequest(path=path, names=["a.exr"]))),
        lambda stub, path: stub.GetFacesetStatistics(pb.GetFacesetStatisticsRequest(path=path)),
        lambda stub, path: stub.RejectFaces(pb.RejectFacesRequest(path=path, query=pb.FaceQuery(tracks=[0]))),
        lambda stub, path: stub.RestoreFaces(pb.RestoreFacesRequest(path=path)),
        lambda stub, path: stub.PickTrack(pb.PickTrackRequest(path=path)),
        lambda stub, path: stub.ListReviewFrames(pb.ListReviewFramesRequest(path=path)),
        lambda stub, path: stub.ListManualFaces(pb.ListManualFacesRequest(path=path)),
        lambda stub, path: stub.DeleteManualFaces(pb.DeleteManualFacesRequest(path=path)),
    ],
)
def test_every_call_wants_a_faceset_that_is_there_and_may_be_read(
    daemon: Daemon, make_daemon: Callable[..., Daemon], tmp_path: Path, call
):
    nowhere = str(tmp_path / "nowhere")
    assert refused(lambda: call(daemon.facesets, nowhere))[:2] == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
    assert refused(lambda: call(daemon.facesets, "faces")) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_INPUT",
        "path",
    )


def test_roots_are_kept(make_daemon: Callable[..., Daemon], tmp_path: Path):
    inside, outside = tmp_path / "in", facesets.make(tmp_path / "out" / "faces")
    linked = facesets.make(inside / "linked")
    (linked / "other_t0.1001.exr").symlink_to(outside / facesets.names(outside)[0])
    edited = facesets.make(inside / "edited")
    (edited / "rejected").symlink_to(outside)
    daemon = make_daemon("--read-root", str(inside), "--write-root", str(inside)).start()
    stub, denied = daemon.facesets, (grpc.StatusCode.PERMISSION_DENIED, "PATH_NOT_ALLOWED", "path")
    some = pb.FaceQuery(tracks=[0])
    manual = [pb.ManualFace(frame=1001, absent=True)]
    for path in (str(outside), str(linked)):
        for rpc, asked in (
            (stub.GetFaceset, pb.GetFacesetRequest(path=path)),
            (stub.ListFaces, pb.ListFacesRequest(path=path)),
            (stub.RejectFaces, pb.RejectFacesRequest(path=path, query=some)),
            (stub.ListManualFaces, pb.ListManualFacesRequest(path=path)),
        ):
            assert refused(partial(rpc, asked)) == denied
    for request in (
        lambda: stub.RejectFaces(pb.RejectFacesRequest(path=str(edited), query=some)),
        lambda: stub.RestoreFaces(pb.RestoreFacesRequest(path=str(edited))),
        lambda: stub.SetManualFaces(pb.SetManualFacesRequest(path=str(outside), faces=manual)),
        lambda: stub.DeleteManualFaces(pb.DeleteManualFacesRequest(path=str(outside))),
    ):
        assert refused(request) == denied
    assert facesets.names(outside) == facesets.names(edited)  # nothing was moved


def test_a_folder_without_a_face_and_a_file_that_is_no_pack(daemon: Daemon, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "x.faceset").write_bytes(b"not a pack")
    get = daemon.facesets.GetFaceset
    empty = pb.GetFacesetRequest(path=str(tmp_path / "empty"))
    assert refused(lambda: get(empty))[:2] == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
    code, reason, _ = refused(lambda: get(pb.GetFacesetRequest(path=str(tmp_path / "x.faceset"))))
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUT")


def test_faces_come_in_pages_and_say_all_of_themselves(daemon: Daemon, faceset: Path):
    faces = listed(daemon, faceset, size=4)
    assert [face.frame for face in faces] == list(facesets.NUMBERS)
    first = faces[0]
    assert (len(first.landmarks), len(first.alignment), first.size, first.origin) == (136, 6, 64, "found")
    assert Path(first.path).name == facesets.names(faceset)[0]
    assert not first.HasField("key")


def test_a_query_is_a_view(daemon: Daemon, tmp_path: Path):
    folder = facesets.make(tmp_path / "faces", tracks=(0, 1))
    before = facesets.names(folder)
    yaw = pb.KeyRange(key="yaw", minimum=3.0, maximum=9.0)
    query = pb.FaceQuery(tracks=[1], ranges=[yaw], order="yaw", limit=2)
    faces = listed(daemon, folder, query)
    assert [(face.track, face.pose.yaw, face.key) for face in faces] == [(1, 9.0, 9.0), (1, 6.0, 6.0)]
    query.reverse = True
    assert [face.key for face in listed(daemon, folder, query)] == [3.0, 6.0]
    others = listed(
        daemon, folder, pb.FaceQuery(tracks=[1], invert=True, frames=[{"first": 1001, "last": 1006}])
    )
    assert {face.track for face in others} == {0}
    assert facesets.names(folder) == before


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"order": "beauty"}, "query.order"),
        ({"ranges": [{"key": "beauty", "minimum": 1}]}, "query.ranges.key"),
        ({"ranges": [{"key": "yaw"}]}, "query.ranges"),
        ({"ranges": [{"key": "yaw", "minimum": 2, "maximum": 1}]}, "query.ranges"),
        ({"names": ["nobody.exr"]}, "query.names"),
        ({"tracks": [7]}, "query.tracks"),
        ({"views": ["left"]}, "query.views"),
        ({"frames": [{"first": 2, "last": 1}]}, "query.frames"),
        ({"limit": -1}, "query.limit"),
    ],
)
def test_a_query_that_cannot_be_names_its_field(daemon: Daemon, faceset: Path, query: dict, field: str):
    request = pb.ListFacesRequest(path=str(faceset), query=query)
    assert refused(lambda: daemon.facesets.ListFaces(request)) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_INPUT",
        field,
    )


def test_pages_of_a_faceset_that_was_edited_are_another_list(daemon: Daemon, faceset: Path):
    request = pb.ListFacesRequest(path=str(faceset), page_size=2, query={"order": "yaw"})
    page = daemon.facesets.ListFaces(request)
    token = (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUT", "page_token")
    other = pb.ListFacesRequest(path=str(faceset), page_size=2, page_token=page.next_page_token)
    assert refused(lambda: daemon.facesets.ListFaces(other)) == token  # of another query
    request.page_token = page.next_page_token
    assert [face.frame for face in daemon.facesets.ListFaces(request).faces] == [1004, 1003]
    (faceset / facesets.names(faceset)[0]).unlink()
    assert refused(lambda: daemon.facesets.ListFaces(request)) == token


def test_what_is_not_measured_says_so_and_then_sorts(daemon: Daemon, faceset: Path):
    query = pb.FaceQuery(order="blur")
    not_measured = (grpc.StatusCode.FAILED_PRECONDITION, "NOT_MEASURED")
    ask = pb.ListFacesRequest(path=str(faceset), query=query)
    assert refused(lambda: daemon.facesets.ListFaces(ask))[:2] == not_measured
    same = pb.ListDuplicatesRequest(path=str(faceset))
    assert refused(lambda: daemon.facesets.ListDuplicates(same))[:2] == not_measured
    reject = pb.RejectFacesRequest(path=str(faceset), query={"ranges": [{"key": "blur", "maximum": 1}]})
    assert refused(lambda: daemon.facesets.RejectFaces(reject))[:2] == not_measured
    job = measure(daemon, faceset)
    assert (job.progress.unit, job.progress.done, job.progress.total) == ("face", 6, 6)
    keys = [face.key for face in listed(daemon, faceset, query)]
    assert keys == sorted(keys, reverse=True)
    assert len(keys) == 6
    found = daemon.facesets.GetFaceset(pb.GetFacesetRequest(path=str(faceset))).faceset
    assert "blur" in found.measured
    stats = daemon.facesets.GetFacesetStatistics(pb.GetFacesetStatisticsRequest(path=str(faceset))).statistics
    blur = next(each for each in stats if each.name == "blur")
    assert (blur.count, blur.minimum, blur.maximum) == (6, pytest.approx(keys[-1]), pytest.approx(keys[0]))
    yaw = next(each for each in stats if each.name == "yaw")
    assert (yaw.unit, yaw.minimum, yaw.median, yaw.maximum) == ("°", 0.0, 7.5, 15.0)


def test_duplicates_are_grouped(daemon: Daemon, faceset: Path):
    names = facesets.names(faceset)
    shutil.copy(faceset / names[0], faceset / "copy_t0.2001.exr")
    measure(daemon, faceset)
    request = pb.ListDuplicatesRequest(path=str(faceset), threshold=1e-6)
    (group,) = daemon.facesets.ListDuplicates(request).groups
    assert sorted(group.names) == sorted([names[0], "copy_t0.2001.exr"])
    request.threshold = 2.0
    assert refused(lambda: daemon.facesets.ListDuplicates(request))[2] == "threshold"


def test_rejecting_moves_and_restoring_moves_back(daemon: Daemon, faceset: Path):
    stub, names = daemon.facesets, facesets.names(faceset)
    request = pb.RejectFacesRequest(path=str(faceset), query={"order": "yaw", "limit": 2})
    assert stub.RejectFaces(request).moved == 2
    assert facesets.names(faceset) == names[:-2]
    assert facesets.names(faceset / "rejected") == names[-2:]
    assert stub.GetFaceset(pb.GetFacesetRequest(path=str(faceset))).faceset.rejected == 2
    assert stub.RestoreFaces(pb.RestoreFacesRequest(path=str(faceset), names=names[-1:])).moved == 1
    again = pb.RestoreFacesRequest(path=str(faceset), names=names[-1:])
    assert refused(lambda: stub.RestoreFaces(again))[:2] == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
    assert stub.RestoreFaces(pb.RestoreFacesRequest(path=str(faceset))).moved == 1
    assert facesets.names(faceset) == names


@pytest.mark.parametrize("query", [None, {}, {"order": "yaw"}, {"reverse": True}])
def test_an_empty_query_rejects_nothing(daemon: Daemon, faceset: Path, query: dict | None):
    request = pb.RejectFacesRequest(path=str(faceset), query=query)
    assert refused(lambda: daemon.facesets.RejectFaces(request)) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_INPUT",
        "query",
    )
    assert len(facesets.names(faceset)) == 6


def test_rejecting_nobody_is_not_found(daemon: Daemon, faceset: Path):
    far = pb.RejectFacesRequest(path=str(faceset), query={"frames": [{"first": 9, "last": 9}]})
    assert refused(lambda: daemon.facesets.RejectFaces(far))[:2] == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")


def test_all_faces_may_be_rejected_and_come_back(daemon: Daemon, faceset: Path):
    daemon.facesets.RejectFaces(pb.RejectFacesRequest(path=str(faceset), query={"tracks": [0]}))
    assert facesets.names(faceset) == []
    assert daemon.facesets.RestoreFaces(pb.RestoreFacesRequest(path=str(faceset))).moved == 6


def test_picking_a_person(daemon: Daemon, tmp_path: Path):
    folder = facesets.make(tmp_path / "faces", tracks=(0, 1))

    def picked(x: float, y: float, frame: int = 1002, **more) -> int:
        request = pb.PickTrackRequest(path=str(folder), pick={"frame": frame, "x": x, "y": y}, **more)
        return int(daemon.facesets.PickTrack(request).track)

    assert (picked(70, 55), picked(112, 60)) == (0, 1)
    nobody = (grpc.StatusCode.NOT_FOUND, "NOT_FOUND", "pick")
    assert refused(lambda: picked(5, 5)) == nobody
    assert refused(lambda: picked(70, 55, frame=1099)) == nobody
    assert refused(lambda: picked(float("nan"), 5))[2] == "pick.x"
    facesets.make(folder, plate="/p/other.%04d.exr", tracks=(1,))
    assert refused(lambda: picked(112, 60))[2] == "plate"
    assert picked(112, 60, plate="/p/other.####.exr") == 1
    assert refused(lambda: picked(112, 60, plate="/p/third.####.exr"))[2] == "plate"


def test_frames_to_review(daemon: Daemon, tmp_path: Path):
    folder = facesets.make(tmp_path / "faces", numbers=[1001, 1002, 1004])
    facesets.make(folder, numbers=[1005], score=0.3)
    looked = journal.Journal(folder, facesets.PLATE)
    for number in range(1001, 1007):
        looked.add(number, journal.Looked(digest="d", gain=1.0))

    def reasons(confidence: float = 0.0) -> set[tuple[int, str]]:
        request = pb.ListReviewFramesRequest(path=str(folder), confidence=confidence)
        return {(each.frame, each.reason) for each in daemon.facesets.ListReviewFrames(request).frames}

    found = reasons()
    assert {(1003, "no_face"), (1006, "no_face"), (1005, "low_confidence"), (1005, "lost")} <= found
    assert (1005, "low_confidence") not in reasons(0.2)
    assert refused(lambda: reasons(1.5))[2] == "confidence"


def test_the_journal_of_packed_faces_stays_behind(daemon: Daemon, faceset: Path, tmp_path: Path):
    spec = {"faceset": str(faceset), "output": str(tmp_path / "a.faceset")}
    daemon.succeed(daemon.submit(job_pb2.JobSpec(pack_faceset=spec)).id)
    pack = str(tmp_path / "a.faceset")
    found = daemon.facesets.GetFaceset(pb.GetFacesetRequest(path=pack)).faceset
    assert (found.packed, found.faces, found.rejected, list(found.looked_at)) == (True, 6, 0, [])
    assert [face.frame for face in listed(daemon, Path(pack))] == list(facesets.NUMBERS)
    reject = pb.RejectFacesRequest(path=pack, query={"tracks": [0]})
    assert refused(lambda: daemon.facesets.RejectFaces(reject))[:2] == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_INPUT",
    )


class TestManual:
    """What a person says of faces."""

    def faces(self, daemon: Daemon, folder: Path) -> list[pb.ManualFace]:
        return list(daemon.facesets.ListManualFaces(pb.ListManualFacesRequest(path=str(folder))).faces)

    def set(self, daemon: Daemon, folder: Path, *faces: dict) -> int:
        request = pb.SetManualFacesRequest(path=str(folder), faces=faces)
        return int(daemon.facesets.SetManualFaces(request).count)

    def test_is_kept_changed_and_forgotten(self, daemon: Daemon, faceset: Path):
        five = [60.0, 50.0, 80.0, 50.0, 70.0, 60.0, 62.0, 70.0, 78.0, 70.0]
        assert self.set(daemon, faceset, {"frame": 1002, "points": five, "interpolate": True}) == 1
        assert (
            self.set(
                daemon, faceset, {"frame": 1003, "box": [50, 40, 90, 80]}, {"frame": 1004, "absent": True}
            )
            == 3
        )
        assert self.set(daemon, faceset, {"frame": 1003, "track": 0, "absent": True}) == 3  # said anew
        first, second, third = self.faces(daemon, faceset)
        assert (first.plate, first.frame, list(first.points), first.interpolate) == (
            facesets.PLATE,
            1002,
            five,
            True,
        )
        assert (second.absent, third.absent, list(second.box)) == (True, True, [])
        assert json.loads((faceset / "manual.json").read_text())["faces"]
        delete = pb.DeleteManualFacesRequest(
            path=str(faceset), track=0, frames=[{"first": 1003, "last": 1004}]
        )
        assert daemon.facesets.DeleteManualFaces(delete).deleted == 2
        assert refused(lambda: daemon.facesets.DeleteManualFaces(delete))[:2] == (
            grpc.StatusCode.NOT_FOUND,
            "NOT_FOUND",
        )
        assert len(self.faces(daemon, faceset)) == 1

    @pytest.mark.parametrize(
        ("face", "field"),
        [
            ({"points": [1.0, 2.0, 3.0]}, "faces.points"),
            ({"points": [1.0, 2.0, 3.0, 4.0]}, "faces.points"),
            ({"points": [float("nan")] * 10}, "faces.points"),
            ({"points": [1.0] * 10}, "faces.points"),
            ({"box": [1, 2, 3]}, "faces.box"),
            ({"box": [9, 2, 3, 4]}, "faces.box"),
            ({"box": [1, 2, 30, float("inf")]}, "faces.box"),
            ({}, "faces.points"),
            ({"box": [1, 2, 30, 40], "absent": True}, "faces.points"),
            ({"absent": True, "track": -1}, "faces.track"),
            ({"absent": True, "plate": "/p/plate.exr"}, "faces.plate"),
        ],
    )
    def test_that_cannot_be_is_refused_whole(self, daemon: Daemon, faceset: Path, face: dict, field: str):
        good = {"frame": 1001, "absent": True}
        assert refused(lambda: self.set(daemon, faceset, good, {"frame": 1002, **face})) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "INVALID_INPUT",
            field,
        )
        assert self.faces(daemon, faceset) == []

    def test_of_several_plates_must_name_one(self, daemon: Daemon, faceset: Path):
        facesets.make(faceset, plate="/p/other.%04d.exr")
        say = {"frame": 1001, "absent": True}
        assert refused(lambda: self.set(daemon, faceset, say))[2] == "faces.plate"
        assert self.set(daemon, faceset, {**say, "plate": "/p/other.####.exr"}) == 1
        assert self.faces(daemon, faceset)[0].plate == "/p/other.%04d.exr"

    def test_may_come_before_the_first_extraction(self, daemon: Daemon, tmp_path: Path):
        assert self.set(daemon, tmp_path / "new", {"frame": 1001, "box": [1, 2, 30, 40]}) == 1
        assert self.faces(daemon, tmp_path / "new")[0].frame == 1001


def test_segments_of_a_query_are_checked(daemon: Daemon, faceset: Path):
    step = common_pb2.FrameSegment(first=1001, last=1006, step=2)
    assert [f.frame for f in listed(daemon, faceset, pb.FaceQuery(frames=[step]))] == [1001, 1003, 1005]


def test_pictures_of_faces_come_one_by_one(daemon: Daemon, faceset: Path):
    names = [Path(face.path).name for face in listed(daemon, faceset)]
    (faceset / names[2]).write_bytes((faceset / names[2]).read_bytes()[:-200])
    asked = pb.ShowFacesRequest(path=str(faceset), names=names[:4], size=48)
    shown = {each.name: each for each in daemon.facesets.ShowFaces(asked)}
    assert list(shown) == names[:4]
    pictures = {
        name: np.asarray(cv2.imdecode(np.frombuffer(each.picture, np.uint8), cv2.IMREAD_COLOR))
        for name, each in shown.items()
        if each.picture
    }
    assert {picture.shape for picture in pictures.values()} == {(48, 48, 3)}
    assert all(picture.std() > 5 for picture in pictures.values())
    assert names[2] not in pictures
    assert names[2] in shown[names[2]].trouble
    for wrong, field in (({"names": []}, "names"), ({"size": 20}, "size"), ({"names": ["no.exr"]}, "names")):
        asking: dict[str, Any] = {"path": str(faceset), "names": names[:1], **wrong}
        asked = pb.ShowFacesRequest(**asking)
        assert refused(partial(lambda it: list(daemon.facesets.ShowFaces(it)), asked))[2] == field
