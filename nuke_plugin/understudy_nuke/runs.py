"""Jobs started from a node, and what becomes of them.

The daemon's jobs outlive Nuke; a `Run` only starts and watches them. It never waits on Nuke's main thread: the link
calls back on its own thread, a progress bar is told from there, and nodes are touched through `on_main`.
"""

from __future__ import annotations

import json
import threading
import time
from typing import Any, Callable, Dict, List, Tuple

import nuke

from . import daemon, look, mattes, panel, people, plates
from . import node as nodes
from .daemon import UnderstudyError, refused

Json = Dict[str, Any]
Stage = Tuple[str, Json]  # its name and its spec
RELOAD_S = 2.0  # the Read looks for new frames so often
POLL_S = 0.2  # the progress bar's cancel button is looked at so often
ENDED = ("JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED")


class JobFailed(UnderstudyError):
    """A job ended otherwise than well."""

    code = "ABORTED"


class Run:
    """Jobs one after the other, watched until the last has ended.

    Attributes:
        jobs: their ids, in order, as they are started.
        ended: set when all is over, and the node knows it.
        error: why it did not go well.
        report: the last job, as the daemon tells it.
    """

    def __init__(
        self,
        node: nuke.Node,
        stages: List[Stage],
        plate: plates.Plate | None,
        done: Callable[[Run], object] | None = None,
        after: Callable[[nuke.Node], object] | None = None,
    ) -> None:
        """`after`: done to the node, on the main thread, when all went well; a step of undo is its own affair."""
        self.jobs: List[str] = []
        self.ended = threading.Event()
        self.error: UnderstudyError | None = None
        self.report: Json = {}
        self._stages, self._plate, self._done, self._after = stages, plate, done, after
        self._id, self._name, self._label = str(node["us_id"].value()), node.fullName(), nodes.label(node)
        self._at, self._reloaded = 0, 0.0
        self._cancelled = False  # set before `cancel` looks which jobs there are, read after one is added
        self._over = threading.Event()  # nothing more comes from the daemon
        self._link = daemon.link()
        self._task: Any = nuke.ProgressTask("Understudy")  # None while there is no bar
        self._task.setMessage("starting")
        threading.Thread(target=self._look_for_cancel, name="understudy-cancel", daemon=True).start()
        self._start()

    def wait(self, seconds: float | None = None) -> Run:
        """Until all has ended; for `nuke -t` and for threads, not for a window's main thread.

        Raises:
            UnderstudyError: what went wrong.
            TimeoutError: not within so many seconds; the jobs go on.
        """
        if not daemon.wait(self.ended, seconds):
            raise TimeoutError("not ended within {:g} s".format(seconds or 0))
        if self.error is not None:
            raise self.error
        return self

    def cancel(self) -> None:
        """Ask the daemon to stop; finished frames stay. From any thread, also before the daemon has the job."""
        self._cancelled = True
        for job in reversed(self.jobs):
            self._link.call("JobService/CancelJob", {"id": job})

    # On the link's thread

    def _start(self) -> None:
        name, spec = self._stages[len(self.jobs)]
        request: Json = {
            "spec": spec,
            "label": "{} of {}".format(name, self._label),
            "dependsOn": self.jobs[-1:],
        }
        self._link.call("JobService/StartJob", request, done=self._started)

    def _started(self, call: Any) -> None:
        try:
            self.jobs.append(str(call.result()["job"]["id"]))
        except UnderstudyError as error:
            self.cancel()
            self._finish(error)
            return
        if self._cancelled:
            self.cancel()
        elif len(self.jobs) < len(self._stages):
            self._start()
            return
        daemon.on_main(self._begun)
        self._watch()

    def _watch(self) -> None:
        if self._stages[self._at][0] == "train" and panel.open_ones():
            self._task = None  # closes the bar, which would be up for hours: the panel shows it
        elif self._task is None:
            self._task = nuke.ProgressTask("Understudy")
        self._link.stream(
            "JobService/WatchJob", {"id": self.jobs[self._at]}, on_event=self._event, on_end=self._watched
        )

    def _event(self, message: Json) -> None:
        event = message.get("event") or {}
        told = event.get("progress") or (message.get("snapshot") or {}).get("progress") or {}
        if told:
            self._tell(float(told.get("fraction", 0.0)), told)
        if "frame" in event and "merge" in self._stages[self._at][1]:
            now = time.monotonic()
            if now - self._reloaded > RELOAD_S:
                self._reloaded = now
                daemon.on_main(self._reload)

    def _tell(self, fraction: float, told: Json) -> None:
        name, whole, task = self._stages[self._at][0], len(self._stages), self._task
        if task is None:
            return
        task.setProgress(min(100, int(100 * (self._at + fraction) / whole)))
        words = "{}: {} of {} {}s".format(
            name, told.get("done", 0), told.get("total", 0), told.get("unit", "step")
        )
        if told.get("rate"):
            words += ", {:.2g} a second".format(float(told["rate"]))
        task.setMessage(words)

    def _watched(self, error: UnderstudyError | None) -> None:
        if error is not None:
            self._finish(error)
            return
        self._link.call("JobService/GetJob", {"id": self.jobs[self._at]}, done=self._asked)

    def _asked(self, call: Any) -> None:
        try:
            self.report = dict(call.result()["job"])
        except UnderstudyError as error:
            self._finish(error)
            return
        if self.report["state"] != "JOB_STATE_SUCCEEDED":
            self._finish(_failure(self._stages[self._at][0], self.report))
        elif self._at + 1 < len(self._stages):
            self._at += 1
            self._watch()
        else:
            self._finish(None)

    def _finish(self, error: UnderstudyError | None) -> None:
        if self._over.is_set():
            return
        self.error = error
        self._over.set()
        daemon.on_main(self._close)

    def _look_for_cancel(self) -> None:
        while not self._over.wait(POLL_S):
            task = self._task
            if task is not None and task.isCancelled():
                self.cancel()
                return

    # On Nuke's main thread

    def _node(self) -> nuke.Node | None:
        """None when it was deleted, or its script closed."""
        return nodes.found(self._id, self._name)

    def _begun(self) -> None:
        node = self._node()
        if node is None:
            return
        nuke.Undo.disable()  # nothing that shows
        try:
            node["us_jobs"].setValue(json.dumps(self.jobs))
        finally:
            nuke.Undo.enable()
        if "merge" in self._stages[-1][1]:
            nuke.Undo.begin("Understudy: " + self._stages[-1][0])
            try:
                nodes.show_version(node, self._plate, on_error="black")
            finally:
                nuke.Undo.end()

    def _reload(self) -> None:
        node = self._node()
        if node is not None:
            node.node("layers")["reload"].execute()  # type: ignore[attr-defined]

    def _close(self) -> None:
        node = self._node()
        try:
            if node is not None:
                nuke.Undo.disable()  # it is not what the artist did last
                try:
                    self._tell_node(node)
                finally:
                    nuke.Undo.enable()
                self._finish_node(node)
            if self._done is not None:
                self._done(self)
        finally:
            self._task = None  # which closes the bar
            self.ended.set()

    def _finish_node(self, node: nuke.Node) -> None:
        if self._after is not None and self.error is None:
            try:
                self._after(node)
            except UnderstudyError as error:
                self.error = error

    def _tell_node(self, node: nuke.Node) -> None:
        node["us_status"].setValue(_status(self._stages[self._at][0], self.report, self.error))
        if self.error is None and "merge" in self._stages[-1][1]:
            missing = int(self.report.get("framesFailed", 0)) + int(self.report.get("framesMissing", 0))
            nodes.show_version(node, self._plate, on_error="black" if missing else "error")


def extract(node: nuke.Node, plate: plates.Plate) -> Stage:
    return "extract", {
        "extract": {"plate": plate.ref(), "faceset": nodes.need(node, "us_dst", "dst faceset")}
    }


def train(node: nuke.Node) -> Stage:
    iterations, minutes = int(node["us_iterations"].value()), int(node["us_minutes"].value())
    if iterations <= 0 and minutes <= 0:
        raise refused("us_iterations", "say when the training ends: iterations or minutes")
    spec: Json = {
        "model": nodes.need(node, "us_model", "model"),
        "src": nodes.need(node, "us_src", "src faceset"),
        "dst": nodes.need(node, "us_dst", "dst faceset"),
        "preset": str(node["us_preset"].value()).strip(),
        "release": nodes.texts(node)["us_release"],
    }
    if iterations > 0:
        spec["targetIterations"] = iterations
    if minutes > 0:
        spec["targetTime"] = "{}s".format(60 * minutes)
    track = int(node["us_track"].value())
    if track >= 0:
        spec["dstTrack"] = track
    return "train", {"train": spec}


def merge(node: nuke.Node, plate: plates.Plate, output: str | None = None, write: bool = True) -> Stage:
    """The mask input is written out where it has to be, if it is to `write`; `output`: where the merge goes, if not
    where the node says.
    """
    faceset = nodes.need(node, "us_dst", "dst faceset")
    swaps = [person.swap(faceset) for person in people.table(node)]
    shared: Json = {
        "recipe": look.recipe(node, plate.first, plate.last),
        "userMattes": mattes.of_merge(node, plate, write),
    }
    if mattes.names(node):
        shared["segmenter"] = nodes.texts(node)["us_seg"]
    layers = [name.strip() for name in str(node["us_layers"].value()).split(",") if name.strip()]
    spec = {
        "plate": plate.ref(),
        "swaps": [dict(swap, **shared) for swap in swaps],
        "output": nodes.output(node) if output is None else output,
        "layers": layers,
    }
    return "merge", {"merge": spec}


def _failure(stage: str, job: Json) -> JobFailed:
    said = job.get("error") or {}
    state = str(job.get("state", "")).replace("JOB_STATE_", "").lower()
    return JobFailed(
        "{} {}: {}".format(stage, state, said.get("message") or "no reason given"),
        reason=said.get("reason", ""),
        metadata=dict(said.get("metadata") or {}, job=job.get("id", "")),
    )


def _status(stage: str, job: Json, error: UnderstudyError | None) -> str:
    if error is not None:
        return daemon.words(error)
    failed, missing = int(job.get("framesFailed", 0)), int(job.get("framesMissing", 0))
    words = "{} done".format(stage)
    return words + (", {} frames failed, {} missing".format(failed, missing) if failed or missing else "")
