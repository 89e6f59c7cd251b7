"""Bad input at the command line, through a real daemon with roots: what is said, and the exit code."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.command import Command
from tests.conftest import Clips
from tests.daemon.support import SECONDS, until
from understudy.client import Session


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, clips: Clips) -> Iterator[Command]:
    """`understudy serve` that may read the clips and a work folder, and write only the latter."""
    state, work = tmp_path_factory.mktemp("state"), tmp_path_factory.mktemp("work")
    plates = Path(clips.src).parent
    understudy = Command(state, folder=work)
    (work / "inside-a-file").write_text("in the way")
    with understudy.start(
        *("serve", "--read-root", plates, "--read-root", work, "--write-root", work)
    ) as daemon:
        until(lambda: (state / "daemon.json").exists() or daemon.poll() is not None)
        assert daemon.poll() is None, daemon.communicate()
        made = understudy(
            *("release", "create", "--kind", "public-domain", "--subject", "performer-a"),
            *("--granted-by", "NASA", "--out", "a.release.json"),
        )
        assert made.code == 0, made.err
        yield understudy
        daemon.send_signal(signal.SIGTERM)
        try:
            daemon.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            daemon.kill()
            raise
    assert daemon.returncode == 0


SWAP = ("swap", "--iterations", 1, "--release", "a.release.json")


def _swap(clips: Clips, **changes: str) -> tuple[object, ...]:
    given = {"src": clips.src, "dst": clips.dst, "out": "out/comp.####.exr"} | changes
    return (*SWAP, *(part for name, value in given.items() for part in (f"--{name}", value)))


@pytest.mark.parametrize(
    ("changes", "code", "says"),
    [
        ({"preset": "quick1"}, 1, ("train.preset", "'quick1' is none of", "quick96")),
        ({"out": "out/comp.exr"}, 1, ("comp.exr: no frame token", "comp.####.exr")),
        ({"out": "out/comp.%V.exr"}, 1, ("no frame token",)),
        ({"frames": "2001-2010"}, 1, ("2001-2010", "1001-1008")),
        ({"frames": "1004-1001"}, 1, ("runs backwards",)),
        ({"match": "poisson"}, 1, ("recipe.match", "'poisson'", "reinhard")),
        ({"dst-colour-space": "Rec709"}, 1, ("colour_space", "Rec709")),
        ({"src": "nobody.%04d.exr"}, 3, ("nobody", "NOT_FOUND")),
        ({"src": "nobody.mp4"}, 3, ("nobody.mp4", "NOT_FOUND")),
        ({"release": "none.json"}, 3, ("none.json", "NOT_FOUND")),
        ({"release": "inside-a-file"}, 4, ("inside-a-file", "RELEASE_INVALID")),
        ({"src": "/etc/plate.%04d.exr"}, 4, ("/etc/plate", "PATH_NOT_ALLOWED")),
        ({"out": "/etc/comp.%04d.exr", "work": "w"}, 4, ("/etc", "PATH_NOT_ALLOWED")),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_swap_that_cannot_be_says_why_and_leaves_nothing_running(site, clips, changes, code, says):
    done = site(*_swap(clips, **changes))
    assert done.code == code, done
    for text in says:
        assert text in done.err
    assert "Traceback" not in done.err
    with Session(state=site.state) as session:
        assert not list(session.jobs(["QUEUED", "RUNNING", "PAUSED"]))


def test_no_release_is_4_and_says_how_to_make_one(site: Command, clips: Clips):
    done = site("swap", "--src", clips.src, "--dst", clips.dst, "--out", "unreleased/comp.####.exr")
    assert done.code == 4
    assert "understudy release create --kind test --subject performer-a" in done.err
    assert "[RELEASE_MISSING]" in done.err


def test_an_output_folder_that_cannot_be_written_is_told(site: Command, clips: Clips):
    done = site("extract", clips.src, "inside-a-file/faces", "--frames", "1001")
    assert done.code == 1
    assert "inside-a-file" in done.err


def test_a_second_job_on_the_same_output_need_not_wait(site: Command, clips: Clips):
    assert site.folder is not None
    faces = site.folder / "locked"
    with Session(state=site.state) as session:
        first = session.extract(clips.src, faces)
        first.pause()
        try:
            done = site("extract", clips.dst, "locked", "--json", "--refuse-locked")
            assert done.code == 75, done
            assert done.lines[-1]["data"]["reason"] == "OUTPUT_LOCKED"
            assert first.id in done.lines[-1]["data"]["message"]
        finally:
            until(lambda: first.refresh().state != "RUNNING")  # its worker pauses it, in its own time
            first.cancel()


def test_weights_of_an_unknown_name(site: Command):
    done = site("weights", "verify", "nobodys-network")
    assert done.code == 3
    assert "nobodys-network" in done.err


def test_detach_leaves_the_job_to_a_daemon_that_stays(site: Command, clips: Clips):
    id_ = site("extract", clips.src, "detached", "--frames", "1001-1002", "--detach").out.split()[0]
    watched = site("jobs", "watch", id_)
    assert watched.code == 0, watched
    assert "2 of 2 done" in watched.out


def test_detach_without_such_a_daemon_is_refused(tmp_path, clips: Clips):
    done = Command(tmp_path / "state")("extract", clips.src, tmp_path / "faces", "--detach")
    assert done.code == 1
    assert "understudy serve" in done.err
