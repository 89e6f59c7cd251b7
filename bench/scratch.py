"""Files to and from a daemon over gRPC on this machine, beside a plain copy of the same files.

What is written is on the disk at the end (fsync) on all sides. The files have the sizes of frames, and bytes that
nothing compresses. The second row is what any tool must spend that checks what it moves: SHA-256 at both ends, and a
copy. The processor's seconds are of this process alone: of the client, not of the daemon.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import common
from understudy.client.session import Session

MIB = 1 << 20


def main() -> None:
    """Measure; takes `--rounds`, `--frames` and `--mib`."""
    parser = argparse.ArgumentParser(prog="python -m bench.scratch", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--mib", type=int, default=12, help="of a frame")
    given, _ = parser.parse_known_args()
    common.FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=common.FOLDER) as made, daemon(Path(made)) as session:
        folder = Path(made)
        (folder / "frames").mkdir()
        for number in range(given.frames):
            (folder / "frames" / f"f.{1001 + number}.exr").write_bytes(os.urandom(given.mib * MIB))
        rows = [_row(name, work, given) for name, work in _ways(session, folder).items()]
    title = f"{given.frames} files of {given.mib} MiB, medians of {given.rounds} rounds"
    copied = rows[0][1]
    common.show(
        title,
        ("what", "MB/s", "processor s/GB", "against a copy"),
        ([name, f"{rate:.0f}", f"{spent:.2f}", f"{copied / rate:.2f}"] for name, rate, spent in rows),
    )


def _row(
    name: str, work: Callable[[int], Path | None], given: argparse.Namespace
) -> tuple[str, float, float]:
    """What is done, MB a second, and the processor's seconds of this process a GB."""
    size = given.frames * given.mib * MIB
    seconds, spent = [], []
    for turn in range(given.rounds):
        before, began = time.process_time(), time.perf_counter()
        out = work(turn)
        seconds.append(time.perf_counter() - began)
        spent.append(time.process_time() - before)
        if out is not None:
            shutil.rmtree(out)
    return name, size / 1e6 / statistics.median(seconds), statistics.median(spent) / (size / 1e9)


def _ways(session: Session, folder: Path) -> dict[str, Callable[[int], Path | None]]:
    source = folder / "frames"

    def copy(turn: int, *, check: bool = False) -> Path:
        out = folder / f"copy{turn}"
        out.mkdir()
        for file in source.iterdir():
            if check:
                _sha256(file)
            with file.open("rb") as given, (out / file.name).open("wb") as taken:
                shutil.copyfileobj(given, taken, 2 * MIB)
                taken.flush()
                os.fsync(taken.fileno())
            if check:
                _sha256(out / file.name)
        return out

    def send(turn: int) -> None:
        session.send(source, f"turn{turn}")

    def fetch(turn: int) -> Path:
        return Path(session.fetch("scratch:turn0", folder / f"back{turn}"))

    return {
        "copy": copy,
        "copy, SHA-256 of both": lambda turn: copy(turn, check=True),
        "send": send,
        "fetch": fetch,
        "send again what is there": lambda _: send(0),
    }


def _sha256(path: Path) -> None:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while data := file.read(MIB):
            digest.update(data)


@contextmanager
def daemon(folder: Path) -> Iterator[Session]:
    """A daemon of its own with scratch, and a session with it."""
    (folder / "scratch").mkdir()
    (folder / "daemon.toml").write_text(f'[scratch]\nfolder = "{(folder / "scratch").absolute()}"\n')
    socket = f"unix:{tempfile.mkdtemp()}/s"
    command = [
        sys.executable,
        "-m",
        "understudy.daemon",
        "--state",
        str(folder / "state"),
        "--listen",
        socket,
    ]
    with subprocess.Popen([*command, "--config", str(folder / "daemon.toml")]) as process:
        try:
            while not (folder / "state" / "daemon.json").exists() and process.poll() is None:
                time.sleep(0.05)
            with Session(socket) as session:
                yield session
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
