"""The look as properties.

Arguments: folder of the shot, folder to write to.
"""

import os
from unittest.mock import MagicMock

folder, out = arguments
look, clip, specs, runner = module("look"), module("clip"), module("specs"), module("runner")
context, scene = bpy.context, bpy.context.scene
settings = scene.understudy


def refused(call, *given, **more):
    try:
        call(*given, **more)
    except (RuntimeError, module("runner").UnderstudyError) as error:
        return str(error)
    return "nothing was refused"


def shape():
    return clip.resolve(context)


settings.clip = bpy.data.movieclips.load(os.path.join(folder, "plate", "plate.1001.exr"))
settings.clip.colorspace_settings.name = "ACEScg"
settings.clip.frame_start = 11
settings.dst_faceset, settings.model = os.path.join(folder, "faceset"), os.path.join(folder, "a.model")
settings.output = os.path.join(out, "look_v001", "look_v001.####.exr")

# Without having asked, the usual look; then every setting as the daemon describes it
result["unasked"] = look.recipe(scene, shape())
bpy.ops.understudy.look_update()
result["described"] = look.described(settings)
names = list(settings.look.keys())
result["ui"] = {name: settings.look.id_properties_ui(name).as_dict() for name in names}
result["default"] = look.recipe(scene, shape())

# A choice, a text, and what cannot be
look.put(settings, "blend", "multiband")
look.put(settings, "mask", "face")
settings.look["keep_highlights"] = False
settings.look["opacity"] = 7.0  # a script may; the buttons do not
result["refused"] = [
    refused(look.put, settings, "blend", "glue"),
    refused(look.put, settings, "erode", "much"),
    refused(look.put, settings, "shine", "1"),
]

# Keys, a driver, overshoot; scene frame 11 is file 1001
for at, value in ((11, 0.0), (13, 8.0), (14, 8.0)):
    settings.look["erode"] = value
    settings.look.keyframe_insert('["erode"]', frame=at)
scene.frame_current = 12
result["keyed"] = look.recipe(scene, shape())
curve = module("compat").fcurves(scene.animation_data)[0]
result["path"] = curve.data_path
result["seen"] = [curve.evaluate(frame) for frame in (11, 12, 13, 14)]
settings.look.driver_add('["grain"]').driver.expression = "(frame - 10) * 0.7"
result["driven"] = look.recipe(scene, shape())
result["frame"] = scene.frame_current
curve.mute = True
result["muted"] = look.recipe(scene, shape())["erode"]
curve.mute = False
settings.look.keyframe_insert('["smooth"]', frame=11)
result["no_keys"] = refused(look.recipe, scene, shape())
settings.look.keyframe_delete('["smooth"]', frame=11)
smooth = [c for c in module("compat").fcurves(scene.animation_data) if "smooth" in c.data_path]
result["cleared"] = len(smooth)

# Saved with the file; a newer daemon's settings come in beside them
bpy.ops.wm.save_as_mainfile(filepath=os.path.join(out, "look.blend"))
bpy.ops.wm.open_mainfile(filepath=os.path.join(out, "look.blend"))
context, scene = bpy.context, bpy.context.scene
settings = scene.understudy
result["opened"] = look.recipe(scene, shape())
newer = look.described(settings)
blend = next(p for p in newer if p["name"] == "blend")
blend["choices"] = ["another", *blend["choices"]]
newer.append(
    {"name": "sub_surface", "help": "Light within", "type": "number", "defaultValue": "0.5", "keyable": True}
)
result["newer"] = [look.add(settings, newer), look.add(settings, newer)]
result["with_newer"] = look.recipe(scene, shape())
look.add(settings, result["described"])
del settings.look["sub_surface"]

# Actions in strips
before = scene.animation_data.action
animation = scene.animation_data
animation.drivers.remove(animation.drivers[0])
track = animation.nla_tracks.new()
track.strips.new("look", 11, before)
animation.action = None
result["strips"] = look.recipe(scene, shape())["erode"]
animation.nla_tracks.remove(track)
animation.action = before

# The panels name only what there is
for name in ("look", "people"):
    layout = MagicMock()
    panel = getattr(bpy.types, "UNDERSTUDY_PT_" + name)
    pretended = MagicMock(layout=layout)
    pretended.fields = lambda *names, of=pretended, panel=panel: panel.fields(of, *names)
    panel.draw(pretended, context)
    result["panel_" + name] = str(layout.mock_calls)

# A merge by it, one from a terminal, and one by a recipe file
bpy.ops.understudy.merge(wait=True)
result["merged"] = runner.known()[0]["state"]
cli = module("cli")
result["exits"] = [
    cli.main(["merge", "--set", "version=2", "--set", "look.blend=over", "--set", "look.feather=3"]),
    cli.main(["merge", "--set", "look.blend=glue"]),
]
settings.recipe = os.path.join(out, "recipe.json")
with open(settings.recipe, "w") as file:
    file.write('{"blend": "seamless"}')
result["by_file"] = specs.recipe(settings, shape())
