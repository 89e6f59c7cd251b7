"""`understudy model`: what a model is, to other programs and back, out of parts of others, back to a backup."""

import typer

from understudy.client.cli import history
from understudy.client.cli.model import jobs, look

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    help="Models beside training: look, export for other programs, import, combine parts, go back to a backup.",
)
for verb, command in (
    ("show", look.show),
    ("history", history.command),
    ("export", jobs.export),
    ("import", jobs.import_),
    ("combine", jobs.combine),
    ("backups", look.backups),
    ("restore", jobs.restore),
):
    app.command(verb)(command)
