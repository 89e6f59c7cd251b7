"""What goes wrong at an artist's desk: each is told in plain words, and Nuke and the script stay as they were."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.client.bridges import COMMAND
from tests.core import shots
from tests.daemon.support import Daemon
from tests.nuke import render
from tests.nuke.test_swap import PATIENT, daemon, node_of, plug, release, scene  # noqa: F401 - fixtures
from understudy.v1 import system_pb2, system_pb2_grpc


def linked(nuke: Any, *command: str, **options: Any) -> Any:
    """The plug-in with another way to a daemon."""
    import understudy_nuke  # type: ignore[import-not-found,unused-ignore]
    from understudy_nuke import daemon as way  # type: ignore[import-not-found,unused-ignore]

    way.use(way.Link(list(command) or COMMAND, **options))
    return understudy_nuke


def bare(nuke: Any, plugin: Any, info: dict[str, Any]) -> Any:
    """A node that could merge if anybody listened."""
    node = plugin.create(nuke.nodes.Read(name="Plate", file="/p/p.%04d.exr", first=1, last=2), info)
    for name in ("us_src", "us_dst", "us_model"):
        node[name].setValue("/nowhere")
    node["us_out"].setValue("/nowhere/v001/c_v001.%04d.exr")
    return node


def pressed(nuke: Any, node: Any, button: str = "merge") -> str:
    """What a person is told."""
    told = nuke._fake.state.messages
    node[f"us_do_{button}"].execute()
    nuke._fake.serve(lambda: told, PATIENT)
    return str(told.pop())


def test_no_daemon(nuke: Any, info: dict[str, Any], tmp_path: Path):
    plugin = linked(nuke, state=str(tmp_path), start="never")
    node = bare(nuke, plugin, info)
    node["us_seg"].setValue("/seg")
    for button in ("merge", "suggest", "teach", "nodes"):
        assert "daemon" in pressed(nuke, node, button)
    assert "daemon" in node["us_status"].value()
    assert node.node("layers")["file"].value() == ""


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (["/no/such/understudy", "bridge"], "cannot be started: /no/such/understudy"),
        ([sys.executable, "-c", "print('hello')"], "says something else, where a bridge"),
        ([sys.executable, "-c", "raise SystemExit('no licence server')"], "no licence server"),
    ],
)
def test_a_wrong_bridge(nuke: Any, info: dict[str, Any], command: list[str], why: str):
    node = bare(nuke, linked(nuke, *command), info)
    assert why in pressed(nuke, node)


class Old(system_pb2_grpc.SystemServiceServicer):
    """A daemon of long ago: it tells of itself, and knows nothing else."""

    def GetInfo(self, request: Any, context: Any) -> Any:
        return system_pb2.GetInfoResponse()


@pytest.fixture
def old(tmp_path: Path) -> Iterator[str]:
    server = grpc.server(futures.ThreadPoolExecutor(2))
    system_pb2_grpc.add_SystemServiceServicer_to_server(Old(), server)
    endpoint = f"unix:{tmp_path}/old.sock"
    server.add_insecure_port(endpoint)
    server.start()
    yield endpoint
    server.stop(None).wait()


def test_an_old_daemon(nuke: Any, info: dict[str, Any], old: str):
    node = bare(nuke, linked(nuke, endpoint=old), info)
    assert pressed(nuke, node).endswith("the daemon is older than this plug-in: bring both to one release")


def test_a_setting_that_the_daemon_does_not_have(nuke: Any, plug: Any, scene: shots.Shot):  # noqa: F811
    """The script comes from a desk with a newer release."""
    from understudy_nuke import look

    nuke.GUI = False
    node = node_of(nuke, plug, scene)
    look.add(node, [{"name": "sub_surface", "type": "number", "defaultValue": "0.5", "keyable": True}])
    nuke.GUI = True
    assert "subSurface" in pressed(nuke, node)


def test_missing_frames_stay_missing_and_the_plate_shows(
    nuke: Any,
    plug: Any,  # noqa: F811
    scene: shots.Shot,  # noqa: F811
    tmp_path: Path,
):
    """In a folder with spaces and letters of all kinds; the script was never saved."""
    shutil.copytree(scene.folder / "plate", tmp_path / "plate Ünï ⁂")
    (tmp_path / "plate Ünï ⁂" / "plate.1002.exr").unlink()
    nuke.GUI = False
    assert nuke.root().name() == ""
    node = node_of(nuke, plug, scene, us_out=str(tmp_path / "aus gabe ü_v001" / "c 字.%04d.exr"))
    node.input(0)["file"].setValue(str(tmp_path / "plate Ünï ⁂" / "plate.%04d.exr"))
    plug.merge(node).wait(PATIENT)
    assert node["us_status"].value() == "merge done, 0 frames failed, 1 missing"
    assert node.node("layers")["on_error"].value() == "black"
    names = {path.name for path in (tmp_path / "aus gabe ü_v001").glob("*.exr")}
    assert names == {"c 字.1001.exr", "c 字.1003.exr"}
    assert render.opened(tmp_path / "aus gabe ü_v001" / "c 字.1001.exr").channel("mask_blend.alpha").any()


def test_a_plate_that_was_moved(nuke: Any, plug: Any, scene: shots.Shot, tmp_path: Path):  # noqa: F811
    nuke.GUI = False
    node = node_of(nuke, plug, scene, us_out=str(tmp_path / "v001" / "c.%04d.exr"))
    nuke.GUI = True
    node.input(0)["file"].setValue(str(tmp_path / "gone" / "plate.%04d.exr"))
    said = pressed(nuke, node)
    assert str(tmp_path / "gone") in said
    assert node["us_status"].value() == said


def test_two_reads(nuke: Any, info: dict[str, Any]):
    """Whose frames would be meant? Both are named, and a pre-render is offered."""
    import understudy_nuke
    from understudy_nuke import plates

    node = bare(nuke, understudy_nuke, info)
    other = nuke.nodes.Read(name="Clean", file="/p/c.%04d.exr", first=1, last=2)
    for between in (nuke.nodes.Merge2(name="Over"), nuke.nodes.Switch(name="Which")):
        for i, read in enumerate((nuke.toNode("Plate"), other)):
            between.setInput(i, read)
        node.setInput(0, between)
        with pytest.raises(plates.Between, match=f"{between.name()} lies between"):
            plates.resolve(node)


@pytest.mark.parametrize("text", ["/a/[exec rm -rf /]", "[python {nuke.scriptClear()}]/x", "/a/[value x].pt"])
def test_tcl_and_python_in_knobs_are_text(nuke: Any, info: dict[str, Any], text: str):
    """Nothing that a script's knobs hold is run: it is refused by its knob."""
    import understudy_nuke
    from understudy_nuke import inference, mattes, runs
    from understudy_nuke.daemon import Refused

    node = bare(nuke, understudy_nuke, info)
    for knob, work in (
        ("us_shot", runs.train),
        ("us_src", runs.train),
        ("us_dst", mattes.teach),
        ("us_model", inference.export),
        ("us_seg", mattes.teach),
        ("us_pt", inference.export),
        ("us_release", runs.train),
    ):
        before = node[knob].value()
        node["us_seg"].setValue(node["us_seg"].value() or "/seg")
        node[knob].setValue(text)
        with pytest.raises(Refused) as caught:
            work(node)
        assert caught.value.field == knob
        node[knob].setValue(before)
    node["us_points"].setValue(text)
    assert "is no node" in pressed(nuke, node, "points")
    node["us_layers"].setValue(text)
    node["us_label_frames"].setValue(text)
    node["us_mask"].setValue("labels")
    node.setInput(2, nuke.nodes.Roto())
    assert "are no frames" in pressed(nuke, node, "label")
    assert nuke.toNode(node.name()) is node


def test_windows_paths_are_the_daemons_own(nuke: Any, scene: shots.Shot, tmp_path: Path):  # noqa: F811
    """Nuke on Windows, the daemon on Linux: the daemon's rules say where `P:` is."""
    nuke.GUI = False
    rules = {
        "source_path_format": "WINDOWS",
        "source_path": "P:\\show",
        "destination_path": str(scene.folder),
    }
    file = tmp_path / "rules.json"
    file.write_text(json.dumps({"version": "pathmapping-1.0", "path_mapping_rules": [rules]}))
    linux = Daemon(tmp_path / "state", "--path-mapping-rules", str(file)).start()
    try:
        plugin = linked(nuke, endpoint=str(linux.announced()["endpoint"]))
        node = node_of(nuke, plugin, scene, us_out="P:\\show\\w_v001\\w.%04d.exr", us_dst="p:\\Show\\faceset")
        node["us_model"].setValue("P:/show/a.model")
        node.input(0)["file"].setValue("P:/show/plate/plate.%04d.exr")
        plugin.merge(node).wait(PATIENT)
        assert len(list((scene.folder / "w_v001").glob("w.*.exr"))) == 3
        assert node.node("layers")["file"].value() == "P:/show/w_v001/w.%04d.exr"
    finally:
        linux.kill()


def test_the_daemon_dies_and_the_network_goes(nuke: Any, scene: shots.Shot, tmp_path: Path):  # noqa: F811
    """In mid-training. It is told after a while; the job is kept, and the same button takes it up again."""
    shots.write_faceset(tmp_path / "src", [1001, 1002], "elsewhere.####.exr")
    mortal = Daemon(tmp_path / "state").start()
    try:
        plugin = linked(nuke, endpoint=str(mortal.announced()["endpoint"]), patience_s=2.0)
        nuke.GUI = False
        said = {"us_src": str(tmp_path / "src"), "us_model": str(tmp_path / "m"), "us_preset": "quick64"}
        node = node_of(nuke, plugin, scene, us_release=release(tmp_path), us_minutes=60, **said)
        nuke.GUI = True
        ended: list[Any] = []
        first = plugin.train(node, done=ended.append)
        task = nuke._fake.state.tasks[-1]
        nuke._fake.serve(lambda: any("iteration" in str(t) for t in task.told), PATIENT)
        mortal.kill()
        (run,) = nuke._fake.serve(lambda: ended, PATIENT)
        assert run.error.code == "UNAVAILABLE"
        assert node["us_status"].value()
        mortal.start()
        second = plugin.train(node, done=ended.append)
        task = nuke._fake.state.tasks[-1]
        nuke._fake.serve(lambda: any("iteration" in str(t) for t in task.told), PATIENT)
        assert second.jobs == first.jobs
        second.cancel()
        nuke._fake.serve(lambda: len(ended) == 2, PATIENT)
        assert second.report["state"] == "JOB_STATE_CANCELLED"
    finally:
        mortal.kill()
