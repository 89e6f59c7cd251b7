"""Real Blenders, each with the extension as `understudy blender build` makes it, and a real daemon.

A Blender is the module `bpy` in a Python of its own: `UNDERSTUDY_BPY42` names one, else it is `.venv/bpy42/bin/python`
(`make test-blender` sets them up). Versions that are not there are skipped.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.support import Daemon
from understudy.client import plugins

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
VERSIONS = ("4.2", "4.5", "5.0", "5.2")
PATIENT = 540.0  # a busy machine; the test itself has 600
BEGIN, END = "<!-- matrix -->", "<!-- end of matrix -->"
_MATRIX = pytest.StashKey[dict[str, dict[str, str]]]()


def interpreter(version: str) -> Path | None:
    """The Python that has this Blender, where there is one."""
    name = "bpy" + version.replace(".", "")
    named = os.environ.get(f"UNDERSTUDY_{name.upper()}")
    python = Path(named) if named else ROOT / ".venv" / name / "bin" / "python"
    return python if python.is_file() else None


class Blender:
    """One version, with the extension installed in a home of its own.

    Args:
        home: its BLENDER_USER_RESOURCES.
        bridge: a program like `understudy`.
    """

    def __init__(self, version: str, python: Path, home: Path, bridge: Path, matrix: dict[str, str]) -> None:
        self.version, self.python, self.home = version, python, home
        self._bridge, self._matrix = bridge, matrix
        self._count, self._finished = 0, set[str]()

    def run(
        self, script: str, *arguments: object, endpoint: str = "", seconds: float = PATIENT
    ) -> dict[str, Any]:
        """Run a script in a new process of it; gives its `result`. `inside.py` says what the script finds.

        Args:
            endpoint: of the daemon that the extension is to find.
        """
        self._count += 1
        stem = self.home / f"script{self._count}"
        stem.with_suffix(".py").write_text(script, encoding="utf-8")
        answer = stem.with_suffix(".json")
        self._start(
            "run",
            str(stem.with_suffix(".py")),
            str(answer),
            *map(str, arguments),
            endpoint=endpoint,
            seconds=seconds,
        )
        told = json.loads(answer.read_text(encoding="utf-8"))
        self._finished.update(told["finished"])
        for name in told["operators"]:
            self._matrix.setdefault(name, "-")
        return dict(told["result"])

    def install(self, path: Path) -> None:
        self._start("install", str(path))

    def ok(self, *operators: str) -> None:
        """These operators did here what they should: for the matrix that is printed in the end. Blender has to have
        finished them."""
        names = {name.removeprefix("understudy.") for name in operators}
        assert names <= self._finished, f"never finished: {names - self._finished}"
        self._matrix.update(dict.fromkeys(names, "ok"))

    def _start(self, *arguments: str, endpoint: str = "", seconds: float = PATIENT) -> None:
        keep = {
            k: v for k, v in os.environ.items() if not k.startswith(("UNDERSTUDY_", "PYTHON", "BLENDER_"))
        }
        environment = {
            **keep,
            "BLENDER_USER_RESOURCES": str(self.home),
            "UNDERSTUDY_BRIDGE": str(self._bridge),
            "OMP_NUM_THREADS": "1",
        }
        if endpoint:
            environment["UNDERSTUDY_ENDPOINT"] = endpoint
        done = subprocess.run(
            [str(self.python), str(HERE / "inside.py"), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
        assert done.returncode == 0, f"Blender {self.version}:\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"


@pytest.fixture(scope="session")
def extension(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip."""
    return plugins.build_blender(tmp_path_factory.mktemp("extension"))


@pytest.fixture(scope="session")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program `understudy` of this checkout, for Pythons that have none."""
    path = tmp_path_factory.mktemp("bin") / "understudy"
    roots = os.pathsep.join(str(ROOT / name) for name in ("proto", "core", "daemon", "."))
    path.write_text(
        f'#!/bin/sh\nPYTHONPATH="{roots}" exec "{sys.executable}" -m understudy.client.cli "$@"\n',
        encoding="utf-8",
    )
    path.chmod(0o755)
    return path


@pytest.fixture(scope="session")
def blender(
    extension: Path, bridge: Path, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Callable[[str], Blender]:
    """`blender("4.2")`: that Blender, the extension installed; skips where it is not here."""
    made: dict[str, Blender] = {}
    matrix = pytestconfig.stash.setdefault(_MATRIX, {})

    def of(version: str) -> Blender:
        python = interpreter(version)
        if python is None:
            pytest.skip(f"no Blender {version} here; `make test-blender` sets it up")
        if version not in made:
            home = tmp_path_factory.mktemp("blender" + version.replace(".", ""))
            made[version] = Blender(version, python, home, bridge, matrix.setdefault(version, {}))
            made[version].install(extension)
        return made[version]

    return of


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    started = Daemon(tmp_path_factory.mktemp("daemon") / "state").start()
    yield started
    started.kill()


@pytest.fixture(scope="session")
def endpoint(daemon: Daemon) -> str:
    return str(daemon.announced()["endpoint"])


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    """Which operator did its work in which Blender; `UNDERSTUDY_MATRIX` names a page that has it, between marks."""
    matrix = config.stash.get(_MATRIX, {})
    names = sorted({name for row in matrix.values() for name in row})
    if not names:
        return
    heads = ("operator", *matrix)
    rows = [(name, *(row.get(name, "-") for row in matrix.values())) for name in names]
    table = ["| " + " | ".join(row) + " |" for row in (heads, ["---"] * len(heads), *rows)]
    terminalreporter.section("Blender")
    for line in table:
        terminalreporter.line(line)
    page = os.environ.get("UNDERSTUDY_MATRIX")
    if page and not exitstatus:
        before, begin, rest = Path(page).read_text(encoding="utf-8").partition(BEGIN)
        _, end, after = rest.partition(END)
        assert end, f"{page}: no place for the matrix"
        Path(page).write_text(before + begin + "\n".join(["", *table, ""]) + end + after, encoding="utf-8")
