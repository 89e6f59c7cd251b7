"""Several facesets of one person become one, in a new folder.

Files are linked where the disk can, else copied; what is changed in one folder by writing anew, as all of our tools
do, does not change in the other. Whoever is track 0 in one set and track 0 in another is the same person afterwards: a
join is of one person; of a set with several, reject the others first (`query`, `curate`).

Two files of one name and one content are one face. Faces of another plate whose names are taken get the plate's
mark into them, the same that extraction uses (`recall`), so that extracting either plate into the joined set goes
on where it was; faces of the same plate get a mark of their content.
"""

from __future__ import annotations

import filecmp
import hashlib
import json
import os
import re
import shutil
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

from understudy.core import release
from understudy.core.errors import FrameMissing, InvalidInput, NoFace
from understudy.core.faceset import curate, journal, manual, pack, packed
from understudy.core.faceset.beside import carry
from understudy.core.faceset.manual import Manual, ManualFace
from understudy.core.faceset.store import RELEASE_FILE, Faceset
from understudy.core.files import failed, making, replacing
from understudy.core.release import Release
from understudy.core.reports import Advanced, Artifact, Report, Started, Warned

_STEP = 256  # faces from one report to the next
_NAME = re.compile(r"(?P<stem>.*?)(?P<tail>(_t\d+)?(\.-?\d+)?\.exr)")
_SIDECARS = "dfl"


@dataclass(frozen=True, kw_only=True)
class JoinSettings:
    """What to join.

    Attributes:
        facesets: folders or packs, two at least. Of faces that two of them have, the first one's stay as they are.
        out: the folder to make; it must not be there, or be empty.

    Raises:
        InvalidInput: names the field and the value.
    """

    facesets: tuple[Path, ...]
    out: Path

    def __post_init__(self) -> None:
        resolved = [path.resolve() for path in self.facesets]
        if len(resolved) < 2:
            raise InvalidInput("facesets: two at least are joined", field="facesets", value=len(resolved))
        for path in self.facesets:
            if resolved.count(path.resolve()) > 1:
                raise InvalidInput(f"facesets: {path} is named twice", field="facesets", value=path)
        pack.refuse_taken(self.out)


@dataclass(kw_only=True)
class _Member:
    """One of the sets.

    Attributes:
        names: of each face → what it is called in the new one; None where that one has it already.
        twins: of each face that the new one has already → what it is called there.
    """

    faceset: Faceset
    names: dict[str, str | None] = field(default_factory=dict)
    twins: dict[str, str] = field(default_factory=dict)


def run(settings: JoinSettings) -> Generator[Report, None, None]:
    """Make the joined set. Closing the generator leaves nothing.

    With the faces go their labels and mattes, what was rejected, side files of an import, journals, what was given by
    hand, and the release. A face that several sets have gets the label and the matte of the first one that has any.

    Yields `Started`, `Advanced`, `Warned`, and an `Artifact` at the end.

    Raises:
        NotFound, FrameUnreadable: a faceset is not there, or is a broken pack.
        NoFace: there is no face in any.
        InvalidInput: releases of two people or two terms, faces in two working spaces; or `out` lies in one of them.
        DiskFull, WriteFailed: naming the file.
    """
    members = [_Member(faceset=Faceset.open(path)) for path in settings.facesets]
    facesets = [member.faceset for member in members]
    _check_spaces(facesets)
    granted, warned = _release(facesets)
    _name(members)
    yield Started(total=sum(len(f.columns) for f in facesets), unit="face")
    yield from (*warned, *_notes(facesets))
    with making(settings.out) as folder:
        done = 0
        for member in members:
            for count in _faces(member, folder):
                yield Advanced(done=done + count)
            done += len(member.faceset.columns)
            _sidecars(member, folder)
            for old, new in (*_kept(member), *member.twins.items()):
                carry(member.faceset, Path(old).stem, folder, Path(new).stem)
            _rejected(member.faceset, folder)
        _labels_of_rejected(members, folder)
        _journals(facesets, folder)
        _manual(facesets, folder)
        if granted is not None:
            release.write(granted, folder / RELEASE_FILE)
    yield Artifact(kind="faceset", path=settings.out)


def _check_spaces(facesets: list[Faceset]) -> None:
    spaces = {space: f.path for f in facesets for space in f.columns.texts["colour"].used()}
    if not spaces:
        names = ", ".join(str(f.path) for f in facesets)
        raise NoFace(f"{names}: there is no face to join", path=facesets[0].path, field="facesets")
    if len(spaces) > 1:
        told = " and ".join(f"{path} in {space}" for space, path in sorted(spaces.items()))
        raise InvalidInput(
            f"facesets: faces in several working spaces: {told}; extract them with one colour config",
            field="facesets",
            value=",".join(sorted(spaces)),
        )


def _release(facesets: list[Faceset]) -> tuple[Release | None, list[Warned]]:
    """The one release of all, and a warning where not all had it."""
    found = {f.path: record for f in facesets if (record := f.release()) is not None}
    if not found:
        return None, []
    (first, granted), *others = found.items()
    for path, other in others:
        if other != granted:
            raise InvalidInput(
                f"facesets: {first} has release {granted.id} of {granted.subject}, {path} has {other.id} of "
                f"{other.subject}; a joined faceset is one person's, under one release",
                path=path,
                field="facesets",
                value=other.id,
            )
    without = [str(f.path) for f in facesets if f.path not in found]
    told = (
        f"{', '.join(without)}: without a release; {granted.id} of {granted.subject} counts for all faces now"
    )
    return granted, [Warned(reason="RELEASE", message=told)] if without else []


def _notes(facesets: list[Faceset]) -> Iterator[Warned]:
    for faceset in facesets:
        for message in faceset.broken:
            yield Warned(reason="FRAME_UNREADABLE", message=f"left out: {message}")
    tracks = sorted({track.id for faceset in facesets for track in faceset.tracks()})
    if len(tracks) > 1:
        yield Warned(
            reason="SEVERAL_TRACKS",
            message=f"the joined faceset has the tracks {', '.join(map(str, tracks))}, which are kept: if they are "
            "one person, choose that one in each faceset first",
        )


def _name(members: list[_Member]) -> None:
    """Find a name for every face."""
    taken: dict[str, _Face] = {}
    for member in members:
        faces = list(_all(member.faceset))
        crowded = {f.plate for f in faces if (other := taken.get(f.name)) and other.plate != f.plate}
        for face in faces:
            name = face.name
            if face.plate in crowded:
                name = marked(name, face.view, hashlib.sha256(face.plate.encode()).hexdigest()[:6])
            called, is_new = _called(name, face, taken)
            member.names[face.name] = called if is_new else None
            if called is not None and is_new:
                taken[called] = face
            elif called is not None:
                member.twins[face.name] = called


def _called(name: str, face: _Face, taken: dict[str, _Face]) -> tuple[str | None, bool]:
    """A name that no other face has, and True; or what this very face is called there already; None if it has gone."""
    other = taken.get(name)
    if other is None:
        return name, True
    with suppress(FileNotFoundError, FrameMissing):  # one of the two has gone; which, the next line tells
        if other.same(face):
            return name, False
    try:
        name = marked(name, face.view, face.content().hex()[:6])
    except FrameMissing:
        return None, False
    return name, name not in taken


@dataclass(frozen=True, kw_only=True)
class _Face:
    """A face of one of the sets: what its name is decided by."""

    faceset: Faceset
    row: int
    name: str
    plate: str
    view: str

    def same(self, other: _Face) -> bool:
        """Whether the other is the same file or, where one is packed, the same image."""
        if self.faceset.packed or other.faceset.packed:
            return self.content() == other.content()
        return filecmp.cmp(self.faceset.path / self.name, other.faceset.path / other.name, shallow=False)

    def content(self) -> bytes:
        """Digest of pixels and header."""
        frame = self.faceset.frame(self.faceset.records[self.row])
        return hashlib.sha256(b"".join([packed.header(frame), *packed.runs(frame)])).digest()


def _all(faceset: Faceset) -> Iterator[_Face]:
    texts = faceset.columns.texts
    rows = zip(faceset.columns.name.tolist(), texts["plate"], texts["view"], strict=True)
    for row, (name, plate, view) in enumerate(rows):
        yield _Face(faceset=faceset, row=row, name=name, plate=plate, view=view)


def marked(name: str, view: str, mark: str) -> str:
    """A face's file name with a mark after its stem, before view, track and frame: as `recall` tells plates apart."""
    found = _NAME.fullmatch(name)
    assert found, f"{name} is no face's name"
    stem, tail = found["stem"], found["tail"]
    eye = f"_{quote(view, safe='')}" if view else ""
    if eye and stem.endswith(eye):
        stem, tail = stem.removesuffix(eye), eye + tail
    return f"{stem}_{mark}{tail}"


def _faces(member: _Member, folder: Path) -> Iterator[int]:
    """Put a set's faces into the folder; how many are done, now and then."""
    wanted = {old: folder / new for old, new in member.names.items() if new is not None}
    if member.faceset.packed:
        yield from (report.done for report in pack.write_faces(member.faceset, wanted))
        return
    for count, (old, new) in enumerate(wanted.items(), 1):
        _place(member.faceset.path / old, new)
        if count % _STEP == 0 or count == len(wanted):
            yield count


def _place(file: Path, to: Path) -> None:
    """Link or copy a file; one that has gone since is passed over."""
    try:
        to.parent.mkdir(exist_ok=True)
        try:
            os.link(file, to)
        except FileNotFoundError:
            return
        except OSError:
            shutil.copy2(file, to)
    except OSError as error:
        raise failed(to, error) from error


def _sidecars(member: _Member, folder: Path) -> None:
    """What an import laid beside the faces, under the faces' new names."""
    faceset, stems = member.faceset, {Path(old).stem: Path(new).stem for old, new in _kept(member)}
    names = faceset.pack.files if faceset.pack else _beside(faceset.path / _SIDECARS)
    for name in sorted(names):
        if not name.startswith(f"{_SIDECARS}/"):
            continue
        file = name.removeprefix(f"{_SIDECARS}/")
        stem = file.removesuffix(".json") if file.endswith(".json") else file.rpartition(".xseg.")[0]
        content = faceset.beside(name) if stem in stems else None
        if content is None:
            continue
        if stems[stem] != stem and file.endswith(".json"):
            content = _renamed(content, stem, stems[stem])
        with replacing(folder / _SIDECARS / (stems[stem] + file.removeprefix(stem))) as beside:
            beside.write_bytes(content)


def _kept(member: _Member) -> list[tuple[str, str]]:
    return [(old, new) for old, new in member.names.items() if new is not None]


def _beside(folder: Path) -> list[str]:
    return [f"{folder.name}/{file.name}" for file in folder.glob("[!.]*")] if folder.is_dir() else []


def _renamed(content: bytes, old: str, new: str) -> bytes:
    """A side file's text with the name of its mask, which goes with the face's; left as it is where it has none."""
    try:
        said = json.loads(content)
        mask = said["xseg_mask"]
        said["xseg_mask"] = new + mask.removeprefix(old) if mask.startswith(f"{old}.") else mask
    except (ValueError, TypeError, KeyError, AttributeError):
        return content
    return (json.dumps(said, indent=1) + "\n").encode()


def _rejected(faceset: Faceset, folder: Path) -> None:
    """What was rejected stays rejected; each under the next free name."""
    if faceset.packed:
        return
    for old in curate.rejected_names(faceset.path):
        file = faceset.path / curate.FOLDER / old
        for name in curate.numbered(curate.home(old)):
            to = folder / curate.FOLDER / name
            if not to.exists():
                _place(file, to)
                break
            if filecmp.cmp(file, to, shallow=False):
                break


def _labels_of_rejected(members: list[_Member], folder: Path) -> None:
    """What was drawn for a rejected face waits for it by its name, unless another face has that now."""
    used = {Path(new).stem for member in members for _, new in _kept(member)}
    for member in members:
        for old in () if member.faceset.packed else curate.rejected_names(member.faceset.path):
            if (stem := Path(curate.home(old)).stem) not in used:
                carry(member.faceset, stem, folder, stem)


def _journals(facesets: list[Faceset], folder: Path) -> None:
    """One after the other: of a frame that two of them know, the last line counts."""
    texts = [text for faceset in facesets if (text := faceset.beside(journal.NAME))]
    if texts:
        with replacing(folder / journal.NAME) as beside:
            beside.write_bytes(b"".join(text if text.endswith(b"\n") else text + b"\n" for text in texts))


def _said(faceset: Faceset) -> tuple[ManualFace, ...]:
    if not faceset.packed:
        return Manual.read(faceset.path).faces
    content = faceset.beside(manual.NAME)
    return () if content is None else Manual.parse(faceset.path, content).faces


def _manual(facesets: list[Faceset], folder: Path) -> None:
    """What was said of whichever plate a set has is said of just that one now."""
    given = []
    for faceset in facesets:
        for face in _said(faceset):
            plates = (face.plate,) if face.plate else faceset.plates()
            given += [replace(face, plate=plate) for plate in plates]
    if given:
        Manual(folder).set(given)
