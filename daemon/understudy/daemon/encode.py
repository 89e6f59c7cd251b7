"""From core's values to messages of `understudy.v1`. Nothing is decided here."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timezone
from pathlib import Path
from types import MappingProxyType

from google.protobuf import timestamp_pb2

from understudy.core.errors import ModelInvalid
from understudy.core.extract.station import FAMILIES
from understudy.core.frames import FrameRange
from understudy.core.parameters import Parameter
from understudy.core.release import Release
from understudy.core.reports import Artifact, FrameReport, FrameStatus, Report, TrainReport, Warned
from understudy.core.weights import State, Weights, WeightsReport
from understudy.daemon.text import text
from understudy.v1 import common_pb2, job_pb2, resource_pb2, system_pb2

FRAME_STATES: Mapping[FrameStatus, job_pb2.FrameState] = MappingProxyType(
    {
        FrameStatus.DONE: job_pb2.FRAME_STATE_DONE,
        FrameStatus.SKIPPED: job_pb2.FRAME_STATE_SKIPPED,
        FrameStatus.NO_FACE: job_pb2.FRAME_STATE_NO_FACE,
        FrameStatus.MISSING: job_pb2.FRAME_STATE_MISSING,
        FrameStatus.FAILED: job_pb2.FRAME_STATE_FAILED,
    }
)
WEIGHTS_STATES: Mapping[State, system_pb2.WeightsState] = MappingProxyType(
    {
        State.PRESENT: system_pb2.WEIGHTS_STATE_PRESENT,
        State.MISSING: system_pb2.WEIGHTS_STATE_MISSING,
        State.CORRUPT: system_pb2.WEIGHTS_STATE_CORRUPT,
        State.DOWNLOADING: system_pb2.WEIGHTS_STATE_MISSING,
    }
)
_CHOICES = {family: field for field, family in FAMILIES.items()}  # `detect` is chosen as `detector`


def events(report: Report | WeightsReport) -> list[job_pb2.JobEvent]:
    """What a report tells beside progress, which the meter makes of it."""
    match report:
        case FrameReport():
            return [job_pb2.JobEvent(frame=frame_report(report))]
        case TrainReport():
            return [job_pb2.JobEvent(training=training(report))]
        case Artifact(kind=kind, path=path, frame=frame, layers=layers):
            made = job_pb2.Artifact(kind=kind, path=text(path), frame=frame, layers=map(text, layers))
            return [job_pb2.JobEvent(artifact=made)]
        case Warned():
            return [
                job_pb2.JobEvent(warning=job_pb2.Error(reason=report.reason, message=text(report.message)))
            ]
        case _:
            return []


def frame_report(report: FrameReport) -> job_pb2.FrameReport:
    error = None
    if report.reason:
        metadata = {"frame": str(report.frame)}
        error = job_pb2.Error(reason=report.reason, message=text(report.message), metadata=metadata)
    return job_pb2.FrameReport(
        frame=report.frame,
        state=FRAME_STATES[report.status],
        faces=report.faces,
        confidence=report.confidence,
        error=error,
        warnings=map(text, report.warnings),
        seconds=report.seconds,
        outputs=map(text, report.outputs),
        digests=report.digests,
    )


def training(report: TrainReport) -> job_pb2.TrainProgress:
    message = job_pb2.TrainProgress(
        iteration=report.iteration,
        losses=report.losses,
        rate=report.rate,
        checkpoint=report.checkpoint,
        scores=report.scores,
    )
    message.time_spent.FromMilliseconds(round(report.seconds * 1000))
    return message


def segments(frames: FrameRange) -> list[common_pb2.FrameSegment]:
    return [common_pb2.FrameSegment(first=s.first, last=s.last, step=s.step) for s in frames.segments]


def segments_of(numbers: Iterable[int]) -> list[common_pb2.FrameSegment]:
    return segments(FrameRange.from_frames(numbers))


def parameters(described: Iterable[Parameter]) -> list[common_pb2.Parameter]:
    """Settings that describe themselves, as hosts build knobs from them."""
    return [
        common_pb2.Parameter(
            name=p.name,
            help=p.help,
            type=p.type,
            default_value=p.default,
            minimum=p.minimum,
            maximum=p.maximum,
            choices=p.choices,
            keyable=p.keyable,
        )
        for p in described
    ]


def weights(entry: Weights, report: WeightsReport) -> system_pb2.Weights:
    return system_pb2.Weights(
        name=entry.name,
        kind=_CHOICES.get(entry.kind, entry.kind),
        licence=entry.licence,
        source=entry.origin,
        size_bytes=entry.size,
        sha256=entry.sha256,
        state=WEIGHTS_STATES[report.state],
        path=text(report.path) if report.path else "",
        by_default=entry.default,
    )


def release(record: Release) -> resource_pb2.Release:
    return resource_pb2.Release(
        id=record.id,
        subject=record.subject,
        kind=record.kind,
        granted_by=record.granted_by,
        granted_time=day(record.granted),
        valid_from=day(record.valid_from),
        valid_until=day(record.valid_until),
        scope=record.scope,
        document_sha256=record.document,
    )


def day(value: date | None) -> timestamp_pb2.Timestamp | None:
    """A calendar day as the first instant of it, UTC."""
    if value is None:
        return None
    stamp = timestamp_pb2.Timestamp()
    stamp.FromDatetime(datetime(value.year, value.month, value.day, tzinfo=timezone.utc))
    return stamp


def tensor_elements(file: Path) -> dict[str, int]:
    """How many numbers each part has in a safetensors file, by its header alone: 8 bytes of length, then JSON.

    A tensor's name begins with its part's, and a point.

    Raises:
        ModelInvalid: not such a file.
    """
    try:
        with file.open("rb") as stream:
            header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
        parts: dict[str, int] = {}
        for name, entry in header.items():
            if name != "__metadata__":
                part = name.partition(".")[0]
                parts[part] = parts.get(part, 0) + math.prod(entry["shape"])
        return parts
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelInvalid(f"{file}: not a safetensors file: {error}", path=file) from error
