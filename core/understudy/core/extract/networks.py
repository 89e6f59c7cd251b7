"""The networks of an extraction, and how work that needs them asks for them.

Following faces is written as one sequence of steps, a generator that yields what it wants of the networks and is sent
the answer (`Asking`). Who runs it decides how: one generator after the other on a CPU; on a GPU several of them
abreast, what they want at a time in one batch.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from understudy.core.detect import Detector
from understudy.core.errors import UnderstudyError
from understudy.core.frames import Float
from understudy.core.identity import Describer, IdentityLook
from understudy.core.landmark import Found, Landmarker, Look
from understudy.core.pose import PoseLook, Poser

if TYPE_CHECKING:
    from understudy.core.extract.search import Shown

Result = TypeVar("Result")


@dataclass(frozen=True)
class Detect:
    """Faces of viewing proxies, as `Detector.detect` takes them. Answer: the detections of each."""

    items: tuple[Float, ...]
    smallest: float | None = None


@dataclass(frozen=True)
class Locate:
    """Answer: a `Found` of each look, in scheme 68."""

    items: tuple[Look, ...]


@dataclass(frozen=True)
class Turned:
    """Answer: pitch, yaw and roll of each look."""

    items: tuple[PoseLook, ...]


@dataclass(frozen=True)
class Describe:
    """Answer: (D,) float32 of each look."""

    items: tuple[IdentityLook, ...]


@dataclass(frozen=True)
class Fetch:
    """A frame in these views. Answer: `Fetched`. `then`: the frame that will most likely be asked for next."""

    number: int
    views: tuple[str, ...]
    then: int | None = None


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A frame as it was read: its views in the order asked for; or `error`, which says why there are none."""

    shown: tuple[Shown, ...] = ()
    error: UnderstudyError | None = None
    seconds: float = 0.0


Request = Detect | Locate | Turned | Describe | Fetch
Asking = Generator[Request, Any, Result]
Serve = Callable[[Sequence[Any]], list[Any]]


@dataclass(frozen=True, kw_only=True)
class Networks:
    """What looks at pictures; one thread at a time may use them.

    Attributes:
        averaged: as `landmark._looks.averaged`: how the landmarks of several shifted looks become one.
        looks: how many looks the landmarks of a face are averaged over.
    """

    detector: Detector
    landmarker: Landmarker
    poser: Poser
    describer: Describer
    averaged: Callable[[Landmarker, Sequence[Look], int], list[Found]]
    looks: int = 1

    def answer(self, requests: Sequence[Detect | Locate | Turned | Describe]) -> list[Any]:
        """The answers to requests of one kind, made in one batch."""
        items: list[Any] = [item for request in requests for item in request.items]
        answers: Sequence[Any] = ()
        match requests[0]:
            case _ if not items:
                pass
            case Detect(smallest=smallest):
                answers = self.detector.detect(items, smallest)
            case Locate():
                answers = self._locate(items)
            case Turned():
                answers = self.poser.pose(items)
            case Describe():
                answers = list(self.describer.describe(items))
        rest = iter(answers)
        return [list(islice(rest, len(request.items))) for request in requests]

    def _locate(self, looks: Sequence[Look]) -> list[Found]:
        if self.looks > 1:
            found = self.averaged(self.landmarker, looks, self.looks)
        else:
            found = self.landmarker.landmarks(looks)
        return [replace(each, landmarks=self.landmarker.to_68(each.landmarks)) for each in found]


def drive(routines: Sequence[Asking[Result]], serve: Serve) -> list[Result]:
    """Run generators abreast to their ends; what they want at a time and of a kind is served together.

    An UnderstudyError of `serve` is raised inside those generators whose requests were served.
    """
    results: dict[int, Result] = {}
    wants: dict[int, Request] = {}

    def step(index: int, go: Callable[[], Request]) -> None:
        try:
            wants[index] = go()
        except StopIteration as stop:
            results[index] = stop.value

    try:
        for index, routine in enumerate(routines):
            step(index, routine.__next__)
        while wants:
            group = _alike(wants)
            requests = [wants.pop(index) for index in group]
            try:
                answers = serve(requests)
            except UnderstudyError as error:
                for index in group:
                    step(index, lambda at=index, what=error: routines[at].throw(what))  # type: ignore[misc]
                continue
            for index, answer in zip(group, answers, strict=True):
                step(index, lambda at=index, what=answer: routines[at].send(what))  # type: ignore[misc]
    finally:
        for routine in routines:
            routine.close()
    return [results[index] for index in range(len(routines))]


def on_gpu(device: str) -> bool:
    """Whether networks made for this device run on a GPU. None does where torch was not imported to make them."""
    torch: Any = sys.modules.get("torch")
    if torch is None or device == "cpu":
        return False
    return bool(torch.cuda.is_available() or torch.backends.mps.is_available())


def one_thread() -> None:
    """Let torch, where it is in use, compute in the calling thread alone: other processes have the other cores."""
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)


def _alike(wants: dict[int, Request]) -> list[int]:
    """Of what is wanted, the largest group that one call can serve."""
    groups: dict[Any, list[int]] = {}
    for index, request in wants.items():
        groups.setdefault((type(request), getattr(request, "smallest", None)), []).append(index)
    return max(groups.values(), key=len)
