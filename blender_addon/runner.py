# SPDX-License-Identifier: GPL-3.0-or-later
"""The way to the daemon and back to Blender's main thread.

The link's threads never touch `bpy`: what calls back is put into an inbox, and `pump` empties it on the main thread. A
timer calls `pump`; in background, where timers do not fire, whoever waits does.
"""

from __future__ import annotations

import os
import queue
import time
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import bpy
from bpy.app.handlers import persistent

from .preferences import preferences

if TYPE_CHECKING:  # a copy lies beside this file once it is built
    from understudy.client.link import Call, Link, Refused, UnderstudyError
    from understudy.client.link.jobs import Jobs, Json, Stage, remembered, to_remember
else:
    from .link import Call, Link, Refused, UnderstudyError
    from .link.jobs import Jobs, Json, Stage, remembered, to_remember

__all__ = [
    "Call",
    "Gathered",
    "Json",
    "Refused",
    "Stage",
    "UnderstudyError",
    "complain",
    "connect_anew",
    "connected",
    "disconnect",
    "jobs",
    "known",
    "link",
    "listen",
    "pump",
    "redraw",
    "resume",
    "start",
    "unlisten",
    "wait",
]

BUDGET_S = 0.01  # the main thread gives so much to call backs at a time
BUSY_S, IDLE_S = 0.05, 0.5  # the timer comes again so soon
PATIENCE_S = float("inf")  # a watch outlives any restart of the daemon
LOCAL = ("unix:", "localhost", "127.0.0.1", "[::1]")
Listener = Callable[[Json, "Json | None"], object]

_inbox: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
_link: Link | None = None
_jobs: Jobs | None = None
_listeners: list[Listener] = []
_begun: dict[
    str, list[str]
] = {}  # ids of the jobs that were started, by the scene's name, in the file that is open
_loads = 0  # files that were opened: which one is
problem = ""  # what last went wrong with no operator there to report it; panels show it


def link(start: str = "") -> Link:
    """The link of this Blender, made when it is first needed, by the preferences.

    Args:
        start: what to do where no daemon runs, in place of what the preferences say.

    Raises:
        Refused: the daemon is on another machine, and Blender may not go online.
    """
    global _link
    if _link is None:
        said = preferences()
        endpoint = said.endpoint or os.environ.get("UNDERSTUDY_ENDPOINT", "")
        if endpoint and not endpoint.startswith(LOCAL) and not bpy.app.online_access:
            raise Refused(
                f"the daemon {endpoint} is on another machine, and Blender may not go online: "
                "allow it in Preferences, System, Network",
                field="endpoint",
            )
        _link = Link(
            bpy.path.abspath(said.bridge) or None,
            endpoint=said.endpoint,
            start=start or said.start,
            patience_s=PATIENCE_S,
            deliver=_inbox.put,
        )
    return _link


def jobs() -> Jobs:
    """The jobs that this Blender knows of."""
    global _jobs
    if _jobs is None:
        _jobs = Jobs(link())
        _jobs.listeners.append(_heard)
    return _jobs


def known() -> list[Json]:
    """The jobs as they are known now, the newest first; asks nobody."""
    return _jobs.newest() if _jobs is not None else []


def connected() -> bool:
    return _link is not None


def connect_anew() -> None:
    """Forget the daemon, and look for one again; start one where none runs, also where that is not to be by itself.

    Raises:
        Refused: as `link`.
    """
    disconnect()
    link("detached" if preferences().start == "never" else "")


def disconnect() -> None:
    """Forget the daemon, as after a change of the preferences; jobs go on. Never waits."""
    global _link, _jobs
    if _link is not None:
        _link.close(wait_s=0)
    _link = _jobs = None
    while not _inbox.empty():
        _inbox.get()


def listen(listener: Listener) -> None:
    """Have it called on the main thread with each job that changes, and with the event or None.

    A module that listens does so in its `register`, and stops in its `unregister`.
    """
    if listener not in _listeners:
        _listeners.append(listener)


def unlisten(listener: Listener) -> None:
    if listener in _listeners:
        _listeners.remove(listener)


def pump(budget_s: float = BUDGET_S) -> float:
    """Do what has come in, for so long; gives the seconds until it wants to be called again. Main thread only."""
    until = time.monotonic() + budget_s
    while not _inbox.empty():
        _inbox.get()()  # guarded by the link
        if time.monotonic() > until:
            return BUSY_S
    return BUSY_S if _link is not None else IDLE_S


class Gathered:
    """All events of a stream, for an operator's step to wait for; never waits itself."""

    def __init__(self, method: str, request: Json) -> None:
        self._events: list[Json] = []
        self._error: UnderstudyError | None = None
        self._over = False
        self._stream = link().stream(method, request, on_event=self._events.append, on_end=self._end)

    def done(self) -> bool:
        return self._over

    def result(self) -> list[Json]:
        """Raises what the stream ended with."""
        if self._error is not None:
            raise self._error
        return self._events

    def cancel(self) -> None:
        self._stream.cancel()

    def _end(self, error: UnderstudyError | None) -> None:
        self._error, self._over = error, True


def wait(done: Callable[[], Any], seconds: float | None = None) -> bool:
    """Pump until it is true; whether it is. For background and scripts: a window would stand still."""
    until = None if seconds is None else time.monotonic() + seconds
    while not done():
        if until is not None and time.monotonic() > until:
            return False
        try:
            work = _inbox.get(timeout=0.05)
        except queue.Empty:
            continue
        work()
    return True


def start(scene: bpy.types.Scene, stages: Sequence[Stage]) -> Started:
    """Start jobs for a scene, one after the other; they are remembered in its file."""
    return Started(scene, stages)


class Started:
    """Jobs that were asked for.

    Attributes:
        ids: in order, once all are stored.
        error: why they were not.
    """

    def __init__(self, scene: bpy.types.Scene, stages: Sequence[Stage]) -> None:
        self.ids: list[str] = []
        self.error: UnderstudyError | None = None
        self._scene, self._file = scene.name, (_loads, bpy.data.filepath)
        self._answered = False
        label = bpy.path.display_name_from_filepath(bpy.data.filepath) or "untitled"
        jobs().start(stages, f"{label}, {scene.name}", self._begun)

    @property
    def over(self) -> bool:
        """Whether nothing more will come of it."""
        return self._answered and (self.error is not None or all(jobs().ended(each) for each in self.ids))

    def failure(self) -> UnderstudyError | None:
        """What went wrong, first of all."""
        said = (jobs().failure(each) for each in self.ids)
        return self.error or next((each for each in said if each is not None), None)

    def _begun(self, ids: list[str], error: UnderstudyError | None) -> None:
        self.ids, self.error, self._answered = ids, error, True
        if error is not None:
            complain(error)
        scene = bpy.data.scenes.get(self._scene) if self._open() else None
        if scene is not None:
            scene.understudy.jobs = to_remember(scene.understudy.jobs, ids)
            _begun.setdefault(scene.name, []).extend(ids)

    def _open(self) -> bool:
        """Whether its scene's file is still open, or again: another one may have a scene of the same name."""
        loads, path = self._file
        return loads == _loads or (bool(path) and path == bpy.data.filepath)


def resume() -> None:
    """Watch again what the open file's scenes have started."""
    ids = [each for scene in bpy.data.scenes for each in remembered(scene.understudy.jobs)]
    if not ids:
        return
    try:
        for each in ids:
            jobs().watch(each)
    except UnderstudyError as error:
        complain(error)


def complain(error: UnderstudyError) -> None:
    """Where no operator is there any more to say it."""
    global problem
    problem = error.message + (f" ({error.field})" if error.field else "")
    redraw()


def redraw() -> None:
    """The panels, in all windows."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in {"CLIP_EDITOR", "NODE_EDITOR", "SEQUENCE_EDITOR"}:
                area.tag_redraw()


def _heard(job: Json, event: Json | None) -> None:
    for listener in _listeners:
        try:
            listener(job, event)
        except Exception:  # noqa: BLE001 - one listener's fault is not another's
            print("Understudy:", traceback.format_exc())
    redraw()


def _tick() -> float:
    return pump()


@persistent
def _undone(*_: object) -> None:
    """An undo or redo takes back what the file remembers, and not the job."""
    for name, ids in _begun.items():
        scene = bpy.data.scenes.get(name)
        if scene is not None:
            scene.understudy.jobs = to_remember(scene.understudy.jobs, ids)


@persistent
def _loaded(*_: object) -> None:
    global _loads
    _loads += 1
    _begun.clear()
    if not bpy.app.background:  # a render of the farm asks no daemon
        resume()


def register() -> None:
    bpy.app.handlers.load_post.append(_loaded)
    bpy.app.handlers.undo_post.append(_undone)
    bpy.app.handlers.redo_post.append(_undone)
    bpy.app.timers.register(_tick, persistent=True)
    if not bpy.app.background and hasattr(
        bpy.data, "scenes"
    ):  # not while preferences are being read at the start
        resume()


def unregister() -> None:
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    bpy.app.handlers.load_post.remove(_loaded)
    bpy.app.handlers.undo_post.remove(_undone)
    bpy.app.handlers.redo_post.remove(_undone)
    disconnect()


classes = ()
