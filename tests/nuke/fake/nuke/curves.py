"""A knob's animation: keys with Nuke's default smooth interpolation, or linear, or held; or an expression."""

from __future__ import annotations

import re
from typing import Any, Callable, List, Optional, Tuple

Key = Tuple[float, float]


class Curve:
    """Keys in order of frame. `kind` is `smooth`, `linear` or `constant`, as `{curve … }`, `L` and `K` in a script."""

    def __init__(self, keys: Optional[List[Key]] = None, kind: str = "smooth") -> None:
        self.keys = sorted(keys or [])
        self.kind = kind

    def set(self, frame: float, value: float) -> None:
        self.keys = sorted([k for k in self.keys if k[0] != frame] + [(frame, value)])

    def at(self, frame: float) -> float:
        keys = self.keys
        if frame <= keys[0][0]:
            return keys[0][1]
        if frame >= keys[-1][0]:
            return keys[-1][1]
        i = max(n for n, key in enumerate(keys) if key[0] <= frame)
        (x0, y0), (x1, y1) = keys[i], keys[i + 1]
        t = (frame - x0) / (x1 - x0)
        if self.kind == "constant":
            return y0
        if self.kind == "linear":
            return y0 + t * (y1 - y0)
        s0, s1 = (x1 - x0) * self._slope(i), (x1 - x0) * self._slope(i + 1)
        return (
            (2 * t**3 - 3 * t**2 + 1) * y0
            + (t**3 - 2 * t**2 + t) * s0
            + (3 * t**2 - 2 * t**3) * y1
            + (t**3 - t**2) * s1
        )

    def _slope(self, i: int) -> float:
        if i in (0, len(self.keys) - 1):
            return 0.0
        (x0, y0), (x1, y1) = self.keys[i - 1], self.keys[i + 1]
        return (y1 - y0) / (x1 - x0)

    def text(self) -> str:
        letter = {"smooth": "", "linear": " L", "constant": " K"}[self.kind]
        return "curve{} {}".format(letter, " ".join(f"x{x:g} {y!r}" for x, y in self.keys))

    @staticmethod
    def parsed(text: str) -> Curve:
        kind = {"L": "linear", "K": "constant"}.get(
            (re.findall(r"^curve\s+([LK])\b", text) or [""])[0], "smooth"
        )
        keys = [(float(x), float(y)) for x, y in re.findall(r"x(-?[\d.]+)\s+(-?[\d.e+-]+)", text)]
        return Curve(keys, kind)


def evaluated(expression: str, frame: float, knob_of: Callable[[str], Any]) -> float:
    """An expression of numbers, `frame` and other knobs' names; enough for what a script of a test says."""
    names = {"frame": frame}

    def number(match: Any) -> str:
        word = match.group(0)
        if word in names:
            return repr(float(names[word]))
        return repr(float(knob_of(word).getValueAt(frame)))

    return float(eval(re.sub(r"[A-Za-z_][\w.]*", number, expression), {"__builtins__": {}}))
