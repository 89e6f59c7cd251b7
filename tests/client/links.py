"""What the tests of links share: Pythons of hosts, and what a link is asked."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.daemon.support import until
from understudy.client.link import Link

VERSIONS = ("3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13")
PATIENT = 120.0


def interpreter(version: str) -> str | None:
    """One of this version, on the PATH or among pyenv's."""
    roots = [Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")]
    found = [path for root in roots for path in root.glob(f"versions/{version}.*/bin/python")]
    return str(found[0]) if found else shutil.which(f"python{version}")


def started(opened: Link, **more: object) -> str:
    """A job that it begins: its id."""
    spec = {"checkPlate": {"plate": {"pattern": "/p.%04d.exr"}}}
    reply = opened.call("JobService/StartJob", {"spec": spec, **more}, deadline_s=PATIENT).result(PATIENT)
    return str(reply["job"]["id"])


def bridge_of(opened: Link) -> int:
    """The process of its bridge."""
    assert opened.hello is not None
    return int(opened.hello["pid"])


def replaced(opened: Link, victim: int) -> None:
    """Until there is another bridge than this."""
    until(lambda: bridge_of(opened) != victim, PATIENT)


def frames_of(events: list[dict]) -> list[int]:
    """The frames that events of a job tell of, in their order."""
    return [e["event"]["frame"]["frame"] for e in events if "frame" in e.get("event", {})]
