"""Frames that land are shown, but not each by itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.blender.conftest import VERSIONS, Blender

SCRIPT = """
import types
landing, runner = module("landing"), module("runner")
now, shown = 100.0, []
landing.time = types.SimpleNamespace(monotonic=lambda: now)
told = landing.Landing(shown.append)
merge = {"spec": {"merge": {"output": "/shots/out.####.exr"}}}
told(merge, {"frame": {}})
told(merge, {"frame": {}})
result["soon"] = list(shown)
told(merge, {"progress": {}})
told({"spec": {"train": {}}}, None)
told(merge, None)
result["whole"] = list(shown)
now += 1.9
told(merge, {"frame": {}})
result["before"] = len(shown)
now += 0.2
told(merge, {"frame": {}})
result["later"] = len(shown)

def missing(pattern):
    raise runner.UnderstudyError("no frame is there")

landing.Landing(missing)(merge, None)
"""


@pytest.mark.parametrize("version", VERSIONS)
def test_they_are_shown_at_once_and_then_every_two_seconds(version: str, blender: Callable[[str], Blender]):
    seen = blender(version).run(SCRIPT)
    assert (seen["soon"], seen["whole"]) == (["/shots/out.####.exr"], ["/shots/out.####.exr"] * 2)
    assert (seen["before"], seen["later"]) == (2, 3)
