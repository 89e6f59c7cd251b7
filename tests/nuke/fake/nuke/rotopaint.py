"""`nuke.rotopaint`: shapes of points whose places are keyed. Keys are joined by straight lines, as are points."""

from __future__ import annotations

import json
from typing import Any, Dict, Iterator, List, Tuple

from .curves import Curve
from .knobs import Knob
from .state import on_main


class CVec3:
    def __init__(self, *args: float) -> None:
        self.x, self.y, self.z = (*args, 0.0, 0.0, 0.0)[:3]


class AnimControlPoint:
    """A place. Attributes: keys_: frame to x and y."""

    def __init__(self, *args: Any) -> None:
        self.keys_: Dict[float, Tuple[float, float]] = {}
        self.at_: Tuple[float, float] = (float(args[0]), float(args[1])) if args else (0.0, 0.0)

    def addPositionKey(self, time: Any, positionOrDim: Any, view: Any = None) -> None:
        self.keys_[float(time)] = (float(positionOrDim[0]), float(positionOrDim[1]))

    def getPosition(self, time: float, view: str = "") -> CVec3:
        if not self.keys_:
            return CVec3(*self.at_)
        curves = [Curve([(frame, at[i]) for frame, at in self.keys_.items()], "linear") for i in (0, 1)]
        return CVec3(*(curve.at(time) for curve in curves))


class ShapeControlPoint:
    def __init__(self, *args: Any) -> None:
        self.center = AnimControlPoint(*args)


class Element:
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.name = ""
        self.seen_: Dict[float, float] = {}

    def setVisible(self, time: float, value: bool) -> None:
        self.seen_[float(time)] = float(value)

    def getVisible(self, time: float) -> bool:
        return not self.seen_ or bool(Curve(list(self.seen_.items()), "constant").at(time))


class Shape(Element):
    """Closed. `Shape(knob, type="bezier")`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        assert args, "Shape without its curve knob crashes Nuke"
        assert isinstance(args[0], CurveKnob), f"Shape of {args[0]!r}"
        self._points: List[ShapeControlPoint] = []

    def append(self, shapeControlPoint: Any) -> None:
        self._points.append(shapeControlPoint)

    def __iter__(self) -> Iterator[ShapeControlPoint]:
        return iter(self._points)

    def __len__(self) -> int:
        return len(self._points)

    def __getitem__(self, index: int) -> ShapeControlPoint:
        return self._points[index]


class Layer(Element):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self._elements: List[Element] = []

    def append(self, element: Element) -> None:
        self._elements.append(element)

    def __iter__(self) -> Iterator[Element]:
        return iter(self._elements)

    def __len__(self) -> int:
        return len(self._elements)


@on_main
class CurveKnob(Knob):
    """Its text is JSON, the fake's own: Nuke's is numbers in hexadecimal."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.rootLayer = Layer()

    def changed(self) -> None:
        shapes: List[Any] = list(self.rootLayer)
        points = [[[p.center.at_, list(p.center.keys_.items())] for p in shape] for shape in shapes]
        said = [[s.name, list(s.seen_.items()), at] for s, at in zip(shapes, points)]
        self._change(json.dumps(said), None)

    def toScript(self, quote: bool = True, context: Any = None) -> str:
        return "{" + str(self._value) + "}"

    def fromScript(self, script: str) -> None:
        self.rootLayer = Layer()
        for name, seen, points in json.loads(script[1:-1]):
            shape = Shape(self)
            shape.name, shape.seen_ = name, dict(seen)
            for at, keys in points:
                point = ShapeControlPoint(*at)
                point.center.keys_ = {frame: (place[0], place[1]) for frame, place in keys}
                shape.append(point)
            self.rootLayer.append(shape)
        self.changed()
