"""Small valid EXR and DPX files of every kind that we read, and of some that we refuse: what `mutants` damages."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import OpenImageIO as oiio  # noqa: N813  as its own documentation does

from tests.core import exr_bytes
from understudy.core import plate
from understudy.core.frames import Frame, Window

WIDTH, HEIGHT = 23, 37  # of the EXR seeds: several chunks and tiles, none of them full
DPX_WIDTH = 24  # whole words in every packing: of others, OpenImageIO misreads some


def make(folder: Path) -> dict[str, bytes]:
    """File name → a valid file; what is refused on purpose (deep, sub-sampled) is called `refused…`."""
    for name, (header, channels) in _exr_seeds().items():
        parts = [OpenEXR.Part(header, channels, "")]
        _write(parts, folder / f"{name}.exr")
    _several(folder)
    exr_bytes.make(folder / "attributes.exr", *_attributes())
    _levels(folder / "levels.exr")
    exr_bytes.make(folder / "refused_subsampled.exr", channels=(("BY", 2), ("RY", 2), ("Y", 1)))
    exr_bytes.make(folder / "refused_deep.exr", flags=exr_bytes.DEEP)
    for bits in (8, 10, 12, 16):
        for endian in ("big", "little"):
            for packing in ("filled", "packed") if bits in (10, 12) else ("filled",):
                for names in ("RGB", "RGBA", "Y") if bits in (8, 10) else ("RGB",):
                    path = folder / f"{bits}_{endian}_{packing}_{names}.dpx"
                    plate.write(_codes(bits, endian, packing, names), path)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


_CODECS = ("NO", "RLE", "ZIPS", "ZIP", "PIZ", "PXR24", "B44", "B44A", "DWAA", "DWAB", "HTJ2K256", "ZSTD")


def _exr_seeds() -> dict[str, tuple[dict[str, object], dict[str, np.ndarray[Any, Any]]]]:
    dice = np.random.default_rng(1)

    def pixels(kind: type, scale: float = 1.0) -> np.ndarray[Any, Any]:
        smooth = np.add.outer(np.arange(HEIGHT), np.arange(WIDTH)) / 30
        grainy: np.ndarray[Any, Any] = (smooth + dice.normal(0, 0.05, smooth.shape) + 0.2) * scale
        return grainy.astype(kind)

    mixed = {"R": pixels(np.float16), "G": pixels(np.float16), "B": pixels(np.float16)}
    mixed |= {"depth.Z": pixels(np.float32), "id": pixels(np.uint32, 99.0)}
    said = {"owner": "a studio", "isoSpeed": 800.0, "imageCounter": 7}
    said |= {"worldToCamera": np.eye(4, dtype=np.float32), "pixelAspectRatio": 2.0}
    found: dict[str, tuple[dict[str, object], dict[str, np.ndarray[Any, Any]]]] = {}
    for codec in _CODECS:
        kind = getattr(OpenEXR, f"{codec}_COMPRESSION")
        found[codec.lower()] = ({"type": OpenEXR.scanlineimage, "compression": kind, **said}, mixed)
    tiles = {"type": OpenEXR.tiledimage, "tiles": OpenEXR.TileDescription()}
    for codec in ("NO", "ZIP", "PIZ"):
        found[f"tiled_{codec.lower()}"] = (
            {**tiles, "compression": getattr(OpenEXR, f"{codec}_COMPRESSION")},
            mixed,
        )
    corners = (np.array([-3, -5], np.int32), np.array([WIDTH - 4, HEIGHT - 6], np.int32))
    shown = (np.array([0, 0], np.int32), np.array([15, 29], np.int32))
    over = {"dataWindow": corners, "displayWindow": shown}
    found["overscan"] = (
        {"type": OpenEXR.scanlineimage, "compression": OpenEXR.ZIPS_COMPRESSION, **over},
        mixed,
    )
    return found


def _several(folder: Path) -> None:
    """Files of several parts: layers; views; scanlines beside tiles."""
    plane = np.linspace(-1, 2, HEIGHT * WIDTH, dtype=np.float16).reshape(HEIGHT, WIDTH)
    lines = {"type": OpenEXR.scanlineimage, "compression": OpenEXR.ZIP_COMPRESSION}
    tiles = {
        "type": OpenEXR.tiledimage,
        "tiles": OpenEXR.TileDescription(),
        "compression": OpenEXR.ZIPS_COMPRESSION,
    }
    rgb = {c: plane * np.float16(1 + i) for i, c in enumerate("RGB")}
    _write(
        [OpenEXR.Part(dict(lines), rgb, "rgba"), OpenEXR.Part(dict(lines), {"Z": plane}, "depth")],
        folder / "parts.exr",
    )
    views = [OpenEXR.Part({**lines, "view": view}, rgb, f"rgba.{view}") for view in ("left", "right")]
    _write(views, folder / "views.exr")
    _write(
        [OpenEXR.Part(dict(lines), rgb, "a"), OpenEXR.Part(dict(tiles), rgb, "b")], folder / "lines_tiles.exr"
    )


def _attributes() -> Iterator[bytes]:
    """One of each type of attribute that plates carry, as bytes."""
    values = {
        "timecode": struct.pack("<2I", 0x01020304, 0x89ABCDEF),
        "keycode": struct.pack("<7i", 1, 2, 3, 4, 5, 4, 64),
        "rational": struct.pack("<iI", 24000, 1001),
        "chromaticities": struct.pack("<8f", 0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329),
        "stringvector": exr_bytes.strings("left", "right"),
        "floatvector": struct.pack("<3f", 1, 2, 3),
        "double": struct.pack("<d", 0.1),
        "m33f": struct.pack("<9f", *range(9)),
        "v3i": struct.pack("<3i", -1, 0, 1),
        "box2f": struct.pack("<4f", 0, 0, 1, 1),
        "envmap": b"\1",
        "preview": struct.pack("<2I", 2, 1) + bytes(8),
        "vendors": b"\xff\0\x80",
        "string": "Grüße".encode(),
    }
    names = {
        "timecode": "timeCode",
        "keycode": "keyCode",
        "rational": "framesPerSecond",
        "stringvector": "multiView",
    }
    for kind, value in values.items():
        yield exr_bytes.attribute(names.get(kind, f"a_{kind}"), kind, value)


def _levels(path: Path) -> None:
    """Tiles at several resolutions; only the first is the picture."""
    spec = oiio.ImageSpec(32, 32, 3, "half")
    spec.tile_width = spec.tile_height = 16
    spec.attribute("textureformat", "Plain Texture")  # or OpenImageIO makes no levels
    out = oiio.ImageOutput.create(str(path))
    assert out is not None
    for level in range(6):
        spec.width = spec.height = spec.full_width = spec.full_height = 32 >> level
        assert out.open(str(path), spec, "AppendMIPLevel" if level else "Create"), out.geterror()
        pixels = np.full((spec.height, spec.width, 3), level, np.float16)
        assert out.write_tiles(0, spec.width, 0, spec.height, 0, 1, pixels), out.geterror()
    out.close()


def _write(parts: list[OpenEXR.Part], path: Path) -> None:
    with OpenEXR.File(parts) as file:
        file.write(str(path))


def _codes(bits: int, endian: str, packing: str, names: str) -> Frame:
    dice = np.random.default_rng(bits)
    kind = np.uint8 if bits == 8 else np.uint16
    planes = {name: dice.integers(0, 2**bits, (HEIGHT, DPX_WIDTH), kind) for name in names}
    window = Window(0, 0, DPX_WIDTH, HEIGHT)
    said = {"dpx:Endian": endian, "dpx:Packing": "Packed" if packing == "packed" else "Filled, method A"}
    return Frame(number=1, planes=planes, display=window, data=window, metadata=said, maximum=2.0**bits - 1)
