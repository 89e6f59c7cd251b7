"""A faceset's columns give what going through its records gave."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.faces import record, same_columns, several
from understudy.core.faceset import FaceRecord, Faceset
from understudy.core.faceset.columns import Columns, Texts, empty
from understudy.core.frames import FrameRange

FACES = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(1, 6),
        st.sampled_from(["", "left", "right"]),
        st.integers(0, 2),
        st.integers(1, 9),
    ),
    max_size=25,
)


def made(faces) -> tuple[Faceset, list[FaceRecord]]:
    """A faceset in memory and the same records in a plain list, in its order."""
    records = []
    for number, (plate, frame, view, track, half) in enumerate(faces):
        one = record(Path("/set"), frame, track, float(half), view=view, plate=f"/p/{plate}.%04d.exr")
        records.append(replace(one, path=Path(f"/set/{number}.exr"), digest="d" * number))
    columns = Columns.of(records, [(1000 + i, i) for i in range(len(records))]).ordered()
    records.sort(key=lambda r: (r.plate, r.face.frame, r.face.track, r.view, r.path.name))
    return Faceset(path=Path("/set"), columns=columns), records


@settings(max_examples=60, deadline=None)
@given(faces=FACES)
def test_order_people_views_and_digest_are_those_of_the_records(faces):
    found, records = made(faces)
    assert [r.path for r in found.records] == [r.path for r in records]
    people: dict[int, dict[tuple[str, int], float]] = {}
    for r in records:
        areas, key = people.setdefault(r.face.track, {}), (r.plate, r.face.frame)
        x0, y0, x1, y1 = r.face.box
        areas[key] = max(areas.get(key, 0.0), (x1 - x0) * (y1 - y0))
    assert {t.id: t.frames for t in found.tracks()} == {
        i: FrameRange.from_frames(n for _, n in areas) for i, areas in people.items()
    }
    assert {t.id: t.area for t in found.tracks()} == pytest.approx(
        {i: sum(areas.values()) for i, areas in people.items()}
    )
    areas_in_order = [track.area for track in found.tracks()]
    assert areas_in_order == sorted(areas_in_order, reverse=True)
    assert set(found.views()) == {r.view for r in records}
    assert found.plates() == tuple(sorted({r.plate for r in records}))
    sizes = [1000 + int(r.path.stem) for r in records]
    content = [(r.path.name, n, r.digest, r.face.track) for r, n in zip(records, sizes, strict=True)]
    assert found.digest() == hashlib.sha256(json.dumps(content).encode()).hexdigest()
    for track in found.tracks():
        chosen = found.select(track.id)
        assert [r.path for r in chosen.records] == [r.path for r in records if r.face.track == track.id]


def test_the_digest_is_what_models_remember(tmp_path):
    """Of name, size of the file, what it was made of, and track: as it was before there were columns."""
    found = several(tmp_path, 3)
    content = [
        [f"shot_t0.{n}.exr", (tmp_path / f"shot_t0.{n}.exr").stat().st_size, "d" * 64, 0]
        for n in (1001, 1002, 1003)
    ]
    assert found.digest() == hashlib.sha256(json.dumps(content).encode()).hexdigest()


@settings(max_examples=40, deadline=None)
@given(faces=FACES, data=st.data())
def test_a_subset_is_these_rows_in_that_order(faces, data):
    found, records = made(faces)
    rows = data.draw(st.lists(st.integers(0, max(0, len(records) - 1)), max_size=10 if records else 0))
    part = found.subset(np.array(rows, np.int64))
    assert [r.path for r in part.records] == [records[i].path for i in rows]
    assert [r.view for r in part.records] == [records[i].view for i in rows]
    assert set(part.views()) == {records[i].view for i in rows}


def test_records_are_a_sequence():
    found, records = made([(0, n, "", 0, 1) for n in range(1, 6)])
    assert len(found.records) == 5
    assert found.records[-1].path == records[-1].path
    assert [r.path for r in found.records[1:4:2]] == [r.path for r in records[1:4:2]]
    assert [r.path for r in reversed(found.records)] == [r.path for r in reversed(records)]
    with pytest.raises(IndexError):
        found.records[5]
    assert not empty_set().records
    assert empty_set().tracks() == ()
    assert empty_set().views() == ()


def empty_set() -> Faceset:
    return Faceset(path=Path("/set"))


def test_what_a_record_is_given_out_with_is_its_own():
    found, _ = made([(0, 1, "", 0, 1)])
    first = found.records[0]
    first.face.landmarks.points[:] = 0.0
    first.alignment.matrix[:] = 0.0
    again = found.records[0]
    assert again.face.landmarks.points.any()
    assert again.alignment.matrix.any()


@settings(max_examples=40, deadline=None)
@given(faces=FACES, cut=st.integers(0, 25))
def test_columns_put_together_are_those_of_all(faces, cut):
    _, records = made(faces)
    files = [(i, i) for i in range(len(records))]
    whole = Columns.of(records, files)
    parts = [Columns.of(records[:cut], files[:cut]), Columns.of(records[cut:], files[cut:])]
    assert same_columns(Columns.joined(parts), whole)
    assert same_columns(Columns.joined([empty(), whole]), whole)


def test_confidence_is_kept_where_some_faces_have_none():
    first, second = record(Path("/set"), 1), record(Path("/set"), 2)
    sure = replace(first.face.landmarks, confidence=np.full(68, 0.5, np.float32))
    first = replace(first, face=replace(first.face, landmarks=sure))
    alone = [Columns.of([r], [(1, 1)]) for r in (first, second)]
    assert alone[1].confidence is None
    both = Faceset(path=Path("/set"), columns=Columns.joined(alone))
    found = [r.face.landmarks.confidence for r in both.records]
    assert found[0] is not None
    assert found[0].tolist() == [0.5] * 68
    assert found[1] is None


@given(values=st.lists(st.text(max_size=4), max_size=12))
def test_texts_are_what_they_were(values):
    column = Texts.of(values)
    assert list(column) == values
    assert column.used() == sorted(set(values))
    assert list(column.mapped(lambda text: text[:1])) == [text[:1] for text in values]
    assert list(Texts.joined([column, Texts.of(["é", *values])])) == [*values, "é", *values]


def test_views_may_be_given_other_names():
    found, _ = made([(0, 1, "", 0, 1), (0, 1, "right", 0, 1), (0, 2, "", 0, 1)])
    assert found.with_views(lambda view: view or "left").views() == ("left", "right")
    assert found.with_views(lambda _: "").views() == ("",)
    assert found.with_views(lambda view: view or "left").digest() == found.digest()
