"""What malice sends: messages that are none, and paths that lead elsewhere. For the tests and for the soak."""

from __future__ import annotations

import os
import random
import socket
import uuid
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from understudy.v1 import (
    job_pb2,
    plate_pb2,
    preview_pb2,
    recipe_pb2,
    resource_pb2,
    scratch_pb2,
    segment_pb2,
    system_pb2,
)

SECONDS = 60.0  # that an answer may take: machines that run this are busy
FAULTS = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNIMPLEMENTED}
LONG = {"/understudy.v1.JobService/WatchJob", "/understudy.v1.JobService/WaitJob"}
SECRET = "a secret that nobody may read"


def lay(folder: Path) -> Path:
    """What attacks are about: a root `in`, which is given back, and beside it `out` with what nobody may read."""
    for name in ("in", "out", "in/sub", "weights"):
        (folder / name).mkdir(parents=True)
    for name in LAID:
        (folder / "out" / name).write_text(SECRET)
    return folder / "in"


LAID = ("plate.1001.exr", "secret.json")


def methods() -> dict[str, tuple[type[Message], bool]]:
    """Every rpc that takes one request: that, and whether it answers in a stream."""
    return {
        f"/{service.full_name}/{method.name}": (
            message_factory.GetMessageClass(method.input_type),
            method.server_streaming,
        )
        for module in (
            job_pb2,
            plate_pb2,
            preview_pb2,
            recipe_pb2,
            resource_pb2,
            scratch_pb2,
            segment_pb2,
            system_pb2,
        )
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
        if not method.client_streaming
    }


def code(channel: grpc.Channel, method: str, raw: bytes, *, streams: bool) -> grpc.StatusCode:
    """What comes back for these bytes."""
    opened: Any = channel
    call = opened.unary_stream(method) if streams else opened.unary_unary(method).with_call
    try:
        list(call(raw, timeout=SECONDS))
    except grpc.RpcError as error:
        found: grpc.StatusCode = error.code()
        return found
    return grpc.StatusCode.OK


class Fuzz:
    """Messages of the contract with nonsense in them, and bytes that are none; the same for a seed."""

    TEXTS = (
        "",
        "x",
        "/",
        "/in",
        "\0",
        "a\nb",
        "/" + "a" * 300,
        "../../etc",
        "%d",
        "####",
        "é" * 40,
        "{}",
        "-1",
        "auto",
        "scratch:",
        "scratch:x",
        "scratch:../x",
        "0" * 64,
    )
    NUMBERS = (0, 1, -1, 2, 31, 2**31 - 1, -(2**31))
    LARGE = (0, 1, -1, 2**62, -(2**63), 2**63 - 1)

    def __init__(self, seed: int, folder: Path) -> None:
        self._random = random.Random(seed)
        self._texts = (
            *self.TEXTS,
            str(folder / "in"),
            str(folder / "in" / "p.####.exr"),
            str(uuid.UUID(int=seed)),
        )

    def bytes(self, kind: type[Message]) -> bytes:
        raw = bytearray(self._message(kind.DESCRIPTOR, kind()).SerializeToString())
        for _ in range(self._random.choice((0, 0, 1, 4))):
            at = self._random.randrange(len(raw) + 1)
            match self._random.randrange(3):
                case 0:
                    raw[at:at] = self._random.randbytes(self._random.randrange(1, 9))
                case 1:
                    del raw[at:]
                case _:
                    raw[at : at + 1] = self._random.randbytes(1)
        return bytes(raw)

    def _message(self, descriptor: Any, message: Any, depth: int = 0) -> Any:
        for field in descriptor.fields:
            if self._random.random() < (0.5 if depth < 5 else 0.1):
                self._fill(field, message, depth)
        return message

    def _fill(self, field: FieldDescriptor, message: Any, depth: int) -> None:
        there = getattr(message, field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].type == FieldDescriptor.TYPE_STRING:
                there[self._random.choice(self._texts).replace("\0", "")] = self._random.choice(self._texts)
        elif field.message_type is not None and depth < 6:
            inner = there.add() if hasattr(there, "add") else there
            self._message(field.message_type, inner, depth + 1)
        elif field.message_type is None:
            value = self._value(field)
            if hasattr(there, "append"):
                there.append(value)
            else:
                setattr(message, field.name, value)

    def _value(self, field: FieldDescriptor) -> Any:
        of = self._random.choice
        match field.cpp_type:
            case FieldDescriptor.CPPTYPE_STRING:
                text = of(self._texts)
                return text.encode() if field.type == FieldDescriptor.TYPE_BYTES else text
            case FieldDescriptor.CPPTYPE_BOOL:
                return of((True, False))
            case FieldDescriptor.CPPTYPE_DOUBLE | FieldDescriptor.CPPTYPE_FLOAT:
                return of((0.0, -1.0, 0.5, 1e30, float("inf"), float("nan")))
            case FieldDescriptor.CPPTYPE_UINT32 | FieldDescriptor.CPPTYPE_UINT64:
                return of((0, 1, 2**32 - 1))
            case FieldDescriptor.CPPTYPE_ENUM:
                return of((0, 1, 2, 99))
            case FieldDescriptor.CPPTYPE_INT32:
                return of(self.NUMBERS)
            case _:
                return of(self.LARGE)


def attacks(folder: Path) -> dict[str, str]:
    """Paths that must not be read, by what they try; links and pipes are made."""
    inside, outside = folder / "in", folder / "out"
    links = {
        "out": outside,
        "secret.json": outside / "secret.json",
        "root": Path("/"),
        "proc": Path("/proc/self"),
    }
    for name, target in links.items():
        if not (inside / name).is_symlink():
            (inside / name).symlink_to(target)
    if not (inside / "chain").is_symlink():
        (inside / "chain").symlink_to(inside / "sub" / ".." / "out")
        (inside / "loop").symlink_to(inside / "loop")
        os.mkfifo(inside / "pipe.json")
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(inside / "s.json"))
    return {
        "plainly outside": str(outside / "secret.json"),
        "dots": f"{inside}/../out/secret.json",
        "dots twice": f"{inside}/sub/../../out/secret.json",
        "dots behind nothing": f"{inside}/none/../../out/secret.json",
        "dots and slashes": f"{inside}//..//out///secret.json",
        "to the root": f"{inside}/../../../../../../../../etc/passwd",
        "a link to a folder": f"{inside}/out/secret.json",
        "a link to a file": f"{inside}/secret.json",
        "a link to a link": f"{inside}/chain/secret.json",
        "a link to the root": f"{inside}/root/etc/passwd",
        "a link to a process": f"{inside}/proc/environ",
        "a link and dots": f"{inside}/out/../in/../out/secret.json",
        "a prefix that is no folder": f"{inside}side/secret.json",
        "a pipe": f"{inside}/pipe.json",
        "a socket": f"{inside}/s.json",
        "the kernel": "/proc/self/environ",
        "our own memory": "/proc/self/mem",
        "our own descriptors": "/proc/self/fd/0",
        "a device without end": "/dev/zero",
        "a device": "/dev/stdin",
        "a setting of the kernel": "/sys/kernel/mm",
        "nothing": "",
        "relative": "in/a.json",
        "dots alone": "..",
        "home": "~/a.json",
        "a variable": "$HOME/a.json",
        "an url": "file:///etc/passwd",
        "a share": r"\\server\share\a.json",
        "a drive": r"C:\a.json",
        "NUL": f"{inside}/a\0.json",
        "NUL in front of a suffix": f"{outside}/secret.json\0.json",
        "a new line": f"{inside}/a\n.json",
        "an escape": f"{inside}/a\x1b[2J.json",
        "a long name": f"{inside}/{'a' * 256}.json",
        "a long path": f"{inside}/{'a/' * 2100}a.json",
        "the root itself": "/",
    }


def more(folder: Path) -> dict[str, str]:
    """Spellings of the same ways out: deeper, with slashes and dots between, behind every link that `attacks` made."""
    inside, outside = folder / "in", folder / "out"
    found = {f"{n} up": f"{inside}/sub{'/..' * n}/secret.json" for n in range(2, 42)}
    found |= {f"{n} up and down": f"{inside}{'/sub/..' * n}/../out/secret.json" for n in range(1, 31)}
    found |= {f"{n} slashes": f"{'/' * n}{str(outside)[1:]}/secret.json" for n in range(2, 22)}
    found |= {f"{n} dots between": f"{inside}{'/.' * n}/../out{'/.' * n}/secret.json" for n in range(1, 21)}
    links = {"out": "secret.json", "chain": "secret.json", "root": "etc/passwd", "proc": "environ"}
    for link, name in links.items():
        ways = ("", "/.", "//", "/./.", f"/../{link}", f"/../in/{link}", f"/sub/../../in/{link}")
        found |= {f"through {link}, spelt {n}": f"{inside}/{link}{way}/{name}" for n, way in enumerate(ways)}
    kernel = {
        "/proc/self": ("maps", "mem", "cmdline", "fd/1", "cwd/x", "root/x"),
        "/proc": ("kcore", "kmsg", "1/environ", "sys/kernel/core_pattern"),
        "/dev": ("null", "random", "tty", "full", "fd/0", "shm/a.json"),
        "/sys": ("power/state", "class/net", "kernel/debug"),
    }
    found |= {f"{at}, {name}": f"{at}/{name}" for at, names in kernel.items() for name in names}
    found |= {f"a control character {n}": f"{inside}/a{chr(n)}.json" for n in (*range(1, 32), 127)}
    relative = ("a", "./a", "../a", "\\\\?\\C:\\a", "~root/a", "%s")
    return found | {f"relative, {text}": text for text in relative}
