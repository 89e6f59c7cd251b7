"""The trained model in Nuke's own Inference node: its TorchScript, and a CatFileCreator set up for it."""

from __future__ import annotations

import os
from typing import Any, Dict

import nuke

from . import node as nodes
from .daemon import refused

Json = Dict[str, Any]
IN = "rgba.red, rgba.green, rgba.blue"
OUT = IN + ", rgba.alpha"
NOTE = (
    "1. Create .cat and Inference\n2. Give the Inference node the aligned face (layer plate of aligned/)\n"
    "3. Link gain to the shot's, of manifest.json"
)


def export(node: nuke.Node) -> Json:
    """Spec of the export."""
    return {
        "exportModel": {
            "model": nodes.need(node, "us_model", "model"),
            "output": file_of(node),
            "format": "torchscript",
        }
    }


def file_of(node: nuke.Node) -> str:
    """Where the TorchScript goes.

    Raises:
        Refused: TCL in it, or it is no `.pt`.
    """
    said = str(node["us_pt"].value()).replace("\\", "/").strip()
    if not said:
        return nodes.need(node, "us_model", "model").rstrip("/") + ".pt"
    if "[" in said or not said.endswith(".pt"):
        raise refused("us_pt", "{}: give a plain path that ends in .pt".format(said))
    return said


def set_up(node: nuke.Node) -> nuke.Node:
    """A CatFileCreator below the node, all filled in; a person presses its button. One step of undo.

    One picture of three channels goes in and one of four comes out, in scene-linear light; `gain` is an attribute
    of the exported network, which a knob of that name sets.

    Raises:
        Refused: this Nuke has no such node; NukeX and Studio have.
    """
    pt = file_of(node)
    nuke.Undo.begin("Understudy: to Inference")
    try:
        with node.parent():
            try:
                creator: nuke.Node = nuke.nodes.CatFileCreator(name=node.name() + "_cat")
            except (AttributeError, RuntimeError) as error:
                raise refused(
                    "us_pt", "{} is written, but this Nuke has no CatFileCreator: NukeX has".format(pt)
                ) from error
            for name, value in (
                ("torchScriptFile", pt),
                ("catFile", os.path.splitext(pt)[0] + ".cat"),
                ("channelsIn", IN),
                ("channelsOut", OUT),
                ("modelId", node.name()),
                ("outputScale", 1),
                ("label", NOTE),
            ):
                knob = creator.knob(name)
                if knob is not None:
                    knob.setValue(value)
            gain = nuke.Double_Knob("gain", "gain")
            gain.setValue(1.0)
            gain.setTooltip(
                "What the network sees the face multiplied by; the merge's manifest.json has the shot's."
            )
            creator.addKnob(gain)
            creator.setXYpos(node.xpos() + 160, node.ypos() + 100)
    finally:
        nuke.Undo.end()
    return creator
