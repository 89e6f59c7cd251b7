"""A swap model on disk: a folder that a kill at any instant leaves loadable.

    performer_a/
    ├── config.json         what the network is (ModelConfig); never changes
    ├── checkpoint.json     names the checkpoint that holds: the one file that is replaced
    ├── checkpoints/00001200-3f9c2a/
    │   ├── weights.safetensors     what swaps: float32
    │   ├── optimizer.safetensors   what training goes on from
    │   └── state.json              iteration, time, data, colour, releases, versions
    ├── backups/            older checkpoints, kept now and then
    ├── history/            TensorBoard
    ├── previews/           PNG
    └── cache/              crops made ready for training; derived and disposable

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
from typing import TYPE_CHECKING, Any

from understudy.core.errors import DiskFull, InvalidInput, ModelInvalid, NotFound, WriteFailed
from understudy.core.files import write_text
from understudy.core.model.presets import ModelConfig
from understudy.core.release import Release

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = 1
CONFIG, POINTER, STATE = "config.json", "checkpoint.json", "state.json"
WEIGHTS, OPTIMIZER = "weights.safetensors", "optimizer.safetensors"
_CHECKPOINTS, _BACKUPS = "checkpoints", "backups"


@dataclass(frozen=True, kw_only=True)
class State:
    """Everything about a checkpoint but its tensors.

    Attributes:
        iteration: steps taken, over all sessions.
        seconds: spent training, over all sessions.
        digest: of the weights: what frames name as their model. `save` fills it in.
        src, dst: digests of the facesets it was last trained on.
        src_folder: where src was then; it may have moved since.
        releases: the release records that came with src.
        curve: the swap curve's parameters but the gain, which is each shot's own.
        working_space: name of the scene-linear space that the curve encodes.
        colour: id of the colour config in which that name holds.
        versions: of the software that made it.
    """

    iteration: int = 0
    seconds: float = 0.0
    digest: str = ""
    src: str = ""
    dst: str = ""
    src_folder: str = ""
    releases: tuple[Release, ...] = ()
    curve: Mapping[str, float] = field(default_factory=dict)
    working_space: str = ""
    colour: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)


def exists(path: Path) -> bool:
    """Whether there is a model with a checkpoint."""
    return (path / POINTER).is_file()


def read_config(path: Path) -> ModelConfig:
    """The model's configuration.

    Raises:
        NotFound: there is no model.
        ModelInvalid: its config.json can not be read.
    """
    if not (path / CONFIG).is_file():
        raise NotFound(f"{path}: there is no model here (no {CONFIG})", path=path, field="model", value=path)
    try:
        return ModelConfig.from_dict(_read_json(path / CONFIG))
    except (InvalidInput, TypeError) as error:
        raise ModelInvalid(
            f"{path / CONFIG}: not a model configuration: {error}", path=path / CONFIG
        ) from error


def read_state(path: Path) -> State:
    """The state of the checkpoint that holds, without its tensors.

    Raises:
        NotFound: there is no model, or none with a checkpoint yet.
        ModelInvalid: a file is missing, malformed or of a newer version.
    """
    return _parse_state(current(path) / STATE)


def current(path: Path) -> Path:
    """The folder of the checkpoint that holds; raises as `read_state`."""
    if not exists(path):
        raise NotFound(f"{path}: there is no trained model here", path=path, field="model", value=path)
    name = _read_json(path / POINTER).get("folder", "")
    folder = path / _CHECKPOINTS / Path(str(name)).name
    if not name or not folder.is_dir():
        raise ModelInvalid(
            f"{path / POINTER}: names checkpoint {name!r}, which is not there", path=path / POINTER
        )
    return folder


def create(path: Path, config: ModelConfig) -> None:
    """Make the folder, or check that the model in it is the same; one without a checkpoint is made anew.

    Raises:
        InvalidInput: a model of another configuration is there: names the first field, and both values.
    """
    if not exists(path):
        write_text(path / CONFIG, json.dumps({"format": FORMAT, **config.to_dict()}, indent=2) + "\n")
        return
    there = read_config(path)
    for name, wanted in config.to_dict().items():
        if (found := getattr(there, name)) != wanted:
            raise InvalidInput(
                f"{path}: this model's {name} is {found!r}, but {wanted!r} is asked for; train it with its own "
                "configuration, or name another folder",
                path=path,
                field=name,
                value=wanted,
            )


def save(path: Path, state: State, weights: Mapping[str, Tensor], optimizer: Mapping[str, Tensor]) -> State:
    """Write a checkpoint and make it the one that holds; returns the state with its digest.

    Raises:
        DiskFull, WriteFailed: nothing changed; the checkpoint before still holds.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    folder = path / _CHECKPOINTS / f"{state.iteration:08d}-{uuid.uuid4().hex[:6]}"
    before = _current_or_none(path)
    try:
        folder.mkdir(parents=True)
        save_file({n: t.detach().cpu().contiguous() for n, t in weights.items()}, folder / WEIGHTS)
        save_file({n: t.detach().cpu().contiguous() for n, t in optimizer.items()}, folder / OPTIMIZER)
        state = replace(state, digest=_digest(folder / WEIGHTS))
        (folder / STATE).write_text(json.dumps({"format": FORMAT, **_plain(state)}, indent=2) + "\n")
        for written in (folder / WEIGHTS, folder / OPTIMIZER, folder / STATE, folder, folder.parent):
            _sync(written)
        write_text(path / POINTER, json.dumps({"format": FORMAT, "folder": folder.name}) + "\n")
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


def load(path: Path, device: str = "cpu") -> tuple[State, dict[str, Tensor]]:
    """The state and what swaps (a `state_dict`), of one and the same checkpoint.

    Raises:
        NotFound, ModelInvalid: as `read_state`, or the weights are not those that the state names.
    """
    folder = current(path)
    state = _parse_state(folder / STATE)
    if (found := _digest(folder / WEIGHTS)) != state.digest:
        raise ModelInvalid(
            f"{folder / WEIGHTS}: its content was altered: {found[:12]}… instead of {state.digest[:12]}…; restore a "
            f"backup from {path / _BACKUPS}",
            path=folder / WEIGHTS,
        )
    return state, _load(folder / WEIGHTS, device)


def load_optimizer(path: Path, device: str = "cpu") -> dict[str, Tensor]:
    """What training goes on from; raises as `load`."""
    return _load(current(path) / OPTIMIZER, device)


def back_up(path: Path, keep: int = 8) -> Path:
    """Keep the checkpoint that holds among the backups, by hard links where the disk has them.

    Older ones than the newest `keep` go.
    """
    folder = current(path)
    kept = path / _BACKUPS / folder.name
    if not kept.is_dir():
        beside = kept.with_name(f".{folder.name}")
        shutil.rmtree(beside, ignore_errors=True)
        shutil.copytree(folder, beside, copy_function=_link)
        beside.rename(kept)
    backups = sorted(f for f in kept.parent.iterdir() if not f.name.startswith("."))
    for old in backups[:-keep]:
        shutil.rmtree(old)
    return kept


def restore(path: Path, backup: str) -> State:
    """Make a backup the checkpoint that holds; what it replaces goes.

    Raises:
        NotFound: there is no such backup; the message lists those there are.
    """
    kept = path / _BACKUPS / backup
    if not backup or kept.parent != path / _BACKUPS or not kept.is_dir():
        names = sorted(f.name for f in (path / _BACKUPS).glob("[0-9]*"))
        raise NotFound(
            f"{path}: no backup {backup!r}; there are {', '.join(names) or 'none'}", path=path, field="backup"
        )
    before = _current_or_none(path)
    folder = path / _CHECKPOINTS / f"{backup.split('-', maxsplit=1)[0]}-{uuid.uuid4().hex[:6]}"
    shutil.copytree(kept, folder, copy_function=_link)
    write_text(path / POINTER, json.dumps({"format": FORMAT, "folder": folder.name}) + "\n")
    if before is not None:
        shutil.rmtree(before)
    return read_state(path)


def _plain(state: State) -> dict[str, Any]:
    """For JSON; a release record as it lies in a file."""
    values = {f.name: getattr(state, f.name) for f in fields(State)}
    return {**values, "releases": [json.loads(record.to_json()) for record in state.releases]}


def _parse_state(file: Path) -> State:
    """Raises ModelInvalid, or ReleaseInvalid where a release record in it was altered."""
    values = _read_json(file)
    values = {f.name: values[f.name] for f in fields(State) if f.name in values}
    records = tuple(Release.from_dict(record, origin=file) for record in values.pop("releases", ()))
    try:
        return State(**values, releases=records)
    except TypeError as error:
        raise ModelInvalid(f"{file}: not a checkpoint's state: {error}", path=file) from error


def _read_json(file: Path) -> dict[str, Any]:
    """A JSON object of our format, without the format's number."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelInvalid(f"{file}: can not be read: {error}", path=file) from error
    if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
        raise ModelInvalid(f"{file}: not of format {FORMAT}, which this version reads", path=file)
    return values


def _load(file: Path, device: str) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(file, device=device))
    except (OSError, SafetensorError) as error:
        raise ModelInvalid(f"{file}: can not be read: {error}", path=file) from error


def _current_or_none(path: Path) -> Path | None:
    try:
        return current(path)
    except (NotFound, ModelInvalid):  # none, or a broken one: there is nothing to keep
        return None


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
