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
from understudy.daemon.decode import facesets, segment, stages
from understudy.daemon.decode.extract import extract
from understudy.daemon.decode.settings import CheckPlate, Ingest, Merge, Pull, Torture, Verify, Work
from understudy.daemon.outputs import Output
from understudy.daemon.refs import Refs
from understudy.daemon.site import Site
from understudy.v1 import job_pb2

__all__ = ["CheckPlate", "Ingest", "Merge", "Pull", "Torture", "Verify", "Work", "work"]

_KINDS: Mapping[str, Callable[[Any, Refs], Work]] = MappingProxyType(
    {
        "ingest": stages.ingest,
        "extract": extract,
        "train": stages.train,
        "merge": stages.merge,
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
    }
)


def work(
    spec: job_pb2.JobSpec, promised: tuple[Output, ...] = (), *, site: Site, colour: ColourConfig
) -> Work:
    """Check a spec.

    Args:
        promised: what the jobs that this one waits for will write; inputs among it are not looked at.

    Raises:
        InvalidInput: a field is wrong; names it and its value.
        PathNotAllowed, NotFound: of an input or output.
        WeightsMissing, WeightsCorrupt, ModelInvalid, TrackAmbiguous, ReleaseMissing, ReleaseInvalid,
        NotMeasured: of inputs.
    """
    kind = spec.WhichOneof("kind")
    if kind is None:
        raise InvalidInput("spec: no kind is set; exactly one must be", field="spec", value="")
    refs = Refs(site=site, colour=colour, promised=promised)
    return _KINDS[kind](getattr(spec, kind), refs)
