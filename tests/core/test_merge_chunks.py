"""What frame N looks like has nothing to do with the frames that were asked for beside it: chunks of one, of three and
the whole give the same bytes, in any order, with everything on that looks at neighbours or at the shot.
"""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest

from tests.core import shots
from tests.core.masking import SIDE, give
from tests.core.merging import contents, reports, statuses, verified
from understudy.core import _plugins
from understudy.core.frames import FrameRange
from understudy.core.merge.recipe import Curve, Key, Override
from understudy.core.model import swap
from understudy.core.plate import Template

FIRST = shots.FIRST
NUMBERS = tuple(range(FIRST, FIRST + 7))
GAP = FIRST + 5
EVERYTHING = {
    "mask": "face*hull*occ",
    "smooth": 5,
    "mask_smooth": 3,
    "grain": Curve.constant(0.8),
    "denoise": Curve.constant(1.0),
    "motion_blur": Curve.constant(0.5),
    "relight": "low_frequency",
    "erode": Curve((Key(frame=FIRST, value=0.0), Key(frame=FIRST + 6, value=3.0))),
    "face_scale": Curve.constant(4.0),
    "overrides": (
        Override(frames=FrameRange.of(FIRST + 1, FIRST + 2), settings=(("sharpen", Curve.constant(1.0)),)),
        Override(frames=FrameRange.of(FIRST + 4, FIRST + 4), like=FIRST),
    ),
}


class Painter(shots.Mirror):
    def swap(self, crops):
        return crops[..., [1, 2, 0]].copy(), np.ones(crops.shape[:3], np.float32)


@pytest.fixture(autouse=True)
def painter(monkeypatch):
    monkeypatch.setattr(swap, "load", lambda *_: Painter())


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Seven frames, the sixth without a face; before the others a bar that trembles."""
    found = shots.make(tmp_path_factory.mktemp("scene"), numbers=NUMBERS, without_face=[GAP])
    for number in NUMBERS:
        if number != GAP:
            matte = np.ones((SIDE, SIDE), np.float32)
            matte[:, 40 + 5 * (number % 3) :][:, :8] = 0.0
            give(found, matte, number)
    return found


def looked(scene, out, **look):
    settings = scene.settings(scene.folder / "model", out=f"{out}/comp.####.exr")
    return shots.keyed(settings, **look)


@pytest.mark.parametrize(
    ("blend", "match", "per_frame"),
    [
        (blend, _plugins.names("match")[i % len(_plugins.names("match"))], i % 2 == 1)
        for i, blend in enumerate(_plugins.names("blend"))
    ],
)
def test_chunks_of_one_of_three_and_the_whole(scene, colour, blend, match, per_frame):
    whole = looked(scene, f"{blend}-whole", blend=blend, match=match, match_per_frame=per_frame, **EVERYTHING)
    assert set(statuses(whole, colour).values()) == {"done", "no_face"}
    assert verified(whole, colour) == {""}
    expected = contents(whole.out.directory)
    assert len(expected) == len(NUMBERS)
    for size in (1, 3):
        out = Template.parse(str(scene.folder / f"{blend}-{size}" / "comp.####.exr"))
        for chunk in reversed([NUMBERS[i : i + size] for i in range(0, len(NUMBERS), size)]):
            reports(replace(whole, out=out, frames=FrameRange.from_frames(chunk)), colour)
        assert contents(out.directory) == expected
        shutil.rmtree(out.directory)


def test_workers_that_each_make_their_own_analysis(scene, colour):
    """On machines without a common folder nothing is read from another's `track/`; all of it comes out the same."""
    whole = looked(scene, "alone-whole", blend="over", match="sot", **EVERYTHING)
    reports(whole, colour)
    expected = contents(whole.out.directory)
    track = (whole.out.directory / "track" / "comp.json").read_bytes()
    for number in NUMBERS[::3]:
        out = Template.parse(str(scene.folder / f"alone-{number}" / "comp.####.exr"))
        reports(replace(whole, out=out, frames=FrameRange.of(number, number)), colour)
        name = out.path(number).name
        assert contents(out.directory) == {name: expected[name]}
        assert (out.directory / "track" / "comp.json").read_bytes() == track


def test_a_neighbour_matters_where_it_should(scene, colour):
    """Lest settings that do nothing pass for ones that do not depend on chunks."""
    number = FIRST + 2
    plain = looked(scene, "plain", **{**EVERYTHING, "overrides": ()})
    for name, without in (("smooth", 0), ("mask_smooth", 0), ("motion_blur", Curve.constant(0.0))):
        other = shots.keyed(plain, **{name: without})
        other = replace(other, out=Template.parse(str(scene.folder / name / "comp.####.exr")))
        one, two = (replace(each, frames=FrameRange.of(number, number)) for each in (plain, other))
        for each in (one, two):
            reports(each, colour)
        assert _picture(one.out.path(number)) != _picture(two.out.path(number)), name


def _picture(path):
    from understudy.core import plate

    return plate.read_file(path).planes["face.G"].tobytes()
