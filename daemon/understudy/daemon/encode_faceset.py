"""From facesets and what is said of their faces to messages of `understudy.v1`, and back for what a person says."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from understudy.core.errors import InvalidInput
from understudy.core.faceset import FaceRecord, Faceset, journal
from understudy.daemon import encode
from understudy.daemon.text import text
from understudy.v1 import common_pb2, resource_pb2

if TYPE_CHECKING:
    from understudy.core.faceset.manual import ManualFace
    from understudy.core.faceset.review import ReviewFrame
    from understudy.core.faceset.statistics import Statistic

BROKEN_MOST = 1000  # with their messages; a reply has 4 MiB


def faceset(given: Faceset, measured: Iterable[str], rejected: int) -> resource_pb2.Faceset:
    """What a faceset holds. `measured`: sort keys that all its faces have; `rejected`: how many lie aside."""
    first, record = given.records[0], given.release()
    return resource_pb2.Faceset(
        path=text(given.path),
        id=given.digest(),
        faces=len(given.records),
        frames=encode.segments_of(np.unique(given.columns.frame).tolist()),
        tracks=_tracks(given),
        size=first.alignment.size,
        face_type=first.alignment.face_type,
        release_id=record.id if record else "",
        broken=map(text, given.broken[:BROKEN_MOST]),
        plates=map(text, given.plates()),
        rejected=rejected,
        measured=measured,
        packed=given.packed,
        looked_at=encode.segments_of(_looked_at(given)),
    )


def _looked_at(given: Faceset) -> set[int]:
    """Frames that extraction has looked at, of all plates and views; none where there is no journal."""
    lines = (given.beside(journal.NAME) or b"").splitlines()
    return {frame for frames in journal.looked(lines).values() for frame in frames}


def _tracks(given: Faceset) -> list[resource_pb2.Track]:
    box = given.columns.box
    sides = np.maximum(box[:, 2] - box[:, 0], box[:, 3] - box[:, 1])
    messages = []
    for track in given.tracks():
        own = sides[given.columns.track == track.id]
        frames = encode.segments(track.frames)
        messages.append(
            resource_pb2.Track(id=track.id, frames=frames, faces=len(own), mean_size=float(own.mean()))
        )
    return messages


def face(record: FaceRecord, key: float = math.nan) -> resource_pb2.Face:
    """One face; `key` is that of the list's order, not sent where it is not finite."""
    its = record.face
    confidence = its.landmarks.confidence
    return resource_pb2.Face(
        path=text(record.path),
        frame=its.frame,
        track=its.track,
        box=its.box,
        landmarks=its.landmarks.points.ravel().tolist(),
        score=its.score,
        pose=common_pb2.Pose(pitch=its.pitch, yaw=its.yaw, roll=its.roll),
        alignment=record.alignment.matrix.ravel().tolist(),
        size=record.alignment.size,
        view=record.view,
        origin=its.origin,
        cut=its.cut,
        confidence=[] if confidence is None else confidence.tolist(),
        key=key if math.isfinite(key) else None,
    )


def groups(given: Faceset, found: Iterable[Iterable[int]]) -> list[resource_pb2.FaceGroup]:
    """Groups of indices as groups of names."""
    names = given.columns.name
    return [resource_pb2.FaceGroup(names=[text(names[i]) for i in group]) for group in found]


def statistic(given: Statistic) -> resource_pb2.Statistic:
    return resource_pb2.Statistic(
        name=given.name,
        unit=given.unit,
        count=given.count,
        mean=given.mean,
        minimum=given.minimum,
        percentile_5=given.percentile_5,
        median=given.median,
        percentile_95=given.percentile_95,
        maximum=given.maximum,
    )


def review_frame(given: ReviewFrame) -> resource_pb2.ReviewFrame:
    return resource_pb2.ReviewFrame(
        plate=text(given.plate),
        view=given.view,
        frame=given.frame,
        reason=given.reason,
        track=given.track,
        message=text(given.message),
    )


def manual_face(given: ManualFace) -> resource_pb2.ManualFace:
    return resource_pb2.ManualFace(
        plate=text(given.plate),
        view=given.view,
        track=given.track,
        frame=given.frame,
        points=[c for point in given.points or () for c in point],
        box=given.box or (),
        absent=given.absent,
        interpolate=given.interpolate,
    )


def decode_manual_face(message: resource_pb2.ManualFace, plate: str) -> ManualFace:
    """What a person says of a face; `plate` in `%04d` form.

    Raises:
        InvalidInput: not just one of points, a box or absent; points or a box that cannot be.
    """
    from understudy.core.faceset.manual import ManualFace

    if len(message.points) % 2:
        raise InvalidInput(
            f"points: {len(message.points)} numbers; x and y of each point are needed",
            frame=message.frame,
            field="points",
            value=len(message.points),
        )
    if message.box and len(message.box) != 4:
        raise InvalidInput(
            f"box: {len(message.box)} numbers; x0, y0, x1, y1 are needed",
            frame=message.frame,
            field="box",
            value=len(message.box),
        )
    pairs = zip(message.points[::2], message.points[1::2], strict=True)
    return ManualFace(
        plate=plate,
        view=message.view,
        track=message.track,
        frame=message.frame,
        points=tuple(pairs) or None,
        box=tuple(message.box) or None,  # type: ignore[arg-type] # four, as was seen
        absent=message.absent,
        interpolate=message.interpolate,
    )
