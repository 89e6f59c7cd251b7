"""What every configuration of a network has in common: those of swap models, segmenters and enhancers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from understudy.core.errors import InvalidInput

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True, kw_only=True)
class Config:
    """What a network is: the sizes that fix every weight. Two networks with equal ones are interchangeable.

    Attributes:
        word: what a person calls such a network.
    """

    word: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The inverse of `to_dict`.

        Raises:
            InvalidInput: of a value, or of a field that this version does not know.
        """
        if unknown := sorted(set(values) - {f.name for f in fields(cls)}):
            why = f"is not a field of this version's {cls.word} configuration"
            raise cls.refusal(unknown[0], values[unknown[0]], why)
        return cls(**values)

    @classmethod
    def refusal(cls, field: str, value: object, why: str) -> InvalidInput:
        """The error that a field has a value which cannot be."""
        return InvalidInput(f"{cls.word}: {field} {value!r} {why}", field=field, value=value)


C = TypeVar("C", bound=Config)


def named(presets: Mapping[str, C], name: str) -> C:
    """The configuration of that name.

    Raises:
        InvalidInput: there is none; the message lists those there are.
    """
    if name not in presets:
        raise InvalidInput(
            f"preset: there is no {name!r}; there are {', '.join(presets)}", field="preset", value=name
        )
    return presets[name]
