"""Where everything of one merge is written, and what is there already."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from understudy.core.errors import FrameUnreadable
from understudy.core.files import replacing
from understudy.core.frames import Array, Float, Frame, Window
from understudy.core.image import to_half
from understudy.core.merge import headers
from understudy.core.merge.manifest import Manifest, folder_of
from understudy.core.merge.settings import MergeSettings
from understudy.core.plate import Template, read_file, read_header, write
from understudy.core.plate.views import MONO


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """The files of one merge.

    Attributes:
        comp: the finished frames; with `%V`, a file for each view.
        layers: where the layers go: None when they are in `comp`, or not wanted.
        aligned: folder-mates of `comp` with faces and mattes at model resolution, or None.
        views: those that are worked on, the default one first.
        people: names of those who are swapped, in order; the first one's files have no name in them.
    """

    comp: Template
    layers: Template | None
    aligned: Template | None
    views: tuple[str, ...]
    people: tuple[str, ...]

    @classmethod
    def of(cls, settings: MergeSettings, views: tuple[str, ...]) -> Outputs:
        out = settings.out
        return cls(
            comp=out,
            layers=layers_of(out) if settings.dpx and settings.layered else None,
            aligned=replace(out, directory=out.directory / "aligned", suffix=".exr")
            if settings.aligned
            else None,
            views=views,
            people=("", *(person.name for person in settings.people[1:])),
        )

    @property
    def folder(self) -> Path:
        """What all of it lies in."""
        return folder_of(self.comp)

    @property
    def files(self) -> tuple[str, ...]:
        """The view of each file that a finished frame is: one, or one for each view."""
        return self.views if self.comp.has_view else (MONO,)

    def track(self, person: int) -> Path:
        """Landmarks, matrices and colour match of one person's shot."""
        return track_of(self.comp, person=self.people[person])

    def grain(self, person: int) -> Path:
        """Grain of the plate and of one person's new face, where their look goes by it."""
        return track_of(self.comp, ".grain.json", person=self.people[person])

    def aligned_path(self, view: str, number: int, person: int = 0) -> Path | None:
        """Of one person's face in a view. Where a file of `comp` holds several views, their names tell these files
        apart.
        """
        if self.aligned is None:
            return None
        own = replace(self.aligned, directory=self.aligned.directory / self.people[person])
        if self.comp.has_view or len(self.views) == 1:
            return own.of_view(view).path(number)
        return _beside(own, view).path(number)

    def paths(self, number: int, faces: Collection[tuple[str, int]]) -> tuple[Path, ...]:
        """The files of one frame; `faces` are the views and people that have something in `aligned`."""
        templates = [t for t in (self.comp, self.layers) if t]
        found = [template.of_view(view).path(number) for view in self.files for template in templates]
        aligned = [self.aligned_path(view, number, person) for view, person in faces]
        return tuple(path for path in (*found, *aligned) if path)

    def done(self, number: int, digest: str, manifest: Manifest, faces: Collection[tuple[str, int]]) -> bool:
        """Whether the frame is there, made of the same: as its header says, or as we wrote down about its
        bytes.
        """
        paths = self.paths(number, faces)
        if not all(path.is_file() for path in paths):
            return False
        if all(path.suffix == ".exr" and _header_digest(path) == digest for path in paths):
            return True
        record = manifest.record(number) or {}
        return record.get("digest") == digest and record.get("outputs") == self.digests(paths)

    def digests(self, paths: Collection[Path]) -> dict[str, str]:
        """File name, seen from `folder` → SHA-256."""
        return {path.relative_to(self.folder).as_posix(): headers.file_digest(path) for path in paths}


def track_of(out: Template, ending: str = ".json", *, person: str = "") -> Path:
    """Where the shot's landmarks, matrices and colour match are; with another ending, what lies beside them.

    Args:
        person: whose; the first one's are in no folder of their own.
    """
    stem = re.sub("%[Vv]", "", out.prefix).strip("._-") or "comp"
    return folder_of(out) / "track" / person / f"{stem}{ending}"


def _beside(template: Template, word: str) -> Template:
    """`comp.0001` becomes `comp_word.0001`; a view's name may be a file's header's, and no path."""
    stem = template.prefix.rstrip("._-")
    return replace(template, prefix=f"{stem}_{quote(word, safe='')}{template.prefix[len(stem) :] or '.'}")


def layered(out: Template, made: Frame, digest: str | None = None) -> Frame:
    """What holds a finished frame's layers: itself, or for a DPX the EXR beside it.

    One beside it that `digest` does not fit was left by another merge: it has no say.
    """
    beside = layers_of(out).path(made.number)
    if made.maximum == 1.0 or not beside.is_file():
        return made
    found = read_file(beside, made.number)
    return found if digest in (None, found.metadata.get(headers.DIGEST)) else made


def layers_of(out: Template) -> Template:
    """The EXR sequence beside a DPX output that holds its layers: `comp.0001.dpx`, `comp_layers.0001.exr`."""
    return replace(_beside(out, "layers"), suffix=".exr")


def copy(source: Path, target: Path) -> None:
    """Copy a file byte for byte, atomically.

    Raises:
        WriteFailed, DiskFull: as `files.replacing`.
    """
    with replacing(target) as beside:
        shutil.copyfile(source, beside)


def write_aligned(path: Path, number: int, images: Mapping[str, Float], header: Mapping[str, Any]) -> None:
    """Write aligned images: (S, S, 3) as `name.R/G/B` (`""` as R, G, B), (S, S) as `name.A`; all half."""
    planes: dict[str, Array] = {}
    for name, image in images.items():
        held = to_half(image)
        if image.ndim == 2:
            planes[f"{name}.A"] = held
        else:
            planes |= {f"{name}.{c}".lstrip("."): held[..., i] for i, c in enumerate("RGB")}
    side = next(iter(planes.values())).shape[0]
    window = Window(0, 0, side, side)
    write(Frame(number=number, planes=planes, display=window, data=window, metadata=header), path)


def _header_digest(path: Path) -> str | None:
    try:
        return str(read_header(path, whole=True).metadata.get(headers.DIGEST))
    except FrameUnreadable:
        return None  # whatever lies there is not ours, or broken: it is made again


def window_json(window: Window) -> str:
    """`[x, y, width, height]`, as headers hold it."""
    return json.dumps([window.x, window.y, window.width, window.height])
