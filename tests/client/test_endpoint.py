"""Finding a daemon, and starting a real one for as long as it is needed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.client.fake import FakeDaemon
from understudy.client import Refused, Session, Unreachable
from understudy.client.endpoint import Local, Remote, from_environment, state_folder


def test_the_state_folder_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: Path("/home/a"))
    assert state_folder({}) == Path("/home/a/.local/state/understudy")
    assert state_folder({"XDG_STATE_HOME": "/x"}) == Path("/x/understudy")
    assert state_folder({"XDG_STATE_HOME": "/x", "UNDERSTUDY_STATE": "/y"}) == Path("/y")


def test_an_endpoint_goes_before_a_state_folder():
    given = from_environment({"UNDERSTUDY_ENDPOINT": "unix:/run/u.sock", "UNDERSTUDY_STATE": "/y"})
    assert isinstance(given, Remote)
    assert given.endpoint == "unix:/run/u.sock"
    assert isinstance(from_environment({"UNDERSTUDY_STATE": "/y"}), Local)


@pytest.mark.parametrize("text", ["unix:/run/u.sock", "unix:///run/u.sock", "/run/u.sock"])
def test_ways_to_write_a_socket(text):
    assert Remote(text).endpoint == "unix:/run/u.sock"


@pytest.mark.parametrize("text", ["localhost:5000", "unix-abstract:a", "farm42", "unix:"])
def test_anything_but_a_socket_is_refused(text):
    with pytest.raises(Refused, match="not a Unix socket") as caught:
        Remote(text)
    assert caught.value.field == "endpoint"


def test_a_daemon_that_announced_itself_is_used(daemon: FakeDaemon, tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    (state / "daemon.json").write_text(json.dumps({"endpoint": daemon.endpoint, "pid": 1}))
    with Session(state=state) as session:
        assert not session.embedded
        assert session.info().process_id == 1


def test_a_state_folder_that_cannot_be_says_why(tmp_path):
    (tmp_path / "state").write_text("in the way")
    with pytest.raises(Unreachable, match=r"(?s)ended with exit code 1.*state folder"):
        Session(state=tmp_path / "state")


def test_two_sessions_share_a_daemon_and_the_second_takes_over(tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    (state / "daemon.json").write_text(json.dumps({"endpoint": f"unix:{tmp_path}/gone.sock", "pid": 999999}))
    first = Session(state=state)
    with Session(state=state) as second:
        assert (first.embedded, second.embedded) == (True, False)
        pid = first.info().process_id
        assert second.info().process_id == pid
        first.close()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        assert second.info().process_id != pid
        assert second.embedded
    assert not (state / "daemon.json").exists()
