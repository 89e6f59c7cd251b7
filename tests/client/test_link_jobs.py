"""The jobs that a host knows of, over a real bridge; and names of sequences."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.client.bridges import COMMAND
from tests.client.fake import FakeDaemon, progress, status
from understudy.client.link import Link, Refused, jobs, naming
from understudy.v1 import job_pb2

PATIENT = 120.0
CHECK = {"checkPlate": {"plate": {"pattern": "/p.%04d.exr"}}}


class Host:
    """A host's main thread: what calls back waits for `until`."""

    def __init__(self, endpoint: str) -> None:
        self.inbox: queue.Queue[Callable[[], object]] = queue.Queue()
        self.link = Link(COMMAND, endpoint=endpoint, deliver=self.inbox.put)
        self.jobs = jobs.Jobs(self.link)

    def until(self, what: Callable[[], Any]) -> None:
        while not what():
            self.inbox.get(timeout=PATIENT)()


@pytest.fixture
def host(daemon: FakeDaemon) -> Iterator[Host]:
    made = Host(daemon.endpoint)
    yield made
    made.link.close()


def test_stages_follow_each_other_and_are_watched(host: Host, daemon: FakeDaemon):
    daemon.script = [progress(1, 4), progress(4, 4)]
    told: list[Any] = []
    heard: list[str] = []
    host.jobs.listeners.append(lambda job, event: heard.append(job["id"]) if event else None)
    stages = [("extract", CHECK), ("merge", {"checkPlate": {"plate": {"pattern": "/q.%04d.exr"}}})]
    host.jobs.start(stages, "shot", lambda ids, error: told.append((ids, error)))
    host.until(lambda: told and all(host.jobs.ended(each) for each in told[0][0]))
    ids, error = told[0]
    assert (ids, error) == (["job-1", "job-2"], None)
    assert [list(r.depends_on) for r in daemon.requests] == [[], ["job-1"]]
    assert daemon.requests[1].label == "merge of shot"
    assert host.jobs.failure("job-1") is None
    assert jobs.words(host.jobs.known["job-2"]) == "succeeded, 4 of 4 frames"


def test_a_stage_that_is_refused_takes_those_before_it_along(host: Host, daemon: FakeDaemon):
    import grpc

    daemon.script = None
    daemon.refuse["merge"] = status(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUT", "no such model")
    told: list[Any] = []
    stages: list[tuple[str, Any]] = [("check", CHECK), ("merge", {"merge": {"output": "/o.####.exr"}})]
    host.jobs.start(stages, "shot", lambda ids, error: told.append((ids, error)))
    host.until(lambda: told and host.jobs.ended("job-1"))
    assert told[0][0] == []
    assert "no such model" in told[0][1].message
    assert host.jobs.known["job-1"]["state"] == "JOB_STATE_CANCELLED"


def test_it_is_steered_and_says_why_it_ended(host: Host, daemon: FakeDaemon):
    daemon.script = None
    daemon.error = job_pb2.Error(reason="DISK_FULL", message="the disk is full")
    host.jobs.start([("check", CHECK)], "shot", lambda ids, error: None)
    host.until(lambda: host.jobs.known)
    host.jobs.tell("PauseJob", "job-1")
    host.until(lambda: host.jobs.known["job-1"]["state"] == "JOB_STATE_PAUSED")
    daemon.end("job-1", job_pb2.JOB_STATE_FAILED)
    host.until(lambda: host.jobs.ended("job-1"))
    failure = host.jobs.failure("job-1")
    assert failure is not None
    assert (failure.reason, failure.metadata["job"]) == ("DISK_FULL", "job-1")
    assert jobs.words(host.jobs.known["job-1"]) == "the disk is full"


def test_a_reply_that_comes_after_later_events_changes_nothing():
    known = jobs.Jobs(None)  # type: ignore[arg-type] # nothing is asked here
    known._event("j", {"snapshot": {"id": "j", "lastSequence": 5, "state": "JOB_STATE_PAUSED"}})
    running = {"fromState": "JOB_STATE_PAUSED", "toState": "JOB_STATE_RUNNING"}
    known._event("j", {"event": {"sequence": 7, "stateChange": running}})
    known._read({"id": "j", "lastSequence": 6, "state": "JOB_STATE_QUEUED"})
    assert known.known["j"]["state"] == "JOB_STATE_RUNNING"
    known._read({"id": "j", "lastSequence": 7, "state": "JOB_STATE_RUNNING", "label": "anew"})
    assert known.known["j"]["label"] == "anew"


def test_the_newest_is_the_one_that_was_started_last_however_they_were_heard_of():
    known = jobs.Jobs(None)  # type: ignore[arg-type] # nothing is asked here
    for name, seconds in (("c", "05.25"), ("a", "05"), ("d", "06"), ("b", "05.1")):
        known._event(name, {"snapshot": {"id": name, "createTime": f"2026-01-01T00:00:{seconds}Z"}})
    assert [job["id"] for job in known.newest()] == ["d", "c", "b", "a"]


def test_a_snapshot_has_the_events_before_it():
    """Those that come again after it count no second time."""
    known = jobs.Jobs(None)  # type: ignore[arg-type] # nothing is asked here
    known._event("j", {"snapshot": {"id": "j", "lastSequence": 5, "framesFailed": 1}})
    failed = {"state": "FRAME_STATE_FAILED"}
    known._event("j", {"event": {"sequence": 4, "frame": failed}})
    known._event("j", {"event": {"sequence": 6, "frame": failed}})
    assert known.known["j"]["framesFailed"] == 2


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (89, "89 s"), (90, "2 min"), (3600, "60 min"), (11100, "3 h 05")]
)
def test_durations(seconds: float, words: str):
    assert jobs.duration(seconds) == words


def test_what_a_file_remembers():
    text = jobs.to_remember("", ["a", "b"])
    assert jobs.remembered(jobs.to_remember(text, ["c", "a"])) == ["b", "c", "a"]
    assert len(jobs.remembered(jobs.to_remember(text, [str(i) for i in range(30)]))) == 20
    assert jobs.remembered("no json") == jobs.remembered("3") == []


def test_names_of_sequences():
    assert naming.at_frame("/a##/b.####.exr", 7) == "/a##/b.0007.exr"
    assert naming.at_frame("/a/b.%04d.exr", 12345) == "/a/b.12345.exr"
    assert naming.at_frame("/a/b.####.exr", -7) == "/a/b.-0007.exr"
    assert naming.at_version("/s_v001/c_v001.####.exr", 12) == "/s_v012/c_v012.####.exr"
    assert naming.at_version("/v001/c.v001.####.exr", 12) == "/v012/c.v012.####.exr"
    for wrong in ("/a/b.####.exr", "/v001/b.exr"):
        with pytest.raises(Refused) as refused:
            naming.at_version(wrong, 1)
        assert refused.value.field == "output"
