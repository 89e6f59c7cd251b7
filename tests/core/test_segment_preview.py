"""Previews of mattes: the right pictures in the right cells, and nothing that is not so."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.core.faces import listing
from tests.core.looks import SIZE
from tests.core.segmenting import disc, faces, on_disk, segmenter
from understudy.core import drawing
from understudy.core.errors import InvalidInput, NotFound
from understudy.core.faceset import Faceset, beside
from understudy.core.faceset.labels import Label, Labels
from understudy.core.faceset.mattes import Matte, Mattes
from understudy.core.faceset.query import Query
from understudy.core.frames import FrameRange
from understudy.core.reports import Advanced, Artifact, Started, Warned
from understudy.core.segment import network, preview
from understudy.core.segment.preview import PreviewSettings

CELL = 96
RIGHT, WRONG = disc(0.5, 0.5, 0.3), disc(0.5, 0.5, 0.2)


@pytest.fixture(autouse=True)
def one_thread():
    """Small networks gain nothing by two threads, and lose much where other tests run."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def folder(tmp_path):
    """Frame 1001 has a label and a smaller matte, 1002 a label, 1003 a matte of little confidence, 1004 neither."""
    opened = faces(tmp_path / "performer_a", 4)
    for i, record in enumerate(opened.records):
        if i in (0, 1):
            drawn = Label(kind="matte", matte=RIGHT, alignment=record.alignment, origin="roto")
            Labels(opened).write(record, drawn)
        if i in (0, 2):
            sure = 0.95 if i == 0 else 0.5
            made = Matte(matte=WRONG, confidence=sure, segmenter="a", made_of="b", alignment=record.alignment)
            Mattes(opened).write(record, made)
    return tmp_path / "performer_a"


def run(folder: Path, out: Path, colour, **settings):
    wanted = PreviewSettings(**{"faceset": folder, "out": out, "cell": CELL, **settings})
    reports = list(preview.run(wanted, colour=colour))
    read = cv2.imread(str(out))
    assert read is not None
    return reports, read[..., ::-1]


def cells(picture: np.ndarray, count: int) -> list[list[np.ndarray]]:
    """The three pictures of each face."""
    grid = preview._Grid.of(count, CELL)
    assert picture.shape[:2] == grid.size[::-1]
    found = []
    for x, y in map(grid.corner, range(count)):
        lefts = [x + i * (CELL + preview._BETWEEN) for i in range(3)]
        found.append([picture[y : y + CELL, left : left + CELL].astype(int) for left in lefts])
    return found


def near(picture: np.ndarray, ink, within: int = 60) -> np.ndarray:
    """(C, C) bool: where a picture has about this colour."""
    close: np.ndarray = np.abs(picture - np.array(ink)).max(axis=-1) < within
    return close


def test_every_face_has_its_pictures(folder, tmp_path, colour):
    reports, picture = run(folder, tmp_path / "p.png", colour)
    assert reports[0] == Started(total=4, unit="face")
    assert Advanced(done=4) in reports
    assert reports[-1] == Artifact(kind="segmentation", path=tmp_path / "p.png")
    shown = cells(picture, 4)
    opened = Faceset.open(folder)
    for record, (face, _, _) in zip(opened.records, shown, strict=True):
        expected = drawing.fit(drawing.shown(opened.load(record), record.gain, colour), CELL)
        apart = np.abs(face - expected.astype(int)).max(axis=-1)
        assert np.median(apart) == 0  # all but the lines
    assert len({tuple(face[CELL // 2, CELL // 3]) for face, _, _ in shown}) > 1


def test_lines_lie_on_the_edges_of_label_and_matte(folder, tmp_path, colour):
    _, picture = run(folder, tmp_path / "p.png", colour)
    both = cells(picture, 4)[0][0]
    y, x = np.mgrid[:CELL, :CELL] + 0.5
    radius = np.hypot(x - CELL / 2, y - CELL / 2) / CELL
    for ink, expected in ((preview._LABEL, 0.3), (preview._MATTE, 0.2)):
        line = near(both, ink)
        assert line.sum() > CELL / 2
        np.testing.assert_allclose(radius[line], expected, atol=1.5 / CELL)


def test_what_agrees_is_drawn_in_the_labels_colour(tmp_path, colour):
    opened = faces(tmp_path / "f", 1)
    record = opened.records[0]
    drawn = Label(kind="matte", matte=RIGHT, alignment=record.alignment, origin="roto")
    Labels(opened).write(record, drawn)
    made = Matte(matte=RIGHT, confidence=0.9, segmenter="a", made_of="b", alignment=record.alignment)
    Mattes(opened).write(record, made)
    _, picture = run(tmp_path / "f", tmp_path / "p.png", colour)
    edged, _, matte = cells(picture, 1)[0]
    assert near(edged, preview._LABEL).sum() > CELL / 2
    assert not near(edged, preview._MATTE).any()
    assert np.ptp(matte, axis=-1).max() <= 2  # nothing but grey


def test_a_veil_lies_on_what_a_merge_would_take_away(folder, tmp_path, colour):
    _, picture = run(folder, tmp_path / "p.png", colour)
    shown = cells(picture, 4)
    opened = Faceset.open(folder)
    for place, matte in ((0, RIGHT), (1, RIGHT), (2, WRONG)):  # the label, where there is one
        record = opened.records[place]
        plain = drawing.fit(drawing.shown(opened.load(record), record.gain, colour), CELL).astype(int)
        small = cv2.resize(matte, (CELL, CELL), interpolation=cv2.INTER_AREA)
        veiled = shown[place][1]
        np.testing.assert_array_equal(veiled[small == 1.0], plain[small == 1.0])
        red = veiled[small == 0.0]
        assert (red[:, 0] > red[:, 1] + 40).all()


def test_a_matte_is_coloured_where_it_differs_from_the_label(folder, tmp_path, colour):
    _, picture = run(folder, tmp_path / "p.png", colour)
    shown = cells(picture, 4)
    y, x = np.mgrid[:CELL, :CELL] + 0.5
    radius = np.hypot(x - CELL / 2, y - CELL / 2) / CELL
    found = shown[0][2]
    assert near(found[(radius > 0.22) & (radius < 0.28)], preview._LESS, 8).all()
    assert (found[radius < 0.18] == 255).all()
    assert not found[radius > 0.32].any()
    alone = shown[2][2]
    assert np.ptp(alone[4:-4, 4:-4], axis=-1).max() <= 2  # but for the frame of a doubtful one
    assert (alone[radius < 0.18] == 255).all()


def test_more_than_the_label_is_another_colour():
    found = preview.compared(RIGHT, WRONG).astype(int)
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    radius = np.hypot(x - SIZE / 2, y - SIZE / 2) / SIZE
    ring = (radius > 0.21) & (radius < 0.29)
    assert near(found[ring], preview._MORE, 3).all()


def test_a_face_without_either_has_its_picture_only(folder, tmp_path, colour):
    _, picture = run(folder, tmp_path / "p.png", colour)
    face, second, third = cells(picture, 4)[3]
    assert face.std() > 10
    assert not near(face, preview._LABEL).any()
    paper = np.array(drawing.PAPER)
    for empty in (second, third):
        assert (np.median(empty, axis=(0, 1)) == paper).all()


def test_doubtful_ones_are_framed(folder, tmp_path, colour):
    _, picture = run(folder, tmp_path / "p.png", colour)
    corners = [tuple(pictures[0][0, 0].tolist()) for pictures in cells(picture, 4)]
    assert [corner == preview._MARK for corner in corners] == [False, False, True, False]


def test_a_segmenter_is_looked_through_and_writes_nothing(folder, tmp_path, colour, monkeypatch):
    before = {name: (folder / name).read_bytes() for name in listing(folder)}
    monkeypatch.setattr(network, "load", lambda path, device="auto": segmenter())
    _, picture = run(folder, tmp_path / "p.png", colour, segmenter=Path("any"))
    assert {name: (folder / name).read_bytes() for name in listing(folder)} == before
    for i, (_, _, matte) in enumerate(cells(picture, 4)):
        if i >= 2:  # no label: plain grey, where the face is bright
            seen = disc(0.4 + 0.1 * i, 0.5, 0.25, CELL)
            apart = np.abs(matte[..., 0] / 255.0 - seen)
            assert apart.mean() < 0.02


def test_a_segmenter_from_a_folder(folder, tmp_path, colour):
    on_disk(tmp_path / "s")
    reports, _ = run(folder, tmp_path / "p.png", colour, segmenter=tmp_path / "s", device="cpu")
    assert reports[-1].kind == "segmentation"
    with pytest.raises(NotFound):
        run(folder, tmp_path / "p.png", colour, segmenter=tmp_path / "none")


def test_a_matte_of_an_older_crop_is_shown_where_it_belongs(folder, tmp_path, colour):
    """Half as large as the face's image now is."""
    opened = Faceset.open(folder)
    record = opened.records[2]
    older = beside.scaled(record.alignment, SIZE // 2)
    made = Matte(
        matte=disc(0.3, 0.6, 0.2, SIZE // 2), confidence=0.9, segmenter="a", made_of="b", alignment=older
    )
    Mattes(opened).write(record, made)
    _, picture = run(folder, tmp_path / "p.png", colour)
    matte = cells(picture, 4)[2][2][..., 0] / 255.0
    assert np.abs(matte - disc(0.3, 0.6, 0.2, CELL)).mean() < 0.01


def test_many_are_thinned_and_a_query_chooses(folder, tmp_path, colour):
    reports, picture = run(folder, tmp_path / "p.png", colour, count=2)
    assert reports[0].total == 2
    two = cells(picture, 2)
    _, whole = run(folder, tmp_path / "all.png", colour)
    four = cells(whole, 4)
    for some, every in ((two[0], four[0]), (two[1], four[3])):
        np.testing.assert_array_equal(some[0], every[0])
    _, picture = run(folder, tmp_path / "p.png", colour, query=Query(frames=FrameRange.of(1002, 1002)))
    np.testing.assert_array_equal(cells(picture, 1)[0][1], four[1][1])
    with pytest.raises(NotFound, match="no face"):
        run(folder, tmp_path / "p.png", colour, query=Query(frames=FrameRange.of(1, 2)))


def test_what_cannot_be_read_is_said_and_the_others_are_drawn(folder, tmp_path, colour):
    opened = Faceset.open(folder)
    Mattes(opened).path(opened.records[2]).write_bytes(b"nothing of the kind")
    bad = opened.records[1].path
    content = bytearray(bad.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    bad.write_bytes(content)
    reports, picture = run(folder, tmp_path / "p.png", colour)
    warned = [r.message for r in reports if isinstance(r, Warned)]
    assert len(warned) == 2
    assert any("shot_t0.1002" in each for each in warned)
    assert any("mattes/shot_t0.1003" in each for each in warned)
    shown = cells(picture, 4)
    assert tuple(shown[1][0][0, 0].tolist()) == preview._MORE  # framed
    assert shown[0][0].std() > 10


@pytest.mark.parametrize(
    ("field", "value"), [("out", Path("a.jpg")), ("cell", 63), ("cell", 513), ("count", 0), ("count", 10**6)]
)
def test_bad_settings_name_their_field(field, value):
    with pytest.raises(InvalidInput) as caught:
        PreviewSettings(**{"faceset": Path("f"), "out": Path("o.png"), field: value})
    assert caught.value.field == field


def test_a_sheet_is_as_wide_as_a_screen_at_most():
    for count in (1, 2, 5, 24, 200):
        for cell in (64, 192, 512):
            grid = preview._Grid.of(count, cell)
            assert grid.columns * grid.rows >= count > grid.columns * (grid.rows - 1)
            assert grid.size[0] <= 2400
            corners = [grid.corner(i) for i in range(count)]
            assert len(set(corners)) == count
