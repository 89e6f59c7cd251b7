"""Roto in: the mask input as a matte of the merge, or as labels that a segmenter learns hands and hair from."""

from __future__ import annotations

import os
import re
from typing import Any, Callable, Dict, List, Sequence

import nuke

from . import daemon, look, plates, ranges, tree
from . import node as nodes
from .daemon import UnderstudyError, refused

Json = Dict[str, Any]
INPUT = tree.INPUTS.index("mask")
COUNT = 8  # frames to label, at first


def of_merge(node: nuke.Node, plate: plates.Plate, write: bool = True) -> List[Json]:
    """The mask input as `understudy.v1.UserMatte`, written out where it is no Read's own files; may be none.

    Args:
        write: or else what was written before counts, and what was not is left out: a preview holds nobody up.

    Raises:
        Refused: it has another format than the plate, or cannot be written.
    """
    if not is_one(node):
        return []
    matte = _files(node, range(plate.first, plate.last + 1), nodes.beside(node, "mask"), write)
    if matte is None:
        return []
    return [{"matte": matte, "use": "USER_MATTE_USE_" + str(node["us_mask"].value()).upper()}]


def is_one(node: nuke.Node) -> bool:
    """Whether the mask input goes into the next merge."""
    return node.input(INPUT) is not None and node["us_mask"].value() != "labels"


def label(node: nuke.Node) -> Json:
    """Spec of the job that makes labels of the mask input on the node's label frames; they are written out first.

    Raises:
        Refused: nothing is connected, no frames, or the mask would limit the next merge to these frames.
    """
    if node.input(INPUT) is None:
        raise refused("us_mask", "connect the roto to {}'s mask input".format(node.name()))
    if str(node["us_mask"].value()) != "labels":
        raise refused(
            "us_mask",
            "set 'mask input is' to labels first: as {} the next merge would take this roto too, on all "
            "frames".format(node["us_mask"].value()),
        )
    faceset = nodes.need(node, "us_dst", "dst faceset")
    frames = ranges.parsed(str(node["us_label_frames"].value()), "us_label_frames")
    spec = {
        "faceset": faceset,
        "roto": _files(node, frames, faceset.rstrip("/") + "_roto/label.%04d.exr"),
        "marks": str(node["us_marks"].value()),
    }
    return {"labelFaces": dict(spec, **_track(node))}


def teach(node: nuke.Node) -> Json:
    """Spec of the segmenter's training."""
    spec: Json = {
        "segmenter": nodes.need(node, "us_seg", "segmenter"),
        "facesets": [nodes.need(node, "us_dst", "dst faceset")],
        "preset": str(node["us_seg_preset"].value()).strip(),
    }
    iterations, minutes = int(node["us_seg_iterations"].value()), int(node["us_seg_minutes"].value())
    if iterations > 0:
        spec["targetIterations"] = iterations
    if minutes > 0:
        spec["targetTime"] = "{}s".format(60 * minutes)
    if iterations <= 0 and minutes <= 0:
        spec["untilConverged"] = True
    return {"trainSegmenter": spec}


def apply(node: nuke.Node) -> Json:
    """Spec of the job that writes a matte beside every face."""
    spec = {
        "segmenter": nodes.need(node, "us_seg", "segmenter"),
        "faceset": nodes.need(node, "us_dst", "dst faceset"),
    }
    return {"applySegmenter": dict(spec, **_track(node))}


def use_occ(node: nuke.Node) -> None:
    """Have the look's mask take the segmenter's matte in, as one step of undo; where it does already, nothing."""
    knob = node.knob(look.PREFIX + "mask")
    if knob is None or names(node):
        return
    said = str(knob.value()).strip()
    nuke.Undo.begin("Understudy: occ in the mask")
    try:
        knob.setValue("({})*occ".format(said) if re.search(r"[+-]", said) else said + "*occ")
    finally:
        nuke.Undo.end()


def names(node: nuke.Node) -> bool:
    """Whether the look's mask has a segmenter's matte in it."""
    knob = node.knob(look.PREFIX + "mask")
    return knob is not None and bool(re.search(r"\bocc(_face)?\b", str(knob.value())))


def suggest(node: nuke.Node, done: Callable[[List[int], UnderstudyError | None], object]) -> None:
    """Ask which frames it pays most to label next, and set them; never waits.

    Args:
        done: called on the main thread with the frames, or why there are none.
    """
    asked = dict(path=nodes.need(node, "us_dst", "dst faceset"), count=COUNT, **_track(node))
    node_id, name = str(node["us_id"].value()), node.fullName()

    def told(call: Any) -> None:
        daemon.on_main(lambda: taken(call))

    def taken(call: Any) -> None:
        try:
            frames = sorted({int(one["frame"]) for one in call.result().get("suggestions", [])})
        except UnderstudyError as error:
            done([], error)
            return
        found = nodes.found(node_id, name)
        if found is not None:
            found["us_label_frames"].setValue(ranges.said(frames))
        done(frames, None)

    daemon.link().call("SegmentService/SuggestLabels", asked, done=told)


def _files(node: nuke.Node, frames: Sequence[int], pattern: str, write: bool = True) -> Any:
    """The mask input's frames as `understudy.v1.PlateRef`: a Read's own files, else its alpha written out; None where
    it is not to be and is not there.
    """
    branch, plate = node.input(INPUT), node.input(0)
    assert branch is not None
    sizes = [(one.width(), one.height()) for one in (branch, plate) if one is not None]
    if sizes[0] != sizes[-1]:
        said = "the mask {} has {}×{} pixels, the plate {}×{}".format(branch.name(), *sizes[0], *sizes[-1])
        raise refused("us_mask", said)
    try:
        pattern = plates.resolve(node, frames[0], frames[-1], INPUT).pattern
    except plates.Between:  # a still is one too: held for every frame, as Nuke shows it
        if not write:
            there = all(os.path.isfile(pattern % frame) for frame in frames)
            return {"pattern": pattern, "frames": ranges.segments(frames)} if there else None
        plates.render(branch, pattern, ranges.runs(frames), "alpha")
    return {"pattern": pattern, "frames": ranges.segments(frames)}


def _track(node: nuke.Node) -> Json:
    track = int(node["us_track"].value())
    return {"track": track} if track >= 0 else {}
