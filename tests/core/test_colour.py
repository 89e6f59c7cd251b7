"""Colour: nothing is clipped on the way to the working space and back, and swap space inverts exactly."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.core.colour import PINNED, ColourConfig, SwapCurve, exposure_gain
from understudy.core.errors import InvalidInput, NotFound

curves = st.builds(
    SwapCurve,
    gain=st.floats(2.0**-6, 2.0**6),
    knee=st.floats(0.3, 0.9),
    maximum=st.floats(4.0, 1024.0),
)
VALUES = np.array([-0.5, -0.02, 0.0, 1e-3, 0.18, 0.9, 1.0, 4.0, 16.0, 200.0, 6e4], np.float32)


def grid(values=VALUES):
    """(N, N·N, 3): every combination of the values."""
    return np.stack(np.meshgrid(values, values, values, indexing="ij"), axis=-1).reshape(len(values), -1, 3)


class TestConfig:
    def test_the_pinned_config_works_in_acescg(self, colour):
        assert (colour.source, colour.working) == (PINNED, "ACEScg")
        assert len(colour.cache_id) > 16

    @pytest.mark.parametrize(
        "space", ["ACEScg", "ACES2065-1", "Linear Rec.709 (sRGB)", "ACEScct", "ARRI LogC4"]
    )
    def test_there_and_back_loses_nothing(self, colour, space):
        rgb = grid()
        back = colour.from_working(colour.to_working(rgb, "ACEScg"), "ACEScg")
        assert back.tobytes() == rgb.tobytes()
        inside = grid(VALUES[:-1])
        back = colour.to_working(colour.from_working(inside, space), space)
        largest = np.abs(inside).max(axis=-1, keepdims=True)  # a matrix's rounding is of the largest part
        assert (np.abs(back - inside) <= 1e-4 * largest + 1e-6).all()

    def test_srgb_there_and_back_keeps_values_beyond_white_and_below_black(self, colour):
        rgb = grid(np.array([-0.1, 0.0, 0.18, 1.0, 16.0], np.float32))
        back = colour.to_working(colour.from_working(rgb, "sRGB - Texture"), "sRGB - Texture")
        assert np.abs(back - rgb).max() < 1e-3

    def test_the_input_is_left_as_it_is(self, colour):
        rgb = grid()
        rgb.setflags(write=False)
        assert colour.to_working(rgb, "ACEScg") is not rgb
        colour.to_working(rgb, "Linear Rec.709 (sRGB)")

    def test_a_known_colour(self, colour):
        """Rec.709 red in AP1: the published matrix (ACES, Bradford D65 → ACES white)."""
        red = colour.to_working(np.array([[[1, 0, 0]]], np.float32), "Linear Rec.709 (sRGB)")[0, 0]
        assert red == pytest.approx([0.6131, 0.0702, 0.0206], abs=1e-4)

    def test_names_aliases_and_roles_resolve_to_the_spaces_own_name(self, colour):
        assert colour.resolve("acescg") == "ACEScg"
        assert colour.resolve("lin_ap1_scene") == "ACEScg"
        assert colour.resolve("scene_linear") == "ACEScg"
        assert colour.resolve("sRGB - Texture") == colour.resolve("srgb_tx")

    def test_an_unknown_name_is_refused_with_close_ones(self, colour):
        with pytest.raises(
            InvalidInput, match=r"source: .* no colour space 'ACESgc'; did you mean .*ACEScg"
        ) as caught:
            colour.resolve("ACESgc", field="source")
        assert (caught.value.field, caught.value.value) == ("source", "ACESgc")

    def test_data_is_not_colour(self, colour):
        with pytest.raises(InvalidInput, match="'Raw' is for data"):
            colour.to_working(grid(), "Raw")

    @pytest.mark.parametrize(
        ("space", "linear"),
        [
            ("ACEScg", True),
            ("Linear Rec.709 (sRGB)", True),
            ("Linear ARRI Wide Gamut 4", True),
            ("sRGB - Texture", False),
            ("ACEScct", False),
            ("ACEScc", False),
            ("Rec.1886 Rec.709 - Display", False),
        ],
    )
    def test_is_scene_linear(self, colour, space, linear):
        assert colour.is_scene_linear(space) is linear

    def test_a_pickled_config_is_the_same_config(self, colour):
        again = pickle.loads(pickle.dumps(colour))
        assert (again.source, again.cache_id) == (colour.source, colour.cache_id)

    @pytest.mark.parametrize("source", ["ocio://no-such-config", "/nowhere/config.ocio"])
    def test_a_config_that_is_not_there(self, source):
        with pytest.raises(NotFound, match="can not be opened") as caught:
            ColourConfig.open(source)
        assert caught.value.field == "colour_config"

    def test_a_studios_own_config_by_path(self, tmp_path):
        path = tmp_path / "config.ocio"
        path.write_text(
            "ocio_profile_version: 2\nroles: {scene_linear: lin, default: lin}\nfile_rules:\n"
            "  - !<Rule> {name: Default, colorspace: lin}\ndisplays:\n  d:\n    - !<View> {name: v, colorspace: lin}\n"
            "colorspaces:\n  - !<ColorSpace> {name: lin}\n"
            "  - !<ColorSpace>\n    name: half\n"
            "    to_scene_reference: !<MatrixTransform> {matrix: [2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1]}\n"
        )
        own = ColourConfig.open(str(path))
        assert own.working == "lin"
        assert (own.to_working(np.ones((1, 1, 3), np.float32), "half") == 2).all()

    def test_a_config_without_a_working_space_is_refused(self, tmp_path):
        path = tmp_path / "config.ocio"
        path.write_text(
            "ocio_profile_version: 1\nroles: {default: raw}\ndisplays:\n  d:\n"
            "    - !<View> {name: v, colorspace: raw}\ncolorspaces:\n  - !<ColorSpace> {name: raw}\n"
        )
        with pytest.raises(InvalidInput, match="no role scene_linear"):
            ColourConfig.open(str(path))


class TestProxy:
    def test_it_is_srgb_of_the_gained_picture_and_clamped(self, colour):
        rgb = colour.to_working(
            np.array([[[0.18, 0.18, 0.18], [0.5, 0, 0], [-1, 2, 60]]], np.float32), "lin_rec709"
        )
        assert colour.proxy(rgb)[0, 0] == pytest.approx([0.4614] * 3, abs=1e-3)
        assert colour.proxy(rgb)[0, 1] == pytest.approx([0.7354, 0, 0], abs=1e-3)
        assert colour.proxy(rgb)[0, 2].tolist() == [0, 1, 1]
        assert np.allclose(colour.proxy(rgb, 2.0), colour.proxy(2 * rgb))

    def test_exposure_gain_brings_the_middle_frame_to_grey(self):
        assert exposure_gain([math.log(0.09)]) == pytest.approx(2.0)
        assert exposure_gain([math.log(0.36)] * 5 + [math.log(50.0)]) == pytest.approx(0.5)

    @pytest.mark.parametrize("means", [[], [math.nan], [math.inf, 0.0]])
    def test_no_exposure_is_refused(self, means):
        with pytest.raises(InvalidInput, match="no finite log mean"):
            exposure_gain(means)


class TestSwapCurve:
    @given(curves, st.lists(st.floats(-1, 1), min_size=1, max_size=30))
    def test_there_and_back(self, curve, parts):
        """Any value up to ±maximum, dense near zero, comes back within 1e-4 of itself or a millionth."""
        largest = curve.maximum / curve.gain
        values = np.array([math.copysign(abs(p) ** 4, p) * largest * 0.999 for p in parts], np.float32)
        error = np.abs(curve.decode(curve.encode(values)) - values)
        assert (error <= 1e-4 * np.abs(values) + 1e-6 / curve.gain).all()

    @settings(max_examples=40)
    @given(curves)
    def test_it_rises_all_the_way_and_is_odd(self, curve):
        x = np.geomspace(1e-5, curve.maximum, 4000).astype(np.float32) / np.float32(curve.gain)
        code = curve.encode(x)
        assert (np.diff(code) >= 0).all()
        assert (np.diff(code[::100]) > 0).all()
        assert (curve.encode(-x) == -code).all()
        assert code[-1] == pytest.approx(63 / 64, abs=1e-5)
        assert (code <= 63 / 64 + 1e-6).all()

    @settings(max_examples=40)
    @given(curves)
    def test_there_is_no_kink_at_either_join(self, curve):
        """The slopes just below and just above each join agree; in sRGB as the standard rounds it they do not."""
        shoulder, _, b = curve._shoulder
        for join, h, tolerance in ((0.0030399, 3e-6, 0.005), (shoulder, b / 100, 0.03)):
            x = np.array([join - h, join, join + h], np.float32) / np.float32(curve.gain)
            low, middle, high = curve.encode(x).astype(np.float64)
            steps = np.diff(x.astype(np.float64))
            assert (high - middle) / steps[1] == pytest.approx((middle - low) / steps[0], rel=tolerance)

    def test_below_the_knee_it_is_srgb(self):
        x = np.linspace(0, 0.6, 1000, dtype=np.float32)
        standard = np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.maximum(x, 1e-9) ** (1 / 2.4) - 0.055)
        assert np.abs(SwapCurve(1.0).encode(x) - standard).max() < 2e-5

    def test_highlights_come_back_and_beyond_the_maximum_they_stay_there(self):
        curve = SwapCurve(2.0)
        shown = curve.decode(curve.encode(np.array([-0.5, -0.004, 16.0, 31.0, 100.0, 6e4], np.float32)))
        assert shown == pytest.approx([-0.5, -0.004, 16.0, 31.0, 32.0, 32.0], rel=1e-5)

    def test_what_a_network_may_say_beyond_the_curve_is_its_end(self):
        curve = SwapCurve(1.0)
        assert curve.decode(np.array([1.0, 2.0, -2.0], np.float32)) == pytest.approx([64, 64, -64], rel=1e-4)

    def test_shape_and_type_are_kept(self):
        rgb = np.full((2, 3, 4, 3), 0.18, np.float32)
        code = SwapCurve(1.0).encode(rgb)
        assert code.shape == rgb.shape
        assert code.dtype == np.float32
        assert SwapCurve(1.0).decode(code).dtype == np.float32

    def test_it_travels_as_a_dict(self):
        curve = SwapCurve(1.5, knee=0.7, maximum=32.0)
        assert SwapCurve.from_dict(curve.to_dict()) == curve
        assert pickle.loads(pickle.dumps(curve)) == curve

    @pytest.mark.parametrize(
        ("values", "words"),
        [
            ({"gain": 0.0}, "gain 0.0"),
            ({"gain": math.nan}, "gain nan"),
            ({"gain": 1.0, "knee": 0.99}, "knee 0.99"),
            ({"gain": 1.0, "maximum": 1.0}, "maximum 1.0"),
            ({"gain": 1.0, "toe": 2.0}, "toe"),
            ({"knee": 0.8}, "not gain, knee and maximum"),
        ],
    )
    def test_bad_parameters_are_refused_by_name(self, values, words):
        with pytest.raises(InvalidInput, match=words):
            SwapCurve.from_dict(values)
