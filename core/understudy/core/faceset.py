"""A faceset: a folder of aligned faces, each an image that any host opens and that says of itself what it is.

One OpenEXR a face, half float, scene-linear in the working space; landmarks, alignment, where it comes from and how
it was made are in its header. There is no index: who deletes, moves or renames a file has edited the faceset. Names
are made so that each person is a sequence to a host: `performer_t0.1001.exr`, `performer_t0.1002.exr`, …; of a stereo
plate a sequence for each eye, `performer_left_t0.1001.exr`. Beside the images may lie `release.json`, and
`extract.jsonl`, which extraction alone reads (`journal`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core import image, plate, release
from understudy.core.errors import FrameUnreadable, InvalidInput, NotFound, TrackAmbiguous, UnderstudyError
from understudy.core.face import Alignment, Face, Landmarks
from understudy.core.frames import Float, Frame, FrameRange, Window
from understudy.core.plate.views import MONO
from understudy.core.release import Release

FORMAT = 1  # of the header
RELEASE_FILE = "release.json"

_PREFIX = "understudy/"
_TEXTS = ("view", "colour", "config", "release", "digest")  # entries that may be empty, and are then left out
_BYSTANDER = 0.1  # of the lead's frames × area: who has less is not asked about


@dataclass(frozen=True, kw_only=True)
class FaceRecord:
    """One face of a faceset, without its pixels.

    Attributes:
        path: its file.
        face: in the coordinates of the plate it was found on.
        alignment: plate px → this image's px.
        plate: template of that plate, in `%04d` form, with `%V` where each view has files of its own.
        view: of that plate, such as `left`; empty for a plate without views.
        gain: exposure of the shot: working space × gain has the face near 0.18.
        colour: name of the working space the pixels are in.
        config: id of the colour config in which that name means something.
        release: id of the release that came with it, or empty.
        pixel_aspect: of the plate.
        digest: what settings and which file of the plate it was made of.
        faces: how many faces its frame had, in this view.
    """

    path: Path
    face: Face
    alignment: Alignment
    plate: str
    gain: float
    colour: str
    config: str = ""
    release: str = ""
    pixel_aspect: float = 1.0
    digest: str = ""
    faces: int = 1
    view: str = MONO

    def header(self) -> dict[str, Any]:
        """As header entries: strings and numbers, names of at most 31 characters, which all hosts carry."""
        face = self.face
        entries = {
            "faceset": FORMAT,
            "version": version("understudy"),
            "frame": face.frame,
            "plate": self.plate,
            "view": self.view,
            "track": face.track,
            "score": float(face.score),
            "box": json.dumps([round(v, 4) for v in face.box]),
            "landmarks": json.dumps(face.landmarks.points.astype(float).round(4).tolist()),
            "pose": json.dumps([round(v, 4) for v in (face.pitch, face.yaw, face.roll)]),
            "faceType": self.alignment.face_type,
            "alignment": json.dumps(self.alignment.matrix.tolist()),
            "pixelAspect": json.dumps(self.pixel_aspect),
            "gain": json.dumps(self.gain),
            "colour": self.colour,
            "config": self.config,
            "release": self.release,
            "digest": self.digest,
            "faces": self.faces,
        }
        return {
            _PREFIX + name: value for name, value in entries.items() if value != ""
        }  # OpenEXR drops empty ones

    @classmethod
    def from_header(cls, path: Path, metadata: Mapping[str, Any], size: int) -> FaceRecord:
        """Read what `header` wrote; raises FrameUnreadable if an entry is missing or malformed."""
        entries = {k.removeprefix(_PREFIX): v for k, v in metadata.items() if k.startswith(_PREFIX)}
        if entries.get("faceset") != FORMAT:
            raise _foreign(path, f"its {_PREFIX}faceset is {entries.get('faceset')!r}, not {FORMAT}")
        try:
            matrix = np.array(json.loads(entries["alignment"]), np.float64)
            points = np.array(json.loads(entries["landmarks"]), np.float32)
            x0, y0, x1, y1 = map(float, json.loads(entries["box"]))
            pitch, yaw, roll = map(float, json.loads(entries["pose"]))
            if matrix.shape != (2, 3) or points.shape != (68, 2):
                raise _foreign(
                    path, f"landmarks {points.shape} or alignment {matrix.shape} have the wrong shape"
                )
            return cls(
                path=path,
                face=Face(
                    frame=int(entries["frame"]),
                    box=(x0, y0, x1, y1),
                    landmarks=Landmarks(scheme="68", points=points),
                    score=float(entries["score"]),
                    pitch=pitch,
                    yaw=yaw,
                    roll=roll,
                    track=int(entries["track"]),
                ),
                alignment=Alignment(matrix=matrix, size=size, face_type=str(entries["faceType"])),
                plate=str(entries["plate"]),
                gain=float(json.loads(entries["gain"])),
                pixel_aspect=float(json.loads(entries["pixelAspect"])),
                faces=int(entries["faces"]),
                **{name: str(entries.get(name, "")) for name in _TEXTS},
            )
        except (KeyError, TypeError, ValueError) as error:
            raise _foreign(path, f"a header entry is missing or malformed: {error!r}") from error


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


def _foreign(path: Path, why: str) -> FrameUnreadable:
    return FrameUnreadable(f"{path}: not an image of a faceset: {why}", path=path)
