"""Contact sheets: the right pictures in the right cells."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from tests.core import shots
from understudy.core import contact, drawing
from understudy.core.errors import InvalidInput, NotFound
from understudy.core.merge import shot
from understudy.core.plate import Template

WIDTH = contact._GAP + len(contact.COLUMNS) * (contact._CELL + contact._GAP)


@pytest.fixture(scope="module")
def settings(tmp_path_factory, colour):
    scene = shots.make(tmp_path_factory.mktemp("scene"), numbers=[1001, 1002, 1003], without_face=[1003])
    settings = scene.settings(shots.tiny_model(scene.folder / "model"))
    assert list(shot.run(settings, colour=colour))
    return settings


def read(path):
    sheet = cv2.imread(str(path))
    assert sheet is not None
    return sheet


def cell(sheet, row, column):
    top = 3 * contact._BAND + row * (contact._CELL + contact._BAND)
    left = contact._GAP + column * (contact._CELL + contact._GAP)
    return sheet[top : top + contact._CELL, left : left + contact._CELL].astype(np.float32)


def test_layout(settings, colour, tmp_path):
    path = contact.sheet(settings.out, tmp_path / "sheet.png", colour=colour, src=settings.people[0].faceset)
    sheet = read(path)
    assert sheet.shape == (2 * contact._BAND + 3 * (contact._CELL + contact._BAND) + contact._GAP, WIDTH, 3)
    for row in (0, 1):
        source, plate, swap, matte, face = (cell(sheet, row, i) for i in range(5))
        assert source.std() > 5
        assert matte.max() > 150
        assert matte.min() == 0
        middle = slice(130, 170)
        assert np.abs(plate - swap)[middle, middle].mean() > 5  # the face is another
        assert np.abs(plate - swap)[:10, :10].mean() < 1  # the corner is the plate
        assert np.abs(swap - face)[middle, middle].mean() < np.abs(plate - face)[middle, middle].mean()
    assert np.abs(cell(sheet, 2, 1) - cell(sheet, 2, 2)).max() == 0  # nothing was swapped
    assert cell(sheet, 2, 3).max() <= max(drawing.PAPER)


def test_frames_may_be_chosen_and_source_left_out(settings, colour, tmp_path):
    path = contact.sheet(settings.out, tmp_path / "one.png", colour=colour, frames=[1002])
    sheet = read(path)
    assert sheet.shape[0] == 2 * contact._BAND + contact._CELL + contact._BAND + contact._GAP
    assert sheet.shape[1] == WIDTH - contact._CELL - contact._GAP
    assert np.abs(cell(sheet, 0, 0) - cell(sheet, 0, 1)).mean() > 1  # plate and swap


def test_refusals(settings, colour, tmp_path):
    with pytest.raises(NotFound):
        contact.sheet(Template.parse(str(tmp_path / "none.####.exr")), tmp_path / "s.png", colour=colour)
    bare = replace(settings, out=Template.parse(str(tmp_path / "bare.####.exr")), layers=())
    assert list(shot.run(bare, colour=colour))
    with pytest.raises(InvalidInput, match="no layers"):
        contact.sheet(bare.out, tmp_path / "s.png", colour=colour, frames=[1001])
    assert not (tmp_path / "s.png").exists()


@pytest.mark.parametrize(("layout", "out"), [("multi_view", "o/c.####.exr"), ("files", "o/%V/c.####.exr")])
def test_of_a_stereo_merge_the_first_view_is_shown(colour, tmp_path, layout, out):
    scene = shots.make_stereo(tmp_path, layout, numbers=[1001])
    settings = scene.settings(shots.tiny_model(tmp_path / "model"), out=out)
    assert list(shot.run(settings, colour=colour))
    sheet = read(
        contact.sheet(settings.out, tmp_path / "sheet.png", colour=colour, src=settings.people[0].faceset)
    )
    plate, swap, matte = (cell(sheet, 0, i) for i in (1, 2, 3))
    assert matte.max() > 150
    assert np.abs(plate - swap)[130:170, 130:170].mean() > 5
