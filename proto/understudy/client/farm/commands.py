"""Command lines as a farm's template has them: every value a job parameter, none in the text of a command.

A template's `{{Param.X}}` is replaced within one argument and not looked into again, and no shell reads it, so that
blanks, quotes and braces in names are names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from understudy.client.errors import Refused
from understudy.client.farm.paths import FILE, INOUT, OPTIONS, Kind, Place, place
from understudy.client.specs.parts import SCRATCH

LONGEST = 1024  # characters of a job parameter's value (2023-09 template schemas, 2)
MOST = 50  # job parameters of a template (2023-09 template schemas, 1)


@dataclass(frozen=True)
class Given:
    """One option as it was given.

    Attributes:
        name: of the command's parameter.
        flag: `--faceset`; empty for an argument that has a place and no name.
        values: none for a switch.
        kind: what path it is, if any.
        prefix: what stands before the value, and is our own text.
    """

    name: str
    flag: str
    values: Sequence[str] = ()
    kind: Kind | None = None
    prefix: str = ""


@dataclass(frozen=True)
class Command:
    """A command line without its program.

    Attributes:
        settings: name → value of all options, defaults too, as the command line's parser read them.
    """

    verb: str
    given: Sequence[Given]
    settings: dict[str, Any] = field(default_factory=dict)

    def option(self, name: str) -> Given | None:
        return next((each for each in self.given if each.name == name), None)

    def without(self, *names: str) -> Command:
        return replace(self, given=[each for each in self.given if each.name not in names])

    @property
    def places(self) -> Iterator[Place]:
        """Everywhere it reads or writes."""
        return (place(_split(v, g.kind)[0], g.kind) for g in self.given if g.kind for v in g.values)


def kind_of(verb: str, name: str) -> Kind | None:
    """What path an option of a verb is; None for other values."""
    return OPTIONS[verb].get(name)


@dataclass
class Parameters:
    """The job parameters of a template, and their values. A path that is named twice is one parameter."""

    definitions: dict[str, dict[str, Any]] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    _known: dict[tuple[str, ...], str] = field(default_factory=dict)

    def text(self, name: str, value: str, **more: Any) -> str:
        """A text as a parameter; gives the reference to it. Raises Refused for one that no parameter can hold."""
        return self._add(name, value, {"type": "STRING", **more})

    def path(self, name: str, where: Place) -> str:
        """A path as a parameter, and the name of a pattern as another; gives the argument that names it."""
        key = (where.form, where.path)
        if key not in self._known:
            own = name if where.form == FILE or not where.name else f"{name}Folder"
            about = {"type": "PATH", "objectType": where.form, "dataFlow": where.flow}
            self._add(own, where.path, about)
            self._known[key] = self._last()
        definition = self.definitions[self._known[key]]
        if definition["dataFlow"] != where.flow:
            definition["dataFlow"] = INOUT
        folder = reference(self._known[key])
        if not where.name:
            return folder
        if (named := (*key, where.name)) not in self._known:
            self.text(f"{name}Name", where.name)
            self._known[named] = self._last()
        return f"{folder}/{reference(self._known[named])}"

    def _last(self) -> str:
        return next(reversed(self.values))

    def _add(self, name: str, value: str, definition: dict[str, Any]) -> str:
        _check(name, value)
        if len(self.definitions) == MOST:
            raise Refused.invalid(
                "farm",
                name,
                f"a job has at most {MOST} parameters, and these commands need more: use a --recipe file",
            )
        assert name not in self.definitions, name
        self.definitions[name] = {"name": name, **definition}
        self.values[name] = value
        return reference(name)


def reference(name: str) -> str:
    """`{{Param.Name}}`."""
    return f"{{{{Param.{name}}}}}"


def arguments(command: Command, step: str, parameters: Parameters, *more: str) -> list[str]:
    """The arguments of a command, its verb first, with their values in `parameters`.

    Args:
        step: the first part of its parameters' names.
        more: further options, which stand before those without a name.

    Raises:
        Refused: a value that no parameter can hold.
    """
    named: list[str] = []
    placed: list[str] = []
    for given in command.given:
        if not given.values:
            named.append(given.flag)
        for number, value in enumerate(given.values, start=1):
            name = step + camel(given.name) + (str(number) if len(given.values) > 1 else "")
            said = _said(name, value, given, parameters)
            if given.flag:
                named.append(f"{given.flag}={given.prefix}{said}")
            else:
                placed.append(said)
    return [command.verb, *named, *more, *(["--", *placed] if placed else [])]


def _said(name: str, value: str, given: Given, parameters: Parameters) -> str:
    if (
        given.kind is None or not value or value.startswith(SCRATCH)
    ):  # a farm has nothing to map or carry there
        return parameters.text(name, value)
    path, rest = _split(value, given.kind)
    if rest:
        rest = parameters.text(f"{name}Rest", rest)
    return parameters.path(name, place(path, given.kind)) + rest


def _split(value: str, kind: Kind) -> tuple[str, str]:
    """A value and its `=RANGE`, where it may have one; no range has a slash."""
    path, equals, frames = value.rpartition("=")
    return (path, "=" + frames) if kind.ranged and equals and "/" not in frames else (value, "")


def camel(name: str) -> str:
    """`plate_frames` → `PlateFrames`."""
    return "".join(word.capitalize() for word in name.split("_"))


def _check(name: str, value: str) -> None:
    """Refuse what no template's parameter or no file can hold."""
    if len(value) > LONGEST:
        raise Refused.invalid(name, value, f"has {len(value)} characters; a farm's parameter holds {LONGEST}")
    if any(ord(sign) < 32 or 127 <= ord(sign) < 160 or sign in "\u2028\u2029" for sign in value):
        raise Refused.invalid(name, value, f"{value!r} has a control character")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise Refused.invalid(
            name, ascii(value), f"{value!r} is not UTF-8, which a farm's files are"
        ) from error
