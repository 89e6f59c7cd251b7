"""Where everything of one merge is written, and what is there already."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from understudy.core.errors import FrameUnreadable
from understudy.core.files import replacing
from understudy.core.frames import Array, Float, Frame, Window
from understudy.core.image import to_half
from understudy.core.merge import headers
from understudy.core.merge.manifest import Manifest
from understudy.core.merge.settings import MergeSettings
from understudy.core.plate import Template, read_header, write


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """The files of one merge.

    Attributes:
        comp: the finished frames.
        layers: where the layers go: None when they are in `comp`, or not wanted.
        aligned: faces and mattes at model resolution, or None.
        track: landmarks, matrices and colour match of the shot.
    """

    comp: Template
    layers: Template | None
    aligned: Template | None
    track: Path

    @classmethod
    def of(cls, settings: MergeSettings) -> Outputs:
        out = settings.out
        stem = out.prefix.rstrip("._-") or "comp"
        return cls(
            comp=out,
            layers=layers_of(out) if settings.dpx and settings.layers else None,
            aligned=replace(out, directory=out.directory / "aligned", suffix=".exr")
            if settings.aligned
            else None,
            track=out.directory / "track" / f"{stem}.json",
        )

    def paths(self, number: int, *, face: bool) -> tuple[Path, ...]:
        """The files of one frame; a frame with no face has nothing in `aligned`."""
        templates = (self.comp, self.layers, self.aligned if face else None)
        return tuple(template.path(number) for template in templates if template)

    def done(self, number: int, digest: str, manifest: Manifest, *, face: bool) -> bool:
        """Whether the frame is there, made of the same: as its header says, or as we wrote down about its
        bytes.
        """
        paths = self.paths(number, face=face)
        if not all(path.is_file() for path in paths):
            return False
        if all(path.suffix == ".exr" and _header_digest(path) == digest for path in paths):
            return True
        record = manifest.record(number) or {}
        return record.get("digest") == digest and record.get("outputs") == digests(paths, self.comp.directory)


def layers_of(out: Template) -> Template:
    """The EXR sequence beside a DPX output that holds its layers: `comp.0001.dpx`, `comp_layers.0001.exr`."""
    stem = out.prefix.rstrip("._-")
    return replace(out, prefix=f"{stem}_layers{out.prefix[len(stem) :] or '.'}", suffix=".exr")


def digests(paths: tuple[Path, ...], folder: Path) -> dict[str, str]:
    """File name, seen from `folder` → SHA-256."""
    return {path.relative_to(folder).as_posix(): headers.file_digest(path) for path in paths}


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
        return str(read_header(path).metadata.get(headers.DIGEST))
    except FrameUnreadable:
        return None  # whatever lies there is not ours, or broken: it is made again


def window_json(window: Window) -> str:
    """`[x, y, width, height]`, as headers hold it."""
    return json.dumps([window.x, window.y, window.width, window.height])
