"""A merge from its settings to its reports: `run`."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core import plate
from understudy.core.colour import ColourConfig
from understudy.core.errors import InvalidInput
from understudy.core.kept import Kept
from understudy.core.merge import casting, headers, layers
from understudy.core.merge.belonging import first_header
from understudy.core.merge.casting import Loaded
from understudy.core.merge.finish import Finish
from understudy.core.merge.manifest import Manifest
from understudy.core.merge.outputs import Outputs
from understudy.core.merge.performer import Performer
from understudy.core.merge.settings import MergeSettings
from understudy.core.merge.stages import Stages
from understudy.core.pipeline import overlapped
from understudy.core.plate import Template
from understudy.core.plate.views import MONO, header_of
from understudy.core.reports import Artifact, Report, Started, Warned
from understudy.core.weights import WeightStore


def run(
    settings: MergeSettings,
    *,
    colour: ColourConfig,
    store: WeightStore | None = None,
    kept: Kept | None = None,
) -> Generator[Report, None, None]:
    """Swap every person's face on every wanted frame, in every view, and write the finished frames with their layers.

    Yields `Started`, a `FrameReport` per frame in order, then an `Artifact` for what a person may open. A
    frame that cannot be done is a report that says why, and the next one follows. Frames that are there
    and made of the same are left alone, so that the same merge again writes nothing. Closing the generator
    stops within a frame. `store` has the weights of mattes that need any, `kept` what is loaded already. With
    `settings.again` no frame is left
    alone; with `settings.analyse_only` there are no frames, and the `track` that chunks will find is written.

    Raises:
        InvalidInput: a setting is wrong, the output's name is there with another padding, the working space of a model
            or a faceset is another, the plate has no R, G and B, or two of the people are one.
        NotFound, ModelInvalid, TrackAmbiguous, NoFace: of a model, a segmenter or a faceset; or a recipe's
            mask names `occ`, and there is none.
        WeightsMissing, WeightsCorrupt: of a matte.
        ReleaseMissing, ReleaseInvalid: a model has no release that holds on `settings.on`.
        WriteFailed, DiskFull: an output could not be written; what is finished stays. (What comes back from the disk
            other than it was written is its frame's failure alone, in its report.)
    """
    views = views_of(settings)
    for template in {settings.out.of_view(view) for view in views}:
        plate.refuse_other_padding(template)
    warned = check_plate(settings, views, colour)
    people = casting.load(settings, views, colour, kept=kept)
    yield Started(total=0 if settings.analyse_only else len(settings.wanted))
    yield from warned
    for each in people:
        yield from each.warned
    stages = ready(settings, colour, views=views, people=people, store=store)
    for performer in stages.performers:
        yield from performer.warned()
    if settings.analyse_only:
        yield from _tracks(people, stages.finish.outputs)
        return
    yield from overlapped(settings.wanted, stages.read, stages.compute, stages.write)
    yield from _artifacts(settings, colour, people, stages)


def views_of(settings: MergeSettings) -> tuple[str, ...]:
    """The views to work on; `plate.find` names those of files, who makes a `Plate` by hand has to."""
    if views := plate.views_of(settings.plate):
        return views
    raise InvalidInput(
        f"plate {settings.plate.template.text}: has %V; name its views", field="plate.views", value=""
    )


def check_plate(settings: MergeSettings, views: tuple[str, ...], colour: ColourConfig) -> list[Warned]:
    """Refuse now what would fail on every frame; say once what holds for all of them."""
    assert settings.plate.colour_space is not None
    colour.resolve(settings.plate.colour_space, field="plate.colour_space")
    warned: dict[str, Warned] = {}
    for view in views:
        template = settings.plate.template.of_view(view)
        header = first_header(template, settings)
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


def ready(
    settings: MergeSettings,
    colour: ColourConfig,
    *,
    views: tuple[str, ...],
    people: Sequence[Loaded],
    store: WeightStore | None,
    alone: bool = False,
) -> Stages:
    """Everybody ready to be swapped; `alone`: as `Loaded.perform` says."""
    assert settings.plate.colour_space is not None
    space, outputs = colour.resolve(settings.plate.colour_space), Outputs.of(settings, views)
    performers = [
        each.perform(settings, colour, outputs=outputs, store=store, alone=alone) for each in people
    ]
    header = _header(settings, colour, people, performers)
    matches = [performer.match.VERSION for performer in performers]
    finish = Finish(
        settings=settings,
        outputs=outputs,
        manifest=Manifest(out=settings.out),
        performers=performers,
        header=header,
        colour=colour,
        space=space,
    )
    return Stages(
        settings=settings,
        performers=performers,
        colour=colour,
        space=space,
        finish=finish,
        identity=headers.digest(
            headers.VERSION, *matches, header, views, finish.layers, settings.out.extension
        ),
    )


def _header(
    settings: MergeSettings, colour: ColourConfig, people: Sequence[Loaded], performers: Sequence[Performer]
) -> dict[str, str | float]:
    """What every output frame says about itself."""
    assert settings.plate.colour_space is not None
    said: dict[str, str | float] = {
        headers.PREFIX + "version": headers.software(),
        headers.PLATE: settings.plate.template.text,
        headers.PLATE_COLOUR: colour.resolve(settings.plate.colour_space),
        headers.CONFIG: colour.source,
        headers.CONFIG_ID: colour.cache_id,
    }
    if settings.several:
        said[headers.PEOPLE] = ",".join(person.name for person in settings.people)
    for each, performer in zip(people, performers, strict=True):
        own = each.header() | performer.header()
        said |= {headers.of_person(each.index, key): value for key, value in own.items()}
    return said


def _artifacts(
    settings: MergeSettings, colour: ColourConfig, people: Sequence[Loaded], stages: Stages
) -> Iterator[Artifact]:
    finish, outputs = stages.finish, stages.finish.outputs
    entries = [
        each.about() | performer.about() | {"track": _beside(outputs, outputs.track(each.index))}
        for each, performer in zip(people, stages.performers, strict=True)
    ]
    about: dict[str, Any] = {
        "version": headers.software(),
        "plate": _plate(settings, outputs.views),
        "colour": {"config": colour.source, "cache_id": colour.cache_id, "working": colour.working},
        **({"people": entries} if settings.several else entries[0]),
    }
    yield Artifact(kind="comp", path=Path(settings.out.text), layers=finish.layers)
    if outputs.layers:
        yield Artifact(kind="comp", path=Path(outputs.layers.text), layers=finish.layers)
    yield from _tracks(people, outputs)
    yield Artifact(kind="manifest", path=finish.manifest.assemble(about))


def _tracks(people: Sequence[Loaded], outputs: Outputs) -> Iterator[Artifact]:
    return (Artifact(kind="track", path=outputs.track(each.index)) for each in people)


def _beside(outputs: Outputs, path: Path) -> str:
    """A file as the manifest names it, which lies in the same folder."""
    return path.relative_to(outputs.folder).as_posix()


def _plate(settings: MergeSettings, views: tuple[str, ...]) -> dict[str, Any]:
    """What the manifest says of the plate."""
    template = settings.plate.template
    header = first_header(template.of_view(views[0]), settings)
    parts = (header, *header.others) if header else ()
    return {
        "pattern": template.text,
        "colour_space": settings.plate.colour_space,
        "compression": header.compression if header else None,
        "lossy": any(part.lossy for part in parts),
        "views": [] if views == (MONO,) else list(views),
    }
