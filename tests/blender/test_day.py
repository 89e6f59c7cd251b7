"""An editor's day on the demo's shot in real Blenders, the oldest and the newest: every operator, undo, two versions.

All that happens on Blender's main thread is timed, in its processor time, and the longest is printed.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.blender import comping
from tests.blender.conftest import VERSIONS, Blender
from tests.blender.test_compositor import close
from tests.conftest import Clips
from tests.core import shots
from tests.daemon.support import Daemon
from understudy.client import Session, plugins, specs
from understudy.core import plate
from understudy.core import release as records
from understudy.v1 import resource_pb2, segment_pb2

SCRIPT = Path(__file__).parent / "days" / "editor.py"
FRAMES = (1002, 1003, 1004)
DONE = "JOB_STATE_SUCCEEDED"


@dataclass
class Day:
    """What one Blender's day came to."""

    host: Blender
    out: Path
    seen: dict[str, Any]


@pytest.fixture(scope="module")
def src(clips: Clips, endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Who goes on; somebody extracted them yesterday."""
    folder = tmp_path_factory.mktemp("who goes on")
    records.write(shots.make_release(), folder / "a.release.json")
    faces = specs.Plate(clips.src, specs.segments("1001-1005x2", "frames"), clips.colour_space)
    with Session(endpoint) as session:
        session.extract(faces, folder / "src", release=str(folder / "a.release.json")).wait()
    return folder


@pytest.fixture(scope="module", params=(VERSIONS[0], VERSIONS[-1]))
def day(
    request: pytest.FixtureRequest,
    blender: Callable[[str], Blender],
    endpoint: str,
    clips: Clips,
    src: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Day]:
    host = blender(request.param)
    out = tmp_path_factory.mktemp("shot é 010")
    script = comping.RENDER + comping.NODES + SCRIPT.read_text(encoding="utf-8")
    seen = host.run(
        script, out, clips.dst % 1001, src / "src", src / "a.release.json", endpoint=endpoint, seconds=1100
    )
    yield Day(host, out, seen)
    shutil.rmtree(out)  # hundreds of megabytes, which pytest would keep until the whole run has ended


@pytest.mark.slow
@pytest.mark.timeout(1200)  # a busy machine
def test_a_day(day: Day, clips: Clips, daemon: Daemon):
    seen = day.seen
    assert {seen[stage] for stage in ("extract", "again", "label", "train", "merge", "second", "swap")} == {
        DONE
    }
    faceset = str(day.out / "dst")
    manual = daemon.facesets.ListManualFaces(resource_pb2.ListManualFacesRequest(path=faceset)).faces
    assert [(face.frame, len(face.points)) for face in manual] == [(1003, 10)]
    labels = daemon.segments.ListLabels(segment_pb2.ListLabelsRequest(path=faceset)).labels
    assert [label.frame for label in labels] == [1003]
    assert seen["preview"][0] == 160

    for folder, version in (("comp", 1), ("opened", 2)):
        for number in FRAMES:
            name = f"swap_v{version:03d}"
            merged = plate.read_file(day.out / name / f"{name}.{number}.exr")
            assert (comping.one(merged, "mask_blend.A") > 0).sum() > 500
            assert "mask_user.A" in merged.planes
            ours, wanted = comping.opened(day.out / folder, number), comping.rgb(merged)
            source = comping.rgb(plate.read_file(Path(clips.dst % number)))
            close(comping.rgb(ours, "Image"), wanted, wanted, source)

    result, over, matte = seen["strips"][1:]
    assert [result[:3], over[:3], matte[:3]] == [[2, 1002, 1005], [3, 1002, 1005], [4, 1002, 1005]]
    assert result[3] in ("swap_v001", "flat")
    assert (over[3], matte[3]) == ("over", "matte")
    assert seen["taken_up"]
    assert seen["opened"] == [2, 14, 1, "Understudy: shot"]
    assert "/nowhere/model" in seen["problem"]
    assert max(map(len, seen["lines"])) <= 40
    assert "".join(seen["lines"]).endswith("m" * 60)
    day.host.ok(*seen["pressed"])
    longest = seen["longest"]
    print(
        f"longest on the main thread of Blender {day.host.version}: "
        f"{1000 * longest['seconds']:.1f} ms of processor time ({longest['what']})"
    )


@pytest.mark.slow
@pytest.mark.timeout(1200)  # a busy machine
def test_each_operator_is_one_step_of_undo(day: Day):
    """Ctrl-Z takes away what it did, all at once, and Ctrl-Shift-Z brings it back; what a job has written stays."""
    assert set(day.seen["undo"]) | SENDS == set(day.seen["undoable"])
    assert [name for name, went in day.seen["undo"].items() if not all(map(all, went))] == []
    assert day.seen["remembered"] == [2, True]
    assert day.seen["under_way"] == [["PASS_THROUGH"], ["CANCELLED"], ["given up", "cancelled by an undo"]]


SENDS = {"tracks_to_landmarks", "mask_to_labels"}  # these change the faceset, and nothing of the file


def test_no_operator_is_without_a_test():
    declared = set()
    for path in plugins.blender_source().glob("*.py"):
        declared |= set(re.findall(r'bl_idname = "understudy\.(\w+)"', path.read_text(encoding="utf-8")))
    tests = [p.read_text(encoding="utf-8") for p in Path(__file__).parent.rglob("*.py")]
    driven = {
        n for text in tests for n in re.findall(r'(?:ops\.understudy\.|(?:press|undone|runs)\(")(\w+)', text)
    }
    assert declared
    assert declared <= driven
