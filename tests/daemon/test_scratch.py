"""Files sent to the daemon's machine and fetched back: whole or not at all, one's own or nobody's."""

from __future__ import annotations

import errno
import json
import os
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.daemon import facesets
from tests.daemon.listening import SECONDS, Listener, Place, listening, shown
from tests.daemon.support import Daemon, refusal
from tests.daemon.test_scratch_folder import HOSTILE, SENT, digest, receive
from understudy.core import confine
from understudy.daemon import expiry
from understudy.daemon.errors import PathNotAllowed
from understudy.daemon.limits import Limits
from understudy.daemon.paths import Roots
from understudy.daemon.scratch import Folder
from understudy.daemon.settings import Scratch
from understudy.daemon.site import Site
from understudy.daemon.states import State
from understudy.daemon.store import Store, Submission
from understudy.v1 import job_pb2, job_pb2_grpc, resource_pb2, resource_pb2_grpc
from understudy.v1 import scratch_pb2 as pb
from understudy.v1.scratch_pb2_grpc import ScratchServiceStub

INVALID, DENIED = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.PERMISSION_DENIED


# Over the wire


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place.at(tmp_path_factory.mktemp("scratch"))


@pytest.fixture(scope="module")
def tokens(place: Place) -> dict[str, str]:
    return {
        "ann": place.token("ann", "submit"),
        "Ann": place.token("Ann", "submit"),
        "ben": place.token("../ben", "submit"),
        "boss": place.token("boss", "admin"),
        "reader": place.token("ann", "read"),
    }


@pytest.fixture(scope="module")
def listener(place: Place, tokens: dict[str, str]) -> Iterator[Listener]:
    for name in ("scratch", "shared"):
        (place.folder / name).mkdir()
    site = replace(
        place.site,
        scratch=Scratch(folder=place.folder / "scratch", quota_mib=8),
        limits=Limits(message_bytes=200_000),
        roots=Roots(read=(place.folder / "shared",), write=(place.folder / "shared",)),
    )
    with listening(place, site=site) as listener:
        yield listener


@pytest.fixture
def stub(listener: Listener) -> Any:
    return ScratchServiceStub(listener.channel())


def put(stub: Any, token: str, name: str, data: bytes = SENT) -> None:
    """Send all of a file, as much at once as the daemon says."""
    at, chunk = 0, 0
    while True:
        request = pb.SendChunkRequest(
            name=name, size_bytes=len(data), sha256=digest(data), offset=at, data=data[at : at + chunk]
        )
        reply = stub.SendChunk(request, metadata=shown(token), timeout=SECONDS)
        if reply.complete:
            return
        at, chunk = reply.received_bytes, reply.chunk_bytes


def refused(call: Callable[[], object]) -> tuple[grpc.StatusCode, str, dict[str, str]]:
    with pytest.raises(grpc.RpcError) as error:
        call()
    return refusal(error.value)


def names(stub: Any, token: str, **asked: Any) -> list[str]:
    reply = stub.ListFiles(pb.ListFilesRequest(**asked), metadata=shown(token), timeout=SECONDS)
    return [file.name for file in reply.files]


def test_everybody_has_a_folder_of_their_own(listener: Listener, stub: Any, tokens: dict[str, str]):
    for user in ("ann", "Ann", "ben"):
        put(stub, tokens[user], "sh010/mine.bin", user.encode())
    for user in ("ann", "Ann", "ben"):
        fetch = pb.FetchChunkRequest(name="sh010/mine.bin")
        assert stub.FetchChunk(fetch, metadata=shown(tokens[user]), timeout=SECONDS).data == user.encode()
    assert names(stub, tokens["boss"]) == []
    homes = {p.name for p in (listener.place.folder / "scratch").iterdir()}
    assert len({name.casefold() for name in homes}) == len(homes) == 3
    assert all(name.replace("-", "").replace("_", "").isalnum() for name in homes)


def test_nobody_but_they_may_name_it_in_any_request(
    listener: Listener, stub: Any, tokens: dict[str, str], tmp_path: Path
):
    put(stub, tokens["ann"], "sh010/secret.json", b"{}")
    reply = stub.ListFiles(pb.ListFilesRequest(), metadata=shown(tokens["ann"]), timeout=SECONDS)
    theirs = Path(reply.folder) / "sh010"
    (listener.place.folder / "shared" / "link").symlink_to(theirs)
    channel = listener.channel()
    facesets_, releases = (
        resource_pb2_grpc.FacesetServiceStub(channel),
        resource_pb2_grpc.ReleaseServiceStub(channel),
    )
    jobs = job_pb2_grpc.JobServiceStub(channel)
    record = resource_pb2.Release(subject="a", kind="test", granted_by="test clip")
    paths = [
        str(theirs / "secret.json"),
        f"{theirs}/../sh010/secret.json",
        str(listener.place.folder / "shared" / "link" / "secret.json"),
        str(theirs.parent.parent / "x.json"),
    ]
    for path in paths:
        for call in (
            partial(releases.GetRelease, resource_pb2.GetReleaseRequest(path=path)),
            partial(releases.CreateRelease, resource_pb2.CreateReleaseRequest(path=path, release=record)),
            partial(facesets_.GetFaceset, resource_pb2.GetFacesetRequest(path=path)),
            partial(jobs.StartJob, start(job_pb2.JobSpec(torture={"folder": path}))),
        ):
            for user in ("ben", "boss", "Ann"):
                code, reason, metadata = refused(partial(call, metadata=shown(tokens[user]), timeout=SECONDS))
                assert (code, reason) == (DENIED, "PATH_NOT_ALLOWED"), (path, user)
                assert metadata["field"] in ("path", "torture.folder")
    own = refused(partial(releases.GetRelease, resource_pb2.GetReleaseRequest(path=paths[0]),
                          metadata=shown(tokens["ann"]), timeout=SECONDS))  # fmt: skip
    assert own[1] == "RELEASE_INVALID"  # it is read
    for path in ("scratch:../ben/x", "scratch:a/../../x", "scratch:/etc/passwd", "scratch:.parts/x"):
        code, _, metadata = refused(
            partial(
                releases.GetRelease, resource_pb2.GetReleaseRequest(path=path), metadata=shown(tokens["ann"])
            )
        )
        assert (code, metadata["field"]) == (INVALID, "path")


def start(spec: job_pb2.JobSpec) -> job_pb2.StartJobRequest:
    return job_pb2.StartJobRequest(request_id=str(uuid.uuid4()), spec=spec)


def test_a_path_of_the_scratch_is_the_callers_own_in_every_request(
    listener: Listener, stub: Any, tokens: dict[str, str]
):
    channel = listener.channel()
    releases = resource_pb2_grpc.ReleaseServiceStub(channel)
    record = resource_pb2.Release(subject="a", kind="test", granted_by="test clip")
    request = resource_pb2.CreateReleaseRequest(path="scratch:sh020/a.release.json", release=record)
    releases.CreateRelease(request, metadata=shown(tokens["ben"]), timeout=SECONDS)
    assert "sh020/a.release.json" in names(stub, tokens["ben"])
    assert names(stub, tokens["ann"], name="sh020") == []
    ask = resource_pb2.GetReleaseRequest(path="scratch:sh020/a.release.json")
    assert releases.GetRelease(ask, metadata=shown(tokens["ben"]), timeout=SECONDS).valid
    assert refused(partial(releases.GetRelease, ask, metadata=shown(tokens["ann"])))[1] == "NOT_FOUND"
    jobs = job_pb2_grpc.JobServiceStub(channel)
    own = Path(stub.ListFiles(pb.ListFilesRequest(), metadata=shown(tokens["ben"])).folder)
    facesets.make(own / "faces")
    spec = job_pb2.JobSpec(pack_faceset={"faceset": "scratch:faces", "output": "scratch:packs/a.faceset"})
    job = jobs.StartJob(start(spec), metadata=shown(tokens["ben"])).job
    assert job.spec.pack_faceset.output == str(own / "packs" / "a.faceset")
    wait = job_pb2.WaitJobRequest(id=job.id, timeout={"seconds": 240})
    ended = jobs.WaitJob(wait, metadata=shown(tokens["ben"]), timeout=300).job
    assert ended.state == job_pb2.JOB_STATE_SUCCEEDED, ended
    assert names(stub, tokens["ben"], name="packs") == ["packs/a.faceset"]
    assert names(stub, tokens["ann"], name="packs") == []


def test_hostile_names_are_refused_and_no_fault(stub: Any, tokens: dict[str, str]):
    for name in HOSTILE:
        request = pb.SendChunkRequest(name=name, size_bytes=1, sha256=digest(b"x"), data=b"x")
        code, _, metadata = refused(
            partial(stub.SendChunk, request, metadata=shown(tokens["ann"]), timeout=SECONDS)
        )
        assert (code, metadata["field"]) == (INVALID, "name"), name


def audited(listener: Listener) -> int:
    """How many lines say that something was sent."""
    lines = (listener.place.folder / "state" / "audit.jsonl").read_text().splitlines()
    return sum((e := json.loads(line))["what"] == "SendChunk" and e["outcome"] == "OK" for line in lines)


def test_scopes_quota_pages_and_what_is_audited(listener: Listener, stub: Any, tokens: dict[str, str]):
    send = pb.SendChunkRequest(name="a", size_bytes=1, sha256=digest(b"x"), data=b"x")
    for call in (partial(stub.SendChunk, send), partial(stub.DeleteFiles, pb.DeleteFilesRequest(name="a"))):
        assert refused(partial(call, metadata=shown(tokens["reader"]), timeout=SECONDS))[1] == "NOT_PERMITTED"
    before = audited(listener)
    put(stub, tokens["ann"], "q/a")
    assert "q/a" in names(stub, tokens["reader"])  # the same user looks
    code, reason, metadata = refused(lambda: put(stub, tokens["ann"], "q/b", bytes(9 << 20)))
    assert (code, reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "LIMIT_REACHED")
    assert metadata["field"] == "scratch.quota_mib"
    for number in range(5):
        put(stub, tokens["ann"], f"many/{number}", b"x")
    request, found = pb.ListFilesRequest(name="many", page_size=2), []
    while True:
        reply = stub.ListFiles(request, metadata=shown(tokens["ann"]), timeout=SECONDS)
        found += [file.name for file in reply.files]
        if not reply.next_page_token:
            break
        request.page_token = reply.next_page_token
    assert found == [f"many/{number}" for number in range(5)]
    assert reply.quota_bytes == 8 << 20
    assert audited(listener) - before == 1 + 5  # a line for each file that came whole, none for its parts
    gone = stub.DeleteFiles(
        pb.DeleteFilesRequest(name="many"), metadata=shown(tokens["ann"]), timeout=SECONDS
    )
    assert gone.deleted == 5
    assert names(stub, tokens["ann"], name="many") == []


def test_a_daemon_without_a_folder_says_so(tmp_path: Path):
    with listening(Place.at(tmp_path), tcp="") as plain:
        stub = ScratchServiceStub(plain.local())
        releases = resource_pb2_grpc.ReleaseServiceStub(plain.local())
        for call in (
            partial(stub.ListFiles, pb.ListFilesRequest()),
            partial(releases.GetRelease, resource_pb2.GetReleaseRequest(path="scratch:a")),
        ):
            code, reason, _ = refused(partial(call, timeout=SECONDS))
            assert (code, reason) == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")


# A daemon that is killed, and one that forgets


def test_a_killed_daemon_goes_on_with_a_file(make_daemon: Callable[..., Daemon], tmp_path: Path):
    (tmp_path / "own").mkdir()
    (tmp_path / "d.toml").write_text(f'[scratch]\nfolder = "{tmp_path / "own"}"\n')
    daemon = make_daemon("--config", str(tmp_path / "d.toml")).start()
    about: dict[str, Any] = {"name": "a/b", "size_bytes": len(SENT), "sha256": digest(SENT)}
    first = pb.SendChunkRequest(**about, data=SENT[:100_000])
    assert ScratchServiceStub(daemon.channel).SendChunk(first, timeout=SECONDS).received_bytes == 100_000
    daemon.end(signal.SIGKILL)
    daemon.start()
    stub: Any = ScratchServiceStub(daemon.channel)
    assert stub.ListFiles(pb.ListFilesRequest(), timeout=SECONDS).files == []
    assert stub.SendChunk(pb.SendChunkRequest(**about), timeout=SECONDS).received_bytes == 100_000
    rest = pb.SendChunkRequest(**about, offset=100_000, data=SENT[100_000:])
    assert stub.SendChunk(rest, timeout=SECONDS).complete
    assert stub.FetchChunk(pb.FetchChunkRequest(name="a/b"), timeout=SECONDS).data == SENT
    assert daemon.stop() == 0


def test_old_folders_go_but_for_what_a_job_is_to_read_or_write(tmp_path: Path):
    settings = Scratch(folder=tmp_path / "all", days=10)
    assert settings.folder is not None
    settings.folder.mkdir()
    now, old = time.time(), time.time() - 11 * 86400
    home = settings.home("ann")
    assert home is not None
    folder = Folder(home, 0)
    for name in (
        "read/p.1001.exr",
        "written/a/x",
        "pack.faceset",
        "old/a/b",
        "old/c",
        "mixed/old",
        "mixed/new",
        "lone",
    ):
        receive(folder, name, name.encode())
    folder.receive("new/half", 5, digest(b"12345"), 0, b"123")
    folder.receive("old/half", 5, digest(b"54321"), 0, b"543")
    half = sorted((home / ".parts").iterdir())
    (home / ".hidden").mkdir()  # a lock or the like that a job has left
    for path in (*home.rglob("*"), home / ".hidden"):
        if path.name != "new" and path != half[0]:
            os.utime(path, (old, old), follow_symlinks=False)
    for link in (settings.folder / "link", home / "link"):
        link.symlink_to(tmp_path)
        os.utime(link, (old, old), follow_symlinks=False)
    store = Store(tmp_path / "jobs.db")
    spec = job_pb2.JobSpec(
        merge={
            "plate": {"pattern": str(home / "read" / "p.####.exr")},
            "swaps": [{"faceset": str(home / "pack.faceset"), "model": "/elsewhere"}],
            "output": str(home / "written" / "b" / "c.####.exr"),
        }
    )
    job = store.add(
        Submission(
            request_id=str(uuid.uuid4()),
            spec=spec,
            digest="x",
            label="",
            user="ann",
            depends_on=(),
            outputs=(),
        )
    )
    assert expiry.claims(store, home / "read") == expiry.claims(store, home / "written" / "b" / "q") == [job]
    assert expiry.claims(store, home / "old") == expiry.claims(store, home / "reader") == []
    expiry.prune(settings, store, now, threading.Event())
    kept = ["mixed/new", "mixed/old", "pack.faceset", "read/p.1001.exr", "written/a/x"]
    assert [file.name for file in folder.files()] == kept
    assert sorted((home / ".parts").iterdir()) == half[:1]
    assert (home / ".hidden").exists()  # it may be that job's
    store.move(job, State.CANCELLED)
    expiry.prune(settings, store, now, threading.Event())
    assert [file.name for file in folder.files()] == ["mixed/new", "mixed/old"]
    assert not (home / ".hidden").exists()
    assert not (home / "link").is_symlink()
    assert (tmp_path / "jobs.db").exists()  # no link was followed
    store.close()


def test_what_cannot_be_deleted_keeps_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    settings = Scratch(folder=tmp_path, days=10)
    old = time.time() - 11 * 86400
    for user in ("ann", "bob", "eve"):
        home = settings.home(user)
        assert home is not None
        for name in ("a/x", "b/x"):
            receive(Folder(home, 0), name)
            os.utime(home / name, (old, old))
    store, real = Store(tmp_path / "jobs.db"), Folder.newest

    def newest(folder: Folder, names: tuple[str, ...]) -> float:
        if folder.place == settings.home("ann") and names == ("a",):
            raise PermissionError(errno.EACCES, "somebody else's")
        return real(folder, names)

    def entries(folder: Folder) -> list[tuple[str, ...]]:
        raise PermissionError(errno.EACCES, "somebody else's")

    monkeypatch.setattr(Folder, "newest", newest)
    expiry.prune(settings, store, time.time(), threading.Event())
    left = {str(each.relative_to(tmp_path)) for each in tmp_path.glob("*/*/x")}
    assert left == {f"{Path(str(settings.home('ann'))).name}/a/x"}
    monkeypatch.setattr(Folder, "entries", entries)
    assert expiry.prune(settings, store, time.time(), threading.Event()) == 0
    store.close()


def test_what_a_job_names_is_not_deleted(make_daemon: Callable[..., Daemon], tmp_path: Path):
    (tmp_path / "own").mkdir()
    (tmp_path / "d.toml").write_text(f'[scratch]\nfolder = "{tmp_path / "own"}"\n')
    daemon = make_daemon("--config", str(tmp_path / "d.toml")).start()
    stub: Any = ScratchServiceStub(daemon.channel)
    home = Path(stub.ListFiles(pb.ListFilesRequest(), timeout=SECONDS).folder)
    facesets.make(home / "sh010" / "faces")
    spec = job_pb2.JobSpec(measure_faceset={"faceset": "scratch:sh010/faces"})
    waits = daemon.submit(job_pb2.JobSpec(torture={"folder": "scratch:t"}))
    job = daemon.submit(spec, waits.id)
    code, reason, metadata = refused(
        partial(stub.DeleteFiles, pb.DeleteFilesRequest(name="sh010"), timeout=SECONDS)
    )
    assert (code, reason, metadata["job"]) == (grpc.StatusCode.FAILED_PRECONDITION, "JOB_STATE", job.id)
    for each in (job, waits):
        daemon.jobs.CancelJob(job_pb2.CancelJobRequest(id=each.id), timeout=SECONDS)
    assert stub.DeleteFiles(pb.DeleteFilesRequest(name="sh010"), timeout=SECONDS).deleted > 0
    assert not (home / "sh010").exists()


def test_a_job_writes_in_its_users_folder_and_no_other(tmp_path: Path):
    for name in ("shared", "all"):
        (tmp_path / name).mkdir()
    roots = Roots(write=(tmp_path / "shared",))
    site = Site(roots=roots, weights_cache=tmp_path, scratch=Scratch(folder=tmp_path / "all"))
    ann, ben = site.scratch.home("ann"), site.scratch.home("ben")
    assert ann is not None
    assert ben is not None
    assert site.of("ann").roots.writable(ann / "x", "f") == ann / "x"
    with pytest.raises(PathNotAllowed):
        site.of("ann").roots.writable(ben / "x", "f")
    everywhere = Site(weights_cache=tmp_path, scratch=site.scratch)  # no roots: anywhere but there
    with pytest.raises(PathNotAllowed):
        everywhere.of("ann").roots.readable(ben / "x", "f")
    assert everywhere.of("ann").roots.readable(tmp_path / "x", "f") == tmp_path / "x"
    for home in (ann, ben):
        home.mkdir()
    with confine.below(site.roots.write), confine.adding(site.of("ann").roots.written):
        with confine.opened(ann / "a"):
            pass
        with pytest.raises(PermissionError), confine.opened(ben / "a"):
            pass
    with confine.below(()), confine.adding(site.of("ann").roots.written), confine.opened(tmp_path / "free"):
        pass
