"""A trained network on disk: a folder that a kill at any instant leaves loadable.

    performer_a/
    ├── config.json         what the network is; never changes
    ├── checkpoint.json     names the checkpoint that holds: the one file that is replaced
    ├── checkpoints/00001200-3f9c2a/
    │   ├── weights.safetensors     what works: float32
    │   ├── optimizer.safetensors   what training goes on from
    │   └── state.json              iteration, time, data, colour, versions, …
    └── backups/            older checkpoints, kept now and then

A checkpoint is a set. Its files are written into a folder of their own and reach the disk before `checkpoint.json`
is replaced; the folder before it stays until the next, for who is reading it.
Imports torch only to read or write weights.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from understudy.core.errors import (
    DiskFull,
    InvalidInput,
    ModelInvalid,
    NotFound,
    ReleaseInvalid,
    WriteFailed,
)
from understudy.core.files import making, write_text
from understudy.core.netconfig import Config

if TYPE_CHECKING:
    from torch import Tensor
    from typing_extensions import Self

FORMAT = 1
CONFIG, POINTER, STATE = "config.json", "checkpoint.json", "state.json"
WEIGHTS, OPTIMIZER = "weights.safetensors", "optimizer.safetensors"
_CHECKPOINTS, _BACKUPS = "checkpoints", "backups"


@dataclass(frozen=True, kw_only=True)
class State:
    """Everything about a checkpoint but its tensors; each kind of network adds its own.

    Attributes:
        iteration: steps taken, over all sessions.
        seconds: spent training, over all sessions.
        digest: of the weights. `save` fills it in.
        optimizer: digest of what training goes on from; likewise. Empty in checkpoints of earlier versions.
        curve: the swap curve's parameters but the gain, which is each shot's own.
        working_space: name of the scene-linear space that the curve encodes.
        colour: id of the colour config in which that name holds.
        versions: of the software that made it.
        precision: what `auto` came to in the last session, and on what kind of device (`train.precision.named`).
    """

    iteration: int = 0
    seconds: float = 0.0
    digest: str = ""
    optimizer: str = ""
    curve: Mapping[str, float] = field(default_factory=dict)
    working_space: str = ""
    colour: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    precision: str = ""

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, origin: Path) -> Self:
        """The inverse of `to_dict`; what this version does not know is left alone.

        Args:
            origin: the file that `values` come from, for messages.
        """
        del origin  # of those who have more to say
        return cls(**{f.name: values[f.name] for f in fields(cls) if f.name in values})


C = TypeVar("C", bound=Config)
S = TypeVar("S", bound=State)

_KINDS = {"swap model": "ae_dims", "segmenter": "network", "enhancer": "layers"}
"""What people call a folder, and what only such a one's configuration has."""


class Checkpoints(Generic[C, S]):
    """The folders of one kind of network.

    Args:
        config, state: the classes of its configuration, whose word is also the field that names such a folder, and of
            its checkpoints' states.
    """

    def __init__(self, config: type[C], state: type[S]) -> None:
        self._word, self._config, self._state = config.word, config, state

    def exists(self, path: Path) -> bool:
        """Whether there is one with a checkpoint."""
        return (path / POINTER).is_file()

    def read_config(self, path: Path) -> C:
        """The configuration.

        Raises:
            NotFound: there is none here.
            ModelInvalid: its config.json can not be read.
        """
        file = path / CONFIG
        if not file.is_file():
            raise NotFound(
                f"{path}: there is no {self._word} here (no {CONFIG})",
                path=path,
                field=self._word,
                value=path,
            )
        values = _read_json(file)
        try:
            return self._config.from_dict(dict(values))
        except (InvalidInput, TypeError) as error:
            kind = next((kind for kind, mark in _KINDS.items() if mark in values), self._word)
            if kind not in (self._word, f"swap {self._word}"):
                raise ModelInvalid(f"{path}: is a {kind}, not a {self._word}", path=path) from error
            raise ModelInvalid(f"{file}: not a {self._word} configuration: {error}", path=file) from error

    def read_state(self, path: Path) -> S:
        """The state of the checkpoint that holds, without its tensors.

        Raises:
            NotFound: there is none, or none with a checkpoint yet.
            ModelInvalid: a file is missing, malformed or of a newer version.
        """
        return self._parse_state(self.current(path) / STATE)

    def current(self, path: Path) -> Path:
        """The folder of the checkpoint that holds; raises as `read_state`."""
        if not self.exists(path):
            raise NotFound(
                f"{path}: there is no trained {self._word} here", path=path, field=self._word, value=path
            )
        name = _read_json(path / POINTER).get("folder", "")
        folder = path / _CHECKPOINTS / Path(str(name)).name
        if not name or not folder.is_dir():
            raise ModelInvalid(
                f"{path / POINTER}: names checkpoint {name!r}, which is not there", path=path / POINTER
            )
        return folder

    def create(self, path: Path, config: C) -> None:
        """Make the folder, or check that what is in it is the same; one without a checkpoint is made anew.

        Raises:
            InvalidInput: one of another configuration is there: names the first field, and both values.
        """
        if not self.exists(path):
            write_text(path / CONFIG, json.dumps({"format": FORMAT, **config.to_dict()}, indent=2) + "\n")
            return
        there = self.read_config(path).to_dict()
        for name, wanted in config.to_dict().items():
            if (found := there.get(name)) != wanted:
                raise InvalidInput(
                    f"{path}: this {self._word}'s {name} is {found!r}, but {wanted!r} is asked for; train it with its "
                    "own configuration, or name another folder",
                    path=path,
                    field=name,
                    value=wanted,
                )

    def save(self, path: Path, state: S, weights: Mapping[str, Tensor], optimizer: Mapping[str, Tensor]) -> S:
        """Write a checkpoint and make it the one that holds; returns the state with its digest.

        Raises:
            DiskFull, WriteFailed: nothing changed; the checkpoint before still holds.
        """
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        folder = path / _CHECKPOINTS / f"{state.iteration:08d}-{uuid.uuid4().hex[:6]}"
        before = self._current_or_none(path)
        try:
            folder.mkdir(parents=True)
            save_file({n: t.detach().cpu().contiguous() for n, t in weights.items()}, folder / WEIGHTS)
            save_file({n: t.detach().cpu().contiguous() for n, t in optimizer.items()}, folder / OPTIMIZER)
            state = replace(state, digest=_digest(folder / WEIGHTS), optimizer=_digest(folder / OPTIMIZER))
            (folder / STATE).write_text(json.dumps({"format": FORMAT, **state.to_dict()}, indent=2) + "\n")
            for written in (folder / WEIGHTS, folder / OPTIMIZER, folder / STATE, folder, folder.parent):
                _sync(written)
            _point(path, folder)
        except (OSError, SafetensorError, WriteFailed) as error:
            shutil.rmtree(folder, ignore_errors=True)  # holds nothing: no pointer names it
            if isinstance(error, WriteFailed):
                raise
            full = getattr(error, "errno", None) == errno.ENOSPC or "No space left" in str(error)
            kind = DiskFull if full else WriteFailed
            raise kind(f"{path}: the checkpoint could not be written: {error}", path=path) from error
        for other in (path / _CHECKPOINTS).iterdir():
            if other not in (folder, before):  # the one before stays for who is reading it
                shutil.rmtree(other, ignore_errors=True)
        return state

    def load(self, path: Path) -> tuple[S, dict[str, Tensor]]:
        """The state and what works (a `state_dict`), of one and the same checkpoint.

        Raises:
            NotFound, ModelInvalid: as `read_state`, or the weights are not those that the state names.
        """
        folder = self.current(path)
        state = self._parse_state(folder / STATE)
        _check(folder / WEIGHTS, state.digest, path)
        return state, _load(folder / WEIGHTS)

    def load_optimizer(self, path: Path) -> dict[str, Tensor]:
        """What training goes on from; raises as `load`."""
        return _load(self.current(path) / OPTIMIZER)

    def fall_back(self, path: Path) -> tuple[str, str] | None:
        """Where the checkpoint that holds is broken, have the newest whole one hold, a backup if need be.

        For a training, which may take it; nothing else goes on with other weights than it was told.

        Returns:
            What is wrong with the broken one, and the name of the one that holds now; None where nothing was done,
            as where there is no checkpoint at all.

        Raises:
            ModelInvalid: the one that holds is broken, and so is every other.
            ReleaseInvalid: a release record in the one that holds was altered, which no accident does.
            WriteFailed, DiskFull: nothing changed.
        """
        broken: Path | None = None
        wrong = f"{path / POINTER} is missing"
        if self.exists(path):
            try:
                broken = self.current(path)
                self._check_whole(broken, path)
                return None
            except ModelInvalid as error:
                wrong = error.message
        for folder in self._others(path, broken):
            try:
                self._check_whole(folder, path)
            except (ModelInvalid, ReleaseInvalid):
                continue
            if folder.parent.name == _BACKUPS:
                self._take(path, folder)
            else:
                _point(path, folder)
            return wrong, f"{folder.parent.name}/{folder.name}"
        if not self.exists(path):
            return None  # what a kill before the first checkpoint left
        raise ModelInvalid(f"{wrong}; and there is no whole checkpoint or backup to fall back to", path=path)

    def back_up(self, path: Path, keep: int = 8) -> Path:
        """Keep the checkpoint that holds among the backups, by hard links where the disk has them.

        Older ones than the newest `keep` go. Raises DiskFull or WriteFailed, and as `read_state`.
        """
        folder = self.current(path)
        kept = path / _BACKUPS / folder.name
        if not kept.is_dir():
            with making(kept) as beside:
                shutil.copytree(folder, beside, copy_function=_link, dirs_exist_ok=True)
        backups = sorted(f for f in kept.parent.iterdir() if not f.name.startswith("."))
        for old in backups[:-keep]:
            shutil.rmtree(old)
        return kept

    def restore(self, path: Path, backup: str) -> S:
        """Make a backup the checkpoint that holds; what it replaces goes.

        Raises:
            NotFound: there is no such backup; the message lists those there are.
        """
        kept = path / _BACKUPS / backup
        if not backup or kept.parent != path / _BACKUPS or not kept.is_dir():
            names = sorted(f.name for f in (path / _BACKUPS).glob("[0-9]*"))
            raise NotFound(
                f"{path}: no backup {backup!r}; there are {', '.join(names) or 'none'}",
                path=path,
                field="backup",
            )
        before = self._current_or_none(path)
        self._take(path, kept)
        if before is not None:
            shutil.rmtree(before)
        return self.read_state(path)

    def _take(self, path: Path, backup: Path) -> None:
        """Make a copy of a backup the checkpoint that holds."""
        folder = path / _CHECKPOINTS / f"{backup.name.split('-', maxsplit=1)[0]}-{uuid.uuid4().hex[:6]}"
        with making(folder) as beside:
            shutil.copytree(backup, beside, copy_function=_link, dirs_exist_ok=True)
        _point(path, folder)

    def _check_whole(self, folder: Path, path: Path) -> None:
        """Read every byte of a checkpoint; raises ModelInvalid or ReleaseInvalid where one is wrong."""
        state = self._parse_state(folder / STATE)
        _check(folder / WEIGHTS, state.digest, path)
        if state.optimizer:
            _check(folder / OPTIMIZER, state.optimizer, path)
        else:
            _load(folder / OPTIMIZER)

    def _others(self, path: Path, broken: Path | None) -> list[Path]:
        """Checkpoints and backups but one, newest first; of equally new ones the checkpoint."""
        there = [f for name in (_BACKUPS, _CHECKPOINTS) for f in (path / name).glob("[0-9]*") if f != broken]
        return sorted(there, key=lambda f: (f.name.partition("-")[0], f.parent.name), reverse=True)

    def _parse_state(self, file: Path) -> S:
        try:
            return self._state.from_dict(_read_json(file), origin=file)
        except TypeError as error:
            raise ModelInvalid(f"{file}: not a checkpoint's state: {error}", path=file) from error

    def _current_or_none(self, path: Path) -> Path | None:
        try:
            return self.current(path)
        except (NotFound, ModelInvalid):  # none, or a broken one: there is nothing to keep
            return None


def _point(path: Path, folder: Path) -> None:
    write_text(path / POINTER, json.dumps({"format": FORMAT, "folder": folder.name}) + "\n")


def _read_json(file: Path) -> dict[str, Any]:
    """A JSON object of our format, without the format's number."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelInvalid(f"{file}: can not be read: {error}", path=file) from error
    if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
        raise ModelInvalid(f"{file}: not of format {FORMAT}, which this version reads", path=file)
    return values


def _load(file: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(file))
    except (OSError, SafetensorError) as error:
        raise ModelInvalid(f"{file}: can not be read: {error}", path=file) from error


def _check(file: Path, digest: str, path: Path) -> None:
    """Refuse a file of the model folder `path` that is not the one that was written."""
    if (found := _digest(file)) != digest:
        raise ModelInvalid(
            f"{file}: its content was altered: {found[:12]}… instead of {digest[:12]}…; restore a backup from "
            f"{path / _BACKUPS}",
            path=file,
        )


def _digest(file: Path) -> str:
    if not file.is_file():
        raise ModelInvalid(f"{file}: is missing", path=file)
    total = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            total.update(block)
    return total.hexdigest()


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # a disk without hard links
        shutil.copy2(source, target)


def _sync(path: Path) -> None:
    """Force a file, or a folder's entries, onto the disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows keeps a folder's entries by itself and can not open it
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
