"""What to do about an error: the next step that a person in Nuke can take, by the contract's reasons."""

from __future__ import annotations

from typing import Any, Dict, NamedTuple

from understudy_nuke.daemon import TimedOut, UnderstudyError

# Of understudy.v1.ErrorReason; a test holds the two together.
BY_REASON = {
    "INTERNAL": "Look for the error's id in the daemon's log, and send both to whoever runs the daemon.",
    "INVALID_INPUT": "Correct the knob or the field that is named.",
    "PATH_NOT_ALLOWED": "Choose a folder that the daemon may use, or ask whoever runs it to allow this one.",
    "NOT_FOUND": "Check the path, as the daemon's machine sees it.",
    "FRAME_MISSING": "Render or copy the frame, then try again; other frames are not held up.",
    "FRAME_UNREADABLE": "Write the frame anew, then try again.",
    "NO_FACE": "Look at the plate: with a face that is small or turned away, extract with other settings.",
    "TRACK_AMBIGUOUS": "Choose the person by the node's knob 'person'.",
    "WRITE_FAILED": "Check who may write to the folder and what lies in its place, then try again.",
    "DISK_FULL": "Free some space, then try again; what was finished stays.",
    "WEIGHTS_MISSING": "Have 'understudy weights pull' run on the daemon's machine, then try again.",
    "WEIGHTS_CORRUPT": "Have the file deleted and 'understudy weights pull' run on the daemon's machine.",
    "MODEL_INVALID": "Name another model folder, or a new one to train.",
    "RELEASE_MISSING": "Make a release of the face that goes on, and name it in the node's knob 'release'.",
    "RELEASE_INVALID": "Ask for a release that is in force, and name it in the node's knob 'release'.",
    "OUTPUT_LOCKED": "Wait for the job that is named, or cancel it.",
    "JOB_STATE": "Nothing to do: the job has gone on meanwhile.",
    "DEPENDENCY_FAILED": "Look at the job that it waited for, and try that one again.",
    "WORKER_DIED": "Try again; where it happens again, with a smaller model or batch.",
    "OUT_OF_MEMORY": "Use a smaller preset or batch, or free the device's memory.",
    "FRAMES_FAILED": "Press 'Try again': what is finished stays, the others are made anew.",
    "REQUEST_ID_REUSED": "Press the button again.",
    "VERIFY_FAILED": "Merge the frame again: somebody has changed its file.",
    "NOT_MEASURED": "Have the faceset measured: 'understudy faceset measure' with its folder.",
    "UNAUTHENTICATED": "Ask whoever runs the daemon for a token.",
    "NOT_PERMITTED": "Ask whoever runs the daemon, or whose job it is.",
    "LIMIT_REACHED": "Wait for other jobs to end, then try again.",
    "LICENCE_NOT_ACCEPTED": "Choose other networks, or have the licence accepted, as the message says.",
    "PREEMPTED": "Nothing to do: it goes on by itself.",
    "SUPERSEDED": "Nothing to do: a newer picture is on its way.",
    "LATE": "Try again when the machine is less busy.",
}
OLDER = "The daemon is older than this plug-in: have it updated, and started anew."
OLDER_BRIDGE = (
    "The bridge is older than this plug-in: update understudy on this machine, or choose another bridge."
)
BRIDGE = "Install understudy on this machine, or press 'Choose the bridge'; to have it for good set UNDERSTUDY_BRIDGE."
START = "Press 'Start'. For a daemon on another machine set UNDERSTUDY_ENDPOINT, or ask whoever runs it."
GONE = "Jobs are kept and go on with the daemon; it is looked for every few seconds."
BUSY = "The machine or the network is busy; it is asked again by itself."
BY_KIND = {
    "BridgeMissing": BRIDGE,
    "BridgeFault": BRIDGE,
    "Unreachable": GONE,
    "Closed": GONE,
    "TimedOut": BUSY,
}
UNKNOWN = "Try again; where it stays, send the message to whoever runs the daemon."


class Trouble(NamedTuple):
    """What went wrong, in a sentence, and what to do next."""

    message: str
    step: str

    def __str__(self) -> str:
        return self.message + "\n→ " + self.step


def of(error: UnderstudyError) -> Trouble:
    """Of an error of the link."""
    step, message = BY_KIND.get(type(error).__name__, ""), error.message
    if isinstance(error, TimedOut):
        message = "The daemon did not answer in time."
    if error.code == "UNIMPLEMENTED":
        step = OLDER
    elif error.field == "method":
        step = OLDER_BRIDGE
    return Trouble(_sentence(message), step or BY_REASON.get(error.reason, UNKNOWN))


def of_job(error: Dict[str, Any]) -> Trouble:
    """Of an `understudy.v1.Error` of a job or a frame."""
    message = str(error.get("message") or error.get("reason") or "no reason was given")
    return Trouble(_sentence(message), BY_REASON.get(str(error.get("reason", "")), UNKNOWN))


def _sentence(message: str) -> str:
    """The first lines of it: a bridge's last words may be long."""
    return "\n".join(message.strip().splitlines()[:6])
