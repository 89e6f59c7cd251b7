"""Descriptors: near for one person, far for two, and dlib's as dlib itself makes them."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from bench.stills import STILLS, Pose, displace
from tests.core.heads import face
from understudy.core import _plugins
from understudy.core.errors import WeightsMissing
from understudy.core.face import Alignment
from understudy.core.frames import Float
from understudy.core.identity import Describer, IdentityLook, appearance, dlib
from understudy.core.landmark import Look
from understudy.core.weights import State, WeightStore


@pytest.fixture(scope="module")
def portraits(weight_store: WeightStore) -> dict[str, list[IdentityLook]]:
    """The two performers, acting a little: smaller, brighter, turned, talking."""
    detect = _plugins.load("detect", "blazeface").create(weight_store)
    landmark = _plugins.load("landmark", "facemesh").create(weight_store)
    poses = (Pose(), Pose(yaw=8.0), Pose(pitch=5.0, smile=0.6), Pose(jaw=0.5), Pose(lean=4.0, brows=0.5))
    found: dict[str, list[IdentityLook]] = {}
    for name, still in STILLS.items():
        picture = still.load().astype(np.float32) / np.float32(255)
        y, x = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(np.float32) + np.float32(0.5)
        for gain, pose in zip((1.0, 0.8, 1.1, 0.9, 1.0), poses, strict=True):
            dx, dy = displace(still, pose, x, y)
            proxy = (cv2.remap(picture, x + dx - 0.5, y + dy - 0.5, cv2.INTER_LINEAR) * gain).clip(0.0, 1.0)
            (made,) = landmark.landmarks([Look(proxy=proxy, detection=detect.detect([proxy])[0][0])])
            points = landmark.to_68(made.landmarks).points
            found.setdefault(name, []).append(IdentityLook(proxy=proxy, points=points))
    return found


def distances(describer: Describer, looks: dict[str, list[IdentityLook]]) -> tuple[float, float]:
    """The largest distance within a person, the smallest between two."""
    a, b = (describer.describe(each) for each in looks.values())
    within = max(float(np.linalg.norm(d[:, None] - d, axis=-1).max()) for d in (a, b))
    return within, float(np.linalg.norm(a[:, None] - b, axis=-1).min())


def test_appearance_tells_two_people_apart(portraits):
    within, between = distances(appearance.Appearance(), portraits)
    assert within < appearance.SAME < between


def textured(seed: int = 0) -> Float:
    rng = np.random.default_rng(seed)
    small = rng.uniform(0.2, 0.6, (27, 48, 3)).astype(np.float32)
    return cv2.resize(small, (480, 270), interpolation=cv2.INTER_CUBIC).clip(0.0, 1.0)


POINTS = face(shift=(0.0, 0.0)) * 0.4 + (240.0, 135.0)


def encoded(linear: Float) -> Float:
    shown = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return shown.astype(np.float32)


def test_appearance_does_not_mind_exposure_size_or_place():
    describer, picture = appearance.Appearance(), textured()
    same = [IdentityLook(proxy=picture, points=POINTS)]
    linear = ((picture + 0.055) / 1.055) ** 2.4
    same += [IdentityLook(proxy=encoded(linear * gain), points=POINTS) for gain in (0.5, 1.6)]
    large = cv2.resize(picture, (1440, 810), interpolation=cv2.INTER_CUBIC).clip(0.0, 1.0)
    same.append(IdentityLook(proxy=large, points=POINTS * 3.0))
    turned = np.ascontiguousarray(np.rot90(picture))  # to the left: (x, y) lands on (y, 480 - x)
    same.append(IdentityLook(proxy=turned, points=np.stack([POINTS[:, 1], 480 - POINTS[:, 0]], axis=1)))
    found = describer.describe(same)
    assert np.linalg.norm(found - found[0], axis=1).max() < 0.2 * appearance.SAME
    other = describer.describe([IdentityLook(proxy=textured(1), points=POINTS)])
    assert np.linalg.norm(other - found[0]) > appearance.SAME


def test_appearance_alone_is_as_in_company_and_nothing_makes_it_fall():
    describer = appearance.Appearance()
    looks = [
        IdentityLook(proxy=textured(), points=POINTS),
        IdentityLook(proxy=np.zeros((270, 480, 3), np.float32), points=POINTS),
        IdentityLook(proxy=textured(), points=POINTS - (240.0, 0.0)),  # half of it outside
        IdentityLook(proxy=textured(), points=POINTS + np.array((9000.0, 0.0))),
    ]
    together = describer.describe(looks)
    for look, row in zip(looks, together, strict=True):
        np.testing.assert_array_equal(describer.describe([look])[0], row)
    assert np.isfinite(together[:3]).all()
    assert np.isnan(together[3]).all()
    assert describer.describe([]).shape == (0, together.shape[1])
    assert together.dtype == np.float32


@pytest.fixture(scope="module")
def footage(shared: Path, weight_store: WeightStore) -> dict[str, list[IdentityLook]]:
    """Six frames of each clip, spread over its first 250."""
    detect = _plugins.load("detect", "blazeface").create(weight_store)
    landmark = _plugins.load("landmark", "facemesh").create(weight_store)
    found: dict[str, list[IdentityLook]] = {}
    for path in sorted((shared / "footage").glob("*.mp4")):
        video = cv2.VideoCapture(str(path))
        for n in range(250):
            there, frame = video.read()
            if there and n % 42 == 0:
                proxy = np.ascontiguousarray(frame[..., ::-1] / np.float32(255))
                (made,) = landmark.landmarks([Look(proxy=proxy, detection=detect.detect([proxy])[0][0])])
                points = landmark.to_68(made.landmarks).points
                found.setdefault(path.stem, []).append(IdentityLook(proxy=proxy, points=points))
        video.release()
    return found


def spread(footage: dict[str, list[IdentityLook]], describer: Describer) -> tuple[float, float]:
    """The largest distance from a person's own mean, the smallest from another's."""
    rows = {name: describer.describe(looks) for name, looks in footage.items()}
    means = {name: own.mean(axis=0) for name, own in rows.items()}
    apart = {(a, b): np.linalg.norm(rows[a] - means[b], axis=1) for a in rows for b in rows}
    own = max(float(d.max()) for (a, b), d in apart.items() if a == b)
    return own, min(float(d.min()) for (a, b), d in apart.items() if a != b)


def test_appearance_over_the_clips(footage):
    own, other = spread(footage, appearance.Appearance())
    assert own < appearance.SAME < other


def test_dlib_places_a_chip_where_the_face_is():
    """The mean face itself fills the chip as dlib pads it: 0.25 of a face around it on each side."""
    points = np.zeros((68, 2))
    points[dlib._MEAN_OF_68] = (0.25 + dlib._MEAN) / 1.5 * 300.0
    at = dlib.place(points)
    centre = at.inverse @ (75.0, 75.0, 1.0)
    np.testing.assert_allclose(centre, (150.0, 150.0), atol=1e-9)
    first, last = (at.inverse @ (v, v, 1.0) for v in (0.5, 149.5))
    np.testing.assert_allclose(last - first, 299.0)  # from the centre of pixel 0 to that of pixel 299


def test_without_its_package_dlib_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(WeightsMissing, match=r"pip install understudy\[identity\]") as caught:
        dlib.create(WeightStore(tmp_path))
    assert caught.value.field == "identity"


@pytest.fixture(scope="module")
def network(weight_store: WeightStore):
    pytest.importorskip("dlib", reason="the extra [identity] is not installed")
    if weight_store.check(dlib.WEIGHTS[0]).state is not State.PRESENT:
        pytest.skip("dlib's weights are not in the cache; `understudy weights pull dlib-face` fetches them")
    return dlib.create(weight_store)


def chip_of(theirs, look: IdentityLook):
    """dlib's own cut of a face: its picture, and the face on whole pixels, as dlib takes them."""
    picture = np.rint(look.proxy * 255.0).astype(np.uint8)
    points = [theirs.point(int(x), int(y)) for x, y in look.points - 0.5]
    shape = theirs.full_object_detection(theirs.rectangle(0, 0, 9, 9), points)
    return theirs.get_face_chip(picture, shape, 150, 0.25)


def on_whole_pixels(look: IdentityLook) -> IdentityLook:
    return IdentityLook(proxy=look.proxy, points=np.floor(look.points) + 0.5)


def test_dlib_agrees_with_its_own_chips(network, portraits):
    """To 1e-2 where the chip is resampled as dlib does; 0.06 by `warp`, which does not alias."""
    import dlib as theirs

    for look in map(on_whole_pixels, (looks[0] for looks in portraits.values())):
        expected = np.array(network._network.compute_face_descriptor(chip_of(theirs, look)))
        assert np.linalg.norm(network.describe([look])[0] - expected) < 0.06
        at = dlib.place(look.points)
        if np.hypot(*at.inverse[:, 0]) < 2.0:  # from there on dlib halves the picture first
            mine = np.array(network._network.compute_face_descriptor(bilinear(look, at)))
            assert np.linalg.norm(mine - expected) < 1e-2


def bilinear(look: IdentityLook, at: Alignment):
    inverse = at.inverse
    pull = np.column_stack([inverse[:, :2], inverse @ (0.5, 0.5, 1.0) - 0.5])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(look.proxy * np.float32(255), pull, (150, 150), flags=flags).astype(np.uint8)


def test_dlib_tells_people_apart(network, portraits):
    within, between = distances(network, portraits)
    assert within < dlib.SAME < between
    looks = [look for each in portraits.values() for look in each]
    away = IdentityLook(proxy=looks[0].proxy, points=looks[0].points + 9000.0)
    found = network.describe([looks[0], away, looks[-1]])
    np.testing.assert_allclose(found[[0, 2]], network.describe([looks[0], looks[-1]]), atol=1e-5)
    assert np.isnan(found[1]).all()
    assert network.describe([]).shape == (0, 128)


def test_dlib_over_the_clips(network, footage):
    """Two of the four men and women are nearer than it says two people are; each is still nearest to themselves."""
    own, other = spread(footage, network)
    assert own < 0.8 * other
    assert own < dlib.SAME
