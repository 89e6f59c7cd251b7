"""A whole swap by the command line, with its own embedded daemon: made, made again, verified, broken, mended.

The tests are the chapters of one story and run in their order, on one output.
"""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.client.command import Command, Done
from tests.conftest import Clips
from understudy.client import FrameReport, Session, SwapSettings

FRAMES = range(1002, 1005)


@pytest.fixture(scope="module")
def understudy(tmp_path_factory: pytest.TempPathFactory) -> Command:
    return Command(tmp_path_factory.mktemp("state"), folder=tmp_path_factory.mktemp("shot"))


@pytest.fixture(scope="module")
def shot(understudy: Command) -> Path:
    """The folder that the commands run in."""
    assert understudy.folder is not None
    return understudy.folder


def _swap(understudy: Command, clips: Clips) -> Done:
    return understudy(
        *("swap", "--src", clips.src, "--dst", clips.dst, "--out", "out/comp.####.exr", "--json"),
        *("--frames", "1002-1004", "--src-frames", "1001-1005x2", "--preset", "quick64", "--iterations", 2),
        *("--release", "a.release.json"),
        timeout=300,
    )


def _made(done: Done, event: str) -> Any:
    return [line for line in done.lines if line["event"] == event][-1]["data"]


def _stamps(shot: Path) -> dict[str, int]:
    return {p.name: p.stat().st_mtime_ns for p in (shot / "out").glob("comp.*.exr")}


@pytest.fixture(scope="module")
def first(understudy: Command, clips: Clips, shot: Path) -> Done:
    made = understudy(
        *("release", "create", "--kind", "public-domain", "--subject", "performer-a"),
        *("--granted-by", "NASA", "--out", "a.release.json"),
    )
    assert made.code == 0, made
    return _swap(understudy, clips)


def test_one_command_makes_the_frames(first: Done, understudy: Command, shot: Path):
    assert first.code == 0, first.err
    result = _made(first, "result")
    assert result["output"] == f"{shot}/out/comp.####.exr"
    assert sum(result["frames"].values()) == len(FRAMES)
    assert sorted(p.name for p in (shot / "out").glob("comp.*.exr")) == [f"comp.{n}.exr" for n in FRAMES]
    kinds = {artifact["kind"] for artifact in result["artifacts"]}
    assert {"comp", "faceset", "model", "manifest", "contact_sheet"} <= kinds
    assert all(
        Path(a["path"]).exists() for a in result["artifacts"] if "#" not in a["path"] and "%" not in a["path"]
    )
    assert not (understudy.state / "daemon.json").exists()  # the daemon left with the command


def test_a_finished_frame_tells_its_look(first: Done, understudy: Command):
    shown = understudy("recipe", "show", "out/comp.1002.exr")
    assert shown.code == 0, shown.err
    said = dict(line.split(maxsplit=1) for line in shown.out.splitlines())
    assert (said["blend"], said["mask"], said["feather"]) == ("over", "face*hull", "12")


def test_the_same_command_again_does_nothing_twice(
    first: Done, understudy: Command, clips: Clips, shot: Path
):
    before = _stamps(shot)
    again = _swap(understudy, clips)
    assert again.code == 0, again.err
    assert _made(again, "result")["frames"] == {"SKIPPED": len(FRAMES)}
    assert _stamps(shot) == before
    assert [line["data"]["iteration"] for line in again.lines if line["event"] == "training"][-1:] in (
        [],
        [2],
    )


def test_verify_passes_and_then_names_the_frame_that_was_altered(
    first: Done, understudy: Command, shot: Path
):
    passed = understudy("verify", "out/comp.####.exr")
    assert passed.code == 0, passed.err
    assert all(f"frame {n} ok" in passed.err for n in FRAMES)
    shutil.copy(shot / "out/comp.1002.exr", shot / "out/comp.1003.exr")
    failed = understudy("verify", "out/comp.####.exr")
    assert failed.code == 2
    assert "frame 1003 failed" in failed.err
    assert "frame 1002 ok" in failed.err


def test_python_mends_it_and_makes_only_what_is_wrong(
    first: Done, understudy: Command, clips: Clips, shot: Path
):
    before = _stamps(shot)
    settings = SwapSettings(
        src=clips.src,
        dst=clips.dst,
        output=shot / "out/comp.####.exr",
        frames="1002-1004",
        src_frames="1001-1005x2",
        preset="quick64",
        iterations=2,
        release=shot / "a.release.json",
    )
    with Session(state=understudy.state) as session:
        assert session.embedded
        swap = session.swap(settings)
        assert not any(job.existing for job in swap.jobs)
        of_merge = [e.message for e in swap.watch() if e.job == swap.jobs[-1].id]
        reports = {message.frame for message in of_merge if isinstance(message, FrameReport)}
        assert sorted(reports) == list(FRAMES)
        assert swap.result().frames == {"SKIPPED": 2, "DONE": 1}
        model = session.model(swap.result().artifact("model"))
        assert (model.iteration, model.preset, len(model.release_ids)) == (2, "quick64", 1)
        assert session.verify(shot / "out/comp.####.exr").wait().message.frames_failed == 0
    assert {n for n, t in _stamps(shot).items() if t != before[n]} == {"comp.1003.exr"}


def test_ctrl_c_cancels_and_the_model_keeps_what_it_has(first: Done, understudy: Command, shot: Path):
    spec = next(
        line["data"]["spec"]
        for line in first.lines
        if line["event"] == "started" and "train" in line["data"]["spec"]
    )
    train = spec["train"]
    with understudy.start(
        *(
            "train",
            train["model"],
            "--src",
            train["src"],
            "--dst",
            train["dst"],
            "--iterations",
            5000,
            "--json",
        )
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "state_change" and event["data"]["toState"] == "JOB_STATE_RUNNING":
                break
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=300)
    assert process.returncode == 130
    with Session(state=understudy.state) as session:
        newest = next(session.jobs())
        assert (newest.stage, newest.state) == ("train", "CANCELLED")
        assert session.model(train["model"]).iteration >= 2


def test_the_jobs_are_remembered(first: Done, understudy: Command):
    rows = understudy("jobs", "list", "--state", "succeeded").out
    for stage, times in (("extract src", 3), ("extract dst", 3), ("train", 3), ("merge", 3), ("verify", 3)):
        assert rows.count(stage) == times
