"""Faces followed from frame to frame, on pictures made of discs, by networks that count what they are shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.discs import Discs
from understudy.core import track
from understudy.core.errors import FrameUnreadable
from understudy.core.extract import finder as finding
from understudy.core.extract.finder import Expected, Finder
from understudy.core.extract.follow import Back, Block, Follower, Looked, counterparts, newcomers
from understudy.core.extract.networks import Fetch, Fetched, drive
from understudy.core.extract.search import Picture, Shown
from understudy.core.face import Face
from understudy.core.faceset.manual import ManualFace
from understudy.core.frames import Float, Frame, Window

SIZE = (640, 360)
Spots = list[tuple[float, float, float]]


def painted(spots: Spots, size: tuple[int, int] = SIZE) -> Float:
    """(H, W, 3) bright discs (x, y, radius) on a dim, uneven wall."""
    x, y = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)
    light = 0.08 + 0.05 * np.sin(x / 40.0) * np.cos(y / 30.0)
    for at_x, at_y, radius in spots:
        edge = np.clip((np.hypot(x - at_x, y - at_y) - radius) / 0.7, -30.0, 30.0)
        light = np.maximum(light, 0.8 / (1.0 + np.exp(edge)))
    return np.repeat(light[..., None], 3, axis=2).astype(np.float32)


def shown(number: int, spots: Spots, view: str = "") -> Shown:
    window = Window(0, 0, *SIZE)
    frame = Frame(number=number, planes={}, display=window, data=window)
    rgb = painted(spots)
    return Shown(picture=Picture(view=view, frame=frame, rgb=rgb), proxy=rgb)


class Plate:
    """Frames by a function; what is asked of it and of the networks is counted."""

    def __init__(self, spots: Callable[[int], Spots | None], discs: Discs | None = None) -> None:
        self.spots, self.discs = spots, discs or Discs()
        self.read: list[int] = []
        self.follower = Follower(finder=Finder(min_score=0.5, upright_only=True), face_type="full", size=64)

    def serve(self, requests):
        if isinstance(requests[0], Fetch):
            return [self._fetched(r.number) for r in requests]
        return self.discs.networks().answer(requests)

    def _fetched(self, number: int) -> Fetched:
        self.read.append(number)
        spots = self.spots(number)
        if spots is None:
            return Fetched(error=FrameUnreadable(f"frame {number} is broken", frame=number))
        return Fetched(shown=(shown(number, spots),))

    def look(self, numbers: range, **settings) -> Looked:
        block = Block(
            numbers=tuple(numbers), views=("",), wanted=frozenset((n, "") for n in numbers), **settings
        )
        (looked,) = drive([self.follower.look(block)], self.serve)
        return looked

    @property
    def wholes(self) -> int:
        return self.discs.looked.count(SIZE)


def middles(looked: Looked) -> list[list[tuple[int, int]]]:
    """Where the faces of each frame are."""
    return [
        sorted(middle(find.face) for sight in seen.sights for find in sight.finds) for seen in looked.seen
    ]


def middle(face: Face) -> tuple[int, int]:
    x0, y0, x1, y1 = face.box
    return round((x0 + x1) / 2), round((y0 + y1) / 2)


def test_only_the_anchor_is_searched_wholly():
    plate = Plate(lambda n: [(100 + 9 * n, 150 + 4 * n, 30), (500 - 6 * n, 180, 22)])
    looked = plate.look(range(8))
    assert plate.wholes == 1
    assert len(plate.discs.looked) == 1 + 2 * 8
    assert {size for size in plate.discs.looked if size != SIZE} == {(320, 320)}
    assert middles(looked) == [sorted([(100 + 9 * n, 150 + 4 * n), (500 - 6 * n, 180)]) for n in range(8)]
    assert [seen.sights[0].whole for seen in looked.seen] == [True] + [False] * 7
    for seen in looked.seen:
        for find in seen.sights[0].finds:
            assert find.crop is not None
            assert find.crop.shape == (64, 64, 3)
            assert find.descriptor is not None


def test_who_is_lost_is_looked_for_everywhere():
    """A leap across the picture: one more whole search, and following goes on from there."""
    plate = Plate(lambda n: [(100.0 if n < 3 else 520.0, 180.0, 30.0)])
    assert middles(plate.look(range(6))) == [[(100 if n < 3 else 520, 180)] for n in range(6)]
    assert plate.wholes == 2


def test_who_leaves_costs_one_search_and_who_comes_waits_for_the_next_anchor():
    plate = Plate(lambda n: [(100.0, 180.0, 30.0)] * (n < 3) + [(500.0, 180.0, 30.0)] * (n >= 4))
    assert middles(plate.look(range(8))) == [[(100, 180)]] * 3 + [[]] * 5
    assert plate.wholes == 2


def test_a_cut_is_searched_wholly():
    left: Spots = [(160, 180, 110)]
    right: Spots = [(480, 180, 110), (160, 60, 40)]
    looked = (plate := Plate(lambda n: left if n < 4 else right)).look(range(8))
    assert [seen.sights[0].cut for seen in looked.seen] == [n == 4 for n in range(8)]
    assert plate.wholes == 2
    assert middles(looked)[4] == [(160, 60), (480, 180)]


def test_unsure_landmarks_are_no_face_and_the_frame_is_searched():
    plate = Plate(lambda n: [(100, 180, 30)])
    before = plate._fetched

    def dim(number: int) -> Fetched:
        plate.discs.sure = 0.2 if number == 3 else 0.95
        return before(number)

    plate._fetched = dim  # type: ignore[method-assign]
    assert middles(plate.look(range(6))) == [[(100, 180)]] * 3 + [[]] * 3  # the next anchor finds them again
    assert plate.wholes == 2


def test_broken_frames_are_passed_over_and_the_anchor_is_the_first_good_one():
    plate = Plate(lambda n: None if n in (0, 3, 4) else [(100 + 12 * n, 180, 30)])
    looked = plate.look(range(8))
    assert [seen.number for seen in looked.seen if seen.error] == [0, 3, 4]
    assert middles(looked)[1::4] == [[(112, 180)], [(160, 180)]]
    assert plate.wholes == 1


def test_an_anchor_alone_reads_no_further():
    plate = Plate(lambda n: None if n == 0 else [(100, 180, 30)])
    assert [seen.number for seen in plate.look(range(8), anchor=True).seen] == [0, 1]
    assert plate.read == [0, 1]


def test_the_thumbnail_before_is_of_the_nearest_frame_that_can_be_read():
    plate = Plate(lambda n: None if n == 7 else [(100, 180, 30)])
    looked = plate.look(range(8, 10), before=(7, 6, 5))
    assert plate.read == [7, 6, 8, 9]
    np.testing.assert_array_equal(looked.before[""], track.thumbnail(painted([(100, 180, 30)])))


def back(plate: Plate, faces: dict[int, list[Face]], known: dict[int, list[Face]], **settings):
    task = Back(
        **{
            "numbers": tuple(range(7, -1, -1)),
            "start": 8,
            "views": ("",),
            "wanted": frozenset((n, "") for n in range(8)),
            "newcomers": {(n, ""): tuple(each) for n, each in faces.items()},
            "known": {(n, ""): tuple(each) for n, each in known.items()},
            "cuts": frozenset(),
            **settings,
        }
    )
    (extra,) = drive([plate.follower.look_back(task)], plate.serve)
    return {number: sorted(middle(find.face) for find in finds) for (number, _), finds in extra.items()}


def anchor(plate: Plate, number: int) -> list[Face]:
    (seen,) = plate.look(range(number, number + 1)).seen
    plate.read.clear()
    return [find.face for find in seen.sights[0].finds]


def test_newcomers_are_followed_back_to_where_they_came_in():
    plate = Plate(lambda n: [(100 + 10 * n, 180, 30)] * (n >= 3))
    faces = anchor(plate, 8)
    assert back(plate, {8: faces}, {}) == {n: [(100 + 10 * n, 180)] for n in range(3, 8)}
    assert plate.read == [7, 6, 5, 4, 3, 2]  # and not to the block's beginning


def test_back_ends_where_the_face_is_known_already_or_at_a_cut():
    plate = Plate(lambda n: [(100 + 10 * n, 180, 30)])
    faces = anchor(plate, 8)
    assert back(plate, {8: faces}, {5: anchor(plate, 5)}) == {7: [(170, 180)], 6: [(160, 180)]}
    assert back(plate, {8: faces}, {}, cuts=frozenset({(7, "")})) == {7: [(170, 180)]}
    assert back(plate, {8: faces}, {}, cuts=frozenset({(8, "")})) == {}


def test_back_passes_over_what_cannot_be_read():
    plate = Plate(lambda n: None if n == 6 else [(100 + 4 * n, 180, 30)])
    assert sorted(back(plate, {8: anchor(plate, 8)}, {})) == [0, 1, 2, 3, 4, 5, 7]


def test_two_who_overlap_stay_two_and_one_stays_one():
    """Two discs that come as near as their radii: each window shows both, each keeps its own."""
    plate = Plate(lambda n: [(200 + 8 * n, 180, 40), (400 - 8 * n, 180, 40)])
    looked = plate.look(range(8))
    assert middles(looked) == [[(200 + 8 * n, 180), (400 - 8 * n, 180)] for n in range(8)]
    face = anchor(plate, 0)[0]
    (near,) = drive(
        [plate.follower.finder.near(shown(1, [(208, 180, 40)]), [Expected(face=face), Expected(face=face)])],
        plate.serve,
    )
    assert [each is not None for each in near] == [True, False]


def test_what_is_given_by_hand_changes_nothing_of_what_is_followed():
    given = ManualFace(track=4, frame=2, box=(470.0, 150.0, 530.0, 210.0))
    plain = (plate := Plate(lambda n: [(100 + 9 * n, 150, 30)])).look(range(5))
    looked = plate.look(range(5), manual={(2, ""): (given,)})
    assert middles(looked) == middles(plain)
    (face,) = (find.face for find in looked.seen[2].sights[0].given)
    assert (face.track, face.origin, middle(face)) == (4, "guided", (500, 180))
    assert not any(seen.sights[0].given for seen in looked.seen if seen.number != 2)


def test_blocks_abreast_are_blocks_one_by_one():
    """As on a GPU: what several want at a time is one batch, and gives what each would give alone."""
    plate = Plate(lambda n: [(100 + 9 * (n % 5), 150, 30), (450, 200, 25)] * (n != 13))
    blocks = [
        Block(numbers=tuple(range(k, k + 5)), views=("",), wanted=frozenset((n, "") for n in range(k, k + 5)))
        for k in (0, 5, 10)
    ]
    batches: list[int] = []

    def serve(requests):
        batches.append(len(requests))
        return plate.serve(requests)

    abreast = drive([plate.follower.look(block) for block in blocks], serve)
    assert max(batches) == 3
    for together, block in zip(abreast, blocks, strict=True):
        (alone,) = drive([plate.follower.look(block)], plate.serve)
        assert middles(together) == middles(alone)
        for a, b in zip(together.seen, alone.seen, strict=True):
            for x, y in zip(a.sights[0].finds, b.sights[0].finds, strict=True):
                np.testing.assert_array_equal(x.face.landmarks.points, y.face.landmarks.points)


def test_an_error_of_a_network_is_the_frames():
    class Failing(Discs):
        def detect(self, proxies, smallest=None):
            if len(self.looked) == 3:
                self.looked.append((0, 0))
                raise FrameUnreadable("no memory for this one")
            return super().detect(proxies, smallest)

    looked = Plate(lambda n: [(100, 180, 30)], Failing()).look(range(5))
    assert [seen.number for seen in looked.seen if seen.error] == [2]
    assert middles(looked)[3] == [(100, 180)]


@given(
    turn=st.integers(0, 3),
    x=st.floats(0, 639),
    y=st.floats(0, 359),
)
def test_a_point_of_a_turned_picture_is_where_it_was(turn: int, x: float, y: float):
    """By the pixels: one bright pixel, turned by numpy, found there and brought back."""
    picture = np.zeros((360, 640), np.uint8)
    picture[int(y), int(x)] = 1
    ((row, column),) = np.argwhere(np.rot90(picture, turn))
    at = np.array([(column + 0.5, row + 0.5)])
    there = finding._points_unturned(at, turn, SIZE) if turn else at
    np.testing.assert_allclose(there, [(int(x) + 0.5, int(y) + 0.5)])


@pytest.mark.parametrize("roll", [0.0, 90.0, 180.0, -90.0, 50.0])
def test_a_window_shows_the_face_upright_and_gives_its_place_back(roll: float):
    there = shown(1, [(610, 40, 34)])  # partly outside
    box = (576.0, 6.0, 644.0, 74.0)
    face = Face(
        frame=0, box=box, landmarks=anchor(Plate(lambda n: [(300, 180, 34)]), 0)[0].landmarks, score=1.0
    )
    window = finding._Window.around(Expected(face=replace(face, roll=roll)), there, upright=False)
    assert window.turn == round(roll / 90) % 4
    (found,) = Discs().detect([window.canvas(there.proxy)])[0]
    x0, y0, _, y1 = window.placed(found).box
    assert (x0, y0) == pytest.approx((576, 6), abs=1.5)
    assert y1 == pytest.approx(74, abs=1.5)
    assert window.placed(found).roll == pytest.approx((90 * window.turn + 180) % 360 - 180)


def test_counterparts_are_one_to_one_and_near():
    plate = Plate(lambda n: [(100, 180, 30), (170, 180, 30)] if n else [(110, 180, 30), (400, 180, 30)])
    before, now = anchor(plate, 0), anchor(plate, 1)
    pairs = {
        middle(face): other and middle(other)
        for face, other in zip(now, counterparts(now, before), strict=True)
    }
    assert pairs == {(100, 180): (110, 180), (170, 180): None}
    assert [middle(face) for face in newcomers(now, before)] == [(170, 180)]
    assert counterparts([], before) == []
    assert counterparts(now, []) == [None, None]
