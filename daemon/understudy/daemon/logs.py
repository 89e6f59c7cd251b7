"""How the daemon's log looks: text for a person, or one JSON object a line. Neither ever holds a token."""

from __future__ import annotations

import json
import logging
import re
from datetime import datetime, timezone
from logging.handlers import RotatingFileHandler
from pathlib import Path

from understudy.daemon.config import Log

LOG_BYTES, LOG_FILES = 4 << 20, 3
_SECRET = re.compile(r"\bust_[0-9A-Za-z]+_[0-9A-Za-z_-]+|(?<=[Bb]earer )[^\s'\"]+")
_QUOTED = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
_PAIR = re.compile(rf"([a-z][a-z_]*)=({_QUOTED}|\S+)(?:\s+|$)")
_OURS = frozenset({"time", "level", "logger", "message", "trace"})


def begin(log: Log, folder: Path) -> None:
    """Log to daemon.log in the state folder, which is bounded, and to standard error."""
    form: logging.Formatter = _Json() if log.format == "json" else _Text()
    handlers: list[logging.Handler] = [
        RotatingFileHandler(folder / "daemon.log", maxBytes=LOG_BYTES, backupCount=LOG_FILES),
        logging.StreamHandler(),
    ]
    for handler in handlers:
        handler.setFormatter(form)
    logging.basicConfig(level=logging.DEBUG if log.verbose else logging.INFO, handlers=handlers)


def redacted(text: str) -> str:
    """The text without the secrets of tokens in it."""
    return _SECRET.sub("[secret]", text)


class _Text(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))


class _Json(logging.Formatter):
    """Messages begin with `job=… state=…`: each becomes a field of its own, so that a collector can search by it."""

    def format(self, record: logging.LogRecord) -> str:
        message = redacted(record.getMessage())
        fields: dict[str, str] = {}
        at = 0
        while (pair := _PAIR.match(message, at)) and pair[1] not in _OURS:
            fields.setdefault(pair[1], pair[2].strip("'\""))
            at = pair.end()
        line = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            **fields,
            "message": message[at:],
        }
        if record.exc_info:
            line["trace"] = redacted(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)
