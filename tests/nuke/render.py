"""What a tree of the fake's nodes gives: enough of Nuke's arithmetic, on real EXR files, to prove a comp.

A picture is a plane per channel under Nuke's names (`rgba.red`, `face.red`, `uv.u`), float32, all over one window.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from understudy.client.link import naming
from understudy.core import plate
from understudy.core.frames import Frame, Window
from understudy.core.plate import Template

Plane = npt.NDArray[np.float32]
_CHANNELS = {"R": "red", "G": "green", "B": "blue", "A": "alpha"}
RGB, RGBA = ("red", "green", "blue"), ("red", "green", "blue", "alpha")


@dataclass(frozen=True)
class Picture:
    """Planes over the data window, within a format; both with a top-left origin."""

    planes: dict[str, Plane]
    display: Window
    data: Window

    def channel(self, name: str) -> Plane:
        """Black where there is none, as in Nuke."""
        return self.planes.get(name, np.zeros((self.data.height, self.data.width), np.float32))

    def rgba(self, letters: tuple[str, ...] = RGB) -> Plane:
        return np.stack([self.channel(f"rgba.{c}") for c in letters], axis=-1)


def nuke_name(channel: str) -> str:
    """`R` → `rgba.red`, `face.R` → `face.red`, `uv.u` stays: Foundry's ExrChannelNameToNuke."""
    layer, _, last = channel.rpartition(".")
    return f"{layer or 'rgba'}.{_CHANNELS.get(last, last)}"


def opened(path: Path) -> Picture:
    frame: Frame = plate.read_file(path)
    planes = {nuke_name(n): p.astype(np.float32) for n, p in frame.planes.items()}
    return Picture(planes, frame.display, frame.data)


def evaluated(node: Any, frame: int, given: tuple[Any, ...] = ()) -> Picture | None:
    """What comes out of a node on a frame; of a group, what its Output gives. `given`: the group's inputs."""
    kind = node.Class()
    if node["disable"].value():
        return evaluated(node.input(0), frame, given) if node.input(0) else None
    if kind == "Group":
        return evaluated(node.output(), frame, tuple(_inputs(node, frame, given)))
    if kind == "Input":
        numbers = [n for n in node.parent().nodes() if n.Class() == "Input"]
        place = numbers.index(node)
        return given[place] if place < len(given) else None
    if kind == "Switch":
        return evaluated(node.input(int(node["which"].value())), frame, given)
    return _KINDS[kind](node, frame, _inputs(node, frame, given))


def _inputs(node: Any, frame: int, given: tuple[Any, ...]) -> list[Picture | None]:
    wired = [node.input(i) for i in range(node.inputs())]
    return [evaluated(one, frame, given) if one is not None else None for one in wired]


def _read(node: Any, frame: int, _: list[Picture | None]) -> Picture:
    """Beyond its range the first and last frame are held, which is what a Read does unless it is told otherwise."""
    first, last = node["first"].value(), node["last"].value()
    if frame < first:
        assert node["before"].value() == "hold", f"{node.name()} has no frame {frame}"
    elif frame > last:
        assert node["after"].value() == "hold", f"{node.name()} has no frame {frame}"
    held = min(max(frame, first), last)
    return opened(Path(naming.at_frame(node["file"].value(), held)))


def _first(_: Any, __: int, pictures: list[Picture | None]) -> Picture | None:
    return pictures[0]


def _shuffle(node: Any, _: int, pictures: list[Picture | None]) -> Picture:
    source = _there(pictures[0])
    layer, into = node["in"].value(), node["out"].value()
    moved = {f"{into}.{c}": source.channel(f"{layer}.{c}") for c in RGBA}
    return replace(source, planes={**source.planes, **moved})


def _copy(node: Any, _: int, pictures: list[Picture | None]) -> Picture:
    below, above = _there(pictures[0]), _there(pictures[1])
    pairs = [(node[f"from{i}"].value(), node[f"to{i}"].value()) for i in range(4)]
    moved = {to: above.channel(source) for source, to in pairs if "none" not in (source, to)}
    return replace(below, planes={**below.planes, **moved})


def _keymix(node: Any, _: int, pictures: list[Picture | None]) -> Picture:
    """A·m + B·(1 − m), on the chosen channels of B."""
    below, above, matte = (_there(p) for p in pictures)
    m = matte.channel(node["maskChannel"].value()) * np.float32(node["mix"].value())
    assert node["channels"].value() == "rgb"
    with np.errstate(invalid="ignore"):
        mixed = {
            f"rgba.{c}": above.channel(f"rgba.{c}") * m + below.channel(f"rgba.{c}") * (np.float32(1.0) - m)
            for c in RGB
        }
    return replace(below, planes={**below.planes, **mixed})


def _merge(node: Any, _: int, pictures: list[Picture | None]) -> Picture:
    assert node["operation"].value() == "over"
    below, above = _there(pictures[0]), pictures[1]
    if above is None:
        return below
    left = np.float32(1.0) - above.channel("rgba.alpha")
    over = {f"rgba.{c}": above.channel(f"rgba.{c}") + below.channel(f"rgba.{c}") * left for c in RGBA}
    return replace(below, planes={**below.planes, **over})


def _stmap(node: Any, _: int, pictures: list[Picture | None]) -> Picture:
    """The source at (u, v) of its format, origin at the bottom left; the nearest pixel, black beyond."""
    source, field = pictures[0], _there(pictures[1])
    layer = node["uv"].value()
    u, v = field.channel(f"{layer}.u"), field.channel(f"{layer}.v")
    if source is None:
        return replace(field, planes={})
    width, height = source.display.width, source.display.height
    x = np.floor(u * width).astype(int) + source.display.x - source.data.x
    y = np.floor((1.0 - v) * height).astype(int) + source.display.y - source.data.y
    within = (u >= 0) & (u < 1) & (v > 0) & (v <= 1)
    x, y = np.clip(x, 0, source.data.width - 1), np.clip(y, 0, source.data.height - 1)
    planes = {f"rgba.{c}": np.where(within, source.channel(f"rgba.{c}")[y, x], 0) for c in RGBA}
    return replace(field, planes={n: p.astype(np.float32) for n, p in planes.items()})


def _grade(node: Any, _: int, pictures: list[Picture | None]) -> Picture:
    source = _there(pictures[0])
    graded = {
        f"rgba.{c}": source.channel(f"rgba.{c}") * np.float32(node["multiply"].value())
        + np.float32(node["add"].value())
        for c in RGB
    }
    if node["black_clamp"].value():
        graded = {n: np.maximum(p, 0) for n, p in graded.items()}
    return replace(source, planes={**source.planes, **graded})


def _roto(node: Any, frame: int, pictures: list[Picture | None]) -> Picture:
    """White inside the shapes that show on the frame, in alpha; over the input's alpha unless that is replaced."""
    source = pictures[0] if pictures else None
    window = source.data if source else Window(0, 0, node.width(), node.height())
    display = source.display if source else window
    alpha = np.zeros((window.height, window.width), np.float32)
    for shape in node["curves"].rootLayer:
        if shape.getVisible(frame):
            places = [corner.center.getPosition(frame) for corner in shape]
            points = np.array([(p.x - window.x, display.height - p.y - window.y) for p in places])
            cv2.fillPoly(alpha, [np.round(16 * points - 8).astype(np.int32)], 1.0, cv2.LINE_AA, 4)
    if source is None:
        return Picture({"rgba.alpha": alpha}, display, window)
    if not node["replace"].value():
        alpha = np.maximum(alpha, source.channel("rgba.alpha"))
    return replace(source, planes={**source.planes, "rgba.alpha": alpha})


def _there(picture: Picture | None) -> Picture:
    assert picture is not None, "an input that is needed is not connected"
    return picture


def write(node: Any, frame: int) -> None:
    """What `nuke.execute` does with a Write node: the picture as half EXR, in `rgba`."""
    picture = _there(evaluated(node.input(0), frame))
    back = {v: k for k, v in _CHANNELS.items()}
    planes = {}
    wanted = node["channels"].value()
    assert wanted in ("all", "alpha"), wanted
    for name, plane in picture.planes.items():
        if wanted == "alpha" and name != "rgba.alpha":
            continue
        layer, _, last = name.rpartition(".")
        letter = back.get(last, last)
        planes[letter if layer == "rgba" else f"{layer}.{letter}"] = plane.astype(np.float16)
    path = Template.parse(node["file"].value()).path(frame)
    assert node["create_directories"].value()
    path.parent.mkdir(parents=True, exist_ok=True)
    plate.write(Frame(number=frame, planes=planes, display=picture.display, data=picture.data), path)


_KINDS: dict[str, Callable[[Any, int, list[Picture | None]], Picture | None]] = {
    "Read": _read,
    "Dot": _first,
    "NoOp": _first,
    "Output": _first,
    "Shuffle": _shuffle,
    "Copy": _copy,
    "Keymix": _keymix,
    "Merge2": _merge,
    "STMap": _stmap,
    "Grade": _grade,
    "Roto": _roto,
    "RotoPaint": _roto,
}
