"""What a merge wrote down about its frames, and a review has to know or to hand on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from understudy.core.errors import FrameMissing, FrameUnreadable
from understudy.core.frames import FrameRange
from understudy.core.merge import headers
from understudy.core.merge.outputs import layers_of
from understudy.core.plate import Header, Template, read_header

_HANDED_ON = ("release", "modelSha", "version")


@dataclass(frozen=True, kw_only=True)
class Spaces:
    """Names of colour spaces; empty where nothing says one."""

    output: str = ""
    plate: str = ""


def spaces_of(out: Template, views: tuple[str, ...], frames: FrameRange) -> Spaces:
    """The colour spaces of frames and of their plate, by the first header that tells; a DPX is in its plate's.

    Args:
        out: the finished frames.
        views: whose files there are, where each has its own.
        frames: those on disk.
    """
    for header in _headers(out, views[0] if views else "", frames):
        own, plate = header.metadata.get(headers.COLOUR), header.metadata.get(headers.PLATE_COLOUR)
        if isinstance(own, str) and isinstance(plate, str):
            return Spaces(output=own if out.extension == ".exr" else plate, plate=plate)
    return Spaces()


def provenance_of(out: Template, view: str, frames: FrameRange) -> str:
    """`synthetic: face_replacement; release: …; …`, as the first frame with a swapped face says; empty without one.

    Args:
        out: the finished frames.
        view: whose files are looked at, where each has its own.
        frames: those on disk.
    """
    for header in _headers(out, view, frames):
        for part in (header, *header.others):
            if part.metadata.get(headers.SYNTHETIC) == headers.REPLACED:
                said = [f"{name}: {value}" for name in _HANDED_ON if (value := _said(part.metadata, name))]
                return "; ".join([f"synthetic: {headers.REPLACED}", *said])
    return ""


def _said(metadata: Mapping[str, Any], name: str) -> str:
    """What a header says under a key, of all people by commas."""
    people = range(len(headers.people(metadata)))
    found = (metadata.get(headers.of_person(index, headers.PREFIX + name)) for index in people)
    return ",".join(dict.fromkeys(str(each) for each in found if each))


def _headers(out: Template, view: str, frames: FrameRange) -> Iterator[Header]:
    """Of the frames, and of the layers beside a DPX, whose own header is the camera's."""
    for each in (out,) if out.extension == ".exr" else (out, layers_of(out)):
        template = each.of_view(view)
        for number in frames:
            try:
                header = read_header(template.path(number), number)
            except (FrameMissing, FrameUnreadable):
                continue  # its own report will say so
            yield header
