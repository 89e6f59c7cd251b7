"""The whole look of a merge as names and numbers, and as the text that goes into every output's header.

Knows no pixels and imports no torch: the daemon's server process decodes and checks recipes with it.
The text form is the protobuf JSON mapping of `understudy.v1.Recipe`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property, lru_cache
from types import MappingProxyType
from typing import Any, cast

from understudy.core import _plugins
from understudy.core.errors import InvalidInput, meant
from understudy.core.frames import FrameRange, Segment
from understudy.core.merge import expression
from understudy.core.merge.curve import Curve, Key
from understudy.core.merge.expression import Expression
from understudy.core.parameters import Parameter

__all__ = ["Curve", "Key", "Override", "Recipe", "parameters"]

Setting = Curve | str | int | bool

_KINDS = MappingProxyType({str: "a name", int: "a whole number", bool: "yes or no"})
_OVERRIDE = ("frames", "likeFrame", "settings")
_MOST_FRAMES = 1_000_000  # of one override: more is a mistake, and would fill the memory


@dataclass(frozen=True, kw_only=True)
class _Says:
    """What a setting says of itself.

    Attributes:
        help: for a tooltip.
        low, high: of numbers, inclusive.
        choices: names to choose from; `family`: the plug-ins that are, too.
        window: a number of frames around a frame, which must be odd.
        fitted: over the whole shot, so that no frame can have another.
    """

    help: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    family: str = ""
    window: bool = False
    fitted: bool = False

    def names(self) -> tuple[str, ...]:
        return (*self.choices, *(_members(self.family) if self.family else ()))


@cache
def _members(family: str) -> tuple[str, ...]:
    """Once in a process: it looks through all installed packages, and a shot may have an override for each frame."""
    return _plugins.names(family)


def _says(text: str, low: float | None = None, high: float | None = None, **more: Any) -> _Says:
    return _Says(help=text, low=low, high=high, **more)


_ZERO, _ONE = Curve.constant(0.0), Curve.constant(1.0)
_FEATHER, _SOFT, _STEPS, _ALL = map(Curve.constant, (12.0, 0.25, 8.0, 100.0))
_SETTINGS: Mapping[str, _Says] = MappingProxyType(
    {
        "match": _says("Colour match of the face to the plate", family="match", fitted=True),
        "match_amount": _says("How much of the colour match: 0 leaves the network's colour", 0.0, 1.0),
        "mask": _says(
            f"Expression over mattes ({', '.join(expression.names())}), with * + - min() max() ()", fitted=True
        ),
        "erode": _says("Shrinks the matte by so many plate pixels; negative grows it", -500.0, 500.0),
        "feather": _says("Width of the soft edge in plate pixels, inside the eroded matte", 0.0, 500.0),
        "blend": _says("How the face goes onto the plate", family="blend"),
        "opacity": _says("Opacity of the whole swap", 0.0, 1.0),
        "smooth": _says(
            "Frames over which landmarks are steadied, an odd number; 0 or 1 leaves them as detected",
            0, 101, window=True, fitted=True,
        ),
        "keep_highlights": _says("Highlights beyond the network's range keep the plate's ratio"),
        "mask_smooth": _says(
            "Frames over which the mask's flicker is taken out, an odd number; 0 or 1 leaves it",
            0, 25, window=True, fitted=True,
        ),
        "match_per_frame": _says(
            "Each frame's colour is matched by itself, not by the shot's slow drift", fitted=True
        ),
        "face_scale": _says("Makes the face so many per cent larger, where it stands", -50.0, 50.0),
        "denoise": _says("Takes noise out of the face: how many times its grain's deviation is noise", 0.0, 10.0),
        "relight": _says(
            "How the face takes on the plate's light as it falls here and there", family="finish.relight"
        ),
        "relight_amount": _says("How much of the plate's light the face takes on", 0.0, 1.0),
        "relight_softness": _says("How soft the light is that is taken on, in shares of the face's size", 0.02, 1.0),
        "super_resolution": _says(
            "What paints more detail into the face than the network has pixels for: twice as many each way",
            choices=("none",), family="enhance",
        ),
        "super_resolution_amount": _says("Per cent of that detail", 0.0, 100.0),
        "sharpen": _says("How much of the face's detail is added; below 0 it is softened", -1.0, 10.0),
        "sharpen_kind": _says(
            "What detail is: what a blur takes out of each channel, or (unsharp) of the luminance alone",
            choices=("box", "gaussian", "unsharp"),
        ),
        "sharpen_radius": _says("How coarse the detail is, in plate pixels", 0.1, 100.0),
        "sharpen_threshold": _says("Of unsharp: so little detail, in stops, is left alone", 0.0, 10.0),
        "degrade": _says("Takes so many per cent of the face's pixels, each way", 0.0, 99.0),
        "degrade_colour": _says("How much of the face is reduced to a few colours", 0.0, 1.0),
        "degrade_steps": _says("Of these colours: values per stop of light", 0.1, 1000.0),
        "motion_blur": _says("Blurs the face along its way: frames that the shutter is open; 0.5 is 180°", 0.0, 2.0),
        "grain": _says("Grain added to the face; 1 is as much as the plate has", 0.0, 2.0),
    }
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Override:
    """What is otherwise on some frames.

    Attributes:
        frames: at least one.
        like: a frame that these look like, by what the recipe and the overrides before this say there; None: none.
        settings: name of a field of `Recipe` and its value, each at most once, in any order; over what `like` gives.
    """

    frames: FrameRange
    like: int | None = None
    settings: tuple[tuple[str, Setting], ...] = ()

    def __post_init__(self) -> None:
        names = [name for name, _ in self.settings]
        if not len(self.frames) or len(set(names)) < len(names) or (self.like is None and not names):
            raise InvalidInput(
                f"recipe.overrides: {self.frames or 'no frames'}: {', '.join(names) or 'no settings'}: an override "
                "needs frames, and settings that are said once, or a frame to be like",
                field="recipe.overrides",
                value=str(self.frames),
            )
        object.__setattr__(self, "settings", tuple(sorted(self.settings, key=lambda said: said[0])))

    def to_dict(self) -> dict[str, Any]:
        """As `understudy.v1.RecipeOverride`."""
        frames = [
            {"first": str(s.first), "last": str(s.last), "step": str(s.step)} for s in self.frames.segments
        ]
        form: dict[str, Any] = {"frames": frames}
        if self.like is not None:
            form["likeFrame"] = str(self.like)
        if self.settings:
            form["settings"] = {_camel(name): _form(value) for name, value in self.settings}
        return form

    @classmethod
    def from_dict(cls, form: Mapping[str, Any]) -> Override:
        """Read `to_dict`'s form. Raises InvalidInput, as `Recipe.from_dict`."""
        try:
            if unknown := set(form) - set(_OVERRIDE):
                raise ValueError(f"there is no {min(unknown)!r}{meant(min(unknown), _OVERRIDE)}")
            segments = [
                Segment(int(s.get("first", 0)), int(s.get("last", 0)), int(s.get("step", 0)) or 1)
                for s in form["frames"]
            ]
            if sum((s.last - s.first) // s.step + 1 for s in segments) > _MOST_FRAMES:
                raise ValueError(f"more than {_MOST_FRAMES} frames")
            frames = FrameRange(tuple(sorted(segments, key=lambda s: s.first)))
            like = int(form["likeFrame"]) if "likeFrame" in form else None
            items = dict(form.get("settings", {}))
        except (AttributeError, KeyError, TypeError, ValueError, InvalidInput) as error:
            raise InvalidInput(
                f"recipe.overrides: {form!r} is no override: {error}", field="recipe.overrides", value=form
            ) from error
        return cls(frames=frames, like=like, settings=tuple(_read(items).items()))


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Names and parameters of one look: `parameters()` says what each is. Lengths are plate pixels.

    A frame's own look is `at(frame)`. What is fitted over the whole shot is there for all frames alike.

    Attributes:
        overrides: what is otherwise on some frames; where several hold, the later goes over the earlier.
    """

    match: str = "reinhard"
    match_amount: Curve = _ONE
    mask: str = "face*hull"
    erode: Curve = _ZERO
    feather: Curve = _FEATHER
    blend: str = "over"
    opacity: Curve = _ONE
    smooth: int = 5
    keep_highlights: bool = True
    mask_smooth: int = 0
    match_per_frame: bool = False
    face_scale: Curve = _ZERO
    denoise: Curve = _ZERO
    relight: str = "none"
    relight_amount: Curve = _ONE
    relight_softness: Curve = _SOFT
    super_resolution: str = "none"
    super_resolution_amount: Curve = _ALL
    sharpen: Curve = _ZERO
    sharpen_kind: str = "gaussian"
    sharpen_radius: Curve = _ONE
    sharpen_threshold: Curve = _ZERO
    degrade: Curve = _ZERO
    degrade_colour: Curve = _ZERO
    degrade_steps: Curve = _STEPS
    motion_blur: Curve = _ZERO
    grain: Curve = _ZERO
    overrides: tuple[Override, ...] = ()

    def __post_init__(self) -> None:
        for name, says in _SETTINGS.items():
            _check(name, says, getattr(self, name))
        expression.parse(self.mask, field="recipe.mask")
        for override in self.overrides:
            _check_override(override)

    @cached_property
    def expression(self) -> Expression:
        """What `mask` says."""
        return expression.parse(self.mask, field="recipe.mask")

    def at(self, frame: int) -> Recipe:
        """The look of a frame: with what the overrides say of it; its curves are still read at the frame."""
        held = tuple(i for i, override in enumerate(self.overrides) if frame in override.frames)
        return _laid(self, held) if held else self

    @cached_property
    def said(self) -> tuple[Mapping[str, Setting], ...]:
        """What each override gives its frames, with what it is like by those before it."""
        said: list[Mapping[str, Setting]] = []
        for override in self.overrides:
            there: dict[str, Setting] = {}
            if (like := override.like) is not None:
                there = {name: getattr(self, name) for name in _SETTINGS}
                for before, own in zip(self.overrides, said, strict=False):
                    there |= own if like in before.frames else {}
                there = {name: _still(setting, like) for name, setting in there.items()}
            said.append({**there, **dict(override.settings)})
        return tuple(said)

    def ever(self, name: str) -> bool:
        """Whether a setting is anything but its default on any frame, to know what a shot needs."""
        said = [getattr(self, name), *(dict(o.settings).get(name, _DEFAULTS[name]) for o in self.overrides)]
        return any(not _same(value, _DEFAULTS[name]) for value in said)

    def to_dict(self) -> dict[str, Any]:
        """The protobuf JSON mapping of `understudy.v1.Recipe`, every field set."""
        form = {_camel(name): _form(getattr(self, name)) for name in _SETTINGS}
        return {**form, "overrides": [each.to_dict() for each in self.overrides]}

    def to_json(self) -> str:
        """One line, always the same for the same recipe."""
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_dict(cls, form: Mapping[str, Any]) -> Recipe:
        """Read the protobuf JSON mapping; what is left out or an empty name has its default.

        Raises:
            InvalidInput: a field that recipes do not have, or a value that its field can not have.
        """
        given = dict(form)
        overrides = given.pop("overrides", [])
        if not isinstance(overrides, (list, tuple)):
            raise InvalidInput(
                f"recipe.overrides: {overrides!r} is no list", field="recipe.overrides", value=overrides
            )
        read: Any = _read(given)
        return cls(**read, overrides=tuple(Override.from_dict(each) for each in overrides))


_DEFAULTS: Mapping[str, Setting] = MappingProxyType({name: getattr(Recipe, name) for name in _SETTINGS})


def parameters() -> tuple[Parameter, ...]:
    """Every setting of a recipe, for hosts that build their knobs from it."""
    return tuple(_parameter(name, says) for name, says in _SETTINGS.items())


def _parameter(name: str, says: _Says) -> Parameter:
    default, choices, kind = _DEFAULTS[name], says.names(), "number"
    shown = f"{default.keys[0].value:g}" if isinstance(default, Curve) else str(default)
    if isinstance(default, bool):
        kind, shown = "bool", shown.lower()
    elif isinstance(default, str):
        kind = "choice" if choices else "text"
    return Parameter(
        name=name,
        help=says.help,
        type=cast("Any", kind),
        default=shown,
        minimum=says.low,
        maximum=says.high,
        choices=choices,
        keyable=isinstance(default, Curve),
    )


def _check(name: str, says: _Says, setting: Setting) -> None:
    """Refuse what a field can not have; raises InvalidInput."""
    why = ""
    refused: object = setting
    if (choices := says.names()) and setting not in choices:
        why = f"{setting!r} is none of {', '.join(choices)}{meant(str(setting), choices)}"
    if says.window and isinstance(setting, int) and setting > 1 and setting % 2 == 0:
        why = f"{setting} is even; a window around a frame has an odd number of frames"
    if says.low is not None and says.high is not None:
        keys = setting.keys if isinstance(setting, Curve) else (Key(frame=0, value=cast("float", setting)),)
        for key in keys:
            if not says.low <= key.value <= says.high:
                where = f" at frame {key.frame}" if len(keys) > 1 else ""
                why = f"{key.value:g}{where} is outside {says.low:g} to {says.high:g}"
                refused = key.value
                break
    if why:
        raise InvalidInput(f"recipe.{name}: {why}", field=f"recipe.{name}", value=refused)


def _check_override(override: Override) -> None:
    for name, value in override.settings:
        says = _SETTINGS.get(name)
        if says is None or says.fitted:
            able = [each for each, own in _SETTINGS.items() if not own.fitted]
            why = "there is no such setting" if says is None else "it is fitted over the whole shot"
            raise InvalidInput(
                f"recipe.overrides: {override.frames}: {name} can not be overridden: {why}; there are "
                f"{', '.join(able)}{meant(name, able)}",
                field="recipe.overrides",
                value=name,
            )
        try:
            _check(name, says, value)
        except InvalidInput as error:
            raise InvalidInput(
                f"recipe.overrides: {override.frames}: {error.message}",
                field="recipe.overrides",
                value=error.value,
            ) from error


@lru_cache(maxsize=256)
def _laid(recipe: Recipe, held: tuple[int, ...]) -> Recipe:
    """A recipe with those of its overrides laid over it, by index and in order."""
    said: dict[str, Any] = {}
    for index in held:
        said |= recipe.said[index]
    return replace(recipe, **said, overrides=())


def _still(setting: Setting, frame: int) -> Setting:
    """What a setting is on a frame, for good."""
    return Curve.constant(setting.at(frame)) if isinstance(setting, Curve) else setting


def _same(value: Setting, default: Setting) -> bool:
    """Whether a setting says the default, be it in several keys."""
    if isinstance(value, Curve) and isinstance(default, Curve):
        return {key.value for key in value.keys} == {default.keys[0].value}
    return value == default


def _form(setting: Setting) -> Any:
    return setting.to_dict() if isinstance(setting, Curve) else setting


def _read(form: Mapping[str, Any]) -> dict[str, Setting]:
    """Settings of the protobuf JSON mapping by their own names, without those that are empty."""
    known = {_camel(name): name for name in _SETTINGS}
    items: dict[str, Setting] = {}
    for camel, value in form.items():
        if camel not in known:
            raise InvalidInput(
                f"recipe: no field {camel!r}{meant(camel, known)}; there are {', '.join(known)}",
                field="recipe",
                value=camel,
            )
        name = known[camel]
        default = _DEFAULTS[name]
        if isinstance(default, Curve):
            items[name] = Curve.from_dict(value, field=f"recipe.{name}")
        elif type(value) is not type(default):
            kind = _KINDS[type(default)]
            why = "takes no keys" if isinstance(value, Mapping) else f"is {kind}"
            raise InvalidInput(f"recipe.{name}: {why}, not {value!r}", field=f"recipe.{name}", value=value)
        elif value != "":
            items[name] = value
    return items


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)
