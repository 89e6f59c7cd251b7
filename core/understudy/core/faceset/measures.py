"""What is measured of faces, once: sharpness, brightness, histograms, identity; the numbers that sorting goes by.

All numbers are taken from the viewing proxy of the crop in 8 bits at the shot's exposure, as a person and
DeepFaceLab's sorts see it; where it says "of the face", inside the landmarks' hull only.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from understudy.core import _plugins, drawing
from understudy.core.colour import ColourConfig
from understudy.core.errors import FrameMissing, FrameUnreadable, InvalidInput, NoFace
from understudy.core.faceset import keys as sort_keys
from understudy.core.faceset import reference
from understudy.core.faceset.measured import Table
from understudy.core.faceset.sharpness import cpbd, laplacian_variance
from understudy.core.faceset.store import Faceset
from understudy.core.frames import Array
from understudy.core.identity import Describer, IdentityLook
from understudy.core.matte.hull import hull
from understudy.core.pipeline import cores, overlapped
from understudy.core.reports import Advanced, Report, Started, Warned
from understudy.core.weights import WeightStore

NUMBERS = ("blur", "motion_blur", "brightness", "hue", "black", "luma", "green", "orange")
"""The measures that are one number a face: what sort keys of these names say."""

GROUP = "looks"
THUMBNAIL = 32  # pixels

_FLUSH = 512  # faces between two files, which is what a killed process loses
_STEP = 32  # faces between two reports
_LUMA = np.array([0.0722, 0.7152, 0.2126], np.float32)  # Rec.709, B G R
_GREEN = np.array([-0.25, 0.5, -0.25], np.float32)  # YCoCg (Malvar and Sullivan 2003), B G R
_ORANGE = np.array([-0.5, 0.0, 0.5], np.float32)


@dataclass(frozen=True, kw_only=True)
class MeasureSettings:
    """What to measure.

    Attributes:
        faceset: a folder or a pack.
        keys: of `keys.KEYS`, that one wants to sort by; none: all that need no reference. Whatever comes from the
            same look at a face is measured with it.
        reference: a face to measure distances to: an image of a faceset, or any picture with one face in it. Kept for
            later measurings of the same faceset.
        identity: member of that family, which says what a distance is.
    """

    faceset: Path
    keys: tuple[str, ...] = ()
    reference: Path | None = None
    identity: str = "appearance"

    def __post_init__(self) -> None:
        for key in self.keys:
            sort_keys.check(key, "keys")
        if self.identity not in (known := _plugins.names("identity")):
            raise InvalidInput(
                f"identity: no identity is called {self.identity!r}; there are {', '.join(known)}",
                field="identity",
                value=self.identity,
            )

    @property
    def looks(self) -> bool:
        """Whether pictures are measured, or faces described only."""
        needed = {m for key in self.keys for m in sort_keys.KEYS[key].measures}
        return not self.keys or bool(needed - {"reference"})


@dataclass
class _Batch:
    """What was measured and is not on the disk yet."""

    table: Table
    faces: list[int] = field(default_factory=list)
    rows: list[dict[str, Array]] = field(default_factory=list)

    def add(self, index: int, row: dict[str, Array]) -> None:
        self.faces.append(index)
        self.rows.append(row)
        if len(self.rows) >= _FLUSH:
            self.flush()

    def flush(self) -> None:
        if self.rows:
            columns = {name: np.stack([row[name] for row in self.rows]) for name in self.rows[0]}
            self.table.append(self.faces, columns)
            self.faces, self.rows = [], []


@dataclass(frozen=True)
class _Seen:
    """A face as it was read: what was measured of it, and what is to be described; or why it could not be read."""

    index: int
    looks: dict[str, Array] | None = None
    describe: bool = False
    look: IdentityLook | None = None
    trouble: str = ""


def run(settings: MeasureSettings, *, store: WeightStore, colour: ColourConfig) -> Iterator[Report]:
    """Measure the faces that are new or changed since the last time; memory does not grow with the faceset.

    Closing the generator keeps what was measured. A face whose file is broken is warned of, and is then known to have
    no numbers until the file changes.

    Raises:
        NotFound, InvalidInput: the faceset or the reference is not there, or shows no face or several.
        NoFace: the faceset is empty.
        WeightsMissing: the identity's network or package is not on this machine.
        WriteFailed, DiskFull: the measures could not be written.
    """
    faceset = Faceset.open(settings.faceset)
    if not len(faceset.columns.name):
        raise NoFace(f"{settings.faceset}: there is no face in it", path=settings.faceset, field="faceset")
    describer, kept = _describer(settings, faceset, store, colour)
    looks = Table(faceset, GROUP) if settings.looks else None
    described = Table(faceset, reference.group(kept.family)) if kept else None
    tables = [t for t in (looks, described) if t is not None]
    unknown = [~t.known for t in tables]
    todo = np.flatnonzero(np.logical_or.reduce(unknown)) if unknown else np.empty(0, np.int64)
    yield Started(total=len(faceset.columns.name), unit="face", skipped=len(faceset.columns.name) - len(todo))
    batches = {t.group: _Batch(t) for t in tables}
    see = partial(_see, faceset, looks, described, colour)
    describe = partial(_describe, describer, 0 if kept is None else len(kept.descriptor))
    try:
        yield from _measure(todo, see, describe, batches)
    finally:
        for batch in batches.values():
            batch.flush()
    now = Faceset.open(settings.faceset)  # another process may have measured faces that came meanwhile
    for group in batches:
        Table(now, group).compact()


def _describer(
    settings: MeasureSettings, faceset: Faceset, store: WeightStore, colour: ColourConfig
) -> tuple[Describer | None, reference.Reference | None]:
    """The identity network where distances are wanted, and to whom; a new reference is described and kept first.

    Raises:
        InvalidInput: distances are wanted and nobody ever said to whom.
    """
    if settings.reference is None and "reference" not in settings.keys:
        return None, None
    if settings.reference is not None:
        describer = reference.create(settings.identity, store)
        seen = reference.look(settings.reference, store, colour)
        reference.keep(faceset.path, settings.reference, settings.identity, seen, describer)
        return describer, reference.kept(faceset.path)
    kept = reference.kept(faceset.path)
    if kept is None:
        raise InvalidInput(
            "reference: distances to a reference face want one; name a picture of it",
            field="reference",
            value="",
        )
    return reference.create(kept.family, store), kept


def _measure(
    todo: npt.NDArray[np.int64],
    see: Callable[[int], _Seen],
    describe: Callable[[_Seen], tuple[_Seen, Array]],
    batches: dict[str, _Batch],
) -> Generator[Report, None, None]:
    source = (int(i) for i in todo)
    for done, (seen, row) in enumerate(overlapped(source, see, describe, _as_is, ahead=cores()), 1):
        if seen.trouble:
            yield Warned(reason="FRAME_UNREADABLE", message=seen.trouble)
        for group, batch in batches.items():
            if group == GROUP and seen.looks is not None:
                batch.add(seen.index, seen.looks)
            elif group != GROUP and seen.describe:
                batch.add(seen.index, {reference.COLUMN: row})
        if done % _STEP == 0 or done == len(todo):
            yield Advanced(done=done)


def _describe(describer: Describer | None, length: int, seen: _Seen) -> tuple[_Seen, Array]:
    """The descriptor of a face, NaN where it could not be read. One thread at a time."""
    if describer is None or seen.look is None or not seen.describe:
        return seen, np.full(length, np.nan, np.float32)
    return seen, np.asarray(describer.describe([seen.look])[0], np.float32)


def _as_is(item: tuple[_Seen, Array]) -> tuple[_Seen, Array]:
    return item


def _see(
    faceset: Faceset, looks: Table | None, described: Table | None, colour: ColourConfig, index: int
) -> _Seen:
    """Read one face and measure what is not known of it. Any thread may."""
    record = faceset.records[index]
    look_at, describe = (t is not None and not t.known[index] for t in (looks, described))
    try:
        proxy = drawing.shown(faceset.load(record), record.gain, colour)
    except (FrameMissing, FrameUnreadable) as error:
        return _Seen(index, looks=nothing() if look_at else None, describe=describe, trouble=error.message)
    points = record.alignment.apply(record.face.landmarks.points)
    measured = measure(proxy, points) if look_at else None
    look = IdentityLook(proxy=proxy.astype(np.float32) / 255.0, points=points.astype(np.float32))
    return _Seen(index, looks=measured, describe=describe, look=look)


def measure(proxy: Array, points: npt.NDArray[np.floating]) -> dict[str, Array]:
    """What sorting needs of one face.

    Args:
        proxy: (S, S, 3) uint8 sRGB.
        points: (68, 2) landmarks in its pixels.

    Returns:
        `numbers` (len(NUMBERS),) float32; `grey` (256,), `colours` (3, 256) float16, the roots of histograms' shares,
        of which a product's sum is Bhattacharyya's coefficient: grey of the face, and B, G, R of the whole crop;
        `thumbnail` (32, 32) uint8, grey; `face` (32, 32) uint8, the same, 128 but on the face, whose mean is 128.
    """
    bgr = np.ascontiguousarray(proxy[..., ::-1])
    grey = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
    inside = hull(points, proxy.shape[:2]).astype(np.uint8)
    face = inside > 0
    mean = np.array(cv2.mean(bgr, inside)[:3], np.float32) / 255.0
    planes = cv2.split(bgr)
    value = cv2.max(cv2.max(planes[0], planes[1]), planes[2])
    numbers = {
        "blur": cpbd(grey, face),
        "motion_blur": laplacian_variance(bgr, face),
        "brightness": float(cv2.mean(value)[0]) / 255.0,
        "hue": _hue(mean_of_all=cv2.mean(bgr)[:3]),
        "black": float(bgr.size - np.count_nonzero(bgr)),
        "luma": float(mean @ _LUMA),
        "green": float(mean @ _GREEN),
        "orange": float(mean @ _ORANGE),
    }
    centred = (grey.astype(np.float32) - cv2.mean(grey, inside)[0]) * inside
    return {
        "numbers": np.array([numbers[name] for name in NUMBERS], np.float32),
        "grey": _roots(grey, inside),
        "colours": np.stack([_roots(plane, None) for plane in planes]),
        "thumbnail": _small(grey),
        "face": np.clip(np.rint(_small(centred) + 128.0), 0, 255).astype(np.uint8),
    }


def nothing() -> dict[str, Array]:
    """What stands for a face that can not be read."""
    side = (THUMBNAIL, THUMBNAIL)
    return {
        "numbers": np.full(len(NUMBERS), np.nan, np.float32),
        "grey": np.full(256, np.nan, np.float16),
        "colours": np.full((3, 256), np.nan, np.float16),
        "thumbnail": np.zeros(side, np.uint8),
        "face": np.full(side, 128, np.uint8),
    }


def measured(faceset: Faceset) -> dict[str, npt.NDArray[np.float64]]:
    """(N,) float64 of each of `NUMBERS`, in the order of the records; NaN where a face is not measured."""
    numbers = Table(faceset, GROUP).column("numbers")
    if numbers is None:
        numbers = np.full((len(faceset.columns.name), len(NUMBERS)), np.nan, np.float32)
    return {name: numbers[:, i].astype(np.float64) for i, name in enumerate(NUMBERS)}


def _hue(mean_of_all: tuple[float, ...]) -> float:
    """Degrees, -180 to 180, of the mean colour: the mean of the hues as directions, each as long as the pixel is
    colourful. The mean of their numbers would make cyan out of two reds.
    """
    b, g, r = mean_of_all
    return float(np.degrees(np.arctan2(np.sqrt(3.0) * (g - b), 2.0 * r - g - b)))


def _roots(plane: Array, inside: Array | None) -> Array:
    """(256,) float16: square roots of the shares of a plane's code values."""
    counts = cv2.calcHist([plane], [0], inside, [256], [0, 256]).ravel()
    total = counts.sum()
    shares: Array = np.sqrt(counts / total if total > 0.0 else counts).astype(np.float16)
    return shares


def _small(plane: Array) -> Array:
    kernel = cv2.INTER_AREA if plane.shape[0] >= THUMBNAIL else cv2.INTER_LINEAR
    small: Array = cv2.resize(plane, (THUMBNAIL, THUMBNAIL), interpolation=kernel)
    return small
