"""The weights registry: what it fetches is what was published, or nothing at all."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import sys
import tarfile
import threading
import zipfile
from collections.abc import Generator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from understudy.core import _plugins, weights
from understudy.core._fetch import Package
from understudy.core.errors import (
    DiskFull,
    InvalidInput,
    LicenceNotAccepted,
    WeightsCorrupt,
    WeightsMissing,
    WriteFailed,
)
from understudy.core.weights import State, Weights, WeightStore

DATA = {"a": b"weights of a" * 1000, "b": b"weights of b" * 999}
WHEEL = Package(requirement="nets==1.0", python="3.11", platform="any", size=100)


def entry(name: str, **fields: object) -> Weights:
    known = {"kind": "detect", "title": "", "licence": "MIT", "size": len(DATA[name])}
    known |= {"sha256": hashlib.sha256(DATA[name]).hexdigest()}
    known |= {"default": True}
    known |= {"source": WHEEL, "member": f"nets/{name}.tflite"} if "url" not in fields else {}
    return Weights(name=name, **{**known, **fields})  # type: ignore[arg-type]


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    folder.mkdir()
    with zipfile.ZipFile(folder / "nets-1.0-cp311-cp311-any.whl", "w") as z:
        for name, data in DATA.items():
            z.writestr(f"nets/{name}.tflite", data)
    return folder


@pytest.fixture
def entries() -> tuple[Weights, ...]:
    return entry("a"), entry("b")


def final(reports) -> dict[str, State]:
    return {r.name: r.state for r in reports}


def test_the_registry_is_whole():
    known = weights.registry()
    assert {e.name for e in known if e.default} == {"blazeface-short", "blazeface-full", "facemesh"}
    for e in known:
        assert len(bytes.fromhex(e.sha256)) >= 4
        assert e.member.endswith(e.filename) if e.source else e.url.startswith("https://")
        assert e.licence
        assert e.size > 0
    assert len({e.filename for e in known}) == len(known) == len({e.name for e in known})


@pytest.mark.parametrize("family", ["detect", "landmark", "pose", "identity"])
def test_what_families_need_is_in_the_registry(family: str):
    known = {e.name: e for e in weights.registry()}
    for name in _plugins.names(family):
        for needed in _plugins.load(family, name).WEIGHTS:
            assert known[needed].kind == family


def test_a_folder_of_files_under_their_registered_names_serves_them(shared: Path, tmp_path: Path):
    store = WeightStore(tmp_path, (shared / "weights",))
    assert store.path("retinaface") == shared / "weights" / "retinaface_mobilenet0.25.pth"
    assert store.path("yunet") == shared / "weights" / "yunet_n_dynamic.onnx"


def test_real_weights_are_verified(weight_store: WeightStore):
    defaults = [e.name for e in weight_store.entries() if e.default]
    assert set(final(weight_store.verify(defaults)).values()) == {State.PRESENT}
    assert weight_store.path("facemesh").stat().st_size == weight_store.entry("facemesh").size


def test_none_named_pulls_what_the_defaults_need(tmp_path: Path, wheel: Path):
    store = WeightStore(tmp_path / "cache", (wheel,), (entry("a"), entry("b", default=False)))
    assert final(store.pull()) == {"a": State.PRESENT}
    assert (store.has("a"), store.has("b")) == (True, False)
    assert final(store.verify()) == {"a": State.PRESENT, "b": State.MISSING}


def test_for_non_commercial_use_only_is_refused_until_somebody_says_that_he_may(tmp_path: Path, wheel: Path):
    entries = (replace(entry("a"), non_commercial=True), entry("b"))
    store = WeightStore(tmp_path / "cache", (wheel,), entries)
    for use in (store.path, store.usable, lambda name: list(store.pull([name]))):
        with pytest.raises(LicenceNotAccepted, match=r"weights a: .*non-commercial.*--accept-licence a"):
            use("a")
    allowed = WeightStore(tmp_path / "cache", (wheel,), entries, accepted=("a",))
    assert final(allowed.pull(["a"])) == {"a": State.PRESENT}
    assert allowed.path("a").is_file()
    assert (allowed.has("a"), store.has("a")) == (True, False)
    assert store.check("a").state is State.PRESENT
    assert store.usable("b") == entries[1]


def readings(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files whose bytes are read from now on."""
    read: list[Path] = []
    sha256 = weights._sha256

    def reading(path: Path) -> str:
        read.append(path)
        return sha256(path)

    monkeypatch.setattr(weights, "_sha256", reading)
    return read


def test_a_file_is_read_once_until_it_changes(tmp_path: Path, wheel: Path, entries, monkeypatch):
    store = WeightStore(tmp_path / "cache", (wheel,), entries)
    list(store.pull())
    read = readings(monkeypatch)
    monkeypatch.setattr(weights, "_SETTLED", -1.0)
    assert store.has("a")
    assert store.has("a")
    assert len(read) == 1
    path = store.path("a")
    path.write_bytes(DATA["a"][::-1])  # as long as before
    os.utime(path, (1, 1))
    assert not store.has("a")
    assert len(read) == 2
    assert final(store.verify(["a"])) == {"a": State.CORRUPT}  # which takes nobody's word
    assert len(read) == 3


def test_a_file_that_has_just_changed_is_read_again(tmp_path: Path, wheel: Path, entries, monkeypatch):
    """Its times may not tell it from one written within the same tick of the clock."""
    store = WeightStore(tmp_path / "cache", (wheel,), entries)
    list(store.pull())
    read = readings(monkeypatch)
    monkeypatch.setattr(weights, "_SETTLED", 1e9)
    assert store.has("a")
    assert store.has("a")
    assert len(read) == 2


def test_the_first_digits_of_a_digest_are_compared_where_no_more_is_published(tmp_path: Path, wheel: Path):
    digits = entry("a").sha256[:10]
    store = WeightStore(tmp_path / "cache", (wheel,), (replace(entry("a"), sha256=digits),))
    assert final(store.pull()) == {"a": State.PRESENT}
    store.path("a").write_bytes(b"other")
    with pytest.raises(WeightsCorrupt, match=f"{digits}…, of which no more is published"):
        store.path("a")


@pytest.mark.parametrize("digest", ["", "0123456", "Z" * 64, "0" * 65])
def test_a_registry_with_a_digest_that_is_none_is_our_own_bug(digest: str):
    with pytest.raises(AssertionError, match="sha256"):
        replace(entry("a"), sha256=digest)


def test_missing_says_the_command(tmp_path: Path):
    with pytest.raises(WeightsMissing, match="understudy weights pull facemesh") as caught:
        WeightStore(tmp_path).path("facemesh")
    assert caught.value.value == "facemesh"


def test_unknown_name_lists_those_there_are(tmp_path: Path):
    with pytest.raises(InvalidInput, match="blazeface-short"):
        WeightStore(tmp_path).path("alexnet")


def test_a_wheel_in_a_folder_is_read_without_a_network(tmp_path: Path, wheel: Path, entries):
    store = WeightStore(tmp_path / "cache", (wheel,), entries)
    assert final(store.verify()) == {"a": State.MISSING, "b": State.MISSING}
    assert final(store.pull()) == {"a": State.PRESENT, "b": State.PRESENT}
    assert store.path("b").read_bytes() == DATA["b"]
    assert sorted(p.name for p in store.cache.iterdir()) == ["a.tflite", "b.tflite"]


def test_files_in_a_folder_come_first_and_are_checked(tmp_path: Path, entries):
    site = tmp_path / "site"
    site.mkdir()
    (site / "a.tflite").write_bytes(DATA["a"])
    store = WeightStore(tmp_path / "cache", (site,), entries)
    assert store.path("a") == site / "a.tflite"
    (site / "a.tflite").write_bytes(b"other")
    with pytest.raises(WeightsCorrupt, match="SHA-256"):
        store.path("a")
    with pytest.raises(WeightsCorrupt):  # a site's own folder is not mended behind its back
        list(store.pull(["a"]))
    assert (site / "a.tflite").read_bytes() == b"other"


def test_a_corrupt_cache_is_found_and_mended(tmp_path: Path, wheel: Path, entries):
    store = WeightStore(tmp_path / "cache", (wheel,), entries)
    list(store.pull())
    store.path("a").write_bytes(DATA["a"][:-1])
    assert final(store.verify()) == {"a": State.CORRUPT, "b": State.PRESENT}
    with pytest.raises(WeightsCorrupt, match=r"a\.tflite"):
        store.path("a")
    assert final(store.pull(["a"])) == {"a": State.PRESENT}


def test_other_bytes_than_published_are_not_kept(tmp_path: Path, wheel: Path):
    store = WeightStore(tmp_path / "cache", (wheel,), (replace(entry("a"), sha256="0" * 64),))
    with pytest.raises(WeightsCorrupt, match="nothing was kept"):
        list(store.pull())
    assert list(store.cache.iterdir()) == []


@pytest.mark.parametrize("content", [b"no zip", None])
def test_a_broken_wheel_is_refused(tmp_path: Path, wheel: Path, content: bytes | None):
    store = WeightStore(tmp_path / "cache", (wheel,), (replace(entry("a"), member="nets/other.tflite"),))
    if content:
        next(wheel.iterdir()).write_bytes(content)
    with pytest.raises(WeightsCorrupt, match="is no package with a member"):
        list(store.pull())


SDIST = Package(requirement="nets==1.0", size=100, sdist_sha256="ab" * 32)


@pytest.fixture
def sdist(tmp_path: Path) -> Path:
    folder = tmp_path / "sdists"
    folder.mkdir()
    with tarfile.open(folder / "nets-1.0.tar.gz", "w:gz") as archive:
        for name, data in DATA.items():
            info = tarfile.TarInfo(f"nets-1.0/nets/{name}.tflite")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        archive.addfile(tarfile.TarInfo("nets-1.0/empty"))
        link = tarfile.TarInfo("nets-1.0/nets/link.tflite")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return folder


def in_sdist(name: str, member: str = "") -> Weights:
    return replace(entry(name), source=SDIST, member=member or f"nets-1.0/nets/{name}.tflite")


def test_a_source_distribution_in_a_folder_is_read_without_a_network(tmp_path: Path, sdist: Path):
    store = WeightStore(tmp_path / "cache", (sdist,), (in_sdist("a"), in_sdist("b")))
    assert final(store.pull()) == {"a": State.PRESENT, "b": State.PRESENT}
    assert store.path("b").read_bytes() == DATA["b"]


@pytest.mark.parametrize("member", ["nets-1.0/other", "nets-1.0/nets/link.tflite", "nets-1.0"])
def test_a_member_that_is_none_is_refused(tmp_path: Path, sdist: Path, member: str):
    store = WeightStore(tmp_path / "cache", (sdist,), (in_sdist("a", member),))
    with pytest.raises(WeightsCorrupt, match="is no package with a member"):
        list(store.pull())
    assert list(store.cache.iterdir()) == []


@pytest.mark.parametrize("length", [0, 10, 60])
def test_a_source_distribution_that_is_cut_is_refused(tmp_path: Path, sdist: Path, length: int):
    file = sdist / "nets-1.0.tar.gz"
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(WeightsCorrupt, match="is no package with a member"):
        list(WeightStore(tmp_path / "cache", (sdist,), (in_sdist("a"),)).pull())


def test_pip_fetches_a_source_distribution_only_if_its_digest_is_ours(
    tmp_path: Path, sdist: Path, monkeypatch: pytest.MonkeyPatch
):
    """As pip runs its setup.py."""
    fake_pip(
        tmp_path,
        monkeypatch,
        f"wanted = pathlib.Path(args[args.index('--requirement') + 1]).read_text()\n"
        f"shutil.copy({str(sdist / 'nets-1.0.tar.gz')!r}, args[args.index('--dest') + 1])\n"
        f"pathlib.Path({str(tmp_path)!r}, 'args').write_text(' '.join(args[1:]) + wanted)",
    )
    store = WeightStore(tmp_path / "cache", (), (in_sdist("a"),))
    assert list(store.pull())[-1].state is State.PRESENT
    asked = (tmp_path / "args").read_text()
    for part in (
        "--require-hashes",
        "--no-binary=:all:",
        "--no-deps",
        f"nets==1.0 --hash=sha256:{'ab' * 32}",
    ):
        assert part in asked


def fake_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """Stand in for the interpreter: what `-m pip download … --dest DIR name==version` would run."""
    script = tmp_path / "python"
    script.write_text(f"#!{sys.executable}\nimport sys, shutil, pathlib, time\nargs = sys.argv\n{body}\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))


def test_pull_by_pip_reports_progress_and_asks_for_any_wheel_of_the_release(
    tmp_path: Path, wheel: Path, entries, monkeypatch: pytest.MonkeyPatch
):
    source, seen = next(wheel.iterdir()), tmp_path / "seen"
    fake_pip(
        tmp_path,
        monkeypatch,
        f"dest = pathlib.Path(args[args.index('--dest') + 1])\n"
        f"shutil.copy({str(source)!r}, dest)\n"
        f"until = time.monotonic() + 60\n"
        f"while not pathlib.Path({str(seen)!r}).exists() and time.monotonic() < until: time.sleep(0.02)\n"
        f"pathlib.Path({str(tmp_path)!r}, 'args').write_text(' '.join(args[1:]))",
    )
    store = WeightStore(tmp_path / "cache", (), entries)
    reports = []
    for report in store.pull():
        reports.append(report)
        if report.done == source.stat().st_size:
            seen.touch()
    moving = [r for r in reports if r.state is State.DOWNLOADING]
    assert max(r.done for r in moving) == source.stat().st_size
    assert {r.total for r in moving} == {WHEEL.size}
    assert [r.name for r in reports if r.state is State.PRESENT] == ["a", "b"]
    asked = (tmp_path / "args").read_text()
    for part in ("-m pip download", "--no-deps", "--only-binary=:all:", "--python-version 3.11", "nets==1.0"):
        assert part in asked


def test_a_failed_download_gives_pips_words_and_the_way_without_a_network(
    tmp_path: Path, entries, monkeypatch: pytest.MonkeyPatch
):
    fake_pip(tmp_path, monkeypatch, "sys.exit('ERROR: proxy says no')")
    store = WeightStore(tmp_path / "cache", (), entries)
    with pytest.raises(WeightsMissing, match="proxy says no") as caught:
        list(store.pull())
    assert "put a.tflite, b.tflite (or the package nets-1.0-*.whl) into a folder" in caught.value.message
    assert list(store.cache.iterdir()) == []


def test_closing_a_pull_stops_it_and_leaves_nothing(tmp_path: Path, entries, monkeypatch: pytest.MonkeyPatch):
    fake_pip(tmp_path, monkeypatch, "time.sleep(60)")
    store = WeightStore(tmp_path / "cache", (), entries)
    pulling = store.pull()
    assert isinstance(pulling, Generator)
    next(pulling)
    pulling.close()
    assert list(store.cache.iterdir()) == []


def test_two_pulls_at_once_do_not_disturb_each_other(tmp_path: Path, wheel: Path, entries):
    stores = [WeightStore(tmp_path / "cache", (wheel,), entries) for _ in range(6)]
    failed: list[BaseException] = []

    def pull(store: WeightStore) -> None:
        try:
            assert final(store.pull()) == {"a": State.PRESENT, "b": State.PRESENT}
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            failed.append(error)

    threads = [threading.Thread(target=pull, args=(s,)) for s in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert sorted(p.name for p in stores[0].cache.iterdir()) == ["a.tflite", "b.tflite"]


def test_a_cache_that_cannot_be_made(tmp_path: Path, wheel: Path, entries):
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteFailed, match="file"):
        list(WeightStore(tmp_path / "file" / "cache", (wheel,), entries).pull())


def test_a_full_disk_says_so(tmp_path: Path, wheel: Path, entries, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(DiskFull, match="No space left"):
        list(WeightStore(tmp_path / "cache", (wheel,), entries).pull())


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch):
    """A web server with one file."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")  # the machine may have one

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/a.tflite" else 404)
            self.end_headers()
            self.wfile.write(DATA["a"] if self.path == "/a.tflite" else b"")

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_url_is_fetched_with_progress(tmp_path: Path, site: str):
    store = WeightStore(tmp_path, (), (entry("a", url=f"{site}/a.tflite"),))
    reports = list(store.pull())
    assert reports[-1].state is State.PRESENT
    assert reports[-2].done == len(DATA["a"])
    assert store.path("a").read_bytes() == DATA["a"]


def test_a_url_that_is_not_there(tmp_path: Path, site: str):
    store = WeightStore(tmp_path, (), (entry("a", url=f"{site}/gone.tflite"),))
    with pytest.raises(WeightsMissing, match="404"):
        list(store.pull())
    assert list(tmp_path.iterdir()) == []
