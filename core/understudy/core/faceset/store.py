"""A faceset on disk: opened, its people told apart, faces read and written."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

from understudy.core import image, plate, release
from understudy.core.errors import InvalidInput, NotFound, TrackAmbiguous, UnderstudyError
from understudy.core.face import Face
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
        path: the folder.
        records: by plate, frame, track and view.
        broken: a sentence for each image that could not be read; the others are good.
        warnings: what `select` left out.
    """

    path: Path
    records: tuple[FaceRecord, ...] = ()
    broken: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @classmethod
    def open(cls, path: Path) -> Faceset:
        """Read the headers of all images in the folder; other files are not looked at.

        Raises:
            NotFound: there is no such folder.
        """
        if not path.is_dir():
            raise NotFound(f"{path}: there is no such faceset folder", path=path, field="faceset", value=path)
        records, broken = [], []
        for file in sorted(path.glob("*.exr")):
            if file.name.startswith("."):
                continue  # being written
            try:
                header = plate.read_header(file)
                records.append(FaceRecord.from_header(file, header.metadata, header.data.width))
            except UnderstudyError as error:
                broken.append(error.message)
        records.sort(key=lambda r: (r.plate, r.face.frame, r.face.track, r.view, r.path.name))
        return cls(path=path, records=tuple(records), broken=tuple(broken))

    def load(self, record: FaceRecord) -> Float:
        """(S, S, 3) float32, scene-linear in the working space; may be negative or above 1.

        Raises:
            FrameMissing, FrameUnreadable: the file is gone or broken.
        """
        return plate.read_file(record.path, record.face.frame).rgb()

    def tracks(self) -> tuple[Track, ...]:
        """The people, the one who fills the most picture first."""
        people: dict[int, dict[tuple[str, int], float]] = {}
        for record in self.records:
            areas, frame = people.setdefault(record.face.track, {}), (record.plate, record.face.frame)
            areas[frame] = max(areas.get(frame, 0.0), _area(record.face))
        found = [
            Track(id=i, frames=FrameRange.from_frames(n for _, n in areas), area=sum(areas.values()))
            for i, areas in people.items()
        ]
        return tuple(sorted(found, key=lambda t: (-t.area, t.id)))

    def views(self) -> tuple[str, ...]:
        """The views that its faces were seen in, `left` first, then by name; `("",)` where no plate had any."""
        return tuple(
            sorted({record.view for record in self.records}, key=lambda view: (view != "left", view))
        )

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
        kept = tuple(r for r in self.records if r.face.track == chosen.id)
        left_out = (f"{self.path}: left out {_listed(others)}",) if others and track is None else ()
        return replace(self, records=kept, warnings=self.warnings + left_out)

    def release(self) -> Release | None:
        """The release record that came with the faceset, if one did; raises ReleaseInvalid if it is malformed."""
        file = self.path / RELEASE_FILE
        return release.read(file) if file.is_file() else None

    def digest(self) -> str:
        """Names the content: the same faces give the same 64 hex digits, wherever the folder lies."""
        content = [(r.path.name, r.path.stat().st_size, r.digest, r.face.track) for r in self.records]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


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
        InvalidInput: it has the release of somebody else.
        WriteFailed, DiskFull: the record could not be written.
    """
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


def _area(face: Face) -> float:
    x0, y0, x1, y1 = face.box
    return max(0.0, x1 - x0) * max(0.0, y1 - y0)


def _listed(tracks: tuple[Track, ...] | list[Track]) -> str:
    shown = "; ".join(str(t) for t in tracks[:6])
    return shown + (f"; and {len(tracks) - 6} more" if len(tracks) > 6 else "")
