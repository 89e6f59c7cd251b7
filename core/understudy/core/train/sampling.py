"""Which samples an iteration takes: a function of its arguments alone, so that a resumed training goes on with those
it would have taken.
"""

from __future__ import annotations

import math
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from understudy.core.frames import Float
from understudy.core.train.plan import Plan

if TYPE_CHECKING:
    from understudy.core.train.data import Crops

Rows = npt.NDArray[np.int64]

NEAREST = 8
"""Of how many samples nearest in pose one is taken to pair."""

_BIN = math.radians(5)  # of yaw, at most


class Poses:
    """A faceset's poses, made ready to draw by. Takes memory as the poses themselves do.

    Args:
        pose: (N, 2), pitch and yaw in radians, N at least 1.
    """

    def __init__(self, pose: Float) -> None:
        self.pose = pose
        self._orders: dict[int, tuple[tuple[int, int], Rows]] = {}

    @cached_property
    def bins(self) -> list[Rows]:
        """The rows of each bin of yaw, none of them empty; bins are alike in width and share what yaws there are."""
        yaw = self.pose[:, 1].astype(np.float64)
        reach = float(np.ptp(yaw))
        count = max(1, math.ceil(reach / _BIN))
        place = np.minimum((yaw - yaw.min()) / (reach or 1) * count, count - 1).astype(np.int64)
        rows = np.argsort(place, kind="stable")
        return np.split(rows, np.flatnonzero(np.diff(place[rows])) + 1)

    def of_bin(self, number: int, turn: int, seed: int) -> int:
        """The row that a bin gives at its turn of that number: each of its rows once in as many turns."""
        rows = self.bins[number]
        epoch, place = divmod(turn, len(rows))
        key, order = self._orders.get(number, ((-1, -1), rows))
        if key != (seed, epoch):  # one order of each bin is kept: together they are as long as the faceset
            order = np.random.default_rng((seed, epoch, 1 + number)).permutation(rows)
            self._orders[number] = (seed, epoch), order
        return int(order[place])

    def near(self, poses: Float, dice: npt.NDArray[np.float64]) -> Rows:
        """(B,) rows, each one of the `NEAREST` to a pose of (B, 2), chosen by its die from [0, 1)."""
        count = min(NEAREST, len(self.pose))
        _, rows = self._tree.query(poses, k=range(1, count + 1))
        found: Rows = rows[np.arange(len(poses)), (dice * count).astype(np.int64)]
        return found

    @cached_property
    def _tree(self) -> Any:
        return KDTree(self.pose)


def picks(src: Crops, dst: Crops, plan: Plan, iteration: int, seed: int) -> tuple[Rows, Rows]:
    """(B,) which samples of src and of dst an iteration takes, B `plan.batch_size`.

    Every epoch is a fresh shuffle in which each sample comes once. With `plan.even_yaw` the bins of yaw come in
    shuffled rounds instead, each once in a round, and each gives the next of its own shuffled samples.
    (DeepFaceLab's "uniform yaw", samplelib/SampleGeneratorFace.py, has 128 bins over a fixed range instead.)

    With `plan.pair_poses` one of the two is drawn so, and the other is one of the `NEAREST` to it in pitch and yaw.
    Every second time that is dst: were it always src, looks of dst that src lacks would never be learnt.
    """
    places = np.arange(iteration * plan.batch_size, (iteration + 1) * plan.batch_size)
    if not plan.pair_poses:
        of_src, of_dst = (_drawn(c, places, plan, 2 * seed + i) for i, c in enumerate((src, dst)))
        return of_src, of_dst
    of_src, of_dst = np.empty_like(places), np.empty_like(places)
    dice = np.random.default_rng((seed, iteration, 0, 1)).random(len(places))
    sides = ((src, of_src, dst, of_dst), (dst, of_dst, src, of_src))
    for i, (leader, leads, other, follows) in enumerate(sides):
        turn = places % 2 == i
        leads[turn] = rows = _drawn(leader, places[turn] // 2, plan, 2 * seed + i)
        follows[turn] = other.poses.near(leader.poses.pose[rows], dice[turn])
    return of_src, of_dst


def _drawn(crops: Crops, places: Rows, plan: Plan, seed: int) -> Rows:
    """The samples at some places of the endless row in which they come."""
    if not plan.even_yaw:
        return _at(len(crops), places, seed)
    poses, count = crops.poses, len(crops.poses.bins)
    rounds = (divmod(place, count) for place in places.tolist())
    rows = [poses.of_bin(int(_order(count, seed, turn)[slot]), turn, seed) for turn, slot in rounds]
    return np.array(rows, np.int64)


def indices(count: int, batch: int, iteration: int, seed: int) -> Rows:
    """(batch,) which of `count` samples an iteration takes, in shuffled epochs."""
    return _at(count, np.arange(iteration * batch, (iteration + 1) * batch), seed)


def _at(count: int, places: Rows, seed: int) -> Rows:
    return np.array(
        [_order(count, seed, place // count)[place % count] for place in places.tolist()], np.int64
    )


@lru_cache(
    maxsize=8
)  # two people, each at the border of two epochs; drawing one for 100,000 faces takes milliseconds
def _order(count: int, seed: int, epoch: int) -> Rows:
    """(count,) in which order an epoch takes the samples."""
    return np.random.default_rng((seed, epoch)).permutation(count)
