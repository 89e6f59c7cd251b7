"""The audit log: what is in it, and that no change to it stays unseen."""

from __future__ import annotations

import hashlib
import json
import resource
import uuid
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest

from tests.daemon.listening import SECONDS, Place, jobs, listening, shown, system
from understudy.core.errors import InvalidInput, NotFound, WriteFailed
from understudy.daemon import admin
from understudy.daemon.audit import START, Audit, Entry, verify
from understudy.v1 import job_pb2, system_pb2


def filled(path: Path, count: int = 5) -> list[str]:
    """A log with so many lines; gives its heads."""
    log, heads = Audit(path), []
    for number in range(count):
        log.record(Entry(who=f"user {number}", peer="unix:", what="StartJob", outcome="OK", digest="ab"))
        heads.append(log.head)
    log.close()
    return heads


def test_a_log_goes_on_after_a_restart_and_after_a_power_cut(tmp_path: Path):
    path = tmp_path / "audit.jsonl"
    heads = filled(path)
    with path.open("ab") as file:
        file.write(b'{"number": 6, "time": "20')
    heads += filled(path)
    chain = verify(path)
    assert (chain.count, chain.head) == (10, heads[-1])
    assert len(set(heads)) == 10
    assert path.stat().st_mode & 0o777 == 0o600
    assert all(verify(path, head).head == chain.head for head in [START, *heads])


def test_a_line_that_the_disk_has_no_room_for_leaves_no_part(tmp_path: Path):
    path = tmp_path / "audit.jsonl"
    filled(path)
    log, usual = Audit(path), resource.getrlimit(resource.RLIMIT_FSIZE)
    entry = Entry(who="late", peer="unix:", what="StartJob", outcome="OK")
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, usual[1]))
    try:
        for _ in range(2):
            with pytest.raises(WriteFailed):
                log.record(entry)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    log.record(entry)
    log.close()
    assert (verify(path).count, verify(path).head) == (6, log.head)


def reworded(lines: list[bytes]) -> list[bytes]:
    return [lines[0], lines[1].replace(b"user 1", b"user 7"), *lines[2:]]


def rehashed(lines: list[bytes]) -> list[bytes]:
    """A line changed with its own hash made anew: the next one betrays it."""
    said = json.loads(lines[1]) | {"who": "somebody else"}
    del said["hash"]
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    said["hash"] = hashlib.sha256(text.encode()).hexdigest()
    return [lines[0], json.dumps(said).encode() + b"\n", *lines[2:]]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (reworded, 2),
        (rehashed, 3),
        (lambda lines: [lines[0], *lines[2:]], 2),
        (lambda lines: lines[1:], 1),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], 2),
        (lambda lines: [*lines[:2], lines[1], *lines[2:]], 3),
        (lambda lines: [*lines[:2], b"\n", *lines[2:]], 3),
        (lambda lines: [*lines[:2], b"[1]\n", *lines[2:]], 3),
        (lambda lines: [*lines[:-1], lines[-1][:20]], 5),
    ],
)
def test_every_change_is_found(tmp_path: Path, change: Callable[[list[bytes]], list[bytes]], line: int):
    path = tmp_path / "audit.jsonl"
    filled(path)
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))
    with pytest.raises(InvalidInput) as refusal:
        verify(path)
    assert refusal.value.value == line


def test_an_end_that_was_taken_away_is_found_by_a_head_that_was_kept(tmp_path: Path, capsys):
    path = tmp_path / "audit.jsonl"
    heads = filled(path)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:3]))
    assert verify(path).count == 3  # by itself it looks whole
    with pytest.raises(InvalidInput, match="the end was taken away"):
        verify(path, heads[-1])
    assert admin.main(["audit", "verify", str(path), "--head", heads[-1]]) == 1
    assert heads[-1] in capsys.readouterr().err
    assert admin.main(["audit", "verify", str(path), "--head", heads[1], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["head"] == heads[2]


def test_what_is_no_log_is_not_written_to(tmp_path: Path):
    path = tmp_path / "notes.txt"
    path.write_text("a note\n")
    with pytest.raises(InvalidInput, match="move the file away"):
        Audit(path)
    assert path.read_text() == "a note\n"
    with pytest.raises(NotFound):
        verify(tmp_path / "nothing")


def test_strangers_cannot_fill_the_disk(tmp_path: Path):
    path = tmp_path / "audit.jsonl"
    log = Audit(path)
    for _ in range(2000):
        log.record_stranger(Entry(who="", peer="ipv4:10.0.0.7:1", what="GetInfo", outcome="UNAUTHENTICATED"))
    log.record(Entry(who="me", peer="unix:", what="StartJob", outcome="OK"))
    log.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) < 1000
    assert sum(line.get("left_out", 0) for line in lines) + len(lines) == 2001
    assert verify(path).count == len(lines)


def test_calls_that_change_or_are_not_permitted_are_kept_and_reads_are_not(tmp_path: Path):
    place = Place.at(tmp_path)
    token, reader = place.token("artist", "submit"), place.token("reader", "read")
    spec = job_pb2.JobSpec(torture=job_pb2.TortureSpec(folder=str(tmp_path / "t")))
    request = job_pb2.StartJobRequest(request_id=str(uuid.uuid4()), spec=spec)
    bad = job_pb2.StartJobRequest(request_id="none", spec=spec)
    with listening(place) as listener:
        stub = jobs(listener.channel())
        job = stub.StartJob(request, metadata=shown(token), timeout=SECONDS).job
        for metadata, asked in ((shown(token), bad), (shown(reader), request), ((), request)):
            with pytest.raises(grpc.RpcError):
                stub.StartJob(asked, metadata=metadata, timeout=SECONDS)
        system(listener.channel()).GetInfo(
            system_pb2.GetInfoRequest(), metadata=shown(reader), timeout=SECONDS
        )
        jobs(listener.local()).CancelJob(job_pb2.CancelJobRequest(id=job.id), timeout=SECONDS)
    path = place.config().audit_file
    assert verify(path).count == 5
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line.get("who", ""), line["what"], line["outcome"]) for line in lines[:4]] == [
        ("artist", "StartJob", "OK"),
        ("artist", "StartJob", "INVALID_INPUT"),
        ("reader", "StartJob", "NOT_PERMITTED"),
        ("", "StartJob", "UNAUTHENTICATED"),
    ]
    assert lines[0]["job"] == lines[4]["job"] == job.id
    assert lines[0]["digest"] == hashlib.sha256(request.SerializeToString()).hexdigest()
    assert lines[0]["token"] == token.split("_")[1]
    assert token.split("_", 2)[2] not in path.read_text()
