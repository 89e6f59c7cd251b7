"""WeightsService."""

from __future__ import annotations

from collections.abc import Iterable

import grpc

from understudy.core.errors import NotFound
from understudy.core.weights import WeightsReport, WeightStore
from understudy.daemon import encode
from understudy.v1 import system_pb2, system_pb2_grpc


class WeightsServicer(system_pb2_grpc.WeightsServiceServicer):
    def __init__(self, store: WeightStore) -> None:
        self._store = store

    def ListWeights(
        self, request: system_pb2.ListWeightsRequest, context: grpc.ServicerContext
    ) -> system_pb2.ListWeightsResponse:
        reports = (self._store.check(entry.name) for entry in self._store.entries())
        return system_pb2.ListWeightsResponse(weights=self._encoded(reports))

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
        found = self._encoded(self._store.verify(request.names))
        if not request.names:
            found = [each for each in found if each.state != system_pb2.WEIGHTS_STATE_MISSING]
        return system_pb2.VerifyWeightsResponse(weights=found)

    def _encoded(self, reports: Iterable[WeightsReport]) -> list[system_pb2.Weights]:
        return [encode.weights(self._store.entry(report.name), report) for report in reports]
