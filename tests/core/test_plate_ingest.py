"""Videos to plates: right colours to a fraction of a code, right frame numbers, nothing made twice or lost."""

from __future__ import annotations

import os
import struct
from collections.abc import Generator
from fractions import Fraction

import av
import numpy as np
import pytest

from understudy.core.errors import InvalidInput, NotFound
from understudy.core.frames import Frame, FrameRange, Window
from understudy.core.plate import (
    Template,
    Timecode,
    find,
    guess_colour_space,
    ingest,
    rate,
    read,
    read_file,
    write,
)
from understudy.core.reports import Artifact, FrameReport, FrameStatus, Started, Warned

WIDTH, HEIGHT, COUNT = 32, 24, 6
LIMITED, FULL = 1, 2


def codes(index, planes=3, bits=8, shape=(HEIGHT, WIDTH)):
    """Codes of one picture: each plane flat, another with each picture, and a bright left half in the first."""
    unit = 2 ** (bits - 8)
    flat = [np.full(shape, (60 + 20 * plane + 10 * index) * unit) for plane in range(planes)]
    flat[0][:, : shape[1] // 2] = 200 * unit
    return [plane.astype(np.uint8 if bits == 8 else np.uint16) for plane in flat]


def video(
    path,
    layout="yuv444p",
    *,
    codec="ffv1",
    count=COUNT,
    fps=24,
    tags=(),
    options=None,
    times=None,
    metadata=None,
    pictures=None,
):
    """A lossless video of `count` pictures; returns the planes of each."""
    bits = int("".join(filter(str.isdigit, layout.partition("p")[2])) or 8)
    made = []

    def bit_codes(index):
        return codes(index, 3, bits)

    with av.open(str(path), "w") as container:
        container.metadata.update(metadata or {})
        stream = container.add_stream(codec, rate=fps, options=options or {})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, layout
        for name, value in dict(tags).items():
            setattr(stream.codec_context, name, value)
        for index in range(count):
            picture = av.VideoFrame(WIDTH, HEIGHT, layout)
            planes = []
            for plane, code in zip(picture.planes, (pictures or bit_codes)(index), strict=True):
                rows = np.zeros((plane.height, plane.line_size), np.uint8)
                bare = np.ascontiguousarray(code[: plane.height, : plane.width])
                rows[:, : bare.nbytes // plane.height] = bare.view(np.uint8).reshape(plane.height, -1)
                plane.update(rows.tobytes())
                planes.append(bare)
            for name in ("color_range", "colorspace"):
                if name in dict(tags):
                    setattr(picture, name, dict(tags)[name])
            picture.pts = index if times is None else times[index]
            picture.time_base = 1 / Fraction(fps)
            container.mux(stream.encode(picture))
            made.append(planes)
        container.mux(stream.encode())
    return made


BT709 = {"color_range": LIMITED, "colorspace": 1, "color_trc": 1, "color_primaries": 1}


def run(path, folder, **kw):
    template = Template.parse(str(folder / "plate.####.exr"))
    return template, list(ingest(path, template, **kw))


def frames(reports, status):
    return [r.frame for r in reports if isinstance(r, FrameReport) and r.status is status]


def encoded(frame, colour):
    """R'G'B' as the video had it: the plate through sRGB."""
    linear = frame.rgb()
    return colour.convert(linear, guess_colour_space(frame), "sRGB - Texture")


def of_ycbcr(planes, kr, kb, *, bits=8, full=False):
    """Reference: BT.709 equations, in double precision."""
    unit = 2 ** (bits - 8)
    y, cb, cr = (plane.astype(np.float64) for plane in planes)
    if full:
        y, cb, cr = y / (2**bits - 1), (cb - 128 * unit) / (2**bits - 1), (cr - 128 * unit) / (2**bits - 1)
    else:
        y, cb, cr = (
            (y - 16 * unit) / (219 * unit),
            (cb - 128 * unit) / (224 * unit),
            (cr - 128 * unit) / (224 * unit),
        )
    r, b = y + (2 - 2 * kr) * cr, y + (2 - 2 * kb) * cb
    return np.stack([r, (y - kr * r - kb * b) / (1 - kr - kb), b], axis=-1)


class TestPixels:
    @pytest.mark.parametrize(
        ("layout", "tags", "weights", "bits", "full"),
        [
            ("yuv444p", BT709, (0.2126, 0.0722), 8, False),
            ("yuv444p", {**BT709, "color_range": FULL}, (0.2126, 0.0722), 8, True),
            ("yuv444p", {**BT709, "colorspace": 5}, (0.299, 0.114), 8, False),
            ("yuv444p", {}, (0.299, 0.114), 8, False),  # untagged and small: BT.601
            ("yuv444p10le", BT709, (0.2126, 0.0722), 10, False),
            ("yuv444p12le", {**BT709, "colorspace": 9, "color_trc": 14}, (0.2627, 0.0593), 12, False),
        ],
    )
    def test_the_equations_of_the_tags(self, tmp_path, colour, layout, tags, weights, bits, full):
        made = video(tmp_path / "v.mkv", layout, tags=tags)
        template, _ = run(tmp_path / "v.mkv", tmp_path)
        for index in (0, COUNT - 1):
            frame = read(template, 1001 + index)
            expected = of_ycbcr(made[index], *weights, bits=bits, full=full)
            # half precision is 1/2048 of linear light; a quarter of an 8-bit code at most
            assert np.abs(encoded(frame, colour) - expected).max() < 0.25 / 255

    @pytest.mark.parametrize(("layout", "across", "down"), [("yuv420p", 2, 2), ("yuv422p", 2, 1)])
    def test_chroma_between_pixels_is_interpolated_where_it_is_sited(
        self, tmp_path, colour, layout, across, down
    ):
        """A ramp in chroma comes out a ramp: chroma sits on even luma columns, and in the middle of its rows."""

        def ramp(index):
            y = np.full((HEIGHT, WIDTH), 120, np.uint8)
            rows, columns = np.mgrid[: HEIGHT // down, : WIDTH // across]
            return [y, (100 + 2 * columns).astype(np.uint8), (110 + 2 * rows).astype(np.uint8)]

        video(tmp_path / "v.mkv", layout, tags=BT709, count=1, pictures=ramp)
        template, _ = run(tmp_path / "v.mkv", tmp_path)
        rows, columns = np.mgrid[:HEIGHT, :WIDTH].astype(np.float64)
        cb = 100 + 2 * columns / across
        cr = 110 + 2 * ((rows + 0.5) / down - 0.5)
        expected = of_ycbcr([np.full((HEIGHT, WIDTH), 120.0), cb, cr], 0.2126, 0.0722)
        inside = np.s_[1:-1, : WIDTH - across]  # the border repeats
        assert np.abs(encoded(read(template, 1001), colour) - expected)[inside].max() < 0.25 / 255

    def test_rgb_video_is_taken_as_it_is(self, tmp_path, colour):
        made = video(tmp_path / "v.mkv", "gbrp10le", tags={"color_trc": 13, "color_primaries": 1}, count=1)
        template, _ = run(tmp_path / "v.mkv", tmp_path)
        g, b, r = made[0]
        expected = np.stack([r, g, b], axis=-1) / 1023
        assert np.abs(encoded(read(template, 1001), colour) - expected).max() < 0.25 / 255

    def test_the_space_may_be_named(self, tmp_path, colour):
        made = video(tmp_path / "v.mkv", tags=BT709, count=1)
        template, _ = run(tmp_path / "v.mkv", tmp_path, colour_space="ARRI LogC4")
        frame = read(template, 1001)
        logged = colour.convert(frame.rgb(), guess_colour_space(frame), "ARRI LogC4")
        assert np.abs(logged - of_ycbcr(made[0], 0.2126, 0.0722)).max() < 0.5 / 255
        assert frame.metadata["understudy/sourceSpace"] == "ARRI LogC4"

    @pytest.mark.parametrize("transfer", [16, 18])
    def test_hdr_has_to_be_named(self, tmp_path, transfer):
        tags = {**BT709, "color_trc": transfer, "color_primaries": 9, "colorspace": 9}
        video(tmp_path / "v.mkv", "yuv444p10le", tags=tags, count=1)
        with pytest.raises(InvalidInput, match=f"transfer {transfer}, primaries 9.*name the space") as caught:
            run(tmp_path / "v.mkv", tmp_path)
        assert caught.value.field == "colour_space"

    def test_telephone_video_is_set_upright(self, tmp_path, colour):
        """A quarter turn clockwise in the track header: the bright left half comes to the top."""
        path = tmp_path / "v.mp4"
        video(path, "yuv420p", codec="libx264", options={"qp": "0"}, tags=BT709)
        whole = bytearray(path.read_bytes())
        at = whole.index(b"tkhd") + 4 + 40  # ISO 14496-12: the matrix in a version 0 track header
        assert struct.unpack_from(">9i", whole, at) == (65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
        struct.pack_into(">9i", whole, at, 0, 65536, 0, -65536, 0, 0, HEIGHT << 16, 0, 1 << 30)
        path.write_bytes(whole)
        template, _ = run(path, tmp_path)
        frame = read(template, 1001)
        assert (frame.data.width, frame.data.height) == (HEIGHT, WIDTH)
        luma = frame.rgb()[..., 1]
        assert luma[: WIDTH // 2 - 2].min() > luma[WIDTH // 2 + 2 :].max()


class TestTime:
    def test_rate_numbers_and_timecode(self, tmp_path):
        video(
            tmp_path / "v.mov",
            "yuv420p",
            codec="libx264",
            fps=Fraction(24000, 1001),
            tags=BT709,
            metadata={"timecode": "01:00:00:20"},
        )
        template, reports = run(tmp_path / "v.mov", tmp_path, first=86400)
        assert reports[0] == Started(total=COUNT, skipped=0)
        assert frames(reports, FrameStatus.DONE) == list(range(86400, 86400 + COUNT))
        assert str(find(template.text).present) == f"86400-{86400 + COUNT - 1}"
        last = read(template, 86400 + COUNT - 1)
        assert rate(last.metadata) == Fraction(24000, 1001)
        assert str(Timecode.from_header(last.metadata)) == "01:00:01:01"
        assert last.metadata["understudy/sourceFrame"] == COUNT - 1
        assert not [r for r in reports if isinstance(r, Warned)]

    def test_no_timecode_counts_from_nought(self, tmp_path):
        video(tmp_path / "v.mkv", fps=25, tags=BT709)
        template, _ = run(tmp_path / "v.mkv", tmp_path)
        assert str(Timecode.from_header(read(template, 1003).metadata)) == "00:00:00:02"

    def test_rates_that_timecode_cannot_count(self, tmp_path):
        video(tmp_path / "v.mkv", fps=60, tags=BT709, count=2)
        template, reports = run(tmp_path / "v.mkv", tmp_path)
        assert [r.reason for r in reports if isinstance(r, Warned)] == ["NO_TIMECODE"]
        assert Timecode.from_header(read(template, 1001).metadata) is None
        assert rate(read(template, 1001).metadata) == 60

    def test_variable_rate_is_said(self, tmp_path):
        video(tmp_path / "v.mkv", tags=BT709, times=[0, 1, 2, 7, 8, 9])
        _, reports = run(tmp_path / "v.mkv", tmp_path)
        assert "VARIABLE_FRAME_RATE" in [r.reason for r in reports if isinstance(r, Warned)]
        assert len(frames(reports, FrameStatus.DONE)) == COUNT

    def test_what_a_file_does_not_say_is_said(self, tmp_path):
        video(tmp_path / "v.mkv")
        _, reports = run(tmp_path / "v.mkv", tmp_path)
        (warned,) = [r for r in reports if isinstance(r, Warned)]
        assert warned.reason == "UNTAGGED_VIDEO"
        assert "matrix (BT.601), range (video levels), transfer" in warned.message

    def test_only_the_frames_asked_for(self, tmp_path):
        made = video(tmp_path / "v.mkv", tags=BT709)
        template, reports = run(tmp_path / "v.mkv", tmp_path, frames=FrameRange.of(1002, 1006, 2))
        assert frames(reports, FrameStatus.DONE) == [1002, 1004, 1006]
        assert list(find(template.text).present) == [1002, 1004, 1006]
        one, three = (read(template, n).planes["G"][0, -1] for n in (1002, 1004))
        assert one != three
        assert len(made) == COUNT

    def test_pictures_in_another_order_than_stored(self, tmp_path):
        """B-frames: the order of showing counts."""
        path = tmp_path / "v.mp4"
        video(
            path,
            "yuv420p",
            codec="libx264",
            tags=BT709,
            count=12,
            options={"bf": "3", "qp": "1", "b_strategy": "0"},
        )
        template, _ = run(path, tmp_path)
        greens = [float(read(template, n).planes["R"][0, -1]) for n in range(1001, 1013)]
        assert len(greens) == 12
        assert greens == sorted(greens)


class TestAgain:
    def test_what_is_done_is_left(self, tmp_path):
        video(tmp_path / "v.mkv", tags=BT709)
        template, _ = run(tmp_path / "v.mkv", tmp_path)
        for n in range(1001, 1007):
            os.utime(template.path(n), (n, n))  # long ago: what is written now has another time
        template.path(1003).unlink()
        template.path(1005).write_bytes(b"")
        _, reports = run(tmp_path / "v.mkv", tmp_path)
        assert reports[0] == Started(total=COUNT, skipped=COUNT - 2)
        assert frames(reports, FrameStatus.DONE) == [1003, 1005]
        assert frames(reports, FrameStatus.SKIPPED) == [1001, 1002, 1004, 1006]
        kept = [n for n in range(1001, 1007) if template.path(n).stat().st_mtime == n]
        assert kept == [1001, 1002, 1004, 1006]

    def test_a_closed_ingest_keeps_its_frames_and_goes_on(self, tmp_path):
        video(tmp_path / "v.mkv", tags=BT709)
        template = Template.parse(str(tmp_path / "plate.####.exr"))
        work = ingest(tmp_path / "v.mkv", template)
        assert isinstance(work, Generator)
        for report in work:
            if isinstance(report, FrameReport) and report.frame == 1002:
                break
        work.close()
        assert list(find(template.text).present) == [1001, 1002]
        assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]
        _, reports = run(tmp_path / "v.mkv", tmp_path)
        assert frames(reports, FrameStatus.DONE) == [1003, 1004, 1005, 1006]

    def test_two_ingests_make_the_same_bytes(self, tmp_path):
        video(tmp_path / "v.mkv", tags=BT709, count=2)
        one, _ = run(tmp_path / "v.mkv", tmp_path / "one")
        two, _ = run(tmp_path / "v.mkv", tmp_path / "two", frames=FrameRange.of(1002, 1002))
        assert one.path(1002).read_bytes() == two.path(1002).read_bytes()

    @pytest.mark.parametrize("change", [{"first": 1002}, {"colour_space": "Camera Rec.709"}])
    def test_another_choice_makes_other_frames(self, tmp_path, change):
        video(tmp_path / "v.mkv", tags=BT709, count=3)
        run(tmp_path / "v.mkv", tmp_path)
        _, reports = run(tmp_path / "v.mkv", tmp_path, **change)
        assert len(frames(reports, FrameStatus.DONE)) == 3

    def test_a_strangers_frame_is_never_replaced(self, tmp_path):
        video(tmp_path / "v.mkv", tags=BT709)
        template = Template.parse(str(tmp_path / "plate.####.exr"))
        window = Window(0, 0, 2, 2)
        planes = {c: np.zeros((2, 2), np.float16) for c in "RGB"}
        write(Frame(number=1003, planes=planes, display=window, data=window), template.path(1003))
        with pytest.raises(InvalidInput, match=r"plate\.1003\.exr: .* not made by ingest") as caught:
            ingest(tmp_path / "v.mkv", template)
        assert (caught.value.frame, caught.value.field) == (1003, "template")
        assert read_file(template.path(1003)).data == window

    def test_the_last_report_is_the_plate(self, tmp_path):
        video(tmp_path / "v.mkv", tags=BT709)
        template, reports = run(tmp_path / "v.mkv", tmp_path)
        last = reports[-1]
        assert isinstance(last, Artifact)
        assert (last.kind, str(last.path)) == ("plate", template.text)


class TestRefused:
    def test_no_file(self, tmp_path):
        with pytest.raises(NotFound, match="no such video"):
            run(tmp_path / "v.mkv", tmp_path)

    def test_no_video(self, tmp_path):
        (tmp_path / "v.mkv").write_bytes(b"text" * 1000)
        with pytest.raises(InvalidInput, match="not a video") as caught:
            run(tmp_path / "v.mkv", tmp_path)
        assert caught.value.field == "video"

    def test_only_sound(self, tmp_path):
        with av.open(str(tmp_path / "v.wav"), "w") as container:
            stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
            sound.sample_rate = 8000
            container.mux(stream.encode(sound))
            container.mux(stream.encode())
        with pytest.raises(InvalidInput, match="only sound"):
            run(tmp_path / "v.wav", tmp_path)

    @pytest.mark.parametrize("asked", [FrameRange.of(1000, 1003), FrameRange.of(1005, 1010)])
    def test_frames_outside_the_video(self, tmp_path, asked):
        video(tmp_path / "v.mkv", tags=BT709)
        with pytest.raises(InvalidInput, match=r"has 6 pictures, which become 1001-1006") as caught:
            run(tmp_path / "v.mkv", tmp_path, frames=asked)
        assert caught.value.field == "frames"

    def test_another_format(self, tmp_path):
        with pytest.raises(InvalidInput, match=r"not \.exr"):
            ingest(tmp_path / "v.mkv", Template.parse("p.####.dpx"))

    def test_an_unknown_space(self, tmp_path):
        video(tmp_path / "v.mkv", tags=BT709, count=1)
        with pytest.raises(InvalidInput, match="no colour space 'rec709-ish'"):
            run(tmp_path / "v.mkv", tmp_path, colour_space="rec709-ish")

    def test_a_cut_off_video_gives_what_it_has_and_names_the_rest(self, tmp_path):
        path = tmp_path / "v.mkv"
        video(path, tags=BT709, count=20)
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
        template, reports = run(path, tmp_path)
        assert 1 < len(frames(reports, FrameStatus.DONE)) < 20
        assert len(find(template.text).present) == len(frames(reports, FrameStatus.DONE))


def test_real_footage(tmp_path, shared, colour):
    """A telephone-like clip: anamorphic pixels, BT.709 tags; the plate under sRGB looks as FFmpeg's own RGB."""
    path = shared / "footage" / "performer_a.mp4"
    if not path.is_file():
        pytest.skip(f"no {path}")
    template, _ = run(path, tmp_path, frames=FrameRange.of(1001, 1003))
    frame = read(template, 1003)
    assert frame.pixel_aspect == pytest.approx(15 / 16)
    with av.open(str(path)) as container:
        *_, picture = (p for p, _ in zip(container.decode(video=0), range(3), strict=False))
    assert np.abs(encoded(frame, colour) - picture.to_ndarray(format="rgb24") / 255).mean() < 2 / 255
