"""`understudy merge`: a plate, its people's faces and their models become finished frames."""

from __future__ import annotations

from typing import Annotated

import typer

from understudy.client.cli import options
from understudy.client.cli.context import State, segments
from understudy.client.cli.follow import run
from understudy.client.cli.people import People, PersonPaths, Said, people
from understudy.client.errors import Refused
from understudy.client.specs import Plate


def command(
    context: typer.Context,
    *,
    plate: Annotated[str, typer.Argument(metavar="PLATE.####.exr")],
    faceset: Annotated[str, typer.Option("--faceset", metavar="FOLDER", help="Faces of this plate.")] = "",
    model: Annotated[str, typer.Option("--model", metavar="FOLDER")] = "",
    person: People = None,
    person_path: PersonPaths = None,
    out: Annotated[str, typer.Option("--out", metavar="COMP.####.exr", help="The finished frames.")],
    frames: Annotated[
        options.Text,
        typer.Option(
            "--frames", metavar="RANGE", help="Write only these: a chunk looks as in the whole shot."
        ),
    ] = None,
    chunk: Annotated[
        options.Text,
        typer.Option(
            "--chunk", metavar="RANGE", help="As --frames, but 1001-1009:2: how a farm names a task's frames."
        ),
    ] = None,
    plate_frames: Annotated[
        options.Text,
        typer.Option(
            "--plate-frames", metavar="RANGE", help="The shot that the look is fitted over. Default: all."
        ),
    ] = None,
    frames_dialect: options.Dialect = "fileseq",
    colour_space: options.ColourSpace = "",
    view: options.Views = None,
    track: Annotated[
        options.Whole, typer.Option("--track", help="Which person, where there are several.")
    ] = None,
    recipe: options.RecipeFile = None,
    recipe_from: options.RecipeFrom = "",
    match: options.Match = None,
    match_amount: options.MatchAmount = None,
    blend: options.Blend = None,
    mask: options.Mask = None,
    erode: options.Erode = None,
    feather: options.Feather = None,
    opacity: options.Opacity = None,
    smooth: options.Smooth = None,
    mask_smooth: options.MaskSmooth = None,
    set_: options.LookSets = None,
    segmenter: options.Segmenter = "",
    enhancer: options.Enhancer = "",
    limit_matte: options.LimitMattes = None,
    add_matte: options.AddMattes = None,
    keep_matte: options.KeepMattes = None,
    matte_channel: options.MatteChannel = "",
    aligned: Annotated[
        bool, typer.Option("--aligned", help="Also write the faces at model resolution.")
    ] = False,
    layers: options.Layers = None,
    no_layers: options.NoLayers = False,
    no_contact_sheet: Annotated[
        bool, typer.Option("--no-contact-sheet", help="For a farm's chunks.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again/--no-again", help="Make frames again that are there, made of the same.")
    ] = False,
    analyse_only: Annotated[
        bool,
        typer.Option("--analyse-only", help="Only fit what is fitted over the shot, for chunks to find."),
    ] = False,
    device: options.Device = "",
    detach: options.Detach = False,
) -> None:
    """Put the model's face into the plate, or several people's, and write finished frames with layers."""
    shot = segments(plate_frames, frames_dialect, "plate_frames")
    given = Plate(plate, shot, colour_space, view or ())
    everybody = Said(
        faceset=faceset,
        model=model,
        track=track,
        recipe=recipe,
        recipe_from=recipe_from,
        segmenter=segmenter,
        enhancer=enhancer,
        sets=set_ or (),
        mattes=options.user_mattes(
            frames_dialect, limit=limit_matte, add=add_matte, keep=keep_matte, channel=matte_channel
        ),
        look={
            "match": match,
            "match_amount": match_amount,
            "blend": blend,
            "mask": mask,
            "erode": erode,
            "feather": feather,
            "opacity": opacity,
            "smooth": smooth,
            "mask_smooth": mask_smooth,
        },
    )
    said = people(person, everybody, frames_dialect, matte_channel, person_path or ())
    found = [each.person(frames_dialect) for each in said]
    if frames is not None and chunk is not None:
        raise Refused.invalid("chunk", chunk, "--frames and --chunk exclude each other")
    wanted = segments(frames, frames_dialect) or segments(chunk, "openjd", "chunk")
    run(
        State.of(context),
        lambda session: session.merge_people(
            given,
            [each(session) for each in found],
            out,
            frames=wanted,
            layers=options.layers(layers, no_layers=no_layers),
            aligned=aligned,
            device=device,
            contact_sheet=not no_contact_sheet,
            again=again,
            analyse_only=analyse_only,
        ),
        detach=detach,
    )
