"""The spec of a merge: the people in a plate, what each of them is given, and what is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from types import MappingProxyType

from understudy.core import release
from understudy.core.enhance import TRAINED
from understudy.core.errors import InvalidInput, said_by
from understudy.core.faceset import Faceset
from understudy.core.frames import FrameRange
from understudy.core.merge import enhancing, expression, masking
from understudy.core.merge.settings import MOST_PEOPLE, MergeSettings, Person, Use, UserMatte, refuse_twice
from understudy.core.model import store as models
from understudy.core.plate import Plate, Template
from understudy.daemon.decode import enhance, families, recipes
from understudy.daemon.decode.inputs import person_of
from understudy.daemon.decode.segment import segmenter_of
from understudy.daemon.decode.settings import Merge, Work
from understudy.daemon.outputs import Output
from understudy.daemon.refs import Refs, device, named
from understudy.v1 import job_pb2

_USES: Mapping[int, Use] = MappingProxyType(
    {
        job_pb2.USER_MATTE_USE_UNSPECIFIED: "limit",
        job_pb2.USER_MATTE_USE_LIMIT: "limit",
        job_pb2.USER_MATTE_USE_ADD: "add",
        job_pb2.USER_MATTE_USE_KEEP: "keep",
    }
)
_SWAPS = "merge.swaps"
_OURS = {name: f"swaps.{name}" for name in ("name", "faceset", "model", "track", "segmenter", "enhancer")}


def merge(spec: job_pb2.MergeSpec, refs: Refs) -> Work:
    check_count(spec)
    out = refs.sequence_out(spec.output, "merge.output")
    plate = refs.plate(spec.plate, "merge.plate")
    for view in plate.views if out.has_view else ():  # the folder of a view may be a link
        refs.site.roots.writable(out.of_view(view).path(0), "merge.output")
    frames = refs.frames(spec.frames, "merge.frames")
    settings = settings_of(spec, plate, out, refs, frames)
    return Work(
        settings=Merge(
            core=settings, contact_sheet=not (spec.no_contact_sheet or spec.no_layers or spec.analyse_only)
        ),
        outputs=(Output.of_sequence(out, frames or plate.frames),),
        label=f"merge {Path(out.hashes).name}",
    )


def check_count(spec: job_pb2.MergeSpec) -> None:
    """Refuse a merge of nobody, or of too many: before any of its paths is looked at."""
    if not 1 <= len(spec.swaps) <= MOST_PEOPLE:
        raise InvalidInput(
            f"{_SWAPS}: {len(spec.swaps)} entries; there must be 1 to {MOST_PEOPLE}",
            field=_SWAPS,
            value=len(spec.swaps),
        )


def settings_of(
    spec: job_pb2.MergeSpec, plate: Plate, out: Template, refs: Refs, frames: FrameRange | None = None
) -> MergeSettings:
    """What a merge of a plate is told; releases and people are checked.

    Raises:
        InvalidInput, PathNotAllowed, NotFound, …: as the decoding of a job.
    """
    if spec.no_layers and spec.layers:
        raise InvalidInput(
            f"merge.layers: {', '.join(spec.layers)} are asked for, and no_layers too",
            field="merge.layers",
            value=",".join(spec.layers),
        )
    people = tuple(_person(swap, refs) for swap in spec.swaps)
    where = device(spec.device, "merge.device")
    with named("merge", {"out": "output", "people": "swaps", **_OURS}):
        settings = MergeSettings(
            plate=plate,
            people=people,
            out=out,
            frames=frames,
            layers=() if spec.no_layers else tuple(spec.layers) or None,
            aligned=spec.aligned,
            again=spec.again,
            analyse_only=spec.analyse_only,
            device=where,
        )
    _check_people(people, plate, settings.on, refs)
    return settings


def _person(swap: job_pb2.Swap, refs: Refs) -> Person:
    """One of them, by what the request says alone."""
    with said_by(lambda message: f"{swap.name}: {message}" if swap.name else message):
        faceset = refs.faceset(swap.faceset, f"{_SWAPS}.faceset")
        model = refs.folder(swap.model, f"{_SWAPS}.model")
        segmenter = segmenter_of(swap.segmenter, refs, f"{_SWAPS}.segmenter") if swap.segmenter else None
        with named(_SWAPS):
            recipe = recipes.read(swap.recipe)
        for name in expression.members(recipe.expression.names):
            families.have_weights(refs, {"matte": name})
        enhancer = enhance.needed(enhancing.asked(recipe), swap.enhancer, refs, f"{_SWAPS}.enhancer")
        mattes = tuple(_user_matte(given, refs) for given in swap.user_mattes)
    with named(_SWAPS):
        return Person(
            name=swap.name,
            faceset=faceset,
            model=model,
            recipe=recipe,
            track=swap.track if swap.HasField("track") else None,
            segmenter=segmenter,
            enhancer=enhancer,
            user_mattes=mattes,
        )


def _check_people(people: Sequence[Person], plate: Plate, on: date, refs: Refs) -> None:
    """What their folders hold, as far as they are there: faces, each one's own, and releases."""
    found: list[tuple[Person, Faceset]] = []
    for person in people:
        with said_by(person.saying):
            faces = person_of(person.faceset, refs, f"{_SWAPS}.faceset", person.track, plate)
            if faces is not None:
                with named(_SWAPS):
                    masking.refuse_unknown(faces, person.recipe.expression, person.segmenter is not None)
                found.append((person, faces))
            if not refs.will_be(Output.of_folder(person.model)):
                for record in models.read_state(person.model).releases or (None,):
                    release.check(record, on, f"merge with {person.model}")
            if TRAINED in enhancing.asked(person.recipe):
                enhance.held(person.enhancer, refs, on)
    with named(_SWAPS):
        refuse_twice(found)


def _user_matte(given: job_pb2.UserMatte, refs: Refs) -> UserMatte:
    field = f"{_SWAPS}.user_mattes.matte"
    if given.use not in _USES:
        raise InvalidInput(
            f"{_SWAPS}.user_mattes.use: {given.use} is no use of a matte",
            field=f"{_SWAPS}.user_mattes.use",
            value=given.use,
        )
    matte = refs.plate(given.matte, field, colour=False)
    named_frames = matte.frames if given.matte.frames else None
    if named_frames is not None and len(matte.present) and len(matte.missing):
        raise InvalidInput(
            f"{field}.frames: {matte.template} has no frame {matte.missing}, which has a say",
            field=f"{field}.frames",
            value=matte.missing,
        )
    return UserMatte(
        template=matte.template,
        use=_USES[given.use],
        channel=given.channel,
        invert=given.invert,
        frames=named_frames,
    )
