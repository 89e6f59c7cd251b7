"""Cards and tables for a person."""

from __future__ import annotations

import sys

import pytest

from understudy.client.cli import printed

HEADS = ("name", "frame", "what")
ROWS = [("a_t0.1001.exr", "1001", "found"), ("b.exr", "7", "jump [red]")]


def test_a_table_in_a_pipe_is_plain_columns(capsys: pytest.CaptureFixture[str]):
    printed.table(HEADS, ROWS, left=("name", "what"))
    assert capsys.readouterr().out.splitlines() == [
        "name           frame  what",
        "a_t0.1001.exr   1001  found",
        "b.exr              7  jump [red]",
    ]


def test_a_table_on_a_terminal_shows_the_same_cells(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "dumb")
    printed.table(HEADS, ROWS, left=("name", "what"))
    text = capsys.readouterr().out
    assert all(cell in text for row in (HEADS, *ROWS) for cell in row)


def test_a_table_of_nothing_has_its_heads(capsys: pytest.CaptureFixture[str]):
    printed.table(HEADS, [])
    assert capsys.readouterr().out == "name  frame  what\n"


def test_no_file_name_moves_the_cursor(capsys: pytest.CaptureFixture[str]):
    printed.table(("name",), [("a\x1b[2Jb\n.exr",)], left=("name",))
    assert "\x1b" not in capsys.readouterr().out
    assert printed.card([("faces", "a\x1b[2Jb")], 80) == "faces         a [2Jb"


def test_a_card_folds_at_its_width_and_keeps_long_words():
    text = printed.card([("frames", "1001-1010 " * 5), ("plate", "/shots/" + "x" * 60)], 40)
    *folded, plate = text.splitlines()
    assert all(len(line) <= 40 for line in folded)
    assert folded[1].startswith(" " * printed.LABEL)
    assert plate == "plate         /shots/" + "x" * 60
