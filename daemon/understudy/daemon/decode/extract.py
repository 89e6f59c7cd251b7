"""ExtractSpec."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from understudy.core.align import FACE_TYPES
from understudy.core.errors import InvalidInput
from understudy.core.extract import ExtractSettings, Pick
from understudy.core.extract.station import FAMILIES
from understudy.daemon.decode import families
from understudy.daemon.decode.inputs import release_of
from understudy.daemon.decode.settings import Work
from understudy.daemon.outputs import Output
from understudy.daemon.refs import Refs, device, named, one_of
from understudy.v1 import job_pb2

FACE_TYPE, SIZE = "whole", 512
# Where these are 0, core's default holds.
_PLAIN = ("search_every", "smallest", "max_faces", "looks", "reference_distance", "workers")


def extract(spec: job_pb2.ExtractSpec, refs: Refs) -> Work:
    faceset = refs.faceset_out(spec.faceset, "extract.faceset")
    plate = refs.plate(spec.plate, "extract.plate")
    chosen = {
        field: families.choice(family, getattr(spec, field), f"extract.{field}")
        for field, family in FAMILIES.items()
    }
    face_type = one_of(spec.face_type or FACE_TYPE, FACE_TYPES, "extract.face_type")
    attached = release_of(spec.release, refs, "extract.release")
    reference = refs.file(spec.reference, "extract.reference") if spec.reference else None
    pick = _pick(spec)
    families.have_weights(refs, {family: chosen[field] for field, family in FAMILIES.items()})
    given: dict[str, Any] = {name: value for name in _PLAIN if (value := getattr(spec, name))}
    if spec.HasField("min_score"):
        given["min_score"] = spec.min_score
    where = device(spec.device, "extract.device")
    with named("extract"):
        settings = ExtractSettings(
            plate=plate,
            faceset=faceset,
            face_type=face_type,
            size=spec.size or SIZE,
            release=attached,
            pick=pick if len(plate.present) else None,  # frames of a plate to come are not known
            reference=reference,
            upright_only=spec.upright_only,
            device=where,
            detector=chosen["detector"],
            landmarker=chosen["landmarker"],
            pose=chosen["pose"],
            identity=chosen["identity"],
            **given,
        )
    name = Path(plate.template.hashes).name
    return Work(settings=settings, outputs=(Output.of_folder(faceset),), label=f"extract {name}")


def _pick(spec: job_pb2.ExtractSpec) -> Pick | None:
    if not spec.HasField("pick"):
        return None
    for name in ("x", "y"):
        if not math.isfinite(value := getattr(spec.pick, name)):
            field = f"extract.pick.{name}"
            raise InvalidInput(f"{field}: {value} is not a number", field=field, value=value)
    return Pick(frame=spec.pick.frame, x=spec.pick.x, y=spec.pick.y, view=spec.pick.view)
