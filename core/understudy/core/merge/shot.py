"""A merge from its settings to its reports: `run`."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from understudy.core import _plugins, plate, release
from understudy.core.blend import Blend
from understudy.core.colour import ColourConfig
from understudy.core.errors import FrameMissing, FrameUnreadable, InvalidInput, NoFace
from understudy.core.faceset import FaceRecord, Faceset
from understudy.core.match import Match
from understudy.core.merge import headers, layers
from understudy.core.merge.analysis import analyse
from understudy.core.merge.composite import Compositor
from understudy.core.merge.face_swap import Swapper
from understudy.core.merge.manifest import Manifest
from understudy.core.merge.outputs import Outputs
from understudy.core.merge.settings import MergeSettings
from understudy.core.merge.stages import Stages
from understudy.core.model import swap
from understudy.core.model.swap import SwapModel
from understudy.core.pipeline import overlapped
from understudy.core.release import Release
from understudy.core.reports import Artifact, Report, Started, Warned


def run(settings: MergeSettings, *, colour: ColourConfig) -> Generator[Report, None, None]:
    """Swap the face on every wanted frame and write the finished frames with their layers.

    Yields `Started`, a `FrameReport` per frame in order, then an `Artifact` for what a person may open. A
    frame that cannot be done is a report that says why, and the next one follows. Frames that are there
    and made of the same are left alone, so that the same merge again writes nothing. Closing the generator
    stops within a frame.

    Raises:
        InvalidInput: a setting is wrong, or the plate has no R, G and B.
        NotFound, ModelInvalid, TrackAmbiguous, NoFace: of the model and the faceset.
        ReleaseMissing, ReleaseInvalid: the model has no release that holds on `settings.on`.
        WriteFailed, DiskFull: an output could not be written; what is finished stays.
    """
    _check_plate(settings, colour)
    model = swap.load(settings.model, settings.device)
    releases = _releases(settings, model)
    faceset, warned = _faces(settings)
    yield Started(total=len(settings.wanted))
    yield from warned
    stages = _stages(settings, colour, model, faceset, releases)
    yield from overlapped(settings.wanted, stages.read, stages.compute, stages.write)
    yield from _artifacts(settings, colour, model, stages)


def _check_plate(settings: MergeSettings, colour: ColourConfig) -> None:
    """Refuse now what would fail on every frame."""
    assert settings.plate.colour_space is not None
    colour.resolve(settings.plate.colour_space, field="plate.colour_space")
    header = _first_header(settings)
    if header and (lacking := [c for c in layers.COLOUR if c not in header.channels]):
        raise InvalidInput(
            f"{settings.plate.template}: has no channel {lacking[0]}; a plate needs R, G and B",
            path=settings.plate.template.hashes,
            field="plate",
            value=",".join(header.channels),
        )


def _first_header(settings: MergeSettings) -> plate.Header | None:
    """Of the first frame that can be opened; None where none can, which every frame's report will say."""
    for path in map(settings.plate.template.path, settings.wanted):
        with suppress(FrameMissing, FrameUnreadable):
            return plate.read_header(path)
    return None


def _releases(settings: MergeSettings, model: SwapModel) -> tuple[Release, ...]:
    """The model's records, each of which must hold (promise 10)."""
    for record in model.releases or (None,):
        release.check(record, settings.on, f"merge with {settings.model}")
    return model.releases


def _faces(settings: MergeSettings) -> tuple[Faceset, list[Warned]]:
    """The faces of one person in this plate, and what should be said about the choice."""
    opened = Faceset.open(settings.faceset)
    mine, note = _of_plate(opened, settings)
    chosen = replace(opened, records=mine).select(settings.track)
    if not chosen.records:
        raise NoFace(f"{settings.faceset}: the faceset holds no face", path=settings.faceset, field="faceset")
    warned = [Warned(reason="FRAME_UNREADABLE", message=message) for message in opened.broken]
    warned += [Warned(reason="TRACK_LEFT_OUT", message=message) for message in chosen.warnings]
    return chosen, warned + note


def _of_plate(faceset: Faceset, settings: MergeSettings) -> tuple[tuple[FaceRecord, ...], list[Warned]]:
    """The records that were extracted from the plate: of its path, or of its name where folders have moved."""
    text = settings.plate.template.text
    plates = sorted({record.plate for record in faceset.records})
    named = [plate for plate in plates if Path(plate).name == Path(text).name]
    chosen = [text] if text in plates else named if len(named) == 1 else plates
    if len(chosen) > 1:
        raise InvalidInput(
            f"{settings.faceset}: holds faces of {len(plates)} plates ({', '.join(plates)}), none of them {text}",
            path=settings.faceset,
            field="faceset",
            value=settings.faceset,
        )
    records = tuple(record for record in faceset.records if record.plate in chosen)
    if not chosen or text in chosen or named:
        return records, []
    other = f"{settings.faceset}: was extracted from {chosen[0]}, not from {text}; faces are put where they were there"
    return records, [Warned(reason="PLATE_DIFFERS", message=other)]


def _stages(
    settings: MergeSettings,
    colour: ColourConfig,
    model: SwapModel,
    faceset: Faceset,
    releases: tuple[Release, ...],
) -> Stages:
    assert settings.plate.colour_space is not None
    recipe, space = settings.recipe, colour.resolve(settings.plate.colour_space)
    outputs = Outputs.of(settings)
    swapper = Swapper(
        network=model,
        face_type=model.config.face_type,
        size=model.config.resolution,
        curve=model.state.curve,
        mattes=recipe.mattes,
    )
    match = cast("Match", _plugins.load("match", recipe.match, field="recipe.match"))
    header: dict[str, str | float] = {
        headers.PREFIX + "version": headers.software(),
        headers.PREFIX + "model": settings.model.name,
        headers.PREFIX + "modelSha": model.digest,
        headers.PREFIX + "recipe": recipe.to_json(),
        headers.PREFIX + "release": ",".join(record.id for record in releases),
        headers.PLATE: settings.plate.template.text,
        headers.PLATE_COLOUR: space,
        headers.CONFIG: colour.source,
    }
    return Stages(
        settings=settings,
        compositor=Compositor(
            recipe=recipe,
            blend=cast("Blend", _plugins.load("blend", recipe.blend, field="recipe.blend")),
            colour=colour,
            space=space,
        ),
        swapper=swapper,
        match=match,
        placed=analyse(faceset, recipe, swapper, match, outputs.track),
        outputs=outputs,
        manifest=Manifest(out=settings.out),
        identity=headers.digest(
            headers.VERSION, header, colour.cache_id, settings.layers, settings.out.extension
        ),
        header=header,
    )


def _artifacts(
    settings: MergeSettings, colour: ColourConfig, model: SwapModel, stages: Stages
) -> Iterator[Artifact]:
    names = layers.names(user=settings.user_matte is not None) if settings.layers else ()
    about: dict[str, Any] = {
        "version": headers.software(),
        "plate": {"pattern": settings.plate.template.text, "colour_space": settings.plate.colour_space},
        "faceset": str(settings.faceset),
        "model": {"path": str(settings.model), "digest": model.digest, "iteration": model.iteration},
        "recipe": settings.recipe.to_dict(),
        "colour": {"config": colour.source, "cache_id": colour.cache_id, "working": colour.working},
        "releases": str(stages.header[headers.PREFIX + "release"]).split(","),
        "layers": list(names),
        "track": f"track/{stages.outputs.track.name}",
    }
    yield Artifact(kind="comp", path=Path(settings.out.text), layers=names)
    if stages.outputs.layers:
        yield Artifact(kind="comp", path=Path(stages.outputs.layers.text), layers=names)
    yield Artifact(kind="track", path=stages.outputs.track)
    yield Artifact(kind="manifest", path=stages.manifest.assemble(about))
