"""How much a swapped face flickers on real footage, before and after the recipe's temporal settings, and what they
cost in sharpness and in delay.

The network's face is one still picture of a stranger: all that moves on it beside the head, or changes its level, the
merge itself has made. It is measured along landmarks that are steadied over half a second, of the plate and alike for
all rows. The plate's own row is what a performance and grain look like in these numbers. Levels jump with a colour
match that is fitted to each frame; edges with masks that are.

`python -m bench.flicker [--clip NAME] [--frames N]`, of a clip in `$UNDERSTUDY_SHARED/footage` (default: ../shared).
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench import common, stand_ins
from bench.merge import of_plate, run
from understudy.core import plate, steady, track
from understudy.core.colour import ColourConfig
from understudy.core.face import Face
from understudy.core.faceset import Faceset
from understudy.core.frames import Float, Frame, FrameRange, Window
from understudy.core.merge.recipe import Recipe
from understudy.core.merge.settings import MergeSettings
from understudy.core.merge.steadiness import Look, Steadiness, measured
from understudy.core.plate import PLATE_SPACE, Plate, Template, ingest

FOLDER = common.FOLDER / "flicker"
MODEL = 128  # pixels
REFERENCE = 15  # frames over which the landmarks are steadied along which is measured
_MASK = "face*hull"
ROWS: Mapping[str, Recipe] = {
    "before: as detected, match per frame": Recipe(mask=_MASK, smooth=0, match_per_frame=True),
    "match by its drift": Recipe(mask=_MASK, smooth=0),
    "and landmarks over 3 frames": Recipe(mask=_MASK, smooth=3),
    "over 5, the default": Recipe(mask=_MASK),
    "over 9": Recipe(mask=_MASK, smooth=9),
    "default and masks over 5": Recipe(mask=_MASK, mask_smooth=5),
    "default, idt by its drift": Recipe(mask=_MASK, match="idt"),
    "default, idt per frame": Recipe(mask=_MASK, match="idt", match_per_frame=True),
}


@dataclass(frozen=True, kw_only=True)
class Shot:
    """What is looked at: a plate, and its faces with landmarks that hardly tremble."""

    settings: MergeSettings
    faces: Sequence[Face]

    @property
    def numbers(self) -> list[int]:
        return [face.frame for face in self.faces]


def main(arguments: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.flicker")
    parser.add_argument("--clip", default="performer_a")
    parser.add_argument("--frames", type=int, default=48)
    asked = parser.parse_args(arguments)
    video = Path(os.environ.get("UNDERSTUDY_SHARED", "../shared")) / "footage" / f"{asked.clip}.mp4"
    if not video.is_file():
        print(f"flicker: {video} is not there; UNDERSTUDY_SHARED names another folder")
        return
    settings = of_plate(_plate(video, asked.frames), FOLDER / "stranger")
    records = [r for r in Faceset.open(settings.people[0].faceset).records if r.face.track == 0]
    raw = [record.face for record in records]
    shot = Shot(settings=settings, faces=track.smooth(raw, REFERENCE))
    stranger = (
        of_plate(common.plate("astronaut", 1), FOLDER / "stranger", FOLDER / "astronaut").people[0].faceset
    )
    rows = list[tuple[str, ...]]()
    with stand_ins.as_network(stand_ins.stranger(Faceset.open(stranger), MODEL)):
        for name, recipe in ROWS.items():
            run(common.looking(settings, recipe))
            if not rows:
                rows.append(("plate", *_cells(measured(_looks(shot, shot.settings.plate.template))), ""))
            lag = steady.lag(_points(raw), _points(track.smooth(raw, max(recipe.smooth, 1))))
            rows.append((name, *_cells(measured(_looks(shot, settings.out))), f"{lag:+.2f}"))
    shutil.rmtree(settings.out.directory)
    common.show(
        f"flicker: {asked.clip}, {len(raw)} frames; stops RMS, sharpness in stops per px, lag in frames",
        ("", "warp", "edge", "level", "sharpness", "lag"),
        rows,
    )


def _cells(found: Steadiness) -> tuple[str, ...]:
    return (f"{found.warp:.3f}", f"{found.edge:.4f}", f"{found.level:.4f}", f"{found.sharpness:.3f}")


def _points(faces: Sequence[Face]) -> Float:
    return np.stack([face.landmarks.points for face in faces])


def _looks(shot: Shot, pictures: Template) -> Iterator[Look]:
    """The frames of a sequence under the mattes of the merge that is there, in the working space."""
    colour = ColourConfig.open(None)
    space = colour.resolve(str(shot.settings.plate.colour_space))
    for face in shot.faces:
        made = plate.read(shot.settings.out, face.frame)
        window = _around(made)
        shown = made if pictures == shot.settings.out else plate.read(pictures, face.frame)
        yield Look(
            number=face.frame,
            rgb=colour.to_working(shown.rgb(window), space),
            matte=made.planes["mask_blend.A"][window.slices(made.data)].astype(np.float32),
            window=window,
            points=face.landmarks.points,
        )


def _around(made: Frame) -> Window:
    """What the matte covers and a little more."""
    rows, columns = (np.flatnonzero((made.planes["mask_blend.A"] > 0).any(axis=axis)) for axis in (1, 0))
    x, y = int(columns[0]) - 8 + made.data.x, int(rows[0]) - 8 + made.data.y
    width, height = int(np.ptp(columns)) + 17, int(np.ptp(rows)) + 17
    return Window(x, y, width, height).intersect(made.data)


def _plate(video: Path, frames: int) -> Plate:
    """The first frames of a clip."""
    template = Template.parse(str(FOLDER / f"{video.stem}-{frames}" / f"{video.stem}.%04d.exr"))
    asked = FrameRange.of(1001, 1000 + frames)
    for _ in ingest(video, template, frames=asked):
        pass
    return plate.find(template.text, asked, PLATE_SPACE)


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
