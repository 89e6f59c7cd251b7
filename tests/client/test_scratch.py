"""A client whose folder the daemon may not read: it sends, has a merge made, fetches the layers; and what breaks."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.client.command import Command
from tests.core import shots
from tests.daemon import facesets
from tests.daemon.support import SECONDS, Daemon, until
from understudy.client import AsyncSession, NotFound, PathNotAllowed, Refused, Session, Transfer, specs
from understudy.client.errors import DaemonFault, JobFailed, TimedOut
from understudy.client.scratch import _inside
from understudy.client.specs.parts import absolute
from understudy.client.transfer import Pattern
from understudy.core import plate
from understudy.v1 import scratch_pb2 as pb
from understudy.v1.scratch_pb2_grpc import ScratchServiceStub

FRAMES = range(1001, 1005)
LARGE = 5_000_000  # bytes: a file of three parts


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """It may read and write one folder, `shared`, and keeps scratch."""
    folder = tmp_path_factory.mktemp("daemon")
    for name in ("shared", "scratch"):
        (folder / name).mkdir()
    (folder / "daemon.toml").write_text(
        f'[scratch]\nfolder = "{folder}/scratch"\n[roots]\nread = ["{folder}/shared"]\nwrite = ["{folder}/shared"]\n'
    )
    daemon = Daemon(folder / "state", "--config", str(folder / "daemon.toml")).start()
    yield daemon
    assert daemon.stop() == 0


@pytest.fixture
def session(daemon: Daemon) -> Iterator[Session]:
    with Session(daemon.announced()["endpoint"]) as opened:
        yield opened


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A folder of this machine: a short sequence, some of it large, and other files."""
    folder = tmp_path / "mine"
    (folder / "sub" / ".hidden").mkdir(parents=True)
    for number in (1001, 1002, 1003, 10010):
        (folder / f"plate.{number}.exr").write_bytes(os.urandom(LARGE if number == 1002 else 1000))
    for name in (
        "plate.0099.exr",
        "plate.00100.exr",
        "plate.1001.txt",
        "empty",
        "sub/a b 'ü'.json",
        "sub/.hidden/x",
        ".x",
    ):
        (folder / name).write_bytes(b"" if name == "empty" else name.encode())
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def pixels(path: Path) -> dict[str, Any]:
    """Every channel's stored bits, by part and name."""
    frame = plate.read_file(path)
    return {
        f"{at} {name}": plane.tobytes()
        for at, part in enumerate((frame, *frame.others))
        for name, plane in part.planes.items()
    }


PAGE = (Path(__file__).parents[2] / "docs" / "pipeline-td.md").read_text(encoding="utf-8")


def test_a_merge_without_shared_storage_has_the_same_layers(
    daemon: Daemon, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The page's own code, but for the end: what it made is looked at here."""
    own, shared = tmp_path / "own", daemon.state.parent / "shared"
    for folder in (own, shared):
        made = shots.make(folder, numbers=FRAMES)
        made.faceset.rename(folder / "faces")
        shots.tiny_model(folder / "a.model")
        for frame in (folder / "plate").iterdir():
            frame.rename(folder / frame.name)

    def merge(folder: Path) -> Any:
        given = specs.Plate(folder / "plate.####.exr", colour_space="ACEScg")
        return session.merge(given, folder / "faces", folder / "a.model", folder / "comp/comp.####.exr")

    with pytest.raises(PathNotAllowed):
        merge(own)
    monkeypatch.chdir(own)
    monkeypatch.setenv("UNDERSTUDY_ENDPOINT", daemon.announced()["endpoint"])
    code = PAGE.split("## Without shared storage\n")[1].split("```python\n")[1].split("```")[0]
    exec(code, {})
    assert list(session.scratch_files("sh010")) == []
    merge(shared).wait()

    names = sorted(name for name in files(shared / "comp") if not any(p[0] == "." for p in Path(name).parts))
    assert sorted(files(own / "comp")) == names
    assert [name for name in names if name.startswith("comp.")] == [f"comp.{n}.exr" for n in FRAMES]
    for number in FRAMES:
        here, there = (pixels(folder / "comp" / f"comp.{number}.exr") for folder in (own, shared))
        assert here == there
        assert {"0 R", "0 face.R", "0 mask_blend.A"} <= set(here)


def test_a_pack_made_there_is_fetched_by_the_path_that_the_job_tells(session: Session, tmp_path: Path):
    facesets.make(tmp_path / "faces")
    sent = session.send(tmp_path / "faces", "packing/faces")
    job = session.pack_faceset(sent, "scratch:packing/dst.faceset").wait()
    (made,) = [each.path for each in job.message.artifacts if each.path.endswith(".faceset")]
    assert session.fetch(made, tmp_path / "packs") == str(tmp_path / "packs/dst.faceset")
    assert session.send(tmp_path / "packs/dst.faceset", "packs") == "scratch:packs/dst.faceset"
    assert session.faceset("scratch:packs/dst.faceset").faces == session.faceset(sent).faces == 6


def test_what_is_there_is_not_moved_again_and_half_a_file_goes_on(
    daemon: Daemon, session: Session, mine: Path, tmp_path: Path
):
    seen: list[Transfer] = []
    assert session.send(mine, "again", report=seen.append) == "scratch:again"
    sent = {name: data for name, data in files(mine).items() if ".hidden" not in name and name != ".x"}
    assert [f.name for f in session.scratch_files("again")] == sorted(f"again/{name}" for name in sent)
    assert session.fetch("scratch:again", tmp_path / "back") == str(tmp_path / "back")
    assert files(tmp_path / "back") == sent

    (mine / "plate.1001.exr").write_bytes(b"x" * 1000)  # of the same size
    session.send(mine, "again", report=seen.append)
    assert (seen[-1].files, seen[-1].same) == (len(sent), len(sent) - 1)
    before = {p: p.stat().st_ino for p in (tmp_path / "back").iterdir()}
    (tmp_path / "back" / "plate.1002.exr").rename(tmp_path / "back" / ".plate.1002.exr.part")
    with (tmp_path / "back" / ".plate.1002.exr.part").open("r+b") as half:
        half.truncate(LARGE // 2)
    session.fetch("scratch:again/plate.####.exr", tmp_path / "back", report=seen.append)
    assert (seen[-1].files, seen[-1].same, seen[-1].bytes) == (5, 3, seen[-1].total_bytes)
    now = {name: data for name, data in files(tmp_path / "back").items() if name.startswith("plate.1")}
    assert now == {name: data for name, data in files(mine).items() if name.startswith("plate.1")}
    assert not list((tmp_path / "back").glob(".*"))
    changed = {p.name for p, inode in before.items() if p.stat().st_ino != inode}
    assert changed == {"plate.1001.exr"}  # the half one goes on in the file that it was


def test_a_wrong_half_is_begun_anew(session: Session, mine: Path, tmp_path: Path):
    session.send(mine / "plate.1002.exr", "half")
    for rest in (b"wrong", b"y" * LARGE, b"z" * (LARGE + 5)):
        (tmp_path / "h").mkdir(exist_ok=True)
        (tmp_path / "h" / ".plate.1002.exr.part").write_bytes(rest)
        session.fetch("half/plate.1002.exr", tmp_path / "h")
        assert files(tmp_path / "h") == {"plate.1002.exr": (mine / "plate.1002.exr").read_bytes()}
        (tmp_path / "h" / "plate.1002.exr").unlink()


def test_sequences_and_frames_are_chosen(session: Session, mine: Path, tmp_path: Path):
    assert (
        session.send(mine / "plate.%04d.exr", "seq", frames="1001-1002,10010") == "scratch:seq/plate.%04d.exr"
    )
    assert [f.name for f in session.scratch_files("seq")] == [
        f"seq/plate.{n}.exr" for n in (1001, 10010, 1002)
    ]
    got = session.fetch("scratch:seq/plate.@@@@.exr", tmp_path / "seq", frames="1002")
    assert got == str(tmp_path / "seq" / "plate.@@@@.exr")
    assert list(files(tmp_path / "seq")) == ["plate.1002.exr"]
    session.send(mine / "plate.####.exr", "all")
    assert len(list(session.scratch_files("all"))) == 5  # 0099 too, not 00100 nor .txt
    for call in (
        lambda: session.send(mine / "none.####.exr", "x"),
        lambda: session.send(mine / "none", "x"),
        lambda: session.fetch("scratch:none", tmp_path / "x"),
        lambda: session.fetch("scratch:seq/none.####.exr", tmp_path / "x"),
    ):
        with pytest.raises(NotFound, match="there is nothing to"):
            call()
    for call in (
        lambda: session.send(mine, "x", frames="1-2"),
        lambda: session.send(mine, "../x"),
        lambda: session.fetch("/etc/passwd", tmp_path / "x"),
        lambda: session.send(mine, "x", in_flight=0),
    ):
        with pytest.raises(Refused):
            call()
    assert session.delete_scratch("scratch:seq") == 3
    assert session.delete_scratch("scratch:seq") == 0


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("p.####.exr", "p.1001.exr", True), ("p.####.exr", "p.-005.exr", True), ("p.####.exr", "p.001001.exr", False),
        ("p.%d.exr", "p.7.exr", True), ("p.%d.exr", "p.07.exr", False), ("p.@@.exr", "p.07.exr", True),
        ("p.####.exr", "p.1001.exr.tmp", False), ("p(1).####.exr", "p(1).0001.exr", True),
        ("%V/p.####.exr", "left/p.1001.exr", True), ("%V/p.####.exr", "p.1001.exr", False),
        ("%V/p.%v.####.exr", "left/p.l.1001.exr", True), ("p.%V.exr", "p.left.exr", True),
        ("%V/p.####.exr", "a/b/p.1001.exr", False),
    ],
)  # fmt: skip
def test_patterns(pattern: str, name: str, fits: bool):
    found = Pattern.of(f"/show#1/{pattern}")
    assert (found.folder, found.rest) == ("/show#1", pattern)
    assert found.matches(name) == fits


@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "/etc/x", "a//x", ".bashrc", "a/.ssh/x", "", "a\0b", "."]
)
def test_a_daemon_cannot_have_anything_written_elsewhere(name: str, tmp_path: Path):
    with pytest.raises(DaemonFault, match="could lead out"):
        _inside(tmp_path, name)


def test_paths_of_the_scratch_stay_as_they_are():
    assert absolute("scratch:a/b.####.exr") == "scratch:a/b.####.exr"
    assert absolute("scratch:a\\b") == "scratch:a/b"  # as Windows' paths come out


def test_who_is_told_may_stop_it_and_it_goes_on_later(session: Session, mine: Path):
    class Enough(Exception):
        pass

    def stop(now: Transfer) -> None:
        raise Enough

    with pytest.raises(Enough):
        session.send(mine / "plate.1002.exr", "stopped", report=stop)
    session.delete_scratch("stopped")  # it may have been faster
    data, half = (mine / "plate.1002.exr").read_bytes(), LARGE // 2
    about: dict[str, Any] = {
        "name": "stopped/plate.1002.exr",
        "size_bytes": LARGE,
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    wire: Any = session._wire
    wire.call(ScratchServiceStub, "SendChunk", pb.SendChunkRequest(**about, data=data[:half]))
    seen: list[Transfer] = []
    session.send(mine / "plate.1002.exr", "stopped", report=seen.append)
    assert next(now.bytes for now in seen if now.bytes) >= half  # what came before is not sent again
    assert [f.size_bytes for f in session.scratch_files("stopped")] == [LARGE]


def test_a_file_that_changes_while_it_is_sent_is_refused(
    session: Session, mine: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(
        "understudy.client.scratch.sha256", lambda _: hashlib.sha256(b"as it was").hexdigest()
    )
    with pytest.raises(Refused, match="changed on the way") as error:
        session.send(mine, "spoilt")
    assert error.value.reason == "WRITE_FAILED"
    assert list(session.scratch_files("spoilt")) == []


def test_a_daemon_killed_in_the_middle_is_waited_for(tmp_path: Path, mine: Path):
    (tmp_path / "scratch").mkdir()
    (tmp_path / "d.toml").write_text(f'[scratch]\nfolder = "{tmp_path}/scratch"\n')
    daemon = Daemon(tmp_path / "state", "--config", str(tmp_path / "d.toml")).start()
    try:
        killed = threading.Event()

        def kill(now: Transfer) -> None:
            if now.bytes > LARGE // 3 and not killed.is_set():
                killed.set()
                daemon.end(signal.SIGKILL)
                daemon.start()

        with Session(daemon.announced()["endpoint"]) as session:
            session.send(mine, "a", report=kill, in_flight=2)
            assert killed.is_set()
            killed.clear()
            session.fetch("scratch:a", tmp_path / "back", report=kill, in_flight=2)
            assert killed.is_set()
        sent = {name: data for name, data in files(mine).items() if ".hidden" not in name and name != ".x"}
        assert files(tmp_path / "back") == sent
    finally:
        if daemon.process is not None:
            daemon.kill()


def test_the_twin_for_asyncio_moves_files_and_can_be_cancelled(daemon: Daemon, mine: Path, tmp_path: Path):
    async def story() -> list[str]:
        async with AsyncSession(daemon.announced()["endpoint"]) as session:
            await session.send(mine, "twin")
            await session.fetch("scratch:twin/sub", tmp_path / "twin")
            begun, loop, cancelled = asyncio.Event(), asyncio.get_running_loop(), threading.Event()

            def hold(_: Transfer) -> None:
                """So that it is not done too soon."""
                loop.call_soon_threadsafe(begun.set)
                cancelled.wait(SECONDS)

            going = asyncio.ensure_future(session.send(mine / "plate.1002.exr", "c", report=hold))
            await begun.wait()
            going.cancel()
            cancelled.set()
            with pytest.raises((asyncio.CancelledError, TimedOut)):
                await going
            return [file.name async for file in session.scratch_files("twin")]

    names = asyncio.run(story())
    assert "twin/empty" in names
    assert list(files(tmp_path / "twin")) == ["a b 'ü'.json"]


def test_a_job_that_fails_is_told_and_what_it_made_is_here(
    session: Session, daemon: Daemon, tmp_path: Path, mine: Path
):
    session.send(mine / "plate.1001.exr", "bad")  # no EXR
    job = session.check_plate("scratch:bad/plate.####.exr")
    with pytest.raises(JobFailed):
        session.fetch("scratch:bad", tmp_path / "bad", follow=job.id)
    assert list(files(tmp_path / "bad")) == ["plate.1001.exr"]


def test_the_command_line(daemon: Daemon, mine: Path, tmp_path: Path):
    understudy = Command(tmp_path / "state", daemon.announced()["endpoint"], folder=tmp_path)
    sent = understudy("scratch", "send", "mine/plate.####.exr", "cli/plate", "--frames", "1001-1003")
    assert sent.code == 0, sent.err
    assert sent.out == "scratch:cli/plate/plate.####.exr: 3 files, 5.0 MB\n"
    again = understudy(
        "--json", "scratch", "send", "mine/plate.####.exr", "cli/plate", "--frames", "1001-1003"
    )
    result = again.lines[-1]
    assert (result["event"], result["data"]["path"]) == ("result", "scratch:cli/plate/plate.####.exr")
    assert (result["data"]["same"], result["data"]["totalFiles"], result["data"]["totalBytes"]) == (
        3,
        3,
        LARGE + 2000,
    )
    listed = understudy("scratch", "list", "cli")
    assert [line.split()[-1] for line in listed.out.splitlines()[:-1]] == [
        f"scratch:cli/plate/plate.{n}.exr" for n in (1001, 1002, 1003)
    ]
    assert "MiB are taken" in listed.out
    got = understudy("scratch", "fetch", "scratch:cli/plate/plate.####.exr", "back")
    assert (got.code, got.out) == (0, f"{tmp_path}/back/plate.####.exr: 3 files, 5.0 MB\n")
    assert files(tmp_path / "back") == {
        f"plate.{n}.exr": (mine / f"plate.{n}.exr").read_bytes() for n in (1001, 1002, 1003)
    }
    assert understudy("scratch", "fetch", "scratch:none", "back").code == 3
    gone = understudy("--json", "scratch", "delete", "scratch:cli")
    assert json.loads(gone.out)["data"] == {"files": 3}


def test_ctrl_c_stops_a_transfer_and_the_next_goes_on(daemon: Daemon, session: Session, tmp_path: Path):
    (tmp_path / "large").write_bytes(os.urandom(20_000_000))
    understudy = Command(tmp_path / "state", daemon.announced()["endpoint"], folder=tmp_path)
    home = next((daemon.state.parent / "scratch").iterdir())
    session.send(__file__, "first")
    parts = home / ".parts"
    before = set(parts.glob("*"))  # others may have been stopped too
    with understudy.start("scratch", "send", "large", "stopped") as process:
        until(lambda: set(parts.glob("*")) - before or process.poll() is not None)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=SECONDS)
    assert process.returncode in (130, 0, -signal.SIGINT)  # where it was done before the signal came
    assert understudy("scratch", "send", "large", "stopped", timeout=180).code == 0
    assert [f.size_bytes for f in session.scratch_files("stopped/large")] == [20_000_000]
