"""Runs in a Blender with a window: works on a shot as a person does, and asks `screens.py` for pictures and keys."""

import importlib
import json
import os
import sys
import time
import traceback

import bpy

PACKAGE = "bl_ext.user_default.understudy"
shot = sys.argv[-1]
asks = os.path.join(shot, "asks")
out = {"undo": {}, "longest": [0.0, ""]}


def module(name):
    return importlib.import_module(f"{PACKAGE}.{name}")


def timed(what, work):
    def wrapped(*given, **more):
        began = time.thread_time()
        try:
            return work(*given, **more)
        finally:
            out["longest"] = max(out["longest"], [1000 * (time.thread_time() - began), what])

    return wrapped


def method(work):
    """Blender counts the arguments."""
    return lambda self, context: work(self, context)  # noqa: PLW0108


def watch():
    step = module("ops_base").Steady.step
    module("ops_base").Steady.step = lambda operator: timed(operator.bl_idname, step)(operator)
    module("runner").pump = timed("pump", module("runner").pump)
    for name in dir(bpy.types):
        kind = getattr(bpy.types, name)
        if name.startswith("UNDERSTUDY_PT_"):
            kind.draw = method(timed(name, kind.draw))
        if name.startswith("UNDERSTUDY_OT_") and not issubclass(kind, module("ops_base").Steady):
            kind.execute = method(timed(name, kind.execute))


def settings():
    return bpy.context.scene.understudy


def window():
    return bpy.context.window_manager.windows[0]


def area():
    return max(window().screen.areas, key=lambda each: each.width * each.height)


def region(kind):
    return next(each for each in area().regions if each.type == kind)


def within(call, *given, **more):
    """An operator with the pointer in the large editor."""
    with bpy.context.temp_override(window=window(), area=area(), region=region("WINDOW")):
        return call(*given, **more)


def press(name, *, invoke="INVOKE_DEFAULT", **more):
    return within(getattr(bpy.ops.understudy, name), invoke, True, **more)


def editor(kind):
    """The whole window is this editor, with our tab in its side bar: both have to be drawn first."""
    area().ui_type = kind
    space = area().spaces.active
    space.show_region_toolbar, space.show_region_ui = False, True
    for _ in range(60):
        yield 0.5
        try:
            region("UI").active_panel_category = "Understudy"
        except (AttributeError, TypeError):  # not drawn yet: read-only, or without tabs
            continue
        if region("UI").active_panel_category == "Understudy":
            break
    yield 1.0


def picture(name, top=0.0, bottom=1.0):
    """The large editor, or a part of its height, once it is drawn."""
    for each in window().screen.areas:
        each.tag_redraw()
    yield 2.0
    a, begin = area(), window().height - area().y - area().height
    yield from ask("picture", name, a.x, begin + int(top * a.height), a.width, int((bottom - top) * a.height))


def ask(*what):
    with open(asks + ".part", "w") as file:
        file.write(" ".join(map(str, what)))
    os.replace(asks + ".part", asks)
    while os.path.exists(asks):
        yield 0.2


def key(keys):
    w = region("WINDOW")
    yield from ask("key", w.x + w.width // 2, window().height - w.y - w.height // 2, keys)
    yield 1.0


def until(done, seconds=600):
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "waited for too long"
        yield 0.2


def idle():
    """No modal operator of ours runs any more."""
    return not [o for o in window().modal_operators if o.bl_idname.startswith("UNDERSTUDY")]


def runs(name):
    """A job, to its end."""
    runner = module("runner")
    before = len(runner.known())
    press(name)
    yield from until(lambda: len(runner.known()) > before and ended())


def ended():
    runner = module("runner")
    return all(runner.jobs().ended(j["id"]) for j in runner.known())


def undone(name, state, **more):
    """By real keys in the window: press, Ctrl-Z, Ctrl-Shift-Z."""
    before = state()
    press(name, **more)
    yield 1.0
    yield from until(idle)
    yield 1.0
    after = state()
    yield from key("ctrl+z")
    back = state()
    yield from key("ctrl+shift+z")
    out["undo"][name] = [before != after, before == back, state() == after]


def strips():
    editing = bpy.context.scene.sequence_editor
    return module("compat_comp").strips(editing) if editing else ()


def tracks():
    clip = bpy.data.movieclips[0]
    return [len(clip.tracking.tracks), len(clip.tracking.plane_tracks)]


def nodes():
    return [sorted(t.name for t in bpy.data.node_groups), len(bpy.data.images)]


def clip_editor():
    bpy.ops.wm.save_as_mainfile(filepath=os.path.join(shot, "sh010.blend"))
    clip = bpy.data.movieclips.load(os.path.join(shot, "plate", "sh010.1001.exr"))
    clip.frame_start = 1001
    clip.colorspace_settings.name = "Linear Rec.709"
    scene, ours = bpy.context.scene, settings()
    scene.frame_start, scene.frame_end, scene.frame_current = 1001, 1024, 1010
    scene.render.fps, scene.render.fps_base = 24, 1.001
    scene.render.resolution_x, scene.render.resolution_y = clip.size
    scene.view_settings.view_transform = "Standard"
    ours.clip = clip
    ours.src_faceset, ours.dst_faceset, ours.model = "//faces/astronaut", "//faces/hopper", "//swap.model"
    ours.output, ours.preset = "//swap_v001/swap_v001.####.exr", "quick64"
    yield from editor("CLIP_EDITOR")
    area().spaces.active.clip = clip
    area().spaces.active.show_seconds = False
    bpy.ops.ed.undo_push(message="the shot")
    yield from runs("extract")
    within(bpy.ops.clip.view_all, fit_view=False)
    yield from undone("landmarks_to_tracks", tracks, points="FIVE", plane=True)
    yield from undone("hull_to_mask", lambda: len(bpy.data.masks))
    yield from runs("merge")
    ours = settings()
    ours.minutes = 600
    press("train")
    runner = module("runner")
    yield from until(lambda: any(j.get("training") for j in runner.known()))
    press("preview", what="FRAME", size=512)
    yield 1.0
    yield from until(idle)
    yield from picture("clip")


def compositor():
    yield from editor("CompositorNodeTree")
    tree = tree_of(make=True)
    if bpy.app.version < (5, 0, 0):
        tree.nodes.clear()
    bpy.ops.ed.undo_push(message="compositor")
    yield from undone("comp_add", nodes)
    tree = tree_of()
    group = next(n for n in tree.nodes if n.bl_idname == "CompositorNodeGroup")
    tree.nodes.active = group
    within(bpy.ops.node.view_all)
    yield 1.0
    within(bpy.ops.view2d.zoom_out)
    within(bpy.ops.view2d.zoom_out)
    yield from picture("comp", 0.0, 0.75)
    area().spaces.active.path.append(group.node_tree, node=group)
    area().spaces.active.show_region_ui = False
    yield 1.0
    within(bpy.ops.node.view_all)
    yield from picture("group", 0.25, 0.75)
    area().spaces.active.path.pop()


def tree_of(make=False):
    """The compositor; after an undo, anew."""
    return module("compat_comp").scene_tree(bpy.context.scene, make=make)


def sequencer():
    scene = bpy.context.scene
    yield from editor("SEQUENCE_EDITOR")
    area().spaces.active.view_type = "SEQUENCER_PREVIEW"
    area().spaces.active.timeline_overlay.show_strip_source = False
    scene.sequence_editor_create()
    if bpy.app.version >= (5, 0, 0):
        window().workspace.sequencer_scene = scene
    strip = strips().new_image("plate", os.path.join(shot, "plate", "sh010.1001.exr"), 1, 1001)
    for number in range(1002, 1025):
        strip.elements.append(f"sh010.{number}.exr")
    scene.sequencer_colorspace_settings.name = "Linear Rec.709"
    bpy.ops.ed.undo_push(message="plate's strip")
    for kind in ("RESULT", "OVER", "MATTE"):
        for each in strips():
            each.select = each.name == "plate"
        bpy.context.scene.sequence_editor.active_strip = next(s for s in strips() if s.name == "plate")
        bpy.ops.ed.undo_push(message="selected")
        yield from undone("seq_add", lambda: sorted(s.name for s in strips()), kind=kind)
    within(bpy.ops.sequencer.view_all)
    yield from picture("sequencer")


def preferences():
    area().ui_type = "PREFERENCES"
    bpy.context.preferences.active_section = "ADDONS"
    bpy.context.window_manager.addon_search = "Understudy"
    bpy.ops.preferences.addon_expand(module=PACKAGE)
    rules = module("preferences").preferences().paths
    if not rules:
        rules.add()
    rules[0].here, rules[0].there = "/Volumes/shows", "/mnt/shows"
    yield from picture("preferences", 0.21, 0.45)
    rules.clear()


def day():
    yield 2.0
    yield from until(lambda: PACKAGE in bpy.context.preferences.addons)
    watch()
    with bpy.context.temp_override(window=window(), area=area(), region=region("WINDOW")):
        bpy.ops.screen.screen_full_area()
    yield 1.0
    for part in (clip_editor, compositor, sequencer, preferences):
        yield from part()
    runner = module("runner")
    for job in runner.known():
        if not runner.jobs().ended(job["id"]):
            press("job", invoke="EXEC_DEFAULT", job=job["id"], what="CancelJob")
    yield from until(ended)


steps = day()


def step():
    try:
        return next(steps)
    except StopIteration:
        pass
    except BaseException:  # noqa: BLE001 - told, and Blender ends
        out["error"] = traceback.format_exc()
    print(json.dumps(out, indent=1), flush=True)
    os._exit(1 if "error" in out else 0)


bpy.app.timers.register(step, first_interval=1.0, persistent=True)
