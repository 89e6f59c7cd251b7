"""The spec of a training: which model, how it is to learn, and when it ends. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

from google.protobuf import timestamp_pb2

from understudy.core import release
from understudy.core.errors import InvalidInput, ModelInvalid, NotFound, UnderstudyError
from understudy.core.model import presets
from understudy.core.model import store as models
from understudy.core.model.presets import ModelConfig
from understudy.core.train import plan
from understudy.core.train.control import BackUp, Change, Command, Save, Show
from understudy.core.train.plan import Course, Phase
from understudy.core.train.settings import WAY, TrainSettings
from understudy.daemon.decode import families
from understudy.daemon.decode.facesets import PICTURE
from understudy.daemon.decode.inputs import person_of, release_of
from understudy.daemon.decode.settings import PlotHistory, Work
from understudy.daemon.outputs import Output
from understudy.daemon.refs import Refs, device, named, one_of
from understudy.daemon.site import Site
from understudy.v1 import job_pb2, model_pb2

PRESET = "quick96"
VGG = "vgg16"  # the weights that the perceptual loss needs


def train(spec: job_pb2.TrainSpec, refs: Refs) -> Work:
    model = refs.folder_out(spec.model, "train.model")
    src, dst = refs.faceset(spec.src, "train.src"), refs.faceset(spec.dst, "train.dst")
    ends = _ends(spec, refs)
    attached = release_of(spec.release, refs, "train.release")
    if attached is not None and not src.is_file():
        refs.folder_out(spec.src, "train.src")  # the record is laid into the faceset
    chosen = _preset(spec.preset, model)
    course = _course(spec, _state(model), chosen)
    _have_weights(refs, course)
    start_from = _start_from(spec.start_from, model, refs)
    where = device(spec.device, "train.device", several=True)
    with named("train", {"target_seconds": "target_time", "memory": "memory_bytes"}):
        settings = TrainSettings(
            model=model,
            src=src,
            dst=dst,
            preset=chosen,
            way=spec.way,
            options=dict(spec.options),
            phases=course.phases,
            start_from=start_from,
            new_inter=spec.new_inter,
            batch_size=spec.batch_size or None,
            memory=spec.memory_bytes or None,
            seed=spec.seed,
            device=where,
            compile=spec.compile,
            preview_exr=spec.preview_exr,
            src_track=spec.src_track if spec.HasField("src_track") else None,
            dst_track=spec.dst_track if spec.HasField("dst_track") else None,
            release=attached,
            **ends,
        )
    _have_people(settings, refs)
    return Work(settings=settings, outputs=(Output.of_folder(model),), label=f"train {model.name}")


def plot_history(spec: model_pb2.PlotHistorySpec, refs: Refs) -> Work:
    model = refs.folder(spec.model, "plot_history.model")
    out = refs.file_out(spec.output, "plot_history.output", PICTURE)
    if not refs.will_be(Output.of_folder(model)) and not (model / models.CONFIG).is_file():
        raise NotFound(
            f"plot_history.model: {model} is neither a model nor a segmenter",
            path=model,
            field="plot_history.model",
            value=spec.model,
        )
    settings = PlotHistory(model=model, out=out)
    return Work(settings=settings, outputs=(Output.of_file(out),), label=f"history of {model.name}")


def _have_people(settings: TrainSettings, refs: Refs) -> None:
    """Refuse facesets in which nobody is chosen, and a src that nobody may use."""
    source = person_of(settings.src, refs, "train.src", settings.src_track)
    if source is not None and settings.release is None:
        release.check(source.release(), date.today(), f"training with {settings.src}")
    person_of(settings.dst, refs, "train.dst", settings.dst_track)


def _ends(spec: job_pb2.TrainSpec, refs: Refs) -> dict[str, Any]:
    """What ends the training, as core's settings name it."""
    time = spec.target_time
    ends = {
        "target_iterations": spec.target_iterations or None,
        "target_seconds": time.seconds + time.nanos / 1e9 if spec.HasField("target_time") else None,
        "until_plateau": spec.until_plateau or None,
        "until": _until(spec, refs),
    }
    ends = {name: end for name, end in ends.items() if end is not None}
    if not ends:
        raise InvalidInput(
            "train: none of target_iterations, target_time, until_plateau and until is set; at least one must be",
            field="train.target_iterations",
            value=0,
        )
    return ends


def course(spec: job_pb2.TrainSpec) -> Course:
    """The course of a training that runs, with what was changed so far as its model's last checkpoint says."""
    model = Path(spec.model)
    state = _state(model)
    said = _course(spec, state, _preset(spec.preset, model))
    return said if state is None else replace(said, changes=plan.phases(state.changes))


def changed(
    now: Course, options: Mapping[str, str], iteration: int, progress: float, *, site: Site
) -> Course:
    """The course after a change there; `progress` is the share of the target that is done.

    Raises:
        InvalidInput: an option is wrong, or does not go with the others: names it and its value.
        WeightsMissing, WeightsCorrupt: an option needs weights.
    """
    with named("options"):
        then = now.changed(iteration, dict(options))
        then.at(iteration, progress)
    if float(options.get("perceptual", 0)) > 0:
        site.weights().path(VGG)
    return then


def commands(update: job_pb2.TrainingUpdate) -> tuple[Command, ...]:
    """What core's training is told."""
    asked = ((update.preview, Show()), (update.save, Save()), (update.back_up, BackUp()))
    change = [Change(options=dict(update.options))] if update.options else []
    return (*change, *(command for wanted, command in asked if wanted))


def preset_of(config: ModelConfig, state: models.State | None) -> str:
    """The name of the preset that a model is of: several share a configuration; empty where it is none of ours.

    Args:
        state: of its checkpoint, where it has one.
    """
    said = state.preset if state is not None else ""
    there = presets.known()
    names = (said, *there) if said in there else there
    return next((name for name in names if there[name] == config), "")


def _course(spec: job_pb2.TrainSpec, state: models.State | None, preset: str) -> Course:
    """How it is to learn as the spec says it; refuses an option by name and value wherever it is said.

    What was changed in earlier jobs is not in it: the training knows which of it still holds under this spec.
    """
    if spec.batch_size and "batch_size" in spec.options:
        raise InvalidInput(
            f"train.batch_size: {spec.batch_size}, and options have a batch_size too; say it once",
            field="train.batch_size",
            value=spec.batch_size,
        )
    batch = {"batch_size": str(spec.batch_size)} if spec.batch_size else {}
    with named("train"):
        base = plan.plan(preset, spec.way or (state.way if state else "") or WAY).with_options(batch)
    with named("train.options"):
        base = base.with_options(spec.options)
    phases, then = [], base
    for number, given in enumerate(spec.phases):
        with _phase(number):
            phase = _begin(given)
            then = then.with_options(phase.options)
        phases.append(phase)
    return Course(base=base, phases=tuple(phases))


def _state(model: Path) -> models.State | None:
    """Of the model's checkpoint; None where none can be read: the training then sees what can be done."""
    try:
        return models.read_state(model)
    except (NotFound, ModelInvalid):
        return None


def _begin(given: job_pb2.TrainPhase) -> Phase:
    begin = given.WhichOneof("begin")
    at = {begin: getattr(given, begin)} if begin else {}
    return Phase(**at, options=dict(given.options))


@contextmanager
def _phase(number: int) -> Iterator[None]:
    """Say which phase it is, counted from 1 for people and from 0 in the field."""
    try:
        yield
    except UnderstudyError as error:
        error.message = f"phase {number + 1}: {error.message}"
        where = f"train.phases[{number}]"
        error.field = where if error.field == "phases" else f"{where}.options.{error.field}"
        raise


def _have_weights(refs: Refs, course: Course) -> None:
    """Refuse a perceptual loss whose network is neither here nor promised."""
    said = (course.base.options(), *(phase.options for phase in course.phases))
    wanted = any(float(options.get("perceptual", 0)) > 0 for options in said)
    if wanted and not refs.will_be(families.weights_output(refs.site, VGG)):
        refs.site.weights().path(VGG)


def _preset(name: str, model: Path) -> str:
    """The preset asked for, which a model that is there must have; else the model's own, else the default.

    Empty for a model that is there and of no preset, one from another program say.
    """
    if name:
        one_of(name, presets.known(), "train.preset")
    if not (model / models.CONFIG).is_file():
        return name or PRESET
    config, state = models.read_config(model), _state(model)
    own = preset_of(config, state)
    fits = presets.known().get(name) == config and (state is None or state.preset in ("", name))
    if name and not fits:
        raise ModelInvalid(
            f"train.preset: {model} is a model of preset {own or 'none of this version'}, not {name}; name its own, "
            "or another folder",
            path=model,
            field="train.preset",
            value=name,
        )
    return name or own


def _start_from(path: str, model: Path, refs: Refs) -> Path | None:
    """The trained model that a new one begins with; who has begun needs it no more."""
    if not path:
        return None
    if models.exists(model):
        return refs.site.roots.readable(path, "train.start_from")
    folder = refs.folder(path, "train.start_from")
    if not refs.will_be(Output.of_folder(folder)):
        with named("", {"model": "train.start_from"}):
            models.read_config(folder)
            models.read_state(folder)
    return folder


def _until(spec: job_pb2.TrainSpec, refs: Refs) -> datetime | None:
    """When it is to end at the latest; must be to come where it is asked for, not where it goes on."""
    if not spec.HasField("until"):
        return None
    text = _text(spec.until)
    try:
        when = spec.until.ToDatetime(timezone.utc)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(f"train.until: {text} is no time", field="train.until", value=text) from error
    if refs.new and when <= datetime.now(timezone.utc):
        raise InvalidInput(
            f"train.until: {when:%Y-%m-%d %H:%M:%S} UTC has passed", field="train.until", value=text
        )
    return when


def _text(stamp: timestamp_pb2.Timestamp) -> str:
    try:
        return stamp.ToJsonString()
    except ValueError:
        return f"{stamp.seconds} s"
