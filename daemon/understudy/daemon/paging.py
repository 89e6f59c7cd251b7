"""Page tokens: opaque to clients, bound to the list they came from, so that none is taken for another."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Sequence
from typing import TypeVar

from google.protobuf.message import Message

from understudy.core.errors import InvalidInput

M = TypeVar("M", bound=Message)
MOST_BYTES = 2 << 20  # of a page: clients take 4 MiB at once unless they are told otherwise


def size(asked: int, default: int, most: int) -> int:
    """How many items a page holds. Raises InvalidInput for a negative size; more than `most` gives `most`."""
    if asked < 0:
        raise InvalidInput(f"page_size {asked} is negative", field="page_size", value=asked)
    return min(asked or default, most)


def filled(messages: Iterable[M]) -> list[M]:
    """As many of the messages, from the first on, as a page has room for; at least one. No further ones are made."""
    taken: list[M] = []
    room = MOST_BYTES
    for message in messages:
        room -= message.ByteSize()
        if room < 0 and taken:
            break
        taken.append(message)
    return taken


def fitting(messages: Sequence[Message]) -> int:
    """How many of the messages a page has room for; at least one."""
    return len(filled(messages))


def token(scope: str, cursor: int) -> str:
    """A token for what comes after `cursor` in the list that `scope` names with all its filters."""
    body = json.dumps([zlib.crc32(scope.encode()), cursor]).encode()
    return base64.urlsafe_b64encode(body).decode()


def cursor(scope: str, text: str) -> int | None:
    """What `token` was given; None for the first page.

    Raises:
        InvalidInput: not a token of this list.
    """
    if not text:
        return None
    try:
        owner, position = json.loads(base64.b64decode(text, altchars=b"-_", validate=True))
    except (ValueError, TypeError) as error:
        raise _refuse(text) from error
    if owner != zlib.crc32(scope.encode()) or type(position) is not int or abs(position) >= 2**63:
        raise _refuse(text)
    return position


def _refuse(text: str) -> InvalidInput:
    return InvalidInput(
        "page_token is not one of this list's; start from the first page", field="page_token", value=text
    )
