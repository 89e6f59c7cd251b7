"""Nuke's window around the panel, for a Python that has Qt: its event loop, its colours, what a hand does there.

The program's first argument is a JSON file: folders `fake` and `plugin`, `environ` for the bridge, `out` for pictures,
paths of the scene.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable  # noqa: UP035 - any Python

config: Any = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
sys.path[:0] = [config["fake"], config["plugin"]]

import nuke as _nuke  # type: ignore[import-not-found,unused-ignore]  # noqa: E402

nuke: Any = _nuke
try:
    import PySide6  # type: ignore[import-not-found,unused-ignore]  # noqa: F401

    nuke.NUKE_VERSION_MAJOR, nuke.NUKE_VERSION_STRING = 16, "16.0v1"
except ImportError:
    pass

from understudy_nuke.qt import QtCore, QtGui, QtWidgets  # type: ignore[import-not-found,unused-ignore]  # noqa: E402

os.environ.update(config["environ"])
SECONDS = 300.0
BINDING = QtCore.__name__.split(".", maxsplit=1)[0]


class Host:
    """Nuke's event loop and looks, the panel in it, and how long the loop was held up at most."""

    def __init__(self) -> None:
        self.app = QtWidgets.QApplication([])
        self.app.setStyle("Fusion")
        self.app.setPalette(nukes_palette())
        self.wall = self.cpu = 0.0
        self.said: dict = {}

    def turn(self) -> None:
        wall, cpu = time.monotonic(), time.thread_time()
        self.app.processEvents()
        while not nuke._fake.state.queue.empty():
            call, args, kwargs = nuke._fake.state.queue.get()
            call(*args, **kwargs)
        self.wall = max(self.wall, time.monotonic() - wall)
        self.cpu = max(self.cpu, time.thread_time() - cpu)
        time.sleep(0.005)

    def until(self, what: Callable[[], Any], seconds: float = SECONDS) -> Any:
        end = time.monotonic() + seconds
        while True:
            self.turn()
            answer = what()
            if answer:
                return answer
            if time.monotonic() > end:
                self.shoot("late")
                raise AssertionError(
                    f"line {sys._getframe(1).f_lineno}: not within {seconds:.0f} s; {self.state()}"
                )

    def open(self) -> Any:
        """By the pane's menu, as menu.py has registered it."""
        import runpy

        runpy.run_path(str(Path(config["plugin"]) / "menu.py"))
        assert not [name for name in sys.modules if name.startswith("understudy_nuke.panel.")]
        nuke.menu("Pane").items_["Understudy"]()
        return self.take()

    def take(self) -> Any:
        """The panel that is open."""
        self.panel = nuke._fake.state.panels[-1].widget
        self.panel.resize(760, 800)
        self.wall = self.cpu = 0.0  # what opening it took is its own
        return self.panel

    def shoot(self, name: str) -> None:
        self.app.processEvents()
        self.panel.grab().save(str(Path(config["out"]) / f"{BINDING}-{name}.png"))

    def state(self) -> str:
        way = self.panel.way
        jobs = [(job["label"], job["state"]) for job in self.panel.jobs.model.jobs]
        log = self.panel.log.toPlainText()[-600:]
        return f"{way.state}, {way.trouble}, {jobs}, {log}, {nuke._fake.state.messages}"

    def end(self) -> None:
        said = nuke._fake.state.messages
        assert not [text for text in said if "Traceback" in text], said
        hop = self.panel.way.hop.longest
        self.said.update(binding=BINDING, wall_ms=1000 * self.wall, cpu_ms=1000 * self.cpu, hop_ms=1000 * hop)
        nuke._fake.state.panels.clear()
        self.panel.close()
        self.panel.deleteLater()
        self.app.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)
        self.app.processEvents()
        from understudy_nuke import daemon, panel  # type: ignore[import-not-found,unused-ignore]

        assert panel.open_ones() == []
        assert not any(nuke._fake.state.callbacks.get(e) for e in ("onScriptClose", "onScriptLoad"))
        link = daemon.made()
        if link is not None:
            link.close()
        print(json.dumps(self.said))


def nukes_palette() -> Any:
    role, palette = QtGui.QPalette.ColorRole, QtGui.QPalette()
    for name, colour in {
        "Window": "#323232", "WindowText": "#c8c8c8", "Base": "#272727", "AlternateBase": "#2d2d2d", "Text": "#c8c8c8",
        "Button": "#424242", "ButtonText": "#c8c8c8", "BrightText": "#ffffff", "Highlight": "#5b5340",
        "HighlightedText": "#ffffff", "ToolTipBase": "#3c3c3c", "ToolTipText": "#dddddd",
    }.items():  # fmt: skip
        palette.setColor(getattr(role, name), QtGui.QColor(colour))
    for name in ("Text", "WindowText", "ButtonText"):
        palette.setColor(QtGui.QPalette.ColorGroup.Disabled, getattr(role, name), QtGui.QColor("#707070"))
    return palette


def node_of(**knobs: object) -> Any:
    """A node on the scene's plate, ready to train and merge."""
    import understudy_nuke  # type: ignore[import-not-found,unused-ignore]

    first, last = config["frames"]
    read = nuke.nodes.Read(name="Plate", file=config["plate"], first=first, last=last)
    read["colorspace"].setValue("ACES - ACEScg")
    node = understudy_nuke.create(read, config["info"])
    said = {
        "us_src": config["src"],
        "us_dst": config["dst"],
        "us_model": config["model"],
        "us_out": config["merged"],
    }
    for name, value in {**said, "us_minutes": 60, **knobs}.items():
        node[name].setValue(value)
    nuke.frame(first + 1)
    return node


def job_of(host: Host, kind: str, *states: str) -> Any:
    """The newest job of a kind, where it is in one of these states."""
    from understudy_nuke.panel.jobs import state  # type: ignore[import-not-found,unused-ignore]

    found = [job for job in host.panel.jobs.model.jobs if kind in job["spec"]]
    return found[0] if found and state(found[0]) in states else None


def press(host: Host, label: str) -> None:
    button = next(b for b in host.panel.findChildren(QtWidgets.QPushButton) if b.text().startswith(label))
    host.until(button.isEnabled)
    button.click()


def shown(image: Any) -> bool:
    """Whether it is a picture and no plain area."""
    places = [(x, y) for x in range(0, image.width(), 7) for y in range(0, image.height(), 7)]
    return len({image.pixel(x, y) for x, y in places}) > 20


def start_daemon() -> Any:
    state = Path(config["environ"]["UNDERSTUDY_STATE"])
    command = [config["environ"]["UNDERSTUDY_BRIDGE"], "-m", "understudy.daemon", "--state", str(state)]
    with (state.parent / "stderr.txt").open("ab") as log:
        process = subprocess.Popen(command, stderr=log, stdin=subprocess.DEVNULL)
    keep_pid(process.pid)
    return process


def keep_pid(pid: int) -> None:
    """For the test, which ends it."""
    with (Path(config["environ"]["UNDERSTUDY_STATE"]).parent / "pids").open("a") as file:
        file.write(f"{pid}\n")
