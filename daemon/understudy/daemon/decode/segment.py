"""The specs of segmentation: labels, segmenters, mattes. Their modules in core are loaded here when needed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.errors import InvalidInput, ModelInvalid, NotFound
from understudy.core.faceset.beside import LABELS, MATTES
from understudy.core.plate import Template
from understudy.core.segment.config import DEFAULT, MARKS, PRESETS, SegmenterConfig
from understudy.daemon.decode.facesets import PICTURE, query
from understudy.daemon.decode.inputs import faceset_of
from understudy.daemon.decode.settings import Work
from understudy.daemon.errors import Exists
from understudy.daemon.outputs import Output
from understudy.daemon.refs import Refs, device, named, one_of
from understudy.v1 import segment_pb2


def label(spec: segment_pb2.LabelFacesSpec, refs: Refs) -> Work:
    from understudy.core.segment.label import LabelSettings

    faceset = _folder(spec.faceset, refs, "label_faces.faceset", LABELS)
    source = _source(spec, refs)
    marks = one_of(spec.marks or MARKS[0], MARKS, "label_faces.marks")
    track = spec.track if spec.HasField("track") else None
    with named("label_faces"):
        settings = LabelSettings(
            faceset=faceset,
            channel=spec.channel,
            invert=spec.invert,
            marks=marks,
            track=track,
            **source,
        )
    _person(faceset, refs, "label_faces", track, needed=settings.roto is not None)
    _plates(faceset, refs, "label_faces.faceset")
    outputs = (Output.of_folder(faceset / LABELS),)
    return Work(settings=settings, outputs=outputs, label=f"label {faceset.name}")


def train(spec: segment_pb2.TrainSegmenterSpec, refs: Refs) -> Work:
    from understudy.core.segment.settings import SegmentTrainSettings

    segmenter = refs.folder_out(spec.segmenter, "train_segmenter.segmenter")
    facesets = tuple(refs.faceset(path, "train_segmenter.facesets") for path in spec.facesets)
    seconds = spec.target_time.ToTimedelta().total_seconds() if spec.HasField("target_time") else None
    if not spec.target_iterations and seconds is None and not spec.until_converged:
        raise InvalidInput(
            "train_segmenter: none of target_iterations, target_time and until_converged is set; at least one must be",
            field="train_segmenter.target_iterations",
            value=0,
        )
    chosen = _preset(spec.preset, segmenter)
    start_from = _start_from(spec.start_from, segmenter, chosen, refs)
    where = device(spec.device, "train_segmenter.device")
    with named("train_segmenter", {"target_seconds": "target_time"}):
        settings = SegmentTrainSettings(
            segmenter=segmenter,
            facesets=facesets,
            preset=spec.preset,
            self_label=spec.self_label,
            target_iterations=spec.target_iterations or None,
            target_seconds=seconds,
            until_converged=spec.until_converged,
            all_labels=spec.all_labels,
            batch_size=spec.batch_size or None,
            seed=spec.seed,
            device=where,
            start_from=start_from,
        )
    for path in facesets:
        _labelled(path, refs, "train_segmenter.facesets", needed=not spec.self_label)
    outputs = (Output.of_folder(segmenter),)
    return Work(settings=settings, outputs=outputs, label=f"train segmenter {segmenter.name}")


def apply(spec: segment_pb2.ApplySegmenterSpec, refs: Refs) -> Work:
    from understudy.core.segment.apply import ApplySettings

    segmenter = segmenter_of(spec.segmenter, refs, "apply_segmenter.segmenter")
    faceset = _folder(spec.faceset, refs, "apply_segmenter.faceset", MATTES)
    track = spec.track if spec.HasField("track") else None
    where = device(spec.device, "apply_segmenter.device")
    with named("apply_segmenter"):
        settings = ApplySettings(segmenter=segmenter, faceset=faceset, track=track, device=where)
    _person(faceset, refs, "apply_segmenter", track)
    outputs = (Output.of_folder(faceset / MATTES),)
    return Work(settings=settings, outputs=outputs, label=f"apply {segmenter.name} to {faceset.name}")


def preview(spec: segment_pb2.PreviewSegmentationSpec, refs: Refs) -> Work:
    from understudy.core.faceset.query import find
    from understudy.core.segment.preview import PreviewSettings

    field = "preview_segmentation"
    faceset = refs.faceset(spec.faceset, f"{field}.faceset")
    out = refs.file_out(spec.output, f"{field}.output", PICTURE)
    if refs.new and out.exists() and not spec.overwrite:  # a job that goes on replaces its own
        raise Exists(
            f"{field}.output: {out} is there; set overwrite to replace it, or choose another path",
            path=out,
            field=f"{field}.output",
            value=spec.output,
        )
    segmenter = segmenter_of(spec.segmenter, refs, f"{field}.segmenter") if spec.segmenter else None
    where = device(spec.device, f"{field}.device")
    with named(field, {"out": "output"}):
        wanted = query(spec.query)
        given = {name: value for name in ("count", "cell") if (value := getattr(spec, name))}
        settings = PreviewSettings(
            faceset=faceset, out=out, segmenter=segmenter, query=wanted, device=where, **given
        )
    with named("", {"faceset": f"{field}.faceset"}):
        opened = faceset_of(faceset, refs, f"{field}.faceset")
    if opened is not None:
        with named(f"{field}.query"):
            found = find(opened, wanted)
        if not len(found):
            raise NotFound(
                f"{field}.query: it finds no face of {faceset}", path=faceset, field=f"{field}.query"
            )
    return Work(settings=settings, outputs=(Output.of_file(out),), label=f"mattes of {faceset.name}")


def preset_of(config: SegmenterConfig) -> str:
    """The name of a configuration; empty where it is none of this version's."""
    return next((name for name, sizes in PRESETS.items() if sizes == config), "")


def _source(spec: segment_pb2.LabelFacesSpec, refs: Refs) -> dict[str, Any]:
    """Where the labels come from, as core's settings name it."""
    match kind := spec.WhichOneof("source"):
        case "roto":
            roto = refs.plate(spec.roto, "label_faces.roto", colour=False)
            if not spec.roto.frames:  # between the few that were drawn nobody misses the others
                roto = replace(roto, frames=roto.present)
            return {kind: roto}
        case "polygons":
            return {kind: refs.file(spec.polygons, "label_faces.polygons")}
        case "crops":
            return {kind: refs.folder(spec.crops, "label_faces.crops")}
    raise InvalidInput(
        "label_faces: none of roto, polygons and crops is set; just one must be",
        field="label_faces.roto",
        value="",
    )


def _folder(path: str, refs: Refs, field: str, written: str) -> Path:
    """The folder of a faceset with a face in it, or one that is promised, in which a folder may be written."""
    place = refs.faceset(path, field)
    if place.is_file():
        raise InvalidInput(
            f"{field}: {place} is a pack, which is never changed: unpack it, and pack the folder again",
            field=field,
            value=path,
        )
    refs.site.roots.writable(place / written, field)  # which may be a link
    with named("", {"faceset": field}):
        faceset_of(place, refs, field)
    return place


def _person(faceset: Path, refs: Refs, field: str, track: int | None, *, needed: bool = False) -> None:
    """Refuse a person who is not there, or, where it is needed, that none of several is chosen."""
    opened = faceset_of(faceset, refs, f"{field}.faceset")
    if opened is not None and (needed or track is not None):
        with named(field):
            opened.select(track)


def _plates(faceset: Path, refs: Refs, field: str) -> None:
    """The plates that the faces say they are of, whose size tells that of a roto: as if a request named them."""
    opened = faceset_of(faceset, refs, field)
    if opened is None:
        return
    views = np.unique(opened.columns.view).tolist()
    for text in opened.plates():
        try:
            folders = {Template.parse(text).of_view(view).directory for view in views}
        except InvalidInput:
            continue  # core cannot open it either
        for folder in folders:
            if folder.is_dir():  # a plate may be gone: then the roto is taken to be of its size
                refs.site.roots.readable(folder, field)


def _labelled(path: Path, refs: Refs, field: str, *, needed: bool) -> None:
    """Refuse a faceset without faces, or without labels where they are needed and no job will make them."""
    from understudy.core.faceset.labels import Labels

    with named("", {"faceset": field}):
        opened = faceset_of(path, refs, field)
        if opened is None or not needed or refs.will_be(Output.of_folder(path / LABELS)):
            return
        if not Labels(opened).names():
            raise NotFound(
                f"{field}: no face of {path} has a label; make some with `understudy segment label`, or, where "
                "nothing covers the faces, train with self_label",
                path=path,
                field=field,
                value=path,
            )


def segmenter_of(path: str, refs: Refs, field: str) -> Path:
    """A segmenter that is trained, or is promised."""
    from understudy.core.segment import store

    folder = refs.folder(path, field)
    if not refs.will_be(Output.of_folder(folder)):
        with named("", {"segmenter": field}):
            store.read_config(folder)
            store.read_state(folder)
    return folder


def _preset(name: str, segmenter: Path) -> SegmenterConfig:
    """The configuration asked for, which a segmenter that is there must have; else its own, else the default."""
    from understudy.core.segment import store

    if name:
        one_of(name, PRESETS, "train_segmenter.preset")
    if not store.exists(segmenter):  # what has no checkpoint is made anew
        return PRESETS[name or DEFAULT]
    own = store.read_config(segmenter)
    if name and PRESETS[name] != own:
        its = preset_of(own) or "none of this version's"
        raise ModelInvalid(
            f"train_segmenter.preset: {segmenter} is a segmenter of preset {its}, not {name}; name its own, or "
            "another folder",
            path=segmenter,
            field="train_segmenter.preset",
            value=name,
        )
    return own


def _start_from(path: str, segmenter: Path, config: SegmenterConfig, refs: Refs) -> Path | None:
    """What a new segmenter begins with: a file, or a segmenter of the same network."""
    from understudy.core.segment import store

    field = "train_segmenter.start_from"
    if not path:
        return None
    if refs.site.roots.readable(path, field).is_file():
        return refs.file(path, field)
    folder = segmenter_of(path, refs, field)
    if refs.will_be(Output.of_folder(folder)) or store.exists(segmenter):
        return folder
    if (found := store.read_config(folder)) != config:
        raise ModelInvalid(
            f"{field}: {folder} is another network ({preset_of(found) or found.network}) than the one to train "
            f"({preset_of(config) or config.network})",
            path=folder,
            field=field,
            value=path,
        )
    return folder
