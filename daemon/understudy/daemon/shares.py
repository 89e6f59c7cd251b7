"""Who was served how much: device-seconds of each user, of which a half is forgotten after some time.

Serving is a job's time on its worker, from its start to its end, times the workers that it holds. It counts while the
job runs, so that who has a long training waits behind who has nothing.
"""

from __future__ import annotations

from understudy.daemon.store import Store


def served(store: Store, now: float, half_life: float) -> dict[str, float]:
    """User → device-seconds, as they count now.

    Args:
        now: seconds UTC.
        half_life: seconds after which a served second counts half.
    """
    with store.reading() as db:
        rows = db.execute("SELECT user, seconds, at FROM served").fetchall()
    return {row["user"]: _left(row["seconds"], now - row["at"], half_life) for row in rows}


def add(store: Store, user: str, seconds: float, now: float, half_life: float) -> None:
    """Count what a user was served."""
    with store.transaction() as db:
        row = db.execute("SELECT seconds, at FROM served WHERE user = ?", (user,)).fetchone()
        before = _left(row["seconds"], now - row["at"], half_life) if row else 0.0
        db.execute("INSERT OR REPLACE INTO served VALUES (?, ?, ?)", (user, before + seconds, now))


def _left(seconds: float, age: float, half_life: float) -> float:
    return float(seconds * 0.5 ** (max(0.0, age) / half_life))  # a clock set back forgets nothing
