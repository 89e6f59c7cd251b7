"""The node: knobs made from the daemon's own description, a tree that a person could have laid out, its script."""

from __future__ import annotations

import copy
import itertools
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from google.protobuf import json_format

from understudy.v1 import recipe_pb2

_CLASSES = ("Input", "Output", "Read", "Dot", "Shuffle", "Copy", "STMap", "Merge2", "Keymix", "Switch")


@pytest.fixture
def node(nuke: Any, info: dict[str, Any]) -> Any:
    import understudy_nuke  # type: ignore[import-not-found,unused-ignore]

    read = nuke.nodes.Read(name="Plate", file="/p/plate.%04d.exr", first=1001, last=1010)
    made = understudy_nuke.create(read, info)
    made["us_out"].setValue("/out/sh010_v001/sh010_v001.%04d.exr")
    return made


def message(said: dict[str, Any]) -> recipe_pb2.Recipe:
    """As the daemon will read it."""
    return json_format.ParseDict(said, recipe_pb2.Recipe())


def test_every_setting_of_the_contract_is_a_knob(nuke: Any, node: Any, info: dict[str, Any]):
    fields = {f.name: f for f in recipe_pb2.Recipe.DESCRIPTOR.fields if f.name != "overrides"}
    assert {n[5:] for n in node.knobs() if n.startswith("look_")} == set(fields)
    for parameter in info["recipe"]:
        knob = node["look_" + parameter["name"]]
        keyable = fields[parameter["name"]].message_type is not None
        assert parameter["help"] in knob.tooltip()
        assert knob.getFlag(nuke.NO_ANIMATION) is not keyable
        if parameter["type"] == "choice":
            assert knob.values() == parameter["choices"]
        if parameter["type"] == "number":
            assert (knob.min(), knob.max()) == (parameter["minimum"], parameter["maximum"])


def test_the_look_is_said_whole(node: Any, info: dict[str, Any]):
    from understudy_nuke import look  # type: ignore[import-not-found,unused-ignore]

    said = message(look.recipe(node, 1001, 1010))
    by_default = {p["name"]: p["defaultValue"] for p in info["recipe"]}
    assert (said.match, said.mask, said.smooth, said.keep_highlights) == ("reinhard", "face*hull", 5, True)
    assert (said.feather.value, said.relight_softness.value) == (12.0, 0.25)
    assert {f.name for f, _ in said.ListFields()} | {"mask_smooth", "match_per_frame"} == set(by_default)


def test_curves_arrive_as_the_artist_sees_them(node: Any):
    from understudy_nuke import look

    node["look_erode"].fromScript("{{curve x1001 0 x1005 8 x1010 2}}")  # Nuke's smooth curve
    node["look_opacity"].fromScript("{{curve K x1001 1 x1008 0.5}}")
    node["look_grain"].setExpression("look_erode / 10")
    said = message(look.recipe(node, 1001, 1010))
    for name in ("erode", "opacity", "grain"):
        keys = {k.frame: k.value for k in getattr(said, name).keys.keys}
        for frame in range(1001, 1011):
            before, after = max(f for f in keys if f <= frame), min(f for f in keys if f >= frame)
            share = (frame - before) / (after - before) if after > before else 0.0
            there = keys[before] + share * (keys[after] - keys[before])
            assert there == pytest.approx(node["look_" + name].getValueAt(frame))
    assert [(k.frame, k.value) for k in said.opacity.keys.keys] == [
        (1001, 1.0),
        (1007, 1.0),
        (1008, 0.5),
        (1010, 0.5),
    ]


def test_next_years_setting_appears_by_itself(nuke: Any, node: Any, info: dict[str, Any]):
    import understudy_nuke
    from understudy_nuke import look

    node["look_erode"].setValue(3)
    newer = copy.deepcopy(info)
    newer["recipe"].append(
        {
            "name": "sub_surface",
            "help": "Light within",
            "type": "number",
            "defaultValue": "0.5",
            "keyable": True,
        }
        | {"minimum": 0.0, "maximum": 1.0}
    )
    assert understudy_nuke.update(node, newer) == ["sub_surface"]
    said = look.recipe(node, 1001, 1002)
    assert (said["subSurface"], said["erode"]) == ({"value": 0.5}, {"value": 3.0})
    assert understudy_nuke.update(node, newer) == []


def test_one_undo_takes_it_all_away(nuke: Any, info: dict[str, Any]):
    import understudy_nuke

    read = nuke.nodes.Read()
    read.setSelected(True)
    steps = len(nuke._fake.state.undo.steps)
    made: Any = understudy_nuke.create(read, info)
    assert len(nuke._fake.state.undo.steps) == steps + 1
    assert (nuke.selectedNodes(), made.panel, made.input(0)) == ([read], False, read)
    nuke.undo()
    assert nuke.allNodes() == [read]


@pytest.mark.parametrize("people", [("",), ("anna", "ben", "cem")])
def test_it_is_laid_out_as_a_person_would(nuke: Any, node: Any, people: tuple[str, ...]):
    from understudy_nuke import tree

    group = node
    if len(people) > 1:
        group = nuke.nodes.Group()
        tree.build(group, people)
    nodes = [n for n in group.nodes() if n.Class() != "BackdropNode"]
    boxes = {n: (n.xpos(), n.ypos(), n.xpos() + n.screenWidth(), n.ypos() + n.screenHeight()) for n in nodes}
    for (a, first), (b, second) in itertools.combinations(boxes.items(), 2):
        apart = (
            first[2] <= second[0] or second[2] <= first[0] or first[3] <= second[1] or second[3] <= first[1]
        )
        assert apart, f"{a.name()} lies on {b.name()}"
    middle = {n: ((x0 + x1) / 2, (y0 + y1) / 2) for n, (x0, y0, x1, y1) in boxes.items()}
    for one in nodes:
        for other in one.dependencies(0):
            assert middle[other][1] <= middle[one][1], f"{other.name()} feeds {one.name()} upwards"
            way = [
                (np.add(middle[other], np.subtract(middle[one], middle[other]) * t))
                for t in np.linspace(0, 1, 99)
            ]
            for third, (x0, y0, x1, y1) in boxes.items():
                if third not in (one, other):
                    hit = any(x0 < x < x1 and y0 < y < y1 for x, y in way)
                    assert not hit, f"the pipe {other.name()} → {one.name()} runs behind {third.name()}"
    trunk = group.node("show")
    while trunk.Class() != "Input":
        assert middle[trunk][0] == middle[trunk.input(0)][0], "the plate's pipe has a bend"
        trunk = trunk.input(0)
    backdrops = [n for n in group.nodes() if n.Class() == "BackdropNode"]
    frames = [
        (b.xpos(), b.ypos(), b.xpos() + b["bdwidth"].value(), b.ypos() + b["bdheight"].value())
        for b in backdrops
    ]
    for f, s in itertools.combinations(frames, 2):
        assert f[2] <= s[0] or s[2] <= f[0] or f[3] <= s[1] or s[3] <= f[1], "backdrops overlap"
    for backdrop, frame in zip(backdrops, frames, strict=True):
        assert any(frame[0] < x < frame[2] and frame[1] < y < frame[3] for x, y in middle.values()), backdrop
        assert backdrop["label"].value()
    assert {n.Class() for n in nodes} <= set(_CLASSES)
    mixes = [n.name() for n in nodes if n.Class() == "Keymix"]
    assert mixes == ["comp", *(f"comp_{p}" for p in people[1:])]


def test_a_script_keeps_it_and_a_copy_is_its_own(nuke: Any, node: Any, info: dict[str, Any], tmp_path: Path):
    from understudy_nuke import look
    from understudy_nuke import node as nodes

    node["look_mask"].setValue('face*(1 - 0.5*occ) "[exec x]" $Ünï')
    node["look_erode"].fromScript("{{curve x1001 0 x1005 8}}")
    before = look.recipe(node, 1001, 1010)
    script = str(tmp_path / "Ünï 1.nk")
    nuke.scriptSaveAs(script)
    nuke.scriptOpen(script)
    back = nuke.toNode("Understudy1")
    assert look.recipe(back, 1001, 1010) == before
    assert back.input(0).name() == "Plate"
    assert [n.name() for n in back.nodes() if n.Class() == "Keymix"] == ["comp"]
    assert (nodes.is_ours(back), back["us_schema"].visible()) == (True, False)
    back.setSelected(True)
    nuke.nodeCopy(str(tmp_path / "copy"))
    back.setSelected(False)
    twin = nuke.nodePaste(str(tmp_path / "copy"))
    assert twin["us_id"].value() == back["us_id"].value()
    nodes.make_unique(twin)
    assert twin["us_id"].value() != back["us_id"].value()
    assert nodes.found(back["us_id"].value(), back.fullName()) is back


def test_a_script_works_where_the_plug_in_is_not(nuke: Any, node: Any, tmp_path: Path):
    """In another process, with the fake alone: it opens, knobs may be turned, buttons say what is missing."""
    script = tmp_path / "s.nk"
    nuke.scriptSaveAs(str(script))
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent / 'fake')!r})\n"
        f"import nuke, json; nuke.scriptOpen({str(script)!r}); n = nuke.toNode('Understudy1')\n"
        "n['us_version'].setValue(2)\n"
        "for k in [k for k in n.knobs() if k.startswith('us_do_')]: n[k].execute()\n"
        "loaded = 'understudy_nuke' in sys.modules\n"
        "print(json.dumps([nuke._fake.state.messages, [m.Class() for m in n.nodes()], loaded]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    messages, classes, loaded = json.loads(done.stdout)
    assert len(messages) == len([k for k in node.knobs() if k.startswith("us_do_")])
    assert all("understudy nuke install" in m for m in messages)
    assert "Keymix" in classes
    assert not loaded


def test_versions_follow_the_name(nuke: Any, node: Any):
    import understudy_nuke
    from understudy_nuke.daemon import Refused
    from understudy_nuke.node import output

    assert output(node) == "/out/sh010_v001/sh010_v001.%04d.exr"
    assert understudy_nuke.version_up(node) == 2
    assert node.node("layers")["file"].value() == "/out/sh010_v002/sh010_v002.%04d.exr"
    node["us_version"].setValue(12)  # by hand: the Read follows
    assert node.node("layers")["file"].value() == "/out/sh010_v012/sh010_v012.%04d.exr"
    for wrong, why in (
        ("", "set the output"),
        ("/out/[value x]_v001.%04d.exr", "plain path"),
        ("/out/comp.%04d.exr", "no version"),
        ("/out/v001/comp.exr", "no frame token"),
    ):
        node["us_out"].setValue(wrong)
        with pytest.raises(Refused, match=why) as caught:
            output(node)
        assert caught.value.field == "us_out"
    node["us_out"].setValue("P:\\Ünï show\\v0001\\c_v0001.####.exr")
    assert output(node) == "P:/Ünï show/v0012/c_v0012.####.exr"


def test_what_is_left_empty_lies_in_the_shots_folder(nuke: Any, node: Any):
    from understudy_nuke import inference, mattes, runs
    from understudy_nuke import node as nodes
    from understudy_nuke.daemon import Refused

    node["us_out"].setValue("")
    with pytest.raises(Refused, match="or the shot's folder") as caught:
        nodes.output(node)
    assert (caught.value.field, nodes.label(node)) == ("us_out", "Understudy1")
    node["us_shot"].setValue("P:\\Ünï show\\sh 010\\")
    node["us_src"].setValue("/faces/anna")
    node["us_version"].setValue(3)  # by hand: the Read follows
    shot = "P:/Ünï show/sh 010"
    assert node.node("layers")["file"].value() == f"{shot}/swap_v003/swap_v003.%04d.exr"
    assert mattes.teach(node)["trainSegmenter"]["segmenter"] == f"{shot}/segmenter"
    assert inference.file_of(node) == f"{shot}/model.pt"
    spec = runs.train(node)[1]["train"]
    assert (spec["src"], spec["dst"], spec["model"]) == ("/faces/anna", f"{shot}/dst", f"{shot}/model")
    node["us_model"].setValue("/models/anna")
    assert runs.train(node)[1]["train"]["model"] == "/models/anna"
    assert nodes.label(node) == "Understudy1, sh 010"
    node["us_src"].setValue("")
    with pytest.raises(Refused, match="set the src faceset"):
        runs.train(node)
    node["us_shot"].setValue("/p/[exec x]")
    with pytest.raises(Refused) as caught:
        nodes.output(node)
    assert caught.value.field == "us_shot"


def test_reveal_opens_the_shown_versions_folder(
    nuke: Any, node: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """By what Qt is asked; to do it would open a window."""
    asked: list[str] = []
    core = SimpleNamespace(QUrl=SimpleNamespace(fromLocalFile=str))
    gui = SimpleNamespace(QDesktopServices=SimpleNamespace(openUrl=asked.append))
    monkeypatch.setitem(sys.modules, "understudy_nuke.qt", SimpleNamespace(QtCore=core, QtGui=gui))
    node["us_out"].setValue(str(tmp_path / "ü" / "c_v001" / "c_v001.%04d.exr"))
    (tmp_path / "ü" / "c_v001").mkdir(parents=True)
    for version, opened in ((2, []), (1, [str(tmp_path / "ü" / "c_v001")])):
        node["us_version"].setValue(version)
        node["us_do_reveal"].execute()
        assert asked == opened
    (told,) = nuke._fake.state.messages
    assert "c_v002 is not there yet: merge first" in told


def test_the_menu_makes_one_without_waiting(nuke: Any, info: dict[str, Any], plugin: Path):
    import runpy

    from understudy_nuke import daemon

    class Slow:
        """A link whose answer is long in coming."""

        def call(self, method: str, done: Any = None, **_: Any) -> None:
            self.method, self.done = method, done

    class Answer:
        def result(self) -> dict[str, Any]:
            return info

    slow = Slow()
    daemon.use(slow)  # type: ignore[arg-type,unused-ignore]
    read = nuke.nodes.Read(name="Plate")
    read.setSelected(True)
    runpy.run_path(str(plugin / "menu.py"))
    exec(nuke.menu("Nodes").findItem("Understudy").items_["Swap a face"])
    assert (slow.method, nuke.allNodes("Group")) == ("SystemService/GetInfo", [])
    slow.done(Answer())
    assert nuke.allNodes("Group") == []  # it was the link's thread
    nuke._fake.serve(lambda: nuke.allNodes("Group"))
    assert nuke.allNodes("Group")[0].input(0) is read
    daemon.use(None)
