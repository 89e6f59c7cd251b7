"""SegmentService."""

from __future__ import annotations

from pathlib import Path

import grpc
import numpy as np

from understudy.core.errors import FrameUnreadable, InvalidInput
from understudy.core.faceset import FaceRecord
from understudy.core.pipeline import cores, overlapped
from understudy.daemon import encode_segment, opened
from understudy.daemon.decode.facesets import query
from understudy.daemon.decode.segment import preset_of
from understudy.daemon.refs import named
from understudy.daemon.site import RootsOf
from understudy.v1 import segment_pb2 as pb
from understudy.v1 import segment_pb2_grpc

COUNT = 10  # faces to label next, where nobody says how many


class SegmentServicer(segment_pb2_grpc.SegmentServiceServicer):
    """Labels, mattes and segmenters over the wire. Core's modules are loaded by the calls that need them."""

    def __init__(self, roots: RootsOf) -> None:
        self._roots = roots

    def GetSegmenter(
        self, request: pb.GetSegmenterRequest, context: grpc.ServicerContext
    ) -> pb.GetSegmenterResponse:
        path = self._roots(context).readable(request.path, "path")
        if path.is_dir():
            self._roots(context).readable_within(path, "path")
        with named("", {"segmenter": "path"}):
            return pb.GetSegmenterResponse(segmenter=_segmenter(path))

    def ListLabels(
        self, request: pb.ListLabelsRequest, context: grpc.ServicerContext
    ) -> pb.ListLabelsResponse:
        from understudy.core.faceset.labels import Label, Labels
        from understudy.core.faceset.mattes import Mattes

        faceset = opened.faceset(self._roots(context), request.path)
        labels = Labels(faceset)
        rows = np.flatnonzero(np.isin(faceset.columns.name, list(labels.names())))
        records = [faceset.records[i] for i in rows.tolist()]
        records.sort(key=lambda r: (r.face.frame, r.face.track, r.view, r.path.name))

        def read(record: FaceRecord) -> Label | str | None:
            try:
                return labels.read(record)
            except (FrameUnreadable, InvalidInput) as error:  # listed too, or nobody would find it
                return error.message

        given = overlapped(records, read, lambda label: label, lambda label: label, ahead=cores())
        found = zip(records, given, strict=True)
        return pb.ListLabelsResponse(
            labels=[encode_segment.label(record, label) for record, label in found if label is not None],
            mattes=len(Mattes(faceset).names()),
        )

    def SuggestLabels(
        self, request: pb.SuggestLabelsRequest, context: grpc.ServicerContext
    ) -> pb.SuggestLabelsResponse:
        from understudy.core.segment import rank

        faceset = opened.faceset(self._roots(context), request.path)
        track = request.track if request.HasField("track") else None
        found = rank.suggest(faceset, request.count or COUNT, track)
        return pb.SuggestLabelsResponse(suggestions=map(encode_segment.suggestion, found))

    def ClearSegmentation(
        self, request: pb.ClearSegmentationRequest, context: grpc.ServicerContext
    ) -> pb.ClearSegmentationResponse:
        from understudy.core.segment.clear import clear

        opened.writable(self._roots(context), request.path)
        faceset = opened.faceset(self._roots(context), request.path)
        chosen = faceset.subset(opened.find(faceset, query(request.query)))
        with named("", {"faceset": "path"}):
            gone = clear(chosen, labels=request.labels, mattes=request.mattes)
        return pb.ClearSegmentationResponse(labels=gone.labels, mattes=gone.mattes)


def _segmenter(path: Path) -> pb.Segmenter:
    from understudy.core.segment import store

    config = store.read_config(path)
    state = store.read_state(path) if store.exists(path) else None  # it may not have come to a checkpoint
    return encode_segment.segmenter(path, preset_of(config), config, state)
