"""Settings of the queue, and of how long it is remembered."""

from __future__ import annotations

from dataclasses import dataclass

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
