"""From a JobSpec to core's settings, with every check that can be made before the work begins.

The server decodes to refuse at submit; the worker decodes the same spec again when the job starts, by when the inputs
that other jobs were to make must be there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from understudy.core.colour import ColourConfig
from understudy.core.errors import InvalidInput
from understudy.daemon.decode import enhance, facesets, merge, models, segment, stages, train
from understudy.daemon.decode.extract import extract
from understudy.daemon.decode.review import review
from understudy.daemon.decode.settings import (
    CheckPlate,
    Ingest,
    Merge,
    PlotHistory,
    Pull,
    Torture,
    Verify,
    Work,
)
from understudy.daemon.decode.train import changed, commands, course
from understudy.daemon.outputs import Output
from understudy.daemon.refs import Refs
from understudy.daemon.site import Site
from understudy.v1 import job_pb2

__all__ = [
    "CheckPlate", "Ingest", "Merge", "PlotHistory", "Pull", "Torture", "Verify", "Work", "changed", "commands",
    "course", "work",
]  # fmt: skip

_KINDS: Mapping[str, Callable[[Any, Refs], Work]] = MappingProxyType(
    {
        "ingest": stages.ingest,
        "extract": extract,
        "train": train.train,
        "merge": merge.merge,
        "verify": stages.verify_,
        "pull_weights": stages.pull_weights,
        "check_plate": stages.check_plate,
        "torture": stages.torture,
        "measure_faceset": facesets.measure,
        "faceset_sheet": facesets.sheet,
        "faceset_coverage": facesets.coverage,
        "pack_faceset": facesets.pack,
        "unpack_faceset": facesets.unpack,
        "resize_faceset": facesets.resize,
        "import_faceset": facesets.import_,
        "export_faceset": facesets.export,
        "join_facesets": facesets.join,
        "label_faces": segment.label,
        "train_segmenter": segment.train,
        "apply_segmenter": segment.apply,
        "preview_segmentation": segment.preview,
        "export_model": models.export,
        "import_model": models.import_,
        "combine_models": models.combine,
        "restore_model": models.restore,
        "plot_history": train.plot_history,
        "review": review,
        "train_enhancer": enhance.train,
    }
)


def work(
    spec: job_pb2.JobSpec,
    promised: tuple[Output, ...] = (),
    *,
    site: Site,
    colour: ColourConfig,
    new: bool = False,
) -> Work:
    """Check a spec.

    Args:
        promised: what the jobs that this one waits for will write; inputs among it are not looked at.
        new: somebody asks for the job now; otherwise one that was accepted begins, or goes on.

    Raises:
        InvalidInput: a field is wrong; names it and its value.
        PathNotAllowed, NotFound: of an input or output.
        WeightsMissing, WeightsCorrupt, ModelInvalid, TrackAmbiguous, ReleaseMissing, ReleaseInvalid,
        NotMeasured: of inputs.
    """
    kind = spec.WhichOneof("kind")
    if kind is None:
        raise InvalidInput("spec: no kind is set; exactly one must be", field="spec", value="")
    refs = Refs(site=site, colour=colour, promised=promised, new=new)
    return _KINDS[kind](getattr(spec, kind), refs)
