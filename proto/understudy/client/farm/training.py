"""A training's options as the settings that torchrun's processes read: no paths in them, which are arguments."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

SETTINGS = "settings.json"
_SAME = ("preset", "way", "until_plateau", "batch_size", "memory", "new_inter", "preview_exr", "compile")
_NUMBERS = ("seed", "src_track", "dst_track")


def settings(said: Mapping[str, Any]) -> str:
    """JSON by the names of `core.train.settings.TrainSettings`, of what `specs.train` takes but paths.

    What is empty is left out: there the defaults hold.
    """
    minutes, until = said["minutes"], said["until"]
    found: dict[str, Any] = {
        "options": dict(said["options"]),
        "phases": [_phase(each) for each in said["phases"]],
        "target_iterations": said["iterations"],
        "target_seconds": 60.0 * minutes if minutes else None,
        "until": until.isoformat() if until else None,
        **{name: said[name] for name in (*_SAME, *_NUMBERS)},
    }
    kept = {k: v for k, v in found.items() if v}
    numbers = {k: found[k] for k in _NUMBERS if found[k] is not None}  # of which 0 is one like all others
    return json.dumps({**kept, **numbers}, indent=1) + "\n"


def _phase(phase: Any) -> dict[str, Any]:
    which = phase.WhichOneof("begin")
    return {which: getattr(phase, which), "options": dict(phase.options)}
