# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scene asks of the daemon: the stages of a swap, by the protobuf JSON mapping of `JobSpec`."""

from __future__ import annotations

import json
import re
from typing import Any

from . import look, paths
from .clip import ClipPlate
from .preferences import preferences
from .runner import Json, Refused, Stage

Settings = Any  # `scene.understudy`
_NAME = re.compile(r"[a-z][a-z0-9_]{0,11}")


def extract(settings: Settings, plate: ClipPlate) -> Stage:
    return "extract", {
        "extract": {"plate": plate.ref(), "faceset": folder(settings, "dst_faceset", "target faces")}
    }


def train(settings: Settings, _plate: ClipPlate | None = None) -> Stage:
    if settings.iterations <= 0 and settings.minutes <= 0:
        raise Refused("say when the training ends: iterations or minutes", field="iterations")
    release = settings.release or preferences().release
    spec: Json = {
        "model": folder(settings, "model", "model"),
        "src": folder(settings, "src_faceset", "source faces"),
        "dst": folder(settings, "dst_faceset", "target faces"),
        "preset": settings.preset.strip(),
        "release": paths.there(paths.local(release, "release")),
    }
    if settings.iterations:
        spec["targetIterations"] = settings.iterations
    if settings.minutes:
        spec["targetTime"] = f"{60 * settings.minutes}s"
    if settings.track >= 0:
        spec["dstTrack"] = settings.track
    return "train", {"train": spec}


def merge(settings: Settings, plate: ClipPlate) -> Stage:
    shared: Json = {
        "faceset": folder(settings, "dst_faceset", "target faces"),
        "recipe": recipe(settings, plate),
    }
    if settings.segmenter:
        shared["segmenter"] = folder(settings, "segmenter", "segmenter")
    if settings.user_matte:
        matte = paths.there(paths.local(settings.user_matte, "user_matte"))
        shared["userMattes"] = [
            {"matte": {"pattern": matte}, "use": f"USER_MATTE_USE_{settings.user_matte_use}"}
        ]
    layers = [name.strip() for name in settings.layers.split(",") if name.strip()]
    spec = {
        "plate": plate.ref(),
        "swaps": [{**shared, **person} for person in people(settings)],
        "output": paths.there(paths.output(settings)),
        "layers": layers,
    }
    return "merge", {"merge": spec}


def label(settings: Settings, plate: ClipPlate, roto: str, marks: str) -> Stage:
    """Mattes in plate space become labels of the target faces.

    Args:
        roto: pattern of the mattes on this machine; of the plate's frames.
        marks: `face` or `occluder`.
    """
    spec: Json = {
        "faceset": folder(settings, "dst_faceset", "target faces"),
        "roto": {"pattern": paths.there(roto), "frames": plate.ref()["frames"]},
        "marks": marks,
    }
    if settings.track >= 0:
        spec["track"] = settings.track
    return "label", {"labelFaces": spec}


STAGES = {"extract": extract, "train": train, "merge": merge}


def folder(settings: Settings, field: str, what: str) -> str:
    """A folder of the scene as the daemon's machine calls it.

    Raises:
        Refused: it is not set.
    """
    path = paths.local(getattr(settings, field), field)
    if not path:
        raise Refused(f"set the {what}", field=field)
    return paths.there(path)


def people(settings: Settings) -> list[Json]:
    """Who is swapped, as `understudy.v1.Swap` names them, in their order; without a list the scene's own person.

    Raises:
        Refused: a name that layers cannot have, a name or a person twice, no model.
    """
    if not settings.people:
        one: Json = {"model": folder(settings, "model", "model")}
        return [{**one, "track": settings.track} if settings.track >= 0 else one]
    said: list[Json] = []
    for person in settings.people:
        if not _NAME.fullmatch(person.name):
            raise Refused(
                f"{person.name!r}: a person's name is a small letter, then small letters, digits and _, 12 at most",
                field="people",
            )
        for other in said:
            if other["name"] == person.name or other["track"] == person.track:
                what = person.name if other["name"] == person.name else f"person {person.track}"
                raise Refused(f"{what} is there twice", field="people")
        model = folder(person, "model", f"model of {person.name}")
        said.append({"name": person.name, "track": person.track, "model": model})
    return said


def recipe(settings: Settings, plate: ClipPlate) -> Json:
    """The look: of the recipe file where the scene names one, else of its settings; empty for the usual one.

    Raises:
        Refused: the file cannot be read; as `look.recipe`.
    """
    path = paths.local(settings.recipe, "recipe")
    if not path:
        return look.recipe(settings.id_data, plate)
    try:
        with open(path, encoding="utf-8") as file:
            said = json.load(file)
    except (OSError, ValueError) as error:
        raise Refused(f"{path}: cannot be read as a recipe: {error}", field="recipe") from error
    if not isinstance(said, dict):
        raise Refused(f"{path}: is no recipe", field="recipe")
    return said
