"""The torture set merged with a small model, each plate once, whatever test asks for it first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.core import shots
from understudy.core import align, faceset, plate, warp
from understudy.core.colour import ColourConfig
from understudy.core.face import Face, Landmarks
from understudy.core.frames import Frame, FrameRange
from understudy.core.image import fill_nonfinite
from understudy.core.merge import shot
from understudy.core.merge.recipe import Curve, Recipe
from understudy.core.merge.settings import MergeSettings, Person
from understudy.core.plate import Template, torture
from understudy.core.plate.views import select
from understudy.core.reports import FrameReport, Report, Warned

GAIN = 0.7
RECIPE = Recipe(feather=Curve.constant(4.0), smooth=0, match="none")
PICTURES = {"parts_dotted": {1}, "stereo_parts": {0, 2}}
"""Which parts hold the picture that may change, where it is not the first."""
LINEAR = ("ACEScg", "ACES2065-1", "Linear Rec.709 (sRGB)")
_CROP = 64


@dataclass(frozen=True, kw_only=True)
class Merged:
    """One plate after its merge."""

    entry: dict[str, Any]
    settings: MergeSettings
    reports: list[Report]

    @property
    def frames(self) -> list[FrameReport]:
        return [r for r in self.reports if isinstance(r, FrameReport)]

    @property
    def warned(self) -> list[Warned]:
        return [r for r in self.reports if isinstance(r, Warned)]

    @property
    def views(self) -> list[str]:
        return self.entry["views"] or [""]

    @property
    def shown(self) -> bool:
        """Whether the head is in the picture."""
        return bool(self.entry["name"] != "face_outside")

    def files(self, number: int) -> list[tuple[Path, Path]]:
        """Plate and output of each file of a frame."""
        pair = (self.settings.plate.template, self.settings.out)
        views = self.views if self.settings.out.has_view else [""]
        return [tuple(t.of_view(view).path(number) for t in pair) for view in views]  # type: ignore[misc]

    def pair(self, number: int, view: str) -> tuple[Frame, Frame]:
        """Plate and output of one view of a frame, by our reader."""
        within = "" if self.settings.out.has_view else view
        theirs_at, ours_at = (t.of_view(view) for t in (self.settings.plate.template, self.settings.out))
        theirs, ours = (select(plate.read(at, number), within) for at in (theirs_at, ours_at))
        if self.settings.dpx:
            beside = ours_at.path(number).with_name(f"{self.entry['name']}_layers.{number:04d}.exr")
            ours = replace(ours, planes={**plate.read_file(beside, number).planes, **ours.planes})
        return theirs, ours


@dataclass(frozen=True)
class TortureBench:
    """The set on disk, a model, and the merges made so far."""

    root: Path
    colour: ColourConfig
    _merged: dict[str, Merged] = field(default_factory=dict)

    @cached_property
    def entries(self) -> dict[str, dict[str, Any]]:
        """Name → what the set's own index says of the plate; makes the set."""
        list(torture.run(self.root / "set"))
        listed = json.loads((self.root / "set" / torture.INDEX).read_text())["plates"]
        return {entry["name"]: entry for entry in listed}

    @cached_property
    def model(self) -> Path:
        return shots.tiny_model(self.root / "model")

    def settings(self, name: str) -> MergeSettings:
        entry = self.entries[name]
        found = plate.find(
            str(self.root / "set" / entry["pattern"]),
            FrameRange.from_frames([*entry["frames"], *entry.get("missing", ())]),
            colour_space=entry["colour_space"],
        )
        out = self.root / "out" / name / Path(entry["pattern"]).name
        return MergeSettings(
            plate=found,
            people=(Person(faceset=self.root / "faces" / name, model=self.model, recipe=RECIPE),),
            out=Template.parse(str(out)),
            on=shots.DAY,
            device="cpu",
        )

    def facing(self, settings: MergeSettings, other: str) -> MergeSettings:
        """The same with the faces of another plate, for one that no face can be cut from."""
        self.merged(other)
        return shots.of(settings, faceset=self.root / "faces" / other)

    def merged(self, name: str) -> Merged:
        """The plate of that name, merged now or before."""
        if name not in self._merged:
            settings = self.settings(name)
            self.write_faces(self.entries[name], settings)
            with one_thread():
                reports = list(shot.run(settings, colour=self.colour))
            self._merged[name] = Merged(entry=self.entries[name], settings=settings, reports=reports)
        return self._merged[name]

    def write_faces(self, entry: dict[str, Any], settings: MergeSettings) -> None:
        """The faceset that extraction would make, from the landmarks that are known."""
        folder = settings.people[0].faceset
        folder.mkdir(parents=True)
        template = settings.plate.template
        for view, frames in entry["landmarks"].items():
            for number, points in ((int(n), np.array(p, np.float32)) for n, p in frames.items()):
                file = plate.read(template.of_view(view), number)
                frame = select(file, "" if template.has_view else view)
                alignment = align.fit(points, "whole", _CROP, pixel_aspect=entry["pixel_aspect"])
                (x0, y0), (x1, y1) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
                record = faceset.FaceRecord(
                    path=folder / f"dst_t0{view}.{number:04d}.exr",
                    face=Face(
                        frame=number,
                        box=(x0, y0, x1, y1),
                        landmarks=Landmarks(scheme="68", points=points),
                        score=0.9,
                    ),
                    alignment=alignment,
                    plate=template.text,
                    gain=GAIN,
                    colour=self.colour.working,
                    pixel_aspect=entry["pixel_aspect"],
                    **({"view": view} if view else {}),
                )
                faceset.write(record, self._crop(frame, alignment, settings))

    def _crop(self, frame: Frame, alignment, settings: MergeSettings):
        assert settings.plate.colour_space is not None
        if warp.footprint(alignment, frame.data).empty:
            return np.full((_CROP, _CROP, 3), 0.18, np.float32)
        linear = self.colour.to_working(fill_nonfinite(frame.rgb())[0], settings.plate.colour_space)
        return warp.to_aligned(linear, frame.data, alignment)


@contextmanager
def one_thread() -> Iterator[None]:
    """For a network this small the others only get in each other's way."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def bits(plane):
    return np.ascontiguousarray(plane).view(f"u{plane.dtype.itemsize}")
