"""`daemon.toml`: read into frozen settings; every error names the file, the key and the value."""

from __future__ import annotations

import difflib
import sys
import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from understudy.core.errors import InvalidInput, NotFound
from understudy.daemon.config import DRAIN_SECONDS, Log
from understudy.daemon.limits import Limits
from understudy.daemon.pathmap import Rule
from understudy.daemon.settings import Queue, Retention, Scratch
from understudy.daemon.slots import Workers
from understudy.daemon.tls import Tls

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")
_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false", Path: "a path"}


@dataclass(frozen=True, kw_only=True)
class Listen:
    """Where: a Unix socket always; on TCP too where `tcp` says so."""

    unix: Path | None = None
    tcp: str = ""


@dataclass(frozen=True, kw_only=True)
class Access:
    tokens: Path | None = None


@dataclass(frozen=True, kw_only=True)
class RootFolders:
    read: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Colour:
    config: str = ""


@dataclass(frozen=True, kw_only=True)
class WeightFolders:
    cache: Path | None = None
    folders: tuple[Path, ...] = ()
    accepted_licences: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Metrics:
    listen: str = ""


@dataclass(frozen=True, kw_only=True)
class Audit:
    file: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Drain:
    seconds: float = DRAIN_SECONDS


@dataclass(frozen=True, kw_only=True)
class Idle:
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class File:
    """A `daemon.toml` as a whole; every table and key may be left out, but those of `tls` come together."""

    state: Path | None = None
    listen: Listen = Listen()
    tls: Tls | None = None
    access: Access = Access()
    roots: RootFolders = RootFolders()
    colour: Colour = Colour()
    weights: WeightFolders = WeightFolders()
    limits: Limits = field(default_factory=Limits)
    workers: Workers = field(default_factory=Workers)
    queue: Queue = field(default_factory=Queue)
    retention: Retention = field(default_factory=Retention)
    scratch: Scratch = field(default_factory=Scratch)
    metrics: Metrics = Metrics()
    audit: Audit = Audit()
    drain: Drain = Drain()
    idle: Idle = Idle()
    log: Log = field(default_factory=Log)
    path_mapping: tuple[Rule, ...] = ()


def read(path: Path) -> File:
    """The settings in a file.

    Raises:
        NotFound: there is no such file.
        InvalidInput: it is no TOML, or a key or value cannot be.
    """
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotFound(f"{path}: there is no such file", path=path, field="config", value=path) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidInput(f"{path}: {error}", path=path, field="config", value=path) from error
    try:
        return _table(File, said, "")
    except InvalidInput as error:
        raise InvalidInput(
            f"{path}: {error.message}", path=path, field=error.field, value=error.value
        ) from error


def _table(kind: type[T], said: Mapping[str, Any], at: str) -> T:
    """A table of the file as settings of this kind; `at` is its name with a dot, empty for the whole file."""
    assert is_dataclass(kind)
    known = {each.name: each for each in fields(kind)}
    for key in said:
        if key not in known:
            raise _unknown(f"{at}{key}", key, tuple(known))
    for name, each in known.items():
        if name not in said and _required(each):
            raise InvalidInput(f"{at}{name} is not set", field=f"{at}{name}", value="")
    hints = get_type_hints(kind)
    values = {key: _value(hints[key], value, f"{at}{key}") for key, value in said.items()}
    try:
        return kind(**values)
    except InvalidInput as error:
        raise InvalidInput(
            f"{at}{error.message}", field=f"{at}{error.field or ''}", value=error.value
        ) from error


def _required(each: Field[Any]) -> bool:
    return each.default is MISSING and each.default_factory is MISSING


def _unknown(where: str, key: str, known: tuple[str, ...]) -> InvalidInput:
    close = difflib.get_close_matches(key, known, n=2, cutoff=0.6)
    hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(known)}"
    return InvalidInput(f"{where}: no such key; {hint}", field=where, value=key)


def _value(hint: Any, said: Any, where: str) -> Any:
    """A value of the file as the setting's type has it."""
    if get_origin(hint) in (Union, types.UnionType):
        (hint,) = (each for each in get_args(hint) if each is not type(None))
    if get_origin(hint) is tuple:
        if not isinstance(said, list):
            raise _wrong(where, said, "a list")
        item = get_args(hint)[0]
        return tuple(_value(item, each, f"{where}[{at}]") for at, each in enumerate(said))
    if is_dataclass(hint):
        if not isinstance(said, dict):
            raise _wrong(where, said, "a table")
        return _table(hint, said, f"{where}.")  # type: ignore[arg-type]
    if hint is Path:
        if not isinstance(said, str) or not said.startswith("/") or "\0" in said:
            raise _wrong(where, said, "an absolute path; nothing in it is expanded")
        return Path(said)
    fits = isinstance(said, (int, float) if hint is float else hint)
    if not fits or (isinstance(said, bool) and hint is not bool):
        raise _wrong(where, said, _WORDS[hint])
    return hint(said)


def _wrong(where: str, said: Any, needed: str) -> InvalidInput:
    return InvalidInput(f"{where}: {said!r} is not {needed}", field=where, value=said)
