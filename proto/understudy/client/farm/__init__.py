"""Render farms: job bundles of Open Job Description, and how a command speaks with what runs it.

`bundle` makes the folder that is submitted, of command lines (`commands`) and what says which of their options are
paths (`paths`); `redo` finds the frames to make again; `warm` is the daemon of one session; `openjd` has the lines
that a task prints. Nothing here depends on a farm's own packages.
Source: OpenJobDescription/openjd-specifications, wiki "2023-09 Template Schemas" and "How Jobs Are Run"; RFC 0001.
"""
