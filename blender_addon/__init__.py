# SPDX-License-Identifier: GPL-3.0-or-later
"""Understudy in Blender: an extension for the Movie Clip Editor, the compositor and the Video Sequencer.

Standard library and `bpy` alone. The daemon is reached through `link`, which the build puts beside this file
(`understudy blender build`). Registering loads no bridge and asks no daemon: that happens with the first button.
"""

from __future__ import annotations

import importlib
from types import ModuleType

# Each has `classes`, a tuple to register in this order, and may have `register` and `unregister` for all else.
MODULES = (
    "preferences",
    "properties",
    "ops_base",
    "ops_jobs",
    "ops_run",
    "ops_tracks",
    "ops_masks",
    "ops_preview",
    "ops_look",
    "ops_ingest",
    "panel_clip",
    "panel_look",
    "ops_compositor",
    "ops_sequencer",
    "panel_compositor",
    "panel_sequencer",
    "panels",
    "cli",
    "way",
    "runner",
)


def register() -> None:
    import bpy

    for module in _modules():
        for each in module.classes:
            bpy.utils.register_class(each)
        getattr(module, "register", _nothing)()


def unregister() -> None:
    import bpy

    for module in reversed(_modules()):
        getattr(module, "unregister", _nothing)()
        for each in reversed(module.classes):
            bpy.utils.unregister_class(each)


def _modules() -> list[ModuleType]:
    return [importlib.import_module("." + name, __package__) for name in MODULES]


def _nothing() -> None:
    return None
