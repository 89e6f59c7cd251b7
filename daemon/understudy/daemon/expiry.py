"""What lies in users' scratch for long is deleted, a folder at a time; never what a job is to read or write."""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from understudy.core.errors import UnderstudyError
from understudy.daemon import pathmap, scratch
from understudy.daemon.settings import Scratch
from understudy.daemon.states import ACTIVE
from understudy.daemon.store import Store
from understudy.v1 import job_pb2

EVERY_SECONDS = 3600.0
_TOKEN = re.compile(r"%0?\d*[dVv]|[#@]")  # of a frame or a view
log = logging.getLogger(__name__)


@contextmanager
def running(settings: Scratch, store: Store) -> Iterator[None]:
    """A thread prunes, at once and then every hour, while the block lasts."""
    if settings.folder is None or not settings.days:
        yield
        return
    stop = threading.Event()
    thread = threading.Thread(target=_run, args=(settings, store, stop), name="expiry")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _run(settings: Scratch, store: Store, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            prune(settings, store, time.time(), stop)
        except (UnderstudyError, OSError) as error:
            log.error("scratch could not be looked through, will try again: %s", error)
        stop.wait(EVERY_SECONDS)


def prune(settings: Scratch, store: Store, now: float, stop: threading.Event) -> int:
    """Delete what users have in their folders where its newest file is too old; gives how many files.

    Of files under way each is looked at alone.
    """
    assert settings.folder is not None
    count = 0
    for home in sorted(settings.folder.iterdir()):
        if home.is_symlink() or not home.is_dir():
            continue
        folder, before = scratch.Folder(home, 0), now - settings.days * 86400
        with _apart(home):
            for entry in folder.entries():
                if stop.is_set():
                    return count
                with _apart(home.joinpath(*entry)):
                    if folder.newest(entry) < before and not _needed(store, home, entry):
                        count += (gone := folder.remove(entry))
                        log.info("scratch: %s was old and is deleted, files=%d", home.joinpath(*entry), gone)
    return count


@contextmanager
def _apart(path: Path) -> Iterator[None]:
    """What cannot be looked at or deleted is no reason to keep all that comes after it."""
    try:
        yield
    except (UnderstudyError, OSError) as error:
        log.error("scratch: %s could not be looked through, will try again: %s", path, error)


def _needed(store: Store, home: Path, entry: tuple[str, ...]) -> bool:
    """Whether a job that has not ended names it; a hidden file, a lock say, is of whatever lies beside it."""
    if entry[0] == scratch.PARTS:
        return False
    return bool(claims(store, home if entry[0].startswith(".") else home.joinpath(*entry)))


def claims(store: Store, path: Path) -> list[str]:
    """Ids of the jobs that have not ended and name the path, something in it, or what it is in."""
    real = Path(os.path.realpath(path))
    states = ",".join(str(int(state)) for state in ACTIVE)
    with store.reading() as db:
        rows = db.execute(f"SELECT id, spec FROM jobs WHERE state IN ({states})").fetchall()  # noqa: S608
    found = []
    for row in rows:
        for each in pathmap.named(job_pb2.JobSpec.FromString(row["spec"])):
            place = _folder(each)
            if real.is_relative_to(place) or place.is_relative_to(real):
                found.append(row["id"])
                break
    return found


def _folder(path: str) -> Path:
    """What a job reads or writes by a path: of a sequence the folder, of all views the one that has them all."""
    place = Path(path)
    while _TOKEN.search(str(place)) and place != place.parent:
        place = place.parent
    return Path(os.path.realpath(place))
