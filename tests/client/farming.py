"""Bundles and the reference implementation of Open Job Description, which runs them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
MARK = "UNDERSTUDY_FARM_TEST"  # in the environment of everything that a run starts, by which it is found


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk."""

    folder: Path

    @property
    def template(self) -> dict[str, Any]:
        found = yaml.safe_load((self.folder / "template.yaml").read_text(encoding="utf-8"))
        assert isinstance(found, dict)
        return found

    @property
    def values(self) -> dict[str, str]:
        found = json.loads((self.folder / "parameters.json").read_text(encoding="utf-8"))
        assert isinstance(found, dict)
        return found

    @property
    def steps(self) -> dict[str, dict[str, Any]]:
        return {each["name"]: each for each in self.template["steps"]}

    def definition(self, name: str) -> dict[str, Any]:
        (found,) = (each for each in self.template["parameterDefinitions"] if each["name"] == name)
        return dict(found)

    def line(self, step: str, **tasks: str) -> list[str]:
        """A step's command with its values, as a farm calls it."""
        onrun = self.steps[step]["script"]["actions"]["onRun"]
        given = {d["name"]: d["default"] for d in self.template["parameterDefinitions"] if "default" in d}
        names = {f"Param.{k}": v for k, v in {**given, **self.values}.items()}
        names |= {f"Task.Param.{k}": v for k, v in tasks.items()}
        words = [onrun["command"], *onrun["args"]]
        return [re.sub(r"{{([\w.]+)}}", lambda found: str(names[found[1]]), word) for word in words]


@dataclass(frozen=True)
class Openjd:
    """Runs bundles with the command line of this tree.

    Attributes:
        folder: for what the test needs itself; processes of a run are known by it.
        sessions: of the runs; short, for there are sockets in it.
    """

    folder: Path
    sessions: Path

    def _environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("UNDERSTUDY_")}
        paths = [str(ROOT / root) for root in ("proto", "core", "daemon", ".")]
        more = {"PYTHONPATH": os.pathsep.join(paths), "TMPDIR": str(self.sessions), MARK: str(self.folder)}
        more |= {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        return {**kept, **more, "UNDERSTUDY_STATE": str(self.folder / "state"), "CUDA_VISIBLE_DEVICES": ""}

    def programs(self) -> Path:
        """A folder with `understudy`, as a worker has one on its PATH."""
        folder = self.folder / "bin"
        folder.mkdir(parents=True, exist_ok=True)
        lines = {"understudy": "understudy.client.cli", "torchrun": "torch.distributed.run"}
        for name, module in lines.items():
            (folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {module} "$@"\n')
            (folder / name).chmod(0o755)
        return folder

    def start(self, *words: object) -> subprocess.Popen[str]:
        environment = self._environment()
        environment["PATH"] = f"{self.programs()}{os.pathsep}{environment['PATH']}"
        return subprocess.Popen(
            [sys.executable, "-m", "openjd", *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            cwd=self.folder,
            start_new_session=True,
        )

    def __call__(self, *words: object, timeout: float = 300) -> tuple[int, str]:
        """The exit code and all that was said."""
        with self.start(*words) as process:
            try:
                said, _ = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
        return process.returncode, said

    def run(self, bundle: Bundle, *words: object) -> tuple[int, str]:
        return self("run", *self.of(bundle), *words)

    @staticmethod
    def of(bundle: Bundle) -> Sequence[object]:
        folder = bundle.folder
        return (folder / "template.yaml", "-p", f"file://{folder / 'parameters.json'}")

    def processes(self) -> list[int]:
        """What runs of ours are still there."""
        mark = f"{MARK}={self.folder}".encode()
        numbers = [int(each.name) for each in Path("/proc").glob("[0-9]*")]
        return [number for number in numbers if mark in _of(number, "environ")]

    def find(self, *words: str) -> list[int]:
        """The processes of our runs that have these words in their command line."""
        wanted = {word.encode() for word in words}
        return [each for each in self.processes() if wanted <= set(_of(each, "cmdline"))]

    def kill(self) -> None:
        """`kill -9` of all processes of our runs."""
        for each in self.processes():
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)


def _of(process: int, what: str) -> list[bytes]:
    """Environment or command line of a process; nothing where it has just ended, or is another user's."""
    with suppress(OSError):
        return Path(f"/proc/{process}/{what}").read_bytes().split(b"\0")
    return []


def messages(said: str, kind: str) -> list[str]:
    """The texts of the lines `openjd_KIND: TEXT`."""
    return re.findall(rf"openjd_{kind}: (.*)", said)


def rules(pairs: Mapping[str, str]) -> str:
    """Path mapping rules of paths of this system, as JSON."""
    found = [
        {"source_path_format": "POSIX", "source_path": source, "destination_path": destination}
        for source, destination in pairs.items()
    ]
    return json.dumps({"version": "pathmapping-1.0", "path_mapping_rules": found})
