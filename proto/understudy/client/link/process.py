"""A bridge as a child process: how it is found, and the threads that read and write so that nobody else waits."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import queue
import shutil
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Callable

from .errors import BridgeMissing

LINE_BYTES = 64 << 20  # as the bridge bounds its own
LAST_WORDS = 30  # lines of its log that are kept for an error's message
# They tell a host's Python where its own library is, and would lead another one there.
_HOSTS_OWN = ("PYTHONHOME", "PYTHONSTARTUP", "PYTHONEXECUTABLE", "__PYVENV_LAUNCHER__")


def command_of(given: str | Sequence[str] | None, environ: Mapping[str, str]) -> list[str]:
    """The command that starts a bridge: as given, else `$UNDERSTUDY_BRIDGE`, else `understudy` on the PATH.

    Args:
        given: a path of `understudy`, or of a Python that has it; or a whole command as a list.

    Raises:
        BridgeMissing: there is none.
    """
    if given and not isinstance(given, str):
        return list(given)
    path = given or environ.get("UNDERSTUDY_BRIDGE") or shutil.which("understudy", path=environ.get("PATH"))
    if not path:
        raise BridgeMissing(
            "understudy is not on the PATH; name it in the preferences or in UNDERSTUDY_BRIDGE, or install it "
            "with `python -m pip install understudy`"
        )
    path = os.path.expanduser(str(path))
    python = os.path.basename(path).lower().startswith("python")
    return [path, "-m", "understudy.client.cli", "bridge"] if python else [path, "bridge"]


class Process:
    """A bridge that runs.

    Args:
        command: starts it.
        environ: the host's environment.
        heard: gets the object of each line that it says; None for a line that no bridge would say.
        gone: told when it says nothing any more.
        log: gets each line of its log.

    Attributes:
        heard_at: when it last said something; monotonic seconds.

    Raises:
        OSError, ValueError: it cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        environ: Mapping[str, str],
        *,
        heard: Callable[[Process, dict[str, Any] | None], None],
        gone: Callable[[Process], None],
        log: Callable[[str], None],
    ) -> None:
        self._heard, self._gone, self._log = heard, gone, log
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._words: collections.deque[str] = collections.deque(maxlen=LAST_WORDS)
        self.command = list(command)
        self.heard_at = time.monotonic()
        windows: Any = getattr(subprocess, "CREATE_NO_WINDOW", 0) | getattr(
            subprocess, "CREATE_NEW_PROCESS_GROUP", 0
        )
        self._process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={name: value for name, value in environ.items() if name not in _HOSTS_OWN},
            start_new_session=True,  # a Ctrl-C in the terminal that the host was started from is the host's
            creationflags=windows,
        )
        self._told = threading.Thread(target=self._read_log, name="understudy-log", daemon=True)
        for thread in (
            self._told,
            threading.Thread(target=self._read, name="understudy-reader", daemon=True),
            threading.Thread(target=self._write, name="understudy-writer", daemon=True),
        ):
            thread.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def say(self, line: bytes) -> None:
        """Write a line, without waiting for it."""
        self._lines.put(line)

    def close(self) -> None:
        """End its input: it ends what it does, and then itself, in its own time."""
        self._lines.put(None)

    def kill(self) -> None:
        with contextlib.suppress(OSError):  # it has gone
            self._process.kill()

    def last_words(self) -> str:
        """How it ended, and the end of its log."""
        code = self._process.poll()
        words = "".join("\n  " + line for line in list(self._words)[-8:])
        return ("no exit code yet" if code is None else f"exit code {code}") + words

    def _read(self) -> None:
        output = self._process.stdout
        assert output is not None
        with contextlib.suppress(OSError, ValueError):
            while True:
                line = output.readline(LINE_BYTES + 1)
                if not line:
                    break
                self.heard_at = time.monotonic()
                self._heard(self, _object(line))
        self._process.wait()
        self._told.join(1.0)  # its last words are worth a moment
        self.close()
        self._gone(self)

    def _read_log(self) -> None:
        log = self._process.stderr
        assert log is not None
        with contextlib.suppress(OSError, ValueError):
            for line in log:
                text = line.decode("utf-8", "replace").rstrip()
                self._words.append(text)
                self._log(text)

    def _write(self) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        with contextlib.suppress(OSError, ValueError):  # it has gone; the reader tells
            while True:
                line = self._lines.get()
                if line is None:
                    break
                pipe.write(line)
                pipe.flush()
        with contextlib.suppress(OSError, ValueError):
            pipe.close()


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        said = json.loads(line.decode("utf-8"))
    except ValueError:
        return None
    return said if isinstance(said, dict) else None
