"""From what a request names, paths above all, to what core works on; every refusal names the field and the value."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from understudy.core import plate
from understudy.core.colour import ColourConfig
from understudy.core.errors import (
    FrameMissing,
    FrameUnreadable,
    InvalidInput,
    NotFound,
    UnderstudyError,
    WriteFailed,
    meant,
)
from understudy.core.faceset.beside import LABELS, MATTES
from understudy.core.frames import FrameRange, Segment
from understudy.core.plate import Header, Plate, Template, sequences
from understudy.core.plate.views import MONO
from understudy.daemon.outputs import Output
from understudy.daemon.paths import Roots, nearest
from understudy.daemon.site import Site
from understudy.v1 import common_pb2

MOST_FRAMES = 1_000_000  # eleven hours at 24 frames a second; more is a mistake, and would fill the memory
DRAWN = (LABELS, MATTES)  # folders with a file for each face
KEPT = ("rejected", ".index", *DRAWN)  # folders that faceset tools write in a faceset
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d{1,3})?")
_DEVICES = re.compile(r"cuda:\d{1,3}(,cuda:\d{1,3})+")
HEADERS = 5  # frames looked at for a colour space before giving up


@dataclass(frozen=True, kw_only=True)
class Refs:
    """Resolves references of one request.

    Attributes:
        promised: what the jobs that this one waits for will write: inputs among it need not be there yet.
        new: somebody asks for the job now; otherwise one that was accepted begins, or goes on.
    """

    site: Site
    colour: ColourConfig
    promised: tuple[Output, ...] = ()
    new: bool = False

    def plate(self, ref: common_pb2.PlateRef, field: str, *, colour: bool = True) -> Plate:
        """The plate on disk. One that is promised has no frames present, and the working space until it is there.

        Raises:
            NotFound: no frame of it is on disk.
            InvalidInput: the pattern, the frames, a view, or the colour space, which `colour` demands.
        """
        template = self._sequence(ref.pattern, f"{field}.pattern")
        frames = self.frames(ref.frames, f"{field}.frames")
        space = self.colour.resolve(ref.colour_space, f"{field}.colour_space") if ref.colour_space else None
        if self.will_be(Output.of_sequence(template, None)):
            return Plate(
                template=template,
                frames=frames or FrameRange(),
                present=FrameRange(),
                colour_space=space or self.colour.working,
                views=tuple(ref.views),
            )
        with named(field, {"path": "pattern", "view": "views"}):
            found = plate.find(ref.pattern, frames, space, tuple(ref.views))
            self._readable(found, f"{field}.pattern")
            plate.views_of(found)
        self._hold(found, field)
        if space or not colour:
            return found
        return replace(found, colour_space=self._guess(found, f"{field}.colour_space"))

    def _hold(self, found: Plate, field: str) -> None:
        """Refuse a plate that is larger than the site takes, by its frames on disk and the first header that opens."""
        limits = self.site.limits
        limits.hold("frames of a job:", "frames_per_job", len(found.frames), f"{field}.frames")
        if (header := _first_header(found)) is None:
            return
        for part in (header, *header.others):
            size = part.data.width * part.data.height
            limits.hold("pixels of the plate:", "pixels", size, f"{field}.pattern")
            limits.hold("channels of the plate:", "channels", len(part.channels), f"{field}.pattern")

    def _sequence(self, pattern: str, field: str) -> Template:
        """The pattern of a sequence that is on disk; for a folder or a single file, says what is there instead."""
        path = self.site.roots.readable(pattern, field)
        with named("", {"path": field}):
            try:
                return Template.parse(pattern)
            except InvalidInput:
                self.site.roots.readable(path if path.is_dir() else path.parent, field)
                sequences.refuse_single(path)
                raise

    def _readable(self, found: Plate, field: str) -> None:
        """Follow links, of the folders of views and of frames: where they lead must be allowed too."""
        for view in found.views if found.template.has_view else (MONO,):
            self.site.roots.readable(found.template.of_view(view).directory, field)
        self.site.roots.readable_links((path for n in found.present for path in found.paths(n)), field)

    def named_by_headers(self, template: Template, output: Plate, field: str) -> None:
        """The plate that an output says it was made from: where it leads must be allowed, as if a request named it."""
        views = output.views if template.has_view else (MONO,)
        self._readable(replace(output, template=template, views=views), field)

    def _guess(self, found: Plate, field: str) -> str:
        """What the headers say."""
        header = _first_header(found)
        guess = None if header is None else plate.guess_colour_space(header)
        if guess is None:
            raise InvalidInput(
                f"{field}: the headers of {found.template} do not say in which colour space the plate is; name it "
                "as the colour config calls it, such as 'Linear Rec.709 (sRGB)'",
                field=field,
                value="",
            )
        return self.colour.resolve(guess, field)

    def template(self, pattern: str, field: str) -> Template:
        """A pattern with one frame token, at an absolute path."""
        if not pattern or not pattern.startswith("/") or "\0" in pattern:
            self.site.roots.readable(pattern, field)  # says what is wrong with it
        with named("", {"path": field}):
            return Template.parse(pattern)

    def sequence_out(self, pattern: str, field: str) -> Template:
        """A pattern that may be written, and whose frames can be told from what is there."""
        template = self.template(pattern, field)
        self.site.roots.writable(template.path(0), field)
        with named("", {"path": field}):
            plate.refuse_other_padding(template)
        if self.new:
            _refuse_read_only(template, field)
        return template

    def folder_out(self, path: str, field: str) -> Path:
        """A folder that may be written; it need not be there."""
        folder = self.site.roots.writable(path, field)
        if folder.exists() and not folder.is_dir():
            raise InvalidInput(f"{field}: {folder} is a file; a folder is needed", field=field, value=folder)
        return folder

    def folder(self, path: str, field: str) -> Path:
        """A folder that is there, or is promised."""
        folder = self.site.roots.readable(path, field)
        if not self.will_be(Output.of_folder(folder)):
            if not folder.is_dir():
                raise NotFound(
                    f"{field}: there is no folder {folder}", path=folder, field=field, value=folder
                )
            self.site.roots.readable_within(folder, field)
        return folder

    def faceset(self, path: str, field: str) -> Path:
        """A faceset that is there, or is promised: a folder, or a packed file."""
        place = self.site.roots.readable(path, field)
        if self.promises_faceset(place) or place.is_file():
            return place
        folder = self.folder(path, field)
        readable_drawn(self.site.roots, folder, field)
        return folder

    def faceset_out(self, path: str, field: str) -> Path:
        """The folder of a faceset that may be written, with what is kept in it; it need not be there."""
        folder = self.folder_out(path, field)
        for kept in KEPT:  # any of these may be a link
            self.site.roots.writable(folder / kept, field)
        return folder

    def promises_faceset(self, path: Path) -> bool:
        """Whether a job that this one waits for makes the folder or the packed file."""
        return self.will_be(Output.of_folder(path)) or self.will_be(Output.of_file(path))

    def file_out(self, path: str, field: str, suffix: str) -> Path:
        """A file that may be written; it need not be there.

        Raises:
            InvalidInput: another suffix, or a folder is in the way.
        """
        file = self.site.roots.writable(path, field)
        if file.suffix.lower() != suffix:
            raise InvalidInput(f"{field}: {path!r} must end in {suffix}", field=field, value=path)
        if file.is_dir():
            raise InvalidInput(f"{field}: {file} is a folder; a file is needed", field=field, value=file)
        return file

    def file(self, path: str, field: str) -> Path:
        """A file that is there."""
        file = self.site.roots.readable(path, field)
        if not file.is_file():
            raise NotFound(f"{field}: there is no file {file}", path=file, field=field, value=file)
        return file

    def will_be(self, output: Output) -> bool:
        """Whether a job that this one waits for makes it."""
        return any(output.overlaps(promised) for promised in self.promised)

    @staticmethod
    def frames(segments: Sequence[common_pb2.FrameSegment], field: str) -> FrameRange | None:
        """Frame numbers; None where there are no segments."""
        count = 0
        for s in segments:
            if s.step < 0:
                raise InvalidInput(f"{field}: step {s.step} is negative", field=field, value=s.step)
            count += max(0, (s.last - s.first) // (s.step or 1) + 1)
        if count > MOST_FRAMES:
            raise InvalidInput(f"{field}: {count} frames; at most {MOST_FRAMES}", field=field, value=count)
        with named("", {"frames": field, "frames.step": field}):
            ranges = tuple(Segment(s.first, s.last, s.step or 1) for s in segments)
            return FrameRange(tuple(sorted(ranges, key=lambda s: s.first))) if ranges else None


def _refuse_read_only(template: Template, field: str) -> None:
    """Tell before hours of training what its merge could not write. Where there are frames they may be all that are
    asked for, and the folder closed for that.

    Raises:
        WriteFailed: this process may not write in the folder, nor make it.
    """
    there = nearest(template.directory)
    if os.access(there, os.W_OK | os.X_OK):
        return
    readable = there == template.directory and os.access(there, os.R_OK)
    if readable and any(template.number(frame.name) is not None for frame in there.iterdir()):
        return
    raise WriteFailed(
        f"{field}: user {os.getuid()} may not write in {there}",
        path=there,
        field=field,
        value=template.hashes,
    )


def _first_header(found: Plate) -> Header | None:
    """The header of the first frames that opens; None where none does."""
    for number in list(found.present)[:HEADERS]:
        try:
            return plate.read_header(found.paths(number)[0])
        except (FrameMissing, FrameUnreadable):  # noqa: PERF203 - its own report will say so
            continue
    return None


def readable_drawn(roots: Roots, faceset: Path, field: str) -> None:
    """Follow the links among the labels and mattes of a faceset."""
    for name in DRAWN:
        if (place := roots.readable(faceset / name, field)).is_dir():
            roots.readable_within(place, field)


@contextmanager
def named(prefix: str, fields: Mapping[str, str] | None = None) -> Iterator[None]:
    """Give the fields that core's errors name the names that they have in the request."""
    try:
        yield
    except UnderstudyError as error:
        if error.field:
            error.field = ".".join(filter(None, [prefix, (fields or {}).get(error.field, error.field)]))
        raise


def device(name: str, field: str, *, several: bool = False) -> str:
    """The device of a spec, or several; whether this machine has it the job sees. Raises InvalidInput."""
    if name and not (_DEVICE.fullmatch(name) or (several and _DEVICES.fullmatch(name))):
        more = ", nor several, as cuda:0,cuda:1" if several else ""
        if name.startswith("cpu,"):
            more += (
                "; a job on the CPU is one process, and how many jobs run at once is the daemon's own setting"
            )
        raise InvalidInput(
            f"{field}: {name!r} is none of auto, cpu, cuda, cuda:N{more}", field=field, value=name
        )
    return name or "auto"


def one_of(name: str, choices: Iterable[str], field: str) -> str:
    """The name, if it is one of the choices. Raises InvalidInput, which lists them."""
    if name not in (known := tuple(choices)):
        listed = f"{', '.join(known)}{meant(name, known)}"
        raise InvalidInput(f"{field}: {name!r} is none of {listed}", field=field, value=name)
    return name
