"""The plates that everything else is tried on: are they what a camera would have given?"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from bench import clips
from bench.clips import Clip
from bench.stills import STILLS, Pose, displace, part
from understudy.core import plate
from understudy.core.errors import InvalidInput
from understudy.core.plate import Template, Timecode
from understudy.core.reports import FrameStatus

NAMES = tuple(STILLS)


def small(name: str, **settings) -> Clip:
    return Clip(name=name, **{"frames": 4, "width": 160, "height": 120, **settings})


def grid(still):
    x, y = np.meshgrid(np.arange(0.5, 512), np.arange(0.5, 512))
    return x.astype(np.float32), y.astype(np.float32)


@pytest.mark.parametrize("name", NAMES)
class TestActing:
    def test_at_rest_the_still_is_left_as_it_is(self, name):
        x, y = grid(STILLS[name])
        dx, dy = displace(STILLS[name], Pose(), x, y)
        height, hollow = part(STILLS[name], Pose(), x, y)
        assert not dx.any()
        assert not dy.any()
        np.testing.assert_allclose(height, y, atol=1e-4)
        assert not hollow.any()

    def test_the_fields_fold_nowhere(self, name):
        """Where x + dx ran backwards the picture would show a piece of the face twice."""
        x, y = grid(STILLS[name])
        for sign in (-1, 1):
            pose = Pose(jaw=1, smile=sign, brows=sign, yaw=14 * sign, pitch=8 * sign, lean=3 * sign)
            dx, dy = displace(STILLS[name], pose, x, y)
            assert np.diff(x + dx, axis=1).min() > 0.2
            assert np.diff(y + dy, axis=0).min() > 0.2

    def test_an_open_jaw_lowers_the_chin_and_opens_the_mouth(self, name):
        still, pose = STILLS[name], Pose(jaw=1)
        at = [np.full((1, 1), v, np.float32) for v in still.chin]
        _, dy = displace(still, pose, *at)
        assert -0.25 * still.unit < dy.item() < -0.1 * still.unit  # a backward map: look further up
        _, hollow = part(still, pose, *grid(still))
        assert hollow.max() == 1
        rows, columns = np.nonzero(hollow)
        assert still.seam[0][0] <= columns.min() + 0.5
        assert columns.max() + 0.5 <= still.seam[-1][0]
        assert rows.max() < still.chin[1]

    def test_a_turned_head_moves_the_nose_and_not_the_background(self, name):
        still = STILLS[name]
        nose = [np.full((1, 1), v, np.float32) for v in still.nose]
        corner = [np.full((1, 1), v, np.float32) for v in (5, 5)]
        assert displace(still, Pose(yaw=14), *nose)[0].item() < -0.1 * still.unit
        assert abs(displace(still, Pose(yaw=14), *corner)[0].item()) < 0.02 * still.unit

    def test_a_blink_covers_the_pupils(self, name):
        still = STILLS[name]
        for eye, lid in zip(still.eyes, still.lids, strict=True):
            x, y = (np.full((1, 1), v, np.float32) for v in (eye[0], lid[2][1] + 1))
            assert part(still, Pose(), x, y)[0].item() == pytest.approx(y.item(), abs=1e-4)
            assert part(still, Pose(blink=1), x, y)[0].item() < lid[2][1]


@pytest.mark.parametrize("name", NAMES)
class TestPixels:
    def test_scene_linear_with_highlights_and_a_dark_below_zero(self, name):
        pixels = clips.render(small(name, width=320, height=240), 0)
        assert pixels.dtype == np.float32
        assert pixels.shape == (240, 320, 3)
        assert np.isfinite(pixels).all()
        assert 2 < pixels.max() < 12
        assert -0.05 < pixels.min() < 0

    def test_frames_differ_by_move_and_by_grain(self, name):
        clip = small(name, frames=12)
        pixels = [clips.render(clip, i) for i in range(clip.frames)]
        assert all(np.abs(a - b).mean() > 1e-3 for a, b in pairwise(pixels))

    def test_the_light_drifts_by_a_third_of_a_stop_at_most(self, name):
        clip = small(name, frames=48)
        stops = [np.log2(np.median(clips.render(clip, i))) for i in range(0, 48, 4)]
        assert 0.1 < max(stops) - min(stops) < 1

    def test_the_same_clip_is_the_same_and_another_seed_another(self, name):
        clip = small(name)
        assert np.array_equal(clips.render(clip, 2), clips.render(clip, 2))
        assert not np.array_equal(clips.render(clip, 2), clips.render(replace(clip, seed=2), 2))


def test_the_performance_uses_its_range():
    """What a swap must carry over has to be there: mouth open and shut, both smiles, both turns, a blink."""
    for name in NAMES:
        poses = [clips.performance(Clip(name=name), i) for i in range(48)]
        assert min(p.jaw for p in poses) == 0
        assert max(p.jaw for p in poses) > 0.6
        for part_of_it in ("smile", "brows"):
            values = [getattr(p, part_of_it) for p in poses]
            assert max(values) - min(values) > 0.8, (name, part_of_it)
        assert max(p.yaw for p in poses) - min(p.yaw for p in poses) > 10
        assert max(p.blink for p in poses) > 0.8, name


class TestFiles:
    def test_a_plate_as_a_camera_gives_it(self, tmp_path):
        pattern = clips.make(
            "hopper", str(tmp_path / "h.####.exr"), frames=3, width=160, height=120, first=86398
        )
        assert pattern == str(tmp_path / "h.%04d.exr")
        frame = plate.read(Template.parse(pattern), 86400)
        assert {c: p.dtype for c, p in frame.planes.items()} == dict.fromkeys("RGB", np.dtype(np.float16))
        assert frame.data == frame.display
        assert (frame.data.width, frame.data.height) == (160, 120)
        assert plate.guess_colour_space(frame) == clips.COLOUR_SPACE

    def test_timecode_counts_on_and_the_rate_stays(self, tmp_path):
        pattern = clips.make(
            "hopper", str(tmp_path / "h.####.exr"), frames=2, width=64, height=48, timecode="09:59:59:23"
        )
        first, second = (plate.read(Template.parse(pattern), n) for n in (1001, 1002))
        assert str(Timecode.from_header(first.metadata)) == "09:59:59:23"
        assert str(Timecode.from_header(second.metadata)) == "10:00:00:00"
        assert plate.rate(second.metadata) == Fraction(24000, 1001)

    def test_what_is_there_is_left_alone_and_what_changed_is_made_again(self, tmp_path):
        pattern = str(tmp_path / "a.%04d.exr")
        clip = small("astronaut", width=64, height=48)
        statuses = [r.status for r in clips.run(clip, pattern)]
        assert statuses == [FrameStatus.DONE] * 4
        before = {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
        assert [r.status for r in clips.run(clip, pattern)] == [FrameStatus.SKIPPED] * 4
        assert {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()} == before
        (tmp_path / "a.1002.exr").write_bytes(b"")
        again = sorted(clips.run(clip, pattern), key=lambda r: r.frame)
        assert [r.status is FrameStatus.DONE for r in again] == [False, True, False, False]
        assert all(r.status is FrameStatus.DONE for r in clips.run(replace(clip, seed=9), pattern))

    def test_closing_early_leaves_whole_frames_only(self, tmp_path):
        work = clips.run(small("astronaut", frames=1000, width=64, height=48), str(tmp_path / "a.%04d.exr"))
        next(work)
        work.close()
        names = sorted(p.name for p in tmp_path.iterdir())
        assert 0 < len(names) < 1000  # whatever the number of cores
        assert not any(name.startswith(".") for name in names)


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"name": "nobody"}, "name"),
        ({"name": "hopper", "frames": 0}, "frames"),
        ({"name": "hopper", "width": -1}, "width"),
        ({"name": "hopper", "timecode": "1:2"}, "timecode"),
        ({"name": "hopper", "rate": Fraction(0)}, "rate"),
    ],
)
def test_wrong_settings_are_named(settings, field):
    with pytest.raises(InvalidInput) as caught:
        Clip(**settings)
    assert caught.value.field == field
    assert str(settings[field]) in caught.value.message
