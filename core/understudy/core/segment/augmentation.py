"""How far the samples of a segmenter's training stray. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, fields

from understudy.core.errors import InvalidInput

_CHANCES = (
    "flip",
    "background",
    "face_flare",
    "background_flare",
    "colour",
    "sharpen",
    "blur",
    "resize",
    "jpeg",
    "grain",
    "occluder",
)
_LIMITS = {
    "rotation": 180.0,
    "scale": 1.0,
    "shift": 0.5,
    "warp": 4.0,
    "hue": 180.0,
    "saturation": 1.0,
    "value": 1.0,
    "levels": 1.0,
    "noise": 0.25,
    "flare": 1.0,
    "shadow": 1.0,
}


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How far samples stray. What moves, moves picture and label alike; the rest is done to the picture alone.

    A network that sees eight labels and has to do well on a whole shot needs more of it than one that paints a face
    whose every expression is in the faceset. Faces stay faces here: DeepFaceLab also turns them green (`DFL`), which
    teaches not to trust colour at all, at the price of several times the iterations.

    Attributes:
        rotation: degrees either way.
        scale: a zoom between 1 / (1 + scale) and 1 + scale.
        shift: of the sample's side, either way.
        flip: chance of a mirror image.
        warp: strength of the grid warp; 1 is DeepFaceLab's, 0 none.
        background: chance that what is not face gives way, in part or all, to another sample's background.
        face_flare, background_flare: chance that the light of the face, or of the rest, spills over the picture.
        flare: how much of that light at most.
        colour: chance of another colour: in half of the cases a shift of hue, saturation and value, else of levels.
        hue: degrees either way.
        saturation, value: either way.
        levels: 1 moves black and white by up to a quarter of the range, on the way in and out, and has gamma between
            0.5 and 1.5; less is so much nearer to none.
        sharpen, blur, resize, jpeg: chances of over-sharpened; moved or out of focus; shrunk and enlarged again by up
            to 4; and compressed parts of the picture.
        grain: chance of noise.
        noise: its standard deviation at most, in codes.
        occluder: chance that something made up lies over the face (`occluders`).
        shadow: how dark the shadow is at most that it throws.
        binary: labels are 0 or 1, cut at 0.5, as DeepFaceLab has them; else edges stay soft.

    Raises:
        InvalidInput: names the field and the value.
    """

    rotation: float = 12.0
    scale: float = 0.1
    shift: float = 0.06
    flip: float = 0.4
    warp: float = 0.7
    background: float = 0.3
    face_flare: float = 0.1
    background_flare: float = 0.1
    flare: float = 0.4
    colour: float = 0.8
    hue: float = 12.0
    saturation: float = 0.3
    value: float = 0.25
    levels: float = 0.5
    sharpen: float = 0.15
    blur: float = 0.25
    resize: float = 0.2
    jpeg: float = 0.15
    grain: float = 0.3
    noise: float = 0.04
    occluder: float = 0.5
    shadow: float = 0.6
    binary: bool = False

    def __post_init__(self) -> None:
        limits = {**dict.fromkeys(_CHANCES, 1.0), **_LIMITS}
        for name in (field.name for field in fields(self) if field.name != "binary"):
            value = getattr(self, name)
            if not (isinstance(value, (int, float)) and 0.0 <= value <= limits[name]):
                raise InvalidInput(
                    f"augmentation: {name} {value!r} is not from 0 to {limits[name]:g}",
                    field=name,
                    value=value,
                )


NONE = Augmentation(
    **dict.fromkeys((*_CHANCES, *_LIMITS), 0.0)  # type: ignore[arg-type]  # `binary` is not among them
)
"""Samples as they are."""

DFL = Augmentation(
    rotation=10.0,
    scale=0.05,
    shift=0.05,
    flip=0.4,
    warp=1.0,
    background=0.5,
    face_flare=0.5,
    background_flare=0.5,
    flare=1.0,
    colour=1.0,
    hue=180.0,
    saturation=0.5,
    value=0.5,
    levels=1.0,
    sharpen=0.25,
    blur=0.25,
    resize=0.25,
    jpeg=0.25,
    grain=0.0,
    noise=0.0,
    occluder=0.0,
    shadow=0.0,
    binary=True,
)
"""DeepFaceLab's, for XSeg (samplelib/SampleGeneratorFaceXSeg.py)."""
