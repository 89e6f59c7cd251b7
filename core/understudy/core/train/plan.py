"""How a model is trained, at a time and over time. Imports no torch.

A `Plan` is everything that may change while a training runs. A `Course` is a plan over the life of a model: how it
begins, the phases that were laid down for it, and what a person changed while it ran. The plan of an iteration is
a function of the course, the iteration and the progress, so that a training that is gone on with takes the same steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any

from understudy.core import parameters
from understudy.core.errors import InvalidInput
from understudy.core.parameters import Parameter, choice, flag, number
from understudy.core.train.augmentation import Augmentation

INITIAL = ("ours", "glorot", "convolution-aware")
OPTIMISERS = ("adam", "rmsprop", "adabelief", "rmsprop-dfl", "adabelief-dfl")
FORMS = ("ours", "dfl")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What one iteration follows, field by field; each says of itself what it is.

    Raises:
        InvalidInput: names the field and the value.
    """

    batch_size: int = number(4, 1, 1024, "Samples of each person in an iteration")
    accumulate: int = number(
        1, 1, 256, "Parts that an iteration's batch is computed in: less memory, as many samples"
    )
    even_yaw: bool = flag(False, "Turned faces are seen as often as frontal ones")
    pair_poses: bool = flag(False, "Each src sample is paired with a dst sample of like pose")

    initial: str = choice(
        "ours", INITIAL, "How a new model's weights are drawn; of no influence on one that is there"
    )
    optimiser: str = choice("adam", OPTIMISERS, "What takes the steps; `-dfl`: with DeepFaceLab's quirks")
    learning_rate: float = number(5e-4, 1e-9, 1, "Length of a step, at its height")
    warmup: int = number(50, 0, 1_000_000, "Iterations over which the learning rate rises from nothing")
    floor: float = number(0.02, 0, 1, "Share of the learning rate that is left when the target is reached")
    cycle: int = number(0, 0, 1_000_000, "Iterations of a cosine in the learning rate, over and over; 0 none")
    keep: float = number(1.0, 0.001, 1, "Share of the weights, chosen by chance, that an iteration moves")
    clip: float = number(0.0, 0, 1e6, "Norm that gradients are cut to; 0 leaves them")
    average: float = number(
        0.0, 0, 0.99999, "Decay of the running mean of the weights, which then swaps; 0 none"
    )

    masked: bool = flag(True, "The loss looks at the face; otherwise at the whole crop")
    beyond: float = number(0.1, 0, 1, "How much the picture around the face counts in the loss, where masked")
    blur_out: bool = flag(False, "What is around the face is blurred in what is to be painted")
    eyes_mouth: bool = flag(False, "Eyes and mouth must be right before all")
    form: str = choice("ours", FORMS, "`dfl`: losses with DeepFaceLab's quirks")
    face_style: float = number(
        0.0, 0, 100, "Power that draws the swap's colours to dst's face; begin at 0.001"
    )
    background_style: float = number(
        0.0, 0, 100, "Power that draws the swap's surroundings to dst's; 2 is usual"
    )
    perceptual: float = number(0.0, 0, 100, "Weight of the difference in what VGG-16 sees; needs its weights")
    true_face: float = number(
        0.0, 0, 1, "Power of TrueFace, which makes both people's codes alike; 0.01 is usual"
    )
    gan: float = number(
        0.0, 0, 5, "Power of the GAN, which sharpens src's face; 0.1 is usual, late in a training"
    )
    gan_patch: int = number(
        0, 0, 640, "Side of the patches that it judges, in pixels; 0: an eighth of the face"
    )
    gan_dims: int = number(16, 2, 512, "Width of its discriminator")
    gan_smoothing: float = number(
        0.1, 0, 0.5, "How much less than certain its discriminator shall be of what is real"
    )
    gan_adapt: bool = flag(True, "What it judges is augmented when it begins to learn samples by heart")

    calm: float = number(0.4, 0, 1, "Share of the target from which on the warp fades to a quarter; 1 never")
    recompute: bool = flag(
        False, "Parts of the forward pass are computed twice: less memory, a third more time"
    )
    offload: bool = flag(False, "What the optimiser remembers lies in the CPU's memory")
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        parameters.check(self, "train")
        if self.batch_size % self.accumulate:
            raise InvalidInput(
                f"train: accumulate {self.accumulate} does not divide batch_size {self.batch_size}",
                field="accumulate",
                value=self.accumulate,
            )

    def augment(self, progress: float) -> Augmentation:
        """The augmentation at that share of the target."""
        if progress <= self.calm or self.calm >= 1:
            return self.augmentation
        left = max(0.25, 1 - (progress - self.calm) / (1 - self.calm))
        return replace(self.augmentation, warp=self.augmentation.warp * left)

    def with_options(self, options: Mapping[str, str]) -> Plan:
        """As this one, but for these: name → text.

        Raises:
            InvalidInput: there is no such option, or its value is wrong: names both.
        """
        own: dict[str, Any] = {}
        moved: dict[str, Any] = {}
        for name, text in options.items():
            place, of = (moved, self.augmentation) if name in _MOVES else (own, self)
            if name not in NAMES:
                raise InvalidInput(
                    f"train: there is no option {name!r}; there are {', '.join(NAMES)}",
                    field=name,
                    value=text,
                )
            place[name] = parameters.parse(of, name, text, "train")
        return replace(self, **own, augmentation=replace(self.augmentation, **moved))

    def options(self) -> dict[str, str]:
        """All of it as `with_options` takes it."""
        said = (*parameters.of(self), *parameters.of(self.augmentation))
        return {each.name: each.default for each in said}


_MOVES = frozenset(each.name for each in fields(Augmentation))
NAMES = tuple(
    each.name for cls in (Plan, Augmentation) for each in fields(cls) if each.name != "augmentation"
)


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Options that hold from some point of a training on.

    Attributes:
        iteration: from which iteration on; or
        share: from which share of the target on, 0 to 1. One of the two is given.
        options: name → text, as `Plan.with_options` takes them.

    Raises:
        InvalidInput: both or neither is given, or out of range.
    """

    iteration: int | None = None
    share: float | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.iteration is None) == (self.share is None):
            raise InvalidInput(
                "phase: give either the iteration or the share that it begins at", field="phases"
            )
        if self.iteration is not None and self.iteration < 0:
            raise InvalidInput(
                f"phase: iteration {self.iteration} is below 0", field="phases", value=self.iteration
            )
        if self.share is not None and not 0 <= self.share <= 1:
            raise InvalidInput(f"phase: share {self.share} must be 0 to 1", field="phases", value=self.share)

    def begun(self, iteration: int, progress: float) -> bool:
        """Whether it holds there."""
        if self.iteration is not None:
            return iteration >= self.iteration
        return self.share is not None and progress >= self.share

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"iteration": self.iteration, "share": self.share, "options": dict(self.options)}


@dataclass(frozen=True, kw_only=True)
class Course:
    """A plan over the life of a model.

    Attributes:
        base: what holds where nothing else is said.
        phases: one after the other; where two that have begun say the same option, the later one in the list holds.
        changes: what a person changed while it ran, at iterations; they hold over the phases.

    Raises:
        InvalidInput: an option in it is wrong.
    """

    base: Plan
    phases: tuple[Phase, ...] = ()
    changes: tuple[Phase, ...] = ()

    def __post_init__(self) -> None:
        plan = self.base
        for phase in (*self.phases, *self.changes):
            plan = plan.with_options(phase.options)

    def at(self, iteration: int, progress: float) -> Plan:
        """The plan of an iteration; `progress` is the share of the target that is done."""
        begun = [p.options for p in (*self.phases, *self.changes) if p.begun(iteration, progress)]
        return self.base.with_options({name: text for options in begun for name, text in options.items()})

    def plans(self) -> Iterator[Plan]:
        """Those that it has where its phases begin in their order."""
        for count in range(len(self.phases) + 1):
            options: dict[str, str] = {}
            for phase in (*self.phases[:count], *self.changes):
                options |= phase.options
            yield self.base.with_options(options)

    def changed(self, iteration: int, options: Mapping[str, str]) -> Course:
        """With what a person changes at an iteration; raises InvalidInput."""
        return replace(self, changes=(*self.changes, Phase(iteration=iteration, options=options)))


WAYS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "ours": {},
        # SAEHD's defaults, the quirks of its losses and steps included
        "dfl": {
            "form": "dfl", "optimiser": "adabelief-dfl", "learning_rate": "5e-5", "warmup": "0", "floor": "1",
            "beyond": "0", "calm": "1", "rotation": "10", "scale": "0.15", "shift": "0.05", "warp": "1",
            "exposure": "0", "tint": "0", "flip_dst": "0.4", "gan_smoothing": "0", "gan_adapt": "no",
        },
        # faces in general, of many people, before a model meets its two: DeepFaceLab's `pretrain`
        "pretrain": {"warp": "0", "flip_src": "0.5", "flip_dst": "0.5", "even_yaw": "yes", "calm": "1"},
    }
)  # fmt: skip
"""How to train, by name: options that lie over a preset's."""

_PLANS = {"quick64": Plan(), "quick96": Plan(learning_rate=2e-4)}


def plan(preset: str, way: str = "ours") -> Plan:
    """The plan of a preset, trained in a way; presets without a plan of their own share one.

    Raises:
        InvalidInput: there is no such way.
    """
    if way not in WAYS:
        raise InvalidInput(f"train: way {way!r} is none of {', '.join(WAYS)}", field="way", value=way)
    found = _PLANS.get(preset, Plan(batch_size=8, learning_rate=1e-4))
    if preset.endswith("-gan-trueface"):  # of the paper's ablation
        found = replace(found, gan=0.1, true_face=0.01)
    return found.with_options(WAYS[way])


def options() -> tuple[Parameter, ...]:
    """Every option, for hosts that build their knobs from it; defaults are those of `quick64`."""
    return tuple(each for part in (Plan(), Augmentation()) for each in parameters.of(part))


def phases(said: Sequence[Mapping[str, Any]]) -> tuple[Phase, ...]:
    """The inverse of `Phase.to_dict` for each; raises InvalidInput."""
    return tuple(Phase(**each) for each in said)
