"""A faceset into one file that training reads without decoding, and back again: the format is in `packed`."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np

from understudy.core import plate
from understudy.core.errors import FrameMissing, FrameUnreadable, InvalidInput, NoFace
from understudy.core.faceset import packed, table
from understudy.core.faceset.beside import LABELS, MATTES
from understudy.core.faceset.record import FaceRecord
from understudy.core.faceset.store import Faceset
from understudy.core.files import making, replacing
from understudy.core.frames import Frame
from understudy.core.pipeline import cores, overlapped
from understudy.core.reports import Advanced, Artifact, Report, Started, Warned

Item = TypeVar("Item")

_STEP = 64  # faces from one report to the next
_FOLDERS = ("dfl", LABELS, MATTES)  # of what goes along


@dataclass(frozen=True, kw_only=True)
class PackSettings:
    """What to pack.

    Attributes:
        faceset: folder of faces.
        out: the file to make, ending in `.faceset`; one that is there is replaced.

    Raises:
        InvalidInput: names the field and the value.
    """

    faceset: Path
    out: Path

    def __post_init__(self) -> None:
        if self.out.suffix != packed.SUFFIX:
            raise InvalidInput(
                f"out: {self.out} does not end in {packed.SUFFIX}", field="out", value=self.out
            )
        if self.out.is_dir():
            raise InvalidInput(f"out: {self.out} is a folder", field="out", value=self.out)


@dataclass(frozen=True, kw_only=True)
class UnpackSettings:
    """What to unpack.

    Attributes:
        pack: a `.faceset` file.
        out: the folder to make; it must not be there, or be empty.

    Raises:
        InvalidInput: names the field and the value.
    """

    pack: Path
    out: Path

    def __post_init__(self) -> None:
        refuse_taken(self.out)


def refuse_taken(out: Path) -> None:
    """Raises InvalidInput unless a new faceset can be made at `out`."""
    if out.is_dir() and not any(out.iterdir()):
        return
    if out.exists():
        what = "is a folder with something in it" if out.is_dir() else "is a file"
        raise InvalidInput(
            f"out: {out} {what}; a new faceset is made in a folder of its own", field="out", value=out
        )


def pack(settings: PackSettings) -> Generator[Report, None, None]:
    """Write all faces of a folder, and what lies beside them, into one file.

    A face whose pixels cannot be read, or that goes while this runs, is left out with a warning; `rejected/` and the
    index stay behind. The pack has the digest of the folder where nothing was left out. Closing the generator leaves
    nothing.

    Yields `Started`, `Advanced`, `Warned`, and an `Artifact` at the end.

    Raises:
        NotFound, NoFace: there is no such folder, or no face that can be read in it.
        InvalidInput: it is a pack already.
        DiskFull, WriteFailed: naming the file.
    """
    faceset = Faceset.open(settings.faceset)
    if faceset.packed:
        raise InvalidInput(
            f"faceset: {settings.faceset} is a pack already", field="faceset", value=settings.faceset
        )
    yield Started(total=len(faceset.columns), unit="face")
    for message in faceset.broken:
        yield Warned(reason="FRAME_UNREADABLE", message=f"left out: {message}")
    with replacing(settings.out) as beside, beside.open("wb") as file:
        writer = _Writer(file)
        file.write(bytes(packed.PAGE))
        yield from _faces(faceset, writer)
        if not writer.kept:
            raise NoFace(
                f"{settings.faceset}: there is no face to pack", path=settings.faceset, field="faceset"
            )
        writer.finish(faceset)
    yield Artifact(kind="pack", path=settings.out)


def unpack(settings: UnpackSettings) -> Generator[Report, None, None]:
    """Write a pack's faces as images into a new folder, with what lay beside them.

    Names, header entries and pixels are what they were, to the bit. The files are written anew: where another program,
    or another version of this one, had written them, their sizes and with them the digest may be others than the
    pack's. Closing the generator leaves nothing.

    Yields `Started`, `Advanced`, and an `Artifact` at the end.

    Raises:
        NotFound, InvalidInput: there is no such file, or it is no pack.
        FrameUnreadable: it is truncated or corrupt.
        DiskFull, WriteFailed: naming the file.
    """
    faceset = Faceset.open(settings.pack)
    if faceset.pack is None:
        raise InvalidInput(
            f"pack: {settings.pack} is a folder, not a pack", field="pack", value=settings.pack
        )
    yield Started(total=len(faceset.columns), unit="face")
    with making(settings.out) as folder:
        for name in faceset.pack.files:
            content = faceset.pack.beside(name)
            with replacing(folder / name) as beside:
                beside.write_bytes(content or b"")
        yield from write_faces(faceset, {name: folder / name for name in faceset.columns.name.tolist()})
    yield Artifact(kind="faceset", path=settings.out)


def write_faces(faceset: Faceset, paths: dict[str, Path]) -> Iterator[Advanced]:
    """Write faces of a pack as images: name → path, each as it was before it was packed."""
    assert faceset.pack is not None
    read = faceset.pack.frame

    def write(item: tuple[Frame, Path]) -> None:
        frame, path = item
        plate.write(frame, path, threads=1)

    work = overlapped(paths.items(), lambda item: (read(item[0]), item[1]), _same, write, ahead=cores())
    with closing(work):  # before its folder goes
        for count, _ in enumerate(work, 1):
            if count % _STEP == 0 or count == len(paths):
                yield Advanced(done=count)


class _Writer:
    """Puts runs of bytes one after the other and remembers where they are."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._planes: list[tuple[int, int]] = []
        self._headers: list[tuple[int, int]] = []
        self.kept: list[int] = []

    def face(self, row: int, frame: Frame) -> None:
        self._file.write(bytes(-self._file.tell() % packed.PAGE))
        self._planes.append(self._put(packed.runs(frame)))
        self._headers.append(self._put([packed.header(frame)]))
        self.kept.append(row)

    def finish(self, faceset: Faceset) -> None:
        """Write all that follows the faces, and then page 0, without which the file is no pack."""
        beside = _beside(faceset.path)
        files = [self._put([path.read_bytes()]) for path in beside.values()]
        columns = faceset.columns.take(np.array(self.kept, np.int64))
        arrays = {
            **table.of_columns(columns),
            "planes": np.array(self._planes, np.int64).reshape(-1, 2),
            "headers": np.array(self._headers, np.int64).reshape(-1, 2),
            "beside.name": table.texts(list(beside)),
            "beside.place": np.array(files, np.int64).reshape(-1, 2),
        }
        self._file.write(bytes(-self._file.tell() % packed.PAGE))
        offset, content = self._file.tell(), table.encode(arrays, {})
        self._file.write(content)
        self._file.seek(0)
        self._file.write(packed.head(offset, content, beside))

    def _put(self, run: list[bytes]) -> tuple[int, int]:
        at = self._file.tell()
        for part in run:
            self._file.write(part)
        return at, self._file.tell() - at


def _faces(faceset: Faceset, writer: _Writer) -> Generator[Report, None, None]:
    """Write the faces that can be read."""
    total = len(faceset.columns)

    def read(item: tuple[int, FaceRecord]) -> tuple[int, Frame | str]:
        try:
            return item[0], faceset.frame(item[1])
        except (FrameMissing, FrameUnreadable) as error:
            return item[0], error.message

    work = overlapped(enumerate(faceset.records), read, _same, _same, ahead=cores())
    with closing(work):
        for row, found in work:
            if isinstance(found, str):
                yield Warned(reason="FRAME_UNREADABLE", message=f"left out: {found}")
            else:
                writer.face(row, found)
            if (row + 1) % _STEP == 0 or row + 1 == total:
                yield Advanced(done=row + 1)


def _same(item: Item) -> Item:
    return item


def _beside(folder: Path) -> dict[str, Path]:
    """Name → path of what goes along: release, journal, what a person gave, side files of the faces."""
    files = [*folder.glob("*.json"), *folder.glob("*.jsonl")]
    files += [file for home in _FOLDERS for file in (folder / home).glob("*.*")]
    found = {file.relative_to(folder).as_posix(): file for file in sorted(files) if file.is_file()}
    return {name: file for name, file in found.items() if packed.is_beside(name)}
