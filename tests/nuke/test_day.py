"""An artist's day in a window: extract, label with roto, train, preview, merge, version up, cancel, open again.

The plug-in as it is installed, a real bridge and daemon, real faces; only Nuke itself is the fake. All that happens on
Nuke's main thread is timed, renders apart, and the longest is printed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.conftest import Clips
from tests.daemon.support import Daemon
from tests.nuke import render
from tests.nuke.test_swap import PATIENT, check_rebuilt, daemon, plug, release  # noqa: F401 - fixtures
from understudy.client import Session, specs

FRAMES = (1002, 1003, 1004)


class Artist:
    """Presses buttons and waits as a person does, with Nuke's event loop running.

    Attributes:
        longest: what took longest on the main thread, in seconds of its processor time, and what it was.
    """

    def __init__(self, nuke: Any, node: Any) -> None:
        self.nuke, self.node, self.rendering = nuke, node, 0.0
        self.longest = (0.0, "")
        nuke._fake.state.renderer = self._render

    def _render(self, write: Any, frame: int) -> None:
        begun = time.thread_time()
        render.write(write, frame)
        self.rendering += time.thread_time() - begun

    def does(self, what: str, work: Callable[[], Any]) -> Any:
        begun, rendered = time.thread_time(), self.rendering
        done = work()
        spent = time.thread_time() - begun - (self.rendering - rendered)
        self.longest = max(self.longest, (spent, what))
        return done

    def sets(self, **knobs: object) -> None:
        for name, value in knobs.items():
            self.node[name].setValue(value if isinstance(value, int) else str(value))

    def presses(self, button: str) -> str:
        """And waits for what the node says then."""
        self.node["us_status"].setValue(" ")
        self.does(button, self.node[f"us_do_{button}"].execute)
        self.waits(lambda: self.node["us_status"].value().strip())
        return str(self.node["us_status"].value())

    def waits(self, until: Callable[[], Any]) -> Any:
        serve = self.nuke._fake.serve
        serve.longest = 0.0
        answer = serve(until, PATIENT)
        self.longest = max(self.longest, (serve.longest, "called back"))
        return answer


@pytest.fixture
def src(daemon: Daemon, clips: Clips, tmp_path: Path) -> Path:  # noqa: F811
    """Who goes on; somebody extracted them yesterday."""
    with Session(str(daemon.announced()["endpoint"])) as session:
        faces = specs.Plate(clips.src, specs.segments("1001-1005x2", "frames"), clips.colour_space)
        session.extract(faces, tmp_path / "src", release=release(tmp_path)).wait()
    return tmp_path / "src"


def roto(nuke: Any, node: Any, endpoint: str, faceset: Path) -> Any:
    """What the artist draws: an ellipse around the face of each frame, keyed."""
    plate = node.input(0)
    drawn = nuke.nodes.Roto(name="Roto_face", inputs=[plate], replace=True)
    shape = nuke.rotopaint.Shape(drawn["curves"])
    turns = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    for _ in turns:
        shape.append(nuke.rotopaint.ShapeControlPoint(0, 0))
    with Session(endpoint) as session:
        for face in session.faces(faceset):
            x0, y0, x1, y1 = face.box
            for corner, turn in zip(shape, turns, strict=True):
                x = (x0 + x1) / 2 + 0.5 * (x1 - x0) * np.cos(turn)
                y = plate.height() - ((y0 + y1) / 2 + 0.55 * (y1 - y0) * np.sin(turn))
                corner.center.addPositionKey(face.frame, (x, y))
    drawn["curves"].rootLayer.append(shape)
    drawn["curves"].changed()
    return drawn


def preview(artist: Artist, frame: int) -> np.ndarray:
    """The frame as the merge would make it."""
    ended: list[Any] = []
    plugin = sys.modules["understudy_nuke"]
    artist.does("preview", lambda: plugin.preview(artist.node, frame, done=ended.append))
    artist.waits(lambda: ended)
    assert ended[0].error is None
    png = ended[0].value.data
    shown = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None
    return shown


@pytest.mark.slow
def test_a_day(nuke: Any, plug: Any, daemon: Daemon, clips: Clips, src: Path, tmp_path: Path):  # noqa: F811
    from understudy_nuke import daemon as way

    read = nuke.nodes.Read(name="Plate", file=clips.dst, first=FRAMES[0], last=FRAMES[-1])
    info = way.link().call("SystemService/GetInfo").result(PATIENT)
    node = plug.create(read, info)
    artist = Artist(nuke, node)
    told = nuke._fake.state.messages
    artist.sets(us_src=src, us_dst=tmp_path / "dst", us_model=tmp_path / "a.model", us_seg=tmp_path / "seg")
    artist.sets(us_out=tmp_path / "swap_v001" / "swap_v001.%04d.exr", us_colour=clips.colour_space)
    artist.sets(us_preset="quick64", us_iterations=2, us_minutes=0)
    artist.sets(us_seg_preset="xseg-light-full", us_seg_iterations=2, us_mask="labels")

    assert artist.presses("extract") == "extract done"
    artist.does("make nodes", node["us_do_nodes"].execute)
    tracked = artist.waits(lambda: nuke.toNode("Understudy1_matrix"))
    assert tracked["transform_matrix"].getKeyList() == list(FRAMES)

    artist.does("suggest", node["us_do_suggest"].execute)
    artist.waits(lambda: told)
    assert told.pop().startswith("Roto these frames")
    node.setInput(2, roto(nuke, node, str(daemon.announced()["endpoint"]), tmp_path / "dst"))
    for button in ("label", "teach", "apply", "train"):
        assert (artist.presses(button), told) == (f"{button} done", [])
    assert node["look_mask"].value() == "face*hull*occ"

    plate = render.opened(Path(clips.dst % 1003))
    assert preview(artist, 1003).shape[:2] == (plate.display.height, plate.display.width)

    assert artist.presses("merge") == "merge done"
    for frame in FRAMES:
        assert check_rebuilt(node, render.opened(Path(clips.dst % frame)), frame).sum() > 500

    artist.does("version up", node["us_do_version_up"].execute)
    node["look_erode"].setValue(2)
    assert artist.presses("merge") == "merge done"
    assert len(list((tmp_path / "swap_v002").glob("swap_v002.*.exr"))) == len(FRAMES)

    artist.sets(us_iterations=1_000_000)
    node["us_status"].setValue(" ")
    artist.does("train", node["us_do_train"].execute)
    task = nuke._fake.state.tasks[-1]
    artist.waits(lambda: any("iteration" in str(said) for said in task.told))
    artist.does("cancel", node["us_do_cancel"].execute)
    artist.waits(lambda: node["us_status"].value().strip())
    assert node["us_status"].value().startswith("train cancelled")
    told.clear()

    artist.does("make nodes", node["us_do_nodes"].execute)  # of the merge, beside those of the faceset
    artist.waits(lambda: nuke.toNode("Understudy1_landmarks1"))

    nuke.scriptSaveAs(str(tmp_path / "shot Ünï.nk"))
    nuke.scriptOpen(str(tmp_path / "shot Ünï.nk"))
    back = nuke.toNode("Understudy1")
    assert (back["us_version"].value(), back["look_erode"].value()) == (2, 2)
    check_rebuilt(back, render.opened(Path(clips.dst % 1003)), 1003)
    artist.node = back
    artist.sets(us_iterations=2)
    assert artist.presses("swap") == "merge done"  # all is there: nothing is made again
    assert told == []
    print(
        f"longest on Nuke's main thread: {1000 * artist.longest[0]:.1f} ms of processor time ({artist.longest[1]})"
    )
