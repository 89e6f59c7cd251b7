"""What a header lets one guess about the colour space of its pixels. A hint only: headers lie often."""

from __future__ import annotations

from understudy.core.frames import Frame
from understudy.core.plate.header import Header
from understudy.core.plate.metadata import COLOUR_KEY


def guess_colour_space(header: Header | Frame) -> str | None:
    """The colour space that a header gives away, by a name or interop id that the pinned config resolves.

    In order: what Understudy wrote (`understudy/colour`); OpenEXR's `colorInteropID` (Color Interop Forum;
    the config has them as aliases); DPX's transfer, if it is linear. A DPX in `Logarithmic` or `Printing
    density` may be any camera's or scanner's curve, and `ITU-R 709-4` is left on files of every kind: no
    guess. Nor is there one from chromaticities. A plate's space is for its owner to name; say where the guess
    differs.
    """
    for key in (COLOUR_KEY, "colorInteropID"):
        name = header.metadata.get(key)
        if isinstance(name, str) and name not in ("", "data", "unknown"):
            return name
    return "lin_rec709_scene" if header.metadata.get("dpx:Transfer") == "Linear" else None
