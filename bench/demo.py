"""A face swapped in a film plate, from nothing: what `make demo` runs.

Makes two plates out of portraits in the public domain, writes a release for the face that is put on, and has the
real command line do the rest. Every step skips what an earlier run has finished, so a second run is quick and says
so.
"""

from __future__ import annotations

import argparse
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.table import Column, Table

from bench import clips
from understudy.core.errors import UnderstudyError
from understudy.core.reports import FrameStatus

SRC, DST = "astronaut", "hopper"  # puts on, wears
GRANTED_BY = "public domain: official portrait by NASA, as distributed with scikit-image"
INSTALLED = str(Path(sys.executable).with_name("understudy"))
FAILED, CANCELLED = 1, 130


class CommandError(Exception):
    """A command that we started ended badly. The message ends with the command itself, to be tried by hand."""

    def __init__(self, command: Sequence[str], code: int, said: str) -> None:
        super().__init__(f"{said.strip()}\nexit code {code}: {shlex.join(command)}".strip())
        self.code = code


@dataclass(frozen=True, kw_only=True)
class Demo:
    """What to make and where.

    Attributes:
        folder: everything goes below it.
        minutes: of training, in all: a model that has had them is not trained again.
        frames: of each plate.
        preset: size of the network.
        understudy: the command line's program.
    """

    folder: Path = Path("out/demo")
    minutes: float = 5.0
    frames: int = 48
    preset: str = "quick64"
    understudy: str = INSTALLED

    def plate(self, name: str) -> str:
        return str(self.folder / "plates" / f"{name}.####.exr")

    @property
    def release(self) -> Path:
        return self.folder / f"{SRC}.release.json"

    @property
    def comp(self) -> str:
        return str(self.folder / "comp" / "comp.####.exr")

    @property
    def sheet(self) -> Path:
        """The contact sheet that the swap leaves beside the frames."""
        return self.folder / "comp" / "contact_sheet.png"

    def steps(self) -> dict[str, Callable[[Console], str]]:
        """What there is to do, in order; each says what came of it."""
        return {
            "plates": self._make_plates,
            "release": self._make_release,
            "weights": self._fetch_weights,
            "swap": self._swap,
            "verify": self._verify,
        }

    def _make_plates(self, console: Console) -> str:
        columns = (BarColumn(), MofNCompleteColumn(), "frames", TimeRemainingColumn())
        states: Counter[FrameStatus] = Counter()
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("", total=2 * self.frames)
            for name in (SRC, DST):
                for report in clips.run(clips.Clip(name=name, frames=self.frames), self.plate(name)):
                    states[report.status] += 1
                    bar.advance(task)
        made, kept = states[FrameStatus.DONE], states[FrameStatus.SKIPPED]
        return f"{made} frames made, {kept} there already: {self.plate(SRC)}, {self.plate(DST)}"

    def _make_release(self, _: Console) -> str:
        if self.release.exists():
            return f"there already: {self.release}"
        record = ("--kind", "public-domain", "--subject", SRC, "--granted-by", GRANTED_BY)
        return self._call("release", "create", *record, "--out", str(self.release))

    def _fetch_weights(self, _: Console) -> str:
        return self._call("weights", "pull", progress=True)

    def _swap(self, _: Console) -> str:
        plates = ("--src", self.plate(SRC), "--dst", self.plate(DST), "--out", self.comp)
        training = ("--preset", self.preset, "--minutes", f"{self.minutes:g}", "--release", str(self.release))
        return self._call("swap", *plates, *training, progress=True)

    def _verify(self, console: Console) -> str:
        with console.status("comparing every frame with its plate"):
            return self._call("verify", self.comp)

    def _call(self, *arguments: str, progress: bool = False) -> str:
        return call([self.understudy, *arguments], progress=progress)

    def products(self) -> dict[Path, int]:
        """Frames and models below the folder, with the time when each was written (ns)."""
        kinds = ("*.exr", "*.safetensors")
        return {path: path.stat().st_mtime_ns for kind in kinds for path in self.folder.rglob(kind)}


def call(command: Sequence[str], *, progress: bool = False) -> str:
    """Run a command and return what it printed on stdout.

    Interrupts are passed on as SIGINT and the command's own ending is waited for, since it has a checkpoint to
    write. It runs in a session of its own, or the terminal would have told it already.

    Args:
        progress: let its stderr through, where it shows how far it is; else stderr is kept for the error.

    Raises:
        CommandError: it could not be started or ended with another code than 0.
        KeyboardInterrupt: interrupted, and the command has ended.
    """
    stderr = None if progress else subprocess.PIPE
    try:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=stderr, text=True, start_new_session=True
        )
    except OSError as error:
        why = f"{command[0]}: {error.strerror}. `make demo` installs it; so does pip install -e '.[dev]'"
        raise CommandError(command, FAILED, why) from error
    interrupt: KeyboardInterrupt | None = None
    while True:
        try:
            out, complaint = process.communicate()
            break
        except KeyboardInterrupt as caught:
            interrupt = caught
            process.send_signal(signal.SIGINT)
    if interrupt is not None:
        raise interrupt
    if process.returncode:
        raise CommandError(command, process.returncode, complaint or out)
    return str(out).strip()


def run(demo: Demo, console: Console) -> None:
    """Do all steps, then say what was made and how long each took.

    Raises:
        CommandError, UnderstudyError, KeyboardInterrupt: a step failed or was cancelled; earlier ones stay done.
    """
    found, began = demo.products(), time.monotonic()
    table = Table("step", Column("seconds", justify="right"))
    for title, work in demo.steps().items():
        console.rule(title, align="left")
        start = time.monotonic()
        outcome = work(console)
        console.print(outcome, markup=False, highlight=False)
        table.add_row(title, f"{time.monotonic() - start:.1f}")
    table.add_section()
    table.add_row("all", f"{time.monotonic() - began:.1f}")
    console.print(table)
    if demo.sheet.exists():
        console.print(f"Look at {demo.sheet}", soft_wrap=True)
    if demo.products() == found:
        console.print(
            f"Nothing was made: an earlier run had finished all of it. Remove {demo.folder} to begin anew."
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """The demo as a command; its exit code: that of the command that failed, 130 when cancelled."""
    defaults = Demo()
    parser = argparse.ArgumentParser(prog="python -m bench.demo", description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=defaults.folder, help="for everything (%(default)s)")
    parser.add_argument(
        "--minutes", type=float, default=defaults.minutes, help="of training in all (%(default)s)"
    )
    parser.add_argument("--frames", type=int, default=defaults.frames, help="of each plate (%(default)s)")
    parser.add_argument("--preset", default=defaults.preset, help="of the model (%(default)s)")
    parser.add_argument("--understudy", default=INSTALLED, help="the program (%(default)s)")
    demo = Demo(**vars(parser.parse_args(arguments)))
    for each in (signal.SIGTERM, signal.SIGHUP):  # whoever stops us wants the command that we run stopped too
        signal.signal(each, signal.default_int_handler)
    complaints = Console(stderr=True)
    try:
        run(demo, Console())
    except CommandError as error:
        complaints.print(str(error), markup=False, highlight=False)
        return error.code
    except UnderstudyError as error:
        complaints.print(error.message, markup=False, highlight=False)
        return FAILED
    except KeyboardInterrupt:
        complaints.print("cancelled: what is finished stays; the same command goes on from there")
        return CANCELLED
    return 0


if __name__ == "__main__":
    sys.exit(main())
