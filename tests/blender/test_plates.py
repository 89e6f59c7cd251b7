"""Plates of other kinds than a sequence of one view; and a daemon that comes and goes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.blender import comping
from tests.blender.conftest import VERSIONS, Blender
from tests.core import shots
from tests.core.test_plate_ingest import BT709, COUNT, video
from tests.daemon.support import Daemon
from understudy.core import plate
from understudy.core import release as records
from understudy.v1 import resource_pb2

DAYS = Path(__file__).parent / "days"


@pytest.mark.parametrize("version", VERSIONS)
def test_movies_and_stereo(
    version: str, blender: Callable[[str], Blender], daemon: Daemon, endpoint: str, tmp_path: Path
):
    host, out = blender(version), tmp_path / "out"
    out.mkdir()
    video(tmp_path / "a movie.mov", "yuv420p", codec="mpeg4", tags=BT709)
    shot = shots.make_stereo(tmp_path / "stereo", numbers=[1001, 1002])
    shots.tiny_model(shot.folder / "a.model")
    script = comping.RENDER + (DAYS / "plates.py").read_text(encoding="utf-8")
    seen = host.run(script, tmp_path / "a movie.mov", shot.folder, out, endpoint=endpoint)
    movies(seen)
    assert "shows the view left" in seen["mask"]
    for name in ("strip", "stereo_strip"):
        assert "turn Multi-View off" in seen[name]
    for i, (x, y) in enumerate(shots.face_at(1001, centre=left()).landmarks.points):
        u, v = seen["tracks"][f"face 0 {i:02d}"]
        assert shots.DATA.x + u * shots.DATA.width == pytest.approx(x, abs=0.01)
        assert shots.DATA.y + (1 - v) * shots.DATA.height == pytest.approx(y, abs=0.01)
    asked = resource_pb2.ListManualFacesRequest(path=str(shot.faceset))
    assert [(f.view, f.frame) for f in daemon.facesets.ListManualFaces(asked).faces] == [("left", 1001)]
    clip = comping.rgb(comping.opened(out / "clip", 1001), "clip")
    source = shots.eye(1001, "left", holes=True)
    ok = np.isfinite(comping.rgb(source))
    np.testing.assert_array_equal(clip[ok], comping.rgb(source)[ok])
    merged = plate.read_file(out / "s_v001" / "s_v001.1001.exr")
    assert {"face.left.R", "face.right.R"} <= set(merged.planes)
    assert "the views left, right in one file" in seen["both_views"]
    host.ok("ingest")


def movies(seen: dict) -> None:
    """A movie is no plate, and becomes one while the file is closed."""
    assert seen["source"] == "MOVIE"
    assert "Movie to Plate" in seen["movie"]
    assert "no frame token" in seen["no_token"]
    assert seen["forgotten"] == 0
    same, frames, space, at = seen["ingested"]
    assert (same, space) == (True, "lin_rec709_scene")
    assert frames == list(
        range(103, 101 + COUNT)
    )  # the clip begins at the movie's third frame, as the movie did
    assert (at, seen["same_frame"]) == (21, [21, 2])
    assert "a sequence, and a plate as it is" in seen["again"]
    assert "gone.mov is not on disk" in seen["gone"]


def left() -> tuple[float, float]:
    return shots.CENTRE[0] + shots.EYES["left"], shots.CENTRE[1]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_daemon_is_started_from_inside_dies_and_is_there_again(
    version: str, blender: Callable[[str], Blender], tmp_path: Path
):
    host = blender(version)
    made = shots.make(tmp_path / "shot", numbers=[1001, 1002], without_face=[])
    shots.write_faceset(made.folder / "src", [1001, 1002], "elsewhere.####.exr")
    records.write(shots.make_release(), made.folder / "a.release.json")
    script = (DAYS / "daemon.py").read_text(encoding="utf-8")
    seen = host.run(script, made.folder, tmp_path, made.folder / "a.release.json")
    assert seen["before"] == "not connected"
    assert "daemon" in seen["problem"]
    assert seen["after"].endswith(f"process {seen['one']}")
    assert (seen["running"], seen["another"], seen["goes_on"]) == ("RUNNING", True, ["RUNNING", ""])
    assert seen["apart"] == "not connected"
    assert "daemon" in seen["trouble"]
    assert (seen["back"], seen["end"]) == (["RUNNING", ""], "CANCELLED")
    host.ok("daemon_start")
