"""Scripts as text (`.nk`): written from nodes, and read back by a small reader of TCL's words."""

from __future__ import annotations

import itertools
import re
from typing import Any, Dict, Iterator, List, Tuple

from .classes import NO_INPUT
from .knobs import (
    ALWAYS_SAVE,
    INVISIBLE,
    KINDS,
    STARTLINE,
    Enumeration_Knob,
    Knob,
    PyScript_Knob,
    Tab_Knob,
    Text_Knob,
    quoted,
)
from .nodes import Group, Node
from .state import state

VERSION = "13.2 v8"


def written(nodes: List[Node], root: Any = None) -> str:
    """The text of these nodes, and of a root's own knobs if one is given."""
    lines = ["set cut_paste_input [stack 0]" if root is None else "#! nuke", f"version {VERSION}"]
    if root is not None:
        body = "".join(_knob_lines(root))
        added = [n for n in state.layers if n not in ("rgba", "depth", "forward")]
        layers = "".join(" addLayer {{{} {}}}\n".format(n, " ".join(state.layers[n])) for n in added)
        lines.append(f"Root {{\n inputs 0\n{body}{layers}}}")
    lines += _nodes(nodes, itertools.count(1))
    return "\n".join(lines) + "\n"


def _nodes(nodes: List[Node], ids: Iterator[int]) -> Iterator[str]:
    done: Dict[int, str] = {}
    for node in _ordered(nodes):
        given = [one if one in nodes else None for one in node._inputs]
        for one in reversed(given):
            yield f"push {'0' if one is None else '$' + done[id(one)]}"
        yield f"{node._kind} {{\n inputs {len(given)}\n" + "".join(_knob_lines(node)) + "}"
        if isinstance(node, Group):
            yield from _nodes(node._nodes, ids)
            yield "end_group"
        done[id(node)] = f"N{next(ids):x}"
        yield f"set {done[id(node)]} [stack 0]"


def _ordered(nodes: List[Node]) -> List[Node]:
    """Every node after its inputs."""
    out: List[Node] = []

    def visit(node: Node) -> None:
        if node in out:
            return
        for one in node._inputs:
            if one is not None and one in nodes:
                visit(one)
        out.append(node)

    for node in nodes:
        visit(node)
    return out


def _knob_lines(node: Node) -> Iterator[str]:
    for knob in node._knobs.values():
        if knob.user:
            yield f" addUserKnob {{{_declared(knob)}}}\n"
        if isinstance(knob, (Tab_Knob, Text_Knob, PyScript_Knob)) and knob.user:
            continue
        kept = knob._animation is not None or knob._name == "name" or knob._flags & ALWAYS_SAVE
        if knob._value != knob._default or kept:
            yield f" {knob._name} {knob.toScript()}\n"


def _declared(knob: Knob) -> str:
    words = [str(knob.code), knob._name]
    words += ["l", quoted(knob._label)] if knob._label else []
    words += ["t", quoted(knob._tooltip)] if knob._tooltip else []
    words += ["+INVISIBLE"] if knob._flags & INVISIBLE else []
    words += ["+STARTLINE"] if knob.code == 22 and knob._flags & STARTLINE else []
    if isinstance(knob, Enumeration_Knob):
        words += ["M", "{" + " ".join(quoted(v) for v in knob._values) + "}"]
    if knob._range:
        words += ["R", *(f"{v:g}" for v in knob._range)]
    if knob.code in (22, 26):
        words += ["T", quoted(str(knob._value))]
    return " ".join(words)


Word = Tuple[str, str]  # `{`, `"` or `` for a bare one, and its text


def words(text: str) -> List[Word]:
    """Of one command or list: braces keep what is in them, quotation marks resolve escapes."""
    found, i = [], 0
    while i < len(text):
        if text[i].isspace():
            i += 1
        elif text[i] == "{":
            end = _closing(text, i)
            found.append(("{", text[i + 1 : end]))
            i = end + 1
        elif text[i] == '"':
            end = i + 1
            while text[end] != '"':
                end += 2 if text[end] == "\\" else 1
            found.append(('"', unescaped(text[i + 1 : end])))
            i = end + 1
        else:
            match = re.compile(r"\S+").match(text, i)
            assert match is not None
            found.append(("", match.group(0)))
            i = match.end()
    return found


def unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda m: "\n" if m.group(1) == "n" else m.group(1), text)


def _closing(text: str, start: int) -> int:
    depth, i, quote = 0, start, False
    while True:
        c = text[i]
        if c == "\\":
            i += 1
        elif c == '"' and (quote or text[i - 1].isspace() or text[i - 1] == "{"):
            quote = not quote
        elif not quote and c == "{":
            depth += 1
        elif not quote and c == "}":
            depth -= 1
            if not depth:
                return i
        i += 1


def commands(text: str) -> Iterator[List[Word]]:
    """Line by line, but braces and quotation marks go over lines."""
    pending = ""
    for line in text.splitlines():
        if not pending and line.lstrip().startswith("#"):
            continue
        pending += line + "\n"
        try:
            found = words(pending)
        except IndexError:  # it goes on
            continue
        pending = ""
        if found:
            yield found
    assert not pending.strip(), f"the script ends in the middle of {pending[:60]!r}"


def settings(text: str) -> Iterator[Tuple[str, str]]:
    """Of a node's braces: knob and value, braces of a value kept."""
    for found in commands(text):
        mark, value = found[1] if len(found) > 1 else ("", "")
        yield found[0][1], "{" + value + "}" if mark == "{" else value


class Reader:
    """Runs a script in the innermost open group; `made` has its nodes of the top, in order."""

    def __init__(self) -> None:
        self.stack: List[Any] = []
        self.named: Dict[str, Any] = {}
        self.outer: List[Tuple[Any, List[Any]]] = []
        self.made: List[Node] = []

    def run(self, text: str) -> None:
        for found in commands(text):
            name, rest = found[0][1], [word for _, word in found[1:]]
            if name == "set":
                self.named[rest[0]] = self.stack[-1] if self.stack else None
            elif name == "push":
                self.stack.append(self.named.get(rest[0][1:]) if rest[0].startswith("$") else None)
            elif name == "end_group":
                group, self.stack = self.outer.pop()
                group.end()
                self.stack.append(group)
            elif name != "version":
                self._node(name, rest[0])
        assert not self.outer, "a group without end_group"

    def _node(self, kind: str, body: str) -> None:
        pairs = list(settings(body))
        if kind == "Root":
            _fill(state.groups[0], pairs)
            return
        given = dict(pairs)
        count = int(given.get("inputs", "0" if kind in NO_INPUT else "1"))
        node: Node = Group() if kind == "Group" else Node(kind)
        name = given.get("name", "")
        inputs = [self.stack.pop() for _ in range(count)]
        state.groups[-1].adopt(node, name)
        _fill(node, [p for p in pairs if p[0] not in ("inputs", "name")])
        node._inputs = inputs
        if not self.outer:
            self.made.append(node)
        if isinstance(node, Group):
            self.outer.append((node, self.stack))
            node.begin()
            self.stack = []
        else:
            self.stack.append(node)


def _fill(node: Node, pairs: List[Tuple[str, str]]) -> None:
    for name, value in pairs:
        if name == "addUserKnob":
            _declare(node, words(value[1:-1]))
        elif name == "addLayer":
            layer, *channels = value[1:-1].split()
            state.layers[layer] = channels
        elif name != "inputs":
            node._knobs[name].fromScript(value)


def _declare(node: Node, found: List[Word]) -> None:
    code, name, rest = int(found[0][1]), found[1][1], found[2:]
    said: Dict[str, Any] = {}
    flags = {word for _, word in rest if word[:1] in "+-" and word[1:].isupper()}
    plain = [w for w in rest if w[1] not in flags]
    while plain:
        key = plain.pop(0)[1]
        said[key] = [float(plain.pop(0)[1]), float(plain.pop(0)[1])] if key == "R" else plain.pop(0)[1]
    more: List[Any] = (
        [[w for _, w in words(said["M"])]] if "M" in said else [said["T"]] if "T" in said else []
    )
    knob = KINDS[code](name, said.get("l", ""), *more)
    knob._tooltip, knob._range = said.get("t", ""), tuple(said.get("R", ()))
    knob._flags |= (INVISIBLE if "+INVISIBLE" in flags else 0) | (STARTLINE if "+STARTLINE" in flags else 0)
    node.addKnob(knob)
