"""The host's end of the bridge: the daemon from a Python that has nothing but its standard library.

    link = Link(start="detached")
    job = link.call("JobService/StartJob", {"spec": {...}}).result()["job"]             # waits
    link.call("JobService/GetJob", {"id": job["id"]}, done=show)                        # calls back
    for event in link.stream("JobService/WatchJob", {"id": job["id"]}):                 # iterates
        ...
    link.close()

Nothing but `result()` and an iterator's step ever waits: starting the bridge, writing, reading and trying again are
done by threads of the link, all of them daemons, so that no host hangs at its exit. A bridge that dies or hangs is
started again. Calls that may be repeated are; streams go on after the last sequence number. Only the link outlives
both bridge and daemon, so all of that is done here. docs/bridge.md has the lines that it speaks.

Python 3.7 and later. The folder imports nothing but the standard library and itself, so an add-on may carry a copy.
"""

from .errors import (
    BridgeFault,
    BridgeMissing,
    Cancelled,
    Closed,
    DaemonFault,
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
from .process import command_of
from .requests import Call, Stream
from .supervisor import Link

__all__ = [
    "BridgeFault",
    "BridgeMissing",
    "Call",
    "Cancelled",
    "Closed",
    "DaemonFault",
    "LicenceRequired",
    "Link",
    "NotFound",
    "OutputLocked",
    "PathNotAllowed",
    "Refused",
    "ReleaseRequired",
    "Stream",
    "TimedOut",
    "UnderstudyError",
    "Unreachable",
    "WeightsMissing",
    "command_of",
]
