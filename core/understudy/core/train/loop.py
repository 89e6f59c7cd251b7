"""Training as a generator of reports: facesets in, a model folder out, resumable at any instant."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from understudy.core import release
from understudy.core.colour import ColourConfig
from understudy.core.faceset import Faceset, attach_release
from understudy.core.model import store
from understudy.core.model.presets import ModelConfig, preset
from understudy.core.reports import Artifact, Report, Warned
from understudy.core.train import beginning, clockwork
from understudy.core.train.beginning import Beginning
from understudy.core.train.control import Control
from understudy.core.train.plan import Phase
from understudy.core.train.session import Session, listed, over
from understudy.core.train.settings import WAY, TrainSettings
from understudy.core.weights import WeightStore

if TYPE_CHECKING:
    from understudy.core.train.distributed import Team


def run(
    settings: TrainSettings,
    *,
    colour: ColourConfig,
    weights: WeightStore | None = None,
    control: Control | None = None,
    team: Team | None = None,
) -> Generator[Report, None, None]:
    """Train a model until it has its target, counted over all sessions; one that has returns at once.

    Yields `Started`, a `TrainReport` every second or so (also while facesets are made ready), an `Artifact` for
    each preview and at the end for the model, and `Warned` for what a person should know: a phase that begins, a
    change that was taken up or refused, a checkpoint that was broken, why it ended short of the target. Closing the
    generator writes a checkpoint first. Killed, the model stays as its last checkpoint has it and goes on from there,
    with the samples it would have had. Where that checkpoint is broken, training goes on from the one before it or a
    backup.

    Args:
        weights: where a perceptual loss finds its network.
        control: what a person asks for while it runs.
        team: the processes that share the work, of which this one leads; made here where the settings name several
            devices.

    Raises:
        InvalidInput: the model there has another configuration; two people's faceset in several colour spaces; an
            option is wrong, or the memory that was asked for is too little.
        OutOfMemory: the device's memory did not suffice, in the middle of it; the last checkpoint holds.
        NoFace: a faceset is empty.
        NotFound: a faceset, or the model to start from, is not there.
        FrameUnreadable: a pack is broken, or more than a tenth of a faceset's faces cannot be read.
        TrackAmbiguous: a faceset holds several people and no track was chosen.
        ReleaseMissing, ReleaseInvalid: src has no release that holds today.
        WeightsMissing, WeightsCorrupt: as `perceptual.load`.
        ModelInvalid: a file of the model is broken and there is nothing to fall back to, or training keeps running
            off to infinity.
        WriteFailed, DiskFull: a checkpoint could not be written; the one before still holds.
    """
    if team is None and "," in settings.device:
        from understudy.core.train import distributed

        with distributed.gather(settings.device) as made:
            yield from run(settings, colour=colour, weights=weights, control=control, team=made)
        return
    if settings.release is not None:
        attach_release(settings.src, settings.release)
    src = Faceset.open(settings.src).select(settings.src_track)
    dst = Faceset.open(settings.dst).select(settings.dst_track)
    granted = src.release()
    release.check(granted, date.today(), f"train {settings.model.name} on {settings.src}")
    fallen = store.fall_back(settings.model)
    config = preset(settings.preset) if settings.preset else store.read_config(settings.model)
    there = store.exists(settings.model)
    begin = _begin(settings, config) if not there else None
    store.create(settings.model, config)
    state = _asked(settings, store.read_state(settings.model) if there else store.State())
    yield clockwork.started(settings, state)
    yield from _said(settings, state, fallen, there=there, begin=begin)
    ending = over(settings, state)
    if ending is not None or clockwork.progress(settings, state) >= 1:
        yield from () if ending is None else (ending,)
        yield clockwork.standing(state)
        yield Artifact(kind="model", path=settings.model)
        return
    session = Session(settings, colour, state, config, weights=weights, control=control, team=team)
    yield from session.prepare(src, dst, granted, begin)
    yield from session.train()


def _begin(settings: TrainSettings, config: ModelConfig) -> Beginning | None:
    """What a new model begins with, of another."""
    if settings.start_from is None:
        return None
    return beginning.of(settings.start_from, config, new_inter=settings.new_inter)


def _asked(settings: TrainSettings, state: store.State) -> store.State:
    """The state with what is asked for now. An option that was asked for otherwise before holds over what a person
    changed since, and where anything is asked for anew, waiting for a better loss begins anew.
    """
    options = dict(settings.options)
    if settings.batch_size is not None:
        options["batch_size"] = str(settings.batch_size)
    way = settings.way or state.way or WAY
    anew = {name: value for name, value in options.items() if state.options.get(name) != value}
    kept = (
        {**change, "options": {n: v for n, v in change["options"].items() if n not in anew}}
        for change in state.changes
    )
    same = way == state.way and options == dict(state.options)
    told = anew if way == state.way else {"way": way, **anew}
    return replace(
        _noted(state, told),
        preset=settings.preset or state.preset,
        way=way,
        options=options,
        changes=tuple(change for change in kept if change["options"]),
        plateau=state.plateau if same else {},
    )


def _noted(state: store.State, anew: Mapping[str, str]) -> store.State:
    """The state, with where training goes on and what is asked for anew there."""
    here = state.iteration
    if not here:
        return state
    options = (Phase(iteration=here, options=anew).to_dict(),) if anew else ()
    # killed before its next checkpoint, it goes on at the same iteration again
    resumed = state.resumed if here in state.resumed[-1:] else (*state.resumed, here)
    return replace(state, begun=(*state.begun, *options), resumed=resumed)


def _said(
    settings: TrainSettings,
    state: store.State,
    fallen: tuple[str, str] | None,
    *,
    there: bool,
    begin: Beginning | None,
) -> Iterator[Warned]:
    """What a training begins with that nobody could know from what was asked."""
    if fallen is not None:
        wrong, taken = fallen
        yield Warned(
            reason="RESTORED",
            message=f"{wrong}; goes on from {settings.model / taken}, iteration {state.iteration}",
        )
    if begin is not None:
        yield Warned(reason="START_FROM", message=f"{settings.model}: of {settings.start_from} {begin}")
    given = settings.start_from
    if there and given and store.exists(given) and store.read_state(given).digest != state.pretrained:
        yield Warned(
            reason="START_FROM",
            message=f"{settings.model}: is there, and goes on with its own weights; only a new one starts from "
            f"{given}",
        )
    if state.changes:
        held = {name: value for change in state.changes for name, value in change["options"].items()}
        yield Warned(
            reason="CHANGED", message=f"{settings.model}: goes on with what was changed: {listed(held)}"
        )
