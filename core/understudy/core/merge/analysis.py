"""What is fitted once over the whole shot: where the face is on every frame, and how its colour is matched.

Fitted from the faceset alone, never from the frames or views that happen to be asked for: whatever chunk or
worker makes frame N, it sees the same numbers (chunk independence). Landmarks are each view's own; the colour
match of a frame is one for all its views, or the two eyes would differ and depth shimmer. Both are stored
beside the output in `track/`, where a compositor finds them too, and are read from there while what they were
fitted from is the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core import align, track
from understudy.core.errors import FrameUnreadable, InvalidInput, NotFound
from understudy.core.faceset import FaceRecord, Faceset
from understudy.core.files import write_text
from understudy.core.match import Match, Numbers
from understudy.core.merge import headers
from understudy.core.merge.belonging import refuse_sizeless
from understudy.core.merge.expression import OCC
from understudy.core.merge.face_swap import Swapper
from understudy.core.merge.masking import Spot
from understudy.core.merge.recipe import Recipe

FORMAT = "understudy.track/1"
_SAMPLES = 240  # frames of a shot that are looked at for its colour, at most
# Frames: sigma of the window over which the match may change. Short, because a network's own level wanders within
# a second; long enough that single frames do not flicker.
_DRIFT = 3.0


@dataclass(frozen=True, kw_only=True)
class Placed(Spot):
    """One face, ready to be swapped.

    Attributes:
        numbers: the colour match's for this frame, in all views; None where no frame of the shot gave any.
    """

    numbers: Numbers | None

    def identity(self) -> list[Any]:
        """All of it but its image, as JSON can hold it: what the output's digest is made of."""
        return [*self.place(), self.gain, _listed(self.numbers)]


def place(records: Sequence[FaceRecord], recipe: Recipe, face_type: str, size: int) -> list[Spot]:
    """One view's faces in order of frames, landmarks smoothed, each with its crop.

    Raises:
        InvalidInput: of a face whose landmarks say no place.
    """
    for record in records:
        refuse_sizeless(record)
    smoothed = track.smooth([record.face for record in records], max(recipe.smooth, 1))
    return [
        Spot(
            record=record,
            face=face,
            alignment=align.fit(face.landmarks.points, face_type, size, record.pixel_aspect),
        )
        for record, face in zip(records, smoothed, strict=True)
    ]


def analyse(
    faceset: Faceset, recipe: Recipe, swapper: Swapper, match: Match, stored: Path
) -> dict[str, dict[int, Placed]]:
    """View → frame number → the face there, for the whole shot; written to `stored` unless it holds the same
    already.

    Raises:
        InvalidInput: of a face, as `place`.
        WriteFailed: `stored` could not be written.
    """
    views = dict.fromkeys(record.view for record in faceset.records)
    shot = {
        view: place([r for r in faceset.records if r.view == view], recipe, swapper.face_type, swapper.size)
        for view in views
    }
    faces = [spot for spots in shot.values() for spot in spots]
    chosen = faces if recipe.match_per_frame else _chosen(faces)
    # Of mattes that are but layers nothing is measured, and nothing of them is in the key
    swapper = replace(swapper, masker=replace(swapper.masker, layered=frozenset()))
    look = (recipe.match, match.VERSION, recipe.match_per_frame, recipe.mask, recipe.smooth)
    seen = _occluded(swapper, chosen)
    # what crops, faces and mattes are made of has no version but a merge's
    made = (headers.VERSION, track.SMOOTHING, _SAMPLES, _DRIFT)
    key = headers.digest(FORMAT, *made, faceset.digest(), swapper.digest, *look, *seen)
    samples = _read(stored, key)
    if samples is None:
        samples = _measure(faceset, chosen, swapper, match)
    placed = {
        view: {
            spot.face.frame: Placed(
                record=spot.record,
                face=spot.face,
                alignment=spot.alignment,
                numbers=steadied(samples, spot.face.frame, per_frame=recipe.match_per_frame),
            )
            for spot in spots
        }
        for view, spots in shot.items()
    }
    text = _text(_document(key, samples, placed, recipe, match)) + "\n"
    if not stored.is_file() or stored.read_text(encoding="utf-8") != text:
        write_text(stored, text)
    return placed


def unfitted(faceset: Faceset, recipe: Recipe, swapper: Swapper) -> dict[str, dict[int, Placed]]:
    """As `analyse`, without the colour match: no network is asked, nothing is written.

    Raises:
        InvalidInput: of a face, as `place`.
    """
    views = dict.fromkeys(record.view for record in faceset.records)
    return {
        view: {
            spot.face.frame: Placed(
                record=spot.record, face=spot.face, alignment=spot.alignment, numbers=None
            )
            for spot in place(
                [r for r in faceset.records if r.view == view], recipe, swapper.face_type, swapper.size
            )
        }
        for view in views
    }


def _chosen(shot: Sequence[Spot]) -> list[Spot]:
    """The faces of some frames, spread evenly, of all views."""
    frames = sorted({spot.face.frame for spot in shot})
    picks = np.unique(np.linspace(0, len(frames) - 1, min(_SAMPLES, len(frames))).round().astype(int))
    chosen = {frames[i] for i in picks}
    return [spot for spot in shot if spot.face.frame in chosen]


def _occluded(swapper: Swapper, chosen: Sequence[Spot]) -> list[Any]:
    """What the mask goes by beside model and faces, where it does: their labels and mattes, and the segmenter."""
    masker = swapper.masker
    segmenter = masker.occlusion.segmenter
    if segmenter is None and OCC not in masker.expression.names:
        return []
    found: list[Any] = [segmenter.digest if segmenter else ""]
    for spot in chosen:
        with suppress(FrameUnreadable, InvalidInput):  # its frame will say so
            found.append(masker.made_of(spot))
    return found


def _measure(
    faceset: Faceset, chosen: Sequence[Spot], swapper: Swapper, match: Match
) -> dict[int, list[float]]:
    """The match's numbers, averaged over views; faces whose matte is too empty are left out, and those of which it
    cannot be known what is before them.
    """
    found: dict[int, list[Numbers]] = {}
    for spot in chosen:
        crop = swapper.crop_of(faceset.load(spot.record), spot.record.alignment, spot.alignment)
        try:
            made = swapper.swap(crop, spot)
        except (NotFound, FrameUnreadable, InvalidInput):
            continue  # of a label or matte; its frame will say so
        gain = np.float32(spot.gain)
        numbers = match.measure(made.face * gain, crop * gain, swapper.skin(made))
        if np.isfinite(numbers).all():
            found.setdefault(spot.face.frame, []).append(numbers)
    return {frame: np.mean(found[frame], axis=0).tolist() for frame in sorted(found)}


def steadied(
    samples: Mapping[int, Sequence[float]], frame: int, *, per_frame: bool = False
) -> Numbers | None:
    """The numbers for one frame: a Gaussian average of the samples around it, wider where they are far
    apart; its own sample alone where each frame is matched by itself and it has one.
    """
    if not samples:
        return None
    if per_frame and frame in samples:
        return np.array(samples[frame])
    frames = np.array(list(samples), np.float64)
    apart = np.ptp(frames) / max(len(frames) - 1, 1)
    offset = (frames - frame) / max(_DRIFT, apart)
    weight = np.exp(-0.5 * (offset**2 - (offset**2).min()))
    average: Numbers = weight @ np.array(list(samples.values())) / weight.sum()
    return average


def _document(
    key: str,
    samples: Mapping[int, Sequence[float]],
    placed: Mapping[str, Mapping[int, Placed]],
    recipe: Recipe,
    match: Match,
) -> dict[str, Any]:
    """The first view's frames are `frames`, as where there is one view only; all others are in `views`.

    What a frame's match comes to is in its `match_as`, as the member's `report` says it; what is so on every frame,
    such as the space, stands once, in `as` of `match`. The numbers that merges go by are the `samples`, to the bit.
    """
    reports = _reports(placed, match)
    common = _common(list(reports.values()))
    tracked = {
        view: {
            str(frame): _frame(face)
            | {"match_as": {k: v for k, v in reports[frame].items() if k not in common}}
            for frame, face in sorted(faces.items())
        }
        for view, faces in placed.items()
    }
    first, *others = tracked
    several = {"view": first, "views": {view: {"frames": tracked[view]} for view in others}} if others else {}
    return {
        "format": FORMAT,
        "digest": key,
        "coordinates": "plate pixels of the file: origin at the display window's (0, 0), x right, y down, "
        "pixel centres at +0.5; matrices are 2 x 3, row-major, plate to aligned pixels",
        "match": {
            "name": recipe.match,
            "per_frame": recipe.match_per_frame,
            "as": common,
            "samples": {str(frame): values for frame, values in samples.items()},
        },
        "frames": tracked[first],
        **several,
    }


def _reports(placed: Mapping[str, Mapping[int, Placed]], match: Match) -> dict[int, dict[str, Any]]:
    """Frame → what its match comes to, which is one for all views; nothing where there is no match."""
    numbers = {frame: face.numbers for faces in placed.values() for frame, face in faces.items()}
    return {frame: {} if each is None else match.report(each) for frame, each in numbers.items()}


def _common(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What all of them say alike; nothing of one report alone, or frames would look other than in a longer shot."""
    if len(reports) < 2:
        return {}
    return {k: v for k, v in reports[0].items() if all(each.get(k) == v for each in reports[1:])}


def _frame(placed: Placed) -> dict[str, Any]:
    size = float(placed.alignment.size)
    inverse = placed.alignment.inverse
    corners = {"tl": (0.0, 0.0), "tr": (size, 0.0), "br": (size, size), "bl": (0.0, size)}
    return {
        "score": placed.face.score,
        "pose": {"pitch": placed.face.pitch, "yaw": placed.face.yaw, "roll": placed.face.roll},
        "landmarks": [[round(float(v), 4) for v in point] for point in placed.face.landmarks.points],
        "size": placed.alignment.size,
        "face_type": placed.alignment.face_type,
        "matrix": [[float(v) for v in row] for row in placed.alignment.matrix],
        "corner_pin": {
            name: [round(float(v), 4) for v in inverse[:, :2] @ point + inverse[:, 2]]
            for name, point in corners.items()
        },
        "gain": placed.gain,
    }


def _text(value: Any, indent: str = "") -> str:
    """JSON, an entry a line; lists, which may be long, stay on theirs."""
    if not isinstance(value, dict) or not value:
        return json.dumps(value, allow_nan=False)
    inner = indent + " "
    entries = (f"{inner}{json.dumps(name)}: {_text(each, inner)}" for name, each in value.items())
    return "{\n" + ",\n".join(entries) + f"\n{indent}}}"


def _listed(numbers: Numbers | None) -> list[float] | None:
    return None if numbers is None else [float(v) for v in numbers]


def _read(stored: Path, key: str) -> dict[int, list[float]] | None:
    """The samples of an earlier analysis of the same, or None: there is none, or it was of something else."""
    if not stored.is_file():
        return None
    try:
        document = json.loads(stored.read_text(encoding="utf-8"))
        if document["digest"] != key:
            return None
        return {int(frame): list(values) for frame, values in document["match"]["samples"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None  # derived data: what can not be read is fitted again
