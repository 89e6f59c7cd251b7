"""What may stand for a plate besides a sequence in a folder: a movie, a stereo plate, strips of several views.

Arguments: a movie, folder of a stereo shot, folder to write to.
"""

import os
import shutil

movie, stereo, out = arguments
runner, clip, faces, link_jobs = module("runner"), module("clip"), module("faces"), module("link.jobs")
compat_comp = module("compat_comp")
context, scene = bpy.context, bpy.context.scene
settings = scene.understudy


def refused(call, *given, **more):
    try:
        call(*given, **more)
    except RuntimeError as error:
        return str(error)
    return "nothing was refused"


# A movie: refused with the next step, then written out by a job; the file is closed and the extension off meanwhile
bpy.ops.wm.save_as_mainfile(filepath=os.path.join(out, "movie.blend"))
shown = bpy.data.movieclips.load(movie)
shown.frame_start, shown.frame_offset = 21, 2
settings.clip = shown
result["source"] = shown.source
result["movie"] = refused(bpy.ops.understudy.extract)
result["no_token"] = refused(bpy.ops.understudy.ingest, pattern="//plate/a.exr")
pattern = os.path.join(out, "plate", "a_v001.####.exr")
bpy.ops.understudy.ingest(pattern=pattern, first=101)
runner.wait(runner.known, 120)
runner.wait(lambda: link_jobs.remembered(settings.jobs), 120)
bpy.ops.wm.save_mainfile()
bpy.ops.preferences.addon_disable(module=us.__name__)
bpy.ops.preferences.addon_enable(module=us.__name__)
runner = module("runner")
result["forgotten"] = len(runner.known())
bpy.ops.wm.open_mainfile(filepath=os.path.join(out, "movie.blend"))
runner.resume()
scene = bpy.context.scene
settings = scene.understudy
runner.wait(lambda: settings.clip.source == "SEQUENCE", 200)
plate = clip.resolve(bpy.context)
result["ingested"] = [plate.pattern == pattern, list(plate.frames), plate.colour_space, plate.scene(103)]
result["same_frame"] = [plate.start, plate.offset]
result["again"] = refused(bpy.ops.understudy.ingest)
gone = os.path.join(out, "gone.mov")
shutil.copy(movie, gone)
settings.clip = bpy.data.movieclips.load(gone)
os.remove(gone)
result["gone"] = refused(bpy.ops.understudy.ingest)

# A stereo plate: which view the clip shows, and what is of that view alone
settings.clip = bpy.data.movieclips.load(os.path.join(stereo, "plate", "plate.1001.exr"))
settings.clip.colorspace_settings.name = "ACEScg"
settings.clip.frame_start = 1001
settings.dst_faceset = os.path.join(stereo, "faceset")
bpy.ops.understudy.landmarks_to_tracks(points="ALL")
tracks = settings.clip.tracking.tracks
result["tracks"] = {t.name: list(t.markers.find_frame(1).co) for t in tracks}
marker = tracks["face 0 30"].markers.find_frame(1, exact=True)
marker.co = (marker.co[0] + 5 / 168, marker.co[1])
bpy.ops.understudy.tracks_to_landmarks(points="ALL")
bpy.data.masks.new("a")
settings.output = os.path.join(out, "s_v001", "s_v001.####.exr")
result["mask"] = refused(bpy.ops.understudy.mask_to_matte, mask="a")
settings.model = os.path.join(stereo, "a.model")
bpy.ops.understudy.merge(wait=True)

# What the clip itself shows: which eye
tree = compat_comp.scene_tree(scene, make=True)
tree.nodes.clear()
node = tree.nodes.new("CompositorNodeMovieClip")
node.clip = settings.clip
settings.clip.colorspace_settings.name = "Linear Rec.709"
compat_comp.scene_output(tree)
render(tree, {"clip": node.outputs[0]}, os.path.join(out, "clip"), 1001, 1001)
settings.clip.colorspace_settings.name = "ACEScg"
result["both_views"] = refused(bpy.ops.understudy.comp_add)

# Strips of several views
editing = scene.sequence_editor_create()
strip = compat_comp.strips(editing).new_image(
    "plate", os.path.join(stereo, "plate", "plate.1001.exr"), 1, 1001
)
editing.active_strip, strip.select = strip, True
scene.render.use_multiview = True
strip.use_multiview = True
strip.views_format = "INDIVIDUAL"
result["strip"] = refused(bpy.ops.understudy.seq_add)
strip.views_format = "STEREO_3D"
result["stereo_strip"] = refused(bpy.ops.understudy.seq_add)
