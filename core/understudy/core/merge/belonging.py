"""Whether the faces that a merge is given belong to its plate and its colour."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from understudy.core import plate
from understudy.core.colour import ColourConfig
from understudy.core.errors import FrameMissing, FrameUnreadable, InvalidInput
from understudy.core.faceset import FaceRecord, Faceset
from understudy.core.frames import FrameRange
from understudy.core.merge.settings import MergeSettings
from understudy.core.plate import Header, Template
from understudy.core.reports import Warned


def first_header(template: Template, settings: MergeSettings) -> Header | None:
    """Of the first frame that can be opened; None where none can, which every frame's report will say."""
    for path in map(template.path, settings.wanted):
        with suppress(FrameMissing, FrameUnreadable):
            return plate.read_header(path)
    return None


def strangers(
    faceset: Faceset, settings: MergeSettings, views: tuple[str, ...], colour: ColourConfig
) -> list[Warned]:
    """What should be said of a person's faces before they are put into a plate.

    Raises:
        InvalidInput: the faces' pixels are in another working space, so that a match fitted to them would be wrong.
    """
    texts = faceset.columns.texts
    if other := [space for space in texts["colour"].used() if space not in ("", colour.working)]:
        raise InvalidInput(
            f"{faceset.path}: was extracted in {other[0]!r}, but the working space of {colour.source} is "
            f"{colour.working!r}; extract again, or merge with the faceset's colour config",
            path=faceset.path,
            field="faceset",
            value=faceset.path,
        )
    found = []
    if other := [config for config in texts["config"].used() if config not in ("", colour.cache_id)]:
        what = f"another colour config (cache id {other[0]}) than {colour.source} ({colour.cache_id})"
        message = f"{faceset.path}: was extracted with {what}"
        found.append(Warned(reason="COLOUR_CONFIG_DIFFERS", message=message))
    sizes = _sizes(settings, views)
    if sizes and (other := [size for size in texts["plate_size"].used() if size not in ("", *sizes)]):
        message = (
            f"{faceset.path}: was extracted from pictures of {other[0]}, {settings.plate.template} is "
            f"{', '.join(sorted(sizes))}; faces are put where they were there"
        )
        found.append(Warned(reason="PLATE_DIFFERS", message=message))
    numbers, frames = np.unique(faceset.columns.frame), settings.plate.frames
    if len(numbers) and not any(int(number) in frames for number in numbers):
        where = FrameRange.from_frames(numbers.tolist())
        message = f"{faceset.path}: has faces on {where}, none of them among the plate's frames {frames}"
        found.append(Warned(reason="FACES_ELSEWHERE", message=message))
    return found


def _sizes(settings: MergeSettings, views: tuple[str, ...]) -> set[str]:
    """Of the plate's pictures, as the first frames that can be opened say; its views may have several."""
    files = {settings.plate.template.of_view(view) for view in views}
    first = [header for file in files if (header := first_header(file, settings))]
    return {part.display.size for header in first for part in (header, *header.others)}


_FARTHEST = 1e6  # pixels from the origin: no picture is so large, and no warp counts further


def refuse_sizeless(record: FaceRecord) -> None:
    """Refuse a face of which nobody knows where it is: no crop can be cut, and steadying would pass it on to others.

    Raises:
        InvalidInput: its landmarks are not finite, beyond all pictures, or all in one place.
    """
    points = record.face.landmarks.points
    if (np.abs(points) <= _FARTHEST).all() and np.ptp(points, axis=0).any():
        return
    raise InvalidInput(
        f"{record.path}: frame {record.face.frame}: its landmarks are not finite, beyond any picture or all "
        "in one place; reject the face (understudy faceset reject) or give its landmarks by hand",
        path=record.path,
        frame=record.face.frame,
        field="faceset",
        value=record.path,
    )
