"""From a video to a plate: frames as scene-linear half OpenEXR, each saying where it comes from."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from understudy.core.colour import ColourConfig
from understudy.core.errors import FrameMissing, FrameUnreadable, InvalidInput, UnderstudyError
from understudy.core.frames import Float, Frame, FrameRange, Window
from understudy.core.image import to_half
from understudy.core.plate.metadata import COLOUR_KEY
from understudy.core.plate.read import read_header
from understudy.core.plate.template import Template
from understudy.core.plate.timing import HIGHEST_TIMECODE_RATE, RATE_KEY, TIMECODE_KEY, Timecode, rate_entry
from understudy.core.plate.video import Video, pictures, probe, to_rgb
from understudy.core.plate.write import write
from understudy.core.reports import Artifact, FrameReport, FrameStatus, Report, Started, Warned

PLATE_SPACE = "Linear Rec.709 (sRGB)"
"""The space that ingested plates are in: scene-linear, and what Blender and Nuke take an EXR for by default."""

_DIGEST_KEY = "understudy/ingest"
_RECIPE = 1  # goes up when the same video gives other pixels, so that old frames are made again

# Code points of ITU-T H.273. Video in BT.709, BT.601 and SDR BT.2020 is graded to be *looked at*; undoing the
# camera's curve would give another scene than anybody saw. It is decoded as sRGB, so that the plate under an sRGB
# view shows the very codes of the video. BT.601's primaries are within a few per cent of BT.709's: taken for these.
_TRANSFERS: Mapping[int, str] = MappingProxyType(
    {1: "srgb", 2: "srgb", 4: "g22", 6: "srgb", 7: "srgb", 8: "lin", 13: "srgb", 14: "srgb", 15: "srgb"}
)
_PRIMARIES: Mapping[int, str] = MappingProxyType(
    {1: "rec709", 2: "rec709", 5: "rec709", 6: "rec709", 12: "p3d65"}
)
_SPACES = ("srgb_rec709_scene", "g22_rec709_scene", "lin_rec709_scene", "srgb_p3d65_scene", "lin_p3d65_scene")


@dataclass(frozen=True, kw_only=True)
class _Ingest:
    """What is the same for all frames of one ingest."""

    video: Video
    template: Template
    first: int
    wanted: FrameRange
    colour: ColourConfig
    encoding: str
    target: str
    digest: str
    timecode: Timecode | None

    def done(self, number: int) -> bool:
        """Is the frame on disk, made from this video in this way? A file that is not ours is never replaced.

        Raises:
            InvalidInput: there is a file of this name that no ingest made.
        """
        path = self.template.path(number)
        try:
            header = read_header(path, number)
        except FrameMissing:
            return False
        except FrameUnreadable:
            return False
        if _DIGEST_KEY not in header.metadata:
            raise InvalidInput(
                f"{path}: is on disk and was not made by ingest; name another sequence or move it away",
                path=path,
                frame=number,
                field="template",
                value=self.template.hashes,
            )
        return bool(header.metadata[_DIGEST_KEY] == self.digest)

    def frame(self, rgb: Float, number: int, *, turned: bool) -> Frame:
        """The plate's frame of a picture, R'G'B' in the video's encoding."""
        linear = to_half(self.colour.convert(rgb, self.encoding, self.target))
        window = Window(0, 0, linear.shape[1], linear.shape[0])
        metadata: dict[str, Any] = {
            RATE_KEY: rate_entry(self.video.rate),
            COLOUR_KEY: self.target,
            "understudy/config": self.colour.source,
            "understudy/source": self.video.path.name,
            "understudy/sourceSpace": self.encoding,
            "understudy/sourceFrame": number - self.first,
            _DIGEST_KEY: self.digest,
        }
        if self.timecode is not None:
            metadata[TIMECODE_KEY] = self.timecode.plus(number - self.first, self.video.rate).entry
        aspect = 1 / self.video.pixel_aspect if turned else self.video.pixel_aspect
        return Frame(
            number=number,
            planes={name: linear[..., index] for index, name in enumerate("RGB")},
            display=window,
            data=window,
            pixel_aspect=float(aspect),
            metadata=metadata,
        )


def ingest(
    video: Path,
    template: Template,
    *,
    first: int = 1001,
    frames: FrameRange | None = None,
    colour_space: str = "auto",
    colour: ColourConfig | None = None,
) -> Iterator[Report]:
    """Write a video's pictures as a plate; picture n becomes frame `first` + n.

    The file's matrix and range are undone in floating point and the encoding by OpenColorIO. The plate is
    half, in `PLATE_SPACE`, with rate, pixel aspect and timecode; a video without a timecode counts from
    00:00:00:00 at `first`. Turned pictures (telephones) are set upright. Frames that this same ingest has
    made already are left.

    Args:
        video: any file that FFmpeg decodes.
        template: an `.exr` sequence.
        frames: which frames of the plate to make; default: all.
        colour_space: what the video's codes mean, by a name in the config; `auto` goes by the file's tags,
            and takes untagged and BT.709 video for sRGB. HDR (PQ, HLG) and log have to be named.
        colour: the config; default: the pinned one.

    Raises:
        NotFound: no such video.
        InvalidInput: not a video; tags that `auto` does not know; frames before `first`; an existing file of
            the name that ingest did not make. All before the first report.
        FrameUnreadable: the video breaks off: what came before is on disk.
        WriteFailed: as `write`.
    """
    job = _prepare(
        video, template, first=first, frames=frames, space=colour_space, colour=colour or ColourConfig.open()
    )
    done = {number for number in job.wanted if job.done(number)}
    return _run(job, done)


def _prepare(
    path: Path, template: Template, *, first: int, frames: FrameRange | None, space: str, colour: ColourConfig
) -> _Ingest:
    if template.extension != ".exr":
        raise InvalidInput(f"template: {template} is not .exr", field="template", value=template.hashes)
    video = probe(path)
    last = first + video.frames - 1
    wanted = frames if frames is not None else FrameRange.of(first, max(first, last))
    outside = [number for number in wanted if not first <= number <= last]
    if outside:
        raise InvalidInput(
            f"frames: {wanted} asks for {FrameRange.from_frames(outside)}; "
            f"{path} has {video.frames} pictures, which become {first}-{last}",
            path=path,
            field="frames",
            value=str(wanted),
        )
    encoding = colour.resolve(_encoding(video) if space == "auto" else space)
    target = colour.resolve(PLATE_SPACE)
    recipe = [_RECIPE, _sha256(path), first, encoding, target, colour.cache_id]
    return _Ingest(
        video=video,
        template=template,
        first=first,
        wanted=wanted,
        colour=colour,
        encoding=encoding,
        target=target,
        digest=hashlib.sha256(json.dumps(recipe).encode()).hexdigest(),
        timecode=_first_timecode(video),
    )


def _run(job: _Ingest, done: set[int]) -> Iterator[Report]:
    yield Started(total=len(job.wanted), skipped=len(done))
    yield from _warnings(job)
    yield from (_report(job, number, FrameStatus.SKIPPED) for number in job.wanted if number in done)
    todo = set(job.wanted) - done
    last = max(todo, default=job.first - 1)
    started = time.perf_counter()
    for number, picture in enumerate(pictures(job.video) if todo else (), job.first):
        if number in todo:
            yield _one(job, number, picture, started)
            todo.discard(number)
        if number >= last:
            break
        started = time.perf_counter()
    for number in sorted(todo):  # more packets than pictures: the last ones do not decode
        error = FrameMissing(f"{job.video.path}: has no picture for frame {number}", frame=number)
        yield _report(job, number, FrameStatus.MISSING, error)
    yield Artifact(kind="plate", path=Path(job.template.text), layers=("rgb",))


def _one(job: _Ingest, number: int, picture: Any, started: float) -> FrameReport:
    if picture.is_corrupt:
        broken = FrameUnreadable(f"{job.video.path}: the picture for frame {number} is damaged", frame=number)
        return _report(job, number, FrameStatus.FAILED, broken)
    decoded = time.perf_counter()
    frame = job.frame(to_rgb(picture, job.video), number, turned=int(picture.rotation) % 180 != 0)
    converted = time.perf_counter()
    write(frame, job.template.path(number))
    seconds = {
        "decode": decoded - started,
        "colour": converted - decoded,
        "write": time.perf_counter() - converted,
    }
    return FrameReport(
        frame=number, status=FrameStatus.DONE, seconds=seconds, outputs=(job.template.path(number),)
    )


def _report(
    job: _Ingest, number: int, status: FrameStatus, error: UnderstudyError | None = None
) -> FrameReport:
    if error is None:
        return FrameReport(frame=number, status=status, outputs=(job.template.path(number),))
    return FrameReport(frame=number, status=status, reason=error.reason, message=error.message)


def _warnings(job: _Ingest) -> Iterator[Warned]:
    video = job.video
    if video.guessed:
        yield Warned(
            reason="UNTAGGED_VIDEO",
            message=f"{video.path}: does not say its {', '.join(video.guessed)}; read as {job.encoding}",
        )
    if not video.even:
        yield Warned(
            reason="VARIABLE_FRAME_RATE",
            message=f"{video.path}: pictures are not shown equally long; each becomes one frame at {video.rate} "
            "a second, so the plate drifts against the sound",
        )
    if job.timecode is None:
        start = f" from {video.timecode}" if video.timecode else ""
        yield Warned(
            reason="NO_TIMECODE",
            message=f"{video.path}: no timecode counts {video.rate} frames a second{start}; the plate has none",
        )


def _first_timecode(video: Video) -> Timecode | None:
    if video.rate > HIGHEST_TIMECODE_RATE:
        return None
    start = video.timecode or Timecode(0, 0, 0, 0)
    return start if start.fits(video.rate) else None


def _encoding(video: Video) -> str:
    transfer, primaries = _TRANSFERS.get(video.transfer), _PRIMARIES.get(video.primaries)
    space = f"{transfer}_{primaries}_scene"  # an alias in the config: an id of the Color Interop Forum
    if space not in _SPACES:
        raise InvalidInput(
            f"colour_space: {video.path} is tagged transfer {video.transfer}, primaries {video.primaries} "
            "(ITU-T H.273), for which there is no default; name the space, such as 'Rec.2100-PQ - Display'",
            path=video.path,
            field="colour_space",
            value="auto",
        )
    return space


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
