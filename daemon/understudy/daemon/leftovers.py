"""Unfinished files of killed processes: they have hidden names, nobody reads them, and they would stay for ever.

Who holds an output takes away what lies unfinished of it. What lies beside a sequence and belongs to its neighbours
too (the manifest, tracks), somebody else may be at: of that, what is older than a day goes.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from understudy.core import confine
from understudy.core.errors import InvalidInput
from understudy.core.files import unfinished
from understudy.core.plate import Template
from understudy.daemon.outputs import Output

OLD_SECONDS = 86400.0
_RECORDS = ".understudy"  # of a merge's manifest: a folder for each sequence, a file for each frame
log = logging.getLogger(__name__)


def sweep(outputs: Sequence[Output]) -> None:
    """Take away what is unfinished of these outputs, which the caller holds."""
    for output in outputs:
        for path in _of_sequence(output) if output.name else _of_folder(Path(output.folder)):
            _remove(path)


def _of_folder(folder: Path) -> Iterator[Path]:
    yield from (path for path, name in unfinished(folder.parent) if name == folder.name)
    for below, _, _ in os.walk(folder):
        yield from (path for path, _ in unfinished(Path(below)))


def _of_sequence(output: Output) -> Iterator[Path]:
    folder = Path(output.folder)
    try:
        template = Template.parse(str(folder / output.name))
    except InvalidInput:  # one file
        yield from (path for path, name in unfinished(folder) if name == output.name)
        return
    records = folder / _RECORDS / Path(template.hashes).name
    for path, name in unfinished(records):
        if name.removesuffix(".json").isdecimal() and _wanted(output, int(name.removesuffix(".json"))):
            yield path
    for place in (folder, *_below(folder / "aligned"), *_below(folder / "track")):
        for path, name in unfinished(place):
            number = template.number(name)
            if _old(path) if number is None else _wanted(output, number):
                yield path


def _below(folder: Path) -> list[Path]:
    """A folder and those in it."""
    return [folder, *(path for path in folder.glob("*") if path.is_dir())]


def _wanted(output: Output, number: int) -> bool:
    return not len(output.frames) or number in output.frames


def _old(path: Path) -> bool:
    return time.time() - path.lstat().st_mtime > OLD_SECONDS


def _remove(path: Path) -> None:
    try:
        with confine.opened(path.parent) as folder:
            beside = folder / path.name
            if beside.is_dir() and not beside.is_symlink():
                shutil.rmtree(beside)
            else:
                beside.unlink()
    except OSError as error:
        log.warning("%s: is unfinished and could not be taken away: %s", path, error.strerror)
    else:
        log.info("%s: was unfinished and is taken away", path)
