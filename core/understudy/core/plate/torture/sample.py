"""One plate of the torture set, and how its files come about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from understudy.core.frames import Array, Float, Window
from understudy.core.plate.torture import curves, dpx, exr, headers
from understudy.core.plate.torture.scene import SIZE, Scene

FORMAT = Window(0, 0, *SIZE)
MONO = Scene()
Planes = Callable[[Float], Mapping[str, Array]]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A plate of the set, or a file that must be refused.

    Attributes:
        name: of its folder and files.
        proves: what it tests, for the README.
        make: (itself, frame, view) → the file; a plate without `%V` is asked for the view `""` only.
        scenes: view → what it shows.
        numbers: the frames that are there.
        missing: frames between them that are not, and that a reader must report.
        lossy: whether the codec has lost something already, which a merge must say.
        non_finite: whether NaN and Inf are on the face, which a merge must count.
        stale: header attributes that must not come along.
        refused: words of the reason with which a reader or a merge must turn it down; empty for a good plate.
    """

    name: str
    proves: str
    make: Callable[[Sample, int, str], bytes]
    scenes: Mapping[str, Scene] = field(default_factory=lambda: {"": MONO})
    colour_space: str = "ACEScg"
    numbers: Sequence[int] = (1001, 1002)
    missing: Sequence[int] = ()
    display: Window = FORMAT
    data: Window = FORMAT
    aspect: float = 1.0
    extension: str = ".exr"
    in_files: bool = False
    lossy: bool = False
    non_finite: bool = False
    stale: Sequence[str] = ()
    refused: str = ""

    def file(self, frame: int, view: str = "") -> bytes:
        """The bytes of one file."""
        return self.make(self, frame, view)

    @property
    def views(self) -> tuple[str, ...]:
        """None for a mono plate."""
        return tuple(view for view in self.scenes if view)

    @property
    def pattern(self) -> str:
        """Seen from the set's folder: `name/name.####.exr`, with `%V` where each view has its files."""
        folder = f"refused/{self.name}" if self.refused else self.name
        return f"{folder}/{self.name}{'.%V' if self.in_files else ''}.####{self.extension}"


def half(rgb: Float) -> dict[str, Array]:
    """R, G and B as half float."""
    return {c: rgb[..., i].astype(np.float16) for i, c in enumerate("RGB")}


def full(rgb: Float) -> dict[str, Array]:
    """R, G and B as float32."""
    return {c: rgb[..., i].copy() for i, c in enumerate("RGB")}


def depth(rgb: Float) -> Array:
    """(H, W) float32: something like a distance, with infinity where there is nothing."""
    z = 100.0 + 50.0 * rgb[..., 0]
    z[:4] = np.inf
    return np.asarray(z, np.float32)


def openexr(
    name: str,
    proves: str,
    planes: Planes = half,
    *,
    attributes: Callable[[int], Sequence[bytes]] = headers.plain,
    codec: str = "zips",
    decreasing: bool = False,
    tile: int = 0,
    levels: str = "one",
    **items: Any,
) -> Sample:
    """A plate of one part; `items` are those of `Sample`, the others of `exr.Part`."""

    def make(sample: Sample, frame: int, view: str) -> bytes:
        picture = sample.scenes[view].picture(frame, sample.data)
        part = exr.Part(
            planes=planes(curves.encode(picture, sample.colour_space)),
            data=sample.data,
            display=sample.display,
            aspect=sample.aspect,
            codec=codec,
            attributes=attributes(frame),
            decreasing=decreasing,
            tile=tile,
            levels=levels,
        )
        return exr.file(part)

    return Sample(name=name, proves=proves, make=make, **items)


def parts(name: str, proves: str, split: Callable[[int, Window], Sequence[exr.Part]], **items: Any) -> Sample:
    """A plate whose parts `split` makes of the frame and the data window."""

    def make(sample: Sample, frame: int, _: str) -> bytes:
        return exr.file(*split(frame, sample.data))

    return Sample(name=name, proves=proves, make=make, **items)


def dpx_codes(name: str, proves: str, coding: dpx.Coding, **items: Any) -> Sample:
    """A DPX plate; what the codes cannot hold is held at their ends. Alpha and luma are the green."""
    kept = {"rgb": [0, 1, 2], "rgba": [0, 1, 2, 1], "luma": [1], "cbycr": [0, 1]}[coding.descriptor]

    def make(sample: Sample, frame: int, view: str) -> bytes:
        picture = curves.encode(sample.scenes[view].picture(frame, sample.data), sample.colour_space)
        codes = np.rint(np.clip(picture, 0.0, 1.0) * (2**coding.depth - 1)).astype(np.uint32)
        return dpx.file(codes[..., kept], coding, frame, f"{name}.{frame:04d}.dpx")

    return Sample(name=name, proves=proves, make=make, extension=".dpx", **items)


def fixed(name: str, proves: str, refused: str, content: bytes, **items: Any) -> Sample:
    """A file to be refused."""
    return Sample(name=name, proves=proves, refused=refused, make=lambda *_: content, **items)
