"""What a review shows and how."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal, get_args

from understudy.core.errors import InvalidInput, NotFound
from understudy.core.plate import Plate, Template
from understudy.core.review.movie import SUFFIXES

Layout = Literal["single", "side_by_side", "wipe"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
SHEET = ".png"
HIGHEST_RATE = Fraction(240)
NARROWEST, WIDEST = 64, 8192
_VERSION = re.compile(r"(?<![A-Za-z0-9])[vV]\d+(?![A-Za-z0-9])")


@dataclass(frozen=True, kw_only=True)
class ReviewSettings:
    """One review of a sequence.

    Attributes:
        output: the finished frames, with the colour space they are in. Of several views the first is shown.
        movie: `.mov` is ProRes 422 HQ, `.mp4` H.264; None makes none.
        sheet: a PNG, the contact sheet; None makes none. It needs the merge's layers, and `plate`.
        plate: what the frames were made from, under the same numbers; None where nothing is compared.
        plate_space: the colour space of its pixels.
        layout: the frames alone, the plate beside them on the left, or the plate over them up to `wipe`.
        wipe: where the plate ends, in widths of the picture, 0 to 1.
        display, display_view: of the colour config; empty is the default one.
        exposure: stops that the scene is brighter, -10 to 10.
        rate: frames a second, up to 240; None is what the first frame says, else 24.
        burn_in: write name, version, frame and timecode into the picture.
        version: what the burn-in calls it; empty is what the path says, as `v012`.
        width: of the movie in pixels at most, 64 to 8192; wider ones are made smaller.
        rows: frames on the contact sheet, 1 to 100.
    """

    output: Plate
    movie: Path | None = None
    sheet: Path | None = None
    plate: Template | None = None
    plate_space: str = ""
    layout: Layout = "single"
    wipe: float = 0.5
    display: str = ""
    display_view: str = ""
    exposure: float = 0.0
    rate: Fraction | None = None
    burn_in: bool = True
    version: str = ""
    width: int = 4096
    rows: int = 5

    def __post_init__(self) -> None:
        """Raises InvalidInput, which names the field and the value."""
        if self.movie is None and self.sheet is None:
            raise _refusal("movie", "", "neither a movie nor a contact sheet is asked for")
        _ending("movie", self.movie, SUFFIXES)
        _ending("contact_sheet", self.sheet, (SHEET,))
        if self.layout not in LAYOUTS:
            raise _refusal("layout", self.layout, f"is none of {', '.join(LAYOUTS)}")
        _within("wipe", self.wipe, 0, 1)
        _within("exposure", self.exposure, -10, 10)
        _within("width", self.width, NARROWEST, WIDEST)
        _within("rows", self.rows, 1, 100)
        if self.rate is not None and not 0 < self.rate <= HIGHEST_RATE:
            raise _refusal("rate", self.rate, f"is not above 0 and at most {HIGHEST_RATE}")
        if self.plate is not None and self.plate.has_view != self.output.template.has_view:
            raise _refusal("plate", self.plate, "and the output must both have %V, or none")

    @property
    def compared(self) -> bool:
        """Whether the plate is in the movie."""
        return self.movie is not None and self.layout != "single"

    @property
    def needs_plate(self) -> bool:
        """Whether there is no doing without `plate`."""
        return self.compared or self.sheet is not None

    @property
    def gain(self) -> float:
        """What the exposure multiplies scene-linear values by."""
        return float(2.0**self.exposure)

    @property
    def name(self) -> str:
        """The sequence's name, without number and ending."""
        template = self.output.template
        return template.prefix.strip("._-") or template.directory.name

    @property
    def title(self) -> str:
        """Name and version, where the name does not have it: what is set, else the path's last word such as `v012`."""
        found = _VERSION.findall(str(self.output.template))
        version = self.version or (found[-1] if found else "")
        return self.name if version in self.name else f"{self.name} {version}"


def refuse_absent(output: Plate) -> None:
    """Refuse frames of which there is none; raises NotFound."""
    if not len(output.present):
        raise NotFound(
            f"{output.template}: none of the frames {output.frames} is on disk", path=output.template.hashes
        )


def _within(field: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:  # so that NaN is refused too
        raise _refusal(field, value, f"is not from {low:g} to {high:g}")


def _ending(field: str, path: Path | None, suffixes: tuple[str, ...]) -> None:
    if path is not None and path.suffix.lower() not in suffixes:
        raise _refusal(field, path, f"must end in {' or '.join(suffixes)}")


def _refusal(field: str, value: object, why: str) -> InvalidInput:
    return InvalidInput(f"{field}: {value} {why}", field=field, value=value)
