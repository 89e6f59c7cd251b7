"""Knobs of several numbers, each with its own animation, and a Tracker's table."""

from __future__ import annotations

from typing import Any, List, Optional, Tuple

from .curves import Curve
from .knobs import KINDS, Array_Knob, Knob
from .state import on_main, state

Part = Tuple[float, Optional[Curve]]


@on_main
class IArray_Knob(Array_Knob):
    """`IArray_Knob(name, label, dimensions)`. Its text is flat here, where Nuke writes rows."""

    def _first(self, more: Any) -> Any:
        dimensions = more[0] if more else [1]
        count = 1
        for one in dimensions:
            count *= int(one)
        return ((0.0, None),) * count

    def _taken(self, value: Any) -> Any:
        numbers = [float(v) for v in value]
        assert len(numbers) == len(self._value), (
            f"{self._name} takes {len(self._value)} numbers, not {numbers}"
        )
        return tuple((v, None) for v in numbers)

    def value(self, index: Any = None) -> Any:
        return self.getValue(index)

    def getValue(self, *args: Any) -> Any:
        frame = state.groups[0].frame
        if args and args[0] is not None:
            return self.getValueAt(frame, args[0])
        return tuple(self.getValueAt(frame, i) for i in range(len(self._value)))

    def getValueAt(self, *args: Any) -> Any:
        value, curve = self._value[int(args[1]) if len(args) > 1 else 0]
        return value if curve is None else curve.at(float(args[0]))

    def setValue(self, *args: Any) -> bool:
        if isinstance(args[0], (list, tuple)):
            self._change(self._taken(args[0]), None)
        else:
            self._put(int(args[1]), (float(args[0]), None))
        return True

    def isAnimated(self, *args: Any) -> bool:
        return any(curve is not None for _, curve in self._value)

    def getKeyList(self) -> List[int]:
        return sorted({int(x) for _, curve in self._value if curve is not None for x, _ in curve.keys})

    def setAnimated(self, *args: Any) -> bool:
        """Makes a key at the current frame, as Nuke does."""
        place = int(args[0])
        value, curve = self._value[place]
        if curve is None:
            self._put(place, (value, Curve([(float(state.groups[0].frame), value)])))
        return True

    def setValueAt(self, *args: Any) -> bool:
        number, frame, place = float(args[0]), float(args[1]), int(args[2])
        value, curve = self._value[place]
        assert curve is not None, "setValueAt before setAnimated"
        changed = Curve(list(curve.keys), curve.kind)
        changed.set(frame, number)
        self._put(place, (value, changed))
        return True

    def removeKeyAt(self, *args: Any) -> bool:
        frame, place = float(args[0]), int(args[1])
        value, curve = self._value[place]
        assert curve is not None
        self._put(place, (value, Curve([k for k in curve.keys if k[0] != frame], curve.kind)))
        return True

    def toScript(self, *args: Any, **kwargs: Any) -> str:
        return "{" + " ".join(_text(part) for part in self._value) + "}"

    def fromScript(self, *args: Any) -> None:
        from .script import words

        inner = words(args[0])[0][1] if args[0].startswith("{") else args[0]
        parts = tuple(_part(text) for _, text in words(inner))
        assert len(parts) == len(self._value), f"{self._name}: {args[0][:80]}"
        self._change(parts, None)

    def _put(self, place: int, part: Part) -> None:
        self._change((*self._value[:place], part, *self._value[place + 1 :]), None)


class XY_Knob(IArray_Knob):
    code = 12

    def _first(self, more: Any) -> Any:
        return ((0.0, None), (0.0, None))


class Matrix_Knob(IArray_Knob):
    """4 x 4, row by row; not a name of Nuke's Python."""

    def _first(self, more: Any) -> Any:
        return tuple((float(i % 5 == 0), None) for i in range(16))


@on_main
class Table_Knob(Knob):
    """A Tracker's: its text, whose cells may be curves. Cells count row by row."""

    def _first(self, more: Any) -> Any:
        return ""

    def rows(self) -> List[List[str]]:
        from .script import words

        if not self._value:
            return []
        head, columns, rows = (text for _, text in words(self._value))
        cells = [[text for _, text in words(row)] for _, row in words(rows)]
        width, count = int(words(head)[1][1]), int(words(head)[2][1])
        assert (len(words(columns)), len(cells)) == (width, count), "the table's head counts otherwise"
        assert all(len(row) == width for row in cells), "a row of another length than the head says"
        return cells

    def getValueAt(self, frame: float, index: int = 0, view: Optional[str] = None) -> Any:
        cells = [cell for row in self.rows() for cell in row]
        value, curve = _part(cells[index])
        return value if curve is None else curve.at(frame)

    def toScript(self, quote: bool = True, context: Any = None) -> str:
        return "{" + str(self._value) + "}" if self._value else "{}"

    def fromScript(self, script: str) -> None:
        from .script import words

        found = words(script)
        self._change(found[0][1] if len(found) == 1 else script, None)
        self.rows()


def _text(part: Part) -> str:
    value, curve = part
    return repr(value) if curve is None else "{" + curve.text() + "}"


def _part(text: str) -> Part:
    if text.startswith("curve"):
        curve = Curve.parsed(text)
        return (curve.keys[0][1] if curve.keys else 0.0), curve
    return float(text), None


KINDS[XY_Knob.code] = XY_Knob
