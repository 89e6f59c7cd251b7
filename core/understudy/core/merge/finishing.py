"""What is done to a face after its colour match, step by step, as a frame's look says.

In the crop: its own noise goes, the plate's light falls on it, it gets more pixels and the detail for them, it is
sharpened. On the way to the plate it is made larger or smaller, in the same resampling. On the plate, after the
blend: motion blur, which takes the matte along, then what makes it as poor as its plate, and grain last, for a camera
sees all else before its own noise.

Super-resolution comes after noise and light, which are measured and compared pixel by pixel at the network's size,
and before sharpening, whose halos it would take for edges of the face.

A blend that shows the face as the network made it (`Wants.raw`) has none of this.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, cast

import numpy as np

from understudy.core import _plugins
from understudy.core.blend import Blend, wants
from understudy.core.enhance import Enhancer
from understudy.core.enhance.lanczos import Lanczos
from understudy.core.enhancer.config import FACTOR
from understudy.core.face import Alignment
from understudy.core.faceset import beside
from understudy.core.finish import degrade, grain, place, sharpen
from understudy.core.finish.denoise import denoise
from understudy.core.finish.motion import Motion, blur, motion
from understudy.core.finish.relight import FAMILY, Relight
from understudy.core.frames import Float, Window
from understudy.core.merge.analysis import Placed
from understudy.core.merge.grains import Grains
from understudy.core.merge.recipe import Recipe
from understudy.core.reports import Warned

_PLAIN = Recipe()
_STEPS = (
    "denoise",
    "relight",
    "super_resolution",
    "sharpen",
    "face_scale",
    "motion_blur",
    "degrade",
    "degrade_colour",
    "grain",
    "keep_highlights",
)
_RADIUS = (0.1, 100.0)  # pixels, of `Sharpen`
_NOISE = 4.0  # grains to the radius of a window that tells noise from picture
_WIDEST = 50  # pixels of that radius


@lru_cache(maxsize=64)
def blend_of(name: str) -> Blend:
    """The member of the family `blend`."""
    return cast("Blend", _plugins.load("blend", name, field="recipe.blend"))


@lru_cache(maxsize=64)
def _relighter(name: str) -> Relight:
    return cast("Relight", _plugins.load(FAMILY, name, field="recipe.relight"))


def look_at(recipe: Recipe, number: int) -> Recipe:
    """The look of a frame: with its overrides; without finish and kept highlights where its blend wants none."""
    look = recipe.at(number)
    return _bare(look) if wants(blend_of(look.blend)).raw else look


@lru_cache(maxsize=64)
def _bare(look: Recipe) -> Recipe:
    off: dict[str, Any] = {name: getattr(_PLAIN, name) for name in _STEPS}
    return replace(look, **{**off, "keep_highlights": False})


def _finer(look: Recipe, number: int) -> str:
    """The member of `enhance` that is to work on a frame; empty: none."""
    idle = look.super_resolution == _PLAIN.super_resolution or not look.super_resolution_amount.at(number)
    return "" if idle else look.super_resolution


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What of a face comes to the plate.

    Attributes:
        face: (h, w, 3) scene-linear in the working space, with its grain.
        matte: (h, w) in [0, 1].
        grain: (h, w, 3) what of `face` is grain, or None: none was added.
    """

    face: Float
    matte: Float
    grain: Float | None


@dataclass(frozen=True, kw_only=True)
class Finishing:
    """The finish of one merge. Stateless from frame to frame: what goes by neighbours goes by the analysis.

    Attributes:
        placed: view → frame number → the face there, over the whole shot.
        person: whose face it is, where there are several: each has grain of their own.
        grains: None where no frame's look needs to know.
        enhancers: by name, those that any frame's look asks for.
    """

    placed: Mapping[str, Mapping[int, Placed]]
    person: str = ""
    grains: Grains | None = None
    enhancers: Mapping[str, Enhancer] = field(default_factory=dict)

    def warned(self, recipe: Recipe) -> Iterator[Warned]:
        """What of the look cannot be had on any frame."""
        if self.grains and recipe.ever("grain") and self.grains.plate is None:
            text = "grain: too little of the plate is flat to measure its grain; faces get none"
            yield Warned(reason="GRAIN_UNKNOWN", message=text)
        if self.grains and recipe.ever("denoise") and self.grains.crop is None:
            text = "denoise: too little of the new face is flat to measure its noise; it is left as it is"
            yield Warned(reason="NOISE_UNKNOWN", message=text)

    def identity(self, view: str, number: int, look: Recipe) -> list[Any]:
        """What shapes a frame beside its own face and look, as JSON can hold it."""
        found: list[Any] = []
        if moves := self.moves(view, number, look):
            found += [moves.velocity.ravel().tolist(), moves.bend.ravel().tolist()]
        if self.grains and (look.grain.at(number) or look.denoise.at(number)):
            found += [self.grains.to_dict(), self.person]
        if name := _finer(look, number):
            found.append([name, self.enhancers[name].digest])
        return found

    def back(self, placed: Placed, look: Recipe) -> Alignment:
        """The alignment by which the crop goes to the plate."""
        return place.resized(placed.alignment, 1.0 + look.face_scale.at(placed.face.frame) / 100.0)

    def moves(self, view: str, number: int, look: Recipe) -> Motion | None:
        """How the face moves while the shutter is open; None where there is no motion blur, or no face."""
        faces = self.placed.get(view, {})
        here, before, after = (faces.get(n) for n in (number, number - 1, number + 1))
        if here is None or not look.motion_blur.at(number):
            return None
        return motion(
            here.face.landmarks.points,
            None if before is None or here.face.cut else before.face.landmarks.points,
            None if after is None or after.face.cut else after.face.landmarks.points,
            pixel_aspect=here.record.pixel_aspect,
        )

    def on_crop(
        self, face: Float, crop: Float, skin: Callable[[], Float], placed: Placed, look: Recipe
    ) -> Float:
        """The matched face (S, S, 3), finished as far as the crop goes; itself where nothing is to be done. With
        super-resolution it comes back larger, on the same square.

        Args:
            face: scene-linear in the working space.
            crop: (S, S, 3) the plate there, likewise.
            skin: gives (S, S), where both show skin.
        """
        number = placed.face.frame
        noise = self.grains.crop if self.grains else None
        if (amount := look.denoise.at(number)) and noise is not None:
            radius = min(max(4, round(_NOISE * float(noise.size.max()))), _WIDEST)
            face = denoise(face, noise, amount, radius=radius)
        gain = np.float32(placed.gain)  # what follows tells light from black at an exposed face's levels
        if look.relight != _PLAIN.relight and (amount := look.relight_amount.at(number)):
            softness = look.relight_softness.at(number)
            lit = _relighter(look.relight).relight(face * gain, crop * gain, skin(), amount, softness)
            face = lit / gain
        if name := _finer(look, number):
            share = np.float32(look.super_resolution_amount.at(number) / 100.0)
            face = self._enlarged(face * gain, name, placed.alignment.face_type, share) / gain
        if amount := look.sharpen.at(number):
            back = beside.scaled(self.back(placed, look), len(face))
            across = float(np.linalg.norm(back.matrix[:, 1]))  # crop px to one plate px
            how = sharpen.Sharpen(
                amount=amount,
                kind=look.sharpen_kind,
                radius=float(np.clip(look.sharpen_radius.at(number) * across, *_RADIUS)),
                threshold=look.sharpen_threshold.at(number),
            )
            face = sharpen.sharpen(face * gain, how) / gain
        return face

    def _enlarged(self, face: Float, name: str, face_type: str, share: np.float32) -> Float:
        """(S, S, 3) exposed → (2S, 2S, 3): with that share of an enhancer's detail, over what Lanczos gives."""
        size = FACTOR * len(face)
        made = self.enhancers[name].enlarge(face, size, face_type)
        if share == 1.0:
            return made
        plain = Lanczos().enlarge(face, size)
        return plain + share * (made - plain)

    def is_idle_on_plate(self, look: Recipe, number: int) -> bool:
        """Whether `on_plate` gives back what it is given, so that a face need be made under its matte only."""
        return not any(
            each.at(number) for each in (look.motion_blur, look.degrade, look.degrade_colour, look.grain)
        )

    def on_plate(
        self,
        face: Float,
        whole: Float,
        mixed: Callable[[Float], Float],
        look: Recipe,
        *,
        placed: Placed,
        view: str,
        window: Window,
    ) -> Finished:
        """The blended face on the plate's window, finished.

        Args:
            face: (h, w, 3) scene-linear in the working space.
            whole: (h, w) in [0, 1], what of it there would be if nothing stood before it.
            mixed: makes of that, blurred or not, the matte that the mix uses.
        """
        number = placed.face.frame
        if moves := self.moves(view, number, look):
            face, whole = blur(face, whole, moves, window, shutter=look.motion_blur.at(number))
        matte = mixed(whole)
        if lost := look.degrade.at(number):
            face = degrade.soften(face, 1.0 - lost / 100.0)
        if amount := look.degrade_colour.at(number):
            face = degrade.posterise(face, look.degrade_steps.at(number), amount)
        added = self._grain(face, matte, placed, view, look)
        return Finished(face=face if added is None else face + added, matte=matte, grain=added)

    def _grain(self, face: Float, matte: Float, placed: Placed, view: str, look: Recipe) -> Float | None:
        number = placed.face.frame
        amount, known = look.grain.at(number), self.grains
        if not amount or known is None or known.plate is None:
            return None
        wanted = known.plate
        if known.face is not None:
            left = max(0.0, 1.0 - look.denoise.at(number))
            wanted = grain.missing(wanted, replace(known.face, deviations=left * known.face.deviations))
        seed = (number, *(zlib.crc32(each.encode()) for each in (view, self.person)))
        made = grain.layer(wanted, face, seed, amount=amount)
        # beyond the matte nothing is mixed, and whoever grows it wants the face's grain as it is
        return np.where(matte[..., None] > 0.0, grain.through(made, matte), made)
