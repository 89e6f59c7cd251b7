"""Pictures of a training: the same grid for eyes, as PNG, and for a comp, as EXR."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from understudy.core import plate
from understudy.core.colour import SwapCurve
from understudy.core.errors import WriteFailed
from understudy.core.train import preview

CURVE = SwapCurve(gain=3.0, knee=0.7, maximum=32.0)
SIDE, ACROSS = 16, 4


@pytest.fixture
def rows() -> list[torch.Tensor]:
    """Two rows of faces and two of mattes, (4, 3, 16, 16), codes up to the top of the curve."""
    dice = torch.Generator().manual_seed(1)
    faces = [torch.rand(ACROSS, 3, SIDE, SIDE, generator=dice) for _ in range(2)]
    faces[1][2, :, 3, 5] = 63 / 64
    return faces + [torch.rand(ACROSS, 1, SIDE, SIDE, generator=dice).expand(-1, 3, -1, -1) for _ in range(2)]


def test_faces_to_show_are_spread_and_the_same():
    assert preview.choose(1).tolist() == [0] * preview.COLUMNS
    assert preview.choose(100)[[0, -1]].tolist() == [0, 99]
    assert (np.diff(preview.choose(100)) > 10).all()


def test_the_sheet_is_the_rows_in_their_order(rows, colour):
    sheet = preview.sheet(rows, CURVE, colour, mattes=2)
    assert sheet.shape == (4 * SIDE, ACROSS * SIDE, 3)
    even = SwapCurve(gain=1.0, knee=0.7, maximum=32.0)
    third = rows[1][2].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(
        sheet[SIDE : 2 * SIDE, 2 * SIDE : 3 * SIDE], colour.proxy(even.decode(third)), atol=1e-6
    )
    np.testing.assert_array_equal(sheet[3 * SIDE :, :SIDE, 0], rows[3][0, 0])


def test_the_png_is_the_sheet_enlarged(rows, colour, tmp_path):
    file = tmp_path / "previews" / "00000010.png"
    preview.write(file, rows, CURVE, colour, mattes=2)
    shown = np.asarray(cv2.imread(str(file)))[..., ::-1]
    assert shown.shape == (4 * 128, ACROSS * 128, 3)
    sheet = preview.sheet(rows, CURVE, colour, mattes=2)
    assert np.abs(shown[::8, ::8] / 255.0 - sheet).max() <= 0.5 / 255 + 1e-6
    assert [f.name for f in file.parent.iterdir()] == [file.name]


def test_the_exr_is_scene_linear_and_unclipped(rows, tmp_path):
    file = tmp_path / "p" / "00000010.exr"
    preview.write_exr(file, rows, CURVE, mattes=2)
    frame = plate.read_file(file)
    assert {name: plane.dtype for name, plane in frame.planes.items()} == dict.fromkeys("RGB", np.float16)
    pixels = frame.rgb()
    assert pixels.shape == (4 * SIDE, ACROSS * SIDE, 3)
    even = SwapCurve(gain=1.0, knee=0.7, maximum=32.0)
    faces = torch.cat([torch.cat(list(row), dim=2) for row in rows[:2]], dim=1).permute(1, 2, 0).numpy()
    np.testing.assert_allclose(pixels[: 2 * SIDE], even.decode(faces), rtol=1e-3, atol=1e-6)
    assert pixels.max() == pytest.approx(32.0, rel=1e-3)  # the highlight
    np.testing.assert_allclose(pixels[2 * SIDE : 3 * SIDE, :SIDE, 1], rows[2][0, 0], rtol=1e-3, atol=1e-6)
    assert [f.name for f in file.parent.iterdir()] == [file.name]


def test_without_mattes_all_rows_are_faces(rows, colour, tmp_path):
    sheet = preview.sheet(rows[:2], CURVE, colour, mattes=0)
    np.testing.assert_array_equal(sheet, preview.sheet(rows, CURVE, colour, mattes=2)[: 2 * SIDE])
    preview.write_exr(tmp_path / "a.exr", rows[:1], CURVE, mattes=0)
    assert plate.read_file(tmp_path / "a.exr").rgb().shape == (SIDE, ACROSS * SIDE, 3)


def test_a_picture_that_cannot_be_written_names_its_file(rows, colour, tmp_path):
    (tmp_path / "previews").write_text("a file")
    with pytest.raises(WriteFailed, match=r"previews/1\.png"):
        preview.write(tmp_path / "previews" / "1.png", rows, CURVE, colour, mattes=2)
    with pytest.raises(WriteFailed, match=r"previews/1\.exr"):
        preview.write_exr(tmp_path / "previews" / "1.exr", rows, CURVE, mattes=2)
