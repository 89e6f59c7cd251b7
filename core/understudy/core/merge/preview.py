"""One frame of a merge to look at, by models as they are now; nothing is written.

What would take other frames' networks is left out, so that a frame costs one inference: the colour match is fitted to
the frame alone, and there is no grain, denoising or steadying of masks. All else is the merge's own stages.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import cv2

from understudy.core import drawing, plate
from understudy.core.colour import ColourConfig
from understudy.core.frames import Array
from understudy.core.kept import Kept
from understudy.core.merge import casting, layers, shot
from understudy.core.merge.finish import Finish
from understudy.core.merge.job import Job
from understudy.core.merge.mattes import as_float
from understudy.core.merge.settings import MergeSettings
from understudy.core.model.swap import SwapModel
from understudy.core.weights import WeightStore

_BUDGET = 2 << 30  # bytes, where nobody says what may be kept
_LEFT_OUT = ("grain", "denoise", "mask_smooth")


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A frame as it would be written.

    Attributes:
        job: the frame, put together.
        finish: how it would be written.
        iteration: of the first person's model.
        warnings: what a person should know of the frame, and what of the look is left out.
    """

    job: Job
    finish: Finish
    iteration: int
    warnings: tuple[str, ...]

    def picture(self, size: int = 0) -> Array:
        """(H, W, 3) uint8, the viewing proxy in sRGB of the first view.

        Args:
            size: pixels of the longer side at most; 0: as the plate has it.
        """
        view, colour = self.job.views[0], self.finish.colour
        assert view.frame is not None
        assert view.ground is not None
        frame = replace(view.frame, planes=view.ground.planes, maximum=1.0)
        rgb, _ = layers.working(frame, frame.data, view.ground.space, colour)
        scale = size / max(rgb.shape[:2])
        if size and scale < 1.0:
            width, height = (max(1, round(side * scale)) for side in rgb.shape[1::-1])
            rgb = as_float(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA))
        return drawing.shown(rgb, 1.0, colour)

    def exr(self) -> bytes:
        """The file of the first view as a merge writes it, with all layers and what its header says."""
        made = self.finish.put_together(self.job)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "preview.exr"
            plate.write(made, path)
            return path.read_bytes()


class Previewer:
    """Shows one frame after the other.

    Args:
        kept: models that stay in memory: people step through a shot.
    """

    def __init__(
        self, colour: ColourConfig, store: WeightStore | None = None, kept: Kept | None = None
    ) -> None:
        self._colour, self._store, self._kept = colour, store, kept or Kept(_BUDGET)

    def show(self, settings: MergeSettings, lent: Mapping[Path, SwapModel]) -> Shown:
        """Swap everybody's face on the first of the wanted frames. `settings.out` is not touched.

        Args:
            lent: real path of a model's folder → the network to take in its place, of a training say.

        Raises:
            FrameMissing, FrameUnreadable: of the frame.
            As `shot.run`, but for what comes of writing.
        """
        views = shot.views_of(settings)
        shot.check_plate(settings, views, self._colour)
        people = casting.load(settings, views, self._colour, lent, self._kept)
        stages = shot.ready(settings, self._colour, views=views, people=people, store=self._store, alone=True)
        job = stages.show(next(iter(settings.wanted)))
        left = [name for name in _LEFT_OUT if any(p.recipe.ever(name) for p in settings.people)]
        said = [f"a preview leaves out {', '.join(left)}"] if left else []
        return Shown(
            job=job,
            finish=stages.finish,
            iteration=people[0].model.iteration,
            warnings=(*said, *job.warnings),
        )

    def forget(self) -> None:
        """Let go of what is kept in memory."""
        self._kept.clear()
