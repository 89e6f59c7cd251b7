"""Settings of the queue, of how long it is remembered, and of what users may leave here."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from understudy.core.errors import InvalidInput


@dataclass(frozen=True, kw_only=True)
class Queue:
    """How the queue is served.

    Attributes:
        half_life_hours: after which device time that a user was served counts half.
        most_priority: that a token without the scope `admin` may ask for.
    """

    half_life_hours: float = 24.0
    most_priority: int = 100

    def __post_init__(self) -> None:
        if not 0 < self.half_life_hours <= 24 * 366:
            raise InvalidInput(
                f"half_life_hours: {self.half_life_hours:g} is not above 0 and at most {24 * 366}",
                field="half_life_hours",
                value=self.half_life_hours,
            )


@dataclass(frozen=True, kw_only=True)
class Retention:
    """How long jobs are kept that have ended; those that have not, and those that they depend on, always are.

    Attributes:
        days: after its end; 0: for ever.
        jobs: so many, the newest; 0: any number.
    """

    days: float = 90.0
    jobs: int = 50_000

    def __post_init__(self) -> None:
        if not 0 <= self.days <= 36500:
            raise InvalidInput(f"days: {self.days:g} is not 0 to 36500", field="days", value=self.days)
        if self.jobs < 0:
            raise InvalidInput(f"jobs: {self.jobs} is negative", field="jobs", value=self.jobs)


@dataclass(frozen=True, kw_only=True)
class Scratch:
    """Files that users without shared storage send and fetch.

    Attributes:
        folder: in which every user has one; None: nobody may.
        quota_mib: that each may send and keep; 0: any amount.
        days: after which what was written there is deleted, unless a job that has not ended names it; 0: never.
    """

    folder: Path | None = None
    quota_mib: int = 102_400
    days: float = 14.0

    def __post_init__(self) -> None:
        if self.quota_mib < 0:
            raise InvalidInput(
                f"quota_mib: {self.quota_mib} is negative", field="quota_mib", value=self.quota_mib
            )
        if not 0 <= self.days <= 36500:
            raise InvalidInput(f"days: {self.days:g} is not 0 to 36500", field="days", value=self.days)

    def home(self, user: str) -> Path | None:
        """The user's own folder. No two users have the same one, not where upper case is lower case either."""
        if self.folder is None:
            return None
        plain = re.sub(r"[^a-z0-9_-]", "_", user.lower())[:40]
        return self.folder / f"{plain}-{hashlib.sha256(user.encode()).hexdigest()[:12]}"
