"""Looks: from the wire, from files, and from the headers of finished frames."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from google.protobuf import json_format

from understudy.core import plate
from understudy.core.errors import InvalidInput, NotFound
from understudy.core.merge import headers
from understudy.core.merge.recipe import Recipe
from understudy.daemon.refs import Refs
from understudy.v1 import recipe_pb2

FILE, DPX = ".json", ".dpx"
MOST_BYTES = 16 * 1024 * 1024  # of a recipe file; more is another file


def read(message: recipe_pb2.Recipe) -> Recipe:
    """The look that a request holds. Raises InvalidInput, which names the field."""
    return Recipe.from_dict(json_format.MessageToDict(message))


def resolved(request: recipe_pb2.GetRecipeRequest, refs: Refs) -> Recipe:
    """The look at a path with changes, those of the request over those that are there.

    Raises:
        InvalidInput, NotFound, PathNotAllowed, FrameUnreadable: of the path, or of a field of either look.
    """
    there = _stored(refs.file(request.path, "path"), request.person) if request.path else Recipe()
    changes: dict[str, Any] = json_format.MessageToDict(request.changes)
    form = there.to_dict()
    overrides = [*form["overrides"], *changes.pop("overrides", ())]
    return Recipe.from_dict({**form, **changes, "overrides": overrides})


def message_of(recipe: Recipe) -> recipe_pb2.Recipe:
    """A look as the wire has it, every field set."""
    return json_format.ParseDict(recipe.to_dict(), recipe_pb2.Recipe())


def _stored(path: Path, person: str) -> Recipe:
    """The look in a recipe file, or one person's in a frame's header."""
    if path.suffix.lower() == FILE:
        if path.stat().st_size > MOST_BYTES:
            raise InvalidInput(f"path: {path} is too large for a recipe", path=path, field="path", value=path)
        text: object = path.read_bytes()
    else:
        text = _of_frame(path, person)
    why = ""
    try:
        form = json.loads(text if isinstance(text, bytes) else str(text))
        if isinstance(form, dict):
            # by way of the message, so that a file may say what any client may: `match_amount`, 1001 for "1001"
            return read(json_format.ParseDict(form, recipe_pb2.Recipe()))
    except InvalidInput as error:
        why = error.message
    except (ValueError, RecursionError, json_format.ParseError) as error:
        why = str(error)
    raise InvalidInput(
        f"path: {path} holds no recipe: {why or 'not an object of JSON'}", path=path, field="path", value=path
    )


def _of_frame(path: Path, person: str) -> object:
    """The entry of a finished frame's header that has one person's look."""
    if path.suffix.lower() == DPX:
        raise InvalidInput(
            f"path: {path} is a DPX, whose header has no room for a look: name a frame of its layers, an EXR "
            "(comp_layers.1001.exr of comp.1001.dpx)",
            path=path,
            field="path",
            value=path,
        )
    said = plate.read_header(path).metadata
    people = headers.people(said)
    if len(people) > 1 and person not in people:
        raise InvalidInput(
            f"person: {path} has looks of {', '.join(people)}; name one of them (--person), not {person!r}",
            path=path,
            field="person",
            value=person,
        )
    key = headers.of_person(people.index(person) if len(people) > 1 else 0, headers.RECIPE)
    if (text := said.get(key)) is None:
        raise NotFound(
            f"path: the header of {path} has no {key}: no merge of Understudy made it, or what was "
            "rendered from it dropped the header",
            path=path,
            field="path",
            value=path,
        )
    return text
