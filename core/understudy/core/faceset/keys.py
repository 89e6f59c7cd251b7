"""The keys by which the faces of a faceset are sorted and limited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from understudy.core.errors import InvalidInput


@dataclass(frozen=True, kw_only=True)
class Key:
    """One way to sort faces.

    Attributes:
        help: a sentence for a person.
        unit: of its values; empty for a plain number. `rank` is a place in an order, from 0.
        measures: what must have been measured (`measures`); empty where the faces' own headers say it.
        descending: the largest value comes first, unless one asks for the reverse.
    """

    help: str
    unit: str = ""
    measures: tuple[str, ...] = ()
    descending: bool = False


def _measured(name: str, text: str, unit: str = "", *, descending: bool = True) -> Key:
    return Key(help=text, unit=unit, measures=(name,), descending=descending)


KEYS: Mapping[str, Key] = MappingProxyType(
    {
        "frame": Key(help="Frame number on the slate.", unit="frame"),
        "name": Key(help="Plate, frame, track and view, as a faceset lists them.", unit="rank"),
        "confidence": Key(help="How sure the detection was.", descending=True),
        "yaw": Key(
            help="Head turned to the right of the picture; to the left is below 0.", unit="°", descending=True
        ),
        "pitch": Key(help="Head turned up; down is below 0.", unit="°", descending=True),
        "roll": Key(help="Head leaning clockwise in the picture.", unit="°", descending=True),
        "size": Key(
            help="Side of the crop on the plate: below the faceset's own size there is no more detail.",
            unit="px",
            descending=True,
        ),
        "source_rect_size": Key(help="Area of the detector's box on the plate.", unit="px²", descending=True),
        "one_face": Key(help="Faces in the frame: frames with one face come first.", unit="faces"),
        "blur": _measured("blur", "Sharpness (CPBD): the share of edges on which nobody would notice blur."),
        "motion_blur": _measured("motion_blur", "Variance of the Laplacian, which motion blur lowers."),
        "brightness": _measured("brightness", "Mean of HSV's value over the crop's viewing proxy."),
        "hue": _measured("hue", "Mean hue, weighted by saturation: 0 is red, 60 yellow, -60 magenta.", "°"),
        "black": _measured(
            "black",
            "Zeros in the crop's three channels: how much of it lies outside the plate.",
            descending=False,
        ),
        "luma": _measured("luma", "Mean luma of the face."),
        "green": _measured("green", "Cast from magenta (below 0) to green (above), YCoCg's Cg of the face."),
        "orange": _measured("orange", "Cast from blue (below 0) to orange (above), YCoCg's Co of the face."),
        "hist": _measured(
            "histograms",
            "A chain of like colours: each face is followed by the nearest to it.",
            "rank",
            descending=False,
        ),
        "hist_dissim": _measured("histograms", "How unlike the face's histogram is to all others."),
        "absolute": _measured(
            "thumbnail",
            "A chain of like pictures: each face is followed by the nearest to it.",
            "rank",
            descending=False,
        ),
        "absolute_dissim": _measured("thumbnail", "How unlike the picture is to all others, pixel by pixel."),
        "reference": _measured(
            "reference",
            "Distance to the reference face; the identity network says what is the same.",
            descending=False,
        ),
        "best": Key(
            help="The best for training first: all poses alike, the sharpest of each, unlike one another.",
            unit="rank",
            measures=("blur", "histograms"),
        ),
        "best_fast": Key(
            help="As best, by size on the plate instead of sharpness.", unit="rank", measures=("histograms",)
        ),
    }
)


def check(name: str, field: str) -> None:
    """Raises InvalidInput, listing the keys there are, where this is none."""
    if name not in KEYS:
        raise InvalidInput(
            f"{field}: no sort key is called {name!r}; there are {', '.join(KEYS)}", field=field, value=name
        )
