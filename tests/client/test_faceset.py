"""`understudy faceset` through a real daemon, on faces that were really extracted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.command import Command, Done
from tests.conftest import Clips
from tests.daemon.support import Daemon
from understudy.client import Session
from understudy.client.specs import query
from understudy.core.weights import WeightStore

FRAMES = [1001, 1002, 1003, 1004, 1005, 1006]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, weight_store: WeightStore) -> Iterator[Daemon]:
    state = tmp_path_factory.mktemp("daemon") / "state"
    daemon = Daemon(state, "--weights-cache", str(weight_store.cache)).start()
    yield daemon
    assert daemon.stop() == 0


@pytest.fixture(scope="module")
def understudy(daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Command:
    folder = tmp_path_factory.mktemp("shot")
    return Command(folder / "state", daemon.announced()["endpoint"], folder)


@pytest.fixture(scope="module")
def shot(understudy: Command) -> Path:
    assert understudy.folder is not None
    return understudy.folder


@pytest.fixture(scope="module")
def extracted(understudy: Command, clips: Clips) -> Done:
    return understudy("extract", clips.dst, "faces", "--frames", "1001-1006", "--size", 128, timeout=180)


@pytest.fixture
def faces(extracted: Done, shot: Path, tmp_path: Path) -> Path:
    """A copy to edit."""
    return shutil.copytree(shot / "faces", tmp_path / "faces", ignore=shutil.ignore_patterns(".index"))


def rows(done: Done) -> list[list[str]]:
    """Cells of a table, without its heads."""
    assert done.code == 0, done.err
    return [line.split() for line in done.out.splitlines()[1:]]


def test_extract_says_what_it_found(extracted: Done, shot: Path):
    assert extracted.code == 0, extracted.err
    assert f"faceset       {shot}/faces" in extracted.out
    assert "faces         6 on 6 frames; track 0 (6)" in extracted.out


def test_info(extracted: Done, understudy: Command, shot: Path):
    text = understudy("faceset", "info", "faces").out
    assert "faces         6 on 6 frames, 128 px, whole" in text
    assert "frames        1001-1006" in text
    assert "people        track 0: 6 faces" in text
    (line,) = understudy("faceset", "info", "faces", "--json").lines
    assert (line["event"], line["data"]["faces"], line["data"]["path"]) == ("faceset", 6, f"{shot}/faces")
    assert line["data"]["lookedAt"] == [{"first": 1001, "last": 1006, "step": 1}]


def test_list_is_a_table_or_a_line_a_face(extracted: Done, understudy: Command):
    table = rows(understudy("faceset", "list", "faces", "--frames", "1002-1004"))
    assert [row[1] for row in table] == ["1002", "1003", "1004"]
    found = understudy("faceset", "list", "faces", "--sort", "yaw", "--limit", 3, "--json").lines
    assert [line["event"] for line in found] == ["face"] * 3
    keys = [line["data"]["key"] for line in found]
    assert keys == sorted(keys, reverse=True)
    assert len(found[0]["data"]["landmarks"]) == 136
    both = understudy("faceset", "list", "faces", "--range", "yaw=-180..180", "--invert")
    assert rows(both) == []


def test_sorting_by_what_is_not_measured_measures_first(faces: Path, understudy: Command):
    before = sorted(p.name for p in faces.glob("*.exr"))
    done = understudy("faceset", "sort", faces, "blur")
    assert done.code == 0, done.err
    assert "measure faces: done" in done.err
    assert sorted(done.out.splitlines()) == before
    again = understudy("faceset", "sort", faces, "blur", "--reverse")
    assert "measure" not in again.err
    assert again.out.splitlines()[0] == done.out.splitlines()[-1]
    assert sorted(p.name for p in faces.glob("*.exr")) == before  # a view renames nothing
    assert "blur" in understudy("faceset", "info", faces).out


def test_sorting_into_links(faces: Path, understudy: Command, tmp_path: Path):
    done = understudy("faceset", "sort", faces, "yaw", "--link", tmp_path / "sorted")
    assert "6 links" in done.out
    order = understudy("faceset", "sort", faces, "yaw").out.splitlines()
    made = sorted((tmp_path / "sorted").iterdir())
    assert [link.name for link in made] == [f"{i:05}_{name}" for i, name in enumerate(order, 1)]
    assert all(link.resolve() == faces / name for link, name in zip(made, order, strict=True))


def test_distance_to_a_reference_face(faces: Path, understudy: Command):
    first = next(faces.glob("*.exr"))
    table = rows(understudy("faceset", "list", faces, "--sort", "reference", "--reference", first))
    assert table[0][0] == first.name
    assert float(table[0][-1]) == 0.0
    assert float(table[-1][-1]) > 0.0


def test_measure_and_stats(faces: Path, understudy: Command):
    done = understudy("faceset", "measure", faces, "--json")
    assert done.code == 0
    progress = [line["data"] for line in done.lines if line["event"] == "progress"][-1]
    assert (progress["unit"], progress["done"], progress["total"]) == ("face", 6, 6)
    table = {row[0]: row for row in rows(understudy("faceset", "stats", faces))}
    assert {"yaw", "pitch", "blur", "brightness"} <= set(table)
    names = {
        line["data"]["name"]: line["data"] for line in understudy("faceset", "stats", faces, "--json").lines
    }
    assert names["blur"]["count"] == 6


def test_pictures(faces: Path, understudy: Command, tmp_path: Path):
    sheet = understudy("faceset", "sheet", faces, "--out", tmp_path / "s.png", "--sort", "blur", "--cell", 64)
    assert sheet.code == 0, sheet.err
    assert f"faceset sheet {tmp_path}/s.png" in sheet.out
    chart = understudy("faceset", "coverage", faces, "--out", tmp_path / "c.png")
    assert chart.code == 0, chart.err
    assert "no face looking" in chart.err
    assert (tmp_path / "c.png").stat().st_size > 1000
    assert json.loads((tmp_path / "c.json").read_text())


def test_rejecting_and_restoring(faces: Path, understudy: Command):
    assert understudy("faceset", "reject", faces).code == 1
    dry = understudy("faceset", "reject", faces, "--frames", "1001-1002", "--dry-run")
    assert dry.out == "would reject 2 faces\n"
    assert understudy("faceset", "reject", faces, "--frames", "1001-1002").out == "rejected 2 faces\n"
    assert "rejected      2" in understudy("faceset", "info", faces).out
    worst = understudy("faceset", "reject", faces, "--sort", "blur", "--reverse", "--limit", 1)
    assert worst.out == "rejected 1 face\n"
    nobody = understudy("faceset", "reject", faces, "--frames", "1")
    assert (nobody.code, "[NOT_FOUND]" in nobody.err) == (3, True)
    assert understudy("faceset", "restore", faces).out == "restored 3 faces\n"
    assert understudy("faceset", "restore", faces).code == 3


def test_duplicates_keep_the_best(faces: Path, understudy: Command):
    first = min(faces.glob("*.exr"))
    shutil.copy(first, faces / "copy_t0.2001.exr")
    done = understudy("faceset", "duplicates", faces, "--threshold", "0.000001")
    assert done.code == 0, done.err
    assert sorted(done.out.split()) == sorted([first.name, "copy_t0.2001.exr"])
    weeded = understudy("faceset", "duplicates", faces, "--threshold", "0.000001", "--reject", "--json")
    assert [line["event"] for line in weeded.lines] == ["duplicates", "rejected"]
    assert weeded.lines[-1]["data"] == {"count": 1}
    assert len(list(faces.glob("*.exr"))) == 6


def test_picking_and_extracting_only_who_was_picked(
    extracted: Done, understudy: Command, clips: Clips, shot: Path
):
    with Session(understudy.endpoint) as session:
        face = next(session.faces(shot / "faces", query(frames="1003")))
    x0, y0, x1, y1 = face.box
    at = (f"{(x0 + x1) / 2:.1f}", f"{(y0 + y1) / 2:.1f}")
    assert understudy("faceset", "pick", "faces", 1003, *at).out == "0\n"
    away = understudy("faceset", "pick", "faces", 1003, 1, 1)
    assert (away.code, "nobody stands at 1, 1" in away.err) == (3, True)
    done = understudy(
        *("extract", clips.dst, "picked", "--frames", "1001-1003", "--size", 128),
        *("--pick", f"1003,{at[0]},{at[1]}"),
    )
    assert done.code == 0, done.err
    assert "3 on 3 frames" in done.out


def test_what_a_person_says_comes_true_on_just_that_frame(
    faces: Path, understudy: Command, clips: Clips, tmp_path: Path
):
    before = {p.name: p.stat().st_mtime_ns for p in faces.glob("*.exr")}
    (line, *_) = understudy("faceset", "list", faces, "--frames", "1003", "--json").lines
    points = line["data"]["landmarks"]
    moved = [[x + 4.0, y] for x, y in zip(points[::2], points[1::2], strict=True)]
    (tmp_path / "points.json").write_text(json.dumps(moved))
    say = ("faceset", "manual", "set", faces)
    assert understudy(*say, "--frame", 1003, "--track", 0, "--points", tmp_path / "points.json").code == 0
    assert understudy(*say, "--frame", 1005, "--track", 0, "--absent").out.startswith("2 kept")
    table = rows(understudy("faceset", "manual", "list", faces))
    assert [row[0] for row in table] == ["1003", "1005"]
    done = understudy("extract", clips.dst, faces, "--frames", "1001-1006", "--size", 128, timeout=180)
    assert done.code == 0, done.err
    found = {f["data"]["frame"]: f["data"] for f in understudy("faceset", "list", faces, "--json").lines}
    assert sorted(found) == [1001, 1002, 1003, 1004, 1006]
    assert found[1003]["origin"] == "manual"
    assert found[1003]["landmarks"][0] == pytest.approx(moved[0][0], abs=0.01)
    after = {p.name: p.stat().st_mtime_ns for p in faces.glob("*.exr")}
    assert {name for name in after if after[name] != before[name]} == {Path(found[1003]["path"]).name}
    reviewed = {(row[0], row[2]) for row in rows(understudy("faceset", "review", faces))}
    assert {("1003", "manual"), ("1005", "no_face")} <= reviewed
    only = rows(understudy("faceset", "review", faces, "--reason", "no_face"))
    assert [row[0] for row in only] == ["1005"]


def test_manual_faces_travel_as_json(faces: Path, understudy: Command, tmp_path: Path):
    say = ("faceset", "manual", "set", faces)
    five = "60,50 80,50 70,60 62,70 78,70"
    assert understudy(*say, "--frame", 1001, "--five", five, "--interpolate").code == 0
    assert understudy(*say, "--frame", 1004, "--track", 1, "--box", "10,20,30,40").code == 0
    printed = understudy("faceset", "manual", "list", faces, "--json").out
    (tmp_path / "said.json").write_text(printed)
    assert understudy("faceset", "manual", "delete", faces).out == "deleted 2\n"
    assert understudy("faceset", "manual", "delete", faces).code == 3
    assert understudy(*say, "--file", tmp_path / "said.json").out.startswith("2 kept")
    assert understudy("faceset", "manual", "list", faces, "--json").out == printed
    for wrong in (
        ("--frame", 1001),
        ("--frame", 1001, "--absent", "--box", "1,2,3,4"),
        ("--absent",),
        ("--frame", 1001, "--box", "1,2,3"),
        ("--frame", 1001, "--five", "1,2 3"),
        ("--frame", 1001, "--five", "1,2 3,4"),
        ("--frame", 1001, "--points", tmp_path / "said.json"),
    ):
        assert understudy(*say, *wrong).code == 1


def test_pack_train_ready_and_back(faces: Path, understudy: Command, tmp_path: Path):
    pack, copy = tmp_path / "a.faceset", tmp_path / "copy"
    assert understudy("faceset", "pack", faces, "--out", pack).code == 0
    assert "(packed)" in understudy("faceset", "info", pack).out
    assert rows(understudy("faceset", "list", pack, "--limit", 1))[0][1] == "1001"
    sealed = understudy("faceset", "reject", pack, "--track", 0)
    assert (sealed.code, "pack" in sealed.err) == (1, True)
    assert understudy("faceset", "unpack", pack, "--out", copy).code == 0
    ids = {
        understudy("faceset", "info", each, "--json").lines[0]["data"]["id"] for each in (faces, pack, copy)
    }
    assert len(ids) == 1


def test_other_sizes_formats_and_sets(faces: Path, understudy: Command, tmp_path: Path):
    small, dfl, back, joined = (tmp_path / name for name in ("small", "dfl", "back", "joined"))
    assert understudy("faceset", "resize", faces, "--out", small, "--size", 64).code == 0
    assert "64 px" in understudy("faceset", "info", small).out
    assert understudy("faceset", "export", faces, "--out", dfl).code == 0
    assert len(list(dfl.glob("*.jpg"))) == 6
    assert understudy("faceset", "import", dfl, "--out", back).code == 0
    assert understudy("faceset", "info", back).code == 0
    assert understudy("faceset", "join", faces, small, "--out", joined).code == 0
    assert understudy("faceset", "join", faces, "--out", tmp_path / "x").code == 1


def test_unknown_keys_are_answered_with_those_there_are(faces: Path, understudy: Command):
    done = understudy("faceset", "sort", faces, "beauty")
    assert done.code == 1
    assert "beauty" in done.err
    assert "motion_blur" in done.err
    assert understudy("faceset", "list", faces, "--range", "yaw").code == 1
    assert understudy("faceset", "info", "nowhere").code == 3
