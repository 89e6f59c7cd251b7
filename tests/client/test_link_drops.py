"""What a link does when bridges and daemons are killed, hang, or say nothing."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.bridges import COMMAND
from tests.client.fake import FakeDaemon, frame
from tests.client.links import PATIENT, bridge_of, frames_of, replaced, started
from tests.daemon.support import alive, until
from understudy.client import link
from understudy.client.link import Link, supervisor
from understudy.v1 import job_pb2


@pytest.fixture
def open_link(daemon: FakeDaemon) -> Iterator[Link]:
    with Link(COMMAND, endpoint=daemon.endpoint) as opened:
        yield opened


def test_a_bridge_killed_in_mid_watch_is_started_again_and_nothing_is_lost(
    daemon: FakeDaemon, open_link: Link
):
    daemon.script = None
    id_ = started(open_link)
    daemon.play(id_, [frame(n) for n in range(1, 101)])
    stream = open_link.stream("JobService/WatchJob", {"id": id_})
    seen: list[dict] = []
    for killed in range(3):
        while len(frames_of(seen)) < 100 * (killed + 1):
            seen.append(next(stream))
        victim = bridge_of(open_link)
        os.kill(victim, signal.SIGKILL)
        daemon.play(id_, [frame(n) for n in range(100 * (killed + 1) + 1, 100 * (killed + 2) + 1)])
        replaced(open_link, victim)
    daemon.end(id_, job_pb2.JOB_STATE_SUCCEEDED)
    seen += stream
    assert frames_of(seen) == list(range(1, 401))
    assert daemon.watches[0] == 0
    assert len(daemon.watches) == 4
    assert all(before < after for before, after in zip(daemon.watches, daemon.watches[1:], strict=False))


def test_a_daemon_restarted_in_mid_watch_is_found_again(daemon: FakeDaemon, open_link: Link):
    daemon.script = None
    id_ = started(open_link)
    daemon.play(id_, [frame(n) for n in range(1, 11)])
    stream = open_link.stream("JobService/WatchJob", {"id": id_})
    seen = [next(stream) for _ in range(12)]
    daemon.stop()
    with pytest.raises((link.Unreachable, link.TimedOut), match="no daemon answers"):
        open_link.call("JobService/GetJob", {"id": id_}, deadline_s=4.0).result(PATIENT)
    waiting = open_link.call("JobService/GetJob", {"id": id_}, deadline_s=PATIENT)
    daemon.play(id_, [frame(n) for n in range(11, 21)])
    daemon.start()
    assert waiting.result(PATIENT)["job"]["id"] == id_
    daemon.end(id_, job_pb2.JOB_STATE_SUCCEEDED)
    assert frames_of([*seen, *stream]) == list(range(1, 21))


def test_a_hung_bridge_is_replaced(daemon: FakeDaemon, open_link: Link, monkeypatch):
    daemon.script = None
    id_ = started(open_link)
    stream = open_link.stream("JobService/WatchJob", {"id": id_})
    next(stream)
    victim = bridge_of(open_link)
    os.kill(victim, signal.SIGSTOP)
    monkeypatch.setattr(supervisor, "PING_S", 0.5)
    monkeypatch.setattr(supervisor, "HUNG_S", 2.0)
    replaced(open_link, victim)
    monkeypatch.setattr(supervisor, "HUNG_S", 30.0)
    assert not alive(victim)
    daemon.play(id_, [frame(1)])
    daemon.end(id_, job_pb2.JOB_STATE_SUCCEEDED)
    assert frames_of(list(stream)) == [1]


def test_a_bridge_that_had_nothing_to_do_for_long_is_not_taken_for_hung(slow: Slow):
    with Link(COMMAND, endpoint=slow.endpoint) as opened:
        opened.call("SystemService/GetInfo", deadline_s=PATIENT).result(PATIENT)
        bridge = opened._bridge
        assert bridge is not None
        bridge.heard_at -= 1000
        before = bridge.heard_at
        spec = {"checkPlate": {"plate": {"pattern": "/p.%04d.exr"}}}
        call = opened.call("JobService/StartJob", {"spec": spec}, deadline_s=PATIENT)
        until(lambda: bridge.heard_at > before, PATIENT)  # it was asked, and said that it lives
        slow.go.set()
        call.result(PATIENT)
        assert bridge_of(opened) == bridge.pid
    assert len(slow.asked_to_start) == 1


def test_a_silent_stream_is_taken_up_anew(daemon: FakeDaemon, open_link: Link, monkeypatch):
    daemon.script = [frame(1001)]
    id_ = started(open_link)
    daemon.silent = True
    monkeypatch.setattr(supervisor, "SILENCE_S", 1.0)
    assert frames_of(list(open_link.stream("JobService/WatchJob", {"id": id_}))) == [1001]
    assert daemon.watches[:2] == [0, 0]


class Slow(FakeDaemon):
    """Answers some calls only when `go` is set, and counts them."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.go = threading.Event()
        self.asked_to_start: list[str] = []
        self.resumed = 0

    def StartJob(self, request, context):
        self.asked_to_start.append(request.request_id)
        reply = super().StartJob(request, context)
        self.go.wait(60)
        return reply

    def ResumeJob(self, request, context):
        self.resumed += 1
        self.go.wait(60)
        return super().ResumeJob(request, context)


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Slow]:
    fake = Slow(tmp_path)
    fake.start()
    yield fake
    fake.go.set()
    fake.stop()


def test_what_may_be_repeated_is_repeated_under_the_same_request_id(slow: Slow):
    slow.script = None
    with Link(COMMAND, endpoint=slow.endpoint) as opened:
        opened.call("JobService/ListJobs").result(PATIENT)
        spec = {"checkPlate": {"plate": {"pattern": "/p.%04d.exr"}}}
        start = opened.call("JobService/StartJob", {"spec": spec}, deadline_s=PATIENT)
        until(lambda: slow.asked_to_start)
        os.kill(bridge_of(opened), signal.SIGKILL)
        until(lambda: len(slow.asked_to_start) == 2, PATIENT)
        slow.go.set()
        assert start.result(PATIENT)["existing"]
    first, second = slow.asked_to_start
    assert first == second
    assert len(first) == 36


def test_what_may_not_be_repeated_is_not(slow: Slow):
    slow.go.set()
    slow.script = None
    with Link(COMMAND, endpoint=slow.endpoint) as opened:
        id_ = started(opened)
        slow.go.clear()
        resume = opened.call("JobService/ResumeJob", {"id": id_}, deadline_s=PATIENT)
        until(lambda: slow.resumed)
        os.kill(bridge_of(opened), signal.SIGKILL)
        with pytest.raises(link.Unreachable, match="exit code -9") as caught:
            resume.result(PATIENT)
        assert caught.value.sent
        slow.go.set()
        assert opened.call("JobService/GetJob", {"id": id_}).result(PATIENT)
    assert slow.resumed == 1
