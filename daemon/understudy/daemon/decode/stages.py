"""The specs of whole stages, but for extraction and training: ingest, merge, verify, and what goes beside them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from google.protobuf import json_format

from understudy.core import release, verify
from understudy.core.errors import InvalidInput
from understudy.core.merge import expression, masking
from understudy.core.merge.recipe import Recipe
from understudy.core.merge.settings import MergeSettings, Use, UserMatte
from understudy.core.model import store as models
from understudy.core.plate.video import probe
from understudy.daemon.decode import families
from understudy.daemon.decode.inputs import person_of
from understudy.daemon.decode.segment import segmenter_of
from understudy.daemon.decode.settings import CheckPlate, Ingest, Merge, Pull, Torture, Verify, Work
from understudy.daemon.outputs import Output
from understudy.daemon.refs import Refs, device, named, one_of
from understudy.v1 import job_pb2, recipe_pb2

FIRST_FRAME = 1001
VIDEO_OUT = ".exr"
_USES: Mapping[int, Use] = MappingProxyType(
    {
        job_pb2.USER_MATTE_USE_UNSPECIFIED: "limit",
        job_pb2.USER_MATTE_USE_LIMIT: "limit",
        job_pb2.USER_MATTE_USE_ADD: "add",
        job_pb2.USER_MATTE_USE_KEEP: "keep",
    }
)


def ingest(spec: job_pb2.IngestSpec, refs: Refs) -> Work:
    template = refs.sequence_out(spec.pattern, "ingest.pattern")
    if template.extension != VIDEO_OUT:
        raise InvalidInput(
            f"ingest.pattern: {spec.pattern!r} must end in {VIDEO_OUT}",
            field="ingest.pattern",
            value=spec.pattern,
        )
    space = spec.colour_space and refs.colour.resolve(spec.colour_space, "ingest.colour_space")
    frames = refs.frames(spec.frames, "ingest.frames")
    video = refs.file(spec.video, "ingest.video")
    with named("ingest"):
        probe(video)
    settings = Ingest(
        video=video,
        template=template,
        first=spec.first if spec.HasField("first") else FIRST_FRAME,
        frames=frames,
        colour_space=space or "auto",
    )
    outputs = (Output.of_sequence(template, frames),)
    return Work(settings=settings, outputs=outputs, label=f"ingest {settings.video.name}")


def merge(spec: job_pb2.MergeSpec, refs: Refs) -> Work:
    if len(spec.swaps) != 1:
        raise InvalidInput(
            f"merge.swaps: {len(spec.swaps)} entries; this version takes exactly one",
            field="merge.swaps",
            value=len(spec.swaps),
        )
    swap = spec.swaps[0]
    if spec.no_layers and spec.layers:
        raise InvalidInput(
            f"merge.layers: {', '.join(spec.layers)} are asked for, and no_layers too",
            field="merge.layers",
            value=",".join(spec.layers),
        )
    out = refs.sequence_out(spec.output, "merge.output")
    plate = refs.plate(spec.plate, "merge.plate")
    frames = refs.frames(spec.frames, "merge.frames")
    for view in plate.views if out.has_view else ():  # the folder of a view may be a link
        refs.site.roots.writable(out.of_view(view).path(0), "merge.output")
    mattes = _user_mattes(spec, refs)
    faceset = refs.faceset(swap.faceset, "merge.swaps.faceset")
    model = refs.folder(swap.model, "merge.swaps.model")
    segmenter = segmenter_of(swap.segmenter, refs, "merge.swaps.segmenter") if swap.segmenter else None
    with named("merge.swaps"):
        recipe = _recipe(swap.recipe)
    for name in expression.members(recipe.expression.names):
        families.have_weights(refs, {"matte": name})
    where = device(spec.device, "merge.device")
    ours = ("faceset", "model", "segmenter")
    with named("merge", {"out": "output", **{name: f"swaps.{name}" for name in ours}}):
        settings = MergeSettings(
            plate=plate,
            faceset=faceset,
            model=model,
            out=out,
            recipe=recipe,
            frames=frames,
            layers=() if spec.no_layers else tuple(spec.layers) or None,
            aligned=spec.aligned,
            track=swap.track if swap.HasField("track") else None,
            segmenter=segmenter,
            user_mattes=mattes,
            device=where,
        )
    person = person_of(faceset, refs, "merge.swaps.faceset", settings.track, plate)
    if person is not None:
        with named("merge.swaps"):
            masking.refuse_unknown(person, recipe.expression, segmenter is not None)
    if not refs.will_be(Output.of_folder(model)):
        for record in models.read_state(model).releases or (None,):
            release.check(record, settings.on, f"merge with {model}")
    return Work(
        settings=Merge(core=settings, contact_sheet=not (spec.no_contact_sheet or spec.no_layers)),
        outputs=(Output.of_sequence(out, frames or plate.frames),),
        label=f"merge {Path(out.hashes).name}",
    )


def verify_(spec: job_pb2.VerifySpec, refs: Refs) -> Work:
    output = refs.plate(spec.output, "verify.output", colour=False)
    if spec.HasField("plate"):
        plate = refs.plate(spec.plate, "verify.plate", colour=False).template
    elif refs.will_be(Output.of_sequence(output.template, None)):
        plate = None
    else:
        with named("verify"):
            plate = verify.plate_of(output.template, output.frames)
        refs.named_by_headers(plate, output, "verify.plate")
    settings = Verify(output=output, plate=plate)
    return Work(settings=settings, outputs=(), label=f"verify {Path(output.template.hashes).name}")


def pull_weights(spec: job_pb2.PullWeightsSpec, refs: Refs) -> Work:
    known = [entry.name for entry in refs.site.weights().entries()]
    for name in spec.names:
        one_of(name, known, "pull_weights.names")
    names = tuple(spec.names) or families.needed(families.DEFAULTS)
    outputs = tuple(families.weights_output(refs.site, name) for name in names)
    return Work(settings=Pull(names=names), outputs=outputs, label=f"pull weights {', '.join(names)}")


def check_plate(spec: job_pb2.CheckPlateSpec, refs: Refs) -> Work:
    plate = refs.plate(spec.plate, "check_plate.plate", colour=False)
    label = f"check {Path(plate.template.hashes).name}"
    return Work(settings=CheckPlate(plate=plate), outputs=(), label=label)


def torture(spec: job_pb2.TortureSpec, refs: Refs) -> Work:
    folder = refs.folder_out(spec.folder, "torture.folder")
    outputs = (Output.of_folder(folder),)
    return Work(settings=Torture(folder=folder), outputs=outputs, label=f"torture {folder.name}")


def _user_mattes(spec: job_pb2.MergeSpec, refs: Refs) -> tuple[UserMatte, ...]:
    """The mattes of a person; `user_matte`, which was there before there could be several, is a limit."""
    limits = [spec.user_matte] if spec.HasField("user_matte") else []
    found = [_user_matte(job_pb2.UserMatte(matte=ref), refs, "merge.user_matte") for ref in limits]
    for given in spec.user_mattes:
        if given.use not in _USES:
            raise InvalidInput(
                f"merge.user_mattes.use: {given.use} is no use of a matte",
                field="merge.user_mattes.use",
                value=given.use,
            )
        found.append(_user_matte(given, refs, "merge.user_mattes.matte"))
    return tuple(found)


def _user_matte(given: job_pb2.UserMatte, refs: Refs, field: str) -> UserMatte:
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


def _recipe(message: recipe_pb2.Recipe) -> Recipe:
    return Recipe.from_dict(json_format.MessageToDict(message))
