"""What is exported and imported, with every check that needs no network. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

from understudy.core import release
from understudy.core.errors import InvalidInput
from understudy.core.model import store
from understudy.core.model.exchange import card, inside
from understudy.core.release import Release

SUFFIXES: Mapping[str, str] = MappingProxyType(
    {"onnx": ".onnx", "dfm": ".dfm", "torchscript": ".pt", "weights": ""}
)
"""Formats by name, and how their files end; weights are a folder."""

OPSET, OPSETS = 17, range(11, 21)  # of torch's classic exporter; below 11, clamping has no limits of its own
PACKAGES = ("onnx", "onnxruntime")
_NEEDS_PACKAGES = ("onnx", "dfm")
# options that a format does not know, each with the value that says nothing
_NONE: Mapping[str, Mapping[str, Any]] = {
    "onnx": {"gain": 1.0, "folders": False},
    "dfm": {"opset": OPSET, "folders": False},
    "torchscript": {"opset": OPSET, "gain": 1.0, "half": False, "folders": False},
    "weights": {"opset": OPSET, "gain": 1.0, "half": False, "swap_back": False},
}


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """Which model goes where, and how.

    Attributes:
        model: its folder.
        out: a file that ends as the format's do; for `weights` a folder.
        format: one of `SUFFIXES`.
        opset: of ONNX's operators, 11 to 20; of `onnx` only.
        half: weights and arithmetic in float16; of `onnx` and `dfm`.
        gain: brings a face as shown to mid grey, above 0; of `dfm`.
        swap_back: put dst's face on src; needs `release`. Not of `weights`, which hold both.
        release: record of the face that is put on, where that is dst's.
        folders: whether the card tells where src and dst lay; of `weights`.
        on: the day on which releases must hold.

    Raises:
        InvalidInput: names the field and the value.
    """

    model: Path
    out: Path
    format: str
    opset: int = OPSET
    half: bool = False
    gain: float = 1.0
    swap_back: bool = False
    release: Release | None = None
    folders: bool = False
    on: date = field(default_factory=date.today)

    def __post_init__(self) -> None:
        if self.format not in SUFFIXES:
            raise self._refuse("format", self.format, f"is none of {', '.join(SUFFIXES)}")
        suffix = SUFFIXES[self.format]
        if self.out.suffix.lower() != suffix and suffix:
            raise self._refuse("out", self.out, f"must end in {suffix}, as {self.format} does")
        if not suffix and self.out.suffix.lower() in SUFFIXES.values() and self.out.suffix:
            raise self._refuse("out", self.out, "ends as a file does, but weights are a folder")
        if self.opset not in OPSETS:
            raise self._refuse("opset", self.opset, f"is not from {OPSETS[0]} to {OPSETS[-1]}")
        if not 2.0**-24 <= self.gain <= 2.0**24:  # as of the swap curve; NaN neither
            raise self._refuse("gain", self.gain, "is not from 6e-08 to 1.7e+07")
        for name, nothing in _NONE[self.format].items():
            if (value := getattr(self, name)) != nothing:
                raise self._refuse(name, value, f"means nothing to {self.format}")
        if self.release is not None and not self.swap_back:
            raise self._refuse(
                "release", self.release.id, "is for swap_back; otherwise the model's own records hold"
            )

    @property
    def options(self) -> dict[str, Any]:
        """What tells this export from others of the same weights, as the card has it."""
        unknown = {"model", "out", "release", "on", *_NONE[self.format]}
        told = {name: value for name, value in vars(self).items() if name not in unknown}
        return told | ({"release": self.release.id} if self.release is not None else {})

    def releases(self, state: store.State) -> tuple[Release, ...]:
        """The records of whose likeness goes out.

        Raises:
            ReleaseMissing, ReleaseInvalid: there is none, or one of them does not hold on that day.
        """
        records = (self.release,) if self.swap_back else state.releases or (None,)
        for record in records:
            release.check(record, self.on, f"export of {self.model}")
        return tuple(record for record in records if record is not None)

    def done(self, state: store.State) -> bool:
        """Whether `out` is this export already: of the same weights and state, with the same options and releases.

        Raises:
            InvalidInput: something else is there.
        """
        if not self.out.exists() or (
            self.out.is_dir() and self.format == "weights" and not any(self.out.iterdir())
        ):
            return False
        told = inside.read(self.out)
        if told and told == self._card(state, told):
            return True
        what = f"an export of {told['digest']!s:.12}…" if told.get("digest") else "no export of ours"
        raise InvalidInput(
            f"out: {self.out} is there already: {what}, not this one of {state.digest[:12]}…; name another place",
            path=self.out,
            field="out",
            value=self.out,
        )

    def check(self, state: store.State, working: str) -> None:
        """Refuse what can be refused before the model is loaded.

        Args:
            working: name of the colour config's working space.

        Raises:
            InvalidInput: a package is not installed, or the colour config is another.
            ReleaseMissing, ReleaseInvalid: as `releases`.
        """
        self.releases(state)
        if self.format in _NEEDS_PACKAGES:
            for name in PACKAGES:
                if find_spec(name) is None:
                    raise lacks(name)
        if self.format == "dfm":
            same_space(state, working)

    def _card(self, state: store.State, told: Mapping[str, Any]) -> dict[str, Any]:
        """What the card would say; how many weights there are is taken as told, since the digest names them."""
        released = replace(state, releases=self.releases(state))
        shape = told.get("configuration")
        count = shape.get("parameters", 0) if isinstance(shape, dict) else 0
        config, folders, export = store.read_config(self.model), self.folders, self.options
        wanted = card.describe(config, released, parameters=count, folders=folders, export=export)
        return dict(json.loads(json.dumps(wanted)))

    def _refuse(self, name: str, value: object, why: str) -> InvalidInput:
        return InvalidInput(f"export: {name} {str(value)!r} {why}", field=name, value=value)


@dataclass(frozen=True, kw_only=True)
class ImportSettings:
    """Which model comes in.

    Attributes:
        source: DeepFaceLab's `model` folder, or a folder of exported weights.
        out: folder of the model; one that is trained already is refused.
        name: of the model, where DeepFaceLab's folder holds several.
        releases: records of whose face it is.

    Raises:
        InvalidInput: names the field and the value.
    """

    source: Path
    out: Path
    name: str = ""
    releases: tuple[Release, ...] = ()

    def __post_init__(self) -> None:
        refuse_trained(self.out)
        if self.exported and self.name:
            raise InvalidInput(
                f"name: {self.name!r} chooses among DeepFaceLab's models; {self.source} has exported weights",
                field="name",
                value=self.name,
            )

    @property
    def exported(self) -> bool:
        """Whether the source is an export of weights, not DeepFaceLab's."""
        return (self.source / inside.WEIGHTS).is_file()


def refuse_trained(out: Path) -> None:
    """Refuse a folder in which a model is trained already; raises InvalidInput."""
    if store.exists(out):
        raise InvalidInput(
            f"{out}: there is a trained model already; name another folder", path=out, field="out", value=out
        )


def lacks(package: str) -> InvalidInput:
    """What to say where a package of the extra `export` is not installed."""
    return InvalidInput(
        f"export: the package {package} is not installed; `pip install understudy[export]` has it",
        field="format",
        value=package,
    )


def same_space(state: store.State, working: str | None) -> None:
    """Refuse to convert for a screen with another working space than the model learnt in; raises InvalidInput."""
    if state.working_space and working != state.working_space:
        raise InvalidInput(
            f"export: the model was trained in {state.working_space!r}, but the colour config's working space is "
            f"{working!r}; export with the model's colour config",
            field="colour_config",
            value=working,
        )
