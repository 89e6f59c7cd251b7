"""Many files on their way, a few at once: which files a path means, and how far they have come."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Callable, TypeVar

from understudy.client import wire
from understudy.client.errors import Refused

T = TypeVar("T")
Step = Callable[[int], None]
_TOKEN = re.compile(r"%(?P<printf>0\d+)?d|(?P<hash>#+)|(?P<at>@+)")
_VIEW = re.compile(r"%[Vv]")
_HASHED = 1 << 20  # bytes at a time


@dataclass(frozen=True)
class Transfer:
    """How far files have come.

    Attributes:
        name: of the file that came further last, in the scratch.
        bytes, total_bytes: of all files; those that were there already count.
        files, total_files: that are done.
        same: of these, were there already.
    """

    name: str = ""
    bytes: int = 0
    total_bytes: int = 0
    files: int = 0
    total_files: int = 0
    same: int = 0


Report = Callable[[Transfer], object]


@dataclass(frozen=True)
class Pattern:
    """Which files a path means: those of a sequence, of every view where it says so.

    Attributes:
        folder: what they all are in; of a path without token, that path.
        rest: the pattern below it, with `/`; empty where there is no token.
    """

    folder: str
    rest: str

    @classmethod
    def of(cls, path: str) -> Pattern:
        """A path with `/`: its folders up to the first token, and what follows."""
        *folders, name = path.split("/")
        tokened = [bool(_VIEW.search(each)) for each in folders]
        tokened.append(bool(_VIEW.search(name) or _TOKEN.search(name)))
        if not any(tokened):
            return cls(path, "")
        at = tokened.index(True)
        parts = [*folders, name]
        return cls("/".join(parts[:at]), "/".join(parts[at:]))

    def matches(self, below: str, frames: frozenset[int] | None = None) -> bool:
        """Whether a file, named below the folder, is one of the sequence, and of these frames.

        Raises:
            Refused: frames are named, and there are none to choose from.
        """
        if not self.rest:
            if frames is not None:
                raise Refused.invalid("frames", "", f"{self.folder} has no frame token, so no frames to name")
            return True
        token = _TOKEN.search(self.rest, self.rest.rfind("/") + 1)
        before, after = (
            (self.rest, "") if token is None else (self.rest[: token.start()], self.rest[token.end() :])
        )
        text = _escaped(before) + (f"(?P<number>-?[0-9]+){_escaped(after)}" if token else "")
        found = re.fullmatch(text, below)
        if found is None or token is None:
            return found is not None
        number = int(found["number"])
        width = len(token["hash"] or token["at"] or "") or int(token["printf"] or 1)
        return f"{number:0{width}d}" == found["number"] and (frames is None or number in frames)


def _escaped(text: str) -> str:
    return "[^/]+".join(re.escape(part) for part in _VIEW.split(text))


def local_files(path: Path, rest: str = "") -> list[Path]:
    """A file, or all files in a folder and below but hidden ones, by name.

    Args:
        rest: of a `Pattern`: only as deep as this goes.
    """
    if not path.is_dir():
        return [path] if path.is_file() else []
    found = path.glob("*/" * rest.count("/") + "*") if rest else path.rglob("*")
    files = (each for each in found if each.is_file())
    return sorted(each for each in files if not any(p.startswith(".") for p in each.relative_to(path).parts))


def sha256(path: Path) -> str:
    """Of a file, as hex digits. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(_HASHED):
            wire.awaited()
            digest.update(data)
    return digest.hexdigest()


class _Stopped(Exception):
    """Another file failed, or who asked has gone."""


class Tally:
    """Moves files and reports; for one transfer, in as many runs as it takes.

    Args:
        report: called in the caller's thread whenever a file came further; what it raises ends the transfer.
    """

    def __init__(self, report: Report | None) -> None:
        self._report = report
        self.now = Transfer()

    def run(
        self,
        files: Sequence[T],
        move: Callable[[T, Step], bool],
        about: Callable[[T], tuple[str, int]],
        in_flight: int,
    ) -> None:
        """Move files, so many at once; the first error ends it, once the parts under way have come.

        Args:
            move: moves one and says whether it was there already; steps by bytes.
            about: name and bytes of a file.
        """
        if not 1 <= in_flight <= 32:
            raise Refused.invalid("in_flight", in_flight, f"{in_flight} is not 1 to 32")
        total = sum(about(each)[1] for each in files)
        self._become(total_bytes=self.now.total_bytes + total, total_files=self.now.total_files + len(files))
        told: SimpleQueue[tuple[str, int, bool | None] | None] = SimpleQueue()
        stop, left, lock = threading.Event(), iter(files), threading.Lock()

        def work() -> None:
            try:
                while True:
                    with lock:
                        file = next(left, None)
                    if file is None or stop.is_set():
                        return
                    _one(file, about(file)[0], move, told, stop)
            except _Stopped:
                return
            except BaseException:
                stop.set()
                raise
            finally:
                told.put(None)

        count = min(in_flight, len(files))
        with ThreadPoolExecutor(max(1, count), thread_name_prefix="transfer") as pool:
            try:
                futures = [pool.submit(copy_context().run, work) for _ in range(count)]
                self._hear(told, count)
            finally:
                stop.set()
        for future in futures:
            future.result()

    def _hear(self, told: SimpleQueue[tuple[str, int, bool | None] | None], count: int) -> None:
        while count:
            said = told.get()
            if said is None:
                count -= 1
                continue
            name, more, same = said
            now = self.now
            self._become(
                name=name,
                bytes=now.bytes + more,
                files=now.files + (same is not None),
                same=now.same + bool(same),
            )

    def _become(self, **changes: int | str) -> None:
        self.now = replace(self.now, **changes)  # type: ignore[arg-type]
        if self._report is not None:
            self._report(self.now)


def _one(
    file: T,
    name: str,
    move: Callable[[T, Step], bool],
    told: SimpleQueue[tuple[str, int, bool | None] | None],
    stop: threading.Event,
) -> None:
    def step(more: int) -> None:
        told.put((name, more, None))
        if stop.is_set():
            raise _Stopped
        wire.awaited()

    told.put((name, 0, move(file, step)))
