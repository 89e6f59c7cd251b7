"""WeightsService."""

from __future__ import annotations

import grpc

from understudy.core.errors import NotFound
from understudy.core.weights import State, WeightStore
from understudy.daemon import encode
from understudy.v1 import system_pb2, system_pb2_grpc


class WeightsServicer(system_pb2_grpc.WeightsServiceServicer):
    def __init__(self, store: WeightStore) -> None:
        self._store = store

    def ListWeights(
        self, request: system_pb2.ListWeightsRequest, context: grpc.ServicerContext
    ) -> system_pb2.ListWeightsResponse:
        return system_pb2.ListWeightsResponse(weights=self._checked([e.name for e in self._store.entries()]))

    def VerifyWeights(
        self, request: system_pb2.VerifyWeightsRequest, context: grpc.ServicerContext
    ) -> system_pb2.VerifyWeightsResponse:
        known = {entry.name for entry in self._store.entries()}
        if unknown := [name for name in request.names if name not in known]:
            raise NotFound(
                f"weights: none are called {unknown[0]!r}; there are {', '.join(sorted(known))}",
                field="names",
                value=unknown[0],
            )
        if request.names:
            return system_pb2.VerifyWeightsResponse(weights=self._checked(list(request.names)))
        here = [name for name in sorted(known) if self._store.check(name).state is not State.MISSING]
        return system_pb2.VerifyWeightsResponse(weights=self._checked(here))

    def _checked(self, names: list[str]) -> list[system_pb2.Weights]:
        entries = {entry.name: entry for entry in self._store.entries()}
        return [encode.weights(entries[name], self._store.check(name)) for name in names]
