"""A model out of parts of others: the encoder and inter of one, say, and src's decoder of another.

Parts fit together where they were made for the same pictures and the widths meet; the configurations tell this, so
that no weight is read before. That the parts understand each other is another matter: a decoder reads the code that
its own inter learnt, so parts of unrelated models give no face until they are trained on together. Models that began
with the same weights (of one pretraining, say) are close. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from understudy.core.colour import SwapCurve
from understudy.core.errors import InvalidInput
from understudy.core.model import store
from understudy.core.model.exchange.saehd import PARTS
from understudy.core.model.exchange.settings import refuse_trained
from understudy.core.model.presets import ModelConfig
from understudy.core.reports import Advanced, Artifact, Report, Started, Warned

_SAME = ("arch", "options", "resolution", "face_type")
# which parts a width goes into, by the beginning of their names
_WIDTHS = {
    "e_dims": ("encoder", "inter"),
    "ae_dims": ("inter", "decoder"),
    "d_dims": ("decoder",),
    "d_mask_dims": ("decoder",),
}


@dataclass(frozen=True, kw_only=True)
class CombineSettings:
    """Which part comes from where.

    Attributes:
        out: folder of the model; one that is trained already is refused.
        parts: part → folder of the model that gives it.
        base: folder of the model that gives all other parts; None where `parts` names all.

    Raises:
        InvalidInput: names the field and the value.
    """

    out: Path
    parts: Mapping[str, Path] = field(default_factory=dict)
    base: Path | None = None

    def __post_init__(self) -> None:
        refuse_trained(self.out)
        if not self.parts:
            raise InvalidInput("combine: no part is named", field="parts", value="")

    def check(self) -> tuple[ModelConfig, dict[str, Path], dict[Path, store.State]]:
        """What it will be, if the parts fit: its configuration, the giver of each part, the givers' states.

        Raises:
            InvalidInput: a part is unknown or not named, or two models differ in what must agree: names both values.
            NotFound, ModelInvalid: of a model.
        """
        givers = dict.fromkeys(filter(None, (self.base, *self.parts.values())))
        configs = {folder: store.read_config(folder) for folder in givers}
        first = next(iter(configs))
        for folder, config in configs.items():
            for name in _SAME:
                _agree(name, first, getattr(configs[first], name), folder, getattr(config, name))
        parts = self._givers(PARTS[configs[first].arch])
        config = replace(configs[first], **_widths(parts, configs))
        states = {folder: store.read_state(folder) for folder in dict.fromkeys(parts.values())}
        (one, state), *others = states.items()
        for folder, other in others:
            _agree("working_space", one, state.working_space or "none", folder, other.working_space or "none")
            _agree("curve", one, _curve(state), folder, _curve(other))
        return config, parts, states

    def _givers(self, names: tuple[str, ...]) -> dict[str, Path]:
        """The folder of each part, in the network's order."""
        for name in self.parts:
            if name not in names:
                raise InvalidInput(
                    f"combine: part {name!r} is none of {', '.join(names)}", field="parts", value=name
                )
        given = {name: self.parts.get(name, self.base) for name in names}
        if missing := [name for name, folder in given.items() if folder is None]:
            raise InvalidInput(
                f"combine: {', '.join(missing)}: no model gives it; name one, or a base for all other parts",
                field="parts",
                value=missing[0],
            )
        return {name: folder for name, folder in given.items() if folder is not None}


def combine(settings: CombineSettings) -> Iterator[Report]:
    """Make the model: a step for each one that gives a part; then the `Artifact`.

    It begins at iteration 0 with fresh moments and carries the releases of all givers; its state says which weights
    each part is from.

    Raises:
        InvalidInput, NotFound, ModelInvalid: as `CombineSettings.check`, or a model's weights were altered.
        DiskFull, WriteFailed: no model was made.
    """
    config, parts, states = settings.check()
    yield Started(total=len(states), unit="step")
    weights: dict[str, Any] = {}
    for done, folder in enumerate(states, 1):
        states[folder], given = store.load(folder)
        weights |= {name: each for name, each in given.items() if parts.get(name.partition(".")[0]) == folder}
        yield Advanced(done=done)
    store.create(settings.out, config)
    store.save(settings.out, _state(parts, states), weights, {})
    if len({state.colour for state in states.values()}) > 1:
        yield Warned(
            reason="COLOUR_CONFIG_DIFFERS",
            message=f"{settings.out}: its parts were trained with different colour configs, which call their working "
            "space by the same name",
        )
    yield Artifact(kind="model", path=settings.out)


def _widths(parts: Mapping[str, Path], configs: Mapping[Path, ModelConfig]) -> dict[str, Any]:
    """The widths that meet in the parts; raises InvalidInput where they do not."""
    found: dict[str, Any] = {}
    for width, goes_into in _WIDTHS.items():
        (one, folder), *others = ((n, f) for n, f in parts.items() if n.startswith(goes_into))
        found[width] = getattr(configs[folder], width)
        for name, other in others:
            _agree(
                f"{width} of {one} and {name}", folder, found[width], other, getattr(configs[other], width)
            )
    return found


def _state(parts: Mapping[str, Path], states: Mapping[Path, store.State]) -> store.State:
    """What all have in common, the releases of all, and where each part is from."""
    first, *others = states.values()
    releases = {record.id: record for state in states.values() for record in state.releases}
    common = {
        name: getattr(first, name)
        for name in ("src", "dst", "src_folder", "colour", "preset", "way")
        if all(getattr(other, name) == getattr(first, name) for other in others)
    }
    return store.State(
        **common,
        curve=first.curve,
        working_space=first.working_space,
        releases=tuple(releases.values()),
        versions=first.versions,
        combined={part: states[folder].digest for part, folder in parts.items()},
    )


def _curve(state: store.State) -> dict[str, float]:
    """The swap curve without the gain, defaults told."""
    return SwapCurve.from_dict({**state.curve, "gain": 1.0}).to_dict()


def _agree(what: str, one: Path, value: object, other: Path, found: object) -> None:
    if found != value:
        raise InvalidInput(
            f"combine: {what} must be the same, but is {value!r} in {one} and {found!r} in {other}",
            path=other,
            field="parts",
            value=found,
        )
