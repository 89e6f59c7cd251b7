"""What a person sees besides nodes: menus and progress bars."""

from __future__ import annotations

from typing import Any, Dict, List

from .state import check_thread, state


class ProgressTask:
    """For any thread. Attributes: `told`, all that was said of it; `cancelled`, set by a test's person."""

    def __init__(self, *args: Any) -> None:
        self.told: List[Any] = list(args)
        self.cancelled = False
        state.tasks.append(self)

    def setProgress(self, *args: Any) -> None:
        assert isinstance(args[0], int), f"setProgress takes an int, not {args[0]!r}"
        assert 0 <= args[0] <= 100
        self.told.append(args[0])

    def setMessage(self, *args: Any) -> None:
        self.told.append(str(args[0]))

    def isCancelled(self, *args: Any) -> bool:
        return self.cancelled


class Menu:
    """Of the menu bar; `items_` has commands by path."""

    def __init__(self, *args: Any) -> None:
        self._name, self.items_ = str(args[0]), {}  # type: str, Dict[str, Any]

    def addCommand(self, *args: Any) -> Any:
        self.items_[str(args[0])] = args[1] if len(args) > 1 else None

    def addMenu(self, *args: Any) -> Any:
        return self.items_.setdefault(str(args[0]), Menu(str(args[0])))

    def findItem(self, name: str) -> Any:
        return self.items_.get(name)

    def addSeparator(self, *args: Any) -> Any:
        return None


def menu(name: str) -> Menu:
    check_thread("menu")
    return state.menus.setdefault(name, Menu(name))  # type: ignore[no-any-return]


def getPaneFor(panelName: Any) -> Any:
    """A pane, which says its panel's name here."""
    check_thread("getPaneFor")
    return str(panelName)
