"""Several people on one node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.core import shots
from tests.nuke import render
from tests.nuke.test_swap import PATIENT, daemon, node_of, plug, rebuilt  # noqa: F401 - fixtures


def test_two_people_on_one_node(nuke: Any, plug: Any, tmp_path: Path):  # noqa: F811
    """Each with a model of their own, merged in one pass; the tree inside gives the picture again."""
    from understudy_nuke.daemon import Refused  # type: ignore[import-not-found,unused-ignore]

    made = shots.make(tmp_path, numbers=[1001, 1002, 1003], without_face=[1003])
    shots.write_faceset(made.faceset, [1001], made.plate.template.text, centre=(122.0, 62.0), track=1)
    models = [
        shots.tiny_model(tmp_path / name, seed=i) for i, name in enumerate(("a.model", "ben, 2.model"), 3)
    ]
    nuke.GUI = False
    node = node_of(nuke, plug, made, us_out=str(tmp_path / "p_v001" / "p.%04d.exr"))
    node["us_people"].setValue(f"anna: 0, {models[0]}\n\nben: 1, {models[1]}")
    steps = len(nuke._fake.state.undo.steps)
    node["us_do_people"].execute()
    assert [name for name, _ in nuke._fake.state.undo.steps[steps:]] == ["Understudy: people"]
    assert [n.name() for n in node.nodes() if n.Class() == "Keymix"] == ["comp", "comp_ben"]
    plug.merge(node).wait(PATIENT)
    ours, merged = rebuilt(node, 1001)
    matte = merged.channel("mask_blend.alpha"), merged.channel("ben_mask_blend.alpha")
    assert min((m > 0.5).sum() for m in matte) > 200
    for channel in render.RGB:
        a, b = ours.channel(f"rgba.{channel}"), merged.channel(f"rgba.{channel}")
        good = np.isfinite(a) & np.isfinite(b)
        step = np.spacing(np.abs(b[good]).astype(np.float16)).astype(np.float32)
        assert (np.abs(a - b)[good] <= 1.01 * step).all()  # half a step for each of them
    for person in ("", "ben"):
        plug.make_nodes(node, person).wait(PATIENT)
    assert nuke.toNode("Understudy1_ben_pin") is not None
    wrong = {"ben 1 /m": "is not like", "a: 0, /m\na: 1, /n": "there twice", "a: 0, [x]": "is not like"}
    for text, why in wrong.items():
        node["us_people"].setValue(text)
        with pytest.raises(Refused, match=why):
            plug.merge(node)
