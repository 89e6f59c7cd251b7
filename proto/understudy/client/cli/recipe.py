"""`understudy recipe`: looks as files, of finished frames too."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer
from google.protobuf import json_format

from understudy.client import lines, specs
from understudy.client.cli import options, printed
from understudy.client.cli.context import State
from understudy.client.errors import Refused
from understudy.v1.common_pb2 import Parameter
from understudy.v1.recipe_pb2 import Recipe

app = typer.Typer(
    no_args_is_help=True, help="Save looks as recipe files, and read them out of finished frames."
)

Source = Annotated[
    str, typer.Argument(metavar="FILE.json|COMP.1001.exr", help="A recipe file or a finished frame.")
]


Whose = Annotated[
    str, typer.Option("--person", metavar="NAME", help="Of a frame with several people: whose look.")
]


@app.command()
def show(context: typer.Context, source: Source, *, person: Whose = "") -> None:
    """Tell a look, each setting as --set takes it."""
    ours = State.of(context)
    with ours.session() as session:
        found = session.recipe(source, person=person)
    ours.result("recipe", found, lambda: "\n".join(_line(*said) for said in specs.texts(found)))


@app.command()
def save(
    context: typer.Context,
    *,
    file: Annotated[str, typer.Argument(metavar="FILE.json", help="Is replaced where it is there.")],
    source: Annotated[
        str,
        typer.Option(
            "--from", metavar="FILE.json|COMP.1001.exr", help="Where to start. Default: the defaults."
        ),
    ] = "",
    person: Whose = "",
    set_: options.LookSets = None,
    frames_dialect: options.Dialect = "fileseq",
) -> None:
    """Write a look to a file for `merge --recipe`: that of another file or of a finished frame, with changes."""
    path = Path(specs.absolute(file))
    if path.suffix.lower() != ".json":
        raise Refused.invalid("file", file, f"{file!r} must end in .json")
    changes = specs.recipe()
    specs.change(changes, set_ or (), frames_dialect)
    ours = State.of(context)
    with ours.session() as session:
        made = session.recipe(source, changes, person=person)
    _write(path, made)
    ours.result("recipe", made, str(path))


@app.command(name="list")
def list_(context: typer.Context) -> None:
    """List every setting with its default and range; a K says that it takes keys."""
    ours = State.of(context)
    with ours.session() as session:
        found = session.info().recipe
    if ours.as_json:
        for each in found:
            print(lines.line("parameter", lines.plain(each)))
        return
    heads = ("setting", "K", "default", "range", "what it is")
    printed.table(heads, map(_row, found), left=heads)


def _row(setting: Parameter) -> tuple[str, ...]:
    between = f"{setting.minimum:g} to {setting.maximum:g}" if setting.HasField("minimum") else ""
    choices, default = ", ".join(setting.choices), setting.default_value
    if setting.type == "bool":  # as `--set` and `recipe show` write it
        choices, default = "yes, no", "yes" if default == "true" else "no"
    return setting.name, "K" * setting.keyable, default, between or choices, setting.help


def _line(name: str, value: str) -> str:
    return printed.clean(f"{name:<24}{value}")


def _write(path: Path, look: Recipe) -> None:
    """Beside, then renamed: nobody reads half a look."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        beside.write_text(json.dumps(json_format.MessageToDict(look), indent=1) + "\n", encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise Refused(
            f"{path}: {error.strerror}", reason="WRITE_FAILED", metadata={"path": str(path)}
        ) from error
