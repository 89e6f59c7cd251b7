"""Understudy in Nuke, for artists' buttons and for TDs.

    import understudy_nuke

    node = understudy_nuke.create(plate=nuke.toNode("Read1"))
    node["us_src"].setValue("/shows/x/faces/performer")
    ...
    understudy_nuke.swap(node).wait()                      # nuke -t
    understudy_nuke.swap(node, done=lambda run: ...)       # in a window

Standard library only. Importing it loads nothing but Nuke's module; the daemon is looked for with the first call.
"""

from __future__ import annotations

from typing import Any, Callable, List, Sequence

import nuke

from .version import VERSION

__all__ = [
    "VERSION",
    "apply",
    "button",
    "create",
    "export",
    "extract",
    "give_points",
    "label",
    "make_nodes",
    "merge",
    "preview",
    "swap",
    "teach",
    "train",
    "update",
    "version_up",
]


def create(plate: nuke.Node | None = None, info: Any = None) -> nuke.Group:
    """Make a node behind `plate`.

    Args:
        info: the reply of SystemService.GetInfo, where it is at hand. Default: the daemon is asked, which waits.

    Raises:
        UnderstudyError: no daemon, no bridge.
    """
    from . import daemon, node

    return node.create((info or daemon.describe())["recipe"], plate)


def swap(node: nuke.Node, done: Callable[[Any], object] | None = None, prerender: str = "") -> Any:
    """Extract, train and merge; what is done already is not done again. Gives a `runs.Run` at once.

    Args:
        done: called on the main thread with the run when all has ended.
        prerender: pattern to write the plate's branch to, where something lies between its Read and this node.

    Raises:
        Refused: a knob or the plate is wrong; `field` says which.
    """
    return _run(node, ["extract", "train", "merge"], done, prerender)


def extract(node: nuke.Node, done: Callable[[Any], object] | None = None, prerender: str = "") -> Any:
    """As `swap`: the dst faceset alone."""
    return _run(node, ["extract"], done, prerender)


def train(node: nuke.Node, done: Callable[[Any], object] | None = None, prerender: str = "") -> Any:
    """As `swap`: the training alone."""
    return _run(node, ["train"], done, prerender)


def merge(node: nuke.Node, done: Callable[[Any], object] | None = None, prerender: str = "") -> Any:
    """As `swap`: the merge alone, into the version that is set."""
    return _run(node, ["merge"], done, prerender)


def preview(
    node: nuke.Node,
    frame: int | None = None,
    output: str = "",
    *,
    size: int = 0,
    done: Callable[[Any], object] | None = None,
    prerender: str = "",
) -> Any:
    """One frame as a merge would make it now, without a job; `wait()` gives `data`, `path` and `about`.

    Args:
        frame: of the plate. Default: the current one.
        output: file to write on this machine, `.png`, or `.exr` with all layers. Default: none; `data` is a PNG.
        size: pixels of a PNG's longer side at most; 0: as the plate has it.
        done: called on the main thread with what this gives: `value`, or `error`.
        prerender: as `swap`; this frame alone.

    Raises:
        Refused: a knob or the plate is wrong; `field` says which.
    """
    from . import previews

    return previews.ask(node, frame, output, size=size, done=done, prerender=prerender)


def label(node: nuke.Node, done: Callable[[Any], object] | None = None) -> Any:
    """Write the mask input on the label frames and make the dst faceset's labels of it. Gives a `runs.Run` at once."""
    from . import mattes

    return _alone(node, "label", mattes.label, done)


def teach(node: nuke.Node, done: Callable[[Any], object] | None = None) -> Any:
    """Train the segmenter on the labels."""
    from . import mattes

    return _alone(node, "teach", mattes.teach, done)


def apply(node: nuke.Node, done: Callable[[Any], object] | None = None) -> Any:
    """The segmenter's mattes beside all faces; the look's mask then has `occ` in it."""
    from . import mattes

    return _alone(node, "apply", mattes.apply, done, after=mattes.use_occ)


def export(node: nuke.Node, done: Callable[[Any], object] | None = None) -> Any:
    """The model as TorchScript, and a CatFileCreator for it."""
    from . import inference

    return _alone(node, "export", inference.export, done, after=inference.set_up)


def give_points(
    node: nuke.Node,
    source: nuke.Node,
    frames: Sequence[int],
    done: Callable[[Any], object] | None = None,
) -> Any:
    """Where the face is on these frames, by a Tracker or 2D knobs: five points by name, or 68. Extract again then.

    Args:
        done: called on the main thread with the error or None.
    """
    from . import points

    return points.give(node, source, frames, done)


def make_nodes(
    node: nuke.Node, person: str = "", of: str = "", done: Callable[[Any], object] | None = None
) -> Any:
    """Tracker4, CornerPin2D, its matrix and RotoPaint of the face; `wait()` gives the four.

    Args:
        person: by name, where the node has several; the first one has none.
        of: `merge`, the shown version's, or `faceset`, the dst faceset's. Default: the merge's where there is one.
        done: called on the main thread with what this gives: `value`, or `error`.
    """
    from . import tracks

    return tracks.make(node, person, of, done)


def version_up(node: nuke.Node) -> int:
    """The next version of the output, its Read with it; the number."""
    from . import node as nodes

    return nodes.version_up(node)


def update(node: nuke.Node, info: Any = None) -> List[str]:
    """Show the version that is set; with `info` (as in `create`) also take in settings that the node has not yet."""
    from . import look
    from . import node as nodes

    nodes.show_version(node)
    return look.add(node, info["recipe"]) if info else []


def button(action: str, node: nuke.Node | None = None) -> None:
    """What a button or a menu entry does. Errors become a message; nothing here waits."""
    from . import buttons

    buttons.pressed(action, node)


def _run(node: nuke.Node, names: List[str], done: Callable[[Any], object] | None, prerender: str) -> Any:
    from . import node as nodes
    from . import plates, runs

    nodes.make_unique(node)
    first, last = int(node["us_first"].value()), int(node["us_last"].value())
    wanted = (first, last) if first or last else (None, None)
    plate = plates.prerender(node, prerender, *wanted) if prerender else plates.resolve(node, *wanted)
    named = str(node["us_colour"].value()).strip()
    plate = plate._replace(colour_space=named) if named and not prerender else plate
    steps = {
        "extract": lambda: runs.extract(node, plate),
        "train": lambda: runs.train(node),
        "merge": lambda: runs.merge(node, plate),
    }
    return runs.Run(node, [steps[name]() for name in names], plate, done)


def _alone(
    node: nuke.Node,
    name: str,
    spec: Callable[[nuke.Node], Any],
    done: Callable[[Any], object] | None,
    after: Callable[[nuke.Node], object] | None = None,
) -> Any:
    """One job that needs no plate."""
    from . import node as nodes
    from . import runs

    nodes.make_unique(node)
    return runs.Run(node, [(name, spec(node))], None, done, after)
