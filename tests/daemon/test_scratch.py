"""Files sent to the daemon's machine and fetched back: whole or not at all, one's own or nobody's."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
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
from understudy.core import confine
from understudy.core.errors import DiskFull, InvalidInput, NotFound, WriteFailed
from understudy.daemon import expiry, scratch
from understudy.daemon.errors import LimitReached, PathNotAllowed
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
SENT = random.Random(0).randbytes(300_000)
HOSTILE = (
    "", "/", "/etc/passwd", "//x", "..", ".", "../x", "a/../../x", "a/..", "a//b", "a/", "./a", "a/./b", "~/x/..",
    ".hidden", "a/.parts/x", ".parts/x", ".understudy-lock", "a\0b", "a\nb", "a\x7fb", "a\u202eb", "a\u2028b", "a\\b",
    "..\\x", "C:\\x", "C:x", "c:/x", "a:stream", "\\\\server\\share", "a*", "a?", 'a"', "a<b", "a>b", "a|b", "con",
    "CON", "Con.exr", "nul.txt", "a/aux", "prn", "COM1", "com9.x", "lpt1.1001.exr", "com¹", "CONIN$", "a.", "a ",
    "a/b. /c", "é" * 101, "x" * 201, "/".join("a" * 33), "x/" * 2000 + "x",
)  # fmt: skip


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def receive(folder: Folder, name: str, data: bytes = SENT, step: int = 100_000) -> scratch.Received:
    """Send all of a file."""
    found = folder.receive(name, len(data), digest(data), 0, b"")
    while not found.complete:
        found = folder.receive(
            name, len(data), digest(data), found.size, data[found.size : found.size + step]
        )
    return found


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "own", 0)


def test_a_file_comes_in_parts_and_has_its_name_when_it_is_whole(folder: Folder):
    name, whole = "sh010/plate/plate.1001.exr", (len(SENT), digest(SENT))
    assert folder.receive(name, *whole, 0, b"") == scratch.Received(0, False)
    assert folder.receive(name, *whole, 0, SENT[:1000]) == scratch.Received(1000, False)
    assert folder.receive(name, *whole, 0, SENT[:1000]) == scratch.Received(
        1000, False
    )  # the answer was lost
    assert folder.receive(name, *whole, 500, SENT[500:2000]) == scratch.Received(2000, False)
    assert folder.receive(name, *whole, 5000, SENT[5000:6000]) == scratch.Received(
        2000, False
    )  # a gap is none
    assert folder.files() == []
    again = Folder(folder.place, 0)  # a daemon that was started anew
    assert again.receive(name, *whole, 0, b"") == scratch.Received(2000, False)
    assert again.receive(name, *whole, 2000, SENT[2000:]) == scratch.Received(len(SENT), True)
    assert again.receive(name, *whole, 0, b"") == scratch.Received(len(SENT), True)  # there already
    assert again.receive(name, *whole, 7, SENT[7:9]) == scratch.Received(len(SENT), True)
    assert everything(folder.place) == {name: SENT}
    assert receive(again, name, b"another").complete  # in its place
    assert receive(again, "empty", b"").complete
    assert everything(folder.place) == {name: b"another", "empty": b""}


def test_what_is_not_what_was_promised_never_gets_the_name(folder: Folder):
    receive(folder, "a")
    wrong = bytearray(SENT)
    wrong[12345] ^= 1
    with pytest.raises(WriteFailed, match="changed on the way"):
        folder.receive("a", len(SENT), digest(b"x"), 0, bytes(wrong))
    assert everything(folder.place) == {"a": SENT}
    receive(folder, "a", bytes(wrong))  # said honestly it is taken
    assert everything(folder.place) == {"a": bytes(wrong)}
    # Who sends another file by the same name at the same time does not come into it.
    folder.receive("b", 10, digest(b"0123456789"), 0, b"01234")
    receive(folder, "b", b"abcdefghij", 5)
    assert folder.receive("b", 10, digest(b"0123456789"), 5, b"56789").complete
    assert everything(folder.place)["b"] == b"0123456789"


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_leads_out_or_is_one_on_some_systems_only(folder: Folder, name: str):
    (folder.place.parent / "x").write_text("a secret")
    for call in (
        lambda: folder.receive(name, 1, digest(b"x"), 0, b"x"),
        lambda: folder.give(name, 0, 10),
        lambda: folder.files(name or "/"),
        lambda: folder.delete(name),
    ):
        with pytest.raises(InvalidInput) as error:
            call()
        assert error.value.field == "name"
    assert not folder.place.exists()
    assert (folder.place.parent / "x").read_text() == "a secret"


def test_names_of_every_case_and_script_are_kept_as_they_are(folder: Folder):
    names = [
        "Plate.1001.EXR",
        "plate.1001.exr",
        "ÄÖ/日本.1001.exr",
        "a b/c'd {e} $(f)",
        "console",
        "com10",
        "x" * 200,
    ]
    for name in names:
        receive(folder, name, name.encode())
    assert [file.name for file in folder.files()] == sorted(names)
    assert {name: folder.give(name, 0, 999).data for name in names} == {n: n.encode() for n in names}


@pytest.mark.parametrize(
    ("size", "sha256", "offset", "data", "field"),
    [
        (-1, digest(b""), 0, b"", "size_bytes"),
        (5, "", 0, b"", "sha256"),
        (5, digest(b"x").upper(), 0, b"", "sha256"),
        (5, digest(b"x")[:-1] + "/", 0, b"", "sha256"),
        (5, digest(b"x"), -1, b"", "offset"),
        (5, digest(b"x"), 3, b"xyz", "offset"),
        (5, digest(b"x"), 2**62, b"x", "offset"),
    ],
)
def test_what_cannot_be_is_refused_by_field(
    folder: Folder, size: int, sha256: str, offset: int, data: bytes, field: str
):
    with pytest.raises(InvalidInput) as error:
        folder.receive("a", size, sha256, offset, data)
    assert error.value.field == field
    assert not folder.place.exists()


def test_links_and_what_is_no_file_are_not_followed(folder: Folder, tmp_path: Path):
    receive(folder, "real/a")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a").write_bytes(b"a secret")
    (folder.place / "folder").symlink_to(outside)
    (folder.place / "file").symlink_to(outside / "a")
    os.mkfifo(folder.place / "pipe")
    for call in (
        lambda: receive(folder, "folder/a"),
        lambda: receive(folder, "folder/new/a"),
        lambda: folder.give("folder/a", 0, 9),
        lambda: folder.give("folder", 0, 9),
    ):
        with pytest.raises(PathNotAllowed):
            call()
    with pytest.raises(PathNotAllowed):
        folder.files("folder")
    with pytest.raises(PathNotAllowed):
        folder.delete("folder/a")
    with pytest.raises(PathNotAllowed):
        folder.give("file", 0, 9)
    with pytest.raises(NotFound):
        folder.give("pipe", 0, 9)
    assert [file.name for file in folder.files()] == ["real/a"]
    with pytest.raises(InvalidInput, match="a file is in the way"):
        receive(folder, "real/a/b")
    with pytest.raises(InvalidInput, match="a folder is in the way"):
        receive(folder, "real")
    assert folder.delete("folder") == 1  # the link alone
    with pytest.raises(PathNotAllowed):
        receive(folder, "file", b"new")
    assert everything(outside) == {"a": b"a secret"}


def test_parts_of_a_file_and_whether_the_caller_has_it(folder: Folder):
    receive(folder, "a")
    first = folder.give("a", 0, 200_000)
    assert first == scratch.Given(len(SENT), SENT[:200_000])
    assert folder.give("a", 200_000, 200_000) == scratch.Given(len(SENT), SENT[200_000:], digest(SENT))
    assert folder.give("a", len(SENT) + 5, 10) == scratch.Given(len(SENT), b"", digest(SENT))
    assert folder.give("a", 0, 10, digest(SENT)) == scratch.Given(len(SENT), sha256=digest(SENT), same=True)
    assert folder.give("a", 0, 10, digest(b"x")) == scratch.Given(len(SENT), SENT[:10])
    with pytest.raises(NotFound):
        folder.give("b", 0, 10)
    with pytest.raises(NotFound):
        Folder(folder.place.parent / "none", 0).give("a", 0, 10)


def test_a_quota_and_a_full_disk_say_so(folder: Folder, monkeypatch: pytest.MonkeyPatch):
    small = Folder(folder.place, 1_000_000)
    for name in "abc":
        receive(small, name)
    with pytest.raises(LimitReached, match=r"scratch.quota_mib") as error:
        receive(small, "d")
    assert error.value.field == "scratch.quota_mib"
    assert receive(small, "a").complete  # it is there already
    assert sorted(everything(small.place)) == ["a", "b", "c"]
    assert small.delete("b") == 1
    assert receive(small, "d").complete  # there is room again at once

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(DiskFull, match=r"scratch:e: .*No space left"):
        receive(folder, "e")
    monkeypatch.undo()
    assert receive(folder, "e").complete


def test_many_empty_files_fill_a_quota_too(folder: Folder):
    small = Folder(folder.place, 10 * scratch.BLOCK)
    for name in range(10):
        receive(small, f"f{name}", b"x")
    with pytest.raises(LimitReached):
        receive(Folder(folder.place, small.quota), "g", b"x")


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
    expiry.prune(settings, store, now)
    kept = ["mixed/new", "mixed/old", "pack.faceset", "read/p.1001.exr", "written/a/x"]
    assert [file.name for file in folder.files()] == kept
    assert sorted((home / ".parts").iterdir()) == half[:1]
    assert (home / ".hidden").exists()  # it may be that job's
    store.move(job, State.CANCELLED)
    expiry.prune(settings, store, now)
    assert [file.name for file in folder.files()] == ["mixed/new", "mixed/old"]
    assert not (home / ".hidden").exists()
    assert not (home / "link").is_symlink()
    assert (tmp_path / "jobs.db").exists()  # no link was followed
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
