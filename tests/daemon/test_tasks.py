"""What the worker runs for a job, without a server: what it adds to the generators of core."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from tests.core import shots
from tests.core.shots import make_release
from understudy.core import release
from understudy.core.kept import Kept
from understudy.core.reports import Artifact, FrameReport, FrameStatus, Warned
from understudy.core.train.control import Control
from understudy.daemon.site import Site
from understudy.daemon.tasks import Tasks
from understudy.v1 import job_pb2


def test_frames_that_others_left_fail_no_merge_for_its_contact_sheet(tmp_path: Path):
    shot, model = shots.make(tmp_path / "shot"), shots.tiny_model(tmp_path / "model")
    release.write(make_release(), shot.faceset / "release.json")
    tasks = Tasks(Site(weights_cache=tmp_path / "weights"), Kept())

    def reports(frame: int, **more) -> list[object]:
        spec = job_pb2.MergeSpec(
            plate={"pattern": shot.plate.template.text, "colour_space": shot.plate.colour_space},
            output=str(tmp_path / "out" / "c.%04d.exr"),
            swaps=[{"faceset": str(shot.faceset), "model": str(model)}],
            frames=[{"first": frame, "last": frame}],
            **more,
        )
        with closing(tasks.reports(job_pb2.JobSpec(merge=spec).SerializeToString(), Control())) as made:
            return list(made)

    reports(1001, no_layers=True)
    made = reports(1002)
    assert [each.status for each in made if isinstance(each, FrameReport)] == [FrameStatus.DONE]
    (warned,) = (each for each in made if isinstance(each, Warned) and each.reason == "NO_CONTACT_SHEET")
    assert "c.1001.exr: frame 1001 has no layers" in warned.message
    assert "contact_sheet" not in [each.kind for each in made if isinstance(each, Artifact)]
    made = reports(1001)  # with layers now
    sheets = [each.path for each in made if isinstance(each, Artifact) and each.kind == "contact_sheet"]
    assert [sheet.is_file() for sheet in sheets] == [True]
