"""The link: on every Python that hosts have, and through everything that may break between it and the daemon."""

from __future__ import annotations

import ast
import json
import os
import queue
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from tests.client.bridges import COMMAND
from tests.client.fake import FakeDaemon, frame, status
from tests.client.links import PATIENT, VERSIONS, frames_of, interpreter, started
from tests.daemon.support import alive, until
from understudy.client import errors, link, wire
from understudy.client.bridge import pipes, server
from understudy.client.link import Link, process, requests, supervisor
from understudy.v1 import job_pb2

PACKAGE = Path(link.__file__).parent
HERE = Path(__file__).parent


@pytest.fixture
def open_link(daemon: FakeDaemon) -> Iterator[Link]:
    with Link(COMMAND, endpoint=daemon.endpoint) as opened:
        yield opened


@pytest.mark.parametrize("version", VERSIONS)
def test_a_copy_of_it_works_in_this_python_with_nothing_else(
    daemon: FakeDaemon, tmp_path: Path, version: str
):
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version} here")
    shutil.copytree(PACKAGE, tmp_path / "addon" / "link", ignore=shutil.ignore_patterns("__pycache__"))
    daemon.script = [frame(n) for n in range(1001, 1301)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("UNDERSTUDY_")}
    done = subprocess.run(
        [python, HERE / "link_day.py", tmp_path / "addon", daemon.endpoint, sys.executable],
        capture_output=True,
        text=True,
        timeout=300,
        env=environment,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {
        "python": [int(part) for part in version.split(".")],
        "pattern": "/Ünï ⁂/C:\\plates\\p.%04d.exr",
        "frames": list(range(1001, 1301)),
        "error": ["NOT_FOUND", "NOT_FOUND", ""],
        "state": "JOB_STATE_SUCCEEDED",
        "threads": ["understudy-callbacks"],
        "closed": "CANCELLED",
        "foreign": [],
    }


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.stem)
def test_syntax_is_that_of_python_3_7(path: Path):
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 7))
    absolute = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and not n.level}
    assert not {name for name in absolute if name and name.startswith("understudy")}


def test_its_errors_have_the_names_of_the_clients():
    def names(kind: type) -> set[str]:
        return {kind.__name__}.union(*map(names, kind.__subclasses__()))

    of_jobs = {"JobFailed", "JobCancelled"}  # a link has no jobs, only their messages
    theirs = names(errors.UnderstudyError) - of_jobs
    assert theirs <= names(link.UnderstudyError)
    for name in theirs:
        ours, same = getattr(link, name), getattr(errors, name)
        parents = {k.__name__ for k in same.__mro__ if issubclass(k, errors.UnderstudyError)}
        assert {k.__name__ for k in ours.__mro__ if issubclass(k, link.UnderstudyError)} == parents
    assert issubclass(link.BridgeMissing, link.Unreachable)


def test_refusals_are_typed_and_say_all(daemon: FakeDaemon, open_link: Link):
    daemon.refuse["check_plate"] = status(
        grpc.StatusCode.PERMISSION_DENIED, "PATH_NOT_ALLOWED", "not there", path="/etc"
    )
    with pytest.raises(link.PathNotAllowed, match="not there") as caught:
        started(open_link)
    error = caught.value
    assert (error.code, error.reason, error.metadata["path"]) == (
        "PERMISSION_DENIED",
        "PATH_NOT_ALLOWED",
        "/etc",
    )


@pytest.mark.parametrize("request_", [{"id": float("nan")}, {"id": object()}, {"id": b"x"}])
def test_what_cannot_be_json_is_refused_at_once(open_link: Link, request_):
    with pytest.raises(link.Refused, match="JSON"):
        open_link.call("JobService/GetJob", request_).result(0)
    ended: list[object] = []
    open_link.stream("JobService/WatchJob", request_, on_end=ended.append)
    until(lambda: ended)
    assert isinstance(ended[0], link.Refused)


def test_calls_from_many_threads_find_their_own_answers(daemon: FakeDaemon, open_link: Link):
    ids = [started(open_link) for _ in range(4)]
    wrong: list[object] = []

    def ask(id_: str) -> None:
        for _ in range(25):
            got = open_link.call("JobService/GetJob", {"id": id_}).result(PATIENT)["job"]["id"]
            wrong.extend([got] if got != id_ else [])

    threads = [threading.Thread(target=ask, args=(id_,)) for id_ in ids for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_caller_never_waits_for_a_bridge_that_does_nothing():
    hung = [sys.executable, "-c", "import time; time.sleep(600)"]
    with Link(hung) as opened:
        calls = [opened.call("JobService/GetJob", {"id": "x" * 100_000}) for _ in range(50)]
        stream = opened.stream("JobService/WatchJob", {"id": "a"}, on_event=print)
        assert not any(call.done() for call in calls)
        stream.cancel()
        assert calls[0].cancel()
        with pytest.raises(link.Cancelled):
            calls[0].result(PATIENT)
        assert not calls[0].cancel()
        late = opened.call("JobService/GetJob", deadline_s=0.1)
        with pytest.raises(link.TimedOut, match="no answer within its deadline"):
            late.result(PATIENT)
    with pytest.raises(link.Closed):
        calls[1].result(PATIENT)


def test_callbacks_run_where_the_host_wants_them(daemon: FakeDaemon):
    inbox: queue.Queue = queue.Queue()
    seen: list[tuple[bool, str]] = []
    daemon.script = [frame(1001)]

    def drain() -> bool:
        while not inbox.empty():
            inbox.get()()
        return len(seen) >= 6

    with Link(COMMAND, endpoint=daemon.endpoint, deliver=inbox.put) as opened:
        id_ = started(opened)

        def note(what: object) -> None:
            seen.append((threading.current_thread() is threading.main_thread(), type(what).__name__))

        opened.stream("JobService/WatchJob", {"id": id_}, on_event=note, on_end=note)
        opened.call("JobService/GetJob", {"id": id_}, done=note)
        until(drain, PATIENT)
    kinds = sorted(kind for _, kind in seen)
    assert kinds == ["Call", "NoneType", "dict", "dict", "dict", "dict"]
    assert all(on_main for on_main, _ in seen)


def test_a_callback_that_raises_is_logged_and_the_next_one_runs(daemon: FakeDaemon):
    logged: list[str] = []
    told = threading.Event()
    with Link(COMMAND, endpoint=daemon.endpoint, log=logged.append) as opened:
        opened.call("JobService/ListJobs", done=lambda _: 1 / 0).result(PATIENT)
        opened.call("JobService/ListJobs", done=lambda _: told.set())
        assert told.wait(PATIENT)
    assert any("ZeroDivisionError" in line for line in logged)


def test_a_slow_consumer_gets_everything_in_order(daemon: FakeDaemon, open_link: Link, monkeypatch):
    monkeypatch.setattr(requests, "WINDOW", 8)
    daemon.script = [frame(n) for n in range(1, 201)]
    stream = open_link.stream("JobService/WatchJob", {"id": started(open_link)})
    first = next(stream)
    until(lambda: stream._events.qsize() >= 7)
    open_link.call("JobService/ListJobs").result(PATIENT)
    assert stream._events.qsize() <= 8  # the rest waits at the daemon
    assert frames_of([first, *stream]) == list(range(1, 201))


def test_a_stream_that_is_cancelled_ends_and_the_job_goes_on(daemon: FakeDaemon, open_link: Link):
    daemon.script = None
    id_ = started(open_link)
    stream = open_link.stream("JobService/WatchJob", {"id": id_})
    assert next(stream)["snapshot"]["id"] == id_
    stream.cancel()
    assert all("heartbeat" in event for event in stream)
    assert daemon.jobs[id_].state == job_pb2.JOB_STATE_QUEUED


def test_no_daemon_is_told_at_once_before_one_was_ever_met(tmp_path: Path):
    with Link(COMMAND, state=str(tmp_path / "state"), start="never") as opened:
        with pytest.raises(link.Unreachable, match="no daemon runs"):
            opened.call("SystemService/GetInfo", deadline_s=600).result(PATIENT)
        with pytest.raises(link.Unreachable):
            next(opened.stream("JobService/WatchJob", {"id": "a"}))


@pytest.mark.parametrize("missing", ["/no/such/bridge", ["/no/such/bridge", "-x"], "/no/such/python3", "\0"])
def test_a_bridge_that_is_not_there_is_named(missing):
    with Link(missing) as opened:
        with pytest.raises(link.BridgeMissing, match=r"cannot be started"):
            opened.call("SystemService/GetInfo").result(PATIENT)
        ended: list[object] = []
        opened.stream("JobService/WatchJob", {"id": "a"}, on_end=ended.append)
        until(lambda: ended)
        assert isinstance(ended[0], link.BridgeMissing)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("print('Welcome to Nuke'); import time; time.sleep(60)", "says something else"),
        ('print(\'{"hello": {"protocol": 99}}\', flush=True); input()', "says protocol 99"),
        ("import sys; sys.exit('no module named understudy')", r"exit code 1\n  no module named understudy"),
    ],
)
def test_what_is_no_bridge_is_told_with_its_last_words(code: str, says: str):
    with Link([sys.executable, "-u", "-c", code]) as opened, pytest.raises(link.BridgeFault, match=says):
        opened.call("SystemService/GetInfo", deadline_s=600).result(PATIENT)


def test_an_endpoint_that_cannot_be_is_told(tmp_path: Path):
    with (
        Link(COMMAND, endpoint="nonsense") as opened,
        pytest.raises(link.BridgeFault, match="not a Unix socket"),
    ):
        opened.call("SystemService/GetInfo").result(PATIENT)


def test_where_the_bridge_is_looked_for(tmp_path: Path):
    program = tmp_path / "with space" / "understudy"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    path = {"PATH": str(program.parent)}
    assert link.command_of(None, path) == [str(program), "bridge"]
    assert link.command_of(None, {**path, "UNDERSTUDY_BRIDGE": "/opt/u"}) == ["/opt/u", "bridge"]
    assert link.command_of("/x", {**path, "UNDERSTUDY_BRIDGE": "/opt/u"}) == ["/x", "bridge"]
    assert link.command_of("/opt/Python3.11", {})[1:] == ["-m", "understudy.client.cli", "bridge"]
    assert link.command_of("~/u", {})[0] == str(Path.home() / "u")
    assert link.command_of(["a", "b"], path) == ["a", "b"]
    with pytest.raises(link.BridgeMissing, match="UNDERSTUDY_BRIDGE"):
        link.command_of(None, {"PATH": str(tmp_path)})


def test_the_hosts_own_python_does_not_mislead_the_bridge(daemon: FakeDaemon):
    environ = {**os.environ, "PYTHONHOME": "/opt/host/python"}
    with Link(COMMAND, endpoint=daemon.endpoint, environ=environ) as opened:
        assert opened.call("SystemService/GetInfo", deadline_s=PATIENT).result(PATIENT)["version"]


def test_a_host_that_just_ends_is_not_held_and_its_bridge_ends_too(daemon: FakeDaemon, tmp_path: Path):
    daemon.script = None
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from link import Link\n"
        "l = Link(sys.argv[3], endpoint=sys.argv[2])\n"
        "l.call('JobService/ListJobs').result(120)\n"
        "l.stream('JobService/WatchJob', {'id': sys.argv[4]}, on_event=lambda e: None)\n"
        "l.call('JobService/WaitJob', {'id': sys.argv[4], 'timeout': '250s'}, deadline_s=300)\n"
        "print(l.hello['pid'])\n"
    )
    with Link(COMMAND, endpoint=daemon.endpoint) as opened:
        id_ = started(opened)
    done = subprocess.run(
        [sys.executable, "-c", script, PACKAGE.parent, daemon.endpoint, sys.executable, id_],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert done.stderr == ""
    until(lambda: not alive(int(done.stdout)))


def test_closing_twice_and_from_a_callback_is_fine(daemon: FakeDaemon):
    opened = Link(COMMAND, endpoint=daemon.endpoint)
    closed = threading.Event()

    def end(_: link.Call) -> None:
        opened.close()
        closed.set()

    opened.call("JobService/ListJobs", done=end)
    assert closed.wait(PATIENT)
    opened.close()
    with pytest.raises(link.Closed):
        next(opened.stream("JobService/WatchJob", {"id": "a"}))


def test_a_call_after_it_was_closed_is_told_so(daemon: FakeDaemon):
    told: queue.Queue[link.Call] = queue.Queue()
    with Link(COMMAND, endpoint=daemon.endpoint) as opened:
        opened.call("SystemService/GetInfo", done=told.put)
        assert told.get(timeout=PATIENT).exception() is None
    opened.call("SystemService/GetInfo", done=told.put)
    assert isinstance(told.get(timeout=PATIENT).exception(), link.Closed)


def test_the_example_of_the_docs_runs(daemon: FakeDaemon, monkeypatch, capsys):
    monkeypatch.setenv("UNDERSTUDY_ENDPOINT", daemon.endpoint)
    monkeypatch.setenv("UNDERSTUDY_BRIDGE", sys.executable)
    page = (HERE.parents[1] / "docs" / "bridge.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    inbox: queue.Queue = queue.Queue()
    names: dict = {"inbox": inbox}
    exec(example.replace("from .link", "from understudy.client.link"), names)
    inbox.get(timeout=PATIENT)()
    names["link"].close()
    assert capsys.readouterr().out == "job-1 JOB_STATE_SUCCEEDED\n"


def test_the_docs_tell_the_bounds_that_hold():
    page = (HERE.parents[1] / "docs" / "bridge.md").read_text(encoding="utf-8")
    assert f"{requests.WINDOW} events are on their way at most" in page
    assert f"{server.CALLS} calls at once" in page
    assert f"{pipes.LINE_BYTES >> 20} MiB at most" in page
    assert pipes.LINE_BYTES == process.LINE_BYTES
    assert (server.PROTOCOL, wire.CALL_S) == (supervisor.PROTOCOL, supervisor.CALL_S)
