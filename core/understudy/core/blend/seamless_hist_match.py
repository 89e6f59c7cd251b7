"""First `hist_match`, then `seamless`: the plate's contrast and colours in the face, and no seam.

In DeepFaceLab it is the other way round, and what the match moves at the outline is a seam again.
"""

from __future__ import annotations

from understudy.core.blend import Wants, hist_match, seamless
from understudy.core.frames import Float

WANTS = Wants(whole=True, seen=True)


def finish(plate: Float, face: Float, matte: Float, *, seen: Float | None = None) -> Float:
    """The face with the plate's distribution, then corrected to meet the plate all around the matte.

    Args:
        seen: (h, w) in [0, 1], under which the distributions count; None: `matte`.
    """
    matched = hist_match.finish(plate, face, matte if seen is None else seen)
    return seamless.finish(plate, matched, matte)
