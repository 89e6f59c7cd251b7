"""One place where faces are looked for: networks, a reader of frames that reads ahead, and both put to work."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from understudy.core import _plugins
from understudy.core.colour import ColourConfig
from understudy.core.errors import UnderstudyError
from understudy.core.extract import exposure
from understudy.core.extract.finder import Finder
from understudy.core.extract.follow import Back, Block, Extra, Follower, Looked
from understudy.core.extract.networks import Fetch, Fetched, Networks, drive, on_gpu
from understudy.core.extract.search import Search, Shown
from understudy.core.face import Face
from understudy.core.kept import Kept
from understudy.core.landmark import _looks
from understudy.core.plate import Plate
from understudy.core.weights import WeightStore

FAMILIES = {"detector": "detect", "landmarker": "landmark", "pose": "pose", "identity": "identity"}
"""Field of `Outfit` → the family whose member it names."""

_ABREAST = 4  # blocks at a time on a GPU
_MUCH = 1 << 24  # pixels of a picture beyond which two blocks at a time are enough

Task = Block | Back


@dataclass(frozen=True, kw_only=True)
class Outfit:
    """Everything that a station is made of, as a process can be told it.

    Attributes:
        plate, space, colour: as for `Search`.
        detector, landmarker, pose, identity: members of their families.
        looks: how many looks a face's landmarks are averaged over.
        face_type, size, most: as for `Follower`.
        min_score, smallest, upright_only: as for `Finder`.
    """

    plate: Plate
    space: str
    colour: ColourConfig
    store: WeightStore
    device: str
    detector: str
    landmarker: str
    pose: str
    identity: str
    looks: int
    face_type: str
    size: int
    most: int
    min_score: float
    smallest: float | None
    upright_only: bool

    def weights(self) -> list[str]:
        """SHA-256 of each file of weights that is used."""
        modules = (
            _plugins.load(family, getattr(self, field), field=field) for field, family in FAMILIES.items()
        )
        return [self.store.entry(name).sha256 for module in modules for name in module.WEIGHTS]

    def networks(self, kept: Kept) -> Networks:
        """`kept`: those that are loaded already. Raises WeightsMissing, WeightsCorrupt, InvalidInput."""
        made: dict[str, Any] = {field: self._network(field, kept) for field in FAMILIES}
        return Networks(
            detector=made["detector"],
            landmarker=made["landmarker"],
            poser=made["pose"],
            describer=made["identity"],
            averaged=_looks.averaged,
            looks=self.looks,
        )

    def _network(self, field: str, kept: Kept) -> Any:
        name = getattr(self, field)
        module = _plugins.load(FAMILIES[field], name, field=field)
        files = [str(self.store.path(weights)) for weights in module.WEIGHTS]
        entries = [self.store.entry(weights) for weights in module.WEIGHTS]
        key = (field, name, self.device, *files, *(entry.sha256 for entry in entries))
        size = sum(entry.size for entry in entries)
        return kept.get(key, size, lambda: module.create(self.store, device=self.device))

    def finder(self) -> Finder:
        return Finder(min_score=self.min_score, smallest=self.smallest, upright_only=self.upright_only)


class Stopped(Exception):
    """The work was called off."""


class Station:
    """Looks at blocks of frames. One thread at a time may put it to work; any may `stop` it.

    Args:
        kept: networks that are loaded already, of which no other station makes use.

    Attributes:
        abreast: how many tasks it can work on at a time; more than one only where a GPU gains by it.
        gain: exposure in which it shows frames to the networks.
    """

    def __init__(self, outfit: Outfit, gain: float | None, kept: Kept | None = None) -> None:
        self.outfit, self.gain = outfit, gain
        self.search = Search(plate=outfit.plate, space=outfit.space, colour=outfit.colour)
        self.networks = outfit.networks(kept or Kept())
        self.abreast = _ABREAST if on_gpu(outfit.device) else 1
        self._follower = Follower(
            finder=outfit.finder(), face_type=outfit.face_type, size=outfit.size, most=outfit.most
        )
        self._readers = ThreadPoolExecutor(self.abreast, "read")
        self._ahead: dict[tuple[int, tuple[str, ...]], Future[Fetched]] = {}
        self._next: Fetch | None = None
        self._stopped = False

    def measure(self, numbers: Sequence[int], views: Sequence[str]) -> float:
        """The exposure gain of the shot: see `exposure.measure`."""
        finder = Finder(min_score=self.outfit.min_score, smallest=self.outfit.smallest, upright_only=True)

        def find(shown: Sequence[Shown]) -> list[list[Face]]:
            return drive([finder.whole(each) for each in shown], self._serve)

        return exposure.measure(self.search, numbers, views, find)

    def work(self, tasks: Sequence[Task], then: Block | None = None) -> list[Looked | Extra]:
        """What comes of each task. `then`: what will most likely be the next one.

        Raises:
            Stopped: by `stop`.
        """
        routines = [
            self._follower.look(t) if isinstance(t, Block) else self._follower.look_back(t) for t in tasks
        ]
        self._next = Fetch(then.numbers[0], then.views) if then is not None else None
        return drive(routines, self._serve)

    def stop(self) -> None:
        """End the work at the next step."""
        self._stopped = True

    def close(self) -> None:
        self._readers.shutdown(cancel_futures=True)

    def _serve(self, requests: Sequence[Any]) -> list[Any]:
        if self._stopped:
            raise Stopped
        if isinstance(requests[0], Fetch):
            return self._fetched(requests)
        return self.networks.answer(requests)

    def _fetched(self, requests: Sequence[Fetch]) -> list[Fetched]:
        futures = [self._reading(request) for request in requests]
        for request in requests:
            self._ahead.pop((request.number, request.views), None)
        wanted = [Fetch(r.then, r.views) for r in requests if r.then is not None]
        if not wanted and self._next is not None:
            wanted, self._next = [self._next], None
        ahead = {(w.number, w.views): self._reading(w) for w in wanted}
        for key in self._ahead.keys() - ahead.keys():
            self._ahead[key].cancel()
        self._ahead = ahead
        return [future.result() for future in futures]

    def _reading(self, request: Fetch) -> Future[Fetched]:
        key = (request.number, request.views)
        return self._ahead.get(key) or self._readers.submit(self._read, request)

    def _read(self, request: Fetch) -> Fetched:
        began = time.perf_counter()
        assert self.gain is not None, "a station without an exposure was put to work"
        try:
            pictures = self.search.read(request.number, request.views)
            shown = tuple(self.search.shown(picture, self.gain) for picture in pictures)
        except UnderstudyError as error:
            return Fetched(error=error)
        return Fetched(shown=shown, seconds=time.perf_counter() - began)
