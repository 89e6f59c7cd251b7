"""The script's side of the panel: which node it is about, scripts that come and go, frames that land."""

from __future__ import annotations

import json
import traceback
from typing import Any, Callable, Dict, List, Tuple

import nuke

from understudy_nuke import node as nodes
from understudy_nuke import tree
from understudy_nuke.daemon import UnderstudyError
from understudy_nuke.qt import QtWidgets

from .jobs import state

Json = Dict[str, Any]
NONE = "no Understudy node"


class Chooser(QtWidgets.QComboBox):
    """The script's nodes of ours; looked for when the list opens, as a script may have thousands of others.

    Args:
        changed: told when another node is chosen.
    """

    def __init__(self, changed: Callable[[], object]) -> None:
        super().__init__()
        self._changed = changed
        self._ours: List[Tuple[str, str]] = []  # id and full name
        self._chosen = ("", "")
        self.setToolTip("Which node faces and preview are about.")
        self.setMinimumContentsLength(14)
        self.setSizeAdjustPolicy(QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.activated.connect(
            lambda row: self._choose(self._ours[row] if row < len(self._ours) else ("", ""))
        )
        self.addItem(NONE)

    def node(self) -> Any:
        """The chosen one, wherever it is now; None where there is none any more."""
        return nodes.found(*self._chosen) if self._chosen[0] else None

    def showPopup(self) -> None:  # noqa: N802 - Qt's name
        self.refresh()
        super().showPopup()

    def refresh(self, wanted: Any = None) -> None:
        """Look at the script: `wanted`, else the one that was chosen, else a selected one, else the first."""
        found = [n for n in nuke.allNodes("Group", group=nuke.root(), recurseGroups=True) if nodes.is_ours(n)]
        self._ours = [(str(n["us_id"].value()), n.fullName()) for n in found]
        selected = [node for node in nuke.selectedNodes() if nodes.is_ours(node)]
        first = [n for n in (wanted, self.node(), *selected, *found) if n is not None][:1]
        self.clear()
        self.addItems([name for _, name in self._ours] or [NONE])
        self._choose((str(first[0]["us_id"].value()), first[0].fullName()) if first else ("", ""))

    def leave(self) -> None:
        """The script closes."""
        self._ours = []
        self.clear()
        self.addItem(NONE)
        self._choose(("", ""))

    def _choose(self, chosen: Tuple[str, str]) -> None:
        if chosen in self._ours:
            self.setCurrentIndex(self._ours.index(chosen))
        if chosen != self._chosen:
            self._chosen = chosen
            self._changed()


class Scripts:
    """Tells when a script closes and when one was opened, while it is `on`.

    An error in it must not keep Nuke from closing.
    """

    def __init__(self, closes: Callable[[], object], opened: Callable[[], object]) -> None:
        self._closes, self._opened = _guarded(closes), _guarded(opened)
        self._on = False

    def switch(self, on: bool) -> None:
        if on and not self._on:
            nuke.addOnScriptClose(self._closes)
            nuke.addOnScriptLoad(self._opened)
        elif self._on and not on:
            nuke.removeOnScriptClose(self._closes)
            nuke.removeOnScriptLoad(self._opened)
        self._on = on


class Landing:
    """Frames of a merge that was started from the node show in it as they land, also after the script was reopened."""

    def __init__(self) -> None:
        self._done: Dict[str, Tuple[str, int]] = {}  # of a job: its state, and how many frames it had

    def look(self, node: Any, jobs: List[Json]) -> None:
        """Have the node's Read look for frames where there are more than before."""
        own = json.loads(node["us_jobs"].value() or "[]")
        for job in jobs:
            if job["id"] in own and "merge" in job.get("spec", {}):
                now = (state(job), int((job.get("progress") or {}).get("done", 0)))
                if self._done.get(job["id"], now) != now:
                    self._show(node, job)
                self._done[job["id"]] = now

    def _show(self, node: Any, job: Json) -> None:
        read = node.node(tree.READ)
        if read is None:
            return
        nuke.Undo.disable()  # it is not what the artist did last
        try:
            missing = int(job.get("framesFailed", 0)) + int(job.get("framesMissing", 0))
            if state(job) == "succeeded" and not missing and read["on_error"].value() == "black":
                read["on_error"].setValue("error")
            read["reload"].execute()
        finally:
            nuke.Undo.enable()


def facesets(node: Any) -> List[str]:
    """Those of a node, dst first: that one is weeded most."""
    try:
        said = nodes.texts(node)
    except UnderstudyError:  # what is wrong is told when the node is used
        return []
    return [path for path in (said["us_dst"], said["us_src"]) if path]


def _guarded(work: Callable[[], object]) -> Callable[[], None]:
    def guarded() -> None:
        try:
            work()
        except Exception:  # noqa: BLE001 - Nuke would stop closing the script
            nuke.tprint("Understudy: " + traceback.format_exc())

    return guarded
