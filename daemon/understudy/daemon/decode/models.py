"""The specs of work with models beside training: export, import, combine, restore. Nothing here loads torch."""

from __future__ import annotations

from pathlib import Path

from understudy.core.errors import InvalidInput
from understudy.core.model import store
from understudy.daemon.decode.inputs import release_of
from understudy.daemon.decode.settings import Work
from understudy.daemon.outputs import Output
from understudy.daemon.refs import Refs, named, one_of
from understudy.v1 import model_pb2


def export(spec: model_pb2.ExportModelSpec, refs: Refs) -> Work:
    from understudy.core.model.exchange.settings import OPSET, SUFFIXES, ExportSettings

    model = model_of(spec.model, refs, "export_model.model")
    if spec.format:
        one_of(spec.format, SUFFIXES, "export_model.format")
    kind = spec.format or _format(spec.output)
    suffix = SUFFIXES[kind]
    field = "export_model.output"
    out = refs.file_out(spec.output, field, suffix) if suffix else refs.folder_out(spec.output, field)
    attached = release_of(spec.release, refs, "export_model.release")
    with named("export_model", {"out": "output", "path": "model"}):
        settings = ExportSettings(
            model=model,
            out=out,
            format=kind,
            opset=spec.opset or OPSET,
            half=spec.half,
            gain=spec.gain or 1.0,
            swap_back=spec.swap_back,
            release=attached,
            folders=spec.folders,
        )
        if not refs.will_be(Output.of_folder(model)):
            state = store.read_state(model)
            settings.check(state, refs.colour.working)
            settings.done(state)
    outputs = (Output.of_file(out) if suffix else Output.of_folder(out),)
    return Work(settings=settings, outputs=outputs, label=f"export {model.name} as {kind}")


def import_(spec: model_pb2.ImportModelSpec, refs: Refs) -> Work:
    from understudy.core.model.exchange import saehd
    from understudy.core.model.exchange.settings import ImportSettings

    source = refs.folder(spec.source, "import_model.source")
    out = refs.folder_out(spec.output, "import_model.output")
    records = [release_of(path, refs, "import_model.releases") for path in spec.releases]
    with named("import_model", {"out": "output", "folder": "source"}):
        settings = ImportSettings(
            source=source, out=out, name=spec.name, releases=tuple(filter(None, records))
        )
        if not refs.will_be(Output.of_folder(source)):
            _apart(source, out, "output")
            if settings.exported:
                store.read_config(source)
            else:
                saehd.choose(source, spec.name)
    return Work(settings=settings, outputs=(Output.of_folder(out),), label=f"import {source.name}")


def combine(spec: model_pb2.CombineModelsSpec, refs: Refs) -> Work:
    from understudy.core.model.combine import CombineSettings

    out = refs.folder_out(spec.output, "combine_models.output")
    base = model_of(spec.base, refs, "combine_models.base") if spec.base else None
    parts = {part: model_of(path, refs, "combine_models.parts") for part, path in sorted(spec.parts.items())}
    givers = list(filter(None, (base, *parts.values())))
    with named("combine_models", {"out": "output"}):
        settings = CombineSettings(out=out, parts=parts, base=base)
        for giver in givers:
            _apart(giver, out, "output")
        if not any(refs.will_be(Output.of_folder(giver)) for giver in givers):
            settings.check()
    return Work(settings=settings, outputs=(Output.of_folder(out),), label=f"combine into {out.name}")


def restore(spec: model_pb2.RestoreModelSpec, refs: Refs) -> Work:
    from understudy.core.model.backups import BACKUPS, RestoreSettings

    refs.folder(spec.model, "restore_model.model")  # who reads it may follow its links
    model = refs.folder_out(spec.model, "restore_model.model")
    for kept in ("checkpoints", BACKUPS):  # which may be links
        refs.site.roots.writable(model / kept, "restore_model.model")
    with named("restore_model"):
        settings = RestoreSettings(model=model, backup=spec.backup)
    return Work(settings=settings, outputs=(Output.of_folder(model),), label=f"restore {model.name}")


def model_of(path: str, refs: Refs, field: str) -> Path:
    """A model that is trained, or is promised."""
    folder = refs.folder(path, field)
    if not refs.will_be(Output.of_folder(folder)):
        with named("", {"model": field}):
            store.read_config(folder)
            store.read_state(folder)
    return folder


def _format(output: str) -> str:
    """What the ending of the output says."""
    from understudy.core.model.exchange.settings import SUFFIXES

    suffix = Path(output).suffix.lower()
    return next((name for name, its in SUFFIXES.items() if its == suffix), "weights")


def _apart(source: Path, out: Path, field: str) -> None:
    """Refuse an output that is what it would be made of, or lies in it or around it."""
    if Output.of_folder(source).overlaps(Output.of_folder(out)):
        raise InvalidInput(
            f"{out} and {source}, which it would be made of, lie in one another; name another folder",
            field=field,
            value=out,
        )
