"""Whether what was given for a face can be its label, and the label that it then is.

The landmarks say where the face is: a matte that is 0 there is of another frame, another person or another plate; one
that is 0 there and 1 all around is turned inside out; one that is 1 everywhere is a picture's alpha. These are errors
of a whole delivery, so the limits lie far from what any face looks like, covered or not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from understudy.core.errors import InvalidInput
from understudy.core.face import Alignment
from understudy.core.faceset.labels import EMPTY, Label
from understudy.core.faceset.polygons import Polygon, check, draw
from understudy.core.faceset.record import FaceRecord
from understudy.core.frames import Float
from understudy.core.matte import soft
from understudy.core.matte.hull import hull

VERSION = 1  # of what this module makes of the same matte

_MISSED = 0.05  # of the hull: a face of which less is seen is not labelled
_TURNED = (0.2, 0.8)  # less than this inside the hull and more than this outside: turned inside out
_ALL = 0.95
_FILLED = 0.8  # of a crop: a face that fills more may be all of it
_LOOSE = 0.35  # of a label inside the hull; less is worth a look


@dataclass(frozen=True, kw_only=True)
class Target:
    """The faces of one frame that something was given for.

    Attributes:
        frame: number.
        faces: may be none: then nobody whom this is for is on the frame.
        problems: why something that was given for this frame is of no use.
        missing: it was asked for and is not on disk.
    """

    frame: int
    faces: tuple[FaceRecord, ...] = ()
    problems: tuple[str, ...] = ()
    missing: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Given:
    """What was given for one face: polygons or a matte.

    Attributes:
        what: of it, for messages: a file, or a file and the entry in it.
        alignment: the crop whose pixels polygons are in; of a matte the face's own.
        polygons: in the order in which they were given.
        matte: (S, S) float32 in [0, 1] in the face's own crop, turned already where it was to be.
        full: the matte's picture is 1 all over, not just in this crop.
        others: other channels of the picture.
        origin, made_of: as `Label` has them.
        warnings: what was noticed.
    """

    what: str
    alignment: Alignment
    origin: str
    made_of: str
    polygons: tuple[Polygon, ...] = ()
    matte: Float | None = None
    full: bool = False
    others: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def made_of(record: FaceRecord, source: str, recipe: Sequence[object]) -> str:
    """Digest of what a face's label is made of: the source's content, the settings, and where the face is."""
    where = record.alignment
    said = [
        *recipe,
        source,
        where.matrix.tolist(),
        where.size,
        record.face.landmarks.points.astype(float).round(3).tolist(),
    ]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def label(record: FaceRecord, given: Given, *, invert: bool, occluder: bool) -> Label:
    """The label of a face.

    Args:
        record: the face.
        given: what there is for it.
        invert: polygons mark what is outside.
        occluder: it marks what is before the face; else the face.

    Raises:
        InvalidInput: it can be none; the message names file and frame, and says what to do.
    """
    said = f"{given.what}: frame {record.face.frame}"
    if given.polygons:
        try:
            check(given.polygons)
        except InvalidInput as error:
            raise InvalidInput(
                f"{said}: {error.message}", frame=record.face.frame, field="polygons", value=error.value
            ) from error
    matte = _matte(record, given, invert=invert)
    face = face_hull(record)
    _refuse(matte, face, record, given, said, invert=invert, occluder=occluder)
    if given.polygons and not invert and not occluder:
        return Label(
            kind="polygons",
            polygons=given.polygons,
            alignment=given.alignment,
            origin=given.origin,
            made_of=given.made_of,
        )
    if occluder:
        matte = face * (1.0 - matte)
    return Label(
        kind="matte",
        matte=matte.astype(np.float32, copy=False),
        alignment=record.alignment,
        origin=given.origin,
        made_of=given.made_of,
    )


def doubts(record: FaceRecord, made: Label) -> list[str]:
    """What about a label is worth a look."""
    matte, face = made.drawn(record.alignment), face_hull(record)
    whole = float(matte.sum(dtype=np.float64))
    inside = float((matte * face).sum(dtype=np.float64))
    if inside < _LOOSE * whole:
        return [
            f"{record.path.name}: only {inside / whole:.0%} of the label lies within the landmarks of the face: is it "
            "of this frame and this plate?"
        ]
    return []


def face_hull(record: FaceRecord) -> Float:
    """(S, S) float32 in [0, 1] in the face's crop: the hull of its landmarks, brows lifted, with a soft edge."""
    own = record.alignment
    return soft(hull, own.apply(record.face.landmarks.points), (own.size, own.size))


def _matte(record: FaceRecord, given: Given, *, invert: bool) -> Float:
    if given.matte is not None:
        return given.matte
    size = record.alignment.size
    drawn = Label(
        kind="polygons", polygons=given.polygons, alignment=given.alignment, origin=given.origin
    ).carried(record.alignment)
    matte = draw(drawn, (size, size))
    return np.subtract(1.0, matte) if invert else matte


def _refuse(
    matte: Float, face: Float, record: FaceRecord, given: Given, said: str, *, invert: bool, occluder: bool
) -> None:
    inside, outside = _mean(matte, face), _mean(matte, 1.0 - face)

    def refused(why: str, field: str) -> InvalidInput:
        return InvalidInput(f"{said}: {why}", frame=record.face.frame, field=field, value=record.path.name)

    everywhere = min(inside, outside) > _ALL and float(face.mean()) < _FILLED
    if everywhere and given.matte is None:
        raise refused("it marks all that is around the face too", "polygons")
    if given.full or everywhere:
        there = f"; it has {', '.join(given.others)}" if given.others else ""
        raise refused(f"it is 1 everywhere, as of an opaque picture; name the channel{there}", "channel")
    turned = outside > _ALL if occluder else inside < _TURNED[0] and outside > _TURNED[1]
    if turned:
        raise refused(
            f"it is {inside:.2f} on the face and {outside:.2f} around it: turned inside out? Then "
            + ("leave out --invert" if invert else "say so (--invert)"),
            "invert",
        )
    if occluder:
        if inside > _ALL:
            raise refused(
                "it leaves nothing of the face; if it marks the face and not what is before it, say so (--marks face)",
                "marks",
            )
        return
    if matte.max(initial=0.0) < EMPTY:
        raise refused(f"it is empty around the face {record.path.stem}: it misses it", "source")
    if inside < _MISSED:
        raise refused(
            f"it misses the face {record.path.stem}: {inside:.1%} of what its landmarks enclose is marked; is it of "
            "this frame, person and plate?",
            "source",
        )


def _mean(matte: Float, weight: Float) -> float:
    total = float(weight.sum(dtype=np.float64))
    return float((matte * weight).sum(dtype=np.float64)) / total if total > 0.0 else 0.0
