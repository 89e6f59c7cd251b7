"""What each colour match must do to colours, what it must leave alone, and that its report is the whole of it."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from understudy.core import _plugins
from understudy.core.match import _affine, _space, _transport, idt, lct, mix, mkl, rct, sot
from understudy.core.match._space import LAB, SRGB
from understudy.core.match._statistics import GAIN, Moments

ALL = [name for name in _plugins.names("match") if name != "none"]
NEW = [name for name in ALL if name != "reinhard"]  # test_match.py has that one
AFFINE, WHOLE = ["lct", "mkl"], ["idt", "sot"]
COUNTS = {"hist": 198, "idt": 408, "lct": 18, "mix": 158, "mkl": 18, "rct": 12, "reinhard": 12, "sot": 342}
S = 96
Y, X = np.mgrid[0:S, 0:S].astype(np.float32) / S
MATTE = np.clip(1.5 - 4.0 * np.hypot(X - 0.5, Y - 0.5), 0.0, 1.0).astype(np.float32)
HARD = (MATTE > 0.5).astype(np.float32)


def picture(seed: int, exposure: float = 0.2, tint=(1.0, 0.8, 0.65), contrast: float = 1.0):
    """(S, S, 3) like skin: shading, blotches of another hue and grain; all of it below light 1."""
    rng = np.random.default_rng(seed)
    phase = rng.uniform(0.0, 6.0, 4)
    shade = 0.5 * contrast * np.sin(5.0 * X + phase[0]) * np.cos(4.0 * Y + phase[1])
    hue = 0.15 * contrast * (np.sin(9.0 * X + phase[2]) * np.sin(8.0 * Y + phase[3]) > 0.3)
    logs = shade[..., None] + hue[..., None] * np.array([1.0, -0.5, -0.8])
    logs = logs + 0.03 * contrast * rng.standard_normal((S, S, 3))
    return np.minimum(exposure * np.exp(logs) * np.array(tint), 0.95).astype(np.float32)


def member(name):
    return _plugins.load("match", name)


def face_and_plate():
    return picture(1), picture(2, 0.11, (0.75, 0.8, 1.0), contrast=1.3)


def luminance(picture):
    return picture @ np.array([0.2722287, 0.6740818, 0.0536895])


def weights():
    inside = MATTE > 0.0
    return inside, MATTE[inside].astype(np.float64) / MATTE.sum(dtype=np.float64)


def codes(space, picture):
    inside, _ = weights()
    return space.sampled(picture)[inside].astype(np.float64)


@pytest.mark.parametrize("name", ALL)
def test_as_many_numbers_as_the_docstring_says(name):
    module = member(name)
    assert len(module.measure(*face_and_plate(), MATTE)) == COUNTS[name]
    documented = module.measure.__doc__ + sys.modules[module.measure.__module__].__doc__
    assert f"({COUNTS[name]},)" in documented
    assert len(module.measure(*face_and_plate(), MATTE * 0.001)) == COUNTS[name]


class TestReach:
    """Each arrives at what it is for."""

    @pytest.mark.parametrize("name", AFFINE)
    def test_means_and_covariances(self, name):
        face, plate = face_and_plate()
        matched = member(name).apply(face, member(name).measure(face, plate, MATTE), 1.0)
        found, wanted = (Moments.of(codes(SRGB, p), weights()[1]) for p in (matched, plate))
        np.testing.assert_allclose(found.mean, wanted.mean, atol=1e-5)
        np.testing.assert_allclose(found.covariance, wanted.covariance, atol=3e-5)  # lct's noise is 1e-5

    @pytest.mark.parametrize("name", ["rct", "mix"])
    def test_mean_and_deviation_of_lightness(self, name):
        face, plate = face_and_plate()
        matched = member(name).apply(face, member(name).measure(face, plate, MATTE), 1.0)
        found, wanted = (
            Moments.of(codes(LAB, p)[:, : (3 if name == "rct" else 1)], weights()[1])
            for p in (matched, plate)
        )
        np.testing.assert_allclose(found.mean, wanted.mean, atol=1e-3)
        np.testing.assert_allclose(found.covariance.diagonal(), wanted.covariance.diagonal(), rtol=1e-3)

    def test_mkl_moves_colours_least(self):
        face, plate = face_and_plate()
        moved = {
            m: np.square(codes(SRGB, m.apply(face, m.measure(face, plate, MATTE), 1.0)) - codes(SRGB, face))
            for m in (lct, mkl)
        }
        assert weights()[1] @ moved[mkl].sum(axis=1) <= weights()[1] @ moved[lct].sum(axis=1)

    @pytest.mark.parametrize(
        ("name", "space", "most"), [("hist", SRGB, 0.004), ("idt", SRGB, 0.006), ("mix", LAB, 0.8)]
    )
    def test_distributions(self, name, space, most):
        """Of the channels for `hist`, along any direction for `idt`, of a* and b* for `mix`."""
        face, plate = face_and_plate()
        matched = member(name).apply(face, member(name).measure(face, plate, HARD), 1.0)
        off, before = (distance(name, space, p, plate) for p in (matched, face))
        assert off < most
        assert before > 8.0 * most

    def test_more_curves_come_nearer(self):
        """A matrix, then the smooth transport, then the whole one."""
        face, plate = picture(1), np.where(X[..., None] > 0.5, picture(2, 0.05), picture(3, 0.3))
        off = [
            distance("idt", SRGB, m.apply(face, m.measure(face, plate, HARD), 1.0), plate)
            for m in (mkl, sot, idt)
        ]
        assert off == sorted(off, reverse=True)
        assert off[2] < 0.5 * off[0]


def distance(name, space, picture, plate):
    """Mean difference of the distributions' quantiles, along the axes that the member is about."""
    turns = np.random.default_rng(5).standard_normal((12, 3))
    axes = {
        "hist": np.eye(3),
        "mix": np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.6, 0.8], [0.0, 0.6, -0.8]]),
        "idt": turns / np.linalg.norm(turns, axis=1, keepdims=True),
    }[name]
    parts = np.linspace(0.03, 0.97, 33)
    found, wanted = (
        np.quantile(space.sampled(p)[HARD > 0.0] @ axes.T, parts, axis=0) for p in (picture, plate)
    )
    return float(np.abs(found - wanted).mean())


class TestMatte:
    @pytest.mark.parametrize("name", ALL)
    def test_what_lies_outside_does_not_count(self, name):
        face, plate = face_and_plate()
        strange = [np.where(MATTE[..., None] > 0.0, p, np.float32(50.0)) for p in (face, plate)]
        measure = member(name).measure
        np.testing.assert_array_equal(measure(*strange, MATTE), measure(face, plate, MATTE))

    @pytest.mark.parametrize("name", ALL)
    def test_only_its_proportions_count(self, name):
        face, plate = face_and_plate()
        measure = member(name).measure
        np.testing.assert_allclose(measure(face, plate, MATTE / 2), measure(face, plate, MATTE), atol=1e-9)

    @pytest.mark.parametrize("name", ALL)
    def test_a_soft_edge_counts_in_part(self, name):
        """Two pixels of half a matte are one of a whole matte."""
        face, plate, matte = (p[::2, ::2] for p in (*face_and_plate(), MATTE))
        half = np.concatenate([matte, matte], axis=1) / 2
        twice = [np.tile(p, (2, 2, 1)) for p in (face, plate)]
        numbers = member(name).measure(*twice, np.concatenate([half, 0 * half]))
        np.testing.assert_allclose(numbers, member(name).measure(face, plate, matte), rtol=1e-4, atol=1e-6)

    @pytest.mark.parametrize("name", ALL)
    def test_values_that_are_no_numbers_give_none(self, name):
        face, plate = face_and_plate()
        face[S // 2, S // 2] = np.nan
        with np.errstate(invalid="ignore"):
            assert np.isnan(member(name).measure(face, plate, MATTE)).any()

    @pytest.mark.parametrize("name", NEW)
    def test_a_glint_does_not_outweigh_a_cheek(self, name):
        face, plate = face_and_plate()
        glint = plate.copy()
        glint[S // 2 : S // 2 + 5, S // 2 : S // 2 + 5] = 500.0  # 0.6 % of the face
        apply, measure = member(name).apply, member(name).measure
        plain, lit = (apply(face, measure(face, p, MATTE), 1.0) for p in (plate, glint))
        assert abs(np.median(luminance(lit)) / np.median(luminance(plain)) - 1.0) < 0.12


class TestValues:
    @pytest.mark.parametrize("name", NEW)
    def test_a_picture_that_is_alike_stays(self, name):
        face, _ = face_and_plate()
        matched = member(name).apply(face, member(name).measure(face, face, MATTE), 1.0)
        np.testing.assert_allclose(matched, face, atol=2e-6, rtol=2e-5)

    @pytest.mark.parametrize("name", ALL)
    def test_no_amount_gives_the_very_values(self, name):
        face, plate = face_and_plate()
        face[0, 0] = (90.0, -0.02, 3.0)
        none = member(name).apply(face, member(name).measure(face, plate, MATTE), 0.0)
        assert none.tobytes() == face.tobytes()
        assert none is not face

    @pytest.mark.parametrize("name", ALL)
    def test_amount_goes_from_nothing_to_all(self, name):
        face, plate = face_and_plate()
        numbers = member(name).measure(face, plate, MATTE)
        level = [
            float(luminance(member(name).apply(face, numbers, amount)).mean())
            for amount in (0.0, 0.25, 0.5, 0.75, 1.0)
        ]
        assert level == sorted(level, reverse=True)
        assert level[0] - level[4] > 0.04

    @pytest.mark.parametrize("name", NEW)
    @pytest.mark.parametrize("amount", [0.4, 1.0])
    def test_a_highlight_keeps_its_ratio_to_the_face(self, name, amount):
        """Beyond light 1 a colour goes on along its ray, for as long as it likes."""
        face, plate = face_and_plate()
        numbers = member(name).measure(face, plate, MATTE)
        colours = np.array([[[1.0, 0.9, 0.8], [0.9, 0.95, 0.5], [0.7, 0.7, 0.7]]], np.float32)
        colours /= _space.mixed(colours, _space._REC709).max(axis=-1, keepdims=True)
        start = member(name).apply(colours, numbers, amount)
        for factor in (1.0001, 3.0, 60.0, 6.0e4):
            bright = member(name).apply(colours * np.float32(factor), numbers, amount)
            np.testing.assert_allclose(bright / factor, start, rtol=2e-4)

    @pytest.mark.parametrize("name", ALL)
    def test_more_light_in_is_more_light_out(self, name):
        """From below black to far beyond what a network can say."""
        face, plate = face_and_plate()
        numbers = member(name).measure(face, plate, MATTE)
        ramp = np.concatenate([np.linspace(-0.05, 1.2, 1000), np.geomspace(1.21, 2000.0, 200)])
        skin = (ramp[None, :, None] * np.array([1.0, 0.8, 0.65])).astype(np.float32)
        assert (np.diff(luminance(member(name).apply(skin, numbers, 1.0)[0])) > 0.0).all()

    @pytest.mark.parametrize("name", ALL)
    def test_what_is_no_number_stays_in_its_pixel(self, name):
        face, plate = face_and_plate()
        numbers = member(name).measure(face, plate, MATTE)
        broken = face.copy()
        broken[3, 4], broken[7, 8, 1] = np.nan, np.inf
        with np.errstate(invalid="ignore"):
            made = member(name).apply(broken, numbers, 1.0)
        good = np.ones((S, S), bool)
        good[3, 4] = good[7, 8] = False
        np.testing.assert_allclose(made[good], member(name).apply(face, numbers, 1.0)[good], rtol=1e-6)
        assert not np.isfinite(made[3, 4]).any()

    @pytest.mark.parametrize("name", ALL)
    @pytest.mark.parametrize("flat", ["face", "plate", "both"])
    @pytest.mark.parametrize("level", [-0.3, 0.0, 0.18, 6.0e4])
    def test_pictures_of_one_colour_are_no_trouble(self, name, flat, level):
        face, plate = face_and_plate()
        face, plate = (
            np.full_like(p, level) if flat in (which, "both") else p
            for which, p in (("face", face), ("plate", plate))
        )
        numbers = member(name).measure(face, plate, MATTE)
        assert np.isfinite(numbers).all()
        assert np.isfinite(member(name).apply(face, numbers, 1.0)).all()
        json.dumps(member(name).report(numbers), allow_nan=False)

    @pytest.mark.parametrize("name", ["hist", "lct", "mkl", "rct"])
    def test_contrast_has_bounds(self, name):
        """A face that is nearly flat does not become noise, and one before a flat plate keeps its shading."""
        space = LAB if name == "rct" else SRGB
        plain, flat = picture(1), picture(1, contrast=0.01)
        for face, plate, factor in ((flat, plain, GAIN[1]), (plain, flat, GAIN[0])):
            matched = member(name).apply(face, member(name).measure(face, plate, MATTE), 1.0)
            before, after = (codes(space, p)[:, 0].std() for p in (face, matched))
            assert after / before == pytest.approx(
                factor, rel=0.1 if name == "hist" else 0.02
            )  # its ends shift

    def test_rcts_colours_spread_no_further_than_reinhards(self):
        """A pale face before a warm plate with pink spots takes its mean colour, and its lips do not glow."""
        pale, warm = (
            picture(1, tint=(1.0, 0.95, 0.9), contrast=0.3),
            picture(2, tint=(1.0, 0.6, 0.4), contrast=1.3),
        )
        numbers = rct.measure(pale, warm, MATTE)
        assert (numbers[10:] / numbers[4:6] > 2.0).all()
        report = rct.report(numbers)
        assert report["slope"] == [GAIN[1], 1.6, 1.6]
        _, shares = weights()
        matched = shares @ codes(LAB, rct.apply(pale, numbers, 1.0))
        np.testing.assert_allclose(matched, numbers[6:9], atol=0.3)

    @pytest.mark.parametrize("whose", ["face", "plate"])
    @pytest.mark.parametrize("name", NEW)
    def test_a_glint_of_one_picture_is_no_colour_of_either(self, name, whose):
        """One in twenty pixels that shines, and hardly anything changes; it itself goes on with its ratio."""
        face, plate = face_and_plate()
        plain = member(name).measure(face, plate, MATTE)
        shining = {"face": face.copy(), "plate": plate.copy()}
        shining[whose][44:53, 44:53] = 150.0
        found = member(name).measure(shining["face"], shining["plate"], MATTE)
        lit = shining["face"].copy()
        lit[10, 10:13] = np.array([[1.5], [15.0], [150.0]])
        before, after = (member(name).apply(lit, numbers, 1.0) for numbers in (plain, found))
        np.testing.assert_allclose(after[HARD > 0.0], before[HARD > 0.0], rtol=0.2, atol=0.01)
        shown = luminance(after)[10, 10:13]
        np.testing.assert_allclose(shown[1:] / shown[:-1], 10.0, rtol=1e-3)
        assert shown[2] > 150.0 / 4.0

    @pytest.mark.parametrize("name", ALL)
    def test_numbers_between_two_are_a_match_between_two(self, name):
        """What the drift over a shot rests upon."""
        face, plate = face_and_plate()
        dim = plate * np.float32(0.6)
        numbers = [member(name).measure(face, p, MATTE) for p in (plate, dim)]
        made = [luminance(member(name).apply(face, n, 1.0)) for n in (*numbers, np.mean(numbers, axis=0))]
        middle = np.sqrt(made[0].mean() * made[1].mean())
        assert made[2].mean() == pytest.approx(middle, rel=0.03)


class TestTransport:
    def test_directions_are_drawn_once_and_for_all(self):
        """Other directions are other pixels: on any machine, with any NumPy, they are these."""
        directions = idt._TRANSPORT.directions
        turns = directions.reshape(-1, 3, 3)
        np.testing.assert_allclose(turns @ turns.swapaxes(1, 2), np.eye(3)[None].repeat(10, 0), atol=1e-12)
        np.testing.assert_allclose(directions[0, 0], DRAWN, atol=1e-6)

    @pytest.mark.parametrize("name", WHOLE)
    def test_the_table_is_what_the_curves_say(self, name):
        """Between its nodes too, to a sixth of a code of 8 bits on average."""
        face, plate = face_and_plate()
        numbers = member(name).measure(face, plate, MATTE)
        direct = rebuilt(member(name).report(numbers), SRGB.sampled(face).astype(np.float64))
        looked_up = SRGB.sampled(member(name).apply(face, numbers, 1.0))
        assert np.abs(direct - looked_up)[MATTE > 0.0].mean() < 1 / 6 / 255

    def test_beyond_the_table_the_change_stays_that_of_its_border(self):
        table = np.arange(_transport._NODES**2 * 2, dtype=np.float32).reshape(-1, 2)
        z = np.array([[-9.0, 0.0], [-3.0, 0.0], [3.0, 8.0], [3.0, 3.0]], np.float32)
        found = _transport._looked_up(table, z)
        np.testing.assert_array_equal(found[0], found[1])
        np.testing.assert_array_equal(found[2], found[3])
        np.testing.assert_array_equal(found[3], table[-1])


DRAWN = [0.9721531, 0.2343462, -0.000512]


def curves_of(part, codes):
    """What `Transport.report` says, done to codes (…, D)."""
    matrix, to_z, from_z = (np.array(part[key]) for key in ("matrix", "to_z", "from_z"))
    start = z = np.clip(codes @ to_z[:, :-1].T + to_z[:, -1], part["knots"][0], part["knots"][-1])
    for directions, curves in zip(part["directions"], part["curves"], strict=True):
        moved = [
            np.interp(z @ np.array(axis), part["knots"], curve)[..., None] * np.array(axis)
            for axis, curve in zip(directions, curves, strict=True)
        ]
        z = z + np.sum(moved, axis=0) / part["bases"]
    return codes @ matrix[:, :-1].T + matrix[:, -1] + (z - start) @ from_z.T


def rebuilt(report, codes):
    """What a comp makes of codes (h, w, 3) by a report alone."""
    if "colours" in report:
        light = codes[..., :1] * report["slope"] + report["offset"]
        return np.concatenate([light, curves_of(report["colours"], codes[..., 1:])], axis=-1)
    if "directions" in report:
        return curves_of(report, codes)
    if "matrix" in report:
        matrix = np.array(report["matrix"])
        return codes @ matrix[:, :3].T + matrix[:, 3]
    if "curves" in report:
        columns = []
        for i, name in enumerate(report["axes"]):
            x, y = np.array(report["curves"][name]).T
            columns.append(codes[..., i] + np.interp(codes[..., i], x, y - x))
        return np.stack(columns, axis=-1)
    assert (report["power"], report["saturation"]) == ([1.0, 1.0, 1.0], 1.0)
    return codes * np.array(report["slope"]) + np.array(report["offset"])


class TestReport:
    @pytest.mark.parametrize("name", NEW)
    def test_it_is_the_whole_match(self, name):
        """A comp that goes to the space that is named and does what is said has the same picture."""
        face, plate = face_and_plate()
        numbers = member(name).measure(face, plate, MATTE)
        report = json.loads(json.dumps(member(name).report(numbers), allow_nan=False))
        space = {s.name: s for s in (SRGB, LAB)}[report["space"]]
        assert report["axes"] == list(space.axes)
        made = rebuilt(report, space.sampled(face).astype(np.float64))
        within = 0.015 if name in (*WHOLE, "mix") else 2e-5  # those go through a table
        scale = 100.0 if space is LAB else 1.0
        found = space.sampled(member(name).apply(face, numbers, 1.0))
        np.testing.assert_allclose(found[MATTE > 0.0], made[MATTE > 0.0], atol=within * scale)

    def test_reinhards(self):
        module = member("reinhard")
        face, plate = face_and_plate()
        numbers = module.measure(face, plate, MATTE)
        report = module.report(numbers)
        cones, axes = np.array(report["to_cones"]), np.array(report["to_axes"])
        lab = np.arcsinh(face.astype(np.float64) @ cones.T / (2.0 * report["toe"])) @ axes.T
        held = np.clip(lab, report["low"], report["high"])
        lab = held * np.array(report["slope"]) + np.array(report["offset"]) + (lab - held)
        light = np.sinh(lab @ np.linalg.inv(axes).T) * 2.0 * report["toe"] @ np.linalg.inv(cones).T
        np.testing.assert_allclose(module.apply(face, numbers, 1.0), light, rtol=1e-4)

    def test_nones_is_empty(self):
        assert member("none").report(np.empty(0)) == {}

    def test_rct_says_a_cdl(self):
        """One stop of light is a slope of 2^(1/3) on the roots of light; hues then stay."""
        face = picture(1)
        numbers = rct.measure(face, face * np.float32(0.5), MATTE)
        report = rct.report(numbers)
        assert report["slope"][0] == pytest.approx(0.5 ** (1 / 3), rel=0.02)
        assert set(report) == {"space", "axes", "slope", "offset", "power", "saturation"}


def test_sot_and_mix_keep_grain():
    """A little noise is not much more of it afterwards; `idt` is there for who wants the distribution at any price."""
    face, plate = picture(1), np.where(X[..., None] > 0.5, picture(2, 0.05), picture(3, 0.3))
    noisy = face * (1.0 + 0.005 * np.random.default_rng(9).standard_normal(face.shape)).astype(np.float32)

    def grain(module):
        numbers = module.measure(face, plate, MATTE)
        one, other = (SRGB.sampled(module.apply(p, numbers, 1.0))[HARD > 0.0] for p in (face, noisy))
        return float(np.median(np.abs(one - other).sum(axis=-1)))

    assert max(grain(mix), grain(sot)) < 1.5 * grain(mkl)
    assert grain(idt) > grain(sot)


def test_mix_bends_no_shading():
    """L* goes by a line, whatever the plate's distribution."""
    face, plate = picture(1), np.where(X[..., None] > 0.5, picture(2, 0.05), picture(3, 0.3))
    matched = mix.apply(face, mix.measure(face, plate, MATTE), 1.0)
    before, after = (LAB.sampled(p)[..., 0].ravel() for p in (face, matched))
    slope, offset = np.polyfit(before, after, 1)
    np.testing.assert_allclose(after, slope * before + offset, atol=2e-3)


class TestBelowBlack:
    """What a match of skin makes of what is no skin, such as black hair within the mask `full`."""

    @pytest.mark.parametrize("name", AFFINE + WHOLE)
    def test_dark_surroundings_stay_about_black_and_in_order(self, name):
        face, plate = picture(1, 0.4, contrast=0.5), picture(2, 0.11, (0.75, 0.8, 1.0), contrast=1.3)
        numbers = member(name).measure(face, plate, MATTE)
        ramp = np.linspace(-0.02, 0.4, 500, dtype=np.float32)[None, :, None] * np.ones(3, np.float32)
        own, wanted = _affine.moments(numbers)
        free = SRGB.matched(ramp, _affine.change(_affine.least(own, wanted)), 1.0)
        made = member(name).apply(ramp, numbers, 1.0)
        assert free.min() < -0.1  # what it would be
        assert SRGB.sampled(made).min() > SRGB.sampled(ramp).min() - _affine.DEPTH - 1e-3
        assert np.diff(luminance(made)[0]).min() > -1e-5

    @pytest.mark.parametrize("name", AFFINE + WHOLE)
    def test_what_the_plate_has_below_black_is_reached(self, name):
        face, plate = face_and_plate()
        out_of_gamut = plate.copy()
        out_of_gamut[..., 0] = -0.3 * plate[..., 2]  # AP1's blues have negative red in Rec.709's primaries
        numbers = member(name).measure(face, out_of_gamut, MATTE)
        matched = member(name).apply(face, numbers, 1.0)
        inside, shares = weights()
        means = [shares @ each[inside].astype(np.float64) for each in (matched, out_of_gamut)]
        np.testing.assert_allclose(means[0], means[1], rtol=0.1, atol=2e-3)
