"""Feed damaged files to our readers, in processes of their own, and say which of them we did wrong by.

`python -m tests.core.fuzz --seconds 600` goes on for so long, with other mutants than the tests' if `--first` says so;
`python -m tests.core.fuzz --replay 1234` does one, here. A mutant may be refused, with an error that names its file,
or read: then header, picture and `plate check` must agree, and so must another reader wherever it reads the file too:
the OpenEXR package (what it only warns about on stdout is refused, too), and OpenImageIO for DPX. Everything else is a
finding: a crash, a hang, any other exception, more memory than `ADDRESS_SPACE`, and pixels or facts that differ.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import resource
import selectors
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import OpenImageIO as oiio  # noqa: N813  as its own documentation does

from tests.core import mutants, seedfiles
from understudy.core.errors import UnderstudyError
from understudy.core.frames import FrameRange
from understudy.core.plate import Plate, Template, check, read_file, read_header
from understudy.core.plate.dpx import REST_KEY
from understudy.core.reports import FrameReport, FrameStatus

ADDRESS_SPACE = 2**30
"""Bytes that a reader may allocate for one of these files, each smaller than 64 KiB: no codec swells so far."""
PATIENCE = 60.0
"""Seconds for one file; hundreds of times what the slowest takes, for machines that are busy."""
OURS, THEIRS = "tests.core.fuzz:ours", "tests.core.fuzz:theirs"

Outcome = dict[str, Any]
Reader = Callable[[Path, mutants.Mutant], Outcome]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What we did wrong by one mutant."""

    mutant: mutants.Mutant
    what: str

    def __str__(self) -> str:
        return (
            f"{self.mutant}: {self.what}\n    replay: python -m tests.core.fuzz --replay {self.mutant.number}"
        )


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What became of the mutants, and of how many the other reader could give a second opinion."""

    refused: int
    read: int
    confirmed: int
    slowest: float
    findings: tuple[Finding, ...]


def judge(seeds: dict[str, bytes], numbers: range, *, processes: int = 2) -> Tally:
    """Let us and the others read these mutants, and compare."""
    mine = outcomes(OURS, seeds, numbers, processes)
    readable = [number for number, outcome in mine.items() if "parts" in outcome]
    yours = outcomes(THEIRS, seeds, readable, processes)
    findings, confirmed = [], 0
    for number, outcome in mine.items():
        other = yours.get(number, {})
        wrong = outcome.get("finding") or differences(outcome, other)
        confirmed += "parts" in other
        if wrong:
            findings.append(Finding(mutant=mutants.mutant(number, seeds), what=wrong))
    return Tally(
        refused=sum("refused" in outcome for outcome in mine.values()),
        read=len(readable),
        confirmed=confirmed,
        slowest=max((outcome.get("seconds", 0.0) for outcome in mine.values()), default=0.0),
        findings=tuple(findings),
    )


def differences(mine: Outcome, yours: Outcome) -> str:
    """What two readers of a file say differently; empty where one has refused it."""
    if "parts" not in mine or "parts" not in yours:
        return ""
    if len(mine["parts"]) != len(yours["parts"]):
        return f"we see {len(mine['parts'])} parts, the other reader {len(yours['parts'])}"
    for index, (ours, theirs) in enumerate(zip(mine["parts"], yours["parts"], strict=True)):
        for fact in ours.keys() & theirs.keys():
            if ours[fact] != theirs[fact]:
                return f"part {index}: {fact} is {ours[fact]}, to the other reader {theirs[fact]}"
    return ""


# The readers: what they give is put beside each other as JSON.


def ours(path: Path, mutant: mutants.Mutant) -> Outcome:
    """Header, picture and `plate check` of one file; raises what they raise but for the errors that they should."""
    number = mutant.number
    template = Template.parse(str(path.with_name(f"f.%08d{path.suffix}")))
    only = FrameRange.of(number, number)
    listed = list(check.run(Plate(template=template, frames=only, present=only)))
    (checked,) = (report for report in listed if isinstance(report, FrameReport))
    whole = checked.status is FrameStatus.DONE
    try:
        header = read_header(path, number)
        frame = read_file(path, number)
    except UnderstudyError as error:
        if path.name not in error.message:
            return {"finding": f"{type(error).__name__} does not name the file: {error.message}"}
        if whole:
            return {"finding": f"`plate check` finds nothing, though it cannot be read: {error.message}"}
        return {"refused": error.message}
    if not whole:
        return {"finding": f"`plate check` says {checked.message}, though it can be read"}
    parts, headers = (frame, *frame.others), (header, *header.others)
    if [_geometry(part) for part in parts] != [_geometry(part) for part in headers]:
        return {"finding": "header and picture disagree"}
    if [{n: p.dtype for n, p in part.planes.items()} for part in parts] != [
        dict(h.channels) for h in headers
    ]:
        return {"finding": "channels of header and picture disagree"}
    return {"parts": [_described(part, header) for part, header in zip(parts, headers, strict=True)]}


def _geometry(part: Any) -> tuple[object, ...]:
    entries = {
        name: repr(value) for name, value in part.metadata.items() if name != REST_KEY
    }  # of the picture alone
    return part.display, part.data, repr(part.pixel_aspect), part.maximum, part.name, entries


def _described(part: Any, header: Any) -> Outcome:
    data, display = part.data, part.display
    plain = {name: value for name, value in part.metadata.items() if isinstance(value, str | int | float)}
    return {
        "data window": [data.x, data.y, data.x1 - 1, data.y1 - 1],
        "display window": [display.x, display.y, display.x1 - 1, display.y1 - 1],
        "pixel aspect": repr(float(part.pixel_aspect)),
        "codec": header.compression,
        "tiles": list(header.tiles) if header.tiles else None,
        "types": sorted({str(plane.dtype) for plane in part.planes.values()}),
        "pixels": {name: _digest(plane) for name, plane in part.planes.items()},
        **{f"entry {name}": repr(value) for name, value in plain.items()},
    }


def _digest(plane: Any) -> list[object]:
    return [str(plane.dtype), list(plane.shape), hashlib.sha256(plane.tobytes()).hexdigest()[:12]]


def theirs(path: Path, mutant: mutants.Mutant) -> Outcome:
    """The same by another reader, or why it refuses."""
    return _by_openexr(path) if path.suffix == ".exr" else _of_dpx(path, mutant)


def _by_openexr(path: Path) -> Outcome:
    try:
        with OpenEXR.File(str(path), separate_channels=True) as file:
            parts = [_of_openexr(part) for part in file.parts]
    except (RuntimeError, ValueError, TypeError, OSError, UnicodeDecodeError) as error:
        return {"refused": str(error)}
    return {"parts": parts} if parts else {"refused": "it warned on stdout"}


def _of_openexr(part: Any) -> Outcome:
    header = part.header
    tiles = header.get("tiles")
    said = {name: value for name, value in header.items() if isinstance(value, str | int | float)}
    return {
        **{f"entry {name}": repr(value) for name, value in said.items()},
        "data window": [int(v) for corner in header["dataWindow"] for v in corner],
        "display window": [int(v) for corner in header["displayWindow"] for v in corner],
        "pixel aspect": repr(header["pixelAspectRatio"]),
        "codec": header["compression"].name.removesuffix("_COMPRESSION").lower().replace("no", "none"),
        "tiles": [tiles.xSize, tiles.ySize] if tiles else None,
        "pixels": {name: _digest(channel.pixels) for name, channel in part.channels.items()},
    }


def _of_dpx(path: Path, mutant: mutants.Mutant) -> Outcome:
    """Size and types by the header's own bytes; the picture by OpenImageIO, while the layout is still the seed's:
    otherwise OpenImageIO is known to misread lines, and to take no notice of padding and orientation.
    """
    data = mutant.data
    order = "<" if data[:4] == b"XPDS" else ">"
    width, height = struct.unpack_from(f"{order}2I", data, 772)
    said = {"data window": [0, 0, width - 1, height - 1], "types": ["uint8" if data[803] == 8 else "uint16"]}
    same = all(data[a:b] == mutant.original[a:b] for a, b in ((0, 8), (768, 784), (800, 820)))
    if not same or len(data) != len(mutant.original):
        return {"parts": [said]}
    return {"parts": [{**said, "pixels": _by_openimageio(path)}]}


def _by_openimageio(path: Path) -> Outcome:
    hints = oiio.ImageSpec()
    hints["dpx:RawColor"] = 1
    source = oiio.ImageInput.open(str(path), hints)
    assert source is not None, oiio.geterror()
    spec = source.spec()
    pixels = source.read_image(0, 0, 0, spec.nchannels, spec.format)
    assert pixels is not None, source.geterror()
    if pixels.dtype == np.uint16:
        pixels = pixels >> (16 - spec.get_int_attribute("oiio:BitsPerSample", 16))
    names = ("Y" if name == "I" else name for name in spec.channelnames)
    return {name: _digest(pixels[..., index]) for index, name in enumerate(names)}


# The processes.


def outcomes(
    reader: str, seeds: dict[str, bytes], numbers: Iterable[int], processes: int
) -> dict[int, Outcome]:
    """Mutant → what the reader made of it, or how it died of it; the numbers are dealt to so many processes."""
    todo = list(numbers)
    with tempfile.TemporaryDirectory(prefix="fuzz") as name:
        folder = Path(name)
        for seed, data in seeds.items():
            (folder / seed).write_bytes(data)
        hands = [_Hand(reader, folder, todo[index::processes]) for index in range(processes)]
        found: dict[int, Outcome] = {}
        with selectors.DefaultSelector() as ready:
            try:
                for hand in hands:
                    hand.start(ready)
                while any(hand.todo for hand in hands):
                    for key, _ in ready.select(timeout=1.0):
                        found |= key.data.listen()
                    for hand in hands:
                        found |= hand.look(ready)
            finally:
                for hand in hands:
                    hand.stop(ready)
    return dict(sorted(found.items()))


_READY = b"ready"
_STARTING = 120.0  # seconds: the libraries are large, and disks may be cold


class _Hand:
    """One process that reads mutant after mutant, and is started anew behind one that kills it or takes too long."""

    def __init__(self, reader: str, folder: Path, todo: list[int]) -> None:
        self._reader, self._folder = reader, folder
        self.todo = todo
        self._process: subprocess.Popen[bytes] | None = None
        self._heard = time.monotonic()
        self._pending = b""
        self._begun = False

    def start(self, ready: selectors.BaseSelector) -> None:
        if not self.todo:
            return
        command = [sys.executable, "-m", "tests.core.fuzz", "--worker", self._reader, str(self._folder)]
        # glibc gives each thread 64 MiB of addresses of its own: with many cores all that `_limit` leaves
        few = {**os.environ, "MALLOC_ARENA_MAX": "2"}
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=few)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(self.todo).encode())
        self._process.stdin.close()
        os.set_blocking(self._process.stdout.fileno(), False)
        self._heard, self._pending, self._begun = time.monotonic(), b"", False
        ready.register(self._process.stdout, selectors.EVENT_READ, self)

    def listen(self) -> dict[int, Outcome]:
        """What the process has said since; one line for each mutant, in order."""
        assert self._process is not None
        assert self._process.stdout is not None
        *lines, self._pending = (self._pending + (self._process.stdout.read() or b"")).split(b"\n")
        found: dict[int, Outcome] = {}
        for line in lines:
            self._heard = time.monotonic()
            if line == _READY:
                self._begun = True
                continue
            found[self.todo.pop(0)] = json.loads(line)
        return found

    def look(self, ready: selectors.BaseSelector) -> dict[int, Outcome]:
        """Whether the process has died of the next mutant, or hangs."""
        if self._process is None or not self.todo:
            return {}
        code = self._process.poll()
        hangs = time.monotonic() - self._heard > (PATIENCE if self._begun else _STARTING)
        if code is None and not hangs:
            return {}
        found = self.listen()
        assert self._begun, f"{self._reader} cannot begin: {code}"
        if self.todo and not (found and hangs):
            died = "hung" if code is None else f"died of {_signal(code)}"
            self.stop(ready)
            found[self.todo.pop(0)] = {"finding": f"the reader {died}"}
            self.start(ready)
        return found

    def stop(self, ready: selectors.BaseSelector) -> None:
        if self._process is not None:
            assert self._process.stdout is not None
            ready.unregister(self._process.stdout)
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()
            self._process = None


def _signal(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _worker(reader: str, folder: Path) -> None:
    """Read the mutants whose numbers come on stdin, and say a line of JSON about each on stdout."""
    say = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the OpenEXR package warns there
    module, _, name = reader.partition(":")
    read: Reader = getattr(importlib.import_module(module), name)
    seeds = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
    numbers = json.load(sys.stdin)
    work = Path(tempfile.mkdtemp(dir=folder))
    _warm(read, seeds, work)
    _limit()
    os.dup2(1, 2)  # where the decoders complain
    say.write(_READY.decode() + "\n")
    for number in numbers:
        mutant = mutants.mutant(number, seeds)
        path = work / f"f.{number:08d}{mutant.extension}"
        path.write_bytes(mutant.data)
        began = time.perf_counter()
        outcome = _outcome(read, path, mutant)
        path.unlink()
        say.write(json.dumps({**outcome, "seconds": time.perf_counter() - began}) + "\n")


def _outcome(read: Reader, path: Path, mutant: mutants.Mutant) -> Outcome:
    try:
        return read(path, mutant)
    except Exception as error:  # noqa: BLE001  whatever it is, it is what we look for
        last = traceback.extract_tb(error.__traceback__)[-1]
        return {"finding": f"{type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})"}


def _warm(read: Reader, seeds: dict[str, bytes], work: Path) -> None:
    """Let libraries load and pools start before memory is limited."""
    for name in (next(name for name in seeds if name.endswith(kind)) for kind in (".exr", ".dpx")):
        path = work / f"f.00000000{Path(name).suffix}"
        path.write_bytes(seeds[name])
        read(path, mutants.Mutant(number=0, seed=name, damage="none", original=seeds[name], data=seeds[name]))
        path.unlink()


def _limit() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    size = pages * resource.getpagesize() + ADDRESS_SPACE
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def rounds(first: int, step: int) -> Iterator[range]:
    while True:
        yield range(first, first + step)
        first += step


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.core.fuzz", description="Damaged plates for our readers."
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="go on for so long (default: 60)")
    parser.add_argument("--first", type=int, default=0, help="number of the first mutant (default: 0)")
    parser.add_argument("--replay", type=int, help="only this mutant, in this process")
    parser.add_argument("--keep", type=Path, help="where to write the mutant that is replayed")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker:
        _worker(asked.worker[0], Path(asked.worker[1]))
        return
    with tempfile.TemporaryDirectory(prefix="seeds") as name:
        seeds = seedfiles.make(Path(name))
        if asked.replay is not None:
            _replay(mutants.mutant(asked.replay, seeds), asked.keep or Path(name))
            return
    ends, done, findings = time.monotonic() + asked.seconds, 0, 0
    for numbers in rounds(asked.first, 500):
        tally = judge(seeds, numbers)
        done += len(numbers)
        findings += len(tally.findings)
        for finding in tally.findings:
            print(finding)
        print(
            f"{done} mutants, {findings} findings; of the last {len(numbers)}: {tally.refused} refused, ",
            end="",
        )
        print(
            f"{tally.read} read, {tally.confirmed} of them confirmed; slowest {tally.slowest:.2f} s",
            flush=True,
        )
        if time.monotonic() > ends:
            sys.exit(bool(findings))


def _replay(mutant: mutants.Mutant, folder: Path) -> None:
    path = folder / f"f.{mutant.number:08d}{mutant.extension}"
    path.write_bytes(mutant.data)
    print(mutant, path)
    mine, yours = ours(path, mutant), theirs(path, mutant)
    print("ours:  ", json.dumps(mine, indent=1), "\ntheirs:", json.dumps(yours, indent=1))
    print("differ:", differences(mine, yours) or "no")


if __name__ == "__main__":
    main()
