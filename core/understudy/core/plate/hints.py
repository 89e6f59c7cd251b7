"""What a header lets one guess about the colour space of its pixels. A hint only: headers lie often."""

from __future__ import annotations

from collections.abc import Mapping

from understudy.core.frames import Frame
from understudy.core.plate.metadata import COLOUR_KEY
from understudy.core.plate.read import Header

# Interop ids of the Color Interop Forum's texture and scene-linear sets, as names of the pinned config
_INTEROP: Mapping[str, str] = {
    "lin_ap1_scene": "ACEScg",
    "lin_ap0_scene": "ACES2065-1",
    "lin_rec709_scene": "Linear Rec.709 (sRGB)",
    "lin_p3d65_scene": "Linear P3-D65",
    "lin_rec2020_scene": "Linear Rec.2020",
    "lin_adobergb_scene": "Linear AdobeRGB",
    "srgb_rec709_scene": "sRGB Encoded Rec.709 (sRGB)",
    "g22_rec709_scene": "Gamma 2.2 Rec.709 - Texture",
    "g18_rec709_scene": "Gamma 1.8 Rec.709 - Texture",
    "g24_rec709_scene": "Gamma 2.4 Rec.709 - Texture",
    "srgb_ap1_scene": "sRGB Encoded AP1 - Texture",
    "g22_ap1_scene": "Gamma 2.2 AP1 - Texture",
    "srgb_p3d65_scene": "sRGB Encoded P3-D65 - Texture",
    "data": "Raw",
}
# DPX says the transfer only; primaries are assumed. Printing density and logarithmic are many cameras' and
# scanners' curves, which no header can tell apart: no guess.
_DPX_TRANSFER: Mapping[str, str] = {"Linear": "Linear Rec.709 (sRGB)"}


def guess_colour_space(header: Header | Frame) -> str | None:
    """The name that the pixels' colour space has in the pinned config, if the header gives it away.

    In order: what Understudy wrote (`understudy/colour`), OpenEXR's `colorInteropID`, OpenImageIO's own tag
    (OpenEXR), DPX's transfer if linear. Chromaticities and camera log curves are not guessed from. A plate's
    space is for its owner to name: say where the guess differs.
    """
    metadata = header.metadata
    own = metadata.get(COLOUR_KEY)
    if isinstance(own, str) and own:
        return own
    interop = metadata.get("colorInteropID")
    if isinstance(interop, str):
        return _INTEROP.get(interop)
    return _DPX_TRANSFER.get(str(metadata.get("dpx:Transfer")))
