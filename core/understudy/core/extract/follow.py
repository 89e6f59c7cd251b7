"""Faces followed from frame to frame, so that few frames are searched wholly.

The frames of a plate fall into blocks by their number: block k has those with number // search_every == k. The first
of a block that can be read, its anchor, is searched wholly. On each other frame only windows around the faces of the
frame before are looked into, moved on as the faces moved; where one is lost, or the picture is another one, that frame
is searched wholly too. Who turns up in a whole search, the next block's anchor included, is then followed backwards
into the block, to where they came in.

What a frame gives so depends on nothing but the frames of its block and the next block's anchor, as they are on disk:
not on which frames are asked for, nor on who looks at which block.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from understudy.core import align, image, track, warp
from understudy.core.errors import InvalidInput, UnderstudyError
from understudy.core.extract.finder import Expected, Finder, distinct, same
from understudy.core.extract.networks import Asking, Describe, Fetch, Fetched
from understudy.core.extract.search import Shown, named
from understudy.core.face import Alignment, Face
from understudy.core.faceset.manual import ManualFace
from understudy.core.frames import Float
from understudy.core.identity import IdentityLook

At = tuple[int, str]
"""A frame's number and a view of it."""

_APART = (
    0.6  # of a face's size that its middle may be from where it was on the frame before, to be the same one
)


@dataclass(frozen=True, kw_only=True)
class Find:
    """A face with what is stored of it.

    Attributes:
        crop: (S, S, 3) float16, scene-linear in the working space; None where the frame is not to be written.
        alignment: of the crop.
        descriptor: (D,) float32 of the identity family.
    """

    face: Face
    crop: npt.NDArray[np.float16] | None = None
    alignment: Alignment | None = None
    descriptor: Float | None = None


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What was seen of one view of a frame.

    Attributes:
        finds: what the networks found; tracks not yet known.
        given: what a person gave, tracks theirs.
        whole: the frame was searched wholly.
        cut: it shows another picture than the frame before, where that is of the same block.
        thumbnail: `track.thumbnail`.
        aspect: width over height of a plate pixel.
        size: of the display window, as `Window.size` says it.
        warnings: what a report should say.
    """

    view: str
    finds: tuple[Find, ...]
    given: tuple[Find, ...] = ()
    whole: bool
    cut: bool
    thumbnail: Float
    aspect: float
    size: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A frame that was looked at: a `Sight` of each view; or `error`, which says why there is none."""

    number: int
    sights: tuple[Sight, ...] = ()
    error: UnderstudyError | None = None
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Block:
    """Frames to look at, one after the other.

    Attributes:
        numbers: those of a block that are on disk, ascending.
        views: to look at.
        wanted: the frames and views to be written.
        manual: what a person gave, by frame and view.
        before: frames before the block, the nearest first: of the first that can be read the thumbnails are told.
        anchor: the anchor is all that is wanted.
    """

    numbers: tuple[int, ...]
    views: tuple[str, ...]
    wanted: frozenset[At] = frozenset()
    manual: Mapping[At, tuple[ManualFace, ...]] = field(default_factory=dict)
    before: tuple[int, ...] = ()
    anchor: bool = False


@dataclass(frozen=True, kw_only=True)
class Back:
    """Faces to follow backwards.

    Attributes:
        numbers: the block's frames that could be read, descending.
        start: the frame after them that some may have been seen on: the next block's anchor.
        views, wanted: as for `Block`.
        newcomers: frame and view → faces seen there that were not on the frame before.
        known: frame and view → faces that are known there.
        cuts: frames and views that show another picture than the frame before.
    """

    numbers: tuple[int, ...]
    start: int
    views: tuple[str, ...]
    wanted: frozenset[At]
    newcomers: Mapping[At, tuple[Face, ...]]
    known: Mapping[At, tuple[Face, ...]]
    cuts: frozenset[At]


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What came of a `Block`: its frames that were looked at, in order, and the thumbnails of the frame before."""

    seen: tuple[Seen, ...]
    before: Mapping[str, Float] = field(default_factory=dict)


Extra = dict[At, tuple[Find, ...]]
"""What came of a `Back`: the finds to add."""


@dataclass(frozen=True, kw_only=True)
class Follower:
    """How faces are followed and cut out.

    Attributes:
        face_type, size: of the crops.
        most: how many faces of a frame, the largest, are cut out; 0: all.
    """

    finder: Finder
    face_type: str
    size: int
    most: int = 0

    def look(self, block: Block) -> Asking[Looked]:
        """Search the anchor, and follow its faces over the block's other frames."""
        before = yield from self._before(block)
        seen: list[Seen] = []
        chains = {view: _Chain() for view in block.views}
        for at, number in enumerate(block.numbers):
            then = block.numbers[at + 1] if at + 1 < len(block.numbers) and not block.anchor else None
            fetched: Fetched = yield Fetch(number, block.views, then)
            began = time.perf_counter()
            try:
                if fetched.error is not None:
                    raise fetched.error
                sights = yield from self._sights(fetched, chains, block)
                seconds = {"read": fetched.seconds, "detect": time.perf_counter() - began}
                seen.append(Seen(number=number, sights=sights, seconds=seconds))
                if block.anchor:
                    break
            except UnderstudyError as error:
                seen.append(Seen(number=number, error=error))
        return Looked(seen=tuple(seen), before=before)

    def look_back(self, back: Back) -> Asking[Extra]:
        """Follow newcomers backwards until each is lost, known or cut off."""
        extra: Extra = {}
        after = back.start
        active: dict[str, list[Expected]] = {view: [] for view in back.views}
        for number in back.numbers:
            for view in back.views:
                active[view] += [Expected(face=face) for face in back.newcomers.get((after, view), ())]
                if (after, view) in back.cuts:
                    active[view] = []
            after = number
            views = tuple(view for view in back.views if active[view])
            if not views:
                continue
            fetched: Fetched = yield Fetch(number, views)
            if fetched.error is not None:
                continue
            for shown in fetched.shown:
                view = shown.picture.view
                known = list(back.known.get((number, view), ()))
                found = yield from self.finder.near(shown, active[view])
                pairs = [
                    (old, face)
                    for old, face in zip(active[view], found, strict=True)
                    if face is not None and not any(same(face, other, shown.aspect) for other in known)
                ]
                active[view] = [_moved(old.face, face) for old, face in pairs]
                if pairs:
                    faces = [face for _, face in pairs]
                    extra[number, view] = yield from self._cut_out(
                        shown, faces, (number, view) in back.wanted
                    )
        return extra

    def _before(self, block: Block) -> Asking[dict[str, Float]]:
        for number in block.before:
            fetched: Fetched = yield Fetch(number, block.views, block.numbers[0])
            if fetched.error is None:
                return {shown.picture.view: track.thumbnail(shown.proxy) for shown in fetched.shown}
        return {}

    def _sights(
        self, fetched: Fetched, chains: Mapping[str, _Chain], block: Block
    ) -> Asking[tuple[Sight, ...]]:
        """Of all views of a frame; the chains go on only if all of them could be looked at."""
        sights: list[Sight] = []
        for shown in fetched.shown:
            with named(shown.picture.view):
                sights.append((yield from self._sight(shown, chains[shown.picture.view], block)))
        for sight in sights:
            chains[sight.view].go_on(sight)
        return tuple(sights)

    def _sight(self, shown: Shown, chain: _Chain, block: Block) -> Asking[Sight]:
        at = (shown.frame.number, shown.picture.view)
        thumbnail = track.thumbnail(shown.proxy)
        cut = chain.thumbnail is not None and track.is_cut(chain.thumbnail, thumbnail)
        if whole := chain.thumbnail is None or cut:
            faces = yield from self.finder.whole(shown)
        else:
            near = yield from self.finder.near(shown, chain.expected)
            faces = [face for face in near if face is not None]
            if whole := len(faces) < len(near):
                faces = distinct([*faces, *(yield from self.finder.whole(shown))], shown.aspect)
        given: tuple[Find, ...] = ()
        if manual := [face for face in block.manual.get(at, ()) if not face.absent]:
            by_hand = yield from self.finder.guided(shown, manual)
            given = yield from self._cut_out(shown, by_hand, wanted=True)
            if len(given) < len(manual):
                raise InvalidInput(
                    f"frame {at[0]}: what was given by hand lies outside the picture, {shown.frame.data}",
                    frame=at[0],
                    field="manual",
                    value=",".join(str(face.track) for face in manual),
                )
        return Sight(
            view=shown.picture.view,
            finds=(yield from self._cut_out(shown, faces, at in block.wanted, most=self.most)),
            given=given,
            whole=whole,
            cut=cut,
            thumbnail=thumbnail,
            aspect=shown.aspect,
            size=shown.frame.display.size,
            warnings=shown.picture.warnings,
        )

    def _cut_out(
        self, shown: Shown, faces: Sequence[Face], wanted: bool, most: int = 0
    ) -> Asking[tuple[Find, ...]]:
        """Faces with crops and descriptors, the largest first, where the frame is wanted; of the others the face."""
        placed = [
            (face, align.fit(face.landmarks.points, self.face_type, self.size, shown.aspect))
            for face in faces
        ]
        ordered = sorted(
            ((face, at) for face, at in placed if not warp.footprint(at, shown.frame.data).empty),
            key=lambda pair: track.size(pair[0]),
            reverse=True,
        )
        if not wanted:
            return tuple(Find(face=face) for face, _ in ordered)
        cut = ordered[: most or None]
        looks = [
            IdentityLook(proxy=shown.proxy, points=shown.to_proxy(face.landmarks.points)) for face, _ in cut
        ]
        described: list[Float] = yield Describe(tuple(looks))
        rgb, data = shown.picture.rgb, shown.frame.data
        finds = [
            Find(face=f, alignment=at, crop=image.to_half(warp.to_aligned(rgb, data, at)), descriptor=row)
            for (f, at), row in zip(cut, described, strict=True)
        ]
        return (*finds, *(Find(face=face) for face, _ in ordered[len(cut) :]))


@dataclass
class _Chain:
    """The faces of a view as they were on the frame before, and that frame's thumbnail."""

    expected: list[Expected] = field(default_factory=list)
    thumbnail: Float | None = None

    def go_on(self, sight: Sight) -> None:
        faces = [find.face for find in sight.finds]
        before = counterparts(faces, [] if sight.cut else [each.face for each in self.expected])
        self.expected = [_moved(old, face) for old, face in zip(before, faces, strict=True)]
        self.thumbnail = sight.thumbnail


def counterparts(faces: Sequence[Face], others: Sequence[Face]) -> list[Face | None]:
    """Of each face who of those on the frame beside this one it is, one to one; None for who is nobody of them."""
    result: list[Face | None] = [None] * len(faces)
    if faces and others:
        away = np.array([[_away(face, other) for other in others] for face in faces])
        for i, j in zip(*linear_sum_assignment(away), strict=True):
            if away[i, j] < _APART:
                result[i] = others[j]
    return result


def newcomers(faces: Sequence[Face], before: Sequence[Face]) -> tuple[Face, ...]:
    """The faces that have no counterpart on the frame before."""
    known = counterparts(faces, before)
    return tuple(face for face, other in zip(faces, known, strict=True) if other is None)


def _moved(old: Face | None, new: Face) -> Expected:
    """Where a face is expected next, by how it came here."""
    if old is None:
        return Expected(face=new)
    x, y = _middle(new) - _middle(old)
    return Expected(face=new, moved=(float(x), float(y)))


def _away(a: Face, b: Face) -> float:
    """Mean distance of the landmarks of two faces, in units of the larger one's size."""
    apart = np.linalg.norm(a.landmarks.points - b.landmarks.points, axis=1)
    return float(apart.mean()) / max(track.size(a), track.size(b), 1.0)


def _middle(face: Face) -> npt.NDArray[np.float64]:
    return np.asarray(np.reshape(face.box, (2, 2)).mean(axis=0), np.float64)
