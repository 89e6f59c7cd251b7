"""The bridge, line by line, before a daemon of a few lines."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from tests.client.bridges import COMMAND, RawBridge
from tests.client.fake import FakeDaemon, frame, status
from tests.daemon.support import SECONDS, alive, until
from understudy.client import bridge as bridges
from understudy.client.async_wire import AsyncWire
from understudy.client.bridge import server
from understudy.client.contract import methods
from understudy.client.endpoint import Remote


class Counting(FakeDaemon):
    """Counts the events that gRPC has taken from it, and holds WaitJob."""

    sent = 0
    waits = 0

    def WatchJob(self, request, context):
        for reply in super().WatchJob(request, context):
            self.sent += 1
            yield reply

    def WaitJob(self, request, context):
        self.waits += 1
        return super().WaitJob(request, context)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Counting]:
    fake = Counting(tmp_path)
    fake.start()
    yield fake
    fake.stop()


@pytest.fixture
def bridge(daemon: Counting, tmp_path: Path) -> Iterator[RawBridge]:
    with RawBridge(tmp_path / "state", daemon.endpoint) as opened:
        yield opened


def _job(bridge: RawBridge) -> str:
    spec = {"checkPlate": {"plate": {"pattern": "/p.%04d.exr"}}}
    reply = bridge.ask("start", "JobService/StartJob", {"requestId": "1", "spec": spec})
    return str(reply["reply"]["job"]["id"])


def test_hello_tells_versions_and_every_method(bridge: RawBridge):
    hello = bridge.hello
    assert (hello["protocol"], hello["contract"], hello["pid"]) == (1, ["understudy.v1"], bridge.process.pid)
    assert hello["software"].count(".") == 2
    assert set(hello["methods"]) == set(methods())
    told = hello["methods"]["understudy.v1.JobService/WatchJob"]
    assert told == {"stream": True, "repeatable": True, "request_id": False, "resumes": True}
    assert hello["methods"]["understudy.v1.JobService/StartJob"]["request_id"]
    assert not hello["methods"]["understudy.v1.JobService/ResumeJob"]["repeatable"]


def test_a_call_has_its_reply_with_numbers_as_numbers(bridge: RawBridge, daemon: Counting):
    daemon.frames_failed = 3
    id_ = _job(bridge)
    answer = bridge.ask(7, "JobService/GetJob", {"id": id_})
    assert answer["id"] == 7
    job = answer["reply"]["job"]
    assert (job["id"], job["state"], job["framesFailed"]) == (id_, "JOB_STATE_SUCCEEDED", 3)
    assert bridge.end() == (0, "", "")


def test_a_refusal_has_all_that_the_daemon_says(bridge: RawBridge, daemon: Counting):
    daemon.refuse["check_plate"] = status(
        grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUT", "no such view", field="plate.views", value="middle"
    )
    spec = {"checkPlate": {"plate": {"pattern": "/é/p.%04d.exr"}}}
    error = bridge.ask("a", "JobService/StartJob", {"spec": spec})["error"]
    assert error["kind"] == "Refused"
    assert (error["code"], error["reason"], error["field"]) == (
        "INVALID_ARGUMENT",
        "INVALID_INPUT",
        "plate.views",
    )
    assert (error["message"], error["metadata"]["value"], error["exit_code"]) == ("no such view", "middle", 1)
    assert bridge.ask("b", "JobService/GetJob", {"id": "nope"})["error"]["kind"] == "NotFound"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ({"id": 1, "method": "understudy.v1.JobService/Nope"}, ("NOT_FOUND", "method", "has no")),
        ({"id": 1, "method": None}, ("NOT_FOUND", "method", "None")),
        ({"id": 1, "request": {"idd": 1}}, ("INVALID_ARGUMENT", "idd", "no field named")),
        ({"id": 1, "request": {"id": 1.5}}, ("INVALID_ARGUMENT", "id", "id field")),
        ({"id": 1, "request": {"id": "\udcff"}}, ("INVALID_ARGUMENT", "id", "surrogate")),
        ({"id": 1, "request": [1]}, ("INVALID_ARGUMENT", "request", "must be an object")),
        ({"id": 1, "deadline_s": 0}, ("INVALID_ARGUMENT", "deadline_s", "above 0")),
        ({"id": 1, "deadline_s": True}, ("INVALID_ARGUMENT", "deadline_s", "above 0")),
        ({"id": 1, "deadline_s": "5"}, ("INVALID_ARGUMENT", "deadline_s", "above 0")),
        ({"id": 1, "window": -1}, ("INVALID_ARGUMENT", "window", "above 0")),
        ({"id": None}, ("INVALID_ARGUMENT", "id", "whole number")),
        ({"id": {"a": 1}}, ("INVALID_ARGUMENT", "id", "whole number")),
        ({}, ("INVALID_ARGUMENT", "id", "whole number")),
    ],
)
def test_a_line_that_cannot_be_is_refused_and_names_its_field(bridge: RawBridge, line, says):
    bridge.say(**({"method": "understudy.v1.JobService/GetJob"} | line))
    answer = bridge.read()
    assert answer["id"] == (1 if line.get("id") == 1 else None)
    code, field, text = says
    assert (answer["error"]["code"], answer["error"]["field"]) == (code, field)
    assert text in answer["error"]["message"]


def test_nested_fields_are_named_by_their_path(bridge: RawBridge):
    request = {"spec": {"merge": {"swaps": [{"model": "/m", "hat": 1}]}}}
    error = bridge.ask(1, "JobService/StartJob", request)["error"]
    assert error["field"] == "spec.merge.swaps[0].hat"


@pytest.mark.parametrize("line", [b"nonsense", b"[1]", b'{"id": 1', b"\xff\xfe{}", b"[" * 100_000, b'"x"'])
def test_what_is_no_line_is_refused_and_the_next_one_is_heard(bridge: RawBridge, line: bytes):
    bridge.say_raw(b"\n  \n" + line + b"\n")
    answer = bridge.read()
    assert (answer["id"], answer["error"]["field"]) == (None, "line")
    assert bridge.ask(2, "JobService/ListJobs")["reply"]["jobs"] == []


def test_lines_and_answers_that_are_too_long_are_refused(daemon: Counting, tmp_path: Path):
    limit = "from understudy.client.bridge import pipes, server; pipes.LINE_BYTES = server.LINE_BYTES = 9000"
    with RawBridge(tmp_path / "state", daemon.endpoint, before=limit) as bridge:
        assert bridge.hello["line_bytes"] == 9000
        bridge.say(id=1, method="understudy.v1.JobService/GetJob", request={"id": "x" * 100_000})
        assert "longer than 9000 bytes" in bridge.read()["error"]["message"]
        id_ = _job(bridge)
        daemon.jobs[id_].label = "x" * 10_000
        error = bridge.ask(2, "JobService/GetJob", {"id": id_})
        assert (error["id"], error["error"]["field"]) == (2, "page_size")
        assert bridge.ask(3, "JobService/GetJob", {"id": "none"})["error"]["kind"] == "NotFound"


def test_a_large_answer_comes_whole(bridge: RawBridge, daemon: Counting):
    id_ = _job(bridge)
    daemon.jobs[id_].label = "é" * 2_000_000
    assert len(bridge.ask(1, "JobService/GetJob", {"id": id_})["reply"]["job"]["label"]) == 2_000_000


def test_a_stream_has_events_with_their_numbers_and_an_end(bridge: RawBridge, daemon: Counting):
    daemon.script = [frame(n) for n in (1001, 1002)]
    id_ = _job(bridge)
    bridge.begin("w", "JobService/WatchJob", {"id": id_, "afterSequence": 1})
    said = [bridge.read() for _ in range(5)]
    assert {line["id"] for line in said} == {"w"}
    assert [line.get("sequence") for line in said] == [None, None, 3, 5, None]
    assert said[0]["event"]["snapshot"]["id"] == id_
    assert said[2]["event"]["event"]["frame"]["frame"] == 1002
    assert said[4] == {"id": "w", "end": True}


def test_events_wait_for_room(bridge: RawBridge, daemon: Counting):
    daemon.script = [frame(n) for n in range(1, 41)]
    id_ = _job(bridge)
    bridge.begin("w", "JobService/WatchJob", {"id": id_}, window=4)
    first = [bridge.read() for _ in range(4)]
    assert all("event" in line for line in first)
    assert bridge.ask("g", "JobService/GetJob", {"id": id_})["id"] == "g"  # nothing came between
    bridge.say(ack="w", events=2)
    assert [bridge.read()["id"] for _ in range(2)] == ["w", "w"]
    assert bridge.ask("h", "JobService/GetJob", {"id": id_})["id"] == "h"
    bridge.say(ack="w", events=100)
    rest = [bridge.read() for _ in range(38)]
    assert rest[-1] == {"id": "w", "end": True}


def test_a_host_that_does_not_read_stops_the_daemon_not_the_memory(bridge: RawBridge, daemon: Counting):
    daemon.script = [frame(1001, message="x" * 20_000) for _ in range(3000)]
    id_ = _job(bridge)
    bridge.begin("w", "JobService/WatchJob", {"id": id_})
    before = -1
    while daemon.sent != before or not daemon.sent:  # until nothing moves any more
        before = daemon.sent
        time.sleep(0.5)
    assert daemon.sent < 1000
    said = 0
    while "end" not in bridge.read():
        said += 1
    assert said == 3000 + 3  # and snapshot, heartbeat, the job's end


def test_many_calls_at_once_and_each_can_be_cancelled(bridge: RawBridge, daemon: Counting):
    daemon.script = None
    id_ = _job(bridge)
    for n in range(300):
        bridge.begin(n, "JobService/WaitJob", {"id": id_, "timeout": "250s"}, deadline_s=300)
    assert bridge.ask(7, "JobService/GetJob", {"id": id_})["error"]["message"].endswith("is under way")
    for n in range(300):
        bridge.say(cancel=n)
    ended = [bridge.read() for _ in range(300)]
    assert sorted(line["id"] for line in ended) == list(range(300))
    assert {line["error"]["code"] for line in ended} == {"CANCELLED"}
    bridge.say(cancel="nobody")
    assert bridge.ask(0, "JobService/ListJobs")["id"] == 0


def test_a_cancelled_stream_leaves_the_job_and_the_daemon_hears_of_it(bridge: RawBridge, daemon: Counting):
    daemon.script = None
    id_ = _job(bridge)
    bridge.begin("w", "JobService/WatchJob", {"id": id_})
    assert ["event" in bridge.read() for _ in range(2)] == [True, True]
    bridge.say(cancel="w")
    assert bridge.read()["error"]["kind"] == "Cancelled"
    assert bridge.ask(1, "JobService/GetJob", {"id": id_})["reply"]["job"]["state"] == "JOB_STATE_QUEUED"


def test_a_deadline_ends_a_call(bridge: RawBridge, daemon: Counting):
    daemon.script = None
    id_ = _job(bridge)
    error = bridge.ask(1, "JobService/WaitJob", {"id": id_, "timeout": "60s"}, deadline_s=0.3)["error"]
    assert (error["kind"], error["code"]) == ("TimedOut", "DEADLINE_EXCEEDED")


def test_pings_are_answered(bridge: RawBridge):
    bridge.say(ping=[1, "x"])
    assert bridge.read() == {"pong": [1, "x"]}


def test_a_daemon_that_goes_is_unavailable_and_one_that_comes_back_is_found(
    bridge: RawBridge, daemon: Counting
):
    daemon.script = None
    id_ = _job(bridge)
    bridge.begin("w", "JobService/WatchJob", {"id": id_})
    assert ["event" in bridge.read() for _ in range(2)] == [True, True]
    daemon.stop()
    dropped = bridge.read()
    assert (dropped["id"], dropped["error"]["code"], dropped["error"]["sent"]) == ("w", "UNAVAILABLE", True)
    error = bridge.ask(1, "JobService/ResumeJob", {"id": id_})["error"]
    assert (error["kind"], error["code"], error["sent"]) == ("Unreachable", "UNAVAILABLE", False)
    assert "understudy serve" in error["message"]
    daemon.start()
    assert (
        bridge.ask(2, "JobService/ResumeJob", {"id": id_})["reply"]["job"]["state"] == "JOB_STATE_SUCCEEDED"
    )


def test_no_daemon_is_started_where_none_is_wanted(tmp_path: Path):
    with RawBridge(tmp_path / "state", "", "--start", "never") as bridge:
        error = bridge.ask(1, "SystemService/GetInfo")["error"]
        assert (error["kind"], error["sent"]) == ("Unreachable", False)
        assert str(tmp_path / "state") in error["message"]


def test_nothing_but_lines_is_on_its_output(daemon: FakeDaemon, tmp_path: Path):
    noise = (
        "import os\n"
        "from understudy.client.bridge import transcode\n"
        "real = transcode.method\n"
        "def method(name):\n"
        "    print('python', flush=True); os.write(1, b'c library\\n'); os.system('echo child')\n"
        "    return real(name)\n"
        "transcode.method = method"
    )
    with RawBridge(tmp_path / "state", daemon.endpoint, "--verbose", before=noise) as bridge:
        assert bridge.ask(1, "JobService/GetJob", {"id": "secret-path"})["error"]["kind"] == "NotFound"
        code, out, err = bridge.end()
    assert (code, out) == (0, "")
    assert {"python", "c library", "child"} <= set(err.splitlines())
    assert "JobService/GetJob: NotFound" in err
    assert "secret-path" not in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_well(bridge: RawBridge, daemon: Counting, number: int):
    daemon.script = None
    bridge.begin("w", "JobService/WatchJob", {"id": _job(bridge)})
    bridge.read()
    bridge.process.send_signal(number)
    assert bridge.process.wait(SECONDS) == 0


def test_it_ends_with_its_parent_although_others_hold_its_input(daemon: Counting, tmp_path: Path):
    reader, writer = os.pipe()  # this test holds both ends, as a forked child of a host might
    script = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen({COMMAND!r}, stdin={reader}, stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)"
    )
    environment = {**os.environ, "UNDERSTUDY_ENDPOINT": daemon.endpoint}
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, pass_fds=[reader], env=environment
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    until(lambda: not alive(pid))
    os.close(reader)
    os.close(writer)


def test_it_ends_where_its_host_has_gone_before_it_says_hello(daemon: Counting):
    environment = {**os.environ, "UNDERSTUDY_ENDPOINT": daemon.endpoint}
    process = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    assert process.stdout is not None
    process.stdout.close()
    try:
        assert process.wait(SECONDS) == 0
    finally:
        process.kill()
        process.communicate()


def test_it_ends_when_another_release_was_installed(daemon: Counting, monkeypatch, tmp_path: Path):
    monkeypatch.setattr(server, "WATCH_S", 0.01)
    monkeypatch.setattr(server, "WATCHES", 1)
    releases = iter(["0.1.0"] * 3 + [None] + ["0.2.0"] * 1000)

    def installed() -> str:
        if (found := next(releases)) is None:  # while it is installed there is none
            raise importlib.metadata.PackageNotFoundError("understudy")
        return found

    async def run() -> bytes:
        source, theirs = os.pipe()
        ours, sink = os.pipe()
        with (
            os.fdopen(source, "rb", buffering=0) as lines_in,
            os.fdopen(sink, "wb", buffering=0) as lines_out,
        ):
            wire = AsyncWire(Remote(daemon.endpoint))
            bridge = bridges.Bridge(wire, lines_in, lines_out, installed)
            await asyncio.wait_for(bridge.run(), 60)
            os.close(theirs)
            return os.read(ours, 100_000)

    assert json.loads(asyncio.run(run()))["hello"]["software"] == "0.1.0"


def test_an_embedded_daemon_starts_with_the_first_call_and_ends_with_the_bridge(tmp_path: Path):
    with RawBridge(tmp_path / "state") as bridge:
        assert not (tmp_path / "state" / "daemon.json").exists()
        info = bridge.ask(1, "SystemService/GetInfo", deadline_s=120)["reply"]
        assert info["embedded"]
        assert bridge.end()[:2] == (0, "")
    assert not alive(int(info["processId"]))


def test_a_detached_daemon_stays(tmp_path: Path):
    pid = 0
    try:
        with RawBridge(tmp_path / "state", "", "--start", "detached") as bridge:
            info = bridge.ask(1, "SystemService/GetInfo", deadline_s=120)["reply"]
            pid = int(info["processId"])
            assert not info["embedded"]
            assert bridge.end()[:2] == (0, "")
        assert alive(pid)
        with RawBridge(tmp_path / "state", "", "--start", "never") as again:
            assert again.ask(1, "SystemService/GetInfo")["reply"]["processId"] == pid
    finally:
        if pid:
            os.kill(pid, signal.SIGTERM)
            until(lambda: not (tmp_path / "state" / "daemon.json").exists())
