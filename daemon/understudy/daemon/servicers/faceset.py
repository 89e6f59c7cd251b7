"""FacesetService."""

from __future__ import annotations

from pathlib import Path

import grpc
import numpy as np
import numpy.typing as npt

from understudy.core.errors import InvalidInput, NotFound
from understudy.core.faceset import Faceset
from understudy.core.plate import Template
from understudy.daemon import encode_faceset, paging
from understudy.daemon.decode import facesets as decode
from understudy.daemon.paths import Roots
from understudy.daemon.refs import KEPT, Refs, named
from understudy.v1 import resource_pb2 as pb
from understudy.v1 import resource_pb2_grpc

MANUAL = "manual.json"  # what is written in a faceset by rpc


class FacesetServicer(resource_pb2_grpc.FacesetServiceServicer):
    """Facesets over the wire. Core's modules are loaded by the calls that need them: most daemons live for one."""

    def __init__(self, roots: Roots) -> None:
        self._roots = roots

    def GetFaceset(
        self, request: pb.GetFacesetRequest, context: grpc.ServicerContext
    ) -> pb.GetFacesetResponse:
        from understudy.core.faceset import curate, measures, order

        faceset = self._open(request.path)
        there = {name for name, values in measures.measured(faceset).items() if np.isfinite(values).all()}
        measured = [name for name, key in order.KEYS.items() if there.issuperset(key.measures)]
        rejected = 0 if faceset.packed else curate.rejected(faceset.path)
        return pb.GetFacesetResponse(faceset=encode_faceset.faceset(faceset, measured, rejected))

    def ListFaces(self, request: pb.ListFacesRequest, context: grpc.ServicerContext) -> pb.ListFacesResponse:
        from understudy.core.faceset import order

        faceset = self._open(request.path)
        asked = request.query.SerializeToString(deterministic=True).hex()
        scope = f"faces {faceset.path} {faceset.digest()} {asked}"  # an edited faceset is another list
        start = paging.cursor(scope, request.page_token) or 0
        limit = paging.size(request.page_size, 1000, 10000)
        found = _find(faceset, request.query)
        with named("query", {"key": "order"}):
            keys = order.values(faceset, request.query.order) if request.query.order else None
        faces = [
            encode_faceset.face(faceset.records[i], *([] if keys is None else [float(keys[i])]))
            for i in map(int, found[start : start + limit])
        ]
        page = paging.fitting(faces)
        token = paging.token(scope, start + page) if start + page < len(found) else ""
        return pb.ListFacesResponse(faces=faces[:page], next_page_token=token)

    def ListDuplicates(
        self, request: pb.ListDuplicatesRequest, context: grpc.ServicerContext
    ) -> pb.ListDuplicatesResponse:
        from understudy.core.faceset import duplicates

        faceset = self._open(request.path)
        given = {"threshold": request.threshold} if request.threshold else {}
        return pb.ListDuplicatesResponse(
            groups=encode_faceset.groups(faceset, duplicates.groups(faceset, **given))
        )

    def GetFacesetStatistics(
        self, request: pb.GetFacesetStatisticsRequest, context: grpc.ServicerContext
    ) -> pb.GetFacesetStatisticsResponse:
        from understudy.core.faceset.statistics import statistics

        found = statistics(self._open(request.path))
        return pb.GetFacesetStatisticsResponse(statistics=map(encode_faceset.statistic, found))

    def RejectFaces(
        self, request: pb.RejectFacesRequest, context: grpc.ServicerContext
    ) -> pb.RejectFacesResponse:
        from understudy.core.faceset import curate

        self._writable(request.path)
        faceset = self._open(request.path)
        chosen = request.query
        if not any((chosen.names, chosen.tracks, chosen.frames, chosen.views, chosen.ranges, chosen.limit)):
            raise InvalidInput(
                "query is empty: it would reject every face; name faces, people, frames, views, limits or a count",
                field="query",
                value="",
            )
        found = _find(faceset, chosen)
        if not len(found):
            raise NotFound(f"query: it finds no face of {faceset.path}", path=faceset.path, field="query")
        return pb.RejectFacesResponse(moved=curate.reject(faceset, found))

    def RestoreFaces(
        self, request: pb.RestoreFacesRequest, context: grpc.ServicerContext
    ) -> pb.RestoreFacesResponse:
        from understudy.core.faceset import curate

        folder = self._folder(request.path)
        return pb.RestoreFacesResponse(moved=curate.restore(folder, tuple(request.names)))

    def PickTrack(self, request: pb.PickTrackRequest, context: grpc.ServicerContext) -> pb.PickTrackResponse:
        from understudy.core.faceset.pick import person_at

        faceset, pick = self._open(request.path), request.pick
        plate = Template.parse(request.plate).text if request.plate else ""
        track = person_at(faceset, pick.frame, pick.x, pick.y, plate=plate, view=pick.view)
        if track is None:
            raise NotFound(
                f"pick: nobody stands at {pick.x:g}, {pick.y:g} of frame {pick.frame} in {faceset.path}",
                path=faceset.path,
                frame=pick.frame,
                field="pick",
            )
        return pb.PickTrackResponse(track=track)

    def ListReviewFrames(
        self, request: pb.ListReviewFramesRequest, context: grpc.ServicerContext
    ) -> pb.ListReviewFramesResponse:
        from understudy.core.faceset.review import review

        path = self._open(request.path).path
        found = review(path, request.confidence) if request.confidence else review(path)
        return pb.ListReviewFramesResponse(frames=map(encode_faceset.review_frame, found))

    def SetManualFaces(
        self, request: pb.SetManualFacesRequest, context: grpc.ServicerContext
    ) -> pb.SetManualFacesResponse:
        from understudy.core.manual import Manual

        folder = self._writable(request.path)
        with named("faces"):
            given = [
                encode_faceset.decode_manual_face(each, self._plate_of(folder, each.plate))
                for each in request.faces
            ]
            kept = Manual.read(folder)
            kept.set(given)
        return pb.SetManualFacesResponse(count=len(kept.faces))

    def ListManualFaces(
        self, request: pb.ListManualFacesRequest, context: grpc.ServicerContext
    ) -> pb.ListManualFacesResponse:
        from understudy.core.manual import Manual

        kept = Manual.read(self._folder(request.path, write=False))
        return pb.ListManualFacesResponse(faces=map(encode_faceset.manual_face, kept.faces))

    def DeleteManualFaces(
        self, request: pb.DeleteManualFacesRequest, context: grpc.ServicerContext
    ) -> pb.DeleteManualFacesResponse:
        from understudy.core.manual import Manual

        folder = self._folder(request.path)
        deleted = Manual.read(folder).delete(
            plate=self._plate_of(folder, request.plate) if request.plate else None,
            view=request.view,
            track=request.track if request.HasField("track") else None,
            frames=Refs.frames(request.frames, "frames"),
        )
        if not deleted:
            raise NotFound(
                f"{folder}: nothing was said by hand of these frames and this track",
                path=folder,
                field="frames",
            )
        return pb.DeleteManualFacesResponse(deleted=deleted)

    def _open(self, path: str) -> Faceset:
        """The faceset, with a face in it, none of whose files leads out of the roots by a link."""
        place = self._roots.readable(path, "path")
        if place.is_dir():
            self._roots.readable_within(place, "path")
        with named("", {"faceset": "path"}):
            faceset = Faceset.open(place)
        if not len(faceset.records):
            raise NotFound(f"{path}: there is no face in it", path=path, field="path", value=path)
        return faceset

    def _folder(self, path: str, *, write: bool = True) -> Path:
        """The folder of a faceset, which may have lost all its faces."""
        folder = self._writable(path) if write else self._roots.readable(path, "path")
        if not folder.is_dir():
            raise NotFound(f"{path}: there is no such faceset folder", path=path, field="path", value=path)
        self._roots.readable_within(folder, "path")
        return folder

    def _writable(self, path: str) -> Path:
        """A faceset that may be edited: it, and what the daemon writes in it, wherever links lead."""
        folder = self._roots.writable(path, "path")
        for name in (*KEPT, MANUAL):
            self._roots.writable(folder / name, "path")
        return folder

    def _plate_of(self, folder: Path, given: str) -> str:
        """The plate that is meant, in `%04d` form: where none is named, the faceset's only one."""
        if given:
            with named("", {"path": "plate"}):
                return Template.parse(given).text
        there = encode_faceset.plates(Faceset.open(folder)) if folder.is_dir() else []
        if len(there) != 1:
            some = f"has faces of {len(there)} plates: {', '.join(there)}" if there else "has no face yet"
            raise InvalidInput(f"plate: not named, and {folder} {some}; name it", field="plate", value="")
        return there[0]


def _find(faceset: Faceset, message: pb.FaceQuery) -> npt.NDArray[np.int64]:
    """The faces that a query names, in its order."""
    from understudy.core.faceset.query import find

    query = decode.query(message)
    with named("query"):
        return find(faceset, query)
