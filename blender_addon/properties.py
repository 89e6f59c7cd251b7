# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scene knows of its shot: `scene.understudy`. Saved with the file, undone and redone with it."""

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from . import compat

_FOLDER = {"subtype": "DIR_PATH", **compat.folder_options()}
_FILE = {"subtype": "FILE_PATH", **compat.folder_options()}


class UnderstudyLook(bpy.types.PropertyGroup):
    """The settings of the look, by their names: custom properties, which look.py makes."""


class UnderstudyPerson(bpy.types.PropertyGroup):
    """One of several people in a shot."""

    name: StringProperty(
        name="Name",
        description="Of their layers: a small letter, then small letters, digits and _, 12 at most",
    )
    track: IntProperty(name="Person", min=0, description="Their number in the target faces")
    model: StringProperty(name="Model", description="Who goes on them", **_FOLDER)


class UnderstudyScene(bpy.types.PropertyGroup):
    """One shot: whose face, on which plate, by which model, to which files."""

    clip: PointerProperty(
        name="Clip",
        type=bpy.types.MovieClip,
        description="The plate. Empty: the clip that the Movie Clip Editor or the scene shows",
    )
    src_faceset: StringProperty(
        name="Source Faces", description="Faceset of who goes on; it needs a release", **_FOLDER
    )
    dst_faceset: StringProperty(
        name="Target Faces", description="Faceset of the plate's performer; Extract makes it", **_FOLDER
    )
    model: StringProperty(name="Model", description="Train makes it, or goes on with it", **_FOLDER)
    segmenter: StringProperty(name="Segmenter", description="What knows of hands and hair", **_FOLDER)
    output: StringProperty(
        name="Output",
        description="Frames to write, such as //swap_v001/swap_v001.####.exr",
        **_FILE,
    )
    version: IntProperty(
        name="Version", default=1, min=0, description="Which version is shown, and written by the next merge"
    )
    first: IntProperty(
        name="First Frame", description="By the files' numbers. Both 0: all that the clip has", default=0
    )
    last: IntProperty(name="Last Frame", description="See First Frame", default=0)
    colour_space: StringProperty(
        name="Colour Space",
        description="Of the plate, as the daemon's config calls it. Empty: the clip's own",
    )
    track: IntProperty(
        name="Person",
        default=-1,
        min=-1,
        description="By number, of a faceset with several; -1: the only one",
    )
    layers: StringProperty(name="Layers", description="Such as: face, mask_blend, uv. Empty: all")
    look: PointerProperty(name="Look", type=UnderstudyLook)
    look_described: StringProperty(description="What the daemon says of the look", options={"HIDDEN"})
    recipe: StringProperty(
        name="Recipe", description="A recipe file, taken in place of the settings below", **_FILE
    )
    people: CollectionProperty(
        name="People",
        type=UnderstudyPerson,
        description="Where several are swapped: each with a model of their own, merged in one pass, all in one look",
    )
    person: IntProperty(description="Which row of the people is chosen", options={"HIDDEN"})
    user_matte: StringProperty(
        name="Matte", description="Frames that say where the face may go; Render Mask writes them", **_FILE
    )
    user_matte_use: EnumProperty(
        name="Use",
        items=(
            ("LIMIT", "Limit", "The face goes nowhere else"),
            ("ADD", "Add", "The face goes here, whatever other mattes say"),
            ("KEEP", "Keep", "The plate stays here"),
        ),
    )
    preset: StringProperty(name="Preset", description="Of a new model. Empty: the daemon's own choice")
    iterations: IntProperty(
        name="Iterations", min=0, description="Of training over the model's life; 0: by minutes"
    )
    minutes: IntProperty(
        name="Minutes", default=60, min=0, description="Of training over the model's life; 0: by iterations"
    )
    release: StringProperty(
        name="Release",
        description="Record to attach to the source faces, where they have none. Empty: the preferences' own",
        **_FILE,
    )
    interpolate: BoolProperty(
        name="Interpolate", description="Frames between those that were set by hand follow them"
    )
    jobs: StringProperty(description="Ids of the jobs that were started from here", options={"HIDDEN"})


classes = (UnderstudyLook, UnderstudyPerson, UnderstudyScene)


def register() -> None:
    bpy.types.Scene.understudy = PointerProperty(type=UnderstudyScene)


def unregister() -> None:
    del bpy.types.Scene.understudy
