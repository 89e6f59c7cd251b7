"""`understudy review`, and the same from Python."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from tests.client.command import Command
from tests.client.fake import FakeDaemon
from understudy.client import Session, specs
from understudy.client.errors import Refused
from understudy.v1 import job_pb2, review_pb2
from understudy.v1.common_pb2 import FrameSegment, PlateRef
from understudy.v1.plate_pb2 import Rational
from understudy.v1.review_pb2 import ReviewSpec


@pytest.fixture
def understudy(daemon: FakeDaemon, tmp_path: Path) -> Command:
    return Command(tmp_path / "state", endpoint=daemon.endpoint, folder=tmp_path)


def test_every_option_is_sent(daemon: FakeDaemon, understudy: Command, tmp_path: Path):
    done = understudy(
        *("review", "comp.####.exr", "--out", "r.mov", "--sheet", "s.png", "--frames", "1001-1009x2"),
        *("--colour-space", "ACEScg", "--view", "left", "--plate", "p.####.dpx"),
        *("--plate-colour-space", "ADX10", "--layout", "wipe", "--wipe", "0.25"),
        *("--display", "sRGB - Display", "--display-view", "Raw", "--exposure", "-0.5", "--rate", "23.976"),
        *("--no-burn-in", "--burn-version", "take 2", "--width", "1920", "--rows", "8"),
    )
    assert done.code == 0, done.err
    assert daemon.requests[0].spec.review == ReviewSpec(
        output=PlateRef(
            pattern=f"{tmp_path}/comp.####.exr",
            frames=[FrameSegment(first=1001, last=1009, step=2)],
            colour_space="ACEScg",
            views=["left"],
        ),
        movie=f"{tmp_path}/r.mov",
        contact_sheet=f"{tmp_path}/s.png",
        rows=8,
        plate=PlateRef(pattern=f"{tmp_path}/p.####.dpx", colour_space="ADX10"),
        layout=review_pb2.REVIEW_LAYOUT_WIPE,
        wipe=0.25,
        display="sRGB - Display",
        display_view="Raw",
        exposure=-0.5,
        rate=Rational(numerator=2997, denominator=125),
        no_burn_in=True,
        version="take 2",
        width=1920,
    )


def test_what_is_not_said_is_left_to_the_daemon(daemon: FakeDaemon, understudy: Command, tmp_path: Path):
    assert understudy("review", "comp.####.exr", "--out", "r.mp4").code == 0
    expected = ReviewSpec(output=PlateRef(pattern=f"{tmp_path}/comp.####.exr"), movie=f"{tmp_path}/r.mp4")
    assert daemon.requests[0].spec.review == expected


@pytest.mark.parametrize(("failed", "missing", "code"), [(0, 0, 0), (1, 0, 2), (0, 1, 3)])
def test_it_ends_by_what_became_of_the_frames(daemon: FakeDaemon, understudy: Command, failed, missing, code):
    report = job_pb2.Artifact(kind="review", path="/o/r.mov")
    daemon.script = [job_pb2.JobEvent(artifact=report)]
    daemon.frames_failed, daemon.frames_missing = failed, missing
    done = understudy("review", "comp.####.exr", "--out", "r.mov")
    assert done.code == code


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--layout", "over"), "'over' is none of single, side-by-side, wipe"),
        (("--layout", "side_by_side"), "did you mean 'side-by-side'"),
        (("--rate", "film"), "24000/1001"),
        (("--rate", "1/0"), "23.976"),
    ],
)
def test_what_has_no_wire_form_is_refused(daemon: FakeDaemon, understudy: Command, arguments, words):
    done = understudy("review", "comp.####.exr", "--out", "r.mov", *arguments)
    assert done.code == 1
    assert words in done.err
    assert not daemon.requests


@pytest.mark.parametrize("rate", [24, 24.0, "24", Fraction(24), "24/1"])
def test_a_rate_may_be_written_in_many_ways(rate):
    sent = specs.review("c.####.exr", movie="r.mov", rate=rate).review.rate
    assert (sent.numerator, sent.denominator) == (24, 1)


def test_python_has_the_same(daemon: FakeDaemon, session: Session):
    job = session.review("c.####.exr", movie="r.mov", original="p.####.exr", layout="side-by-side")
    assert job.wait().stage == "review"
    sent = daemon.requests[0].spec.review
    assert (sent.layout, sent.plate.pattern[-10:]) == (review_pb2.REVIEW_LAYOUT_SIDE_BY_SIDE, "p.####.exr")
    with pytest.raises(Refused, match="wipe"):
        session.review("c.####.exr", movie="r.mov", layout="beside")
    with pytest.raises(Refused, match="24000/1001"):
        session.review("c.####.exr", movie="r.mov", rate=f"1/{1 << 70}")
