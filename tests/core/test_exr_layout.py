"""OpenEXR files as bytes: every kind of layout is read, every broken or hostile one is called by its name.

The files are made by the torture set's own writer, which shares no code with the reader.
"""

from __future__ import annotations

import importlib
import io
import os
import struct
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.core import exr_bytes as raw
from understudy.core.errors import FrameUnreadable, InvalidInput, WriteFailed
from understudy.core.frames import Frame, Window
from understudy.core.plate import exr, read_file, read_header, write
from understudy.core.plate.metadata import Typed
from understudy.core.plate.torture import exr as made

DATA, DISPLAY = Window(-3, -5, 50, 37), Window(0, 0, 48, 27)
writing = importlib.import_module("understudy.core.plate.write")


def planes(**kinds: type):
    """Random bits of each type, NaN with payloads among them."""
    rng = np.random.default_rng(3)
    size = (DATA.height, DATA.width)
    return {
        name: np.frombuffer(rng.bytes(np.dtype(kind).itemsize * size[0] * size[1]), kind).reshape(size)
        for name, kind in kinds.items()
    }


MIXED = planes(R=np.float16, G=np.float16, B=np.float16, Z=np.float32, id=np.uint32)
HALF = planes(R=np.float16, G=np.float16, B=np.float16)


def part(content=HALF, **kw) -> made.Part:
    return made.Part(planes=content, data=DATA, display=DISPLAY, **kw)


def put(folder: Path, content: bytes) -> Path:
    path = folder / "p.1001.exr"
    path.write_bytes(content)
    return path


def assert_same(found, asked):
    assert {name: plane.dtype for name, plane in found.items()} == {n: p.dtype for n, p in asked.items()}
    for name, plane in asked.items():
        assert found[name].tobytes() == plane.tobytes(), name
        assert found[name].flags.c_contiguous
        assert not found[name].flags.writeable


class TestKinds:
    @pytest.mark.parametrize("content", [HALF, MIXED], ids=["half", "mixed"])
    @pytest.mark.parametrize(
        "kind",
        [
            {"codec": "none"},
            {"codec": "zips", "decreasing": True},
            {"codec": "zip", "decreasing": True},
            {"codec": "piz"},
            {"tile": 16, "codec": "zips"},
            {"tile": 7, "codec": "zip"},
            {"tile": 16, "levels": "mip", "codec": "zip"},
            {"tile": 16, "levels": "rip", "codec": "zips"},
            {"tile": 99, "codec": "none"},
        ],
        ids=lambda kind: " ".join(map(str, kind.values())),
    )
    def test_pixels_are_read_to_the_bit(self, tmp_path, content, kind):
        path = put(tmp_path, made.file(part(content, **kind)))
        found, header = read_file(path), read_header(path)
        assert_same(found.planes, content)
        assert (found.data, found.display, header.compression) == (DATA, DISPLAY, kind["codec"])
        assert header.tiles == ((kind["tile"],) * 2 if "tile" in kind else None)
        assert list(header.channels)[:3] == ["R", "G", "B"]

    @pytest.mark.parametrize("codec", ["rle", "pxr24", "b44", "b44a", "dwaa", "dwab"])
    def test_other_codecs_are_decoded(self, tmp_path, codec):
        smooth = np.tile(np.linspace(0, 1, DATA.width, dtype=np.float16), (DATA.height, 1))
        path = put(tmp_path, made.file(part(dict.fromkeys("RGB", smooth), codec=codec)))
        found = read_file(path).planes
        assert all(np.abs(found[c].astype(float) - smooth.astype(float)).max() < 0.05 for c in "RGB")
        assert read_header(path).lossy == (codec not in ("rle", "pxr24"))

    def test_levels_rounded_up(self, tmp_path):
        """As other programs make mip maps of sides that are no powers of two."""
        from OpenEXR import MIPMAP_LEVELS, ROUND_UP, ZIP_COMPRESSION, File, TileDescription, tiledimage

        tiles = TileDescription()
        tiles.xSize, tiles.ySize, tiles.mode, tiles.roundingMode = 16, 8, MIPMAP_LEVELS, ROUND_UP
        header = {"compression": ZIP_COMPRESSION, "type": tiledimage, "tiles": tiles}
        File(header, dict(HALF)).write(str(tmp_path / "p.exr"))
        whole = (tmp_path / "p.exr").read_bytes()
        with (tmp_path / "p.exr").open("rb") as file:
            layout = exr.parse(file)
        assert layout.parts[0].tiles == exr.Tiles(16, 8, 1, round_up=True)
        # the library's Python writes level 0 only: 4 × 5 tiles; the others' places in the table stay 0
        assert sum(o > 0 for o in struct.unpack_from("<32Q", whole, layout.end)) == 20
        with pytest.raises(
            FrameUnreadable, match=r"no chunk 20 of 32 \(tile 0, 0 of level 1, 1\) \(12 are missing\)"
        ):
            read_file(tmp_path / "p.exr")

    def test_parts_of_different_kinds(self, tmp_path):
        several = made.file(
            part(HALF, name="rgba.left", attributes=(made.attribute("view", "string", b"left"),)),
            part(HALF, name="tiled", tile=16, codec="zip"),
            part(MIXED, name="a part whose name is longer than 31 bytes", codec="none", decreasing=True),
        )
        path = put(tmp_path, several)
        found, header = read_file(path, 7), read_header(path, 7)
        each, asked = (found, *found.others), (HALF, HALF, MIXED)
        for one, content in zip(each, asked, strict=True):
            assert_same(one.planes, content)
            assert (one.data, one.number) == (DATA, 7)
        assert [one.name for one in each] == [one.name for one in (header, *header.others)]
        assert [one.compression for one in (header, *header.others)] == ["zips", "zip", "none"]
        assert (found.metadata["view"], "view" in found.others[0].metadata) == ("left", False)

    def test_names_of_any_kind(self, tmp_path):
        names = ["R", "left.R", "ü", "a b", "x" * 200, "R.R.R.R", "Ci", "0"]
        content = dict.fromkeys(names, HALF["R"])
        path = put(tmp_path, made.file(part(content)))
        assert_same(read_file(path).planes, content)
        write(read_file(path), tmp_path / "again.exr")
        assert_same(read_file(tmp_path / "again.exr").planes, content)

    def test_a_header_is_composed_as_it_was(self):
        whole = made.file(part(MIXED, name="n"), part(HALF, name="x" * 40, codec="zip"))
        layout = exr.parse(io.BytesIO(whole))
        again = exr.compose([found.attributes for found in layout.parts])
        assert len(again) == layout.end
        assert exr.parse(io.BytesIO(again)) == layout


def patched(content: bytes, at: int, form: str, *values) -> bytes:
    spoiled = bytearray(content)
    struct.pack_into(form, spoiled, at, *values)
    return bytes(spoiled)


class TestBroken:
    WHOLE = made.file(part(HALF, codec="none"))
    END = exr.parse(io.BytesIO(WHOLE)).end
    FIRST = END + 8 * DATA.height
    CHUNK = 8 + DATA.width * 6

    def refused(self, folder, content, match):
        path = put(folder, content)
        with pytest.raises(FrameUnreadable, match=match) as caught:
            read_file(path, 1001)
        assert (caught.value.frame, caught.value.path) == (1001, str(path))
        assert "\n" not in caught.value.message

    @pytest.mark.parametrize(
        ("at", "form", "value", "why"),
        [
            (END + 16, "<Q", 0, r"has no chunk 2 of 37 \(line -3\) \(1 are missing\)"),
            (END + 16, "<Q", 40, r"chunk 2 of 37 \(line -3\) lies inside the header"),
            (END + 16, "<Q", 2**63, r"truncated: .* before the end of chunk 2 of 37"),
            (END + 16, "<Q", FIRST, r"chunk 2 of 37 \(line -3\) says that it is another, \[-5\]"),
            (END + 16, "<Q", FIRST + 2 * CHUNK + 1, r"chunk 2 of 37"),
            (FIRST, "<i", 4, r"chunk 0 of 37 \(line -5\) says that it is another, \[4\]"),
            (FIRST + 4, "<i", -1, r"chunk 0 of 37 \(line -5\) is -1 bytes, for 300"),
            (FIRST + 4, "<i", 0, r"is 0 bytes, for 300"),
            (FIRST + 4, "<i", 301, r"is 301 bytes, for 300"),
            (0, "<i", 20000631, "begins neither as OpenEXR nor as DPX"),
            (4, "<i", 3, "OpenEXR version 3"),
            (4, "<I", 2 | 0x4000, "version 2 with flags 0x40"),
            (4, "<I", 2 | 0x800, "is a deep image"),
        ],
    )
    def test_in_the_table_and_the_chunks(self, tmp_path, at, form, value, why):
        self.refused(tmp_path, patched(self.WHOLE, at, form, value), why)

    def test_chunks_over_one_another(self, tmp_path):
        """Line 1 has been moved to lie inside line 0's pixels, which say what a leader would."""
        spoiled = patched(self.WHOLE, self.FIRST + 100, "<ii", DATA.y + 1, 300)
        spoiled = patched(spoiled, self.END + 8, "<Q", self.FIRST + 100)
        self.refused(tmp_path, spoiled, f"two chunks overlap at byte {self.FIRST + 100}")

    def test_a_chunk_of_another_part(self, tmp_path):
        several = made.file(part(HALF, name="a", codec="none"), part(HALF, name="b", codec="none"))
        first = exr.parse(io.BytesIO(several)).end + 2 * 8 * DATA.height
        spoiled = patched(several, first, "<i", 1)
        self.refused(
            tmp_path, spoiled, r"chunk 0 of 37 \(line -5 of part 'a'\) says that it is another, \[1, -5\]"
        )

    def test_cut_off_anywhere(self, tmp_path):
        """At every byte of the header and the table, and now and then behind them."""
        for length in (*range(1, self.FIRST), *range(self.FIRST, len(self.WHOLE), 97)):
            match = "truncated|begins neither" if length < 4 else "truncated"
            self.refused(tmp_path, self.WHOLE[:length], match)

    @pytest.mark.parametrize(
        ("name", "kind", "value", "why"),
        [
            (
                "dataWindow",
                "box2i",
                struct.pack("<4i", 0, 0, -1, 3),
                "its dataWindow goes from 0, 0 to -1, 3",
            ),
            (
                "dataWindow",
                "box2i",
                struct.pack("<4i", 0, 0, 16384, 16384),
                "is 16385×16385 pixels, which is more than we take",
            ),
            (
                "dataWindow",
                "box2i",
                struct.pack("<4i", -(2**31), 0, 2**31 - 1, 0),
                "its dataWindow goes from",
            ),
            ("dataWindow", "box2f", bytes(16), "dataWindow in its header is 16 bytes of type 'box2f'"),
            ("displayWindow", "box2i", struct.pack("<4i", 0, 9, 9, 0), "its displayWindow"),
            ("pixelAspectRatio", "float", struct.pack("<f", 0), "pixelAspectRatio is 0.0"),
            ("pixelAspectRatio", "float", struct.pack("<f", float("nan")), "pixelAspectRatio is nan"),
            ("compression", "compression", b"\xc8", "a codec that we do not know, number 200"),
            ("channels", "chlist", b"\0", "list of channels is cut off or empty"),
            ("channels", "chlist", b"R\0\1\0\0\0", "list of channels, at R"),
            ("channels", "chlist", b"R\0" + struct.pack("<iiii", 3, 0, 1, 1) + b"\0", "channel R of type 3"),
            ("channels", "chlist", b"R\0" + struct.pack("<iiii", 1, 0, 1, 0) + b"\0", "sub-sampled channels"),
            ("type", "string", b"deeptile", "is a deep image"),
            ("chunkCount", "int", struct.pack("<i", 36), "chunkCount is"),
        ],
    )
    def test_in_the_header(self, tmp_path, name, kind, value, why):
        parsed = exr.parse(io.BytesIO(self.WHOLE))
        attributes = {**parsed.parts[0].attributes, name: exr.Raw(kind, value)}
        header = b"".join(exr.composed(*each) for each in attributes.items()) + b"\0"
        self.refused(tmp_path, self.WHOLE[:8] + header + self.WHOLE[self.END :], why)

    @pytest.mark.parametrize(
        "name", ["channels", "compression", "dataWindow", "displayWindow", "pixelAspectRatio"]
    )
    def test_what_a_header_must_have(self, tmp_path, name):
        attributes = dict(exr.parse(io.BytesIO(self.WHOLE)).parts[0].attributes)
        del attributes[name]
        self.refused(
            tmp_path, exr.compose([attributes]) + self.WHOLE[self.END :], f"its header has no {name}"
        )

    @pytest.mark.parametrize(
        ("extra", "why"),
        [
            (raw.attribute("a", "int", bytes(4)) * 2, "its header has a twice"),
            (b"a\0int\0" + struct.pack("<i", -4), "the size of a in its header is -4"),
            (b"a\0int\0" + struct.pack("<i", 2**31 - 1), "header of more than 16 MiB"),
            (raw.attribute("x" * 256, "int", bytes(4)), "longer than 255 bytes"),
            (b"a\0" + b"x" * 300 + b"\0", "longer than 255 bytes"),
        ],
    )
    def test_odd_attributes(self, tmp_path, extra, why):
        raw.make(tmp_path / "p.1001.exr", extra)
        self.refused(tmp_path, (tmp_path / "p.1001.exr").read_bytes(), why)

    def test_parts_that_cannot_be_told_apart(self, tmp_path):
        self.refused(tmp_path, made.file(part(name="a"), part(name="a")), "several parts called 'a'")
        self.refused(tmp_path, made.file(part(name="a"), part()), "a part without a name")
        self.refused(tmp_path, made.file(*(part(name=str(i)) for i in range(257))), "more than 256 parts")


class TestLimits:
    """Headers of a few bytes that promise a great deal: refused before anything is allocated for it."""

    def refused(self, folder, content, match):
        path = put(folder, content)
        tracemalloc.start()
        try:
            with pytest.raises(FrameUnreadable, match=match):
                read_file(path)
            assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
        finally:
            tracemalloc.stop()

    def header(self, width, height, channels, **entries) -> bytes:
        window = exr.box(Window(0, 0, width, height))
        required = exr.parse(io.BytesIO(TestBroken.WHOLE)).parts[0].attributes
        kinds = {f"c{i:04}": np.dtype(np.float32) for i in range(channels)}
        listed = exr.channel_list(kinds)
        return exr.compose([{**required, **entries, "channels": listed, "dataWindow": window}])

    def test_pixels(self, tmp_path):
        self.refused(tmp_path, self.header(2**14 + 1, 2**14, 1), "more than we take")

    def test_channels(self, tmp_path):
        self.refused(tmp_path, self.header(1, 1, 1025), "has more than 1024 channels")

    def test_decoded(self, tmp_path):
        self.refused(tmp_path, self.header(2**14, 2**14, 9), r"is 9\.0 GiB when decoded")

    def test_lines(self, tmp_path):
        self.refused(tmp_path, self.header(1, 2**28, 1), "has 268435456 chunks")

    @pytest.mark.parametrize("mode", [0, 1, 2])
    def test_tiles(self, tmp_path, mode):
        tiles = exr.Raw("tiledesc", struct.pack("<2IB", 1, 1, mode))
        header = self.header(2**14, 2**14, 1, tiles=tiles, type=exr.Raw("string", b"tiledimage"))
        self.refused(tmp_path, patched(header, 4, "<I", 0x202), "chunks, which is more than we take")

    def test_attributes(self, tmp_path):
        many = {f"a{i}": exr.Raw("x", b"") for i in range(2**14 + 1)}
        path = put(tmp_path, self.header(1, 1, 1, **many))
        with pytest.raises(FrameUnreadable, match="more than 16384 entries"):
            read_file(path)

    def test_size_of_the_header(self, tmp_path):
        huge = self.header(1, 1, 1, big=exr.Raw("x", bytes(2**24)))
        path = put(tmp_path, huge)
        with pytest.raises(FrameUnreadable, match="header of more than 16 MiB"):
            read_file(path)


def frame(content=HALF, **kw) -> Frame:
    return Frame(number=1001, planes=content, display=DISPLAY, data=DATA, **kw)


class TestWriting:
    def test_parts_go_out_as_they_came(self, tmp_path):
        crop = Window(2, 3, 5, 4)
        inset = {"A": HALF["R"][8:12, 5:10]}
        metadata = {"view": "left", "timeCode": Typed("timecode", (1, 2)), "compression": "piz"}
        depth = frame(MIXED, name="depth", metadata={"own": Typed("studioType", b"\1")})
        mask = Frame(number=1001, planes=inset, display=DISPLAY, data=crop, name="mask")
        asked = frame(name="rgba", metadata=metadata, others=(depth, mask))
        write(asked, tmp_path / "p.exr")
        found = read_file(tmp_path / "p.exr", 1001)
        for one, back in zip((asked, depth, mask), (found, *found.others), strict=True):
            assert_same(back.planes, {name: np.ascontiguousarray(p) for name, p in one.planes.items()})
            assert (back.name, back.data, back.display) == (one.name, one.data, one.display)
            assert back.metadata.items() >= one.metadata.items()
        header = read_header(tmp_path / "p.exr")
        assert (header.compression, header.others[0].compression) == ("piz", "zips")
        write(found, tmp_path / "again.exr")
        assert (tmp_path / "again.exr").read_bytes() == (tmp_path / "p.exr").read_bytes()

    @pytest.mark.parametrize("name", ["", "x" * 256, "a\0b"])
    def test_channels_have_names(self, tmp_path, name):
        with pytest.raises(InvalidInput, match="has no name that OpenEXR takes") as caught:
            write(frame({"R": HALF["R"], name: HALF["G"]}), tmp_path / "p.exr")
        assert (caught.value.field, list(tmp_path.iterdir())) == ("channels", [])

    @pytest.mark.parametrize("value", [Typed("double", (1.0,)), "1", Typed("float", b"12345678")])
    def test_required_entries_keep_their_type(self, tmp_path, value):
        with pytest.raises(InvalidInput, match=r"screenWindowWidth: metadata: .* is not of type float"):
            write(frame(metadata={"screenWindowWidth": value}), tmp_path / "p.exr")

    def test_several_at_once(self, tmp_path):
        """The library's workers are shared, and the first writers call for them at the same time."""
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda i: write(frame(MIXED), tmp_path / f"{i}.exr", threads=2 + i % 3), range(24)))
        assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1

    def test_parts_get_names(self, tmp_path):
        write(frame(others=(frame(MIXED), frame(name="x"))), tmp_path / "p.exr")
        found = read_file(tmp_path / "p.exr")
        assert [one.name for one in (found, *found.others)] == ["part0", "part1", "x"]

    def test_parts_of_one_name_are_refused(self, tmp_path):
        with pytest.raises(InvalidInput, match="two parts are called 'a'") as caught:
            write(frame(name="a", others=(frame(name="a"),)), tmp_path / "p.exr")
        assert (caught.value.field, list(tmp_path.iterdir())) == ("name", [])

    @pytest.mark.parametrize(
        ("other", "field"),
        [({"pixel_aspect": 2.0}, "pixel_aspect"), ({"display": DATA}, "display")],
    )
    def test_parts_share_format_and_aspect(self, tmp_path, other, field):
        with pytest.raises(InvalidInput, match=r"part 'b' has .*, the first has") as caught:
            write(frame(name="a", others=(replace(frame(name="b"), **other),)), tmp_path / "p.exr")
        assert caught.value.field == field

    def test_threads_do_not_show(self, tmp_path):
        for threads in (1, 3):
            write(frame(MIXED), tmp_path / f"{threads}.exr", threads=threads)
        assert (tmp_path / "1.exr").read_bytes() == (tmp_path / "3.exr").read_bytes()

    def test_names_that_are_not_unicode(self, tmp_path):
        path = tmp_path / os.fsdecode(b"caf\xe9.exr")
        with pytest.raises(WriteFailed, match="could not be written"):
            write(frame(), path)
        assert not list(tmp_path.iterdir())
        write(frame(), tmp_path / "p.exr")
        (tmp_path / "p.exr").rename(path)
        with pytest.raises(FrameUnreadable, match="a name that is not UTF-8"):
            read_file(path)

    def test_a_file_of_lines_says_so(self, tmp_path):
        """Nuke's fast path needs `type`."""
        write(frame(), tmp_path / "p.exr")
        with (tmp_path / "p.exr").open("rb") as file:
            (found,) = exr.parse(file).parts
        assert found.attributes["type"] == exr.Raw("string", b"scanlineimage")

    @pytest.mark.parametrize(
        ("at", "why"),
        [
            (lambda whole: whole.index(b"acme") + 21, "header entry acme/shot"),
            (lambda whole: exr.parse(io.BytesIO(whole)).end, "chunk 0 of 37"),
            (lambda whole: len(whole) - 3, "came back with other values in row 36"),
            (lambda whole: whole.index(b"displayWindow") + 28, "displayWindow"),
        ],
    )
    def test_what_lands_otherwise_is_no_frame(self, tmp_path, monkeypatch, at, why):
        """A disk, or a library, that keeps something else than it was given."""
        put_header = writing._put_header

        def spoiling(header: bytes, beside: Path, path: Path) -> None:
            put_header(header, beside, path)
            whole = bytearray(beside.read_bytes())
            whole[at(bytes(whole))] ^= 4
            beside.write_bytes(whole)

        monkeypatch.setattr(writing, "_put_header", spoiling)
        with pytest.raises(WriteFailed, match=why) as caught:
            write(frame(metadata={"acme/shot": "sh010"}), tmp_path / "p.exr", compression="none")
        assert (caught.value.frame, list(tmp_path.iterdir())) == (1001, [])
