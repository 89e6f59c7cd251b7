"""What a killed process left unfinished is taken away by the next job on that output, and nothing else is."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from understudy.core import confine, files
from understudy.core.errors import WriteFailed
from understudy.core.frames import FrameRange
from understudy.daemon.leftovers import OLD_SECONDS, sweep
from understudy.daemon.outputs import Output


class Killed(BaseException):
    """The process ends here."""


def left(path: Path, monkeypatch: pytest.MonkeyPatch, how=files.replacing) -> Path:
    """What a process leaves that is killed while it writes `path`."""
    before = set(path.parent.glob(".*")) if path.parent.is_dir() else set()
    with monkeypatch.context() as patch:
        patch.setattr("os.path.lexists", lambda _: False)  # no tidying up: it is dead
        patch.setattr("shutil.rmtree", lambda *_, **__: None)
        try:
            with how(path) as beside:
                if how is files.replacing:
                    beside.write_text("half")
                raise Killed
        except Killed:
            pass
    (found,) = set(path.parent.glob(".*")) - before
    return found


def sequence(folder: Path, *frames: int) -> Output:
    return Output(
        folder=str(folder), name="comp.%04d.exr", frames=FrameRange.of(*frames) if frames else FrameRange()
    )


def test_of_a_sequence_go_its_own_frames_and_what_is_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    records = tmp_path / ".understudy" / "comp.####.exr"
    mine = [
        left(tmp_path / "comp.1001.exr", monkeypatch),
        left(tmp_path / "aligned" / "comp.1002.exr", monkeypatch),
        left(tmp_path / "aligned" / "left" / "comp.1002.exr", monkeypatch),
        left(records / "1002.json", monkeypatch),
    ]
    old = [left(tmp_path / "manifest.json", monkeypatch), left(tmp_path / "track" / "comp.json", monkeypatch)]
    for path in old:
        os.utime(path, (0, time.time() - OLD_SECONDS - 60))
    others = [
        left(tmp_path / "comp.1003.exr", monkeypatch),  # a neighbour's chunk
        left(records / "1003.json", monkeypatch),
        left(tmp_path / "comp2.1001.exr", monkeypatch),
        left(tmp_path / "manifest.json", monkeypatch),
        tmp_path / ".comp.1001.exr",
        tmp_path / "comp.1001.exr",
        tmp_path / ".comp.%04d.exr.understudy-lock",
    ]
    for path in others[-3:]:
        path.touch()
    sweep([sequence(tmp_path, 1001, 1002)])
    assert not [path for path in (*mine, *old) if path.exists()]
    assert all(path.exists() for path in others)
    sweep([sequence(tmp_path)])
    assert not others[0].exists()


def test_of_a_folder_goes_all_in_it_and_the_one_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    model = tmp_path / "a.model"
    mine = [
        left(model / "config.json", monkeypatch),
        left(model / "checkpoints" / "7", monkeypatch, files.making),
        left(model, monkeypatch, files.making),
    ]
    other = left(tmp_path / "b.model", monkeypatch, files.making)
    assert all(path.exists() for path in (*mine, other))
    sweep([Output(folder=str(model))])
    assert not [path for path in mine if path.exists()]
    assert other.is_dir()
    assert (model / "checkpoints").is_dir()


def test_of_a_file_goes_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    mine, other = (left(tmp_path / name, monkeypatch) for name in ("sheet.png", "other.png"))
    sweep([Output(folder=str(tmp_path), name="sheet.png"), Output(folder=str(tmp_path / "none"))])
    assert (mine.exists(), other.exists()) == (False, True)


def test_nothing_outside_of_what_may_be_written_is_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    theirs = left(outside / "a.json", monkeypatch)
    (root / "model").symlink_to(outside)
    with confine.below([root]):
        sweep([Output(folder=str(root / "model"))])
        with pytest.raises(WriteFailed):
            files.write_text(root / "model" / "b.json", "")
    assert theirs.exists()
