"""One run of a training: its trainer between the disk, the clock and the person who watches."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from understudy.core.colour import ColourConfig, SwapCurve
from understudy.core.errors import InvalidInput, OutOfMemory, WeightsCorrupt, WeightsMissing
from understudy.core.faceset import Faceset
from understudy.core.frames import Array
from understudy.core.model import store
from understudy.core.model.device import pick
from understudy.core.model.presets import ModelConfig
from understudy.core.model.summary import summarise
from understudy.core.model.swap import SwapModel
from understudy.core.release import Release
from understudy.core.reports import Artifact, Lent, Report, Warned
from understudy.core.train import clockwork, compiling, plateau, preview
from understudy.core.train.beginning import Beginning
from understudy.core.train.control import BackUp, Change, Command, Control, Lend, Save, Show
from understudy.core.train.data import Crops, prepare
from understudy.core.train.plan import Phase
from understudy.core.train.settings import TrainSettings
from understudy.core.train.steering import Steering
from understudy.core.train.trainer import MATTES, Trainer
from understudy.core.weights import WeightStore

if TYPE_CHECKING:
    from understudy.core.train.distributed import Team


def over(settings: TrainSettings, state: store.State) -> Warned | None:
    """Why a training has ended without its target, where it has."""
    if settings.until is not None and datetime.now(timezone.utc) >= settings.until:
        return Warned(reason="UNTIL", message=f"{settings.model}: ends, for it is {settings.until}")
    if settings.until_plateau and plateau.reached(state.plateau, state.iteration):
        since = int(state.plateau["since"])
        return Warned(
            reason="PLATEAU",
            message=f"{settings.model}: ends, for the loss has not got better since iteration {since} of "
            f"{state.iteration}: it stays at {state.plateau['mean']:.4g}",
        )
    return None


def listed(options: Mapping[str, str]) -> str:
    """Options for a sentence."""
    return ", ".join(f"{name} {value}" for name, value in options.items())


class Session(clockwork.Session[store.State]):
    trainer: Trainer

    def __init__(
        self,
        settings: TrainSettings,
        colour: ColourConfig,
        state: store.State,
        config: ModelConfig,
        *,
        weights: WeightStore | None,
        control: Control | None,
        team: Team | None,
    ) -> None:
        super().__init__(settings.model, settings, state)
        self.settings, self.colour, self.config = settings, colour, config
        self.weights, self.control, self.team = weights, control, team
        self.keeps = settings.memory is None
        self.curve = SwapCurve.from_dict({"gain": 1.0, **state.curve})
        self.device = pick(settings.device) if team is None else team.device
        self.ending: Warned | None = None  # why it ends
        self._waited = state.iteration  # up to where the plateau has been looked for

    def prepare(
        self, src: Faceset, dst: Faceset, granted: Release | None, begin: Beginning | None
    ) -> Iterator[Report]:
        """Everything up to the first iteration."""
        for message in (*src.warnings, *src.broken, *dst.warnings, *dst.broken):
            yield Warned(reason="FACESET", message=message)
        bfloat16, (self.src, self.dst) = yield from self.prepared(self.device, self._crops(src, dst))
        self._note(src, dst, granted, begin)
        self.steering = Steering(
            self.settings,
            self.config,
            self.state,
            self.device,
            bfloat16=bfloat16,
            weights=self.weights,
            team=self.team,
        )
        self.plan = self.steering.plan(self.state.iteration, self.progress())
        summary = summarise(self.config, batch_size=self.plan.batch_size, bfloat16=bfloat16)
        yield Warned(reason="NETWORK", message=f"{self.folder}: {summary}")
        with self._room():
            self.trainer = self._trainer(bfloat16)
            if store.exists(self.folder):
                self.go_back()
            elif begin is not None:
                self.trainer.begin(begin.weights)
        if not store.exists(self.folder):
            self.save()

    def train(self) -> Iterator[Report]:
        with _limit(self.device, self.settings.memory):
            yield from super().train()

    def step(self, done: float) -> dict[str, Tensor]:
        with self._room():
            return self.trainer.step(self.src, self.dst, self.state.iteration, done)

    def write(self) -> store.State:
        state = replace(self.state, average=self.trainer.mean is not None, losses=self.losses)
        return store.save(self.folder, state, self.trainer.weights(), self.trainer.moments())

    def go_back(self) -> None:
        self.steering.turn_to(self.state)
        self._adopt()
        self.trainer.restore(store.load(self.folder)[1], store.load_optimizer(self.folder))

    def asked(self) -> Iterator[Report]:
        for command in self.control.take() if self.control is not None else ():
            yield from self._do(command)
        begins = self.steering.turn(self.state.iteration, self.progress())
        if begins is not None:
            self._adopt()
        for options in begins or ():
            self.state = replace(
                self.state, plateau={}, begun=self._begun(options)
            )  # another loss, or another way
            message = f"{self.folder}: from iteration {self.state.iteration} on: {listed(options)}"
            yield Warned(reason="PHASE", message=message)
        for sentence in self.steering.traded():
            yield Warned(reason="MEMORY", message=f"{self.folder}: {sentence}")
        while self.trainer.warnings:
            yield Warned(reason="COMPILE", message=f"{self.folder}: {self.trainer.warnings.pop(0)}")

    def ended(self) -> bool:
        self.ending = over(self.settings, self.state)
        return self.ending is not None

    def kept(self) -> None:
        if self.due("backup", self.settings.backup_seconds):
            store.back_up(self.folder)
        now, before = self.state.iteration, self._waited
        self._waited = now
        if self.settings.until_plateau and now > before and not self.steering.waits(now, self.progress()):
            found = plateau.after(
                self.state.plateau, self.losses["src"] + self.losses["dst"], now - before, now
            )
            self.state = replace(self.state, plateau=found)

    def last_words(self) -> Iterator[Report]:
        if self.ending is not None:
            yield self.ending

    def preview(self) -> Artifact:
        return next(self.previews())

    def previews(self) -> Iterator[Artifact]:
        rows = self._rows()
        path = self.folder / "previews" / f"{self.state.iteration:08d}.png"
        preview.write(path, rows, self.curve, self.colour, mattes=MATTES)
        yield Artifact(kind="preview", path=path)
        if self.settings.preview_exr:
            preview.write_exr(path.with_suffix(".exr"), rows, self.curve, mattes=MATTES)
            yield Artifact(kind="preview", path=path.with_suffix(".exr"))

    def _rows(self) -> list[Tensor]:
        with self._room():
            return self.trainer.look(*(c.gather(preview.choose(len(c))) for c in (self.src, self.dst)))

    def _lent(self) -> Lent:
        def grid() -> Array:
            return preview.picture(self._rows(), self.curve, self.colour, mattes=MATTES)

        state = replace(self.state, digest="")  # these weights are in no file
        return Lent(folder=self.folder, model=SwapModel(self.trainer.swaps, state, self.device), grid=grid)

    def _do(self, command: Command) -> Iterator[Report]:
        """What a person asks for; it is done before the first report, but for that weights ran off."""
        if not isinstance(command, Show | Lend) and not self.trainer.sound():
            yield self.recover()
        match command:
            case Change(options=options):
                yield self._change(dict(options))
            case Show():
                yield from self.previews()
            case Lend():
                yield self._lent()
            case Save():
                self.save()
                yield self.report({}, checkpoint=True)
            case BackUp():
                self.save()
                kept = store.back_up(self.folder)
                yield self.report({}, checkpoint=True)
                yield Artifact(kind="backup", path=kept)

    def _change(self, options: dict[str, str]) -> Warned:
        """Go on with other options, and have that on disk at once; where they are wrong, as before."""
        iteration = self.state.iteration
        try:
            self.steering.change(iteration, options)
        except (InvalidInput, WeightsMissing, WeightsCorrupt) as error:
            message = f"{self.folder}: nothing was changed at iteration {iteration}: {error.message}"
            return Warned(reason=error.reason, message=message)
        changes = tuple(change.to_dict() for change in self.steering.course.changes)
        self.state = replace(self.state, changes=changes, begun=self._begun(options), plateau={})
        self.save()
        return Warned(
            reason="CHANGED", message=f"{self.folder}: changed at iteration {iteration}: {listed(options)}"
        )

    def _begun(self, options: Mapping[str, str]) -> tuple[Mapping[str, Any], ...]:
        """What began so far, with options that hold from here on."""
        return (*self.state.begun, Phase(iteration=self.state.iteration, options=options).to_dict())

    def _adopt(self) -> None:
        """Have the trainer follow the plan of the next iteration."""
        self.plan = self.steering.plan(self.state.iteration, self.progress())
        self.trainer.vgg = self.steering.vgg
        with self._room():
            self.trainer.adopt(self.plan)

    def _trainer(self, bfloat16: bool) -> Trainer:
        s, vgg = self.settings, self.steering.vgg
        compiled, why = compiling.ways(self.device, limited=s.memory is not None) if s.compile else ((), "")
        if self.team is None:
            made = Trainer(
                self.config,
                self.plan,
                self.device,
                seed=s.seed,
                bfloat16=bfloat16,
                vgg=vgg,
                compiled=compiled,
            )
        else:
            from understudy.core.train.distributed import Leader  # which imports the trainer

            made = Leader(
                self.config,
                self.plan,
                self.device,
                seed=s.seed,
                bfloat16=bfloat16,
                vgg=vgg,
                compiled=compiled,
                team=self.team,
                settings=s,
                curve=self.curve,
            )
        made.warnings += [why] if why else []
        return made

    @contextmanager
    def _room(self) -> Iterator[None]:
        """Say what to do where the device has no memory left."""
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            if not _exhausted(error):
                raise
            batch, parts = self.plan.batch_size, self.plan.accumulate
            smaller = f"batch_size {max(1, batch // 2)}" if batch > 1 else "a preset of a lower resolution"
            raise OutOfMemory(
                f"{self.folder}: the memory of {self.device} is exhausted by {batch // parts} samples at a time of "
                f"each person; take {smaller}, or name a limit of memory, which finds what fits; the last checkpoint "
                "holds",
                path=self.folder,
                field="batch_size",
                value=batch,
            ) from error

    def _crops(self, src: Faceset, dst: Faceset) -> Generator[Report | None, None, tuple[Crops, Crops]]:
        found: list[Crops] = []
        for side, faceset in (("src", src), ("dst", dst)):
            work = prepare(faceset, self.folder / "cache", side, self.config, self.curve)
            found.append((yield from clockwork.last(work, Crops)))
        return found[0], found[1]

    def _note(self, src: Faceset, dst: Faceset, granted: Release | None, begin: Beginning | None) -> None:
        """Write into the state what this session trains on; refuse what the model can not mean."""
        space = src.records[0].colour
        for name, found in (("src", space), ("dst", dst.records[0].colour)):
            wanted = self.state.working_space or space
            if found != wanted:
                raise InvalidInput(
                    f"train: the faces of {name} are in {found!r}, but the model works in {wanted!r}; "
                    "extract them again with the model's colour config",
                    field=name,
                    value=found,
                )
        likenesses = () if begin is None else begin.state.releases  # what the weights know, they know
        known = (*likenesses, *self.state.releases, granted)
        records = {record.id: record for record in known if record is not None}  # the newest of an id
        self.state = replace(
            self.state,
            src=src.digest(),
            dst=dst.digest(),
            src_folder=str(self.settings.src),
            releases=tuple(records.values()),
            pretrained=self.state.pretrained if begin is None else begin.state.digest,
            curve={"knee": self.curve.knee, "maximum": self.curve.maximum},
            working_space=space,
            colour=src.records[0].config,
            versions=clockwork.versions(),
        )


def _exhausted(error: Exception) -> bool:
    """Whether it says that there is no memory: a GPU's, or in the words of torch's allocator for CPUs."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


@contextmanager
def _limit(device: torch.device, memory: int | None) -> Iterator[None]:
    """Have torch take no more of a GPU's memory than was asked for."""
    if memory is None or device.type != "cuda":
        yield
        return
    share = memory / torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, share), device)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
