"""What an extraction is asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from understudy.core import _plugins, align
from understudy.core.colour import ColourConfig
from understudy.core.errors import InvalidInput
from understudy.core.extract.people import Pick
from understudy.core.extract.station import FAMILIES, Outfit
from understudy.core.plate import Plate
from understudy.core.release import Release
from understudy.core.weights import WeightStore

VERSION = 2  # of what extraction makes of the same settings and frame

_LIMITS: dict[str, tuple[float, float]] = {
    "size": (64, 2048),
    "min_score": (0.0, 1.0),
    "search_every": (1, 48),
    "max_faces": (0, 1000),
    "looks": (1, 64),
    "reference_distance": (0.01, 100.0),
    "workers": (0, 256),
}


@dataclass(frozen=True, kw_only=True)
class ExtractSettings:
    """What to take from where.

    Attributes:
        plate: the frames, and the views of them; its colour space must be named.
        faceset: folder that the faces go to; made when needed, may hold faces of other plates.
        detector, landmarker, pose, identity: members of `detect`, `landmark`, `pose` and `identity`.
        face_type: how much of the head a crop holds (`align.FACE_TYPES`).
        size: side of a crop in pixels, 64 to 2048.
        min_score: confidence of the landmarks, 0 to 1, below which a find is no face.
        release: the release record of the person, kept in the faceset. A src faceset needs one.
        search_every: of so many frames, by their numbers, one is searched wholly; on the others its faces are
            followed. 1 to 48; 1 searches every frame.
        smallest: side in plate pixels, 4 or more, of the smallest face that is looked for; None is 40, or 1/72 of the
            picture's longer side if that is more.
        max_faces: at most so many faces of a view of a frame are kept, the largest; 0 keeps all.
        looks: how many slightly shifted looks a face's landmarks are averaged over, 1 to 64.
        upright_only: do not look for heads that lean more than some 45 degrees.
        pick: when all is done, everybody but the person who stands there is moved to `rejected/`.
        reference: and everybody but who looks like the face in this picture: any image, or a face of a faceset.
        reference_distance: how far a person may be from it, in units of what the identity's makers call another one.
        device: where networks run, as `model.device.pick` takes it; those that know the CPU only run there.
        workers: processes that look for faces at once, on the CPU; 0: as many as pay, on this machine and for this
            number of frames. What they find is the same.
    """

    plate: Plate
    faceset: Path
    detector: str = "blazeface"
    landmarker: str = "facemesh"
    face_type: str = "whole"
    size: int = 512
    min_score: float = 0.7
    release: Release | None = None
    pose: str = "landmarks"
    search_every: int = 8
    smallest: float | None = None
    max_faces: int = 0
    looks: int = 1
    upright_only: bool = False
    identity: str = "appearance"
    pick: Pick | None = None
    reference: Path | None = None
    reference_distance: float = 1.0
    device: str = "auto"
    workers: int = 0

    def __post_init__(self) -> None:
        if not self.plate.colour_space:
            raise InvalidInput(
                f"plate {self.plate.template}: its colour space is not in the files; name it, for example ACEScg",
                field="plate.colour_space",
                value="",
            )
        choices = {field: _plugins.names(family) for field, family in FAMILIES.items()}
        for name, known in {**choices, "face_type": tuple(align.FACE_TYPES)}.items():
            if (value := getattr(self, name)) not in known:
                raise _refused(name, value, f"no {value!r}; there are {', '.join(known)}")
        for name, (low, high) in _LIMITS.items():
            if not low <= (value := getattr(self, name)) <= high:
                raise _refused(name, value, f"{value} is not from {low:g} to {high:g}")
        if self.smallest is not None and not 4.0 <= self.smallest < math.inf:
            raise _refused("smallest", self.smallest, f"{self.smallest} is not 4 pixels or more")
        if self.pick is not None and self.pick.frame not in self.plate.frames:
            raise _refused(
                "pick.frame", self.pick.frame, f"frame {self.pick.frame} is not in {self.plate.frames}"
            )
        if self.reference is not None and not self.reference.is_file():
            raise _refused("reference", self.reference, f"there is no file {self.reference}")
        if self.faceset.exists() and not self.faceset.is_dir():
            raise InvalidInput(f"faceset: {self.faceset} is a file", path=self.faceset, field="faceset")

    def outfit(self, store: WeightStore, colour: ColourConfig) -> Outfit:
        """What to look for faces with. Raises InvalidInput: the config has no such colour space."""
        assert self.plate.colour_space is not None
        return Outfit(
            plate=self.plate,
            space=colour.resolve(self.plate.colour_space),
            colour=colour,
            store=store,
            device=self.device,
            detector=self.detector,
            landmarker=self.landmarker,
            pose=self.pose,
            identity=self.identity,
            looks=self.looks,
            face_type=self.face_type,
            size=self.size,
            most=self.max_faces,
            min_score=self.min_score,
            smallest=self.smallest,
            upright_only=self.upright_only,
        )

    def recipe(self, outfit: Outfit) -> list[object]:
        """All of it that decides what a frame's faces are, as JSON can hold it.

        Not the release, which is the faceset's: it may be attached when all is extracted.
        """
        chosen = (self.detector, self.landmarker, self.pose, self.identity, self.face_type, self.size)
        how = (
            self.min_score,
            self.search_every,
            self.smallest,
            self.max_faces,
            self.looks,
            self.upright_only,
        )
        made_of = [VERSION, self.plate.template.text, outfit.space, outfit.colour.cache_id, *outfit.weights()]
        return [*made_of, *chosen, *how]


def _refused(field: str, value: object, why: str) -> InvalidInput:
    return InvalidInput(f"{field}: {why}", field=field, value=value)
