# SPDX-License-Identifier: GPL-3.0-or-later
"""The job list, in the side bars of the three editors."""

import textwrap

import bpy

from . import runner, way

from .link import jobs as told  # isort: skip - beside this file once it is built

CATEGORY = "Understudy"
MOST = 8  # rows
_LETTER = 6.0  # pixels, of the usual font
_ICONS = {
    "JOB_STATE_QUEUED": "TIME",
    "JOB_STATE_RUNNING": "PLAY",
    "JOB_STATE_PAUSED": "PAUSE",
    "JOB_STATE_CANCELLING": "X",
    "JOB_STATE_SUCCEEDED": "CHECKMARK",
    "JOB_STATE_FAILED": "ERROR",
    "JOB_STATE_CANCELLED": "X",
}
_STEPS = {
    "JOB_STATE_RUNNING": (("PauseJob", "PAUSE"), ("CancelJob", "X")),
    "JOB_STATE_QUEUED": (("PauseJob", "PAUSE"), ("CancelJob", "X")),
    "JOB_STATE_PAUSED": (("ResumeJob", "PLAY"), ("CancelJob", "X")),
    "JOB_STATE_FAILED": (("RetryJobFrames", "FILE_REFRESH"),),
    "JOB_STATE_CANCELLED": (("RetryJobFrames", "FILE_REFRESH"),),
}


def draw_jobs(layout: bpy.types.UILayout) -> None:
    """The daemon, a problem, then the jobs, the newest first."""
    row = layout.row()
    row.alert = bool(way.trouble) and runner.connected()
    row.label(text=way.words(), icon="LINKED" if way.info and not way.trouble else "UNLINKED")
    row.operator("understudy.daemon_start", text="Reconnect" if runner.connected() else "Start")
    if runner.problem:
        row = layout.row()
        row.alert = True
        draw_text(row, runner.problem, "ERROR")
        row.operator("understudy.problem_clear", text="", icon="X", emboss=False)
    for job in runner.known()[:MOST]:
        _draw_job(layout.box(), job)
    if not runner.known():
        layout.label(text="No jobs yet")
    layout.operator("understudy.jobs_refresh", icon="FILE_REFRESH")


def _draw_job(layout: bpy.types.UILayout, job: runner.Json) -> None:
    state = job.get("state", "")
    row = layout.row(align=True)
    row.label(text=job.get("label") or told.kind(job), icon=_ICONS.get(state, "QUESTION"))
    for what, icon in _STEPS.get(state, ()):
        button = row.operator("understudy.job", text="", icon=icon)
        button.job, button.what = job["id"], what
    words = told.words(job)
    if state == "JOB_STATE_RUNNING":
        said = words.split(", ")
        layout.progress(factor=told.fraction(job), text=", ".join(said[:2]))
        words = ", ".join(said[2:])
    draw_text(layout, words)


def draw_text(layout: bpy.types.UILayout, text: str, icon: str = "NONE") -> None:
    """A text of any length, in lines as wide as the side bar: a label is one line, and is cut."""
    region, scale = bpy.context.region, bpy.context.preferences.system.ui_scale
    letters = int((region.width / scale - 70) / _LETTER) if region else 40
    column = layout.column(align=True)
    for i, line in enumerate(textwrap.wrap(text, max(letters, 16))):
        column.label(text=line, icon=icon if i == 0 or icon == "NONE" else "BLANK1")


class JobsPanel:
    """To be mixed into a panel of one editor."""

    bl_label = "Jobs"
    bl_category = CATEGORY
    bl_region_type = "UI"

    def draw(self, _context: bpy.types.Context) -> None:
        draw_jobs(self.layout)


class UNDERSTUDY_PT_jobs_clip(JobsPanel, bpy.types.Panel):
    bl_idname = "UNDERSTUDY_PT_jobs_clip"
    bl_space_type = "CLIP_EDITOR"
    bl_order = 100


class UNDERSTUDY_PT_jobs_node(JobsPanel, bpy.types.Panel):
    bl_idname = "UNDERSTUDY_PT_jobs_node"
    bl_space_type = "NODE_EDITOR"
    bl_order = 100

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return getattr(context.space_data, "tree_type", "") == "CompositorNodeTree"


class UNDERSTUDY_PT_jobs_sequence(JobsPanel, bpy.types.Panel):
    bl_idname = "UNDERSTUDY_PT_jobs_sequence"
    bl_space_type = "SEQUENCE_EDITOR"
    bl_order = 100


classes = (UNDERSTUDY_PT_jobs_clip, UNDERSTUDY_PT_jobs_node, UNDERSTUDY_PT_jobs_sequence)
