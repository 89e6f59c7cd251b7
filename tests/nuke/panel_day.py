"""What an artist does with the panel, for a Python that has Qt: `python panel_day.py CONFIG DAY`.

CONFIG is a JSON file: folders `fake` and `plugin`, `environ` for the bridge, `out` for pictures, paths of the scene.
DAY is a function of this file. Everything but Nuke is real. Prints a JSON object.
"""

import json
import os
import signal
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


def day(host: Host) -> None:
    """Faces, preview, a training that is paused and cancelled, a merge, an error, the script saved, closed, opened."""
    from understudy_nuke import buttons

    node = node_of()
    panel = host.open()
    host.until(lambda: panel.way.state == "on")
    assert panel.node.currentText() == node.name()
    assert panel._banner.isHidden()
    faces_day(host)
    frame_day(host, node)
    training_day(host, node)
    node["us_do_panel"].execute()
    assert panel.node.node() is node
    assert len(nuke._fake.state.panels) == 1
    read = node.node("layers")
    buttons.pressed("merge", node)
    merged = host.until(lambda: job_of(host, "merge", "succeeded"))
    host.until(lambda: read["on_error"].value() == "error" and node["us_status"].value() == "merge done")
    node["look_mask"].setValue("face*nose")
    panel.tabs.setCurrentWidget(panel.frame)
    host.until(lambda: "nose" in panel.frame.picture.words())
    assert "→ Correct" in panel.frame.picture.words()
    host.shoot("refused")
    node["look_mask"].setValue("face*hull")
    script_day(host, node, merged)


def faces_day(host: Host) -> None:
    panel = host.panel
    panel.tabs.setCurrentWidget(panel.faces)
    thumbs, view = panel.faces.thumbs, panel.faces.view
    count = host.until(lambda: len(thumbs.faces))
    host.until(lambda: len(thumbs._kept) == count and thumbs._stream is None)
    assert all(shown(picture.toImage()) for picture in thumbs._kept.values())
    view.setCurrentIndex(thumbs.index(2, 0))
    gone = thumbs.faces[2]
    host.shoot("faces")
    press(host, "Reject 1")
    host.until(lambda: len(thumbs.faces) == count - 1)
    assert gone not in thumbs.faces
    assert not Path(gone["path"]).exists()
    assert "1 rejected" in panel.faces.said.text()
    press(host, "Restore")
    host.until(lambda: len(thumbs.faces) == count)
    assert Path(gone["path"]).exists()
    panel.faces.order.setCurrentText("blur")
    panel.faces.load()
    host.until(lambda: "measured" in panel.faces.said.text())
    panel.faces.order.setCurrentIndex(0)
    panel.faces.path.setEditText("/nowhere/faces")
    panel.faces.load()
    host.until(lambda: "/nowhere/faces" in panel.faces.said.text())
    assert "→ Check the path" in panel.faces.said.text()
    panel.faces.path.setEditText(config["dst"])
    panel.faces.load()
    host.until(lambda: len(thumbs.faces) == count)


def frame_day(host: Host, node: Any) -> None:
    panel, view = host.panel, host.panel.frame.picture
    panel.tabs.setCurrentWidget(panel.frame)
    host.until(lambda: view.image is not None and "1 face" in panel.frame._said.text())
    assert shown(view.image)
    host.shoot("frame")
    before = view.image
    nuke.frame(nuke.frame() + 1)
    host.until(lambda: f"frame {nuke.frame()}, 1 face" in panel.frame._said.text())
    assert view.image != before
    before = view.image
    node["look_opacity"].setValue(0.2)
    host.until(lambda: view.image != before and panel.frame._ask is None)
    node["look_opacity"].setValue(1.0)
    nuke.frame(config["frames"][1] + 50)
    host.until(lambda: "outside the plate's" in view.words())
    nuke.frame(config["frames"][0])


def training_day(host: Host, node: Any) -> None:
    from understudy_nuke import buttons

    panel = host.panel
    panel.tabs.setCurrentWidget(panel.training)
    buttons.pressed("train", node)
    job = host.until(lambda: job_of(host, "train", "running"))
    panel.jobs.choose(job["id"])
    host.until(lambda: min(map(len, panel.training.plot.curves.values()), default=0) >= config["reports"])
    host.until(lambda: panel.training.picture.image is not None)
    assert shown(panel.training.picture.image)
    panel.training.refresh()
    host.until(lambda: panel.training._ask is None)
    host.until(lambda: panel.jobs.model.data(panel.jobs.model.index(0, 3), 0))  # a rate
    host.shoot("training")
    assert not any("iteration" in str(told) for told in nuke._fake.state.tasks[-1].told)  # no bar for hours
    press(host, "Pause")
    host.until(lambda: job_of(host, "train", "paused"))
    press(host, "Resume")
    host.until(lambda: job_of(host, "train", "running"))
    press(host, "Cancel")
    host.until(lambda: job_of(host, "train", "cancelled"))
    host.until(lambda: "cancelled" in node["us_status"].value())
    panel.tabs.setCurrentWidget(panel.log)
    host.until(lambda: " cancelled" in panel.log.toPlainText())
    host.shoot("log")


def script_day(host: Host, node: Any, merged: Any) -> None:
    panel, name = host.panel, node.name()
    folder = Path(config["out"])
    for script in ("one.nk", "another one.nk"):
        nuke.scriptSaveAs(str(folder / script), 1)
        assert panel.node.node() is node
    nuke.scriptClear()
    assert panel.node.node() is None
    host.until(lambda: panel.frame.picture.image is None)
    assert "Choose an Understudy node" in panel.frame.picture.words()
    assert job_of(host, "merge", "succeeded")["id"] == merged["id"]
    nuke.scriptOpen(str(folder / "another one.nk"))
    assert panel.node.currentText() == name
    nuke.frame(config["frames"][0])
    host.until(lambda: panel.frame.picture.image is not None)


def daemon_dies(host: Host) -> None:
    """In the middle of a training: the link that began it starts another, and the same job's watch goes on."""
    from understudy_nuke import buttons

    process = start_daemon()
    node = node_of()
    panel = host.open()
    host.until(lambda: panel.way.state == "on")
    buttons.pressed("train", node)
    job = host.until(lambda: job_of(host, "train", "running"))
    panel.jobs.choose(job["id"])
    taken = watched(panel)
    host.until(lambda: len(panel.training.plot.curves.get("src", [])) >= 2)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    keep_pid(process_of(host))
    before, seen = panel._watch.last, len(taken)
    host.until(lambda: panel.way.state == "on")
    assert panel._banner.isHidden()
    assert panel.jobs.chosen["id"] == job["id"]
    host.until(lambda: panel._watch.last > before and len(taken) > seen + 2)
    assert taken == sorted(set(taken)), taken
    press(host, "Cancel")
    host.until(lambda: job_of(host, "train", "cancelled"))
    host.said["events"] = len(taken)


def process_of(host: Host) -> int:
    """The process of the daemon that answers."""
    told: list = []
    while not any(told):
        told.clear()
        host.panel.way.ask(
            "SystemService/GetInfo",
            then=lambda reply: told.append(reply["processId"]),
            failed=lambda _: told.append(None),
        )
        host.until(lambda: told)
    return int(told[0])


def watched(panel: Any) -> list:
    """The times of the events that the panel is told from now on."""
    times: list = []
    take = panel._watch._take

    def taking(told: list) -> None:
        times.extend(event["time"] for _, event in told)
        take(told)

    panel._watch._take = taking
    return times


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


def no_daemon(host: Host) -> None:
    """None runs, and none is started by looking; then one is, by the button."""
    panel = host.open()
    host.until(lambda: panel.way.state == "off")
    assert "no daemon runs" in panel._wrong.text()
    assert "Press 'Start'" in panel._step.text()
    assert panel._bridge.isHidden()
    host.shoot("none")
    press(host, "Start")
    host.until(lambda: panel.way.state == "on")
    assert panel._banner.isHidden()
    pid = panel.way.info["processId"]
    keep_pid(pid)
    press(host, "Reconnect")
    host.until(lambda: panel.way.state == "asking")
    host.until(lambda: panel.way.state == "on")
    assert panel.way.info["processId"] == pid
    host.said["step"] = panel.log.toPlainText()


def no_bridge(host: Host) -> None:
    """A path that leads nowhere, then a program that is no bridge, then the right one."""
    right = os.environ["UNDERSTUDY_BRIDGE"]
    os.environ["UNDERSTUDY_BRIDGE"] = "/opt/nowhere/understudy"
    panel = host.open()
    host.until(lambda: panel.way.state == "off")
    assert "/opt/nowhere/understudy" in panel._wrong.text()
    assert panel._bridge.isVisible()
    host.shoot("bridge")
    panel.way.reconnect("/bin/echo")
    host.until(lambda: panel.way.state == "off")
    assert "/bin/echo" in panel._wrong.text()
    assert panel._bridge.isVisible()
    panel.way.reconnect(right)
    host.until(lambda: panel.way.state == "on")
    assert panel._banner.isHidden()


def old_daemon(host: Host) -> None:
    """One that lacks previews, and one that speaks another contract."""
    node_of()
    panel = host.open()
    host.until(lambda: panel.way.state != "asking")
    if panel.way.state == "on":
        panel.tabs.setCurrentWidget(panel.frame)
        host.until(lambda: "older than this plug-in" in panel.frame.picture.words())
        host.said["told"] = panel.frame.picture.words()
    else:
        assert panel._banner.isVisible()
        host.shoot("old")
        host.said["told"] = panel._wrong.text() + panel._step.text()


def network_gone(host: Host) -> None:
    """Nobody listens at the endpoint, until somebody does."""
    panel = host.open()
    host.until(lambda: panel.way.state == "off")
    assert panel._wrong.text()
    assert "UNDERSTUDY_ENDPOINT" in panel._step.text()
    Path(config["out"], "listen").touch()
    host.until(lambda: panel.way.state == "on")
    assert panel._banner.isHidden()


if __name__ == "__main__":
    host = Host()
    {f.__name__: f for f in (day, daemon_dies, no_daemon, no_bridge, old_daemon, network_gone)}[sys.argv[2]](
        host
    )
    host.end()
