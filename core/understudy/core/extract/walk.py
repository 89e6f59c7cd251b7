"""A walk over a plate's blocks, in order: who looks at which, and what one block says of the one before."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from itertools import pairwise

from understudy.core import track
from understudy.core.extract.crew import Crew
from understudy.core.extract.follow import At, Back, Block, Extra, Find, Looked, Seen, Sight, newcomers
from understudy.core.face import Face
from understudy.core.faceset.manual import ManualFace
from understudy.core.frames import Float

_BEFORE = 8  # frames before the first block of which one should be readable


@dataclass(frozen=True, kw_only=True)
class Walk:
    """Which frames are to be looked at.

    Attributes:
        numbers: of the frames on disk, whether asked for or not; ascending.
        every: frames of a block, by their numbers.
        views: to look at.
        asked: the frames that are wanted.
        wanted: the views of such a frame that are to be written; none where there is nothing to do, after all. Called
            for each once, shortly before it is read.
        manual: what a person gave for a view of a frame.
        most: how many faces of a frame are kept, the largest; 0: all.
    """

    numbers: Sequence[int]
    every: int
    views: tuple[str, ...]
    asked: frozenset[int]
    wanted: Callable[[int], tuple[str, ...]]
    manual: Callable[[int, str], Sequence[ManualFace]]
    most: int = 0

    def over(self, crew: Crew) -> Generator[list[Seen], None, None]:
        """What was seen of the frames that are wanted, a block at a time, frames ascending.

        Raises:
            UnderstudyError: nobody can look any more.
        """
        blocks: dict[int, list[int]] = {}
        for number in self.numbers:
            blocks.setdefault(number // self.every, []).append(number)
        todo = {k for k, numbers in blocks.items() if not self.asked.isdisjoint(numbers)}
        anchors = {k + 1 for k in todo if k + 1 in blocks and self.every > 1} - todo
        order = sorted(todo | anchors)
        before = {b: a for a, b in pairwise(blocks)}
        tasks = (self._task(k, blocks, before.get(k), todo) for k in order)
        futures: dict[int, Future[Looked]] = {}
        waiting, last = iter(order), dict[str, Float]()
        for at, k in enumerate(order):
            for _ in range(at + crew.ahead + 1 - len(futures)):
                if (later := next(waiting, None)) is not None:
                    futures[later] = crew.submit(next(tasks))
            if k in anchors:
                continue
            looked = futures[k].result()
            after = futures[k + 1].result() if k + 1 in futures and self.every > 1 else None
            seen = self._joined(looked, looked.before or last, after, crew)
            last = next((_thumbnails(s) for s in reversed(looked.seen) if s.sights), last)
            yield [s for s in seen if s.number in self.asked]
            crew.consider(len(todo) - at - 1)
            futures[k] = Future()  # what came of it is not needed any more

    def _task(self, k: int, blocks: Mapping[int, list[int]], previous: int | None, todo: set[int]) -> Block:
        numbers = tuple(blocks[k])
        if k not in todo:
            return Block(numbers=numbers, views=self.views, anchor=True)
        wanted = frozenset((n, view) for n in numbers if n in self.asked for view in self.wanted(n))
        manual = {at: tuple(given) for at in wanted if (given := self.manual(*at))}
        before: tuple[int, ...] = ()
        if previous is not None and previous not in todo:
            first = self.numbers.index(numbers[0])
            before = tuple(self.numbers[max(0, first - _BEFORE) : first][::-1])
        return Block(numbers=numbers, views=self.views, wanted=wanted, manual=manual, before=before)

    def _joined(
        self, looked: Looked, before: Mapping[str, Float], after: Looked | None, crew: Crew
    ) -> list[Seen]:
        """A block's frames, with the faces that were followed backwards, and each face's `cut`."""
        good = [seen for seen in looked.seen if seen.sights]
        if good:
            anchor = good[0]
            sights = tuple(replace(s, cut=_is_cut(before.get(s.view), s.thumbnail)) for s in anchor.sights)
            good[0] = replace(anchor, sights=sights)
        extra: Extra = {}
        if self.every > 1 and good and (back := self._back(good, after)) is not None:
            extra = crew.submit(back, first=True).result()
        whole = {seen.number: self._whole(seen, extra) for seen in good}
        return [whole.get(seen.number, seen) for seen in looked.seen]

    def _back(self, good: Sequence[Seen], after: Looked | None) -> Back | None:
        """Who is to be followed backwards through the frames of a block, if anybody is."""
        chain = list(good)
        if after is not None and (anchor := next((s for s in after.seen if s.sights), None)) is not None:
            then = _thumbnails(good[-1])
            sights = tuple(replace(s, cut=_is_cut(then.get(s.view), s.thumbnail)) for s in anchor.sights)
            chain.append(replace(anchor, sights=sights))
        came: dict[At, tuple[Face, ...]] = {}
        for a, b in pairwise(chain):
            for old, new in zip(a.sights, b.sights, strict=True):
                if new.whole and not new.cut:
                    came[b.number, new.view] = newcomers(_faces(new), _faces(old))
        if not any(came.values()):
            return None
        return Back(
            numbers=tuple(seen.number for seen in reversed(good)),
            start=chain[-1].number,
            views=self.views,
            wanted=frozenset((s.number, v) for s in good if s.number in self.asked for v in self.views),
            newcomers=came,
            known={(seen.number, s.view): _faces(s) for seen in good for s in seen.sights},
            cuts=frozenset((seen.number, s.view) for seen in chain for s in seen.sights if s.cut),
        )

    def _whole(self, seen: Seen, extra: Extra) -> Seen:
        sights = []
        for sight in seen.sights:
            finds = [*sight.finds, *extra.get((seen.number, sight.view), ())]
            finds.sort(key=lambda find: track.size(find.face), reverse=True)
            kept = [_begun(find, sight) for find in finds[: self.most or None]]
            given = tuple(_begun(find, sight) for find in sight.given)
            sights.append(replace(sight, finds=tuple(kept), given=given))
        return replace(seen, sights=tuple(sights))


def _begun(find: Find, sight: Sight) -> Find:
    return replace(find, face=replace(find.face, cut=sight.cut))


def _faces(sight: Sight) -> tuple[Face, ...]:
    return tuple(find.face for find in sight.finds)


def _thumbnails(seen: Seen) -> dict[str, Float]:
    return {sight.view: sight.thumbnail for sight in seen.sights}


def _is_cut(before: Float | None, after: Float) -> bool:
    return before is not None and track.is_cut(before, after)
