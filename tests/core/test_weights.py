"""The weights registry: what it fetches is what was published, or nothing at all."""

from __future__ import annotations

import hashlib
import shutil
import sys
import threading
import zipfile
from collections.abc import Generator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from understudy.core import weights
from understudy.core.errors import DiskFull, InvalidInput, WeightsCorrupt, WeightsMissing, WriteFailed
from understudy.core.weights import State, Weights, WeightStore, Wheel

DATA = {"a": b"weights of a" * 1000, "b": b"weights of b" * 999}
WHEEL = Wheel(requirement="nets==1.0", python="3.11", platform="any", size=100)


def entry(name: str, **fields: object) -> Weights:
    known = {"kind": "detect", "title": "", "licence": "MIT", "size": len(DATA[name])}
    known |= {"sha256": hashlib.sha256(DATA[name]).hexdigest()}
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
    assert {e.name for e in known} == {"blazeface-short", "blazeface-full", "facemesh"}
    for e in known:
        assert len(bytes.fromhex(e.sha256)) == 32
        assert e.source is not None
        assert e.member.endswith(e.filename)
        assert e.licence == "Apache-2.0"
    assert len({e.filename for e in known}) == len(known)


def test_real_weights_are_verified(weight_store: WeightStore):
    assert set(final(weight_store.verify()).values()) == {State.PRESENT}
    assert weight_store.path("facemesh").stat().st_size == weight_store.entry("facemesh").size


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
    with pytest.raises(WeightsCorrupt, match="is no wheel with a member"):
        list(store.pull())


def fake_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """Stand in for the interpreter: what `-m pip download … --dest DIR name==version` would run."""
    script = tmp_path / "python"
    script.write_text(f"#!{sys.executable}\nimport sys, shutil, pathlib, time\nargs = sys.argv\n{body}\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))


def test_pull_by_pip_reports_progress_and_asks_for_any_wheel_of_the_release(
    tmp_path: Path, wheel: Path, entries, monkeypatch: pytest.MonkeyPatch
):
    source = next(wheel.iterdir())
    fake_pip(
        tmp_path,
        monkeypatch,
        f"dest = pathlib.Path(args[args.index('--dest') + 1])\n"
        f"shutil.copy({str(source)!r}, dest)\ntime.sleep(0.5)\n"
        f"pathlib.Path({str(tmp_path)!r}, 'args').write_text(' '.join(args[1:]))",
    )
    store = WeightStore(tmp_path / "cache", (), entries)
    reports = list(store.pull())
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
    assert "put a.tflite, b.tflite (or the wheel nets-1.0-*.whl) into a folder" in caught.value.message
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
def site():
    """A web server with one file."""

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
