"""`understudy segment`: what covers a face. Roto becomes labels, labels a segmenter, a segmenter mattes."""

import typer

from understudy.client.cli.segment import jobs, look

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    help="Mattes of faces: label some by roto, train a segmenter, apply it to all, label what it was least sure of.",
)
for verb, command in (
    ("label", jobs.label),
    ("train", jobs.train),
    ("apply", jobs.apply),
    ("preview", jobs.preview),
    ("next", look.next_),
    ("show", look.show),
    ("clear", look.clear),
):
    app.command(verb)(command)
