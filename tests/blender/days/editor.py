"""An editor's day on one shot, from the plate to two versions in the compositor and the sequencer.

Arguments: folder to write to, first file of the plate, faceset of who goes on, a release.

Waiting is as in a window: the timer's `pump` again and again. All that Blender's main thread does for the extension
is timed: operators, steps of the modal ones, what calls back, panels; not what a window renders on another thread.
"""

import glob
import json
import os
import time
from types import SimpleNamespace

out, first, faces, release = arguments
FRAMES = (1002, 1003, 1004)
runner, ops_base, flatten, compat = (
    module("runner"),
    module("ops_base"),
    module("flatten"),
    module("compat_comp"),
)
longest = {"seconds": 0.0, "what": ""}
rendering = {"seconds": 0.0, "since": None}
result["undo"], pressed = {}, set()


def timed(what, work, /, *given, **more):
    began, rendered = time.thread_time(), rendering["seconds"]
    try:
        return work(*given, **more)
    finally:
        took = time.thread_time() - began - (rendering["seconds"] - rendered)
        if took > longest["seconds"]:
            longest.update(seconds=took, what=what)


@bpy.app.handlers.persistent
def render_begins(scene, *_):
    if scene.name.startswith(flatten.SCRATCH):
        rendering["since"] = time.thread_time()


@bpy.app.handlers.persistent
def render_ends(*_):
    began, rendering["since"] = rendering["since"], None
    if began is not None:
        rendering["seconds"] += time.thread_time() - began


bpy.app.handlers.render_init.append(render_begins)
for ended in (bpy.app.handlers.render_complete, bpy.app.handlers.render_cancel):
    ended.append(render_ends)


class Paper:
    """A layout that takes all: Blender draws panels only in a window. What is measured is the extension's own part."""

    def __getattr__(self, _name):
        return lambda *_given, **_more: Paper()

    def __setattr__(self, _name, _value):
        pass


def draw():
    for name in (n for n in dir(bpy.types) if n.startswith("UNDERSTUDY_PT_")):
        panel = getattr(bpy.types, name)
        own = {k: v for k, v in vars(panel).items() if not k.startswith("bl_")}
        pretended = type(name, tuple(b for b in panel.__bases__ if b is not bpy.types.Panel), own)()
        pretended.layout = Paper()
        timed(f"panel {name}", pretended.draw, bpy.context)


def waits(done, seconds=1000.0):
    until = time.monotonic() + seconds
    while not done():
        timed("timer", runner.pump)
        assert time.monotonic() < until, f"not within {seconds:.0f} s: {runner.problem}"
        time.sleep(0.01)
    draw()
    return True


def take_over():
    """Whenever the extension has come: its own waiting and stepping are ours."""
    runner.wait = waits
    step = ops_base.Steady.step
    ops_base.Steady.step = lambda operator: timed(f"step of {operator.bl_idname}", step, operator)


def press(name, /, **settings):
    """As a button does it, with its step of undo; modal ones take their steps without a pause."""
    pressed.add(name)
    button = getattr(bpy.ops.understudy, name)
    if issubclass(getattr(bpy.types, f"UNDERSTUDY_OT_{name}"), ops_base.Steady):
        button("EXEC_DEFAULT", True, **settings)
    else:
        timed(name, button, "EXEC_DEFAULT", True, **settings)
    draw()


def undone(name, /, **settings):
    """Press it, Ctrl-Z, Ctrl-Shift-Z: whether it changed the file, all of that went in one step, and came back."""
    bpy.ops.ed.undo_push(message="before")
    before = state()
    press(name, **settings)
    after = state()
    bpy.ops.ed.undo()
    back = state()
    bpy.ops.ed.redo()
    result["undo"].setdefault(name, []).append([before != after, back == before, state() == after])


def told_of(value):
    """A setting as JSON has it; of what Blender keeps, what is in it, and not where it lies."""
    if isinstance(value, bpy.types.ID):
        return value.name_full
    if isinstance(value, bpy.types.bpy_prop_collection):
        return [told_of(each) for each in value]
    if not isinstance(value, bpy.types.PropertyGroup):
        return str(value)
    own = {p.identifier for p in value.bl_rna.properties} - {"rna_type"}
    return {name: told_of(getattr(value, name)) for name in sorted(own)} | {
        name: str(each) for name, each in value.items() if name not in own
    }


def state():
    """What of the file the extension's operators change."""
    scene = bpy.context.scene
    plain = told_of(scene.understudy)
    plain.pop("jobs")
    trees = [
        t for t in (*bpy.data.node_groups, None if bpy.app.version >= (5, 0, 0) else scene.node_tree) if t
    ]
    strips = compat.strips(scene.sequence_editor) if scene.sequence_editor else ()
    return json.dumps(
        [
            plain,
            [s.name for s in bpy.data.scenes],
            [(i.name, i.filepath) for i in bpy.data.images],
            [
                [(t.name, [(m.frame, *m.co, m.mute) for m in t.markers]) for t in c.tracking.tracks]
                + [
                    (p.name, [(m.frame, *map(tuple, m.corners)) for m in p.markers])
                    for p in c.tracking.plane_tracks
                ]
                for c in bpy.data.movieclips
            ],
            [
                (
                    m.name,
                    m.frame_start,
                    m.frame_end,
                    [[tuple(p.co) for p in s.points] for a in m.layers for s in a.splines],
                )
                for m in bpy.data.masks
            ],
            [
                [(n.name, *n.location, getattr(n, "frame_start", 0)) for n in t.nodes]
                + [(k.from_socket.name, k.to_socket.name) for k in t.links]
                for t in trees
            ],
            [
                (
                    s.name,
                    s.channel,
                    *compat.handles(s),
                    s.mute,
                    getattr(s, "directory", ""),
                    len(getattr(s, "elements", ())),
                )
                for s in strips
            ],
        ],
        default=str,
    )


def settings():
    """Anew after every undo."""
    return bpy.context.scene.understudy


def plate():
    return bpy.data.movieclips[0]


def job(kind):
    return next((j for j in runner.known() if kind in j["spec"]), {})


def runs(name, kind=None, jobs=1):
    """Press a button that starts jobs, and wait for their end; how the last one ended."""

    def begun():
        return [j["id"] for j in runner.known() if j["createTime"].rstrip("Z") > before]

    # by time: others of the daemon's jobs may be heard of meanwhile
    before = next((j["createTime"].rstrip("Z") for j in runner.known()), "")
    press(name)
    waits(lambda: len(begun()) >= jobs and all(map(runner.jobs().ended, begun())))
    return job(kind or name).get("state")


def pause():
    until = time.monotonic() + 0.5
    waits(lambda: time.monotonic() > until)


def preview(**more):
    """A busy machine may need longer than a preview may take, a training that has just begun has no weights yet."""
    until = time.monotonic() + 200
    while True:
        try:
            return press("preview", **more)
        except RuntimeError as error:
            again = any(words in str(error) for words in ("longer", "takes iterations"))
            if not again or time.monotonic() > until:
                raise
            pause()


def aside(version, number):
    """A frame that has not landed, nor what was written from it: gives what brings it."""
    paths = glob.glob(f"{out}/swap_v{version:03d}/**/*.{number}.exr", recursive=True)
    for path in paths:
        os.rename(path, path + ".later")
    return lambda: [os.rename(path + ".later", path) for path in paths]


def shown(folder):
    """What the group gives; a scene with strips renders these otherwise."""
    bpy.context.scene.render.use_sequencer = False
    render(
        tree(), {"Image": shot().outputs["Image"]}, folder, FRAMES[0], FRAMES[-1], size=tuple(plate().size)
    )


take_over()

# The plate: in the clip editor and in the sequencer
blend = os.path.join(out, "shot Ünï.blend")
bpy.ops.wm.save_as_mainfile(filepath=blend)
bpy.ops.ed.undo_push(message="a new file")
bpy.data.movieclips.load(first).frame_start = 1001
scene = bpy.context.scene
scene.render.fps, scene.render.fps_base = 24, 1.001
scene.render.resolution_x, scene.render.resolution_y = plate().size
scene.frame_current = FRAMES[1]
settings().clip = plate()
settings().first, settings().last = FRAMES[0], FRAMES[-1]
settings().src_faceset, settings().dst_faceset = faces, os.path.join(out, "dst")
settings().model, settings().preset, settings().release = os.path.join(out, "a.model"), "quick64", release
settings().iterations, settings().minutes = 2, 0
settings().output = "//swap_v001/swap_v001.####.exr"
strip = compat.strips(scene.sequence_editor_create()).new_image(
    "plate", first.replace("1001", "1002"), 1, FRAMES[0]
)
for number in FRAMES[1:]:
    strip.elements.append(os.path.basename(first).replace("1001", str(number)))
press("plate")

# Faces: found, looked at, mended by hand on one frame, found again there
result["extract"] = runs("extract")
undone("landmarks_to_tracks", points="FIVE", plane=True)
settings().track = 1
undone("tracks_add")
settings().track = -1
nose = plate().tracking.tracks["face 0 nose"].markers.find_frame(3, exact=True)
nose.co = (nose.co[0] + 4 / plate().size[0], nose.co[1])
press("tracks_to_landmarks", points="FIVE")
result["again"] = runs("extract")

# Mattes: the hull as a mask; the mask as a matte of the merge, and as a label
undone("hull_to_mask")
undone("mask_to_matte", mask="Understudy hull")
press("mask_to_labels", mask="Understudy hull", which="CURRENT")
waits(lambda: job("labelFaces") and runner.jobs().ended(job("labelFaces")["id"]))
result["label"] = job("labelFaces")["state"]

# A short training, a look at this frame, and the first version
result["train"] = runs("train")
preview(what="FRAME", size=160)
result["preview"] = list(bpy.data.images["Understudy preview"].size)
result["merge"] = runs("merge")

# The comp, and the strips; a frame that has not landed yet
undone("comp_add")
bring = aside(1, FRAMES[0])
undone("comp_refresh")
bring()
press("comp_refresh")
shown(out + "/comp")


def select_plate():
    editing = bpy.context.scene.sequence_editor
    for each in compat.strips(editing):
        each.select = not each.get("understudy")
    editing.active_strip = next(s for s in compat.strips(editing) if s.select)


for kind in ("RESULT", "OVER", "MATTE"):
    select_plate()
    undone("seq_add", kind=kind)
bring = aside(1, FRAMES[1])
undone("seq_refresh")
bring()
press("seq_refresh")

# Another version
undone("version_up")
result["second"] = runs("merge")
waits(lambda: "swap_v002" in bpy.data.images[shot().node_tree.nodes["Layers"].image.name].filepath, 60)
press("seq_version", version=2)  # strips of 4.2 have to be flattened first
undone("comp_version", version=1)
undone("seq_version", version=1)
result["strips"] = sorted(
    [s.channel, *compat.handles(s), s.directory.rstrip("/").rpartition("/")[2]]
    for s in compat.strips(bpy.context.scene.sequence_editor)
)
press("comp_version", version=2)
press("seq_version", version=2)


# What is under way ends with an undo: it may hold what Blender has freed
class Pretended(SimpleNamespace):
    """An operator as a window has it: Blender makes those only for a window."""

    step, _end = ops_base.Steady.step, ops_base.Steady._end


told = []
window = bpy.context.window
modal = Pretended(
    bl_idname="understudy.pretended",
    _steps=(None for _ in range(1000)),
    _waits=SimpleNamespace(done=lambda: False, cancel=lambda: told.append("given up")),
    _undos=ops_base._undos,
    _timer=bpy.context.window_manager.event_timer_add(1.0, window=window),
    report=lambda _kind, text: told.append(text),
)
tick = SimpleNamespace(type="TIMER")
result["under_way"] = [sorted(ops_base.Steady.modal(modal, bpy.context, tick))]
bpy.ops.ed.undo_push(message="before")
bpy.ops.ed.undo()
result["under_way"] += [sorted(ops_base.Steady.modal(modal, bpy.context, tick)), told]

# A long training: stopped, taken up, the extension gone and back in the midst of it; undo forgets no job
settings().iterations = 1_000_000
press("train")
waits(lambda: job("train").get("state") == "JOB_STATE_RUNNING" and job("train").get("training"))
long = job("train")["id"]
preview(what="TRAINING")
bpy.ops.ed.undo_push(message="before")
press("version_up")
bpy.ops.ed.undo()
result["remembered"] = [settings().version, long in settings().jobs]
for what, wanted in (("PauseJob", "JOB_STATE_PAUSED"), ("ResumeJob", "JOB_STATE_RUNNING")):
    press("job", job=long, what=what)
    waits(lambda wanted=wanted: job("train")["state"] == wanted)
settings().iterations = 2
bpy.ops.wm.save_mainfile()
bpy.ops.preferences.addon_disable(module=us.__name__)
bpy.ops.preferences.addon_enable(module=us.__name__)
runner, ops_base = module("runner"), module("ops_base")
if runner.wait is not waits:
    take_over()
bpy.ops.wm.open_mainfile(filepath=blend)
bpy.ops.ed.undo_push(message="opened")
runner.resume()
waits(lambda: job("train").get("state") == "JOB_STATE_RUNNING")
result["taken_up"] = job("train")["id"] == long
press("job", job=long, what="CancelJob")
waits(lambda: job("train")["state"] == "JOB_STATE_CANCELLED")
press("jobs_refresh")
waits(lambda: len(runner.known()) > 5)

# What was saved is there; a swap makes anew what the longer training has changed, and no more
result["opened"] = [
    settings().version,
    len(plate().tracking.tracks),
    len(bpy.data.masks),
    shot().node_tree.name,
]
result["swap"] = runs("swap", "merge", jobs=3)
press("comp_refresh")
shown(out + "/opened")

# What goes wrong without a button there; rules of paths
settings().model = "/nowhere/model"
press("problem_clear")
press("merge")
waits(lambda: runner.problem)
result["problem"] = runner.problem
press("problem_clear")
press("path_rule_add")
press("path_rule_remove", index=0)

# A long message is wrapped: a label is one line
lines = []
column = SimpleNamespace(label=lambda text, icon: lines.append(text))
module("panels").draw_text(
    SimpleNamespace(column=lambda align: column), "no such model: /nowhere/" + "m" * 100
)
result["lines"] = lines

result["longest"] = longest
options = {name: getattr(getattr(bpy.types, f"UNDERSTUDY_OT_{name}"), "bl_options", ()) for name in pressed}
result["undoable"] = [name for name, said in options.items() if "UNDO" in said]
result["pressed"] = sorted(pressed)
