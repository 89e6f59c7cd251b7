"""Jobs belong to the file that started them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.blender.conftest import VERSIONS, Blender

SCRIPT = """
import os
runner = module("runner")


class Late:
    \"\"\"Jobs whose daemon takes its time.\"\"\"

    def __init__(self):
        self.asked = []

    def start(self, stages, label, done):
        self.asked.append(done)


late = runner._jobs = Late()
memory = lambda: runner.remembered(bpy.context.scene.understudy.jobs)
a, b = (os.path.join(arguments[0], name) for name in ("a.blend", "b.blend"))


def start(then):
    started = runner.start(bpy.context.scene, [])
    then()
    late.asked[-1]([f"job{len(late.asked)}"], None)
    return started.ids, memory()


bpy.ops.wm.save_as_mainfile(filepath=b)
result["saved as"] = start(lambda: bpy.ops.wm.save_as_mainfile(filepath=a))
result["another"] = start(lambda: bpy.ops.wm.open_mainfile(filepath=b))
result["undone"] = [dict(runner._begun)]
bpy.ops.wm.open_mainfile(filepath=a)
result["again"] = start(lambda: bpy.ops.wm.open_mainfile(filepath=a))
runner._jobs = None
"""


@pytest.mark.parametrize("version", VERSIONS)
def test_a_job_that_is_stored_after_another_file_was_opened_is_not_that_files(
    version: str, blender: Callable[[str], Blender], tmp_path: Path
):
    seen = blender(version).run(SCRIPT, tmp_path)
    assert seen["saved as"] == [["job1"], ["job1"]]
    assert seen["another"] == [["job2"], []]
    assert seen["undone"] == [{}]
    assert seen["again"] == [["job3"], ["job3"]]
