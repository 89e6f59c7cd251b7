"""Pictures of what models make now, without a job; a part of `Session`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from understudy.client import specs
from understudy.client.backoff import Patience
from understudy.client.errors import Unreachable
from understudy.client.specs.merge import Person
from understudy.client.wire import Wire, deadline
from understudy.v1 import preview_pb2 as pb
from understudy.v1.preview_pb2_grpc import PreviewServiceStub

WAIT_S = 60.0  # the longest that a daemon lets anybody wait


@dataclass(frozen=True)
class Preview:
    """A picture, and what it shows.

    Attributes:
        data: the file: PNG, or OpenEXR where that was asked for.
        iteration: how many the model has had; of several people the first one's.
        live: by a running training's weights, which no file has yet.
        faces: how many were swapped.
        warnings: what a person should know: what of the look a preview leaves out, say.
    """

    data: bytes
    iteration: int
    live: bool
    faces: int
    warnings: tuple[str, ...]


class Previews:
    """Calls that show something at once, between two iterations of a training that runs."""

    _wire: Wire

    def preview(
        self,
        plate: specs.PathLike | specs.Plate,
        faceset: specs.PathLike,
        model: specs.PathLike,
        frame: int,
        *,
        size: int = 0,
        exr: bool = False,
        asker: str = "",
        device: str = "",
        timeout: float = WAIT_S,
        **person: Any,
    ) -> Preview:
        """One frame of the plate with the model's face, as the model is now: `preview_people` of one `Person`.

        Args:
            person: its other settings: `look`, `track`, …
        """
        people = [Person(faceset, model, **person)]
        return self.preview_people(
            plate, people, frame, size=size, exr=exr, asker=asker, device=device, timeout=timeout
        )

    def preview_people(
        self,
        plate: specs.PathLike | specs.Plate,
        people: Sequence[Person],
        frame: int,
        *,
        size: int = 0,
        exr: bool = False,
        asker: str = "",
        device: str = "",
        timeout: float = WAIT_S,
    ) -> Preview:
        """One frame of the plate with everybody's model's face, as the models are now.

        Args:
            frame: its number on the slate; of the plate's.
            size: pixels of the longer side of a PNG, at most; 0: as the plate has it.
            exr: the file that a merge would write, with its layers, in place of a PNG.
            asker: a name that you make, of a viewer say: of its asks the last one holds. Empty: this one stands alone.
            timeout: seconds to wait.

        Raises:
            Refused: as a merge, or SUPERSEDED: the same asker has asked for another one since.
            TimedOut: it was not made in time.
        """
        merge = specs.merge_people(plate, people, "", device=device).merge
        request = pb.PreviewFrameRequest(
            merge=merge,
            frame=frame,
            format=pb.PREVIEW_FORMAT_EXR if exr else pb.PREVIEW_FORMAT_PNG,
            size=size,
            asker=asker,
        )
        return self._shown("PreviewFrame", request, timeout)

    def preview_training(self, model: specs.PathLike, *, asker: str = "", timeout: float = WAIT_S) -> Preview:
        """Where the running training of a model stands, as its `previews/` show it: a PNG.

        Raises:
            Refused: no training of this model runs (JOB_STATE), or as `preview_people`.
            TimedOut: it was not made in time.
        """
        request = pb.PreviewTrainingRequest(model=specs.absolute(model), asker=asker)
        return self._shown("PreviewTraining", request, timeout)

    def _shown(self, method: str, request: object, timeout: float) -> Preview:
        patience: Patience | None = None
        with deadline(timeout):
            while True:
                try:
                    return self._whole(method, request)
                except Unreachable as error:  # noqa: PERF203 - a call takes longer than a try
                    patience = self._wire.reconnect(error, patience)

    def _whole(self, method: str, request: object) -> Preview:
        about, data = pb.Preview(), bytearray()
        for reply in self._wire.stream(PreviewServiceStub, method, request):
            if reply.HasField("preview"):
                about = reply.preview
            else:
                data += reply.data
        if not data or len(data) != about.size_bytes:
            raise Unreachable("the daemon ended the stream before the picture was whole")
        return Preview(bytes(data), about.iteration, about.live, about.faces, tuple(about.warnings))
