"""Two people in one shot: merged in one pass, rebuilt with a mix for each, laid over the plate's strip.

Arguments: folder of the shot, folder to write to, model of the first, of the second.
"""

import os

folder, out, first, second = arguments
runner, specs, compat_comp, compositor = (
    module("runner"),
    module("specs"),
    module("compat_comp"),
    module("compositor"),
)
context, scene = bpy.context, bpy.context.scene
if bpy.app.version < (5, 0, 0):
    scene.use_nodes = True
    scene.node_tree.nodes.clear()
settings = scene.understudy


def tree():
    return scene.compositing_node_group if bpy.app.version >= (5, 0, 0) else scene.node_tree


def shot():
    return next(n for n in tree().nodes if n.bl_idname == "CompositorNodeGroup")


def refused(call, *given, **more):
    try:
        call(*given, **more)
    except (RuntimeError, module("runner").UnderstudyError) as error:
        return str(error)
    return "nothing was refused"


settings.clip = bpy.data.movieclips.load(os.path.join(folder, "plate", "plate.1001.exr"))
settings.clip.colorspace_settings.name = "ACEScg"
settings.clip.frame_start = 1001
settings.dst_faceset, settings.model = os.path.join(folder, "faceset"), first
settings.output = os.path.join(out, "p_v001", "p_v001.####.exr")

# The list
bpy.ops.understudy.person_add()
bpy.ops.understudy.person_add()
result["added"] = [[p.name, p.track, p.model] for p in settings.people]
anna, ben = settings.people
anna.name, ben.name, ben.model = "anna", "ben", second
result["refused"] = []
for name, value in (("name", "Ben"), ("name", "anna"), ("track", 0), ("model", "")):
    before = getattr(ben, name)
    setattr(ben, name, value)
    result["refused"].append(refused(bpy.ops.understudy.merge, wait=True))
    setattr(ben, name, before)
bpy.ops.understudy.person_add()
bpy.ops.understudy.person_remove()
result["people"] = specs.people(settings)

# Merged, and rebuilt
bpy.ops.understudy.merge(wait=True)
result["merged"] = runner.known()[0]["state"]
bpy.ops.understudy.comp_add()
group = shot().node_tree
kinds = ("CompositorNodeMixRGB", "ShaderNodeMix")
result["mixes"] = sorted(n.label for n in group.nodes if n.bl_idname in kinds)
result["sockets"] = [s.name for s in shot().outputs]
for image in bpy.data.images:
    image.colorspace_settings.name = "Linear Rec.709"
settings.clip.colorspace_settings.name = "Linear Rec.709"
sockets = {n: shot().outputs[n] for n in ("Image", "face", "ben_face", "mask_blend", "ben_mask_blend")}
render(
    tree(),
    {**sockets, "source": shot().inputs["Plate"].links[0].from_socket},
    os.path.join(out, "comp"),
    1001,
    1003,
)

# Another version, of the one alone
settings.clip.colorspace_settings.name = "ACEScg"
settings.people.remove(1)
bpy.ops.understudy.version_up()
bpy.ops.understudy.merge(wait=True)
settings.version = 1
result["other_people"] = refused(bpy.ops.understudy.comp_version, by=1)
result["version"] = settings.version

# In the sequencer: the faces of both
scene.sequence_editor_create()
strips = compat_comp.strips(scene.sequence_editor)
plate = strips.new_image("plate", os.path.join(folder, "plate", "plate.1001.exr"), 1, 1001)
for number in (1002, 1003):
    plate.elements.append(f"plate.{number}.exr")
scene.sequence_editor.active_strip, plate.select = plate, True
bpy.ops.understudy.seq_add(kind="OVER")
result["strips"] = [s.name for s in strips]
