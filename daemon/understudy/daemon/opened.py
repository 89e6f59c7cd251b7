"""Facesets that a request names: opened to look at, or to write in, with every link in them followed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from understudy.core.errors import NotFound
from understudy.core.faceset import Faceset
from understudy.daemon.paths import Roots
from understudy.daemon.refs import KEPT, named, readable_drawn

if TYPE_CHECKING:
    from understudy.core.faceset.query import Query

MANUAL = "manual.json"  # what is written in a faceset by rpc


def faceset(roots: Roots, path: str) -> Faceset:
    """The faceset, with a face in it, none of whose files leads out of the roots by a link.

    Raises:
        NotFound: there is none, or no face in it.
        InvalidInput, PathNotAllowed: of the field `path`.
    """
    place = roots.readable(path, "path")
    if place.is_dir():
        roots.readable_within(place, "path")
        readable_drawn(roots, place, "path")
    with named("", {"faceset": "path"}):
        opened = Faceset.open(place)
    if not len(opened.records):
        raise NotFound(f"{path}: there is no face in it", path=path, field="path", value=path)
    return opened


def writable(roots: Roots, path: str) -> Path:
    """A faceset that may be edited: it, and what the daemon writes in it, wherever links lead.

    Raises:
        InvalidInput, PathNotAllowed: of the field `path`.
    """
    folder = roots.writable(path, "path")
    for name in (*KEPT, MANUAL):
        roots.writable(folder / name, "path")
    return folder


def find(given: Faceset, query: Query) -> npt.NDArray[np.int64]:
    """The faces that a query names, in its order; errors name the field below `query`."""
    from understudy.core.faceset import query as queries

    with named("query"):
        return queries.find(given, query)
