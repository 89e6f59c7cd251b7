"""The specs of faceset tools. Their modules in core are loaded here when needed: most daemons live for one command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from understudy.core.align import FACE_TYPES
from understudy.core.errors import InvalidInput, NotFound
from understudy.daemon.decode import families
from understudy.daemon.decode.enhance import needed
from understudy.daemon.decode.inputs import faceset_of, release_of
from understudy.daemon.decode.settings import Work
from understudy.daemon.outputs import Output
from understudy.daemon.refs import Refs, named, one_of
from understudy.v1 import job_pb2, resource_pb2

if TYPE_CHECKING:
    from understudy.core.faceset.query import Query

PICTURE, PACK = ".png", ".faceset"


def measure(spec: job_pb2.MeasureFacesetSpec, refs: Refs) -> Work:
    from understudy.core.faceset.keys import KEYS
    from understudy.core.faceset.measured import folder_of
    from understudy.core.faceset.measures import MeasureSettings

    faceset = _input(spec.faceset, refs, "measure_faceset.faceset")
    for place in (faceset, folder_of(faceset)):  # where the numbers are kept, which may be a link
        refs.site.roots.writable(place, "measure_faceset.faceset")
    for key in spec.keys:
        one_of(key, KEYS, "measure_faceset.keys")
    reference = refs.file(spec.reference, "measure_faceset.reference") if spec.reference else None
    identity = families.choice("identity", spec.identity, "measure_faceset.identity")
    if reference is not None or "reference" in spec.keys:
        families.have_weights(refs, {"identity": identity})
    with named("measure_faceset"):
        settings = MeasureSettings(
            faceset=faceset, keys=tuple(spec.keys), reference=reference, identity=identity
        )
    return Work(settings=settings, outputs=(_measures(faceset),), label=f"measure {faceset.name}")


def sheet(spec: job_pb2.FacesetSheetSpec, refs: Refs) -> Work:
    from understudy.core.faceset.query import find
    from understudy.core.faceset.sheet import SheetSettings

    faceset = _input(spec.faceset, refs, "faceset_sheet.faceset")
    out = refs.file_out(spec.output, "faceset_sheet.output", PICTURE)
    with named("faceset_sheet", {"out": "output"}):
        wanted = query(spec.query)
        given = {name: value for name in ("count", "cell") if (value := getattr(spec, name))}
        settings = SheetSettings(faceset=faceset, out=out, query=wanted, **given)
    if (opened := faceset_of(faceset, refs, "faceset_sheet.faceset")) is not None:
        with named("faceset_sheet.query"):
            found = find(opened, wanted)
        if not len(found):
            field = "faceset_sheet.query"
            raise NotFound(f"{field}: it finds no face of {faceset}", path=faceset, field=field)
    return Work(settings=settings, outputs=(Output.of_file(out),), label=f"sheet of {faceset.name}")


def coverage(spec: job_pb2.FacesetCoverageSpec, refs: Refs) -> Work:
    from understudy.core.faceset.coverage import CoverageSettings

    faceset = _input(spec.faceset, refs, "faceset_coverage.faceset")
    out = refs.file_out(spec.output, "faceset_coverage.output", PICTURE)
    against = _input(spec.against, refs, "faceset_coverage.against") if spec.against else None
    with named("faceset_coverage", {"out": "output"}):
        settings = CoverageSettings(faceset=faceset, out=out, against=against)
    outputs = (Output.of_file(out), Output.of_file(out.with_suffix(".json")))
    return Work(settings=settings, outputs=outputs, label=f"coverage of {faceset.name}")


def pack(spec: job_pb2.PackFacesetSpec, refs: Refs) -> Work:
    from understudy.core.faceset.pack import PackSettings

    faceset = _input(spec.faceset, refs, "pack_faceset.faceset")
    out = refs.file_out(spec.output, "pack_faceset.output", PACK)
    with named("pack_faceset", {"out": "output"}):
        settings = PackSettings(faceset=faceset, out=out)
    return Work(settings=settings, outputs=(Output.of_file(out),), label=f"pack {faceset.name}")


def unpack(spec: job_pb2.UnpackFacesetSpec, refs: Refs) -> Work:
    from understudy.core.faceset.pack import UnpackSettings

    source = refs.site.roots.readable(spec.pack, "unpack_faceset.pack")
    if not refs.will_be(Output.of_file(source)):
        refs.file(spec.pack, "unpack_faceset.pack")
    out = _out(spec.output, refs, "unpack_faceset.output", (source,))
    with named("unpack_faceset", {"out": "output"}):
        settings = UnpackSettings(pack=source, out=out)
    return Work(settings=settings, outputs=(Output.of_folder(out),), label=f"unpack {source.name}")


def resize(spec: job_pb2.ResizeFacesetSpec, refs: Refs) -> Work:
    from understudy.core.faceset.resize import ResizeSettings

    faceset = _input(spec.faceset, refs, "resize_faceset.faceset")
    out = _out(spec.output, refs, "resize_faceset.output", (faceset,))
    if spec.face_type:
        one_of(spec.face_type, FACE_TYPES, "resize_faceset.face_type")
    enhance = families.choice("enhance", spec.enhance, "resize_faceset.enhance")
    enhancer = needed((enhance,), spec.enhancer, refs, "resize_faceset.enhancer")
    with named("resize_faceset", {"out": "output"}):
        settings = ResizeSettings(
            faceset=faceset,
            out=out,
            size=spec.size,
            face_type=spec.face_type,
            enhance=enhance,
            enhancer=enhancer,
        )
    return Work(settings=settings, outputs=(Output.of_folder(out),), label=f"resize {faceset.name}")


def import_(spec: job_pb2.ImportFacesetSpec, refs: Refs) -> Work:
    from understudy.core.faceset.dfl import ImportSettings

    source = refs.site.roots.readable(spec.source, "import_faceset.source")
    if not source.is_file():
        refs.folder(spec.source, "import_faceset.source")
    out = _out(spec.output, refs, "import_faceset.output", (source,))
    attached = release_of(spec.release, refs, "import_faceset.release")
    with named("import_faceset", {"out": "output"}):
        settings = ImportSettings(source=source, out=out, release=attached)
    return Work(settings=settings, outputs=(Output.of_folder(out),), label=f"import {source.name}")


def export(spec: job_pb2.ExportFacesetSpec, refs: Refs) -> Work:
    from understudy.core.faceset.dfl import ExportSettings

    faceset = _input(spec.faceset, refs, "export_faceset.faceset")
    out = _out(spec.output, refs, "export_faceset.output", (faceset,))
    given = {"quality": spec.quality} if spec.quality else {}
    with named("export_faceset", {"out": "output"}):
        settings = ExportSettings(faceset=faceset, out=out, **given)
    return Work(settings=settings, outputs=(Output.of_folder(out),), label=f"export {faceset.name}")


def join(spec: job_pb2.JoinFacesetsSpec, refs: Refs) -> Work:
    from understudy.core.faceset.join import JoinSettings

    sources = tuple(_input(path, refs, "join_facesets.facesets") for path in spec.facesets)
    out = _out(spec.output, refs, "join_facesets.output", sources)
    with named("join_facesets", {"out": "output"}):
        settings = JoinSettings(facesets=sources, out=out)
    return Work(settings=settings, outputs=(Output.of_folder(out),), label=f"join into {out.name}")


def query(message: resource_pb2.FaceQuery) -> Query:
    """The query of a request, its keys known.

    Raises:
        InvalidInput: names the field below `query`.
    """
    from understudy.core.faceset.query import Query, Range

    with named("query"):
        ranges = tuple(
            Range(
                key=each.key,
                minimum=each.minimum if each.HasField("minimum") else None,
                maximum=each.maximum if each.HasField("maximum") else None,
            )
            for each in message.ranges
        )
        return Query(
            names=tuple(message.names),
            tracks=tuple(message.tracks),
            frames=Refs.frames(message.frames, "frames"),
            views=tuple(message.views),
            ranges=ranges,
            invert=message.invert,
            order=message.order,
            reverse=message.reverse,
            limit=message.limit,
        )


def _input(path: str, refs: Refs, field: str) -> Path:
    """A faceset with a face in it, or one that is promised."""
    place = refs.faceset(path, field)
    with named("", {"faceset": field}):
        faceset_of(place, refs, field)
    return place


def _out(path: str, refs: Refs, field: str, sources: Sequence[Path]) -> Path:
    """The folder of another faceset: not one of those it is made of."""
    folder = refs.faceset_out(path, field)
    for source in sources:
        if Output.of_folder(source) == Output.of_folder(folder):
            raise InvalidInput(
                f"{field}: {folder} is what it would be made of; name another folder", field=field, value=path
            )
    return folder


def _measures(faceset: Path) -> Output:
    """Where a faceset's measures are kept."""
    return Output.of_file(faceset) if faceset.is_file() else Output.of_folder(faceset)
