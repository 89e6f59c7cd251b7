"""Trying again: how often, how long, and what never."""

from __future__ import annotations

import itertools
import threading

import grpc
import pytest

from tests.client.fake import FakeDaemon
from understudy.client import Session, TimedOut, Unreachable
from understudy.client.backoff import Patience, pauses
from understudy.client.contract import find, methods
from understudy.client.wire import Wire, deadline
from understudy.v1 import job_pb2
from understudy.v1.job_pb2_grpc import JobServiceStub


class Dropping(FakeDaemon):
    """Says UNAVAILABLE to the first calls of a method, after it has done what they ask for."""

    def __init__(self, folder) -> None:
        super().__init__(folder)
        self.drops: dict[str, int] = {}
        self.heard: dict[str, list] = {}

    def _drop(self, name, request, context):
        self.heard.setdefault(name, []).append(request)
        if self.drops.get(name, 0) > 0:
            self.drops[name] -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "the connection broke")

    def StartJob(self, request, context):
        reply = super().StartJob(request, context)
        self._drop("StartJob", request, context)
        return reply

    def GetJob(self, request, context):
        self._drop("GetJob", request, context)
        return super().GetJob(request, context)

    def ResumeJob(self, request, context):
        self._drop("ResumeJob", request, context)
        return super().ResumeJob(request, context)


@pytest.fixture
def daemon(tmp_path):
    fake = Dropping(tmp_path)
    fake.start()
    yield fake
    fake.stop()


def test_pauses_double_to_a_limit_and_differ():
    longest = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    for _ in range(50):
        for pause, most in zip(itertools.islice(pauses(), 8), longest, strict=True):
            assert most / 2 <= pause <= most
    assert len({next(pauses()) for _ in range(20)}) > 10


def test_patience_ends_with_the_error():
    patience = Patience(3600.0)
    assert 0.05 <= patience.next(ValueError("a")) <= 0.1
    with pytest.raises(ValueError, match="late"):
        Patience(0.0).next(ValueError("late"))
    assert Patience(float("inf")).next(ValueError("a")) <= 0.1


def test_a_start_is_repeated_under_its_request_id_and_made_once(daemon: Dropping, session: Session):
    daemon.drops["StartJob"] = 2
    daemon.script = None
    job = session.extract("/p.%04d.exr", "/f")
    assert len({request.request_id for request in daemon.heard["StartJob"]}) == 1
    assert len(daemon.heard["StartJob"]) == 3
    assert [each.id for each in session.jobs()] == [job.id]


def test_what_may_not_be_repeated_is_told_and_not_asked_again(daemon: Dropping, session: Session):
    daemon.script = None
    job = session.extract("/p.%04d.exr", "/f")
    daemon.drops["ResumeJob"] = 1
    with pytest.raises(Unreachable, match="the connection broke") as caught:
        job.resume()
    assert caught.value.sent
    assert len(daemon.heard["ResumeJob"]) == 1


def test_what_may_not_be_repeated_waits_for_a_daemon_that_restarts(daemon: Dropping, session: Session):
    daemon.script = None
    job = session.extract("/p.%04d.exr", "/f")
    daemon.stop()
    again = threading.Timer(0.5, daemon.start)
    again.start()
    assert job.resume().ended
    again.join()


def test_a_deadline_holds_for_all_attempts(daemon: Dropping, session: Session):
    daemon.script = None
    job = session.extract("/p.%04d.exr", "/f")
    daemon.drops["GetJob"] = 10_000
    with pytest.raises((Unreachable, TimedOut)), deadline(1.0):
        job.refresh()
    assert daemon.drops["GetJob"] > 9_900
    daemon.drops["GetJob"] = 0
    with deadline(60.0), deadline(120.0):
        assert job.refresh().state == "QUEUED"
    with pytest.raises(TimedOut, match="deadline has passed"), deadline(-1.0):
        job.refresh()
    assert job.refresh()  # outside of the block there is none


def test_a_deadline_ends_a_watch(daemon: Dropping, session: Session):
    daemon.script = None
    job = session.extract("/p.%04d.exr", "/f")
    with pytest.raises(TimedOut), deadline(0.5):
        list(job.watch())


def test_threads_share_a_wire_through_a_restart(daemon: Dropping, session: Session):
    daemon.script = None
    job = session.extract("/p.%04d.exr", "/f")
    failed: list[BaseException] = []
    restarted = threading.Event()

    def ask() -> None:
        try:
            for n in range(40):
                if n == 20:
                    restarted.wait(60)
                request = job_pb2.GetJobRequest(id=job.id)
                assert session._wire.call(JobServiceStub, "GetJob", request).job.id == job.id
        except BaseException as error:  # noqa: BLE001 - the test's thread tells
            failed.append(error)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    daemon.stop()
    daemon.start()
    restarted.set()
    for thread in threads:
        thread.join()
    assert failed == []


def test_every_method_of_the_stubs_is_in_the_contract():
    for name, method in methods().items():
        service, _, rpc = name.rpartition("/")
        assert method.path == f"/{name}"
        assert service.startswith("understudy.v1.")
        assert method.request.DESCRIPTOR.name == f"{rpc}Request"
    assert find(JobServiceStub, "WatchJob").resumes
    with pytest.raises(KeyError):
        find(JobServiceStub, "Nope")


def test_reads_may_be_repeated_and_what_consumes_may_not():
    reads = [
        m for n, m in methods().items() if n.rpartition("/")[2].startswith(("Get", "List", "Watch", "Wait"))
    ]
    assert all(method.repeatable for method in reads)
    once = {name.rpartition("/")[2] for name, method in methods().items() if not method.repeatable}
    assert {"ResumeJob", "RetryJobFrames", "RejectFaces", "RestoreFaces"} <= once


def test_a_wire_with_no_daemon_has_no_patience_at_first(tmp_path):
    from understudy.client.endpoint import Remote

    with pytest.raises(Unreachable, match="no daemon answers"):
        Wire(Remote(f"unix:{tmp_path}/none.sock"))
