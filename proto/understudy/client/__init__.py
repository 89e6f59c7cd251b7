"""Understudy's client: face replacement by a daemon, asked from Python.

Example:
    settings = SwapSettings(
        src="a.mp4", dst="b.mp4", output="out/comp.####.exr", minutes=10, release="a.release.json"
    )
    with Session() as session:
        print(session.swap(settings).wait().frames)
"""

from understudy.client.aio import AsyncJob, AsyncSession, AsyncSwap
from understudy.client.errors import (
    DaemonFault,
    JobCancelled,
    JobFailed,
    LicenceRequired,
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
from understudy.client.job import Asking, Event, Job
from understudy.client.previews import Preview
from understudy.client.session import Session
from understudy.client.specs import Plate, UserMatte, recipe
from understudy.client.swap import Swap, SwapResult, SwapSettings
from understudy.client.transfer import Transfer
from understudy.client.wire import deadline
from understudy.v1.job_pb2 import Artifact, FrameReport, Progress, StateChange, TrainProgress

__all__ = [
    "Artifact",
    "Asking",
    "AsyncJob",
    "AsyncSession",
    "AsyncSwap",
    "DaemonFault",
    "Event",
    "FrameReport",
    "Job",
    "JobCancelled",
    "JobFailed",
    "LicenceRequired",
    "NotFound",
    "OutputLocked",
    "PathNotAllowed",
    "Plate",
    "Preview",
    "Progress",
    "Refused",
    "ReleaseRequired",
    "Session",
    "StateChange",
    "Swap",
    "SwapResult",
    "SwapSettings",
    "TimedOut",
    "TrainProgress",
    "Transfer",
    "UnderstudyError",
    "Unreachable",
    "UserMatte",
    "WeightsMissing",
    "deadline",
    "recipe",
]
