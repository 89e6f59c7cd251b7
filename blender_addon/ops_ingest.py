# SPDX-License-Identifier: GPL-3.0-or-later
"""A movie becomes a plate: a job of the daemon writes it out as EXR, and the clip then shows those files."""

import os

import bpy
from bpy.props import BoolProperty, IntProperty, StringProperty

from . import clip, compat, paths, runner
from .link import jobs as told
from .ops_base import fail
from .runner import Json, Refused, UnderstudyError

SPACE = "Linear Rec.709"  # what the daemon writes, by Blender's name
DIGITS = 4


class UNDERSTUDY_OT_ingest(bpy.types.Operator):
    """Write the clip's movie out as an EXR plate; when it is done the shot's clip is that plate, frame on frame"""

    bl_idname = "understudy.ingest"
    bl_label = "Movie to Plate"
    bl_options = {"REGISTER"}

    pattern: StringProperty(
        name="Plate",
        description="Frames to write, such as //plate/sh010.####.exr. Empty: in a folder beside the movie",
        subtype="FILE_PATH",
        **compat.folder_options(),
    )
    first: IntProperty(
        name="First Frame", default=1001, min=0, description="Number of the movie's first frame"
    )
    wait: BoolProperty(
        name="Wait", description="Return when it has ended: for scripts", options={"SKIP_SAVE"}
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = context.scene
        try:
            movie = clip.active(context)
            if movie.source != "MOVIE":
                raise Refused(f"{movie.name} is a sequence, and a plate as it is", field="clip")
            video = paths.local(movie.filepath, "clip")
            if not os.path.isfile(video):
                raise Refused(f"{video} is not on disk", field="clip")
            spec = {
                "video": paths.there(video),
                "pattern": paths.there(self._pattern(video)),
                "first": self.first,
            }
            started = runner.start(scene, [("ingest", {"ingest": spec})])
            scene.understudy.clip = movie
            if self.wait:
                runner.wait(lambda: started.over)
                failure = started.failure()
                if failure is not None:
                    return fail(self, failure)
        except UnderstudyError as error:
            return fail(self, error)
        return {"FINISHED"}

    def _pattern(self, video: str) -> str:
        given = paths.local(self.pattern, "pattern")
        if given and not paths.has_token(given):
            raise Refused(f"{given}: no frame token such as #### in it", field="pattern")
        stem = os.path.splitext(video)[0]
        return given or f"{stem}_plate/{os.path.basename(stem)}.{'#' * DIGITS}.exr"


def _heard(job: Json, _event: "Json | None") -> None:
    """A movie that has become a plate gives way to it, in the scenes that asked; also after a reload."""
    if told.kind(job) != "ingest" or job.get("state") != "JOB_STATE_SUCCEEDED":
        return
    spec = job["spec"]["ingest"]
    for scene in bpy.data.scenes:
        movie = scene.understudy.clip
        if (
            movie is None
            or movie.source != "MOVIE"
            or job["id"] not in told.remembered(scene.understudy.jobs)
        ):
            continue
        if bpy.path.abspath(movie.filepath).replace("\\", "/") == paths.here(spec["video"]):
            scene.understudy.clip = _plate_of(
                movie, paths.here(spec["pattern"]), int(spec.get("first", 1001))
            )


def _plate_of(movie: bpy.types.MovieClip, pattern: str, first: int) -> bpy.types.MovieClip:
    """The files as a clip that shows on each frame of the scene what the movie showed there."""
    plate = bpy.data.movieclips.load(paths.at_frame(pattern, first), check_existing=True)
    plate.colorspace_settings.name = SPACE
    plate.frame_start, plate.frame_offset = movie.frame_start, movie.frame_offset
    return plate


def register() -> None:
    runner.listen(_heard)


def unregister() -> None:
    runner.unlisten(_heard)


classes = (UNDERSTUDY_OT_ingest,)
