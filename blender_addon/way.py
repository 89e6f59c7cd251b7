# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether there is a daemon, and which. Asked when it is started from here, and while jobs run.

Until something is asked of the daemon nothing is started, and nothing is known. A daemon that goes while jobs run is
started again by the bridge where the preferences let it; watches go on by themselves when there is one again.
"""

from __future__ import annotations

import bpy

from . import runner
from .link import jobs as told
from .ops_base import fail
from .runner import Call, Json, UnderstudyError

POLL_S, LOOK_S = 2.0, 0.5  # how often it is asked, and how often it is looked whether to ask
FIRST_S, ANSWER_S = 60.0, 15.0  # a daemon that has to be started first; one that was there just now

info: Json = {}  # what the daemon last said of itself; empty where none answers
trouble = ""  # why none does
_asked: Call | None = None
_on: object = None  # the link that it was asked on


def ask(deadline_s: float = ANSWER_S) -> Call:
    """Ask the daemon what it is; never waits. One question at a time."""
    global _asked, _on
    link = runner.link()
    if _asked is None or _on is not link:
        _asked, _on = link.call("SystemService/GetInfo", deadline_s=deadline_s, done=_told), link
    return _asked


def words() -> str:
    """For the top of the job list."""
    if not runner.connected():
        return "not connected"
    if info and not trouble:
        return "daemon {}, process {}".format(info.get("version", ""), info.get("processId", ""))
    return trouble or ("asking" if _asked is not None else "connected")


def _told(call: Call) -> None:
    global info, trouble, _asked
    if call is not _asked:
        return  # of a link that is gone
    _asked = None
    try:
        info, trouble = call.result(), ""
    except UnderstudyError as error:
        info, trouble = {}, error.message
    runner.redraw()


def poll() -> float:
    """Of a timer: ask while jobs run, and in trouble; gives the seconds until the next time."""
    running = any(job.get("state") not in told.ENDED for job in runner.known())
    if not runner.connected() or not (running or trouble):
        return LOOK_S
    try:
        ask()
    except UnderstudyError as error:
        runner.complain(error)
    return POLL_S


class UNDERSTUDY_OT_daemon_start(bpy.types.Operator):
    """Start a daemon where none runs, and use it; where one runs, connect to it anew. Jobs go on"""

    bl_idname = "understudy.daemon_start"
    bl_label = "Start Daemon"

    wait: bpy.props.BoolProperty(
        name="Wait", description="Return when it has answered: for scripts", options={"SKIP_SAVE"}
    )

    def execute(self, _context: bpy.types.Context) -> set[str]:
        try:
            runner.connect_anew()
            asked = ask(FIRST_S)
            if self.wait:
                runner.wait(lambda: _asked is not asked)
                asked.result()
            runner.resume()
        except UnderstudyError as error:
            return fail(self, error)
        return {"FINISHED"}


def register() -> None:
    bpy.app.timers.register(poll, persistent=True)


def unregister() -> None:
    if bpy.app.timers.is_registered(poll):
        bpy.app.timers.unregister(poll)


classes = (UNDERSTUDY_OT_daemon_start,)
