"""What is done for one person of a merge on every frame, from the crop to the finished picture. Stateless from
frame to frame.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from understudy.core import warp
from understudy.core.blend import wants
from understudy.core.errors import said_by
from understudy.core.frames import Float, Window
from understudy.core.match import Match
from understudy.core.merge import by_hand, enhancing
from understudy.core.merge.analysis import Placed
from understudy.core.merge.area import Swapped
from understudy.core.merge.composite import Compositor
from understudy.core.merge.expression import OCC
from understudy.core.merge.face_swap import Made, Swapper
from understudy.core.merge.finishing import blend_of, look_at
from understudy.core.merge.flicker import Deflicker
from understudy.core.merge.job import Job, Swap, View
from understudy.core.merge.layers import Ground
from understudy.core.merge.patch import Patch
from understudy.core.merge.settings import Person
from understudy.core.reports import Warned

_OVERLAP = 0.05  # of the smaller face: less is two cheeks that touch


@dataclass(frozen=True, kw_only=True)
class Performer:
    """One person of a merge, ready to be swapped.

    Attributes:
        index: which of the merge's people.
        name: for messages; empty where nobody else is swapped.
        prefix: what the names of their layers begin with.
        layers: those that every finished frame has of them, by their own names.
        placed: view → frame number → the face there, over the whole shot.
        deflicker: of the masks.
        maximum: of the swap curve.
    """

    index: int
    person: Person
    name: str
    prefix: str
    layers: tuple[str, ...]
    compositor: Compositor
    swapper: Swapper
    match: Match
    placed: Mapping[str, Mapping[int, Placed]]
    deflicker: Deflicker
    maximum: float

    def warned(self) -> list[Warned]:
        """What of their look cannot be had on any frame."""
        found = self.compositor.finishing.warned(self.person.recipe)
        return [replace(each, message=self.saying(each.message)) for each in found]

    def header(self) -> dict[str, str]:
        """What every output frame says of them beside `casting.Loaded.header`."""
        return enhancing.header(self.compositor.finishing.enhancers, self.person.enhancer)

    def about(self) -> dict[str, Any]:
        """What the manifest says of what was fitted over the shot, and of their layers."""
        finishing = self.compositor.finishing
        return {
            "enhancers": {name: each.digest for name, each in finishing.enhancers.items()},
            "grain": finishing.grains.to_dict() if finishing.grains else None,
            "layers": list(self.layers),
        }

    def saying(self, message: str) -> str:
        """The message, with whom it is about."""
        return f"{self.name}: {message}" if self.name else message

    @contextmanager
    def named(self) -> Iterator[None]:
        """Errors raised within say whom they are about."""
        with said_by(self.saying):
            yield

    def swap(self, view: str, number: int) -> Swap | None:
        """The face on one view of a frame, where there is one."""
        placed = self.placed.get(view, {}).get(number)
        if placed is None:
            return None
        look = look_at(self.person.recipe, number)
        return Swap(person=self.index, name=self.name, placed=placed, look=look)

    def is_outside(self, swap: Swap, data: Window) -> bool:
        """Whether the face lies wholly outside the picture: nothing of it is to be done, nor asked for."""
        back = self.compositor.finishing.back(swap.placed, swap.look)
        return any(warp.footprint(each, data).empty for each in (swap.placed.alignment, back))

    def identity(self, number: int, swaps: Sequence[tuple[View, Swap]]) -> list[Any]:
        """What shapes their faces on a frame beside the plate and what is the same on all frames, as JSON can hold it.

        Raises:
            FrameMissing, FrameUnreadable, InvalidInput: of a user's matte, or of a label.
        """
        masker, finishing = self.swapper.masker, self.compositor.finishing
        return [
            by_hand.identity(self.person.user_mattes, number, [view.name for view, _ in swaps]),
            {view.name: swap.placed.identity() for view, swap in swaps},
            [masker.made_of(swap.placed) for _, swap in swaps if masker.wants_occ],
            [self.deflicker.identity(view.name, number) for view, _ in swaps],
            [finishing.identity(view.name, number, swap.look) for view, swap in swaps],
        ]

    def align(self, job: Job, view: View, swap: Swap) -> None:
        """Cut the crop out of the plate. The filter reads a little beyond the footprint, so a little more is made
        linear.
        """
        frame, finishing = view.frame, self.compositor.finishing
        assert frame is not None
        swap.alignment = finishing.back(swap.placed, swap.look)
        seen, window = (warp.footprint(a, frame.data) for a in (swap.placed.alignment, swap.alignment))
        if moves := finishing.moves(view.name, job.number, swap.look):
            blurred = moves.reach(window, swap.look.motion_blur.at(job.number))
            window = _grown(window, blurred).intersect(frame.data)
        shrink = max(seen.width, seen.height) / swap.placed.alignment.size
        area = _around(_grown(seen, 8 + math.ceil(3.0 * shrink)), window).intersect(frame.data)
        swap.window = window
        space, colour = self.compositor.space, self.compositor.colour
        swap.pixels = Patch.of(frame, area, window, space, colour)
        swap.nonfinite = dict(swap.pixels.nonfinite)
        job.warnings += [
            view.saying(
                f"{at.count} pixels around the face are not finite in {channel}, {at}; the network saw them filled",
                swap,
            )
            for channel, at in swap.nonfinite.items()
        ]
        swap.crop = swap.pixels.crop(swap.placed.alignment)
        swap.said = by_hand.over(self.person.user_mattes, frame, view.name, window)

    def compute(self, job: Job, view: View, swap: Swap) -> None:
        """The networks, the mattes and the colour match: all that may run on an accelerator."""
        assert swap.crop is not None
        with job.timed("swap"):
            made = swap.made or self._swapped(job, view, swap)
        if self.swapper.masker.wants_occ and OCC not in made.mattes:
            text = "the face has neither a label nor a matte: mask_occ is empty"
            job.warnings.append(view.saying(text, swap))
        asked = wants(blend_of(swap.look.blend))
        if asked.raw:
            # whoever may grow the matte wants colours beyond it; whoever looks at the network, what it painted
            if asked.matte != "recipe":
                swap.made = made = replace(made, face=made.painted)
            swap.face = made.face
            return
        with job.timed("match"):
            swap.face = self._matched(job, view, swap, made)
        with job.timed("finish"):
            skin, finishing = partial(self.swapper.skin, made), self.compositor.finishing
            swap.face = finishing.on_crop(swap.face, swap.crop, skin, swap.placed, swap.look)

    def fit_alone(self, job: Job, view: View, swap: Swap) -> None:
        """Swap, and fit the colour match to this frame as if there were no other."""
        assert swap.crop is not None
        with job.timed("swap"):
            made = self._swapped(job, view, swap)
        with job.timed("match"):
            gain = np.float32(swap.placed.gain)
            numbers = self.match.measure(made.face * gain, swap.crop * gain, self.swapper.skin(made))
        if np.isfinite(numbers).all():
            swap.placed = replace(swap.placed, numbers=numbers)

    def _swapped(self, job: Job, view: View, swap: Swap) -> Made:
        assert swap.crop is not None
        steadied = partial(self.deflicker.over, view.name, job.number)
        swap.made = self.swapper.swap(swap.crop, swap.placed, steadied)
        return swap.made

    def _matched(self, job: Job, view: View, swap: Swap, made: Made) -> Float:
        placed = swap.placed
        if placed.numbers is None:
            text = "no frame of the shot shows enough face to match its colour"
            job.warnings.append(view.saying(text, swap))
            return made.face
        gain, amount = np.float32(placed.gain), swap.look.match_amount.at(job.number)
        matched: Float = self.match.apply(made.face * gain, placed.numbers, amount) / gain
        return matched

    def compose(self, job: Job, view: View, swap: Swap) -> None:
        """Warp the face back and mix it with the picture so far: the plate, and the faces that lie under this one."""
        assert view.frame is not None
        assert view.ground is not None
        assert swap.made is not None
        assert swap.alignment is not None
        assert swap.face is not None
        swapped = Swapped(
            placed=swap.placed,
            window=swap.window,
            view=view.name,
            look=swap.look,
            alignment=swap.alignment,
            made=swap.made,
            face=swap.face,
            plate=self._so_far(view, swap),
            said=swap.said,
        )
        finished = self.compositor.compose(view.frame, view.ground, swapped)
        view.ground = Ground(planes=finished.rgb, space=view.ground.space, own=True)
        view.finished = True
        swap.box = finished.box
        swap.matte = finished.matte
        if self.layers:
            view.layers |= {self.prefix + name: plane for name, plane in finished.layers.items()}
        job.warnings += [view.saying(text, swap) for text in (*finished.warnings, *_overlaps(view, swap))]

    def _so_far(self, view: View, swap: Swap) -> Patch:
        """What the blend sees: the plate; where other faces lie under this one, the picture with them."""
        assert swap.pixels is not None
        assert view.frame is not None
        assert view.ground is not None
        if not view.inside(swap.window).any():
            return swap.pixels
        picture = replace(view.frame, planes=view.ground.planes, maximum=1.0)
        return Patch.of(picture, swap.window, swap.window, view.ground.space, self.compositor.colour)

    def brightest(self, placed: Placed) -> float:
        """The largest value, in the working space, that the network says by itself."""
        return self.maximum / placed.gain


def _overlaps(view: View, swap: Swap) -> Iterator[str]:
    """Words for each face that this one lies over."""
    own = swap.covers(swap.box)
    for other in view.swaps[: view.swaps.index(swap)]:
        common = np.minimum(own, other.covers(swap.box)).sum()
        smaller = min(own.sum(), other.covers(other.box).sum())
        if common > _OVERLAP * smaller:
            yield f"the face lies over {other.name}'s: they share {common / smaller:.0%} of the smaller matte"


def _grown(window: Window, by: int) -> Window:
    """By so many pixels on all sides."""
    return Window(window.x - by, window.y - by, window.width + 2 * by, window.height + 2 * by)


def _around(one: Window, other: Window) -> Window:
    """The smallest window that holds both."""
    x, y = min(one.x, other.x), min(one.y, other.y)
    return Window(x, y, max(one.x1, other.x1) - x, max(one.y1, other.y1) - y)
