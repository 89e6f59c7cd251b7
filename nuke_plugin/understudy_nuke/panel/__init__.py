"""The panel: the daemon's jobs, a training's picture and losses, facesets, and the frame at hand, docked in Nuke.

Importing this loads no Qt; `Panel` and `show` do. Everything is asked over the link, whose threads call back; what
they say is done on the main thread by a `Hop`. Nothing on the main thread waits.
"""

from __future__ import annotations

from typing import Any, List, Tuple

import nuke

ID = "org.understudy.panel"
NAME = "Understudy"
WIDGET = (
    "__import__('understudy_nuke.panel', fromlist=['Panel']).Panel"  # Nuke evaluates it when a panel opens
)

_shown: List[Any] = []  # panels that are alive, the last used last
_wanted: List[Tuple[Any, bool]] = []  # of the panel that opens: its node, and whether to preview it


def Panel() -> Any:  # noqa: N802 - Nuke calls it as the widget's class
    """A new panel, a QWidget."""
    from .window import Panel as Window

    panel = Window(_forget)
    _shown.append(panel)
    _turn(panel)
    return panel


def show(node: nuke.Node | None = None, preview: bool = False) -> None:
    """Bring a panel to the front, or open one beside the properties.

    Args:
        node: which node it is about.
        preview: show that node's frame at hand as a merge would make it.
    """
    _wanted[:] = [(node, preview)]
    if not _shown:
        from nukescripts import panels

        made = panels.registerWidgetAsPanel(WIDGET, NAME, ID, True)
        made.addToPane(nuke.getPaneFor("Properties.1"))
    else:
        _shown[-1].to_front()
        _turn(_shown[-1])


def _turn(panel: Any) -> None:
    """To what is wanted of it."""
    for node, preview in _wanted:
        if node is not None:
            panel.choose(node)
        if preview:
            panel.preview()
    _wanted.clear()


def open_ones() -> List[Any]:
    """Panels that a person can see, or has behind another tab."""
    return list(_shown)


def _forget(panel: Any) -> None:
    _shown[:] = [one for one in _shown if one is not panel]
