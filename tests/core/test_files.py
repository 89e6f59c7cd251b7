"""Nothing half-written: whoever looks sees the old file or the new one."""

from __future__ import annotations

import errno
import os

import pytest

from understudy.core.errors import DiskFull, WriteFailed
from understudy.core.files import replacing, write_text


def listed(folder):
    return sorted(path.name for path in folder.iterdir())


def test_new_content_appears_at_once_under_a_hidden_name_with_the_extension(tmp_path):
    path = tmp_path / "deep" / "a.1001.exr"
    with replacing(path) as beside:
        assert beside.parent == path.parent
        assert beside.name.startswith(".a.1001.")
        assert beside.suffix == ".exr"
        beside.write_bytes(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert listed(path.parent) == ["a.1001.exr"]


def test_what_was_there_stays_when_it_fails(tmp_path):
    path = tmp_path / "a.json"
    write_text(path, "old")

    def broken():
        with replacing(path) as beside:
            beside.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert path.read_text() == "old"
    assert listed(tmp_path) == ["a.json"]


@pytest.mark.parametrize(
    ("code", "kind"), [(errno.ENOSPC, DiskFull), (errno.EDQUOT, DiskFull), (errno.EIO, WriteFailed)]
)
def test_the_systems_words_become_ours(tmp_path, monkeypatch, code, kind):
    path = tmp_path / "a.json"
    write_text(path, "old")

    def fail(handle):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(WriteFailed, match=r"a\.json: could not be written") as caught:
        write_text(path, "new")
    assert type(caught.value) is kind
    assert path.read_text() == "old"
    assert listed(tmp_path) == ["a.json"]


def test_a_file_in_the_way_of_a_folder(tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(WriteFailed):
        write_text(tmp_path / "a" / "b.json", "new")
