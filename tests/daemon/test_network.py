"""Who may call over TCP: certificates, tokens, scopes, and what nobody may."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import grpc
import pytest
from google.protobuf import descriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests.daemon.certificates import Authority
from tests.daemon.listening import SECONDS, Listener, Place, jobs, listening, shown, system
from tests.daemon.support import refusal, until
from understudy.core.errors import InvalidInput, NotFound
from understudy.daemon import access
from understudy.daemon import tls as certificates
from understudy.daemon.access import NEEDED, SCOPES
from understudy.daemon.limits import Limits
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

INFO = system_pb2.GetInfoRequest()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place.at(tmp_path_factory.mktemp("network"))


@pytest.fixture(scope="module")
def tokens(place: Place) -> dict[str, str]:
    """A token of each kind; made before the daemon starts."""
    return {
        "reader": place.token("reader", "read"),
        "artist": place.token("artist", "submit"),
        "other": place.token("other", "submit", days=1),
        "boss": place.token("boss", "admin"),
        "past": place.token("past", "admin", days=1e-9),
    }


@pytest.fixture(scope="module")
def listener(place: Place, tokens: dict[str, str]) -> Iterator[Listener]:
    with listening(place, site=replace(place.site, limits=Limits(message_bytes=1 << 16))) as listener:
        yield listener


def refused(call: Callable[[], object]) -> tuple[grpc.StatusCode, str, dict[str, str]]:
    with pytest.raises(grpc.RpcError) as error:
        call()
    return refusal(error.value)


def queue(listener: Listener, token: str, folder: Path) -> job_pb2.Job:
    """A job that is paused before it runs: it waits for one that is not there to be made."""
    spec = job_pb2.JobSpec(torture=job_pb2.TortureSpec(folder=str(folder)))
    request = job_pb2.StartJobRequest(request_id=str(uuid.uuid4()), spec=spec)
    stub = jobs(listener.channel())
    job = stub.StartJob(request, metadata=shown(token), timeout=SECONDS).job
    assert isinstance(job, job_pb2.Job)
    return job


def test_over_tls_with_a_token(listener: Listener, tokens: dict[str, str]):
    info = system(listener.channel()).GetInfo(INFO, metadata=shown(tokens["artist"]), timeout=SECONDS)
    assert (info.caller, list(info.scopes)) == ("artist", ["read", "submit"])
    assert info.min_client
    assert info.limits.message_bytes == 1 << 16
    local = system(listener.local()).GetInfo(INFO, timeout=SECONDS)
    assert list(local.scopes) == sorted(SCOPES)


@pytest.mark.parametrize(
    "form",
    [
        "{}",
        "Bearer ",
        "Bearer x",
        "Basic {}",
        "Bearer {}x",
        "Bearer {} {}",
        "Bearer ust__",
        "Bearer ust_{0}",
        "Bearer " + "x" * 4000,
    ],
)
def test_what_is_no_token_is_refused(listener: Listener, tokens: dict[str, str], form: str):
    given = (("authorization", form.format(tokens["boss"], tokens["reader"])),)
    call = refused(lambda: system(listener.channel()).GetInfo(INFO, metadata=given, timeout=SECONDS))
    assert call[:2] == (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")
    assert tokens["boss"] not in str(call)


def test_no_token_two_tokens_and_expired_ones_are_refused(listener: Listener, tokens: dict[str, str]):
    stub = system(listener.channel())
    two = (*shown(tokens["boss"]), *shown(tokens["boss"]))
    for metadata in ((), two, shown(tokens["past"])):
        code, reason, _ = refused(partial(stub.GetInfo, INFO, metadata=metadata, timeout=SECONDS))
        assert (code, reason) == (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")


def test_the_secret_of_another_token_does_not_open(listener: Listener, tokens: dict[str, str]):
    _, name, _ = tokens["boss"].split("_", 2)
    _, _, secret = tokens["reader"].split("_", 2)
    mixed = shown(f"ust_{name}_{secret}")
    call = refused(lambda: system(listener.channel()).GetInfo(INFO, metadata=mixed, timeout=SECONDS))
    assert call[0] is grpc.StatusCode.UNAUTHENTICATED


def test_a_scope_that_is_missing_is_named(listener: Listener, tokens: dict[str, str], tmp_path: Path):
    code, reason, metadata = refused(lambda: queue(listener, tokens["reader"], tmp_path / "t"))
    assert (code, reason) == (grpc.StatusCode.PERMISSION_DENIED, "NOT_PERMITTED")
    assert (metadata["field"], metadata["value"]) == ("scope", "submit")
    assert not (tmp_path / "t").exists()
    stub = jobs(listener.channel())
    assert stub.ListJobs(job_pb2.ListJobsRequest(), metadata=shown(tokens["reader"]), timeout=SECONDS)


def test_only_its_owner_and_an_admin_steer_a_job(listener: Listener, tokens: dict[str, str], tmp_path: Path):
    job = queue(listener, tokens["artist"], tmp_path / "t")
    assert job.user == "artist"
    stub, cancel = jobs(listener.channel()), job_pb2.CancelJobRequest(id=job.id)
    for rpc, request in (
        (stub.CancelJob, cancel),
        (stub.PauseJob, job_pb2.PauseJobRequest(id=job.id)),
        (stub.RetryJobFrames, job_pb2.RetryJobFramesRequest(id=job.id)),
        (stub.UpdateTraining, job_pb2.UpdateTrainingRequest(job_id=job.id, save=True)),
    ):
        code, reason, metadata = refused(
            partial(rpc, request, metadata=shown(tokens["other"]), timeout=SECONDS)
        )
        assert (code, reason, metadata["job"]) == (
            grpc.StatusCode.PERMISSION_DENIED,
            "NOT_PERMITTED",
            job.id,
        )
    assert stub.CancelJob(cancel, metadata=shown(tokens["boss"]), timeout=SECONDS).job.id == job.id
    assert stub.CancelJob(cancel, metadata=shown(tokens["artist"]), timeout=SECONDS).job.id == job.id


def test_a_client_that_trusts_another_authority_or_speaks_plain_text_gets_nowhere(
    listener: Listener, tokens: dict[str, str], tmp_path: Path
):
    stranger = Authority(tmp_path, "stranger")
    for channel in (listener.channel(ca=stranger.path), listener.plain()):
        with pytest.raises(grpc.RpcError) as error:
            system(channel).GetInfo(INFO, metadata=shown(tokens["boss"]), timeout=SECONDS)
        assert error.value.code() is grpc.StatusCode.UNAVAILABLE


def test_health_is_open_and_nothing_else_is(listener: Listener, tokens: dict[str, str]):
    health = health_pb2_grpc.HealthStub(listener.channel())
    request = health_pb2.HealthCheckRequest()
    assert health.Check(request, timeout=SECONDS).status == health_pb2.HealthCheckResponse.SERVING
    watch = refused(lambda: next(health.Watch(request, timeout=SECONDS)))
    assert watch[0] is grpc.StatusCode.UNAUTHENTICATED
    first = next(health.Watch(request, metadata=shown(tokens["reader"]), timeout=SECONDS))
    assert first.status == health_pb2.HealthCheckResponse.SERVING
    ask = reflection_pb2.ServerReflectionRequest(list_services="")
    remote = reflection_pb2_grpc.ServerReflectionStub(listener.channel())
    boss = shown(tokens["boss"])
    answer = refused(lambda: next(remote.ServerReflectionInfo(iter([ask]), metadata=boss, timeout=SECONDS)))
    assert answer[0] is grpc.StatusCode.PERMISSION_DENIED
    local = reflection_pb2_grpc.ServerReflectionStub(listener.local())
    listed = next(local.ServerReflectionInfo(iter([ask]), timeout=SECONDS)).list_services_response
    assert "understudy.v1.JobService" in {service.name for service in listed.service}


def test_every_rpc_of_the_contract_has_a_scope():
    rpcs = {
        f"/{service.full_name}/{method.name}": method
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
    }
    assert {name for name in NEEDED if name.startswith("/understudy")} == set(rpcs)
    assert all(isinstance(method, descriptor.MethodDescriptor) for method in rpcs.values())


def test_a_message_that_is_too_large_is_refused(listener: Listener):
    request = job_pb2.GetJobRequest(id="x" * (1 << 17))
    with pytest.raises(grpc.RpcError) as error:
        jobs(listener.local()).GetJob(request, timeout=SECONDS)
    assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_clients_show_a_certificate_where_the_site_wants_one(tmp_path: Path):
    place = Place.at(tmp_path)
    token = place.token("farm", "submit")
    farm = Authority(tmp_path, "farm-authority")
    with listening(place, tls=place.tls(client_ca=farm.path)) as listener:
        good = listener.channel(own=farm.sign("blade"))
        assert system(good).GetInfo(INFO, metadata=shown(token), timeout=SECONDS).caller == "farm"
        with pytest.raises(grpc.RpcError) as error:  # a certificate does not stand for a token
            system(good).GetInfo(INFO, timeout=SECONDS)
        assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED
        others = (None, place.authority.sign("self"), farm.sign("old", days=(-3, -1)))
        for own in others:
            with pytest.raises(grpc.RpcError) as error:
                system(listener.channel(own=own)).GetInfo(INFO, metadata=shown(token), timeout=10)
            assert error.value.code() in (
                grpc.StatusCode.UNAVAILABLE,
                grpc.StatusCode.DEADLINE_EXCEEDED,
            )


@pytest.mark.parametrize(
    ("spoil", "field", "says"),
    [
        (lambda place: place.authority.sign("daemon", days=(-3, -1)), "tls.certificate", "has expired on"),
        (lambda place: place.authority.sign("daemon", days=(1, 2)), "tls.certificate", "is valid from"),
        (lambda place: place.own.key.chmod(0o644), "tls.key", "chmod o="),
        (lambda place: place.own.key.write_text("nonsense"), "tls.key", "holds no key"),
        (lambda place: place.own.certificate.write_text(""), "tls.certificate", "holds no certificate"),
        (lambda place: place.own.certificate.unlink(), "tls.certificate", "cannot be read"),
        (
            lambda place: place.own.key.write_bytes(place.authority.sign("b").key.read_bytes()),
            "tls.key",
            "is not the key of",
        ),
    ],
)
def test_certificates_that_will_not_do_are_refused_at_the_start(
    tmp_path: Path, spoil: Callable[[Place], object], field: str, says: str
):
    place = Place.at(tmp_path)
    assert certificates.load(place.tls())
    spoil(place)
    with pytest.raises(InvalidInput, match=says) as refusal:
        certificates.load(place.tls())
    assert refusal.value.field == field


@pytest.mark.parametrize("tcp", ["0.0.0.0:7443", "[::]:7443", "192.168.0.7:7443", "host.example:7443"])
def test_beyond_loopback_takes_tls_and_everywhere_tokens(tmp_path: Path, tcp: str):
    place = Place.at(tmp_path)
    with pytest.raises(InvalidInput, match="needs TLS") as refusal:
        place.config(tcp=tcp, tls=None)
    assert refusal.value.field == "listen.tcp"
    for address in (tcp, "127.0.0.1:7443", "[::1]:7443", "localhost:7443"):
        with pytest.raises(InvalidInput, match="needs tokens"):
            place.config(tcp=address, tokens=None)
    assert place.config(tcp="127.0.0.1:7443", tls=None).tcp


@pytest.mark.parametrize("tcp", ["7443", "host:", ":7443", "host:70000", "a b:1", "unix:/x", "::1:7443"])
def test_addresses_that_are_none(tmp_path: Path, tcp: str):
    with pytest.raises(InvalidInput, match="is not HOST:PORT"):
        Place.at(tmp_path).config(tcp=tcp)


def test_loopback_in_plain_text_still_takes_a_token(tmp_path: Path):
    place = Place.at(tmp_path)
    token = place.token("me", "read")
    with listening(place, tls=None, tcp="127.0.0.1:0") as listener:
        assert system(listener.plain()).GetInfo(INFO, metadata=shown(token), timeout=SECONDS).caller == "me"
        call = refused(lambda: system(listener.plain()).GetInfo(INFO, timeout=SECONDS))
        assert call[0] is grpc.StatusCode.UNAUTHENTICATED


def test_the_file_of_tokens_is_private_and_holds_no_secret(tmp_path: Path):
    path = tmp_path / "tokens.json"
    with pytest.raises(NotFound, match="token create"):
        access.read(path)
    secret = access.create(path, "farm", ("submit",)).split("_", 2)[2]
    assert path.stat().st_mode & 0o777 == 0o600
    assert secret not in path.read_text()
    for mode in (0o640, 0o604, 0o666):
        path.chmod(mode)
        with pytest.raises(InvalidInput, match="chmod 600"):
            access.read(path)
    path.chmod(0o600)
    assert access.revoke(path, access.read(path)[0].id).user == "farm"
    assert access.read(path) == ()


@pytest.mark.parametrize(
    "change",
    [
        {"scopes": ["root"]},
        {"scopes": []},
        {"sha256": "x"},
        {"user": "a\nb"},
        {"user": ""},
        {"created": "yesterday"},
        {"created": "2026-01-01"},
        {"extra": 1},
    ],
)
def test_a_file_of_tokens_with_a_fault_is_refused_whole(tmp_path: Path, change: dict):
    path = tmp_path / "tokens.json"
    access.create(path, "farm", ("submit",))
    said = json.loads(path.read_text())
    said["tokens"][0] |= change
    path.write_text(json.dumps(said))
    with pytest.raises(InvalidInput, match="no file of tokens"):
        access.read(path)


@pytest.mark.skipif(os.getuid() != 0, reason="who is not root cannot give files away")
def test_root_leaves_the_file_of_tokens_to_whom_it_belongs(tmp_path: Path):
    place = Place.at(tmp_path)
    os.chown(place.tokens, 4711, 4712)
    token = place.token("artist", "read")
    access.revoke(place.tokens, token.split("_")[1])
    found = place.tokens.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (4711, 4712, 0o600)
    assert [each.user for each in access.kept(place.tokens)] == ["nobody"]
    with pytest.raises(InvalidInput, match="belongs to user 4711"):
        access.read(place.tokens)  # as a daemon of root would: somebody else could let himself in


def test_reloading_takes_a_token_away_ends_its_watch_and_changes_the_certificate(tmp_path: Path):
    place = Place.at(tmp_path)
    token = place.token("artist", "submit")
    with listening(place) as listener:
        job, stub = queue(listener, token, tmp_path / "t"), jobs(listener.local())
        stub.PauseJob(job_pb2.PauseJobRequest(id=job.id), timeout=SECONDS)
        ask = job_pb2.GetJobRequest(id=job.id)
        until(lambda: stub.GetJob(ask, timeout=SECONDS).job.state == job_pb2.JOB_STATE_PAUSED)
        request = job_pb2.WatchJobRequest(id=job.id)
        watch = jobs(listener.channel()).WatchJob(request, metadata=shown(token), timeout=SECONDS)
        assert next(watch).HasField("snapshot")
        host, port = listener.running.tcp.split(":")
        before = ssl.get_server_certificate((host, int(port)))
        access.revoke(place.tokens, token.split("_")[1])
        place.authority.sign("daemon")
        listener.running.reload()
        call = refused(
            lambda: system(listener.channel()).GetInfo(INFO, metadata=shown(token), timeout=SECONDS)
        )
        assert call[0] is grpc.StatusCode.UNAUTHENTICATED
        assert refused(lambda: list(watch))[0] is grpc.StatusCode.UNAUTHENTICATED
        after = ssl.get_server_certificate((host, int(port)))
        assert after == place.own.certificate.read_text()
        assert after != before
        place.tokens.write_text("broken")
        listener.running.reload()  # refused and logged; the old ones stay
        assert system(listener.local()).GetInfo(INFO, timeout=SECONDS)


def test_a_process_reloads_on_hangup_and_refuses_to_start_open(tmp_path: Path):
    place = Place.at(tmp_path)
    token = place.token("boss", "admin")
    file = tmp_path / "daemon.toml"
    lines = [f'state = "{tmp_path}/state"', "[listen]", 'tcp = "localhost:0"', "[access]"]
    file.write_text("\n".join([*lines, f'tokens = "{place.tokens}"']))
    command = [sys.executable, "-m", "understudy.daemon", "--config", str(file)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    try:
        announced = tmp_path / "state" / "daemon.json"
        until(announced.exists)
        channel = grpc.insecure_channel(json.loads(announced.read_text())["tcp"])
        assert system(channel).GetInfo(INFO, metadata=shown(token), timeout=SECONDS).caller == "boss"
        access.revoke(place.tokens, token.split("_")[1])
        process.send_signal(signal.SIGHUP)

        def gone() -> bool:
            try:
                system(channel).GetInfo(INFO, metadata=shown(token), timeout=SECONDS)
            except grpc.RpcError as error:
                return error.code() is grpc.StatusCode.UNAUTHENTICATED
            return False

        until(gone)
        channel.close()
    finally:
        process.terminate()
        _, said = process.communicate(timeout=SECONDS)
    assert process.returncode == 0
    assert token.split("_", 2)[2].encode() not in said
    place.tokens.chmod(0o644)
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 1
    assert "chmod 600" in done.stderr
