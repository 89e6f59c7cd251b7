"""From labels, suggestions and segmenters to messages of `understudy.v1`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from understudy.core.faceset import FaceRecord
from understudy.daemon.text import text
from understudy.v1 import segment_pb2

if TYPE_CHECKING:
    from understudy.core.faceset.labels import Label
    from understudy.core.segment.config import SegmenterConfig
    from understudy.core.segment.rank import Suggestion
    from understudy.core.segment.store import State

BROKEN = "broken"  # the kind of a label that cannot be read


def segmenter(path: Path, preset: str, config: SegmenterConfig, state: State | None) -> segment_pb2.Segmenter:
    """What is in a segmenter's folder; `state` is None where its training has not come to a checkpoint."""
    message = segment_pb2.Segmenter(
        path=text(path),
        preset=preset,
        network=config.network,
        resolution=config.resolution,
        face_type=config.face_type,
    )
    if state is not None:
        message.digest, message.iteration = state.digest, state.iteration
        message.time_spent.FromMilliseconds(round(state.seconds * 1000))
        message.labels, message.held_out = state.labels, state.judged or len(state.held_out)
        message.converged = state.converged
        if state.iou is not None:
            message.iou = state.iou
    return message


def label(record: FaceRecord, given: Label | str) -> segment_pb2.Label:
    """A face's label, or why it cannot be read."""
    kind, origin = (BROKEN, given) if isinstance(given, str) else (given.kind, given.origin)
    return segment_pb2.Label(
        face=text(record.path.name),
        frame=record.face.frame,
        track=record.face.track,
        view=record.view,
        kind=kind,
        origin=text(origin),
    )


def suggestion(given: Suggestion) -> segment_pb2.LabelSuggestion:
    """A face that should be labelled."""
    return segment_pb2.LabelSuggestion(
        face=text(given.name),
        frame=given.frame,
        track=given.track,
        view=given.view,
        confidence=given.confidence,
    )
