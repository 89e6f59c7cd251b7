"""What a session does with facesets; a part of `Session`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from understudy.client import specs
from understudy.client.job import Job
from understudy.client.wire import Wire
from understudy.v1 import job_pb2
from understudy.v1 import resource_pb2 as pb
from understudy.v1.common_pb2 import Pick
from understudy.v1.resource_pb2_grpc import FacesetServiceStub

LOOK_S = 600.0  # opening a faceset of 100,000 faces for the first time, on a slow disk
PAGE = 10000  # faces a page at most; replies are cut where they become too large


class Facesets:
    """Calls about facesets, and the jobs that work on them."""

    _wire: Wire

    def start(self, spec: job_pb2.JobSpec, *, label: str = "", depends_on: Sequence[Job] = ()) -> Job:
        """Start a job; see `Session.start`."""
        raise NotImplementedError

    # Jobs

    def measure_faceset(
        self,
        faceset: specs.PathLike,
        *,
        keys: Iterable[str] = (),
        reference: specs.PathLike = "",
        identity: str = "",
        label: str = "",
        depends_on: Sequence[Job] = (),
    ) -> Job:
        """Measure what sorting needs of every face, once. No keys: all that need no further weights."""
        spec = specs.measure_faceset(faceset, keys=keys, reference=reference, identity=identity)
        return self.start(spec, label=label, depends_on=depends_on)

    def faceset_sheet(
        self,
        faceset: specs.PathLike,
        output: specs.PathLike,
        *,
        label: str = "",
        depends_on: Sequence[Job] = (),
        **options: Any,
    ) -> Job:
        """Draw faces side by side in a PNG. Options: as `specs.faceset_sheet`."""
        spec = specs.faceset_sheet(faceset, output, **options)
        return self.start(spec, label=label, depends_on=depends_on)

    def faceset_coverage(
        self,
        faceset: specs.PathLike,
        output: specs.PathLike,
        *,
        against: specs.PathLike = "",
        label: str = "",
        depends_on: Sequence[Job] = (),
    ) -> Job:
        """Draw where in yaw and pitch the faces are, and list the gaps: as warnings, and in a JSON beside the PNG."""
        spec = specs.faceset_coverage(faceset, output, against=against)
        return self.start(spec, label=label, depends_on=depends_on)

    def pack_faceset(
        self,
        faceset: specs.PathLike,
        output: specs.PathLike,
        *,
        label: str = "",
        depends_on: Sequence[Job] = (),
    ) -> Job:
        """Put a faceset into one file that training maps into memory."""
        return self.start(specs.pack_faceset(faceset, output), label=label, depends_on=depends_on)

    def unpack_faceset(
        self,
        pack: specs.PathLike,
        output: specs.PathLike,
        *,
        label: str = "",
        depends_on: Sequence[Job] = (),
    ) -> Job:
        """Take a packed faceset apart again."""
        return self.start(specs.unpack_faceset(pack, output), label=label, depends_on=depends_on)

    def resize_faceset(
        self,
        faceset: specs.PathLike,
        output: specs.PathLike,
        *,
        label: str = "",
        depends_on: Sequence[Job] = (),
        **options: Any,
    ) -> Job:
        """Make another faceset, of another crop size or face type. Options: as `specs.resize_faceset`."""
        spec = specs.resize_faceset(faceset, output, **options)
        return self.start(spec, label=label, depends_on=depends_on)

    def import_faceset(
        self,
        source: specs.PathLike,
        output: specs.PathLike,
        *,
        release: specs.PathLike = "",
        label: str = "",
        depends_on: Sequence[Job] = (),
    ) -> Job:
        """Make a faceset out of one of DeepFaceLab."""
        spec = specs.import_faceset(source, output, release=release)
        return self.start(spec, label=label, depends_on=depends_on)

    def export_faceset(
        self,
        faceset: specs.PathLike,
        output: specs.PathLike,
        *,
        quality: int = 0,
        label: str = "",
        depends_on: Sequence[Job] = (),
    ) -> Job:
        """Write a faceset as DeepFaceLab has them."""
        spec = specs.export_faceset(faceset, output, quality=quality)
        return self.start(spec, label=label, depends_on=depends_on)

    def join_facesets(
        self,
        facesets: Iterable[specs.PathLike],
        output: specs.PathLike,
        *,
        label: str = "",
        depends_on: Sequence[Job] = (),
    ) -> Job:
        """Make one faceset out of several of one person."""
        return self.start(specs.join_facesets(facesets, output), label=label, depends_on=depends_on)

    # Looking

    def faceset(self, path: specs.PathLike) -> pb.Faceset:
        """What a faceset holds.

        Raises:
            NotFound: there is no such folder, or no face in it.
        """
        reply: pb.GetFacesetResponse = self._look(
            "GetFaceset", pb.GetFacesetRequest(path=specs.absolute(path))
        )
        return reply.faceset

    def faces(self, path: specs.PathLike, query: pb.FaceQuery | None = None) -> Iterator[pb.Face]:
        """The faces of a faceset, by frame and track, or as a query of `specs.query` says.

        Raises:
            Refused: a key that is not known, or NOT_MEASURED: measure the faceset first. Or the faceset was edited
                between two pages: start again.
        """
        request = pb.ListFacesRequest(path=specs.absolute(path), query=query, page_size=PAGE)
        while True:
            reply: pb.ListFacesResponse = self._look("ListFaces", request)
            yield from reply.faces
            if not reply.next_page_token:
                return
            request.page_token = reply.next_page_token

    def show_faces(
        self, path: specs.PathLike, names: Sequence[str], size: int = 0
    ) -> Iterator[pb.ShowFacesResponse]:
        """Pictures of faces, as they are made: `name`, and `picture`, a square PNG, or `trouble`.

        Args:
            names: of image files in the faceset, 1000 at most.
            size: side in pixels; 0: the daemon's.

        Raises:
            NotFound: there is no face of these names.
            Unreachable: the stream broke off; ask again for those that are missing.
        """
        request = pb.ShowFacesRequest(path=specs.absolute(path), names=names, size=size)
        yield from self._wire.stream(FacesetServiceStub, "ShowFaces", request)

    def duplicates(self, path: specs.PathLike, threshold: float = 0.0) -> list[list[str]]:
        """Names of faces that are the same picture, in groups, the sharpest first. 0: the daemon's threshold.

        Raises:
            Refused: NOT_MEASURED; measure the faceset first.
        """
        request = pb.ListDuplicatesRequest(path=specs.absolute(path), threshold=threshold)
        reply: pb.ListDuplicatesResponse = self._look("ListDuplicates", request)
        return [list(group.names) for group in reply.groups]

    def faceset_statistics(self, path: specs.PathLike) -> list[pb.Statistic]:
        """Numbers about all faces."""
        request = pb.GetFacesetStatisticsRequest(path=specs.absolute(path))
        reply: pb.GetFacesetStatisticsResponse = self._look("GetFacesetStatistics", request)
        return list(reply.statistics)

    def pick_track(
        self,
        path: specs.PathLike,
        frame: int,
        x: float,
        y: float,
        *,
        view: str = "",
        plate: specs.PathLike = "",
    ) -> int:
        """The id of the person who stands at a point of a frame, in plate pixels.

        Raises:
            NotFound: nobody does.
        """
        pick = Pick(frame=frame, x=x, y=y, view=view)
        request = pb.PickTrackRequest(path=specs.absolute(path), pick=pick, plate=specs.absolute(plate))
        reply: pb.PickTrackResponse = self._look("PickTrack", request)
        return reply.track

    def review_frames(self, path: specs.PathLike, confidence: float = 0.0) -> list[pb.ReviewFrame]:
        """Frames that a person should look at, and why. `confidence`: below it a face is unsure; 0: the daemon's."""
        request = pb.ListReviewFramesRequest(path=specs.absolute(path), confidence=confidence)
        reply: pb.ListReviewFramesResponse = self._look("ListReviewFrames", request)
        return list(reply.frames)

    # Editing

    def reject_faces(self, path: specs.PathLike, query: pb.FaceQuery) -> int:
        """Move the faces of a query into `rejected/`; how many.

        Raises:
            NotFound: the query finds none.
            Refused: the query is empty.
        """
        request = pb.RejectFacesRequest(path=specs.absolute(path), query=query)
        reply: pb.RejectFacesResponse = self._look("RejectFaces", request)
        return reply.moved

    def restore_faces(self, path: specs.PathLike, names: Iterable[str] = ()) -> int:
        """Move rejected faces back, all if none is named; how many.

        Raises:
            NotFound: none of these is in `rejected/`.
        """
        request = pb.RestoreFacesRequest(path=specs.absolute(path), names=names)
        reply: pb.RestoreFacesResponse = self._look("RestoreFaces", request)
        return reply.moved

    def set_manual_faces(self, path: specs.PathLike, faces: Iterable[pb.ManualFace]) -> int:
        """Keep what a person says of faces, made by `specs.manual_face`; how many are kept now.

        The next extraction of the plate makes just these frames again.
        """
        request = pb.SetManualFacesRequest(path=specs.absolute(path), faces=faces)
        reply: pb.SetManualFacesResponse = self._look("SetManualFaces", request)
        return reply.count

    def manual_faces(self, path: specs.PathLike) -> list[pb.ManualFace]:
        """What was said so far."""
        request = pb.ListManualFacesRequest(path=specs.absolute(path))
        reply: pb.ListManualFacesResponse = self._look("ListManualFaces", request)
        return list(reply.faces)

    def delete_manual_faces(
        self,
        path: specs.PathLike,
        *,
        frames: specs.Frames = None,
        track: int | None = None,
        plate: specs.PathLike = "",
        view: str = "",
    ) -> int:
        """Forget what was said of these frames (None: all) and this track (None: any); how many.

        Raises:
            NotFound: nothing was.
        """
        request = pb.DeleteManualFacesRequest(
            path=specs.absolute(path),
            plate=specs.absolute(plate),
            view=view,
            track=track,
            frames=specs.segments(frames),
        )
        reply: pb.DeleteManualFacesResponse = self._look("DeleteManualFaces", request)
        return reply.deleted

    def _look(self, method: str, request: object) -> Any:
        return self._wire.call(FacesetServiceStub, method, request, timeout=LOOK_S)
