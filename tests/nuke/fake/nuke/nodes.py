"""Nodes, groups and the root."""

from __future__ import annotations

import re
from typing import Any, Dict, Iterator, List, Optional, Tuple

from .classes import CLASSES, NO_INPUT, knobs_of
from .exr import display_size
from .knobs import Knob
from .state import on_main, run_callbacks, state


@on_main
class Node:
    def __init__(self, *args: Any) -> None:
        self._kind = str(args[0])
        self._knobs: Dict[str, Knob] = {}
        self._inputs: List[Optional[Node]] = []
        self._parent: Any = None
        self.panel = False  # whether its control panel is open
        for knob in knobs_of(self._kind):
            knob._node = self
            self._knobs[knob._name] = knob

    def Class(self) -> str:
        return self._kind

    def name(self) -> str:
        return str(self._knobs["name"]._value)

    def fullName(self) -> str:
        above = self._parent
        return (
            self.name() if above is None or isinstance(above, Root) else f"{above.fullName()}.{self.name()}"
        )

    def setName(self, name: str, uncollide: bool = True, updateExpressions: bool = False) -> None:
        self._knobs["name"].setValue(self._parent.free_name(name, self) if self._parent else name)

    def parent(self) -> Any:
        return self._parent

    def knob(self, p: Any, follow_link: bool = True) -> Optional[Knob]:
        return self._knobs.get(p)

    def knobs(self) -> Dict[str, Knob]:
        return dict(self._knobs)

    def allKnobs(self) -> List[Knob]:
        return list(self._knobs.values())

    def __getitem__(self, name: str) -> Knob:
        if name not in self._knobs:
            raise NameError(f"knob {name} does not exist")
        return self._knobs[name]

    def addKnob(self, knob: Knob) -> None:
        name = knob._name or f"{knob.Class().lower()}_{len(self._knobs)}"
        if name in self._knobs:
            raise ValueError(f"{self.name()} has a knob {name} already")
        knob._name, knob._node, knob.user = name, self, True
        self._knobs[name] = knob
        state.undo.record(lambda: self._forget(name))

    def removeKnob(self, knob: Knob) -> None:
        self._forget(knob._name)
        state.undo.record(lambda: self._knobs.update({knob._name: knob}))

    def input(self, index: int) -> Optional[Node]:
        return self._inputs[index] if 0 <= index < len(self._inputs) else None

    def inputs(self) -> int:
        return len(self._inputs)

    def maxInputs(self) -> int:
        return CLASSES[self._kind][0]

    def setInput(self, i: int, node: Optional[Node]) -> bool:
        if i >= self.maxInputs():
            raise ValueError(f"{self.name()} has {self.maxInputs()} inputs; {i} was set")
        before = list(self._inputs)
        while len(self._inputs) <= i:
            self._inputs.append(None)
        self._inputs[i] = node
        while self._inputs and self._inputs[-1] is None:
            self._inputs.pop()
        state.undo.record(lambda: setattr(self, "_inputs", before))
        return True

    def dependencies(self, mask: int) -> List[Node]:
        return [node for node in self._inputs if node is not None]

    def xpos(self) -> int:
        return int(self._knobs["xpos"]._value)

    def ypos(self) -> int:
        return int(self._knobs["ypos"]._value)

    def setXYpos(self, x: int, y: int) -> None:
        self["xpos"].setValue(x)
        self["ypos"].setValue(y)

    def screenWidth(self) -> int:
        return 12 if self._kind == "Dot" else 80

    def screenHeight(self) -> int:
        return 12 if self._kind == "Dot" else 18

    def setSelected(self, selected: bool) -> None:
        self["selected"].setValue(selected)

    def isSelected(self) -> bool:
        return bool(self["selected"].value())

    def showControlPanel(self, forceFloat: bool = False) -> None:
        self.panel = True

    def width(self) -> int:
        return self._size()[0]

    def height(self) -> int:
        return self._size()[1]

    def firstFrame(self) -> int:
        return int(self._range("first", "firstFrame", "first_frame"))

    def lastFrame(self) -> int:
        return int(self._range("last", "lastFrame", "last_frame"))

    def metadata(self, key: Any = None, time: Any = None, view: Any = None) -> Any:
        found = state.reader(self) if state.reader is not None else {}
        return found if key is None else found.get(key)

    def readKnobs(self, s: str) -> None:
        from .script import settings

        for name, value in settings(s):
            self[name].fromScript(value)

    def relative(self, path: str) -> Knob:
        """`knob`, `parent.knob`."""
        words, node = path.split("."), self
        for word in words[:-1]:
            node = node._parent if word == "parent" else node._parent.node(word)
        return node._knobs[words[-1]]

    def changed(self, knob: Knob) -> None:
        script = self._knobs["knobChanged"]._value if "knobChanged" in self._knobs else ""
        if script and knob._name != "knobChanged":
            state.this.append((self, knob))
            try:
                exec(script, {"__name__": "__main__"})
            finally:
                state.this.pop()

    def _range(self, own: str, above: str, root: str) -> int:
        if own in self._knobs:
            return int(self._knobs[own].value())
        first = next((node for node in self._inputs if node is not None), None)
        return int(getattr(first, above)()) if first is not None else int(state.groups[0][root].value())

    def _size(self) -> Tuple[int, int]:
        """Of the format: a Read's is its file's display window, others have their first input's, or the script's."""
        if self._kind == "Read":
            return display_size(str(self._knobs["file"]._value), self.firstFrame()) or state.format
        first = next((node for node in self._inputs if node is not None), None)
        return first._size() if first is not None else state.format

    def _forget(self, name: str) -> None:
        self._knobs.pop(name, None)


@on_main
class Group(Node):
    def __init__(self, *args: Any) -> None:
        super().__init__(*(args or ("Group",)))
        self._nodes: List[Node] = []

    def begin(self) -> Group:
        state.groups.append(self)
        return self

    def end(self) -> None:
        assert state.groups.pop() is self, "Group.end of a group that is not the innermost"

    def __enter__(self) -> Group:
        return self.begin()

    def __exit__(self, type: Any, value: Any, traceback: Any) -> Any:
        self.end()

    def nodes(self) -> List[Node]:
        return list(self._nodes)

    def node(self, s: str) -> Optional[Node]:
        head, _, rest = s.partition(".")
        found = next((node for node in self._nodes if node._knobs["name"]._value == head), None)
        return found.node(rest) if rest and isinstance(found, Group) else found

    def maxInputs(self) -> int:
        return len([node for node in self._nodes if node._kind == "Input"])

    def output(self, *args: Any) -> Optional[Node]:
        return next((node for node in self._nodes if node._kind == "Output"), None)

    def free_name(self, wanted: str, node: Optional[Node] = None) -> str:
        taken = {n._knobs["name"]._value for n in self._nodes if n is not node}
        stem = re.sub(r"\d+$", "", wanted)
        names: Iterator[str] = (f"{stem}{i}" for i in range(1, 10000))
        return wanted if wanted not in taken else next(n for n in names if n not in taken)

    def adopt(self, node: Node, name: str = "") -> None:
        node._parent = self
        node._knobs["name"]._value = self.free_name(name or f"{node._kind}1")
        self._nodes.append(node)
        state.undo.record(lambda: self._nodes.remove(node))


class Root(Group):
    def __init__(self, *args: Any) -> None:
        super().__init__("Root")
        self._knobs["name"]._value = ""
        self.saved = True

    @property
    def frame(self) -> int:
        return int(self._knobs["frame"]._value)

    def modified(self) -> bool:
        return not self.saved

    def setModified(self, modified: bool) -> None:
        self.saved = not modified


def new_node(kind: str, **knobs: Any) -> Node:
    """In the innermost open group; no input is set but those given."""
    node: Node = Group() if kind == "Group" else Node(kind)
    state.groups[-1].adopt(node, str(knobs.pop("name", "")))
    for i, one in enumerate(knobs.pop("inputs", [])):
        node.setInput(i, one)
    for name, value in knobs.items():
        node[name].setValue(value)
    run_callbacks("onCreate", node)
    return node


class Nodes:
    """`nuke.nodes.Dot(label="…")`."""

    def __getattr__(self, kind: str) -> Any:
        if kind not in CLASSES:
            raise AttributeError(kind)
        return lambda **knobs: new_node(kind, **knobs)


def connectable(node: Node) -> bool:
    return node.Class() not in NO_INPUT or isinstance(node, Group)
