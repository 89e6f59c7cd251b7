"""Which plan holds when: a course, in the memory that there is, shared by the processes that there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from understudy.core.errors import InvalidInput, WeightsMissing
from understudy.core.model import store
from understudy.core.model.presets import ModelConfig
from understudy.core.train import clockwork, perceptual
from understudy.core.train.perceptual import Vgg
from understudy.core.train.plan import Course, Plan, phases
from understudy.core.train.settings import TrainSettings
from understudy.core.weights import WeightStore

if TYPE_CHECKING:
    from understudy.core.train.distributed import Team

VGG: perceptual.Name = "vgg16"
"""What a perceptual loss looks through."""


class Steering:
    """The plans of one session.

    Args:
        state: as the session begins; its changes are part of the course.
        weights: where a perceptual loss finds its network.

    Attributes:
        course: what was asked for, over the life of the model.
        vgg: where some plan of the course has a perceptual loss.

    Raises:
        InvalidInput: a plan of the course can not be followed here: too little memory, too few samples for the
            processes, no place to look for weights.
        WeightsMissing, WeightsCorrupt: as `perceptual.load`.
    """

    def __init__(
        self,
        settings: TrainSettings,
        config: ModelConfig,
        state: store.State,
        device: torch.device,
        *,
        bfloat16: bool,
        weights: WeightStore | None,
        team: Team | None,
    ) -> None:
        self._settings, self._config, self._device = settings, config, device
        self._bfloat16, self._weights, self._team = bfloat16, weights, team
        self.vgg: Vgg | None = None
        self._before: tuple[bool, ...] = ()  # which phases and changes had begun
        self._fits: dict[Plan, tuple[Plan, tuple[str, ...]]] = {}
        self._told: list[str] = []
        self._traded: list[str] = []
        base = settings.plan(preset=state.preset, way=state.way)
        self.course = Course(base=base, phases=settings.phases, changes=phases(state.changes))
        self._check(self.course)
        self.turn_to(state)

    def plan(self, iteration: int, progress: float) -> Plan:
        """The plan of an iteration, as far as the device has room for it."""
        plan, sentences = self._fitted(self.course.at(iteration, progress))
        fresh = [sentence for sentence in sentences if sentence not in self._told]
        self._told += fresh
        self._traded += fresh
        return plan

    def traded(self) -> list[str]:
        """What plans gave up for memory since this was last asked: a sentence for each thing."""
        found, self._traded = self._traded, []
        return found

    def turn(self, iteration: int, progress: float) -> list[Mapping[str, str]] | None:
        """Whether another plan holds than when this was last asked: the options of the phases that begin, or None."""
        now = self._begun(iteration, progress)
        if now == self._before:
            return None
        pairs = zip(self.course.phases, now, self._before, strict=False)
        begins = [phase.options for phase, is_, was in pairs if is_ and not was]
        self._before = now
        return begins

    def turn_to(self, state: store.State) -> None:
        """Stand before the next iteration of a state: phases that begin with it have not begun."""
        last = replace(state, iteration=state.iteration - 1)
        if state.iteration:
            self._before = self._begun(last.iteration, clockwork.progress(self._settings, last))
        else:
            self._before = (False,) * len(self._begun(0, 0.0))

    def waits(self, iteration: int, progress: float) -> bool:
        """Whether a phase is still to come."""
        aimed = self._settings.target_iterations is not None or self._settings.target_seconds is not None
        coming = (phase for phase in self.course.phases if phase.iteration is not None or aimed)
        return not all(phase.begun(iteration, progress) for phase in coming)

    def change(self, iteration: int, options: Mapping[str, str]) -> None:
        """Have options hold from an iteration on; raises as the class, and nothing has changed then."""
        if not options:
            raise InvalidInput("train: no option is named", field="options", value="")
        course = self.course.changed(iteration, options)
        if self._team is not None and self.vgg is None and any(p.perceptual for p in course.plans()):
            raise InvalidInput(
                "train: on several devices, perceptual is asked for when a training begins, here or in a phase",
                field="perceptual",
                value=options.get("perceptual", ""),
            )
        self._check(course)
        self.course = course

    def _begun(self, iteration: int, progress: float) -> tuple[bool, ...]:
        return tuple(p.begun(iteration, progress) for p in (*self.course.phases, *self.course.changes))

    def _check(self, course: Course) -> None:
        """Refuse now what could not be followed later."""
        for plan in course.plans():
            self._fitted(plan)
            if plan.perceptual and self.vgg is None:
                self.vgg = self._load()

    def _load(self) -> Vgg:
        if self._weights is None:
            raise WeightsMissing(
                f"train: perceptual needs the weights {VGG}, and there is no place to look for them",
                field="perceptual",
                value=VGG,
            )
        return perceptual.load(self._weights, VGG, self._device)

    def _fitted(self, plan: Plan) -> tuple[Plan, tuple[str, ...]]:
        """A plan with what memory asks for, and what that is."""
        if self._team is not None:
            self._team.part(plan.batch_size)
            plan = _shared(plan, self._team.size)
        if self._settings.memory is None:
            return plan, ()
        if plan not in self._fits:
            from understudy.core.train import memory  # which imports the trainer

            share = 1 if self._team is None else self._team.size
            own = replace(plan, batch_size=plan.batch_size // share)
            fitted, sentences = memory.fit(
                self._config,
                own,
                self._settings.memory,
                bfloat16=self._bfloat16,
                offload=self._device.type != "cpu",
            )
            self._fits[plan] = replace(fitted, batch_size=plan.batch_size), sentences
        return self._fits[plan]


def _shared(plan: Plan, devices: int) -> Plan:
    """A plan whose parts each device's own share of the batch can be dealt out to evenly."""
    own = plan.batch_size // devices
    parts = next(n for n in range(min(plan.accumulate, own), own + 1) if own % n == 0)
    return replace(plan, accumulate=parts)
