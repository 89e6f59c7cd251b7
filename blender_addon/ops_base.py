# SPDX-License-Identifier: GPL-3.0-or-later
"""What operators have in common: they never block a window, and what goes wrong is reported as Blender does it."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import bpy
from bpy.app.handlers import persistent

from . import runner
from .runner import UnderstudyError

STEP_S = 0.02  # the main thread is taken for so long at a time
TICK_S = 0.05

_undos = 0  # and redos: what an operator under way holds of the file is none of Blender's any more

Steps = Generator[
    Any, None, None
]  # gives what it waits for: something with `done()`, or None to be called again


class Steady(bpy.types.Operator):
    """An operator whose work is a generator, `steps`: in a window a timer takes the steps and ESC ends them, in
    background or a script they are taken one after the other. It is one step of undo either way; an undo ends it."""

    bl_options = {"REGISTER", "UNDO"}

    def steps(self, context: bpy.types.Context) -> Steps:
        """The work. Yields a call of the link to wait for it, or None where there is more to do."""
        raise NotImplementedError

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        self._steps, self._waits, self._undos = self.steps(context), None, _undos
        self._timer = context.window_manager.event_timer_add(TICK_S, window=context.window)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if event.type == "ESC" or self._undos != _undos:
            self._end(context)
            self.report({"INFO"}, "cancelled" if self._undos == _undos else "cancelled by an undo")
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
        if self._waits is not None and not self._waits.done():
            self._waits.cancel()
        self._steps.close()
        context.window_manager.event_timer_remove(self._timer)


def fail(operator: bpy.types.Operator, error: UnderstudyError) -> set[str]:
    """Say it as an operator does: red, and for scripts a RuntimeError."""
    operator.report({"ERROR"}, error.message + (f" ({error.field})" if error.field else ""))
    return {"CANCELLED"}


@persistent
def _undone(*_: object) -> None:
    global _undos
    _undos += 1


def register() -> None:
    bpy.app.handlers.undo_pre.append(_undone)
    bpy.app.handlers.redo_pre.append(_undone)


def unregister() -> None:
    bpy.app.handlers.undo_pre.remove(_undone)
    bpy.app.handlers.redo_pre.remove(_undone)


classes = ()
