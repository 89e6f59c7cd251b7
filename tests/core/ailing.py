"""Small plates on disk, and the ways in which a frame of one can be broken."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np

from understudy.core import plate
from understudy.core.frames import Frame, Window
from understudy.core.plate import Template, Timecode, exr

RATE = Fraction(24)
START = Timecode(1, 0, 0, 0)
SIZE = Window(0, 0, 24, 16)


def frame(number: int, *, data: Window = SIZE, timecode: Timecode | None = None, **changes) -> Frame:
    """A half picture unlike any other frame's, with timecode and rate; plain enough that codecs make it smaller."""
    level = np.full((data.height, data.width), (number % 100) / 8, np.float16)
    planes = {name: level + np.float16(index) for index, name in enumerate("RGB")}
    metadata = {
        plate.TIMECODE_KEY: (timecode or START.plus(number - 1001, RATE)).entry,
        plate.RATE_KEY: plate.rate_entry(RATE),
    }
    items = {"planes": planes, "display": SIZE, "data": data, "metadata": metadata}
    return Frame(**{"number": number, **items, **changes})


def make(folder: Path, numbers=range(1001, 1006), frames: Mapping[int, Frame] | None = None) -> Template:
    """Write a plate; `frames` replaces what is written on some numbers."""
    template = Template.parse(str(folder / "p.####.exr"))
    for number in numbers:
        plate.write((frames or {}).get(number) or frame(number), template.path(number), compression="zips")
    return template


def _cut(path: Path, keep: Callable[[int], int]) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: keep(len(whole))])


def _only_header(path: Path) -> None:
    with path.open("rb") as file:
        end = exr.parse(file).end
    _cut(path, lambda size: end)


def _flip(path: Path) -> None:
    """Spoil the last chunk, behind its row and size."""
    whole = bytearray(path.read_bytes())
    whole[-20:] = bytes(byte ^ 0xFF for byte in whole[-20:])
    path.write_bytes(whole)


def _replace(path: Path, make_: Callable[[Path], object]) -> None:
    path.unlink()
    make_(path)


BREAK: Mapping[str, Callable[[Path], object]] = {
    "zero bytes": lambda path: path.write_bytes(b""),
    "truncated": lambda path: _cut(path, lambda size: size - 100),
    "header only": _only_header,
    "cut in its header": lambda path: _cut(path, lambda size: 200),
    "garbage": lambda path: path.write_bytes(bytes(range(256)) * 20),
    "corrupt chunk": _flip,
    "a folder": lambda path: _replace(path, Path.mkdir),
    "a dangling link": lambda path: _replace(path, lambda p: p.symlink_to(p.parent / "nowhere.exr")),
    "a pipe": lambda path: _replace(path, os.mkfifo),
}
"""What has happened to a frame → does it to a file."""
