"""A `nuke` module without Nuke, for tests: what the plug-in uses of it and no more.

`tests/nuke/test_fake.py` holds every name and signature to the stubs of the real one. Whatever belongs to the main
thread asserts that it is called there. What is not Nuke's own is in `nuke._fake`: `serve` is its event loop.
Python 3.7 and later, the standard library alone.
"""

from __future__ import annotations

import os as _os
import threading as _threading
from typing import Any, Dict, List, Optional, Tuple

from . import state as _fake  # what is not Nuke
from . import rotopaint
from .events import (
    addKnobChanged,
    addOnCreate,
    addOnScriptClose,
    addOnScriptLoad,
    addOnScriptSave,
    removeKnobChanged,
    removeOnScriptLoad,
    removeOnScriptClose,
)
from .knobs import (
    ALWAYS_SAVE,
    INVISIBLE,
    NO_ANIMATION,
    STARTLINE,
    Array_Knob,
    Boolean_Knob,
    Channel_Knob,
    Double_Knob,
    Enumeration_Knob,
    EvalString_Knob,
    File_Knob,
    Int_Knob,
    Knob,
    Multiline_Eval_String_Knob,
    PyScript_Knob,
    Script_Knob,
    String_Knob,
    Tab_Knob,
    Text_Knob,
    Unsigned_Knob,
)
from .nodes import Group, Node, Nodes, Root, connectable, new_node
from .script import Reader, written
from .state import MAIN, check_thread, on_main, run_callbacks, state
from .vectors import IArray_Knob, XY_Knob
from .windows import Menu, ProgressTask, getPaneFor, menu

__all__ = [
    "ALWAYS_SAVE",
    "GUI",
    "INVISIBLE",
    "NO_ANIMATION",
    "NUKE_VERSION_MAJOR",
    "NUKE_VERSION_STRING",
    "STARTLINE",
    "Array_Knob",
    "Boolean_Knob",
    "Channel_Knob",
    "Double_Knob",
    "Enumeration_Knob",
    "EvalString_Knob",
    "File_Knob",
    "Group",
    "IArray_Knob",
    "Int_Knob",
    "Knob",
    "Layer",
    "Menu",
    "Multiline_Eval_String_Knob",
    "Node",
    "Nodes",
    "ProgressTask",
    "PyScript_Knob",
    "Root",
    "Script_Knob",
    "String_Knob",
    "Tab_Knob",
    "Text_Knob",
    "Undo",
    "Unsigned_Knob",
    "XY_Knob",
    "addKnobChanged",
    "addOnCreate",
    "addOnScriptClose",
    "addOnScriptLoad",
    "addOnScriptSave",
    "allNodes",
    "ask",
    "createNode",
    "delete",
    "endGroup",
    "execute",
    "executeInMainThread",
    "executeInMainThreadWithResult",
    "frame",
    "getColorspaceList",
    "getPaneFor",
    "layers",
    "menu",
    "message",
    "nodeCopy",
    "nodePaste",
    "nodes",
    "removeKnobChanged",
    "removeOnScriptClose",
    "removeOnScriptLoad",
    "root",
    "rotopaint",
    "scriptClear",
    "scriptOpen",
    "scriptSaveAs",
    "selectedNode",
    "selectedNodes",
    "thisGroup",
    "thisKnob",
    "thisNode",
    "toNode",
    "tprint",
    "undo",
]

GUI = True
NUKE_VERSION_MAJOR, NUKE_VERSION_STRING = 13, "13.2v8"
nodes = Nodes()
state.groups.append(Root())


class Layer:
    """A new layer of the script."""

    def __init__(self, *args: Any) -> None:
        check_thread("Layer")
        self._name = str(args[0])
        for channel in args[1]:
            assert channel.startswith(self._name + "."), f"{channel} is not of layer {self._name}"
        state.layers[self._name] = list(args[1])

    def name(self) -> str:
        return self._name


def layers(node: Optional[Node] = None) -> List[str]:
    return list(state.layers)


class Undo:
    """One step of the undo list."""

    @classmethod
    def begin(cls, *args: Any) -> None:
        check_thread("Undo.begin")
        state.undo.begin(*args)

    @classmethod
    def end(cls, *args: Any) -> None:
        state.undo.end()

    @classmethod
    def disable(cls, *args: Any) -> None:
        state.undo.disable()

    @classmethod
    def enable(cls, *args: Any) -> None:
        state.undo.enable()

    def __enter__(self) -> Any:
        self.begin()
        return self

    def __exit__(self, type: Any, value: Any, traceback: Any) -> Any:
        self.end()


def root() -> Root:
    check_thread("root")
    return state.groups[0]  # type: ignore[no-any-return]


def allNodes(*args: Any, **kwargs: Any) -> List[Node]:
    """`allNodes()`, `allNodes("Read")`, `allNodes("Read", group=…, recurseGroups=True)`."""
    check_thread("allNodes")
    of, kind = kwargs.get("group", state.groups[-1]), args[0] if args else ""
    found = list(of._nodes)
    if kwargs.get("recurseGroups"):
        for node in found:  # which grows meanwhile
            found += node._nodes if isinstance(node, Group) else []
    return [node for node in found if not kind or node._kind == kind]


def selectedNodes(filter: str = "") -> List[Node]:
    return [node for node in allNodes(filter) if node._knobs["selected"]._value]


def selectedNode() -> Node:
    found = selectedNodes()
    if not found:
        raise ValueError("no node selected")
    return found[-1]


def toNode(s: str) -> Optional[Node]:
    check_thread("toNode")
    found: Optional[Node] = state.groups[-1].node(s) or state.groups[0].node(s)
    return found


def createNode(typ: str, knobs: str = "", inpanel: bool = True) -> Node:
    """As a person would: behind what is selected, selected itself."""
    check_thread("createNode")
    behind = selectedNodes()
    node = new_node(typ)
    if behind and connectable(node) and node.maxInputs():
        node.setInput(0, behind[-1])
    for other in behind:
        other.setSelected(False)
    node.setSelected(True)
    node.panel = inpanel
    if knobs:
        node.readKnobs(knobs)
    return node


def delete(n: Optional[Node]) -> None:
    check_thread("delete")
    assert n is not None
    home = n.parent()
    for other in home._nodes:
        for i, one in enumerate(other._inputs):
            if one is n:
                other.setInput(i, None)
    home._nodes.remove(n)
    state.undo.record(lambda: home._nodes.append(n))


def thisNode() -> Node:
    return state.this[-1][0] if state.this else state.groups[-1]  # type: ignore[no-any-return]


def thisKnob() -> Knob:
    return state.this[-1][1]  # type: ignore[no-any-return]


def thisGroup() -> Group:
    return state.groups[-1]  # type: ignore[no-any-return]


def endGroup() -> None:
    state.groups[-1].end()


def frame(f: Optional[int] = None) -> int:
    if f is not None:
        state.groups[0]["frame"].setValue(f)
    return state.groups[0].frame  # type: ignore[no-any-return]


def undo() -> None:
    check_thread("undo")
    state.undo.undo()


def message(prompt: str) -> None:
    check_thread("message")
    state.messages.append(prompt)


def ask(prompt: str) -> bool:
    message(prompt)
    return True


def tprint(*args: Any, sep: str = " ", end: str = "\n", file: Any = None) -> None:
    state.messages.append(sep.join(str(a) for a in args))


def execute(
    nameOrNode: Any, start: int, end: int, incr: int = 1, views: Any = None, continueOnError: bool = False
) -> None:
    check_thread("execute")
    node = toNode(nameOrNode) if isinstance(nameOrNode, str) else nameOrNode
    assert state.renderer is not None, "a test that renders gives nuke._fake.state.renderer"
    for number in range(start, end + 1, incr):
        state.renderer(node, number)


def getColorspaceList(colorspaceKnob: Any) -> List[str]:
    return list(colorspaceKnob.values())


def executeInMainThread(call: Any, args: Any = (), kwargs: Optional[Dict[str, Any]] = None) -> None:
    """Queues it; without a GUI nobody would ever serve that queue."""
    assert GUI, "executeInMainThread without an event loop"
    state.queue.put((call, args if isinstance(args, tuple) else (args,), kwargs or {}))


def executeInMainThreadWithResult(call: Any, args: Any = (), kwargs: Optional[Dict[str, Any]] = None) -> Any:
    assert _threading.get_ident() != MAIN, "it would wait for itself"
    result: List[Any] = []
    done = _threading.Event()

    def work() -> None:
        try:
            result.append(call(*(args if isinstance(args, tuple) else (args,)), **(kwargs or {})))
        finally:
            done.set()

    executeInMainThread(work)
    done.wait()
    return result[0] if result else None


def nodeCopy(s: str) -> None:
    check_thread("nodeCopy")
    with open(s, "w", encoding="utf-8") as file:
        file.write(written(selectedNodes()))


def nodePaste(s: str) -> Optional[Node]:
    check_thread("nodePaste")
    with open(s, encoding="utf-8") as file:
        reader = Reader()
        state.undo.begin("paste")
        reader.run(file.read())
        state.undo.end()
    return reader.made[-1] if reader.made else None


def scriptSaveAs(filename: Optional[str] = None, overwrite: Any = -1) -> None:
    check_thread("scriptSaveAs")
    assert filename is not None
    if _os.path.exists(filename) and not overwrite:
        raise RuntimeError(f"{filename} is there already")
    run_callbacks("onScriptSave")
    script = root()
    script["name"].setValue(filename)
    with open(filename, "w", encoding="utf-8") as file:
        file.write(written(script.nodes(), script))
    script.setModified(False)


def scriptClear(*args: Any) -> None:
    check_thread("scriptClear")
    run_callbacks("onScriptClose")
    state.groups[:] = [Root()]
    state.undo.steps.clear()


def scriptOpen(filename: Optional[str] = None) -> None:
    scriptClear()
    assert filename is not None
    with open(filename, encoding="utf-8") as file:
        Reader().run(file.read())
    root()["name"].setValue(filename)
    run_callbacks("onScriptLoad")
