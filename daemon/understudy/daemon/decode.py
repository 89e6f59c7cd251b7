"""From a JobSpec to core's settings, with every check that can be made before the work begins.

The server decodes to refuse at submit; the worker decodes the same spec again when the job starts, by when the inputs
that other jobs were to make must be there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias, cast

from google.protobuf import json_format

from understudy.core import _plugins, release, verify
from understudy.core.align import FACE_TYPES
from understudy.core.colour import ColourConfig
from understudy.core.errors import InvalidInput, ModelInvalid, NotFound
from understudy.core.extract import ExtractSettings
from understudy.core.faceset import Faceset
from understudy.core.frames import FrameRange
from understudy.core.merge import layers
from understudy.core.merge.recipe import Recipe
from understudy.core.merge.settings import MergeSettings
from understudy.core.model import store as models
from understudy.core.model.presets import PRESETS
from understudy.core.plate import Plate, Template
from understudy.core.plate.video import probe
from understudy.core.train.settings import TrainSettings
from understudy.daemon.outputs import Output
from understudy.daemon.refs import Refs, named, one_of
from understudy.daemon.site import Site
from understudy.v1 import job_pb2, recipe_pb2

DETECTOR, LANDMARKER, FACE_TYPE, PRESET, SIZE = "blazeface", "facemesh", "whole", "quick96", 512
FIRST_FRAME = 1001
VIDEO_OUT = ".exr"


@dataclass(frozen=True, kw_only=True)
class Ingest:
    video: Path
    template: Template
    first: int
    frames: FrameRange | None
    colour_space: str


@dataclass(frozen=True, kw_only=True)
class Merge:
    core: MergeSettings
    contact_sheet: bool


@dataclass(frozen=True, kw_only=True)
class Verify:
    output: Plate
    plate: Template | None


@dataclass(frozen=True, kw_only=True)
class Pull:
    names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class CheckPlate:
    plate: Plate


@dataclass(frozen=True, kw_only=True)
class Torture:
    folder: Path


Settings: TypeAlias = Ingest | ExtractSettings | TrainSettings | Merge | Verify | Pull | CheckPlate | Torture


@dataclass(frozen=True, kw_only=True)
class Work:
    """A spec that was checked: what core is told, what it will write, and what a list calls it."""

    settings: Settings
    outputs: tuple[Output, ...]
    label: str


def work(
    spec: job_pb2.JobSpec, promised: tuple[Output, ...] = (), *, site: Site, colour: ColourConfig
) -> Work:
    """Check a spec.

    Args:
        promised: what the jobs that this one waits for will write; inputs among it are not looked at.

    Raises:
        InvalidInput: a field is wrong; names it and its value.
        PathNotAllowed, NotFound: of an input or output.
        WeightsMissing, WeightsCorrupt, ModelInvalid, TrackAmbiguous, ReleaseMissing, ReleaseInvalid: of inputs.
    """
    kind = spec.WhichOneof("kind")
    if kind is None:
        raise InvalidInput("spec: no kind is set; exactly one must be", field="spec", value="")
    refs = Refs(site=site, colour=colour, promised=promised)
    return _KINDS[kind](getattr(spec, kind), refs)


def _ingest(spec: job_pb2.IngestSpec, refs: Refs) -> Work:
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


def _extract(spec: job_pb2.ExtractSpec, refs: Refs) -> Work:
    faceset = refs.folder_out(spec.faceset, "extract.faceset")
    plate = refs.plate(spec.plate, "extract.plate")
    detector = one_of(spec.detector or DETECTOR, _plugins.names("detect"), "extract.detector")
    landmarker = one_of(spec.landmarker or LANDMARKER, _plugins.names("landmark"), "extract.landmarker")
    face_type = one_of(spec.face_type or FACE_TYPE, FACE_TYPES, "extract.face_type")
    attached = _release(spec.release, refs, "extract.release")
    _have_weights(refs, {"detect": detector, "landmark": landmarker})
    with named("extract"):
        settings = ExtractSettings(
            plate=plate,
            faceset=faceset,
            detector=detector,
            landmarker=landmarker,
            face_type=face_type,
            size=spec.size or SIZE,
            release=attached,
        )
    name = Path(plate.template.hashes).name
    return Work(settings=settings, outputs=(Output.of_folder(faceset),), label=f"extract {name}")


def _train(spec: job_pb2.TrainSpec, refs: Refs) -> Work:
    model = refs.folder_out(spec.model, "train.model")
    src, dst = refs.folder(spec.src, "train.src"), refs.folder(spec.dst, "train.dst")
    seconds = spec.target_time.ToTimedelta().total_seconds() if spec.HasField("target_time") else None
    if not spec.target_iterations and seconds is None:
        raise InvalidInput(
            "train: neither target_iterations nor target_time is set; at least one must be",
            field="train.target_iterations",
            value=0,
        )
    attached = _release(spec.release, refs, "train.release")
    if attached is not None:
        refs.folder_out(spec.src, "train.src")  # the record is laid into the faceset
    chosen = _preset(spec.preset, model)
    with named("train", {"target_seconds": "target_time"}):
        settings = TrainSettings(
            model=model,
            src=src,
            dst=dst,
            preset=chosen,
            target_iterations=spec.target_iterations or None,
            target_seconds=seconds,
            batch_size=spec.batch_size or None,
            seed=spec.seed,
            device=spec.device or "auto",
            src_track=spec.src_track if spec.HasField("src_track") else None,
            dst_track=spec.dst_track if spec.HasField("dst_track") else None,
            release=attached,
        )
    source = _faceset(src, refs, "train.src", settings.src_track)
    if source is not None and attached is None:
        release.check(source.release(), date.today(), f"training with {src}")
    _faceset(dst, refs, "train.dst", settings.dst_track)
    return Work(settings=settings, outputs=(Output.of_folder(model),), label=f"train {model.name}")


def _merge(spec: job_pb2.MergeSpec, refs: Refs) -> Work:
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
    matte = (
        refs.plate(spec.user_matte, "merge.user_matte", colour=False) if spec.HasField("user_matte") else None
    )
    faceset = refs.folder(swap.faceset, "merge.swaps.faceset")
    model = refs.folder(swap.model, "merge.swaps.model")
    with named("merge.swaps"):
        recipe = _recipe(swap.recipe)
    with named("merge", {"out": "output", "faceset": "swaps.faceset", "model": "swaps.model"}):
        settings = MergeSettings(
            plate=plate,
            faceset=faceset,
            model=model,
            out=out,
            recipe=recipe,
            frames=frames,
            layers=() if spec.no_layers else tuple(spec.layers) or layers.ALL,
            aligned=spec.aligned,
            track=swap.track if swap.HasField("track") else None,
            user_matte=matte.template if matte else None,
            device=spec.device or "auto",
        )
    _faceset(faceset, refs, "merge.swaps.faceset", settings.track, plate)
    if not refs.will_be(Output.of_folder(model)):
        for record in models.read_state(model).releases or (None,):
            release.check(record, settings.on, f"merge with {model}")
    return Work(
        settings=Merge(core=settings, contact_sheet=not (spec.no_contact_sheet or spec.no_layers)),
        outputs=(Output.of_sequence(out, frames or plate.frames),),
        label=f"merge {Path(out.hashes).name}",
    )


def _verify(spec: job_pb2.VerifySpec, refs: Refs) -> Work:
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


def _pull_weights(spec: job_pb2.PullWeightsSpec, refs: Refs) -> Work:
    known = [entry.name for entry in refs.site.weights().entries()]
    for name in spec.names:
        one_of(name, known, "pull_weights.names")
    names = tuple(spec.names) or needed({"detect": DETECTOR, "landmark": LANDMARKER})
    outputs = tuple(_weights_output(refs.site, name) for name in names)
    return Work(settings=Pull(names=names), outputs=outputs, label=f"pull weights {', '.join(names)}")


def _check_plate(spec: job_pb2.CheckPlateSpec, refs: Refs) -> Work:
    plate = refs.plate(spec.plate, "check_plate.plate", colour=False)
    label = f"check {Path(plate.template.hashes).name}"
    return Work(settings=CheckPlate(plate=plate), outputs=(), label=label)


def _torture(spec: job_pb2.TortureSpec, refs: Refs) -> Work:
    folder = refs.folder_out(spec.folder, "torture.folder")
    outputs = (Output.of_folder(folder),)
    return Work(settings=Torture(folder=folder), outputs=outputs, label=f"torture {folder.name}")


_KINDS: Mapping[str, Callable[[Any, Refs], Work]] = MappingProxyType(
    {
        "ingest": _ingest,
        "extract": _extract,
        "train": _train,
        "merge": _merge,
        "verify": _verify,
        "pull_weights": _pull_weights,
        "check_plate": _check_plate,
        "torture": _torture,
    }
)


def _preset(name: str, model: Path) -> str:
    """The preset asked for, which a model that is there must have; else the model's own, else the default."""
    if name:
        one_of(name, PRESETS, "train.preset")
    if not (model / models.CONFIG).is_file():
        return name or PRESET
    config = models.read_config(model)
    own = next((n for n, sizes in PRESETS.items() if sizes == config), "none of this version's")
    if (name or own) != own or own not in PRESETS:
        raise ModelInvalid(
            f"train.preset: {model} is a model of preset {own}, not {name or PRESET}; name its own, or another folder",
            path=model,
            field="train.preset",
            value=name,
        )
    return own


def needed(plugins: Mapping[str, str]) -> tuple[str, ...]:
    """The weights that members of families need."""
    return tuple(
        w for family, name in plugins.items() for w in cast("Any", _plugins.load(family, name)).WEIGHTS
    )


def _have_weights(refs: Refs, plugins: Mapping[str, str]) -> None:
    store = refs.site.weights()
    for name in needed(plugins):
        if not refs.will_be(_weights_output(refs.site, name)):
            store.path(name)


def _weights_output(site: Site, name: str) -> Output:
    return Output(folder=Output.of_folder(site.weights_cache).folder, name=f"weights {name}")


def _release(path: str, refs: Refs, field: str) -> release.Release | None:
    if not path:
        return None
    record = release.read(refs.file(path, field))
    release.check(record, date.today(), f"attaching {path}")
    return record


def _faceset(
    folder: Path, refs: Refs, field: str, track: int | None, plate: Plate | None = None
) -> Faceset | None:
    """The faceset, in which one person can be chosen, of those on `plate`; None where it is only promised."""
    if refs.will_be(Output.of_folder(folder)):
        return None
    faceset = Faceset.open(folder)
    if not faceset.records:
        raise NotFound(f"{field}: {folder} holds no face", path=folder, field=field, value=folder)
    chosen, name = faceset, f"{field}_track"
    if plate is not None:
        its = Path(plate.template.text).name
        of_plate = tuple(record for record in faceset.records if Path(record.plate).name == its)
        chosen, name = (
            replace(faceset, records=of_plate or faceset.records),
            field.replace("faceset", "track"),
        )
    with named("", {"track": name}):
        chosen.select(track)
    return faceset


def _recipe(message: recipe_pb2.Recipe) -> Recipe:
    return Recipe.from_dict(json_format.MessageToDict(message))
