"""Daemons on other machines: `tls://host:port`, by TLS and a token.

The token lies in a file that nobody else may read; neither it nor a key is ever an argument, which other users of the
machine can see. Read from the environment for every channel, so that a long session sees a token that was renewed.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

import grpc
import grpc.aio

from understudy.client.errors import Refused
from understudy.v1.system_pb2 import GetInfoResponse

SCHEME = "tls://"
TOKEN_FILE, CA, CERTIFICATE, KEY = (
    f"UNDERSTUDY_{name}" for name in ("TOKEN_FILE", "CA", "CERTIFICATE", "KEY")
)
REFUSED = (
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
)  # a daemon answers, but not to us
_TARGET = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):\d{1,5}")
Options = Sequence[tuple[str, int]]


def checked(endpoint: str) -> str:
    """The endpoint, where it is `tls://host:port`. Raises Refused."""
    if not _TARGET.fullmatch(endpoint[len(SCHEME) :]):
        raise Refused.invalid("endpoint", endpoint, f"{endpoint!r} is not {SCHEME}HOST:PORT")
    return endpoint


def channel(endpoint: str, options: Options, environ: Mapping[str, str] = os.environ) -> grpc.Channel:
    """A channel to a daemon that shows a certificate of a known authority, with our token in every call.

    Raises:
        Refused: a file that the environment names cannot be used, or no token is named.
    """
    return grpc.secure_channel(endpoint[len(SCHEME) :], _credentials(environ), options=options)


def aio_channel(endpoint: str, options: Options, environ: Mapping[str, str] = os.environ) -> grpc.aio.Channel:
    """The same for asyncio."""
    return grpc.aio.secure_channel(endpoint[len(SCHEME) :], _credentials(environ), options=options)


def refuse_old(ours: str, info: GetInfoResponse) -> None:
    """Refuse to talk to a daemon that no longer understands a client of our version.

    Raises:
        Refused: names both versions.
    """
    if release(ours) < release(info.min_client):
        raise Refused.invalid(
            "endpoint",
            info.min_client,
            f"the daemon (understudy {info.version}) needs a client of {info.min_client} or later, "
            f"this one is {ours}; upgrade it",
        )


def release(version: str) -> tuple[int, ...]:
    """The numbers in front of a version: `0.2.0rc1` is 0.2.0; none where there are none, which comes before all."""
    numbers = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, numbers[0].split("."))) if numbers else ()


def _credentials(environ: Mapping[str, str]) -> grpc.ChannelCredentials:
    ca, certificate, key = (_bytes(environ, name) for name in (CA, CERTIFICATE, KEY))
    if (certificate is None) != (key is None):
        lacking = CERTIFICATE if certificate is None else KEY
        raise Refused.invalid(lacking, "", f"is not set; {CERTIFICATE} and {KEY} come together")
    return grpc.composite_channel_credentials(
        grpc.ssl_channel_credentials(ca, key, certificate),
        grpc.access_token_call_credentials(_token(environ)),
    )


def _token(environ: Mapping[str, str]) -> str:
    """The first line of the file of the token."""
    raw = _bytes(environ, TOKEN_FILE)
    if raw is None:
        raise Refused.invalid(
            TOKEN_FILE,
            "",
            "is not set; it names a file with a token, which whoever runs the daemon gives out",
        )
    path = Path(environ[TOKEN_FILE])
    if os.name == "posix" and (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077:
        raise Refused.invalid(
            TOKEN_FILE, path, f"{path} has mode {mode:04o}, others may use it; run `chmod 600 {path}`"
        )
    token = raw.decode("ascii", "replace").partition("\n")[0].strip()
    if not re.fullmatch(r"[\x21-\x7e]+", token):
        raise Refused.invalid(TOKEN_FILE, path, f"{path} holds no token in its first line")
    return token


def _bytes(environ: Mapping[str, str], name: str) -> bytes | None:
    """The file that a variable names; None where it is not set."""
    path = environ.get(name, "")
    if not path:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise Refused.invalid(name, path, f"{path} cannot be read: {error.strerror}") from error
