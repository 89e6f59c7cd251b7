"""What the bridge costs: the same question asked of one daemon by gRPC, by gRPC's asyncio, and by a host's link.

Round trips of one call after the other, by turns, so that what else the machine does meets all of them alike. Below,
what comes through at most: many calls at once.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
import statistics
import sys
import time
from collections.abc import Callable

from bench import common
from understudy.client.async_wire import AsyncWire
from understudy.client.contract import find
from understudy.client.endpoint import Local, Stub
from understudy.client.link import Link
from understudy.client.session import Session
from understudy.client.wire import CALL_S
from understudy.v1.job_pb2 import ListJobsRequest
from understudy.v1.job_pb2_grpc import JobServiceStub
from understudy.v1.system_pb2 import GetInfoRequest
from understudy.v1.system_pb2_grpc import SystemServiceStub

FOLDER = (common.FOLDER / "bridge").absolute()
TURNS = 20
AT_ONCE = 1000  # as many as a bridge takes
COMMAND = [sys.executable, "-m", "understudy.client.cli", "bridge"]
Ask = Callable[[], object]


class Asked:
    """One question in three ways; `calls` one after the other at each turn."""

    def __init__(
        self, session: Session, link: Link, stub: Stub, method: str, request: object, calls: int
    ) -> None:
        self.how = find(stub, method)
        self.name = self.how.name.partition("v1.")[2]
        self.request, self.calls = request, calls
        self.direct: Ask = lambda: session._wire.call(stub, method, request)
        self.by_link: Ask = lambda: link.call(self.name).result()

    def measure(self, loop: asyncio.AbstractEventLoop, wire: AsyncWire) -> tuple[float, float, float]:
        """Median seconds of a round trip: gRPC, asyncio, link."""
        ways = (
            self.direct,
            lambda: loop.run_until_complete(wire.ask(self.how, self.request, timeout=CALL_S)),
            self.by_link,
        )
        took: list[list[float]] = [[], [], []]
        for _, (kept, ask) in itertools.product(range(TURNS), zip(took, ways, strict=True)):
            for _ in range(self.calls):
                began = time.perf_counter()
                ask()
                kept.append(time.perf_counter() - began)
        a, b, c = map(statistics.median, took)
        return a, b, c


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    state = FOLDER / "state"
    with Session(state=state) as session, Link(COMMAND, state=str(state), start="never") as link:
        began = time.perf_counter()
        link.call("SystemService/GetInfo").result()
        start = time.perf_counter() - began
        asked = [
            Asked(session, link, JobServiceStub, "ListJobs", ListJobsRequest(), 25),
            Asked(session, link, SystemServiceStub, "GetInfo", GetInfoRequest(), 1),
        ]
        loop, wire = asyncio.new_event_loop(), AsyncWire(Local(state, "never"))
        rows = []
        for each in asked:
            direct, twin, by_link = each.measure(loop, wire)
            numbers = (f"{1e3 * direct:.2f}", f"{1e3 * twin:.2f}", f"{1e3 * by_link:.2f}")
            rows.append((each.name, *numbers, f"{by_link / direct:.1f}"))
        began = time.perf_counter()
        for call in [link.call("JobService/ListJobs") for _ in range(AT_ONCE)]:
            call.result()
        rate = AT_ONCE / (time.perf_counter() - began)
        loop.run_until_complete(wire.close())
        loop.close()
    rows.append(("start of a bridge, first answer", "", "", f"{1e3 * start:.0f}", ""))
    common.show(
        "bridge: milliseconds of a round trip, median",
        ("call", "gRPC", "gRPC, asyncio", "link and bridge", "ratio to gRPC"),
        rows,
    )
    print(f"{AT_ONCE} calls at once by the link: {rate:.0f} a second")


if __name__ == "__main__":
    main()
