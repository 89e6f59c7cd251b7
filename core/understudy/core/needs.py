"""What merges and extractions will take of memory, told by the sizes of what they load and of the frames under way.

Told where there is no torch, before the work begins. What a training takes is rehearsed: `train.planned`. The factors
are of measured peaks (docs/LOG.md, Memory) with a tenth to a third to spare; those of GPUs were not measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from understudy.core import plate
from understudy.core.enhancer import store as enhancers
from understudy.core.errors import FrameMissing, FrameUnreadable, ModelInvalid, NotFound
from understudy.core.extract import ExtractSettings
from understudy.core.merge.settings import MergeSettings
from understudy.core.model import store as models
from understudy.core.plate import Plate
from understudy.core.segment import store as segmenters

PROCESS = 512 << 20
"""Bytes of a process with its libraries, whatever it does."""
CUDA = 1 << 30
"""Bytes that CUDA's context and its libraries take of a GPU, and what networks think with."""
_PIXEL, _SAMPLE = (
    40,
    20,
)  # bytes of a pixel, and of each of its channels, of all frames that are under way at once
_HEADERS = 3  # frames that are tried: the first ones may be broken


def merge(settings: MergeSettings, *, gpu: bool) -> int:
    """Bytes of the memory of the device that computes. What is not there yet, the model of a training to come say,
    counts for nothing.
    """
    loaded = sum(_sizes(_checkpoints(settings)))
    return CUDA + 2 * loaded if gpu else PROCESS + 2 * loaded + _frames(settings.plate)


def extract(settings: ExtractSettings, loaded: int, *, gpu: bool, processes: int) -> int:
    """Likewise.

    Args:
        loaded: bytes of the networks' weights.
        processes: that look for faces at once, on a CPU.
    """
    return CUDA + 2 * loaded if gpu else processes * (PROCESS + 2 * loaded + _frames(settings.plate))


def _checkpoints(settings: MergeSettings) -> Iterator[Path]:
    """The files of weights that a merge loads, as far as they are there."""
    for person in settings.people:
        for store, folder in (
            (models, person.model),
            (segmenters, person.segmenter),
            (enhancers, person.enhancer),
        ):
            if folder is not None:
                with suppress(NotFound, ModelInvalid):
                    yield store.current(folder) / models.WEIGHTS


def _frames(found: Plate) -> int:
    """Bytes of the frames that are under way at once, by the first header that opens."""
    for number in list(found.present)[:_HEADERS]:
        with suppress(FrameMissing, FrameUnreadable):
            header = plate.read_header(found.paths(number)[0])
            parts = (header, *header.others)
            return sum(p.data.width * p.data.height * (_PIXEL + _SAMPLE * len(p.channels)) for p in parts)
    return 0


def _sizes(files: Iterable[Path]) -> Iterator[int]:
    for file in files:
        with suppress(OSError):
            yield file.stat().st_size
