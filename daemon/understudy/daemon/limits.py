"""How much a daemon takes at once: what a flood, a mistake or malice may not exceed."""

from __future__ import annotations

from dataclasses import dataclass, fields

from understudy.core.errors import InvalidInput
from understudy.daemon.errors import LimitReached


@dataclass(frozen=True, kw_only=True)
class Limits:
    """All are whole numbers of at least 1.

    Attributes:
        message_bytes: of one request.
        frames_per_job: of the plate or video that a job is about; a million is eleven hours at 24 frames a second.
        jobs_per_user: that have not ended.
        jobs: that have not ended, of all users.
        pixels: of a part of a plate's first frame, by its header; core takes 2^28 of any frame.
        channels: of a part of a plate's first frame; core takes 1024.
    """

    message_bytes: int = 4 << 20
    frames_per_job: int = 1_000_000
    jobs_per_user: int = 10_000
    jobs: int = 50_000
    pixels: int = 2**28
    channels: int = 1024

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if value < 1:
                raise InvalidInput(f"{item.name}: {value} is not at least 1", field=item.name, value=value)

    def hold(self, what: str, name: str, value: int, field: str | None = None) -> None:
        """Refuse a value above the limit of this name.

        Raises:
            LimitReached: says what has how much, and the limit.
        """
        limit = getattr(self, name)
        if value > limit:
            raise LimitReached(
                f"{field + ': ' if field else ''}{what} {value}; this daemon takes {limit} "
                f"(limits.{name} of its configuration)",
                field=field or name,
                value=value,
            )
