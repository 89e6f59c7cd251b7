"""`understudy segment` through a real daemon: from roto to mattes, and what it says to do next."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

from tests.client.command import Command, Done
from tests.daemon import facesets, models, segmenters
from tests.daemon.support import Daemon
from understudy.client import Session
from understudy.client.errors import FRAMES_FAILED, INPUT_MISSING, INVALID, NotFound


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path_factory.mktemp("daemon") / "state").start()
    yield daemon
    assert daemon.stop() == 0


@pytest.fixture
def understudy(daemon: Daemon, tmp_path: Path) -> Command:
    return Command(tmp_path / "state", daemon.announced()["endpoint"], tmp_path)


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    return facesets.make(tmp_path / "faces")


@pytest.fixture
def segmenter(tmp_path: Path) -> Path:
    """One that has learnt nothing."""
    return segmenters.make(
        tmp_path / "hands", iou=0.9375, trained=tuple("abcdef"), held_out=("g",), converged=True
    )


def cells(done: Done) -> list[list[str]]:
    return [line.split() for line in done.out.splitlines()]


def test_the_whole_loop_says_at_every_step_what_is_next(faces: Path, understudy: Command, tmp_path: Path):
    segmenters.roto(tmp_path / "roto", [1001, 1002, 1004, 1006])
    roto = ("segment", "label", "faces", "--roto", "roto/roto.####.exr")
    first = understudy(*roto, "--frames", "1001,1002")
    assert first.code == 0, first.err
    assert f"labels        {faces}/labels" in first.out
    assert "labels        2 in all" in first.out
    assert f"understudy segment next {faces}" in first.out  # two are few
    named = understudy("segment", "next", "faces", "--count", 3)
    assert named.code == 0, named.err
    assert {int(row[1]) for row in cells(named)[1:4]} <= {1003, 1004, 1005, 1006}
    label = understudy(*roto)
    assert "labels        4 in all" in label.out
    assert (
        f"next          understudy segment train SEGMENTER --faceset {faces} --until-converged" in label.out
    )

    train = understudy(
        *("segment", "train", "hands", "--faceset", "faces", "--preset", "xseg-light"),
        *("--iterations", 3, "--batch-size", 2, "--device", "cpu"),
        timeout=300,
    )
    assert train.code == 0, train.err
    assert f"segmenter     {tmp_path}/hands" in train.out
    assert "iterations    3 (" in train.out
    assert "on 1 label that it never saw" in train.out
    assert "converged     not yet" in train.out
    assert f"next          understudy segment apply {faces} --segmenter {tmp_path}/hands" in train.out

    apply = understudy("segment", "apply", "faces", "--segmenter", "hands", "--device", "cpu", timeout=300)
    assert apply.code == 0, apply.err
    assert f"mattes        {faces}/mattes" in apply.out
    table = apply.out[apply.out.index("Faces that it pays") :].splitlines()
    assert table[1].split() == ["face", "frame", "track", "sure"]
    assert sorted(line.split()[1] for line in table[2:4]) == ["1003", "1005"]
    assert table[4] == "frames        1003,1005"
    assert table[5].startswith(f"next          understudy segment label {faces} --roto")
    assert (
        table[6].split()
        == f"understudy segment train {tmp_path}/hands --faceset {faces} --until-converged".split()
    )


def test_apply_names_ten_faces_to_scripts_too(segmenter: Path, understudy: Command, tmp_path: Path):
    folder = facesets.make(tmp_path / "many", range(1001, 1016))
    segmenters.label(folder, [1003])
    done = understudy(
        "segment", "apply", "many", "--segmenter", "hands", "--device", "cpu", "--json", timeout=300
    )
    assert done.code == 0, done.err
    events = [line["event"] for line in done.lines]
    assert events[-11:] == ["result"] + ["suggestion"] * 10
    named = [line["data"] for line in done.lines if line["event"] == "suggestion"]
    assert len({each["face"] for each in named}) == 10
    assert 1003 not in {each["frame"] for each in named}
    assert all(0.0 <= each["confidence"] <= 1.0 for each in named)


def test_a_segmenter_is_shown(segmenter: Path, understudy: Command):
    text = understudy("segment", "show", "hands").out
    assert "network       xseg, 64 px, whole" in text
    assert "trained       7 iterations on 6 labels in 1:30" in text
    assert "IoU           0.938 on 1 label that it never saw" in text
    assert "converged     yes" in text
    (line,) = understudy("segment", "show", "hands", "--json").lines
    assert (line["event"], line["data"]["iou"], line["data"]["heldOut"]) == ("segmenter", 0.9375, 1)


def test_the_labels_of_a_faceset_are_shown(faces: Path, understudy: Command):
    segmenters.label(faces, [1002, 1005])
    table = cells(understudy("segment", "show", "faces"))
    assert table[0] == ["face", "frame", "track", "kind", "origin"]
    assert [row[1] for row in table[1:3]] == ["1002", "1005"]
    assert table[3:] == [["labels", "2"], ["mattes", "0"]]
    found = understudy("segment", "show", "faces", "--json").lines
    assert [line["event"] for line in found] == ["label", "label", "mattes"]
    assert found[0]["data"]["face"] == "plate_t0.1002.exr"
    assert found[2]["data"] == {"count": 0}


def test_what_is_neither_is_said(understudy: Command):
    done = understudy("segment", "show", "nowhere")
    assert done.code == INPUT_MISSING
    assert "neither a segmenter nor a faceset" in done.err


def test_a_picture(faces: Path, segmenter: Path, understudy: Command, tmp_path: Path):
    segmenters.label(faces, [1002])
    done = understudy(
        *("segment", "preview", "faces", "--out", "p.png", "--segmenter", "hands", "--device", "cpu"),
        *("--sort", "blur", "--cell", 64, "--count", 4),  # blur is measured first
        timeout=300,
    )
    assert done.code == 0, done.err
    assert f"segmentation  {tmp_path}/p.png" in done.out
    assert "faces         4 of 4 done" in done.out
    assert cv2.imread(str(tmp_path / "p.png")) is not None


def test_clearing(faces: Path, understudy: Command):
    segmenters.label(faces, [1001, 1002, 1003])
    nothing = understudy("segment", "clear", "faces")
    assert nothing.code == INVALID
    some = understudy("segment", "clear", "faces", "--labels", "--frames", "1002-1006")
    assert some.out == "cleared 2 labels, 0 mattes\n"
    for asked in (("--labels",), ("--labels", "--mattes")):  # they do not come back
        every = understudy("segment", "clear", "faces", *asked)
        assert (every.code, "say --all" in every.err) == (INVALID, True)
    assert understudy("segment", "clear", "faces", "--mattes").out == "cleared 0 labels, 0 mattes\n"
    assert len(list((faces / "labels").iterdir())) == 1
    (line,) = understudy("segment", "clear", "faces", "--labels", "--mattes", "--all", "--json").lines
    assert (line["event"], line["data"]) == ("cleared", {"labels": 1, "mattes": 0})
    assert not list((faces / "labels").iterdir())
    assert len(facesets.names(faces)) == 6


def test_frames_that_cannot_be_labels_are_named(faces: Path, understudy: Command, tmp_path: Path):
    segmenters.roto(tmp_path / "roto", [1001])
    segmenters.roto(tmp_path / "roto", [1002], invert=True)
    done = understudy("segment", "label", "faces", "--roto", "roto/roto.####.exr")
    assert done.code == FRAMES_FAILED
    assert "frame 1002 failed" in done.err
    assert "--invert" in done.err
    assert "labels        1 in all" in done.out
    turned = understudy(
        "segment", "label", "faces", "--roto", "roto/roto.%04d.exr", "--frames", 1002, "--invert"
    )
    assert turned.code == 0, turned.err
    assert "labels        2 in all" in turned.out


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("label", "faces"), INVALID, "just one must be"),
        (("label", "faces", "--crops", "nowhere"), INPUT_MISSING, "nowhere"),
        (("label", "faces", "--crops", ".", "--frames", "1001"), INVALID, "are of a --roto"),
        (("label", "faces", "--crops", ".", "--marks", "ears"), INVALID, "none of face, occluder"),
        (("train", "new", "--faceset", "faces"), INVALID, "until_converged"),
        (("train", "new", "--faceset", "faces", "--until-converged"), INPUT_MISSING, "has a label"),
        (("train", "new", "--until-converged"), INVALID, "--faceset"),
        (
            ("train", "new", "--faceset", "faces", "--iterations", "9", "--preset", "magic"),
            INVALID,
            "xseg-light",
        ),
        (("apply", "faces", "--segmenter", "nowhere"), INPUT_MISSING, "nowhere"),
        (("preview", "faces", "--out", "p.jpg"), INVALID, ".png"),
        (("next", "nowhere"), INPUT_MISSING, "nowhere"),
    ],
)
def test_what_is_refused_says_why(
    faces: Path, understudy: Command, arguments: tuple[str, ...], code: int, says: str
):
    done = understudy("segment", *arguments)
    assert done.code == code
    assert says in done.err


def test_the_library_does_the_same(daemon: Daemon, faces: Path, segmenter: Path):
    segmenters.label(faces, [1004])
    with Session(daemon.announced()["endpoint"]) as session:
        assert session.segmenter(segmenter).iou == 0.9375
        assert [each.frame for each in session.labels(faces).labels] == [1004]
        job = session.apply_segmenter(segmenter, faces, device="cpu", label="hands")
        assert job.wait(300).label == "hands"
        assert session.labels(faces).mattes == 6
        assert {each.frame for each in session.suggest_labels(faces, count=2)} < {
            1001,
            1002,
            1003,
            1005,
            1006,
        }
        assert session.clear_segmentation(faces, mattes=True).mattes == 6
        with pytest.raises(NotFound):
            session.segmenter(faces)


def test_what_is_something_else_is_told(understudy: Command, tmp_path: Path):
    models.make(tmp_path / "swap", bare=True)
    done = understudy("segment", "show", "swap")
    assert (done.code, "swap: is a swap model, not a segmenter" in done.err) == (INVALID, True), done


def test_a_preview_replaces_a_file_only_when_told_to(faces: Path, understudy: Command, tmp_path: Path):
    (tmp_path / "p.png").write_bytes(b"mine")
    refused = understudy("segment", "preview", "faces", "--out", "p.png")
    assert (refused.code, "p.png is there" in refused.err) == (INVALID, True), refused
    assert (tmp_path / "p.png").read_bytes() == b"mine"
    done = understudy("segment", "preview", "faces", "--out", "p.png", "--overwrite", timeout=300)
    assert done.code == 0, done
    assert (tmp_path / "p.png").read_bytes() != b"mine"
