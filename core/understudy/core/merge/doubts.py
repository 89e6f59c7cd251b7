"""What of a look is allowed and yet hardly meant: keys and ranges where the shot has no frames, and ranges that take
back what others say.

None of it stops a merge. A curve holds beyond its outermost keys, and a later override goes over an earlier one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from understudy.core.frames import FrameRange
from understudy.core.merge.curve import Curve, Key
from understudy.core.merge.recipe import Override, Recipe, Setting, parameters
from understudy.core.reports import Warned

_MOST = 5  # of one kind that are told one by one


def doubts(recipe: Recipe, frames: FrameRange) -> Iterator[Warned]:
    """What a person should look at again before the frames of a plate are made by a recipe.

    Each names the field, the frame and the value; of many of one kind there is a number in the end.

    Args:
        frames: of the plate, not only those that are wanted.
    """
    if not len(frames):
        return
    texts = {
        "KEY_OUTSIDE": [*_keys(recipe, frames), *_keys_of_overrides(recipe)],
        "OVERRIDE_OUTSIDE": list(_outside(recipe, frames)),
        "OVERRIDES_OVERLAP": list(_overlaps(recipe, frames)),
    }
    for reason, said in texts.items():
        for text in said[:_MOST]:
            yield Warned(reason=reason, message=text)
        if len(said) > _MOST:
            yield Warned(reason=reason, message=f"recipe: {len(said) - _MOST} more of this kind")


def _keys(recipe: Recipe, frames: FrameRange) -> Iterator[str]:
    """Of keys that stand before or after the shot."""
    for each in parameters():
        stray = _strays(getattr(recipe, each.name), frames)
        if stray:
            yield f"recipe.{each.name}: {_told(stray)} the plate's frames {frames}"


def _keys_of_overrides(recipe: Recipe) -> Iterator[str]:
    """Of keys that stand before or after all frames of their override."""
    for override in recipe.overrides:
        for name, setting in override.settings:
            if stray := _strays(setting, override.frames):
                yield f"recipe.overrides: {override.frames}: {name}: {_told(stray)} these frames"


def _strays(setting: Setting, frames: FrameRange) -> list[Key]:
    """The keys of a curve that changes which are before or after all frames."""
    if not isinstance(setting, Curve) or len(setting.keys) == 1:
        return []
    numbers = list(frames)
    return [key for key in setting.keys if not numbers[0] <= key.frame <= numbers[-1]]


def _told(stray: Sequence[Key]) -> str:
    first, more = stray[0], len(stray) - 1
    others = f", and {more} more, are" if more else " is"
    return f"the key at frame {first.frame} (value {first.value:g}){others} outside"


def _outside(recipe: Recipe, frames: FrameRange) -> Iterator[str]:
    """Of overrides that change nothing, or are like a frame that there is not."""
    for override in recipe.overrides:
        where = f"recipe.overrides: {override.frames}"
        if not any(number in frames for number in override.frames):
            yield f"{where}: none of its frames is among the plate's {frames}; it changes nothing"
        elif override.like is not None and override.like not in frames:
            yield f"{where}: is like frame {override.like}, which is not among the plate's {frames}"


def _overlaps(recipe: Recipe, frames: FrameRange) -> Iterator[str]:
    """Of settings that two overrides say differently on one frame, unless the later is of some frames of the earlier
    alone, for that is how one makes an exception.
    """
    spoken: dict[str, dict[int, Override]] = {}
    for override in recipe.overrides:
        here = [number for number in override.frames if number in frames]
        for name, value in override.settings:
            before = spoken.setdefault(name, {})
            earlier = [(number, before[number]) for number in here if number in before]
            others = [(n, other) for n, other in earlier if _value(other, name) != value]
            if others and not _within(here, earlier, frames):
                yield _both(name, *others[0], override)
            before.update(dict.fromkeys(here, override))


def _within(here: Sequence[int], earlier: Sequence[tuple[int, Override]], frames: FrameRange) -> bool:
    """Whether frames are some of those of one earlier override, and not all of them."""
    first = earlier[0][1]
    if len(earlier) < len(here) or any(other is not first for _, other in earlier):
        return False
    return len(here) < sum(number in frames for number in first.frames)


def _value(override: Override, name: str) -> Setting:
    said: Mapping[str, Setting] = dict(override.settings)
    return said[name]


def _both(name: str, number: int, earlier: Override, later: Override) -> str:
    first, second = (_shown(_value(each, name), number) for each in (earlier, later))
    return (
        f"recipe.overrides: {name} on frame {number}: {earlier.frames} says {first}, {later.frames} says {second}; "
        "the later goes over the earlier"
    )


def _shown(setting: Setting, number: int) -> str:
    return f"{setting.at(number):g}" if isinstance(setting, Curve) else str(setting)
