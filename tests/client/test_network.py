"""A client of a daemon on another machine: what it sends, what it trusts, what it refuses before it sends anything."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.daemon.certificates import Authority
from tests.daemon.listening import Listener, Place, listening
from understudy.client import network
from understudy.client.endpoint import Remote
from understudy.client.errors import NOT_ALLOWED, Refused, Unreachable
from understudy.client.session import Session
from understudy.v1 import system_pb2, system_pb2_grpc


@pytest.fixture(scope="module")
def listener(tmp_path_factory: pytest.TempPathFactory):
    place = Place.at(tmp_path_factory.mktemp("remote"))
    for name, token in (("artist", place.token("artist", "submit")), ("wrong", "ust_0_x")):
        (place.folder / f"{name}.token").write_text(f"{token}\n")
        (place.folder / f"{name}.token").chmod(0o600)
    with listening(place) as listener:
        yield listener


@pytest.fixture
def environ(listener: Listener, monkeypatch) -> None:
    monkeypatch.setenv(network.TOKEN_FILE, str(listener.place.folder / "artist.token"))
    monkeypatch.setenv(network.CA, str(listener.place.authority.path))


def test_a_session_over_tls(listener: Listener, environ: None):
    with Session(f"tls://{listener.running.tcp}") as session:
        info = session.info()
        assert (info.caller, list(info.scopes)) == ("artist", ["read", "submit"])
        assert list(session.jobs()) == []


def test_asyncio_over_tls(listener: Listener, environ: None):
    async def caller() -> str:
        async with Remote(f"tls://{listener.running.tcp}").open_aio() as channel:
            stub = system_pb2_grpc.SystemServiceStub(channel)
            return str((await stub.GetInfo(system_pb2.GetInfoRequest(), timeout=60)).caller)

    assert asyncio.run(caller()) == "artist"


def test_a_wrong_token_is_a_refusal_and_no_missing_daemon(listener: Listener, environ: None, monkeypatch):
    monkeypatch.setenv(network.TOKEN_FILE, str(listener.place.folder / "wrong.token"))
    with pytest.raises(Refused) as refusal:
        Session(f"tls://{listener.running.tcp}")
    assert (refusal.value.reason, refusal.value.exit_code) == ("UNAUTHENTICATED", NOT_ALLOWED)


def test_a_daemon_of_another_authority_is_not_trusted(
    listener: Listener, environ: None, monkeypatch, tmp_path: Path
):
    monkeypatch.setenv(network.CA, str(Authority(tmp_path, "another").path))
    with pytest.raises(Unreachable, match=r"\$UNDERSTUDY_CA"):
        Session(f"tls://{listener.running.tcp}")


@pytest.mark.parametrize(
    "endpoint", ["tls://", "tls://host", "tls://host:x", "tls://a b:1", "tls://host:1/x"]
)
def test_endpoints_that_are_none(endpoint: str):
    with pytest.raises(Refused, match="tls://HOST:PORT"):
        Remote(endpoint)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({network.TOKEN_FILE: ""}, network.TOKEN_FILE),
        ({network.TOKEN_FILE: "{0}/none"}, network.TOKEN_FILE),
        ({network.TOKEN_FILE: "{0}/shared"}, network.TOKEN_FILE),
        ({network.TOKEN_FILE: "{0}/empty"}, network.TOKEN_FILE),
        ({network.CA: "{0}/none"}, network.CA),
        ({network.KEY: "{0}/empty"}, network.CERTIFICATE),
        ({network.CERTIFICATE: "{0}/empty"}, network.KEY),
    ],
)
def test_files_that_will_not_do_are_named(tmp_path: Path, change: dict[str, str], field: str):
    for name, mode in (("good", 0o600), ("shared", 0o644), ("empty", 0o600)):
        (tmp_path / name).write_text("" if name == "empty" else "ust_1_x\n")
        (tmp_path / name).chmod(mode)
    environ = {network.TOKEN_FILE: str(tmp_path / "good")}
    network.channel("tls://localhost:1", (), environ).close()
    environ |= {name: value.format(tmp_path) for name, value in change.items()}
    with pytest.raises(Refused) as refusal:
        network.channel("tls://localhost:1", (), environ)
    assert refusal.value.field == field
    assert "ust_1_x" not in refusal.value.message


@pytest.mark.parametrize(
    ("ours", "needed", "fits"),
    [
        ("0.1.0", "", True),
        ("0.1.0", "0.1.0", True),
        ("0.10.0", "0.9.9", True),
        ("1.0.0rc1", "1.0.0", True),
        ("0.1.0", "0.1.1", False),
        ("0.1.0", "1", False),
        ("0.9.0", "0.10.0", False),
    ],
)
def test_a_client_that_is_too_old_says_so(ours: str, needed: str, fits: bool):
    info = system_pb2.GetInfoResponse(version="9.9.9", min_client=needed)
    if fits:
        network.refuse_old(ours, info)
    else:
        with pytest.raises(Refused, match=f"needs a client of {needed} or later, this one is {ours}"):
            network.refuse_old(ours, info)
