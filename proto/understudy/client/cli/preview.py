"""`understudy preview`: what models make now, of a training that runs above all, without a job."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from understudy.client import specs
from understudy.client.cli import options
from understudy.client.cli.context import State
from understudy.client.cli.people import People, Said, people
from understudy.client.errors import Refused
from understudy.client.previews import WAIT_S, Preview
from understudy.client.specs import Plate

app = typer.Typer(
    no_args_is_help=True,
    help="Look at what a model makes now. A training shows it between two iterations, and nothing changes in it.",
)
Wait = Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds to wait for it, 60 at most.")]


@app.command()
def frame(
    context: typer.Context,
    *,
    plate: Annotated[str, typer.Argument(metavar="PLATE.####.exr")],
    number: Annotated[int, typer.Option("--frame", metavar="N", help="Which one of the plate.")],
    out: Annotated[
        str, typer.Option("--out", metavar="FILE.png|FILE.exr", help="An .exr has all layers of a merge.")
    ],
    faceset: Annotated[str, typer.Option("--faceset", metavar="FOLDER", help="Faces of this plate.")] = "",
    model: Annotated[str, typer.Option("--model", metavar="FOLDER")] = "",
    person: People = None,
    frames_dialect: options.Dialect = "fileseq",
    colour_space: options.ColourSpace = "",
    view: options.Views = None,
    track: Annotated[
        options.Whole, typer.Option("--track", help="Which person, where there are several.")
    ] = None,
    recipe: options.RecipeFile = None,
    recipe_from: options.RecipeFrom = "",
    set_: options.LookSets = None,
    segmenter: options.Segmenter = "",
    enhancer: options.Enhancer = "",
    size: Annotated[
        int, typer.Option("--size", min=0, help="Of a PNG's longer side at most; 0: the plate's.")
    ] = 0,
    device: options.Device = "",
    timeout: Wait = WAIT_S,
    overwrite: options.Overwrite = False,
) -> None:
    """Show one frame of a merge, by the weights of this moment where the model is in training.

    The colour match is fitted to this frame alone, and grain, denoise and mask_smooth are left out.
    """
    path = _free(out, (".png", ".exr"), overwrite=overwrite)
    everybody = Said(
        faceset=faceset,
        model=model,
        track=track,
        recipe=recipe,
        recipe_from=recipe_from,
        segmenter=segmenter,
        enhancer=enhancer,
        sets=set_ or (),
        mattes=[],
        look={},
    )
    found = [said.person(frames_dialect) for said in people(person, everybody, frames_dialect, "")]
    ours = State.of(context)
    with ours.session() as session:
        shown = session.preview_people(
            Plate(plate, (), colour_space, view or ()),
            [each(session) for each in found],
            number,
            size=size,
            exr=path.suffix.lower() == ".exr",
            device=device,
            timeout=timeout,
        )
    _write(ours, shown, path)


@app.command()
def training(
    context: typer.Context,
    *,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Its folder; its training runs.")],
    out: Annotated[str, typer.Option("--out", metavar="FILE.png")],
    timeout: Wait = WAIT_S,
    overwrite: options.Overwrite = False,
) -> None:
    """Show where a running training stands, as the pictures in the model's `previews` do."""
    path = _free(out, (".png",), overwrite=overwrite)
    ours = State.of(context)
    with ours.session() as session:
        shown = session.preview_training(model, timeout=timeout)
    _write(ours, shown, path)


def _free(out: str, suffixes: tuple[str, ...], *, overwrite: bool) -> Path:
    """Where to write."""
    path = Path(specs.absolute(out))
    if path.suffix.lower() not in suffixes:
        raise Refused.invalid("out", out, f"{out!r} must end in {' or '.join(suffixes)}")
    if path.exists() and not overwrite:
        raise Refused.invalid("out", out, f"{out} is there; --overwrite replaces it")
    return path


def _write(state: State, shown: Preview, path: Path) -> None:
    """Beside, then renamed: a viewer that watches the file never reads half of it."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        beside.write_bytes(shown.data)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise Refused(
            f"{path}: {error.strerror}", reason="WRITE_FAILED", metadata={"path": str(path)}
        ) from error
    about = {"path": str(path), "iteration": shown.iteration, "live": shown.live, "faces": shown.faces}
    state.result("preview", {**about, "warnings": list(shown.warnings)}, lambda: _told(shown, path))


def _told(shown: Preview, path: Path) -> str:
    which = "in training" if shown.live else "its checkpoint"
    return "\n".join([f"{path}: iteration {shown.iteration}, {which}", *shown.warnings])
