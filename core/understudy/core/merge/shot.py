"""A merge from its settings to its reports: `run`."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

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
from understudy.core.merge.expression import OCC, OCC_FACE
from understudy.core.merge.face_swap import Swapper
from understudy.core.merge.finish import Finish
from understudy.core.merge.flicker import Deflicker
from understudy.core.merge.manifest import Manifest
from understudy.core.merge.masking import Masker, Occlusion, refuse_unknown
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
from understudy.core.weights import WeightStore

if TYPE_CHECKING:
    from understudy.core.segment.network import Segmenter


def run(
    settings: MergeSettings, *, colour: ColourConfig, store: WeightStore | None = None
) -> Generator[Report, None, None]:
    """Swap the face on every wanted frame, in every view, and write the finished frames with their layers.

    Yields `Started`, a `FrameReport` per frame in order, then an `Artifact` for what a person may open. A
    frame that cannot be done is a report that says why, and the next one follows. Frames that are there
    and made of the same are left alone, so that the same merge again writes nothing. Closing the generator
    stops within a frame. `store` has the weights of mattes that need any.

    Raises:
        InvalidInput: a setting is wrong, the model's working space is another, or the plate has no R, G and B.
        NotFound, ModelInvalid, TrackAmbiguous, NoFace: of the model, the segmenter and the faceset; or the recipe's
            mask names `occ`, and there is none.
        WeightsMissing, WeightsCorrupt: of a matte.
        ReleaseMissing, ReleaseInvalid: the model has no release that holds on `settings.on`.
        WriteFailed, DiskFull: an output could not be written; what is finished stays. (What comes back from the disk
            other than it was written is its frame's failure alone, in its report.)
    """
    views = _views(settings)
    checked = _check_plate(settings, views, colour)
    model = swap.load(settings.model, settings.device)
    checked += _check_colour(settings.model, "model", model.state, colour)
    releases = _releases(settings, model)
    faceset, warned = _faces(settings, views)
    occlusion, noted = _occlusion(settings, faceset, colour)
    yield Started(total=len(settings.wanted))
    yield from (*checked, *warned, *noted)
    stages = _stages(
        settings, colour, views=views, model=model, occlusion=occlusion, releases=releases, store=store
    )
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


def _check_colour(folder: Path, kind: str, trained: _Trained, colour: ColourConfig) -> list[Warned]:
    """Whether a network's numbers mean the same light here as they did in its training."""
    if trained.working_space and trained.working_space != colour.working:
        raise InvalidInput(
            f"{folder}: was trained in {trained.working_space!r}, but the working space of {colour.source} is "
            f"{colour.working!r}; merge with the {kind}'s colour config",
            path=folder,
            field=kind,
            value=folder,
        )
    if trained.colour in ("", colour.cache_id):
        return []
    other = f"another colour config (cache id {trained.colour}) than {colour.source} ({colour.cache_id})"
    return [Warned(reason="COLOUR_CONFIG_DIFFERS", message=f"{folder}: was trained with {other}")]


class _Trained(Protocol):
    """What a network's state says of its training."""

    @property
    def working_space(self) -> str: ...

    @property
    def colour(self) -> str: ...


def _occlusion(
    settings: MergeSettings, faceset: Faceset, colour: ColourConfig
) -> tuple[Occlusion, list[Warned]]:
    """What is known to be before the faces; the segmenter is loaded where the recipe's mask needs it."""
    names = settings.recipe.expression.names
    warned: list[Warned] = []
    segmenter: Segmenter | None = None
    if settings.segmenter is not None and {OCC, OCC_FACE}.isdisjoint(names):
        mask = settings.recipe.mask
        text = f"{settings.segmenter}: the recipe's mask {mask!r} names neither {OCC} nor {OCC_FACE}: it is not used"
        warned.append(Warned(reason="SEGMENTER_UNUSED", message=text))
    elif settings.segmenter is not None:
        from understudy.core.segment import network

        segmenter = network.load(settings.segmenter, settings.device)
        warned += _check_colour(settings.segmenter, "segmenter", segmenter.state, colour)
    occlusion = Occlusion.of(faceset, segmenter)
    refuse_unknown(faceset, settings.recipe.expression, segmenter is not None)
    return occlusion, warned


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
    occlusion: Occlusion,
    releases: tuple[Release, ...],
    store: WeightStore | None,
) -> Stages:
    assert settings.plate.colour_space is not None
    recipe, space = settings.recipe, colour.resolve(settings.plate.colour_space)
    outputs, curve = Outputs.of(settings, views), SwapCurve.from_dict({**model.state.curve, "gain": 1.0})
    shown = settings.shown(occ=bool(occlusion.known))
    size, layered = model.config.resolution, {OCC} if f"mask_{OCC}" in shown else set()
    swapper = Swapper(
        network=model,
        face_type=model.config.face_type,
        size=size,
        curve=model.state.curve,
        masker=Masker.of(
            recipe.expression, size=size, colour=colour, occlusion=occlusion, layered=layered, store=store
        ),
    )
    match = cast("Match", _plugins.load("match", recipe.match, field="recipe.match"))
    header = _header(settings, colour, model, occlusion.segmenter, releases)
    finish = Finish(
        settings=settings,
        outputs=outputs,
        manifest=Manifest(out=settings.out),
        layers=shown,
        header=header,
        colour=colour,
        space=space,
        maximum=curve.maximum,
    )
    placed = analyse(occlusion.faceset, recipe, swapper, match, outputs.track)
    return Stages(
        settings=settings,
        compositor=Compositor(
            recipe=recipe,
            blend=cast("Blend", _plugins.load("blend", recipe.blend, field="recipe.blend")),
            colour=colour,
            space=space,
            layers=shown or ("mask_blend",),
        ),
        swapper=swapper,
        match=match,
        placed=placed,
        deflicker=Deflicker(
            window=recipe.mask_smooth, swapper=swapper, faceset=occlusion.faceset, spots=placed
        ),
        finish=finish,
        identity=headers.digest(headers.VERSION, header, views, shown, settings.out.extension),
    )


def _header(
    settings: MergeSettings,
    colour: ColourConfig,
    model: SwapModel,
    segmenter: Segmenter | None,
    releases: tuple[Release, ...],
) -> dict[str, str | float]:
    """What every output frame says about itself."""
    assert settings.plate.colour_space is not None
    curve = SwapCurve.from_dict({**model.state.curve, "gain": 1.0})
    said: dict[str, str | float] = {
        headers.PREFIX + "version": headers.software(),
        headers.PREFIX + "model": settings.model.name,
        headers.PREFIX + "modelSha": model.digest,
        headers.PREFIX + "recipe": settings.recipe.to_json(),
        headers.PREFIX + "release": ",".join(record.id for record in releases),
        headers.PLATE: settings.plate.template.text,
        headers.PLATE_COLOUR: colour.resolve(settings.plate.colour_space),
        headers.CONFIG: colour.source,
        headers.CONFIG_ID: colour.cache_id,
        headers.KNEE: curve.knee,
        headers.MAXIMUM: curve.maximum,
    }
    if segmenter is not None and settings.segmenter is not None:
        said |= {headers.SEGMENTER: settings.segmenter.name, headers.SEGMENTER_SHA: segmenter.digest}
    return said


def _artifacts(
    settings: MergeSettings, colour: ColourConfig, model: SwapModel, stages: Stages
) -> Iterator[Artifact]:
    finish, outputs = stages.finish, stages.finish.outputs
    names, segmenter = finish.layers, stages.swapper.masker.occlusion.segmenter
    about: dict[str, Any] = {
        "version": headers.software(),
        "plate": _plate(settings, outputs.views),
        "faceset": str(settings.faceset),
        "model": {"path": str(settings.model), "digest": model.digest, "iteration": model.iteration},
        "segmenter": {"path": str(settings.segmenter), "digest": segmenter.digest} if segmenter else None,
        "user_mattes": [{"pattern": m.template.text, "use": m.use} for m in settings.user_mattes],
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
