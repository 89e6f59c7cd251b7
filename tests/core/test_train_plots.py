"""Losses over time: kept whatever happens, read back as they were, drawn so that a person sees what came of what."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.core.errors import NotFound, WriteFailed
from understudy.core.reports import TrainReport
from understudy.core.train import plots
from understudy.core.train.history import History
from understudy.core.train.plan import Phase
from understudy.core.train.plots import Curve, Mark


def report(iteration: int, **losses: float) -> TrainReport:
    return TrainReport(iteration=iteration, seconds=1.0, losses=losses, rate=2.0)


def kept(model: Path, *reports: TrainReport, begin: int = 0) -> None:
    with History(model / "history", begin) as history:
        for each in reports:
            history.write(each)


def curve(values, first: int = 0, step: int = 10) -> Curve:
    values = np.asarray(values, np.float64)
    return Curve(iterations=first + step * np.arange(len(values)), values=values)


def test_what_was_reported_is_read_back(tmp_path):
    kept(tmp_path, report(10, src=0.5, dst=0.25), report(20, src=0.4, dst=1e-9))
    kept(tmp_path, report(30, src=0.3, dst=0.2, gan=0.7), begin=20)
    found = plots.read(tmp_path)
    assert list(found) == ["src", "dst", "gan"]
    assert found["src"].iterations.tolist() == [10, 20, 30]
    assert found["dst"].values.tolist() == [0.25, 1e-9, 0.2]
    assert found["gan"].iterations.tolist() == [30]
    assert list((tmp_path / "history").glob("events.out.tfevents.*"))  # TensorBoard has its own


def test_what_a_kill_left_behind_is_superseded(tmp_path):
    kept(tmp_path, *(report(i, src=1.0, gan=1.0) for i in (10, 20, 30)), begin=0)
    kept(tmp_path, report(25, src=2.0), report(35, src=2.0), begin=20)
    found = plots.read(tmp_path)
    assert found["src"].iterations.tolist() == [10, 20, 25, 35]
    assert found["src"].values.tolist() == [1.0, 1.0, 2.0, 2.0]
    assert found["gan"].iterations.tolist() == [10, 20]


def test_a_killed_training_has_its_losses(tmp_path):
    """Killed without a word, all that was reported is there."""
    code = f"""
        import os, signal
        from pathlib import Path
        from understudy.core.reports import TrainReport
        from understudy.core.train.history import History
        history = History(Path({str(tmp_path / "history")!r}), 0)
        for i in range(1, 6):
            history.write(TrainReport(iteration=i, seconds=1.0, losses={{"src": 1.0 / i}}, rate=1.0))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    paths = os.pathsep.join(p for p in sys.path if p)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env={**os.environ, "PYTHONPATH": paths}, check=False
    )
    assert done.returncode < 0
    assert plots.read(tmp_path)["src"].values.tolist() == [1.0 / i for i in range(1, 6)]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 200), st.binary(max_size=30))
def test_a_line_that_is_cut_or_garbled_takes_no_other_with_it(tmp_path_factory, cut, junk):
    model = tmp_path_factory.mktemp("m")
    kept(model, report(10, src=0.5), report(20, src=0.25))
    file = model / "history" / plots.FILE
    whole = file.read_bytes()
    file.write_bytes(whole[: max(0, len(whole) - cut)] + junk)
    kept(model, report(30, src=0.125), begin=20)
    values = plots.read(model)["src"].values.tolist()
    assert values[-1] == 0.125
    assert values[:-1] in ([], [0.5], [0.5, 0.25]) or junk.strip()
    if len(whole) - cut > whole.index(b"\n", 1) and b"\n" not in junk:
        assert values[0] == 0.5


def test_a_history_that_cannot_be_written_names_its_file(tmp_path):
    (tmp_path / "history").write_text("a file")
    with pytest.raises(WriteFailed, match=r"losses\.jsonl"):
        History(tmp_path / "history", 0)


def test_a_model_without_losses_is_not_drawn(tmp_path):
    with pytest.raises(NotFound, match="no losses in its history yet"):
        plots.write(tmp_path, tmp_path / "plot.png")
    kept(tmp_path, report(10, src=0.0, dst=float("nan")))
    with pytest.raises(NotFound, match="train it first"):
        plots.write(tmp_path, tmp_path / "plot.png")
    assert not (tmp_path / "plot.png").exists()


def test_a_night_is_drawn_at_once(tmp_path):
    values = np.random.default_rng(1).lognormal(-3, 0.3, (40_000, 12)).tolist()
    lines = [
        {"iteration": i, "losses": {f"loss{n}": v for n, v in enumerate(row)}} for i, row in enumerate(values)
    ]
    (tmp_path / "history").mkdir()
    (tmp_path / "history" / plots.FILE).write_text("\n".join(map(json.dumps, lines)))
    start = time.thread_time()  # what other programs take is none of it
    plots.write(tmp_path, tmp_path / "out" / "plot.png")
    assert time.thread_time() - start < 20  # two or so; the machine may be slow
    picture = np.asarray(cv2.imread(str(tmp_path / "out" / "plot.png")))
    assert picture.shape[0] > 900
    assert picture.shape[1] > 1600


def test_lines_are_where_their_values_are():
    """One curve falls by the logarithm: its line is straight, from the top left to the bottom right."""
    values = np.geomspace(1.0, 0.001, 400)
    sheet = plots.draw({"src": curve(values)})
    blue = (sheet[..., 2].astype(int) - sheet[..., 0]) > 100  # of the strong line
    blue[:, plots._LEFT + plots._WIDTH + 10 :] = False  # not the legend
    rows, columns = np.nonzero(blue)
    inner = (columns > plots._LEFT + 100) & (columns < plots._LEFT + plots._WIDTH - 100)
    slope, start = np.polyfit(columns[inner], rows[inner], 1)
    assert np.abs(np.polyval((slope, start), columns[inner]) - rows[inner]).max() < 6
    low, high = np.log10(values[[-1, 0]])
    axes = plots._Axes.of({"src": curve(values)})
    wanted = (axes.y(low) - axes.y(high)) / plots._WIDTH
    assert slope == pytest.approx(wanted, rel=0.02)
    assert slope > 0.4


def test_smoothing_takes_the_noise_and_not_the_course():
    rng = np.random.default_rng(2)
    course = np.geomspace(1.0, 0.01, 2000)
    smoothed = plots.smooth(course * np.exp(rng.normal(0, 0.3, 2000)))
    assert np.abs(np.log(smoothed / course)).mean() < 0.05
    assert plots.smooth(np.array([0.5])).tolist() == pytest.approx([0.5])
    assert plots.smooth(np.full(3, 0.25)) == pytest.approx(np.full(3, 0.25))


def test_marks_are_drawn_where_something_changed():
    losses = {"src": curve(np.geomspace(1, 0.1, 100))}
    plain = plots.draw(losses)
    inside, beyond = Mark(iteration=500, text="gan 0.1"), Mark(iteration=5000, text="warp 0")
    marked = plots.draw(losses, marks=[inside, beyond])
    assert marked.shape[0] == plain.shape[0] + plots._LINE  # a line of words for one of them
    changed = (marked[: plain.shape[0] - 70] != plain[: plain.shape[0] - 70]).any(axis=(0, 2))
    x = round(plots._Axes.of(losses).x(500))
    assert not changed[: x - 12].any()  # the stretch after it is lighter
    assert changed[x : plots._LEFT + plots._WIDTH].mean() > 0.95  # but for the grid
    assert not changed[plots._LEFT + plots._WIDTH + 2 :].any()
    many = plots.draw(losses, marks=[Mark(iteration=i, text="x") for i in range(1, 40)])
    assert many.shape[0] == plain.shape[0] + 13 * plots._LINE


def test_where_training_went_on_has_an_arrow_on_the_axis():
    losses = {"src": curve(np.geomspace(1, 0.1, 100))}
    plain = plots.draw(losses)
    marked = plots.draw(losses, marks=[Mark(iteration=500), Mark(iteration=5000)])
    assert marked.shape == plain.shape  # no words below
    rows, columns = np.nonzero((marked != plain).any(axis=2)[:, : plots._LEFT + plots._WIDTH + 10])
    assert abs(columns - round(plots._Axes.of(losses).x(500))).max() <= 7
    assert abs(rows - (plots._TOP + plots._HEIGHT)).max() <= 12
    legend = (marked != plain)[:, plots._LEFT + plots._WIDTH + 10 :]
    assert legend.any()


def test_phases_and_changes_become_marks():
    phase, change = (
        Phase(iteration=501, options={"gan": "0.1", "warp": "0"}).to_dict(),
        Phase(iteration=20, options={"keep": "0.3"}).to_dict(),
    )
    assert plots.marks((change, phase, change), (20, 700)) == [
        Mark(iteration=20),
        Mark(iteration=20, text="keep 0.3"),
        Mark(iteration=501, text="gan 0.1, warp 0"),
        Mark(iteration=700),
    ]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.lists(st.floats(1e-30, 1e30, exclude_min=True), min_size=1, max_size=30), min_size=1, max_size=12
    ),
    st.integers(0, 10**9),
    st.integers(1, 10**6),
)
def test_anything_above_nothing_can_be_drawn(values, first, step):
    curves = {f"loss{i}": curve(each, first, step) for i, each in enumerate(values)}
    sheet = plots.draw(curves, title="Losses", marks=[Mark(iteration=first, text="begin")])
    assert sheet.dtype == np.uint8
    assert (sheet != sheet[0, 0]).any()


def test_drawing_needs_no_torch():
    code = "import sys; import understudy.core.train.plots; assert 'torch' not in sys.modules"
    paths = os.pathsep.join(p for p in sys.path if p)
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": paths})
