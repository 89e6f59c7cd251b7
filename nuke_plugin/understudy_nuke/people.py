"""Several people on one node: a table of who gets which model, merged in one pass, one Keymix after the other."""

from __future__ import annotations

import re
from typing import Any, Dict, List, NamedTuple

import nuke

from . import node as nodes
from . import tree
from .daemon import refused

Json = Dict[str, Any]
KNOB = "us_people"
_LINE = re.compile(r"(?P<name>[a-z][a-z0-9_]{0,11})\s*:\s*(?P<track>\d+)\s*,\s*(?P<model>\S.*)")


class Person(NamedTuple):
    """Attributes: name: of their layers; track: number in the dst faceset, None for the only one; model: folder."""

    name: str
    track: int | None
    model: str

    def swap(self, faceset: str) -> Json:
        """As `understudy.v1.Swap`, without how it is to look."""
        said: Json = {"faceset": faceset, "model": self.model, "name": self.name}
        return said if self.track is None else dict(said, track=self.track)


def table(node: nuke.Node) -> List[Person]:
    """The people of the node's table, in its order; without one, who the node itself names.

    Raises:
        Refused: a line that cannot be read, a name twice, no model.
    """
    found: List[Person] = []
    for line in _lines(node):
        match = _LINE.fullmatch(line)
        if match is None or "[" in line:
            raise refused(KNOB, "{!r} is not like: ben: 1, /shows/x/ben.model".format(line))
        if any(match.group("name") == other.name for other in found):
            raise refused(KNOB, "{} is there twice".format(match.group("name")))
        found.append(
            Person(match.group("name"), int(match.group("track")), match.group("model").replace("\\", "/"))
        )
    return found or [Person("", number(node), nodes.need(node, "us_model", "model"))]


def names(node: nuke.Node) -> List[str]:
    """Of the node's table, in its order; without one, an empty one."""
    return [person.name for person in table(node)] if _lines(node) else [""]


def number(node: nuke.Node, name: str = "") -> int | None:
    """A person's number in the dst faceset, None for the only one there; `name`: empty for the first of the table.

    Raises:
        Refused: as `table`; nobody has that name.
    """
    if name and name not in names(node):
        raise refused(KNOB, "{} is not there".format(name))
    if _lines(node):
        return table(node)[names(node).index(name) if name else 0].track
    track = int(node["us_track"].value())
    return track if track >= 0 else None


def lay_out(node: nuke.Node) -> None:
    """Make what is inside the node anew for the people of its table, as one step of undo; a person's own nodes go."""
    persons = names(node)
    group: Any = node
    nuke.Undo.begin("Understudy: people")
    try:
        wired = [node.input(i) for i in range(len(tree.INPUTS))]
        read = group.node(tree.READ)
        kept = {name: read[name].value() for name in tree.KEPT} if read is not None else {}
        for one in list(group.nodes()):
            nuke.delete(one)
        tree.build(group, persons)
        for name, value in kept.items():
            group.node(tree.READ)[name].setValue(value)
        for i, one in enumerate(wired):
            node.setInput(i, one)
    finally:
        nuke.Undo.end()


def _lines(node: nuke.Node) -> List[str]:
    return [line.strip() for line in str(node[KNOB].value()).splitlines() if line.strip()]
