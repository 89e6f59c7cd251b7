"""The face of the library: one session with one daemon.

Example:
    with Session() as session:
        session.pull_weights().wait()
        job = session.extract("sh010/plate.%04d.exr", "sh010/faces", release="a.release.json")
        job.wait()
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from understudy.client import specs
from understudy.client import swap as swaps
from understudy.client.endpoint import Local, Remote, Transport, from_environment
from understudy.client.errors import DaemonFault
from understudy.client.facesets import Facesets
from understudy.client.job import Asking, Job
from understudy.client.models import Models
from understudy.client.previews import Previews
from understudy.client.scratch import Scratch
from understudy.client.segments import Segments
from understudy.client.wire import Wire
from understudy.v1 import job_pb2, plate_pb2, recipe_pb2, resource_pb2, system_pb2
from understudy.v1.job_pb2_grpc import JobServiceStub
from understudy.v1.plate_pb2_grpc import PlateServiceStub
from understudy.v1.recipe_pb2_grpc import RecipeServiceStub
from understudy.v1.resource_pb2_grpc import ReleaseServiceStub
from understudy.v1.system_pb2_grpc import SystemServiceStub, WeightsServiceStub

VERIFY_S = 600.0  # hashing all weights on a slow disk
HEADERS_S = 600.0  # opening all frames of a long plate on a slow one


class Session(Facesets, Models, Previews, Scratch, Segments):
    """A connection to the user's daemon; one is started for the session's time where none runs.

    Args:
        endpoint: `unix:PATH` of a daemon. Default: `$UNDERSTUDY_ENDPOINT`, else that of the state folder.
        state: the state folder. Default: `$UNDERSTUDY_STATE`, else `~/.local/state/understudy`, as XDG has
            it.
        transport: how to reach a daemon otherwise; a test's own.
        asking: how the jobs that it starts stand in the daemon's queue.

    Raises:
        Unreachable: no daemon answers, and none could be started.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        state: Path | None = None,
        transport: Transport | None = None,
        asking: Asking = Asking(),  # noqa: B008 - frozen
    ) -> None:
        self.asking = asking
        if transport is None and endpoint:
            transport = Remote(endpoint)
        elif transport is None:
            transport = from_environment(os.environ) if state is None else Local(state.absolute())
        self._wire = Wire(transport)

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection. A daemon started for this session stops; its jobs go on with the next one."""
        self._wire.close()

    @property
    def embedded(self) -> bool:
        """Whether the daemon stops with this session."""
        return self._wire.transport.embedded

    # Jobs

    def start(self, spec: job_pb2.JobSpec, *, label: str = "", depends_on: Sequence[Job] = ()) -> Job:
        """Start a job, or attach to the one that does the same work already.

        Args:
            spec: what to do; `understudy.client.specs` makes them.
            label: what lists call it.
            depends_on: jobs that must have succeeded first.

        Priority, project and the like are the session's (`asking`).

        Raises:
            Refused: or one of its kind, by what is wrong.
        """
        request = job_pb2.StartJobRequest(
            request_id=str(uuid.uuid4()),
            spec=spec,
            label=label,
            depends_on=[*self.asking.after, *(job.id for job in depends_on)],
            priority=self.asking.priority,
            project=self.asking.project,
            interactive=self.asking.interactive,
            refuse_locked=self.asking.refuse_locked,
        )
        reply: job_pb2.StartJobResponse = self._wire.call(JobServiceStub, "StartJob", request)
        return Job(self._wire, reply.job, existing=reply.existing)

    def ingest(
        self,
        video: specs.PathLike,
        pattern: specs.PathLike,
        *,
        label: str = "",
        depends_on: Sequence[Job] = (),
        **options: Any,
    ) -> Job:
        """Turn a video into a plate. Options: as `specs.ingest`."""
        return self.start(specs.ingest(video, pattern, **options), label=label, depends_on=depends_on)

    def extract(
        self,
        plate: specs.PathLike | specs.Plate,
        faceset: specs.PathLike,
        *,
        label: str = "",
        depends_on: Sequence[Job] = (),
        **options: Any,
    ) -> Job:
        """Turn a plate into a faceset. Options: as `specs.extract`."""
        return self.start(specs.extract(plate, faceset, **options), label=label, depends_on=depends_on)

    def train(
        self,
        model: specs.PathLike,
        src: specs.PathLike,
        dst: specs.PathLike,
        *,
        label: str = "",
        depends_on: Sequence[Job] = (),
        **options: Any,
    ) -> Job:
        """Train a model on two facesets. Options: as `specs.train`."""
        return self.start(specs.train(model, src, dst, **options), label=label, depends_on=depends_on)

    def plot_history(
        self,
        model: specs.PathLike,
        output: specs.PathLike,
        *,
        label: str = "",
        depends_on: Sequence[Job] = (),
    ) -> Job:
        """Draw a model's losses over its iterations as a PNG."""
        return self.start(specs.plot_history(model, output), label=label, depends_on=depends_on)

    def update_training(
        self,
        job: Job | str,
        options: Mapping[str, object] | None = None,
        *,
        preview: bool = False,
        save: bool = False,
        back_up: bool = False,
    ) -> Job:
        """Tell a running training, a job or its id, what to do; as `Job.update_training`."""
        told = self.job(job) if isinstance(job, str) else job
        return told.update_training(options, preview=preview, save=save, back_up=back_up)

    def merge(
        self,
        plate: specs.PathLike | specs.Plate,
        faceset: specs.PathLike,
        model: specs.PathLike,
        output: specs.PathLike,
        *,
        label: str = "",
        depends_on: Sequence[Job] = (),
        **options: Any,
    ) -> Job:
        """Put the model's face into the plate. Options: as `specs.merge`."""
        spec = specs.merge(plate, faceset, model, output, **options)
        return self.start(spec, label=label, depends_on=depends_on)

    def merge_people(
        self,
        plate: specs.PathLike | specs.Plate,
        people: Sequence[specs.Person],
        output: specs.PathLike,
        *,
        label: str = "",
        depends_on: Sequence[Job] = (),
        **options: Any,
    ) -> Job:
        """Put everybody's model's face into the plate, in one pass. Options: as `specs.merge_people`."""
        spec = specs.merge_people(plate, people, output, **options)
        return self.start(spec, label=label, depends_on=depends_on)

    def verify(
        self,
        output: specs.PathLike | specs.Plate,
        original: specs.PathLike | specs.Plate | None = None,
        *,
        label: str = "",
        depends_on: Sequence[Job] = (),
    ) -> Job:
        """Check an output against its plate; frames that do not pass are FAILED."""
        return self.start(specs.verify(output, original), label=label, depends_on=depends_on)

    def train_enhancer(
        self,
        enhancer: specs.PathLike,
        facesets: Iterable[specs.PathLike],
        *,
        label: str = "",
        depends_on: Sequence[Job] = (),
        **options: Any,
    ) -> Job:
        """Train a network that makes faces larger. Options: as `specs.train_enhancer`."""
        spec = specs.train_enhancer(enhancer, facesets, **options)
        return self.start(spec, label=label, depends_on=depends_on)

    def review(
        self,
        output: specs.PathLike | specs.Plate,
        *,
        label: str = "",
        depends_on: Sequence[Job] = (),
        **options: Any,
    ) -> Job:
        """Make a movie of finished frames, a contact sheet or both. Options: as `specs.review`."""
        return self.start(specs.review(output, **options), label=label, depends_on=depends_on)

    def check_plate(
        self,
        plate: specs.PathLike | specs.Plate,
        *,
        label: str = "",
        depends_on: Sequence[Job] = (),
    ) -> Job:
        """Read every frame of a plate wholly; broken ones are FAILED, odd ones have warnings."""
        return self.start(specs.check_plate(plate), label=label, depends_on=depends_on)

    def torture(self, folder: specs.PathLike, *, label: str = "", depends_on: Sequence[Job] = ()) -> Job:
        """Write small plates of every kind, to try a pipeline with."""
        return self.start(specs.torture(folder), label=label, depends_on=depends_on)

    def pull_weights(
        self, names: Sequence[str] = (), *, label: str = "", depends_on: Sequence[Job] = ()
    ) -> Job:
        """Fetch weights; none named means those that the defaults need."""
        return self.start(specs.pull_weights(names), label=label, depends_on=depends_on)

    def swap(self, settings: swaps.SwapSettings) -> swaps.Swap:
        """Start a whole swap: see `understudy.client.swap`.

        Raises:
            ReleaseRequired: src has no valid release record.
            Refused: or one of its kind, by what is wrong. Nothing goes on running.
        """
        return swaps.start(self, settings)

    def job(self, id_: str) -> Job:
        """A job by its id.

        Raises:
            NotFound: there is none.
        """
        reply: job_pb2.GetJobResponse = self._wire.call(
            JobServiceStub, "GetJob", job_pb2.GetJobRequest(id=id_)
        )
        return Job(self._wire, reply.job, existing=True)

    def jobs(self, states: Sequence[str] = (), *, user: str = "", project: str = "") -> Iterator[Job]:
        """Jobs, newest first; only those in `states` (`RUNNING`, …), of a user, of a project, if given."""
        request = job_pb2.ListJobsRequest(
            states=[f"JOB_STATE_{state}" for state in states], user=user, project=project
        )
        while True:
            reply: job_pb2.ListJobsResponse = self._wire.call(JobServiceStub, "ListJobs", request)
            for message in reply.jobs:
                yield Job(self._wire, message, existing=True)
            if not reply.next_page_token:
                return
            request.page_token = reply.next_page_token

    # Resources

    def plate(self, plate: specs.PathLike | specs.Plate) -> plate_pb2.Plate:
        """What a plate is, by the headers of all its frames.

        Raises:
            NotFound: no frame of it is on disk; or it is a folder or a file, and the message says what is there.
        """
        request = plate_pb2.GetPlateRequest(plate=specs.plate(plate))
        reply: plate_pb2.GetPlateResponse = self._wire.call(
            PlateServiceStub, "GetPlate", request, timeout=HEADERS_S
        )
        return reply.plate

    def recipe(
        self, path: specs.PathLike = "", changes: recipe_pb2.Recipe | None = None, *, person: str = ""
    ) -> recipe_pb2.Recipe:
        """The look of a recipe file or of a finished frame, with changes, checked, every field set.

        Args:
            path: a `.json`, or a frame that a merge has made. Empty: the defaults.
            changes: what is set in it goes over what is there; its overrides come last.
            person: whose, of a frame with several people.

        Raises:
            NotFound: there is no such file, or no recipe in the frame's header.
            Refused: a field cannot be.
        """
        request = recipe_pb2.GetRecipeRequest(path=specs.absolute(path), changes=changes, person=person)
        reply: recipe_pb2.GetRecipeResponse = self._wire.call(RecipeServiceStub, "GetRecipe", request)
        return reply.recipe

    def create_release(self, release: resource_pb2.Release, path: specs.PathLike) -> resource_pb2.Release:
        """Make a release record and write it to a file.

        Raises:
            Refused: a field is wrong, or the file is there with another content.
        """
        request = resource_pb2.CreateReleaseRequest(release=release, path=specs.absolute(path))
        reply: resource_pb2.CreateReleaseResponse = self._wire.call(
            ReleaseServiceStub, "CreateRelease", request
        )
        return reply.release

    def release(self, path: specs.PathLike) -> resource_pb2.GetReleaseResponse:
        """A release record, and whether it is valid today.

        Raises:
            NotFound: there is no such file.
            ReleaseRequired: it is not a release record.
        """
        request = resource_pb2.GetReleaseRequest(path=specs.absolute(path))
        reply: resource_pb2.GetReleaseResponse = self._wire.call(ReleaseServiceStub, "GetRelease", request)
        return reply

    # The daemon

    def info(self) -> system_pb2.GetInfoResponse:
        """What the daemon is and can."""
        reply: system_pb2.GetInfoResponse = self._wire.call(
            SystemServiceStub, "GetInfo", system_pb2.GetInfoRequest()
        )
        return reply

    def default(self, family: str) -> str:
        """The daemon's default choice in a family: `preset`, `detector`, …"""
        for each in self.info().families:
            if each.name == family:
                return each.default_choice
        raise DaemonFault(f"the daemon offers no {family}; is it of this release?")

    def weights(self) -> list[system_pb2.Weights]:
        """All weights that the registry knows, and whether they are here."""
        reply: system_pb2.ListWeightsResponse = self._wire.call(
            WeightsServiceStub, "ListWeights", system_pb2.ListWeightsRequest()
        )
        return list(reply.weights)

    def verify_weights(self, names: Sequence[str] = ()) -> list[system_pb2.Weights]:
        """Compare files with their published SHA-256; none named means all that are here.

        Raises:
            NotFound: the registry has no such name.
        """
        request = system_pb2.VerifyWeightsRequest(names=list(names))
        reply: system_pb2.VerifyWeightsResponse = self._wire.call(
            WeightsServiceStub, "VerifyWeights", request, timeout=VERIFY_S
        )
        return list(reply.weights)
