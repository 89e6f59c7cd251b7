"""A real bridge as a child process, spoken to in raw lines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.daemon.support import SECONDS

COMMAND = [sys.executable, "-m", "understudy.client.cli", "bridge"]


class RawBridge:
    """Lines in, lines out.

    Args:
        state: state folder of the user whose daemon it finds.
        endpoint: of a daemon; empty: by the state folder.
        before: Python that runs before the bridge in its process, to change a limit say.
    """

    def __init__(self, state: Path, endpoint: str = "", *arguments: str, before: str = "") -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("UNDERSTUDY_")}
        environment |= {"UNDERSTUDY_STATE": str(state)}
        environment |= {"UNDERSTUDY_ENDPOINT": endpoint} if endpoint else {}
        command = [*COMMAND, *arguments]
        if before:
            run = "from understudy.client.cli import main; main()"
            command = [sys.executable, "-c", f"{before}\n{run}", "bridge", *arguments]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
        self.hello = self.read()["hello"]

    def __enter__(self) -> RawBridge:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def say(self, **line: Any) -> None:
        self.say_raw(json.dumps(line).encode() + b"\n")

    def say_raw(self, line: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()
        return dict(json.loads(line))

    def ask(self, id_: object, method: str, request: object = None, **more: Any) -> dict[str, Any]:
        """One call, and the next line."""
        self.begin(id_, method, request, **more)
        return self.read()

    def begin(self, id_: object, method: str, request: object = None, **more: Any) -> None:
        self.say(id=id_, method=f"understudy.v1.{method}", request=request or {}, **more)

    def end(self) -> tuple[int, str, str]:
        """Close its input; the exit code, and what it still said on both outputs."""
        out, err = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, out.decode(), err.decode()
