"""Callbacks of nodes and scripts."""

from __future__ import annotations

from typing import Any

from .state import state


def _add(event: str, call: Any, args: Any, kwargs: Any, kind: str, node: Any = None) -> None:
    state.callbacks.setdefault(event, []).append((call, args, kwargs or {}, kind, node))


def _remove(event: str, call: Any) -> None:
    state.callbacks[event] = [c for c in state.callbacks.get(event, []) if c[0] is not call]


def addKnobChanged(
    call: Any, args: Any = (), kwargs: Any = None, nodeClass: str = "*", node: Any = None
) -> None:
    _add("knobChanged", call, args, kwargs, nodeClass, node)


def removeKnobChanged(
    call: Any, args: Any = (), kwargs: Any = None, nodeClass: str = "*", node: Any = None
) -> None:
    _remove("knobChanged", call)


def addOnCreate(call: Any, args: Any = (), kwargs: Any = None, nodeClass: str = "*") -> None:
    _add("onCreate", call, args, kwargs, nodeClass)


def addOnScriptLoad(call: Any, args: Any = (), kwargs: Any = None, nodeClass: str = "*") -> None:
    _add("onScriptLoad", call, args, kwargs, nodeClass)


def addOnScriptSave(call: Any, args: Any = (), kwargs: Any = None, nodeClass: str = "*") -> None:
    _add("onScriptSave", call, args, kwargs, nodeClass)


def addOnScriptClose(call: Any, args: Any = (), kwargs: Any = None, nodeClass: str = "*") -> None:
    _add("onScriptClose", call, args, kwargs, nodeClass)


def removeOnScriptClose(call: Any, args: Any = (), kwargs: Any = None, nodeClass: str = "*") -> None:
    _remove("onScriptClose", call)


def removeOnScriptLoad(call: Any, args: Any = (), kwargs: Any = None, nodeClass: str = "*") -> None:
    _remove("onScriptLoad", call)
