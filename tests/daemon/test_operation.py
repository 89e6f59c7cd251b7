"""Metrics, readiness, logs, draining, and what the doctor says."""

from __future__ import annotations

import json
import logging
import os
import random
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from types import SimpleNamespace

import grpc
import pynvml
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families

from tests.daemon.listening import SECONDS, Place, jobs, listening
from tests.daemon.support import Daemon, until
from understudy.core.reports import FrameReport, FrameStatus
from understudy.daemon import arguments, devices, doctor, logs, schema
from understudy.daemon.config import Log
from understudy.daemon.metrics import Metrics
from understudy.daemon.scheduler import Scheduler
from understudy.daemon.states import State
from understudy.daemon.store import Store
from understudy.v1 import job_pb2

Spec = Callable[..., job_pb2.JobSpec]


def free_port() -> int:
    """One that nobody listens at, of those that no kernel hands out: it would do so again before it is used."""
    for port in random.sample(range(10000, 32768), 1000):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("every port is taken")


def page(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=SECONDS) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Name and values of labels, in the order of the labels' names → value."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_tell_what_happened(tmp_path: Path, video: Path):
    port = free_port()
    spec = job_pb2.IngestSpec(
        video=str(video),
        pattern=str(tmp_path / "p" / "p.%04d.exr"),
        frames=[{"first": 1001, "last": 1012}],
    )
    with listening(Place.at(tmp_path), metrics=f"127.0.0.1:{port}") as listener:
        assert page(port, "/healthz") == page(port, "/readyz") == (200, "ok\n")
        assert page(port, "/etc/passwd")[0] == 404
        stub = jobs(listener.local())
        request = job_pb2.StartJobRequest(
            request_id="00000000-0000-4000-8000-000000000001", spec={"ingest": spec}
        )
        job = stub.StartJob(request, timeout=SECONDS).job
        wait = job_pb2.WaitJobRequest(id=job.id)
        until(
            lambda: stub.WaitJob(wait, timeout=SECONDS).job.state == job_pb2.JOB_STATE_SUCCEEDED,
        )
        with pytest.raises(grpc.RpcError):
            stub.GetJob(job_pb2.GetJobRequest(id="none"), timeout=SECONDS)
        with pytest.raises(grpc.RpcError):
            jobs(listener.channel()).GetJob(wait, timeout=SECONDS)
        moved = ("understudy_job_moves_total", "ingest", "succeeded")  # is counted when the store has it
        until(lambda: moved in samples(page(port, "/metrics")[1]))
        status, text = page(port, "/metrics")
        found = samples(text)
    assert status == 200
    assert found["understudy_jobs", "ingest", "succeeded"] == 1
    assert found["understudy_frames_total", "ingest", "done"] == 12
    assert found[moved] == 1
    assert found["understudy_rpcs_total", "OK", "StartJob"] == 1
    assert found["understudy_rpcs_total", "NOT_FOUND", "GetJob"] == 1
    assert found["understudy_rpcs_total", "UNAUTHENTICATED", "GetJob"] == 1
    assert found["understudy_unauthenticated_total",] == 1
    assert found["understudy_rpc_seconds_count", "StartJob"] == 1
    assert found["understudy_worker_starts_total",] == 1
    assert found["understudy_worker_deaths_total",] == 0
    assert found["understudy_queue_length",] == 0
    assert found["understudy_ready",] == 1
    assert found["understudy_memory_bytes", "server"] > 2**20
    assert found["understudy_memory_bytes", "worker"] > 2**20
    assert found["understudy_certificate_end_seconds",] > 1.7e9
    assert str(tmp_path) not in text


def test_stages_are_summed_by_kind():
    metrics = Metrics()
    for seconds in (0.5, 0.25):
        report = FrameReport(frame=1, status=FrameStatus.DONE, seconds={"read": seconds, "swap": 2.0})
        metrics.reported("merge", report)
    metrics.moved("merge", State.FAILED)
    value = metrics.registry.get_sample_value
    labels = {"kind": "merge", "stage": "read"}
    assert value("understudy_stage_seconds_total", labels) == 0.75
    assert value("understudy_job_moves_total", {"kind": "merge", "state": "failed"}) == 1


def test_gpus_are_told_by_number_and_none_where_there_is_no_driver(tmp_path: Path, monkeypatch):
    found = {0: SimpleNamespace(free=21 << 30, total=24 << 30), 1: SimpleNamespace(free=0, total=48 << 30)}
    for name, answer in (
        ("nvmlInit", lambda: None),
        ("nvmlDeviceGetCount", lambda: len(found)),
        ("nvmlDeviceGetHandleByIndex", lambda index: index),
        ("nvmlDeviceGetMemoryInfo", lambda handle: found[handle]),
    ):
        monkeypatch.setattr(pynvml, name, answer)
    metrics, store = Metrics(), Store(tmp_path / "jobs.db")
    metrics.watch(store, tmp_path, dict, lambda: "")
    value = metrics.registry.get_sample_value
    assert value("understudy_gpu_memory_used_bytes", {"gpu": "0"}) == 3 << 30
    assert value("understudy_gpu_memory_total_bytes", {"gpu": "1"}) == 48 << 30

    def none() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", none)
    assert value("understudy_gpu_memory_used_bytes", {"gpu": "0"}) is None
    assert value("understudy_ready") == 1
    store.close()


def test_a_port_that_is_taken_ends_with_75_and_leaves_nothing(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for table in ("metrics", "listen"):
            (tmp_path / table).mkdir()
            place = Place.at(tmp_path / table)
            file = tmp_path / table / "daemon.toml"
            key = {"metrics": "listen", "listen": "tcp"}[table]
            file.write_text(
                f'state = "{tmp_path}/{table}/state"\n[{table}]\n{key} = "127.0.0.1:{port}"\n'
                f'[access]\ntokens = "{place.tokens}"'
            )
            command = [sys.executable, "-m", "understudy.daemon", "--config", str(file)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
            assert done.returncode == 75
            assert f"127.0.0.1:{port}" in done.stderr
            assert not list((tmp_path / table / "state").glob("daemon.sock"))


def test_a_daemon_that_is_told_to_stop_drains(
    make_daemon: Callable[..., Daemon], ingest: Spec, tmp_path: Path
):
    port = free_port()
    file = tmp_path / "daemon.toml"
    file.write_text(f'[metrics]\nlisten = "127.0.0.1:{port}"\n[log]\nformat = "json"\n')
    daemon = make_daemon("--config", str(file)).start()
    job = daemon.submit(ingest()).id
    daemon.until_frames(job, 10)
    assert daemon.stop() == 0
    lines = [json.loads(line) for line in (daemon.state / "daemon.log").read_text().splitlines()]
    assert {"draining", "stopping"} <= {line["message"].split(" ")[0] for line in lines}
    moves = [line["state"] for line in lines if line.get("job") == job and "state" in line]
    assert moves == ["RUNNING", "QUEUED"]
    written = {p.name for p in (tmp_path / "plate").iterdir()}
    assert not [name for name in written if name.startswith(".")]
    done = len(daemon.start().frames(job))
    assert done >= 10
    until(lambda: daemon.job(job).attempts == 2)  # it goes on by itself


def test_a_daemon_that_nobody_needs_stops_by_itself(make_daemon: Callable[..., Daemon], ingest: Spec):
    daemon = make_daemon("--idle", "6").start()
    job = daemon.submit(ingest(count=300)).id
    assert len(list(daemon.watch(job))) > 300  # it does not stop under a watch or a job, however long
    daemon.succeed(job)
    assert daemon.process is not None
    assert daemon.process.wait(SECONDS) == 0
    assert daemon.announced() == {}
    assert "nothing to do for 6 s" in (daemon.state / "daemon.log").read_text()
    assert daemon.start().job(job).state == job_pb2.JOB_STATE_SUCCEEDED


def test_who_asks_for_its_health_keeps_no_daemon_that_nobody_needs(make_daemon: Callable[..., Daemon]):
    daemon = make_daemon("--idle", "6").start()
    watch = health_pb2_grpc.HealthStub(daemon.channel).Watch(health_pb2.HealthCheckRequest(), timeout=SECONDS)
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    assert daemon.process is not None
    assert daemon.process.wait(SECONDS) == 0


def test_while_it_drains_it_starts_nothing_and_still_answers(tmp_path: Path, monkeypatch):
    held, asked = threading.Event(), threading.Event()
    stop = Scheduler.stop

    def slowly(self: Scheduler, seconds: float) -> None:
        asked.set()
        assert held.wait(SECONDS)
        stop(self, seconds)

    monkeypatch.setattr(Scheduler, "stop", slowly)
    port, place = free_port(), Place.at(tmp_path)
    spec = job_pb2.JobSpec(torture=job_pb2.TortureSpec(folder=str(tmp_path / "t")))
    request = job_pb2.StartJobRequest(request_id="00000000-0000-4000-8000-000000000002", spec=spec)
    channels: list[grpc.Channel] = []

    def look() -> None:
        assert asked.wait(SECONDS)
        try:
            stub = jobs(channels[0])
            assert not stub.ListJobs(job_pb2.ListJobsRequest(), timeout=SECONDS).jobs
            assert page(port, "/readyz") == (503, "draining\n")
            assert page(port, "/healthz")[0] == 200
            with pytest.raises(grpc.RpcError) as error:
                stub.StartJob(request, timeout=SECONDS)
            seen.append(error.value.code())
        finally:
            held.set()

    seen: list[grpc.StatusCode] = []
    thread = threading.Thread(target=look)
    thread.start()
    with listening(place, tcp="", metrics=f"127.0.0.1:{port}") as listener:
        channels.append(grpc.insecure_channel(listener.running.endpoint))
        assert not jobs(channels[0]).ListJobs(job_pb2.ListJobsRequest(), timeout=SECONDS).jobs
    thread.join(SECONDS)
    channels[0].close()
    assert seen == [grpc.StatusCode.UNAVAILABLE]


def lines_of(format_: str, folder: Path, *said: tuple[str, object]) -> list[str]:
    """What is in daemon.log after these messages."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers.clear()
    try:
        logs.begin(Log(format=format_), folder)
        for text, value in said:
            logging.getLogger("understudy.daemon.test").warning(text, value)
        try:
            raise ValueError("Bearer ust_0123456789ab_TheSecretPart-of_it")
        except ValueError:
            logging.getLogger("understudy.daemon.test").exception("job=%s error_id=%s", "j1", "e1")
    finally:
        for handler in root.handlers:
            handler.close()
        root.handlers[:] = before
        root.setLevel(level)
    return (folder / "daemon.log").read_text().splitlines()


@pytest.mark.parametrize("format_", ["text", "json"])
def test_no_secret_comes_into_a_log(tmp_path: Path, format_: str):
    said = ("metadata %s", {"authorization": "Bearer ust_0123456789ab_TheSecretPart-of_it"})
    text = "\n".join(
        lines_of(format_, tmp_path, said, ("path=%s", "/x/ust_0123456789ab_TheSecretPart-of_it"))
    )
    assert "TheSecretPart" not in text
    assert "[secret]" in text


def test_json_lines_have_fields_to_search_by(tmp_path: Path):
    said = ("job=j7 state=FAILED reason=%s and more", "DISK_FULL"), ("plain job=%s", "j8"), ("a=%r b", "x y")
    first, second, third, quoted, last = (
        json.loads(line) for line in lines_of("json", tmp_path, *said, ("a=%r b", "it's so"))
    )
    assert (first["job"], first["state"], first["reason"]) == ("j7", "FAILED", "DISK_FULL")
    assert first["message"] == "and more"
    assert (first["level"], first["logger"]) == ("WARNING", "understudy.daemon.test")
    assert "job" not in second  # only what a message begins with: a path may hold anything
    assert (third["a"], third["message"]) == ("x y", "b")
    assert (quoted["a"], quoted["message"]) == ("it's so", "b")
    assert (last["job"], last["error_id"]) == ("j1", "e1")
    assert "ValueError" in last["trace"]


def test_a_refusal_is_logged_with_its_rpc_and_reason(make_daemon: Callable[..., Daemon], tmp_path: Path):
    file = tmp_path / "daemon.toml"
    file.write_text('[log]\nformat = "json"\n')
    daemon = make_daemon("--config", str(file)).start()
    with pytest.raises(grpc.RpcError):
        daemon.jobs.GetJob(job_pb2.GetJobRequest(id="none"), timeout=SECONDS)
    lines = [json.loads(line) for line in (daemon.state / "daemon.log").read_text().splitlines()]
    (refused,) = [line for line in lines if line.get("rpc") == "GetJob"]
    assert refused["reason"] == "NOT_FOUND"
    assert "there is no job" in refused["message"]


def test_a_supervisor_that_does_not_listen_stops_nobody(tmp_path: Path):
    command = [sys.executable, "-m", "understudy.daemon", "--state", str(tmp_path / "state"), "--idle", "0.1"]
    environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "none")}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "READY=1 not told" in done.stderr


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the doctor a machine with room on its disk and no GPU, whatever there is."""
    monkeypatch.setattr(doctor, "LITTLE_GB", 0.0)
    cpu = [each for each in devices.found() if each.name == "cpu"]
    monkeypatch.setattr(devices, "found", lambda: cpu)


def findings(place: Place, text: str) -> dict[str, doctor.Finding]:
    file = place.folder / "daemon.toml"
    file.write_text(f'state = "{place.folder}/state"\n{text}')
    given = arguments.parse(["--check", "--config", str(file)])
    return {finding.name: finding for finding in doctor.findings(given, {"HOME": str(place.folder)})}


@pytest.mark.usefixtures("plain")
def test_the_doctor_finds_nothing_where_all_is_well_but_weights(tmp_path: Path):
    place = Place.at(tmp_path)
    place.authority.sign("daemon", days=(-1, 90))
    found = findings(
        place,
        f'[listen]\ntcp = "0.0.0.0:7443"\n[access]\ntokens = "{place.tokens}"\n'
        f'[tls]\ncertificate = "{place.own.certificate}"\nkey = "{place.own.key}"\n'
        f'[roots]\nread = ["{tmp_path}"]\nwrite = ["{tmp_path}"]\n'
        f'[weights]\ncache = "{tmp_path}/weights"',
    )
    wrong = {name for name, each in found.items() if each.fix}
    assert wrong == {"weights"}
    assert f"--endpoint unix:{tmp_path}/state/daemon.sock weights pull" in found["weights"].fix
    assert found["tokens"].found.endswith("1 tokens")
    assert {"versions", "clock", "state", "socket", "network", "certificate", "device", "audit"} <= set(found)
    assert not list(tmp_path.glob(".understudy-*"))


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize(
    ("spoil", "name", "fix"),
    [
        (lambda place: place.authority.sign("daemon", days=(-1, 5)), "certificate", "renew it"),
        (lambda place: place.authority.sign("daemon", days=(-9, -5)), "certificate", "has expired"),
        (lambda place: place.tokens.chmod(0o644), "tokens", "chmod 600"),
        (lambda place: place.token("past", "read", days=1e-9), "tokens", "revoke those"),
        (lambda place: (place.folder / "state" / "daemon.sock").write_text(""), "socket", "move it away"),
        (lambda place: (place.folder / "state" / "audit.jsonl").write_text("x\n"), "audit", "line 1"),
    ],
)
def test_the_doctor_says_what_to_do(tmp_path: Path, spoil: Callable[[Place], object], name: str, fix: str):
    place = Place.at(tmp_path)
    place.authority.sign("daemon", days=(-1, 90))
    spoil(place)
    found = findings(
        place,
        f'[listen]\ntcp = "0.0.0.0:7443"\n[access]\ntokens = "{place.tokens}"\n'
        f'[tls]\ncertificate = "{place.own.certificate}"\nkey = "{place.own.key}"',
    )
    wrong = {each.name: each.fix for each in found.values() if each.fix} | {"weights": ""}
    assert set(wrong) == {"weights", name}
    assert fix in wrong[name]


def test_the_doctor_reads_the_job_store_of_any_version_and_leaves_nothing_beside_it(tmp_path: Path):
    place = Place.at(tmp_path)
    assert "begins with the first start" in findings(place, "")["jobs"].found
    store = Store(tmp_path / "state" / "jobs.db")
    newest = len(schema.MIGRATIONS)
    assert f"0 jobs, schema {newest}" in findings(place, "")["jobs"].found  # beside a daemon that runs
    store.close()
    before = {path.name for path in (tmp_path / "state").iterdir()}
    with closing(sqlite3.connect(tmp_path / "state" / "jobs.db", isolation_level=None)) as db:
        for version, fix in ((newest, ""), (newest - 1, ""), (newest + 1, "newer")):
            db.execute("DELETE FROM migrations WHERE version >= ?", (newest - 1,))
            db.execute("INSERT INTO migrations VALUES (?, 0)", (version,))
            found = findings(place, "")["jobs"]
            assert f"schema {version}" in found.found
            assert ("from the start on" in found.found) == (version < newest)
            assert fix in found.fix
            assert bool(fix) == bool(found.fix)
    assert {path.name for path in (tmp_path / "state").iterdir()} == before
    (tmp_path / "state" / "jobs.db").write_bytes(b"no store" * 1000)
    assert findings(place, "")["jobs"].fix


@pytest.mark.usefixtures("plain")
def test_the_doctor_reads_clocks(monkeypatch, tmp_path: Path):
    assert doctor._clock(doctor.EARLIEST + 1).fix == ""
    assert "NTP" in doctor._clock(0.0).fix
    assert doctor._root(tmp_path, write=True).fix == ""
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 3600)
    assert "clock" in doctor._root(tmp_path, write=True).fix


def test_a_check_ends_with_1_where_something_is_wrong(tmp_path: Path):
    file = tmp_path / "daemon.toml"
    file.write_text("[limts]")
    command = [sys.executable, "-m", "understudy.daemon", "--check", "--json", "--config", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 1
    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["name"], last["ok"]) == ("configuration", False)
    assert "did you mean limits?" in last["fix"]
