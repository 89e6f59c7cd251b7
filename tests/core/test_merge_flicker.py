"""Masks without flicker: what goes, what stays, and that no chunk knows of another."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tests.core import shots
from tests.core.masking import ALL, FIRST, LEFT, face_of, give, layer, masked
from tests.core.merging import contents, reports, statuses, verified
from understudy.core.faceset import store
from understudy.core.frames import FrameRange
from understudy.core.merge import mattes
from understudy.core.merge.expression import parse
from understudy.core.merge.flicker import Deflicker
from understudy.core.plate import Template

NUMBERS = tuple(range(FIRST, FIRST + 5))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return shots.tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def shot(tmp_path):
    """Five frames."""
    return shots.make(tmp_path, numbers=NUMBERS, without_face=[])


class TestFlicker:
    def test_a_matte_that_drops_out_is_taken_from_around(self, shot, model, colour):
        give(shot, ALL, *NUMBERS)
        give(shot, ALL * 0.0, NUMBERS[2])
        loose = masked(shot, model, "hull*occ", out="loose/comp.####.exr")
        steady = masked(shot, model, "hull*occ", out="steady/comp.####.exr", mask_smooth=3)
        for settings in (loose, steady):
            assert set(statuses(settings, colour).values()) == {"done"}
        areas = {s: [layer(s, "mask_blend", n).sum() for n in NUMBERS] for s in (loose, steady)}
        assert areas[loose][2] == 0.0
        assert areas[steady][2] == pytest.approx(areas[steady][1], rel=0.05)
        np.testing.assert_allclose(np.delete(areas[loose], 2), np.delete(areas[steady], 2), rtol=0.05)
        assert layer(steady, "mask_occ", NUMBERS[2]).max() == 0.0  # the layer shows the matte as it is
        assert verified(steady, colour) == {""}

    def test_chunks_of_one_three_and_all_give_identical_bytes(self, shot, model, colour):
        give(shot, LEFT, *NUMBERS[::2])
        give(shot, ALL, *NUMBERS[1::2])
        whole = masked(
            shot, model, "face*dst*occ", match="reinhard", mask_smooth=5, out="whole/comp.####.exr"
        )
        assert set(statuses(whole, colour).values()) == {"done"}
        for size in (1, 3):
            settings = replace(whole, out=Template.parse(str(shot.folder / f"c{size}" / "comp.####.exr")))
            for start in reversed(range(0, len(NUMBERS), size)):
                chunk = FrameRange.from_frames(NUMBERS[start : start + size])
                reports(replace(settings, frames=chunk), colour)
            assert contents(settings.out.directory) == contents(whole.out.directory)

    def test_frames_around_one_that_changes_are_made_again(self, shot, model, colour):
        give(shot, ALL, *NUMBERS)
        settings = masked(shot, model, "hull*occ", mask_smooth=3)
        statuses(settings, colour)
        assert set(statuses(settings, colour).values()) == {"skipped"}
        give(shot, LEFT, NUMBERS[3])  # the last frame has nothing after it, and stands alone
        expected = dict.fromkeys(NUMBERS, "skipped") | dict.fromkeys(NUMBERS[2:4], "done")
        assert statuses(settings, colour) == expected

    def test_another_exposure_of_a_neighbour_is_noticed(self, shot, model, colour):
        """By it the network sees the neighbour's crop; the file is as long as it was."""
        settings = masked(shot, model, "face", mask_smooth=3)
        statuses(settings, colour)
        opened, record = face_of(shot.faceset, NUMBERS[4])
        store.write(replace(record, gain=0.8), opened.load(record))
        expected = dict.fromkeys(NUMBERS, "skipped") | dict.fromkeys(NUMBERS[3:], "done")
        assert statuses(settings, colour) == expected

    def test_a_broken_crop_breaks_no_other_frame(self, shot, model, colour):
        """Somebody painted NaN into the middle face of the set; the plate is whole."""
        settings = masked(shot, model, "face", mask_smooth=3)
        opened, record = face_of(shot.faceset, NUMBERS[2])
        pixels = opened.load(record)
        pixels[40:43, 40:43] = np.nan
        store.write(record, pixels)
        assert set(statuses(settings, colour).values()) == {"done"}
        for number in NUMBERS:
            assert np.isfinite(layer(settings, "mask_blend", number)).all()
            assert layer(settings, "mask_blend", number).max() > 0

    def deflicker(self, masks, *, window=5, cuts=(), known=None):
        """Of masks by frame number, and where another picture begins."""
        made: list[int] = []

        def mask(spot, _):
            made.append(spot.number)
            return masks[spot.number]

        occlusion = SimpleNamespace(knows=lambda number: known is None or number in known)
        masker = SimpleNamespace(expression=parse("hull*occ"), occlusion=occlusion)
        spots = {n: SimpleNamespace(number=n, record=n, face=SimpleNamespace(cut=n in cuts)) for n in masks}
        swapper = SimpleNamespace(masker=masker, masks=mask)
        return Deflicker(window=window, swapper=swapper, faceset=None, spots={"": spots}), made  # type: ignore

    def test_an_edge_that_moves_stays_where_it_is(self):
        masks = {n: mattes.as_float((np.arange(64)[None] < 8 + 3 * n).repeat(4, axis=0)) for n in range(12)}
        deflicker, _ = self.deflicker(masks)
        for number, own in masks.items():
            np.testing.assert_array_equal(deflicker.over("", number, own), own)

    def test_single_frames_go_and_each_mask_is_made_once(self):
        rng = np.random.default_rng(2)
        still = rng.random((8, 8), np.float32).astype(np.float16).astype(np.float32)
        masks = {n: still if n % 4 else rng.random((8, 8), np.float32) for n in range(16)}
        deflicker, made = self.deflicker(masks, window=3)
        for number, own in masks.items():
            found = deflicker.over("", number, own)
            assert found.dtype == np.float32
            if 0 < number < 15:
                np.testing.assert_array_equal(found, still)
        assert len(made) == len(set(made))
        assert len(deflicker._made) <= 4

    def test_never_over_a_gap_or_a_cut_or_what_is_not_known_and_as_far_on_both_sides(self):
        masks = {n: np.zeros((2, 2), np.float32) for n in (1, 2, 3, 4, 5, 6, 7, 9, 10)}
        deflicker, _ = self.deflicker(masks)
        around = {n: sorted(deflicker.around("", n)) for n in masks}
        assert around == {
            1: [],
            2: [1, 3],
            3: [1, 2, 4, 5],
            4: [2, 3, 5, 6],
            5: [3, 4, 6, 7],
            6: [5, 7],
            7: [],
            9: [],
            10: [],
        }
        deflicker, _ = self.deflicker(masks, cuts=(4,))
        assert {n: sorted(deflicker.around("", n)) for n in (2, 3, 4, 5)} == {
            2: [1, 3],
            3: [],
            4: [],
            5: [4, 6],
        }
        deflicker, _ = self.deflicker(masks, known={1, 2, 3, 5, 6, 7})
        assert {n: sorted(deflicker.around("", n)) for n in (2, 3, 6)} == {2: [1, 3], 3: [], 6: [5, 7]}
        deflicker, _ = self.deflicker(masks, window=0)
        assert not deflicker.around("", 3)
