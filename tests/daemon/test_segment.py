"""SegmentService and the jobs of segmentation, on small real facesets with networks that learn next to nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import grpc
import pytest

from tests.daemon import facesets, segmenters
from tests.daemon.support import Daemon, refusal
from understudy.core.faceset import Faceset, order
from understudy.core.faceset.labels import Labels
from understudy.core.faceset.mattes import Mattes
from understudy.core.segment import store
from understudy.core.segment.config import preset
from understudy.daemon.paths import Roots
from understudy.daemon.servicers.segment import SegmentServicer
from understudy.v1 import job_pb2, system_pb2
from understudy.v1 import segment_pb2 as pb

Refusal = tuple[grpc.StatusCode, str, str | None]


@pytest.fixture
def faceset(tmp_path: Path) -> Path:
    return facesets.make(tmp_path / "faces")


@pytest.fixture
def labelled(faceset: Path) -> Path:
    return segmenters.label(faceset, [1001, 1004])


@pytest.fixture
def segmenter(tmp_path: Path) -> Path:
    return segmenters.make(tmp_path / "segmenter", iou=0.75, held_out=("faces/a.exr",), trained=("b", "c"))


def refused(call: Callable[[], object]) -> Refusal:
    """Code, reason and field of a refused call."""
    with pytest.raises(grpc.RpcError) as error:
        call()
    code, reason, metadata = refusal(error.value)
    return code, reason, metadata.get("field")


def submit(daemon: Daemon, kind: str, *after: str, **spec) -> str:
    return daemon.submit(job_pb2.JobSpec(**{kind: spec}), *after).id


def apply(daemon: Daemon, segmenter: Path, faceset: Path, **more) -> job_pb2.Job:
    job = submit(
        daemon, "apply_segmenter", segmenter=str(segmenter), faceset=str(faceset), device="cpu", **more
    )
    return daemon.succeed(job)


def states(daemon: Daemon, job: str) -> dict[int, str]:
    found = daemon.frames(job).items()
    return {number: job_pb2.FrameState.Name(frame.state)[len("FRAME_STATE_") :] for number, frame in found}


def listed(daemon: Daemon, path: Path) -> pb.ListLabelsResponse:
    answer: pb.ListLabelsResponse = daemon.segments.ListLabels(pb.ListLabelsRequest(path=str(path)))
    return answer


def suggested(daemon: Daemon, path: Path, **more) -> list[pb.LabelSuggestion]:
    return list(daemon.segments.SuggestLabels(pb.SuggestLabelsRequest(path=str(path), **more)).suggestions)


def clear(daemon: Daemon, path: Path, **what) -> tuple[int, int]:
    gone = daemon.segments.ClearSegmentation(pb.ClearSegmentationRequest(path=str(path), **what))
    return gone.labels, gone.mattes


def test_the_daemon_says_which_networks_and_presets_it_has(daemon: Daemon):
    found = {each.name: each for each in daemon.system.GetInfo(system_pb2.GetInfoRequest()).families}
    assert found["segmenter"].default_choice == "xseg"
    assert set(found["segmenter"].choices) == {"xseg", "ternausnet"}
    presets = found["segmenter_preset"]
    assert presets.default_choice == "xseg"
    assert {"xseg", "xseg-light", "xseg-light-full", "ternausnet", "ternausnet-light"} <= set(presets.choices)


class TestGetSegmenter:
    def ask(self, daemon: Daemon, path: Path) -> pb.Segmenter:
        request = pb.GetSegmenterRequest(path=str(path))
        answer: pb.GetSegmenterResponse = daemon.segments.GetSegmenter(request)
        return answer.segmenter

    def test_tells_what_it_is_and_how_good(self, daemon: Daemon, segmenter: Path):
        found = self.ask(daemon, segmenter)
        assert (found.network, found.resolution, found.face_type, found.preset) == ("xseg", 64, "whole", "")
        assert (found.iteration, found.time_spent.seconds) == (7, 90)
        assert (found.labels, found.held_out, found.iou, found.converged) == (2, 1, 0.75, False)
        assert found.digest == store.read_state(segmenter).digest

    def test_knows_presets(self, daemon: Daemon, tmp_path: Path):
        place = segmenters.make(tmp_path / "light", preset("xseg-light"))
        found = self.ask(daemon, place)
        assert (found.preset, found.HasField("iou")) == ("xseg-light", False)

    def test_one_without_a_checkpoint_has_no_digest(self, daemon: Daemon, tmp_path: Path):
        store.create(tmp_path / "begun", segmenters.SMALL)
        found = self.ask(daemon, tmp_path / "begun")
        assert (found.resolution, found.digest, found.iteration) == (64, "", 0)

    def test_says_what_is_wrong(self, daemon: Daemon, segmenter: Path, tmp_path: Path):
        assert refused(lambda: self.ask(daemon, tmp_path / "nowhere")) == (
            grpc.StatusCode.NOT_FOUND,
            "NOT_FOUND",
            "path",
        )
        (segmenter / store.CONFIG).write_text(json.dumps({"format": 1, "arch": "df"}))
        code, reason, _ = refused(lambda: self.ask(daemon, segmenter))
        assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "MODEL_INVALID")


class TestLabels:
    def test_are_listed_by_frame_and_track(self, daemon: Daemon, tmp_path: Path):
        folder = facesets.make(tmp_path / "faces", tracks=(0, 1))
        segmenters.label(segmenters.label(folder, [1004, 1002], track=1), [1002])
        found = listed(daemon, folder)
        assert [(each.frame, each.track) for each in found.labels] == [(1002, 0), (1002, 1), (1004, 1)]
        first = found.labels[0]
        assert (first.face, first.kind, first.origin) == ("plate_t0.1002.exr", "polygons", "a test")
        assert found.mattes == 0

    def test_those_that_cannot_be_read_are_listed_with_the_others(self, daemon: Daemon, faceset: Path):
        folder = segmenters.label(faceset, [1001, 1002, 1004]) / "labels"
        (folder / "plate_t0.1004.json").write_text("{")
        (folder / "plate_t0.1001.exr").write_bytes(b"")  # beside its polygons
        two, good, broken = listed(daemon, faceset).labels
        assert (good.frame, good.kind, good.origin) == (1002, "polygons", "a test")
        assert (broken.face, broken.frame, broken.kind) == ("plate_t0.1004.exr", 1004, "broken")
        assert broken.origin.startswith(f"{folder}/plate_t0.1004.json: not a label")
        assert (two.frame, two.kind) == (1001, "broken")
        assert "polygons and a matte" in two.origin

    def test_to_make_next_are_not_there_yet(self, daemon: Daemon, labelled: Path):
        found = suggested(daemon, labelled)
        assert {each.frame for each in found} == {1002, 1003, 1005, 1006}
        assert not any(each.HasField("confidence") for each in found)
        assert len(suggested(daemon, labelled, count=2)) == 2
        assert refused(lambda: suggested(daemon, labelled, track=7))[1:] == ("INVALID_INPUT", "track")
        assert refused(lambda: suggested(daemon, labelled, count=-1))[1:] == ("INVALID_INPUT", "count")


@pytest.mark.parametrize(
    "call",
    [
        lambda stub, path: stub.ListLabels(pb.ListLabelsRequest(path=path)),
        lambda stub, path: stub.SuggestLabels(pb.SuggestLabelsRequest(path=path)),
        lambda stub, path: stub.ClearSegmentation(pb.ClearSegmentationRequest(path=path, labels=True)),
        lambda stub, path: stub.GetSegmenter(pb.GetSegmenterRequest(path=path)),
    ],
)
def test_every_call_names_a_path_that_is_wrong(daemon: Daemon, tmp_path: Path, call: Callable):
    gone = refused(lambda: call(daemon.segments, str(tmp_path / "nowhere")))
    assert gone == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND", "path")
    for path in ("", "faces"):
        wrong = refused(lambda: call(daemon.segments, path))  # noqa: B023  called at once
        assert wrong == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUT", "path")


def test_no_call_leaves_the_roots(
    make_daemon: Callable[..., Daemon], labelled: Path, segmenter: Path, tmp_path: Path
):
    away, out = tmp_path / "away", tmp_path / "out"
    away.mkdir()
    shutil.move(labelled / "labels" / "plate_t0.1001.json", away / "a.json")
    out.mkdir()
    inside = shutil.copytree(labelled, out / "faces")
    (inside / "labels" / "plate_t0.1001.json").symlink_to(away / "a.json")
    daemon = make_daemon("--read-root", str(out), "--write-root", str(out)).start()
    denied = (grpc.StatusCode.PERMISSION_DENIED, "PATH_NOT_ALLOWED", "path")
    assert refused(lambda: listed(daemon, inside)) == denied  # one of its labels is a link out of it
    assert refused(lambda: listed(daemon, labelled)) == denied
    assert refused(lambda: clear(daemon, labelled, labels=True)) == denied
    assert (
        refused(lambda: daemon.segments.GetSegmenter(pb.GetSegmenterRequest(path=str(segmenter)))) == denied
    )
    shutil.rmtree(inside / "labels")
    assert not listed(daemon, inside).labels
    (inside / "labels").symlink_to(away)
    assert refused(lambda: clear(daemon, inside, labels=True)) == denied
    assert (away / "a.json").exists()


class TestClear:
    def test_takes_just_what_is_asked_for(self, daemon: Daemon, labelled: Path, segmenter: Path):
        apply(daemon, segmenter, labelled)
        assert listed(daemon, labelled).mattes == 6
        assert clear(daemon, labelled, mattes=True, query={"frames": [{"first": 1001, "last": 1002}]}) == (
            0,
            2,
        )
        assert (len(listed(daemon, labelled).labels), listed(daemon, labelled).mattes) == (2, 4)
        assert clear(daemon, labelled, labels=True) == (2, 0)
        assert (len(listed(daemon, labelled).labels), listed(daemon, labelled).mattes) == (0, 4)
        assert clear(daemon, labelled, labels=True, mattes=True) == (0, 4)
        assert len(Faceset.open(labelled).records) == 6

    def test_looks_for_the_faces_once(self, labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        asked: list[str] = []
        sort = order.order

        def counted(faces: Faceset, key: str, *options: Any, **more: Any):
            asked.append(key)
            return sort(faces, key, *options, **more)

        monkeypatch.setattr(order, "order", counted)
        roots = Roots(read=(tmp_path,), write=(tmp_path,))
        servicer = SegmentServicer(lambda context: roots)
        request = pb.ClearSegmentationRequest(
            path=str(labelled), labels=True, query={"order": "yaw", "limit": 6}
        )
        gone = servicer.ClearSegmentation(request, None)  # type: ignore[arg-type]
        assert (gone.labels, asked) == (2, ["yaw"])

    def test_refuses_what_cannot_be_meant(self, daemon: Daemon, labelled: Path, tmp_path: Path):
        assert refused(lambda: clear(daemon, labelled))[1:] == ("INVALID_INPUT", "labels")
        none = {"frames": [{"first": 1, "last": 2}]}
        assert refused(lambda: clear(daemon, labelled, labels=True, query=none)) == (
            grpc.StatusCode.NOT_FOUND,
            "NOT_FOUND",
            "query",
        )
        wrong = refused(lambda: clear(daemon, labelled, labels=True, query={"order": "beauty"}))
        assert wrong[1:] == ("INVALID_INPUT", "query.order")
        pack = tmp_path / "a.faceset"
        daemon.succeed(submit(daemon, "pack_faceset", faceset=str(labelled), output=str(pack)))
        assert len(listed(daemon, pack).labels) == 2  # what may only be read can be looked at
        assert refused(lambda: clear(daemon, pack, labels=True))[1:] == ("INVALID_INPUT", "path")
        assert len(listed(daemon, labelled).labels) == 2


class TestLabelJob:
    def test_roto_becomes_labels(self, daemon: Daemon, faceset: Path, tmp_path: Path):
        pattern = segmenters.roto(tmp_path / "roto", [1001, 1003])
        segmenters.roto(tmp_path / "roto", [1005], invert=True)
        spec = {"faceset": str(faceset), "roto": {"pattern": pattern}}
        job = daemon.succeed(submit(daemon, "label_faces", **spec))
        assert [(each.kind, each.path) for each in job.artifacts] == [("labels", f"{faceset}/labels")]
        assert states(daemon, job.id) == {1001: "DONE", 1003: "DONE", 1005: "FAILED"}
        error = daemon.frames(job.id)[1005].error
        assert error.reason == "INVALID_INPUT"
        assert "--invert" in error.message
        assert "roto.1005.exr" in error.message
        assert [(each.frame, each.kind) for each in listed(daemon, faceset).labels] == [
            (1001, "matte"),
            (1003, "matte"),
        ]
        again = daemon.succeed(submit(daemon, "label_faces", **spec))
        assert states(daemon, again.id) == {1001: "SKIPPED", 1003: "SKIPPED", 1005: "FAILED"}

    def test_polygons_become_labels(self, daemon: Daemon, faceset: Path, tmp_path: Path):
        square = [[12, 8], [52, 8], [52, 58], [12, 58]]
        faces = [{"frame": number, "polygons": [{"points": square}]} for number in (1002, 1004)]
        said = {"format": "understudy.polygons/1", "space": "crop", "faces": faces}
        (tmp_path / "p.json").write_text(json.dumps(said))
        job = submit(daemon, "label_faces", faceset=str(faceset), polygons=str(tmp_path / "p.json"))
        daemon.succeed(job)
        found = Labels(Faceset.open(faceset))
        assert found.names() == {"plate_t0.1002.exr", "plate_t0.1004.exr"}

    def test_a_file_that_is_none_fails_the_job_by_name(self, daemon: Daemon, faceset: Path, tmp_path: Path):
        (tmp_path / "p.json").write_text("{")
        job = submit(daemon, "label_faces", faceset=str(faceset), polygons=str(tmp_path / "p.json"))
        error = daemon.wait(job).error
        assert error.reason == "INVALID_INPUT"
        assert "p.json" in error.message


class TestApplyJob:
    def test_writes_mattes_once_and_never_touches_labels(
        self, daemon: Daemon, labelled: Path, segmenter: Path
    ):
        label = labelled / "labels" / "plate_t0.1001.json"
        before = label.read_bytes()
        job = apply(daemon, segmenter, labelled)
        assert [(each.kind, each.path) for each in job.artifacts] == [("mattes", f"{labelled}/mattes")]
        assert set(states(daemon, job.id).values()) == {"DONE"}
        assert all(0.0 <= frame.confidence <= 1.0 for frame in daemon.frames(job.id).values())
        found = suggested(daemon, labelled)
        assert {each.frame for each in found} == {1002, 1003, 1005, 1006}
        assert all(each.HasField("confidence") for each in found)
        assert set(states(daemon, apply(daemon, segmenter, labelled).id).values()) == {"SKIPPED"}
        assert label.read_bytes() == before
        other = segmenters.make(segmenter.parent / "other", seed=1)
        assert set(states(daemon, apply(daemon, other, labelled).id).values()) == {"DONE"}
        made = Mattes(Faceset.open(labelled))
        read = [made.read(record) for record in Faceset.open(labelled).records]
        assert {each.segmenter for each in read if each} == {store.read_state(other).digest}

    def test_works_on_one_person(self, daemon: Daemon, segmenter: Path, tmp_path: Path):
        folder = facesets.make(tmp_path / "two", tracks=(0, 1))
        apply(daemon, segmenter, folder, track=1)
        names = Mattes(Faceset.open(folder)).names()
        assert {name.split(".")[0] for name in names} == {"plate_t1"}
        assert len(names) == 6
        assert {each.track for each in suggested(daemon, folder, track=0)} == {0}

    def test_one_whose_segmenter_is_altered_fails(self, daemon: Daemon, faceset: Path, segmenter: Path):
        weights = store.current(segmenter) / store.WEIGHTS
        weights.write_bytes(weights.read_bytes()[:-4] + b"\1\2\3\4")
        job = submit(daemon, "apply_segmenter", segmenter=str(segmenter), faceset=str(faceset))
        assert daemon.wait(job).error.reason == "MODEL_INVALID"


class TestPreviewJob:
    @pytest.mark.parametrize("with_segmenter", [False, True])
    def test_draws(
        self, daemon: Daemon, labelled: Path, segmenter: Path, tmp_path: Path, with_segmenter: bool
    ):
        spec = {"segmenter": str(segmenter), "device": "cpu"} if with_segmenter else {}
        out = str(tmp_path / "p.png")
        wanted = {"order": "yaw", "limit": 4}
        job = daemon.succeed(
            submit(
                daemon,
                "preview_segmentation",
                faceset=str(labelled),
                output=out,
                cell=64,
                count=3,
                query=wanted,
                **spec,
            )
        )
        assert [(each.kind, each.path) for each in job.artifacts] == [("segmentation", out)]
        assert (job.progress.unit, job.progress.done, job.progress.total) == ("face", 3, 3)
        assert cv2.imread(out) is not None
        assert not (labelled / "mattes").exists()


def test_only_who_writes_the_same_waits(
    daemon: Daemon, labelled: Path, segmenter: Path, tmp_path: Path, ingest: Callable[..., job_pb2.JobSpec]
):
    busy = daemon.submit(ingest())
    after: dict = {"segmenter": str(segmenter), "faceset": str(labelled)}
    first = submit(daemon, "apply_segmenter", busy.id, **after)
    roto = {"pattern": segmenters.roto(tmp_path / "roto", [1001])}
    label = {"faceset": str(labelled), "roto": roto}
    submit(daemon, "label_faces", busy.id, **label)  # labels are not mattes
    for kind, spec in (
        ("apply_segmenter", {**after, "track": 0}),
        ("label_faces", {**label, "marks": "face"}),
        ("measure_faceset", {"faceset": str(labelled)}),
    ):
        asked = job_pb2.JobSpec(**{kind: spec})
        code, reason, _ = refused(lambda: daemon.submit(asked, refuse_locked=True))  # noqa: B023  called at once
        assert (code, reason) == (grpc.StatusCode.ABORTED, "OUTPUT_LOCKED")
    daemon.jobs.CancelJob(job_pb2.CancelJobRequest(id=busy.id))
    assert daemon.wait(first).error.reason == "DEPENDENCY_FAILED"


def test_the_whole_loop_is_a_chain(daemon: Daemon, faceset: Path, tmp_path: Path):
    """Every job is submitted before the first has run: roto, labels, a segmenter, mattes, a picture."""
    pattern = segmenters.roto(tmp_path / "roto", [1001, 1002, 1004, 1006])
    made, out = str(tmp_path / "made"), str(tmp_path / "p.png")
    label = submit(daemon, "label_faces", faceset=str(faceset), roto={"pattern": pattern})
    train = submit(
        daemon,
        "train_segmenter",
        label,
        segmenter=made,
        facesets=[str(faceset)],
        preset="xseg-light",
        target_iterations=3,
        batch_size=2,
        device="cpu",
    )
    mattes = submit(daemon, "apply_segmenter", train, segmenter=made, faceset=str(faceset), device="cpu")
    picture = submit(daemon, "preview_segmentation", mattes, faceset=str(faceset), output=out)
    daemon.succeed(picture)
    trained = daemon.succeed(train)
    assert ("segmenter", made) in {(each.kind, each.path) for each in trained.artifacts}
    assert (trained.progress.unit, trained.progress.done, trained.progress.total) == ("iteration", 3, 3)
    told = [m.event.training for m in daemon.watch(train) if m.event.WhichOneof("event") == "training"]
    scores = [each.scores["iou"] for each in told if "iou" in each.scores]
    assert scores
    assert all(0.0 <= score <= 1.0 for score in scores)
    found = TestGetSegmenter().ask(daemon, Path(made))
    assert (found.preset, found.iteration, found.labels, found.held_out) == ("xseg-light", 3, 3, 1)
    assert found.iou in scores
    assert set(states(daemon, mattes).values()) == {"DONE"}
    again = submit(
        daemon,
        "train_segmenter",
        segmenter=made,
        facesets=[str(faceset)],
        target_iterations=3,
        batch_size=2,
        device="cpu",
    )
    daemon.succeed(again)  # it has had them already
    assert TestGetSegmenter().ask(daemon, Path(made)).digest == found.digest
