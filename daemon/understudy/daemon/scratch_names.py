"""Names of files that users send: relative, and possible on every system."""

from __future__ import annotations

import re

from understudy.core.errors import InvalidInput

PREFIX = "scratch:"  # of a path in a request: the caller's own folder
DEEPEST, LONGEST_NAME = 32, 200  # folders; bytes of a name: whoever writes it beside first adds some
_FORBIDDEN = re.compile(r'[\\:*?"<>|]')
# Source: Microsoft, "Naming Files, Paths, and Namespaces".
_DEVICES = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])", re.IGNORECASE)


def parts(name: str, field: str = "name") -> tuple[str, ...]:
    """The folders and the file of a relative name, which every system could have.

    Raises:
        InvalidInput: says which part cannot be, and why.
    """
    found = tuple(name.split("/"))
    if len(found) > DEEPEST:
        raise InvalidInput(f"{field}: {len(found)} folders deep; at most {DEEPEST}", field=field, value=name)
    for part in found:
        if why := _impossible(part):
            raise InvalidInput(f"{field}: {name[:300]!r}: {part[:80]!r} {why}", field=field, value=name[:300])
    return found


def _impossible(part: str) -> str:
    """Why a file or folder cannot be called so; empty where it can."""
    reasons = {
        "is empty: a name is relative, as in sh010/plate.1001.exr": not part,
        "begins with a dot": part.startswith("."),
        "has a character that no name has on every system": not part.isprintable() or _FORBIDDEN.search(part),
        "ends with a dot or a blank": part.endswith((".", " ")),
        "is a device on Windows": _DEVICES.fullmatch(part.partition(".")[0].rstrip()),
        f"is longer than {LONGEST_NAME} bytes": len(part.encode("utf-8", "replace")) > LONGEST_NAME,
    }
    return next((why for why, holds in reasons.items() if holds), "")
