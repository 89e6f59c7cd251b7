"""Phases of a training from a file, so that a show can lay down how its models are trained.

    [[phase]]
    from = "60%"        # of the target; or the number of an iteration
    warp = 0

    [[phase]]
    from = "80%"
    gan = 0.1

What options there are, and what they may be, the daemon says: `understudy train --list-options`.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from understudy.client.errors import Refused
from understudy.v1.job_pb2 import TrainPhase

TABLE, BEGIN = "phase", "from"
_SHARE = re.compile(r"(\d+(?:\.\d+)?) ?%")
_FIELD = re.compile(r"train\.phases\[(\d+)\](?:\.options\.(\w+))?")


def read(path: str | os.PathLike[str]) -> list[TrainPhase]:
    """The phases of a TOML file.

    Raises:
        NotFound: there is no such file.
        Refused: it is not TOML, or not of this form: names the file, the table's number, the key and its value.
    """
    try:
        data = _toml().loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise Refused.missing(str(path), f"phases: {error.strerror}: {path}") from error
    except ValueError as error:  # of TOML, or of UTF-8
        raise Refused.invalid("phases", path, f"{path}: not TOML: {error}") from error
    tables = data.pop(TABLE, None)
    if data:
        key = next(iter(data))
        raise Refused.invalid(
            f"phases.{key}", data[key], f"{path}: has {key!r}; it may have [[{TABLE}]] only"
        )
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise Refused.invalid("phases", path, f"{path}: has no [[{TABLE}]]")
    return [_phase(path, number, table) for number, table in enumerate(tables)]


def phase(begin: int | str, options: Mapping[str, object]) -> TrainPhase:
    """A phase of a training.

    Args:
        begin: the number of an iteration, or a share of the target, as `60%`.

    Raises:
        Refused: `begin` is neither.
    """
    made = TrainPhase(options=texts(options))
    share = _SHARE.fullmatch(begin.strip()) if isinstance(begin, str) else None
    if share:
        made.share = float(share[1]) / 100
    elif isinstance(begin, int) and not isinstance(begin, bool) and 0 <= begin < 2**63:
        made.iteration = begin
    else:
        why = f"{begin!r} is neither the number of an iteration nor a share of the target, as '60%'"
        raise Refused.invalid(BEGIN, begin, why)
    return made


def texts(options: Mapping[str, object]) -> dict[str, str]:
    """Options in text form, as the wire has them.

    Raises:
        Refused: a value is no number, text or yes or no.
    """
    return {name: _text(name, value) for name, value in options.items()}


def explained(error: Refused, path: str | os.PathLike[str], said: Sequence[TrainPhase]) -> Refused:
    """What the daemon says of phases that a file said, in the file's own words; other errors as they are."""
    found = _FIELD.match(error.field or "")
    if found is None:
        return error
    number, name = int(found[1]), found[2]
    place = f"{path}: [[{TABLE}]] {number + 1}"
    entry = f": {name} = {said[number].options[name]}" if name else ""
    return type(error)(f"{place}{entry}: {error.message}", reason=error.reason, metadata=error.metadata)


def _phase(path: str | os.PathLike[str], number: int, table: dict[str, Any]) -> TrainPhase:
    """One table of a file."""
    place = f"{path}: [[{TABLE}]] {number + 1}"
    if BEGIN not in table:
        raise Refused.invalid(f"phases[{number}].{BEGIN}", "", f"{place}: has no {BEGIN!r}")
    options = {name: value for name, value in table.items() if name != BEGIN}
    try:
        return phase(table[BEGIN], options)
    except Refused as error:
        key = str(error.field)
        why = f"{place}: {key} = {error.value}: {error.message.partition(': ')[2]}"
        raise Refused.invalid(f"phases[{number}].{key}", table[key], why) from error


def _text(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float, str)):
        return str(value)
    raise Refused.invalid(name, value, f"{value!r} is no number, text, true or false")


def _toml() -> Any:
    """The parser: Python's own from 3.11 on."""
    if sys.version_info >= (3, 11):
        import tomllib as parser
    else:
        try:
            import tomli as parser
        except ImportError as error:
            why = "Python before 3.11 reads TOML with the package tomli only, which is not here"
            raise Refused.invalid("phases", "", why) from error
    return parser
