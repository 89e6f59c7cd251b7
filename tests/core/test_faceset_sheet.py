"""Contact sheets of facesets: the right faces in the right cells."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tests.core.looks import add, measured, portrait
from understudy.core import drawing
from understudy.core.errors import InvalidInput, NotFound, NotMeasured
from understudy.core.faceset import order, sheet
from understudy.core.faceset.query import Query
from understudy.core.faceset.sheet import SheetSettings
from understudy.core.faceset.store import Faceset
from understudy.core.reports import Advanced, Artifact, Started

CELL = 64


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twelve faces, each brighter than the one before; 1002 is unsure, 1003 given by hand."""
    folder = tmp_path_factory.mktemp("performer_a")
    for i in range(12):
        light = np.full((128, 128, 3), 0.02 * 1.5**i, np.float32) * np.array([1.0, 0.9, 0.8], np.float32)
        origin = "manual" if i == 2 else "found"
        add(folder, 1001 + i, light, score=0.5 if i == 1 else 0.9, origin=origin, yaw=float(i))
    return folder


def run(folder, out, colour, **settings):
    wanted = SheetSettings(**{"faceset": folder, "out": out, "cell": CELL, **settings})
    reports = list(sheet.run(wanted, colour=colour))
    read = cv2.imread(str(out))
    assert read is not None
    return reports, read[..., ::-1]


def cells(picture, count):
    grid = sheet._Grid.of(count, CELL)
    assert picture.shape[:2] == grid.size[::-1]
    corners = [grid.corner(i) for i in range(count)]
    return [picture[y : y + CELL, x : x + CELL].astype(int) for x, y in corners]


def test_faces_are_in_their_order_as_the_proxy_shows_them(folder, tmp_path, colour):
    reports, picture = run(folder, tmp_path / "s.png", colour)
    assert reports[0] == Started(total=12, unit="face")
    assert Advanced(done=12) in reports
    assert reports[-1] == Artifact(kind="faceset_sheet", path=tmp_path / "s.png")
    shown = cells(picture, 12)
    levels = [cell[20:40, 20:40].mean() for cell in shown]
    assert levels == sorted(levels)
    pixel = np.full((1, 1, 3), 0.02 * 1.5**5, np.float32) * np.array([1.0, 0.9, 0.8], np.float32)
    np.testing.assert_allclose(shown[5][30, 30], drawing.shown(pixel, 1.0, colour)[0, 0], atol=1)


def test_a_query_chooses_and_sorts(folder, tmp_path, colour):
    _, picture = run(folder, tmp_path / "s.png", colour, query=Query(order="yaw", limit=4))
    levels = [cell[20:40, 20:40].mean() for cell in cells(picture, 4)]
    assert levels == sorted(levels, reverse=True)
    _, whole = run(folder, tmp_path / "all.png", colour)
    assert levels[0] == cells(whole, 12)[11][20:40, 20:40].mean()


def test_many_are_thinned_evenly_first_and_last_stay(folder, tmp_path, colour):
    reports, picture = run(folder, tmp_path / "s.png", colour, count=3)
    assert reports[0].total == 3
    _, whole = run(folder, tmp_path / "all.png", colour)
    some, every = cells(picture, 3), cells(whole, 12)
    for mine, theirs in zip(some, (0, 6, 11), strict=True):
        assert abs(mine[32, 32] - every[theirs][32, 32]).max() <= 30
    np.testing.assert_array_equal(some[0][20:40, 20:40], every[0][20:40, 20:40])
    np.testing.assert_array_equal(some[2][20:40, 20:40], every[11][20:40, 20:40])


def test_unsure_and_manual_ones_are_marked(folder, tmp_path, colour):
    _, picture = run(folder, tmp_path / "s.png", colour)
    corners = [tuple(cell[0, 0].tolist()) for cell in cells(picture, 12)]
    assert corners[1] == sheet._MARKS["unsure"][0]
    assert corners[2] == sheet._MARKS["manual"][0]
    assert not {corners[0], *corners[3:]} & {ink for ink, _ in sheet._MARKS.values()}


def test_a_face_that_can_not_be_read_has_an_empty_cell(tmp_path, colour):
    folder = tmp_path / "faces"
    for i in range(4):
        add(folder, 1001 + i, portrait(i))
    work = sheet.run(SheetSettings(faceset=folder, out=tmp_path / "s.png", cell=CELL), colour=colour)
    assert isinstance(next(work), Started)
    (folder / "shot_t0.1004.exr").unlink()  # while it is drawn
    reports = list(work)
    assert [r.reason for r in reports if hasattr(r, "reason")] == ["FRAME_UNREADABLE"]
    picture = cv2.imread(str(tmp_path / "s.png"))
    assert picture is not None
    last = cells(picture[..., ::-1], 4)[3]
    assert tuple(last[0, 0].tolist()) == sheet._MARKS["broken"][0]
    assert tuple(last[32, 32].tolist()) == drawing.PAPER


@pytest.mark.parametrize("key", ["blur", "hist", "hue", "source_rect_size"])
def test_captions_fit_for_every_kind_of_key(tmp_path, colour, key):
    for i in range(3):
        add(tmp_path / "faces", 1001 + i, portrait(i), track=123456)
    measured(tmp_path / "faces", colour)
    _, picture = run(tmp_path / "faces", tmp_path / "s.png", colour, query=Query(order=key), cell=32)
    between = picture[sheet._HEAD :, sheet._GAP + 32 : 2 * sheet._GAP + 32]
    assert (between == drawing.PAPER).all()  # no caption reaches into the next


def test_what_it_is_sorted_by_is_within_all_that_fit_not_within_those_drawn(tmp_path, colour):
    for i in range(6):
        add(tmp_path / "faces", 1001 + i, portrait(i))
    measured(tmp_path / "faces", colour)
    faces = Faceset.open(tmp_path / "faces")
    keys = sheet._keys(faces, Query(order="hist_dissim", limit=3), 3)
    assert keys is not None
    expected = sorted(order.values(faces, "hist_dissim"), reverse=True)[:3]
    assert keys.tolist() == pytest.approx(expected, rel=1e-3)


def test_captions_are_drawn(folder, tmp_path, colour):
    _, picture = run(folder, tmp_path / "s.png", colour)
    grid = sheet._Grid.of(12, CELL)
    x, y = grid.corner(7)
    assert picture[y + CELL : y + CELL + 32, x : x + CELL].max() > 180


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"out": "s.jpg"}, "out"),
        ({"cell": 8}, "cell"),
        ({"cell": 4096}, "cell"),
        ({"count": 0}, "count"),
        ({"count": 10**6}, "count"),
    ],
)
def test_refusals(folder, tmp_path, changes, field):
    items = {"faceset": folder, "out": tmp_path / "s.png", **changes}
    with pytest.raises(InvalidInput) as caught:
        SheetSettings(**{**items, "out": tmp_path / items["out"]})
    assert caught.value.field == field


def test_nothing_to_draw(folder, tmp_path, colour):
    with pytest.raises(NotFound, match="finds no face"):
        run(folder, tmp_path / "s.png", colour, query=Query(invert=True))
    with pytest.raises(NotMeasured, match="blur"):
        run(folder, tmp_path / "s.png", colour, query=Query(order="blur"))
    assert not (tmp_path / "s.png").exists()
