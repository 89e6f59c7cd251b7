# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths: from a property to the daemon's machine, and back."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import bpy

from .preferences import preferences

if TYPE_CHECKING:
    from understudy.client.link import Refused
    from understudy.client.link.naming import at_frame, at_version, has_token
else:
    from .link import Refused
    from .link.naming import at_frame, at_version, has_token

__all__ = ["at_frame", "at_version", "has_token", "here", "local", "output", "there"]


def local(text: str, field: str) -> str:
    """A property's path as this machine has it: absolute, `/` between folders, none at its end.

    Raises:
        Refused: `//` in a file that was never saved.
    """
    text = text.strip()
    if text.startswith("//") and not bpy.data.filepath:
        raise Refused(f"{text}: save the file first, it begins with //", field=field)
    if not text:
        return ""
    path = os.path.abspath(bpy.path.abspath(text)).replace("\\", "/")
    return path


def there(path: str) -> str:
    """What the daemon's machine calls a path of this one, by the first rule of the preferences that fits."""
    for rule in preferences().paths:
        if rule.here and _begins(path, rule.here):
            return rule.there.rstrip("/") + path[len(rule.here.rstrip("/\\")) :]
    return path


def here(path: str) -> str:
    """What this machine calls a path that the daemon names."""
    for rule in preferences().paths:
        if rule.there and _begins(path, rule.there):
            return rule.here.rstrip("/\\") + path[len(rule.there.rstrip("/")) :]
    return path


def output(settings: bpy.types.PropertyGroup, version: int | None = None) -> str:
    """The output's pattern on this machine, at the version that is set or at this one.

    Raises:
        Refused: none is set, no version or no frame token in it.
    """
    if not settings.output.strip():
        raise Refused("set the output, such as //swap_v001/swap_v001.####.exr", field="output")
    return at_version(local(settings.output, "output"), settings.version if version is None else version)


def _begins(path: str, folder: str) -> bool:
    plain = folder.replace("\\", "/").rstrip("/")
    return path == plain or path.startswith(plain + "/")
