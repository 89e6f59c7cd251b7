"""The audit log: who asked for what and when, as a chain of hashes in which nothing can be changed unseen.

A line is a JSON object; `hash` is the SHA-256 of the line without it, `previous` the hash of the line before. Who can
write the file can write all of it anew, so the head (the last hash) belongs on another machine as well: the daemon
tells it in its log, and `verify` takes one that was kept.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from understudy.core.errors import InvalidInput, NotFound
from understudy.core.files import failed

START = "0" * 64  # what the first line has before it
LONGEST = 1 << 16  # bytes of a line
PER_SECOND = 10.0  # lines about callers without a token: they must not fill the disk


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One call.

    Attributes:
        who: name of the user; empty where nobody knows.
        peer: where they came from, as gRPC says it.
        what: the rpc.
        outcome: `OK` or the reason of a refusal.
        digest: SHA-256 of the request as it came; empty where it was not read.
        job: the job that the answer is about; empty where there is none.
        token: id of the token.
    """

    who: str
    peer: str
    what: str
    outcome: str
    digest: str = ""
    job: str = ""
    token: str = ""


@dataclass(frozen=True, kw_only=True)
class Chain:
    """What `verify` found: how many lines, the last hash, and from when to when."""

    count: int = 0
    head: str = START
    first: str = ""
    last: str = ""


class Audit:
    """Appends to a file of mode 0600. Safe to use from any thread.

    Raises:
        WriteFailed, DiskFull: the file cannot be opened.
        InvalidInput: its last line is none of ours.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._tokens, self._filled, self._dropped = PER_SECOND, time.monotonic(), 0
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise failed(path, error) from error
        try:
            self._count, self.head = self._resume()
        except BaseException:
            os.close(self._file)
            raise

    def _resume(self) -> tuple[int, str]:
        """Number and hash of the last line. Half a line, of a power cut, goes: nobody was told that it was kept."""
        size = os.fstat(self._file).st_size
        tail = os.pread(self._file, LONGEST, max(0, size - LONGEST))
        whole = tail[: tail.rfind(b"\n") + 1]
        if not whole and size <= LONGEST:
            os.ftruncate(self._file, 0)
            return 0, START
        found = _parsed(whole.splitlines()[-1]) if whole else None
        if found is None:
            raise InvalidInput(
                f"{self.path}: its last line is none of an audit log; look at it with `understudy audit verify`, "
                "then move the file away",
                path=self.path,
                field="audit",
            )
        os.ftruncate(self._file, size - len(tail) + len(whole))
        return int(str(found["number"])), str(found["hash"])

    def record(self, entry: Entry) -> None:
        """Append a line; it is on the disk when this returns.

        Raises:
            WriteFailed, DiskFull: it is not.
        """
        with self._lock:
            self._append(entry)

    def record_stranger(self, entry: Entry) -> None:
        """The same for a caller whom nobody knows: at most a few a second, with a count of those left out."""
        with self._lock:
            now = time.monotonic()
            self._tokens = min(PER_SECOND, self._tokens + (now - self._filled) * PER_SECOND)
            self._filled = now
            if self._tokens < 1:
                self._dropped += 1
                return
            self._tokens -= 1
            self._append(entry)

    def _append(self, entry: Entry) -> None:
        line = {
            "number": self._count + 1,
            "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
            **{name: value for name, value in vars(entry).items() if value},
            **({"left_out": self._dropped} if self._dropped else {}),
            "previous": self.head,
        }
        head = _hash(line)
        text = _text({**line, "hash": head}) + "\n"
        before = os.fstat(self._file).st_size
        try:
            if os.write(self._file, text.encode()) < len(text):  # the disk took a part
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._file)
        except OSError as error:
            os.ftruncate(self._file, before)  # half a line would be the end of the chain
            raise failed(self.path, error) from error
        self._count, self.head, self._dropped = self._count + 1, head, 0

    def close(self) -> None:
        os.close(self._file)


def verify(path: Path, known: str = "") -> Chain:
    """Walk the chain from its first line.

    Args:
        known: a head that was kept elsewhere, which must be among the hashes.

    Raises:
        NotFound: there is no such file.
        InvalidInput: a line was changed, added or taken away; names its number.
    """
    chain, seen = Chain(), not known or known == START
    for at, line in enumerate(_lines(path), start=1):
        found = _parsed(line)
        if found is None:
            raise _broken(path, at, "is no line of an audit log, or was cut short")
        said = {name: value for name, value in found.items() if name != "hash"}
        if _hash(said) != found["hash"]:
            raise _broken(path, at, "was changed: its hash is not that of what it says")
        if found["previous"] != chain.head or found["number"] != chain.count + 1:
            raise _broken(path, at, "does not follow the line before: one was taken away, added or moved")
        moment = str(found["time"])
        chain = Chain(count=at, head=str(found["hash"]), first=chain.first or moment, last=moment)
        seen |= chain.head == known
    if not seen:
        raise InvalidInput(
            f"{path}: no line has the hash {known}: the end was taken away, or all of it was written anew",
            path=path,
            field="head",
            value=known,
        )
    return chain


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while line := file.readline(LONGEST):
                yield line
    except FileNotFoundError as error:
        raise NotFound(f"{path}: there is no audit log", path=path) from error


def _broken(path: Path, line: int, why: str) -> InvalidInput:
    return InvalidInput(f"{path}: line {line} {why}", path=path, field="line", value=line)


def _parsed(line: bytes) -> dict[str, object] | None:
    """A line's content, where it has what every line has."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    needed = {"number": int, "time": str, "previous": str, "hash": str}
    if not isinstance(found, dict) or not all(isinstance(found.get(n), k) for n, k in needed.items()):
        return None
    return found


def _text(line: dict[str, object]) -> str:
    return json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _hash(line: dict[str, object]) -> str:
    return hashlib.sha256(_text(line).encode()).hexdigest()
