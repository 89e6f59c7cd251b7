"""Coverage: counts per pose, gaps in words, a picture that shows both; and statistics."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from tests.core.looks import add, measured, portrait
from understudy.core.errors import InvalidInput, NoFace, NotFound
from understudy.core.faceset import Faceset, coverage, coverage_chart
from understudy.core.faceset.coverage import CoverageSettings, Gap
from understudy.core.faceset.statistics import statistics
from understudy.core.reports import Artifact, Started, Warned


def poses(folder, *pairs):
    """A faceset of these (yaw, pitch)."""
    for i, (yaw, pitch) in enumerate(pairs):
        add(folder, 1001 + i, yaw=yaw, pitch=pitch)
    return Faceset.open(folder)


@pytest.fixture
def source(tmp_path):
    return poses(tmp_path / "performer_a", (-5, 5), (-5, 6), (2, -3), (15, 5), (-31, 11), (170, -80))


@pytest.fixture
def performance(tmp_path):
    """Three frames far to the left and up, one in the corner of a cell that has a face elsewhere, two that are met."""
    return poses(tmp_path / "sh010", (-35, 25), (-36, 24), (-41, 22), (-39, 19), (-5, 5), (14, 4))


def test_counts_are_by_cells_and_who_is_beyond_is_in_the_outermost(source):
    found = coverage.measure(source)
    assert found.counts.shape == (12, 18)
    assert found.counts.sum() == 6
    at = {(int(r) * 10 - 60, int(c) * 10 - 90): int(found.counts[r, c]) for r, c in np.argwhere(found.counts)}
    assert at == {(0, -10): 2, (-10, 0): 1, (0, 10): 1, (10, -40): 1, (-60, 80): 1}  # pitch, yaw


def test_gaps_are_what_a_performance_needs_and_nobody_has(source, performance):
    found = coverage.measure(source, performance)
    assert found.lacking.sum() == 4
    assert [str(gap) for gap in found.gaps] == [
        "no face looking 30-50° left and 20-30° up; 3 frames of the performance need it",
        "only 1 face looking 30-40° left and 10-20° up; 1 frame of the performance needs one that is within 5°",
    ]


def test_a_performance_that_is_covered_has_no_gap(source):
    assert coverage.measure(source, source).gaps == []


def test_without_a_performance_gaps_are_in_the_usual_range_of_a_head(source):
    found = coverage.measure(source)
    cells = np.argwhere(found.lacking > 0)
    assert len(cells) == int(found.needed.sum()) - 4  # the fifth cell with a face is beyond
    assert sum((g.yaw[1] - g.yaw[0]) * (g.pitch[1] - g.pitch[0]) for g in found.gaps) == 100 * len(cells)
    assert all(gap.frames == 0 and "need" not in str(gap) for gap in found.gaps)
    assert not found.lacking[0].any()  # nobody is asked to look at the floor


@pytest.mark.parametrize(
    ("yaw", "pitch", "words"),
    [
        ((-40, -30), (10, 20), "looking 30-40° left and 10-20° up"),
        ((0, 10), (-10, 0), "looking 0-10° right and 0-10° down"),
        ((-20, 30), (-10, 20), "looking 20° left to 30° right and 10° down to 20° up"),
    ],
)
def test_words(yaw, pitch, words):
    assert words in str(Gap(yaw=yaw, pitch=pitch, faces=0, frames=2))


def test_rectangles_cover_just_the_cells():
    rng = np.random.default_rng(0)
    for _ in range(20):
        lacking = rng.integers(0, 3, (12, 18)) * (rng.random((12, 18)) < 0.3)
        counts = (rng.random((12, 18)) < 0.2).astype(np.int64)
        found = coverage.Coverage(counts=counts, needed=lacking, lacking=lacking, against=True)
        covered = np.zeros((12, 18), np.int64)
        for gap in found.gaps:
            rows = slice((gap.pitch[0] + 60) // 10, (gap.pitch[1] + 60) // 10)
            columns = slice((gap.yaw[0] + 90) // 10, (gap.yaw[1] + 90) // 10)
            assert gap.frames == lacking[rows, columns].sum()
            assert (gap.faces == 0) == (counts[rows, columns] == 0).all()
            covered[rows, columns] += 1
        np.testing.assert_array_equal(covered, lacking > 0)
        needs = [gap.frames for gap in found.gaps]
        assert needs == sorted(needs, reverse=True)


def test_the_picture_and_its_numbers(source, performance, tmp_path):
    out = tmp_path / "out/coverage.png"
    settings = CoverageSettings(faceset=source.path, out=out, against=performance.path)
    reports = list(coverage.run(settings))
    assert reports[0] == Started(total=6, unit="face")
    warned = [r for r in reports if isinstance(r, Warned)]
    assert [w.reason for w in warned] == ["COVERAGE_GAP"] * 2
    assert warned[0].message.startswith("no face looking 30-50° left and 20-30° up")
    assert reports[-1] == Artifact(kind="coverage", path=out)
    said = json.loads(out.with_suffix(".json").read_text())
    assert (said["faceset"], said["against"], said["faces"]) == (str(source.path), str(performance.path), 6)
    assert np.array(said["counts"]).sum() == 6
    assert said["gaps"][0] == {
        "yaw": [-50, -30], "pitch": [20, 30], "faces": 0, "frames": 3, "message": warned[0].message,
    }  # fmt: skip
    picture = cv2.imread(str(out))
    assert picture is not None
    assert picture.shape[1] > 1000
    before = out.read_bytes()
    assert list(coverage.run(settings))
    assert out.read_bytes() == before  # nothing in it depends on when it is drawn


def chart(**changes) -> coverage_chart.Chart:
    empty = np.zeros((12, 18), np.int64)
    items = {
        "counts": empty,
        "needed": empty,
        "lacking": empty,
        "cell": 10,
        "name": "a",
        "faces": 1,
        "against": "b",
    }
    return coverage_chart.Chart(**{**items, "frames": 1, "gaps": (), **changes})


def test_cells_are_painted_by_count_and_gaps_otherwise():
    counts, lacking = np.zeros((12, 18), np.int64), np.zeros((12, 18), np.int64)
    counts[6, 9], counts[6, 10], lacking[7, 3] = 1000, 1, 5
    picture = coverage_chart.draw(chart(counts=counts, lacking=lacking, needed=lacking)).astype(int)
    nothing = coverage_chart.draw(chart()).astype(int)
    side, left, top = coverage_chart._SIDE, coverage_chart._LEFT, coverage_chart._TOP

    def middle(row, column):
        y, x = top + (11 - row) * side, left + column * side
        return np.s_[y + 6 : y + 16, x + 6 : x + 16]

    many, few, gap = (picture[middle(*cell)].mean(axis=(0, 1)) for cell in ((6, 9), (6, 10), (7, 3)))
    empty = nothing[middle(6, 9)].mean(axis=(0, 1))
    assert many.sum() > few.sum() > empty.sum()
    assert gap[0] > 2 * max(gap[1:])  # red
    np.testing.assert_array_equal(picture[middle(0, 0)], nothing[middle(0, 0)])


def test_more_gaps_than_fit_are_counted():
    tall, short = (coverage_chart.draw(chart(gaps=("no face",) * n)).shape[0] for n in (50, 6))
    assert tall == short


def test_refusals(tmp_path, source):
    with pytest.raises(InvalidInput, match=r"does not end in \.png") as caught:
        CoverageSettings(faceset=source.path, out=tmp_path / "map.jpg")
    assert caught.value.field == "out"
    (tmp_path / "nobody").mkdir()
    with pytest.raises(NoFace, match="against: there is no face"):
        list(
            coverage.run(
                CoverageSettings(faceset=source.path, out=tmp_path / "m.png", against=tmp_path / "nobody")
            )
        )
    with pytest.raises(NotFound):
        list(coverage.run(CoverageSettings(faceset=tmp_path / "none", out=tmp_path / "m.png")))
    assert not (tmp_path / "m.png").exists()


def test_statistics_are_of_what_is_known(tmp_path, colour):
    for i in range(21):
        box = (0.0, 0.0, 10.0 + i, 10.0 + i)
        add(tmp_path, 1001 + i, portrait(i), yaw=float(i), score=0.5 + 0.02 * i, box=box)
    before = {s.name: s for s in statistics(Faceset.open(tmp_path))}
    assert "blur" not in before
    assert list(before)[:6] == ["yaw", "pitch", "roll", "confidence", "size", "box_side"]
    yaw = before["yaw"]
    assert (yaw.unit, yaw.count, yaw.mean, yaw.minimum, yaw.median, yaw.maximum) == ("°", 21, 10, 0, 10, 20)
    assert (yaw.percentile_5, yaw.percentile_95) == pytest.approx((1, 19))
    assert before["box_side"].minimum == pytest.approx(10)
    assert before["box_side"].maximum == pytest.approx(30)
    after = {s.name: s for s in statistics(measured(tmp_path, colour))}
    assert after["blur"].count == 21
    assert 0 <= after["blur"].minimum <= after["blur"].median <= after["blur"].maximum <= 1
    assert "reference" not in after
    list_of_none = statistics(Faceset.open(tmp_path).subset(np.empty(0, np.int64)))
    assert list_of_none == []
