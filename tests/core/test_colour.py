"""Colour: nothing is clipped on the way to the working space and back, and swap space inverts exactly."""

from __future__ import annotations

import math
import pickle
import re

import numpy as np
import PyOpenColorIO as ocio  # noqa: N813
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

    @pytest.mark.parametrize("space", ["ACES2065-1", "Linear Rec.709 (sRGB)", "Linear P3-D65"])
    def test_a_matrix_is_what_opencolorio_does(self, colour, space):
        rgb, ways = grid(), ((space, "ACEScg"), ("ACEScg", space))
        for way in ways:
            found = colour.matrix(*way)
            exact = rgb.astype(np.float64) @ found.T
            theirs = colour._apply(colour._config.getProcessor(*way).getDefaultCPUProcessor(), rgb)
            most = np.abs(rgb).max(axis=-1, keepdims=True)
            assert (np.abs(theirs - exact) <= 1e-6 * most).all()
            assert (np.abs(colour.convert(rgb, *way) - exact) <= 1e-6 * most).all()
        np.testing.assert_allclose(colour.matrix(*ways[0]) @ colour.matrix(*ways[1]), np.eye(3), atol=1e-6)

    @pytest.mark.parametrize("space", ["ACEScct", "sRGB - Texture", "ARRI LogC4"])
    def test_a_curve_is_no_matrix(self, colour, space):
        assert colour.matrix(space, "ACEScg") is None

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

    @pytest.mark.parametrize(
        ("name", "meant"),
        [
            ("ACESgc", {"ACEScg"}),
            ("ACES cg", {"ACEScg"}),
            ("ARRI LogC3", {"ARRI LogC3 (EI800)"}),
            ("AlexaV3LogC", {"ARRI LogC3 (EI800)"}),
            ("logc", {"ARRI LogC3 (EI800)", "ARRI LogC4"}),
            ("S-Log3", {"S-Log3 S-Gamut3", "S-Log3 S-Gamut3.Cine"}),
            ("slog3", {"S-Log3 S-Gamut3", "S-Log3 S-Gamut3.Cine"}),
            ("REDLog3G10", {"Log3G10 REDWideGamutRGB"}),
            ("canon log 3", {"CanonLog3 CinemaGamut D55"}),
            ("vlog", {"V-Log V-Gamut"}),
            ("bmdfilm", {"BMDFilm WideGamut Gen5"}),
            ("sRGB", {"sRGB Encoded Rec.709 (sRGB)", "Linear Rec.709 (sRGB)"}),
            ("rec709", {"Camera Rec.709", "Linear Rec.709 (sRGB)"}),
            ("linear", {"Linear Rec.709 (sRGB)", "ACEScg"}),
            ("Linear Rec.709", {"Linear Rec.709 (sRGB)"}),
            ("Linear BT.709", {"Linear Rec.709 (sRGB)"}),
            ("Filmic sRGB", {"sRGB Encoded Rec.709 (sRGB)"}),
            ("p3", {"Linear P3-D65"}),
        ],
    )
    def test_an_unknown_name_is_refused_with_close_ones(self, colour, name, meant):
        """Typing errors, and what Nuke's and Blender's own configs call things: suggested, never taken."""
        with pytest.raises(InvalidInput, match="did you mean") as caught:
            colour.resolve(name, field="source")
        suggested = caught.value.message.partition("did you mean ")[2].rstrip("?").split(", ")
        assert meant <= set(suggested)
        assert len(suggested) <= 5
        assert (caught.value.field, caught.value.value) == ("source", name)

    def test_the_closest_comes_first(self, colour):
        for name, first in (("AlexaV3LogC", "ARRI LogC3 (EI800)"), ("rec709", "Camera Rec.709")):
            with pytest.raises(InvalidInput, match=f"did you mean {re.escape(first)}"):
                colour.resolve(name)

    def test_a_name_like_none_gets_the_whole_list(self, colour):
        with pytest.raises(InvalidInput, match=r"it has sRGB - Display, .*Linear Rec\.2020$"):
            colour.resolve("zzzz")

    def test_cineon_is_said_to_be_missing(self, colour):
        with pytest.raises(InvalidInput, match=r"no colour space 'Cineon'; .* film scans"):
            colour.resolve("Cineon")

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

    def test_pixels_may_lie_in_memory_as_they_like(self, colour):
        """And are not written into: OpenColorIO itself ignores that an array is read-only."""
        wide = np.random.default_rng(0).random((6, 8, 4), np.float32)
        flipped = wide[::2, ::-1, :3]
        flipped.setflags(write=False)
        before = flipped.tobytes()
        plain = colour.to_working(flipped.copy(), "ARRI LogC4")
        assert (colour.to_working(flipped, "ARRI LogC4") == plain).all()
        assert (colour.to_working(flipped.astype(np.float64), "ARRI LogC4") == plain).all()
        assert flipped.tobytes() == before
        assert plain.flags.c_contiguous

    @pytest.mark.parametrize("shape", [(0, 5, 3), (5, 0, 3)])
    def test_no_pixels_are_no_error(self, colour, shape):
        assert colour.to_working(np.zeros(shape, np.float32), "ARRI LogC4").shape == shape

    def test_it_is_what_opencolorio_says(self, colour):
        """Pixel by pixel through its own binding, in three channels."""
        rgb = grid(np.linspace(-0.02, 1.0, 7, dtype=np.float32))
        processor = ocio.Config.CreateFromFile(PINNED).getProcessor("S-Log3 S-Gamut3", "ACEScg")
        ours = colour.to_working(rgb, "S-Log3 S-Gamut3")
        for pixel, expected in zip(rgb[:, ::5].reshape(-1, 3), ours[:, ::5].reshape(-1, 3), strict=True):
            theirs = processor.getDefaultCPUProcessor().applyRGB(pixel.tolist())
            assert expected == pytest.approx(theirs, rel=2e-6, abs=1e-7)


CLAMPED = {
    "ACEScc": "no logarithm below 0",
    "ADX10": "film density: no light below 0",
    "ADX16": "film density: no light below 0; ends at 65504",
    "Apple Log": "table over codes 0 to 1",
    "CanonLog2 CinemaGamut D55": "table over codes 0 to 1",
    "CanonLog3 CinemaGamut D55": "table over codes 0 to 1",
    "Rec.1886 Rec.709 - Display": "power, negative codes become 0",
    "Rec.1886 Rec.2020 - Display": "power, negative codes become 0",
    "P3-D60 - Display": "power, negative codes become 0",
    "P3-D65 - Display": "power, negative codes become 0",
    "P3-DCI - Display": "power, negative codes become 0",
}
"""Spaces of the pinned config that do not bring every float back; `ColourConfig`'s docstring has the same list."""
SPACES = ColourConfig.open().names()


def grey(values):
    return np.repeat(np.asarray(values, np.float32)[None, :, None], 3, axis=-1)


class TestUntouchedFace:
    """A face that nothing changes: plate → working → swap space → working → plate, in every space of the config."""

    curve = SwapCurve(2.5)

    def there_and_back(self, colour, stored, space):
        """The pixels that lie within the curve's maximum, before and after."""
        linear = colour.to_working(stored, space)
        inside = (np.abs(linear) * self.curve.gain).max(axis=-1) <= self.curve.maximum
        back = colour.from_working(self.curve.decode(self.curve.encode(linear)), space)
        assert inside.sum() > 50
        return stored[inside], back[inside]

    def values(self, colour, space):
        """What a plate stores, (1, N): linear light from −0.02 to beyond the curve's end, or all 10-bit codes."""
        if colour.is_scene_linear(space):
            up = np.geomspace(1e-4, 60.0, 500)
            return np.concatenate([-up[up < 0.02][::-1], [-0.02, 0.0], up]).astype(np.float16)
        below = colour.from_working(grey([-0.02]), space)[0, 0, 1]
        codes = np.arange(1024) / 1023
        return codes if space in CLAMPED else np.concatenate([[below], codes])

    @pytest.mark.parametrize("space", SPACES)
    def test_the_light_is_the_same_to_a_thousandth(self, colour, space):
        values = self.values(colour, space)
        few = np.concatenate([values[:1], values[:: len(values) // 11]])
        for stored in (grey(values), grid(few.astype(np.float32))):
            before, after = self.there_and_back(colour, stored, space)
            light, again = (colour.to_working(rgb[None], space) for rgb in (before, after))
            largest = np.abs(light).max(axis=-1, keepdims=True)
            assert (np.abs(again - light) <= 1e-3 * np.maximum(largest, 1e-3)).all()

    @pytest.mark.parametrize("space", SPACES)
    def test_what_is_stored_is_the_same(self, colour, space):
        """10-bit codes of a neutral ramp exactly; half floats to the last bit but one."""
        before, after = self.there_and_back(colour, grey(self.values(colour, space)), space)
        if not colour.is_scene_linear(space):
            assert (np.rint(after * 1023) == np.rint(before * 1023)).all()
        half = grey(self.values(colour, space).astype(np.float16))
        before, after = (x.astype(np.float16) for x in self.there_and_back(colour, half, space))
        assert (np.abs(after - before) <= np.maximum(np.spacing(np.abs(before)), np.float16(2**-14))).all()

    def test_which_spaces_clamp(self, colour):
        def clamps(space):
            stored = grey(np.linspace(-0.1, 1.1, 241))
            below = grey([-0.02])
            back = colour.from_working(colour.to_working(stored, space), space)
            dark = colour.to_working(colour.from_working(below, space), space)
            return np.abs(back - stored).max() > 1e-3 or np.abs(dark - below).max() > 1e-3

        assert {space for space in SPACES if clamps(space)} == set(CLAMPED)

    def test_integer_codes_come_back_even_there(self, colour):
        for space in set(CLAMPED) - {"ADX16"}:
            codes = grey(np.arange(1024) / 1023)
            back = colour.from_working(colour.to_working(codes, space), space)
            assert (np.rint(back * 1023) == np.rint(codes * 1023)).all()


def test_a_cineon_curve_in_a_config_of_the_show(tmp_path):
    """The recipe of docs/pipeline-td.md: 10-bit printing density, black 95, white 685, gamma 0.6."""
    config = ocio.Config.CreateFromFile(PINNED)
    black = 10 ** ((95 - 685) * 0.002 / 0.6)
    curve = ocio.LogAffineTransform(
        logSideSlope=[0.6 / 0.002 / 1023] * 3,
        logSideOffset=[685 / 1023] * 3,
        linSideSlope=[1 - black] * 3,
        linSideOffset=[black] * 3,
        direction=ocio.TRANSFORM_DIR_INVERSE,
    )
    curve.setBase(10)
    to_ap1 = ocio.BuiltinTransform("UTILITY - ACES-AP1_to_LINEAR-REC709_BFD", ocio.TRANSFORM_DIR_INVERSE)
    to_ap0 = ocio.BuiltinTransform("ACEScg_to_ACES2065-1")
    config.addColorSpace(
        ocio.ColorSpace(name="Cineon", toReference=ocio.GroupTransform([curve, to_ap1, to_ap0]))
    )
    (tmp_path / "show.ocio").write_text(config.serialize())

    show = ColourConfig.open(str(tmp_path / "show.ocio"))
    codes = grey(np.array([0, 95, 445, 685, 1023]) / 1023)
    light = show.convert(codes, "Cineon", "Linear Rec.709 (sRGB)")[0, :, 1]
    assert light == pytest.approx([-0.0057, 0.0, 0.1504, 1.0, 13.52], abs=0.005)
    assert np.abs(show.from_working(show.to_working(codes, "Cineon"), "Cineon") - codes).max() < 1e-5
    assert show.cache_id != ColourConfig.open().cache_id


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
        shoulder, _, b = curve.shoulder
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
