"""What a merge is told. Imports no torch: the daemon's server process checks requests with it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from understudy.core.enhance import TRAINED
from understudy.core.errors import InvalidInput, meant
from understudy.core.frames import FrameRange
from understudy.core.merge import enhancing, layers
from understudy.core.merge.expression import OCC, OCC_FACE
from understudy.core.merge.recipe import Recipe
from understudy.core.plate import Plate, Template

if TYPE_CHECKING:
    from understudy.core.faceset import Faceset

Use = Literal["limit", "add", "keep"]
MOST_PEOPLE = 8
_NAME = re.compile(
    r"[a-z][a-z0-9_]{0,11}"
)  # of a person: the first part of a layer's name, which hosts read so
_LONGEST_CHANNEL = 31  # characters: older readers take no more


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
                f"user_mattes: use {self.use!r} is none of {', '.join(get_args(Use))}{meant(self.use, get_args(Use))}",
                field="user_mattes.use",
                value=self.use,
            )

    def speaks(self, number: int) -> bool:
        """Whether it has a say on a frame."""
        return self.frames is None or number in self.frames


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody in the plate, and the face that they are given.

    Attributes:
        name: a small letter, then small letters, digits and `_`, 12 at most; the first part of their layers' names.
            May be empty where nobody else is swapped.
        faceset: folder of the performance, extracted from the plate. Several people may share one.
        model: folder of the swap model; its releases must hold on the day of the merge. People may share one too.
        recipe: the look.
        track: which person, where the faceset holds several.
        segmenter: folder of one, for `occ` of faces that have neither label nor matte, and for `occ_face`.
        enhancer: folder of one, for the look's super_resolution `trained`; its releases must hold as the model's do.
        user_mattes: mattes in plate space by which a person says where this face goes.
    """

    name: str = ""
    faceset: Path
    model: Path
    recipe: Recipe = field(default_factory=Recipe)
    track: int | None = None
    segmenter: Path | None = None
    enhancer: Path | None = None
    user_mattes: tuple[UserMatte, ...] = ()

    def __post_init__(self) -> None:
        if self.name and not _NAME.fullmatch(self.name):
            raise InvalidInput(
                f"name: {self.name!r} must be a small letter, then small letters, digits and _, 12 at most: layers "
                "are named by it",
                field="name",
                value=self.name,
            )
        if OCC_FACE in self.recipe.expression.names and self.segmenter is None:
            raise InvalidInput(
                self.saying(
                    f"segmenter: the recipe's mask {self.recipe.mask!r} names {OCC_FACE}, what a segmenter says of "
                    "the new face; name a segmenter"
                ),
                field="segmenter",
                value="",
            )

        if self.enhancer is None and TRAINED in enhancing.asked(self.recipe):
            text = (
                f"enhancer: the recipe's super_resolution is {TRAINED}, a network of yours; name its folder"
            )
            raise InvalidInput(self.saying(text), field="enhancer", value="")

    @property
    def there_are(self) -> tuple[str, ...]:
        """The layers that there may be of them, in order, by their own names."""
        return layers.there_are(self.recipe.expression)

    def saying(self, message: str) -> str:
        """The message, with whom it is about."""
        return f"{self.name}: {message}" if self.name else message


@dataclass(frozen=True, kw_only=True)
class MergeSettings:
    """One merge of some people in one plate, in all the views of it that `plate.views_of` gives.

    Attributes:
        plate: what is worked on; its colour space must be named.
        people: who is given which face, 1 to 8. Of two who overlap, the later one lies over the earlier.
        out: where the frames go: `.exr`, or `.dpx` for a DPX plate (layers then in a sibling EXR sequence). With
            `%V`, a file for each view, where the plate has it, and only there.
        frames: which frames are written, among those of the plate; None: all of them. What is fitted over the
            shot is always fitted over the whole facesets.
        layers: which of the compositor's layers are written, where any is, those that the published rule needs among
            them: of `layers.ALL` and `mask_` with each matte that a recipe names. None: all that there are. With
            none of them a frame with no face is copied as it is.
        aligned: whether the faces and mattes at model resolution are written, in the folder `aligned`.
        again: whether frames that are there and made of the same are made again.
        analyse_only: whether only what is fitted over the shot is written, and no frame.
        device: `auto`, `cpu`, `cuda`, `cuda:N`.
        on: the day for which releases are checked.
    """

    plate: Plate
    people: tuple[Person, ...]
    out: Template
    frames: FrameRange | None = None
    layers: tuple[str, ...] | None = None
    aligned: bool = False
    again: bool = False
    analyse_only: bool = False
    device: str = "auto"
    on: date = field(default_factory=date.today)

    def __post_init__(self) -> None:
        if not self.plate.colour_space:
            raise InvalidInput(
                f"plate {self.plate.template.text}: its colour space is not in the files; name it",
                field="plate.colour_space",
                value="",
            )
        self._check_out()
        self._check_people()
        there = tuple(dict.fromkeys(name for person in self.people for name in person.there_are))
        if strange := [name for name in self.layers or () if name not in there]:
            masks = ", ".join(dict.fromkeys(repr(person.recipe.mask) for person in self.people))
            raise InvalidInput(
                f"layers: there is no {strange[0]!r} with the mask {masks}; there are {', '.join(there)}"
                f"{meant(strange[0], there)}",
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

    def _check_out(self) -> None:
        """Whether a plate of this kind can be written so."""
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

    def _check_people(self) -> None:
        """Each one somebody else, and each layer one person's."""
        if not 1 <= len(self.people) <= MOST_PEOPLE:
            raise InvalidInput(
                f"people: {len(self.people)}; there must be 1 to {MOST_PEOPLE}",
                field="people",
                value=len(self.people),
            )
        if len(self.people) == 1:
            return
        names: set[str] = set()
        tracks: dict[tuple[Path, int | None], str] = {}
        whose: dict[str, str] = {}
        for index, person in enumerate(self.people):
            self._check_name(index, names)
            other = tracks.setdefault((_real(person.faceset), person.track), person.name)
            if other != person.name:
                raise _same_person(person, other)
            for name in person.there_are:
                other = whose.setdefault(self.prefix(index) + name, person.name)
                if other != person.name:
                    raise InvalidInput(
                        f"name: {person.name!r} has a layer {self.prefix(index) + name}, and {other!r} too; give one "
                        "of them another name",
                        field="name",
                        value=person.name,
                    )

    def _check_name(self, index: int, names: set[str]) -> None:
        """Somebody beside others, of whom `names` are taken, has a name of their own, short enough for channels."""
        person = self.people[index]
        if not person.name or person.name in names:
            said = f"{person.name!r} is another person's" if person.name else f"person {index + 1} has none"
            raise InvalidInput(
                f"name: {said}; each of several people needs one", field="name", value=person.name
            )
        names.add(person.name)
        longest = max((self.prefix(index) + name for name in layers.channels(person.there_are)), key=len)
        if len(longest) > _LONGEST_CHANNEL:
            raise InvalidInput(
                f"name: {person.name!r} makes the channel {longest}, of {len(longest)} characters; readers take "
                f"{_LONGEST_CHANNEL}: a shorter name",
                field="name",
                value=person.name,
            )

    def _check_apart(self) -> None:
        """The output must not be, or lie among, what it is made from."""
        for name, template in self._sequences():
            if len(self.wanted):
                first = next(iter(self.wanted))
                alike = _alike(template, self.out)
                if alike or _real(template.path(first)) == _real(self.out.path(first)):
                    but = ", but for its padding" if alike and template.width != self.out.width else ""
                    raise InvalidInput(
                        f"out {self.out.text}: is the {name} itself{but}; write to another folder or name",
                        field="out",
                        value=self.out.text,
                    )
        folder = _real(self.out.path(0).parent)
        for person in self.people:
            for name in ("faceset", "model", "segmenter", "enhancer"):
                taken: Path | None = getattr(person, name)
                if taken is not None and folder.is_relative_to(_real(taken)):
                    raise InvalidInput(
                        f"out {self.out.text}: lies inside the {name} folder {taken}; write to another folder",
                        field="out",
                        value=self.out.text,
                    )

    def _sequences(self) -> Iterator[tuple[str, Template]]:
        """The frames that are read, and what they are."""
        yield "plate", self.plate.template
        for person in self.people:
            yield from (("user's matte", matte.template) for matte in person.user_mattes)

    @property
    def several(self) -> bool:
        """Whether people have to be told apart."""
        return len(self.people) > 1

    @property
    def wanted(self) -> FrameRange:
        """The frames to write."""
        return self.plate.frames if self.frames is None else self.frames

    @property
    def layered(self) -> bool:
        """Whether any layer is written."""
        return self.layers is None or bool(self.layers)

    def prefix(self, index: int) -> str:
        """What the layers' names of a person begin with: the first one's are plain."""
        return f"{self.people[index].name}_" if index else ""

    def shown(self, index: int = 0, *, occ: bool = False) -> tuple[str, ...]:
        """The layers that a finished frame has of a person, in order, by their own names.

        Args:
            index: which person.
            occ: some face of theirs has a label or a matte.
        """
        if not self.layered:
            return ()
        person = self.people[index]
        asked = {*(person.there_are if self.layers is None else self.layers), *layers.NEEDED}
        uses = {layers.BY_HAND[matte.use] for matte in person.user_mattes}
        absent = {*layers.BY_HAND.values()} - uses
        if not occ and OCC not in person.recipe.expression.names:
            absent.add(f"mask_{OCC}")
        if not person.recipe.ever("grain"):
            absent.add("grain")
        return tuple(name for name in person.there_are if name in asked and name not in absent)

    @property
    def dpx(self) -> bool:
        """Whether finished frames are DPX."""
        return _extension(self.out) == ".dpx"


def refuse_twice(people: Sequence[tuple[Person, Faceset]]) -> None:
    """Refuse two names for one person: the same faces of the same faceset.

    Args:
        people: each with the faces that were chosen.

    Raises:
        InvalidInput: so it is.
    """
    taken: dict[tuple[Path, int], str] = {}
    for person, faces in people:
        for track in set(faces.columns.track.tolist()):
            other = taken.setdefault((_real(person.faceset), track), person.name)
            if other != person.name:
                raise _same_person(person, other)


def _same_person(person: Person, other: str) -> InvalidInput:
    """The error of somebody who is given two faces; `other` is their other name."""
    which = "" if person.track is None else f", track {person.track}"
    return InvalidInput(
        f"track: {person.name} is the same person as {other} ({person.faceset}{which}); nobody can wear two faces",
        field="track",
        value="" if person.track is None else person.track,
    )


def _extension(template: Template) -> str:
    return template.path(0).suffix.lower()


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _alike(one: Template, other: Template) -> bool:
    """Whether two sequences have one name, however wide their numbers: `p.#.exr` and `p.####.exr` share frame 1001."""
    named = (one.prefix, one.suffix) == (other.prefix, other.suffix)
    return named and _real(one.directory) == _real(other.directory)
