# SPDX-License-Identifier: GPL-3.0-or-later
"""What operators have in common: they never block a window, and what goes wrong is reported as Blender does it."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import bpy

from . import runner
from .runner import UnderstudyError

STEP_S = 0.02  # the main thread is taken for so long at a time
TICK_S = 0.05

Steps = Generator[Any, None, None]  # gives what it waits for: something with `done()`, or None to be called again


class Steady(bpy.types.Operator):
    """An operator whose work is a generator, `steps`: in a window a timer takes the steps and ESC ends them, in
    background or a script they are taken one after the other. It is one step of undo either way."""

    bl_options = {"REGISTER", "UNDO"}

    def steps(self, context: bpy.types.Context) -> Steps:
        """The work. Yields a call of the link to wait for it, or None where there is more to do."""
        raise NotImplementedError

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        self._steps, self._waits = self.steps(context), None
        self._timer = context.window_manager.event_timer_add(TICK_S, window=context.window)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if event.type == "ESC":
            self._end(context)
            self.report({"INFO"}, "cancelled")
            return {"CANCELLED"}
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        ended = self.step()
        if ended:
            self._end(context)
        return ended or {"PASS_THROUGH"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        self._steps, self._waits = self.steps(context), None
        while not (ended := self.step()):
            if self._waits is not None:
                runner.wait(self._waits.done)
        return ended

    def cancel(self, context: bpy.types.Context) -> None:
        self._end(context)

    def step(self) -> set[str]:
        """As many steps as fit into a moment; what it ended with, or nothing yet."""
        runner.pump()
        until = time.monotonic() + STEP_S
        try:
            while self._waits is None or self._waits.done():
                self._waits = next(self._steps)
                if time.monotonic() > until:
                    break
        except StopIteration:
            return {"FINISHED"}
        except UnderstudyError as error:
            return fail(self, error)
        return set()

    def _end(self, context: bpy.types.Context) -> None:
        """Its `finally` clauses run now."""
        self._steps.close()
        context.window_manager.event_timer_remove(self._timer)


def fail(operator: bpy.types.Operator, error: UnderstudyError) -> set[str]:
    """Say it as an operator does: red, and for scripts a RuntimeError."""
    operator.report({"ERROR"}, error.message + (f" ({error.field})" if error.field else ""))
    return {"CANCELLED"}
