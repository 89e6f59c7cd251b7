"""The look of a merge as properties of the scene, by a real daemon's description."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import OpenImageIO as oiio  # noqa: N813 - as everywhere
import pytest
from google.protobuf import json_format

from tests.blender.conftest import VERSIONS, Blender
from tests.core import shots
from understudy.v1 import recipe_pb2

SCRIPT = Path(__file__).parent / "days" / "look.py"
NUMBERS = (1001, 1002, 1003, 1004)


@dataclass
class Day:
    out: Path
    seen: dict[str, Any]


@pytest.fixture(scope="module", params=VERSIONS)
def day(
    request: pytest.FixtureRequest,
    blender: Callable[[str], Blender],
    endpoint: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Day]:
    host = blender(request.param)
    folder, out = tmp_path_factory.mktemp("shot"), tmp_path_factory.mktemp("out")
    shots.make(folder, numbers=NUMBERS, without_face=[])
    shots.tiny_model(folder / "a.model")
    seen = host.run(SCRIPT.read_text(encoding="utf-8"), folder, out, endpoint=endpoint)
    host.ok("look_update")
    yield Day(out, seen)
    shutil.rmtree(out)  # hundreds of megabytes, which pytest would keep until the whole run has ended


def message(said: dict[str, Any]) -> recipe_pb2.Recipe:
    """As the daemon reads it."""
    return json_format.ParseDict(said, recipe_pb2.Recipe())


def test_every_setting_of_the_contract_is_a_property_with_range_default_and_help(day: Day):
    fields = {f.name for f in recipe_pb2.Recipe.DESCRIPTOR.fields} - {"overrides"}
    assert day.seen["unasked"] == {}
    assert set(day.seen["ui"]) == fields
    for parameter in day.seen["described"]:
        ui = day.seen["ui"][parameter["name"]]
        assert ui["description"].startswith(parameter["help"])
        if parameter["type"] == "number":
            assert (ui["min"], ui["max"]) == (parameter["minimum"], parameter["maximum"])
            assert ui["default"] == float(parameter["defaultValue"])
        if parameter["type"] == "choice":
            assert [item[0] for item in ui["items"]] == parameter["choices"]
            assert parameter["choices"][ui["default"]] == parameter["defaultValue"]


def test_the_look_is_said_whole(day: Day):
    said = message(day.seen["default"])
    assert (said.match, said.mask, said.smooth, said.keep_highlights) == ("reinhard", "face*hull", 5, True)
    assert (said.feather.value, said.relight_softness.value) == (12.0, 0.25)
    assert len(day.seen["default"]) == len(day.seen["described"])
    glue, much, shine = day.seen["refused"]
    assert "'glue' is no value of the look's blend" in glue
    assert "From -500 to 500" in much
    assert "shine: no setting" in shine


def test_curves_and_drivers_arrive_as_they_are_seen(day: Day):
    assert day.seen["path"] == 'understudy.look["erode"]'
    keys = [(k.frame, k.value) for k in message(day.seen["keyed"]).erode.keys.keys]
    assert [frame for frame, _ in keys] == [1001, 1002, 1003, 1004]
    assert [value for _, value in keys] == pytest.approx(day.seen["seen"])
    assert 0 < keys[1][1] < 8
    driven = message(day.seen["driven"])
    assert [k.value for k in driven.grain.keys.keys] == pytest.approx(
        [0.7, 1.4, 2.0, 2.0]
    )  # 2 is the most there is
    assert [k.value for k in driven.erode.keys.keys] == pytest.approx(day.seen["seen"])
    assert driven.opacity.value == 1.0
    assert (driven.blend, driven.mask, driven.keep_highlights) == ("multiband", "face", False)
    assert day.seen["frame"] == 12
    assert set(day.seen["muted"]) == {"value"}
    assert "smooth is one for the shot" in day.seen["no_keys"]
    assert day.seen["cleared"] == 0
    strips = [k["value"] for k in day.seen["strips"]["keys"]["keys"]]
    assert strips == pytest.approx(day.seen["seen"])


def test_it_is_saved_and_a_newer_daemons_settings_come_in_beside_it(day: Day):
    assert day.seen["opened"] == day.seen["driven"]
    assert day.seen["newer"] == [["sub_surface"], []]
    assert day.seen["with_newer"] == {**day.seen["driven"], "subSurface": {"value": 0.5}}


def test_the_panels_draw_it(day: Day):
    assert "prop" in day.seen["panel_look"]
    assert '["erode"]' in day.seen["panel_look"]
    assert "template_list" in day.seen["panel_people"]


def test_the_merge_has_it(day: Day):
    assert day.seen["merged"] == "JOB_STATE_SUCCEEDED"
    assert day.seen["exits"] == [0, 1]
    for version, blend, feather in ((1, "multiband", 12.0), (2, "over", 3.0)):
        path = day.out / f"look_v00{version}" / f"look_v00{version}.1002.exr"
        recipe = json.loads(oiio.ImageBuf(str(path)).spec().get_string_attribute("understudy/recipe"))
        assert (recipe["blend"], recipe["feather"]["value"]) == (blend, feather)
        assert [k["value"] for k in recipe["erode"]["keys"]["keys"]] == pytest.approx(day.seen["seen"])
    assert day.seen["by_file"] == {"blend": "seamless"}
