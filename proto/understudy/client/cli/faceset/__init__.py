"""`understudy faceset`: look into facesets, sort and weed them, mark faces by hand, pack and convert."""

import typer

from understudy.client.cli.faceset import edit, jobs, look, manual

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    help="Look into facesets, sort and weed them, mark faces by hand, pack and convert.",
)
for verb, command in (
    ("info", look.info),
    ("list", look.list_),
    ("sort", look.sort),
    ("measure", jobs.measure),
    ("stats", look.stats),
    ("coverage", jobs.coverage),
    ("sheet", jobs.sheet),
    ("reject", edit.reject),
    ("restore", edit.restore),
    ("duplicates", edit.duplicates),
    ("pick", look.pick),
    ("review", look.review),
    ("pack", jobs.pack),
    ("unpack", jobs.unpack),
    ("resize", jobs.resize),
    ("import", jobs.import_),
    ("export", jobs.export),
    ("join", jobs.join),
):
    app.command(verb)(command)
app.add_typer(manual.app, name="manual")
