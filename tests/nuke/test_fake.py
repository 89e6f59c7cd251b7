"""The fake Nuke is like the real one where anybody can tell without it: by the published stubs."""

from __future__ import annotations

import ast
import inspect
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

STUBS = next((Path(p) / "nuke-stubs" for p in sys.path if (Path(p) / "nuke-stubs").is_dir()), None)
# Ways in which the fake asks for what it is: not Nuke's.
FAKES_OWN = {"Menu": {"items_"}, "ProgressTask": {"told", "cancelled"}, "Root": {"frame", "saved"}}
COMMON = {"adopt", "free_name", "changed", "relative", "panel", "code", "user"}


@pytest.fixture(scope="module")
def stubs() -> dict[str, list[ast.AST]]:
    """Name → what the stubs define under it."""
    if STUBS is None:
        pytest.skip("types-nuke is not installed")
    found: dict[str, list[ast.AST]] = {}
    for path in sorted(STUBS.glob("*.pyi")):
        for item in ast.parse(path.read_text()).body:
            for name in _names(item):
                found.setdefault(name, []).append(item)
    return found


def _names(item: ast.stmt) -> Iterator[str]:
    if isinstance(item, (ast.FunctionDef, ast.ClassDef)):
        yield item.name
    elif isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
        yield item.target.id


def _methods(stubs: dict[str, list[ast.AST]], kind: str) -> dict[str, list[ast.FunctionDef]]:
    """Of a class and those above it."""
    found: dict[str, list[ast.FunctionDef]] = {}
    for item in stubs.get(kind, []):
        assert isinstance(item, ast.ClassDef), kind
        for one in item.body:
            if isinstance(one, ast.FunctionDef):
                found.setdefault(one.name, []).append(one)
        for base in item.bases:
            if isinstance(base, ast.Name) and base.id != kind:
                for name, more in _methods(stubs, base.id).items():
                    found.setdefault(name, more)
    return found


def _same(ours: Any, theirs: ast.FunctionDef, *, method: bool) -> bool:
    """Whether a call that the fake takes is one that the stub takes, by position and by name alike."""
    if theirs.args.vararg:
        return True
    given = [p for p in inspect.signature(ours).parameters.values() if p.kind is not p.VAR_KEYWORD]
    wanted = [a.arg for a in theirs.args.args]
    needed = len(wanted) - len(theirs.args.defaults) - (1 if method else 0)
    given, wanted = (given[1:], wanted[1:]) if method else (given, wanted)
    if any(p.kind is p.VAR_POSITIONAL for p in given) and theirs.args.vararg is None:
        given = [p for p in given if p.kind is not p.VAR_POSITIONAL]
        wanted = wanted[: len(given)]
    least = len([p for p in given if p.default is p.empty])
    return [p.name for p in given] == wanted[: len(given)] and least <= max(needed, 0)


def test_every_name_is_nukes(nuke: Any, stubs: dict[str, list[ast.AST]]):
    assert [name for name in nuke.__all__ if name not in stubs and name != "rotopaint"] == []
    public = {n for n in vars(nuke) if not n.startswith("_")}
    ours = {"state", "curves", "knobs", "classes", "script", "annotations"}  # modules of the fake itself
    ours |= {"events", "exr", "vectors", "windows"}
    helpers = {"MAIN", "Any", "Dict", "List", "Optional", "Tuple", "Reader"}
    helpers |= {"check_thread", "connectable", "new_node", "on_main", "run_callbacks", "written"}
    assert public - set(nuke.__all__) - ours - helpers == set()


def test_functions_take_what_nukes_take(nuke: Any, stubs: dict[str, list[ast.AST]]):
    wrong = []
    for name in nuke.__all__:
        ours = getattr(nuke, name)
        if inspect.isfunction(ours):
            theirs = [s for s in stubs[name] if isinstance(s, ast.FunctionDef)]
            if not any(_same(ours, stub, method=False) for stub in theirs):
                wrong.append(name)
    assert wrong == []


def test_methods_are_nukes_and_take_what_nukes_take(nuke: Any, stubs: dict[str, list[ast.AST]]):
    wrong = []
    shapes = ("AnimControlPoint", "CurveKnob", "Element", "Layer", "Shape", "ShapeControlPoint")
    kinds = [(kind, getattr(nuke, kind)) for kind in nuke.__all__]
    for kind, ours in kinds + [(kind, getattr(nuke.rotopaint, kind)) for kind in shapes]:
        if not inspect.isclass(ours):
            continue
        theirs = _methods(stubs, kind)
        own = FAKES_OWN.get(kind, set()) | COMMON
        for name in {n for n in vars(ours) if not n.startswith("_")} - own:
            member = inspect.unwrap(inspect.getattr_static(ours, name))
            member = member.__func__ if isinstance(member, classmethod) else member
            if not any(_same(member, stub, method=True) for stub in theirs.get(name, [])):
                wrong.append(f"{kind}.{name}")
    assert wrong == []


def test_a_wrong_name_would_be_found(nuke: Any, stubs: dict[str, list[ast.AST]]):
    def setValue(self, val, channel=0): ...

    def toNode(name, root): ...

    assert not any(_same(setValue, s, method=True) for s in _methods(stubs, "Knob")["setValue"])
    assert not any(_same(toNode, s, method=False) for s in stubs["toNode"] if isinstance(s, ast.FunctionDef))


def test_nodes_belong_to_the_main_thread(nuke: Any):
    node = nuke.nodes.Dot()
    caught: list[BaseException] = []

    def elsewhere(work: Any) -> None:
        try:
            work()
        except AssertionError as error:
            caught.append(error)

    for work in (node.name, lambda: node["label"], nuke.root, lambda: nuke.nodes.Dot().setXYpos(1, 1)):
        thread = threading.Thread(target=elsewhere, args=(work,))
        thread.start()
        thread.join()
    assert len(caught) == 4
    told: list[int] = []
    thread = threading.Thread(target=lambda: nuke.executeInMainThread(told.append, (1,)))
    thread.start()
    thread.join()
    assert told == []
    assert nuke._fake.serve(lambda: told) == [1]
    with pytest.raises(AssertionError, match="itself"):
        nuke.executeInMainThreadWithResult(lambda: 1)


def test_knobs_keep_what_they_are_given(nuke: Any):
    node, seen = nuke.nodes.Group(), []
    knob = nuke.Double_Knob("a", "A")
    knob.setRange(-1, 5)
    node.addKnob(knob)
    nuke.addKnobChanged(lambda: seen.append((nuke.thisKnob().name(), nuke.thisKnob().value())), node=node)
    knob.setValue(2)
    knob.fromScript("{{curve L x1001 2 x1011 12}}")
    assert (knob.getValueAt(1006), knob.getKeyList(), knob.isAnimated()) == (7.0, [1001, 1011], True)
    knob.setExpression("frame * 2")
    assert (knob.getValueAt(10), knob.hasExpression(), (knob.min(), knob.max())) == (20.0, True, (-1.0, 5.0))
    assert seen[0] == ("a", 2.0)
    assert len(seen) == 3
    with pytest.raises(NameError, match="knob b does not exist"):
        node["b"]
    with pytest.raises(TypeError, match="none of"):
        nuke.nodes.Read()["on_error"].setValue("white")
    with pytest.raises(ValueError, match="no layer"):
        nuke.nodes.Shuffle()["in"].setValue("face")


def test_undo_takes_back_a_step_at_a_time(nuke: Any):
    kept = nuke.nodes.Dot(name="kept")
    nuke.Undo.begin("two")
    made = nuke.nodes.NoOp(inputs=[kept])
    made["label"].setValue("x")
    nuke.Undo.end()
    kept["label"].setValue("y")
    nuke.undo()
    assert (kept["label"].value(), len(nuke.allNodes())) == ("", 2)
    nuke.undo()
    assert [n.name() for n in nuke.allNodes()] == ["kept"]


NASTY = 'he said "x" {y} [exec rm] $HOME \\ back\nslash; Ünï ⁂'


def test_scripts_are_read_back_as_they_were(nuke: Any, tmp_path: Path):
    nuke.Layer("face", ["face.red", "face.green", "face.blue", "face.alpha"])
    read = nuke.nodes.Read(name="Plate", file="/a path/Ünï/p.%04d.exr", first=1001, last=1010)
    group = nuke.nodes.Group(name="G", inputs=[])
    knob = nuke.Double_Knob("a", NASTY)
    knob.setTooltip(NASTY)
    knob.setRange(0, 5)
    group.addKnob(knob)
    knob.fromScript("{{curve K x1001 2 x1011 12.5}}")
    text = nuke.String_Knob("s", "s")
    text.setFlag(nuke.INVISIBLE)
    group.addKnob(text)
    text.setValue(NASTY)
    group.addKnob(nuke.PyScript_Knob("b", "button", "import nuke\nnuke.message('{}')\n"))
    group.addKnob(nuke.Enumeration_Knob("e", "e", ["one", "as merged"]))
    group["e"].setValue("as merged")
    with group:
        inside = nuke.nodes.Input(name="plate")
        dot = nuke.nodes.Dot(inputs=[inside])
        mix = nuke.nodes.Keymix(inputs=[dot, None, dot])
        mix["mix"].setExpression("parent.a")
        nuke.nodes.Output(inputs=[mix])
    group.setInput(0, read)
    first = tmp_path / "first.nk"
    nuke.scriptSaveAs(str(first))
    nuke.scriptOpen(str(first))
    back = nuke.toNode("G")
    assert back.input(0).name() == "Plate"
    assert (back["a"].label(), back["a"].tooltip(), back["s"].value()) == (NASTY, NASTY, NASTY)
    assert (back["a"].getValueAt(1005), back["a"].max()) == (2.0, 5.0)
    assert (back["e"].value(), back["e"].values()) == ("as merged", ["one", "as merged"])
    assert not back["s"].visible()
    again = back.node("Keymix1")
    assert [again.input(i) and again.input(i).name() for i in range(3)] == ["Dot1", None, "Dot1"]
    assert again["mix"].getValueAt(1011) == 12.5
    back["b"].execute()
    assert nuke._fake.state.messages == ["{}"]
    second = tmp_path / "second.nk"
    nuke.scriptSaveAs(str(second))
    assert second.read_text().replace("second.nk", "first.nk") == first.read_text()


def test_copies_are_pasted(nuke: Any, tmp_path: Path):
    read = nuke.nodes.Read(name="Plate", file="p.%04d.exr")
    dot = nuke.nodes.Dot(inputs=[read])
    for node in (read, dot):
        node.setSelected(True)
    nuke.nodeCopy(str(tmp_path / "c.nk"))
    nuke.nodePaste(str(tmp_path / "c.nk"))
    assert [n.name() for n in nuke.allNodes("Read")] == ["Plate", "Plate1"]
    assert nuke.toNode("Dot2").input(0).name() == "Plate1"
