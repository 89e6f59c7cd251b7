"""Labels and mattes go where their faces go: packs, joined facesets, other sizes; a face made anew keeps its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.core.faces import pixels, several
from tests.core.labels import drawn, labelled, made, polygons, same, soft
from understudy.core import align, faceset
from understudy.core.errors import InvalidInput
from understudy.core.faceset import Faceset, curate, join, pack, resize
from understudy.core.faceset.labels import Labels
from understudy.core.faceset.mattes import Mattes
from understudy.core.reports import Artifact
from understudy.core.weights import WeightStore


class TestTravel:
    def test_into_a_pack_and_out_of_it(self, tmp_path: Path):
        was = labelled(tmp_path / "faces")
        list(pack.pack(pack.PackSettings(faceset=was.path, out=tmp_path / "p.faceset")))
        packed = Faceset.open(tmp_path / "p.faceset")
        assert Labels(packed).names() == Labels(was).names() == {"shot_t0.1001.exr", "shot_t0.1002.exr"}
        assert Mattes(packed).names() == {"shot_t0.1001.exr"}
        assert Mattes(packed).about(packed.records[0]) == (0.8125, "f" * 64)
        same(was, packed)
        list(pack.unpack(pack.UnpackSettings(pack=packed.path, out=tmp_path / "again")))
        same(was, Faceset.open(tmp_path / "again"))

    def test_a_pack_is_read_only(self, tmp_path: Path):
        was = labelled(tmp_path / "faces")
        list(pack.pack(pack.PackSettings(faceset=was.path, out=tmp_path / "p.faceset")))
        packed = Faceset.open(tmp_path / "p.faceset")
        face = packed.records[2]
        for work in (
            lambda: Labels(packed).write(face, polygons(face)),
            lambda: Mattes(packed).write(face, made(face)),
            lambda: Labels(packed).clear([face.path.name]),
            lambda: Mattes(packed).clear([face.path.name]),
        ):
            with pytest.raises(InvalidInput, match="is a pack"):
                work()

    def test_packs_without_labels_are_what_they_were(self, tmp_path: Path):
        """Who reads version 1 goes on reading them."""
        several(tmp_path / "faces")
        for name, version in (("plain", 1), ("labelled", 2)):
            out = tmp_path / f"{name}.faceset"
            if version == 2:
                labelled(tmp_path / "faces")
            list(pack.pack(pack.PackSettings(faceset=tmp_path / "faces", out=out)))
            assert int.from_bytes(out.read_bytes()[8:12], "little") == version

    @pytest.mark.parametrize("packed", [False, True])
    def test_into_a_joined_set_under_new_names(self, tmp_path: Path, packed: bool):
        one, two = labelled(tmp_path / "one"), labelled(tmp_path / "two", plate="/plates/other.%04d.exr")
        source = two.path
        if packed:
            source = tmp_path / "two.faceset"
            list(pack.pack(pack.PackSettings(faceset=two.path, out=source)))
        list(join.run(join.JoinSettings(facesets=(one.path, source), out=tmp_path / "both")))
        both = Faceset.open(tmp_path / "both")
        assert len(both.records) == 6
        assert len(Labels(both).names()) == 4
        assert len(Mattes(both).names()) == 2
        names = {r.path.name: r.path.name.replace("shot_t0", f"shot_{_mark(both)}_t0") for r in two.records}
        same(one, both)
        same(two, both, names)

    def test_of_a_face_that_two_sets_have_the_first_label_stays_and_a_lacking_one_is_taken(
        self, tmp_path: Path
    ):
        one, two = several(tmp_path / "one"), labelled(tmp_path / "two")
        first = one.records[0]
        Labels(one).write(first, drawn(first))
        list(join.run(join.JoinSettings(facesets=(one.path, two.path), out=tmp_path / "both")))
        both = Faceset.open(tmp_path / "both")
        assert len(both.records) == 3
        assert Labels(both).digest(both.records[0]) == Labels(one).digest(first)
        assert Labels(both).digest(both.records[1]) == Labels(two).digest(two.records[1])
        assert Mattes(both).about(both.records[0]) == (0.8125, "f" * 64)

    def test_a_rejected_face_has_its_label_when_it_comes_back_from_a_joined_set(self, tmp_path: Path):
        one = several(tmp_path / "one", plate="/plates/other.%04d.exr")
        two = labelled(tmp_path / "two", half=50.0)
        for old in list(one.path.glob("*.exr")):
            old.rename(old.with_name(old.name.replace("shot", "other")))
        was = Labels(two).digest(two.records[1])
        curate.reject(two, np.array([1]))
        list(join.run(join.JoinSettings(facesets=(one.path, two.path), out=tmp_path / "both")))
        assert Labels(Faceset.open(tmp_path / "both")).names() == {"shot_t0.1001.exr"}
        curate.restore(tmp_path / "both")
        both = Faceset.open(tmp_path / "both")
        back = next(r for r in both.records if r.path.name == "shot_t0.1002.exr")
        assert Labels(both).digest(back) == was

    def test_into_a_resized_set_where_they_are_read_in_the_new_crop(
        self, tmp_path: Path, weight_store: WeightStore
    ):
        was = labelled(tmp_path / "faces")
        wanted = resize.ResizeSettings(faceset=was.path, out=tmp_path / "small", size=48, face_type="full")
        reports = list(resize.run(wanted, store=weight_store))
        assert isinstance(reports[-1], Artifact)
        small = Faceset.open(tmp_path / "small")
        one, other = was.records[0], small.records[0]
        assert Labels(small).names() == Labels(was).names()
        matte = Labels(small).matte(other)
        assert matte is not None
        assert matte.shape == (48, 48)
        as_was = Labels(was).matte(replace(one, alignment=other.alignment))
        np.testing.assert_array_equal(matte, as_was)
        found = Mattes(small).matte(other)
        assert found is not None
        assert found.shape == (48, 48)

    def test_resizing_again_brings_labels_that_came_since_and_leaves_those_that_are_there(
        self, tmp_path: Path, weight_store: WeightStore
    ):
        was = several(tmp_path / "faces")
        wanted = resize.ResizeSettings(faceset=was.path, out=tmp_path / "small", size=48)
        list(resize.run(wanted, store=weight_store))
        small = Faceset.open(tmp_path / "small")
        own = small.records[1]
        Labels(small).write(own, drawn(own, soft(48)))
        mine = Labels(small).digest(own)
        labelled(tmp_path / "faces")
        list(resize.run(wanted, store=weight_store))
        assert Labels(small).names() == {"shot_t0.1001.exr", "shot_t0.1002.exr"}
        assert Labels(small).digest(own) == mine


def _mark(both: Faceset) -> str:
    marked = {name.split("_")[1] for name in both.columns.name.tolist() if name.count("_") == 2}
    assert len(marked) == 1
    return str(marked.pop())


def test_faces_written_over_a_labelled_one_keep_it(tmp_path: Path):
    """An extraction that runs again writes the image anew; what a person drew is beside it."""
    was = labelled(tmp_path / "faces")
    face = was.records[0]
    points = face.face.landmarks.points + np.float32(3.0)
    anew = replace(face, alignment=align.fit(points, "whole", 64, face.pixel_aspect))
    faceset.write(anew, pixels(9))
    now = Faceset.open(was.path)
    matte, before = Labels(now).matte(now.records[0]), Labels(was).matte(face)
    assert matte is not None
    assert before is not None
    assert matte.sum() == pytest.approx(before.sum(), rel=0.05)
    assert not np.array_equal(matte, before)
