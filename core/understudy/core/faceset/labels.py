"""What a person says is face: labels, in the folder `labels/` of a faceset, by the names of the faces.

`labels/<stem>.json` holds polygons, `labels/<stem>.exr` a matte in its channel A; a face has one of the two. Each says
in which alignment it was drawn, so that it still fits a face that is cut anew. A segmenter learns from them and never
changes one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core import warp
from understudy.core.errors import FrameUnreadable, InvalidInput
from understudy.core.face import Alignment
from understudy.core.faceset import beside
from understudy.core.faceset.polygons import Polygon, draw
from understudy.core.faceset.record import FaceRecord
from understudy.core.faceset.store import Faceset
from understudy.core.files import write_text
from understudy.core.frames import Float

FOLDER = beside.LABELS
FORMAT = "understudy.label/1"
KINDS = ("polygons", "matte")
EMPTY = 0.02  # the highest value of a matte that has nothing in it

_SUFFIXES = (".json", ".exr")
_MARK = "label"
_MOST = 1000  # polygons
_LARGEST = 16 << 20  # bytes of a file of polygons
_MOMENT = 0.05  # seconds: longer than `write` has a label of another kind beside the new one


@dataclass(frozen=True, kw_only=True, eq=False)
class Label:
    """One face's label.

    Attributes:
        kind: `polygons` or `matte`.
        polygons: in the pixels of `alignment`; of the kind `polygons`.
        matte: (S, S) float32 in [0, 1], 1 on face that is seen, S the size of `alignment`; of the kind `matte`.
        alignment: in which it was drawn.
        origin: what it was made from, for people: a file's name, or `dfl`.
        made_of: digest of that and how it was read; empty where nobody kept it.

    Raises:
        InvalidInput: the kind is another, or what it needs is not there.
    """

    kind: str
    alignment: Alignment
    origin: str
    polygons: tuple[Polygon, ...] = ()
    matte: Float | None = None
    made_of: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InvalidInput(f"label: no kind {self.kind!r}", field="kind", value=self.kind)
        if (self.matte is not None) != (self.kind == "matte") or bool(self.polygons) == (
            self.kind == "matte"
        ):
            raise InvalidInput(
                f"label: of the kind {self.kind}, with {len(self.polygons)} polygons and "
                f"{'a' if self.matte is not None else 'no'} matte",
                field="kind",
                value=self.kind,
            )

    def drawn(self, wanted: Alignment) -> Float:
        """(S, S) float32 in [0, 1]: what it is in another crop of the same face; 0 where it does not reach."""
        if self.matte is not None:
            return beside.moved(self.matte, self.alignment, wanted)
        return draw(self.carried(wanted), (wanted.size, wanted.size))

    def misses(self, wanted: Alignment) -> bool:
        """Whether nothing of it lies in another crop, though there is something of it: that crop is another face's."""
        return not self.drawn(wanted).max() > EMPTY and bool(self.drawn(self.alignment).max() > EMPTY)

    def carried(self, wanted: Alignment) -> tuple[Polygon, ...]:
        """Its polygons in the pixels of another crop of the same face."""
        across = warp.between(self.alignment, wanted)
        if np.allclose(across.matrix, np.eye(2, 3), atol=1e-9):
            return self.polygons
        return tuple(Polygon(include=p.include, points=across.apply(p.points)) for p in self.polygons)


class Labels:
    """The labels of a faceset, folder or pack; a pack's are read only. Any thread may read."""

    def __init__(self, faceset: Faceset) -> None:
        self._faceset = faceset

    def names(self) -> frozenset[str]:
        """The faces that have one: names of their files, with `.exr`. What lies there of other faces is no matter."""
        return beside.faces_of(self._faceset, FOLDER, _SUFFIXES)

    def path(self, record: FaceRecord, kind: str) -> Path:
        """Where a face's label of a kind is, or would be."""
        return self._faceset.path / self._name(record, _SUFFIXES[KINDS.index(kind)])

    def read(self, record: FaceRecord) -> Label | None:
        """A face's label; None if it has none.

        Raises:
            FrameUnreadable: it is there and cannot be read; names the file.
            InvalidInput: it has polygons and a matte.
        """
        text = self._content(record)
        if text is None:
            return None
        if text[0].endswith(".json"):
            return _parsed(text[1], self._faceset.path / text[0])
        found = beside.read_picture(self._faceset, text[0], _MARK)
        if found is None:  # it has gone just now
            return None
        matte, said, alignment = found
        origin, made_of = str(said.get("origin", "")), str(said.get("madeOf", ""))
        return Label(kind="matte", matte=matte, alignment=alignment, origin=origin, made_of=made_of)

    def matte(self, record: FaceRecord, size: int | None = None) -> Float | None:
        """(S, S) float32 in [0, 1] in the face's own crop as it is now, whatever the label's kind; None without one.

        Args:
            record: the face.
            size: of the side in pixels; default: the crop's own.

        Raises:
            FrameUnreadable, InvalidInput: as `read`.
        """
        label = self.read(record)
        wanted = record.alignment
        return None if label is None else label.drawn(beside.scaled(wanted, size or wanted.size))

    def write(self, record: FaceRecord, label: Label) -> Path:
        """Lay it beside its face, in place of any that is there; the file. Atomic.

        Raises:
            InvalidInput: the faceset is a pack; a matte of another size than its alignment, or beyond 0 to 1; anything
                that `read` would refuse: what is there stays.
            WriteFailed, DiskFull: naming the file.
        """
        beside.refuse_pack(self._faceset)
        path = self.path(record, label.kind)
        if label.matte is not None:
            said = {_MARK: 1, "origin": label.origin, "madeOf": label.made_of}
            beside.write_picture(path, label.matte, record, label.alignment, said)
        else:
            write_text(path, _readable(_text(label), path))
        other = next(kind for kind in KINDS if kind != label.kind)
        beside.remove([self.path(record, other)])
        return path

    def clear(self, names: Iterable[str]) -> int:
        """Delete the labels of faces, by the names of their files; how many faces had one.

        Raises:
            InvalidInput: the faceset is a pack.
            WriteFailed: naming the file.
        """
        beside.refuse_pack(self._faceset)
        home = self._faceset.path / FOLDER
        stems = {Path(name).stem for name in names}
        return sum(beside.remove(home / f"{stem}{s}" for s in _SUFFIXES) > 0 for stem in sorted(stems))

    def digest(self, record: FaceRecord) -> str | None:
        """SHA-256 of a face's label as it lies there, in 64 hex digits; None if it has none. Errors as `read`."""
        found = self._content(record)
        return None if found is None else beside.digest(found[1])

    def _name(self, record: FaceRecord, suffix: str) -> str:
        return f"{FOLDER}/{record.path.stem}{suffix}"

    def _content(self, record: FaceRecord) -> tuple[str, bytes] | None:
        """Name and bytes of a face's label."""
        found = self._contents(record)
        if len(found) != 1:  # one of another kind may be taking its place: then we saw both, or none
            time.sleep(_MOMENT if found else 0.0)
            found = self._contents(record)
        if len(found) > 1:
            file = self._faceset.path / found[0][0]
            raise InvalidInput(
                f"{file}: the face has polygons and a matte ({Path(found[1][0]).name}); delete one of them",
                path=file,
                field="label",
                value=record.path.name,
            )
        return found[0] if found else None

    def _contents(self, record: FaceRecord) -> list[tuple[str, bytes]]:
        """Those of both kinds."""
        names = [self._name(record, suffix) for suffix in _SUFFIXES]
        both = [(name, self._faceset.beside(name)) for name in names]
        return [(name, content) for name, content in both if content is not None]


def _text(label: Label) -> str:
    said = {
        "format": FORMAT,
        "origin": label.origin,
        "made_of": label.made_of,
        "alignment": label.alignment.matrix.tolist(),
        "size": label.alignment.size,
        "face_type": label.alignment.face_type,
        "polygons": [
            {"type": "include" if p.include else "exclude", "points": p.points.tolist()}
            for p in label.polygons
        ],
    }
    return json.dumps(said, indent=1) + "\n"


def _readable(text: str, path: Path) -> str:
    """The text, if `read` will take it; raises InvalidInput."""
    try:
        _parsed(text.encode(), path)
    except FrameUnreadable as error:
        raise InvalidInput(error.message, path=path, field="label", value=path.name) from error
    return text


def _parsed(content: bytes, path: Path) -> Label:
    try:
        if len(content) > _LARGEST:
            raise ValueError(f"{len(content)} bytes")
        said = json.loads(content)
        if said["format"] != FORMAT:
            raise ValueError(f"format {said['format']!r}")
        return Label(
            kind="polygons",
            polygons=polygons_of(said["polygons"]),
            alignment=beside.placed(
                {
                    "alignment": json.dumps(said["alignment"]),
                    "size": said["size"],
                    "faceType": said["face_type"],
                }
            ),
            origin=str(said["origin"]),
            made_of=str(said.get("made_of", "")),
        )
    except InvalidInput as error:
        raise FrameUnreadable(f"{path}: not a label: {error.message}", path=path) from error
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise FrameUnreadable(f"{path}: not a label: {error!r}", path=path) from error


def polygons_of(said: Any) -> tuple[Polygon, ...]:
    """From a list of `{"type": "include" or "exclude", "points": [[x, y], …]}`.

    Raises:
        InvalidInput: it is something else; the message says at which polygon.
    """
    if not isinstance(said, list) or not 1 <= len(said) <= _MOST:
        count = len(said) if isinstance(said, list) else "no list"
        raise InvalidInput(f"polygons: {count}; there must be 1 to {_MOST}", field="polygons", value=count)
    return tuple(_polygon(number, each) for number, each in enumerate(said, 1))


def _polygon(number: int, said: Any) -> Polygon:
    kind = said.get("type", "include") if isinstance(said, Mapping) else None
    if not isinstance(said, Mapping) or kind not in ("include", "exclude"):
        raise InvalidInput(
            f"polygons: number {number}: its type is {kind!r}, not include or exclude",
            field="polygons",
            value=number,
        )
    try:
        return Polygon(include=kind == "include", points=np.array(said.get("points"), np.float64))
    except (TypeError, ValueError, OverflowError):
        why = "its points are no pairs of numbers"
    except InvalidInput as error:
        why = error.message.removeprefix("polygon: ")
    raise InvalidInput(f"polygons: number {number}: {why}", field="polygons", value=number)
