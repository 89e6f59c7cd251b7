"""`understudy review`: finished frames as a movie and a contact sheet, for people to look at."""

from __future__ import annotations

from typing import Annotated

import typer

from understudy.client.cli import options
from understudy.client.cli.context import State, one_of, segments
from understudy.client.cli.follow import run
from understudy.client.specs import Plate
from understudy.client.specs.review import LAYOUTS


def command(
    context: typer.Context,
    *,
    output: Annotated[str, typer.Argument(metavar="COMP.####.exr")],
    out: Annotated[
        str, typer.Option("--out", metavar="MOVIE", help="A .mov is ProRes 422 HQ, an .mp4 H.264.")
    ] = "",
    sheet: Annotated[
        str, typer.Option("--sheet", metavar="SHEET.png", help="A contact sheet; the frames need layers.")
    ] = "",
    frames: options.Frames = None,
    frames_dialect: options.Dialect = "fileseq",
    colour_space: options.ColourSpace = "",
    view: options.Views = None,
    plate: Annotated[
        options.Text,
        typer.Option(
            "--plate",
            metavar="PLATE.####.exr",
            help="Show it too. Default, where it is needed: what the headers name.",
        ),
    ] = None,
    plate_colour_space: Annotated[
        str, typer.Option("--plate-colour-space", help="Default: what the merge wrote down.")
    ] = "",
    layout: Annotated[
        str,
        typer.Option(
            "--layout",
            metavar="|".join(filter(None, LAYOUTS)),
            help="Default: side-by-side with --plate, else single.",
        ),
    ] = "",
    wipe: Annotated[
        options.Real, typer.Option("--wipe", help="Where the plate ends, 0 to 1 from the left. Default: 0.5.")
    ] = None,
    display: Annotated[
        str, typer.Option("--display", help="Of the colour config. Default: the config's.")
    ] = "",
    display_view: Annotated[
        str, typer.Option("--display-view", help="Of that display. Default: the display's.")
    ] = "",
    exposure: Annotated[
        float, typer.Option("--exposure", help="Stops that the scene is made brighter.")
    ] = 0.0,
    rate: Annotated[
        options.Text,
        typer.Option("--rate", help="Frames a second: 24, 23.976, 24000/1001. Default: the headers'."),
    ] = None,
    burn_in: Annotated[
        bool, typer.Option("--burn-in/--no-burn-in", help="Write name, version, frame and timecode into it.")
    ] = True,
    version: Annotated[
        str, typer.Option("--burn-version", help="In the burn-in. Default: the path's, such as v012.")
    ] = "",
    width: Annotated[int, typer.Option("--width", help="Of the movie at most. Default: 4096.")] = 0,
    rows: Annotated[int, typer.Option("--rows", help="Frames on the contact sheet. Default: 5.")] = 0,
    detach: options.Detach = False,
) -> None:
    """Make a movie of finished frames, a contact sheet or both.

    A frame that is missing or cannot be read has a picture that says so. Exit code 2 when one cannot be read, 3 when
    one is missing.
    """
    given = Plate(output, segments(frames, frames_dialect), colour_space, view or ())
    original = None if plate is None else Plate(plate, colour_space=plate_colour_space)
    layout = one_of(layout, tuple(filter(None, LAYOUTS)), "layout") if layout else ""
    run(
        State.of(context),
        lambda session: session.review(
            given,
            movie=out,
            contact_sheet=sheet,
            original=original,
            layout=layout,
            wipe=wipe,
            display=display,
            display_view=display_view,
            exposure=exposure,
            rate=rate,
            burn_in=burn_in,
            version=version,
            width=width,
            rows=rows,
        ),
        detach=detach,
    )
