"""A daemon that may write below one root: its jobs do as ever, and none of them is led out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.core import shots
from tests.core.shots import make_release
from tests.daemon import facesets, models
from tests.daemon.support import Daemon
from understudy.core import release, verify
from understudy.core.colour import ColourConfig
from understudy.core.frames import FrameRange
from understudy.core.plate import Template
from understudy.core.reports import FrameReport
from understudy.v1 import job_pb2


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def daemon(make_daemon: Callable[..., Daemon], root: Path) -> Daemon:
    return make_daemon("--write-root", str(root), "--read-root", str(root)).start()


@pytest.fixture
def scene(root: Path) -> shots.Shot:
    return shots.make(root / "scene")


def merge(scene: shots.Shot, model: Path, out: Path) -> job_pb2.JobSpec:
    return job_pb2.JobSpec(
        merge={
            "plate": {"pattern": scene.plate.template.text, "colour_space": "ACEScg"},
            "swaps": [{"faceset": str(scene.faceset), "model": str(model)}],
            "output": str(out / "comp.####.exr"),
            "aligned": True,
            "device": "cpu",
        }
    )


def test_jobs_do_as_ever(daemon: Daemon, root: Path, scene: shots.Shot):
    for name in ("src", "dst"):
        facesets.make(root / name)
    release.write(make_release(), root / "src" / "release.json")
    model = models.make(root / "model")
    paths = {"model": str(model), "src": str(root / "src"), "dst": str(root / "dst")}
    spec = job_pb2.JobSpec(
        train={**paths, "target_iterations": 3, "batch_size": 2, "device": "cpu", "preview_exr": True}
    )
    daemon.succeed(daemon.submit(spec).id)
    assert list((model / "history").glob("events*"))
    assert len((model / "history" / "losses.jsonl").read_text().splitlines()) > 1
    assert {path.suffix for path in (model / "previews").iterdir()} == {".png", ".exr"}
    swap = models.make(root / "swap", releases=(make_release(),), working_space="")
    done = daemon.succeed(daemon.submit(merge(scene, swap, root / "out" / "v001")).id)
    assert {artifact.kind for artifact in done.artifacts} >= {"comp", "manifest", "track"}
    template = Template.parse(str(root / "out" / "v001" / "comp.####.exr"))
    reports = list(verify.run(template, FrameRange.of(1001, 1006), colour=ColourConfig.open(None)))
    assert {report.message for report in reports if isinstance(report, FrameReport)} == {""}
    again = daemon.succeed(daemon.submit(merge(scene, swap, root / "out" / "v001")).id)
    states = {frame.state for frame in daemon.frames(again.id).values()}
    assert states == {job_pb2.FRAME_STATE_SKIPPED}


def test_a_link_that_is_laid_once_the_job_is_accepted_leads_nowhere(
    daemon: Daemon, root: Path, scene: shots.Shot, tmp_path: Path
):
    outside = tmp_path / "outside"
    outside.mkdir()
    model = models.make(root / "model", releases=(make_release(),), working_space="")
    first = daemon.submit(merge(scene, model, root / "first"))
    second = daemon.submit(merge(scene, model, root / "second"), first.id)  # waits, accepted
    (root / "second").symlink_to(outside)
    ended = daemon.wait(second.id)
    assert (ended.state, ended.error.reason) == (job_pb2.JOB_STATE_FAILED, "PATH_NOT_ALLOWED")
    assert list(outside.iterdir()) == []
