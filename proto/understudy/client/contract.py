"""What `understudy.v1` offers, by its descriptors: no method of it is named here.

From a method's descriptor follows how it may be called. `idempotency_level` says whether a call may be repeated when
nobody knows whether it was done; a field `request_id` in the request, that a repeated one must carry the same id;
a field `after_sequence`, that a stream which broke off goes on from there.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from google.protobuf import message_factory
from google.protobuf.message import Message

import understudy.v1

PACKAGE = "understudy.v1"


@dataclass(frozen=True)
class Method:
    """How one method is called.

    Attributes:
        name: `understudy.v1.JobService/GetJob`; gRPC's path has a slash before it.
        request, reply: the classes of its messages.
        streams: it answers with many replies.
        repeatable: it may be asked again when nobody knows whether it was done.
        request_id: its request has a field `request_id`.
        resumes: its request has a field `after_sequence`, its replies numbers to fill it with.
    """

    name: str
    request: type[Message]
    reply: type[Message]
    streams: bool
    repeatable: bool
    request_id: bool
    resumes: bool

    @property
    def path(self) -> str:
        return f"/{self.name}"


@lru_cache(maxsize=1)
def methods() -> Mapping[str, Method]:
    """All methods of the contract by their names."""
    found = {}
    for module in pkgutil.iter_modules(understudy.v1.__path__):
        if module.name.endswith("_pb2"):
            file = importlib.import_module(f"{PACKAGE}.{module.name}").DESCRIPTOR
            for service in file.services_by_name.values():
                for method in service.methods:
                    each = _method(f"{service.full_name}/{method.name}", method)
                    found[each.name] = each
    return MappingProxyType(found)


def _method(name: str, descriptor: Any) -> Method:
    fields = descriptor.input_type.fields_by_name
    return Method(
        name=name,
        request=message_factory.GetMessageClass(descriptor.input_type),
        reply=message_factory.GetMessageClass(descriptor.output_type),
        streams=descriptor.server_streaming,
        repeatable=descriptor.GetOptions().idempotency_level != 0,
        request_id="request_id" in fields,
        resumes=descriptor.server_streaming and "after_sequence" in fields,
    )


def find(stub: object, method: str) -> Method:
    """The method of a generated stub class: JobServiceStub, "GetJob".

    Raises:
        KeyError: the contract has no such method.
    """
    service = str(getattr(stub, "__name__", ""))[: -len("Stub")]
    return methods()[f"{PACKAGE}.{service}/{method}"]


def sequence(reply: Message) -> int | None:
    """The number of a reply of a stream that resumes; None for one that does not count, a snapshot say."""
    for _, value in reply.ListFields():
        if isinstance(value, Message) and "sequence" in value.DESCRIPTOR.fields_by_name:
            return int(getattr(value, "sequence"))  # noqa: B009 - only some messages have it
    return None
