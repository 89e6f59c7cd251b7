"""Knobs: typed values, animation and expressions kept as such, callbacks told, undo recorded."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Union

from .curves import Curve, evaluated
from .state import on_main, run_callbacks, state

INVISIBLE, STARTLINE, NO_ANIMATION, ALWAYS_SAVE = 0x400, 0x1000, 0x100, 0x20000

Animation = Union[Curve, str]


@on_main
class Knob:
    """Attributes: code: the number of its kind in `addUserKnob`; user: made by Python, not by the node's class."""

    code = 0

    def __init__(self, *args: Any) -> None:
        self._name = str(args[0]) if args else ""
        self._label = str(args[1]) if len(args) > 1 and args[1] else ""
        self._value: Any = self._first(args[2:])
        self._default = self._value
        self._flags = STARTLINE if self.code not in (22,) else 0
        self._tooltip, self._enabled, self._range = "", True, ()  # type: str, bool, Any
        self._animation: Optional[Animation] = None
        self._node: Any = None
        self.user = False

    def _first(self, more: Any) -> Any:
        return more[0] if more else ""

    def _taken(self, value: Any) -> Any:
        """The value as this kind keeps it."""
        return value

    def Class(self) -> str:
        return type(self).__name__

    def name(self) -> str:
        return self._name

    def label(self) -> str:
        return self._label

    def setLabel(self, label: str) -> None:
        self._label = label

    def tooltip(self) -> str:
        return self._tooltip

    def setTooltip(self, tooltip: str) -> None:
        self._tooltip = tooltip

    def node(self) -> Any:
        return self._node

    def enabled(self) -> bool:
        return self._enabled

    def setEnabled(self, enabled: bool) -> None:
        self._enabled = enabled

    def visible(self) -> bool:
        return not self._flags & INVISIBLE

    def setVisible(self, visible: bool) -> None:
        (self.clearFlag if visible else self.setFlag)(INVISIBLE)

    def getFlag(self, flag: int) -> bool:
        return bool(self._flags & flag)

    def setFlag(self, flag: int) -> None:
        self._flags |= flag

    def clearFlag(self, flag: int) -> None:
        self._flags &= ~flag

    def value(self, index: int = 0) -> Any:
        return self._at(state.groups[0].frame if state.groups else 1)

    def getValue(self, channel: int = 0) -> Any:
        return self.value()

    def getValueAt(self, frame: float, index: int = 0, view: Optional[str] = None) -> Any:
        return self._at(frame)

    def setValue(self, val: Any, chan: int = 0) -> bool:
        self._change(self._taken(val), self._animation if isinstance(self._animation, Curve) else None)
        return True

    def hasExpression(self, index: int = 0) -> bool:
        return isinstance(self._animation, str)

    def isAnimated(self, channel: int = 0) -> bool:
        return self._animation is not None

    def getKeyList(self) -> List[int]:
        return [int(x) for x, _ in self._animation.keys] if isinstance(self._animation, Curve) else []

    def setExpression(self, expression: str, index: int = 0, view: Optional[str] = None) -> bool:
        self._change(self._value, expression)
        return True

    def clearAnimated(self, channel: int = 0) -> bool:
        self._change(self._value, None)
        return True

    def toScript(self, quote: bool = True, context: Any = None) -> str:
        if isinstance(self._animation, Curve):
            return "{{" + self._animation.text() + "}}"
        if isinstance(self._animation, str):
            return '{{"' + self._animation + '"}}'
        return self._text()

    def fromScript(self, script: str) -> None:
        inner = script.strip("{} ")
        if inner.startswith("curve"):
            self._change(self._value, Curve.parsed(inner))
        elif script.startswith("{") and self.code in (3, 6, 7, 4):
            self._change(self._value, inner.strip('"'))
        else:
            self._change(self._read(script), None)

    def _text(self) -> str:
        return str(self._value)

    def _read(self, text: str) -> Any:
        return self._taken(text)

    def _at(self, frame: float) -> Any:
        if isinstance(self._animation, Curve):
            return self._animation.at(frame)
        if isinstance(self._animation, str):
            return evaluated(self._animation, frame, lambda name: self._node.relative(name))
        return self._value

    def _change(self, value: Any, animation: Optional[Animation]) -> None:
        before = (self._value, self._animation)
        if before == (value, animation):
            return
        state.undo.record(lambda: self._change(*before))
        self._value, self._animation = value, animation
        if self._node is not None:
            run_callbacks("knobChanged", self._node, self)
            self._node.changed(self)


@on_main
class Array_Knob(Knob):
    """Numbers. `setRange` is kept, and like Nuke's a slider's: values outside are taken all the same."""

    def _first(self, more: Any) -> Any:
        return 0.0

    def _taken(self, value: Any) -> Any:
        return float(value)

    def setRange(self, *args: Any) -> None:
        self._range = tuple(args)

    def min(self, *args: Any) -> float:
        return float(self._range[0])

    def max(self, *args: Any) -> float:
        return float(self._range[1])

    def setDefaultValue(self, *args: Any) -> None:
        self._default = args[0][0] if isinstance(args[0], (list, tuple)) else args[0]

    def defaultValue(self, *args: Any) -> Any:
        return self._default

    def setAnimated(self, *args: Any) -> bool:
        if not isinstance(self._animation, Curve):
            frame = state.groups[0].frame
            self._change(self._value, Curve([(float(frame), float(self._value))]))
        return True

    def setValueAt(self, *args: Any) -> bool:
        value, frame = float(args[0]), float(args[1])
        assert isinstance(self._animation, Curve), "setValueAt before setAnimated"
        curve = Curve(list(self._animation.keys), self._animation.kind)
        curve.set(frame, value)
        self._change(self._value, curve)
        return True

    def _text(self) -> str:
        return f"{self._value:g}" if self._value == float(f"{self._value:g}") else repr(self._value)


class Double_Knob(Array_Knob):
    code = 7


class Int_Knob(Array_Knob):
    code = 3

    def _first(self, more: Any) -> Any:
        return 0

    def _taken(self, value: Any) -> int:
        return int(float(value))


class Unsigned_Knob(Int_Knob):
    pass


@on_main
class Boolean_Knob(Array_Knob):
    code = 6

    def _first(self, more: Any) -> Any:
        return bool(more[0]) if more else False

    def _taken(self, value: Any) -> bool:
        return value in (True, 1, "true", "1", "True")

    def _text(self) -> str:
        return "true" if self._value else "false"


@on_main
class Enumeration_Knob(Unsigned_Knob):
    code = 4

    def __init__(self, *args: Any) -> None:
        self._values = [str(v) for v in args[2]] if len(args) > 2 else []
        super().__init__(*args)

    def _first(self, more: Any) -> Any:
        return self._values[0] if self._values else ""

    def _taken(self, value: Any) -> Any:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return self._values[int(value)]
        if value not in self._values:
            raise TypeError(f"{self._name}: {value!r} is none of {self._values}")
        return value

    def values(self) -> List[str]:
        return list(self._values)

    def setValues(self, *args: Any) -> None:
        self._values = [str(v) for v in args[0]]
        if self._value not in self._values and self._values:
            self._value = self._values[0]

    def numValues(self) -> int:
        return len(self._values)

    def getValue(self, channel: int = 0) -> Any:
        return float(self._values.index(self.value()))

    def getValueAt(self, frame: float, index: int = 0, view: Optional[str] = None) -> Any:
        return self.getValue()

    def _text(self) -> str:
        return quoted(self._value)


@on_main
class String_Knob(Knob):
    code = 1

    def _taken(self, value: Any) -> str:
        return str(value)

    def getText(self, oc: Any = None) -> str:
        return str(self._value)

    def setText(self, *args: Any) -> None:
        self.setValue(args[0])

    def _text(self) -> str:
        return quoted(self._value)


@on_main
class EvalString_Knob(String_Knob):
    def evaluate(self, *args: Any) -> str:
        return str(self._value)


class File_Knob(EvalString_Knob):
    code = 2


class Multiline_Eval_String_Knob(EvalString_Knob):
    code = 43


class Text_Knob(Knob):
    code = 26

    def _text(self) -> str:
        return quoted(self._value)


class Tab_Knob(Knob):
    code = 20

    def _first(self, more: Any) -> Any:
        return 0


@on_main
class Script_Knob(String_Knob):
    code = 22

    def command(self) -> str:
        return str(self._value)

    def setCommand(self, cmd: str) -> None:
        self.setValue(cmd)

    def execute(self) -> None:
        """What a click does."""
        state.this.append((self._node, self))
        try:
            exec(self._value, {"__name__": "__main__"})
        finally:
            state.this.pop()


class PyScript_Knob(Script_Knob):
    pass


class Channel_Knob(Knob):
    """A layer (`in`, `channels`) or a channel (`from0`, `maskChannel`); one that the script has not is refused."""

    def _taken(self, value: Any) -> str:
        known = {"none", "all", "rgb", "alpha", *state.layers}
        known.update(name for layer in state.layers.values() for name in layer)
        if value not in known:
            raise ValueError(f"{self._name}: there is no layer or channel {value!r}")
        return str(value)


class Format_Knob(Knob):
    pass


def quoted(text: str) -> str:
    """As a word of a script: as it is where it may be, else in quotation marks. Line breaks and TCL stay text."""
    if text and all(c.isalnum() or c in "_-./:%#," for c in text):
        return text
    for mark, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("[", "\\["), ("$", "\\$")):
        text = text.replace(mark, escaped)
    return f'"{text}"'


KINDS: Dict[int, Any] = {
    k.code: k
    for k in (
        Double_Knob,
        Int_Knob,
        Boolean_Knob,
        Enumeration_Knob,
        String_Knob,
        File_Knob,
        Multiline_Eval_String_Knob,
        Text_Knob,
        Tab_Knob,
        PyScript_Knob,
    )
}
