"""Text for the wire, which takes Unicode only."""

from __future__ import annotations

from collections.abc import Mapping


def text(value: object) -> str:
    """As text that protobuf takes: bytes of file names and headers that were not UTF-8 are spelled out, `\\udce9`."""
    return str(value).encode("utf-8", "backslashreplace").decode()


def texts(values: Mapping[str, object]) -> dict[str, str]:
    """The same for names and values."""
    return {text(name): text(value) for name, value in values.items()}
