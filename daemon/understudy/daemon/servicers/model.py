"""ModelService."""

from __future__ import annotations

from pathlib import Path

import grpc

from understudy.core.model import backups, store
from understudy.daemon import encode, encode_model
from understudy.daemon.decode.train import preset_of
from understudy.daemon.refs import named
from understudy.daemon.site import RootsOf
from understudy.v1 import resource_pb2, resource_pb2_grpc


class ModelServicer(resource_pb2_grpc.ModelServiceServicer):
    def __init__(self, roots: RootsOf) -> None:
        self._roots = roots

    def GetModel(
        self, request: resource_pb2.GetModelRequest, context: grpc.ServicerContext
    ) -> resource_pb2.GetModelResponse:
        path = self._roots(context).readable(request.path, "path")
        with named("", {"model": "path"}):
            return resource_pb2.GetModelResponse(model=_model(path))

    def ListModelBackups(
        self, request: resource_pb2.ListModelBackupsRequest, context: grpc.ServicerContext
    ) -> resource_pb2.ListModelBackupsResponse:
        path = self._roots(context).readable(request.path, "path")
        with named("", {"model": "path"}):
            found = backups.listed(path)
        return resource_pb2.ListModelBackupsResponse(backups=map(encode_model.backup, found))


def _model(path: Path) -> resource_pb2.Model:
    config = store.read_config(path)
    state = store.read_state(path) if store.exists(path) else None  # it may not have come to a checkpoint
    message = encode_model.model(path, config, preset_of(config, state))
    message.backups = len(backups.listed(path))
    if state is not None:
        elements = encode.tensor_elements(store.current(path) / store.WEIGHTS)
        encode_model.trained(message, state, elements)
    return message
