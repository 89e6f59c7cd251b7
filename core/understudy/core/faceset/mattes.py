"""What a segmenter makes of the faces: mattes, in the folder `mattes/` of a faceset, by the names of the faces.

`mattes/<stem>.exr` has one channel A, half float, as large as the face's crop, 1 on face that is seen. It says which
segmenter made it of what, how sure that was, and in which alignment. Who deletes the folder loses what can be made
again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from understudy.core.errors import FrameUnreadable, InvalidInput
from understudy.core.face import Alignment
from understudy.core.faceset import beside
from understudy.core.faceset.labels import Labels
from understudy.core.faceset.record import FaceRecord
from understudy.core.faceset.store import Faceset
from understudy.core.frames import Float

FOLDER = beside.MATTES

_SUFFIX = ".exr"
_MARK = "matte"


@dataclass(frozen=True, kw_only=True, eq=False)
class Matte:
    """One face's matte.

    Attributes:
        matte: (S, S) float32 in [0, 1], 1 on face that is seen, S the size of `alignment`.
        confidence: of the segmenter in it, 0 to 1.
        segmenter: digest of its weights; `dfl` of what DeepFaceLab's XSeg made.
        made_of: digest of segmenter and face: what it would be made of again.
        alignment: in which it was made.

    Raises:
        InvalidInput: the confidence is not from 0 to 1.
    """

    matte: Float
    confidence: float
    segmenter: str
    made_of: str
    alignment: Alignment

    def __post_init__(self) -> None:
        if not 0.0 <= self.confidence <= 1.0:
            raise InvalidInput(
                f"matte: confidence {self.confidence} is not from 0 to 1",
                field="confidence",
                value=self.confidence,
            )


class Mattes:
    """The mattes of a faceset, folder or pack; a pack's are read only. Any thread may read."""

    def __init__(self, faceset: Faceset) -> None:
        self._faceset = faceset

    def names(self) -> frozenset[str]:
        """The faces that have one: names of their files, with `.exr`. What lies there of other faces is no matter."""
        return beside.faces_of(self._faceset, FOLDER, (_SUFFIX,))

    def path(self, record: FaceRecord) -> Path:
        """Where a face's matte is, or would be."""
        return self._faceset.path / _name(record)

    def read(self, record: FaceRecord) -> Matte | None:
        """A face's matte; None if it has none.

        Raises:
            FrameUnreadable: it is there and cannot be read; names the file.
        """
        found = beside.read_picture(self._faceset, _name(record), _MARK)
        if found is None:
            return None
        matte, said, alignment = found
        confidence, segmenter, made_of = _said(said, self.path(record))
        return Matte(
            matte=matte, confidence=confidence, segmenter=segmenter, made_of=made_of, alignment=alignment
        )

    def matte(self, record: FaceRecord, size: int | None = None) -> Float | None:
        """(S, S) float32 in [0, 1] in the face's own crop as it is now; None without one.

        Args:
            record: the face.
            size: of the side in pixels; default: the crop's own.

        Raises:
            FrameUnreadable: as `read`.
        """
        found = self.read(record)
        wanted = beside.scaled(record.alignment, size or record.alignment.size)
        return None if found is None else beside.moved(found.matte, found.alignment, wanted)

    def write(self, record: FaceRecord, matte: Matte) -> Path:
        """Lay it beside its face, in place of any that is there; the file. Atomic.

        Raises:
            InvalidInput: the faceset is a pack; a matte of another size than its alignment, or beyond 0 to 1.
            WriteFailed, DiskFull: naming the file.
        """
        beside.refuse_pack(self._faceset)
        said = {
            _MARK: 1,
            "confidence": json.dumps(matte.confidence),
            "segmenter": matte.segmenter,
            "madeOf": matte.made_of,
        }
        beside.write_picture(self.path(record), matte.matte, record, matte.alignment, said)
        return self.path(record)

    def clear(self, names: Iterable[str]) -> int:
        """Delete the mattes of faces, by the names of their files; how many faces had one.

        Raises:
            InvalidInput: the faceset is a pack.
            WriteFailed: naming the file.
        """
        beside.refuse_pack(self._faceset)
        home = self._faceset.path / FOLDER
        return beside.remove(
            home / f"{stem}{_SUFFIX}" for stem in sorted({Path(name).stem for name in names})
        )

    def about(self, record: FaceRecord) -> tuple[float, str] | None:
        """Confidence and `made_of` of a face's matte, from its header; None if it has none. Errors as `read`."""
        said = beside.header(self._faceset, _name(record), _MARK)
        if said is None:
            return None
        confidence, _, made_of = _said(said, self.path(record))
        return confidence, made_of

    def digest(self, record: FaceRecord) -> str | None:
        """SHA-256 of a face's matte as it lies there, in 64 hex digits; None if it has none. Errors as `read`."""
        return beside.digest(self._faceset.beside(_name(record)))


def known(faceset: Faceset) -> frozenset[str]:
    """Names of the faces that have a label or a matte."""
    return Labels(faceset).names() | Mattes(faceset).names()


def occ(faceset: Faceset, record: FaceRecord, wanted: Alignment) -> Float | None:
    """The face that is seen, (S, S) float32 in [0, 1] in the crop `wanted` of the plate: its label, else its matte.

    0 beyond what they were made of; None without either. A label that lies beside the face is another's.

    Args:
        faceset: folder or pack.
        record: a face of it.

    Raises:
        FrameUnreadable, InvalidInput: as `Labels.read`, `Mattes.read`.
    """
    if (label := Labels(faceset).read(record)) is not None:
        drawn = label.drawn(wanted)
        if drawn.any() or not label.misses(record.alignment):
            return drawn
    found = Mattes(faceset).read(record)
    return None if found is None else beside.moved(found.matte, found.alignment, wanted)


def occ_digest(faceset: Faceset, record: FaceRecord) -> str | None:
    """SHA-256 of the file that `occ` would read, so that who keeps what was made of it notices another; or None."""
    label = Labels(faceset).digest(record)
    return label if label is not None else Mattes(faceset).digest(record)


def _name(record: FaceRecord) -> str:
    return f"{FOLDER}/{record.path.stem}{_SUFFIX}"


def _said(entries: dict[str, Any], path: Path) -> tuple[float, str, str]:
    """Confidence, segmenter and `made_of` of a header's entries; raises FrameUnreadable."""
    try:
        confidence = float(json.loads(entries["confidence"]))
        if not 0.0 <= confidence <= 1.0:
            raise ValueError(f"confidence {confidence}")
        return confidence, str(entries["segmenter"]), str(entries["madeOf"])
    except (KeyError, TypeError, ValueError) as error:
        raise FrameUnreadable(f"{path}: not a matte of a face: {error!r}", path=path) from error
