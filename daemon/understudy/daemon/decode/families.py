"""Choices: the members of core's families, their defaults, and the weights that each needs."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from understudy.core import _plugins
from understudy.daemon.outputs import Output
from understudy.daemon.refs import Refs, one_of
from understudy.daemon.site import Site

DEFAULTS: Mapping[str, str] = MappingProxyType(
    {
        "detect": "blazeface",
        "landmark": "facemesh",
        "pose": "landmarks",
        "identity": "appearance",
        "enhance": "lanczos",
    }
)


def choice(family: str, name: str, field: str) -> str:
    """The member asked for; the default where none is named. Raises InvalidInput, which lists the members."""
    return one_of(name or DEFAULTS[family], _plugins.names(family), field)


def needed(plugins: Mapping[str, str]) -> tuple[str, ...]:
    """The weights that members of families need: family → member."""
    return tuple(dict.fromkeys(w for family, name in plugins.items() for w in _weights(family, name)))


def have_weights(refs: Refs, plugins: Mapping[str, str]) -> None:
    """Refuse members whose weights are neither here nor promised, or may not be used.

    Raises:
        LicenceNotAccepted, WeightsMissing, WeightsCorrupt: as `WeightStore.path`.
    """
    store = refs.site.weights()
    for name in needed(plugins):
        store.usable(name)
        if not refs.will_be(weights_output(refs.site, name)):
            store.path(name)


def weights_output(site: Site, name: str) -> Output:
    """What a pull of these weights writes."""
    return Output(folder=Output.of_folder(site.weights_cache).folder, name=f"weights {name}")


def _weights(family: str, name: str) -> tuple[str, ...]:
    """`WEIGHTS` of a member's module, read and not run: many members import torch, which the server must not."""
    if not _plugins.foreign(family).select(name=name):
        found = find_spec(f"understudy.core.{family}.{name}")
        if found is not None and found.origin and found.origin.endswith(".py"):
            for node in ast.parse(Path(found.origin).read_text("utf-8")).body:
                if (written := _literal(node)) is not None:
                    return written
    return cast("Any", _plugins.load(family, name)).WEIGHTS  # type: ignore[no-any-return]


def _literal(node: ast.stmt) -> tuple[str, ...] | None:
    """The value of a statement that gives `WEIGHTS` names as such; None for any other."""
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    if not any(isinstance(t, ast.Name) and t.id == "WEIGHTS" for t in targets):
        return None
    try:
        return tuple(map(str, ast.literal_eval(cast("Any", node).value)))
    except (ValueError, TypeError):
        return None
