"""Several people in one shot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.blender import comping
from tests.blender.conftest import VERSIONS, Blender
from tests.blender.test_compositor import close
from tests.core import shots
from understudy.core import plate
from understudy.core.frames import Frame

SCRIPT = Path(__file__).parent / "days" / "people.py"


@pytest.mark.parametrize("version", VERSIONS)
def test_two_people_in_one_shot(
    version: str, blender: Callable[[str], Blender], endpoint: str, tmp_path: Path
):
    """Each with a model of their own, merged in one pass; a mix for each gives the picture again."""
    host, out = blender(version), tmp_path / "out"
    out.mkdir()
    made = shots.make(tmp_path / "shot", numbers=[1001, 1002, 1003], without_face=[1003])
    shots.write_faceset(made.faceset, [1001], made.plate.template.text, centre=(122.0, 62.0), track=1)
    models = [
        shots.tiny_model(tmp_path / name, seed=i) for i, name in enumerate(("a.model", "ben, 2.model"), 3)
    ]
    script = comping.RENDER + SCRIPT.read_text(encoding="utf-8")
    seen = host.run(script, made.folder, out, *models, endpoint=endpoint)
    assert seen["added"] == [["person0", 0, str(models[0])], ["person1", 1, str(models[0])]]
    for said, why in zip(
        seen["refused"],
        ("is a small letter", "anna is there twice", "person 0 is there twice", "set the model of ben"),
        strict=True,
    ):
        assert why in said
    assert [(p["name"], p["track"]) for p in seen["people"]] == [("anna", 0), ("ben", 1)]
    assert seen["merged"] == "JOB_STATE_SUCCEEDED"
    assert seen["mixes"] == ["ben over plate", "face over plate"]
    assert {"ben_face", "ben_mask_blend", "ben_uv"} <= set(seen["sockets"])
    assert "is of other people (the first) than" in seen["other_people"]
    assert seen["version"] == 1
    for number in (1001, 1002, 1003):
        merged = plate.read_file(out / "p_v001" / f"p_v001.{number}.exr")
        ours = comping.opened(out / "comp", number)
        wanted, source = comping.rgb(merged), comping.rgb(ours, "source")
        rebuilt = comping.rgb(ours, "Image")
        mattes = [comping.one(merged, f"{who}mask_blend.A") for who in ("", "ben_")]
        if number == 1001:
            assert min((m > 0.5).sum() for m in mattes) > 200
        outside = (mattes[0] == 0) & (mattes[1] == 0) & np.isfinite(source).all(axis=-1)
        kept = rebuilt[outside].astype(
            np.float16
        )  # 5.2 resamples what lies over a clip, by some 1e-5 of a pixel
        np.testing.assert_array_equal(kept, wanted[outside])
        close(rebuilt, wanted, wanted, source)
        check_strip(out / "p_v001" / "over" / f"p_v001_over.{number}.exr", merged)
    assert len(seen["strips"]) == 2
    host.ok("person_add", "person_remove")


def check_strip(path: Path, merged: Frame) -> None:
    """The faces, premultiplied, one over the other, within two steps of half float."""
    over = plate.read_file(path)
    picture, alpha = np.zeros_like(comping.rgb(merged)), np.zeros_like(comping.one(merged, "R"))
    for who in ("", "ben_"):
        if f"{who}mask_blend.A" not in merged.planes:
            continue
        matte = comping.one(merged, f"{who}mask_blend.A")
        picture += matte[..., None] * (comping.rgb(merged, f"{who}face") - picture)
        alpha += matte * (1.0 - alpha)
    for ours, wanted in ((comping.rgb(over), picture), (comping.one(over, "A"), alpha)):
        step = np.spacing(np.abs(wanted).astype(np.float16)).astype(np.float32)
        assert (np.abs(ours - wanted) <= 2 * step + 1e-6).all()
