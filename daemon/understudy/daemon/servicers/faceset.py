"""FacesetService."""

from __future__ import annotations

import grpc

from understudy.core.errors import NotFound
from understudy.core.face import Face
from understudy.core.faceset import FaceRecord, Faceset
from understudy.daemon import encode, paging
from understudy.daemon.paths import Roots
from understudy.v1 import common_pb2, resource_pb2, resource_pb2_grpc


class FacesetServicer(resource_pb2_grpc.FacesetServiceServicer):
    def __init__(self, roots: Roots) -> None:
        self._roots = roots

    def GetFaceset(
        self, request: resource_pb2.GetFacesetRequest, context: grpc.ServicerContext
    ) -> resource_pb2.GetFacesetResponse:
        faceset = self._open(request.path)
        first, record = faceset.records[0], faceset.release()
        return resource_pb2.GetFacesetResponse(
            faceset=resource_pb2.Faceset(
                path=str(faceset.path),
                id=faceset.digest(),
                faces=len(faceset.records),
                frames=encode.segments_of(r.face.frame for r in faceset.records),
                tracks=_tracks(faceset),
                size=first.alignment.size,
                face_type=first.alignment.face_type,
                release_id=record.id if record else "",
                broken=faceset.broken,
                plates=sorted({r.plate for r in faceset.records}),
            )
        )

    def ListFaces(
        self, request: resource_pb2.ListFacesRequest, context: grpc.ServicerContext
    ) -> resource_pb2.ListFacesResponse:
        faceset = self._open(request.path)
        scope = f"faces {faceset.path} {faceset.digest()}"  # a faceset that was edited is another list
        start = paging.cursor(scope, request.page_token) or 0
        records = sorted(faceset.records, key=lambda r: (r.face.frame, r.face.track, r.path.name))
        limit = paging.size(request.page_size, 1000, 10000)
        faces = [_face(record) for record in records[start : start + limit]]
        page = paging.fitting(faces)
        token = paging.token(scope, start + page) if start + page < len(records) else ""
        return resource_pb2.ListFacesResponse(faces=faces[:page], next_page_token=token)

    def _open(self, path: str) -> Faceset:
        faceset = Faceset.open(self._roots.readable(path, "path"))
        self._roots.readable_links((record.path for record in faceset.records), "path")
        if not faceset.records:
            raise NotFound(f"{path}: there is no face in it", path=path, field="path", value=path)
        return faceset


def _tracks(faceset: Faceset) -> list[resource_pb2.Track]:
    sides: dict[int, list[float]] = {}
    for record in faceset.records:
        sides.setdefault(record.face.track, []).append(_side(record.face))
    return [
        resource_pb2.Track(
            id=track.id,
            frames=encode.segments(track.frames),
            faces=len(sides[track.id]),
            mean_size=sum(sides[track.id]) / len(sides[track.id]),
        )
        for track in faceset.tracks()
    ]


def _side(face: Face) -> float:
    x0, y0, x1, y1 = face.box
    return max(x1 - x0, y1 - y0)


def _face(record: FaceRecord) -> resource_pb2.Face:
    face = record.face
    return resource_pb2.Face(
        path=str(record.path),
        frame=face.frame,
        track=face.track,
        box=face.box,
        landmarks=face.landmarks.points.ravel().tolist(),
        score=face.score,
        pose=common_pb2.Pose(pitch=face.pitch, yaw=face.yaw, roll=face.roll),
        alignment=record.alignment.matrix.ravel().tolist(),
        size=record.alignment.size,
        view=record.view,
    )
