"""A choice is a name, and a name is a file: families of plug-ins (detect, landmark, matte, match, blend, model).

A family is a package whose modules are its members. A studio's own members come through entry points of the group
`understudy.<family>`.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from functools import lru_cache
from importlib.metadata import EntryPoints, entry_points
from types import ModuleType

from understudy.core.errors import InvalidInput, meant


def names(family: str) -> tuple[str, ...]:
    """The members of a family, sorted; nothing is imported but the family's own package."""
    package = importlib.import_module(f"understudy.core.{family}")
    own = {m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_")}
    return tuple(sorted(own | set(foreign(family).names)))


def foreign(family: str) -> EntryPoints:
    """The members that other packages bring."""
    return _foreign(family, tuple(sys.path))


@lru_cache(maxsize=64)
def _foreign(family: str, _path: tuple[str, ...]) -> EntryPoints:
    """Reading what all packages say takes milliseconds, and every call of a daemon asks. What is installed while a
    process runs, it sees where its path changes, or when it starts again.
    """
    return entry_points(group=f"understudy.{family}")


def load(family: str, name: str, *, field: str | None = None) -> ModuleType:
    """Import the member `name` of a family.

    Raises:
        InvalidInput: there is no such member; the message lists those there are.
    """
    if name not in names(family):
        raise InvalidInput(
            f"{field or family}: no {family} is called {name!r}; there are {', '.join(names(family))}"
            f"{meant(name, names(family))}",
            field=field or family,
            value=name,
        )
    for entry in foreign(family).select(name=name):
        loaded = entry.load()
        assert isinstance(loaded, ModuleType), f"entry point understudy.{family}:{name} is not a module"
        return loaded
    return importlib.import_module(f"understudy.core.{family}.{name}")
