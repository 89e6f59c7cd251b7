"""What an artist does with the panel, for a Python that has Qt: `python panel_day.py CONFIG DAY`.

CONFIG is as panel_host.py says. DAY is a function of this file. Everything but Nuke is real. Prints a JSON object.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from panel_host import (  # type: ignore[import-not-found,unused-ignore] # beside this file
    Host,
    config,
    job_of,
    keep_pid,
    node_of,
    nuke,
    press,
    shown,
    start_daemon,
)


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
    node["us_do_preview"].execute()
    assert panel.tabs.currentWidget() is panel.frame
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
    panel.frame.live.setChecked(False)
    before = view.image
    nuke.frame(nuke.frame() + 1)
    node["us_do_preview"].execute()  # once, where it is not live
    host.until(lambda: f"frame {nuke.frame()}, 1 face" in panel.frame._said.text())
    assert view.image != before
    panel.frame.live.setChecked(True)
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
    times = [time for time, *_ in taken]
    assert times == sorted(times), taken
    assert len(set(taken)) == len(taken), taken
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
    """The events that the panel is told from now on: time, kind and all that is said."""
    events: list = []
    take = panel._watch._take

    def taking(told: list) -> None:  # "…:07.5Z" is later than "…:07Z", but not as text
        events.extend((event["time"].rstrip("Z"), kind, repr(event)) for kind, event in told)
        take(told)

    panel._watch._take = taking
    return events


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
    assert panel.way.state == "asking"  # before the event loop turns, which may bring the answer
    host.until(lambda: panel.way.state == "on")
    assert panel.way.info["processId"] == pid
    host.said["step"] = panel.log.toPlainText()


def preview_first(host: Host) -> None:
    """A node's button where no panel is open yet and no daemon runs: both come, for this node of two."""
    node_of()
    node = node_of()
    node["us_do_preview"].execute()
    panel = host.take()
    assert panel.node.node() is node
    assert panel.tabs.currentWidget() is panel.frame
    host.until(lambda: panel.way.state == "on")
    keep_pid(panel.way.info["processId"])
    host.until(lambda: panel.frame.picture.image is not None and "1 face" in panel.frame._said.text())
    assert shown(panel.frame.picture.image)


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
    days = (day, daemon_dies, no_daemon, preview_first, no_bridge, old_daemon, network_gone)
    {f.__name__: f for f in days}[sys.argv[2]](host)
    host.end()
