"""What people may do with jobs: start, cancel, pause, resume, retry, update. Each is one transaction on the store."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from understudy.core.errors import InvalidInput
from understudy.core.train.plan import Course
from understudy.daemon import decode, queueing, updates
from understudy.daemon.decode import Work
from understudy.daemon.errors import JobStateRefused, OutputLocked, RequestIdReused
from understudy.daemon.limits import Limits
from understudy.daemon.outputs import Output
from understudy.daemon.refs import named
from understudy.daemon.states import ACTIVE, State
from understudy.daemon.store import Store, Submission
from understudy.v1 import job_pb2

Check = Callable[[job_pb2.JobSpec, tuple[Output, ...], str], Work]
MOST_PRIORITY = 1000
LONGEST_PROJECT, LONGEST_LABEL = 64, 1000  # they are shown in lists, on other people's terminals too
Changed = Callable[[Course, Mapping[str, str], int, float], Course]


def start(
    store: Store,
    request: job_pb2.StartJobRequest,
    user: str,
    check: Check,
    limits: Limits,
    *,
    project: str = "",
) -> tuple[job_pb2.Job, bool]:
    """Store the job of a request, or find the one that is its answer already: (job, was there before).

    `check` decodes a spec, given what the jobs that it waits for will write and whose it is; it may take long, so it
    runs outside of the transaction, and what depends on other jobs is looked at again inside.
    """
    try:
        request_id = str(uuid.UUID(request.request_id))
    except ValueError as error:
        raise InvalidInput(
            f"request_id: {request.request_id!r} is not a UUID; make one per request and keep it for retries",
            field="request_id",
            value=request.request_id,
        ) from error
    _may_be_priority(request.priority)
    _may_be_shown("project", project, LONGEST_PROJECT)
    _may_be_shown("label", request.label, LONGEST_LABEL)
    digest = hashlib.sha256(request.spec.SerializeToString(deterministic=True)).hexdigest()
    with store.transaction():
        if found := _there(store, request_id, digest):
            return found, True
    needed = queueing.ancestors(store, request.depends_on)
    work = check(request.spec, store.outputs(needed), user)
    with store.transaction():
        if found := _there(store, request_id, digest):
            return found, True
        _room(store, user, limits)
        if request.refuse_locked:
            _unlocked(store, work.outputs, needed)
        submission = Submission(
            request_id=request_id,
            spec=request.spec,
            digest=digest,
            label=request.label or work.label,
            user=user,
            depends_on=tuple(request.depends_on),
            outputs=work.outputs,
            priority=request.priority,
            project=project,
            interactive=request.interactive,
            refuse_locked=request.refuse_locked,
            memory=work.memory,
        )
        return store.job(store.add(submission)), False


def cancel(store: Store, job: str) -> job_pb2.Job:
    """CANCELLING where it runs, CANCELLED where it does not; a cancelled job stays as it is."""
    with store.transaction():
        state = store.state(job)
        if state not in (State.CANCELLING, State.CANCELLED):
            if state.ended:
                raise JobStateRefused(f"job {job} has ended: it is {state.name}", job=job, value=state.name)
            store.move(job, State.CANCELLING if state is State.RUNNING else State.CANCELLED)
        return store.job(job)


def pause(store: Store, job: str) -> job_pb2.Job:
    """A queued job is PAUSED at once, a running one when its worker has stopped; a paused one stays as it is."""
    with store.transaction():
        state = store.state(job)
        if state is State.RUNNING:
            store.ask_pause(job)
        elif state is not State.PAUSED:
            store.move(job, State.PAUSED)
        return store.job(job)


def resume(store: Store, job: str) -> job_pb2.Job:
    """A paused job is QUEUED again; one that has not stopped yet is no longer asked to pause, and goes on."""
    with store.transaction():
        if store.pausing(job):
            store.ask_pause(job, asked=False)
        elif (state := store.state(job)) is State.PAUSED:
            store.move(job, State.QUEUED)
        else:
            raise JobStateRefused(f"job {job} is {state.name}, not PAUSED", job=job, value=state.name)
        return store.job(job)


def retry(store: Store, job: str) -> job_pb2.Job:
    """An ended job is QUEUED again; where it does not wait for its output, only if nobody else writes there."""
    with store.transaction():
        if not (state := store.state(job)).ended:
            raise JobStateRefused(f"job {job} has not ended: it is {state.name}", job=job, value=state.name)
        if store.refuses_locked(job):
            _unlocked(store, store.outputs([job]), queueing.ancestors(store, [job]))
        store.move(job, State.QUEUED)
        return store.job(job)


def set_priority(store: Store, job: str, priority: int) -> job_pb2.Job:
    """Change the place in the queue of a job that has not ended."""
    _may_be_priority(priority)
    with store.transaction():
        if (state := store.state(job)).ended:
            raise JobStateRefused(f"job {job} has ended: it is {state.name}", job=job, value=state.name)
        store.set_priority(job, priority)
        return store.job(job)


def update(store: Store, request: job_pb2.UpdateTrainingRequest, changed: Changed) -> job_pb2.Job:
    """Keep what a running training is told, for its worker.

    `changed` refuses options, given the course that they change; it may take long the first time, so it also runs
    outside of the transaction.
    """
    asked = job_pb2.TrainingUpdate(
        options=request.options, preview=request.preview, save=request.save, back_up=request.back_up
    )
    with named("", {"id": "job_id"}):
        job = store.job(request.job_id)
    kind = job.spec.WhichOneof("kind")
    if kind != "train":
        raise InvalidInput(f"job_id: job {job.id} is no training but {kind}", field="job_id", value=job.id)
    if asked == job_pb2.TrainingUpdate():
        raise InvalidInput(
            "none of options, preview, save and back_up is set; at least one must be",
            field="options",
            value="",
        )
    _running(store, job.id)
    waiting = updates.waiting(store, job.id)  # before the model is read: what is done by then it says
    course = decode.course(job.spec.train)
    _fit(job, course, waiting, asked, changed)
    with store.transaction():
        _running(store, job.id)
        _fit(job, course, waiting | updates.waiting(store, job.id), asked, changed)
        updates.add(store, job.id, asked)
        return store.job(job.id)


def _fit(
    job: job_pb2.Job,
    course: Course,
    waiting: Mapping[int, job_pb2.TrainingUpdate],
    asked: job_pb2.TrainingUpdate,
    changed: Changed,
) -> None:
    """Refuse options that are wrong for what the job trains by, once it has done what it was told before."""
    at = (job.training.iteration, job.progress.fraction)
    for before in waiting.values():
        with suppress(InvalidInput):  # the training will say so
            course = changed(course, before.options, *at)
    changed(course, asked.options, *at)


def _running(store: Store, job: str) -> None:
    if (state := store.state(job)) is not State.RUNNING:
        raise JobStateRefused(f"job {job} is {state.name}, not RUNNING", job=job, value=state.name)


def _there(store: Store, request_id: str, digest: str) -> job_pb2.Job | None:
    """The job that this request had before, or the unfinished one with the same spec."""
    if known := store.by_request(request_id):
        job, its_digest = known
        if its_digest != digest:
            raise RequestIdReused(
                f"request_id {request_id} was used for another spec (job {job.id}); use a new one",
                job=job.id,
                field="request_id",
                value=request_id,
            )
        return job
    if (job_ := store.active_with(digest)) is not None:
        store.name_request(request_id, job_.id)
    return job_


def _may_be_priority(priority: int) -> None:
    if abs(priority) > MOST_PRIORITY:
        raise InvalidInput(
            f"priority: {priority} is not -{MOST_PRIORITY} to {MOST_PRIORITY}",
            field="priority",
            value=priority,
        )


def _may_be_shown(field: str, text: str, longest: int) -> None:
    if len(text) > longest or not text.isprintable():
        raise InvalidInput(
            f"{field}: {text[:80]!r} is not at most {longest} printable characters",
            field=field,
            value=text[:80],
        )


def _room(store: Store, user: str, limits: Limits) -> None:
    """Refuse one job more than the site takes. Raises LimitReached."""
    marks = ",".join(str(int(state)) for state in ACTIVE)
    query = f"SELECT count(*), coalesce(sum(user = ?), 0) FROM jobs WHERE state IN ({marks})"  # noqa: S608
    with store.reading() as db:
        everybody, own = db.execute(query, (user,)).fetchone()
    limits.hold(f"jobs of {user} that have not ended:", "jobs_per_user", own + 1)
    limits.hold("jobs that have not ended:", "jobs", everybody + 1)


def _unlocked(store: Store, outputs: Iterable[Output], needed: frozenset[str]) -> None:
    """Refuse outputs that another unfinished job writes; the jobs that this one waits for are done by then."""
    for job, theirs in queueing.writers(store):
        for ours in outputs:
            if job not in needed and ours.overlaps(theirs):
                raise OutputLocked(
                    f"job {job} is writing to {theirs.text}; wait for it or cancel it, then start again",
                    job=job,
                    field="output",
                    value=ours.text,
                )
