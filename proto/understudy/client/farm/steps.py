"""The steps of a job: what each command line becomes on a farm, and what has to be done before it.

A merge becomes three: the analysis of the shot, its frames in chunks, and a check of the result. Chunks find what the
analysis wrote, so that none of them fits it again; each would come to the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from understudy.client.farm.commands import Command, Given, Parameters, arguments, reference
from understudy.client.farm.paths import FILE, OPTIONS, Place
from understudy.client.farm.training import SETTINGS, settings

PROGRAM, TORCHRUN = "Understudy", "Torchrun"  # job parameters: where these programs are on the workers
STOP_S = 300  # that a task has to write what it has, once it is told to stop
START_S = 300
LEAVE_S = 420  # a session's daemon drains for 330 s at most
_SPEAKS = "--progress=openjd"
_STATE = "--state={{Session.WorkingDirectory}}/understudy"
_FRAMES_OF_A_CHUNK = ("frames", "chunk", "again", "analyse_only", "no_contact_sheet")


@dataclass(frozen=True)
class Wish:
    """What is asked of the steps beside their commands.

    Attributes:
        chunk: frames of a merge that one task makes.
        timeout: seconds that a task may take.
        gpus: that a worker must have, 0 for none.
        processes: of a training, each on a GPU of its own, started by torchrun; 0: none, the daemon trains.
    """

    chunk: int = 10
    timeout: int = 86400
    gpus: int = 0
    processes: int = 0


@dataclass(frozen=True)
class Made:
    """A step, and where its work reads and writes."""

    step: dict[str, Any]
    places: Sequence[Place]


class Steps:
    """Makes steps of commands; `parameters` and `files` grow with them.

    Attributes:
        files: name → text, that lie beside the template.
        merges: name of the parameter that holds the frames → the merge.
    """

    def __init__(self, wish: Wish) -> None:
        self.wish = wish
        self.parameters = Parameters()
        self.files: dict[str, str] = {}
        self.merges: dict[str, Command] = {}
        self._made: list[Made] = []

    def add(self, command: Command, frames: str = "") -> None:
        """Add what one command becomes.

        Args:
            frames: of a merge, in Open Job Description's grammar.

        Raises:
            Refused: of a value that no parameter can hold.
        """
        if command.verb == "merge":
            self._merge(command, frames)
        elif command.verb == "train" and self.wish.processes:
            self._torchrun(command)
        else:
            name = self._name(command.verb.capitalize())
            self._put(name, command, self._daemon(arguments(command, name, self.parameters)))

    @property
    def made(self) -> list[dict[str, Any]]:
        return [each.step for each in self._made]

    def _merge(self, command: Command, frames: str) -> None:
        name, first, last = (self._name(each) for each in ("Merge", "Analyse", "Verify"))
        held = command.without(*_FRAMES_OF_A_CHUNK)
        line = arguments(held, name, self.parameters)
        wanted = self.parameters.text(
            f"{name}Frames", frames, description="Frames to make, as 1001-1010,1020."
        )
        size = self._number(f"{name}ChunkSize", self.wish.chunk, "Frames that one task makes.")
        again = self.parameters.text(
            f"{name}Again",
            "--no-again",
            allowedValues=["--no-again", "--again"],
            description="Whether frames that are there are made again.",
        )
        self.merges[f"{name}Frames"] = command
        self._put(first, held, self._daemon(_before_placed(line, "--analyse-only")))
        chunk = ("--no-contact-sheet", again, "--chunk={{Task.Param.Frames}}")
        step = self._put(name, held, self._daemon(_before_placed(line, *chunk)), after=first)
        range_ = {"defaultTaskCount": size, "rangeConstraint": "NONCONTIGUOUS"}
        frames_ = {"name": "Frames", "type": "CHUNK[INT]", "range": wanted, "chunks": range_}
        step["parameterSpace"] = {"taskParameterDefinitions": [frames_]}
        check = _check(command)
        more = (f"--frames={wanted}", "--frames-dialect=openjd")
        self._put(last, check, self._daemon(arguments(check, last, self.parameters, *more)), after=name)

    def _torchrun(self, command: Command) -> None:
        name = self._name("Train")
        file = f"{name.lower()}.{SETTINGS}"
        self.files[file] = settings(command.settings)
        kept = [g for g in command.given if (g.kind and g.name != "phases_") or g.name == "device"]
        # Where it is not named it is beside the template.
        self.parameters.definitions[f"{name}Settings"] = {
            "name": f"{name}Settings",
            "type": "PATH",
            "objectType": FILE,
            "dataFlow": "IN",
            "default": file,
        }
        self._program(TORCHRUN, "torchrun")
        said = arguments(Command("train", [_flagged(each) for each in kept]), name, self.parameters)
        count = self._number(f"{name}Processes", self.wish.processes, "Each on a GPU of its own.")
        before = ["--standalone", f"--nproc-per-node={count}", "-m", "understudy.core.train.distributed"]
        line = [*before, _SPEAKS, *said[1:], "--", reference(f"{name}Settings")]
        self._put(name, command, self._action(TORCHRUN, line), warm=False)

    def _name(self, verb: str) -> str:
        """`Extract`, and `Extract2` where there is one."""
        there = {each.step["name"] for each in self._made}
        number = next(n for n in range(1, len(there) + 2) if f"{verb}{n if n > 1 else ''}" not in there)
        return f"{verb}{number if number > 1 else ''}"

    def _daemon(self, line: Sequence[str]) -> dict[str, Any]:
        self._program(PROGRAM, "understudy")
        return self._action(PROGRAM, [_SPEAKS, *line])

    def _program(self, name: str, usual: str) -> None:
        about = {
            "name": name,
            "type": "STRING",
            "default": usual,
            "description": "The program on the workers.",
        }
        self.parameters.definitions.setdefault(name, about)

    def _number(self, name: str, value: int, about: str) -> str:
        definition = {"name": name, "type": "INT", "minValue": 1, "default": value, "description": about}
        self.parameters.definitions[name] = definition
        return reference(name)

    def _action(self, program: str, line: Sequence[str]) -> dict[str, Any]:
        return action(program, line, self.wish.timeout)

    def _put(
        self, name: str, command: Command, onrun: dict[str, Any], *, after: str = "", warm: bool = True
    ) -> dict[str, Any]:
        places = list(command.places)
        needed = [m for m in self._made if any(mine.needs(theirs) for mine in places for theirs in m.places)]
        names = dict.fromkeys([each.step["name"] for each in needed] + ([after] if after else []))
        step: dict[str, Any] = {"name": name}
        if names:
            step["dependencies"] = [{"dependsOn": each} for each in names]
        if self.wish.gpus and command.verb in ("extract", "train", "merge"):
            step["hostRequirements"] = {"amounts": [{"name": "amount.worker.gpu", "min": self.wish.gpus}]}
        if warm:
            step["stepEnvironments"] = [environment()]
        step["script"] = {"actions": {"onRun": onrun}}
        self._made.append(Made(step, places))
        return step


def action(program: str, line: Sequence[str], timeout: int) -> dict[str, Any]:
    """A command with its time, and the time that it has to stop when it is told to."""
    return {
        "command": reference(program),
        "args": list(line),
        "timeout": timeout,
        "cancelation": {"mode": "NOTIFY_THEN_TERMINATE", "notifyPeriodInSeconds": STOP_S},
    }


def environment() -> dict[str, Any]:
    """A daemon for the tasks of one session."""
    actions = {
        "onEnter": action(PROGRAM, [_SPEAKS, "farm", "enter", _STATE], START_S),
        "onExit": action(PROGRAM, [_SPEAKS, "farm", "leave", _STATE], LEAVE_S),
    }
    return {
        "name": "Daemon",
        "description": "Keeps models in memory from task to task.",
        "script": {"actions": actions},
    }


def _before_placed(line: Sequence[str], *more: str) -> list[str]:
    """More options, before the arguments that have no name."""
    at = line.index("--")
    return [*line[:at], *more, *line[at:]]


def _flagged(given: Given) -> Given:
    """A path of `understudy train` as `core.train.distributed` takes it."""
    return given if given.flag else Given(given.name, f"--{given.name}", given.values, given.kind)


def _check(merge: Command) -> Command:
    """The verification of a merge's output against its plate."""
    kinds = OPTIONS["verify"]
    out, plate = merge.option("out"), merge.option("plate")
    assert out is not None
    assert plate is not None
    return Command(
        "verify",
        [
            Given("plate", "--plate", plate.values, kinds["plate"]),
            Given("output", "", out.values, kinds["output"]),
        ],
    )
