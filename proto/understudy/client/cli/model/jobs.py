"""Jobs on models: `export`, `import`, `combine`, `restore`."""

from __future__ import annotations

from typing import Annotated

import typer

from understudy.client.cli import options
from understudy.client.cli.context import State
from understudy.client.cli.follow import run
from understudy.client.errors import Refused

Model = Annotated[str, typer.Argument(metavar="MODEL", help="Its folder.")]
Out = Annotated[str, typer.Option("--out", metavar="MODEL", help="The new folder.")]


def export(
    context: typer.Context,
    *,
    model: Model,
    out: Annotated[
        str,
        typer.Option("--out", metavar="FILE|FOLDER", help="FILE.onnx, .dfm or .pt; a folder for weights."),
    ],
    format_: Annotated[
        str,
        typer.Option(
            "--format", metavar="onnx|dfm|torchscript|weights", help="Default: what the output's ending says."
        ),
    ] = "",
    opset: Annotated[int, typer.Option("--opset", min=0, help="Of onnx, 11 to 20; 0: 17.")] = 0,
    half: Annotated[
        bool, typer.Option("--half", help="Of onnx and dfm: half precision, half the size.")
    ] = False,
    gain: Annotated[
        float, typer.Option("--gain", min=0.0, help="Of dfm: brings a shown face to mid grey; 0: 1.")
    ] = 0.0,
    swap_back: Annotated[
        bool, typer.Option("--swap-back", help="Put dst's face on src; needs a --release of dst's.")
    ] = False,
    release: options.Release = "",
    folders: Annotated[
        bool, typer.Option("--folders", help="Of weights: the card tells where src and dst lay.")
    ] = False,
    detach: options.Detach = False,
) -> None:
    """Write a model for another program: ONNX, DeepFaceLive's DFM, TorchScript for Nuke, or weights with a card.

    The file is there only when it has answered as the model does, and says inside whose likeness it holds.
    """
    run(
        State.of(context),
        lambda session: session.export_model(
            model,
            out,
            format=format_,
            opset=opset,
            half=half,
            gain=gain,
            swap_back=swap_back,
            release=release,
            folders=folders,
        ),
        detach=detach,
    )


def import_(
    context: typer.Context,
    *,
    source: Annotated[
        str, typer.Argument(metavar="FOLDER", help="DeepFaceLab's model folder, or exported weights.")
    ],
    out: Out,
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="Which, where DeepFaceLab's folder holds several.")
    ] = "",
    release: Annotated[
        options.Texts,
        typer.Option("--release", metavar="FILE", help="Release record of the face; again for more."),
    ] = None,
    detach: options.Detach = False,
) -> None:
    """Make a model of one that DeepFaceLab saved (SAEHD, Quick96), or of exported weights. Nothing in it is run."""
    run(
        State.of(context),
        lambda session: session.import_model(source, out, name=name, releases=release or ()),
        detach=detach,
    )


def combine(
    context: typer.Context,
    *,
    out: Annotated[str, typer.Argument(metavar="MODEL", help="The new folder.")],
    part: Annotated[
        list[str],
        typer.Option(
            "--part",
            metavar="PART=MODEL",
            help="encoder, inter, decoder_src or decoder_dst (of LIAE encoder, inter_AB, inter_B, decoder) and the "
            "model that gives it; again for more.",
        ),
    ],
    base: Annotated[
        str, typer.Option("--base", metavar="MODEL", help="Gives all parts that are not named.")
    ] = "",
    detach: options.Detach = False,
) -> None:
    """Make a model out of parts of others, of the same sizes and colour. It carries the releases of all of them."""
    parts = dict(_part(each) for each in part)
    if len(parts) < len(part):
        raise Refused.invalid("part", " ".join(part), "a part is named twice")
    run(State.of(context), lambda session: session.combine_models(out, parts, base=base), detach=detach)


def restore(
    context: typer.Context,
    *,
    model: Model,
    backup: Annotated[
        str, typer.Argument(metavar="BACKUP", help="Its name, from `understudy model backups`.")
    ],
    detach: options.Detach = False,
) -> None:
    """Go back to a backup. What the model is now is kept among the backups."""
    run(State.of(context), lambda session: session.restore_model(model, backup), detach=detach)


def _part(text: str) -> tuple[str, str]:
    name, equals, model = text.partition("=")
    if not (name and equals and model):
        raise Refused.invalid("part", text, f"{text!r} is not PART=MODEL, e.g. decoder_src=b.model")
    return name, model
