"""Understudy's client: face replacement by a daemon, asked from Python.

from understudy.client import Session, SwapSettings

with Session() as session:
    swap = session.swap(SwapSettings(src="a.mp4", dst="b.mp4", output="out/comp.####.exr",
                                     minutes=10, release="a.release.json"))
    print(swap.wait().frames)
"""

from understudy.client.errors import (
    DaemonFault,
    JobCancelled,
    JobFailed,
    NotFound,
    OutputLocked,
    PathNotAllowed,
    Refused,
    ReleaseRequired,
    TimedOut,
    UnderstudyError,
    Unreachable,
    WeightsMissing,
)
from understudy.client.job import Event, Job
from understudy.client.session import Session
from understudy.client.specs import Plate, recipe
from understudy.client.swap import Swap, SwapResult, SwapSettings

__all__ = [
    "DaemonFault",
    "Event",
    "Job",
    "JobCancelled",
    "JobFailed",
    "NotFound",
    "OutputLocked",
    "PathNotAllowed",
    "Plate",
    "Refused",
    "ReleaseRequired",
    "Session",
    "Swap",
    "SwapResult",
    "SwapSettings",
    "TimedOut",
    "UnderstudyError",
    "Unreachable",
    "WeightsMissing",
    "recipe",
]
