"""The losses of a training as a picture: a line for each, over the iterations, with what was changed meanwhile.

Read from the lines that `history` keeps: TensorBoard's own files take a minute to read for what a night has written.
Imports no torch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter1d

from understudy.core import drawing
from understudy.core.drawing import Colour
from understudy.core.errors import NotFound
from understudy.core.frames import Array

FILE = "losses.jsonl"
"""In the folder `history` of a model."""

_WIDTH, _HEIGHT = 1600, 900  # pixels of the plot, axes and words beside it
_LEFT, _RIGHT, _TOP, _BOTTOM = 110, 330, 90, 70
_LINE, _LISTED = 26, 12  # height of a line of text; marks that are said in words
_SMOOTH = 0.02  # of the points: the width of the mean that the strong line follows
_FAINT = 0.35  # of a line's colour, in its raw values
_RULE: Colour = (56, 57, 61)
_MARK: Colour = (150, 152, 158)
_BAND: Colour = (36, 36, 38)
_COLOURS: tuple[Colour, ...] = (
    (86, 156, 255), (255, 150, 60), (110, 214, 120), (245, 110, 110), (190, 140, 255), (225, 200, 80),
    (90, 215, 215), (250, 140, 205), (170, 170, 175), (165, 120, 90),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """One number over a training.

    Attributes:
        iterations: (N,) int64, ascending.
        values: (N,) float64, as they were reported.
    """

    iterations: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Mark:
    """An iteration at which options began to hold, in words; without words, training was resumed there."""

    iteration: int
    text: str = ""


def marks(begun: Sequence[Mapping[str, Any]], resumed: Sequence[int] = ()) -> list[Mark]:
    """What a model's state tells of its course, by iteration: where other options began to hold, and where training
    went on.

    Args:
        begun: `store.State.begun`, and of older models `changes`; what is in both has one mark.
    """
    found = {Mark(iteration=iteration) for iteration in resumed}
    for each in begun:
        text = ", ".join(f"{name} {value}" for name, value in each["options"].items())
        found.add(Mark(iteration=int(each["iteration"]), text=text))
    return sorted(found, key=lambda mark: (mark.iteration, mark.text))


def read(model: Path) -> dict[str, Curve]:
    """Name → the curve of that loss, of the history of a model or a segmenter; empty where there is none.

    What a kill left behind the checkpoint that a training went on from is left out: it was done over.
    """
    points: dict[str, list[tuple[int, float]]] = {}
    for iteration, losses in _lines(model / "history" / FILE):
        for known in points.values():
            while known and known[-1][0] >= iteration:
                known.pop()
        for name, value in losses.items():
            points.setdefault(name, []).append((iteration, value))
    return {
        name: Curve(
            iterations=np.array([iteration for iteration, _ in known], np.int64),
            values=np.array([value for _, value in known], np.float64),
        )
        for name, known in points.items()
    }


def write(model: Path, out: Path, *, marks: Sequence[Mark] = ()) -> None:
    """Draw a model's losses into a PNG, atomically.

    Raises:
        NotFound: it has no history yet.
        WriteFailed, DiskFull: naming the file.
    """
    curves = read(model).items()
    drawable = {name: kept for name, curve in curves if len((kept := _positive(curve)).values)}
    if not drawable:
        raise NotFound(f"{model}: no losses in its history yet: train it first", path=model, field="model")
    drawing.save(draw(drawable, title=f"Losses of {model.name}", marks=marks), out)


def draw(curves: Mapping[str, Curve], *, title: str = "", marks: Sequence[Mark] = ()) -> Array:
    """(H, W, 3) uint8 sRGB: values, all above 0, on a logarithmic scale; raw in faint lines, smoothed in strong ones.

    Args:
        curves: name → curve, at least one, none empty.
        marks: what is drawn across them; those beyond the curves are left out.
    """
    axes = _Axes.of(curves)
    inside = [mark for mark in marks if axes.first <= mark.iteration <= axes.last]
    shown = [mark for mark in inside if mark.text]
    resumed = [mark.iteration for mark in inside if not mark.text]
    listed = min(len(shown), _LISTED) + (len(shown) > _LISTED)
    sheet = drawing.paper(_LEFT + _WIDTH + _RIGHT, _TOP + _HEIGHT + _BOTTOM + listed * _LINE)
    drawing.write_text(sheet, title, (_LEFT, 46), height=19, bold=True)
    _bands(sheet, axes, [mark.iteration for mark in shown])
    _rules(sheet, axes)
    colours = {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(curves)}
    for name, curve in curves.items():
        faint = tuple(round(p + _FAINT * (c - p)) for c, p in zip(colours[name], drawing.PAPER, strict=True))
        _polyline(sheet, axes.pixels(curve.iterations, curve.values), faint, 1)
    for name, curve in curves.items():
        _polyline(sheet, axes.pixels(curve.iterations, smooth(curve.values)), colours[name], 2)
    _marks(sheet, axes, shown)
    _resumptions(sheet, axes, resumed, below=len(curves))
    _legend(sheet, curves, colours)
    return sheet


def smooth(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(N,) above 0 → (N,): the running geometric mean over a fiftieth of the points around each."""
    width = 2 * round(len(values) * _SMOOTH / 2) + 1
    found: npt.NDArray[np.float64] = np.exp(uniform_filter1d(np.log(values), width))  # mirrored at its ends
    return found


@dataclass(frozen=True, kw_only=True)
class _Axes:
    """What the plot spans: iterations, and decimal logarithms of values."""

    first: int
    last: int
    low: float
    high: float

    @classmethod
    def of(cls, curves: Mapping[str, Curve]) -> _Axes:
        logs = np.log10(np.concatenate([curve.values for curve in curves.values()]))
        steps = np.concatenate([curve.iterations for curve in curves.values()])
        low, high = np.percentile(
            logs, (0.1, 99.9)
        ).tolist()  # the first iterations would take half of the height
        room = max(0.05 * (high - low), 0.02)
        return cls(first=int(steps.min()), last=int(steps.max()), low=low - room, high=high + room)

    def x(self, iteration: float) -> float:
        return _LEFT + (iteration - self.first) / max(1, self.last - self.first) * _WIDTH

    def y(self, log: float) -> float:
        return _TOP + (self.high - log) / (self.high - self.low) * _HEIGHT

    def pixels(self, iterations: npt.NDArray[np.int64], values: npt.NDArray[np.float64]) -> Array:
        """(N, 1, 2) int32."""
        across = _LEFT + (iterations - self.first) / max(1, self.last - self.first) * _WIDTH
        down = _TOP + (self.high - np.log10(values)) / (self.high - self.low) * _HEIGHT
        down = np.clip(down, _TOP, _TOP + _HEIGHT)
        return np.rint(np.stack([across, down], axis=1)).astype(np.int32)[:, None]


def _lines(file: Path) -> Iterator[tuple[int, dict[str, float]]]:
    """Iteration and losses of each line that is whole: a kill may have cut some. Nothing where there is no file."""
    if file.is_file():
        with file.open(encoding="utf-8", errors="replace") as lines:
            yield from filter(None, map(_said, lines))


def _said(line: str) -> tuple[int, dict[str, float]] | None:
    try:
        said: dict[str, Any] = json.loads(line)
        return int(said["iteration"]), {str(name): float(value) for name, value in said["losses"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None


def _positive(curve: Curve) -> Curve:
    """What of it a logarithmic scale can show."""
    kept = np.isfinite(curve.values) & (curve.values > 0)
    return Curve(iterations=curve.iterations[kept], values=curve.values[kept])


def _polyline(sheet: Array, points: Array, colour: Sequence[int], width: int) -> None:
    cv2.polylines(sheet, [points], isClosed=False, color=colour, thickness=width, lineType=cv2.LINE_AA)


def _rules(sheet: Array, axes: _Axes) -> None:
    """The grid, and what its lines mean."""
    right, bottom = _LEFT + _WIDTH, _TOP + _HEIGHT
    for value in _levels(axes.low, axes.high):
        y = round(axes.y(math.log10(value)))
        cv2.line(sheet, (_LEFT, y), (right, y), _RULE, 1)
        drawing.write_text(
            sheet, f"{value:.3g}", (_LEFT - 12, y + 5), height=10.5, ink=drawing.FAINT, align=1.0
        )
    step = _step((axes.last - axes.first) / 10)
    for iteration in range(-(-axes.first // step) * step, axes.last + 1, step):
        x = round(axes.x(iteration))
        cv2.line(sheet, (x, _TOP), (x, bottom), _RULE, 1)
        drawing.write_text(
            sheet, f"{iteration:,}", (x, bottom + 26), height=10.5, ink=drawing.FAINT, align=0.5
        )
    cv2.rectangle(sheet, (_LEFT, _TOP), (right, bottom), _RULE, 1)
    drawing.write_text(sheet, "iterations", (_LEFT + _WIDTH / 2, bottom + 54), height=12, align=0.5)


def _levels(low: float, high: float) -> list[float]:
    """Values to draw a line at, between two decimal logarithms: the fewer to a decade, the more decades there are."""
    digits = {0: (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9), 1: (1, 2, 3, 5, 7), 2: (1, 2, 5)}.get(
        int(high - low), (1,)
    )
    decades = range(math.floor(low), math.floor(high) + 1)
    found = [digit * 10.0**decade for decade in decades for digit in digits]
    return [value for value in found if low <= math.log10(value) <= high]


def _step(least: float) -> int:
    """The least of 1, 2, 5, 10, 20, … that is not below."""
    decade = int(10 ** math.floor(math.log10(max(least, 1))))
    return next(digit * decade for digit in (1, 2, 5, 10) if digit * decade >= least)


def _bands(sheet: Array, axes: _Axes, borders: Sequence[int]) -> None:
    """Every other stretch between borders a little lighter."""
    edges = [axes.first, *sorted(set(borders) - {axes.first}), axes.last]
    for begin, end in list(pairwise(edges))[1::2]:
        corners = (round(axes.x(begin)), _TOP), (round(axes.x(end)), _TOP + _HEIGHT)
        cv2.rectangle(sheet, *corners, _BAND, cv2.FILLED)


def _resumptions(sheet: Array, axes: _Axes, iterations: Sequence[int], *, below: int) -> None:
    """A small arrow on the axis where training went on, and under the legend's lines what it means."""
    bottom = _TOP + _HEIGHT
    for iteration in iterations:
        _arrow(sheet, round(axes.x(iteration)), bottom)
    if iterations:
        x, y = _LEFT + _WIDTH + 24, _TOP + 20 + (below + 1) * _LINE
        _arrow(sheet, x + 13, y)
        drawing.write_text(sheet, f"resumed ({len(iterations)} ×)", (x + 38, y), height=11.5)


def _arrow(sheet: Array, x: int, y: int) -> None:
    """Points up to (x, y - 11)."""
    corners = np.array([(x - 6, y), (x + 6, y), (x, y - 11)], np.int32)
    cv2.fillPoly(sheet, [corners], _MARK, cv2.LINE_AA)


def _marks(sheet: Array, axes: _Axes, shown: Sequence[Mark]) -> None:
    """Numbered lines across the plot, and below it what they stand for."""
    bottom = _TOP + _HEIGHT
    for number, mark in enumerate(shown, 1):
        x = round(axes.x(mark.iteration))
        for y in range(_TOP, bottom, 12):
            cv2.line(sheet, (x, y), (x, min(y + 6, bottom)), _MARK, 1)
        drawing.write_text(sheet, str(number), (x, _TOP - 8), height=10.5, ink=_MARK, align=0.5)
        if number <= _LISTED:
            text = f"{number}   at {mark.iteration:,}: {mark.text}"
            drawing.write_text(sheet, text, (_LEFT, bottom + _BOTTOM + number * _LINE - 10), height=11.5)
    if len(shown) > _LISTED:
        place = _LEFT, bottom + _BOTTOM + (_LISTED + 1) * _LINE - 10
        drawing.write_text(sheet, f"and {len(shown) - _LISTED} more", place, height=11.5, ink=drawing.FAINT)


def _legend(sheet: Array, curves: Mapping[str, Curve], colours: Mapping[str, Colour]) -> None:
    """Names beside the plot, with where each stands."""
    x = _LEFT + _WIDTH + 24
    for place, (name, curve) in enumerate(curves.items()):
        y = _TOP + 20 + place * _LINE
        cv2.line(sheet, (x, y - 5), (x + 26, y - 5), colours[name], 3, cv2.LINE_AA)
        drawing.write_text(sheet, name, (x + 38, y), height=11.5)
        latest = f"{smooth(curve.values)[-1]:.3g}"
        drawing.write_text(sheet, latest, (x + _RIGHT - 40, y), height=11.5, ink=drawing.FAINT, align=1.0)
