"""Files to and from a daemon that shares no storage with this machine; a part of `Session`.

Example:
    plate = session.send("plate.####.exr", "sh010/plate")
    faces, model = session.send("faces", "sh010/faces"), session.send("ann.model", "sh010/model")
    job = session.merge(plate, faces, model, "scratch:sh010/comp/comp.####.exr")
    session.fetch("scratch:sh010/comp", "comp", follow=job)
"""

from __future__ import annotations

import errno
import hashlib
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from understudy.client import frames as ranges
from understudy.client import specs
from understudy.client.errors import DaemonFault, JobCancelled, JobFailed, Refused, TimedOut
from understudy.client.job import Job
from understudy.client.specs.parts import SCRATCH, segments
from understudy.client.transfer import Pattern, Report, Step, Tally, local_files, sha256
from understudy.client.wire import Wire
from understudy.v1 import scratch_pb2 as pb
from understudy.v1.scratch_pb2_grpc import ScratchServiceStub

IN_FLIGHT = 4  # files at once
CHUNK_S = 600.0  # deadline of a part: with the last one the daemon reads the whole file once
LOOK_S = 2.0  # how often it is looked whether a job has made more
TRIES = 3  # of a file that changes while it is fetched, or of a daemon that takes nothing
PAGE = 10_000


@dataclass(frozen=True)
class _Source:
    path: Path
    name: str
    size: int


class Scratch:
    """Calls about the files that this user has on the daemon's machine."""

    _wire: Wire

    def job(self, id_: str) -> Job:
        """A job by its id; see `Session.job`."""
        raise NotImplementedError

    def send(
        self,
        what: specs.PathLike,
        to: specs.PathLike,
        *,
        frames: specs.Frames = None,
        report: Report | None = None,
        in_flight: int = IN_FLIGHT,
    ) -> str:
        """Send a plate, a folder or a file, and give the path that it then has in requests: `scratch:…`.

        What is there already with the same content is not sent again, and a file that came half goes on where it was:
        to resume, ask again. Hidden files stay here.

        Args:
            what: a pattern, as `plate.####.exr`; a folder, of which all that is in it goes; or a file.
            to: a folder in the scratch, as `sh010/plate`; it need not be there.
            frames: of a pattern, only these.
            report: called whenever a file came further. What it raises ends the transfer, and is raised.
            in_flight: files at once, 1 to 32.

        Raises:
            NotFound: there is nothing to send, or the daemon keeps no scratch.
            Refused: no room (LIMIT_REACHED, DISK_FULL), or a name or a file that cannot be.
        """
        folder = os.fspath(to).replace("\\", "/").removeprefix(SCRATCH).strip("/")
        pattern = Pattern.of(specs.absolute(what).replace(os.sep, "/"))
        base = Path(pattern.folder or "/")
        wanted = _wanted(frames)
        found = [
            each for each in local_files(base, pattern.rest) if pattern.matches(_below(each, base), wanted)
        ]
        if not found:
            raise Refused.missing(str(what), f"{os.fspath(what)}: there is nothing to send")
        files = []
        for each in found:
            with _told(each):
                files.append(_Source(each, _join(folder, _below(each, base)), each.stat().st_size))
        Tally(report).run(files, self._send_file, lambda each: (each.name, each.size), in_flight)
        rest = pattern.rest or ("" if base.is_dir() else base.name)
        return SCRATCH + _join(folder, rest)

    def fetch(
        self,
        what: specs.PathLike,
        folder: specs.PathLike,
        *,
        frames: specs.Frames = None,
        follow: Job | str | None = None,
        report: Report | None = None,
        in_flight: int = IN_FLIGHT,
    ) -> str:
        """Fetch a plate, a folder or a file into a folder here, and give its path.

        A file is written beside and renamed once it is whole and has the daemon's digest. What is here already with
        the same content is not fetched again, and a file that came half goes on where it was: to resume, ask again.

        Args:
            what: a pattern, a folder or a file of the scratch: `scratch:sh010/comp`, or a path that a job has told.
            folder: where it goes; of a folder, what is in it. Made where it is not there.
            frames: of a pattern, only these.
            follow: a job, or its id: frames come as they land, until it has ended.
            report: as of `send`.
            in_flight: as of `send`.

        Raises:
            NotFound: there is no such file.
            Refused: it cannot be written here.
            JobFailed, JobCancelled: the job that was followed; what it had finished is here.
        """
        pattern = Pattern.of(self._scratch_name(what))
        job, base, wanted = (
            self.job(follow) if isinstance(follow, str) else follow,
            pattern.folder,
            _wanted(frames),
        )
        into, tally = Path(specs.absolute(folder)), Tally(report)
        seen: dict[str, tuple[int, int]] = {}  # name → bytes and time
        while True:
            ended = job is None or job.refresh().ended
            new = []
            for each in self.scratch_files(base):
                below = each.name[len(base) :].lstrip("/") if base else each.name
                stamp = (each.size_bytes, each.modify_time.ToNanoseconds())
                if seen.get(each.name) != stamp and pattern.matches(below, wanted):
                    seen[each.name] = stamp
                    new.append(
                        _Source(_inside(into, below or Path(each.name).name), each.name, each.size_bytes)
                    )
            _refuse_same(seen)
            tally.run(new, self._fetch_file, lambda each: (each.name, each.size), in_flight)
            if job is None or ended:
                break
            with suppress(TimedOut, JobFailed, JobCancelled):
                job.wait(LOOK_S)
        if job is not None:
            job.check()
        if not seen:
            path = SCRATCH + self._scratch_name(what)
            raise Refused.missing(path, f"{path}: there is nothing to fetch")
        single = base in seen  # a file, not a folder
        return str(into / (pattern.rest or (Path(base).name if single else "")))

    def scratch_files(self, what: specs.PathLike = "") -> Iterator[pb.ScratchFile]:
        """The files in a folder of the scratch, by name; all of them where none is named."""
        request = pb.ListFilesRequest(name=self._scratch_name(what), page_size=PAGE)
        while True:
            reply: pb.ListFilesResponse = self._wire.call(ScratchServiceStub, "ListFiles", request)
            yield from reply.files
            if not reply.next_page_token:
                return
            request.page_token = reply.next_page_token

    def scratch_space(self) -> tuple[int, int]:
        """Bytes that are taken, and the quota; 0: as much as the disk has."""
        reply = self._wire.call(ScratchServiceStub, "ListFiles", pb.ListFilesRequest(page_size=1))
        return reply.used_bytes, reply.quota_bytes

    def delete_scratch(self, what: specs.PathLike) -> int:
        """Delete a file or a folder of the scratch; gives how many files.

        Raises:
            Refused: a job that has not ended names it.
        """
        request = pb.DeleteFilesRequest(name=self._scratch_name(what))
        reply: pb.DeleteFilesResponse = self._wire.call(
            ScratchServiceStub, "DeleteFiles", request, timeout=CHUNK_S
        )
        return reply.deleted

    def _scratch_name(self, what: specs.PathLike) -> str:
        """As the service knows it: relative."""
        text = os.fspath(what).replace("\\", "/")
        if text.startswith("/"):
            reply = self._wire.call(ScratchServiceStub, "ListFiles", pb.ListFilesRequest(page_size=1))
            if text != reply.folder and not text.startswith(f"{reply.folder}/"):
                raise Refused.invalid("what", text, f"{text} is not in your scratch, {reply.folder}")
            text = text[len(reply.folder) :]
        return text.removeprefix(SCRATCH).strip("/")

    def _send_file(self, source: _Source, step: Step) -> bool:
        """Send one file; says whether it was there already."""
        with _told(source.path):
            digest, at, data, vain = sha256(source.path), 0, b"", 0
            with source.path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                sent = False
                while True:
                    request = pb.SendChunkRequest(
                        name=source.name, size_bytes=size, sha256=digest, offset=at, data=data
                    )
                    reply: pb.SendChunkResponse = self._wire.call(
                        ScratchServiceStub, "SendChunk", request, timeout=CHUNK_S
                    )
                    step(reply.received_bytes - at)
                    if reply.complete:
                        return not sent
                    vain += bool(data) and reply.received_bytes <= at
                    if vain >= TRIES:
                        raise DaemonFault(f"{source.name}: the daemon takes no more of it than {at} bytes")
                    at = file.seek(reply.received_bytes)
                    data = file.read(max(1, reply.chunk_bytes))
                    if not data:
                        raise Refused.invalid("what", source.path, f"{source.path} was cut while it was sent")
                    sent = True

    def _fetch_file(self, target: _Source, step: Step) -> bool:
        """Fetch one file; says whether it was here already."""
        path = target.path
        with _told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            beside = path.with_name(f".{path.name}.part")
            same = path.is_file() and path.stat().st_size == target.size
            if same and self._fetch_part(target.name, 0, sha256(path)).same:
                step(target.size)
                return True
            for _ in range(TRIES):
                if self._fetch_rest(target.name, beside, step):
                    beside.replace(path)
                    return False
                step(-beside.stat().st_size)
                beside.unlink()
        raise Refused(
            f"{SCRATCH}{target.name}: it changed again and again while it was fetched; try again",
            reason="WRITE_FAILED",
            metadata={"path": str(path)},
        )

    def _fetch_rest(self, name: str, beside: Path, step: Step) -> bool:
        """Bring what came of a file before to its end; says whether all of it has the right digest."""
        digest = hashlib.sha256()
        with beside.open("ab+") as file:
            file.seek(0)
            while data := file.read(1 << 20):
                digest.update(data)
            at = file.tell()
            step(at)
            while True:
                reply = self._fetch_part(name, at)
                file.write(reply.data)
                digest.update(reply.data)
                at += len(reply.data)
                step(len(reply.data))
                if reply.sha256:
                    file.flush()
                    os.fsync(file.fileno())
                    return digest.hexdigest() == reply.sha256
                if not reply.data:
                    raise DaemonFault(f"{name}: the daemon gives nothing at {at} of {reply.size_bytes} bytes")

    def _fetch_part(self, name: str, offset: int, have: str = "") -> pb.FetchChunkResponse:
        request = pb.FetchChunkRequest(name=name, offset=offset, sha256=have)
        reply: pb.FetchChunkResponse = self._wire.call(
            ScratchServiceStub, "FetchChunk", request, timeout=CHUNK_S
        )
        return reply


def _wanted(frames: specs.Frames) -> frozenset[int] | None:
    given = segments(frames)
    return frozenset(ranges.expand(given)) if given else None


def _below(file: Path, base: Path) -> str:
    """The name of a file below a folder; of the file itself, its own."""
    return file.name if file == base else file.relative_to(base).as_posix()


def _join(folder: str, rest: str) -> str:
    return "/".join(filter(None, (folder, rest)))


def _inside(folder: Path, name: str) -> Path:
    """Where a file that the daemon has named goes: nowhere but below the folder."""
    parts = name.split("/")
    bad = "\\:" if os.name == "nt" else "\0"
    if any(part in ("", ".", "..") or part.startswith(".") for part in parts) or any(c in name for c in bad):
        raise DaemonFault(f"the daemon names a file {name!r}, which could lead out of {folder}")
    return folder.joinpath(*parts)


def _refuse_same(names: Iterable[str]) -> None:
    """Where upper case is lower case, two files must not become one. Raises Refused."""
    if sys.platform not in ("win32", "darwin"):
        return
    there: dict[str, str] = {}
    for name in names:
        other = there.setdefault(name.casefold(), name)
        if other != name:
            raise Refused.invalid("what", name, f"{other} and {name} would be one file on this system")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """The system's errors about a file of this machine in our words."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
        raise Refused(
            f"{path}: {error.strerror or error}",
            reason="DISK_FULL" if full else "WRITE_FAILED",
            metadata={"path": str(path)},
        ) from error
