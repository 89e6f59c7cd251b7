"""The spec of a review."""

from __future__ import annotations

from fractions import Fraction
from types import MappingProxyType
from typing import Union

from understudy.client.errors import Refused
from understudy.client.specs.parts import PathLike, Plate, absolute, plate
from understudy.v1 import job_pb2 as pb
from understudy.v1 import review_pb2
from understudy.v1.plate_pb2 import Rational

Rate = Union[str, float, Fraction]
LAYOUTS = MappingProxyType(
    {
        "": review_pb2.REVIEW_LAYOUT_UNSPECIFIED,
        "single": review_pb2.REVIEW_LAYOUT_SINGLE,
        "side-by-side": review_pb2.REVIEW_LAYOUT_SIDE_BY_SIDE,
        "wipe": review_pb2.REVIEW_LAYOUT_WIPE,
    }
)
_LARGEST = 1 << 63  # beyond what the wire's whole numbers hold


def review(
    output: PathLike | Plate,
    *,
    movie: PathLike = "",
    contact_sheet: PathLike = "",
    original: PathLike | Plate | None = None,
    layout: str = "",
    wipe: float | None = None,
    display: str = "",
    display_view: str = "",
    exposure: float = 0.0,
    rate: Rate | None = None,
    burn_in: bool = True,
    version: str = "",
    width: int = 0,
    rows: int = 0,
) -> pb.JobSpec:
    """Finished frames become a movie, a contact sheet or both.

    Args:
        movie: `.mov` for ProRes, `.mp4` for H.264.
        contact_sheet: `.png`; the frames must have their layers.
        original: the plate, where it is to be compared; None is the one that the headers name, where it is needed.
        layout: `single`, `side-by-side` (the plate on the left) or `wipe`; empty goes by whether there is an original.
        wipe: where the plate ends, in widths of the picture, 0 to 1.
        display, display_view: of the colour config; empty for its defaults.
        exposure: stops that the scene is made brighter.
        rate: frames a second, such as 24, 23.976 or "24000/1001"; None is the headers'.
        burn_in: write name, version, frame and timecode into the picture.
        version: what the burn-in calls it; empty is the last word such as `v012` in the path.
        width: of the movie in pixels at most; 0 for 4096.
        rows: frames on the contact sheet; 0 for 5.

    Raises:
        Refused: a layout that there is not; a rate that is no number.
    """
    if layout not in LAYOUTS:
        raise Refused.invalid("review.layout", layout, f"one of {', '.join(filter(None, LAYOUTS))} is needed")
    spec = review_pb2.ReviewSpec(
        output=plate(output),
        movie=absolute(movie),
        contact_sheet=absolute(contact_sheet),
        plate=None if original is None else plate(original),
        layout=LAYOUTS[layout],
        wipe=wipe,
        display=display,
        display_view=display_view,
        exposure=exposure,
        rate=None if rate is None else _rational(rate),
        no_burn_in=not burn_in,
        version=version,
        width=width,
        rows=rows,
    )
    return pb.JobSpec(review=spec)


def _rational(rate: Rate) -> Rational:
    """Exact; 23.976 is 2997/125, and what it means is the daemon's to say."""
    try:
        exact = Fraction(str(rate))
        if max(abs(exact.numerator), exact.denominator) >= _LARGEST:
            raise ValueError(f"{rate} is not a number of frames a second")
    except (ValueError, ZeroDivisionError) as error:
        raise Refused.invalid("review.rate", rate, "write it as 24, 23.976 or 24000/1001") from error
    return Rational(numerator=exact.numerator, denominator=exact.denominator)
