"""Pictures of node graphs, drawn from the fake as Nuke lays them out: `python -m tests.nuke.picture FOLDER`.

Writes `nuke-node.png`, what is inside the node, and `nuke-shot.png`, a script with it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import patches
from matplotlib import pyplot as plt

from understudy.client import plugins

COLOURS = {
    "Read": "#8f8f8f",
    "Input": "#a6a6a6",
    "Output": "#a6a6a6",
    "Shuffle": "#7a5fa8",
    "Copy": "#7a5fa8",
    "Keymix": "#4a68b0",
    "Merge2": "#4a68b0",
    "STMap": "#a0743f",
    "CornerPin2D": "#a0743f",
    "Tracker4": "#a0743f",
    "Roto": "#4f9a5c",
    "RotoPaint": "#4f9a5c",
    "Group": "#b8a23c",
}
INCH = 84.0  # units of the node graph
LETTERS = {"Keymix": ("B", "A", "mask"), "Copy": ("B", "A"), "Merge2": ("B", "A"), "STMap": ("src", "stmap")}


def draw(nodes: list[Any], path: Path, title: str) -> None:
    """Boxes, dots, backdrops and pipes of these nodes as a PNG."""
    frames = [_extent(node) for node in nodes]
    left, top = min(f[0] for f in frames) - 40, min(f[1] for f in frames) - 50
    right, bottom = max(f[2] for f in frames) + 60, max(f[3] for f in frames) + 30
    figure = plt.figure(figsize=((right - left) / INCH, (bottom - top) / INCH), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1), facecolor="#2b2b2b")
    axes.set(xlim=(left, right), ylim=(bottom, top), xticks=[], yticks=[])
    axes.text(left + 10, top + 22, title, color="#dddddd", size=10)
    for node in sorted(nodes, key=lambda n: n.Class() != "BackdropNode"):
        if node.Class() == "BackdropNode":
            _backdrop(axes, node)
    for node in nodes:
        for i in range(node.inputs()):
            if node.input(i) is not None:
                _pipe(axes, node, i)
    for node in nodes:
        if node.Class() != "BackdropNode":
            _box(axes, node)
    figure.savefig(path, facecolor="#2b2b2b")
    plt.close(figure)


def _extent(node: Any) -> tuple[float, float, float, float]:
    x, y = node.xpos(), node.ypos()
    if node.Class() == "BackdropNode":
        return x, y, x + node["bdwidth"].value(), y + node["bdheight"].value()
    return x, y, x + node.screenWidth(), y + node.screenHeight()


def _middle(node: Any) -> tuple[float, float]:
    x0, y0, x1, y1 = _extent(node)
    return (x0 + x1) / 2, (y0 + y1) / 2


def _backdrop(axes: Any, node: Any) -> None:
    x0, y0, x1, y1 = _extent(node)
    colour = f"#{int(node['tile_color'].value()) >> 8:06x}"
    axes.add_patch(patches.Rectangle((x0, y0), x1 - x0, y1 - y0, color=colour))
    axes.text(x0 + 8, y0 + 16, node["label"].value(), color="#eeeeee", size=8, va="center")


def _pipe(axes: Any, node: Any, place: int) -> None:
    """From the input's middle to where its arrow meets the box, as Nuke draws it: a straight line."""
    x0, y0 = _middle(node.input(place))
    x1, y1 = _middle(node)
    half = node.screenHeight() / 2, node.screenWidth() / 2
    steep = abs(y1 - y0) >= abs(x1 - x0) * half[0] / half[1]
    share = half[0] / abs(y1 - y0) if steep else half[1] / abs(x1 - x0)
    tip = x1 + (x0 - x1) * share, y1 + (y0 - y1) * share
    style = {"arrowstyle": "-|>", "color": "#c8c8c8", "lw": 1.0, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", tip, (x0, y0), arrowprops=style, zorder=1)
    letters = LETTERS.get(node.Class(), _inputs_of(node))
    same = [i for i in range(node.inputs()) if node.input(i) is node.input(place)]
    if place < len(letters) and place == same[0]:
        aside = 12 if x0 > x1 else -4  # below a pipe that comes from the right
        near = tip[0] + (x0 - tip[0]) * 0.16 + 5, tip[1] + (y0 - tip[1]) * 0.16 + aside
        axes.text(*near, ", ".join(letters[i] for i in same if i < len(letters)), color="#9fc3e8", size=6)


def _inputs_of(node: Any) -> tuple[str, ...]:
    if node.Class() != "Group":
        return ()
    return tuple(n.name() for n in node.nodes() if n.Class() == "Input")


def _box(axes: Any, node: Any) -> None:
    x, y = _middle(node)
    label = str(node["label"].value())
    if node.Class() == "Dot":
        axes.add_patch(patches.Circle((x, y), 6, color="#c8c8c8", zorder=2))
        axes.text(x + 10, y, label.strip(), color="#ffffff", size=8, va="center", zorder=3)
        return
    x0, y0, x1, y1 = _extent(node)
    colour = COLOURS.get(node.Class(), "#8f8f8f")
    shape = patches.FancyBboxPatch((x0, y0), x1 - x0, y1 - y0, "round,pad=0,rounding_size=4", color=colour)
    axes.add_patch(shape).set_zorder(2)
    middle = {"ha": "center", "va": "center", "zorder": 3}
    axes.text(x, y, node.name().replace("Understudy1_", "…"), color="#101010", size=6.5, **middle)
    if label:
        axes.text(x1 + 7, y, label, color="#bbbbbb", size=6, va="center", zorder=3)


def shot(nuke: Any, understudy_nuke: Any, info: dict[str, Any]) -> Any:
    """A script as an artist would have it, with the nodes of a track."""
    from understudy_nuke import tracknodes  # type: ignore[import-not-found,unused-ignore]

    plate = nuke.nodes.Read(name="Plate", label="1001-1100", file="/p/sh010.%04d.exr")
    node = understudy_nuke.create(plate, info)
    plate.setXYpos(0, 0)
    roto = nuke.nodes.Roto(name="Roto_hands", inputs=[plate], label="replace")
    roto.setXYpos(-170, 100)
    paint = nuke.nodes.Read(name="Paint", label="aligned face, 512×512")
    paint.setXYpos(-340, 170)
    node.setXYpos(0, 240)
    node.setInput(1, paint)
    node.setInput(2, roto)
    write = nuke.nodes.Write(name="Write_comp", inputs=[node])
    write.setXYpos(0, 320)
    face = {"landmarks": [(0.0, 0.0)] * 68, "matrix": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)), "size": 512}
    tracknodes.build(node, "", {1001: face})
    return node


def main(folder: Path) -> None:
    from google.protobuf import json_format

    from understudy.core.merge import recipe
    from understudy.daemon import encode

    with tempfile.TemporaryDirectory() as made:
        sys.path[:0] = [
            str(Path(__file__).parent / "fake"),
            str(plugins.install_nuke(Path(made) / "nuke", "1")),
        ]
        import nuke  # type: ignore[import-not-found,unused-ignore]
        import understudy_nuke  # type: ignore[import-not-found,unused-ignore]

        info = {"recipe": [json_format.MessageToDict(p) for p in encode.parameters(recipe.parameters())]}
        node = shot(nuke, understudy_nuke, info)
        draw(nuke.allNodes(), folder / "nuke-shot.png", "a script")
        draw(node.nodes(), folder / "nuke-node.png", "inside the node")


if __name__ == "__main__":
    mpl.use("Agg")
    main(Path(sys.argv[1]))
