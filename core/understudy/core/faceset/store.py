"""A faceset on disk: opened, its people told apart, faces read and written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from understudy.core import image, plate, release
from understudy.core.errors import FrameUnreadable, InvalidInput, NotFound, TrackAmbiguous
from understudy.core.faceset import index
from understudy.core.faceset.columns import Columns, Indices, LazyRecords, empty
from understudy.core.faceset.packed import Packed
from understudy.core.faceset.record import FaceRecord
from understudy.core.frames import Float, Frame, FrameRange, Window
from understudy.core.release import Release

RELEASE_FILE = "release.json"

_BYSTANDER = 0.1  # of the lead's frames × area: who has less is not asked about


@dataclass(frozen=True, kw_only=True)
class Track:
    """One person of a faceset: id, frames, and the area in plate pixels that they cover over all of them.

    A frame counts once, by the view that shows most of them: two eyes make nobody more of a lead.
    """

    id: int
    frames: FrameRange
    area: float

    def __str__(self) -> str:
        side = (self.area / max(1, len(self.frames))) ** 0.5
        return f"track {self.id} ({len(self.frames)} frames, {self.frames}, about {side:.0f} px wide)"


@dataclass(frozen=True, kw_only=True)
class Faceset:
    """A faceset as its headers tell it.

    Attributes:
        path: the folder, or the `.faceset` file.
        columns: what the faces say, by plate, frame, track, view and name.
        broken: a sentence for each image that could not be read; the others are good.
        warnings: what `select` left out.
        pack: the opened file, where it is one.
    """

    path: Path
    columns: Columns = field(default_factory=empty)
    broken: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    pack: Packed | None = None

    @classmethod
    def open(cls, path: Path) -> Faceset:
        """A folder of faces, or a pack of them: their headers, at once where `index` knows them; no pixels.

        Of a folder, images only: other files are not looked at. What it is now: a file that comes, goes or changes
        later is not noticed before it is opened again.

        Raises:
            NotFound: there is no such folder or file.
            InvalidInput: a file that is no pack, or of a newer version.
            FrameUnreadable: a pack that is truncated or corrupt.
        """
        if path.is_file():
            pack = Packed.open(path)
            return cls(path=path, columns=pack.columns, pack=pack)
        if not path.is_dir():
            raise NotFound(f"{path}: there is no such faceset folder", path=path, field="faceset", value=path)
        columns, broken = index.read(path)
        return cls(path=path, columns=columns, broken=broken)

    @property
    def records(self) -> LazyRecords:
        """The faces one by one, each made when it is asked for; a packed one's path is the pack's and its name."""
        return LazyRecords(self.path, self.columns)

    @property
    def packed(self) -> bool:
        """Whether it is one file, of which nothing is changed."""
        return self.pack is not None

    def load(self, record: FaceRecord) -> Float:
        """(S, S, 3) float32, scene-linear in the working space; may be negative or above 1. Any thread may.

        Raises:
            FrameMissing, FrameUnreadable: the file is gone or broken.
        """
        return self.frame(record).rgb()

    def frame(self, record: FaceRecord) -> Frame:
        """All that a face's image holds, as `plate.read_file` gives it; errors as `load`."""
        if self.pack is not None:
            return self.pack.frame(record.path.name)
        return plate.read_file(record.path, record.face.frame)

    def subset(self, indices: Indices) -> Faceset:
        """(M,) rows of `columns` → a faceset of these alone, in that order; nothing on disk changes."""
        return replace(self, columns=self.columns.take(indices))

    def with_views(self, rename: Callable[[str], str]) -> Faceset:
        """The same faces, seen in views of other names."""
        texts = {**self.columns.texts, "view": self.columns.texts["view"].mapped(rename)}
        return replace(self, columns=replace(self.columns, texts=texts))

    def tracks(self) -> tuple[Track, ...]:
        """The people, the one who fills the most picture first."""
        columns = self.columns
        who, plates, when = columns.track, columns.texts["plate"].codes, columns.frame
        order = np.lexsort((when, plates, who))
        who, plates, when = who[order], plates[order], when[order]
        if not len(order):
            return ()
        steps = (np.diff(who) != 0) | (np.diff(plates) != 0) | (np.diff(when) != 0)
        starts = np.concatenate(
            [[0], np.flatnonzero(steps) + 1]
        )  # of frames: each counts once, by its widest view
        areas, frames = np.maximum.reduceat(columns.area[order], starts), when[starts]
        ids, first = np.unique(who[starts], return_index=True)
        found = [
            Track(id=int(i), frames=FrameRange.from_frames(numbers.tolist()), area=float(part.sum()))
            for i, numbers, part in zip(
                ids, np.split(frames, first[1:]), np.split(areas, first[1:]), strict=True
            )
        ]
        return tuple(sorted(found, key=lambda t: (-t.area, t.id)))

    def views(self) -> tuple[str, ...]:
        """The views that its faces were seen in, `left` first, then by name; `("",)` where no plate had any."""
        return tuple(sorted(self.columns.texts["view"].used(), key=lambda view: (view != "left", view)))

    def plates(self) -> tuple[str, ...]:
        """The templates of the plates that its faces are of, sorted."""
        return tuple(self.columns.texts["plate"].used())

    def select(self, track: int | None = None) -> Faceset:
        """The faces of one person, of all views.

        Args:
            track: their id; None takes the only one, or the one beside whom the others are bystanders: less than a
                tenth of the frames × area each. They are named in `warnings`.

        Raises:
            InvalidInput: there is no such track.
            TrackAmbiguous: several people and no choice made; the message lists them.
        """
        people = self.tracks()
        if not people and track is None:
            return self
        chosen = next((t for t in people if t.id == track), None) if track is not None else people[0]
        if chosen is None:
            raise InvalidInput(
                f"track: {self.path} has no track {track}; it has {_listed(people)}",
                field="track",
                value=track,
            )
        others = [t for t in people if t.id != chosen.id]
        rivals = [t for t in others if t.area >= _BYSTANDER * chosen.area]
        if track is None and rivals:
            raise TrackAmbiguous(
                f"{self.path}: more than one person: {_listed(people)}; choose one by its track number",
                path=self.path,
                field="track",
                value=",".join(str(t.id) for t in people),
            )
        left_out = (f"{self.path}: left out {_listed(others)}",) if others and track is None else ()
        warnings = self.warnings + left_out
        if not others:
            return replace(self, warnings=warnings)
        return replace(self.subset(np.flatnonzero(self.columns.track == chosen.id)), warnings=warnings)

    def beside(self, name: str) -> bytes | None:
        """What lies beside the faces under a name such as `release.json` or `dfl/shot_t0.1001.json`; None if nothing.

        Raises:
            FrameUnreadable: it is there and cannot be read.
        """
        if self.pack is not None:
            return self.pack.beside(name)
        file = self.path / name
        try:
            return file.read_bytes() if file.is_file() else None
        except OSError as error:
            raise FrameUnreadable(f"{file}: cannot be read: {error.strerror}", path=file) from error

    def release(self) -> Release | None:
        """The release record that came with the faceset, if one did; raises ReleaseInvalid if it is malformed."""
        if self.pack is None:
            file = self.path / RELEASE_FILE
            return release.read(file) if file.is_file() else None
        text = self.pack.beside(RELEASE_FILE)
        return None if text is None else release.parse(text, origin=self.path)

    def digest(self) -> str:
        """Names the content: the same faces give the same 64 hex digits, wherever the folder lies.

        Made of each face's name, the size of its file when the faceset was opened, what the face was made of, and its
        track. A pack keeps the sizes of the files that it was made of, and so has the digest of its folder.
        """
        c = self.columns
        content = zip(c.name.tolist(), c.file_size.tolist(), c.texts["digest"], c.track.tolist(), strict=True)
        return hashlib.sha256(json.dumps(list(content)).encode()).hexdigest()


def write(record: FaceRecord, pixels: Float) -> None:
    """Write one face to `record.path`, atomically.

    `pixels` (S, S, 3) float32, finite, scene-linear in the working space; beyond ±65504 they are held there.

    Raises:
        WriteFailed, DiskFull: naming the file and the frame.
    """
    half = image.to_half(pixels)
    window = Window(0, 0, pixels.shape[1], pixels.shape[0])
    planes = {name: half[..., i] for i, name in enumerate("RGB")}
    frame = Frame(
        number=record.face.frame, planes=planes, display=window, data=window, metadata=record.header()
    )
    plate.write(frame, record.path, compression="zip")


def attach_release(folder: Path, granted: Release) -> None:
    """Lay a release into a faceset; a faceset is one person's.

    Raises:
        InvalidInput: it has the release of somebody else, or is a pack that has not this one already.
        WriteFailed, DiskFull: the record could not be written.
    """
    if folder.is_file():
        held = Faceset.open(folder).release()
        if held is None or held.id != granted.id:
            raise InvalidInput(
                f"faceset: {folder} is a pack, which no release is put into; attach release {granted.id} of "
                f"{granted.subject} to its folder and pack that again",
                path=folder,
                field="release",
                value=granted.id,
            )
        return
    file = folder / RELEASE_FILE
    if file.is_file() and (other := release.read(file)).id != granted.id:
        raise InvalidInput(
            f"faceset: {folder} has release {other.id} of {other.subject}, not {granted.id} of {granted.subject}; "
            f"extract into another folder, or remove {file.name} first",
            path=file,
            field="release",
            value=granted.id,
        )
    release.write(granted, file)


def _listed(tracks: tuple[Track, ...] | list[Track]) -> str:
    shown = "; ".join(str(t) for t in tracks[:6])
    return shown + (f"; and {len(tracks) - 6} more" if len(tracks) > 6 else "")
