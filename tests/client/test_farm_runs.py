"""Bundles on the reference implementation of Open Job Description, with real daemons and a small real shot."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from tests.client.command import Command
from tests.client.farming import Bundle, Openjd, messages, rules
from tests.core import shots
from tests.daemon import facesets
from tests.daemon.support import SECONDS, until
from understudy.core import plate
from understudy.core import release as releases
from understudy.core.model import store
from understudy.core.plate import Template

ODD = "sh \"010\" 'ü' {{Param.MergeModel}} $(touch x)"
FRAMES = range(1001, 1013)
NAME = "pl 'a' {{te}}.####.exr"
MERGE = (
    *("merge", f"plate/{NAME}", "--faceset", "faceset", "--model", "a.model", "--out", "out/co mp.####.exr"),
    *("--colour-space", "ACEScg", "--device", "cpu", "--set", "grain=1"),
)
CHUNKS = ("--chunk", 4)


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a plate of twelve frames, its faceset and a model. Read only."""
    folder = tmp_path_factory.mktemp("farm") / ODD
    shots.make(folder, numbers=FRAMES, name=NAME)
    shots.tiny_model(folder / "a.model")
    return folder


@pytest.fixture(scope="module")
def whole(shot: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """File → SHA-256 of a merge without a farm and without a break."""
    out = tmp_path_factory.mktemp("whole")
    words = [str(word).replace("out/", f"{out}/") for word in MERGE]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(
            "OMP_NUM_THREADS", "1"
        )  # as the farm's: sums of several threads differ in their last bits
        done = Command(tmp_path_factory.mktemp("state"), folder=shot)(
            *words, "--no-contact-sheet", timeout=300
        )
    assert done.code == 0, done.err
    return digests(out)


@pytest.fixture
def openjd(tmp_path: Path) -> Iterator[Openjd]:
    (tmp_path / "run").mkdir()
    with tempfile.TemporaryDirectory(prefix="farm") as sessions:
        found = Openjd(tmp_path / "run", Path(sessions))
        yield found
        try:
            until(lambda: not found.processes())  # no daemon and no worker is left behind
        finally:
            found.kill()


def digests(folder: Path) -> dict[str, str]:
    return {each.name: hashlib.sha256(each.read_bytes()).hexdigest() for each in folder.glob("[!.]*.exr")}


def bundle(shot: Path, out: Path, *words: object, options: tuple[object, ...] = CHUNKS) -> Bundle:
    """A bundle that merges the shot into a folder."""
    command = [str(word).replace("out/", f"{out}/") for word in (words or MERGE)]
    done = Command(out.parent / "own state", folder=shot)(
        "farm", "bundle", *options, out.parent / "farm", *command
    )
    assert done.code == 0, done.err
    return Bundle(out.parent / "farm")


@pytest.mark.timeout(900)
def test_a_whole_job_makes_the_bytes_of_one_merge(
    shot: Path, whole: dict[str, str], openjd: Openjd, tmp_path: Path
):
    made = bundle(
        shot, tmp_path / "out", *MERGE, "then", "review", "out/co mp.####.exr", "--sheet", "out/s.png"
    )
    code, said = openjd.run(made)
    assert code == 0, said
    assert digests(tmp_path / "out") == whole
    assert said.count("--------- Running Task") == 1 + 3 + 1 + 1  # analysis, chunks, check, review
    assert said.count("openjd_env: UNDERSTUDY_ENDPOINT=unix:") == 4  # one daemon a step, whatever its tasks
    assert not messages(said, "fail")
    progress = [float(each) for each in messages(said, "progress")]
    assert (min(progress), max(progress), progress.count(100.0)) == (0.0, 100.0, 6)
    assert any("4/4 frames" in each for each in messages(said, "status"))
    assert (tmp_path / "out" / "s.png").is_file()
    assert not list(shot.rglob("x"))  # nobody read a name as a command

    before = {each: each.stat().st_mtime_ns for each in (tmp_path / "out").glob("*.exr")}
    code, said = openjd.run(made, "--step", "Merge")
    assert code == 0, said
    assert {each: each.stat().st_mtime_ns for each in before} == before


@pytest.mark.parametrize("victim", ["task", "everything"])
@pytest.mark.timeout(600)
def test_a_chunk_that_is_killed_and_run_again_gives_the_same_bytes(
    shot: Path, whole: dict[str, str], openjd: Openjd, tmp_path: Path, victim: str
):
    out = tmp_path / "out"
    made = bundle(shot, out)
    words, done = ("--step", "Merge", "-p", "MergeChunkSize=12"), len(FRAMES)
    while done == len(FRAMES):  # on a busy machine all may be there before the kill
        shutil.rmtree(out, ignore_errors=True)
        killed = set(openjd.sessions.rglob("daemon.json"))
        with openjd.start("run", *openjd.of(made), *words) as process:
            (daemon,) = until(lambda: set(openjd.sessions.rglob("daemon.json")) - killed)  # noqa: B023
            group = json.loads(daemon.read_text())["pid"]  # the worker is in it too
            (task,) = until(lambda: openjd.find("--progress=openjd", "merge"))
            until(lambda: list(out.glob("co mp.*.exr")))
            with suppress(ProcessLookupError):
                if victim == "task":  # at once: the next frames are under way
                    os.kill(task, signal.SIGKILL)
                else:
                    os.killpg(group, signal.SIGKILL)
            if victim == "everything":
                openjd.kill()
            done = len(list(out.glob("co mp.*.exr")))
            said, _ = process.communicate(timeout=SECONDS)
        until(lambda: not openjd.processes())
    assert process.returncode != 0, said
    code, said = openjd.run(made, *words)
    assert code == 0, said
    assert digests(out) == whole
    visible = sorted(each.name for each in out.glob("[!.]*"))  # a writer that was killed leaves a hidden file
    assert visible == [*sorted(whole), "manifest.json", "track"]


@pytest.mark.timeout(600)
def test_what_fails_is_named_and_only_what_is_missing_or_faulty_is_made_again(
    shot: Path, openjd: Openjd, tmp_path: Path
):
    folder, out = tmp_path / "shot", tmp_path / "out"
    shutil.copytree(shot, folder)
    broken = Template.parse(str(folder / "plate" / NAME)).path(1003)
    kept = broken.read_bytes()
    broken.write_bytes(kept[:500])
    made = bundle(folder, out)
    code, said = openjd.run(made, "--step", "Merge")
    assert code == 1
    (failed,) = messages(said, "fail")
    assert "frames 1003: " in failed
    assert "1003.exr" in failed
    assert {each.name for each in out.glob("*.exr")} == {f"co mp.{n}.exr" for n in (1001, 1002, 1004)}

    broken.write_bytes(kept)
    assert openjd.run(made, "--step", "Merge")[0] == 0
    understudy = Command(tmp_path / "own state", folder=tmp_path)
    done = understudy("farm", "redo", made.folder)
    assert (done.code, done.out) == (0, "MergeFrames: all are well\n")

    was = digests(out)
    alter(Template.parse(str(out / "co mp.####.exr")).path(1005))
    (out / "co mp.1010.exr").unlink()
    before = {each.name: each.stat().st_mtime_ns for each in out.glob("*.exr")}
    done = understudy("--json", "farm", "redo", made.folder)
    assert done.code == 2, done.err
    (line,) = done.lines
    assert line["data"]["frames"] == "1005,1010"
    assert ["1005" in each["message"] for each in line["data"]["faulty"]] == [True, False]
    assert json.loads((made.folder / "redo.json").read_text()) == {
        "MergeFrames": "1005,1010",
        "MergeAgain": "--again",
    }
    code, said = openjd.run(made, "-p", f"file://{made.folder / 'redo.json'}")
    assert code == 0, said
    after = {each.name: each.stat().st_mtime_ns for each in out.glob("*.exr")}
    assert {name for name in after if before.get(name) != after[name]} == {"co mp.1005.exr", "co mp.1010.exr"}
    assert digests(out) == was


def alter(file: Path) -> None:
    """Change one pixel outside the matte, as nobody should."""
    found = plate.read_file(file, 1005)
    planes = {name: plane.copy() for name, plane in found.planes.items()}
    planes["R"][0, 0] += 1
    plate.write(replace(found, planes=planes), file)


@pytest.mark.timeout(900)
def test_paths_of_another_machine_are_mapped(
    shot: Path, whole: dict[str, str], openjd: Openjd, tmp_path: Path
):
    made = bundle(shot, tmp_path / "out", *MERGE, "--frames", "1001-1004")
    file = made.folder / "parameters.json"
    theirs, values = "/no/such/shows", made.values
    moved = {
        k: v.replace(str(shot), f"{theirs}/a").replace(str(tmp_path), f"{theirs}/b")
        for k, v in values.items()
    }
    file.write_text(json.dumps(moved))
    assert moved["MergeModel"] == f"{theirs}/a/a.model"
    code, said = openjd.run(made, "--step", "Merge")
    assert (code, "NOT_FOUND, exit code 3: trying again will not help" in said) == (1, True)
    mapping = rules({f"{theirs}/a": str(shot), f"{theirs}/b": str(tmp_path), theirs: "/wrong"})
    code, said = openjd.run(made, "--path-mapping-rules", mapping)
    assert code == 0, said
    assert digests(tmp_path / "out") == {f"co mp.{n}.exr": whole[f"co mp.{n}.exr"] for n in range(1001, 1005)}


@pytest.mark.timeout(600)
def test_training_by_torchrun_stops_when_it_is_told_to_and_goes_on(openjd: Openjd, tmp_path: Path):
    for seed, name in enumerate(("src", "dst")):
        facesets.make(tmp_path / name, seed=seed, plate=f"/p/{name}.%04d.exr")
    releases.write(shots.make_release(), tmp_path / "a b.release.json")
    command = (
        "train",
        "f.model",
        "--src",
        "src",
        "--dst",
        "dst",
        "--preset",
        "quick64",
        "--iterations",
        100000,
    )
    more = ("--set", "batch_size=2", "--release", "a b.release.json", "--device", "cpu")
    understudy = Command(tmp_path / "state", folder=tmp_path)
    done = understudy("farm", "bundle", "--processes", 2, "farm", *command, *more)
    assert done.code == 0, done.err
    made = Bundle(tmp_path / "farm")
    with openjd.start("run", *openjd.of(made)) as process:
        told = ""
        assert process.stdout is not None
        while "1 iterations" not in told:
            told = process.stdout.readline()
            assert told, "it ended too early"
        time.sleep(0.5)
        os.kill(process.pid, signal.SIGINT)  # as a person cancels it
        said, _ = process.communicate(timeout=120)
    assert process.returncode != 0, said
    stopped = store.read_state(tmp_path / "f.model").iteration
    assert stopped >= 1, said
    settings = made.folder / "train.settings.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "target_iterations": stopped + 1}))
    code, said = openjd.run(made)
    assert code == 0, said
    assert store.read_state(tmp_path / "f.model").iteration == stopped + 1
    assert messages(said, "progress")[-1] == "100.0"


def test_why_a_session_has_no_daemon_is_said(shot: Path, openjd: Openjd, tmp_path: Path):
    made = bundle(shot, tmp_path / "out")
    deep = tmp_path / ("deep" * 40)  # too deep for a socket's name
    deep.mkdir()
    code, said = replace(openjd, sessions=deep).run(made)
    assert code == 1
    assert "cannot listen there" in said
