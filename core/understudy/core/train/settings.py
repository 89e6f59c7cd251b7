"""What a training is asked for. Imports no torch: the server reads this to refuse at submit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from understudy.core.errors import InvalidInput
from understudy.core.model.presets import preset
from understudy.core.release import Release
from understudy.core.train.plan import WAYS, Course, Phase, Plan, plan

PRECISIONS = ("auto", "float32", "bfloat16")
WAY = "ours"  # where nobody says another


@dataclass(frozen=True, kw_only=True)
class SessionSettings:
    """What every training is asked for, of whatever network.

    Attributes:
        preset: name of a configuration; a network that is there must have the same. Empty: its own, or the default.
        target_iterations, target_seconds: totals for the network over all sessions, not for this one: one that has
            either is done. Without both, training goes on until it is closed.
        batch_size: samples per iteration; None for the usual.
        seed: of weights and samples.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        precision: `float32`, `bfloat16`, or `auto`: the faster that works on the device.
        save_seconds: between checkpoints. What a kill can lose.
        preview_seconds: between preview pictures.

    Raises:
        InvalidInput: names the field and the value.
    """

    command: ClassVar[str]
    preset: str = ""
    target_iterations: int | None = None
    target_seconds: float | None = None
    batch_size: int | None = None
    seed: int = 1
    device: str = "auto"
    precision: str = "auto"
    save_seconds: float = 60.0
    preview_seconds: float = 60.0

    def __post_init__(self) -> None:
        for name in ("target_iterations", "target_seconds", "batch_size", "save_seconds", "preview_seconds"):
            self.check_above_0(name)
        if not 0 <= self.seed < 2**63:
            raise self.refusal("seed", self.seed, "must be 0 to 2^63 - 1")
        if self.precision not in PRECISIONS:
            raise self.refusal("precision", self.precision, f"is none of {', '.join(PRECISIONS)}")

    def check_above_0(self, name: str) -> None:
        """Refuse a number that is 0 or less; None is none."""
        value = getattr(self, name)
        if value is not None and not value > 0:
            raise self.refusal(name, value, "must be above 0")

    def check_facesets(self, facesets: Sequence[Path], field: str) -> None:
        """Refuse facesets of which there are none, or that are named twice or by the network's own `field`."""
        folders = [folder.resolve() for folder in facesets]
        if not folders:
            raise self.refusal("facesets", "()", "is empty: name one at least")
        for index, folder in enumerate(folders):
            if folder in folders[:index]:
                raise self.refusal("facesets", folder, "is named twice")
        if getattr(self, field).resolve() in folders:
            raise self.refusal(field, getattr(self, field), "is a folder of faces")

    @classmethod
    def refusal(cls, field: str, value: object, why: str) -> InvalidInput:
        """The error that a field has a value which cannot be."""
        return InvalidInput(f"{cls.command}: {field} {value!s} {why}", field=field, value=value)


@dataclass(frozen=True, kw_only=True)
class TrainSettings(SessionSettings):
    """One training of a swap model. What is not here is as in `SessionSettings`.

    Attributes:
        model: folder of the model; made if it is not there, gone on with if it is.
        src: faceset of the identity put on, a folder or a pack, as all facesets here. Needs a release.
        dst: faceset of the performance in the plate.
        preset: name of a configuration (`presets.PRESETS`, `ABLATION`). A model that is there must have the same; an
            empty name is the one that it has.
        way: how to train, by name (`plan.WAYS`); empty: as the model was trained before, else `ours`.
        options: what lies over the preset's and the way's plan: name → text (`plan.Plan.with_options`).
        phases: options that hold from some point on.
        start_from: folder of a model whose weights a new one begins with, as far as shapes agree.
        new_inter: with `start_from`: the inters begin anew, as after pretraining.
        memory: bytes of the device's memory to fit into; None takes what the plan takes.
        until_plateau: whether it also ends when the loss gets no better.
        until: when it also ends, with a time zone.
        batch_size: samples of each person per iteration: the option of that name. None takes the plan's.
        preview_exr: whether previews are written as scene-linear OpenEXR too.
        backup_seconds: between backups.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`; several with commas between share the work.
        compile: whether the network is compiled first, which takes a minute and makes steps faster.
        src_track, dst_track: which person, where a faceset holds several.
        release: a record to attach to src, where extraction attached none.

    Raises:
        InvalidInput: names the field and the value.
    """

    command = "train"
    model: Path
    src: Path
    dst: Path
    preset: str = "quick64"
    way: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    phases: tuple[Phase, ...] = ()
    start_from: Path | None = None
    new_inter: bool = False
    memory: int | None = None
    until_plateau: bool = False
    until: datetime | None = None
    preview_exr: bool = False
    backup_seconds: float = 3600.0
    compile: bool = False
    src_track: int | None = None
    dst_track: int | None = None
    release: Release | None = None

    def __post_init__(self) -> None:
        if self.preset:
            preset(self.preset)
        super().__post_init__()
        for name in ("memory", "backup_seconds"):
            self.check_above_0(name)
        if self.src.resolve() == self.dst.resolve():
            raise self.refusal("dst", self.dst, "is the same folder as src")
        self._check_begin_and_end()
        Course(base=self.plan(), phases=self.phases)  # names the option that is wrong

    def plan(self, *, preset: str = "", way: str = "") -> Plan:
        """What holds where no phase has begun and nobody has changed anything.

        Args:
            preset, way: the model's own, for where the settings name none.
        """
        options = dict(self.options)
        if self.batch_size is not None:
            options["batch_size"] = str(self.batch_size)
        return plan(self.preset or preset, self.way or way or WAY).with_options(options)

    def _check_begin_and_end(self) -> None:
        if self.way and self.way not in WAYS:
            raise self.refusal("way", self.way, f"is none of {', '.join(WAYS)}")
        shares = [phase.share for phase in self.phases if phase.share is not None]
        if shares and self.target_iterations is None and self.target_seconds is None:
            raise self.refusal("phases", shares[0], "is a share of the target, and there is no target")
        if self.until is not None and self.until.tzinfo is None:
            raise self.refusal("until", self.until, "has no time zone")
        if self.new_inter and self.start_from is None:
            raise self.refusal("new_inter", self.new_inter, "needs a model to start_from")
        if self.start_from is not None and self.start_from.resolve() == self.model.resolve():
            raise self.refusal("start_from", self.start_from, "is the model itself")
