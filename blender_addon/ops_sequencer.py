# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators of the Video Sequencer: the result above its plate, face and matte as strips, versions, new frames."""

import bpy
from bpy.props import EnumProperty, IntProperty

from . import compat_comp as compat
from . import flatten, merged, ops_compositor, paths, runner, sequencer
from .landing import Landing
from .merged import Merged, find
from .ops_base import Steady, Steps


class UNDERSTUDY_OT_seq_add(Steady):
    """Lay the shot above the selected strip of the plate. Face and matte are written first, where they are missing"""

    bl_idname = "understudy.seq_add"
    bl_label = "Add Strip"

    kind: EnumProperty(
        name="What",
        items=(
            (sequencer.RESULT, "Result", "The finished picture"),
            (sequencer.OVER, "Face", "The face alone, premultiplied by its matte, over the plate's strip"),
            (sequencer.MATTE, "Matte", "The matte as grey, muted: for a strip's Mask modifier"),
        ),
    )
    start: IntProperty(
        name="Start", description="Scene frame of the first frame, where no strip of the plate is selected"
    )

    def steps(self, context: bpy.types.Context) -> Steps:
        scene = compat.sequencer_scene(context)
        found = find(paths.output(scene.understudy), layered=self.kind != sequencer.RESULT)
        colour = "Non-Color" if self.kind == sequencer.MATTE else compat.colour_space(found.colour_space)
        editing = scene.sequence_editor or scene.sequence_editor_create()
        owner = editing.meta_stack[-1] if editing.meta_stack else editing
        original = compat.active_strip(context)
        if original is not None and (not original.select or original.get(sequencer.MARK)):
            original = None
        place = self._place(found, original)
        yield from write(found, self.kind)
        channel = sequencer.free_channel(owner, original.channel if original else 0, place.left, place.right)
        laid = sequencer.lay(
            owner, place, found.pattern, self.kind, colour=colour, channel=channel, original=original
        )
        for strip in compat.strips(owner):
            strip.select = strip in laid
        editing.active_strip = laid[0]
        for text in remarks(scene, found, place, self.kind, laid):
            self.report({"WARNING"}, text)

    def _place(self, found: Merged, original: object) -> sequencer.Place:
        if original is not None:
            return sequencer.of_strip(original)
        start = self.start if self.properties.is_property_set("start") else found.first
        return sequencer.of_range(found.first, found.last, start)


class UNDERSTUDY_OT_seq_version(Steady):
    """Show another version in the strips; cuts, transforms and modifiers stay"""

    bl_idname = "understudy.seq_version"
    bl_label = "Show Version"

    version: IntProperty(name="Version", min=0, description="Not set: the scene's own")
    by: IntProperty(name="Step", description="So many versions on", options={"SKIP_SAVE"})

    def steps(self, context: bpy.types.Context) -> Steps:
        scene = compat.sequencer_scene(context)
        settings = scene.understudy
        set_ = self.properties.is_property_set("version")
        wanted = (self.version if set_ else settings.version) + self.by
        found = find(paths.output(settings, wanted), layered=False)
        yield from bring(self, scene, found)
        settings.version = wanted


class UNDERSTUDY_OT_seq_refresh(Steady):
    """Bring the strips up to date with the frames that have landed since"""

    bl_idname = "understudy.seq_refresh"
    bl_label = "Refresh Strips"

    def steps(self, context: bpy.types.Context) -> Steps:
        scene = compat.sequencer_scene(context)
        yield from bring(self, scene, find(paths.output(scene.understudy), layered=False))


def bring(operator: bpy.types.Operator, scene: bpy.types.Scene, found: Merged) -> Steps:
    """Write what the strips of this shot need, and have them show it."""
    for kind in kinds(scene, found.pattern):
        yield from write(found, kind)
    count, without = show(scene, found)
    if not count and not without:
        raise compat.Refused("no strip of this shot in the sequencer: Add Strip makes one", field="strip")
    for each in without:
        operator.report({"WARNING"}, f"{each}: nothing of it is there")
    operator.report({"INFO"}, f"{count} strips show {ops_compositor.said(found)}")


def write(found: Merged, kind: str) -> Steps:
    """What a strip of this kind reads, where it is not there yet."""
    if kind == sequencer.RESULT and compat.SEQUENCER_READS_LAYERS:
        return
    kind = sequencer.FLAT if kind == sequencer.RESULT else kind
    wanted = flatten.missing(found, kind)
    if wanted:
        yield from flatten.write(found, kind, wanted)


def kinds(scene: bpy.types.Scene, output: str) -> set[str]:
    """What strips of this shot there are."""
    return {
        kind
        for kind, pattern in sequencer.marks(scene)
        if sequencer.plain(pattern) == sequencer.plain(output)
    }


def show(scene: bpy.types.Scene, found: Merged) -> tuple[int, list[str]]:
    """As `sequencer.update`, and Blender reads the files again."""
    done = sequencer.update(scene, found.pattern, found.pattern, compat.colour_space(found.colour_space))
    for window in bpy.context.window_manager.windows:
        area = next((a for a in window.screen.areas if a.type == "SEQUENCE_EDITOR"), None)
        if area is not None:
            with bpy.context.temp_override(window=window, area=area, region=area.regions[-1]):
                bpy.ops.sequencer.refresh_all()
            break
    return done


def remarks(
    scene: bpy.types.Scene, found: Merged, place: sequencer.Place, kind: str, laid: list
) -> list[str]:
    """What the editor should know of these strips."""
    there = set(merged.numbers(sequencer.shown_pattern(found.pattern, kind)))
    absent = [n for n in place.numbers if n not in there]
    said = [each for each in ops_compositor.remarks(scene, found) if "not there" not in each]
    if absent:
        said.append(
            f"{len(absent)} frames are not there, {absent[0]} the first: the plate shows, in {len(laid)} strips"
        )
    space = scene.sequencer_colorspace_settings.name
    if (
        kind == sequencer.OVER
        and "linear" not in space.lower()
        and space not in {"ACEScg", "ACES2065-1", "scene_linear"}
    ):
        said.append(
            f"the sequencer mixes in {space}: soft edges differ from the result's until it is a linear space"
        )
    return said


def landed(wanted: str) -> None:
    """Have the strips of all scenes show what is on disk of this pattern."""
    for scene in bpy.data.scenes:
        if merged.numbers(wanted) and kinds(scene, wanted):
            show(scene, find(wanted, layered=False))


_landing = Landing(landed)


def register() -> None:
    runner.listen(_landing)


def unregister() -> None:
    runner.unlisten(_landing)


classes = (UNDERSTUDY_OT_seq_add, UNDERSTUDY_OT_seq_version, UNDERSTUDY_OT_seq_refresh)
