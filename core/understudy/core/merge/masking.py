"""The named mattes of a face in aligned space, and the mask that the recipe makes of them.

Each matte has a size of its own: the network's that of the network, labels and segmenters' mattes that of the
faceset's crops. The mask is worked out at the size of the finest matte that it names, so that nothing is lost of a
lock of hair because the swap network is small, and goes to the plate in one piece.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np

from understudy.core import _plugins, align
from understudy.core.colour import ColourConfig
from understudy.core.errors import NotFound
from understudy.core.face import Alignment, Face
from understudy.core.faceset import FaceRecord, Faceset, mattes
from understudy.core.faceset.beside import moved, scaled
from understudy.core.frames import Float
from understudy.core.matte import Draw, Matter, soft
from understudy.core.merge.expression import DST, FACE, FULL, OCC, OCC_FACE, Expression, members
from understudy.core.merge.mattes import as_float, sized
from understudy.core.merge.outline import unoccluded
from understudy.core.weights import WeightStore

if TYPE_CHECKING:
    from understudy.core.segment.network import Segmenter

HULL = "hull"

_DRAWN_SIDE = 1024  # pixels at least
_FINEST = 1024  # pixels at most: more than any segmenter knows, and than a soft edge shows
_OF_NETWORK = (FACE, DST, OCC_FACE)


@dataclass(frozen=True, kw_only=True)
class Spot:
    """A face of the set, and where it goes.

    Attributes:
        record: as the faceset has it.
        face: its face, steadied, plate coordinates.
        alignment: plate px → the model's crop.
    """

    record: FaceRecord
    face: Face
    alignment: Alignment

    @property
    def gain(self) -> float:
        """Exposure of the shot, working space × gain has the face near 0.18."""
        return self.record.gain

    def place(self) -> list[Any]:
        """Landmarks and alignment, as JSON can hold them."""
        points = [[float(v) for v in point] for point in self.face.landmarks.points]
        return [points, [float(v) for v in self.alignment.matrix.ravel()], self.alignment.size]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the swap network saw and said of one crop.

    Attributes:
        plate: (S, S, 3) the crop, scene-linear in the working space.
        face: (S, S, 3) the new face as the network painted it, likewise.
        mattes: name → (S, S) in [0, 1]: `face`, and `dst` where it was asked for.
    """

    plate: Float
    face: Float
    mattes: Mapping[str, Float]


@dataclass(frozen=True, kw_only=True)
class Occlusion:
    """What is seen of the faces of one person: their labels, their mattes, and what a segmenter says.

    Attributes:
        known: names of the faces that have a label or a matte.
    """

    faceset: Faceset
    known: frozenset[str]
    segmenter: Segmenter | None = None

    @classmethod
    def of(cls, faceset: Faceset, segmenter: Segmenter | None = None) -> Occlusion:
        return cls(faceset=faceset, known=mattes.known(faceset), segmenter=segmenter)

    def knows(self, record: FaceRecord) -> bool:
        """Whether there is an `occ` of a face."""
        return self.segmenter is not None or record.path.name in self.known

    def occ(self, record: FaceRecord, wanted: Alignment) -> Float | None:
        """(T, T) in [0, 1], 1 on face that is seen, in the crop `wanted` of the plate: what the faceset has
        (`faceset.mattes.occ`), else the segmenter's, else None.

        Raises:
            FrameMissing, FrameUnreadable, InvalidInput: of a file.
        """
        found = mattes.occ(self.faceset, record, wanted)
        if found is not None or self.segmenter is None:
            return found
        return moved(self.segmenter.of_face(self.faceset, record)[0], record.alignment, wanted)

    def occ_face(self, spot: Spot, face: Float, wanted: Alignment) -> Float:
        """The same of a new face (S, S, 3) in the crop of its spot, which only a segmenter can tell."""
        from understudy.core.segment.network import crop_of

        assert self.segmenter is not None, "settings refuse this"
        config, record = self.segmenter.config, spot.record
        points = spot.face.landmarks.points
        own = align.fit(points, config.face_type, config.resolution, record.pixel_aspect)
        crop = crop_of(face, spot.alignment, own, self.segmenter.curve(record.gain))
        return moved(self.segmenter.mattes(crop[None])[0][0], own, wanted)

    def digest(self, record: FaceRecord) -> str:
        """Names what `occ` is made of, but for the segmenter; raises as `occ`."""
        return (mattes.occ_digest(self.faceset, record) or "") if record.path.name in self.known else ""


@dataclass(frozen=True, kw_only=True)
class Masker:
    """Makes the mattes of faces, and the mask of them. Not for several threads at once.

    Attributes:
        expression: of the recipe.
        size: of the swap network's crops, pixels.
        colour: for members of the family that look at the picture.
        occlusion: what is seen of the faces.
        layered: mattes that are made for their layers too.
        fine: side in pixels of mattes that are not the network's.
        drawn: members of the family `matte` that go by the landmarks alone.
        matters: the others that the expression names.
        sizes: name of each face → bytes of its file.
    """

    expression: Expression
    size: int
    colour: ColourConfig
    occlusion: Occlusion
    layered: frozenset[str]
    fine: int
    drawn: Mapping[str, Draw]
    matters: Mapping[str, Matter]
    sizes: Mapping[str, int]

    @classmethod
    def of(
        cls,
        expression: Expression,
        *,
        size: int,
        colour: ColourConfig,
        occlusion: Occlusion,
        layered: Collection[str] = (),
        store: WeightStore | None = None,
    ) -> Masker:
        """With the members of the family that the expression names, and the hull.

        Raises:
            WeightsMissing, WeightsCorrupt: of a member, or there is no store to ask.
        """
        modules = {name: _plugins.load("matte", name) for name in (HULL, *members(expression.names))}
        drawn = {name: module.draw for name, module in modules.items() if hasattr(module, "draw")}
        others = {name: module for name, module in modules.items() if name not in drawn}
        columns = occlusion.faceset.columns
        return cls(
            expression=expression,
            size=size,
            colour=colour,
            occlusion=occlusion,
            layered=frozenset(layered),
            fine=max(size, min(int(columns.size.max(initial=0)), _FINEST)),
            drawn=drawn,
            matters={name: cast("Matter", module.create(store)) for name, module in others.items()},
            sizes=dict(zip(columns.name.tolist(), columns.file_size.tolist(), strict=True)),
        )

    @property
    def side(self) -> int:
        """Of the mask, pixels."""
        fine = {OCC, OCC_FACE, *self.matters}
        return self.fine if fine.intersection(self.expression.names) else self.size

    @property
    def networks(self) -> frozenset[str]:
        """The mattes it needs of the swap network, or of what that painted."""
        return frozenset(_OF_NETWORK).intersection(self.expression.names)

    @property
    def looks(self) -> bool:
        """Whether the mask goes by a picture: else landmarks and files are enough."""
        return bool(self.networks or self.matters)

    @property
    def wants_occ(self) -> bool:
        """Whether `occ` shapes a frame, by the mask or as a layer."""
        return OCC in self.layered or OCC in self.expression.names

    def made_of(self, spot: Spot) -> list[str | int]:
        """What of the faceset goes into the mattes of a face, as JSON can hold it: its image, its label or matte, and
        how fine the largest crop lets them be.

        Raises:
            FrameUnreadable, InvalidInput: of the label.
        """
        name = spot.record.path.name
        occ = self.occlusion.digest(spot.record) if self.wants_occ else ""
        return [name, self.sizes.get(name, 0), spot.record.digest, occ, self.fine]

    def named(self, spot: Spot, seen: Seen, *, alone: bool = False) -> dict[str, Float]:
        """Name → (R, R) in [0, 1], each at its own size: what the expression names, and unless it is `alone`, what is
        layered, `face` and `hull`. What nothing is known of lacks, where it is layered only.

        Raises:
            NotFound: the expression names `occ`, and the face has neither label nor matte.
            FrameMissing, FrameUnreadable, InvalidInput: of a file.
        """
        others = set() if alone else {HULL, *self.layered}
        found = {**seen.mattes, **self._apart(spot, others.union(self.expression.names))}
        if OCC_FACE in self.expression.names:
            found[OCC_FACE] = self.occlusion.occ_face(spot, seen.face, scaled(spot.alignment, self.fine))
        if self.matters:
            crop = as_float(cv2.resize(seen.plate, (self.fine,) * 2, interpolation=cv2.INTER_CUBIC))
            points = scaled(spot.alignment, self.fine).apply(spot.face.landmarks.points)
            proxy = self.colour.proxy(crop, spot.gain)
            found |= {name: matter.matte(proxy, points) for name, matter in self.matters.items()}
        return found

    def masks(self, named: Mapping[str, Float]) -> Float:
        """(1, M, M) in [0, 1], M is `side`: what comes of the mattes in the recipe's expression; where that names
        `occ`, (2, M, M): and what would come of them if nothing stood before the face.
        """
        wanted = {name: sized(named[name], self.side) for name in self.expression.names}
        mask = self.expression.of(wanted)
        return np.stack([mask, unoccluded(self.expression, wanted)]) if OCC in wanted else mask[None]

    def _apart(self, spot: Spot, wanted: Collection[str]) -> dict[str, Float]:
        """The mattes that owe nothing to a picture of the plate."""
        found: dict[str, Float] = {}
        if FULL in wanted:
            found[FULL] = np.ones((self.side, self.side), np.float32)
        points = spot.alignment.apply(spot.face.landmarks.points) * (self.side / self.size)
        times = max(2, -(-_DRAWN_SIDE // self.side))
        found |= {
            name: soft(draw, points, (self.side,) * 2, times=times)
            for name, draw in self.drawn.items()
            if name in wanted
        }
        if OCC in wanted:
            occ = self.occlusion.occ(spot.record, scaled(spot.alignment, self.fine))
            if occ is not None:
                found[OCC] = occ
            elif OCC in self.expression.names:
                raise missing(self.occlusion.faceset, spot.record.path.name)
        return found


def refuse_unknown(faceset: Faceset, expression: Expression, segmenter: bool) -> None:
    """Refuse a mask that names `occ` of faces of which none has a label or a matte, and without a segmenter.

    Raises:
        NotFound: so it is.
    """
    if OCC in expression.names and not segmenter and not mattes.known(faceset):
        raise missing(faceset, "the person's faces")


def missing(faceset: Faceset, who: str) -> NotFound:
    """The error of a recipe that names `occ` where there is none; `who` is a face, or all of them."""
    return NotFound(
        f"{faceset.path}: {who}: neither a label nor a matte, which the recipe's mask names as {OCC}; apply a "
        "segmenter to the faceset (understudy segment apply), label it, or give the merge a segmenter (--segmenter)",
        path=faceset.path,
        field="recipe.mask",
    )
