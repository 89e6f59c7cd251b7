"""What a merge is told. Imports no torch: the daemon's server process checks requests with it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Literal, get_args

from understudy.core.errors import InvalidInput
from understudy.core.frames import FrameRange
from understudy.core.merge import layers
from understudy.core.merge.expression import OCC, OCC_FACE
from understudy.core.merge.recipe import Recipe
from understudy.core.plate import Plate, Template

Use = Literal["limit", "add", "keep"]


@dataclass(frozen=True, kw_only=True)
class UserMatte:
    """A person's word on where the face goes: a matte in plate space.

    It comes after the recipe's erosion and feathering. Of one use there may be several: all of the limits hold, and
    any of the others is enough.

    Attributes:
        template: its files; one without views is for all views alike.
        use: `limit`: the face goes nowhere else; `add`: it goes here whatever the other mattes say, as far as there
            is any face; `keep`: the plate stays here.
        channel: which; empty: as `plate.mattes.read_matte` chooses.
        invert: the files are 1 outside and 0 inside.
        frames: on which it has a say, and on each of them there must be a file; None: on all.
    """

    template: Template
    use: Use = "limit"
    channel: str = ""
    invert: bool = False
    frames: FrameRange | None = None

    def __post_init__(self) -> None:
        if self.use not in get_args(Use):
            raise InvalidInput(
                f"user_mattes: use {self.use!r} is none of {', '.join(get_args(Use))}",
                field="user_mattes.use",
                value=self.use,
            )

    def speaks(self, number: int) -> bool:
        """Whether it has a say on a frame."""
        return self.frames is None or number in self.frames


@dataclass(frozen=True, kw_only=True)
class MergeSettings:
    """One merge of one person in one plate, in all the views of it that `plate.views_of` gives.

    Attributes:
        plate: what is worked on; its colour space must be named.
        faceset: folder of the performance, extracted from this plate.
        model: folder of the swap model; its releases must hold on the day `on`.
        out: where the frames go: `.exr`, or `.dpx` for a DPX plate (layers then in a sibling EXR sequence). With
            `%V`, a file for each view, where the plate has it, and only there.
        recipe: the look.
        frames: which frames are written, among those of the plate; None: all of them. What is fitted over the
            shot is always fitted over the whole faceset.
        layers: which of the compositor's layers are written, where any is, those that the published rule needs among
            them: of `layers.ALL` and `mask_` with each matte that the recipe names. None: all that there are. With
            none of them a frame with no face is copied as it is.
        aligned: whether the faces and mattes at model resolution are written, in the folder `aligned`.
        track: which person, where the faceset holds several.
        segmenter: folder of one, for `occ` of faces that have neither label nor matte, and for `occ_face`.
        user_mattes: mattes in plate space by which a person says where the face goes.
        device: `auto`, `cpu`, `cuda`, `cuda:N`.
        on: the day for which releases are checked.
    """

    plate: Plate
    faceset: Path
    model: Path
    out: Template
    recipe: Recipe = field(default_factory=Recipe)
    frames: FrameRange | None = None
    layers: tuple[str, ...] | None = None
    aligned: bool = False
    track: int | None = None
    segmenter: Path | None = None
    user_mattes: tuple[UserMatte, ...] = ()
    device: str = "auto"
    on: date = field(default_factory=date.today)

    def __post_init__(self) -> None:
        if not self.plate.colour_space:
            raise InvalidInput(
                f"plate {self.plate.template.text}: its colour space is not in the files; name it",
                field="plate.colour_space",
                value="",
            )
        kind, plate_kind = _extension(self.out), _extension(self.plate.template)
        if kind not in (".exr", ".dpx") or (kind == ".dpx" and plate_kind != ".dpx"):
            raise InvalidInput(
                f"out {self.out.text}: must end in .exr, or in .dpx where the plate is DPX",
                field="out",
                value=self.out.text,
            )
        if self.out.has_view != self.plate.template.has_view:
            given, lacking = ("out", "the plate") if self.out.has_view else ("the plate", "out")
            raise InvalidInput(
                f"out {self.out.text}: {given} has %V, {lacking} has not; views that have files of their own are "
                "written to files of their own",
                field="out",
                value=self.out.text,
            )
        there = layers.there_are(self.recipe.expression)
        if strange := [name for name in self.layers or () if name not in there]:
            raise InvalidInput(
                f"layers: there is no {strange[0]!r} with the mask {self.recipe.mask!r}; there are {', '.join(there)}",
                field="layers",
                value=strange[0],
            )
        if OCC_FACE in self.recipe.expression.names and self.segmenter is None:
            raise InvalidInput(
                f"segmenter: the recipe's mask {self.recipe.mask!r} names {OCC_FACE}, what a segmenter says of "
                "the new face; name a segmenter",
                field="segmenter",
                value="",
            )
        if stray := [n for n in self.wanted if n not in self.plate.frames]:
            raise InvalidInput(
                f"frames: {stray[0]} is not among the plate's {self.plate.frames}",
                field="frames",
                value=stray[0],
            )
        self._check_apart()

    def _check_apart(self) -> None:
        """The output must not be, or lie among, what it is made from."""
        inputs = [("plate", self.plate.template), *(("user's matte", m.template) for m in self.user_mattes)]
        for name, template in inputs:
            if len(self.wanted):
                first = next(iter(self.wanted))
                if _real(template.path(first)) == _real(self.out.path(first)):
                    raise InvalidInput(
                        f"out {self.out.text}: is the {name} itself; write to another folder or name",
                        field="out",
                        value=self.out.text,
                    )
        folder = _real(self.out.path(0).parent)
        folders = {"faceset": self.faceset, "model": self.model, "segmenter": self.segmenter}
        for name, taken in folders.items():
            if taken is not None and folder.is_relative_to(_real(taken)):
                raise InvalidInput(
                    f"out {self.out.text}: lies inside the {name} folder {taken}; write to another folder",
                    field="out",
                    value=self.out.text,
                )

    @property
    def wanted(self) -> FrameRange:
        """The frames to write."""
        return self.plate.frames if self.frames is None else self.frames

    @property
    def layered(self) -> bool:
        """Whether any layer is written."""
        return self.layers is None or bool(self.layers)

    def shown(self, *, occ: bool = False) -> tuple[str, ...]:
        """The layers that a finished frame has, in order; `occ`: some face of the person has a label or a matte."""
        if not self.layered:
            return ()
        there = layers.there_are(self.recipe.expression)
        asked = {*(there if self.layers is None else self.layers), *layers.NEEDED}
        uses = {layers.BY_HAND[matte.use] for matte in self.user_mattes}
        absent = {*layers.BY_HAND.values()} - uses
        if not occ and OCC not in self.recipe.expression.names:
            absent.add(f"mask_{OCC}")
        return tuple(name for name in there if name in asked and name not in absent)

    @property
    def dpx(self) -> bool:
        """Whether finished frames are DPX."""
        return _extension(self.out) == ".dpx"


def _extension(template: Template) -> str:
    return template.path(0).suffix.lower()


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
