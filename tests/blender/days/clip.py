"""An editor's day in the Movie Clip Editor.

Arguments: folder of the shot, folder to write to, a release, first file of a plate with a real face, a faceset of one.
"""

import os
import time
from types import SimpleNamespace

folder, out, release, hopper, faces = arguments
runner, clip, ops_base, naming = module("runner"), module("clip"), module("ops_base"), module("link.naming")
context, scene = bpy.context, bpy.context.scene
settings = scene.understudy
longest = {"seconds": 0.0, "operator": ""}


def timed(step):
    """A step of an operator is all that a window ever waits for."""

    def wrapped(operator):
        began = time.thread_time()
        try:
            return step(operator)
        finally:
            took = time.thread_time() - began
            if took > longest["seconds"]:
                longest.update(seconds=took, operator=operator.bl_idname)

    return wrapped


ops_base.Steady.step = timed(ops_base.Steady.step)


def refused(operator, **more):
    try:
        operator(**more)
    except RuntimeError as error:
        return str(error)
    return "nothing was refused"


def preview(**more):
    """A busy machine may need longer than a preview may take, a training that has just begun has no weights yet."""
    until = time.monotonic() + 200
    while True:
        try:
            return bpy.ops.understudy.preview(**more)
        except RuntimeError as error:
            again = any(words in str(error) for words in ("longer", "takes iterations"))
            if not again or time.monotonic() > until:
                raise
            runner.wait(lambda: False, 0.5)


# Before there is a clip
result["no_clip"] = refused(bpy.ops.understudy.extract)
bpy.ops.wm.save_as_mainfile(filepath=os.path.join(out, "shot.blend"))

# The plate: the clip begins at its second file, is put elsewhere on the timeline, and goes back by one
shown = bpy.data.movieclips.load(os.path.join(folder, "plate", "plate.1002.exr"))
shown.frame_start, shown.frame_offset = 11, -1
shown.use_proxy = True
scene.render.fps = 30
settings.clip = shown
result["default_space"] = clip.resolve(context).colour_space
shown.colorspace_settings.name = "ACEScg"
plate = clip.resolve(context)
result["plate"] = [plate.pattern, list(plate.frames), plate.colour_space, list(plate.notes)]
result["numbers"] = [plate.marker(1001), plate.file(1), plate.scene(1001)]
bpy.ops.understudy.plate()
settings.first, settings.last = 1001, 1007
result["with_a_gap"] = [list(clip.resolve(context).frames), list(clip.resolve(context).notes)]
settings.first, settings.last = 0, 0
shown.colorspace_settings.name = "Non-Color"
result["no_colour"] = refused(bpy.ops.understudy.plate)
shown.colorspace_settings.name = "ACEScg"

# Landmarks as tracks
settings.dst_faceset = os.path.join(folder, "faceset")
bpy.ops.understudy.landmarks_to_tracks(points="ALL")
bpy.ops.understudy.landmarks_to_tracks(points="FIVE", plane=True)
tracks = shown.tracking.tracks
result["tracks"] = {t.name: {m.frame: [*m.co, m.mute] for m in t.markers} for t in tracks}
plane = shown.tracking.plane_tracks["face 0"]
result["planes"] = len(shown.tracking.plane_tracks)
result["corners"] = {m.frame: [list(c) for c in m.corners] for m in plane.markers}

# Tracks as landmarks: one frame was moved by hand
result["nothing_moved"] = refused(bpy.ops.understudy.tracks_to_landmarks, points="ALL")
marker = tracks["face 0 30"].markers.find_frame(plate.marker(1003), exact=True)
marker.co = (marker.co[0] + 5 / 168, marker.co[1])
bpy.ops.understudy.tracks_to_landmarks(points="ALL")
settings.track = 7
scene.frame_current = plate.scene(1002)
bpy.ops.understudy.tracks_add()
settings.interpolate = True
bpy.ops.understudy.tracks_to_landmarks(points="FIVE")
settings.track, settings.interpolate = -1, False

# Masks: the hull, on every frame, as a matte; a square as labels
bpy.ops.understudy.hull_to_mask()
settings.output = "//swap_v001/swap_v001.####.exr"
bpy.ops.understudy.mask_to_matte(mask="Understudy hull")
result["matte"] = settings.user_matte
result["frame_after"] = scene.frame_current - plate.scene(1002)
square = bpy.data.masks.new("square")
spline = square.layers.new(name="a").splines.new()
spline.use_cyclic = True
spline.points.add(4 - len(spline.points))
corners = ((0.3, 0.6), (0.7, 0.6), (0.7, 0.3), (0.3, 0.3))  # clockwise: Blender feathers outwards then
for i, point in enumerate(spline.points):
    (x, y), before, after = corners[i], corners[i - 1], corners[(i + 1) % 4]
    point.handle_type, point.co, point.weight = "FREE", (x, y), 0.05
    point.handle_left = (x + (before[0] - x) / 3, y + (before[1] - y) / 3)
    point.handle_right = (x + (after[0] - x) / 3, y + (after[1] - y) / 3)
settings.user_matte = "//soft/soft.####.exr"
bpy.ops.understudy.mask_to_matte(mask="square")
scene.frame_current = plate.scene(1002)
bpy.ops.understudy.mask_to_labels(mask="Understudy hull", which="CURRENT")
runner.wait(lambda: runner.known() and runner.jobs().ended(runner.known()[0]["id"]), 120)
result["label"] = [runner.known()[0]["state"], runner.known()[0].get("error")]
shown.display_aspect = (2, 1)
result["squeezed"] = refused(bpy.ops.understudy.mask_to_matte, mask="Understudy hull")
shown.display_aspect = (1, 1)
result["scenes"] = [s.name for s in bpy.data.scenes]

# The merge with the matte, and a preview of the next one
settings.model = os.path.join(folder, "a.model")
settings.user_matte = result["matte"]
bpy.ops.understudy.merge(wait=True)
preview(what="FRAME", size=80)
result["preview"] = list(bpy.data.images["Understudy preview"].size)
bpy.ops.understudy.version_up()
result["version"] = settings.version
result["merged"] = runner.known()[0]

# A training that is paused, goes on and ends when it is told to
settings.src_faceset, settings.model = os.path.join(folder, "src"), os.path.join(out, "b.model")
settings.preset, settings.release = "quick64", release
bpy.ops.understudy.train()


def state():
    job = next((j for j in runner.known() if "train" in j["spec"]), {})
    return job.get("state", "").replace("JOB_STATE_", ""), job


runner.wait(lambda: state()[0] == "RUNNING" and state()[1].get("training"), 120)
result["training"] = [state()[0], module("link.jobs").words(state()[1])]
preview(what="TRAINING")
result["training_preview"] = list(bpy.data.images["Understudy preview"].size)
job = state()[1]["id"]
result["states"] = []
for what, wanted in (("PauseJob", "PAUSED"), ("ResumeJob", "RUNNING")):
    bpy.ops.understudy.job(job=job, what=what)
    runner.wait(lambda wanted=wanted: state()[0] == wanted, 120)
    result["states"].append(state()[0])

# The extension goes and comes while it runs; the file is closed and opened
bpy.ops.wm.save_mainfile()
bpy.ops.preferences.addon_disable(module=us.__name__)
bpy.ops.preferences.addon_enable(module=us.__name__)
runner = module("runner")
result["forgotten"] = len(runner.known())
bpy.ops.wm.open_mainfile(filepath=os.path.join(out, "shot.blend"))
runner.resume()
runner.wait(lambda: state()[0] == "RUNNING", 120)
result["remembered"] = [len(runner.known()), state()[0]]
bpy.ops.understudy.job(job=job, what="CancelJob")
runner.wait(lambda: state()[0] == "CANCELLED", 120)
bpy.ops.understudy.jobs_refresh()
runner.wait(lambda: len(runner.known()) > 2, 60)
result["ended"] = [state()[0], len(runner.known())]

# What goes wrong, without an operator there
settings = bpy.context.scene.understudy
settings.model = "/nowhere/model"
result["no_model"] = refused(bpy.ops.understudy.merge, wait=True)
result["problem"] = runner.problem
bpy.ops.understudy.problem_clear()
result["cleared"] = runner.problem

# A terminal
cli = module("cli")
settings.model = os.path.join(folder, "a.model")
result["exits"] = [
    cli.main(["plate"]),
    cli.main(["merge", "--set", "version=2", "--set", "layers=face, mask_blend"]),
    cli.main(["merge", "--set", "model=/nowhere"]),
    cli.main(["merge", "--set", "colour=red"]),
    cli.main(["dance"]),
]

# Preferences: rules of paths, a daemon elsewhere
preferences = module("preferences").preferences()
bpy.ops.understudy.path_rule_add()
preferences.paths[0].here, preferences.paths[0].there = out, "Z:/shots"
paths = module("paths")
result["paths"] = [paths.there(out + "/a/b.exr"), paths.here("Z:/shots/a"), paths.there(out + "x/a")]
bpy.ops.understudy.path_rule_remove(index=0)
if hasattr(bpy.context.preferences.system, "use_online_access"):
    bpy.context.preferences.system.use_online_access = False
preferences.endpoint = "render01:7600"
result["online"] = [bpy.app.online_access, refused(bpy.ops.understudy.jobs_refresh)]
preferences.endpoint = ""


# Real faces, in one go
settings.clip = bpy.data.movieclips.load(hopper)
settings.clip.frame_start = 1001
settings.first, settings.last, settings.colour_space = 1002, 1003, "ACEScg"
settings.src_faceset, settings.dst_faceset = faces, os.path.join(out, "dst")
settings.model, settings.output = os.path.join(out, "c.model"), "//real_v001/real_v001.####.exr"
settings.iterations, settings.minutes, settings.user_matte, settings.layers = 2, 0, "", ""
settings.version = 1
bpy.ops.understudy.extract(wait=True)
bpy.ops.understudy.swap(wait=True)
result["swapped"] = [next(iter(job["spec"])) + " " + job["state"] for job in runner.known()[:3]]
began = time.thread_time()
runner.pump()
result["pump"] = time.thread_time() - began


# The panels, drawn into a layout that knows what there is: Blender draws them only in a window
class Layout:
    def __init__(self, drawn):
        self.drawn = drawn

    def row(self, **_):
        return self

    box = column = row

    def separator(self):
        pass

    def label(self, *, text, icon="NONE"):
        self.drawn.append(text)

    def progress(self, *, factor, text):
        assert 0 <= factor <= 1
        self.drawn.append(text)

    def template_icon(self, *, icon_value, scale):
        self.drawn.append("icon")

    def prop(self, data, name, text="", icon="NONE"):
        assert name in data.bl_rna.properties, name
        self.drawn.append(name)

    def operator(self, name, text="", icon="NONE", emboss=True):
        kind = getattr(bpy.types, "UNDERSTUDY_OT_" + name.partition(".")[2])
        icons = bpy.types.UILayout.bl_rna.functions["prop"].parameters["icon"].enum_items
        assert icon in icons, icon
        self.drawn.append(name)
        return SimpleNamespace(**{p.identifier: None for p in kind.bl_rna.properties})


result["panels"] = {}
names = ("shot", "faces", "mattes", "train", "merge", "jobs_clip", "jobs_node", "jobs_sequence")
panels = [getattr(bpy.types, "UNDERSTUDY_PT_" + name) for name in names]
for panel in panels:
    pretended = SimpleNamespace(layout=Layout([]))
    if hasattr(panel, "fields"):
        pretended.fields = lambda *names, of=pretended, panel=panel: panel.fields(of, *names)
    runner.problem = "something is wrong"
    panel.draw(pretended, bpy.context)
    result["panels"][panel.bl_idname] = pretended.layout.drawn
runner.problem = ""


# ESC ends a modal operator, and gives up what it waited for
class Pretended(SimpleNamespace):
    """An operator as a window has it: Blender makes those only for a window."""

    step, _end = ops_base.Steady.step, ops_base.Steady._end


told, given_up = [], []
waited = SimpleNamespace(done=lambda: False, cancel=lambda: given_up.append(True))
modal = Pretended(
    _steps=(step for step in [waited]),
    _waits=None,
    _undos=ops_base._undos,
    _timer=bpy.context.window_manager.event_timer_add(1.0, window=bpy.context.window),
    report=lambda kind, text: told.append(text),
)
result["modal"] = [
    sorted(ops_base.Steady.modal(modal, bpy.context, SimpleNamespace(type=kind)))
    for kind in ("TIMER", "LEFTMOUSE", "ESC")
]
result["given_up"] = [given_up, told]
result["longest"] = longest
