"""What a session does with labels, segmenters and mattes; a part of `Session`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from understudy.client import specs
from understudy.client.job import Job
from understudy.client.wire import Wire
from understudy.v1 import job_pb2
from understudy.v1 import segment_pb2 as pb
from understudy.v1.resource_pb2 import FaceQuery
from understudy.v1.segment_pb2_grpc import SegmentServiceStub

LOOK_S = 600.0  # opening a faceset of 100,000 faces for the first time, on a slow disk


class Segments:
    """Calls about segmentation, and the jobs that do it."""

    _wire: Wire

    def start(self, spec: job_pb2.JobSpec, *, label: str = "", depends_on: Sequence[Job] = ()) -> Job:
        """Start a job; see `Session.start`."""
        raise NotImplementedError

    # Jobs

    def label_faces(
        self,
        faceset: specs.PathLike,
        *,
        label: str = "",
        depends_on: Sequence[Job] = (),
        **options: Any,
    ) -> Job:
        """Make labels of mattes that a person drew. Options: as `specs.label_faces`."""
        return self.start(specs.label_faces(faceset, **options), label=label, depends_on=depends_on)

    def train_segmenter(
        self,
        segmenter: specs.PathLike,
        facesets: Iterable[specs.PathLike],
        *,
        label: str = "",
        depends_on: Sequence[Job] = (),
        **options: Any,
    ) -> Job:
        """Train a segmenter on the labels of facesets. Options: as `specs.train_segmenter`."""
        spec = specs.train_segmenter(segmenter, facesets, **options)
        return self.start(spec, label=label, depends_on=depends_on)

    def apply_segmenter(
        self,
        segmenter: specs.PathLike,
        faceset: specs.PathLike,
        *,
        track: int | None = None,
        device: str = "",
        label: str = "",
        depends_on: Sequence[Job] = (),
    ) -> Job:
        """Write a segmenter's mattes beside the faces of a faceset."""
        spec = specs.apply_segmenter(segmenter, faceset, track=track, device=device)
        return self.start(spec, label=label, depends_on=depends_on)

    def preview_segmentation(
        self,
        faceset: specs.PathLike,
        output: specs.PathLike,
        *,
        label: str = "",
        depends_on: Sequence[Job] = (),
        **options: Any,
    ) -> Job:
        """Draw faces with their labels and mattes in a PNG. Options: as `specs.preview_segmentation`."""
        spec = specs.preview_segmentation(faceset, output, **options)
        return self.start(spec, label=label, depends_on=depends_on)

    # Looking

    def segmenter(self, path: specs.PathLike) -> pb.Segmenter:
        """What a segmenter is, how far it is trained and how good its mattes are.

        Raises:
            NotFound: there is none in this folder.
        """
        request = pb.GetSegmenterRequest(path=specs.absolute(path))
        reply: pb.GetSegmenterResponse = self._segment("GetSegmenter", request)
        return reply.segmenter

    def labels(self, path: specs.PathLike) -> pb.ListLabelsResponse:
        """The labels of a faceset by frame and track, and how many of its faces have a matte.

        Raises:
            NotFound: there is no such faceset.
        """
        request = pb.ListLabelsRequest(path=specs.absolute(path))
        reply: pb.ListLabelsResponse = self._segment("ListLabels", request)
        return reply

    def suggest_labels(
        self, path: specs.PathLike, *, count: int = 0, track: int | None = None
    ) -> list[pb.LabelSuggestion]:
        """The faces that it pays most to label next, best first; 0: ten of them.

        Raises:
            NotFound: there is no such faceset.
        """
        request = pb.SuggestLabelsRequest(path=specs.absolute(path), count=count, track=track)
        reply: pb.SuggestLabelsResponse = self._segment("SuggestLabels", request)
        return list(reply.suggestions)

    # Editing

    def clear_segmentation(
        self,
        path: specs.PathLike,
        *,
        labels: bool = False,
        mattes: bool = False,
        query: FaceQuery | None = None,
    ) -> pb.ClearSegmentationResponse:
        """Delete labels or mattes of the faces of a query, None all; how many of each.

        Raises:
            Refused: neither is asked for, or the faceset is a pack.
            NotFound: there is no such faceset, or the query finds none.
        """
        request = pb.ClearSegmentationRequest(
            path=specs.absolute(path), labels=labels, mattes=mattes, query=query
        )
        reply: pb.ClearSegmentationResponse = self._segment("ClearSegmentation", request)
        return reply

    def _segment(self, method: str, request: object) -> Any:
        return self._wire.call(SegmentServiceStub, method, request, timeout=LOOK_S)
