"""The command line against a fake daemon: options, output, exit codes and signals of the real process."""

from __future__ import annotations

import grpc
import pytest

from tests.client.command import Command
from tests.client.fake import FakeDaemon, frame, progress, status
from understudy.client.cli.app import hoisted
from understudy.v1 import job_pb2, resource_pb2


@pytest.fixture
def understudy(daemon: FakeDaemon, tmp_path) -> Command:
    return Command(tmp_path / "state", daemon.endpoint, tmp_path)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["jobs", "list", "--json"], ["--json", "jobs", "list"]),
        (["swap", "--endpoint", "unix:/s", "--src", "a"], ["--endpoint", "unix:/s", "swap", "--src", "a"]),
        (["verify", "--endpoint=unix:/s", "o"], ["--endpoint=unix:/s", "verify", "o"]),
        (["verify", "--", "--json"], ["verify", "--", "--json"]),
        (["verify", "--endpoint"], ["--endpoint", "verify"]),
    ],
)
def test_global_options_may_stand_behind_the_verb(given, expected):
    assert hoisted(given) == expected


def test_version_and_help(understudy: Command):
    assert understudy("--version").out == "0.1.0\n"
    help_ = understudy("swap", "--help")
    assert help_.code == 0
    for option in ("--src", "--dst", "--out", "--frames", "--minutes", "--release", "--no-layers", "--work"):
        assert option in help_.out


@pytest.mark.parametrize(
    "arguments",
    [
        ["swap"],
        ["jobs", "nope"],
        ["frames", "1-5", "--to", "deadline"],
        ["frames", "1-5:2"],
        ["jobs", "list", "--state", "x"],
    ],
)
def test_wrong_usage_is_1_because_2_means_failed_frames(understudy: Command, arguments):
    assert understudy(*arguments).code == 1


@pytest.mark.parametrize(
    "arguments", [("--json", "merge", "--nonsense"), ("merge", "--json"), ("--no", "--json")]
)
def test_wrong_usage_ends_with_a_line_too(understudy: Command, arguments):
    done = understudy(*arguments)
    assert done.code == 1
    (line,) = done.lines
    assert (line["event"], line["data"]["reason"], line["data"]["exitCode"]) == ("error", "INVALID_INPUT", 1)
    assert line["data"]["message"].startswith(("No such option: --no", "Missing argument"))


def test_frames_translates_without_a_daemon(tmp_path):
    offline = Command(tmp_path, f"unix:{tmp_path}/none.sock")
    assert offline("frames", "1001-1010x3,1020", "--to", "openjd").out == "1001-1010:3,1020\n"
    nuke = offline("frames", "--from", "nuke", "--to", "openjd", "1001-1100x2 1150")
    assert nuke.out == "1001-1099:2,1150\n"
    assert offline("frames", "--to", "nuke", "--", "-5--1,3").out == "-5--1 3\n"
    assert "from: 'deadline' is none of" in offline("frames", "1-5", "--from", "deadline").err
    assert (
        offline("frames", "1001-1005:2", "--frames-dialect", "openjd", "--list").out == "1001\n1003\n1005\n"
    )
    (line,) = offline("frames", "1-3", "--json").lines
    assert line["data"] == {"text": "1-3", "count": 3, "segments": [{"first": 1, "last": 3, "step": 1}]}


def test_nobody_there_is_69(tmp_path):
    done = Command(tmp_path, f"unix:{tmp_path}/none.sock")("jobs", "list", "--json")
    assert done.code == 69
    assert "no daemon answers at unix:" in done.err
    assert done.lines[-1]["event"] == "error"
    assert done.lines[-1]["data"]["exitCode"] == 69


def test_a_tcp_endpoint_is_refused_with_the_reason(understudy: Command):
    done = understudy("jobs", "list", "--endpoint", "farm42:5005")
    assert done.code == 1
    assert "not a Unix socket" in done.err


@pytest.mark.parametrize(("failed", "missing", "code"), [(0, 0, 0), (1, 0, 2), (1, 1, 2), (0, 2, 3)])
def test_single_frames_decide_the_exit_code_of_a_job_that_succeeded(
    daemon, understudy, failed, missing, code
):
    daemon.script = [progress(3, 4), frame(1004, job_pb2.FRAME_STATE_FAILED, "zero bytes")]
    daemon.frames_failed, daemon.frames_missing = failed, missing
    daemon.frames = [frame(n, warnings=["2 pixels are not finite"]).frame for n in (1001, 1003)]
    done = understudy("ingest", "a.mov", "plate.####.exr")
    assert done.code == code
    assert "frame 1004 failed: zero bytes" in done.err
    assert f"frames        {3 - failed - missing} of 4 done" in done.out
    assert "warnings      on 2 frames: understudy jobs show job-1 --frames" in done.out
    assert ("1 failed" in done.out) is bool(failed)
    assert ("2 missing" in done.out) is (missing == 2)


@pytest.mark.parametrize(
    ("reason", "code"), [("NO_FACE", 3), ("RELEASE_INVALID", 4), ("OUT_OF_MEMORY", 1), ("FRAMES_FAILED", 2)]
)
def test_a_job_that_failed_says_why(daemon: FakeDaemon, understudy: Command, reason, code):
    daemon.ending = job_pb2.JOB_STATE_FAILED
    daemon.error = job_pb2.Error(reason=reason, message="here is why")
    done = understudy("extract", "plate.####.exr", "faces", "--json")
    assert done.code == code
    assert f"understudy: here is why [{reason}]" in done.err
    assert done.lines[-1]["data"]["reason"] == reason


def test_what_is_given_arrives(daemon: FakeDaemon, understudy: Command, tmp_path):
    done = understudy(
        *("merge", "plate.####.exr", "--faceset", "faces", "--model", "model", "--out", "comp.####.exr"),
        *("--frames", "1001-1003", "--plate-frames", "1001-1100", "--match", "none", "--feather", "6.5"),
        *("--no-layers", "--no-contact-sheet", "--track", "1"),
    )
    assert done.code == 0
    spec = daemon.requests[0].spec.merge
    assert spec.plate.pattern == f"{tmp_path}/plate.####.exr"
    assert (spec.plate.frames[0].last, spec.frames[0].last) == (1100, 1003)
    assert (spec.swaps[0].recipe.match, spec.swaps[0].recipe.feather.value) == ("none", 6.5)
    assert (spec.no_layers, spec.no_contact_sheet, spec.swaps[0].track) == (True, True, 1)
    assert not spec.swaps[0].recipe.HasField("erode")


@pytest.mark.parametrize("command", ["merge", "swap"])
def test_masks_and_mattes_arrive(daemon: FakeDaemon, understudy: Command, tmp_path, command):
    merge = ("merge", "plate.####.exr", "--faceset", "faces", "--model", "model")
    swap = ("swap", "--src", "a.####.exr", "--dst", "plate.####.exr", "--release", "a.release.json")
    done = understudy(
        *({"merge": merge, "swap": swap}[command]),
        *("--out", "comp.####.exr", "--mask", "(eyes + mouth)*occ", "--mask-smooth", 3, "--segmenter", "seg"),
        *(
            "--matte-channel",
            "roto.A",
            "--user-matte",
            "limit.####.exr",
            "--limit-matte",
            "a=b/other.####.exr",
        ),
        *("--add-matte", "add.####.exr=1001-1003,1007", "--keep-matte", "x=y/keep.####.exr=1002"),
    )
    assert done.code == 0, done.err
    spec = daemon.requests[-1].spec.merge
    look = spec.swaps[0].recipe
    assert (look.mask, look.mask_smooth) == ("(eyes + mouth)*occ", 3)
    assert spec.swaps[0].segmenter == f"{tmp_path}/seg"
    assert {m.channel for m in spec.swaps[0].user_mattes} == {"roto.A"}
    mattes = spec.swaps[0].user_mattes
    found = [(m.use, m.matte.pattern, [(s.first, s.last) for s in m.matte.frames]) for m in mattes]
    assert found == [
        (job_pb2.USER_MATTE_USE_LIMIT, f"{tmp_path}/limit.####.exr", []),
        (job_pb2.USER_MATTE_USE_LIMIT, f"{tmp_path}/a=b/other.####.exr", []),
        (job_pb2.USER_MATTE_USE_ADD, f"{tmp_path}/add.####.exr", [(1001, 1003), (1007, 1007)]),
        (job_pb2.USER_MATTE_USE_KEEP, f"{tmp_path}/x=y/keep.####.exr", [(1002, 1002)]),
    ]


def test_a_mattes_range_that_cannot_be_is_refused_by_its_option(understudy: Command):
    done = understudy(
        *("merge", "plate.####.exr", "--faceset", "faces", "--model", "model", "--out", "comp.####.exr"),
        *("--keep-matte", "keep.####.exr=9-1"),
    )
    assert done.code == 1
    assert "keep_matte" in done.err


def test_what_extract_is_given_arrives(daemon: FakeDaemon, understudy: Command, tmp_path):
    done = understudy(
        *(
            "extract",
            "plate.####.exr",
            "faces",
            "--detector",
            "s3fd",
            "--landmarker",
            "fan2d",
            "--pose",
            "fsanet",
        ),
        *("--identity", "dlib", "--search-every", 1, "--smallest", 24, "--max-faces", 2, "--min-score", 0),
        *("--looks", 5, "--upright-only", "--pick", "1001,640.5,-3", "--reference", "who.png"),
        *("--reference-distance", 0.8, "--device", "cuda:1", "--workers", 4),
    )
    assert done.code == 0, done.err
    spec = daemon.requests[0].spec.extract
    assert (spec.detector, spec.landmarker, spec.pose, spec.identity) == ("s3fd", "fan2d", "fsanet", "dlib")
    assert (spec.search_every, spec.smallest, spec.max_faces, spec.looks) == (1, 24, 2, 5)
    assert (spec.HasField("min_score"), spec.min_score, spec.upright_only) == (True, 0.0, True)
    assert (spec.pick.frame, spec.pick.x, spec.pick.y) == (1001, 640.5, -3)
    assert (spec.reference, spec.reference_distance) == (f"{tmp_path}/who.png", 0.8)
    assert (spec.device, spec.workers) == ("cuda:1", 4)
    plain = understudy("extract", "plate.####.exr", "faces")
    assert plain.code == 0
    assert not {"pick", "min_score"} & {
        field.name for field, _ in daemon.requests[1].spec.extract.ListFields()
    }
    wrong = understudy("extract", "plate.####.exr", "faces", "--pick", "here")
    assert (wrong.code, "'here' is not FRAME,X,Y" in wrong.err) == (1, True)


def test_extract_ends_with_what_to_look_at(daemon: FakeDaemon, understudy: Command, tmp_path):
    daemon.review = [
        resource_pb2.ReviewFrame(frame=1003, reason="no_face"),
        resource_pb2.ReviewFrame(frame=1003, reason="gap"),
        resource_pb2.ReviewFrame(frame=1005, reason="lost"),
    ]
    done = understudy("extract", "plate.####.exr", "my faces")
    assert f"2 frames; list them with `understudy faceset review '{tmp_path}/my faces'`" in done.out
    daemon.review = []
    assert "review" not in understudy("extract", "plate.####.exr", "faces").out
    assert understudy("extract", "p.####.exr", "faces", "--json").lines[-1]["event"] == "result"


def test_layers_by_name(daemon: FakeDaemon, understudy: Command):
    merge = ("merge", "plate.####.exr", "--faceset", "faces", "--model", "model", "--out", "comp.####.exr")
    assert understudy(*merge, "--layers", "face, uv").code == 0
    assert list(daemon.requests[0].spec.merge.layers) == ["face", "uv"]
    both = understudy(*merge, "--layers", "uv", "--no-layers")
    assert (both.code, "--layers and --no-layers exclude each other" in both.err) == (1, True)


def test_swap_prints_what_it_made(daemon: FakeDaemon, understudy: Command, tmp_path):
    daemon.frames = [frame(1001).frame, frame(1002, warnings=["2 pixels are not finite"]).frame]
    done = understudy(
        "swap", "--src", "a.mp4", "--dst", "d.####.exr", "--out", "out/comp.####.exr", "--minutes", 1
    )
    assert done.code == 0
    assert f"output        {tmp_path}/out/comp.####.exr" in done.out
    assert "frames        2 done, 0 failed, 0 missing" in done.out
    assert "warnings      on 1 frame: understudy jobs show job-5 --frames" in done.out
    assert (
        "time          ingest src 0:00, extract src 0:00, extract dst 0:00, train 0:00, merge 0:00"
        in done.out
    )


def test_swap_as_json_ends_with_a_result(daemon: FakeDaemon, understudy: Command, tmp_path):
    daemon.frames = [frame(1001).frame]
    done = understudy("swap", "--src", "a.mp4", "--dst", "d.####.exr", "--out", "comp.####.exr", "--json")
    assert done.code == 0
    assert [line["event"] for line in done.lines[:5]] == ["started"] * 5
    assert {line["stage"] for line in done.lines if "stage" in line} == {
        "ingest src",
        "extract src",
        "extract dst",
        "train",
        "merge",
    }
    assert done.lines[-1]["event"] == "result"
    assert done.lines[-1]["data"]["frames"] == {"DONE": 1}


def test_swap_may_be_left_to_the_daemon(daemon: FakeDaemon, understudy: Command):
    daemon.script = None
    done = understudy("swap", "--src", "s.####.exr", "--dst", "d.####.exr", "--out", "c.####.exr", "--detach")
    assert done.out.splitlines() == [
        "job-1  extract src",
        "job-2  extract dst",
        "job-3  train",
        "job-4  merge",
    ]


def test_a_second_job_on_the_same_output_is_75(daemon: FakeDaemon, understudy: Command):
    daemon.refuse["extract"] = status(
        grpc.StatusCode.ABORTED, "OUTPUT_LOCKED", "job 7 writes to faces", job="7"
    )
    done = understudy("extract", "plate.####.exr", "faces")
    assert (done.code, "job 7 writes to faces [OUTPUT_LOCKED]" in done.err) == (75, True)


def test_jobs_list_show_and_steer(daemon: FakeDaemon, understudy: Command):
    daemon.script = None
    daemon.frames = [
        frame(1001, warnings=["2 pixels are not finite"]).frame,
        frame(1002, job_pb2.FRAME_STATE_FAILED, "torn").frame,
    ]
    assert understudy("ingest", "a.mov", "p.####.exr", "--detach").out.split()[0] == "job-1"
    assert understudy("jobs", "list").out.split()[:2] == ["job-1", "QUEUED"]
    assert understudy("jobs", "list", "--state", "running").out == ""
    shown = understudy("jobs", "show", "job-1", "--frames").out
    assert "1 done, 1 failed" in shown
    assert "1001  done      2 pixels are not finite" in shown
    assert "1002  failed    torn" in shown
    assert understudy("jobs", "pause", "job").out == "job-1  ingest: paused\n"
    assert understudy("jobs", "resume", "job-1").code == 0
    assert understudy("jobs", "show", "nope").code == 3
    assert understudy("jobs", "pause", "job-1").code == 1


def test_weights_and_release(daemon: FakeDaemon, understudy: Command):
    heads, row = understudy("weights", "list").out.splitlines()
    assert heads.split() == ["name", "for", "state", "default", "size", "licence", "where"]
    assert row.split() == ["blazeface", "detector", "present", "yes", "0.2", "MB"]
    assert understudy("weights", "verify").code == 3
    made = understudy(
        *("release", "create", "--kind", "test", "--subject", "performer-a", "--granted-by", "test clip"),
        *("--out", "a.release.json", "--valid-until", "2030-12-31"),
    )
    assert (made.code, "release abc of performer-a" in made.out) == (0, True)
    assert understudy("release", "show", "a.release.json").code == 0
    revoked = understudy("release", "show", "revoked.json")
    assert (revoked.code, "not valid: it was revoked" in revoked.out) == (4, True)
    wrong = understudy(
        *("release", "create", "--kind", "test", "--subject", "a", "--granted-by", "b", "--out", "c.json"),
        *("--valid-until", "31.12.2030"),
    )
    assert (wrong.code, "'31.12.2030' is not a day" in wrong.err) == (1, True)


def test_doctor_says_what_to_do(daemon: FakeDaemon, understudy: Command):
    assert understudy("doctor").code == 0
    daemon.refuse["extract"] = status(grpc.StatusCode.FAILED_PRECONDITION, "WEIGHTS_MISSING", "")
    done = understudy("doctor")
    assert done.code == 1
    assert "→ understudy weights pull blazeface" in done.out
    named = Command(understudy.state)("--endpoint", daemon.endpoint, "doctor")
    assert f"→ understudy --endpoint {daemon.endpoint} weights pull blazeface" in named.out
    daemon.version = "0.0.9"
    assert "upgrade it" in understudy("doctor").out
    daemon.stop()
    away = understudy("doctor", "--json")
    assert away.code == 1
    assert away.lines[-1]["data"]["name"] == "daemon"
    assert away.lines[-1]["data"]["ok"] is False


def test_nobody_reads_on_and_nobody_is_bothered(daemon: FakeDaemon, understudy: Command):
    for n in range(3):
        understudy("ingest", "a.mov", f"p{n}.####.exr", "--detach")
    with understudy.start("jobs", "list") as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
