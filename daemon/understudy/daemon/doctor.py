"""`python -m understudy.daemon --check`: could a daemon run here as it is told to, and what is to be done where not.

Nothing is started, but what a start would read is read. A finding with a `fix` is one to see to; without, all is well.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from importlib import metadata
from pathlib import Path

from understudy.core.errors import UnderstudyError
from understudy.core.weights import State
from understudy.daemon import access, audit, devices, schema, tls
from understudy.daemon.arguments import settled
from understudy.daemon.config import DaemonConfig, version
from understudy.daemon.paths import nearest

LITTLE_GB = 5.0  # half an hour of HD plates in half float, or a few checkpoints
SOON = timedelta(days=21)
SKEW_SECONDS = 5.0  # between this clock and a file server's; what is newer is told by times of files
EARLIEST = 1767225600  # 2026-01-01: a clock that says less was never set
PACKAGES = ("grpcio", "protobuf", "torch", "numpy", "openimageio", "opencolorio")


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    name: str
    found: str
    fix: str = ""


def main(given: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Print the findings; 1 where one is to be seen to."""
    wrong = False
    for finding in findings(given, environment):
        wrong |= bool(finding.fix)
        if given.json:
            print(json.dumps({**vars(finding), "ok": not finding.fix}, ensure_ascii=False))
        else:
            fix = f"\n  → {finding.fix}" if finding.fix else ""
            print(f"{'✗' if finding.fix else '✓'} {finding.name:<14}{finding.found}{fix}")
    return int(wrong)


def findings(given: argparse.Namespace, environment: Mapping[str, str]) -> Iterator[Finding]:
    """All that is looked at; where the configuration is wrong, that and no more."""
    yield _versions()
    yield _clock(time.time())
    try:
        config = settled(given, environment)
    except UnderstudyError as error:
        yield Finding("configuration", "is refused", error.message)
        return
    yield Finding("configuration", str(given.config or "arguments and environment"))
    yield _state(config)
    yield _jobs(config)
    yield _socket(config)
    yield from _network(config)
    for name in ("read", "write"):
        for root in getattr(config.site.roots, name):
            yield _root(root, write=name == "write")
        if not getattr(config.site.roots, name):
            yield Finding(f"{name} roots", "whatever its user may")
    if config.site.scratch.folder is not None:
        yield _root(config.site.scratch.folder, write=True, name="scratch")
    yield from (
        Finding("device", f"{each.name}: {each.description}, {each.memory_bytes / 1e9:.1f} GB")
        for each in devices.found()
    )
    yield _workers(config)
    yield from _weights(config)
    yield _audit(config)


def _workers(config: DaemonConfig) -> Finding:
    there = {each.name for each in devices.found()}
    lacking = [name for name in config.workers.devices if name not in there]
    fix = f"no {', '.join(lacking)} on this machine; change workers.devices" if lacking else ""
    gpus = sorted(there - {"cpu"})
    if not (config.workers.devices or config.workers.cpu) and len(gpus) > 1:
        fix = f"one worker for {len(gpus)} GPUs; set workers.devices for one each"
    return Finding("workers", ", ".join(slot.name for slot in config.workers.slots()), fix)


def _versions() -> Finding:
    said = {name: _version_of(name) for name in PACKAGES}
    lacking = [name for name, number in said.items() if not number]
    fix = f"{', '.join(lacking)} not installed; run `pip install 'understudy[daemon]'`" if lacking else ""
    here = (f"{name} {number}" for name, number in said.items() if number)
    return Finding("versions", ", ".join([f"understudy {version()}", *here]), fix)


def _version_of(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _clock(now: float) -> Finding:
    said = datetime.fromtimestamp(now, timezone.utc).isoformat(timespec="seconds")
    early = (
        "the clock was never set: releases, tokens and certificates go by it; start NTP (chrony, timesyncd)"
    )
    return Finding("clock", said, early if now < EARLIEST else "")


def _state(config: DaemonConfig) -> Finding:
    folder = config.state
    there = nearest(folder)
    if not os.access(there, os.W_OK | os.X_OK):
        return Finding("state", str(folder), f"user {os.getuid()} may not write in {there}")
    if folder.exists() and folder.stat().st_uid != os.getuid():
        fix = f"belongs to user {folder.stat().st_uid}, not to {os.getuid()}; choose another, or chown it"
        return Finding("state", str(folder), fix)
    return _disk("state", folder)


def _jobs(config: DaemonConfig) -> Finding:
    """Whether this version can use the job store that is there; a start brings an older one to its own schema."""
    path = config.state / "jobs.db"
    if not path.exists():
        return Finding("jobs", f"{path}: begins with the first start")
    newest = len(schema.MIGRATIONS)
    # Without what a running or killed daemon keeps beside it, nothing need be made beside it to read it.
    how = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "immutable=1"
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?{how}", uri=True)) as db:
            (count,) = db.execute("SELECT count(*) FROM jobs").fetchone()
            there = schema.applied(db)
    except sqlite3.Error as error:
        return Finding("jobs", f"{path}: {error}", "put the copy of it back, or move it away")
    fix = "a newer understudy wrote it; run that version, or put the copy back" if there > newest else ""
    later = f", {newest} from the start on: copy it first" if there < newest else ""
    return Finding("jobs", f"{path}: {count} jobs, schema {there}{later}", fix)


def _socket(config: DaemonConfig) -> Finding:
    path = config.socket()
    folder = nearest(path.parent)
    if not path.exists():
        free = os.access(folder, os.W_OK | os.X_OK)
        return Finding(
            "socket", f"{path}: free", "" if free else f"the daemon's user may not write in {folder}"
        )
    if not path.is_socket():
        return Finding("socket", str(path), "another kind of file is in the way; move it away")
    mode = path.stat().st_mode & 0o777
    return Finding(
        "socket", f"{path}: mode {mode:04o}", "" if mode & 0o077 == 0 else f"run `chmod 600 {path}`"
    )


def _network(config: DaemonConfig) -> Iterator[Finding]:
    """The TCP listener, its tokens and its certificates."""
    if not config.tcp:
        yield Finding("network", "not listening on TCP")
        return
    yield Finding("network", f"{config.tcp}, {'TLS' if config.tls else 'plain text on loopback'}")
    if config.tokens is not None:
        yield _tried("tokens", config.tokens, _tokens)
    if config.tls is not None:
        own = config.tls
        yield _tried("certificate", own.certificate, lambda _: _certificate(own))


def _tokens(path: Path) -> tuple[str, str]:
    now = datetime.now(timezone.utc)
    known = access.read(path)
    past = [token for token in known if token.expired(now)]
    fix = f"revoke those that have expired: {', '.join(token.id for token in past)}" if past else ""
    return f"{len(known)} tokens", fix or ("" if known else "nobody can call; run `understudy token create`")


def _certificate(own: tls.Tls) -> tuple[str, str]:
    ends = tls.load(own).ends
    soon = ends - datetime.now(timezone.utc) < SOON
    return f"ends {ends.date()}", "renew it, then send the daemon SIGHUP" if soon else ""


def _tried(name: str, path: Path, look: Callable[[Path], tuple[str, str]]) -> Finding:
    try:
        found, fix = look(path)
    except UnderstudyError as error:
        return Finding(name, str(path), error.message)
    return Finding(name, f"{path}: {found}", fix)


def _root(root: Path, *, write: bool, name: str = "") -> Finding:
    name = name or ("write root" if write else "read root")
    needed = os.R_OK | os.X_OK | (os.W_OK if write else 0)
    if not os.access(root, needed):
        fix = f"user {os.getuid()} may not {'write' if write else 'read'} there; see to its mode or mount"
        return Finding(name, str(root), fix)
    if not write:
        return Finding(name, str(root))
    skew = _skew(root)
    if abs(skew) > SKEW_SECONDS:
        fix = "its server's clock and ours differ, and what is newer is told by them; set both by NTP"
        return Finding(name, f"{root}: {skew:+.0f} s from our clock", fix)
    return _disk(name, root)


def _skew(folder: Path) -> float:
    """Seconds that a file made there now is ahead of our clock."""
    probe = folder / f".understudy-{uuid.uuid4().hex[:12]}"
    try:
        before = time.time()
        probe.touch(exist_ok=False)
        made, after = probe.stat().st_mtime, time.time()
    finally:
        probe.unlink(missing_ok=True)
    return max(0.0, made - after) + min(0.0, made - before)


def _disk(name: str, folder: Path) -> Finding:
    """Room on the disk of a folder, or of the nearest one above it that is there."""
    free = shutil.disk_usage(nearest(folder)).free / 1e9
    little = f"less than {LITTLE_GB:.0f} GB free; make room or choose another folder"
    return Finding(name, f"{folder}, {free:.1f} GB free", "" if free >= LITTLE_GB else little)


def _weights(config: DaemonConfig) -> Iterator[Finding]:
    """What runs when nobody chooses, and what is on the disk and wrong."""
    store = config.site.weights()
    lacking = [entry.name for entry in store.entries() if entry.default and not store.has(entry.name)]
    wrong = [r.name for r in map(store.check, (e.name for e in store.entries())) if r.state is State.CORRUPT]
    names = " ".join(lacking + wrong)  # by the daemon, into its own cache
    pull = f"`understudy --endpoint unix:{config.socket()} weights pull {names}`"
    fix = f"start the daemon, then run {pull}" if names else ""
    said = [f"lacking: {', '.join(lacking)}"] if lacking else []
    said += [f"not what was published: {', '.join(wrong)}"] if wrong else []
    yield Finding("weights", "; ".join(said) or "all that runs by default is here", fix)


def _audit(config: DaemonConfig) -> Finding:
    path = config.audit_file
    if not path.exists():
        return Finding("audit", f"{path}: begins with the first start")
    try:
        chain = audit.verify(path)
    except UnderstudyError as error:
        return Finding("audit", str(path), error.message)
    return Finding("audit", f"{path}: {chain.count} lines, head {chain.head}")
