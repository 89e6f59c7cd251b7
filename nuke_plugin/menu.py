"""Runs where Nuke has a window: the menu. Nothing of the plug-in is loaded before somebody uses it."""

import importlib.util
import os

import nuke
from nukescripts import panels

_ENTRIES = (
    ("Swap a face", "create"),
    ("Resolve the plate", "plate"),
    ("Version up", "version_up"),
    ("Open the panel", "panel"),
    ("About", "about"),
)


def _is_the_one() -> bool:
    """Whether Python finds this release, where several are on NUKE_PATH."""
    found = importlib.util.find_spec("understudy_nuke")
    here = os.path.dirname(os.path.abspath(__file__))
    folder = os.path.dirname(os.path.dirname(str(found.origin))) if found is not None else ""
    if folder != here:
        nuke.tprint(
            "Understudy in {} is not used: the one in {} comes first".format(here, folder or "nothing")
        )
    return folder == here


if _is_the_one():
    _menu = nuke.menu("Nodes").addMenu("Understudy")
    for _label, _action in _ENTRIES:
        _menu.addCommand(_label, "import understudy_nuke; understudy_nuke.button({!r})".format(_action))
    # As understudy_nuke.panel has them, which is only loaded when a panel opens.
    panels.registerWidgetAsPanel(
        "__import__('understudy_nuke.panel', fromlist=['Panel']).Panel", "Understudy", "org.understudy.panel"
    )
