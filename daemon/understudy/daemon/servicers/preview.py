"""PreviewService."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError

import grpc

from understudy.core.colour import ColourConfig
from understudy.daemon.access import Caller
from understudy.daemon.asks import Frame, Grid, Shown
from understudy.daemon.decode import preview
from understudy.daemon.previews import Previews
from understudy.daemon.refs import Refs
from understudy.daemon.site import SiteOf
from understudy.daemon.text import text
from understudy.v1 import preview_pb2, preview_pb2_grpc

MOST_SECONDS = 60.0  # that a call without a deadline waits
CHUNK = 1 << 20  # bytes; gRPC takes 4 MiB in a message


class PreviewServicer(preview_pb2_grpc.PreviewServiceServicer):
    """Args:
    caller: who makes a call; asks of two users never meet.
    """

    def __init__(
        self,
        site: SiteOf,
        colour: ColourConfig,
        caller: Callable[[grpc.ServicerContext], Caller],
        previews: Previews,
    ) -> None:
        self._site, self._colour = site, colour
        self._caller = caller
        self._previews = previews

    def PreviewFrame(
        self, request: preview_pb2.PreviewFrameRequest, context: grpc.ServicerContext
    ) -> Iterator[preview_pb2.PreviewFrameResponse]:
        shown = self._ask(preview.frame(request, self._refs(context)), request.asker, context)
        if shown is not None:
            yield preview_pb2.PreviewFrameResponse(preview=_about(shown))
            for chunk in _chunks(shown.data):
                yield preview_pb2.PreviewFrameResponse(data=chunk)

    def PreviewTraining(
        self, request: preview_pb2.PreviewTrainingRequest, context: grpc.ServicerContext
    ) -> Iterator[preview_pb2.PreviewTrainingResponse]:
        shown = self._ask(preview.grid(request, self._refs(context)), request.asker, context)
        if shown is not None:
            yield preview_pb2.PreviewTrainingResponse(preview=_about(shown))
            for chunk in _chunks(shown.data):
                yield preview_pb2.PreviewTrainingResponse(data=chunk)

    def _refs(self, context: grpc.ServicerContext) -> Refs:
        return Refs(site=self._site(context), colour=self._colour, new=True)

    def _ask(self, what: Frame | Grid, asker: str, context: grpc.ServicerContext) -> Shown | None:
        """What is shown; None where the caller has gone."""
        left = context.time_remaining()
        seconds = MOST_SECONDS if left is None else min(left, MOST_SECONDS)
        try:
            who = (self._caller(context).name, asker)
            return self._previews.ask(what, who, seconds, context.add_callback)
        except CancelledError:
            return None


def _about(shown: Shown) -> preview_pb2.Preview:
    return preview_pb2.Preview(
        iteration=shown.iteration,
        live=shown.live,
        size_bytes=len(shown.data),
        warnings=map(text, shown.warnings),
        faces=shown.faces,
    )


def _chunks(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), CHUNK):
        yield data[start : start + CHUNK]
