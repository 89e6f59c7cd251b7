"""Facesets of DeepFaceLab: what it recorded of its own files beside what we read and write, and how fast that goes.

The files and records are in `$UNDERSTUDY_SHARED/golden/dfl/dflimg` (default: `../shared`).
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench import common
from understudy.core.colour import ColourConfig
from understudy.core.faceset import dfl
from understudy.core.faceset.dfl import jpeg, metadata
from understudy.core.reports import Report

_COPIES = 200


def main() -> None:
    golden = Path(os.environ.get("UNDERSTUDY_SHARED", "../shared")) / "golden/dfl/dflimg"
    if not golden.is_dir():
        print(f"dfl: nothing to compare with: {golden} is not there; UNDERSTUDY_SHARED names another folder")
        return
    with tempfile.TemporaryDirectory() as folder:
        _parity(golden, Path(folder))
        _speed(golden, Path(folder))


def _parity(golden: Path, folder: Path) -> None:
    colour = ColourConfig.open()
    _all(dfl.import_(dfl.ImportSettings(source=golden / "faceset.pak", out=folder / "ours"), colour=colour))
    _all(dfl.export(dfl.ExportSettings(faceset=folder / "ours", out=folder / "back"), colour=colour))
    rows = []
    for said in json.loads((golden / "meta.json").read_text("utf-8"))["images"]:
        arrays = np.load(golden / f"{Path(said['file']).stem}.npz")
        for where, file in (("read", golden / said["file"]), ("exported", folder / "back" / said["file"])):
            rows.append([f"{said['file']} {where}", *_differences(file, said, arrays)])
    columns = (
        "file",
        "landmarks",
        "in frame",
        "matrix",
        "rect",
        "polygons",
        "mask",
        "pixels: mean",
        "largest",
    )
    common.show("DeepFaceLab: largest difference from its own record", columns, rows)


def _differences(file: Path, said: dict[str, Any], arrays: Any) -> list[str]:
    data = file.read_bytes()
    payload = jpeg.metadata(data, file)
    assert payload is not None
    found = metadata.read(payload, file)
    drawn = [polygon.points for polygon in found.seg_ie_polys]
    pairs = [
        (found.landmarks, said["landmarks"]),
        (found.source_landmarks, said["source_landmarks"]),
        (found.image_to_face_mat, said["image_to_face_mat"]),
        (found.source_rect, said["source_rect"]),
    ]
    largest = [_largest(ours, theirs) for ours, theirs in pairs]
    largest.append(
        max((_largest(a, b["pts"]) for a, b in zip(drawn, said["seg_ie_polys"], strict=True)), default="-")
    )
    mask = "-"
    if found.xseg_mask is not None:
        mask = _largest(metadata.decode_mask(found.xseg_mask, file), arrays["xseg_mask_u8"])
    pixels = np.abs(jpeg.decode(data, file)[..., ::-1].astype(int) - arrays["decoded_bgr_u8"])
    return [*largest, mask, f"{pixels.mean():.2f}", f"{pixels.max()}"]


def _largest(ours: npt.ArrayLike | None, theirs: npt.ArrayLike) -> str:
    assert ours is not None
    return f"{np.abs(np.subtract(np.asarray(ours, float), np.asarray(theirs, float))).max():g}"


def _speed(golden: Path, folder: Path) -> None:
    colour, source = ColourConfig.open(), folder / "dfl"
    source.mkdir()
    for i in range(_COPIES):
        shutil.copyfile(golden / "00003_2.jpg", source / f"{i:05d}_0.jpg")
    imported = dfl.ImportSettings(source=source, out=folder / "many")
    exported = dfl.ExportSettings(faceset=folder / "many", out=folder / "many-back")
    rows = []
    for name, work in (
        ("import", dfl.import_(imported, colour=colour)),
        ("import again: nothing to do", dfl.import_(imported, colour=colour)),
        ("export", dfl.export(exported, colour=colour)),
    ):
        began = time.perf_counter()
        _all(work)
        rows.append([name, f"{_COPIES / (time.perf_counter() - began):.0f}"])
    common.show("DeepFaceLab: faces of 128 px", ("what", "faces/s"), rows)


def _all(work: Iterable[Report]) -> None:
    for _ in work:
        pass


if __name__ == "__main__":
    main()
