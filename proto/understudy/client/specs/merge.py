"""The spec of a merge: one person in a plate, or several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from understudy.client.specs.parts import Frames, PathLike, Plate, UserMatte, absolute, plate, segments
from understudy.v1 import job_pb2 as pb
from understudy.v1.recipe_pb2 import Recipe


@dataclass(frozen=True)
class Person:
    """Somebody in the plate, and the face that they are given.

    Attributes:
        faceset: folder of the performance, extracted from the plate; several people may share one.
        model: folder of the swap model.
        look: None is the default one.
        track: which person of the faceset, where it holds several.
        segmenter: folder of one, where the look's mask names `occ_face`, or `occ` of faces that have no matte.
        enhancer: folder of one, where the look's super_resolution is `trained`.
        user_mattes: mattes in plate space by which a person says where this face goes.
        name: a small letter, then small letters, digits and `_`; needed where there are several people.
    """

    faceset: PathLike
    model: PathLike
    look: Recipe | None = None
    track: int | None = None
    segmenter: PathLike = ""
    enhancer: PathLike = ""
    user_mattes: Sequence[UserMatte] = ()
    name: str = ""

    def message(self) -> pb.Swap:
        return pb.Swap(
            name=self.name,
            faceset=absolute(self.faceset),
            track=self.track,
            model=absolute(self.model),
            recipe=self.look or Recipe(),
            segmenter=absolute(self.segmenter),
            enhancer=absolute(self.enhancer),
            user_mattes=[matte.message() for matte in self.user_mattes],
        )


def merge(
    given: PathLike | Plate,
    faceset: PathLike,
    model: PathLike,
    output: PathLike,
    *,
    look: Recipe | None = None,
    frames: Frames = None,
    track: int | None = None,
    layers: bool | Sequence[str] = True,
    aligned: bool = False,
    segmenter: PathLike = "",
    enhancer: PathLike = "",
    user_mattes: Sequence[UserMatte] = (),
    device: str = "",
    contact_sheet: bool = True,
    again: bool = False,
    analyse_only: bool = False,
) -> pb.JobSpec:
    """A plate, its faceset and a model become finished frames: `merge_people` of one `Person`."""
    person = Person(
        faceset,
        model,
        look=look,
        track=track,
        segmenter=segmenter,
        enhancer=enhancer,
        user_mattes=user_mattes,
    )
    return merge_people(
        given,
        [person],
        output,
        frames=frames,
        layers=layers,
        aligned=aligned,
        device=device,
        contact_sheet=contact_sheet,
        again=again,
        analyse_only=analyse_only,
    )


def merge_people(
    given: PathLike | Plate,
    people: Sequence[Person],
    output: PathLike,
    *,
    frames: Frames = None,
    layers: bool | Sequence[str] = True,
    aligned: bool = False,
    device: str = "",
    contact_sheet: bool = True,
    again: bool = False,
    analyse_only: bool = False,
) -> pb.JobSpec:
    """Every person in a plate gets a face, in one pass; of two who overlap, the later one lies over the earlier.

    Args:
        frames: limits what is written, not what is fitted over the shot.
        layers: names of those to write; True is all, False none.
        aligned: also the faces and mattes at model resolution.
        device: `auto`, `cpu`, `cuda`, `cuda:N`.
        again: make frames again that are there and made of the same.
        analyse_only: only fit what is fitted over the shot, for chunks to find; no frame is written.
    """
    spec = pb.MergeSpec(
        plate=plate(given),
        swaps=[person.message() for person in people],
        output=absolute(output),
        no_layers=not layers,
        layers=() if isinstance(layers, bool) else layers,
        aligned=aligned,
        device=device,
        no_contact_sheet=not contact_sheet,
        again=again,
        analyse_only=analyse_only,
        frames=segments(frames),
    )
    return pb.JobSpec(merge=spec)
