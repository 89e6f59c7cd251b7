"""Many faces of DeepFaceLab: what frames and people they are of, and all of them in one file."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.dflfaces import Attack, beside, fields, import_, jpeg, pak, picture, records, warned, write
from understudy.core.colour import ColourConfig
from understudy.core.errors import FrameUnreadable
from understudy.core.faceset.dfl import naming


class TestNames:
    def places(self, *pictures: str, tracks: Sequence[int] = ()) -> list[tuple[str, int, str, int]]:
        found = naming.places(pictures, tracks or [0] * len(pictures))
        return [(p.plate, p.frame, p.name, p.faces) for p in found]

    def test_the_number_at_the_end_is_the_frame(self):
        assert self.places("00001.png", "00002.png") == [
            ("%05d.png", 1, "frame_t0.0001", 1),
            ("%05d.png", 2, "frame_t0.0002", 1),
        ]
        assert self.places("a12_v003.1001.jpg") == [("a12_v003.%04d.jpg", 1001, "a12_v003_t0.1001", 1)]

    def test_numbers_without_padding(self):
        assert [p[0] for p in self.places("x9.png", "x10.png", "x100.png")] == ["x%d.png"] * 3
        assert [p[0] for p in self.places("x0099.png", "x10000.png")] == ["x%04d.png"] * 2

    def test_several_faces_on_a_frame(self):
        found = self.places("s_01.png", "s_01.png", "s_02.png", "s_01.png")
        assert [p[2] for p in found] == ["s_t0.0001", "s_t0_1.0001", "s_t0.0002", "s_t0_2.0001"]
        assert [p[3] for p in found] == [3, 3, 1, 3]

    def test_people_have_tracks(self):
        found = self.places("s_01.png", "s_01.png", tracks=[0, 1])
        assert [p[2] for p in found] == ["s_t0.0001", "s_t1.0001"]
        assert naming.people(["b", "", "a", "b"]) == {"": 0, "a": 1, "b": 2}

    def test_stills_are_plates_of_their_own(self):
        found = self.places("red carpet.jpg", "interview.png", "red carpet.jpg", "x_05.png")
        assert [p[:3] for p in found] == [
            ("red carpet.jpg", 2, "red carpet_t0.0002"),
            ("interview.png", 1, "interview_t0.0001"),
            ("red carpet.jpg", 2, "red carpet_t0_1.0002"),
            ("x_%02d.png", 5, "x_t0.0005"),
        ]

    @given(st.lists(st.text(min_size=0, max_size=12), max_size=8))
    def test_any_name_is_a_file_s_name_and_its_own(self, pictures: list[str]):
        found = naming.places(pictures, [0] * len(pictures))
        assert len({place.name for place in found}) == len(pictures)
        for place in found:
            assert Path(place.name).name == place.name
            assert not place.name.startswith(".")
            assert 0 <= place.frame < 10**9
            assert not set("/\\\0\n") & set(place.name + place.plate)

    def test_a_name_that_is_all_number_is_no_frame_beyond_nine_digits(self):
        assert self.places("20210304123456789.png")[0][:2] == ("20210304123456789.png", 1)


class TestPak:
    def faces(self, *people: str | None) -> list[tuple[str, str | None, bytes]]:
        return [
            (f"{i:05d}_0.jpg", person, jpeg(fields(source=f"{i:05d}.png"), picture(seed=i)))
            for i, person in enumerate(people)
        ]

    def test_its_faces_are_those_of_a_folder(self, tmp_path: Path, colour: ColourConfig):
        faces = self.faces(None, None, None)
        write(tmp_path / "folder", **{name: data for name, _, data in faces})
        (tmp_path / "packed").mkdir()
        file = pak(tmp_path / "packed" / "faceset.pak", faces)
        import_(tmp_path / "folder", tmp_path / "a", colour)
        import_(tmp_path / "packed", tmp_path / "b", colour)
        import_(file, tmp_path / "c", colour)
        listed = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
        listed = [p for p in listed if not p.parts[0].startswith(".")]
        assert len(listed) == 6
        for other in ("b", "c"):
            for name in listed:
                assert (tmp_path / other / name).read_bytes() == (tmp_path / "a" / name).read_bytes()

    def test_people_are_tracks(self, tmp_path: Path, colour: ColourConfig):
        pak(tmp_path / "faceset.pak", self.faces("ben", "ann", "ben"))
        reports = import_(tmp_path / "faceset.pak", tmp_path / "ours", colour)
        found = records(tmp_path / "ours")
        assert {r.face.frame: r.face.track for r in found.values()} == {0: 1, 1: 0, 2: 1}
        assert [beside(tmp_path / "ours", r).person for r in found.values()] == ["ben", "ann", "ben"]
        ((reason, message),) = warned(reports)
        assert reason == "SEVERAL_PEOPLE"
        assert message.endswith("track 0 is ann, 1 is ben")

    def test_people_s_folders_are_too(self, tmp_path: Path, colour: ColourConfig):
        for name, person, data in self.faces("ben", "ann", None):
            write(tmp_path / "dfl", **{f"{person}__{name}" if person else name: data})
        import_(tmp_path / "dfl", tmp_path / "ours", colour)
        found = {r.face.frame: r.face.track for r in records(tmp_path / "ours").values()}
        assert found == {0: 2, 1: 1, 2: 0}

    def test_names_lead_nowhere_else(self, tmp_path: Path, colour: ColourConfig):
        ((_, _, data),) = self.faces(None)
        pak(tmp_path / "faceset.pak", [("../../../etc/passwd", "..\\..\\x", data)])
        import_(tmp_path / "faceset.pak", tmp_path / "ours", colour)
        (record,) = records(tmp_path / "ours").values()
        kept = beside(tmp_path / "ours", record)
        assert (kept.file, kept.person) == ("passwd", "x")

    def test_a_broken_face_is_named(self, tmp_path: Path, colour: ColourConfig):
        faces = self.faces(None, None, None)
        faces[1] = ("00001_0.jpg", None, b"broken")
        pak(tmp_path / "faceset.pak", faces)
        reports = import_(tmp_path / "faceset.pak", tmp_path / "ours", colour)
        ((_, message),) = warned(reports)
        assert message.endswith("faceset.pak: 00001_0.jpg: is not a JPEG; left out")
        assert len(records(tmp_path / "ours")) == 2

    @pytest.mark.parametrize(
        ("wrong", "match"),
        [
            ({"version": 2}, "version 2"),
            ({"length": 2**60}, "1152921504606846976 bytes of names"),
            ({"length": 10}, "breaks off"),
            ({"configs": pickle.dumps({"a": 1})}, "is not a list"),
            ({"configs": pickle.dumps([1, 2])}, "described by '1'"),
            ({"configs": pickle.dumps([{"filename": 5}] * 2)}, "called '5'"),
            ({"configs": pickle.dumps([{"filename": "a"} for _ in range(3000)])}, "breaks off in its table"),
            ({"configs": pickle.dumps([Attack()])}, "asks for posix.system; it was not run"),
            ({"table": struct.pack("<3Q", 0, 2**63, 5)}, "outside the file"),
            ({"table": struct.pack("<3Q", 100, 5, 5)}, "backwards"),
        ],
    )
    def test_a_broken_pak_is_refused(self, wrong: Any, match: str, tmp_path: Path, colour: ColourConfig):
        pak(tmp_path / "faceset.pak", self.faces(None, None), **wrong)
        with pytest.raises(FrameUnreadable, match=rf"faceset\.pak: .*{match}"):
            import_(tmp_path, tmp_path / "ours", colour)

    def test_so_is_a_truncated_one(self, tmp_path: Path, colour: ColourConfig):
        data = pak(tmp_path / "faceset.pak", self.faces(None, None)).read_bytes()
        for end in (0, 8, 15, 40, 1000):
            (tmp_path / "faceset.pak").write_bytes(data[:end])
            with pytest.raises(FrameUnreadable, match=r"faceset\.pak"):
                import_(tmp_path, tmp_path / "ours", colour)
        (tmp_path / "faceset.pak").write_bytes(data[:-100])  # the last face is cut: the first is whole
        assert len(warned(import_(tmp_path, tmp_path / "ours", colour))) == 1
