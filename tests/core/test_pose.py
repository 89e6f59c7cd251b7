"""Pose: what every member must do, and FSA-Net against its original and against the landmarks."""

from __future__ import annotations

import numpy as np
import pytest

from bench import parity
from tests.core.heads import face
from tests.core.landmarking import boxed, one_thread, present, still, with_shared
from understudy.core import _plugins, align
from understudy.core.errors import WeightsCorrupt
from understudy.core.landmark import Look
from understudy.core.pose import PoseLook, fsanet
from understudy.core.weights import WeightStore

NAMES = _plugins.names("pose")


@pytest.fixture(scope="module", autouse=True)
def threads():
    with one_thread():
        yield


@pytest.fixture(scope="module")
def store(weight_store, request):
    return with_shared(weight_store, request)


@pytest.fixture(scope="module", params=NAMES)
def poser(request, store):
    return made(request.param, store)


@pytest.fixture(scope="module")
def landmarker(weight_store):
    return _plugins.load("landmark", "facemesh").create(weight_store)


def made(name: str, store: WeightStore):
    if not present("pose", name, store):
        pytest.skip(f"the weights of {name} are not on this machine")
    return _plugins.load("pose", name).create(store, device="cpu")


def seen(
    landmarker, picture: np.ndarray, box: tuple[float, float, float, float], roll: float = 0.0
) -> PoseLook:
    (found,) = landmarker.landmarks([Look(proxy=picture, detection=boxed(box, roll))])
    points = landmarker.to_68(found.landmarks).points
    return PoseLook(proxy=picture, points=points, focal=1.4 * picture.shape[1])


@pytest.fixture(scope="module")
def hopper(landmarker) -> PoseLook:
    return seen(landmarker, still("hopper"), (190.0, 120.0, 345.0, 335.0))


@pytest.fixture(scope="module")
def astronaut(landmarker) -> PoseLook:
    return seen(landmarker, still("astronaut"), (178.0, 70.0, 275.0, 185.0))


def test_a_batch_is_its_members(poser, hopper, astronaut):
    together = poser.pose([hopper, astronaut])
    assert together == [*poser.pose([hopper]), *poser.pose([astronaut])]
    assert np.isfinite(together).all()
    assert poser.pose([]) == []


def test_inputs_are_not_written_to(poser, hopper):
    kept = hopper.proxy.copy(), hopper.points.copy()
    poser.pose([hopper])
    np.testing.assert_array_equal(hopper.proxy, kept[0])
    np.testing.assert_array_equal(hopper.points, kept[1])


def test_the_mirror_image_looks_and_leans_the_other_way(poser, landmarker, astronaut):
    picture = np.ascontiguousarray(astronaut.proxy[:, ::-1])
    width = picture.shape[1]
    (pitch, yaw, roll), mirrored = (
        poser.pose([astronaut])[0],
        poser.pose([seen(landmarker, picture, (width - 275.0, 70.0, width - 178.0, 185.0))])[0],
    )
    np.testing.assert_allclose(mirrored, (pitch, -yaw, -roll), atol=5.0)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_head_on_its_side_or_upside_down_leans_by_so_much_more(poser, hopper, quarters):
    pitch, yaw, roll = poser.pose([hopper])[0]
    side = hopper.proxy.shape[0]
    points, width = hopper.points, float(side)
    for _ in range(quarters):  # clockwise
        points = np.stack([width - points[:, 1], points[:, 0]], axis=1)
        width = float(hopper.proxy.shape[1]) if width == side else float(side)
    picture = np.ascontiguousarray(np.rot90(hopper.proxy, -quarters))
    found = poser.pose([PoseLook(proxy=picture, points=points, focal=hopper.focal)])[0]
    assert found[:2] == pytest.approx((pitch, yaw), abs=1.5)
    assert (found[2] - roll - 90.0 * quarters + 180.0) % 360.0 - 180.0 == pytest.approx(0.0, abs=1.5)
    assert -180.0 <= found[2] <= 180.0


def test_a_face_beyond_the_edge_has_a_pose(poser):
    points = face(20.0, 5.0, 3.0, shift=(-900.0, 40.0)).astype(np.float32)
    (found,) = poser.pose([PoseLook(proxy=np.zeros((200, 300, 3), np.float32), points=points, focal=420.0)])
    assert np.isfinite(found).all()
    partly = face(20.0, 5.0, 3.0, shift=(10.0, 40.0)).astype(np.float32)
    (found,) = poser.pose([PoseLook(proxy=still("hopper"), points=partly, focal=420.0)])
    assert np.isfinite(found).all()


def test_from_landmarks_is_align_pose(store):
    points = face(-25.0, 10.0, 7.0).astype(np.float32)
    look = PoseLook(proxy=np.zeros((1080, 1920, 3), np.float32), points=points, focal=10000.0)
    (found,) = made("landmarks", store).pose([look])
    assert found == align.pose(points, 10000.0)
    np.testing.assert_allclose(found, (10.0, -25.0, 7.0), atol=2.0)


def test_fsanet_gives_what_the_authors_models_gave(store):
    if not present("pose", "fsanet", store):
        pytest.skip("the weights of fsanet are not on this machine")
    rows = parity.fsanet_(store)
    assert len(rows) == 2
    for row in rows:
        assert row.difference <= row.limit, row


def test_fsanet_refuses_what_is_no_file_of_its_own(tmp_path):
    file = tmp_path / "weights.h5"
    file.write_bytes(b"no HDF5" * 50)
    with pytest.raises(WeightsCorrupt, match=r"weights\.h5"):
        fsanet.load(file)
    h5py = pytest.importorskip("h5py")
    with h5py.File(file, "w") as other:
        other["ssr_G_model/conv2d_1/kernel:0"] = np.zeros((1, 1, 128, 64), np.float32)
    with pytest.raises(WeightsCorrupt, match="it lacks"):
        fsanet.load(file)


def test_fsanet_sees_the_face_with_margins_and_all_of_the_range(hopper):
    crop = fsanet.crop(hopper)
    assert crop is not None
    assert crop.shape == (64, 64, 3)
    assert crop.dtype == np.float32
    assert crop.min() == pytest.approx(0.0, abs=1e-4)
    assert crop.max() == pytest.approx(255.0)
    flat = PoseLook(proxy=np.full((300, 300, 3), 0.5, np.float32), points=hopper.points / 3, focal=400.0)
    even = fsanet.crop(flat)
    assert even is not None
    assert np.isfinite(even).all()


@pytest.mark.parametrize(
    ("clip", "step"), [("performer_a", 97), ("performer_b", 168), ("plate_office_720p", 70)]
)
def test_fsanet_turns_as_the_landmarks_do(store, landmarker, shared, clip, step):
    """On real performances: the same signs, nearly the same angles; pitch but for where each has its zero."""
    av = pytest.importorskip("av")
    network, points = made("fsanet", store), made("landmarks", store)
    detector = _plugins.load("detect", "blazeface").create(store)
    looks = []
    with av.open(str(shared / "footage" / f"{clip}.mp4")) as container:
        for i, frame in enumerate(container.decode(video=0)):
            if i % step == 0:
                picture = frame.to_ndarray(format="rgb24").astype(np.float32) / 255.0
                looks.append(seen(landmarker, picture, detector.detect([picture])[0][0].box))
    ours, theirs = np.array(network.pose(looks)), np.array(points.pose(looks))
    off = np.abs(ours - theirs)
    assert off[:, 1].mean() < 5.0
    assert off[:, 2].mean() < 6.0
    assert off[:, 0].mean() < 10.0
    turned = np.abs(theirs[:, 1]) > 8.0
    assert (np.sign(ours[turned, 1]) == np.sign(theirs[turned, 1])).all()
    if np.ptp(theirs[:, 0]) > 5.0:
        assert np.corrcoef(ours[:, 0], theirs[:, 0])[0, 1] > 0.4
