"""The way from a file to landmarks and crop, with a picture made of formulas and networks that are none.

The picture is a disc that is round in the world. Whatever the pixels' shape and wherever the windows lie, it has to be
found where it is, and to be the same round disc in aligned space.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.core.discs import Discs
from tests.core.extraction import SPACE
from understudy.core import align, plate, warp
from understudy.core.errors import InvalidInput
from understudy.core.extract.finder import Finder
from understudy.core.extract.networks import drive
from understudy.core.extract.search import Picture, Search, Shown
from understudy.core.frames import Frame, Window
from understudy.core.located import Located
from understudy.core.plate import Template

CENTRE, RADIUS = np.array((170.0, 120.0)), 60.0  # of the disc, in square pixels from the display's corner
DISPLAY = Window(0, 0, 320, 240)


def painted(display: Window = DISPLAY, data: Window | None = None, aspect: float = 1.0) -> Frame:
    """The disc on a frame of these windows, float32; windows are in plate pixels."""
    data = data or display
    x = (np.arange(data.x, data.x1) + 0.5 - display.x) * aspect
    y = np.arange(data.y, data.y1) + 0.5 - display.y
    u, v = np.meshgrid((x - CENTRE[0]) / RADIUS, (y - CENTRE[1]) / RADIUS)
    inside = 1.0 / (1.0 + np.exp((np.hypot(u, v) - 1.0) * RADIUS / 1.5))
    shades = [0.5 + 0.2 * np.sin(3.0 * u + phase) * np.cos(2.5 * v) for phase in (0.0, 0.5, 1.0)]
    planes = {
        name: (0.02 + inside * shade).astype(np.float32) for name, shade in zip("RGB", shades, strict=True)
    }
    return Frame(number=1001, planes=planes, display=display, data=data, pixel_aspect=aspect)


@pytest.fixture(name="read")
def read_fixture(colour, tmp_path: Path):
    """Write a frame, and give the search over its plate and what it reads there."""

    def read(frame: Frame) -> tuple[Search, Picture]:
        template = Template.parse(str(tmp_path / "disc.####.exr"))
        plate.write(frame, template.path(1001))
        found = plate.find(template.text, None, SPACE)
        search = Search(plate=found, space=SPACE, colour=colour)
        (picture,) = search.read(1001)
        return search, picture

    return read


def seen(search: Search, picture: Picture) -> tuple[np.ndarray, tuple[float, ...], np.ndarray]:
    """Landmarks and box in plate pixels, and the crop."""
    finder = Finder(min_score=0.5)
    ((face,),) = drive([finder.whole(search.shown(picture, 1.0))], Discs().networks().answer)
    points = face.landmarks.points
    alignment = align.fit(points, "whole", 160, picture.frame.pixel_aspect)
    return points, face.box, warp.to_aligned(picture.rgb, picture.frame.data, alignment)


def spread(crop: np.ndarray) -> np.ndarray:
    """Second moments (2, 2) of what is bright, in units of its area: a circle's are 1/4π on the diagonal."""
    weight = np.clip((crop.mean(axis=2) - 0.1) / 0.1, 0.0, 1.0)
    y, x = np.indices(weight.shape)
    cov = np.cov(np.stack([x.ravel(), y.ravel()]), aweights=weight.ravel())
    return np.asarray(cov / weight.sum())


@pytest.mark.parametrize("aspect", [2.0, 1.33, 0.5])
def test_a_circle_is_round_in_aligned_space_whatever_the_pixels_shape(read, aspect: float):
    plain, box, crop = seen(*read(painted()))
    squeezed = painted(Window(0, 0, round(320 / aspect), 240), aspect=aspect)
    points, narrow, again = seen(*read(squeezed))
    np.testing.assert_allclose(points * (aspect, 1.0), plain, atol=0.1)
    assert np.multiply(narrow, (aspect, 1, aspect, 1)) == pytest.approx(box, abs=max(1.0, aspect))
    for picture in (crop, again):
        np.testing.assert_allclose(spread(picture), np.eye(2) / (4 * np.pi), atol=6e-4)
    np.testing.assert_allclose(again, crop, atol=0.02)


@pytest.mark.parametrize("aspect", [1.0, 2.0])
@pytest.mark.parametrize(
    ("display", "data"),
    [
        pytest.param((0, 0), (-40, -24, 400, 288), id="overscan"),
        pytest.param((0, 0), (60, 30, 230, 190), id="crop"),
        pytest.param((-200, -100), (-200, -100, 320, 240), id="negative"),
        pytest.param((1000, 540), (984, 530, 340, 270), id="display elsewhere"),
    ],
)
def test_a_face_is_where_it_is_whatever_the_windows(
    read, aspect: float, display: tuple[int, int], data: tuple[int, int, int, int]
):
    """Windows given in square pixels; the plate's own are narrower by the aspect."""

    def narrow(x: int, y: int, width: int, height: int) -> Window:
        return Window(round(x / aspect), y, round(width / aspect), height)

    plain, _, crop = seen(*read(painted(narrow(0, 0, 320, 240), aspect=aspect)))
    frame = painted(narrow(*display, 320, 240), narrow(*data), aspect)
    points, _, again = seen(*read(frame))
    np.testing.assert_allclose(points - (frame.display.x, frame.display.y), plain, atol=0.02)
    np.testing.assert_allclose(again, crop, atol=2e-3)


def test_a_face_partly_outside_the_data_window_is_cut_where_the_data_ends(read):
    search, whole = read(painted())
    points, _, crop = seen(search, whole)
    edge = Window(0, 0, 200, 240)  # the disc goes on to 230
    _, part = read(painted(DISPLAY, edge))
    alignment = align.fit(points, "whole", 160)
    cut = warp.to_aligned(part.rgb, edge, alignment)
    inside = warp.uv(alignment, DISPLAY)  # where each plate pixel lies in the crop
    columns = (inside[:, : edge.width - 4].reshape(-1, 2) * (160, -160) + (0, 160)).astype(int)
    held = columns[((columns >= 0) & (columns < 160)).all(axis=1)]
    assert len(held) > 5000
    np.testing.assert_allclose(cut[held[:, 1], held[:, 0]], crop[held[:, 1], held[:, 0]], atol=0.05)
    assert np.isfinite(cut).all()


def test_pixels_that_are_not_finite_are_counted_and_located_in_plate_coordinates(read):
    frame = painted(DISPLAY, Window(-16, -8, 352, 256))
    planes = {name: plane.copy() for name, plane in frame.planes.items()}
    planes["G"][40, 33] = np.nan
    planes["B"][40, 33] = np.inf
    planes["R"][41, 2], planes["R"][200, 300] = -np.inf, np.nan
    _, picture = read(replace(frame, planes=planes))
    assert picture.bad == Located(count=3, x=17, y=32)
    assert picture.warnings == (
        "3 pixels are not finite, first at (17, 32); the nearest finite ones stand in",
    )
    one = replace(picture, view="left", bad=Located(count=1, x=0, y=0))
    assert one.warnings[0].startswith("left: 1 pixel is not finite")
    assert np.isfinite(picture.rgb).all()


def test_what_overflows_on_the_way_to_the_working_space_counts_as_not_finite(read, colour):
    frame = painted()
    planes = {name: plane.copy() for name, plane in frame.planes.items()}
    planes["R"][7, 5] = 1000.0  # as a logarithmic code it stands for more light than a float holds
    search, _ = read(replace(frame, planes=planes))
    (picture,) = replace(search, space=colour.resolve("ARRI LogC3 (EI800)")).read(1001)
    assert picture.bad == Located(count=1, x=5, y=7)
    assert np.isfinite(picture.rgb).all()


def test_whole_numbers_are_no_picture(read):
    frame = painted()
    planes = {**frame.planes, "G": np.full((240, 320), 7, np.uint32)}
    with pytest.raises(InvalidInput, match="frame 1001: G of type uint: IDs or counts") as caught:
        read(replace(frame, planes=planes))
    assert (caught.value.field, caught.value.value) == ("channels", "G")
    read(replace(frame, planes={**frame.planes, "id": planes["G"]}))  # beside the picture they are welcome


@pytest.mark.parametrize("aspect", [0.001, 9.0, 4000.0])
def test_a_pixel_of_no_sensible_shape_is_refused(read, aspect: float):
    with pytest.raises(InvalidInput, match=f"frame 1001: pixel aspect {aspect:g}") as caught:
        read(replace(painted(), pixel_aspect=float(np.float32(aspect))))
    assert caught.value.field == "pixel_aspect"


def test_a_picture_of_luminance_alone_is_grey(read):
    """`Y` of an OpenEXR; the face in it is where it is in the same picture as R, G and B."""
    frame = painted()
    grey = np.mean([frame.planes[c] for c in "RGB"], axis=0).astype(np.float32)
    points, box, crop = seen(*read(replace(frame, planes=dict.fromkeys("RGB", grey))))
    alone, its_box, again = seen(*read(replace(frame, planes={"Y": grey})))
    np.testing.assert_array_equal(alone, points)
    assert its_box == box
    np.testing.assert_array_equal(again, crop)
    beside = replace(frame, planes={"Y": grey, "Z": grey})  # and with depth beside it
    np.testing.assert_array_equal(seen(*read(beside))[0], points)
    with pytest.raises(InvalidInput, match="no channel R; it has Z"):
        read(replace(frame, planes={"Z": grey}))


def test_points_go_to_the_plate_and_back(read):
    frame = painted(Window(-7, 11, 160, 240), aspect=2.0)
    _, picture = read(frame)
    shown = Shown.of(picture, np.zeros((240, 160, 3), np.float32))
    assert shown.proxy.shape == (240, 320, 3)
    points = np.array([(0.0, 0.0), (320.0, 240.0), (33.0, 12.5)])
    there = shown.to_plate(points)
    np.testing.assert_allclose(there[:2], [(-7.0, 11.0), (153.0, 251.0)])
    np.testing.assert_allclose(shown.to_proxy(there), points, atol=1e-9)
