"""Movies of a review: the right pictures in the right places, as a display shows them, and nothing half-written."""

from __future__ import annotations

import resource
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from understudy.core import plate, review
from understudy.core.errors import FrameUnreadable, InvalidInput, NotFound, WriteFailed
from understudy.core.frames import Frame, FrameRange, Window
from understudy.core.plate import Template, Typed, find, video
from understudy.core.reports import Artifact, FrameReport, Started, Warned
from understudy.core.review import ReviewSettings, movie

SPACE = "ACEScg"
WIDTH, HEIGHT = 128, 96
SMOOTH = 0.02  # what chroma at half size and H.264 may be off; from one frame of `scene` to the next is more


def scene(number: int, colour: float = 1.0):
    """(H, W, 3) scene-linear: a ramp that moves with the frame, up to 4."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    base = 0.02 + 0.25 * (x + 16 * (number - 1001)) / WIDTH
    return np.stack([base * colour, base + 0.3 * y / HEIGHT, 4.0 * (y / HEIGHT) ** 2 + 0.05], -1).astype(
        np.float32
    )


def write(template: Template, number: int, rgb, **changes) -> None:
    height, width = rgb.shape[:2]
    window = Window(0, 0, width, height)
    metadata = {
        "framesPerSecond": Typed("rational", (24000, 1001)),
        "timeCode": plate.Timecode(1, 0, 0, number - 1001).entry,
        "understudy/colour": SPACE,
    }
    items = {"display": window, "data": window, "metadata": metadata, **changes}
    planes = {c: rgb[..., i].astype(np.float16) for i, c in enumerate("RGB")}
    plate.write(Frame(number=number, planes=planes, **items), template.path(number))


@pytest.fixture
def comp(tmp_path) -> Template:
    """Four frames of a comp, which is redder than its plate."""
    template = Template.parse(str(tmp_path / "shots" / "v002" / "sh010_comp.####.exr"))
    for number in range(1001, 1005):
        write(template, number, scene(number, 2.0))
    return template


@pytest.fixture
def original(tmp_path) -> Template:
    template = Template.parse(str(tmp_path / "plate" / "plate.####.exr"))
    for number in range(1001, 1005):
        write(template, number, scene(number))
    return template


def settings(comp: Template, name: str = "r.mov", **changes) -> ReviewSettings:
    items = {
        "output": find(comp.text, colour_space=SPACE),
        "movie": comp.directory.parent / name,
        "burn_in": False,
    }
    return ReviewSettings(**{**items, **changes})


def target(asked: ReviewSettings) -> Path:
    assert asked.movie is not None
    return asked.movie


def made(asked: ReviewSettings, colour) -> tuple[list, list]:
    """The reports, and the movie's pictures as (H, W, 3) codes."""
    reports = list(review.run(asked, colour=colour))
    return reports, pictures(target(asked))


def pictures(path):
    found = video.probe(path)
    return [video.to_rgb(picture, found) for picture in video.pictures(found)]


def shown(rgb, colour, exposure: float = 0.0):
    """What the default display shows of a half-float scene."""
    linear = rgb.astype(np.float16).astype(np.float32) * np.float32(2.0**exposure)
    return np.clip(colour.viewed(colour.to_working(linear, SPACE), *colour.display_view()), 0.0, 1.0)


def off(picture, expected):
    """The difference that 99 of 100 pixels keep, where chroma does not smear a border."""
    return float(np.percentile(np.abs(picture - expected)[4:-4, 4:-4], 99))


def reports_of(reports):
    return {r.frame: r for r in reports if isinstance(r, FrameReport)}


class TestPicture:
    @pytest.mark.parametrize("name", ["r.mov", "r.mp4"])
    def test_every_frame_is_there_as_the_display_shows_it(self, comp, colour, name):
        reports, seen = made(settings(comp, name), colour)
        assert len(seen) == 4
        for number, picture in enumerate(seen, 1001):
            assert off(picture, shown(scene(number, 2.0), colour)) < SMOOTH
        assert isinstance(reports[0], Started)
        assert reports[0].total == 4
        assert [r.status.value for r in reports_of(reports).values()] == ["done"] * 4
        assert reports[-1] == Artifact(kind="review", path=comp.directory.parent / name)

    def test_what_the_file_says_of_itself(self, comp, colour):
        asked = settings(comp)
        made(asked, colour)
        said = video.probe(target(asked))
        assert (said.rate, said.frames, said.even) == (Fraction(24000, 1001), 4, True)
        assert str(said.timecode) == "01:00:00:00"
        assert (said.matrix, said.transfer, said.primaries, said.guessed) == (1, 13, 1, ())
        with av.open(str(target(asked))) as container:
            assert container.metadata["title"] == "sh010_comp v002"
            assert container.streams.video[0].codec_context.name == "prores"

    def test_h264_is_h264(self, comp, colour):
        asked = settings(comp, "r.mp4")
        made(asked, colour)
        with av.open(str(target(asked))) as container:
            context = container.streams.video[0].codec_context
            assert (context.name, context.pix_fmt) == ("h264", "yuv420p")

    def test_exposure_is_in_stops_of_the_scene(self, comp, colour):
        _, seen = made(settings(comp, exposure=-2.0), colour)
        assert off(seen[1], shown(scene(1002, 2.0), colour, -2.0)) < SMOOTH

    def test_a_display_and_a_view_of_it(self, comp, colour):
        names = {"display": "rec.2100-pq - display", "display_view": "Un-tone-mapped"}
        asked = settings(comp, **names)
        reports, seen = made(asked, colour)
        said = video.probe(target(asked))
        assert (said.matrix, said.transfer, said.primaries) == (9, 16, 9)
        linear = colour.to_working(scene(1001, 2.0), SPACE)
        expected = colour.viewed(linear, "Rec.2100-PQ - Display", "Un-tone-mapped")
        assert off(seen[0], np.clip(expected, 0, 1)) < SMOOTH
        assert not [r for r in reports if isinstance(r, Warned)]

    def test_a_display_without_code_points_is_warned_of(self, comp, colour):
        reports, _ = made(settings(comp, display="P3-DCI - Display"), colour)
        assert [r.reason for r in reports if isinstance(r, Warned)] == ["UNTAGGED_VIDEO"]

    def test_nan_and_inf_stay_where_they_are(self, comp, colour):
        rgb = scene(1002, 2.0)
        rgb[40, 60], rgb[50, 70, 1] = np.nan, np.inf
        write(comp, 1002, rgb)
        _, seen = made(settings(comp), colour)
        assert off(seen[1], shown(scene(1002, 2.0), colour)) < 0.05

    def test_windows_and_pixel_aspect(self, comp, colour):
        """The format is shown, un-squeezed: black where the file has no pixels, without overscan."""
        display, data = Window(0, 0, 100, 75), Window(20, -2, WIDTH, HEIGHT)
        for number in range(1001, 1005):
            write(comp, number, scene(number, 2.0), display=display, data=data, pixel_aspect=2.0)
        _, (picture, *_) = made(settings(comp), colour)
        assert picture.shape == (76, 200, 3)
        assert picture[:, :36].max() < 0.01
        wide = cv2.resize(
            shown(scene(1001, 2.0), colour)[2:77, :80], (160, 75), interpolation=cv2.INTER_LINEAR
        )
        assert off(picture[:75, 40:], wide) < SMOOTH

    def test_no_wider_than_asked(self, comp, colour):
        _, (picture, *_) = made(settings(comp, width=64), colour)
        assert picture.shape == (48, 64, 3)
        small = cv2.resize(shown(scene(1001, 2.0), colour), (64, 48), interpolation=cv2.INTER_AREA)
        assert off(picture, small) < 2 * SMOOTH


class TestRateAndTimecode:
    def test_a_rate_that_is_named_goes_before_the_header(self, comp, colour):
        asked = settings(comp, rate=Fraction(25))
        made(asked, colour)
        said = video.probe(target(asked))
        assert (said.rate, said.timecode) == (Fraction(25), None)  # the timecode counts another rate

    def test_without_one_it_is_film_and_said(self, comp, colour):
        for number in range(1001, 1005):
            write(comp, number, scene(number), metadata={})
        asked = settings(comp)
        reports, _ = made(asked, colour)
        assert video.probe(target(asked)).rate == 24
        assert [r.reason for r in reports if isinstance(r, Warned)] == ["NO_FRAME_RATE"]

    def test_a_range_with_holes_has_no_timecode(self, comp, colour):
        found = find(comp.text, FrameRange.of(1001, 1003, 2), SPACE)
        asked = settings(comp, output=found)
        reports, seen = made(asked, colour)
        assert list(reports_of(reports)) == [1001, 1003]
        assert off(seen[1], shown(scene(1003, 2.0), colour)) < SMOOTH
        assert video.probe(target(asked)).timecode is None


class TestCompared:
    @pytest.fixture
    def compare(self, comp, original, colour):
        def made_with(**changes):
            return made(settings(comp, plate=original, plate_space=SPACE, **changes), colour)

        return made_with

    def test_side_by_side(self, compare, colour):
        _, seen = compare(layout="side_by_side")
        for number, picture in enumerate(seen, 1001):
            assert picture.shape == (HEIGHT, 2 * WIDTH, 3)
            assert off(picture[:, :WIDTH], shown(scene(number), colour)) < SMOOTH
            assert off(picture[:, WIDTH:], shown(scene(number, 2.0), colour)) < SMOOTH

    def test_wipe(self, compare, colour):
        _, (picture, *_) = compare(layout="wipe", wipe=0.25)
        assert picture.shape == (HEIGHT, WIDTH, 3)
        assert off(picture[:, :30], shown(scene(1001), colour)[:, :30]) < SMOOTH
        assert off(picture[:, 34:], shown(scene(1001, 2.0), colour)[:, 34:]) < SMOOTH
        assert picture[:, 31:33].mean(axis=-1).min() > 0.9  # the line between

    @pytest.mark.parametrize(("wipe", "red"), [(0.0, 2.0), (1.0, 1.0)])
    def test_a_wipe_to_either_end_has_no_line(self, compare, colour, wipe, red):
        _, (picture, *_) = compare(layout="wipe", wipe=wipe)
        assert off(picture, shown(scene(1001, red), colour)) < SMOOTH

    def test_a_plate_of_another_size_is_fitted(self, compare, original, colour):
        for number in range(1001, 1005):
            write(original, number, np.repeat(np.repeat(scene(number), 2, 0), 2, 1))
        _, (picture, *_) = compare(layout="side_by_side")
        assert off(picture[:, :WIDTH], shown(scene(1001), colour)) < 2 * SMOOTH

    def test_a_missing_plate_is_warned_of_and_the_frame_shown(self, compare, original, colour):
        original.path(1002).unlink()
        reports, seen = compare(layout="side_by_side")
        report = reports_of(reports)[1002]
        assert (report.status.value, len(report.warnings)) == ("done", 1)
        assert "plate.1002.exr" in report.warnings[0]
        assert off(seen[1][:, WIDTH:], shown(scene(1002, 2.0), colour)) < SMOOTH
        assert seen[1][: HEIGHT // 3, :WIDTH].std() < 0.01
        assert seen[1][HEIGHT // 3 : -HEIGHT // 3, :WIDTH].max() > 0.5  # it says so


class TestHoles:
    def test_every_picture_stays_in_its_place(self, comp, colour):
        comp.path(1002).unlink()
        comp.path(1003).write_bytes(b"")
        reports, seen = made(settings(comp), colour)
        found = reports_of(reports)
        assert [found[n].status.value for n in range(1001, 1005)] == ["done", "missing", "failed", "done"]
        assert [found[n].reason for n in (1002, 1003)] == ["FRAME_MISSING", "FRAME_UNREADABLE"]
        assert len(seen) == 4
        assert off(seen[3], shown(scene(1004, 2.0), colour)) < SMOOTH
        for picture in seen[1:3]:
            assert picture[: HEIGHT // 3].std() < 0.01
            assert picture.max() > 0.5

    def test_where_the_first_frame_is_broken_the_next_gives_size_and_rate(self, comp, colour):
        comp.path(1001).write_bytes(b"")
        asked = settings(comp)
        _, seen = made(asked, colour)
        said = video.probe(target(asked))
        assert (said.rate, said.timecode, seen[0].shape) == (Fraction(24000, 1001), None, (HEIGHT, WIDTH, 3))

    def test_no_frame_that_can_be_opened_makes_no_movie(self, comp, colour):
        for number in range(1001, 1005):
            comp.path(number).write_bytes(b"")
        asked = settings(comp)
        with pytest.raises(FrameUnreadable, match="1001"):
            list(review.run(asked, colour=colour))
        assert not target(asked).exists()

    def test_frames_of_which_none_is_there(self, comp, colour):
        comp.path(1002).unlink()
        with pytest.raises(NotFound, match="1002"):
            review.run(
                settings(comp, output=find(comp.text, FrameRange.of(1002, 1002), SPACE)), colour=colour
            )


class TestBurnIn:
    def test_it_is_in_the_corners_and_tells_the_frame(self, comp, colour):
        big = [np.kron(scene(n, 2.0), np.ones((4, 4, 1), np.float32)) for n in (1001, 1001, 1001, 1001)]
        for number, rgb in enumerate(big, 1001):
            write(comp, number, rgb)
        _, plain = made(settings(comp), colour)
        _, burnt = made(settings(comp, "b.mov", burn_in=True), colour)
        assert off(burnt[0][:-40], plain[0][:-40]) < SMOOTH
        left, right = burnt[0][-16:, :60], burnt[0][-16:, -60:]
        assert min(left.max(), right.max()) > 0.9
        assert off(burnt[0][-20:, 200:300], plain[0][-20:, 200:300]) < SMOOTH
        assert np.abs(burnt[0] - burnt[1])[-24:, -200:].max() > 0.5  # 1001 and 1002
        assert np.abs(burnt[0] - burnt[1])[-24:, :200].max() < SMOOTH

    @pytest.mark.parametrize(
        ("changes", "title"),
        [
            ({}, "sh010_comp v002"),
            ({"version": "take 3"}, "sh010_comp take 3"),
            ({"version": "comp"}, "sh010_comp"),
        ],
    )
    def test_name_and_version(self, comp, changes, title):
        assert settings(comp, **changes).title == title

    def test_a_version_in_the_name_is_not_said_twice(self, tmp_path):
        template = Template.parse(str(tmp_path / "v001" / "comp_v012.####.exr"))
        write(template, 1001, scene(1001))
        assert settings(template).title == "comp_v012"

    def test_text_that_is_too_long_gets_smaller(self, comp, colour):
        _, (picture, *_) = made(
            settings(comp, burn_in=True, version="a version with a very long name"), colour
        )
        assert off(picture[:-20], shown(scene(1001, 2.0), colour)[:-20]) < SMOOTH
        assert picture[-12:, -10:].max() > 0.5


class TestFiles:
    def test_one_that_is_left_leaves_nothing(self, comp, colour):
        asked = settings(comp)
        target(asked).parent.mkdir(exist_ok=True)
        before = set(target(asked).parent.iterdir())
        reports = review.run(asked, colour=colour)
        while not isinstance(next(reports), FrameReport):
            pass
        assert len(set(target(asked).parent.iterdir()) - before) == 1  # it is being written
        reports.close()
        assert set(target(asked).parent.iterdir()) == before

    def test_a_review_takes_the_place_of_a_review_and_of_nothing_else(self, comp, colour):
        asked = settings(comp)
        made(asked, colour)
        made(replace(asked, exposure=1.0), colour)
        assert off(pictures(target(asked))[0], shown(scene(1001, 2.0), colour, 1.0)) < SMOOTH
        for foreign in (b"", b"no movie"):
            target(asked).write_bytes(foreign)
            with pytest.raises(InvalidInput, match="not made by a review"):
                review.run(asked, colour=colour)
            assert target(asked).read_bytes() == foreign
        target(asked).unlink()
        with av.open(str(target(asked)), "w") as container:
            stream = container.add_stream("mpeg4", rate=24)
            stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
            container.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
            container.mux(stream.encode(None))
        with pytest.raises(InvalidInput, match="not made by a review"):
            review.run(asked, colour=colour)

    @pytest.mark.parametrize("name", ["r.mov", "r.mp4"])
    def test_a_disk_that_takes_no_more(self, comp, colour, name):
        """The movie that was there stays, and nothing beside it."""
        asked = settings(comp, name)
        made(asked, colour)
        before, files = target(asked).read_bytes(), set(target(asked).parent.iterdir())
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
        try:
            with pytest.raises(WriteFailed) as error:
                list(review.run(asked, colour=colour))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert error.value.path == str(target(asked))
        assert target(asked).read_bytes() == before
        assert set(target(asked).parent.iterdir()) == files


class TestYcbcr:
    @pytest.mark.parametrize("matrix", [1, 9])
    def test_black_white_and_greys_have_their_codes(self, matrix):
        grey = np.repeat(np.linspace(0, 1, 8, dtype=np.float32).reshape(1, 8, 1), 3, 2).repeat(2, 0)
        y, cb, cr = movie.to_ycbcr(grey, matrix=matrix, bits=10, down=1)
        assert (y[0, 0], y[0, -1]) == (64, 940)
        assert set(np.concatenate([cb, cr]).ravel()) == {512}

    @pytest.mark.parametrize(("colour", "codes"), [((1, 0, 0), (63, 102, 240)), ((0, 0, 1), (32, 240, 118))])
    def test_primaries_by_bt709(self, colour, codes):
        """Worked out by hand from ITU-R BT.709: Kr 0.2126, Kb 0.0722, levels 16 to 235 and 16 to 240."""
        found = movie.to_ycbcr(np.full((2, 2, 3), colour, np.float32), matrix=1, bits=8, down=2)
        assert tuple(int(plane[0, 0]) for plane in found) == codes

    def test_what_is_beyond_is_held(self):
        wild = np.array([[[-3.0] * 3, [9.0] * 3]] * 2, np.float32)
        y, _, _ = movie.to_ycbcr(wild, matrix=1, bits=8, down=2)
        assert y.tolist() == [[16, 235]] * 2


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"movie": None}, "movie"),
        ({"name": "r.avi"}, "movie"),
        ({"sheet": "s.jpg"}, "contact_sheet"),
        ({"layout": "stacked"}, "layout"),
        ({"wipe": 1.01}, "wipe"),
        ({"wipe": float("nan")}, "wipe"),
        ({"exposure": -11.0}, "exposure"),
        ({"rate": Fraction(0)}, "rate"),
        ({"rate": Fraction(241)}, "rate"),
        ({"width": 63}, "width"),
        ({"rows": 0}, "rows"),
        ({"plate": "p.%V.####.exr"}, "plate"),
    ],
)
def test_refusals_name_the_field(comp, changes, field):
    for name, kind in (("sheet", type(comp.directory)), ("plate", Template.parse)):
        if name in changes:
            changes = {**changes, name: kind(changes[name])}
    with pytest.raises(InvalidInput) as error:
        settings(comp, **changes)
    assert error.value.field == field


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"display": "My Television"}, "My Television"),
        ({"display_view": "Pretty"}, "Un-tone-mapped"),
        ({"display": "Rec.2100-HLG - Display", "name": "r.mp4"}, "8 bits"),
    ],
)
def test_refused_before_any_report(comp, colour, changes, words):
    with pytest.raises(InvalidInput, match=words):
        review.run(settings(comp, **changes), colour=colour)
