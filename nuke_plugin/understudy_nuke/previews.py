"""One frame as a merge would make it now: for the panel as it is looked at, for a TD as bytes or as a file."""

from __future__ import annotations

import base64
import os
from typing import Any, Callable, Dict, List, NamedTuple, Tuple

import nuke

from . import daemon, mattes, plates, runs
from . import node as nodes
from .daemon import Link, Pending, Refused, UnderstudyError, at_frame, refused

Json = Dict[str, Any]
FORMATS = {".png": "PREVIEW_FORMAT_PNG", ".exr": "PREVIEW_FORMAT_EXR"}


class Picture(NamedTuple):
    """Attributes: data: a PNG, 8 bits sRGB, or the EXR that a merge would write; path: where it was written to, or
    empty; about: `understudy.v1.Preview`, which says faces, iteration and warnings.
    """

    data: bytes
    path: str
    about: Json


def ask(
    node: nuke.Node,
    frame: int | None = None,
    output: str = "",
    *,
    size: int = 0,
    done: Callable[[Any], object] | None = None,
    prerender: str = "",
) -> Pending:
    """Have one frame made, without a job. A mask that is no Read's is written out for this frame first.

    Args:
        frame: of the plate. Default: the current one.
        output: file to write, `.png` or `.exr`. Default: none, and a PNG comes.
        size: pixels of a PNG's longer side at most; 0: as the plate has it.
        done: called on the main thread with the Pending, whose value is a Picture.
        prerender: pattern to write the plate's branch to, this frame of it, where something lies between.

    Raises:
        Refused: a knob or the plate is wrong, or the frame is none of its.
    """
    kind = os.path.splitext(output)[1].lower() if output else ".png"
    if kind not in FORMATS:
        raise refused("output", "{}: a preview is a .png or an .exr".format(output))
    frame = nuke.frame() if frame is None else frame
    if prerender:
        plates.prerender(node, prerender, frame, frame)
    wanted, _ = request(node, frame, size, write=True, written=prerender)
    pending = Pending(done)

    def came(data: bytes, about: Json, error: UnderstudyError | None) -> None:
        failure = error or (_write(output, data) if output else None)
        if failure is not None:
            pending.fail(failure)
        else:
            pending.finish(lambda: Picture(data, output, about))

    collect(daemon.link(), "PreviewFrame", dict(wanted, format=FORMATS[kind]), came)
    return pending


def request(
    node: nuke.Node, frame: int, size: int = 0, *, write: bool = False, written: str = ""
) -> Tuple[Json, List[str]]:
    """As `understudy.v1.PreviewFrameRequest`; and in what the picture will differ from a merge, if it will.

    Args:
        write: have a mask that is no Read's written out for this frame; else it counts as it was written last.
        written: pattern of the plate's branch as it was written out. Default: where the buttons write it.

    Raises:
        Refused: as `ask`.
    """
    plate, notes = _plate(node, frame, written)
    if not plate.first <= frame <= plate.last:
        raise refused("frame", "frame {} is outside the plate's {}-{}".format(frame, plate.first, plate.last))
    colour = str(node["us_colour"].value()).strip()
    if colour and not notes:
        plate = plate._replace(colour_space=colour)
    spec = runs.merge(node, plate._replace(first=frame, last=frame), output="", write=write)[1]["merge"]
    if mattes.is_one(node) and not spec["swaps"][0]["userMattes"]:
        notes.append("without the mask, which a merge writes out")
    return {"merge": spec, "frame": frame, "size": size}, notes


def collect(
    link: Link, method: str, wanted: Json, done: Callable[[bytes, Json, UnderstudyError | None], object]
) -> Any:
    """Ask PreviewService; gives the stream. `done` gets the file and what it shows, on the link's thread."""
    about: Json = {}
    parts: List[bytes] = []

    def event(message: Json) -> None:
        about.update(message.get("preview") or {})
        parts.append(base64.b64decode(message.get("data") or ""))

    return link.stream(
        "PreviewService/" + method,
        wanted,
        on_event=event,
        on_end=lambda error: done(b"".join(parts), about, error),
    )


def _plate(node: nuke.Node, frame: int, written: str) -> Tuple[plates.Plate, List[str]]:
    """The Read's own files; where they will not do, what was written out of the branch, if this frame was."""
    try:
        return plates.resolve(node), []
    except plates.Between as error:
        between = error
    try:
        pattern = written or nodes.beside(node, "plate")
    except Refused:
        raise between from None
    if not os.path.isfile(at_frame(pattern, frame)):
        raise between
    return plates.Plate(pattern, frame, frame, plates.working_space()), ["of the plate as it was written out"]


def _write(path: str, data: bytes) -> UnderstudyError | None:
    """Beside, then renamed; why not."""
    beside = path + ".part"
    try:
        with open(beside, "wb") as file:
            file.write(data)
        os.replace(beside, path)
    except OSError as error:
        return refused("output", "{} cannot be written: {}".format(path, error))
    return None
