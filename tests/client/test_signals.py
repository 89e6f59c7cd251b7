"""What a command does when it is told to stop."""

from __future__ import annotations

import signal
from dataclasses import replace

import pytest

from tests.client.command import Command
from tests.client.fake import FakeDaemon
from tests.daemon.support import SECONDS, until
from understudy.v1 import job_pb2

# `understudy`; SIGTERM comes when gRPC has counted its first stream and not yet begun the thread that serves it
IN_THE_MIDST = """
import os, signal
from grpc import _channel
from understudy.client import cli
begin = _channel._run_channel_spin_thread
def told_to_stop(state):
    os.kill(os.getpid(), signal.SIGTERM)
    begin(state)
_channel._run_channel_spin_thread = told_to_stop
cli.main()
"""


@pytest.fixture
def understudy(daemon: FakeDaemon, tmp_path) -> Command:
    return Command(tmp_path / "state", daemon.endpoint, tmp_path)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_cancels_what_the_command_started(daemon: FakeDaemon, understudy: Command, number, code):
    daemon.script = None
    with understudy.start(
        "swap", "--src", "a.mp4", "--dst", "d.####.exr", "--out", "comp.####.exr"
    ) as process:
        until(lambda: daemon.watches)
        process.send_signal(number)
        _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == code
    assert "what is finished stays" in err
    assert {job.state for job in daemon.jobs.values()} == {job_pb2.JOB_STATE_CANCELLED}


def test_a_second_signal_leaves_at_once(daemon: FakeDaemon, understudy: Command):
    daemon.script, daemon.stubborn = None, True
    with understudy.start("ingest", "a.mov", "p.####.exr") as process:
        until(lambda: daemon.watches)
        process.send_signal(signal.SIGINT)
        until(lambda: daemon.jobs["job-1"].state == job_pb2.JOB_STATE_CANCELLING)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=SECONDS)
    assert process.returncode == 130


def test_a_signal_to_a_watcher_leaves_the_job(daemon: FakeDaemon, understudy: Command):
    daemon.script = None
    understudy("ingest", "a.mov", "p.####.exr", "--detach")
    with understudy.start("jobs", "watch", "job-1") as process:
        until(lambda: daemon.watches)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert daemon.jobs["job-1"].state == job_pb2.JOB_STATE_QUEUED


def test_a_signal_in_the_midst_of_a_call_leaves_no_lock_held(daemon: FakeDaemon, understudy: Command):
    daemon.script = None
    ended = replace(understudy, program=("-c", IN_THE_MIDST))(
        "ingest", "a.mov", "p.####.exr", timeout=SECONDS
    )
    assert (ended.code, "what is finished stays" in ended.err) == (143, True)
    assert daemon.jobs["job-1"].state == job_pb2.JOB_STATE_CANCELLED
