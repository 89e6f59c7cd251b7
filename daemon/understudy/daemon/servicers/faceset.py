"""FacesetService."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import grpc
import numpy as np
import numpy.typing as npt

from understudy.core.colour import ColourConfig
from understudy.core.errors import InvalidInput, NotFound
from understudy.core.faceset import Faceset
from understudy.core.plate import Template
from understudy.daemon import encode_faceset, opened, paging
from understudy.daemon.decode import facesets as decode
from understudy.daemon.refs import Refs, named
from understudy.daemon.site import RootsOf
from understudy.daemon.text import text
from understudy.v1 import resource_pb2 as pb
from understudy.v1 import resource_pb2_grpc

RANK = "rank"  # unit of keys that are a place in an order
LISTINGS = 4  # kept, so that a page of 100,000 faces does not sort them again
SHOWN = 1000  # faces that one call shows at most
SETTLED = 2 * 10**9  # ns: the coarsest clock of a file system (FAT)


class FacesetServicer(resource_pb2_grpc.FacesetServiceServicer):
    """Facesets over the wire. Core's modules are loaded by the calls that need them: most daemons live for one."""

    def __init__(self, roots: RootsOf, colour: ColourConfig) -> None:
        self._roots, self._colour = roots, colour
        self._listings: dict[tuple[Path, str], _Listing] = {}
        self._lock = threading.Lock()

    def GetFaceset(
        self, request: pb.GetFacesetRequest, context: grpc.ServicerContext
    ) -> pb.GetFacesetResponse:
        from understudy.core.faceset import curate, order

        faceset = opened.faceset(self._roots(context), request.path)
        message = encode_faceset.faceset(faceset, order.available(faceset), curate.rejected(faceset.path))
        return pb.GetFacesetResponse(faceset=message)

    def ListFaces(self, request: pb.ListFacesRequest, context: grpc.ServicerContext) -> pb.ListFacesResponse:
        listing = self._listing(request, context)
        scope = f"faces {listing.faceset.path} {listing.digest} {listing.asked}"  # when edited, another list
        start = paging.cursor(scope, request.page_token) or 0
        faces = paging.filled(listing.faces(start, paging.size(request.page_size, 1000, 10000)))
        end = start + len(faces)
        token = paging.token(scope, end) if end < len(listing.found) else ""
        return pb.ListFacesResponse(faces=faces, next_page_token=token)

    def ListDuplicates(
        self, request: pb.ListDuplicatesRequest, context: grpc.ServicerContext
    ) -> pb.ListDuplicatesResponse:
        from understudy.core.faceset import duplicates

        faceset = opened.faceset(self._roots(context), request.path)
        given = {"threshold": request.threshold} if request.threshold else {}
        return pb.ListDuplicatesResponse(
            groups=encode_faceset.groups(faceset, duplicates.groups(faceset, **given))
        )

    def ShowFaces(
        self, request: pb.ShowFacesRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.ShowFacesResponse]:
        from understudy.core import drawing
        from understudy.core.faceset import sheet
        from understudy.core.faceset.query import Query, find

        if not 1 <= len(request.names) <= SHOWN:
            count = len(request.names)
            raise InvalidInput(f"names: {count} of them; name 1 to {SHOWN} faces", field="names", value=count)
        cell = request.size or sheet.CELL
        with named("", {"cell": "size"}):
            sheet.check_cell(cell)
        faceset = opened.faceset(self._roots(context), request.path)
        found = find(faceset, Query(names=tuple(request.names)))
        for index in map(int, found):
            if not context.is_active():
                return
            picture, trouble = sheet.seen(faceset, self._colour, cell, index)
            yield pb.ShowFacesResponse(
                name=text(faceset.columns.name[index]),
                picture=b"" if trouble else drawing.png(picture),
                trouble=text(trouble),
            )

    def GetFacesetStatistics(
        self, request: pb.GetFacesetStatisticsRequest, context: grpc.ServicerContext
    ) -> pb.GetFacesetStatisticsResponse:
        from understudy.core.faceset.statistics import statistics

        found = statistics(opened.faceset(self._roots(context), request.path))
        return pb.GetFacesetStatisticsResponse(statistics=map(encode_faceset.statistic, found))

    def RejectFaces(
        self, request: pb.RejectFacesRequest, context: grpc.ServicerContext
    ) -> pb.RejectFacesResponse:
        from understudy.core.faceset import curate

        opened.writable(self._roots(context), request.path)
        faceset = opened.faceset(self._roots(context), request.path)
        query = decode.query(request.query)
        if query.empty:
            raise InvalidInput(
                "query is empty: it would reject every face; name faces, people, frames, views, limits or a count",
                field="query",
                value="",
            )
        found = opened.find(faceset, query)
        if not len(found):
            raise NotFound(f"query: it finds no face of {faceset.path}", path=faceset.path, field="query")
        return pb.RejectFacesResponse(moved=curate.reject(faceset, found))

    def RestoreFaces(
        self, request: pb.RestoreFacesRequest, context: grpc.ServicerContext
    ) -> pb.RestoreFacesResponse:
        from understudy.core.faceset import curate

        folder = self._folder(request.path, context)
        return pb.RestoreFacesResponse(moved=curate.restore(folder, tuple(request.names)))

    def PickTrack(self, request: pb.PickTrackRequest, context: grpc.ServicerContext) -> pb.PickTrackResponse:
        from understudy.core.faceset.pick import person_at

        faceset, pick = opened.faceset(self._roots(context), request.path), request.pick
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

        path = opened.faceset(self._roots(context), request.path).path
        found = review(path, request.confidence) if request.confidence else review(path)
        return pb.ListReviewFramesResponse(frames=map(encode_faceset.review_frame, found))

    def SetManualFaces(
        self, request: pb.SetManualFacesRequest, context: grpc.ServicerContext
    ) -> pb.SetManualFacesResponse:
        from understudy.core.faceset.manual import Manual

        folder = opened.writable(self._roots(context), request.path)
        with named("faces"):
            given = [
                encode_faceset.decode_manual_face(each, self._plate_of(folder, each.plate))
                for each in request.faces
            ]
            return pb.SetManualFacesResponse(count=Manual.read(folder).set(given))

    def ListManualFaces(
        self, request: pb.ListManualFacesRequest, context: grpc.ServicerContext
    ) -> pb.ListManualFacesResponse:
        from understudy.core.faceset.manual import Manual

        kept = Manual.read(self._folder(request.path, context, write=False))
        return pb.ListManualFacesResponse(faces=map(encode_faceset.manual_face, kept.faces))

    def DeleteManualFaces(
        self, request: pb.DeleteManualFacesRequest, context: grpc.ServicerContext
    ) -> pb.DeleteManualFacesResponse:
        from understudy.core.faceset.manual import Manual

        folder = self._folder(request.path, context)
        deleted = Manual.read(folder).delete(
            plate=self._plate_of(folder, request.plate) if request.plate else "",
            view=request.view,
            track=request.track if request.HasField("track") else None,
            frames=Refs.frames(request.frames, "frames"),
        )
        return pb.DeleteManualFacesResponse(deleted=deleted)

    def _listing(self, request: pb.ListFacesRequest, context: grpc.ServicerContext) -> _Listing:
        """What the request asks for: the list that its page is of, where nobody touched the faceset since."""
        place = self._roots(context).readable(request.path, "path")
        asked = request.query.SerializeToString(deterministic=True).hex()
        key, stamp = (place, asked), _stamp(place)
        held = self._listings.get(key) if request.page_token else None
        if held is not None and held.stamp == stamp:
            return held
        made = _Listing.of(opened.faceset(self._roots(context), request.path), request.query, asked, stamp)
        with self._lock:
            self._listings.pop(key, None)
            self._listings[key] = made
            if len(self._listings) > LISTINGS:
                del self._listings[next(iter(self._listings))]
        return made

    def _folder(self, path: str, context: grpc.ServicerContext, *, write: bool = True) -> Path:
        """The folder of a faceset, which may have lost all its faces."""
        folder = (
            opened.writable(self._roots(context), path)
            if write
            else self._roots(context).readable(path, "path")
        )
        if not folder.is_dir():
            raise NotFound(f"{path}: there is no such faceset folder", path=path, field="path", value=path)
        self._roots(context).readable_within(folder, "path")
        return folder

    def _plate_of(self, folder: Path, given: str) -> str:
        """The plate that is meant, in `%04d` form: where none is named, the faceset's only one."""
        if given:
            with named("", {"path": "plate"}):
                return Template.parse(given).text
        there = Faceset.open(folder).plates() if folder.is_dir() else ()
        if len(there) > 1:
            listed = ", ".join(there)
            raise InvalidInput(
                f"plate: {folder} has faces of several, {listed}; name one", field="plate", value=""
            )
        return there[0] if there else ""  # of the first plate that will be extracted


@dataclass(frozen=True, kw_only=True)
class _Listing:
    """A list of faces that comes in pages.

    Attributes:
        faceset: as it was when the list was asked for, and its digest.
        asked: the query, as text.
        found: (M,) rows of the faceset's columns.
        keys: (M,) what the list is sorted by; None where it is sorted by no key, or by a place in an order.
        stamp: of the faceset on disk, before it was opened.
    """

    faceset: Faceset
    digest: str
    asked: str
    found: npt.NDArray[np.int64]
    keys: npt.NDArray[np.float64] | None
    stamp: int

    @classmethod
    def of(cls, faceset: Faceset, message: pb.FaceQuery, asked: str, stamp: int) -> _Listing:
        from understudy.core.faceset import order

        query, keys = decode.query(message), None
        if query.order and order.KEYS[query.order].unit != RANK:
            found = opened.find(faceset, replace(query, limit=0))  # likeness to others is within all that fit
            with named("query"):
                keys = order.values(faceset.subset(found), query.order)[: query.limit or None]
            found = found[: query.limit or None]
        else:
            found = opened.find(faceset, query)
        digest = faceset.digest()
        return cls(faceset=faceset, digest=digest, asked=asked, found=found, keys=keys, stamp=stamp)

    def faces(self, start: int, count: int) -> Iterator[pb.Face]:
        """So many of them, made as they are taken."""
        page = self.faceset.subset(self.found[start : start + count])
        keys = itertools.repeat(math.nan) if self.keys is None else self.keys[start:].tolist()
        return map(encode_faceset.face, page.records, keys)


def _stamp(place: Path) -> int:
    """Changes when a file comes, goes or is replaced; never the same twice while it has just changed."""
    try:
        changed = place.stat().st_mtime_ns
    except OSError:
        return 0
    now = time.time_ns()
    return changed if now - changed > SETTLED else now
