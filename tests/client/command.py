"""The real command line as a child process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.daemon.support import SECONDS


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The JSON lines on stdout."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True)
class Command:
    """Runs `understudy` with one state folder and, if given, one endpoint.

    Attributes:
        program: what Python runs.
    """

    state: Path
    endpoint: str = ""
    folder: Path | None = None
    program: tuple[str, ...] = ("-m", "understudy.client.cli")

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("UNDERSTUDY_")}
        environment |= {"UNDERSTUDY_STATE": str(self.state), "COLUMNS": "200", "NO_COLOR": "1"}
        environment |= {"UNDERSTUDY_ENDPOINT": self.endpoint} if self.endpoint else {}
        return subprocess.Popen(
            [sys.executable, *self.program, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=self.folder,
        )

    def __call__(self, *arguments: object, timeout: float = SECONDS) -> Done:
        with self.start(*arguments) as process:
            try:
                out, err = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return Done(process.returncode, out, err)
