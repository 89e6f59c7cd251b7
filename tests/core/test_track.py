"""Who is who over a shot, and what smoothing does and leaves alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.heads import face as head
from understudy.core import track
from understudy.core.errors import InvalidInput
from understudy.core.face import Face, Landmarks


def face(frame: int, x: float = 500.0, y: float = 300.0, scale: float = 1.0, **fields: float) -> Face:
    points = (head(shift=(0.0, 0.0)) * scale + (x, y)).astype(np.float32)
    half = 150.0 * scale
    return Face(
        frame=frame,
        box=(x - half, y - half, x + half, y + half),
        landmarks=Landmarks(scheme="68", points=points),
        score=0.9,
        **fields,  # type: ignore[arg-type]  # track is an int
    )


def ids(frames: list[list[Face]]) -> list[list[int]]:
    return [[f.track for f in faces] for faces in associate(frames)]


def associate(frames: list[list[Face]]) -> list[list[Face]]:
    tracker = track.Tracker()
    return [tracker.assign(faces) for faces in frames]


def test_two_people_keep_their_ids_whatever_the_order_of_detection():
    frames = [[face(n, 300 + 4 * n), face(n, 900, scale=0.8)][:: 1 if n % 2 else -1] for n in range(1, 20)]
    found = associate(frames)
    assert {f.track for faces in found for f in faces} == {0, 1}
    for faces in found:
        assert {f.track: f.box[2] - f.box[0] for f in faces} == pytest.approx({0: 300, 1: 240})


def test_the_largest_newcomer_is_first():
    assert ids([[face(1, 200, scale=0.5), face(1, 700, scale=2.0), face(1, 1300)]]) == [[2, 0, 1]]


def test_people_who_cross_are_paired_all_at_once():
    """Greedy pairing would give the near one to the wrong person."""
    frames = [[face(n, 300 + 30 * n), face(n, 800 - 30 * n, y=420)] for n in range(14)]
    assert ids(frames) == [[0, 1]] * 14


def test_a_gap_is_bridged_within_two_seconds_and_not_beyond():
    assert ids([[face(1)], [], [face(30, 560)], [face(31, 565)]]) == [[0], [], [0], [0]]
    assert ids([[face(1)], [face(60)]]) == [[0], [1]]


def test_a_face_elsewhere_is_somebody_else():
    assert ids([[face(1, 200)], [face(2, 900)]]) == [[0], [1]]
    assert ids([[face(1)], [face(2, scale=4.0)]]) == [[0], [1]]


def test_across_a_cut_only_a_face_that_stays_goes_on():
    for x, expected in ((600.0, 1), (505.0, 0)):
        tracker = track.Tracker()
        tracker.assign([face(1)])
        assert tracker.assign([face(2, x)], cut=True)[0].track == expected


def test_ids_of_people_whose_faces_are_gone_are_not_given_again():
    tracker = track.Tracker([("", face(1, track=1))], taken=[0, 4])
    assert [f.track for f in tracker.assign([face(2), face(2, 1200)])] == [1, 5]


def test_what_an_earlier_run_found_is_taken_up_from_both_sides():
    recorded = [("", f) for f in (face(1, 300, track=2), face(9, 900, track=7), face(100, 900, track=9))]
    tracker = track.Tracker(recorded)
    assert [f.track for f in tracker.assign([face(2, 302), face(2, 880), face(2, 1500)])] == [2, 7, 10]
    assert [f.track for f in tracker.assign([face(20, 320), face(20, 920)])] == [2, 7]
    assert [f.track for f in tracker.assign([face(99, 902)])] == [9]


def eyes(tracker: track.Tracker, left: list[Face], right: list[Face]) -> tuple[list[int], list[int]]:
    """The ids of one frame's faces in both views."""
    seen = [tracker.assign(faces, view=view) for view, faces in (("left", left), ("right", right))]
    return [f.track for f in seen[0]], [f.track for f in seen[1]]


@pytest.mark.parametrize("shift", [-150.0, -60.0, 0.0, 120.0, 250.0])
def test_a_person_has_one_id_in_both_eyes(shift: float):
    """Three people in a row, in any order of detection, seen with a shift of up to 0.8 of a face."""
    tracker = track.Tracker()
    for n in range(1, 6):
        left = [face(n, x + 5 * n, y) for x, y in ((400, 300), (800, 340), (1250, 310))]
        right = [face(n, x + 5 * n + shift, y + 6) for x, y in ((800, 340), (1250, 310), (400, 300))]
        assert eyes(tracker, left, right) == ([0, 1, 2], [1, 2, 0])


def test_who_is_in_one_eye_only_keeps_an_id_that_nobody_else_has():
    tracker = track.Tracker()
    assert eyes(tracker, [face(1, 300)], [face(1, 1500), face(1, 330)]) == ([0], [1, 0])
    assert eyes(tracker, [face(2, 300), face(2, 900)], [face(2, 1500), face(2, 330)]) == ([0, 2], [1, 0])
    assert eyes(tracker, [face(3, 300), face(3, 1480)], [face(3, 330)]) == ([0, 1], [0])
    assert eyes(tracker, [], [face(4, 930), face(4, 335)]) == ([], [2, 0])


def test_what_one_eye_sees_now_counts_more_than_what_the_other_saw_before():
    """Behind a wipe the right eye's two people have changed places; the left eye saw who went where."""
    tracker = track.Tracker()
    eyes(tracker, [face(1, 300), face(1, 900)], [face(1, 310), face(1, 910)])
    for n in range(2, 22):
        eyes(tracker, [face(n, 300 + 30 * (n - 1)), face(n, 900 - 30 * (n - 1), y=420)], [])
    assert eyes(tracker, [face(22, 920), face(22, 290, y=420)], [face(22, 300, y=420), face(22, 930)]) == (
        [0, 1],
        [1, 0],
    )


def test_nobody_is_taken_for_a_face_at_another_height_or_of_another_size_or_shape():
    for other in (face(1, 310, y=390), face(1, 310, scale=1.6), face(1, 700)):
        assert eyes(track.Tracker(), [face(1, 300)], [other]) == ([0], [1])
    grin = face(1, 310)
    points = grin.landmarks.points.copy()
    points[48:] += (0.0, 250.0)
    grin = replace(grin, landmarks=Landmarks(scheme="68", points=points))
    assert eyes(track.Tracker(), [face(1, 300)], [grin]) == ([0], [1])


def test_what_an_earlier_run_found_in_one_eye_names_who_is_in_the_other():
    recorded = [("left", face(n, x, track=t)) for n in (1, 2) for t, x in ((3, 300.0), (5, 900.0))]
    tracker = track.Tracker(recorded)
    assert [f.track for f in tracker.assign([face(1, 930), face(1, 330)], view="right")] == [5, 3]
    assert [f.track for f in tracker.assign([face(2, 930), face(2, 1500)], view="right")] == [5, 6]


@pytest.mark.parametrize("aspect", [2.0, 1.33, 0.5])
def test_people_are_told_apart_in_square_pixels(aspect: float):
    """What is near enough, sideways or up and down, does not depend on how the plate is squeezed."""

    def narrow(seen: Face) -> Face:
        x0, y0, x1, y1 = seen.box
        points = (seen.landmarks.points / (aspect, 1.0)).astype(np.float32)
        return replace(
            seen, box=(x0 / aspect, y0, x1 / aspect, y1), landmarks=Landmarks(scheme="68", points=points)
        )

    for x, y in ((175.0, 0.0), (185.0, 0.0), (0.0, 175.0), (0.0, 185.0), (120.0, 120.0), (135.0, 135.0)):
        plain, squeezed = track.Tracker(), track.Tracker()
        both = [face(1), face(2, 500 + x, 300 + y)]
        expected = [plain.assign([f])[0].track for f in both]
        assert [squeezed.assign([narrow(f)], pixel_aspect=aspect)[0].track for f in both] == expected
        assert expected == [0, int(np.hypot(x, y) > 180)]


def look(*values: float) -> np.ndarray:
    """Descriptors of one number each; two people are 1 apart at least."""
    return np.array(values, np.float32)[:, None]


def test_people_who_pass_through_one_another_keep_their_ids_by_their_look():
    """Half a second, head behind head: by movement alone either could be either."""
    tracker = track.Tracker()
    for n in range(40):
        left, right = 300.0 + 15 * n, 900.0 - 15 * n
        if 15 < n < 25:  # one face only is seen where they overlap: who is in front
            assert [f.track for f in tracker.assign([face(n, left)], descriptors=look(0.0))] == [0]
            continue
        # they turn round behind one another and walk back: movement would swap them
        x = (left, right) if n <= 15 else (right - 15, left + 15)
        swapped = tracker.assign([face(n, x[0]), face(n, x[1])], descriptors=look(0.1, 1.8))
        assert [f.track for f in swapped] == [0, 1]


def test_two_overlapping_faces_are_two_people_each_frame():
    tracker = track.Tracker()
    for n in range(12):
        near, far = face(n, 500 + n), face(n, 560 + n, 290, scale=0.8)
        both = tracker.assign([far, near] if n % 2 else [near, far], descriptors=None)
        assert [f.track for f in both] == ([1, 0] if n % 2 else [0, 1])


def test_who_comes_back_after_long_is_known_by_the_look_if_that_is_clear():
    for seen, expected in ((0.2, 0), (2.2, 1), (0.8, 3), (1.1, 3)):  # the last two are between two people
        tracker = track.Tracker()
        tracker.assign([face(1, 300), face(1, 900), face(1, 1500)], descriptors=look(0.0, 2.0, 9.0))
        assert tracker.assign([face(200, 1300)], descriptors=look(seen))[0].track == expected
    tracker = track.Tracker()
    tracker.assign([face(1)], descriptors=look(0.0))
    assert tracker.assign([face(200)])[0].track == 1  # without a look nobody is known again


def test_the_look_does_not_bring_back_who_is_seen_elsewhere_or_can_not_have_come_so_far():
    tracker = track.Tracker()
    tracker.assign([face(1)], descriptors=look(0.0))
    assert [f.track for f in tracker.assign([face(2), face(2, 1500)], descriptors=look(0.0, 0.0))] == [0, 1]
    tracker = track.Tracker()
    tracker.assign([face(1)], descriptors=look(0.0))
    assert tracker.assign([face(5, 5000)], descriptors=look(0.0))[0].track == 1


def test_shot_and_reverse_shot():
    """Two people, one at a time, both in the middle of the picture: movement would make them one."""
    tracker = track.Tracker()
    found = []
    for n in range(60):
        person = n // 10 % 2
        seen = tracker.assign(
            [face(n, 500 + 40 * person)], cut=n % 10 == 0 and n > 0, descriptors=look(2.0 * person)
        )
        found.append(seen[0].track)
    assert found == [n // 10 % 2 for n in range(60)]


def test_a_cut_counts_too_for_who_is_found_a_few_frames_after_it():
    for with_cut in (True, False):
        tracker = track.Tracker()
        tracker.assign([face(1, 500)])
        tracker.assign([face(2, 1500)], cut=with_cut)
        assert tracker.assign([face(4, 640)])[0].track == (2 if with_cut else 0)
    recorded = [("", face(1, 500)), ("", replace(face(8, 800, track=7), cut=True))]
    assert (
        track.Tracker(recorded).assign([face(6, 720)])[0].track == 0
    )  # 7 is nearer, and comes after the cut


def test_a_person_changes_slowly_and_is_not_confused_by_a_bad_frame():
    """The light drifts; on one frame a hand hides the face."""
    tracker = track.Tracker()
    for n in range(100):
        seen = tracker.assign([face(n)], descriptors=look(50.0 if n == 60 else 0.02 * n))
        assert [f.track for f in seen] == [0]
    assert tracker.assign([face(400, 1300)], descriptors=look(1.5))[0].track == 0
    assert tracker.assign([face(800, 500)], descriptors=look(0.0))[0].track == 1


def test_distances_are_in_units_of_what_the_makers_call_the_same():
    for same, expected in ((1.0, 1), (10.0, 0)):
        tracker = track.Tracker(same=same)
        tracker.assign([face(1)], descriptors=look(0.0))
        assert tracker.assign([face(200)], descriptors=look(2.0))[0].track == expected


def test_a_descriptor_that_is_none_says_nothing():
    tracker = track.Tracker()
    for n in range(3):
        assert tracker.assign([face(n)], descriptors=look(np.nan))[0].track == 0
    assert tracker.assign([face(200)], descriptors=look(0.0))[0].track == 1


def moving(count: int, noise: float = 0.0, first: int = 1001) -> list[Face]:
    """A head that accelerates, and the noise of a landmarker on top."""
    rng = np.random.default_rng(1)
    faces = []
    for n in range(count):
        true = face(first + n, 300 + 3 * n + 0.4 * n * n, 300 - n, yaw=2.0 * n, roll=float(n))
        shaken = (true.landmarks.points + rng.normal(0, noise, (68, 2))).astype(np.float32)
        faces.append(replace(true, landmarks=Landmarks(scheme="68", points=shaken)))
    return faces


def test_smoothing_keeps_a_constant_acceleration():
    """Zero phase: no lag, to the first and the last frame."""
    for before, after in zip(moving(20), track.smooth(moving(20), 7), strict=True):
        np.testing.assert_allclose(after.landmarks.points, before.landmarks.points, atol=1e-3)
        assert after.box == pytest.approx(before.box)
        assert (after.yaw, after.roll) == pytest.approx((before.yaw, before.roll), abs=1e-5)


def test_smoothing_takes_noise_out():
    true = np.stack([f.landmarks.points for f in moving(60)])
    noisy = np.stack([f.landmarks.points for f in moving(60, 1.0)])
    smooth = np.stack([f.landmarks.points for f in track.smooth(moving(60, 1.0), 9)])
    assert (smooth - true).std() < 0.6 * (noisy - true).std()
    jitter = [np.diff(p, 2, axis=0).std() for p in (noisy, smooth)]
    assert jitter[1] < 0.25 * jitter[0]


def test_smoothing_never_crosses_a_gap_or_a_person():
    left, right = moving(6, 1.0), [replace(f, frame=f.frame + 1) for f in moving(12, 1.0)[6:]]
    other = [replace(f, track=1) for f in moving(12, 1.0)]
    together = track.smooth([*right, *other, *left], 7)
    apart = track.smooth(right, 7) + track.smooth(other, 7) + track.smooth(left, 7)
    for a, b in zip(together, apart, strict=True):
        np.testing.assert_array_equal(a.landmarks.points, b.landmarks.points)
        assert (a.frame, a.track) == (b.frame, b.track)


def test_smoothing_never_crosses_a_cut():
    faces = [replace(f, cut=f.frame == 1007) for f in moving(12, 1.0)]
    together, apart = track.smooth(faces, 7), track.smooth(faces[:6], 7) + track.smooth(faces[6:], 7)
    for a, b in zip(together, apart, strict=True):
        np.testing.assert_array_equal(a.landmarks.points, b.landmarks.points)


def test_what_a_person_gave_stays_and_the_others_are_fitted_with_it():
    faces = moving(30, 0.5)
    lifted = faces[14].landmarks.points + np.float32(6.0)
    key = replace(
        faces[14], landmarks=Landmarks(scheme="68", points=lifted), origin="manual", box=(1.0, 2.0, 3.0, 4.0)
    )
    steady = track.smooth([*faces[:14], key, *faces[15:]], 7)
    assert steady[14] is key
    without = track.smooth(faces, 7)
    moved = [
        float((a.landmarks.points - b.landmarks.points).mean()) for a, b in zip(steady, without, strict=True)
    ]
    assert moved[13] > 1.0
    assert abs(moved[5]) < 0.1


def test_an_outlier_frame_is_read_from_those_around_it():
    true, faces = moving(40), moving(40, 0.5)
    points = faces[20].landmarks.points + np.array((90.0, -40.0), np.float32)
    faces[20] = replace(faces[20], landmarks=Landmarks(scheme="68", points=points))
    for n, (a, b) in enumerate(zip(track.smooth(faces, 7), true, strict=True)):
        assert np.abs(a.landmarks.points - b.landmarks.points).mean() < 1.0, n


def test_a_point_that_the_landmarker_was_not_sure_of_counts_less():
    faces = moving(30)
    sure, unsure = np.ones(68, np.float32), np.ones(68, np.float32)
    unsure[5] = 0.01
    points = faces[12].landmarks.points.copy()
    points[5] += 8.0
    errors = []
    for confidence in (sure, unsure):
        shaken = replace(faces[12], landmarks=Landmarks(scheme="68", points=points, confidence=confidence))
        found = track.smooth([*faces[:12], shaken, *faces[13:]], 7)[12]
        assert found.landmarks.confidence is confidence
        errors.append(float(np.abs(found.landmarks.points[5] - faces[12].landmarks.points[5]).max()))
    assert errors[0] > 1.0
    assert errors[1] < 0.2


def test_roll_is_smoothed_across_half_a_turn():
    faces = [face(n, roll=(175.0 + 2 * n + 180) % 360 - 180) for n in range(8)]
    for before, after in zip(faces, track.smooth(faces, 5), strict=True):
        assert (after.roll - before.roll + 180) % 360 - 180 == pytest.approx(0.0, abs=1e-6)


@given(st.integers(1, 12))
def test_a_window_of_one_and_short_runs_change_nothing_much(count: int):
    faces = moving(count, 1.0)
    for before, after in zip(faces, track.smooth(faces, 1), strict=True):
        np.testing.assert_allclose(after.landmarks.points, before.landmarks.points, atol=1e-3)
    assert len(track.smooth(faces, 15)) == count
    assert track.smooth([], 5) == []


@pytest.mark.parametrize("window", [0, -3, 4])
def test_a_window_is_odd(window: int):
    with pytest.raises(InvalidInput) as caught:
        track.smooth([], window)
    assert caught.value.field == "window"
