"""The spec of a review."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

from understudy.core import verify
from understudy.core.errors import InvalidInput
from understudy.core.plate import Plate, Template
from understudy.core.review import Layout, ReviewSettings, Spaces, spaces_of
from understudy.core.review import movie as movies
from understudy.core.review.settings import SHEET, refuse_absent
from understudy.daemon.decode.settings import Work
from understudy.daemon.outputs import Output
from understudy.daemon.refs import Refs, named
from understudy.v1 import common_pb2, plate_pb2, review_pb2

EXR = ".exr"
_NTSC = Fraction(1000, 1001)  # whole rates became these when television became coloured
_NEAR = Fraction(1, 200)  # frames a second: how far a rate may be rounded
_LAYOUTS: Mapping[int, Layout] = MappingProxyType(
    {
        review_pb2.REVIEW_LAYOUT_SINGLE: "single",
        review_pb2.REVIEW_LAYOUT_SIDE_BY_SIDE: "side_by_side",
        review_pb2.REVIEW_LAYOUT_WIPE: "wipe",
    }
)
_NAMES = MappingProxyType({"path": "output", "view": "output"})


def review(spec: review_pb2.ReviewSpec, refs: Refs) -> Work:
    layout = _layout(spec)
    movie = refs.file_out(spec.movie, "review.movie", Path(spec.movie).suffix.lower()) if spec.movie else None
    sheet = refs.file_out(spec.contact_sheet, "review.contact_sheet", SHEET) if spec.contact_sheet else None
    needed = sheet is not None or (movie is not None and layout != "single")
    output, spaces = _output(spec.output, refs, needed=needed)
    plate, space = _plate(spec, refs, output, spaces) if needed and len(output.present) else (None, "")
    with named("review", _NAMES):
        display, view = refs.colour.display_view(spec.display, spec.display_view)
        settings = ReviewSettings(
            output=output,
            movie=movie,
            sheet=sheet,
            plate=plate,
            plate_space=space,
            layout=layout,
            display=display,
            display_view=view,
            exposure=spec.exposure,
            rate=_rate(spec.rate) if spec.HasField("rate") else None,
            burn_in=not spec.no_burn_in,
            version=spec.version,
            wipe=spec.wipe if spec.HasField("wipe") else ReviewSettings.wipe,
            width=spec.width or ReviewSettings.width,
            rows=spec.rows or ReviewSettings.rows,
        )
        if movie is not None:
            movies.refuse(movie, movies.tags_of(refs.colour.screen(display, view)))
    outputs = tuple(Output.of_file(path) for path in (movie, sheet) if path)
    return Work(settings=settings, outputs=outputs, label=f"review {Path(output.template.hashes).name}")


def _output(ref: common_pb2.PlateRef, refs: Refs, *, needed: bool) -> tuple[Plate, Spaces]:
    """The frames, in the space that is named, else that the merge wrote down, else that a header lets one guess.

    The spaces that the merge wrote down are looked for where the plate's is `needed`, or the frames have no headers of
    ours; none are there of frames that are only promised.
    """
    found = refs.plate(ref, "review.output", colour=False)
    if refs.will_be(Output.of_sequence(found.template, None)):
        return found, Spaces()
    refuse_absent(found)
    look = needed or found.template.extension != EXR
    spaces = spaces_of(found.template, found.views, found.present) if look else Spaces()
    return refs.plate(_in_space(ref, spaces.output), "review.output"), spaces


def _plate(spec: review_pb2.ReviewSpec, refs: Refs, output: Plate, spaces: Spaces) -> tuple[Template, str]:
    """What the frames were made from, and the space of its pixels."""
    ref = _in_space(spec.plate, spaces.plate)
    ref.ClearField("frames")
    ref.ClearField("views")
    if not spec.HasField("plate"):
        with named("review"):
            ref.pattern = verify.plate_of(output.template, output.frames).text
    found = refs.plate(ref, "review.plate")
    return found.template, str(found.colour_space)


def _in_space(ref: common_pb2.PlateRef, space: str) -> common_pb2.PlateRef:
    """The same, in a colour space where it names none."""
    known = common_pb2.PlateRef()
    known.CopyFrom(ref)
    known.colour_space = ref.colour_space or space
    return known


def _layout(spec: review_pb2.ReviewSpec) -> Layout:
    if spec.layout == review_pb2.REVIEW_LAYOUT_UNSPECIFIED:
        return "side_by_side" if spec.HasField("plate") else "single"
    if spec.layout not in _LAYOUTS:
        raise InvalidInput(
            f"review.layout: {spec.layout} is no layout", field="review.layout", value=spec.layout
        )
    return _LAYOUTS[spec.layout]


def _rate(given: plate_pb2.Rational) -> Fraction:
    """Exact, but for 23.976, 23.98 and the like, which mean a rate of NTSC."""
    if not given.denominator:
        raise InvalidInput("rate: its denominator is 0", field="rate", value=given.numerator)
    exact = Fraction(given.numerator, given.denominator)
    usual = round(exact / _NTSC) * _NTSC
    return usual if exact.denominator != 1 and abs(usual - exact) < _NEAR else exact
