"""Small shots on disk for the tests of merge: plates, facesets and models by the real writers, no portrait in them.

What stands in for a face is a set of 68 landmarks over a smooth pattern of colours, some below 0 and some far above 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np

from understudy.core import align, faceset, plate, release, warp
from understudy.core.colour import ColourConfig
from understudy.core.face import Face, Landmarks
from understudy.core.frames import Frame, FrameRange, Window
from understudy.core.merge.recipe import Curve, Recipe
from understudy.core.merge.settings import MergeSettings, Person
from understudy.core.plate import Plate, Template

FIRST = 1001
DATA = Window(-4, -2, 168, 124)  # overscan of 4 and 2 around the format
DISPLAY = Window(0, 0, 160, 120)
DAY = date(2026, 3, 1)
CENTRE = (70.0, 55.0)  # of the face on the first frame
EYES = {"left": 0, "right": -7}  # how many pixels to the side of where it is in mono each eye sees everything
OF_A_PERSON = ("name", "faceset", "model", "recipe", "track", "segmenter", "enhancer", "user_mattes")
FAST = Recipe(feather=Curve.constant(4.0), smooth=3)


def landmarks(centre: tuple[float, float], width: float, roll: float = 0.0):
    """(68, 2) float32 in plate pixels, iBUG order: a face `width` pixels wide, drawn with a ruler."""
    t = np.linspace(np.pi, 0.0, 17)
    jaw = np.stack([0.5 * np.cos(t), 0.58 * np.sin(t)], axis=1)
    brow = np.stack([np.linspace(-0.42, -0.1, 5), [-0.17, -0.22, -0.24, -0.22, -0.18]], axis=1)
    bridge = np.stack([np.zeros(4), np.linspace(-0.08, 0.14, 4)], axis=1)
    nostrils = np.stack([np.linspace(-0.1, 0.1, 5), [0.18, 0.2, 0.21, 0.2, 0.18]], axis=1)
    eye = np.array(
        [(-0.32, -0.06), (-0.26, -0.1), (-0.2, -0.1), (-0.14, -0.05), (-0.2, -0.03), (-0.26, -0.03)]
    )
    s = np.linspace(np.pi, -np.pi, 12, endpoint=False)
    outer = np.stack([0.18 * np.cos(s), 0.36 - 0.07 * np.sin(s)], axis=1)
    r = np.linspace(np.pi, -np.pi, 8, endpoint=False)
    inner = np.stack([0.14 * np.cos(r), 0.36 - 0.03 * np.sin(r)], axis=1)
    mirror = np.array([-1.0, 1.0])
    other_eye = (eye * mirror)[[3, 2, 1, 0, 5, 4]]
    points = np.concatenate(
        [jaw, brow, (brow * mirror)[::-1], bridge, nostrils, eye, other_eye, outer, inner]
    )
    a = np.deg2rad(roll)
    turn = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    return (points * width @ turn.T + centre).astype(np.float32)


def face_at(number: int, *, track: int = 0, centre: tuple[float, float] = CENTRE) -> Face:
    """The face of frame `number`, which drifts to the right and leans, a little unsteadily."""
    step = number - FIRST
    jitter = 0.3 * np.sin(step * 2.4)
    points = landmarks((centre[0] + 1.5 * step + jitter, centre[1] + 0.5 * step), 44.0, 2.0 * step)
    low, high = points.min(axis=0), points.max(axis=0)
    return Face(
        frame=number,
        box=(float(low[0]), float(low[1]), float(high[0]), float(high[1])),
        landmarks=Landmarks(scheme="68", points=points),
        score=0.9,
        yaw=3.0 * step,
        track=track,
    )


def picture(number: int, data: Window = DATA):
    """(H, W, 3) float32 scene-linear: smooth colours from -0.05 to about 2, with a highlight of 150 on the face."""
    y, x = np.mgrid[data.y : data.y1, data.x : data.x1].astype(np.float32)
    step = number - FIRST
    rgb = np.stack(
        [0.25 + 0.2 * np.sin((x + step) / (9.0 + 3 * i) + y / (14.0 + i)) for i in range(3)], axis=-1
    )
    rgb += np.random.default_rng(number).normal(0.0, 0.01, rgb.shape)
    rgb[(x - 60) ** 2 + (y - 50) ** 2 < 9] = 150.0
    rgb[20:24, 10:30] = -0.05
    return rgb.astype(np.float32)


def frame(
    number: int,
    *,
    dtype: type = np.float16,
    holes: bool = True,
    data: Window = DATA,
    display: Window = DISPLAY,
) -> Frame:
    """One frame with alpha, depth and an AOV, timecode and rate, and NaN and Inf in it."""
    rgb = picture(number, data).astype(dtype)
    planes = {c: rgb[..., i].copy() for i, c in enumerate("RGB")}
    planes["A"] = (
        np.linspace(0, 1, rgb.shape[0], dtype=np.float32)[:, None].repeat(rgb.shape[1], 1).astype(np.float16)
    )
    planes["depth.Z"] = (rgb[..., 0].astype(np.float32) * 100.0).astype(np.float32)
    planes["spec.R"], planes["spec.G"], planes["spec.B"] = (
        rgb[..., i] * np.array(0.5, dtype) for i in range(3)
    )
    if holes:
        planes["R"][5, 7] = np.nan  # outside any face
        planes["G"][60, 76] = np.nan  # on the face
        planes["B"][61, 77] = np.inf
        planes["depth.Z"][3, 3] = np.nan
    metadata = {
        "timeCode": plate.Typed("timecode", (number % 24, 0)),
        "framesPerSecond": plate.Typed("rational", (24000, 1001)),
        "owner": "a studio",
        "acme/shot": "sh010",
        "compression": "zip",
    }
    return Frame(number=number, planes=planes, display=display, data=data, metadata=metadata)


def eye(number: int, view: str, **options) -> Frame:
    """What one eye sees of `frame`."""
    mono = frame(number, **options)
    planes = {name: np.roll(plane, EYES[view], axis=1) for name, plane in mono.planes.items()}
    return replace(mono, planes=planes)


def multi_view(number: int, **options) -> Frame:
    """Both eyes in one part, by OpenEXR's names: the default view's first layer is plain."""
    left, right = (eye(number, view, **options) for view in EYES)
    planes = {_in_view(name, "left"): plane for name, plane in left.planes.items()}
    planes |= {_in_view(name, "right"): plane for name, plane in right.planes.items()}
    metadata = {**left.metadata, "multiView": plate.Typed("stringvector", tuple(EYES))}
    return replace(left, planes=planes, metadata=metadata)


def _in_view(name: str, view: str) -> str:
    """`R` and `depth.Z` become `right.R` and `depth.right.Z`; the left eye is the default view."""
    layer, _, channel = name.rpartition(".")
    return ".".join(word for word in (layer, view if layer or view != "left" else "", channel) if word)


def view_parts(number: int, **options) -> Frame:
    """Each eye in a part of its own."""
    left, right = (
        replace(seen, name=f"rgba.{view}", metadata={**seen.metadata, "view": view})
        for view, seen in ((view, eye(number, view, **options)) for view in EYES)
    )
    return replace(left, others=(right,))


@dataclass(frozen=True, kw_only=True)
class Shot:
    """A plate, its faceset and where output goes."""

    plate: Plate
    faceset: Path
    folder: Path

    def settings(self, model: Path, out: str = "out/comp.####.exr", **changes) -> MergeSettings:
        """Of one person, or of `people`; `changes` are of the merge, or of the one person."""
        items: dict[str, Any] = {
            "on": DAY,
            "plate": self.plate,
            "out": Template.parse(str(self.folder / out)),
        }
        items |= {name: changes.pop(name) for name in [*changes] if name not in OF_A_PERSON}
        one: dict[str, Any] = {"recipe": FAST, "faceset": self.faceset, "model": model, **changes}
        return MergeSettings(**{"people": (Person(**one),), **items})


def make(
    folder: Path,
    *,
    numbers: Sequence[int] = tuple(range(FIRST, FIRST + 6)),
    without_face: Sequence[int] = (FIRST + 4,),
    colour_space: str = "ACEScg",
    name: str = "plate.####.exr",
    frames: dict[int, Frame] | None = None,
) -> Shot:
    """Write plate and faceset; `frames` replaces what is written on some numbers."""
    template = Template.parse(str(folder / "plate" / name))
    for number in numbers:
        plate.write((frames or {}).get(number) or frame(number), template.path(number))
    write_faceset(folder / "faceset", [n for n in numbers if n not in without_face], template.text)
    whole = FrameRange.from_frames(numbers)
    found = Plate(template=template, frames=whole, present=whole, colour_space=colour_space)
    return Shot(plate=found, faceset=folder / "faceset", folder=folder)


def make_stereo(
    folder: Path,
    layout: str = "multi_view",
    *,
    numbers: Sequence[int] = (FIRST, FIRST + 1),
    without_face: Mapping[str, Sequence[int]] = MappingProxyType({}),
    colour_space: str = "ACEScg",
    frames: dict[int, Frame] | None = None,
) -> Shot:
    """Write a plate of two eyes and its faceset.

    `layout` is `multi_view`, `view_parts` (functions of this module) or `files`, which is a file for each eye.
    `without_face`: view → the frames where that eye does not see the face.
    """
    name = "plate.%V.####.exr" if layout == "files" else "plate.####.exr"
    template = Template.parse(str(folder / "plate" / name))
    whole = {"multi_view": multi_view, "view_parts": view_parts}.get(layout)
    for number in numbers:
        if whole:
            plate.write((frames or {}).get(number) or whole(number), template.path(number))
        for view in () if whole else EYES:
            plate.write(eye(number, view), template.of_view(view).path(number))
    for view, shift in EYES.items():
        seen = [n for n in numbers if n not in without_face.get(view, ())]
        centre = (CENTRE[0] + shift, CENTRE[1])
        write_faceset(folder / "faceset", seen, template.text, view=view, centre=centre)
    found = plate.find(template.text, FrameRange.from_frames(numbers), colour_space)
    return Shot(plate=found, faceset=folder / "faceset", folder=folder)


def write_faceset(
    folder: Path,
    numbers: Sequence[int],
    plate_text: str,
    size: int = 96,
    *,
    view: str = "",
    centre: tuple[float, float] = CENTRE,
    squeeze: float = 1.0,
    track: int = 0,
) -> None:
    """A faceset as extraction would make it, in the working space; `squeeze` is the plate's pixel aspect."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        face = face_at(number, centre=centre, track=track)
        points = (face.landmarks.points / np.array([squeeze, 1.0])).astype(np.float32)
        face = replace(face, landmarks=replace(face.landmarks, points=points))
        alignment = align.fit(points, "whole", size, squeeze)
        record = faceset.FaceRecord(
            path=folder / f"dst{view and '_'}{view}_t{track}.{number:04d}.exr",
            face=face,
            alignment=alignment,
            plate=plate_text,
            gain=0.7,
            colour="ACEScg",
            pixel_aspect=squeeze,
            view=view,
        )
        faceset.write(record, warp.to_aligned(picture(number), DATA, alignment))


def make_release(**changes) -> release.Release:
    items = {"subject": "performer-a", "kind": "test", "granted_by": "test clip", "granted": DAY}
    return release.create(**{**items, **changes})


def user_matte(folder: Path, numbers: Sequence[int]) -> Template:
    """A roto: left half open, its edge soft; an alpha alone, over the format only."""
    template = Template.parse(str(folder / "roto.####.exr"))
    for number in numbers:
        ramp = np.clip((80.0 - np.arange(DISPLAY.width)) / 8.0, 0.0, 1.0)
        alpha = np.broadcast_to(ramp, (DISPLAY.height, DISPLAY.width)).astype(np.float32)
        shown = Frame(number=number, planes={"A": cv2.blur(alpha, (3, 3))}, display=DISPLAY, data=DISPLAY)
        plate.write(shown, template.path(number))
    return template


def colour() -> ColourConfig:
    return ColourConfig.open(None)


def of(settings: MergeSettings, **changes) -> MergeSettings:
    """The same merge of one person, of whom these are changed."""
    (person,) = settings.people
    return replace(settings, people=(replace(person, **changes),))


def keyed(settings: MergeSettings, **recipe) -> MergeSettings:
    """The same merge with another recipe."""
    return of(settings, recipe=replace(settings.people[0].recipe, **recipe))


class Mirror:
    """A network that gives every face back as it sees it, its matte wide open: what is then lost, the merge lost."""

    digest, iteration, resolution, face_type = "mirror", 0, 64, "whole"

    def __init__(self, size: int = 64) -> None:
        self.resolution = size
        self.releases = (make_release(),)
        self.curve: dict[str, float] = {}
        self.working_space = self.colour = ""  # of any config
        self.config = self.state = self  # of a `SwapModel` a merge looks at these

    def swap(self, crops):
        return crops.copy(), np.ones(crops.shape[:3], np.float32)

    def swap_and_dst(self, crops):
        return (*self.swap(crops), np.ones(crops.shape[:3], np.float32))


def tiny_model(folder: Path, releases: Sequence[release.Release] | None = None, seed: int = 3) -> Path:
    """A real DF model of 64 pixels and few dims, saved as training saves it; its weights are random but fixed."""
    import torch

    from understudy.core.model import store
    from understudy.core.model.df import DF
    from understudy.core.model.presets import ModelConfig

    config = ModelConfig(
        resolution=64, options="", e_dims=4, d_dims=4, d_mask_dims=2, ae_dims=8, face_type="whole"
    )
    generator = torch.Generator().manual_seed(seed)
    weights = DF(config).state_dict()
    for name, weight in weights.items():
        scale = 0.05 if name.endswith("bias") else 1.4 / max(weight[0].numel(), 1) ** 0.5
        weights[name] = torch.randn(weight.shape, generator=generator) * scale
    for name in weights:  # a matte that is mostly there
        if name.endswith("out_matte.bias"):
            weights[name] = weights[name] + 3.0
    records = (make_release(),) if releases is None else releases
    store.create(folder, config)
    store.save(folder, store.State(iteration=7, releases=tuple(records)), weights, {})
    return folder
