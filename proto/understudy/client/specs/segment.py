"""The specs of segmentation: labels, segmenters, mattes, and pictures of them."""

from __future__ import annotations

from collections.abc import Iterable

from understudy.client.errors import Refused
from understudy.client.specs.parts import PathLike, Plate, absolute, plate
from understudy.v1 import job_pb2 as pb
from understudy.v1 import segment_pb2
from understudy.v1.resource_pb2 import FaceQuery


def label_faces(
    faceset: PathLike,
    *,
    roto: PathLike | Plate | None = None,
    polygons: PathLike = "",
    crops: PathLike = "",
    channel: str = "",
    invert: bool = False,
    marks: str = "",
    track: int | None = None,
) -> pb.JobSpec:
    """Mattes that a person drew become labels; just one of `roto`, `polygons` and `crops` is their source.

    Args:
        roto: mattes in plate space, of the plate that the faceset was extracted from.
        polygons: a JSON file of polygons.
        crops: a folder of mattes in the faces' own crops, named as the faces are.
        channel: of the mattes; empty: alpha where there is one, else the only one, or the red one where all colours
            are the same.
        invert: the mattes are 1 outside.
        marks: `face`, or `occluder` where they mark what is before the face. Empty: `face`.
        track: which person, where the faceset holds several.

    Raises:
        Refused: more than one source.
    """
    given = {name for name, one in (("roto", roto), ("polygons", polygons), ("crops", crops)) if one}
    if len(given) > 1:
        raise Refused.invalid(
            "source", " ".join(sorted(given)), "just one of roto, polygons and crops is needed"
        )
    spec = segment_pb2.LabelFacesSpec(
        faceset=absolute(faceset), channel=channel, invert=invert, marks=marks, track=track
    )
    if roto is not None:
        spec.roto.CopyFrom(plate(roto))
    if polygons:
        spec.polygons = absolute(polygons)
    if crops:
        spec.crops = absolute(crops)
    return pb.JobSpec(label_faces=spec)


def train_segmenter(
    segmenter: PathLike,
    facesets: Iterable[PathLike],
    *,
    preset: str = "",
    self_label: bool = False,
    iterations: int | None = None,
    minutes: float | None = None,
    until_converged: bool = False,
    all_labels: bool = False,
    batch_size: int = 0,
    seed: int = 0,
    device: str = "",
    start_from: PathLike = "",
) -> pb.JobSpec:
    """Labels become a segmenter. `iterations` and `minutes` are totals over its life.

    Args:
        facesets: folders or packs with labels.
        preset: `session.info()` lists them. Empty: the default one, or the segmenter's own.
        self_label: faces that nothing covers label themselves: the hull of their landmarks, made-up things over it.
        until_converged: end when the mattes of labels that were held out get no better.
        all_labels: learn from every label, also from those that were held out: then none judges.
        batch_size: 0 for the preset's.
        start_from: a segmenter of the same network, or a file of published weights, for one that is new.
    """
    spec = segment_pb2.TrainSegmenterSpec(
        segmenter=absolute(segmenter),
        facesets=[absolute(each) for each in facesets],
        preset=preset,
        self_label=self_label,
        target_iterations=iterations or 0,
        until_converged=until_converged,
        all_labels=all_labels,
        batch_size=batch_size,
        seed=seed,
        device=device,
        start_from=absolute(start_from),
    )
    if minutes is not None:
        spec.target_time.FromMilliseconds(round(minutes * 60_000))
    return pb.JobSpec(train_segmenter=spec)


def apply_segmenter(
    segmenter: PathLike, faceset: PathLike, *, track: int | None = None, device: str = ""
) -> pb.JobSpec:
    """A segmenter's mattes are written beside the faces of a faceset; `track` is which person, None all."""
    spec = segment_pb2.ApplySegmenterSpec(
        segmenter=absolute(segmenter), faceset=absolute(faceset), track=track, device=device
    )
    return pb.JobSpec(apply_segmenter=spec)


def preview_segmentation(
    faceset: PathLike,
    output: PathLike,
    *,
    segmenter: PathLike = "",
    query: FaceQuery | None = None,
    count: int = 0,
    cell: int = 0,
    device: str = "",
    overwrite: bool = False,
) -> pb.JobSpec:
    """Faces with their labels and mattes in a PNG: at most `count` (0: 24), evenly spread, of `cell` pixels (0: 192).

    With a `segmenter`, what it makes of the faces is drawn, and nothing else is written. A file that is there is
    replaced with `overwrite` alone.
    """
    spec = segment_pb2.PreviewSegmentationSpec(
        faceset=absolute(faceset),
        output=absolute(output),
        segmenter=absolute(segmenter),
        query=query,
        count=count,
        cell=cell,
        device=device,
        overwrite=overwrite,
    )
    return pb.JobSpec(preview_segmentation=spec)
