"""Inputs that several specs have: release records, and facesets in which one person is chosen."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np

from understudy.core import release
from understudy.core.errors import NotFound
from understudy.core.faceset import Faceset
from understudy.core.plate import Plate
from understudy.daemon.refs import Refs, named


def release_of(path: str, refs: Refs, field: str) -> release.Release | None:
    """The record at a path, which must be valid today; None where none is named."""
    if not path:
        return None
    record = release.read(refs.file(path, field))
    release.check(record, date.today(), f"attaching {path}")
    return record


def faceset_of(path: Path, refs: Refs, field: str) -> Faceset | None:
    """The faceset, which must hold a face; None where it is only promised."""
    if refs.promises_faceset(path):
        return None
    faceset = Faceset.open(path)
    if not len(faceset.records):
        raise NotFound(f"{field}: {path} holds no face", path=path, field=field, value=path)
    return faceset


def person_of(
    path: Path, refs: Refs, field: str, track: int | None, plate: Plate | None = None
) -> Faceset | None:
    """The faces of one person, of those on `plate`; None where the faceset is only promised."""
    faceset = faceset_of(path, refs, field)
    if faceset is None:
        return None
    chosen, name = faceset, f"{field}_track"
    if plate is not None:
        its = Path(plate.template.text).name
        same = [text for text in faceset.plates() if Path(text).name == its]
        on_it = np.flatnonzero(np.isin(faceset.columns.plate, same))
        chosen = faceset.subset(on_it) if same else faceset
        name = field.replace("faceset", "track")
    with named("", {"track": name}):
        return chosen.select(track)
