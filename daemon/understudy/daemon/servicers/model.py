"""ModelService."""

from __future__ import annotations

from pathlib import Path

import grpc

from understudy.core.model import store
from understudy.core.model.presets import PRESETS
from understudy.daemon import encode
from understudy.daemon.paths import Roots
from understudy.v1 import resource_pb2, resource_pb2_grpc


class ModelServicer(resource_pb2_grpc.ModelServiceServicer):
    def __init__(self, roots: Roots) -> None:
        self._roots = roots

    def GetModel(
        self, request: resource_pb2.GetModelRequest, context: grpc.ServicerContext
    ) -> resource_pb2.GetModelResponse:
        path = self._roots.readable(request.path, "path")
        return resource_pb2.GetModelResponse(model=_model(path))


def _model(path: Path) -> resource_pb2.Model:
    config = store.read_config(path)
    preset = next((name for name, sizes in PRESETS.items() if sizes == config), "")
    model = resource_pb2.Model(
        path=str(path),
        architecture=config.arch,
        preset=preset,
        resolution=config.resolution,
        face_type=config.face_type,
    )
    if store.exists(path):  # training may not have come to its first checkpoint
        state = store.read_state(path)
        model.id, model.iteration = state.digest, state.iteration
        model.parameters = encode.tensor_elements(store.current(path) / store.WEIGHTS)
        model.time_spent.FromMilliseconds(round(state.seconds * 1000))
        model.release_ids.extend(record.id for record in state.releases)
    return model
