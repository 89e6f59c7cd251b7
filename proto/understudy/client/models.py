"""What a session does with models beside training; a part of `Session`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from understudy.client import specs
from understudy.client.job import Job
from understudy.client.specs import model as of_models
from understudy.client.wire import Wire
from understudy.v1 import job_pb2, resource_pb2
from understudy.v1.resource_pb2_grpc import ModelServiceStub


class Models:
    """Calls about models, and the jobs that work with them."""

    _wire: Wire

    def start(self, spec: job_pb2.JobSpec, *, label: str = "", depends_on: Sequence[Job] = ()) -> Job:
        """Start a job; see `Session.start`."""
        raise NotImplementedError

    # Jobs

    def export_model(
        self,
        model: specs.PathLike,
        output: specs.PathLike,
        *,
        label: str = "",
        depends_on: Sequence[Job] = (),
        **options: Any,
    ) -> Job:
        """Write a model for another program. Options: as `specs.model.export_model`."""
        spec = of_models.export_model(model, output, **options)
        return self.start(spec, label=label, depends_on=depends_on)

    def import_model(
        self,
        source: specs.PathLike,
        output: specs.PathLike,
        *,
        name: str = "",
        releases: Sequence[specs.PathLike] = (),
        label: str = "",
        depends_on: Sequence[Job] = (),
    ) -> Job:
        """Make a model of one that DeepFaceLab saved, or that was exported as weights."""
        spec = of_models.import_model(source, output, name=name, releases=releases)
        return self.start(spec, label=label, depends_on=depends_on)

    def combine_models(
        self,
        output: specs.PathLike,
        parts: Mapping[str, specs.PathLike],
        *,
        base: specs.PathLike = "",
        label: str = "",
        depends_on: Sequence[Job] = (),
    ) -> Job:
        """Make a model out of parts of others: part → the model that gives it; `base` gives the rest."""
        spec = of_models.combine_models(output, parts, base=base)
        return self.start(spec, label=label, depends_on=depends_on)

    def restore_model(
        self, model: specs.PathLike, backup: str, *, label: str = "", depends_on: Sequence[Job] = ()
    ) -> Job:
        """Make a backup the checkpoint that holds; the one that held is kept among the backups."""
        return self.start(of_models.restore_model(model, backup), label=label, depends_on=depends_on)

    # Looking

    def model(self, path: specs.PathLike) -> resource_pb2.Model:
        """What a model is and how far it is trained.

        Raises:
            NotFound: there is no such folder.
        """
        request = resource_pb2.GetModelRequest(path=specs.absolute(path))
        reply: resource_pb2.GetModelResponse = self._wire.call(ModelServiceStub, "GetModel", request)
        return reply.model

    def model_backups(self, path: specs.PathLike) -> list[resource_pb2.ModelBackup]:
        """The checkpoints that were kept of a model, the oldest first.

        Raises:
            NotFound: there is no such model.
        """
        request = resource_pb2.ListModelBackupsRequest(path=specs.absolute(path))
        reply: resource_pb2.ListModelBackupsResponse = self._wire.call(
            ModelServiceStub, "ListModelBackups", request
        )
        return list(reply.backups)
