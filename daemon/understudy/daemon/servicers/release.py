"""ReleaseService."""

from __future__ import annotations

from datetime import date, timezone
from pathlib import Path

import grpc
from google.protobuf import timestamp_pb2

from understudy.core import release
from understudy.core.errors import InvalidInput, ReleaseInvalid, ReleaseMissing
from understudy.daemon import encode
from understudy.daemon.errors import Exists
from understudy.daemon.site import RootsOf
from understudy.v1 import resource_pb2, resource_pb2_grpc


class ReleaseServicer(resource_pb2_grpc.ReleaseServiceServicer):
    def __init__(self, roots: RootsOf) -> None:
        self._roots = roots

    def CreateRelease(
        self, request: resource_pb2.CreateReleaseRequest, context: grpc.ServicerContext
    ) -> resource_pb2.CreateReleaseResponse:
        path = self._roots(context).writable(request.path, "path")
        if path.suffix != ".json":
            raise InvalidInput(f"path: {path} does not end in .json", field="path", value=path)
        asked = request.release
        record = release.Release(
            subject=asked.subject,
            kind=asked.kind,
            granted_by=asked.granted_by,
            granted=date.today(),
            scope=asked.scope or "this production",
            valid_from=_day(asked, "valid_from") or date.today(),
            valid_until=_day(asked, "valid_until"),
            document=asked.document_sha256,
        )
        if path.exists():
            _same(path, record)
        else:
            release.write(record, path)
        return resource_pb2.CreateReleaseResponse(release=encode.release(record))

    def GetRelease(
        self, request: resource_pb2.GetReleaseRequest, context: grpc.ServicerContext
    ) -> resource_pb2.GetReleaseResponse:
        record = release.read(self._roots(context).readable(request.path, "path"))
        try:
            release.check(record, date.today(), str(request.path))
        except (ReleaseMissing, ReleaseInvalid) as error:
            return resource_pb2.GetReleaseResponse(release=encode.release(record), message=error.message)
        return resource_pb2.GetReleaseResponse(release=encode.release(record), valid=True)


def _same(path: Path, record: release.Release) -> None:
    """A request that comes twice is fine; any other content is refused."""
    try:
        old = release.read(path)
    except ReleaseInvalid:
        old = None
    if old is None or old.id != record.id:
        raise Exists(
            f"{path}: is there with another content; records are not overwritten, choose another path",
            path=path,
            field="path",
            value=path,
        )


def _day(asked: resource_pb2.Release, name: str) -> date | None:
    """The calendar day of a time, UTC."""
    if not asked.HasField(name):
        return None
    stamp: timestamp_pb2.Timestamp = getattr(asked, name)
    try:
        return stamp.ToDatetime(tzinfo=timezone.utc).date()
    except (ValueError, OverflowError) as error:
        raise InvalidInput(
            f"release.{name}: {stamp.seconds} s is no date: {error}",
            field=f"release.{name}",
            value=stamp.seconds,
        ) from error
