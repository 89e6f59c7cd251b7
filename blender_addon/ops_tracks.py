# SPDX-License-Identifier: GPL-3.0-or-later
"""Landmarks as tracking markers and as a plane track; and tracks as landmarks that a person has set."""

import math

import bpy
from bpy.props import BoolProperty, EnumProperty

from . import clip, compat, faces, runner, specs
from .ops_base import Steady, Steps, fail
from .runner import Json, Refused, UnderstudyError

MOVED = 0.05  # plate pixels from where the faceset has a point: less is the float of a marker, more a hand
AT_ONCE = 100  # markers between two looks at the clock
CORNERS = ("top left", "top right", "bottom right", "bottom left")
_FRESH = (
    (-0.06, 0.05),
    (0.06, 0.05),
    (0.0, 0.0),
    (-0.04, -0.07),
    (0.04, -0.07),
)  # where new tracks of FIVE lie


def names(person: int, kind: str) -> list[str]:
    """What the tracks of a person are called.

    Args:
        kind: `ALL`, 68 landmarks; `FIVE`; or `CORNERS` of the aligned crop.
    """
    said = {"ALL": [f"{i:02d}" for i in range(68)], "FIVE": list(faces.FIVE), "CORNERS": list(CORNERS)}[kind]
    return [f"face {person} {each}" for each in said]


class UNDERSTUDY_OT_landmarks_to_tracks(Steady):
    """Show the found landmarks as tracks of the clip, to look at, to mend, or to hang things on"""

    bl_idname = "understudy.landmarks_to_tracks"
    bl_label = "Landmarks to Tracks"

    points: EnumProperty(
        name="Points",
        items=(
            ("FIVE", "Five", "Eyes, nose, corners of the mouth"),
            ("ALL", "All", "All 68 landmarks"),
            ("NONE", "None", "The plane alone"),
        ),
    )
    plane: BoolProperty(
        name="Plane Track", description="The aligned face's square, for a corner pin", default=True
    )

    def steps(self, context: bpy.types.Context) -> Steps:
        shown = clip.active(context).name
        shot = yield from faces.ask(context)
        if self.points != "NONE":
            of = {"ALL": lambda face: face.points, "FIVE": lambda face: face.five()}[self.points]
            for i, name in enumerate(names(shot.person, self.points)):
                yield from _write(shown, name, shot, {n: of(face)[i] for n, face in shot.faces.items()})
        if self.plane:
            yield from self._plane(context, shown, shot)
        self.report({"INFO"}, f"{len(shot.faces)} frames of person {shot.person}")

    def _plane(self, context: bpy.types.Context, shown: str, shot: faces.Shot) -> Steps:
        called, name = names(shot.person, "CORNERS"), f"face {shot.person}"
        for i, corner in enumerate(called):
            yield from _write(shown, corner, shot, {n: face.corners[i] for n, face in shot.faces.items()})
        if name not in _tracking(shown).plane_tracks:
            _new_plane(context, shown, called, name)
        for count, (number, face) in enumerate(sorted(shot.faces.items())):
            if count % AT_ONCE == 0:
                yield None
            marker = _tracking(shown).plane_tracks[name].markers.insert_frame(shot.plate.marker(number))
            tl, tr, br, bl = (shot.windows.to_clip(*corner) for corner in face.corners)
            marker.corners = (bl, br, tr, tl)  # as Blender goes around


class UNDERSTUDY_OT_tracks_add(bpy.types.Operator):
    """Five tracks to put on a face that was not found: eyes, nose, corners of the mouth. Move, track and send them"""

    bl_idname = "understudy.tracks_add"
    bl_label = "New Face Tracks"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            shown = clip.active(context)
        except UnderstudyError as error:
            return fail(self, error)
        person = max(context.scene.understudy.track, 0)
        frame = context.scene.frame_current - shown.frame_start + 1
        for name, (x, y) in zip(names(person, "FIVE"), _FRESH, strict=True):
            track = shown.tracking.tracks.get(name) or shown.tracking.tracks.new(name=name, frame=frame)
            track.markers.insert_frame(frame, co=(0.5 + x, 0.5 + y))
        return {"FINISHED"}


class UNDERSTUDY_OT_tracks_to_landmarks(Steady):
    """Send tracks as landmarks set by hand: of the frames where they are not what the faceset has. Extract then makes
    these frames again"""

    bl_idname = "understudy.tracks_to_landmarks"
    bl_label = "Tracks to Landmarks"

    points: EnumProperty(
        name="Points",
        items=(
            ("FIVE", "Five", "The landmarker looks around them"),
            ("ALL", "All", "All 68 are taken as they are"),
        ),
    )

    def steps(self, context: bpy.types.Context) -> Steps:
        shown, settings = clip.active(context).name, context.scene.understudy
        plate, person = clip.resolve(context), max(settings.track, 0)
        path, interpolate = specs.folder(settings, "dst_faceset", "target faces"), settings.interpolate
        called = names(person, self.points)
        for name in called:
            if name not in _tracking(shown).tracks:
                raise Refused(f"there is no track {name!r}", field="points")
        try:
            shot = yield from faces.ask(context)
            found, windows = shot.faces, shot.windows
        except Refused as error:  # nothing was found yet: all of it is by hand
            if error.field != "dst_faceset" and error.reason != "NOT_FOUND":
                raise
            found, windows = {}, (yield from faces.ask_windows(plate))
        sent = self._moved(plate, windows, found, [_tracking(shown).tracks[name] for name in called])
        if not sent:
            raise Refused("every track is where the faceset has it: nothing to send", field="points")
        for face in sent:
            face.update(
                plate=plate.ref()["pattern"], view=windows.view, track=person, interpolate=interpolate
            )
        call = runner.link().call("FacesetService/SetManualFaces", {"path": path, "faces": sent})
        yield call
        self.report(
            {"INFO"}, "{} frames sent, {} kept in all".format(len(sent), call.result().get("count", 0))
        )

    def _moved(
        self,
        plate: clip.ClipPlate,
        windows: clip.Windows,
        found: dict[int, faces.Found],
        tracks: list[bpy.types.MovieTrackingTrack],
    ) -> list[Json]:
        """Frames where all the tracks have a marker, and one of them is not where it was found; with the points."""
        sent = []
        for number in plate.frames:
            markers = [track.markers.find_frame(plate.marker(number), exact=True) for track in tracks]
            if any(marker is None or marker.mute for marker in markers):
                continue
            points = [windows.to_plate(*marker.co) for marker in markers]
            face = found.get(number)
            was = () if face is None else face.points if self.points == "ALL" else face.five()
            if was and all(math.dist(a, b) < MOVED for a, b in zip(points, was, strict=True)):
                continue
            sent.append({"frame": number, "points": [value for point in points for value in point]})
        return sent


def _tracking(shown: str) -> bpy.types.MovieTracking:
    """Of a clip by name: after every pause anew, as an undo may have moved it."""
    found = bpy.data.movieclips.get(shown)
    if found is None:
        raise Refused(f"the clip {shown} is gone", field="clip")
    return found.tracking


def _new_plane(context: bpy.types.Context, shown: str, called: list[str], name: str) -> None:
    """A plane track of these four tracks; what was selected is so again."""
    tracking = _tracking(shown)
    chosen = [track.name for track in tracking.tracks if track.select]
    for track in tracking.tracks:
        track.select = track.name in called
    with compat.clip_editor(context, bpy.data.movieclips[shown]):
        bpy.ops.clip.create_plane_track()
    for track in tracking.tracks:
        track.select = track.name in chosen
    tracking.plane_tracks[-1].name = name


def _write(shown: str, name: str, shot: faces.Shot, where: dict[int, faces.Point]) -> Steps:
    """One track: a marker on each frame, none elsewhere, and off where the face is not there."""
    wanted = {shot.plate.marker(number): shot.windows.to_clip(*point) for number, point in where.items()}
    frames = sorted(wanted)
    tracks = _tracking(shown).tracks
    track = tracks.get(name) or tracks.new(name=name, frame=frames[0])
    for frame in [marker.frame for marker in track.markers if marker.frame not in wanted]:
        track.markers.delete_frame(frame)
    for count, frame in enumerate(frames):
        if count % AT_ONCE == 0:
            yield None
            track = _tracking(shown).tracks[name]
        track.markers.insert_frame(frame, co=wanted[frame]).mute = False
        if frame + 1 not in wanted:  # else Blender holds it there till it comes again
            track.markers.insert_frame(frame + 1, co=wanted[frame]).mute = True


classes = (UNDERSTUDY_OT_landmarks_to_tracks, UNDERSTUDY_OT_tracks_add, UNDERSTUDY_OT_tracks_to_landmarks)
