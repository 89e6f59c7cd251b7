"""The panel on real PySide2 and PySide6, in their own Pythons, with a real bridge and a real daemon.

UNDERSTUDY_PYSIDE2 and UNDERSTUDY_PYSIDE6 name Pythons that have them; else those of `make test` are taken.
UNDERSTUDY_SCREENSHOTS names a folder to keep the pictures in.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import types
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.client.fake import FakeDaemon
from tests.core.shots import make_release
from tests.daemon import models
from tests.daemon.support import Daemon, until
from tests.nuke import drawn
from tests.nuke.conftest import FAKE
from understudy.client import plugins
from understudy.v1 import common_pb2

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FRAMES = range(1001, 1013)
PANEL = plugins.nuke_source() / "understudy_nuke" / "panel"


def interpreter(binding: str) -> Path | None:
    """A Python that has it."""
    named = os.environ.get(f"UNDERSTUDY_{binding.upper()}")
    here = ROOT / ".venv" / binding.lower() / "bin" / "python"
    return Path(named) if named else here if here.is_file() else None


@pytest.fixture(params=["PySide2", "PySide6"])
def python(request: pytest.FixtureRequest) -> Path:
    found = interpreter(request.param)
    if found is None:
        pytest.skip(
            f"no Python with {request.param}: `make test` sets one up, or UNDERSTUDY_{request.param.upper()}"
        )
    return found


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Paths of a plate, two facesets and a model that has learnt nothing."""
    folder = tmp_path_factory.mktemp("shot sh 010")
    pattern = drawn.write_plate(folder / "plate", FRAMES)
    made: dict[str, Any] = {"plate": pattern, "frames": [FRAMES[0], FRAMES[-1]]}
    for who in ("src", "dst"):
        made[who] = str(drawn.write_faceset(folder / who, FRAMES, who, pattern))
    return made


class Stage:
    """Runs days of `panel_day.py`."""

    def __init__(
        self, python: Path, plugin: Path, info: dict[str, Any], scene: dict[str, Any], folder: Path
    ) -> None:
        self.python, self.folder, self.state = python, folder, folder / "daemon" / "state"
        self.state.mkdir(parents=True)
        self.out = Path(os.environ.get("UNDERSTUDY_SCREENSHOTS") or folder / "out")
        self.out.mkdir(parents=True, exist_ok=True)
        model = models.make(folder / "model", releases=(make_release(),), working_space="")
        self.config = {
            **scene,
            "fake": str(FAKE),
            "plugin": str(plugin),
            "info": info,
            "model": str(model),
            "merged": str(folder / "swap_v001" / "swap_v001.%04d.exr"),
            "out": str(self.out),
            "reports": 3,
            "environ": {
                "UNDERSTUDY_BRIDGE": sys.executable,
                "UNDERSTUDY_STATE": str(self.state),
                "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("proto", "core", "daemon")),
            },
        }

    def run(self, day: str, endpoint: str = "") -> dict[str, Any]:
        """What the day says; it must end well."""
        if endpoint:
            self.config["environ"]["UNDERSTUDY_ENDPOINT"] = endpoint
        file = self.folder / "config.json"
        file.write_text(json.dumps(self.config), encoding="utf-8")
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("UNDERSTUDY_", "PYTHON"))}
        done = subprocess.run(
            [str(self.python), str(HERE / "panel_day.py"), str(file), day],
            capture_output=True,
            text=True,
            timeout=590,
            check=False,
            env={**environment, "QT_QPA_PLATFORM": "offscreen"},
        )
        assert done.returncode == 0, done.stderr[-6000:]
        said = dict(json.loads(done.stdout.splitlines()[-1]))
        print(
            f"{said['binding']} {day}: the event loop was held up for at most {said['wall_ms']:.0f} ms, "
            f"{said['cpu_ms']:.0f} ms of it computing; an answer took {said['hop_ms']:.0f} ms at most; see {self.out}"
        )
        return said


@pytest.fixture
def stage(
    python: Path, plugin: Path, info: dict[str, Any], scene: dict[str, Any], tmp_path: Path
) -> Iterator[Stage]:
    made = Stage(python, plugin, info, scene, tmp_path)
    yield made
    pids = made.state.parent / "pids"  # daemons that the day has started
    for pid in pids.read_text().split() if pids.exists() else []:
        # one that has ended is not there, or its number is another's by now
        with suppress(FileNotFoundError, ProcessLookupError):
            if str(made.state).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(int(pid), signal.SIGKILL)


def test_a_watch_that_ends_before_it_is_held_goes_on(nuke: Any, monkeypatch: pytest.MonkeyPatch):
    """The link's thread may be the faster one."""
    way = types.ModuleType("understudy_nuke.panel.way")  # the real one wants Qt
    way.Way = object  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, way.__name__, way)
    watch = importlib.import_module("understudy_nuke.panel.watch")
    begun: list[Any] = []

    class Link:
        def stream(self, method: str, request: Any, *, on_event: Any, on_end: Any) -> object:
            begun.append(request)
            if len(begun) == 1:
                on_end(watch.UnderstudyError("gone"))
            return self

    found = Link()
    followed = watch.Watch(types.SimpleNamespace(link=lambda: found), "a", print)
    for _ in range(3):
        followed.go_on()
    assert len(begun) == 2


def test_an_artists_day(stage: Stage):
    daemon = Daemon(stage.state).start()
    try:
        stage.run("day", str(daemon.announced()["endpoint"]))
    finally:
        daemon.kill()


def test_the_daemon_dies_and_comes_back(stage: Stage):
    assert stage.run("daemon_dies")["events"] > 4


def test_there_is_no_daemon_until_the_button_starts_one(stage: Stage):
    assert "connected" in stage.run("no_daemon")["step"]


def test_a_preview_opens_the_panel_and_starts_a_daemon(stage: Stage):
    assert stage.run("preview_first")["binding"]


def test_a_wrong_bridge_is_told_and_replaced(stage: Stage):
    daemon = Daemon(stage.state).start()
    try:
        stage.run("no_bridge", str(daemon.announced()["endpoint"]))
    finally:
        daemon.kill()


@pytest.mark.parametrize("contract", ["understudy.v1", "understudy.v0"])
def test_an_old_daemon_is_told_as_such(stage: Stage, tmp_path: Path, contract: str):
    fake = FakeDaemon(tmp_path)
    fake.api = [contract]
    fake.start()
    try:
        assert "→" in stage.run("old_daemon", fake.endpoint)["told"]
    finally:
        fake.stop()


def test_the_network_goes_and_comes(stage: Stage, tmp_path: Path):
    fake = FakeDaemon(tmp_path)
    listening = threading.Thread(target=lambda: (until((stage.out / "listen").exists, 300), fake.start()))
    (stage.out / "listen").unlink(missing_ok=True)
    listening.start()
    try:
        stage.run("network_gone", fake.endpoint)
    finally:
        (stage.out / "listen").touch()
        listening.join()
        fake.stop()


def test_every_reason_of_the_contract_has_a_next_step(plugin: Path, nuke: Any):
    from understudy_nuke.panel import advice  # type: ignore[import-not-found,unused-ignore]

    names = {name.replace("ERROR_REASON_", "") for name in common_pb2.ErrorReason.keys()}  # noqa: SIM118 - an enum
    assert set(advice.BY_REASON) == names - {"UNSPECIFIED"}
    newer = advice.of_job({"reason": "NEXT_YEARS", "message": "something new"})
    assert (newer.message, newer.step) == ("something new", advice.UNKNOWN)


def test_the_menu_and_the_panel_name_the_same(plugin: Path, nuke: Any):
    from understudy_nuke import panel

    menu = (plugin / "menu.py").read_text(encoding="utf-8")
    assert all(f'"{name}"' in menu for name in (panel.WIDGET, panel.NAME, panel.ID))
