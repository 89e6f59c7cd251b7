"""Ways to put the face onto the plate.

A member is a module with the functions of `Blend`. Whatever it does, it ends in a *finished face*, so that
the published rule, mix(plate, face, matte), holds for every member and a compositor can redo it (promise 4).

What other tools call these modes (DeepFaceLab's names first):

- overlay: `over`. The name stays, for to a compositor "overlay" is another operation.
- hist-match, seamless, seamless-hist-match: `hist_match`, `seamless`, `seamless_hist_match`.
- raw-rgb: `raw_rgb`, the whole square of the network's face, untouched; with the mask, `raw_rgb_mask`.
- raw-predict, the network's own square picture and mask: the pictures are what a merge writes to `aligned/`;
  `raw_predict` is the same two on the plate.
- original: opacity 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, cast

from understudy.core.frames import Float


class Blend(Protocol):
    """What a module of this family offers."""

    def finish(self, plate: Float, face: Float, matte: Float) -> Float:
        """The finished face (h, w, 3): mixed over the plate by the matte it gives this blend's picture.

        Args:
            plate: (h, w, 3) scene-linear, finite, may exceed 1 and be negative.
            face: (h, w, 3) likewise.
            matte: (h, w) in [0, 1], the one that the mix will use; with `Wants.whole`, nowhere less than that one.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Wants:
    """What a member asks the merge for, as `WANTS` in its module; one that has none asks for the defaults.

    Attributes:
        raw: the face as the network made it, before colour match and kept highlights.
        matte: by which it is mixed: the recipe's; the network's own, neither eroded nor feathered; or all of the crop.
            Opacity and the soft border of the crop's valid area count in any case.
        whole: `finish` is given the matte as it would be if nothing stood before the face, for one that goes by the
            matte's outline: a lock of hair that crosses the face is no outline.
        pointwise: `finish` gives the face as it is: it need be made under its matte only, and no plate in the working
            space.
        seen: `finish` is given `seen` too, the matte that the mix will use: for one that goes by the outline and by
            how the plate's pixels under the matte look, of which a lock of hair is none.
    """

    raw: bool = False
    matte: Literal["recipe", "network", "crop"] = "recipe"
    whole: bool = False
    pointwise: bool = False
    seen: bool = False


class _BySeen(Protocol):
    def finish(self, plate: Float, face: Float, matte: Float, *, seen: Float) -> Float: ...


def wants(member: object) -> Wants:
    """What a module of this family, or a studio's own, asks for."""
    found = getattr(member, "WANTS", Wants())
    assert isinstance(found, Wants), f"{member}: WANTS is {found!r}"
    return found


def finished(member: Blend, plate: Float, face: Float, matte: Float, whole: Callable[[], Float]) -> Float:
    """`member`'s finished face (h, w, 3), by the mattes that it asks for.

    Args:
        matte: (h, w) in [0, 1], the one that the mix will use.
        whole: gives the one that there would be if nothing stood before the face.
    """
    asked = wants(member)
    shape = whole() if asked.whole else matte
    if asked.seen:
        return cast("_BySeen", member).finish(plate, face, shape, seen=matte)
    return member.finish(plate, face, shape)
