"""What a merge is told. Imports no torch: the daemon's server process checks requests with it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from understudy.core.errors import InvalidInput
from understudy.core.frames import FrameRange
from understudy.core.merge import layers
from understudy.core.merge.recipe import Recipe
from understudy.core.plate import Plate, Template


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
        layers: which of the compositor's layers are written (`layers.ALL`), where any is, those that the published
            rule needs among them; with none a frame with no face is copied as it is.
        aligned: whether the faces and mattes at model resolution are written, in the folder `aligned`.
        track: which person, where the faceset holds several.
        user_matte: a roto in plate space that limits the swap: alpha, or R where there is none. One without views is
            for all views alike.
        device: `auto`, `cpu`, `cuda`, `cuda:N`.
        on: the day for which releases are checked.
    """

    plate: Plate
    faceset: Path
    model: Path
    out: Template
    recipe: Recipe = field(default_factory=Recipe)
    frames: FrameRange | None = None
    layers: tuple[str, ...] = layers.ALL
    aligned: bool = False
    track: int | None = None
    user_matte: Template | None = None
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
        if strange := [name for name in self.layers if name not in layers.ALL]:
            raise InvalidInput(
                f"layers: there is no {strange[0]!r}; there are {', '.join(layers.ALL)}",
                field="layers",
                value=strange[0],
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
        inputs = {"plate": self.plate.template, "user_matte": self.user_matte}
        for name, template in inputs.items():
            if template and len(self.wanted):
                first = next(iter(self.wanted))
                if _real(template.path(first)) == _real(self.out.path(first)):
                    raise InvalidInput(
                        f"out {self.out.text}: is the {name} itself; write to another folder or name",
                        field="out",
                        value=self.out.text,
                    )
        folder = _real(self.out.path(0).parent)
        for name, taken in {"faceset": self.faceset, "model": self.model}.items():
            if folder.is_relative_to(_real(taken)):
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
    def shown(self) -> tuple[str, ...]:
        """The layers that a finished frame has, in order."""
        asked = {*self.layers, *layers.NEEDED} if self.layers else set()
        return tuple(
            name for name in layers.ALL if name in asked and (name != "mask_user" or self.user_matte)
        )

    @property
    def dpx(self) -> bool:
        """Whether finished frames are DPX."""
        return _extension(self.out) == ".dpx"


def _extension(template: Template) -> str:
    return template.path(0).suffix.lower()


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
