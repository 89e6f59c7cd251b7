"""The landmarker that chooses: by how the head is turned, by that frame alone, without a jump."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.parity import randomised
from tests.core.heads import face
from tests.core.landmarking import boxed, one_thread, portrait
from understudy.core.errors import WeightsMissing
from understudy.core.face import Landmarks
from understudy.core.landmark import Found, Look, auto, facemesh, fan2d
from understudy.core.weights import WeightStore

PROXY = np.zeros((1080, 1920, 3), np.float32)


@pytest.fixture(scope="module", autouse=True)
def threads():
    with one_thread():
        yield


class Turned:
    """Knows the head of the 3D model: how far it is turned is said by the box's left edge, in degrees.

    `off` is how far its points lie beside where the model has them, as networks differ.
    """

    def __init__(self, off: float = 0.0, score: float = 1.0, confidence: float | None = None) -> None:
        self.off, self.score, self.confidence = off, score, confidence
        self.asked: list[float] = []

    def landmarks(self, looks):
        found = []
        for look in looks:
            yaw = look.detection.box[0]
            self.asked.append(yaw)
            points = (face(yaw) + self.off).astype(np.float32)
            said = None if self.confidence is None else np.full(68, self.confidence, np.float32)
            landmarks = Landmarks(scheme="68", points=points, confidence=said)
            found.append(Found(landmarks=landmarks, score=self.score))
        return found

    def to_68(self, landmarks):
        return landmarks


def turned(yaw: float) -> Look:
    return Look(proxy=PROXY, detection=boxed((yaw, 0.0, yaw + 100.0, 100.0)))


def off(found: Found, yaw: float) -> float:
    return float((found.landmarks.points - face(yaw)).mean())


@pytest.mark.parametrize(
    ("yaw", "expected"), [(0.0, 3.0), (-30.0, 3.0), (34.0, 3.0), (55.0, 7.0), (-70.0, 7.0)]
)
def test_ahead_and_aside_have_their_own(yaw, expected):
    scout, ahead, aside = Turned(), Turned(3.0, confidence=0.5), Turned(7.0, confidence=0.9)
    (found,) = auto.Auto(scout, ahead, aside).landmarks([turned(yaw)])
    assert off(found, yaw) == pytest.approx(expected, abs=1e-3)
    assert found.landmarks.confidence is not None
    assert found.landmarks.confidence[0] == pytest.approx(0.5 if expected == 3.0 else 0.9)
    assert (len(ahead.asked), len(aside.asked)) == ((1, 0) if expected == 3.0 else (0, 1))


@given(st.floats(-80.0, 80.0), st.floats(0.01, 0.5))
def test_a_head_that_turns_is_handed_over_without_a_jump(yaw, step):
    chooser = auto.Auto(Turned(), Turned(-5.0), Turned(5.0))
    first, second = chooser.landmarks([turned(yaw), turned(yaw + step)])
    assert (
        abs(off(first, yaw) - off(second, yaw + step)) < 1.5 * step + 1e-3
    )  # of the ten that lie between them


def test_a_frame_does_not_know_the_others():
    chooser = auto.Auto(Turned(), Turned(-5.0), Turned(5.0))
    yaws = [0.0, 43.0, 60.0, 43.0, 41.0, 0.0]
    there = chooser.landmarks([turned(yaw) for yaw in yaws])
    back = chooser.landmarks([turned(yaw) for yaw in reversed(yaws)])
    for one, other in zip(there, reversed(back), strict=True):
        np.testing.assert_array_equal(one.landmarks.points, other.landmarks.points)


def test_what_lies_between_is_mixed_of_those_who_say():
    chooser = auto.Auto(Turned(), Turned(-5.0), Turned(5.0, score=0.5, confidence=0.8))
    (found,) = chooser.landmarks([turned(43.0)])
    assert -5.0 < off(found, 43.0) < 5.0
    assert found.landmarks.confidence is not None
    np.testing.assert_allclose(found.landmarks.confidence, 0.8, rtol=1e-6)
    assert 0.5 < found.score < 1.0


def test_where_the_scout_sees_no_face_the_far_one_is_asked():
    aside = Turned(5.0)
    (found,) = auto.Auto(Turned(score=0.1), Turned(-5.0), aside).landmarks([turned(0.0)])
    assert off(found, 0.0) == pytest.approx(5.0, abs=1e-3)


def test_it_uses_what_is_here(weight_store, tmp_path):
    mesh = auto.create(weight_store)
    assert mesh._ahead is mesh._aside is mesh._scout
    assert isinstance(mesh._scout, facemesh.FaceMesh)
    file = tmp_path / weight_store.entry("2dfan4").filename
    torch.save(randomised(fan2d.Network()).state_dict(), file)

    class Here(WeightStore):
        def has(self, name: str) -> bool:
            return name == "2dfan4" or super().has(name)

        def path(self, name: str) -> Path:
            return file if name == "2dfan4" else super().path(name)

    both = auto.create(Here(weight_store.cache), device="cpu")
    assert isinstance(both._ahead, fan2d.Fan2D)
    assert both._aside is both._ahead
    (found,) = both.landmarks([portrait()])
    assert found.landmarks.confidence is not None


def test_without_the_mesh_it_says_what_is_missing(tmp_path):
    with pytest.raises(WeightsMissing, match="facemesh"):
        auto.create(WeightStore(tmp_path))
