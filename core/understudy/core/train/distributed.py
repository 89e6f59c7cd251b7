"""One training in several processes, each on a device of its own: with as many GPUs, so much sooner done.

The first process leads: it runs the loop as if it were alone, and it alone writes, reports and decides. The others do
as its trainer does. `batch_size` is that of all together: every process draws the samples of the whole batch, takes
its part of them, and before a step is taken the gradients' mean over all processes is every one's gradient. So a
training does not feel on how many devices it runs, but for the order in which numbers are summed. Two ways to start:

    a device such as "cuda:0,cuda:1" in the settings (`gather`): the others are started here, on this machine
    torchrun --nproc-per-node 2 -m understudy.core.train.distributed SETTINGS.json [--model FOLDER …]

The second also serves several machines that share the disk on which model and facesets are. Processes talk by
torch.distributed, gradients over NCCL between GPUs and over Gloo between CPUs.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from copy import deepcopy
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

from understudy.core import release
from understudy.core.colour import ColourConfig, SwapCurve
from understudy.core.errors import InvalidInput, UnderstudyError
from understudy.core.faceset import Faceset
from understudy.core.model.device import pick
from understudy.core.model.presets import ModelConfig
from understudy.core.release import Release
from understudy.core.reports import Report, TrainReport
from understudy.core.train import plan as plans
from understudy.core.train.data import Crops, prepare
from understudy.core.train.perceptual import Vgg
from understudy.core.train.plan import Plan
from understudy.core.train.settings import TrainSettings
from understudy.core.train.trainer import Trainer
from understudy.core.weights import WeightStore

PLACES = ("model", "src", "dst", "start_from", "release")  # where things are: arguments may say it too
_PATIENCE = timedelta(days=1)  # a training may be paused between two steps
_THERE = "there"  # under which is counted in the store who has its device
_ENDING_SECONDS = 10.0  # that a process has to end by itself

Tensors = dict[str, Tensor]


class Team:
    """The processes of one training, as one of them sees it. A context: leaving it, the first sends the others home.

    Attributes:
        rank: which of them it is; 0 leads.
        size: how many there are.
        device: where this one computes.
    """

    def __init__(self, device: torch.device, children: Sequence[subprocess.Popen[bytes]] = ()) -> None:
        self.rank, self.size, self.device = dist.get_rank(), dist.get_world_size(), device
        self._children = children

    def part(self, count: int) -> slice:
        """This process's rows of so many samples; raises InvalidInput where they can not be shared evenly."""
        if count % self.size:
            raise InvalidInput(
                f"train: batch_size {count} can not be shared by {self.size} devices; take a multiple of it",
                field="batch_size",
                value=count,
            )
        share = count // self.size
        return slice(self.rank * share, (self.rank + 1) * share)

    @torch.no_grad()
    def mean(self, tensors: Iterable[Tensor]) -> None:
        """Make each the mean of what it is in all processes. They ask for it in the same order."""
        held = list(tensors)
        for work in [dist.all_reduce(tensor, async_op=True) for tensor in held]:
            work.wait()
        if held:
            torch._foreach_div_(held, self.size)

    def tell(self, order: object) -> None:
        """Hand the others something, as who leads."""
        dist.broadcast_object_list([order], src=0, device=torch.device("cpu"))

    def hear(self) -> Any:
        """What who leads tells next."""
        heard: list[Any] = [None]
        dist.broadcast_object_list(heard, src=0, device=torch.device("cpu"))
        return heard[0]

    def give(self, tensors: Mapping[str, Tensor]) -> None:
        """Hand the others tensors, as who leads."""
        self.tell({name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()})
        for tensor in tensors.values():
            dist.broadcast(tensor.detach().to(self.device).contiguous(), src=0)

    def take(self) -> Tensors:
        """What who leads gives."""
        taken: Tensors = {}
        for name, (shape, dtype) in self.hear().items():
            taken[name] = torch.empty(shape, dtype=dtype, device=self.device)
            dist.broadcast(taken[name], src=0)
        return taken

    def __enter__(self) -> Team:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        ended = kind is None or issubclass(kind, GeneratorExit)
        if ended and self.rank == 0:
            self.tell(None)
        for child in self._children:
            if not ended:  # it may wait for us where nobody comes
                child.terminate()
            try:
                child.wait(_ENDING_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        dist.destroy_process_group()


def gather(devices: str) -> Team:
    """A team of this process, which leads, and one that is started for each further device: `cuda:0,cuda:1`.

    Raises:
        InvalidInput: one of the devices is not on this machine, or its process ended as it began.
    """
    first, *others = [pick(name.strip()) for name in devices.split(",")]
    size = 1 + len(others)
    # 0: whichever port is free; held here, nobody else takes it before all have met there
    meeting = dist.TCPStore(  # type: ignore[attr-defined]  # public by torch's manual
        "127.0.0.1", 0, size, is_master=True, wait_for_workers=False, multi_tenant=True
    )
    port = str(meeting.port)
    said = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(size)}
    children = [
        subprocess.Popen(
            [sys.executable, "-m", __name__, "--device", str(device)],
            env={**os.environ, **said, "RANK": str(rank)},
            stdin=subprocess.DEVNULL,
        )
        for rank, device in enumerate(others, 1)
    ]
    try:
        _await(children, others, meeting)
        return _join(first, children, init_method=f"tcp://127.0.0.1:{port}", rank=0, world_size=size)
    except BaseException:
        for child in children:
            child.kill()
            child.wait()
        raise


def _await(
    children: Sequence[subprocess.Popen[bytes]],
    devices: Sequence[torch.device],
    meeting: dist.TCPStore,  # type: ignore[name-defined]
) -> None:
    """Wait until all have their devices: who meets the others waits for each of them, ended or not."""
    while meeting.add(_THERE, 0) < len(children):
        for child, device in zip(children, devices, strict=True):
            if (code := child.poll()) is not None:
                raise InvalidInput(
                    f"train: the process for device {device} ended with {code} as it began; the log has why",
                    field="device",
                    value=device,
                )
        time.sleep(0.1)


def _join(
    device: torch.device,
    children: Sequence[subprocess.Popen[bytes]] = (),
    *,
    awaited: bool = False,
    **where: Any,
) -> Team:
    """Meet the others, as the environment or `where` says; `awaited` tells who waits for this one to be there."""
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if awaited:
        host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        dist.TCPStore(host, port, is_master=False).add(_THERE, 1)  # type: ignore[attr-defined]
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=_PATIENCE, **where)
    return Team(device, children)


@dataclass(frozen=True, kw_only=True)
class _Begin:
    """What the others need for a trainer like that of who leads."""

    config: ModelConfig
    plan: Plan
    seed: int
    bfloat16: bool
    compiled: Sequence[str]
    vgg: Vgg | None
    settings: TrainSettings
    curve: SwapCurve


@dataclass(frozen=True, kw_only=True)
class _Step:
    """An iteration; `sent`: weights and moments come before it."""

    plan: Plan
    seed: int
    iteration: int
    progress: float
    sent: bool


class Leader(Trainer):
    """The trainer of who leads: at each step the others take the same. Make it when the crops are cut.

    Args:
        settings, curve: what the others open the crops by, as `data.prepare` left them.

    Raises:
        InvalidInput: the batch can not be shared evenly.
    """

    def __init__(
        self,
        config: ModelConfig,
        plan: Plan,
        device: torch.device,
        *,
        seed: int,
        bfloat16: bool,
        vgg: Vgg | None = None,
        compiled: Sequence[str] = (),
        team: Team,
        settings: TrainSettings,
        curve: SwapCurve,
    ) -> None:
        team.part(plan.batch_size)
        network = deepcopy(vgg).cpu() if vgg is not None else None
        team.tell(
            _Begin(
                config=config,
                plan=plan,
                seed=seed,
                bfloat16=bfloat16,
                compiled=compiled,
                vgg=network,
                settings=settings,
                curve=curve,
            )
        )
        super().__init__(
            config, plan, device, seed=seed, bfloat16=bfloat16, vgg=vgg, compiled=compiled, team=team
        )
        self._team, self._sent = team, False

    def step(self, src: Crops, dst: Crops, iteration: int, progress: float) -> dict[str, Tensor]:
        order = _Step(
            plan=self.plan, seed=self.seed, iteration=iteration, progress=progress, sent=not self._sent
        )
        self._team.tell(order)
        if order.sent:
            self._team.give(self.weights())
            self._team.give(self.moments())
            self._sent = True
        return super().step(src, dst, iteration, progress)

    def restore(self, weights: Mapping[str, Tensor], moments: Mapping[str, Tensor]) -> None:
        super().restore(weights, moments)
        self._sent = False


def follow(team: Team) -> None:
    """Do as who leads, until the training ends."""
    begin = team.hear()
    if begin is None:
        return
    trainer = Trainer(
        begin.config,
        begin.plan,
        team.device,
        seed=begin.seed,
        bfloat16=begin.bfloat16,
        vgg=None if begin.vgg is None else begin.vgg.to(team.device),
        compiled=begin.compiled,
        team=team,
    )
    src, dst = _crops(begin)
    while (order := team.hear()) is not None:
        trainer.seed = order.seed
        trainer.adopt(order.plan)
        if order.sent:
            trainer.restore(team.take(), team.take())
        trainer.step(src, dst, order.iteration, order.progress)


def _crops(begin: _Begin) -> tuple[Crops, Crops]:
    """src's and dst's, which who leads has cut."""
    asked, found = begin.settings, list[Crops]()
    for side, folder, track in (("src", asked.src, asked.src_track), ("dst", asked.dst, asked.dst_track)):
        faceset = Faceset.open(folder).select(track)
        *_, crops = prepare(faceset, asked.model / "cache", side, begin.config, begin.curve)
        assert isinstance(crops, Crops), "the last that it yields"
        found.append(crops)
    return found[0], found[1]


def read_settings(path: Path, places: Mapping[str, Path] = MappingProxyType({})) -> TrainSettings:
    """Settings of a JSON file: `TrainSettings` by its fields, paths and dates as text, a release as it lies in a file.

    Args:
        places: `PLACES` by name, which go over the file's.

    Raises:
        NotFound, ReleaseInvalid: of a release that is named.
        InvalidInput: it is no such file, or as `TrainSettings`: names the field.
    """
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        said |= {name: where for name, where in places.items() if name != "release"}
        for name in {"model", "src", "dst", "start_from"} & said.keys():
            said[name] = Path(said[name])
        if "phases" in said:
            said["phases"] = plans.phases(said["phases"])
        if "until" in said:
            said["until"] = datetime.fromisoformat(said["until"])
        if "release" in said:
            said["release"] = Release.from_dict(said["release"], origin=path)
        if "release" in places:
            said["release"] = release.read(places["release"])
        return TrainSettings(**said)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        why = f"{path}: not the settings of a training: {error}"
        raise InvalidInput(why, path=path, field="settings", value=str(path)) from error


def main(arguments: Sequence[str] | None = None) -> None:
    """What torchrun runs in each process: one JSON object a line for each report, from the first.

    SIGTERM, which torchrun passes on, ends the training with a checkpoint and the first process with 143.
    """
    parser = argparse.ArgumentParser(prog="python -m understudy.core.train.distributed", description=__doc__)
    parser.add_argument("settings", type=Path, nargs="?", help="JSON; only the first process reads it")
    parser.add_argument("--device", help="of this process; default: GPU LOCAL_RANK, or the CPU where is none")
    parser.add_argument("--colour", help="OpenColorIO configuration; default: the built-in one")
    parser.add_argument("--weights", type=Path, help="folder with the weights that `perceptual` asks for")
    for name in PLACES:
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=Path, metavar="PATH", help=f"instead of the settings' {name}")
    parser.add_argument("--progress", choices=("json", "openjd"), default="json", help="what is printed")
    given = parser.parse_args(arguments)
    stop = threading.Event()
    if given.settings is not None:  # who leads stops the others, so that no step is left half taken
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
    own = f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if torch.cuda.is_available() else "cpu"
    awaited = given.settings is None and os.environ.get("RANK") != "0"  # `gather` has started it
    with _join(pick(given.device or own), awaited=awaited) as team:
        if team.rank:
            follow(team)
            return
        if given.settings is None:
            parser.error("the first process needs settings")
        try:
            _lead(team, given, stop)
        except UnderstudyError as error:
            if given.progress == "openjd":
                print("openjd_fail:", " ".join(error.message.split()), flush=True)
            raise
    if stop.is_set():
        sys.exit(128 + signal.SIGTERM)


def _lead(team: Team, given: argparse.Namespace, stop: threading.Event) -> None:
    from understudy.core.train import loop  # which imports this module

    weights = WeightStore(given.weights) if given.weights else None
    places = {name: path for name in PLACES if (path := getattr(given, name)) is not None}
    asked = read_settings(given.settings, places)
    tell = _Farm(asked).tell if given.progress == "openjd" else _json_line
    reports = loop.run(asked, colour=ColourConfig.open(given.colour), weights=weights, team=team)
    with closing(reports):
        for report in reports:
            sys.stdout.write(tell(report) + "\n")
            sys.stdout.flush()
            if stop.is_set():
                return


def _json_line(report: Report) -> str:
    return json.dumps({"report": type(report).__name__, **asdict(report)}, default=str)


class _Farm:
    """Reports as Open Job Description has them: its wiki, "How Jobs Are Run", stdout messages."""

    def __init__(self, asked: TrainSettings) -> None:
        self._asked = asked

    def tell(self, report: Report) -> str:
        if not isinstance(report, TrainReport):
            return _json_line(report)
        ends = (
            (report.iteration, self._asked.target_iterations),
            (report.seconds, self._asked.target_seconds),
        )
        percent = max((min(100.0, 100.0 * done / end) for done, end in ends if end), default=0.0)
        losses = " ".join(f"{name} {value:.4f}" for name, value in sorted(report.losses.items()))
        return f"openjd_progress: {percent:.1f}\nopenjd_status: {report.iteration} iterations, {losses}"


if __name__ == "__main__":
    from understudy.core.train import distributed  # orders must be of the module that the others import

    distributed.main()
