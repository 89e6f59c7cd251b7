"""What was measured of faces, on disk: numbers and rows for each face, found again by its file.

Measures are kept in the faceset's `.index/measures/`; of a pack `x.faceset`, which is one file, in
`.x.faceset.index/measures/` beside it. Each file there (npz, no pickle) holds up to some thousand faces of one group
of measures, with name, size and time of change of each face's file (in a pack: as they were when it was packed): of a
file that changed since, nothing is known, and a later row is the one that holds. Deleting the folder loses nothing
but the time to measure again; so a file in it that can not be read is no error, its faces are just not measured.
"""

from __future__ import annotations

import time
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from understudy.core.faceset.store import Faceset
from understudy.core.files import replacing
from understudy.core.frames import Array

FULL = 4096
"""Faces in a file that nothing is added to."""

_VERSION = 1  # of what the measures mean: those of another are taken again
_NAME, _STAMP = "name", "stamp"
_OWN = (_NAME, _STAMP, "version")
UNREADABLE = (
    OSError,
    ValueError,
    LookupError,
    EOFError,
    RuntimeError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What NumPy and `zipfile` raise of a damaged file; RuntimeError: a flipped bit says encrypted, or another method."""


def folder_of(faceset: Path) -> Path:
    """Where the measures of a faceset, a folder or a pack, are kept."""
    index = faceset / ".index" if faceset.is_dir() else faceset.with_name(f".{faceset.name}.index")
    return index / "measures"


@dataclass(frozen=True)
class Table:
    """The measures of one group for the faces of a faceset, in the order of its records.

    Attributes:
        faceset: whose.
        group: `looks`, or `identity.` and the family's name.
    """

    faceset: Faceset
    group: str

    @property
    def folder(self) -> Path:
        return folder_of(self.faceset.path)

    def files(self) -> list[Path]:
        """In the order in which they were written."""
        return sorted(self.folder.glob(f"{self.group}@*.npz"))

    @cached_property
    def _stamps(self) -> Array:
        """(N, 2) int64: size in bytes and time of change in nanoseconds of each face's file."""
        columns = self.faceset.columns
        return np.column_stack([columns.file_size, columns.mtime_ns])

    @cached_property
    def _rows(self) -> list[tuple[Path, Array, Array]]:
        """Of each file: which of its rows hold, and of which faces they are."""
        places = {name: i for i, name in enumerate(self.faceset.columns.name.tolist())}
        owner = np.full((len(places), 2), -1, np.int64)  # file and row
        files = self.files()
        for number, file in enumerate(files):
            if (read := _read(file, (_NAME, _STAMP))) is None:
                continue
            of = np.array([places.get(name, -1) for name in read[_NAME].tolist()], np.int64)
            here = np.flatnonzero(of >= 0)
            here = here[(read[_STAMP][here] == self._stamps[of[here]]).all(axis=1)]
            owner[of[here]] = np.column_stack([np.full(len(here), number), here])
        holds = [np.flatnonzero(owner[:, 0] == number) for number in range(len(files))]
        return [(file, owner[faces, 1], faces) for file, faces in zip(files, holds, strict=True)]

    @cached_property
    def known(self) -> npt.NDArray[np.bool_]:
        """(N,) of which faces there are measures."""
        known = np.zeros(len(self.faceset.columns.name), bool)
        for _, _, faces in self._rows:
            known[faces] = True
        return known

    def column(self, name: str) -> Array | None:
        """(N, …): one measure of all faces, NaN or 0 where it is not known; None where it is of none."""
        whole: Array | None = None
        for file, rows, faces in self._rows:
            if not len(faces) or (read := _read(file, (name,))) is None:
                continue
            part = read[name]
            if whole is None:
                empty = np.nan if part.dtype.kind == "f" else 0
                whole = np.full((len(self.known), *part.shape[1:]), empty, part.dtype)
            whole[faces] = part[rows]
        return whole

    def append(self, faces: Sequence[int], columns: Mapping[str, Array]) -> None:
        """Add a file with these faces, `columns` (K, …) each; who has the table open does not see them.

        Raises:
            WriteFailed, DiskFull.
        """
        chosen = np.asarray(faces, np.int64)
        own = {_NAME: self.faceset.columns.name[chosen], _STAMP: self._stamps[chosen]}
        file = self.folder / f"{self.group}@{time.time_ns():020d}.npz"
        with replacing(file) as beside, beside.open("wb") as out:
            np.savez(out, allow_pickle=False, **own, **columns, version=np.array(_VERSION))

    def compact(self) -> None:
        """Put small files together, and drop what no longer holds.

        Only for a table of the whole faceset, opened just before: what was measured of faces that came later would
        seem to hold no more. The new files are there before the old ones go, so that who reads meanwhile finds every
        face.
        """
        small = [entry for entry in self._rows if 0 < len(entry[2]) < FULL]
        gone = [file for file, _, faces in self._rows if not len(faces)]
        if len(small) > 1:
            pending: list[tuple[Array, dict[str, Array]]] = []
            for file, rows, faces in small:
                if (read := _read(file)) is not None:
                    pending.append((faces, {n: a[rows] for n, a in read.items() if n not in _OWN}))
                if sum(len(f) for f, _ in pending) >= FULL:
                    self._append_all(pending)
                    pending = []
            self._append_all(pending)
            gone += [file for file, _, _ in small]
        for file in gone:
            file.unlink(missing_ok=True)

    def _append_all(self, pending: list[tuple[Array, dict[str, Array]]]) -> None:
        if pending:
            columns = {n: np.concatenate([c[n] for _, c in pending]) for n in pending[0][1]}
            self.append(np.concatenate([f for f, _ in pending]).tolist(), columns)


def _read(file: Path, names: Sequence[str] = ()) -> dict[str, Array] | None:
    """These arrays of a file (default: all); None where it can not be read or is another version's."""
    try:
        with np.load(file, allow_pickle=False) as stored:
            if int(stored["version"]) != _VERSION:
                return None
            return {name: stored[name] for name in names or stored.files}
    except UNREADABLE:
        return None
