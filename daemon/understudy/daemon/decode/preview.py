"""What a preview is asked for: one frame of a merge, or how a training stands."""

from __future__ import annotations

from dataclasses import replace

from understudy.core.errors import InvalidInput
from understudy.core.frames import FrameRange
from understudy.core.plate import Template
from understudy.daemon.asks import Frame, Grid
from understudy.daemon.decode.merge import check_count, settings_of
from understudy.daemon.refs import Refs, named
from understudy.v1 import preview_pb2

LARGEST, LONGEST_NAME = 1 << 16, 100
_NOWHERE = "/no/such/folder"  # nothing is written


def frame(request: preview_pb2.PreviewFrameRequest, refs: Refs) -> Frame:
    """Raises as the decoding of a merge; InvalidInput of the frame, the size, the format or the asker."""
    _check_asker(request.asker)
    if not 0 <= request.size <= LARGEST:
        raise InvalidInput(
            f"size: {request.size} is not 0 to {LARGEST} pixels", field="size", value=request.size
        )
    if request.format not in preview_pb2.PreviewFormat.values():
        raise InvalidInput(f"format: {request.format} is none", field="format", value=request.format)
    check_count(request.merge)
    plate = refs.plate(request.merge.plate, "merge.plate")
    if request.frame not in plate.frames:
        raise InvalidInput(
            f"frame: {request.frame} is not among the plate's {plate.frames}",
            field="frame",
            value=request.frame,
        )
    wanted = FrameRange.of(request.frame, request.frame)
    present = wanted if request.frame in plate.present else FrameRange()
    view = "%V." if plate.template.has_view else ""
    with named("", {"merge.output": "frame"}):
        out = Template.parse(f"{_NOWHERE}/preview.{view}####.exr")
    settings = settings_of(request.merge, replace(plate, frames=wanted, present=present), out, refs, wanted)
    exr = request.format == preview_pb2.PREVIEW_FORMAT_EXR
    return Frame(merge=settings, size=request.size, exr=exr)


def grid(request: preview_pb2.PreviewTrainingRequest, refs: Refs) -> Grid:
    """Raises InvalidInput, PathNotAllowed or NotFound."""
    _check_asker(request.asker)
    return Grid(refs.folder(request.model, "model"))


def _check_asker(name: str) -> None:
    if len(name) > LONGEST_NAME:
        raise InvalidInput(
            f"asker: {len(name)} characters; at most {LONGEST_NAME}", field="asker", value=name[:LONGEST_NAME]
        )
