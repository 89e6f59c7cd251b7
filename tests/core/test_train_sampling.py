"""Which samples an iteration takes: all of them evenly, by the rules that are asked for, and the same ones again."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.core.train.data import Crops
from understudy.core.train.plan import Plan
from understudy.core.train.sampling import NEAREST, Poses, indices, picks

EVEN, PAIRED = Plan(even_yaw=True), Plan(pair_poses=True)
seeds = st.integers(0, 2**31)
few = settings(max_examples=40, deadline=None)


def crops(pose: np.ndarray) -> Crops:
    """Samples of which only the pose, (N, 2) in degrees, matters."""
    array = np.zeros((len(pose), 1, 1, 5), np.float16)
    return Crops(array=array, digest="", pose=np.radians(pose).astype(np.float32))


def heads(count: int, seed: int = 0, spread: float = 25.0) -> Crops:
    return crops(np.random.default_rng(seed).normal(0, (8, spread), (count, 2)))


def drawn(src: Crops, dst: Crops, plan: Plan, iterations: int, seed: int) -> list[np.ndarray]:
    """What so many iterations take of each, one after the other."""
    taken = [picks(src, dst, plan, i, seed) for i in range(iterations)]
    return [np.concatenate(side) for side in zip(*taken, strict=True)]


poses = st.lists(
    st.tuples(st.floats(-40, 40, width=32), st.floats(-90, 90, width=32)), min_size=1, max_size=40
).map(lambda rows: crops(np.array(rows)))


@few
@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 9), seeds)
def test_each_sample_comes_once_an_epoch(ours, theirs, batch, seed):
    src, dst = heads(ours), heads(theirs)
    epochs = 3
    rounds = -(-epochs * ours * theirs // batch)
    for taken, count in zip(
        drawn(src, dst, Plan(batch_size=batch), rounds, seed), (ours, theirs), strict=True
    ):
        for epoch in taken[: epochs * count].reshape(epochs, count):
            assert sorted(epoch) == list(range(count))


@few
@given(poses, poses, st.integers(1, 9), seeds, st.booleans(), st.booleans(), st.integers(0, 2000))
def test_picks_depend_on_their_arguments_alone(src, dst, batch, seed, even, paired, iteration):
    plan = Plan(batch_size=batch, even_yaw=even, pair_poses=paired)
    wanted = picks(src, dst, plan, iteration, seed)
    for other in (iteration + 7, 0, iteration + 1):
        picks(src, dst, plan, other, seed + 1)
        picks(dst, src, plan, other, seed)
    again = picks(
        Crops(array=src.array, digest="", pose=src.pose),
        Crops(array=dst.array, digest="", pose=dst.pose),
        plan,
        iteration,
        seed,
    )
    for side, found in enumerate(picks(src, dst, plan, iteration, seed)):
        assert found.tolist() == wanted[side].tolist() == again[side].tolist()
        assert found.shape == (batch,)
        assert found.dtype == np.int64
        assert 0 <= found.min() <= found.max() < len((src, dst)[side])


@few
@given(poses, st.integers(1, 9), seeds)
def test_every_bin_of_yaw_gives_as_much(src, batch, seed):
    """In each round every bin once; within a bin each sample once an epoch."""
    bins = src.poses.bins
    assert sorted(np.concatenate(bins).tolist()) == list(range(len(src)))
    degrees = np.degrees(src.poses.pose[:, 1])
    assert all(np.ptp(degrees[rows]) <= 5.001 for rows in bins)
    which = np.empty(len(src), np.int64)
    for number, rows in enumerate(bins):
        which[rows] = number
    longest = max(map(len, bins))
    places = 2 * longest * len(bins)
    plan = replace(EVEN, batch_size=batch)
    taken = drawn(src, src, plan, -(-places // batch), seed)[0][:places]
    for turn in which[taken].reshape(2 * longest, len(bins)):
        assert sorted(turn) == list(range(len(bins)))
    for number, rows in enumerate(bins):
        own = taken[which[taken] == number]
        for epoch in own[: len(own) // len(rows) * len(rows)].reshape(-1, len(rows)):
            assert sorted(epoch) == sorted(rows)


def test_turned_faces_are_seen_as_often_as_frontal_ones():
    """950 faces look ahead and 50 to the side: evenly drawn, the side is as much as its share of the range."""
    rng = np.random.default_rng(3)
    yaw = np.concatenate([rng.uniform(-5, 5, 950), rng.uniform(50, 60, 50)])
    src = crops(np.stack([np.zeros(1000), yaw], axis=1))
    shares = [float((drawn(src, src, plan, 400, 1)[0] >= 950).mean()) for plan in (Plan(), EVEN)]
    assert shares[0] == pytest.approx(0.05, abs=0.01)
    assert shares[1] == pytest.approx(0.5, abs=0.1)


def test_bins_are_of_the_range_that_there_is():
    assert len(crops(np.array([[0.0, 3.0]])).poses.bins) == 1
    assert len(crops(np.array([[0.0, 3.0]] * 9)).poses.bins) == 1  # all alike
    assert len(crops(np.array([[0.0, y] for y in np.linspace(-20, 20, 900)])).poses.bins) == 8
    halves = crops(np.array([[0.0, -60.0], [0.0, 60.0]])).poses.bins
    assert [rows.tolist() for rows in halves] == [[0], [1]]  # and none between is empty


@few
@given(poses, poses, st.integers(1, 9), seeds, st.booleans())
def test_pairs_are_near_in_pose(src, dst, batch, seed, even):
    """In turns src and dst lead; who follows is one of the nearest to who leads."""
    plan = Plan(batch_size=batch, pair_poses=True, even_yaw=even)
    of_src, of_dst = drawn(src, dst, plan, 12, seed)
    for place, (one, two) in enumerate(zip(of_src, of_dst, strict=True)):
        (lead, row), (follow, other) = ((src, one), (dst, two))[:: 1 if place % 2 == 0 else -1]
        far = np.linalg.norm(follow.poses.pose.astype(float) - lead.poses.pose[row].astype(float), axis=1)
        assert far[other] <= np.sort(far)[min(NEAREST, len(far)) - 1] + 1e-6


@few
@given(st.integers(1, 25), st.integers(1, 25), seeds)
def test_paired_samples_lead_once_an_epoch(ours, theirs, seed):
    """So that each is learnt, also where the other person never looks that way."""
    src, dst = heads(ours, 1, 5.0), crops(np.array([[0.0, 70.0 + i] for i in range(theirs)]))
    of_src, of_dst = drawn(src, dst, replace(PAIRED, batch_size=1), 2 * max(ours, theirs), seed)
    assert sorted(of_src[::2][:ours]) == list(range(ours))
    assert sorted(of_dst[1::2][:theirs]) == list(range(theirs))


def test_pairs_are_nearer_than_chance_and_not_always_the_same():
    src, dst = heads(500, 1), heads(400, 2)

    def apart(plan: Plan) -> float:
        one, two = drawn(src, dst, plan, 200, 5)
        return float(np.degrees(np.linalg.norm(src.poses.pose[one] - dst.poses.pose[two], axis=1)).mean())

    assert apart(PAIRED) < 0.15 * apart(Plan())
    one, two = drawn(src, dst, PAIRED, 4000, 5)
    partners = {row: set(two[::2][one[::2] == row].tolist()) for row in range(500)}
    assert np.mean([len(found) for found in partners.values()]) > 5


def test_samples_are_drawn_as_they_always_were():
    """Whatever is remembered between draws, an iteration is a function of its number: resumed trainings rely on it."""
    for count, batch, seed in ((7, 3, 1), (100, 16, 2), (5, 12, 3)):
        for iteration in (0, 9, 1, 500, 4):
            places = np.arange(iteration * batch, (iteration + 1) * batch)
            wanted = [
                np.random.default_rng((seed, p // count)).permutation(count)[p % count]
                for p in places.tolist()
            ]
            assert indices(count, batch, iteration, seed).tolist() == wanted
    assert indices(100_000, 16, 7, 1).dtype == np.int64
    plan, one, two = Plan(batch_size=3), heads(7), heads(5)
    of_src, of_dst = picks(one, two, plan, 11, 4)
    assert of_src.tolist() == indices(7, 3, 11, 8).tolist()
    assert of_dst.tolist() == indices(5, 3, 11, 9).tolist()


@pytest.mark.parametrize("plan", [EVEN, PAIRED])
def test_crops_without_poses_are_not_drawn_by_them(plan):
    bare = Crops(array=np.zeros((3, 1, 1, 4), np.float16), digest="")
    with pytest.raises(AssertionError, match="no poses"):
        picks(bare, bare, plan, 0, 1)


def test_many_faces_take_little_memory_and_time():
    """Of 100,000 faces a table of all pairs would be 80 GB."""
    src, dst = heads(100_000, 1), heads(100_000, 2)
    plan = Plan(batch_size=16, even_yaw=True, pair_poses=True)
    picks(src, dst, plan, 0, 1)
    start = time.thread_time()  # what other programs take is none of it
    for iteration in range(1, 51):
        picks(src, dst, plan, iteration, 1)
    assert (time.thread_time() - start) / 50 < 0.25  # some ms; the machine may be slow
    held = sum(order.nbytes for _, order in src.poses._orders.values())
    assert held <= 8 * 100_000


def test_equal_poses_have_neighbours_too():
    found = Poses(np.zeros((50, 2), np.float32)).near(
        np.zeros((4, 2), np.float32), np.array([0, 0.3, 0.9, 0.99])
    )
    assert len(set(found.tolist())) >= 3
    assert math.isclose(float(found.max()), found.max())
