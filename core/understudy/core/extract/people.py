"""Who is who while a plate is extracted, what a person says of it, and who is kept in the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from understudy.core import drawing, track
from understudy.core.colour import ColourConfig
from understudy.core.errors import NoFace, NotFound, UnderstudyError
from understudy.core.extract import finder
from understudy.core.extract.follow import Find, Sight
from understudy.core.face import Face
from understudy.core.faceset import Faceset
from understudy.core.faceset.curate import reject
from understudy.core.faceset.manual import Manual
from understudy.core.faceset.pick import person_at
from understudy.core.frames import Float, FrameRange
from understudy.core.identity import Describer, IdentityLook

_COVERED = 0.4  # intersection over union of boxes from which what a person gives stands for what was found
_FACES = 24  # of a person, spread over the shot, that are compared with a reference
_REMEMBERED = 6  # faces of each person by which a run that goes on knows them


@dataclass(frozen=True, kw_only=True)
class Pick:
    """Who stands at a point.

    Attributes:
        frame: its number.
        x, y: plate pixels.
        view: of a stereo plate; empty is the first one.
    """

    frame: int
    x: float
    y: float
    view: str = ""


class Cast:
    """The people of a shot. Frames come in ascending order, the views of one always in the same."""

    def __init__(self, tracker: track.Tracker, manual: Manual, plate: str) -> None:
        self._tracker, self._manual, self._plate = tracker, manual, plate

    def known(self, number: int, sights: Sequence[Sight]) -> list[list[Find]]:
        """The finds of each view of a frame with their tracks; those given by hand in the place of others."""
        if cut := any(sight.cut for sight in sights):
            self._tracker.cut(number)
        return [self._of_view(number, sight, cut) for sight in sights]

    def _of_view(self, number: int, sight: Sight, cut: bool) -> list[Find]:
        given = list(sight.given)
        found = [f for f in sight.finds if not any(_covers(g.face, f.face, sight.aspect) for g in given)]
        faces = self._tracker.assign(
            [find.face for find in found],
            view=sight.view,
            cut=cut,
            pixel_aspect=sight.aspect,
            descriptors=descriptors(found),
        )
        said = {face.track for face in self._manual.at(self._plate, sight.view, number)}
        for find in given:
            self._tracker.keep(find.face, view=sight.view, descriptor=find.descriptor)
        named = [replace(find, face=face) for find, face in zip(found, faces, strict=True)]
        return [*given, *(find for find in named if find.face.track not in said)]


def descriptors(finds: Sequence[Find]) -> Float | None:
    """(N, D) of finds; None where they have none."""
    rows = [find.descriptor for find in finds if find.descriptor is not None]
    return np.stack(rows) if rows and len(rows) == len(finds) else None


def recollect(
    faceset: Faceset, plate: str, tracker: track.Tracker, describer: Describer, colour: ColourConfig
) -> None:
    """Tell a tracker how the people of a plate look who are in the faceset from an earlier run."""
    for who in _people(faceset, plate):
        rows = _described(faceset, _spread(faceset, plate, who, _REMEMBERED), describer, colour)
        for row in rows:
            tracker.know(who, row)


def keep_only(
    faceset: Faceset,
    plate: str,
    *,
    pick: Pick | None,
    near: tuple[Float, float] | None,
    describer: Describer,
    colour: ColourConfig,
) -> str:
    """Move the faces of everybody else in a plate to `rejected/`; a sentence about it, empty if there is nobody else.

    Args:
        pick: keep who stands there.
        near: keep who looks like this descriptor (D,): the median distance of their faces is at most so much.

    Raises:
        NotFound: nobody stands there.
        NoFace: nobody looks like that; everything stays.
    """
    people = _people(faceset, plate)
    kept = set(people)
    if pick is not None:
        who = person_at(faceset, pick.frame, pick.x, pick.y, plate=plate, view=pick.view)
        if who is None:
            raise NotFound(
                f"pick: nobody stands at ({pick.x:g}, {pick.y:g}) on frame {pick.frame} of {plate}; "
                "all faces are kept",
                frame=pick.frame,
                field="pick",
                value=f"{pick.x:g},{pick.y:g}",
            )
        kept &= {who}
    if near is not None:
        away = {
            who: _median(
                _described(faceset, _spread(faceset, plate, who, _FACES), describer, colour), near[0]
            )
            for who in people
        }
        if not (kept := {who for who in kept if away[who] <= near[1]}):
            nearest = min(people, key=lambda who: away[who])
            raise NoFace(
                f"reference: nobody looks like it; track {nearest} comes nearest, {away[nearest] / near[1]:.2f} times "
                "as far as was allowed; all faces are kept",
                field="reference_distance",
                value=near[1],
            )
    return _rejected(faceset, plate, sorted(set(people) - kept), sorted(kept))


def _rejected(faceset: Faceset, plate: str, others: Sequence[int], kept: Sequence[int]) -> str:
    columns = faceset.columns
    rows = np.flatnonzero((columns.plate == plate) & np.isin(columns.track, others))
    if not len(rows):
        return ""
    moved = reject(faceset, rows)
    who = "track" if len(others) == 1 else "tracks"
    stay = ", ".join(map(str, kept))
    return (
        f"{faceset.path}: kept track {stay}; {moved} faces of {who} {', '.join(map(str, others))} "
        f"({FrameRange.from_frames(columns.frame[rows].tolist())}) were moved to rejected/, whence "
        "`faceset restore` brings them back"
    )


def _people(faceset: Faceset, plate: str) -> list[int]:
    columns = faceset.columns
    return [int(who) for who in np.unique(columns.track[columns.plate == plate])]


def _spread(faceset: Faceset, plate: str, who: int, count: int) -> list[int]:
    """At most so many rows of a person, spread over the plate's frames."""
    columns = faceset.columns
    rows = np.flatnonzero((columns.plate == plate) & (columns.track == who))
    picks = np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int))
    return [int(row) for row in rows[picks]]


def _described(
    faceset: Faceset, rows: Sequence[int], describer: Describer, colour: ColourConfig
) -> list[Float]:
    """A descriptor (D,) of each row's face, of those whose images can be read."""
    looks = []
    for row in rows:
        record = faceset.records[row]
        try:
            pixels = faceset.load(record)
        except UnderstudyError:
            continue  # its own frame's report says so
        proxy = drawing.shown(pixels, record.gain, colour).astype(np.float32) / np.float32(255.0)
        points = record.alignment.apply(record.face.landmarks.points).astype(np.float32)
        looks.append(IdentityLook(proxy=proxy, points=points))
    return list(describer.describe(looks)) if looks else []


def _median(rows: Sequence[Float], reference: Float) -> float:
    return float(np.median([np.linalg.norm(row - reference) for row in rows])) if rows else np.inf


def _covers(given: Face, found: Face, aspect: float) -> bool:
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = given.box, found.box
    shared = max(0.0, min(ax1, bx1) - max(ax0, bx0)) * max(0.0, min(ay1, by1) - max(ay0, by0))
    both = track.size(given) ** 2 + track.size(found) ** 2 - shared
    return shared > _COVERED * both or finder.same(given, found, aspect)
