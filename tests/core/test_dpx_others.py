"""DPX between us and other programs: OpenImageIO old and new, and FFmpeg."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

import av
import numpy as np
import OpenImageIO as oiio  # noqa: N813  as its own documentation does
import pytest

from tests.core.scans import CHANNELS, DEPTHS, PACKINGS, assert_same_planes, frame, no_name, save
from understudy.core.plate import dpx

# What other programs read, where they read right. OpenImageIO, new and old, does not where the last word of a 10-bit
# filled line is not full, and does not know that lines of 8 bits are padded; FFmpeg does not read 10 bits packed, and
# of A, B, G, R only 8 bits. These are all the exceptions.


def by_openimageio(path):
    source: Any = oiio.ImageInput.open(str(path))
    spec, codes = source.spec(), source.read_image("native")
    source.close()
    depth = spec.get_int_attribute("oiio:BitsPerSample")
    return {name: codes[..., i] >> (8 * codes.itemsize - depth) for i, name in enumerate(spec.channelnames)}


def by_oiiotool(paths, depths):
    """Debian's, years older: a process and a library of its own, which makes 16-bit TIFF of the codes."""
    tiffs = [path.with_suffix(".tif") for path in paths]
    steps = [(path, "-d", "uint16", "-o", tiff) for path, tiff in zip(paths, tiffs, strict=True)]
    subprocess.run(["oiiotool", *(word for step in steps for word in step)], check=True, capture_output=True)
    for tiff, depth in zip(tiffs, depths, strict=True):
        source: Any = oiio.ImageInput.open(str(tiff))
        codes = source.read_image("uint16")
        source.close()
        names = "Y" if codes.shape[-1] == 1 else "RGBA"
        yield {name: codes[..., i] >> (16 - depth) for i, name in enumerate(names[: codes.shape[-1]])}


FFMPEG_ORDER = {"gbrap": "GBRA", "gbrp": "GBR", "rgba": "RGBA", "rgb": "RGB", "abgr": "ABGR", "gray": "Y"}


def by_ffmpeg(path):
    with av.open(str(path)) as container:
        picture = next(container.decode(video=0))
    order = next(order for form, order in FFMPEG_ORDER.items() if picture.format.name.startswith(form))
    wide = picture.format.components[0].bits > 8
    kind = np.dtype(("<u2" if picture.format.name.endswith("le") else ">u2") if wide else np.uint8)
    lines = [np.frombuffer(bytes(p), np.uint8).reshape(picture.height, -1) for p in picture.planes]
    each = len(order) // len(lines)  # components in a plane
    used = picture.width * each * kind.itemsize
    codes = [line[:, :used].copy().view(kind).reshape(picture.height, picture.width, each) for line in lines]
    return dict(zip(order, np.moveaxis(np.concatenate(codes, axis=-1), -1, 0), strict=True))


LAYOUTS = [
    (channels, depth, packing, endian)
    for channels in CHANNELS
    for depth in DEPTHS
    for packing in PACKINGS
    for endian in ("big", "little")
    if depth in (10, 12) or packing == "Packed"
]
FFMPEG_READS = [
    (channels, depth, packing, endian)
    for channels, depth, packing, endian in LAYOUTS
    if (depth, packing) != (10, "Packed") and (channels != "ABGR" or depth == 8)
]


class TestOthersReadWhatWeWrite:
    def written(self, tmp_path, layout, width):
        channels, depth, packing, endian = layout
        metadata = {"dpx:Packing": packing, "dpx:Endian": endian}
        asked = frame(depth, channels, width, 7, metadata=metadata)
        return asked, save(tmp_path, asked, f"{channels}{depth}{packing[-1]}{endian}.dpx")

    @pytest.mark.parametrize("layout", LAYOUTS, ids=str)
    def test_openimageio(self, tmp_path, layout):
        asked, path = self.written(tmp_path, layout, 36)
        for name, codes in by_openimageio(path).items():
            np.testing.assert_array_equal(codes, asked.planes[name.rstrip("'")])

    @pytest.mark.skipif(shutil.which("oiiotool") is None, reason="no oiiotool on this machine")
    def test_oiiotool(self, tmp_path):
        files = [self.written(tmp_path, layout, 36) for layout in LAYOUTS]
        assert len({path for _, path in files}) == len(LAYOUTS)
        depths = [depth for _, depth, _, _ in LAYOUTS]
        found = by_oiiotool([path for _, path in files], depths)
        for (asked, path), codes in zip(files, found, strict=True):
            assert set(codes) == set(asked.planes), path
            for name, plane in codes.items():
                np.testing.assert_array_equal(plane, asked.planes[name], err_msg=str(path))

    @pytest.mark.parametrize("layout", FFMPEG_READS, ids=str)
    @pytest.mark.parametrize("width", [35, 37])  # lines that end inside a word
    def test_ffmpeg(self, tmp_path, layout, width):
        asked, path = self.written(tmp_path, layout, width)
        found = by_ffmpeg(path)
        assert set(found) == set(asked.planes)
        for name, codes in found.items():
            np.testing.assert_array_equal(codes, asked.planes[name])


class TestWeReadWhatOthersWrite:
    @pytest.mark.parametrize("endian", ["big", "little"])
    @pytest.mark.parametrize("depth", DEPTHS)
    @pytest.mark.parametrize("width", [33, 36])
    def test_openimageio(self, tmp_path, depth, endian, width):
        """Its lines of 8 bits are not padded, which the size of the file tells."""
        asked = frame(depth, width=width, height=7)
        spec = oiio.ImageSpec(width, 7, 3, "uint8" if depth == 8 else "uint16")
        spec["oiio:BitsPerSample"], spec["oiio:Endian"] = depth, endian
        path = tmp_path / "other.dpx"
        out: Any = oiio.ImageOutput.create(str(path))
        codes = np.stack(list(asked.planes.values()), axis=-1)
        wide = codes if depth == 8 else (codes << (16 - depth)) | (codes >> (2 * depth - 16))
        assert out.open(str(path), spec)
        assert out.write_image(wide)
        assert out.close()
        found = dpx.read(path)
        assert_same_planes(found, asked)
        rewritten = save(tmp_path, found)
        assert no_name(rewritten.read_bytes()) == no_name(path.read_bytes())

    @pytest.mark.parametrize(("form", "depth"), [("gbrp10be", 10), ("gbrp12le", 12), ("rgb48le", 16)])
    def test_ffmpeg(self, tmp_path, form, depth):
        asked = frame(depth, width=36, height=8)
        picture = av.VideoFrame(36, 8, form)
        kind = ">u2" if form.endswith("be") else "<u2"
        if form.startswith("gbr"):
            lines = [asked.planes[c] for c in "GBR"]
        else:
            lines = [np.stack([asked.planes[c] for c in "RGB"], axis=-1).reshape(8, -1)]
        for plane, line in zip(picture.planes, lines, strict=True):
            wide = np.zeros((8, plane.line_size // 2), kind)
            wide[:, : line.shape[1]] = line
            plane.update(wide.tobytes())
        path = tmp_path / "other.dpx"
        with av.open(str(path), "w", format="image2", options={"update": "1"}) as container:
            stream = container.add_stream("dpx", rate=24)
            stream.width, stream.height, stream.pix_fmt = 36, 8, form
            container.mux(stream.encode(picture))
            container.mux(stream.encode())
        found = dpx.read(path)
        assert_same_planes(found, asked)
        assert no_name(save(tmp_path, found).read_bytes()) == no_name(path.read_bytes())
