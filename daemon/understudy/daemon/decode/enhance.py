"""The spec of an enhancer's training, and enhancers as inputs. Their modules in core are loaded here when needed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path

from understudy.core import release
from understudy.core.enhancer.config import DEFAULT, PRESETS
from understudy.core.errors import InvalidInput, ModelInvalid
from understudy.daemon.decode import families
from understudy.daemon.decode.inputs import faceset_of
from understudy.daemon.decode.settings import Work
from understudy.daemon.outputs import Output
from understudy.daemon.refs import Refs, device, named, one_of
from understudy.v1 import enhance_pb2


def train(spec: enhance_pb2.TrainEnhancerSpec, refs: Refs) -> Work:
    from understudy.core.enhancer.settings import EnhancerTrainSettings

    field = "train_enhancer"
    enhancer = refs.folder_out(spec.enhancer, f"{field}.enhancer")
    facesets = tuple(refs.faceset(path, f"{field}.facesets") for path in spec.facesets)
    seconds = spec.target_time.ToTimedelta().total_seconds() if spec.HasField("target_time") else None
    if not spec.target_iterations and seconds is None:
        raise InvalidInput(
            f"{field}: neither target_iterations nor target_time is set; at least one must be",
            field=f"{field}.target_iterations",
            value=0,
        )
    _preset(spec.preset, enhancer)
    where = device(spec.device, f"{field}.device")
    with named(field, {"target_seconds": "target_time"}):
        settings = EnhancerTrainSettings(
            enhancer=enhancer,
            facesets=facesets,
            preset=spec.preset,
            resolution=spec.resolution,
            target_iterations=spec.target_iterations or None,
            target_seconds=seconds,
            batch_size=spec.batch_size or None,
            seed=spec.seed,
            device=where,
        )
    for path in facesets:
        with named("", {"faceset": f"{field}.facesets"}):
            opened = faceset_of(path, refs, f"{field}.facesets")
        if opened is not None:
            release.check(opened.release(), date.today(), f"train an enhancer on {path}")
    outputs = (Output.of_folder(enhancer),)
    return Work(settings=settings, outputs=outputs, label=f"train enhancer {enhancer.name}")


def needed(names: Iterable[str], path: str, refs: Refs, field: str) -> Path | None:
    """The enhancer that a request names, trained or promised; and the weights of these members of `enhance` are here.

    Raises:
        LicenceNotAccepted, WeightsMissing, WeightsCorrupt: of the members.
        PathNotAllowed, NotFound, ModelInvalid: of the enhancer.
    """
    from understudy.core.enhancer import store

    for name in names:
        families.have_weights(refs, {"enhance": name})
    if not path:
        return None
    folder = refs.folder(path, field)
    if not refs.will_be(Output.of_folder(folder)):
        with named("", {"enhancer": field}):
            store.read_config(folder)
            store.read_state(folder)
    return folder


def held(folder: Path | None, refs: Refs, on: date) -> None:
    """Refuse an enhancer whose releases do not hold on a day; raises ReleaseMissing, ReleaseInvalid."""
    from understudy.core.enhancer import store

    if folder is not None and not refs.will_be(Output.of_folder(folder)):
        for record in store.read_state(folder).releases or (None,):
            release.check(record, on, f"merge with {folder}")


def _preset(name: str, enhancer: Path) -> None:
    """Refuse a preset that there is none of, or that is not the enhancer's own."""
    from understudy.core.enhancer import store

    one_of(name or DEFAULT, PRESETS, "train_enhancer.preset")
    if name and store.exists(enhancer) and store.read_config(enhancer) != PRESETS[name]:
        raise ModelInvalid(
            f"train_enhancer.preset: {enhancer} is an enhancer of another preset than {name}; leave it out, or name "
            "another folder",
            path=enhancer,
            field="train_enhancer.preset",
            value=name,
        )
