"""The client stays thin: what it loads, and which Python it needs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

CLIENT = Path(__file__).parents[2] / "proto" / "understudy" / "client"
HEAVY = (
    "numpy",
    "torch",
    "cv2",
    "OpenImageIO",
    "PyOpenColorIO",
    "scipy",
    "av",
    "understudy.core",
    "understudy.daemon",
)


@pytest.mark.parametrize("module", ["understudy.client", "understudy.client.cli"])
def test_nothing_heavy_is_loaded(module):
    code = f"import sys, {module}; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_typer_is_for_the_command_line_only():
    code = "import sys, understudy.client; print([m for m in ('typer', 'rich') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", sorted(CLIENT.rglob("*.py")), ids=lambda path: path.stem)
def test_syntax_is_that_of_python_3_9(path):
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
    imported = {a.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names}
    assert not imported & {"TypeAlias", "ParamSpec", "Self", "override", "StrEnum", "UTC", "pairwise"}
    keywords = {k.arg for n in ast.walk(tree) if isinstance(n, ast.Call) for k in n.keywords}
    assert not keywords & {"kw_only", "slots", "strict"}
    future = [n for n in tree.body if isinstance(n, ast.ImportFrom) and n.module == "__future__"]
    assert future or path.name in ("__init__.py", "__main__.py")


def test_what_is_public_is_listed():
    import understudy.client as client

    for name in client.__all__:
        thing = getattr(client, name)
        assert thing.__module__.startswith(("understudy.client.", "understudy.v1."))
    public = {name for name in vars(client) if name[0].isupper()}
    assert public <= set(client.__all__)
