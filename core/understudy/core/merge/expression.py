"""A matte put together from named mattes: `face*hull`, `(eyes + mouth)*face`, `hull*(1 - 0.5*occ)`.

Values are 0 to 1 throughout:

    *            multiplies: where both are
    +            adds, held to 1: where either is
    -            takes away, held to 0: where the first is and the second is not
    min(a, b)    the lesser of two or more: both, at the edge of the tighter one
    max(a, b)    the greater: either, without the edges' sum
    0 … 1        a number is that everywhere; 1 - x turns a matte over

from left to right, `*` before `+` and `-`, parentheses as in arithmetic. Only these: the text comes out of files and
over the network, so that it is read as a tree of syntax and each node is looked at; nothing in it is ever run.

Knows no pixels beyond adding them up and imports no torch: the daemon's server process checks recipes with it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache, reduce
from types import MappingProxyType

import numpy as np

from understudy.core import _plugins
from understudy.core.errors import InvalidInput, meant
from understudy.core.frames import Float

FULL, FACE, DST, OCC, OCC_FACE = "full", "face", "dst", "occ", "occ_face"
OURS = (FULL, FACE, DST, OCC, OCC_FACE)
"""The names that are no members of the family `matte`: all of the crop; the network's of the new face and of dst's
own; the visible face in the plate and in the new face."""

# `mask_` with the first of these is a layer of another meaning; the others are functions
_TAKEN = (*OURS, "add", "blend", "keep", "user", "valid", "min", "max")
_LONGEST = 400  # characters; nobody writes more by hand, and nesting cannot get deep in them
_WRITTEN = re.compile(r"[A-Za-z0-9_.,+*() \t-]*")  # Python takes names in any script, and other signs

DFL_MODES: Mapping[str, str] = MappingProxyType(
    {
        "full": "full",
        "dst": "hull",
        "learned-prd": "face",
        "learned-dst": "dst",
        "learned-prd*learned-dst": "face*dst",
        "learned-prd+learned-dst": "face + dst",
        "XSeg-prd": "occ_face",
        "XSeg-dst": "occ",
        "XSeg-prd*XSeg-dst": "occ_face*occ",
        "learned-prd*learned-dst*XSeg-prd*XSeg-dst": "face*dst*occ_face*occ",
    }
)
"""DeepFaceLab's mask modes 0 to 9 (merger/MergerConfig.py), in their order: its own name → the same as expression."""

Value = Float | float
_Node = Callable[[Mapping[str, Float]], Value]


@dataclass(frozen=True)
class Expression:
    """A checked expression. Equal texts are equal.

    Attributes:
        text: as it was written.
        names: the mattes that it names, each once, in the order in which they come; at least one.
    """

    text: str
    names: tuple[str, ...]

    def of(self, mattes: Mapping[str, Float]) -> Float:
        """The matte (H, W) float32 in [0, 1] that comes of named ones, all (H, W) float32 in [0, 1].

        Args:
            mattes: all of `names` at least.
        """
        found = _compiled(_tree(self.text).body, self.text)(mattes)
        return np.asarray(found, np.float32)


def parse(text: str, *, field: str = "mask", known: Collection[str] | None = None) -> Expression:
    """Check the text of an expression.

    Args:
        text: as in the module's description.
        field: what a refusal calls it.
        known: the names that it may have; None: those of `names()`.

    Raises:
        InvalidInput: what is wrong, with the field and the part of the text.
    """
    try:
        tree = _tree(text)
        _compiled(tree.body, text)
    except _NotOurs as error:
        raise InvalidInput(f"{field}: {text!r}: {error}", field=field, value=text) from error
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id not in _CALLS]
    found.sort(key=lambda node: (node.lineno, node.col_offset))
    wanted = tuple(dict.fromkeys(node.id for node in found))
    there = names() if known is None else known
    if strange := [name for name in wanted if name not in there]:
        raise InvalidInput(
            f"{field}: {text!r}: there is no matte {strange[0]!r}; there are {', '.join(there)}"
            f"{meant(strange[0], there)}",
            field=field,
            value=text,
        )
    if not wanted:
        raise InvalidInput(
            f"{field}: {text!r}: names no matte; {FULL!r} is all of the crop", field=field, value=text
        )
    return Expression(text, wanted)


@cache
def names() -> tuple[str, ...]:
    """What an expression may name: `OURS`, and the members of the family `matte` as they were when first asked for."""
    return OURS + members(_plugins.names("matte"))


def members(wanted: Collection[str]) -> tuple[str, ...]:
    """Those of some names that stand for members of the family `matte`."""
    return tuple(name for name in wanted if name.isidentifier() and name not in _TAKEN)


class _NotOurs(Exception):
    """What is wrong with a text, in words."""


def _tree(text: str) -> ast.Expression:
    if len(text) > _LONGEST:
        raise _NotOurs(f"is {len(text)} characters long; at most {_LONGEST}")
    if not _WRITTEN.fullmatch(text):
        raise _NotOurs("has signs other than letters, digits, + - * ( ) . , and _")
    try:
        return ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        what = error.msg if isinstance(error, SyntaxError) else str(error)
        raise _NotOurs(f"is no expression ({what}); write e.g. face*hull, (eyes + mouth)*occ") from error


def _compiled(node: ast.expr, text: str) -> _Node:
    """A function of the named mattes for a node of the tree; raises _NotOurs for what is not in the grammar."""
    match node:
        case ast.Name(id=name) if name not in _CALLS:
            return lambda mattes: mattes[name]
        case ast.Constant(value=bool()):
            pass
        case ast.Constant(value=int() | float() as number):
            if not 0 <= number <= 1:
                raise _NotOurs(f"{ast.get_source_segment(text.strip(), node)} is not from 0 to 1")
            return lambda _: float(number)
        case ast.BinOp(op=ast.Add() | ast.Sub() | ast.Mult() as op, left=left, right=right):
            return _joined(_OPERATORS[type(op)], [_compiled(left, text), _compiled(right, text)])
        case ast.Call(func=ast.Name(id=name), args=[_, _, *_] as given, keywords=[]) if name in _CALLS:
            return _joined(_CALLS[name], [_compiled(each, text) for each in given])
        case ast.Call(func=ast.Name(id=name)) if name in _CALLS:
            raise _NotOurs(f"{name} takes two mattes or more")
    part = ast.get_source_segment(text.strip(), node) or ""
    raise _NotOurs(f"{part!r} is no name, no number from 0 to 1, and none of + - * min() max()")


def _joined(join: Callable[[Value, Value], Value], parts: list[_Node]) -> _Node:
    return lambda mattes: reduce(join, (part(mattes) for part in parts))


def _add(a: Value, b: Value) -> Value:
    return _least(a + b, 1.0)


def _subtract(a: Value, b: Value) -> Value:
    return _most(a - b, 0.0)


def _multiply(a: Value, b: Value) -> Value:
    return a * b


def _least(a: Value, b: Value) -> Value:
    found: Value = np.minimum(a, b)
    return found


def _most(a: Value, b: Value) -> Value:
    found: Value = np.maximum(a, b)
    return found


_OPERATORS = {ast.Add: _add, ast.Sub: _subtract, ast.Mult: _multiply}
_CALLS = {"min": _least, "max": _most}
