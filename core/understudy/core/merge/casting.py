"""The people of a merge: what each one's swap needs is found, checked and loaded, before any frame is looked at."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import numpy as np

from understudy.core import _plugins, enhance, release
from understudy.core.colour import ColourConfig, SwapCurve
from understudy.core.enhance import Enhancer
from understudy.core.errors import InvalidInput, NoFace, said_by
from understudy.core.faceset import Faceset
from understudy.core.kept import Kept
from understudy.core.match import Match
from understudy.core.merge import enhancing, headers, layers
from understudy.core.merge.analysis import Placed, analyse, unfitted
from understudy.core.merge.belonging import strangers
from understudy.core.merge.composite import Compositor
from understudy.core.merge.doubts import doubts
from understudy.core.merge.expression import OCC, OCC_FACE
from understudy.core.merge.face_swap import Swapper
from understudy.core.merge.finishing import Finishing
from understudy.core.merge.flicker import Deflicker
from understudy.core.merge.grains import Grains, Measurer
from understudy.core.merge.masking import Masker, Occlusion, refuse_unknown
from understudy.core.merge.outputs import Outputs
from understudy.core.merge.performer import Performer
from understudy.core.merge.settings import MergeSettings, Person, refuse_twice
from understudy.core.model import store, swap
from understudy.core.model.swap import SwapModel
from understudy.core.plate.views import MONO
from understudy.core.release import Release
from understudy.core.reports import Warned
from understudy.core.segment import store as segmenters
from understudy.core.weights import WeightStore

if TYPE_CHECKING:
    from understudy.core.segment.network import Segmenter

Thing = TypeVar("Thing")


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """One person of a merge with what their swap needs.

    Attributes:
        index: which of the merge's people.
        name: for messages; empty where nobody else is swapped.
        prefix: what the names of their layers begin with.
        occlusion: their faces in this plate, and what is known to be before them.
        warned: what a person should know.
        shelf: what people share.
    """

    index: int
    name: str
    prefix: str
    person: Person
    model: SwapModel
    releases: tuple[Release, ...]
    occlusion: Occlusion
    warned: tuple[Warned, ...]
    shelf: _Shelf

    @property
    def curve(self) -> SwapCurve:
        """Without the shot's gain."""
        return SwapCurve.from_dict({**self.model.state.curve, "gain": 1.0})

    def header(self) -> dict[str, str | float]:
        """What every output frame says of them, under the keys of the first person."""
        said: dict[str, str | float] = {
            headers.MODEL: self.person.model.name,
            headers.MODEL_SHA: self.model.digest,
            headers.RECIPE: self.person.recipe.to_json(),
            headers.RELEASE: ",".join(record.id for record in self.releases),
            headers.KNEE: self.curve.knee,
            headers.MAXIMUM: self.curve.maximum,
        }
        segmenter = self.occlusion.segmenter
        if segmenter is not None and self.person.segmenter is not None:
            said |= {headers.SEGMENTER: self.person.segmenter.name, headers.SEGMENTER_SHA: segmenter.digest}
        return said

    def about(self) -> dict[str, Any]:
        """What the manifest says of them."""
        person, segmenter = self.person, self.occlusion.segmenter
        return {
            **({"name": person.name, "track_id": person.track} if self.name else {}),
            "faceset": str(person.faceset),
            "model": {
                "path": str(person.model),
                "digest": self.model.digest,
                "iteration": self.model.iteration,
            },
            "segmenter": {"path": str(person.segmenter), "digest": segmenter.digest} if segmenter else None,
            "user_mattes": [{"pattern": m.template.text, "use": m.use} for m in person.user_mattes],
            "recipe": person.recipe.to_dict(),
            "curve": {"knee": self.curve.knee, "maximum": self.curve.maximum},
            "releases": [record.id for record in self.releases],
        }

    def perform(
        self,
        settings: MergeSettings,
        colour: ColourConfig,
        *,
        outputs: Outputs,
        store: WeightStore | None,
        alone: bool = False,
    ) -> Performer:
        """Ready to be swapped: fits what is fitted over the whole shot, unless it lies there already.

        `alone`: frames are but looked at. Nothing that takes other frames' networks is fitted (colour match, grain,
        steady masks), and nothing is written.

        Raises:
            InvalidInput: there is no such colour match.
            WeightsMissing, WeightsCorrupt, NotFound, ModelInvalid: of a matte or an enhancer.
            WriteFailed: what was fitted could not be written.
        """
        assert settings.plate.colour_space is not None
        recipe, faceset = self.person.recipe, self.occlusion.faceset
        space = colour.resolve(settings.plate.colour_space)
        shown = settings.shown(self.index, occ=bool(self.occlusion.known))
        swapper = self._swapper(colour, layered=f"mask_{OCC}" in shown, store=store)
        match = cast("Match", _plugins.load("match", recipe.match, field="recipe.match"))
        if alone:
            placed = unfitted(faceset, recipe, swapper)
        else:
            placed = analyse(faceset, recipe, swapper, match, outputs.track(self.index))
        enhancers = {
            name: self.shelf.enhancer(name, self.person.enhancer, store) for name in enhancing.asked(recipe)
        }
        stored = outputs.grain(self.index)
        grains = (
            None
            if alone
            else self._grains(settings, colour, swapper=swapper, match=match, placed=placed, stored=stored)
        )
        return Performer(
            index=self.index,
            person=self.person,
            name=self.name,
            prefix=self.prefix,
            layers=shown,
            compositor=Compositor(
                finishing=Finishing(placed=placed, person=self.name, grains=grains, enhancers=enhancers),
                colour=colour,
                space=space,
                layers=shown,
            ),
            swapper=swapper,
            match=match,
            placed=placed,
            deflicker=Deflicker(
                window=0 if alone else recipe.mask_smooth, swapper=swapper, faceset=faceset, spots=placed
            ),
            maximum=self.curve.maximum,
        )

    def _swapper(self, colour: ColourConfig, *, layered: bool, store: WeightStore | None) -> Swapper:
        """`layered`: whether `occ` is shown, by the mask or not."""
        config = self.model.config
        return Swapper(
            network=self.model,
            face_type=config.face_type,
            size=config.resolution,
            curve=self.model.state.curve,
            masker=Masker.of(
                self.person.recipe.expression,
                size=config.resolution,
                colour=colour,
                occlusion=self.occlusion,
                layered={OCC} if layered else (),
                store=store,
            ),
        )

    def _grains(
        self,
        settings: MergeSettings,
        colour: ColourConfig,
        *,
        swapper: Swapper,
        match: Match,
        placed: dict[str, dict[int, Placed]],
        stored: Path,
    ) -> Grains | None:
        """Of the plate and the new face, where a look goes by it."""
        recipe = self.person.recipe
        if not (recipe.ever("grain") or recipe.ever("denoise")):
            return None
        assert settings.plate.colour_space is not None
        space = colour.resolve(settings.plate.colour_space)
        measurer = Measurer(
            source=settings.plate.template,
            pixels=lambda frame, window: layers.working(frame, window, space, colour)[0],
            spaces=(space, colour.cache_id),
            faceset=self.occlusion.faceset,
            swapper=swapper,
            match=match,
            recipe=recipe,
        )
        return measurer.over(placed, stored)


def load(
    settings: MergeSettings,
    views: tuple[str, ...],
    colour: ColourConfig,
    models: Mapping[Path, SwapModel] = MappingProxyType({}),
    kept: Kept | None = None,
) -> list[Loaded]:
    """Everybody, in order. Models, segmenters, enhancers and facesets that people share are loaded once.

    Args:
        models: real path of a folder → what stands for its model, which is then not read.
        kept: models and segmenters that are loaded already.

    Raises:
        InvalidInput: a model's or segmenter's working space is another, or two of the people are one.
        NotFound, ModelInvalid, TrackAmbiguous, NoFace, ReleaseMissing, ReleaseInvalid: as `shot.run`.
    """
    shelf, found = _Shelf(settings, colour, models, kept or Kept()), list[Loaded]()
    for index, person in enumerate(settings.people):
        with said_by(person.saying if settings.several else str):
            found.append(_loaded(index, person, views, shelf))
    refuse_twice([(each.person, each.occlusion.faceset) for each in found])
    return found


class _Shelf:
    """What people may share; each is loaded when it is first asked for."""

    def __init__(
        self, settings: MergeSettings, colour: ColourConfig, models: Mapping[Path, SwapModel], kept: Kept
    ) -> None:
        self.settings, self.colour, self._kept = settings, colour, kept
        self._there: dict[tuple[str, str], Any] = {
            ("model", str(path)): model for path, model in models.items()
        }

    def model(self, folder: Path) -> SwapModel:
        device = self.settings.device
        return self._once("model", folder, lambda: self._kept.checkpoint(store, folder, device, swap.load))

    def segmenter(self, folder: Path) -> Segmenter:
        from understudy.core.segment import network

        device = self.settings.device
        return self._once(
            "segmenter", folder, lambda: self._kept.checkpoint(segmenters, folder, device, network.load)
        )

    def faceset(self, folder: Path) -> Faceset:
        return self._once("faceset", folder, lambda: Faceset.open(folder))

    def enhancer(self, name: str, folder: Path | None, store: WeightStore | None) -> Enhancer:
        """The member of that name; `folder` is that of `trained`, `store` has the weights of the others."""
        there, device = store or WeightStore(Path(), entries=()), self.settings.device
        own = folder if name == enhance.TRAINED else None
        return self._once(
            name,
            own or Path(),
            lambda: enhance.opened(name, there, device=device, folder=own, field="recipe.super_resolution"),
        )

    def _once(self, kind: str, folder: Path, load: Callable[[], Thing]) -> Thing:
        key = (kind, os.path.realpath(folder))
        if key not in self._there:
            self._there[key] = load()
        found: Thing = self._there[key]
        return found


def _loaded(index: int, person: Person, views: tuple[str, ...], shelf: _Shelf) -> Loaded:
    settings, colour = shelf.settings, shelf.colour
    model = shelf.model(person.model)
    warned = _check_colour(person.model, "model", model.state, colour)
    enhancing.refuse_space(person.recipe, person.enhancer, colour.working)
    releases = _releases(person, model, settings)
    warned += enhancing.unused(person.recipe, person.enhancer)
    faceset, noted = _faces(shelf.faceset(person.faceset), person, settings, views)
    noted += strangers(faceset, settings, views, colour)
    occlusion, said = _occlusion(person, faceset, shelf)
    warned += [*noted, *said, *doubts(person.recipe, settings.plate.frames)]
    if settings.several:
        warned = [replace(each, message=person.saying(each.message)) for each in warned]
    return Loaded(
        index=index,
        name=person.name if settings.several else "",
        prefix=settings.prefix(index),
        person=person,
        model=model,
        releases=releases,
        occlusion=occlusion,
        warned=tuple(warned),
        shelf=shelf,
    )


def _releases(person: Person, model: SwapModel, settings: MergeSettings) -> tuple[Release, ...]:
    """The model's records and an enhancer's, each of which must hold (promise 10)."""
    for record in model.releases or (None,):
        release.check(record, settings.on, f"merge with {person.model}")
    lent = enhancing.releases(person.recipe, person.enhancer, settings.on)
    return tuple({record.id: record for record in (*model.releases, *lent)}.values())


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


def _occlusion(person: Person, faceset: Faceset, shelf: _Shelf) -> tuple[Occlusion, list[Warned]]:
    """What is known to be before the faces; the segmenter is loaded where the recipe's mask needs it."""
    expression, folder = person.recipe.expression, person.segmenter
    warned: list[Warned] = []
    segmenter: Segmenter | None = None
    if folder is not None and {OCC, OCC_FACE}.isdisjoint(expression.names):
        text = f"{folder}: the recipe's mask {person.recipe.mask!r} names neither {OCC} nor {OCC_FACE}: it is not used"
        warned.append(Warned(reason="SEGMENTER_UNUSED", message=text))
    elif folder is not None:
        segmenter = shelf.segmenter(folder)
        warned += _check_colour(folder, "segmenter", segmenter.state, shelf.colour)
    refuse_unknown(faceset, expression, segmenter is not None)
    return Occlusion.of(faceset, segmenter), warned


def _faces(
    opened: Faceset, person: Person, settings: MergeSettings, views: tuple[str, ...]
) -> tuple[Faceset, list[Warned]]:
    """The faces of one person in this plate, and what should be said about the choice."""
    folder = person.faceset
    mine, note = _of_plate(opened, folder, settings.plate.template.text)
    chosen = _of_views(mine, folder, views).select(person.track)
    if not set(views).intersection(chosen.views()):
        where = f" in {', '.join(views)}" if chosen.records else ""
        raise NoFace(f"{folder}: the faceset holds no face{where}", path=folder, field="faceset")
    warned = [Warned(reason="FRAME_UNREADABLE", message=message) for message in opened.broken]
    warned += [Warned(reason="TRACK_LEFT_OUT", message=message) for message in chosen.warnings]
    return chosen, warned + note


def _of_views(faceset: Faceset, folder: Path, views: tuple[str, ...]) -> Faceset:
    """The faces under the plate's names of views: what was extracted before a plate told its views apart is of the
    default one, and one view's faces fit a plate that names none.
    """
    known = sorted(faceset.views())
    if views == (MONO,) and len(known) > 1:
        raise InvalidInput(
            f"{folder}: holds faces of the views {', '.join(known)}, but the plate has no views; extract "
            "from this plate",
            path=folder,
            field="faceset",
            value=folder,
        )
    if views == (MONO,):
        return faceset.with_views(lambda _: MONO)
    return faceset.with_views(lambda view: view or views[0])


def _of_plate(faceset: Faceset, folder: Path, text: str) -> tuple[Faceset, list[Warned]]:
    """The faces that were extracted from the plate: of its path, or of its name where folders have moved."""
    plates = list(faceset.plates())
    named = [plate for plate in plates if Path(plate).name == Path(text).name]
    chosen = [text] if text in plates else named if len(named) == 1 else plates
    if len(chosen) > 1:
        raise InvalidInput(
            f"{folder}: holds faces of {len(plates)} plates ({', '.join(plates)}), none of them {text}",
            path=folder,
            field="faceset",
            value=folder,
        )
    its = faceset.subset(np.flatnonzero(np.isin(faceset.columns.plate, chosen)))
    if not chosen or text in chosen or named:
        return its, []
    other = f"{folder}: was extracted from {chosen[0]}, not from {text}; faces are put where they were there"
    return its, [Warned(reason="PLATE_DIFFERS", message=other)]
