"""Locks on outputs that hold across daemons and machines: one file beside each output, locked while a job writes it.

Of a folder `out` the file is `.out.understudy-lock` beside it, of a sequence or a file the same beside that; of a
sequence each frame is a byte of it, so that chunks may be written at once. Who writes a folder also looks at the lock
files in it, and everybody at those of the folders that their output is in. Locks are the kernel's (open file
description locks, `fcntl(2)`), which NFS passes on: they end with their process, however that ends. The file is taken
away when nobody holds it, or by the next one who comes. Where no lock can be had, the log says so and the work goes
on: what keeps the lock from being written keeps the output too, and the job says it better.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import random
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from understudy.daemon.errors import OutputLocked
from understudy.daemon.outputs import Output

SUFFIX = ".understudy-lock"
PATIENCE_SECONDS = 5.0  # a killed worker's process may be at its last frame
MOST_RANGES = 512  # of frames; an output in more pieces locks all from its first frame to its last
_FRAME_ZERO = 1 << 40  # its byte; frame numbers may be negative
_FLOCK = "hhqqi4x"  # struct flock: type, whence, start, length, pid
Range = tuple[int, int]  # first byte and how many; 0: to the end
WHOLE: Range = (0, 0)
log = logging.getLogger(__name__)


class _Busy(Exception):
    """Somebody else has a lock; says which file."""


def path_of(output: Output) -> Path:
    """Where the lock file of an output lies."""
    place = Path(output.folder, output.name) if output.name else Path(output.folder)
    return place.parent / f".{place.name}{SUFFIX}"


@contextmanager
def held(
    outputs: Sequence[Output], roots: Sequence[Path] = (), patience: float = PATIENCE_SECONDS
) -> Iterator[None]:
    """Hold outputs while the block lasts.

    Args:
        roots: nothing is written outside of them; none: anywhere.

    Raises:
        OutputLocked: somebody held one of them for as long as `patience` seconds; names it, and who took it last.
    """
    until = time.monotonic() + patience
    while True:
        with ExitStack() as stack:
            try:
                for output in sorted(outputs, key=lambda each: each.text):
                    if not roots or any(path_of(output).is_relative_to(root) for root in roots):
                        _take(stack, output, outputs)
            except _Busy as busy:
                if time.monotonic() >= until:
                    path = Path(str(busy))
                    raise OutputLocked(
                        f"{path.with_name(_plain(path))} is being written by another daemon{_owner(path)}",
                        field="output",
                        value=path.with_name(_plain(path)),
                    ) from None
            else:
                yield
                return
        time.sleep(random.uniform(0.05, 0.3))  # noqa: S311 - two who met do not meet again


def _plain(lock: Path) -> str:
    return lock.name[1:].removesuffix(SUFFIX)


def _take(stack: ExitStack, output: Output, all_ours: Sequence[Output]) -> None:
    """Lock one output, and see that nobody has what it is in or what is in it. Raises _Busy."""
    ours = {path_of(each) for each in all_ours}
    path, ranges = path_of(output), _ranges(output)
    try:
        stack.enter_context(_there(path.parent))
        stack.enter_context(_locked(path, ranges))
        inside = Path(output.folder, output.name) if output.name else Path(output.folder)
        for folder in inside.parents:
            above = folder.parent / f".{folder.name}{SUFFIX}"
            if above not in ours and above.exists():
                stack.enter_context(_shared(above))
        for below in () if output.name else _below(Path(output.folder)):
            if below not in ours:
                _probe(below)
    except OSError as error:
        log.warning("no lock on %s: %s", output.text, error.strerror)


def _ranges(output: Output) -> list[Range]:
    """The bytes of an output's frames; all bytes where it is no sequence."""
    if not len(output.frames):
        return [WHOLE]
    found: list[Range] = []
    for segment in output.frames.segments:
        if segment.step == 1:
            found.append((_FRAME_ZERO + segment.first, segment.last - segment.first + 1))
        else:
            found += [(_FRAME_ZERO + n, 1) for n in range(segment.first, segment.last + 1, segment.step)]
    if len(found) <= MOST_RANGES:
        return found
    first, last = min(start for start, _ in found), max(start + count for start, count in found)
    return [(first, last - first)]


@contextmanager
def _locked(path: Path, ranges: Sequence[Range]) -> Iterator[None]:
    """Hold these bytes of the file alone, and take the file away at the end where nobody else holds any."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        try:
            for each in ranges:
                if not _set(file, fcntl.F_WRLCK, each):
                    raise _Busy(path)
            if not _same(file, path):
                continue  # whoever had it has taken it away since it was opened
            os.ftruncate(file, 0)
            os.pwrite(file, _signature(), 0)
            try:
                yield
            finally:
                with suppress(OSError):  # a folder that is gone, say
                    if _set(file, fcntl.F_WRLCK, WHOLE) and _same(file, path):
                        path.unlink(missing_ok=True)
            return
        finally:
            os.close(file)


@contextmanager
def _there(folder: Path) -> Iterator[None]:
    """A folder for the lock; one that was made for it and stayed empty goes again."""
    lacking = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        with suppress(OSError):
            for each in lacking:
                each.rmdir()


@contextmanager
def _shared(path: Path) -> Iterator[None]:
    """Hold the file of a folder that an output is in together with others who write in it."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:  # who had it is done
        yield
        return
    try:
        if not _set(file, fcntl.F_RDLCK, WHOLE):
            raise _Busy(path)
        yield
    finally:
        os.close(file)


def _probe(path: Path) -> None:
    """Raises _Busy: somebody holds some of it."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    try:
        if not _set(file, fcntl.F_WRLCK, WHOLE):
            raise _Busy(path)
    finally:
        os.close(file)


def _below(folder: Path) -> Iterator[Path]:
    """All lock files in a folder."""
    for place, _, names in os.walk(folder):
        for name in names:
            if name.startswith(".") and name.endswith(SUFFIX):
                yield Path(place, name)


def _set(file: int, kind: int, where: Range) -> bool:
    """Lock some bytes; False where somebody else has one of them."""
    try:
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, struct.pack(_FLOCK, kind, os.SEEK_SET, *where, 0))
    except BlockingIOError:
        return False
    return True


def _same(file: int, path: Path) -> bool:
    """Whether an open file is the one that lies there now."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(file), there)


def _signature() -> bytes:
    return json.dumps({"host": socket.gethostname(), "pid": os.getpid()}).encode()


def _owner(path: Path) -> str:
    """Who took a lock last, for a message; empty where that cannot be told."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return f" (process {said['pid']} of {said['host']})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""
