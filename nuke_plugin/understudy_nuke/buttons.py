"""What the buttons and the menu do: never wait, and say in plain words what went wrong and what to do."""

from __future__ import annotations

import json
import os
from typing import Any, Callable, Dict, List

import nuke

import understudy_nuke

from . import daemon, mattes, panel, people, plates, ranges, tree
from . import node as nodes
from .daemon import UnderstudyError
from .version import VERSION

_RUNS = ("swap", "extract", "train", "merge", "label", "teach", "apply", "export")


def pressed(action: str, node: nuke.Node | None = None) -> None:
    """One of `_ACTIONS`, or of `_RUNS`; for the menu, on the selected node."""
    try:
        if action == "create":
            _create()
        elif action == "panel":
            _panel(node)
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
    (nuke.message if nuke.GUI else nuke.tprint)(daemon.words(error))


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


def _panel(node: nuke.Node | None, preview: bool = False) -> None:
    if not nuke.GUI:
        raise daemon.refused("", "no window, no panel; understudy_nuke.preview(node, frame) gives a picture")
    panel.show(node, preview)


def _preview(node: nuke.Node) -> None:
    _panel(node, preview=True)


def _run(action: str, node: nuke.Node) -> None:
    """Where the plate's own files will not do, the person decides whether its branch is written out."""
    start = getattr(understudy_nuke, action)
    try:
        start(node, done=_tell)
    except plates.Between as error:
        pattern = nodes.beside(node, "plate")
        if nuke.GUI and nuke.ask(
            "{}.\n\nWrite it to {} now? Nuke is busy meanwhile.".format(error.message, pattern)
        ):
            start(node, done=_tell, prerender=pattern)
        elif not nuke.GUI:
            raise


def _tell(run: Any) -> None:
    """Of a Run or a Pending."""
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


def _suggest(node: nuke.Node) -> None:
    def told(frames: List[int], error: UnderstudyError | None) -> None:
        if error is not None:
            say(error)
        else:
            nuke.message("Roto these frames, connect it to the mask input: {}".format(ranges.said(frames)))

    mattes.suggest(node, told)


def _points(node: nuke.Node) -> None:
    """Of the node that is named, else of the one that is selected besides ours."""
    name = str(node["us_points"].value()).strip()
    chosen = [n for n in nuke.selectedNodes() if not nodes.is_ours(n)]
    source = nuke.toNode(name) if name else chosen[0] if len(chosen) == 1 else None
    if source is None:
        raise daemon.refused(
            "us_points", "{} is no node; name or select the Tracker".format(name or "nothing")
        )
    text = str(node["us_point_frames"].value()).strip()
    frames = ranges.parsed(text or str(nuke.frame()), "us_point_frames")

    def told(error: UnderstudyError | None) -> None:
        if error is not None:
            say(error)
        else:
            nuke.message(
                "Kept for {}. Press extract: it makes these frames again.".format(ranges.said(frames))
            )

    understudy_nuke.give_points(node, source, frames, told)


def _nodes(node: nuke.Node) -> None:
    """The first person's track has no name."""
    for i, name in enumerate(people.names(node)):
        understudy_nuke.make_nodes(node, name if i else "", done=_tell)


def _people(node: nuke.Node) -> None:
    people.table(node)
    if not nuke.GUI or nuke.ask(
        "The inside of {} is made anew: what you added in there goes.".format(node.name())
    ):
        people.lay_out(node)


def _reveal(node: nuke.Node) -> None:
    from . import qt

    folder = os.path.dirname(nodes.output(node))
    if not os.path.isdir(folder):
        raise daemon.refused("us_out", "{} is not there yet: merge first".format(folder))
    qt.QtGui.QDesktopServices.openUrl(qt.QtCore.QUrl.fromLocalFile(folder))


def _show(node: nuke.Node) -> None:
    """The version's number was changed by hand; or a script is being read, and what is inside is still to come."""
    inside: Any = node
    said = str(node["us_out"].value()).strip() or str(node["us_shot"].value()).strip()
    if said and inside.node(tree.READ) is not None:
        nodes.show_version(node)


def _version_up(node: nuke.Node) -> None:
    understudy_nuke.version_up(node)


_ACTIONS: Dict[str, Callable[[nuke.Node], None]] = {
    "cancel": _cancel,
    "nodes": _nodes,
    "people": _people,
    "plate": _plate,
    "points": _points,
    "preview": _preview,
    "reveal": _reveal,
    "show": _show,
    "suggest": _suggest,
    "update": _update,
    "version_up": _version_up,
}
