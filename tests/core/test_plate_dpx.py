"""DPX plates: code values in, the same code values out, and around them every byte of the file."""

from __future__ import annotations

import struct
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.scans import (
    CHANNELS,
    DEPTHS,
    FILES,
    METADATA,
    PACKINGS,
    again,
    assert_same_planes,
    frame,
    no_name,
    patched,
    plates,
    save,
)
from understudy.core.errors import FrameMissing, FrameUnreadable, InvalidInput, UnderstudyError, WriteFailed
from understudy.core.frames import Frame, Window
from understudy.core.plate import dpx, rate_entry, read_file, read_header, write
from understudy.core.plate.dpx_pixels import FILLED_A, FILLED_B, PACKED, Element


class TestPixels:
    @given(
        st.builds(
            Element,
            channels=st.sampled_from([("R", "G", "B"), ("A", "B", "G", "R"), ("Y",)]),
            depth=st.sampled_from(DEPTHS),
            packing=st.sampled_from([PACKED, FILLED_A, FILLED_B]),
            big_endian=st.booleans(),
            width=st.integers(1, 70),
            height=st.just(3),
        ),
        st.integers(0, 9),
        st.integers(0, 2**32),
    )
    def test_any_bytes_are_codes_and_padding(self, element, extra, seed):
        """Unpacking and packing are inverse, and what they leave out is all kept beside."""
        element = replace(element, pitch=element.natural + extra)
        lines = np.random.default_rng(seed).integers(0, 256, (3, element.pitch), np.uint8)
        codes = element.unpack(lines)
        assert codes.shape == (3, element.count)
        assert codes.max() <= element.maximum
        packed, beside = element.pack(codes), element.padding(lines)
        np.testing.assert_array_equal(packed if beside is None else packed | beside, lines)
        assert beside is None or not (packed & beside).any()
        assert element.padding(packed) is None

    @pytest.mark.parametrize(
        ("depth", "packing", "codes", "form", "words"),
        [
            (10, FILLED_A, (1, 2, 3), ">I", [1 << 22 | 2 << 12 | 3 << 2]),
            (10, FILLED_B, (1, 2, 3), "<I", [1 << 20 | 2 << 10 | 3]),
            (10, PACKED, (1, 2, 3), ">I", [1 | 2 << 10 | 3 << 20]),
            (10, PACKED, (0, 0, 0, 0b1110000001, 5, 6), "<II", [1 << 30, 0b11100000 | 5 << 8 | 6 << 18]),
            (12, FILLED_A, (1, 2, 3), ">HHH", [1 << 4, 2 << 4, 3 << 4]),
            (12, FILLED_B, (1, 2, 3), "<HHH", [1, 2, 3]),
            (12, PACKED, (1, 2, 0xABC), ">II", [1 | 2 << 12 | 0xBC << 24, 0xA]),
            (16, PACKED, (1, 2, 3), "<HHH", [1, 2, 3]),
            (8, PACKED, (1, 2, 3), ">BBB", [1, 2, 3]),
        ],
    )
    def test_known_words(self, depth, packing, codes, form, words):
        """The standard's figures, by hand."""
        element = Element(
            channels=("R", "G", "B"),
            depth=depth,
            packing=packing,
            big_endian=form[0] == ">",
            width=len(codes) // 3,
            height=1,
            pitch=struct.calcsize(form),
        )
        assert element.pack(np.array([codes], element.dtype)).tobytes() == struct.pack(form, *words)

    def test_a_single_component_fills_from_the_lowest_bits(self):
        element = Element(
            channels=("Y",), depth=10, packing=FILLED_A, big_endian=True, width=4, height=1, pitch=8
        )
        stored = element.pack(np.array([[1, 2, 3, 4]], np.uint16)).tobytes()
        assert stored == struct.pack(">II", 1 << 2 | 2 << 12 | 3 << 22, 4 << 2)


class TestRoundTrip:
    @FILES
    @given(
        depth=st.sampled_from(DEPTHS),
        channels=st.sampled_from([*CHANNELS, "R", "G", "B", "A"]),
        packing=st.sampled_from(PACKINGS),
        endian=st.sampled_from(["big", "little"]),
        width=st.integers(1, 70),
        seed=st.integers(0, 1000),
    )
    def test_all_codes_survive(self, tmp_path, depth, channels, packing, endian, width, seed):
        metadata = {"dpx:Packing": packing, "dpx:Endian": endian}
        asked = frame(depth, channels, width, 5, seed, metadata=metadata)
        found = again(tmp_path, asked)
        assert found.maximum == asked.maximum
        assert list(found.planes) == sorted(channels, key="RGBAY".index)
        assert found.metadata.items() >= metadata.items()
        assert not any(plane.flags.writeable for plane in found.planes.values())
        assert_same_planes(found, asked)

    @pytest.mark.parametrize("depth", DEPTHS)
    def test_every_code_there_is(self, tmp_path, depth):
        window = Window(0, 0, 2**depth // 8, 8)
        codes = np.arange(2**depth, dtype=np.uint8 if depth == 8 else np.uint16).reshape(8, -1)
        asked = Frame(
            number=1, planes=dict.fromkeys("RGB", codes), display=window, data=window, maximum=2.0**depth - 1
        )
        found = again(tmp_path, asked)
        assert all((found.planes[c] == codes).all() for c in "RGB")
        assert found.rgb().max() == 1.0

    def test_larger_than_what_is_taken_at_once(self, tmp_path):
        asked = frame(10, width=1000, height=333)
        assert_same_planes(again(tmp_path, asked), asked)


class TestPlateKeepsItsBytes:
    @FILES
    @given(plates())
    def test_the_same_file_but_for_its_name(self, tmp_path, raw):
        (tmp_path / "plate.dpx").write_bytes(raw)
        again = save(tmp_path, dpx.read(tmp_path / "plate.dpx"), "ours.dpx").read_bytes()
        assert again[36:].startswith(b"ours.dpx\0")
        assert no_name(again) == no_name(raw)

    @FILES
    @given(plates(), st.integers(0, 2**32))
    def test_a_changed_pixel_changes_its_words_only(self, tmp_path, raw, seed):
        (tmp_path / "plate.dpx").write_bytes(raw)
        found = dpx.read(tmp_path / "plate.dpx")
        random = np.random.default_rng(seed)
        planes = {name: plane.copy() for name, plane in found.planes.items()}
        name = random.choice(list(planes))
        row, column = (int(random.integers(n)) for n in planes[name].shape)
        planes[name][row, column] ^= 1
        changed = save(tmp_path, found.with_planes(planes), "ours.dpx").read_bytes()
        bits = [(a ^ b).bit_count() for a, b in zip(no_name(changed), no_name(raw), strict=True) if a != b]
        assert bits == [1]

    def test_a_field_that_the_frame_says_otherwise(self, tmp_path):
        plate = save(tmp_path, frame(metadata={"dpx:SlateInfo": "12A", "dpx:InputDevice": "scanner"}))
        before = plate.read_bytes()
        found = dpx.read(plate)
        found = replace(found, metadata={**found.metadata, "dpx:SlateInfo": "12B"}, pixel_aspect=2.0)
        after = save(tmp_path, found).read_bytes()
        differing = [at for at, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
        assert set(differing) <= {1764 + 2, *range(1628, 1636)}
        assert dpx.read(plate).metadata["dpx:SlateInfo"] == "12B"
        assert dpx.read(plate).pixel_aspect == 2.0

    @pytest.mark.parametrize(
        "other", [frame(12), frame(10, "RGBA"), frame(10, width=32), frame(10, height=8)]
    )
    def test_planes_that_the_plates_file_does_not_fit_get_a_file_that_does(self, tmp_path, other):
        plate = dpx.read(save(tmp_path, frame(metadata={"dpx:SlateInfo": "12A", "dpx:Endian": "little"})))
        found = again(tmp_path, replace(other, metadata=plate.metadata))
        assert_same_planes(found, other)
        assert found.maximum == other.maximum
        assert found.metadata["dpx:SlateInfo"] == "12A"

    def test_what_must_agree(self, tmp_path):
        plate = dpx.read(save(tmp_path, frame(metadata={"dpx:SlateInfo": "12A"}), "a.dpx"))
        ours = dpx.read(save(tmp_path, plate, "b.dpx"))
        assert ours.metadata != plate.metadata
        assert dpx.comparable(ours.metadata) == dpx.comparable(plate.metadata)
        assert "understudy/box" not in dpx.comparable({**plate.metadata, "understudy/box": "[]"})


class TestLayout:
    @pytest.mark.parametrize("code", range(4))
    def test_lines_come_as_one_looks_at_them(self, tmp_path, code):
        asked = frame()
        found = dpx.read(patched(tmp_path, asked, {768: bytes([0, code])}))
        across, down = -1 if code & 1 else 1, -1 if code & 2 else 1
        for name, plane in asked.planes.items():
            np.testing.assert_array_equal(found.planes[name], plane[::down, ::across])

    def test_an_undefined_orientation_is_the_usual_one(self, tmp_path):
        assert_same_planes(dpx.read(patched(tmp_path, frame(), {768: b"\xff\xff"})), frame())

    @pytest.mark.parametrize(("depth", "width"), [(8, 33), (8, 34), (16, 33), (12, 35)])
    @pytest.mark.parametrize("padded", [False, True])
    @pytest.mark.parametrize("declared", [False, True])
    def test_the_files_size_says_whether_lines_are_padded(self, tmp_path, depth, width, padded, declared):
        """Writers differ in whether a line of 8 or 16-bit codes ends with a word of 32, and in whether they say so."""
        asked = frame(depth, width=width, height=5)
        codes = np.stack(list(asked.planes.values()), axis=-1).reshape(5, -1)
        lines = (codes << (16 - depth)).astype(">u2").view(np.uint8) if depth > 8 else codes
        pad = -lines.shape[1] % 4 if padded else 0
        header = save(tmp_path, asked).read_bytes()[:2048]
        header = header[:16] + b"\xff" * 4 + header[20:]  # it does not
        if declared:
            header = header[:812] + struct.pack(">I", pad) + header[816:]
        path = tmp_path / "other.dpx"
        path.write_bytes(header + np.pad(lines, ((0, 0), (0, pad)), constant_values=255).tobytes())
        found = dpx.read(path)
        assert_same_planes(found, asked)
        assert no_name(save(tmp_path, found).read_bytes()) == no_name(path.read_bytes())

    @pytest.mark.parametrize("gap", [0, 12])
    def test_alpha_in_an_element_of_its_own(self, tmp_path, gap):
        """12 bits filled, one pixel wide: the first element with its lines padded would end where the file ends."""
        picture, alpha = frame(12, width=1, height=3), frame(12, "A", width=1, height=3, seed=1)
        first, second = (save(tmp_path, part).read_bytes() for part in (picture, alpha))
        raw = bytearray(first) + bytes(gap) + second[2048:]
        raw[16:20] = b"\xff" * 4
        raw[770:772] = b"\0\2"
        raw[852:924] = second[780:852]
        raw[852 + 28 : 852 + 32] = struct.pack(">I", len(first) + gap)
        path = tmp_path / "two.dpx"
        path.write_bytes(raw)
        found = dpx.read(path)
        assert list(found.planes) == ["R", "G", "B", "A"]
        assert list(dpx.read_header(path).channels) == ["R", "G", "B", "A"]
        assert_same_planes(found, replace(picture, planes={**picture.planes, **alpha.planes}))
        assert no_name(save(tmp_path, found).read_bytes()) == no_name(bytes(raw))

    def test_a_truncated_file_is_not_one_without_padding(self, tmp_path):
        """Where what is left of it would be just that, its header tells."""
        path = save(tmp_path, frame(8, width=33))  # 99 bytes a line, and one of padding
        path.write_bytes(path.read_bytes()[:-16])
        with pytest.raises(FrameUnreadable, match="truncated: 16 of 3648 bytes"):
            dpx.read(path)

    def test_padding_that_is_garbage(self, tmp_path):
        """Nuke passes over it too."""
        path = patched(tmp_path, frame(), {812: b"\x12\x34\x56\x78"})
        assert_same_planes(dpx.read(path), frame())

    def test_an_element_that_does_not_say_where_it_is(self, tmp_path):
        assert_same_planes(dpx.read(patched(tmp_path, frame(), {808: b"\xff" * 4})), frame())

    def test_a_header_without_its_film_and_television_parts(self, tmp_path):
        raw = bytearray(save(tmp_path, frame(metadata=METADATA)).read_bytes())
        raw[4:8] = raw[808:812] = struct.pack(">I", 1664)
        path = tmp_path / "old.dpx"
        path.write_bytes(raw[:1664] + raw[2048:])
        found = dpx.read(path)
        assert_same_planes(found, frame())
        assert {"timeCode", "keyCode", "framesPerSecond"}.isdisjoint(found.metadata)
        assert found.metadata["dpx:InputDevice"] == "scanner"


class TestRefused:
    @pytest.mark.parametrize(
        ("asked", "words"),
        [
            (frame(9), "planes with 1.0 at 511"),
            (frame(10, "RGBZ"), "not R, G, B, Z"),
            (frame(10, "RG"), "not R, G$"),
            (
                frame(10).with_planes({c: np.full((16, 64), 1024, np.uint16) for c in "RGB"}),
                "not codes from 0 to 1023",
            ),
            (frame(10).with_planes({c: np.zeros((16, 64), np.float16) for c in "RGB"}), "float16 planes"),
            (frame(10).with_planes({c: np.zeros((16, 64), np.int16) for c in "RGB"}), "int16 planes"),
        ],
    )
    def test_planes(self, tmp_path, asked, words):
        with pytest.raises(InvalidInput, match=words) as caught:
            save(tmp_path, asked)
        assert caught.value.field == "channels"
        assert not list(tmp_path.iterdir())

    def test_overscan(self, tmp_path):
        data = Window(-1, 0, 64, 16)
        planes = {c: np.zeros((16, 64), np.uint16) for c in "RGB"}
        asked = Frame(number=1, planes=planes, display=Window(0, 0, 64, 16), data=data, maximum=1023.0)
        with pytest.raises(InvalidInput, match="one window"):
            save(tmp_path, asked)

    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({0: b"RIFF"}, "not a DPX"),
            ({8: b"V2.0HDR\0"}, "V2.0HDR"),
            ({660: b"\0\0\0\1"}, "encrypted"),
            ({768: b"\0\4"}, "orientation 4"),
            ({770: b"\0\0"}, "0 image elements"),
            ({770: b"\0\x09"}, "9 image elements"),
            ({770: b"\0\2"}, "descriptor 255"),
            ({772: b"\0" * 4}, "0×16 pixels"),
            ({772: b"\xff" * 8}, "4294967295×4294967295 pixels"),
            ({776: b"\0\1\0\0"}, r"is truncated: 16773120 of 16779264 bytes are missing"),
            ({780: b"\0\0\0\1"}, "signed"),
            ({800: b"\x66"}, "Y'CbCr"),
            ({800: b"\x64"}, "Y'CbCr"),
            ({800: b"\x08"}, "depth"),
            ({800: b"\x96"}, "descriptor 150"),
            ({803: b"\1"}, "codes of 1 bits"),
            ({803: b"\x20"}, "codes of 32 bits"),
            ({804: b"\0\3"}, "packing 3"),
            ({806: b"\0\1"}, "run-length"),
            ({808: b"\0\0\4\0"}, "inside its header"),
            ({808: b"\xff\xff\xff\0"}, "truncated"),
        ],
    )
    def test_files(self, tmp_path, fields, words):
        path = patched(tmp_path, frame(), fields)
        for reader in (dpx.read, dpx.read_header):
            with pytest.raises(FrameUnreadable, match=words) as caught:
                reader(path, 1001)
            assert (caught.value.frame, caught.value.path) == (1001, str(path))
            assert str(path) in caught.value.message

    def test_elements_that_cannot_be_one_picture(self, tmp_path):
        path = patched(tmp_path, frame(), {770: b"\0\2"})
        raw = path.read_bytes()
        for change, words in (
            ({}, "same channels"),
            ({820 + 32 + 20: b"\4", 820 + 32 + 23: b"\x10"}, "different depths"),
            ({820 + 32 + 20: b"\4"}, "overlap"),
            ({820 + 32 + 20: b"\6"}, "elements of R, G, B, Y, which are no picture"),
        ):
            element = bytearray(raw[780:852])
            twice = bytearray(raw[:852] + element + raw[924:])
            for place, data in change.items():
                twice[place : place + len(data)] = data
            path.write_bytes(twice)
            with pytest.raises(FrameUnreadable, match=words):
                dpx.read(path)

    def test_too_much_around_the_picture(self, tmp_path):
        path = save(tmp_path, frame())
        with path.open("ab") as file:
            file.truncate(2**26)
        with pytest.raises(FrameUnreadable, match="bytes around its picture"):
            dpx.read(path)

    @pytest.mark.parametrize("size", [1, 3, 100, 1663, 1664, 2047, 2048, 6143])
    def test_truncated(self, tmp_path, size):
        path = save(tmp_path, frame())
        path.write_bytes(path.read_bytes()[:size])
        with pytest.raises(FrameUnreadable, match=r"not a DPX|truncated: \d+ .*missing"):
            dpx.read(path)

    def test_missing_and_empty(self, tmp_path):
        with pytest.raises(FrameMissing, match="not on disk"):
            dpx.read(tmp_path / "no.dpx", 3)
        (tmp_path / "empty.dpx").touch()
        with pytest.raises(FrameUnreadable, match="zero bytes"):
            dpx.read(tmp_path / "empty.dpx", 3)

    @FILES
    @given(plates(), st.lists(st.tuples(st.integers(0, 2047), st.binary(min_size=1, max_size=8)), max_size=4))
    def test_no_bytes_do_worse_than_an_error_of_ours(self, tmp_path, raw, changes):
        """Mutated headers: refused, or a picture that goes out as it came in."""
        mutated = bytearray(raw)
        for at, data in changes:
            mutated[at : at + len(data)] = data
        path = tmp_path / "mutant.dpx"
        path.write_bytes(mutated)
        try:
            found = dpx.read(path)
        except UnderstudyError:
            return
        assert no_name(save(tmp_path, found, "ours.dpx").read_bytes()) == no_name(bytes(mutated))

    @FILES
    @given(st.binary(max_size=3000))
    def test_nor_do_bytes_of_no_meaning(self, tmp_path, raw):
        path = tmp_path / "noise.dpx"
        path.write_bytes(b"SDPX" + raw)
        with pytest.raises(FrameUnreadable):
            dpx.read(path)


class TestLookedAtAgain:
    """What a disk or a fault of ours does to a file in silence is found before anybody sees the file."""

    @pytest.mark.parametrize("fault", ["codes", "header"])
    def test_a_difference_is_a_failure(self, tmp_path, monkeypatch, fault):
        true = dpx._put

        def wrong(file, at, data):
            true(file, at, data)
            if at == 0 and fault == "header":
                true(file, 1000, b"\1")
            if at == 2048 and fault == "codes":
                true(file, 2100, b"\x55\x55")

        monkeypatch.setattr(dpx, "_put", wrong)
        with pytest.raises(WriteFailed, match="came back with other"):
            save(tmp_path, frame().with_planes({c: np.zeros((16, 64), np.uint16) for c in "RGB"}))


class TestAsAPlate:
    """Through the door that all other rooms use."""

    def test_there_and_back(self, tmp_path):
        asked = frame(metadata=METADATA, pixel_aspect=2.0)
        write(asked, tmp_path / "p.1001.dpx")
        found = read_file(tmp_path / "p.1001.dpx", 1001)
        assert_same_planes(found, asked)
        assert (found.number, found.pixel_aspect) == (1001, 2.0)
        assert read_header(tmp_path / "p.1001.dpx").format == "dpx"
        assert [path.name for path in tmp_path.iterdir()] == ["p.1001.dpx"]

    def test_what_is_wrong_names_the_frame(self, tmp_path):
        with pytest.raises(InvalidInput, match=r"planes with 1\.0 at 511") as caught:
            write(frame(9), tmp_path / "p.1001.dpx")
        assert caught.value.frame == 1001
        assert not list(tmp_path.iterdir())

    def test_a_scans_header_goes_into_openexr(self, tmp_path):
        """What a merge of a DPX plate does: the picture becomes float, the header goes along."""
        scan = again(tmp_path, frame(metadata=METADATA))
        planes = {c: plane.astype(np.float32) / 1023 for c, plane in scan.planes.items()}
        write(replace(scan, planes=planes, maximum=1.0), tmp_path / "p.1001.exr")
        found = read_file(tmp_path / "p.1001.exr").metadata
        for name, value in METADATA.items():
            assert found[name.replace("dpx:", "dpx/")] == value
        assert found["framesPerSecond"] == rate_entry(Fraction(24))
        assert "dpx/header" not in found
