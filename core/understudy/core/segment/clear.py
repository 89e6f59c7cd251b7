"""Labels or mattes of a faceset's faces go; nothing else of it changes."""

from __future__ import annotations

from dataclasses import dataclass

from understudy.core.errors import InvalidInput, NotFound
from understudy.core.faceset import Faceset, beside
from understudy.core.faceset.labels import Labels
from understudy.core.faceset.mattes import Mattes
from understudy.core.faceset.query import Query, find

_ALL = Query()


@dataclass(frozen=True, kw_only=True)
class Cleared:
    """How many faces had a label and a matte that are gone now."""

    labels: int = 0
    mattes: int = 0


def clear(faceset: Faceset, query: Query = _ALL, *, labels: bool = False, mattes: bool = False) -> Cleared:
    """Delete labels, mattes or both of the faces that a query finds.

    Those of faces that were rejected stay: they are theirs again when the faces return.

    Raises:
        InvalidInput: neither is asked for; or the faceset is a pack, which is never changed; or as `find`.
        NotFound: the query finds no face.
        NotMeasured: as `find`.
        WriteFailed: a file cannot be deleted; those before it are gone.
    """
    if not labels and not mattes:
        raise InvalidInput("labels: neither labels nor mattes are asked for", field="labels", value=False)
    beside.refuse_pack(faceset)
    found = find(faceset, query)
    if not len(found):
        raise NotFound(f"query: it finds no face of {faceset.path}", path=faceset.path, field="query")
    names = faceset.columns.name[found].tolist()
    return Cleared(
        labels=Labels(faceset).clear(names) if labels else 0,
        mattes=Mattes(faceset).clear(names) if mattes else 0,
    )
