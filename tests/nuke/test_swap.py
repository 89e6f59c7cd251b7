"""From the node to finished frames: the plug-in as it is installed, a real bridge, a real daemon, real EXR.

And the proof: the tree inside the group, evaluated on those files, gives the merge's own picture again.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.client.bridges import COMMAND
from tests.conftest import Clips
from tests.core import shots
from tests.daemon.support import Daemon
from tests.nuke import render
from understudy.client import Session, specs
from understudy.core import plate

PATIENT = 300.0
FRAMES = range(1001, 1004)
FACELESS = 1003
BLENDS = (
    "over",
    "seamless",
    "seamless_mixed",
    "hist_match",
    "seamless_hist_match",
    "multiband",
    "raw_rgb",
    "raw_rgb_mask",
    "raw_predict",
)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    started = Daemon(tmp_path_factory.mktemp("daemon") / "state").start()
    yield started
    started.kill()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> shots.Shot:
    """Three frames with NaN and Inf, overscan, values below 0 and far above 1; the last has no face."""
    folder = tmp_path_factory.mktemp("shot sh 010")
    made = shots.make(folder, numbers=list(FRAMES), without_face=[FACELESS])
    shots.tiny_model(folder / "a.model")
    return made


@pytest.fixture
def plug(nuke: Any, daemon: Daemon) -> Any:
    """The plug-in, with a bridge to the daemon of the test."""
    import understudy_nuke  # type: ignore[import-not-found,unused-ignore]
    from understudy_nuke import daemon as way  # type: ignore[import-not-found,unused-ignore]

    way.use(way.Link(COMMAND, endpoint=str(daemon.announced()["endpoint"])))
    return understudy_nuke


def node_of(nuke: Any, plug: Any, scene: shots.Shot, **knobs: object) -> Any:
    """A node on the scene's plate, all set to merge."""
    read = nuke.nodes.Read(name="Plate", file=scene.plate.template.text.replace("####", "%04d"))
    for name, value in {"first": FRAMES[0], "last": FRAMES[-1], "colorspace": "ACES - ACEScg"}.items():
        read[name].setValue(value)
    node = plug.create(read)
    said = {
        "us_dst": str(scene.faceset),
        "us_model": str(scene.folder / "a.model"),
        "us_out": str(scene.folder / "swap_v001" / "swap_v001.%04d.exr"),
        "look_feather": 4,
        "look_smooth": 3,
        **knobs,
    }
    for name, value in said.items():
        node[name].setValue(value)
    return node


def rebuilt(node: Any, frame: int) -> tuple[render.Picture, render.Picture]:
    """What the group gives as rebuilt, and what the merge had written."""
    node["us_show"].setValue("rebuilt")
    ours = render.evaluated(node, frame)
    node["us_show"].setValue("as merged")
    merged = render.evaluated(node, frame)
    assert ours is not None
    assert merged is not None
    return ours, merged


def check_rebuilt(node: Any, source: render.Picture, frame: int) -> np.ndarray:
    """Within half a step of half float, and outside the matte to the bit; gives where the matte is."""
    ours, merged = rebuilt(node, frame)
    matte = merged.channel("mask_blend.alpha") > 0
    for channel in render.RGB:
        a, b = ours.channel(f"rgba.{channel}"), merged.channel(f"rgba.{channel}")
        assert (a[~matte].view(np.uint32) == b[~matte].view(np.uint32)).all()
        finite = np.isfinite(source.channel(f"rgba.{channel}"))  # Keymix cannot mix with what is no number
        inside = matte & finite
        step = np.spacing(np.abs(b[inside]).astype(np.float16)).astype(np.float32)
        assert (np.abs(a[inside] - b[inside]) <= 0.5001 * step).all()
    assert (ours.channel("rgba.alpha") == source.channel("rgba.alpha")).all()  # the plate's own
    return matte


@pytest.mark.parametrize("blend", BLENDS)
def test_the_tree_gives_the_merge_again(nuke: Any, plug: Any, scene: shots.Shot, blend: str, tmp_path: Path):
    nuke.GUI = False
    out = str(tmp_path / "swap_v001.%04d.exr")
    node = node_of(nuke, plug, scene, us_out=out, look_blend=blend)
    node["look_opacity"].fromScript("{{curve x1001 0.4 x1003 0.9}}")
    run = plug.merge(node).wait(PATIENT)
    assert run.report["state"] == "JOB_STATE_SUCCEEDED"
    covered = {}
    for frame in FRAMES:
        source = render.opened(scene.plate.template.path(frame))
        covered[frame] = int(check_rebuilt(node, source, frame).sum())
    assert min(covered[1001], covered[1002]) > 500
    assert covered[FACELESS] == 0
    header = plate.read_file(tmp_path / "swap_v001.1002.exr").metadata["understudy/recipe"]
    made = json.loads(str(getattr(header, "value", header)))
    assert made["blend"] == blend
    assert made["opacity"]["keys"]["keys"][1]["value"] == pytest.approx(node["look_opacity"].getValueAt(1002))


def test_face_and_matte_may_be_changed_by_hand(nuke: Any, plug: Any, scene: shots.Shot):
    """A grade on the face shows under the matte and nowhere else; so does a repaint of the aligned face."""
    nuke.GUI = False
    node = node_of(nuke, plug, scene)
    plug.merge(node).wait(PATIENT)
    before, merged = rebuilt(node, 1001)
    matte = merged.channel("mask_blend.alpha")
    spot = next(n for n in node.nodes() if "regrade" in n["label"].value())
    with node:
        grade = nuke.nodes.Grade(inputs=[spot.input(0)], multiply=2.0, black_clamp=False)
    spot.setInput(0, grade)
    after, _ = rebuilt(node, 1001)
    red, twice = before.channel("rgba.red"), after.channel("rgba.red")
    face = merged.channel("face.red")
    finite = np.isfinite(red)
    np.testing.assert_allclose((twice - red)[finite], (face * matte)[finite], rtol=1e-5, atol=1e-5)
    assert (twice[finite & (matte == 0)] == red[finite & (matte == 0)]).all()
    spot.setInput(0, grade.input(0))
    node.setInput(1, painted(nuke, scene.folder / "paint.1001.exr"))
    green, _ = rebuilt(node, 1001)
    solid = (matte > 0.3) & finite
    assert solid.sum() > 200
    expected = (1 - matte) * render.opened(scene.plate.template.path(1001)).channel("rgba.green") + matte
    usable = solid & np.isfinite(expected)
    np.testing.assert_allclose(green.channel("rgba.green")[usable], expected[usable], rtol=1e-5, atol=1e-5)


def painted(nuke: Any, path: Path) -> Any:
    """Opaque green, as big as an aligned face."""
    from understudy.core.frames import Frame, Window

    window = Window(0, 0, 96, 96)
    levels = {"R": 0.0, "G": 1.0, "B": 0.0, "A": 1.0}
    planes = {n: np.full((96, 96), v, np.float16) for n, v in levels.items()}
    plate.write(Frame(number=1001, planes=planes, display=window, data=window), path)
    read = nuke.nodes.Read(name="Paint", file=str(path).replace("1001", "%04d"))
    for name in ("first", "last"):
        read[name].setValue(1001)
    return read


def test_in_a_window_nothing_waits_and_the_read_is_right(nuke: Any, plug: Any, scene: shots.Shot):
    """Version 2 by one action; frames land black until they are there; then errors are errors again."""
    nuke.GUI = False
    node = node_of(nuke, plug, scene)
    nuke.GUI = True
    steps = len(nuke._fake.state.undo.steps)
    assert plug.version_up(node) == 2
    assert len(nuke._fake.state.undo.steps) == steps + 1
    read = node.node("layers")
    assert read["file"].value() == str(scene.folder / "swap_v002" / "swap_v002.%04d.exr")
    ended: list[Any] = []
    with pytest.raises(RuntimeError, match="freeze"):
        plug.merge(node, done=ended.append).wait()
    nuke._fake.serve(node["us_jobs"].value)
    assert read["on_error"].value() == "black"
    (run,) = nuke._fake.serve(lambda: ended, PATIENT)
    assert run.error is None
    assert json.loads(node["us_jobs"].value()) == run.jobs
    assert [read[n].value() for n in ("first", "last", "origfirst", "origlast")] == [1001, 1003, 1001, 1003]
    assert (read["colorspace"].value(), read["on_error"].value()) == ("ACES - ACEScg", "error")
    assert node["us_status"].value() == "merge done"
    told = nuke._fake.state.tasks[-1].told
    assert max(t for t in told if isinstance(t, int)) == 100
    assert any("frame" in t for t in told if isinstance(t, str))
    print(f"longest on Nuke's main thread: {1000 * nuke._fake.serve.longest:.1f} ms of processor time")
    assert len(nuke._fake.state.undo.steps) == steps + 2
    nuke.undo()
    nuke.undo()
    assert node["us_version"].value() == 1
    assert read["file"].value() in ("", str(scene.folder / "swap_v001" / "swap_v001.%04d.exr"))


def test_what_the_daemon_refuses_is_told_with_its_field(nuke: Any, plug: Any, scene: shots.Shot):
    nuke.GUI = False
    node = node_of(nuke, plug, scene, look_mask="face*nose")
    from understudy_nuke.daemon import UnderstudyError

    with pytest.raises(UnderstudyError, match="nose"):
        plug.merge(node).wait(PATIENT)
    assert "nose" in node["us_status"].value()
    node["us_model"].setValue("")
    with pytest.raises(UnderstudyError, match="set the model"):
        plug.merge(node)
    nuke.GUI = True
    node["us_do_merge"].execute()
    assert nuke._fake.state.messages[-1] == "Understudy1: set the model (knob us_model)"


def test_a_graded_plate_is_written_out_when_the_artist_says_so(
    nuke: Any, plug: Any, scene: shots.Shot, tmp_path: Path
):
    """The merge is then of the graded plate, and the tree, whose plate input has the grade, gives it again."""
    nuke.GUI = False
    node = node_of(nuke, plug, scene, us_out=str(tmp_path / "x_v001" / "x_v001.%04d.exr"), us_colour="ACEScg")
    nuke.GUI = True
    source = node.input(0)
    node.setInput(0, nuke.nodes.Grade(name="Warm", inputs=[source], multiply=0.5, black_clamp=False))
    node["us_layers"].setValue("face, mask_blend")
    nuke._fake.state.renderer = render.write
    node["us_do_merge"].execute()
    assert "Warm lies between" in nuke._fake.state.messages[-1]
    nuke._fake.serve(lambda: node["us_status"].value().strip(), PATIENT)
    assert node["us_status"].value() == "merge done"
    written = render.opened(tmp_path / "x_v001_plate" / "plate.1001.exr")
    assert check_rebuilt(node, written, 1001).sum() > 500
    merged = render.opened(tmp_path / "x_v001" / "x_v001.1001.exr")
    assert "uv.u" not in merged.planes


def test_a_node_that_goes_meanwhile_harms_nobody(nuke: Any, plug: Any, scene: shots.Shot, tmp_path: Path):
    nuke.GUI = False
    node = node_of(nuke, plug, scene, us_out=str(tmp_path / "x_v001.%04d.exr"))
    nuke.GUI = True
    ended: list[Any] = []
    plug.merge(node, done=ended.append)
    nuke.delete(node)
    (run,) = nuke._fake.serve(lambda: ended, PATIENT)
    assert run.error is None
    assert len(list(tmp_path.glob("x_v001.*.exr"))) == len(FRAMES)
    assert nuke._fake.state.messages == []


def _to_train(nuke: Any, plug: Any, scene: shots.Shot, model: str) -> Any:
    """A node that trains for an hour."""
    src = scene.folder / "src"
    nuke.GUI = False
    node = node_of(
        nuke,
        plug,
        scene,
        us_preset="quick64",
        us_minutes=60,
        us_src=str(src),
        us_model=str(scene.folder / model),
    )
    nuke.GUI = True
    if not src.exists():
        shots.write_faceset(src, [1001, 1002], "elsewhere.####.exr")
    node["us_release"].setValue(release(scene.folder))
    return node


def test_cancel_before_the_daemon_has_the_job_is_not_lost(nuke: Any, plug: Any, scene: shots.Shot):
    node, ended = _to_train(nuke, plug, scene, "c"), list[Any]()
    plug.train(node, done=ended.append).cancel()
    (run,) = nuke._fake.serve(lambda: ended, PATIENT)
    assert run.report["state"] == "JOB_STATE_CANCELLED", run.report
    assert "cancelled" in node["us_status"].value()


def test_cancel_in_the_progress_bar_ends_the_job(nuke: Any, plug: Any, scene: shots.Shot):
    node = _to_train(nuke, plug, scene, "b")
    ended: list[Any] = []
    plug.train(node, done=ended.append)
    task = nuke._fake.state.tasks[-1]
    nuke._fake.serve(lambda: ended or any("iteration" in str(t) for t in task.told), PATIENT)
    assert not ended, ended[0].error
    task.cancelled = True
    (run,) = nuke._fake.serve(lambda: ended, PATIENT)
    assert run.report["state"] == "JOB_STATE_CANCELLED", run.report
    assert "cancelled" in node["us_status"].value()


def release(folder: Path) -> str:
    from understudy.core import release as records

    path = folder / "a.release.json"
    records.write(shots.make_release(), path)
    return str(path)


@pytest.mark.slow
def test_extract_train_and_merge_by_one_call(
    nuke: Any, plug: Any, daemon: Daemon, clips: Clips, tmp_path: Path
):
    """On real faces, as a TD calls it from `nuke -t`."""
    before = set(threading.enumerate())  # pools of whatever else this process has tested wait on
    nuke.GUI = False
    with Session(str(daemon.announced()["endpoint"])) as session:
        faces = specs.Plate(clips.src, specs.segments("1001-1005x2", "frames"), clips.colour_space)
        session.extract(faces, tmp_path / "src", release=release(tmp_path)).wait()
    read = nuke.nodes.Read(name="Plate", file=clips.dst, first=1002, last=1003, colorspace="ACEScg")
    node = plug.create(read)
    said = {
        "us_src": tmp_path / "src",
        "us_dst": tmp_path / "dst",
        "us_model": tmp_path / "a.model",
        "us_out": tmp_path / "v001" / "swap_v001.%04d.exr",
        "us_preset": "quick64",
        "us_iterations": 2,
        "us_minutes": 0,
        "us_colour": clips.colour_space,
    }
    for name, value in said.items():
        node[name].setValue(value if isinstance(value, int) else str(value))
    run = plug.swap(node).wait(PATIENT)
    assert len(run.jobs) == 3
    for frame in (1002, 1003):
        source = render.opened(Path(clips.dst % frame))
        assert check_rebuilt(node, source, frame).sum() > 500
    again = plug.swap(node).wait(PATIENT)
    assert again.report["progress"]["done"] == again.report["progress"]["total"] == 2
    assert len(set(threading.enumerate()) - before) < 12
