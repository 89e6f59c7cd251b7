"""Locks on outputs, between real processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from understudy.core.frames import FrameRange
from understudy.daemon import locks
from understudy.daemon.errors import OutputLocked
from understudy.daemon.outputs import Output

HOLD = """
import sys
from pathlib import Path
from understudy.core.frames import FrameRange
from understudy.daemon import locks
from understudy.daemon.outputs import Output
with locks.held([eval(sys.argv[1])]):
    print("held", flush=True)
    sys.stdin.read()
"""
Hold = Callable[[Output], "subprocess.Popen[str]"]


@pytest.fixture
def hold() -> Iterator[Hold]:
    """Another process that holds an output until its standard input is closed."""
    made: list[subprocess.Popen[str]] = []

    def start(output: Output) -> subprocess.Popen[str]:
        frames = [(s.first, s.last) for s in output.frames.segments]
        ranges = f"FrameRange.of(*{frames[0]})" if frames else "FrameRange()"
        text = f"Output(folder={output.folder!r}, name={output.name!r}, frames={ranges})"
        made.append(
            subprocess.Popen(
                [sys.executable, "-c", HOLD, text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        )
        out = made[-1].stdout
        assert out is not None
        assert out.readline() == "held\n"
        return made[-1]

    yield start
    for process in made:
        process.kill()
        process.communicate()


def sequence(folder: Path, *frames: int) -> Output:
    chosen = FrameRange.of(*frames) if frames else FrameRange()
    return Output(folder=str(folder), name="comp.%04d.exr", frames=chosen)


def free(*outputs: Output) -> bool:
    try:
        with locks.held(outputs, patience=0.0):
            return True
    except OutputLocked:
        return False


def leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.endswith(locks.SUFFIX)]


def test_an_output_has_one_writer_and_no_trace_is_left(tmp_path: Path, hold: Hold):
    comp = sequence(tmp_path / "comp")
    other = hold(comp)
    with (
        pytest.raises(OutputLocked, match=f"process {other.pid} of ") as refused,
        locks.held([comp], patience=0.3),
    ):
        pass
    assert refused.value.value == tmp_path / "comp" / "comp.%04d.exr"
    other.communicate()
    assert free(comp)
    assert not (tmp_path / "comp").exists()  # it was made for the lock, and nothing came into it


def test_a_killed_writer_locks_nobody_out(tmp_path: Path, hold: Hold):
    comp = sequence(tmp_path)
    other = hold(comp)
    other.kill()
    other.wait()
    assert leftovers(tmp_path)  # it could not clean up
    assert free(comp)
    assert not leftovers(tmp_path)


def test_chunks_are_written_at_once_and_the_last_one_cleans_up(tmp_path: Path, hold: Hold):
    first = hold(sequence(tmp_path, 1001, 1010))
    assert not free(sequence(tmp_path, 1010, 1020))
    assert not free(sequence(tmp_path))  # any frame
    with locks.held([sequence(tmp_path, 1011, 1020)], patience=0.0):
        assert not free(sequence(tmp_path, -5, 1001))
        assert free(sequence(tmp_path, -5, 1000))
        assert free(sequence(tmp_path, 1021, 1030))
    assert leftovers(tmp_path)
    first.communicate()
    assert not leftovers(tmp_path)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (Output(folder="shot"), Output(folder="shot/comp", name="c.%04d.exr")),
        (Output(folder="shot/comp", name="c.%04d.exr"), Output(folder="shot")),
        (Output(folder="shot/a/b"), Output(folder="shot")),
        (Output(folder="shot"), Output(folder="shot/a/b")),
        (Output(folder="shot"), Output(folder="shot")),
        (Output(folder="shot", name="sheet.png"), Output(folder="shot")),
    ],
)
def test_a_folder_is_all_that_is_in_it(tmp_path: Path, hold: Hold, theirs: Output, ours: Output):
    theirs = Output(folder=str(tmp_path / theirs.folder), name=theirs.name)
    ours = Output(folder=str(tmp_path / ours.folder), name=ours.name)
    other = hold(theirs)
    assert not free(ours)
    other.communicate()
    assert free(ours)


def test_neighbours_do_not_mind_each_other(tmp_path: Path, hold: Hold):
    hold(Output(folder=str(tmp_path / "shot")))
    assert free(Output(folder=str(tmp_path / "shot2")))
    assert free(Output(folder=str(tmp_path), name="shot.png"))


def test_one_job_may_write_a_folder_and_what_is_in_it(tmp_path: Path):
    assert free(Output(folder=str(tmp_path / "m")), Output(folder=str(tmp_path / "m"), name="history.png"))


def test_nothing_is_written_outside_of_the_roots(tmp_path: Path):
    root = tmp_path / "root"
    root.mkdir()
    with locks.held([Output(folder=str(root))], [root]):
        assert not leftovers(tmp_path)
    with locks.held([Output(folder=str(root / "a"))], [root]):
        assert leftovers(tmp_path) == [root / f".a{locks.SUFFIX}"]


def test_where_no_lock_can_be_had_the_work_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "file").touch()
    assert free(sequence(tmp_path / "file" / "comp"))
    assert "no lock on" in caplog.text
    (tmp_path / f".m{locks.SUFFIX}").symlink_to(tmp_path / "elsewhere")
    assert free(Output(folder=str(tmp_path / "m")))
    assert not (tmp_path / "elsewhere").exists()
