"""Everything a daemon is told at its start; built by `__main__`, which alone reads arguments and environment."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from understudy.core.errors import InvalidInput
from understudy.daemon.site import Site

LONGEST_SOCKET = 100  # bytes; sockaddr_un holds 108 on Linux and 104 on macOS


def version() -> str:
    """Of the software."""
    return metadata.version("understudy")


@dataclass(frozen=True, kw_only=True)
class DaemonConfig:
    """How one daemon runs.

    Attributes:
        state: folder of this daemon, made with mode 0700 where it is not there.
        site: what server and worker share.
        listen: `unix:PATH`; empty: `daemon.sock` in the state folder.
        embedded: started for one command; stops when its standard input closes.
        verbose: log more.
    """

    state: Path
    site: Site
    listen: str = ""
    embedded: bool = False
    verbose: bool = False

    def __post_init__(self) -> None:
        if not self.state.is_absolute():
            raise InvalidInput(f"--state {self.state}: must be absolute", field="state", value=self.state)
        if self.listen and not self.listen.startswith("unix:"):
            raise InvalidInput(
                f"--listen {self.listen}: this version listens on Unix sockets only (unix:/path/to/daemon.sock); "
                "a network listener needs TLS and tokens, which come later",
                field="listen",
                value=self.listen,
            )
        path = self.listen.removeprefix("unix:")
        if self.listen and (not path.startswith("/") or len(os.fsencode(path)) > LONGEST_SOCKET):
            raise InvalidInput(
                f"--listen {self.listen}: needs an absolute path of at most {LONGEST_SOCKET} bytes",
                field="listen",
                value=self.listen,
            )

    def socket(self) -> Path:
        """Where to listen. A state folder too deep for a socket's name gets a short one in the temporary folder."""
        if self.listen:
            return Path(self.listen.removeprefix("unix:"))
        usual = self.state / "daemon.sock"
        if len(os.fsencode(usual)) <= LONGEST_SOCKET:
            return usual
        name = hashlib.sha256(os.fsencode(self.state)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"understudy-{os.getuid()}" / f"{name}.sock"
