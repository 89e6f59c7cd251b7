"""YAML as a template needs it: maps, lists and texts. Every text is in double quotes, as JSON has it, so that none is
taken for anything else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any


def text(value: Any) -> str:
    """A document. Keys are plain words; texts hold no control characters but line ends and tabs."""
    return "\n".join(_lines(value)) + "\n"


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        for key, held in value.items():
            if isinstance(held, (Mapping, list)) and held:
                yield f"{key}:"
                yield from (f"  {line}" for line in _lines(held))
            else:
                yield f"{key}: {_scalar(held)}"
    elif isinstance(value, list) and value:
        for held in value:
            first, *rest = _lines(held)
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)
    else:
        yield _scalar(value)


def _scalar(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
