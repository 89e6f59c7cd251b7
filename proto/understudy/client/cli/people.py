"""`--person`: what a person writes of each of several people, and what is everybody's."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any

import typer

from understudy.client.cli import options
from understudy.client.errors import Refused, meant
from understudy.client.session import Session
from understudy.client.specs import Person, UserMatte

_ONCE = ("faceset", "model", "track", "recipe", "recipe_from", "segmenter", "enhancer")
_OFTEN = ("set", "limit_matte", "add_matte", "keep_matte")
_KEYS = ", ".join(key.replace("_", "-") for key in (*_ONCE, *_OFTEN))

People = Annotated[
    options.Texts,
    typer.Option(
        "--person",
        metavar="'NAME KEY=VALUE …'",
        help="One of several people, e.g. 'ben track=1 model=ben.model set=blend=seamless'; repeatable, and who comes "
        f"later lies over the others. Keys: {_KEYS}, which say what these options say, for this person; what is "
        "said beside --person is everybody's.",
    ),
]

PersonPaths = Annotated[
    options.Texts,
    typer.Option(
        "--person-path",
        metavar="NAME.KEY=PATH",
        help="A key of one --person, its value as it stands: for paths with blanks or quotes; repeatable.",
    ),
]


@dataclass(frozen=True)
class Said:
    """What is said of one person, or beside all of them of everybody.

    Attributes:
        sets: of `--set`, in order.
        mattes: as `options.user_mattes` gives them.
    """

    name: str = ""
    faceset: str = ""
    model: str = ""
    track: int | None = None
    recipe: options.Text = None
    recipe_from: str = ""
    segmenter: str = ""
    enhancer: str = ""
    sets: Sequence[str] = ()
    mattes: Sequence[UserMatte] = ()
    look: dict[str, Any] = field(default_factory=dict)

    def person(self, dialect: str) -> Callable[[Session], Person]:
        """The person, once there is a session to ask for the look of a finished frame.

        Raises:
            Refused: they have no faceset or model, or a setting cannot be.
            NotFound: there is no such recipe file.
        """
        for name in ("faceset", "model"):
            if not getattr(self, name):
                whose = f"of {self.name}: " if self.name else ""
                raise Refused.invalid(name, "", f"{whose}--{name} FOLDER is needed")
        look = options.look(
            self.recipe, list(self.sets), dialect, frame=self.recipe_from, person=self.name, **self.look
        )
        return lambda session: Person(
            self.faceset,
            self.model,
            look=look(session),
            track=self.track,
            segmenter=self.segmenter,
            enhancer=self.enhancer,
            user_mattes=self.mattes,
            name=self.name,
        )


def people(
    texts: options.Texts, everybody: Said, dialect: str, channel: str, paths: Sequence[str] = ()
) -> list[Said]:
    """Everybody, by `--person`; without any, the one person of whom the other options speak.

    Args:
        everybody: what the other options say.
        channel: of the mattes.
        paths: of `--person-path`.

    Raises:
        Refused: one is not NAME KEY=VALUE …, or a value cannot be.
    """
    read = [(text, *read_person(text)) for text in texts or ()]
    _add_paths(paths, {name: said for _, name, said in read})
    if not read:
        return [everybody]
    if everybody.track is not None:
        raise Refused.invalid("track", everybody.track, "each --person has a track= of its own")
    mattes = partial(options.user_mattes, dialect, channel=channel)
    return [_one(text, name, said, everybody, mattes) for text, name, said in read]


def _add_paths(paths: Sequence[str], people: dict[str, dict[str, list[str]]]) -> None:
    """Put what `--person-path` says to what `--person` says; raises Refused."""
    for text in paths:
        who, equals, value = text.partition("=")
        name, _, key = who.partition(".")
        key = key.replace("-", "_")
        if name not in people or not (equals and value) or key not in (*_ONCE, *_OFTEN):
            why = f"{text!r} is not NAME.KEY=PATH of a --person; keys are {_KEYS}"
            raise Refused.invalid("person_path", text, why)
        if key in _ONCE and key in people[name]:
            raise Refused.invalid("person_path", text, f"{name}: {key} is said twice")
        people[name].setdefault(key, []).append(value)


def _one(
    text: str,
    name: str,
    said: dict[str, list[str]],
    everybody: Said,
    mattes_of: Callable[..., list[UserMatte]],
) -> Said:
    own = {key: values[-1] for key, values in said.items() if key in _ONCE}
    if "recipe" in own and "recipe_from" in own:
        raise Refused.invalid("person", text, f"{name}: recipe and recipe-from exclude each other")
    has_look = "recipe" in own or "recipe_from" in own
    mattes = mattes_of(limit=said.get("limit_matte"), add=said.get("add_matte"), keep=said.get("keep_matte"))
    return Said(
        name=name,
        faceset=own.get("faceset", everybody.faceset),
        model=own.get("model", everybody.model),
        track=_number(text, own["track"]) if "track" in own else None,
        recipe=own.get("recipe") if has_look else everybody.recipe,
        recipe_from=own.get("recipe_from", "") if has_look else everybody.recipe_from,
        segmenter=own.get("segmenter", everybody.segmenter),
        enhancer=own.get("enhancer", everybody.enhancer),
        sets=[*everybody.sets, *said.get("set", ())],
        mattes=[*everybody.mattes, *mattes],
        look=everybody.look,
    )


def read_person(text: str) -> tuple[str, dict[str, list[str]]]:
    """The name, and key → what is said of it; raises Refused."""
    try:
        name, *pairs = shlex.split(text)
    except ValueError as error:  # nothing there, or a quote that does not end
        raise Refused.invalid("person", text, f"{text!r} is not 'NAME KEY=VALUE …'") from error
    found: dict[str, list[str]] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        key = key.replace("-", "_")
        if not (equals and value) or key not in (*_ONCE, *_OFTEN):
            near = meant(key.replace("_", "-"), _KEYS.split(", "))
            raise Refused.invalid("person", text, f"{pair!r} is not KEY=VALUE; keys are {_KEYS}{near}")
        if key in _ONCE and key in found:
            raise Refused.invalid("person", text, f"{key} is said twice")
        found.setdefault(key, []).append(value)
    if "=" in name:
        raise Refused.invalid("person", text, f"{text!r} is not 'NAME KEY=VALUE …': it begins with no name")
    return name, found


def _number(text: str, value: str) -> int:
    try:
        return int(value)
    except ValueError as error:
        raise Refused.invalid("person", text, f"track: {value!r} is no number") from error
