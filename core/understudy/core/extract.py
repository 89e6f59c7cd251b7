"""A plate becomes a faceset: find the faces of every frame, say who is who, cut them out.

One frame in memory at a time. Landmarks are stored as found: smoothing is the merge's, over the whole track, so
that no frame depends on which others were extracted in the same run.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from understudy.core import _plugins, align, faceset, image, plate, release, track, warp
from understudy.core.colour import ColourConfig, exposure_gain
from understudy.core.errors import FrameMissing, InvalidInput, NoFace, UnderstudyError, WriteFailed
from understudy.core.face import Face, Landmarks
from understudy.core.faceset import FaceRecord, Faceset
from understudy.core.frames import Array, Float, Frame
from understudy.core.matte.hull import hull
from understudy.core.plate import Plate
from understudy.core.release import Release
from understudy.core.reports import Artifact, FrameReport, FrameStatus, Report, Started, Warned
from understudy.core.weights import WeightStore

if TYPE_CHECKING:
    from understudy.core.detect import Detector
    from understudy.core.landmark import Landmarker

VERSION = 1  # of what this module makes of the same settings and frame
_SAMPLES = 8  # frames that the shot's exposure is measured on
_FOCAL = 1.4  # of the picture's width: a 35 mm lens on Super 35, when nothing says which lens it was
_EXPOSURE_SIZE = 64  # side of the crop in which a face's exposure is measured


@dataclass(frozen=True, kw_only=True)
class ExtractSettings:
    """What to take from where.

    Attributes:
        plate: the frames; its colour space must be named.
        faceset: folder that the faces go to; made when needed, may hold faces of other plates.
        detector, landmarker: members of `detect` and `landmark`.
        face_type: how much of the head a crop holds (`align.FACE_TYPES`).
        size: side of a crop in pixels, 64 to 2048.
        min_score: confidence of the landmarks, 0 to 1, below which a find is no face.
        release: the release record of the person, kept in the faceset. A src faceset needs one.
    """

    plate: Plate
    faceset: Path
    detector: str = "blazeface"
    landmarker: str = "facemesh"
    face_type: str = "whole"
    size: int = 512
    min_score: float = 0.7
    release: Release | None = None

    def __post_init__(self) -> None:
        if not self.plate.colour_space:
            raise InvalidInput(
                f"plate {self.plate.template}: its colour space is not in the files; name it, for example ACEScg",
                field="plate.colour_space",
                value="",
            )
        choices = {
            "detector": _plugins.names("detect"),
            "landmarker": _plugins.names("landmark"),
            "face_type": tuple(align.FACE_TYPES),
        }
        for name, known in choices.items():
            if (value := getattr(self, name)) not in known:
                raise InvalidInput(
                    f"{name}: no {value!r}; there are {', '.join(known)}", field=name, value=value
                )
        for name, low, high in (("size", 64, 2048), ("min_score", 0.0, 1.0)):
            if not low <= getattr(self, name) <= high:
                raise InvalidInput(
                    f"{name}: {getattr(self, name)} is not from {low} to {high}",
                    field=name,
                    value=getattr(self, name),
                )
        if self.faceset.exists() and not self.faceset.is_dir():
            raise InvalidInput(f"faceset: {self.faceset} is a file", path=self.faceset, field="faceset")


def run(settings: ExtractSettings, *, store: WeightStore, colour: ColourConfig) -> Iterator[Report]:
    """Extract every face of every frame. Yields `Started`, a `FrameReport` per frame and the faceset as `Artifact`.

    A frame whose faces are in the faceset already, made of the same file by the same settings, is skipped; so a run
    that was stopped goes on, and a second run does nothing. Deleted faces come back: delete last.
    Missing and unreadable frames are reported and the run goes on.

    Raises:
        InvalidInput: the plate's colour space is unknown, or the faceset holds another person's release.
        WeightsMissing, WeightsCorrupt: of the detector or landmarker.
        NoFace: frames could be read and none of them has a face, nor has the faceset one of them from before.
        WriteFailed, DiskFull: what was written before is good.
    """
    shot = _Shot(settings, store, colour)
    _attach_release(settings)
    yield Started(total=len(settings.plate.frames), skipped=len(shot.done))
    for sentence in shot.broken:
        yield Warned(reason="FRAME_UNREADABLE", message=sentence)
    looked = 0
    for number in settings.plate.frames:
        report = shot.frame(number)
        looked += report.status in (FrameStatus.DONE, FrameStatus.NO_FACE)
        yield report
    if looked and not shot.faces:
        raise NoFace(
            f"no face on any frame of {settings.plate.template} ({settings.plate.present}); is its colour space "
            f"{settings.plate.colour_space!r} right, and are faces at least 40 pixels wide?",
            path=settings.plate.template.hashes,
            field="plate",
            value=str(settings.plate.frames),
        )
    if shot.faces:
        yield Artifact(kind="faceset", path=settings.faceset)


@dataclass
class _Clock:
    """Seconds per stage: `lap(name)` counts what passed since the last lap."""

    seconds: dict[str, float] = field(default_factory=dict)
    _since: float = field(default_factory=time.perf_counter)

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._since
        self._since = now


class _Shot:
    """One run: the networks, what the faceset holds of this plate, and what is known from frame to frame."""

    def __init__(self, settings: ExtractSettings, store: WeightStore, colour: ColourConfig) -> None:
        self.settings = settings
        self.colour = colour
        assert settings.plate.colour_space is not None
        self.space = colour.resolve(settings.plate.colour_space)
        detect = _plugins.load("detect", settings.detector, field="detector")
        landmark = _plugins.load("landmark", settings.landmarker, field="landmarker")
        self.detector: Detector = detect.create(store)
        self.landmarker: Landmarker = landmark.create(store)
        self.plate = settings.plate.template.text
        weights = [store.entry(name).sha256 for m in (detect, landmark) for name in m.WEIGHTS]
        self.recipe = [VERSION, self.plate, self.space, colour.cache_id, *weights]
        self.recipe += [settings.detector, settings.landmarker, settings.face_type, settings.size]
        self.recipe += [settings.min_score, settings.release.id if settings.release else ""]
        faces = (
            Faceset.open(settings.faceset) if settings.faceset.is_dir() else Faceset(path=settings.faceset)
        )
        self.broken = faces.broken
        self.stem = _stem(settings, faces.records, self.plate)
        self.held: dict[int, list[FaceRecord]] = {}
        for record in faces.records:
            if record.plate == self.plate:
                self.held.setdefault(record.face.frame, []).append(record)
        self.done = {n for n in settings.plate.present if self._is_done(n)}
        self.faces = sum(len(self.held[n]) for n in self.done)
        self.tracker = track.Tracker(r.face for n in self.done for r in self.held[n])
        self._before: Float | None = None  # thumbnail of the frame before
        self._gain: float | None = next((self.held[n][0].gain for n in sorted(self.done)), None)

    def frame(self, number: int) -> FrameReport:
        """Do one frame, whatever state it is in."""
        if number in self.done:
            faces = [r.face for r in self.held[number]]
            return FrameReport(
                frame=number,
                status=FrameStatus.SKIPPED,
                faces=len(faces),
                confidence=max(f.score for f in faces),
                outputs=tuple(r.path for r in self.held[number]),
            )
        try:
            return self._extract(number)
        except FrameMissing as error:
            return FrameReport(
                frame=number, status=FrameStatus.MISSING, reason=error.reason, message=error.message
            )
        except WriteFailed:
            raise  # the next frame would fail alike
        except UnderstudyError as error:
            return FrameReport(
                frame=number, status=FrameStatus.FAILED, reason=error.reason, message=error.message
            )

    def _extract(self, number: int) -> FrameReport:
        if self._gain is None:
            self._gain = self._exposure()
        clock = _Clock()
        frame, rgb, bad = self._read(number)
        clock.lap("read")
        proxy = self.colour.proxy(rgb, self._gain)
        faces = self._find(frame, proxy)
        thumbnail = track.thumbnail(proxy)
        cut = self._before is not None and track.is_cut(self._before, thumbnail)
        self._before = thumbnail
        faces = self.tracker.assign(faces, cut=cut)
        clock.lap("detect")
        outputs = tuple(self._write(frame, rgb, face, len(faces)) for face in faces)
        for stale in (r.path for r in self.held.get(number, ()) if r.path not in outputs):
            stale.unlink(missing_ok=True)  # of other settings, or of another render of this frame
        clock.lap("write")
        self.faces += len(faces)
        return FrameReport(
            frame=number,
            status=FrameStatus.DONE if faces else FrameStatus.NO_FACE,
            faces=len(faces),
            confidence=max((f.score for f in faces), default=None),
            warnings=(f"{bad} pixels were NaN or Inf; their neighbours stand in for them",) if bad else (),
            seconds=clock.seconds,
            outputs=outputs,
        )

    def _read(self, number: int) -> tuple[Frame, Float, int]:
        """The frame, its pixels (H, W, 3) finite in the working space, and how many were not finite."""
        frame = plate.read(self.settings.plate.template, number)
        rgb, bad = image.fill_nonfinite(frame.rgb())
        return frame, self.colour.to_working(rgb, self.space), bad

    def _find(self, frame: Frame, proxy: Array) -> list[Face]:
        """The faces of a frame in plate coordinates, tracks not yet known; the largest first."""
        aspect = frame.pixel_aspect
        if aspect != 1.0:  # networks know faces un-squeezed
            width = max(1, round(proxy.shape[1] * aspect))
            kernel = cv2.INTER_AREA if aspect < 1.0 else cv2.INTER_LINEAR
            proxy = cv2.resize(proxy, (width, proxy.shape[0]), interpolation=kernel)
        unsqueeze = np.array([frame.data.width / proxy.shape[1], 1.0])
        origin = np.array([frame.data.x, frame.data.y])
        focal = _FOCAL * frame.display.width * aspect
        faces = []
        for detection in self.detector.detect(proxy):
            found, score = self.landmarker.landmarks(proxy, detection)
            if score < self.settings.min_score:
                continue
            points = self.landmarker.to_68(found).points * unsqueeze + origin
            x0, y0, x1, y1 = (np.reshape(detection.box, (2, 2)) * unsqueeze + origin).ravel().tolist()
            pitch, yaw, roll = align.pose(points, focal, pixel_aspect=aspect)
            face = Face(
                frame=frame.number,
                box=(x0, y0, x1, y1),
                landmarks=Landmarks(scheme="68", points=points.astype(np.float32)),
                score=detection.score,
                pitch=pitch,
                yaw=yaw,
                roll=roll,
            )
            faces.append(face)
        return sorted(faces, key=track.size, reverse=True)

    def _write(self, frame: Frame, rgb: Float, face: Face, count: int) -> Path:
        settings = self.settings
        alignment = align.fit(face.landmarks.points, settings.face_type, settings.size, frame.pixel_aspect)
        name = f"{self.stem}_t{face.track}.{face.frame:0{settings.plate.template.width}d}.exr"
        assert self._gain is not None
        record = FaceRecord(
            path=settings.faceset / name,
            face=face,
            alignment=alignment,
            plate=self.plate,
            gain=self._gain,
            colour=self.colour.working,
            config=self.colour.cache_id,
            release=settings.release.id if settings.release else "",
            pixel_aspect=frame.pixel_aspect,
            digest=self._digest(face.frame),
            faces=count,
        )
        faceset.write(record, warp.to_aligned(rgb, frame.data, alignment))
        return record.path

    def _digest(self, number: int) -> str:
        """Of everything that decides what a frame's faces are: the settings, and the frame's file."""
        stat = self.settings.plate.template.path(number).stat()
        text = json.dumps([*self.recipe, number, stat.st_size, stat.st_mtime_ns])
        return hashlib.sha256(text.encode()).hexdigest()

    def _is_done(self, number: int) -> bool:
        records = self.held.get(number, [])
        if not records or len(records) != records[0].faces:
            return False
        return {r.digest for r in records} == {self._digest(number)}

    def _exposure(self) -> float:
        """The shot's gain: on frames spread over it, first for whole pictures, then for the faces seen in these."""
        present = list(self.settings.plate.present)
        picks = np.unique(np.linspace(0, len(present) - 1, min(_SAMPLES, len(present))).round().astype(int))
        of_frames: list[float] = []
        of_faces: list[float] = []
        for number in (present[i] for i in picks):
            try:
                frame, rgb, _ = self._read(number)
            except UnderstudyError:
                continue  # reported when its turn comes
            of_frames.append(image.log_mean(rgb))
            faces = self._find(frame, self.colour.proxy(rgb, exposure_gain(of_frames[-1:])))
            if faces:
                of_faces.append(_face_exposure(frame, rgb, faces[0]))
        return exposure_gain(of_faces or of_frames) if of_frames else 1.0


def _face_exposure(frame: Frame, rgb: Float, face: Face) -> float:
    """Mean natural logarithm of luminance inside the hull of the face."""
    crop = align.fit(face.landmarks.points, "full", _EXPOSURE_SIZE, frame.pixel_aspect)
    weight = hull(crop.apply(face.landmarks.points), (crop.size, crop.size))
    return image.log_mean(warp.to_aligned(rgb, frame.data, crop), weight)


def _stem(settings: ExtractSettings, held: Iterable[FaceRecord], own: str) -> str:
    """What the files are called: as the plate, told apart where another plate of that name is in the faceset."""
    stem = settings.plate.template.prefix.rstrip("._-") or "face"
    taken = any(r.plate != own and r.path.name.startswith(f"{stem}_t") for r in held)
    return f"{stem}_{hashlib.sha256(own.encode()).hexdigest()[:6]}" if taken else stem


def _attach_release(settings: ExtractSettings) -> None:
    """Lay the release into the faceset; a faceset is one person's."""
    if settings.release is None:
        return
    file = settings.faceset / faceset.RELEASE_FILE
    if file.is_file() and (other := release.read(file)).id != settings.release.id:
        raise InvalidInput(
            f"faceset: {settings.faceset} has release {other.id} of {other.subject}, not {settings.release.id} of "
            f"{settings.release.subject}; extract into another folder, or remove {file.name} first",
            path=file,
            field="release",
            value=settings.release.id,
        )
    release.write(settings.release, file)
