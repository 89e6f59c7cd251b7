"""A merge from its settings to its reports: `run`."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import numpy as np

from understudy.core import _plugins, plate, release
from understudy.core.blend import Blend
from understudy.core.colour import ColourConfig, SwapCurve
from understudy.core.errors import FrameMissing, FrameUnreadable, InvalidInput, NoFace
from understudy.core.faceset import Faceset
from understudy.core.match import Match
from understudy.core.merge import headers, layers
from understudy.core.merge.analysis import analyse
from understudy.core.merge.composite import Compositor
from understudy.core.merge.face_swap import Swapper
from understudy.core.merge.finish import Finish
from understudy.core.merge.manifest import Manifest
from understudy.core.merge.outputs import Outputs
from understudy.core.merge.settings import MergeSettings
from understudy.core.merge.stages import Stages
from understudy.core.model import swap
from understudy.core.model.swap import SwapModel
from understudy.core.pipeline import overlapped
from understudy.core.plate import Template
from understudy.core.plate.views import MONO, header_of
from understudy.core.release import Release
from understudy.core.reports import Artifact, Report, Started, Warned


def run(settings: MergeSettings, *, colour: ColourConfig) -> Generator[Report, None, None]:
    """Swap the face on every wanted frame, in every view, and write the finished frames with their layers.

    Yields `Started`, a `FrameReport` per frame in order, then an `Artifact` for what a person may open. A
    frame that cannot be done is a report that says why, and the next one follows. Frames that are there
    and made of the same are left alone, so that the same merge again writes nothing. Closing the generator
    stops within a frame.

    Raises:
        InvalidInput: a setting is wrong, the model's working space is another, or the plate has no R, G and B.
        NotFound, ModelInvalid, TrackAmbiguous, NoFace: of the model and the faceset.
        ReleaseMissing, ReleaseInvalid: the model has no release that holds on `settings.on`.
        WriteFailed, DiskFull: an output could not be written; what is finished stays. (What comes back from the disk
            other than it was written is its frame's failure alone, in its report.)
    """
    views = _views(settings)
    checked = _check_plate(settings, views, colour)
    model = swap.load(settings.model, settings.device)
    checked += _check_colour(settings, model, colour)
    releases = _releases(settings, model)
    faceset, warned = _faces(settings, views)
    yield Started(total=len(settings.wanted))
    yield from (*checked, *warned)
    stages = _stages(settings, colour, views=views, model=model, faceset=faceset, releases=releases)
    yield from overlapped(settings.wanted, stages.read, stages.compute, stages.write)
    yield from _artifacts(settings, colour, model, stages)


def _views(settings: MergeSettings) -> tuple[str, ...]:
    """The views to work on; `plate.find` names those of files, who makes a `Plate` by hand has to."""
    if views := plate.views_of(settings.plate):
        return views
    raise InvalidInput(
        f"plate {settings.plate.template.text}: has %V; name its views", field="plate.views", value=""
    )


def _check_plate(settings: MergeSettings, views: tuple[str, ...], colour: ColourConfig) -> list[Warned]:
    """Refuse now what would fail on every frame; say once what holds for all of them."""
    assert settings.plate.colour_space is not None
    colour.resolve(settings.plate.colour_space, field="plate.colour_space")
    warned: dict[str, Warned] = {}
    for view in views:
        template = settings.plate.template.of_view(view)
        header = _first_header(template, settings)
        if header is None:
            continue
        picture = header_of(header, MONO if settings.plate.template.has_view else view)
        if lacking := [c for c in layers.COLOUR if c not in picture.channels]:
            raise InvalidInput(
                f"{template}: has no channel {lacking[0]}; a plate needs R, G and B",
                path=template.hashes,
                field="plate",
                value=",".join(picture.channels),
            )
        if whole := [c for c in layers.COLOUR if picture.channels[c] == np.uint32]:
            raise InvalidInput(
                f"{template}: {whole[0]} is UINT: IDs or counts, not light; a plate's R, G and B are half or float",
                path=template.hashes,
                field="plate",
                value=",".join(whole),
            )
        for note in _notes(template, header):
            warned.setdefault(note.reason, note)
    return list(warned.values())


def _notes(template: Template, header: plate.Header) -> Iterator[Warned]:
    """What a person should know of all frames of a plate."""
    parts = (header, *header.others)
    lossy = [part.compression for part in parts if part.lossy]
    if lossy:
        yield Warned(
            reason="LOSSY_PLATE",
            message=f"{template}: is {lossy[0]}, which is lossy: what it has lost stays lost; finished frames are "
            "written as zips, which loses nothing",
        )
    shapes = [(part.display, part.data, part.pixel_aspect) for part in parts]
    if other := next((part for part, shape in zip(parts, shapes, strict=True) if shape != shapes[0]), None):
        yield Warned(
            reason="PARTS_DIFFER",
            message=f"{template}: part {other.name!r} has another window or pixel aspect than part "
            f"{header.name!r}; it is carried as it is, but Nuke refuses files whose parts differ",
        )


def _first_header(template: Template, settings: MergeSettings) -> plate.Header | None:
    """Of the first frame that can be opened; None where none can, which every frame's report will say."""
    for path in map(template.path, settings.wanted):
        with suppress(FrameMissing, FrameUnreadable):
            return plate.read_header(path)
    return None


def _check_colour(settings: MergeSettings, model: SwapModel, colour: ColourConfig) -> list[Warned]:
    """Whether the model's numbers mean the same light here as they did in its training."""
    trained = model.state
    if trained.working_space and trained.working_space != colour.working:
        raise InvalidInput(
            f"{settings.model}: was trained in {trained.working_space!r}, but the working space of {colour.source} is "
            f"{colour.working!r}; merge with the model's colour config",
            path=settings.model,
            field="model",
            value=settings.model,
        )
    if trained.colour in ("", colour.cache_id):
        return []
    other = f"another colour config (cache id {trained.colour}) than {colour.source} ({colour.cache_id})"
    return [Warned(reason="COLOUR_CONFIG_DIFFERS", message=f"{settings.model}: was trained with {other}")]


def _releases(settings: MergeSettings, model: SwapModel) -> tuple[Release, ...]:
    """The model's records, each of which must hold (promise 10)."""
    for record in model.releases or (None,):
        release.check(record, settings.on, f"merge with {settings.model}")
    return model.releases


def _faces(settings: MergeSettings, views: tuple[str, ...]) -> tuple[Faceset, list[Warned]]:
    """The faces of one person in this plate, and what should be said about the choice."""
    opened = Faceset.open(settings.faceset)
    mine, note = _of_plate(opened, settings)
    chosen = _of_views(mine, settings, views).select(settings.track)
    if not set(views).intersection(chosen.views()):
        where = f" in {', '.join(views)}" if chosen.records else ""
        raise NoFace(
            f"{settings.faceset}: the faceset holds no face{where}", path=settings.faceset, field="faceset"
        )
    warned = [Warned(reason="FRAME_UNREADABLE", message=message) for message in opened.broken]
    warned += [Warned(reason="TRACK_LEFT_OUT", message=message) for message in chosen.warnings]
    return chosen, warned + note


def _of_views(faceset: Faceset, settings: MergeSettings, views: tuple[str, ...]) -> Faceset:
    """The faces under the plate's names of views: what was extracted before a plate told its views apart is of the
    default one, and one view's faces fit a plate that names none.
    """
    known = sorted(faceset.views())
    if views == (MONO,) and len(known) > 1:
        raise InvalidInput(
            f"{settings.faceset}: holds faces of the views {', '.join(known)}, but the plate has no views; extract "
            "from this plate",
            path=settings.faceset,
            field="faceset",
            value=settings.faceset,
        )
    if views == (MONO,):
        return faceset.with_views(lambda _: MONO)
    return faceset.with_views(lambda view: view or views[0])


def _of_plate(faceset: Faceset, settings: MergeSettings) -> tuple[Faceset, list[Warned]]:
    """The faces that were extracted from the plate: of its path, or of its name where folders have moved."""
    text = settings.plate.template.text
    plates = list(faceset.plates())
    named = [plate for plate in plates if Path(plate).name == Path(text).name]
    chosen = [text] if text in plates else named if len(named) == 1 else plates
    if len(chosen) > 1:
        raise InvalidInput(
            f"{settings.faceset}: holds faces of {len(plates)} plates ({', '.join(plates)}), none of them {text}",
            path=settings.faceset,
            field="faceset",
            value=settings.faceset,
        )
    its = faceset.subset(np.flatnonzero(np.isin(faceset.columns.plate, chosen)))
    if not chosen or text in chosen or named:
        return its, []
    other = f"{settings.faceset}: was extracted from {chosen[0]}, not from {text}; faces are put where they were there"
    return its, [Warned(reason="PLATE_DIFFERS", message=other)]


def _stages(
    settings: MergeSettings,
    colour: ColourConfig,
    *,
    views: tuple[str, ...],
    model: SwapModel,
    faceset: Faceset,
    releases: tuple[Release, ...],
) -> Stages:
    assert settings.plate.colour_space is not None
    recipe, space = settings.recipe, colour.resolve(settings.plate.colour_space)
    outputs, curve = Outputs.of(settings, views), SwapCurve.from_dict({**model.state.curve, "gain": 1.0})
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
        headers.CONFIG_ID: colour.cache_id,
        headers.KNEE: curve.knee,
        headers.MAXIMUM: curve.maximum,
    }
    finish = Finish(
        settings=settings,
        outputs=outputs,
        manifest=Manifest(out=settings.out),
        header=header,
        colour=colour,
        space=space,
        maximum=curve.maximum,
    )
    return Stages(
        settings=settings,
        compositor=Compositor(
            recipe=recipe,
            blend=cast("Blend", _plugins.load("blend", recipe.blend, field="recipe.blend")),
            colour=colour,
            space=space,
            layers=settings.shown or ("mask_blend",),
        ),
        swapper=swapper,
        match=match,
        placed=analyse(faceset, recipe, swapper, match, outputs.track),
        finish=finish,
        identity=headers.digest(headers.VERSION, header, views, settings.shown, settings.out.extension),
    )


def _artifacts(
    settings: MergeSettings, colour: ColourConfig, model: SwapModel, stages: Stages
) -> Iterator[Artifact]:
    names = settings.shown
    finish, outputs = stages.finish, stages.finish.outputs
    about: dict[str, Any] = {
        "version": headers.software(),
        "plate": _plate(settings, outputs.views),
        "faceset": str(settings.faceset),
        "model": {"path": str(settings.model), "digest": model.digest, "iteration": model.iteration},
        "recipe": settings.recipe.to_dict(),
        "colour": {"config": colour.source, "cache_id": colour.cache_id, "working": colour.working},
        "curve": {"knee": finish.header[headers.KNEE], "maximum": finish.header[headers.MAXIMUM]},
        "releases": str(finish.header[headers.PREFIX + "release"]).split(","),
        "layers": list(names),
        "track": f"track/{outputs.track.name}",
    }
    yield Artifact(kind="comp", path=Path(settings.out.text), layers=names)
    if outputs.layers:
        yield Artifact(kind="comp", path=Path(outputs.layers.text), layers=names)
    yield Artifact(kind="track", path=outputs.track)
    yield Artifact(kind="manifest", path=finish.manifest.assemble(about))


def _plate(settings: MergeSettings, views: tuple[str, ...]) -> dict[str, Any]:
    """What the manifest says of the plate."""
    template = settings.plate.template
    header = _first_header(template.of_view(views[0]), settings)
    parts = (header, *header.others) if header else ()
    return {
        "pattern": template.text,
        "colour_space": settings.plate.colour_space,
        "compression": header.compression if header else None,
        "lossy": any(part.lossy for part in parts),
        "views": [] if views == (MONO,) else list(views),
    }
