"""How jobs stand in the queue, from the command line and from Python, and any job by its spec."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from google.protobuf import json_format

from tests.client.command import Command
from tests.client.fake import FakeDaemon
from understudy.client import Asking, AsyncSession, Session
from understudy.v1 import job_pb2

ASKED = ("--priority", "7", "--project", "sh010", "--after", "job-1", "--after", "job-2")


@pytest.fixture
def understudy(daemon: FakeDaemon, tmp_path: Path) -> Command:
    return Command(tmp_path / "state", daemon.endpoint, tmp_path)


def test_any_command_says_how_its_job_stands_in_the_queue(daemon: FakeDaemon, understudy: Command):
    for _ in range(2):
        understudy("extract", f"plate{_}.####.exr", "faces", "--detach")
    done = understudy("extract", "p.####.exr", "f", "--detach", *ASKED, "--interactive", "--refuse-locked")
    assert done.code == 0, done
    request = daemon.requests[-1]
    assert (request.priority, request.project, list(request.depends_on)) == (7, "sh010", ["job-1", "job-2"])
    assert request.interactive
    assert request.refuse_locked
    plain = daemon.requests[0]
    assert (plain.priority, plain.project, plain.interactive, plain.refuse_locked) == (0, "", False, False)
    assert understudy("extract", "p.####.exr", "f", "--priority", "1001").code == 1


def test_the_place_of_a_job_is_changed_and_told(daemon: FakeDaemon, understudy: Command):
    daemon.script = None
    understudy("extract", "plate.####.exr", "faces", "--detach")
    assert understudy("jobs", "priority", "job-1", "-5").code == 0
    daemon.jobs["job-1"].waits_for = "job 9 to succeed"
    daemon.jobs["job-1"].project = "sh010"
    card = understudy("jobs", "show", "job-1").out
    for line in ("priority      -5", "project       sh010", "waits for     job 9 to succeed"):
        assert line in card
    assert "waits for job 9 to succeed" in understudy("jobs", "list").out


def test_any_job_is_started_by_its_spec(daemon: FakeDaemon, understudy: Command, tmp_path: Path):
    spec = job_pb2.JobSpec(verify={"output": {"pattern": "/c.%04d.exr"}})
    (tmp_path / "spec.json").write_text(json_format.MessageToJson(spec))
    done = understudy("submit", "spec.json", "--detach", "--label", "again", "--priority", "-2")
    assert done.code == 0, done
    assert daemon.requests[-1].spec == spec
    assert (daemon.requests[-1].label, daemon.requests[-1].priority) == ("again", -2)
    (tmp_path / "wrong.json").write_text('{"verify": {"outptu": {}}}')
    wrong = understudy("submit", "wrong.json")
    assert wrong.code == 1
    assert "wrong.json is no JobSpec" in wrong.err
    assert "outptu" in wrong.err
    assert understudy("submit", "none.json").code == 3


def test_a_session_asks_for_all_its_jobs(daemon: FakeDaemon):
    asking = Asking(priority=3, project="sh020", interactive=True)
    with Session(daemon.endpoint, asking=asking) as session:
        job = session.torture("/t")
        assert job.set_priority(4).message.priority == 4
    assert (daemon.requests[-1].priority, daemon.requests[-1].project) == (3, "sh020")
    assert daemon.requests[-1].interactive

    async def twin() -> int:
        async with AsyncSession(daemon.endpoint, asking=asking) as session:
            job = await session.torture("/u")
            return (await job.set_priority(5)).message.priority

    assert asyncio.run(twin()) == 5
    assert daemon.requests[-1].project == "sh020"
