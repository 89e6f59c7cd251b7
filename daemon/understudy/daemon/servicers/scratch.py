"""ScratchService."""

from __future__ import annotations

import threading
from collections.abc import Callable

import grpc
from google.protobuf import timestamp_pb2

from understudy.core.errors import NotFound
from understudy.daemon import expiry, paging
from understudy.daemon.access import Caller
from understudy.daemon.errors import JobStateRefused
from understudy.daemon.pathmap import NO_SCRATCH
from understudy.daemon.scratch import File, Folder
from understudy.daemon.site import Site
from understudy.daemon.store import Store
from understudy.daemon.text import text
from understudy.v1 import scratch_pb2 as pb
from understudy.v1 import scratch_pb2_grpc

CHUNK = 2 << 20  # bytes; gRPC takes 4 MiB in a message
BESIDE = 8192  # bytes of a message that are no data: a name of 32 folders among them


class ScratchServicer(scratch_pb2_grpc.ScratchServiceServicer):
    """Files of those who share no storage with this machine.

    Args:
        caller: who makes a call: every user has a folder of their own.
        store: of the jobs whose files are not to be deleted.
    """

    def __init__(self, site: Site, caller: Callable[[grpc.ServicerContext], Caller], store: Store) -> None:
        self._settings, self._caller, self._store = site.scratch, caller, store
        self._chunk = max(1, min(CHUNK, site.limits.message_bytes - BESIDE))
        self._folders: dict[str, Folder] = {}
        self._lock = threading.Lock()

    def SendChunk(self, request: pb.SendChunkRequest, context: grpc.ServicerContext) -> pb.SendChunkResponse:
        found = self._folder(context).receive(
            request.name, request.size_bytes, request.sha256, request.offset, request.data
        )
        return pb.SendChunkResponse(
            received_bytes=found.size, complete=found.complete, chunk_bytes=self._chunk
        )

    def FetchChunk(
        self, request: pb.FetchChunkRequest, context: grpc.ServicerContext
    ) -> pb.FetchChunkResponse:
        given = self._folder(context).give(request.name, request.offset, CHUNK, request.sha256)
        return pb.FetchChunkResponse(
            size_bytes=given.size, data=given.data, sha256=given.sha256, same=given.same
        )

    def ListFiles(self, request: pb.ListFilesRequest, context: grpc.ServicerContext) -> pb.ListFilesResponse:
        folder, scope = self._folder(context), f"scratch {request.name!r}"
        found = folder.files(request.name)
        start = max(0, paging.cursor(scope, request.page_token) or 0)
        size = paging.size(request.page_size, 1000, 10000)
        files = paging.filled(map(_file, found[start : start + size]))
        end = start + len(files)
        return pb.ListFilesResponse(
            files=files,
            next_page_token=paging.token(scope, end) if end < len(found) else "",
            folder=str(folder.place),
            used_bytes=folder.used(),
            quota_bytes=folder.quota,
        )

    def DeleteFiles(
        self, request: pb.DeleteFilesRequest, context: grpc.ServicerContext
    ) -> pb.DeleteFilesResponse:
        folder = self._folder(context)
        if jobs := expiry.claims(self._store, folder.path(request.name)):
            raise JobStateRefused(
                f"name: job {jobs[0]} has not ended and names {request.name}; wait for it or cancel it",
                job=jobs[0],
                field="name",
                value=request.name,
            )
        return pb.DeleteFilesResponse(deleted=folder.delete(request.name))

    def _folder(self, context: grpc.ServicerContext) -> Folder:
        """The caller's own."""
        user = self._caller(context).name
        place = self._settings.home(user)
        if place is None:
            raise NotFound(NO_SCRATCH, field="name")
        with self._lock:
            return self._folders.setdefault(user, Folder(place, self._settings.quota_mib << 20))


def _file(found: File) -> pb.ScratchFile:
    time = timestamp_pb2.Timestamp()
    time.FromNanoseconds(int(found.modified * 1e9))
    return pb.ScratchFile(name=text(found.name), size_bytes=found.size, modify_time=time)
