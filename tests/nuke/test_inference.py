"""The way to Nuke's Inference node: a real export, and a CatFileCreator that a person only has to press."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.core import shots
from tests.nuke.test_swap import PATIENT, daemon, node_of, plug, scene  # noqa: F401 - fixtures


def test_the_model_goes_to_inference(nuke: Any, plug: Any, scene: shots.Shot, tmp_path: Path):  # noqa: F811
    nuke.GUI = False
    node = node_of(nuke, plug, scene, us_pt=str(tmp_path / "a face.pt"))
    nuke.GUI = True
    there, steps = nuke.allNodes(), len(nuke._fake.state.undo.steps)
    node["us_do_export"].execute()
    nuke._fake.serve(lambda: node["us_status"].value().strip(), PATIENT)
    assert node["us_status"].value() == "export done"
    assert (tmp_path / "a face.pt").stat().st_size > 1000
    (creator,) = nuke.allNodes("CatFileCreator")
    said = {
        name: creator[name].value() for name in ("torchScriptFile", "catFile", "channelsIn", "channelsOut")
    }
    assert said == {
        "torchScriptFile": str(tmp_path / "a face.pt"),
        "catFile": str(tmp_path / "a face.cat"),
        "channelsIn": "rgba.red, rgba.green, rgba.blue",
        "channelsOut": "rgba.red, rgba.green, rgba.blue, rgba.alpha",
    }
    assert (creator["outputScale"].value(), creator["gain"].value()) == (1.0, 1.0)
    assert [name for name, _ in nuke._fake.state.undo.steps[steps:]] == ["Understudy: to Inference"]
    nuke.undo()
    assert nuke.allNodes() == there


def test_a_nuke_that_is_not_nukex(nuke: Any, plug: Any, scene: shots.Shot, tmp_path: Path, monkeypatch: Any):  # noqa: F811
    """The file is there all the same, and what is missing is said."""
    from understudy_nuke.daemon import UnderstudyError  # type: ignore[import-not-found,unused-ignore]

    nuke.GUI = False
    node = node_of(nuke, plug, scene, us_pt=str(tmp_path / "b.pt"))
    monkeypatch.delitem(nuke.nodes.__class__.__getattr__.__globals__["CLASSES"], "CatFileCreator")
    with pytest.raises(UnderstudyError, match="this Nuke has no CatFileCreator"):
        plug.export(node).wait(PATIENT)
    assert (tmp_path / "b.pt").is_file()
