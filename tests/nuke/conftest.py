"""A Nuke that is not there, with the plug-in that `understudy nuke install` writes."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from understudy.client import plugins
from understudy.core.merge import recipe
from understudy.daemon import encode

FAKE = Path(__file__).parent / "fake"
OURS = ("nuke", "nukescripts", "understudy_nuke", "PySide2", "PySide6")


@pytest.fixture(scope="session")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder for NUKE_PATH."""
    return plugins.install_nuke(tmp_path_factory.mktemp("nuke path") / "Understudy ünï", "1.2.3")


@pytest.fixture
def nuke(monkeypatch: pytest.MonkeyPatch, plugin: Path) -> Iterator[Any]:
    """A new Nuke with a window; this thread is its main thread."""
    _forget()
    monkeypatch.syspath_prepend(str(FAKE))
    monkeypatch.syspath_prepend(str(plugin))
    yield importlib.import_module("nuke")
    daemon = sys.modules.get("understudy_nuke.daemon")
    if daemon is not None and daemon._link is not None:
        daemon._link.close()
    _forget()


@pytest.fixture
def terminal(nuke: Any) -> Any:
    """The same as `nuke -t`."""
    nuke.GUI = False
    return nuke


@pytest.fixture(scope="session")
def info() -> dict[str, Any]:
    """What the daemon says of its recipe, as the bridge gives it on."""
    from google.protobuf import json_format

    fields = encode.parameters(recipe.parameters())
    return {
        "recipe": [json_format.MessageToDict(p, always_print_fields_with_no_presence=True) for p in fields]
    }


def _forget() -> None:
    for name in [n for n in sys.modules if n.split(".")[0] in OURS]:
        del sys.modules[name]
