"""`understudy doctor`: is everything here that a swap needs, and what to do where it is not."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import grpc
import typer
from google import protobuf

from understudy.client import network, specs
from understudy.client.cli import operate, options
from understudy.client.cli.context import State
from understudy.client.cli.weights import STATES
from understudy.client.errors import INVALID, UnderstudyError
from understudy.client.session import Session
from understudy.v1.system_pb2 import WEIGHTS_STATE_MISSING, WEIGHTS_STATE_PRESENT, GetInfoResponse

LITTLE_GB = 5.0  # half an hour of HD plates in half float, or a few checkpoints


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `fix` says what to do, and is empty where all is well."""

    name: str
    found: str
    fix: str = ""


def command(
    context: typer.Context,
    *,
    folder: Annotated[
        str, typer.Option("--folder", metavar="FOLDER", help="Where output will go; its disk is looked at.")
    ] = ".",
    config: Annotated[
        options.Text,
        typer.Option(
            "--config", metavar="FILE", help="Could a daemon run here by this daemon.toml? None is asked."
        ),
    ] = None,
) -> None:
    """Look at versions, daemon, colour, devices, weights and disks, and say what to do about each problem.

    Exit code 1 when there is one.
    """
    ours = State.of(context)
    found = findings(ours, Path(specs.absolute(folder))) if config is None else checked(config)
    for finding in found:
        mark = "✗" if finding.fix else "✓"
        fix = f"\n  → {finding.fix}" if finding.fix else ""
        ours.result(
            "check",
            {**asdict(finding), "ok": not finding.fix},
            f"{mark} {finding.name:<17}{finding.found}{fix}",
        )
        if finding.fix:
            ours.exit_code = INVALID


def findings(state: State, folder: Path) -> Iterator[Finding]:
    """All that is looked at, the daemon's part only where one answers."""
    yield Finding(
        "client",
        f"understudy {version()}, Python {platform.python_version()}, grpc {grpc.__version__}, "
        f"protobuf {protobuf.__version__}",
    )
    yield _disk("output disk", folder)
    try:
        session = state.session()
    except UnderstudyError as error:
        yield Finding("daemon", "does not answer", error.message)
        return
    with session:
        info = session.info()
        yield from _daemon(info, here=not state.remote)
        yield from _weights(session, f"--endpoint {state.endpoint} " if state.endpoint else "")


def checked(config: str) -> Iterator[Finding]:
    """What the daemon's package finds of a machine and a configuration, without starting a daemon."""
    operate.need_daemon("doctor")
    command = [sys.executable, "-m", "understudy.daemon", "--check", "--json", "--config", config]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    lines = done.stdout.splitlines()
    if not lines:
        yield Finding("daemon", f"its check ended with {done.returncode}", "see what it said above")
    for line in lines:
        said = json.loads(line)
        yield Finding(said["name"], said["found"], said["fix"])


def _daemon(info: GetInfoResponse, *, here: bool) -> Iterator[Finding]:
    """What a daemon says of itself; `here`: its disks are ours too."""
    how = "embedded for this command" if info.embedded else f"process {info.process_id}"
    older = network.release(info.version) < network.release(version())
    yield Finding(
        "daemon",
        f"understudy {info.version}, {', '.join(info.api_versions)}, {how}",
        "older than this client, whose requests it may not know; upgrade it" if older else "",
    )
    if here:
        yield _disk("state", Path(info.state_folder))
    yield Finding("read roots", ", ".join(info.read_roots) or "whatever its user may read")
    yield Finding("write roots", ", ".join(info.write_roots) or "whatever its user may write")
    yield Finding("colour", f"{info.colour.config}, working in {info.colour.working_space}")
    for device in info.devices:
        memory = f", {device.memory_bytes / 1e9:.1f} GB" if device.memory_bytes else ""
        yield Finding("device", f"{device.name}: {device.description}{memory}")
    for family in info.families:
        default = family.default_choice
        names = [f"{default} (default)"] if default else []
        names += [choice for choice in family.choices if choice != default]
        yield Finding(family.name, ", ".join(names))


def _weights(session: Session, endpoint: str) -> Iterator[Finding]:
    for weights in session.weights():
        state = STATES.get(weights.state, "unknown")
        pull = f"understudy {endpoint}weights pull {weights.name}"
        if weights.state == WEIGHTS_STATE_MISSING and not weights.by_default:
            yield Finding("weights", f"{weights.name}: not here; another {weights.kind} needs it: {pull}")
        else:
            fix = "" if weights.state == WEIGHTS_STATE_PRESENT else pull
            yield Finding("weights", f"{weights.name}: {state} {weights.path}".rstrip(), fix)


def _disk(name: str, folder: Path) -> Finding:
    """Room on the disk of a folder, or of the nearest one above it that is there."""
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(there).free / 1e9
    fix = (
        "" if free >= LITTLE_GB else f"less than {LITTLE_GB:.0f} GB free; make room or choose another folder"
    )
    return Finding(name, f"{folder}, {free:.1f} GB free", fix)


def version() -> str:
    """Of this package."""
    return importlib.metadata.version("understudy")
