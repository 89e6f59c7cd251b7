"""Reviews through the daemon: what a spec becomes, what is refused, and a movie by a job."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.core import shots
from tests.core.shots import Shot
from tests.daemon.support import Daemon
from understudy.core import plate
from understudy.core.colour import ColourConfig
from understudy.core.errors import UnderstudyError
from understudy.core.frames import Frame, FrameRange, Window
from understudy.core.plate import Template, video
from understudy.core.review import ReviewSettings
from understudy.daemon import decode
from understudy.daemon.outputs import Output
from understudy.daemon.paths import Roots
from understudy.daemon.site import Site
from understudy.v1 import job_pb2, review_pb2

Decoded = Callable[..., decode.Work]


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> Shot:
    """A plate, and frames that say that they were made from it."""
    made = shots.make(tmp_path_factory.mktemp("shot"), numbers=[1001, 1002, 1003], without_face=[])
    for number in made.plate.frames:
        frame = shots.frame(number)
        said = {
            "understudy/plate": made.plate.template.text,
            "understudy/plateColour": "ACEScg",
            "understudy/colour": "ACEScg",
        }
        plate.write(frame.with_planes(frame.planes, **said), comp(made).path(number))
    return made


def comp(shot: Shot) -> Template:
    return Template.parse(str(shot.folder / "out" / "comp_v003.####.exr"))


@pytest.fixture
def work(shot: Shot, colour: ColourConfig, tmp_path: Path) -> Decoded:
    """Decodes a review of the shot's frames for a site."""

    def decoded(promised: tuple[Output, ...] = (), roots: Roots | None = None, **spec) -> decode.Work:
        site = Site(weights_cache=tmp_path / "weights", roots=roots or Roots())
        asked = {"output": {"pattern": comp(shot).text}, "movie": str(tmp_path / "r.mov"), **spec}
        return decode.work(job_pb2.JobSpec(review=asked), promised, site=site, colour=colour)

    return decoded


def settings_of(found: decode.Work) -> ReviewSettings:
    assert isinstance(found.settings, ReviewSettings)
    return found.settings


def refused(call: Callable[[], object], reason: str, field: str, *words: str) -> None:
    with pytest.raises(UnderstudyError) as error:
        call()
    assert (error.value.reason, error.value.field) == (reason, field), error.value
    for word in words:
        assert word in error.value.message


def test_little_is_enough(work: Decoded, tmp_path: Path):
    found = work()
    settings = settings_of(found)
    assert (settings.output.colour_space, settings.layout, settings.plate) == ("ACEScg", "single", None)
    assert (settings.display, settings.display_view) == ("sRGB - Display", "ACES 1.0 - SDR Video")
    assert (settings.wipe, settings.width, settings.rows, settings.burn_in) == (0.5, 4096, 5, True)
    assert settings.rate is None
    assert found.outputs == (Output.of_file(tmp_path / "r.mov"),)
    assert found.label == "review comp_v003.####.exr"


def test_all_that_is_said_arrives(work: Decoded, shot: Shot, tmp_path: Path):
    found = work(
        output={
            "pattern": comp(shot).text,
            "frames": [{"first": 1002, "last": 1003}],
            "colour_space": "acescct",
        },
        contact_sheet=str(tmp_path / "s.png"),
        rows=3,
        plate={"pattern": shot.plate.template.text, "colour_space": "ACEScct"},
        layout=review_pb2.REVIEW_LAYOUT_WIPE,
        wipe=0.0,
        display="rec.1886 rec.709 - display",
        display_view="raw",
        exposure=1.5,
        rate={"numerator": 2997, "denominator": 125},
        no_burn_in=True,
        version="take 2",
        width=1920,
    )
    settings = settings_of(found)
    assert settings.output.frames == FrameRange.of(1002, 1003)
    assert (settings.output.colour_space, settings.plate_space) == ("ACEScct", "ACEScct")
    assert settings.plate == shot.plate.template
    assert (settings.layout, settings.wipe, settings.exposure) == ("wipe", 0.0, 1.5)
    assert (settings.display, settings.display_view) == ("Rec.1886 Rec.709 - Display", "Raw")
    assert settings.rate == Fraction(24000, 1001)  # what 23.976 means
    assert (settings.burn_in, settings.version, settings.width, settings.rows) == (False, "take 2", 1920, 3)
    assert found.outputs == (Output.of_file(tmp_path / "r.mov"), Output.of_file(tmp_path / "s.png"))


def test_a_plate_is_compared_side_by_side_and_needs_no_name(work: Decoded, shot: Shot):
    named = settings_of(work(plate={"pattern": shot.plate.template.text}))
    by_header = settings_of(work(layout=review_pb2.REVIEW_LAYOUT_SIDE_BY_SIDE))
    for settings in (named, by_header):
        assert settings.layout == "side_by_side"
        assert (settings.plate, settings.plate_space) == (shot.plate.template, "ACEScg")


def test_a_dpx_is_in_the_space_that_the_layers_beside_it_say(work: Decoded, shot: Shot, tmp_path: Path):
    codes = Template.parse(str(tmp_path / "comp.####.dpx"))
    window = Window(0, 0, 8, 8)
    planes = {c: np.full((8, 8), 445, np.uint16) for c in "RGB"}
    plate.write(
        Frame(number=1001, planes=planes, display=window, data=window, maximum=1023.0), codes.path(1001)
    )
    output = {"pattern": codes.text}
    refused(lambda: work(output=output), "INVALID_INPUT", "review.output.colour_space", "do not say")
    layers = plate.read(comp(shot), 1001)
    beside = tmp_path / "comp_layers.1001.exr"
    plate.write(layers.with_planes(layers.planes, **{"understudy/plateColour": "ACEScct"}), beside)
    assert settings_of(work(output=output)).output.colour_space == "ACEScct"


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        ((24, 1), Fraction(24)),
        ((24000, 1001), Fraction(24000, 1001)),
        ((2398, 100), Fraction(24000, 1001)),
        ((25, 2), Fraction(25, 2)),
    ],
)
def test_rates(work: Decoded, rate, expected):
    numerator, denominator = rate
    settings = settings_of(work(rate={"numerator": numerator, "denominator": denominator}))
    assert settings.rate == expected


@pytest.mark.parametrize(
    ("spec", "field", "word"),
    [
        ({"movie": ""}, "review.movie", "neither"),
        ({"movie": "/tmp/r.avi"}, "review.movie", ".mov or .mp4"),
        ({"movie": "r.mov"}, "review.movie", "relative"),
        ({"contact_sheet": "/tmp/s.jpg"}, "review.contact_sheet", ".png"),
        ({"wipe": 2.0}, "review.wipe", "0 to 1"),
        ({"exposure": 20.0}, "review.exposure", "-10 to 10"),
        ({"rate": {"numerator": 24}}, "review.rate", "denominator"),
        ({"rate": {"numerator": -24, "denominator": 1}}, "review.rate", "above 0"),
        ({"rows": -1}, "review.rows", "1 to 100"),
        ({"width": 10}, "review.width", "64 to 8192"),
        ({"layout": 9}, "review.layout", "9"),
        ({"display": "Telly"}, "review.display", "sRGB - Display"),
        ({"display_view": "Nice"}, "review.display_view", "Raw"),
    ],
)
def test_refusals_name_the_field(work: Decoded, spec: dict, field: str, word: str):
    refused(lambda: work(**spec), "INVALID_INPUT", field, word)


def test_frames_and_plates_that_are_not_there(work: Decoded, shot: Shot, tmp_path: Path):
    nowhere = str(tmp_path / "none.####.exr")
    with pytest.raises(UnderstudyError, match="no frame of this sequence"):
        work(output={"pattern": nowhere})
    with pytest.raises(UnderstudyError, match="no frame of this sequence"):
        work(plate={"pattern": nowhere})
    bare = Template.parse(str(tmp_path / "bare.####.exr"))
    plate.write(shots.frame(1001), bare.path(1001))
    output = {"pattern": bare.text, "colour_space": "ACEScg"}
    refused(
        lambda: work(output=output, layout=review_pb2.REVIEW_LAYOUT_WIPE),
        "INVALID_INPUT",
        "review.plate",
        "name it",
    )
    refused(
        lambda: work(output={"pattern": bare.text}),
        "INVALID_INPUT",
        "review.output.colour_space",
        "do not say",
    )


def test_a_movie_of_somebody_else_is_not_replaced(work: Decoded, tmp_path: Path):
    (tmp_path / "r.mov").write_bytes(b"precious")
    refused(work, "INVALID_INPUT", "review.movie", "not made by a review")


def test_paths_stay_inside_the_roots(work: Decoded, shot: Shot, tmp_path: Path):
    """The plate too, that headers name."""
    write = Roots(write=(shot.folder,))
    refused(lambda: work(roots=write), "PATH_NOT_ALLOWED", "review.movie")
    read = Roots(read=(shot.folder / "out",), write=(tmp_path,))
    assert work(roots=read)
    refused(
        lambda: work(roots=read, layout=review_pb2.REVIEW_LAYOUT_WIPE),
        "PATH_NOT_ALLOWED",
        "review.plate.pattern",
    )


def test_frames_that_another_job_will_make(work: Decoded, tmp_path: Path):
    later = Template.parse(str(tmp_path / "later" / "comp.####.exr"))
    promised = (Output.of_sequence(later, None),)
    found = work(promised, output={"pattern": later.text}, layout=review_pb2.REVIEW_LAYOUT_SIDE_BY_SIDE)
    assert found.outputs == (Output.of_file(tmp_path / "r.mov"),)


def test_decoding_a_review_loads_no_torch():
    code = "import sys; from understudy.daemon.decode import review; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_job_makes_the_movie_and_reports_its_frames(daemon: Daemon, shot: Shot, tmp_path: Path):
    holed = Template.parse(str(tmp_path / "comp.####.exr"))
    for number in (1001, 1002, 1004):
        plate.write(shots.frame(number), holed.path(number))
    spec = {
        "output": {"pattern": holed.text, "colour_space": "ACEScg"},
        "plate": {"pattern": shot.plate.template.text, "colour_space": "ACEScg"},
        "movie": str(tmp_path / "r.mp4"),
    }
    job = daemon.submit(job_pb2.JobSpec(review=spec)).id
    ended = daemon.succeed(job)
    assert (ended.progress.done, ended.progress.total, ended.frames_missing) == (4, 4, 1)
    assert [(a.kind, a.path) for a in ended.artifacts] == [("review", str(tmp_path / "r.mp4"))]
    reports = daemon.frames(job)
    assert reports[1003].state == job_pb2.FRAME_STATE_MISSING
    assert [str(shot.plate.template.path(1004)) in w for w in reports[1004].warnings] == [True]
    said = video.probe(tmp_path / "r.mp4")
    assert (said.frames, said.width) == (4, 2 * shots.DISPLAY.width)
    first = video.to_rgb(next(video.pictures(said)), said)
    left, right = np.split(first[30:90], 2, axis=1)
    assert np.abs(left - right).mean() < 0.02  # the same frame twice


def test_a_cancelled_job_leaves_no_file(daemon: Daemon, shot: Shot, tmp_path: Path):
    many = Template.parse(str(tmp_path / "in" / "comp.####.exr"))
    plate.write(shots.frame(1001), many.path(1001))
    for number in range(1002, 1400):
        many.path(number).symlink_to(many.path(1001))
    (tmp_path / "out").mkdir()
    spec = {
        "output": {"pattern": many.text, "colour_space": "ACEScg"},
        "movie": str(tmp_path / "out" / "r.mov"),
    }
    job = daemon.submit(job_pb2.JobSpec(review=spec)).id
    daemon.until_frames(job, 2)
    daemon.jobs.CancelJob(job_pb2.CancelJobRequest(id=job), timeout=60)
    assert daemon.wait(job).state == job_pb2.JOB_STATE_CANCELLED
    assert list((tmp_path / "out").iterdir()) == []
