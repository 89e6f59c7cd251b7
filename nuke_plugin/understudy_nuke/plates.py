"""The plate behind a node: the Read itself where nothing lies between that changes pixels or time, else a pre-render.

The daemon reads files, not graphs, and frame N in is frame N out. So whatever cannot be taken from the Read's own
files is refused by name, or written out first.
"""

from __future__ import annotations

import os
import re
from typing import Dict, List, NamedTuple, Tuple

import nuke

from . import tree
from .daemon import Refused, at_frame, has_token, refused

HARMLESS = ("Dot", "NoOp", "Viewer")  # they pass on what comes in
RETIMES = (
    "FrameHold",
    "FrameRange",
    "Kronos",
    "OFlow2",
    "Retime",
    "TimeOffset",
    "TimeWarp",
    "TimeEcho",
    "AppendClip",
)
_ROLE = re.compile(
    r"^[a-z][a-z0-9_]* \((?P<name>.+)\)$"
)  # `scene_linear (ACEScg)`; no `Linear Rec.709 (sRGB)`


class Plate(NamedTuple):
    """Attributes: pattern: path with a frame token; colour_space: its name, empty to go by the files' headers."""

    pattern: str
    first: int
    last: int
    colour_space: str

    def ref(self) -> Dict[str, object]:
        """As `understudy.v1.PlateRef`."""
        return {
            "pattern": self.pattern,
            "frames": [{"first": self.first, "last": self.last}],
            "colourSpace": self.colour_space,
        }


class Between(Refused):
    """Something lies between the node and its Read's frames that the daemon cannot see; a pre-render would have it.

    Attributes:
        nodes: names of what is in the way, from the node upwards.
    """

    def __init__(self, message: str, nodes: List[str]) -> None:
        super().__init__(message, field="plate", reason="INVALID_INPUT")
        self.nodes = nodes


def resolve(node: nuke.Node, first: int | None = None, last: int | None = None, at: int = 0) -> Plate:
    """The plate at an input of the node.

    Args:
        first, last: frames wanted. Default: all that the Read says it has.
        at: which input.

    Raises:
        Between: nodes in the way, a retime, an offset within the Read, a still.
        Refused: no Read at all, TCL in its path, frames that it has not.
    """
    read = node.input(at)
    in_the_way: List[nuke.Node] = []
    while read is not None and read.Class() != "Read":
        if not _passes(read):
            in_the_way.append(read)
        read = read.input(0)
    if in_the_way:
        raise _between(in_the_way)
    if read is None:
        raise refused("plate", "no Read is connected to {}'s {} input".format(node.name(), tree.INPUTS[at]))
    if read["disable"].value():
        raise refused("plate", "{} is disabled, so it gives nothing".format(read.name()))
    pattern = _pattern(read)
    _check_time(read)
    begin, end = int(read["first"].value()), int(read["last"].value())
    # One matte holds for all frames; one frame of a plate would be a mistake.
    if at and begin == end and (first, last) != (begin, end):
        said = "{} has frame {} alone: pre-render, to have it held"
        raise Between(said.format(read.name(), begin), [read.name()])
    wanted = _checked(read.name(), begin, end, first, last)
    return Plate(pattern, wanted[0], wanted[1], colour_space(read))


def colour_space(read: nuke.Node) -> str:
    """The name of a Read's colour space; empty where it is the default, or raw: then the files' headers say it."""
    if read["raw"].value():
        return ""
    said = str(read["colorspace"].value())
    if said.split(" ", maxsplit=1)[0] == "default":
        return ""
    return _plain(said)


def prerender(node: nuke.Node, pattern: str, first: int | None = None, last: int | None = None) -> Plate:
    """Write what comes into the node's first input as EXR: half, every channel and all metadata, nothing cropped.

    It takes as long as a render and Nuke stands still meanwhile. The files are in Nuke's working space.

    Args:
        pattern: of the files, with `%04d`.
        first, last: frames. Default: the branch's own.

    Raises:
        Refused: nothing is connected, frames outside the branch's range, a frame that was not written.
    """
    branch = node.input(0)
    if branch is None:
        raise refused("plate", "nothing is connected to {}'s plate input".format(node.name()))
    if not has_token(pattern):
        raise refused("us_out", "{}: a pre-render needs a frame token, %04d say".format(pattern))
    begin, end = _checked(branch.name(), branch.firstFrame(), branch.lastFrame(), first, last)
    render(branch, pattern, [(begin, end)], "all")
    return Plate(pattern, begin, end, working_space())


def render(branch: nuke.Node, pattern: str, ranges: List[Tuple[int, int]], channels: str) -> None:
    """Write a branch's pixels as they are, in full size whatever the viewer's proxy.

    Args:
        ranges: first and last frames.
        channels: `all`, `alpha`, …

    Raises:
        Refused: a frame that was not written, because Nuke could not or a person stopped it.
    """
    proxy = nuke.root()["proxy"]
    nuke.Undo.disable()  # the Write comes and goes
    try:
        with branch.parent():
            write = nuke.nodes.Write(inputs=[branch], file=pattern)
        small = proxy.value()
        try:
            proxy.setValue(False)
            _set_up(write, channels)
            for begin, end in ranges:
                nuke.execute(write, begin, end)
        except RuntimeError as error:  # so says Nuke, also when a person cancels it
            raise refused("plate", "{} was not written: {}".format(pattern, error)) from error
        finally:
            proxy.setValue(small)
            nuke.delete(write)
    finally:
        nuke.Undo.enable()
    frames = [n for begin, end in ranges for n in range(begin, end + 1)]
    missing = [n for n in frames if not os.path.isfile(at_frame(pattern, n))]
    if missing:
        raise refused(
            "plate", "{}: {} frames were not written, the first {}".format(pattern, len(missing), missing[0])
        )


def working_space() -> str:
    """What Nuke's own pixels are in, by name."""
    root = nuke.root()
    lut = root.knob("workingSpaceLUT")
    if root["colorManagement"].value() == "OCIO" and lut is not None:
        return _plain(str(lut.value()))
    return "lin_rec709_scene"  # Nuke's own colour management: Rec.709 primaries, scene-linear


def _plain(said: str) -> str:
    """A colour space's name without the role or the family that Nuke's list shows it under."""
    role = _ROLE.match(said)
    return (role.group("name") if role else said).split("/")[-1].strip()


def _passes(node: nuke.Node) -> bool:
    """Whether it gives on what comes in, untouched."""
    off = node.knob("disable")
    return node.Class() in HARMLESS or bool(off is not None and not off.isAnimated() and off.value())


def _between(nodes: List[nuke.Node]) -> Between:
    names = [node.name() for node in nodes]
    times = [node.name() for node in nodes if node.Class() in RETIMES]
    why = "{} changes the frames' numbers" if times else "{} lies between the plate's Read and this node"
    said = why.format(", ".join(times or names))
    return Between(said + ": connect the Read itself, or pre-render", names)


def _pattern(read: nuke.Node) -> str:
    text = str(read["file"].value()).replace("\\", "/")
    if "[" in text or read["file"].hasExpression():
        raise refused(
            "plate", "{}: its file has TCL or an expression in it; give it the plain path".format(read.name())
        )
    if not has_token(text):
        said = "{}: {!r} is no sequence: give it a frame token, %04d say, or pre-render".format(
            read.name(), text
        )
        raise Between(said, [read.name()])
    return text


def _check_time(read: nuke.Node) -> None:
    mode, said = str(read["frame_mode"].value()), str(read["frame"].value()).strip()
    harmless = {
        "expression": ("", "frame"),
        "offset": ("", "0"),
        "start at": ("", str(int(read["first"].value()))),
    }
    if said not in harmless.get(mode, ("",)):
        said = "{} is set to {} {!r}, which moves its frames".format(read.name(), mode, said)
        raise Between(said + ": clear it, or pre-render", [read.name()])


def _checked(name: str, begin: int, end: int, first: int | None, last: int | None) -> List[int]:
    wanted = [begin if first is None else first, end if last is None else last]
    if wanted[0] > wanted[1]:
        raise refused("us_first", "frames {}-{}: the first is behind the last".format(*wanted))
    if wanted[0] < begin or wanted[1] > end:
        raise refused(
            "us_first", "{} has frames {}-{}; {}-{} were asked for".format(name, begin, end, *wanted)
        )
    return wanted


def _set_up(write: nuke.Node, channels: str) -> None:
    for name, value in (
        ("file_type", "exr"),
        ("datatype", "16 bit half"),
        ("compression", "Zip (1 scanline)"),
        ("metadata", "all metadata"),
        ("channels", channels),
        ("raw", True),
        ("autocrop", False),
        ("create_directories", True),
    ):
        knob = write.knob(name)
        if knob is not None:
            knob.setValue(value)
