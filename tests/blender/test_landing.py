"""Frames that land are shown, but not each by itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.blender.conftest import VERSIONS, Blender

SCRIPT = """
landing, runner = module("landing"), module("runner")
shown = []
told = landing.Landing(shown.append)
merge = {"spec": {"merge": {"output": "/shots/out.####.exr"}}}
told(merge, {"frame": {}})
told(merge, {"frame": {}})
result["soon"] = list(shown)
told(merge, {"progress": {}})
told({"spec": {"train": {}}}, None)
told(merge, None)
result["whole"] = list(shown)

def missing(pattern):
    raise runner.UnderstudyError("no frame is there")

landing.Landing(missing)(merge, None)
"""


@pytest.mark.parametrize("version", VERSIONS)
def test_they_are_shown_at_once_and_then_every_two_seconds(version: str, blender: Callable[[str], Blender]):
    seen = blender(version).run(SCRIPT)
    assert seen == {"soon": ["/shots/out.####.exr"], "whole": ["/shots/out.####.exr"] * 2}
