"""Merge again: what a changed recipe or plate makes anew, what stays, and stopping halfway."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from tests.core import shots
from tests.core.merging import bits, made, reports, statuses, verified
from understudy.core import plate, track
from understudy.core.frames import FrameRange
from understudy.core.merge import analysis, headers, shot
from understudy.core.merge.manifest import Manifest
from understudy.core.merge.recipe import Curve, Key
from understudy.core.merge.settings import UserMatte
from understudy.core.plate import Template
from understudy.core.reports import Artifact, FrameReport, FrameStatus, Started

NO_FACE = shots.FIRST + 4


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return shots.tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Six frames, the fifth with no face."""
    return shots.make(tmp_path_factory.mktemp("scene"))


class TestRecipe:
    def test_opacity_may_be_keyed(self, scene, model, colour):
        off = Curve((Key(frame=1001, value=0.0, interpolation="hold"), Key(frame=1002, value=1.0)))
        settings = shots.keyed(scene.settings(model, out="keyed/comp.####.exr"), opacity=off)
        reports(replace(settings, frames=FrameRange.of(1001, 1002)), colour)
        theirs = plate.read(scene.plate.template, 1001)
        assert (bits(made(settings, 1001).planes["R"]) == bits(theirs.planes["R"])).all()
        assert made(settings, 1002).planes["mask_blend.A"].max() > 0.3

    def test_another_recipe_makes_the_frames_again_in_place(self, tmp_path, model, colour):
        scene = shots.make(tmp_path, numbers=[1001, 1002], without_face=[])
        settings = scene.settings(model)
        reports(settings, colour)
        before = made(settings).planes["mask_blend.A"].copy()
        changed = shots.keyed(settings, erode=Curve.constant(3.0))
        assert set(statuses(changed, colour).values()) == {"done"}
        assert made(settings).planes["mask_blend.A"].sum() < before.sum()

    def test_another_smoothing_measures_the_match_again(self, tmp_path, model, colour, monkeypatch):
        scene = shots.make(tmp_path, numbers=[1001, 1002], without_face=[])
        settings, real = scene.settings(model), analysis._measure
        measured: list[int] = []

        def counted(*args):
            measured.append(1)
            return real(*args)

        monkeypatch.setattr(analysis, "_measure", counted)
        for version, times in ((track.SMOOTHING, 1), (track.SMOOTHING, 1), (track.SMOOTHING + 1, 2)):
            monkeypatch.setattr(track, "SMOOTHING", version)
            reports(settings, colour)
            assert len(measured) == times

    def test_only_what_is_gone_or_broken_is_made_again(self, tmp_path, model, colour):
        scene = shots.make(tmp_path, numbers=[1001, 1002, 1003], without_face=[])
        settings = scene.settings(model)
        reports(settings, colour)
        settings.out.path(1001).unlink()
        settings.out.path(1002).write_bytes(b"")
        assert statuses(settings, colour) == {1001: "done", 1002: "done", 1003: "skipped"}

    def test_a_frame_that_a_copy_cut_off_is_made_again(self, tmp_path, model, colour):
        """Its header, which says what it was made of, is whole."""
        scene = shots.make(tmp_path, numbers=[1001, 1002, 1003], without_face=[1003])
        settings = scene.settings(model)
        reports(settings, colour)
        for number in (1001, 1003):
            path = settings.out.path(number)
            whole = path.read_bytes()
            path.write_bytes(whole[:-100])
            assert statuses(settings, colour)[number] != "skipped"
            assert len(path.read_bytes()) == len(whole)
        assert statuses(settings, colour)[1002] == "skipped"

    def test_another_plate_frame_is_noticed(self, tmp_path, model, colour):
        scene = shots.make(tmp_path, numbers=[1001, 1002], without_face=[])
        settings = scene.settings(model)
        reports(settings, colour)
        plate.write(shots.frame(1002, holes=False), scene.plate.template.path(1002))
        assert statuses(settings, colour) == {1001: "skipped", 1002: "done"}

    def test_a_roto_limits_the_swap(self, scene, model, colour, tmp_path):
        roto = shots.user_matte(tmp_path, [1001])
        settings = scene.settings(model, out="roto/comp.####.exr", user_mattes=(UserMatte(template=roto),))
        found = {r.frame: r for r in reports(settings, colour)}
        assert found[1001].status is FrameStatus.DONE
        assert found[1002].status is FrameStatus.FAILED
        assert "the user's matte has no frame 1002" in found[1002].message
        assert found[NO_FACE].status is FrameStatus.NO_FACE
        ours = made(settings)
        assert (ours.planes["mask_blend.A"][:, 82 - shots.DATA.x :] == 0).all()
        assert ours.planes["mask_blend.A"][:, : 70 - shots.DATA.x].max() > 0.3
        assert ours.planes["mask_user.A"].max() == 1.0
        assert set(made(settings, NO_FACE).planes) == set(ours.planes)


def test_a_comp_as_plate_keeps_no_word_of_the_first_merge(tmp_path, scene, model, colour):
    """Where the second merge swaps nothing, its header does not name the first one's gain; synthetic it stays."""
    first = scene.settings(model, out="first/comp.####.exr", layers=(), frames=FrameRange.of(1001, 1001))
    reports(first, colour)
    comp = made(first)
    assert {headers.GAIN, headers.BRIGHTEST} <= comp.metadata.keys()
    again = shots.make(
        tmp_path, numbers=[1001, 1002], without_face=[1002], frames={1002: replace(comp, number=1002)}
    )
    second = again.settings(model)
    assert statuses(second, colour) == {1001: "done", 1002: "no_face"}
    said = made(second, 1002).metadata
    assert not {headers.GAIN, headers.BRIGHTEST} & said.keys()
    assert (said[headers.SYNTHETIC], json.loads(said[headers.BOX])[2:]) == (headers.REPLACED, [0, 0])
    assert verified(second, colour) == {""}


def test_two_passes_for_two_people(tmp_path, model, colour):
    """A frame that the second pass copies has the first one's word for its plate, which verify does not believe."""
    scene = shots.make(tmp_path, numbers=[1001, 1002], without_face=[])
    first = scene.settings(model, layers=())
    statuses(first, colour)
    shots.write_faceset(tmp_path / "other", [1002], first.out.text)
    comp = replace(scene.plate, template=first.out)
    second = replace(first, plate=comp, out=Template.parse(f"{tmp_path}/2/comp.####.exr"))
    second = shots.of(second, faceset=tmp_path / "other")
    assert statuses(second, colour) == {1001: "no_face", 1002: "done"}
    assert verified(second, colour) == {""}
    assert made(second, 1001).metadata[headers.SYNTHETIC] == headers.REPLACED


class TestRunning:
    def test_closing_stops_cleanly_and_keeps_what_is_finished(self, tmp_path, model, colour):
        scene = shots.make(tmp_path, numbers=range(1001, 1013), without_face=[])
        settings = scene.settings(model)
        others = set(threading.enumerate())
        work = shot.run(settings, colour=colour)
        first = next(r for r in work if isinstance(r, FrameReport))
        work.close()
        left = set(threading.enumerate()) - others
        assert not [t for t in left if t.name.startswith(("read", "write"))]
        finished = [n for n in settings.wanted if settings.out.path(n).exists()]
        assert first.frame in finished
        assert len(finished) < 12
        assert not [p.name for p in settings.out.directory.iterdir() if p.name.startswith(".comp")]
        after = statuses(settings, colour)
        assert {after[n] for n in finished} == {"skipped"}
        assert {after[n] for n in after if n not in finished} == {"done"}

    def test_started_tells_how_many(self, scene, model, colour):
        started = next(iter(shot.run(scene.settings(model), colour=colour)))
        assert started == Started(total=6)


def test_workers_that_end_together_leave_one_whole_manifest(tmp_path):
    out = Template.parse(str(tmp_path / "comp.####.exr"))

    def work(first):
        for number in range(first, first + 10):
            Manifest(out=out).put(number, {"status": "done"})
        Manifest(out=out).assemble({"version": "1"})

    threads = [threading.Thread(target=work, args=(first,)) for first in (1001, 1011, 1021, 1031)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entry = json.loads((tmp_path / "manifest.json").read_text())["sequences"]["comp.%04d.exr"]
    assert [frame["frame"] for frame in entry["frames"]] == list(range(1001, 1041))


def test_settings_recipe_and_verify_need_no_torch():
    """The daemon's server process checks requests with them and must stay light."""
    names = ("merge.settings", "merge.recipe", "verify", "contact", "release")
    code = "import sys\n" + "".join(f"import understudy.core.{name}\n" for name in names)
    subprocess.run([sys.executable, "-c", code + "assert 'torch' not in sys.modules"], check=True)


class TestForAFarm:
    def test_an_analysis_makes_no_frame_and_chunks_find_it(self, tmp_path, model, colour, monkeypatch):
        scene = shots.make(tmp_path, numbers=[1001, 1002], without_face=[])
        settings = scene.settings(model)
        first, track = shot.run(replace(settings, analyse_only=True), colour=colour)
        assert first == Started(total=0)
        assert isinstance(track, Artifact)
        assert track.kind == "track"
        assert not list(settings.out.directory.glob("*.exr"))
        before = track.path.read_bytes()
        monkeypatch.setattr(analysis, "_measure", None)  # it would be called
        assert statuses(settings, colour) == {1001: "done", 1002: "done"}
        assert track.path.read_bytes() == before

    def test_again_makes_what_is_there(self, tmp_path, model, colour):
        scene = shots.make(tmp_path, numbers=[1001, 1002], without_face=[])
        settings = scene.settings(model)
        reports(settings, colour)
        file = settings.out.path(1002)
        whole = file.read_bytes()
        altered = made(settings, 1002)
        planes = {**altered.planes, "R": altered.planes["R"] + 1}
        plate.write(replace(altered, planes=planes), file)
        assert statuses(settings, colour) == {1001: "skipped", 1002: "skipped"}
        assert statuses(replace(settings, again=True), colour) == {1001: "done", 1002: "done"}
        assert file.read_bytes() == whole
