"""Fixtures of the client's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.fake import FakeDaemon
from understudy.client import Session


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[FakeDaemon]:
    """A fake daemon that listens."""
    fake = FakeDaemon(tmp_path).start()
    yield fake
    fake.stop()


@pytest.fixture
def session(daemon: FakeDaemon) -> Iterator[Session]:
    """A session with the fake daemon."""
    with Session(daemon.endpoint) as opened:
        yield opened
