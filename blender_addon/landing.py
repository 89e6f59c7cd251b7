# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of a merge as they land: whoever shows them is told, but not of each by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from . import paths, runner

if TYPE_CHECKING:
    from understudy.client.link import jobs as told
else:
    from .link import jobs as told

RELOAD_S = 2.0  # while frames land, they are shown so often
classes = ()


class Landing:
    """A listener of `runner.listen`, called on the main thread.

    Args:
        show: called with the pattern, on this machine, of a merge's frames.
    """

    def __init__(self, show: Callable[[str], object]) -> None:
        self._show, self._shown = show, 0.0

    def __call__(self, job: told.Json, event: told.Json | None) -> None:
        if told.kind(job) != "merge" or not (event is None or "frame" in event):
            return
        now = time.monotonic()
        if event is not None and now - self._shown < RELOAD_S:
            return
        self._shown = now
        try:
            self._show(paths.here(job["spec"]["merge"]["output"]))
        except runner.UnderstudyError as error:
            runner.complain(error)
