"""What the buttons and the menu do: never wait, and say in plain words what went wrong and what to do."""

from __future__ import annotations

import json
import os
from typing import Any, Callable, Dict

import nuke

import understudy_nuke

from . import daemon, panel, plates
from . import node as nodes
from .daemon import UnderstudyError
from .version import VERSION

_RUNS = ("swap", "extract", "train", "merge")


def pressed(action: str, node: nuke.Node | None = None) -> None:
    """One of `_ACTIONS`, or of `_RUNS`; for the menu, on the selected node."""
    try:
        if action == "create":
            _create()
        elif action == "panel":
            panel.show(node)
        elif action == "about":
            nuke.message("Understudy {} in Nuke {}".format(VERSION, nuke.NUKE_VERSION_STRING))
        else:
            chosen = node or _selected()
            if action in _RUNS:
                _run(action, chosen)
            else:
                _ACTIONS[action](chosen)
    except UnderstudyError as error:
        say(error)


def say(error: UnderstudyError) -> None:
    """To a person; under `nuke -t` on the terminal."""
    words = error.message + (" (knob {})".format(error.field) if error.field.startswith("us_") else "")
    (nuke.message if nuke.GUI else nuke.tprint)(words)


def _selected() -> nuke.Node:
    chosen = [n for n in nuke.selectedNodes() if nodes.is_ours(n)]
    if len(chosen) != 1:
        raise daemon.refused("", "select one Understudy node")
    return chosen[0]


def _create() -> None:
    """Behind what is selected; the daemon is asked first, without waiting for it."""
    plate = next(iter(nuke.selectedNodes()), None)
    name = plate.fullName() if plate is not None else ""
    task = nuke.ProgressTask("Understudy")
    task.setMessage("asking the daemon for its settings")

    def told(call: Any) -> None:
        daemon.on_main(lambda: made(call))

    def made(call: Any) -> None:
        nonlocal task
        del task
        try:
            understudy_nuke.create(nuke.toNode(name) if name else None, call.result())
        except UnderstudyError as error:
            say(error)

    daemon.link().call("SystemService/GetInfo", done=told)


def _run(action: str, node: nuke.Node) -> None:
    """Where the plate's own files will not do, the person decides whether its branch is written out."""
    start = getattr(understudy_nuke, action)
    try:
        start(node, done=_tell)
    except plates.Between as error:
        pattern = os.path.dirname(nodes.output(node)) + "_plate/plate.%04d.exr"
        if nuke.GUI and nuke.ask(
            "{}.\n\nWrite it to {} now? Nuke is busy meanwhile.".format(error.message, pattern)
        ):
            start(node, done=_tell, prerender=pattern)
        elif not nuke.GUI:
            raise


def _tell(run: Any) -> None:
    if run.error is not None:
        say(run.error)


def _cancel(node: nuke.Node) -> None:
    for job in reversed(json.loads(node["us_jobs"].value() or "[]")):
        daemon.link().call("JobService/CancelJob", {"id": job})


def _update(node: nuke.Node) -> None:
    """At once what is known; settings of a newer daemon when it has answered."""
    understudy_nuke.update(node)
    node_id, name = str(node["us_id"].value()), node.fullName()

    def told(call: Any) -> None:
        if call.exception() is None:
            daemon.on_main(lambda: taken(call.result()))

    def taken(info: Any) -> None:
        found = nodes.found(node_id, name)
        if found is not None:
            understudy_nuke.update(found, info)

    daemon.link().call("SystemService/GetInfo", done=told)


def _plate(node: nuke.Node) -> None:
    plate = plates.resolve(node)
    nuke.message(
        "{}\nframes {}-{}, {}".format(*plate[:3], plate.colour_space or "colour space by its headers")
    )


def _reveal(node: nuke.Node) -> None:
    from . import qt

    folder = os.path.dirname(nodes.output(node))
    if not os.path.isdir(folder):
        raise daemon.refused("us_out", "{} is not there yet: merge first".format(folder))
    qt.QtGui.QDesktopServices.openUrl(qt.QtCore.QUrl.fromLocalFile(folder))


def _show(node: nuke.Node) -> None:
    """The version's number was changed by hand."""
    if str(node["us_out"].value()).strip():
        nodes.show_version(node)


def _version_up(node: nuke.Node) -> None:
    understudy_nuke.version_up(node)


_ACTIONS: Dict[str, Callable[[nuke.Node], None]] = {
    "cancel": _cancel,
    "plate": _plate,
    "reveal": _reveal,
    "show": _show,
    "update": _update,
    "version_up": _version_up,
}
