"""What a faceset holds of a plate already, and where the plate's further faces go in it.

Each view of a frame is remembered for itself: a stereo plate of which one eye was extracted before needs the other
one only, and a face that was deleted stays deleted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from understudy.core.errors import FrameMissing, FrameUnreadable
from understudy.core.extract.search import labelled
from understudy.core.face import Face
from understudy.core.faceset import FaceRecord, Faceset
from understudy.core.faceset.journal import Journal, Looked
from understudy.core.faceset.manual import Manual
from understudy.core.plate import Plate
from understudy.core.plate.views import MONO


class Recall:
    """A faceset as one plate sees it.

    Attributes:
        views: of the plate, those to work on; `(MONO,)` if it has none.
        broken: a sentence for each image in the folder that could not be read.
        seen: frame and view → what came of it, for those that need no second look; frames ascending. Of views that
            are not to be worked on too: they tell who is who, and the exposure.
        done: the frames that need none in any view.
    """

    def __init__(
        self, faceset: Path, plate: Plate, views: Sequence[str], recipe: Sequence[Any], manual: Manual
    ) -> None:
        """`recipe`: everything but the frame's file that decides what its faces are, as JSON can hold it; what
        `manual` says of a frame comes to it.
        """
        self.views = tuple(views)
        self._folder, self._template, self._recipe = faceset, plate.template, list(recipe)
        self._manual = manual
        found = Faceset.open(faceset) if faceset.is_dir() else None
        records: Sequence[FaceRecord] = found.records if found is not None else ()
        self.broken = found.broken if found is not None else ()
        self._stem = self._free_stem(records)
        self._held: dict[int, list[FaceRecord]] = {}
        for record in records:
            if record.plate == plate.template.text:
                self._held.setdefault(record.face.frame, []).append(record)
        held = (record.view for number in sorted(self._held) for record in self._held[number])
        known = dict.fromkeys((*views, *held))
        self._journals = {view: Journal(faceset, plate.template.text, view) for view in known}
        each = ((number, view) for number in plate.present for view in known)
        self.seen = {at: seen for at in each if (seen := self._seen(*at))}
        self.done = {n for n in plate.present if all((n, view) in self.seen for view in views)}

    @property
    def gain(self) -> float | None:
        """Exposure that the shot was looked at with; None if it was not."""
        return next((seen.gain for seen in self.seen.values()), None)

    @property
    def count(self) -> int:
        """How many faces were found by all that need no second look, in the views to work on."""
        return sum(len(seen.tracks) for (_, view), seen in self.seen.items() if view in self.views)

    @property
    def faces(self) -> list[tuple[str, Face]]:
        """View and face, of all that need no second look."""
        return [(view, record.face) for number, view in self.seen for record in self.held(number, view)]

    def held(self, number: int, view: str) -> list[FaceRecord]:
        """The faces of one view of a frame that are in the folder."""
        return [record for record in self._held.get(number, ()) if record.view == view]

    def path(self, track: int, number: int, view: str) -> Path:
        """Where a face goes."""
        return self._folder / f"{_named(self._stem, view)}_t{track}.{number:0{self._template.width}d}.exr"

    def digest(self, number: int, view: str) -> str:
        """Of everything that decides what a view's faces are: the settings, the frame's file, what a person gave.

        Raises:
            FrameMissing, FrameUnreadable: the file is not there, or the system does not let us at it.
        """
        path = self._template.of_view(view).path(number)
        try:
            stat = path.stat()
        except FileNotFoundError as error:
            sentence = labelled(view, f"{path}: frame {number} is not on disk")
            raise FrameMissing(sentence, path=path, frame=number) from error
        except OSError as error:
            sentence = labelled(view, f"{path}: frame {number} could not be read: {error.strerror}")
            raise FrameUnreadable(sentence, path=path, frame=number) from error
        made_of = [*self._recipe, number, stat.st_size, stat.st_mtime_ns, *([view] if view else [])]
        made_of += [face.to_json() for face in self._manual.at(self._template.text, view, number)]
        return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()

    def note(self, number: int, view: str, looked: Looked) -> None:
        """Remember what came of a view; any thread may. Raises DiskFull, WriteFailed."""
        self._journals[view].add(number, looked)

    def note_again(self, number: int) -> None:
        """For a frame that is done, where a kill came between its faces and the note, or the journal is gone."""
        for view in self.views:
            if (seen := self.seen[number, view]) != self._journals[view].looked.get(number):
                self.note(number, view, seen)

    def clear(self, number: int, looked: Sequence[str], fresh: Sequence[Path]) -> None:
        """Remove a frame's faces of other settings, or of another render of it: all but the `fresh` ones.

        Those of views that were not `looked` at stay; but a frame is either mono or has views.
        """
        for record in self._held.get(number, ()):
            turned = (record.view == MONO) != (MONO in self.views)
            if (turned or record.view in looked) and record.path not in fresh:
                record.path.unlink(missing_ok=True)

    def _seen(self, number: int, view: str) -> Looked | None:
        """What came of a frame that needs no second look; None for one that was never looked at as it is now.

        Images of another digest mean that a run with other settings was stopped before it could note the frame. An
        image that is there and is none was broken, not deleted: its frame is looked at again.
        """
        held, noted = self.held(number, view), self._journals[view].looked.get(number)
        if not held and noted is None:
            return None
        try:
            digest = self.digest(number, view)
        except (FrameMissing, FrameUnreadable):
            return None  # reported when its turn comes
        if any(record.digest != digest for record in held):
            return None
        if noted and noted.digest == digest:
            good = {record.path for record in held}
            faces = (self.path(track, number, view) for track in noted.tracks)
            return noted if all(face in good or not face.exists() for face in faces) else None
        if held and len(held) == held[0].faces:
            return Looked(digest=digest, gain=held[0].gain, tracks=tuple(r.face.track for r in held))
        return None

    def _free_stem(self, held: Iterable[FaceRecord]) -> str:
        """What the files are called: as the plate, told apart where another plate of that name is in the faceset."""
        template, own = self._template, self._template.text
        stem = template.prefix.rstrip("._-")
        if template.has_view:  # sh_%V.####.exr is sh: the view is put in by `_named`
            stem = template.of_view("").prefix.strip("._-")
        stem = stem or "face"
        ours = tuple(f"{_named(stem, view)}_t" for view in self.views)
        taken = any(r.plate != own and r.path.name.startswith(ours) for r in held)
        return f"{stem}_{hashlib.sha256(own.encode()).hexdigest()[:6]}" if taken else stem


def _named(stem: str, view: str) -> str:
    """A view is called whatever its file says; in our files' names that must not lead out of the folder."""
    return f"{stem}_{quote(view, safe='')}" if view else stem
