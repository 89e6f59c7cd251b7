"""Frame by frame: which plate a finished frame belongs to, and what its check found."""

from __future__ import annotations

from collections.abc import Generator

from understudy.core.colour import ColourConfig
from understudy.core.errors import FrameMissing, InvalidInput, UnderstudyError
from understudy.core.frames import FrameRange
from understudy.core.merge import headers
from understudy.core.merge.manifest import Manifest
from understudy.core.merge.outputs import layers_of
from understudy.core.plate import Template, find, read_header
from understudy.core.plate.views import MONO
from understudy.core.reports import FrameReport, FrameStatus, Report, Started
from understudy.core.verify.file import File

REASON = "VERIFY_FAILED"


def run(
    out: Template,
    frames: FrameRange | None = None,
    *,
    colour: ColourConfig,
    plate: Template | None = None,
) -> Generator[Report, None, None]:
    """Check finished frames against their plate; a report per frame: DONE, MISSING or FAILED with what is wrong.

    Checked are, of every part: name, display and data window, pixel aspect, every header entry and channel of the
    plate, that nothing but our layers has come in, and that the codec is lossless. Of every view: frame identity,
    bits outside `mask_blend`; the mix rule and finite values inside. Without layers, bits outside the box that
    the header names. A fault names view, part and channel, the first pixel in plate coordinates and how many
    there are.

    Args:
        frames: default: all of `out` on disk.
        colour: the config that the frames were made with; it matters where the plate had to be linearised.
        plate: default: the one that the frames' headers or the manifest name.

    Raises:
        NotFound: no frame of `out` is on disk.
        InvalidInput: nothing says which plate it was made from.
    """
    found = find(out.text) if frames is None or out.has_view else None
    asked = found.frames if found and frames is None else frames or FrameRange()
    views = found.views if found and out.has_view else (MONO,)
    source = plate or plate_of(out, asked)
    if source.has_view != out.has_view:
        raise InvalidInput(
            f"plate: {source.hashes} and {out.hashes} must both have %V, or none",
            field="plate",
            value=source.text,
        )
    yield Started(total=len(asked))
    for number in asked:
        yield _report(out, source, number, views, colour)


def plate_of(out: Template, frames: FrameRange) -> Template:
    """Which plate the frames were made from: as the manifest says, else their headers.

    A copied frame may have an earlier pass's word for another plate, so the manifest, the last one's, goes first.
    """
    said = Manifest(out=out).about().get("plate", {}).get("pattern")
    if isinstance(said, str):
        return Template.parse(said)
    views = find(out.text).views if out.has_view else (MONO,)
    for template in (t.of_view(view) for t in (out, layers_of(out)) for view in views):
        for number in frames:
            try:
                said = read_header(template.path(number)).metadata.get(headers.PLATE)
            except UnderstudyError:
                continue  # missing or broken: its own report will say so
            if isinstance(said, str):
                return Template.parse(said)
    raise InvalidInput(
        f"{out.hashes}: neither headers nor a manifest name the plate that it was made from; name it",
        field="plate",
        value=out.text,
    )


def _report(
    out: Template, source: Template, number: int, views: tuple[str, ...], colour: ColourConfig
) -> FrameReport:
    """One frame, in as many files as there are views with files of their own."""
    record = Manifest(out=out).record(number) or {}
    faults: list[str] = []
    faces = 0
    for view in views:
        words, path = f"{view}: " if view else "", out.of_view(view).path(number)
        if not path.is_file():
            message = f"{words}{path}: frame {number} is not on disk"
            return FrameReport(
                frame=number, status=FrameStatus.MISSING, reason=FrameMissing.reason, message=message
            )
        try:
            entries = record.get("views", {MONO: record})
            noted = {MONO: entries.get(view, {})} if out.has_view else entries
            check = File(
                out.of_view(view),
                source.of_view(view),
                number,
                colour=colour,
                noted=noted,
                digest=record.get("digest"),
            )
            faults += [words + fault for fault in check.faults(views)]
            faces += check.faces
        except UnderstudyError as error:
            message = words + error.message
            return FrameReport(frame=number, status=FrameStatus.FAILED, reason=error.reason, message=message)
    if faults:
        message = f"{out.path(number)}: frame {number}: " + "; ".join(faults)
        return FrameReport(frame=number, status=FrameStatus.FAILED, reason=REASON, message=message)
    return FrameReport(frame=number, status=FrameStatus.DONE, faces=faces)
