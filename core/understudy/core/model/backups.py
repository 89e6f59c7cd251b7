"""The checkpoints that a model's training kept, and the way back to one. Imports no torch."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from understudy.core.errors import ModelInvalid, NotFound, ReleaseInvalid
from understudy.core.model import store
from understudy.core.reports import Advanced, Artifact, Report, Started

BACKUPS = "backups"  # in a model's folder


@dataclass(frozen=True, kw_only=True)
class Backup:
    """A checkpoint that was kept.

    Attributes:
        name: of its folder.
        state: None where it can not be read.
        written: when, UTC.
    """

    name: str
    state: store.State | None
    written: datetime


@dataclass(frozen=True, kw_only=True)
class RestoreSettings:
    """Which backup is to hold.

    Attributes:
        model: its folder.
        backup: a name that `listed` gives.

    Raises:
        NotFound: there is no such model or backup; the message lists those there are.
        ModelInvalid: the backup can not be read.
    """

    model: Path
    backup: str

    def __post_init__(self) -> None:
        there = {each.name: each for each in listed(self.model)}
        if (found := there.get(self.backup)) is None:
            raise NotFound(
                f"{self.model}: no backup {self.backup!r}; there are {', '.join(there) or 'none'}",
                path=self.model,
                field="backup",
                value=self.backup,
            )
        if found.state is None:
            raise ModelInvalid(
                f"{self.model}: backup {self.backup} can not be read",
                path=self.model,
                field="backup",
                value=self.backup,
            )


def listed(model: Path) -> tuple[Backup, ...]:
    """The backups of a model, the oldest first.

    Raises:
        NotFound, ModelInvalid: there is no model, or its configuration can not be read.
    """
    store.read_config(model)
    return tuple(map(_read, sorted((model / BACKUPS).glob("[0-9]*"))))


def restore(settings: RestoreSettings) -> Iterator[Report]:
    """Make a backup the checkpoint that holds, and keep the one that held among the backups; then the `Artifact`.

    Where the backup holds already, nothing is done.

    Raises:
        NotFound, ModelInvalid: as `RestoreSettings`.
        DiskFull, WriteFailed: the checkpoint before still holds.
    """
    yield Started(total=1, unit="step")
    wanted = _read(settings.model / BACKUPS / settings.backup).state
    held = None
    with suppress(NotFound, ModelInvalid):  # what is broken is not kept; that is why one restores
        held = store.read_state(settings.model)
        if held != wanted:
            store.back_up(settings.model, keep=sys.maxsize)
    if held is None or held != wanted:
        store.restore(settings.model, settings.backup)
    yield Advanced(done=1)
    yield Artifact(kind="model", path=settings.model)


def _read(folder: Path) -> Backup:
    file = folder / store.STATE
    state = None
    with suppress(OSError, ValueError, TypeError, AttributeError, ReleaseInvalid):
        state = store.State.from_dict(json.loads(file.read_text(encoding="utf-8")), origin=file)
    written = datetime.fromtimestamp((file if file.exists() else folder).stat().st_mtime, timezone.utc)
    return Backup(name=folder.name, state=state, written=written)
