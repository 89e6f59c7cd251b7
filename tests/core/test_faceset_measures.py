"""Measures: what is measured once is kept, found again, and what changed is measured again."""

from __future__ import annotations

import math
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.core.looks import add, measured, measuring, portrait
from understudy.core import plate
from understudy.core.errors import InvalidInput, NoFace, NotFound, NotMeasured
from understudy.core.faceset import Faceset, measures, order, pack, reference
from understudy.core.faceset.measured import Table, folder_of
from understudy.core.faceset.measures import MeasureSettings
from understudy.core.reports import Advanced, Started, Warned


def run(folder: Path, colour, **settings) -> list:
    return list(measuring(folder, colour, **settings))


def started(reports: list) -> Started:
    return next(r for r in reports if isinstance(r, Started))


@pytest.fixture
def folder(tmp_path):
    for i in range(6):
        add(tmp_path / "faces", 1001 + i, portrait(i, blur=0.6 * i))
    return tmp_path / "faces"


def test_each_face_is_measured_once(folder, colour):
    first = run(folder, colour)
    assert (started(first).total, started(first).skipped) == (6, 0)
    assert first[-1] == Advanced(done=6)
    again = run(folder, colour)
    assert (started(again).total, started(again).skipped) == (6, 6)
    assert not [r for r in again if isinstance(r, Advanced)]
    blur = measures.measured(Faceset.open(folder))["blur"]
    assert np.isfinite(blur).all()
    assert blur[0] > blur[2] > blur[5]


def test_before_that_nothing_is_known_and_the_error_says_what_to_run(folder):
    faceset = Faceset.open(folder)
    assert np.isnan(measures.measured(faceset)["blur"]).all()
    with pytest.raises(
        NotMeasured,
        match=f"blur: not measured for 6 of the 6 .*understudy faceset measure {re.escape(str(folder))}",
    ):
        order.values(faceset, "blur")
    assert "blur" not in order.available(faceset)
    assert "yaw" in order.available(faceset)


def test_a_changed_face_is_measured_again_and_a_new_one_too(folder, colour):
    run(folder, colour)
    before = measures.measured(Faceset.open(folder))["brightness"]
    changed = Faceset.open(folder).records[2].path
    add(folder, 1003, portrait(2, level=0.9))
    os.utime(changed, ns=(1, 1))  # whatever the resolution of the disk's clock
    add(folder, 1099)
    with pytest.raises(NotMeasured, match="2 of the 7"):
        order.values(Faceset.open(folder), "blur")
    assert started(run(folder, colour)).skipped == 5
    after = measures.measured(Faceset.open(folder))["brightness"]
    assert after[2] > before[2] + 0.1
    np.testing.assert_array_equal(np.delete(after[:6], 2), np.delete(before, 2))


def test_who_cancels_keeps_what_was_measured(folder, colour):
    for i in range(70):
        add(folder, 2001 + i, portrait(i))
    work = measuring(folder, colour)
    done = next(r for r in work if isinstance(r, Advanced)).done
    work.close()
    assert 0 < done < 76
    assert started(run(folder, colour)).skipped >= done
    assert Table(Faceset.open(folder), measures.GROUP).known.all()


def test_files_are_put_together_and_nothing_stale_stays(folder, colour, monkeypatch):
    monkeypatch.setattr(measures, "_FLUSH", 2)
    run(folder, colour)
    table = Table(Faceset.open(folder), measures.GROUP)
    assert len(table.files()) == 1
    once = measures.measured(table.faceset)
    table.files()[0].unlink()
    monkeypatch.setattr(measures, "_FLUSH", 512)
    run(folder, colour)
    for name, numbers in measures.measured(Faceset.open(folder)).items():
        np.testing.assert_array_equal(numbers, once[name], err_msg=name)


def test_what_another_process_measured_of_new_faces_meanwhile_stays(folder, colour):
    work = measuring(folder, colour)
    next(work)
    add(folder, 2001)
    run(folder, colour)
    list(work)
    assert Table(Faceset.open(folder), measures.GROUP).known.all()


@pytest.mark.parametrize("harm", ["truncated", "foreign", "empty", "method", "encrypted"])
def test_a_broken_table_is_measured_again(folder, colour, harm):
    run(folder, colour)
    (file,) = Table(Faceset.open(folder), measures.GROUP).files()
    whole = file.read_bytes()
    if harm == "foreign":
        with file.open("wb") as out:
            np.savez(out, version=np.array(99))
    elif harm in ("method", "encrypted"):  # a flipped bit in an entry of the archive's directory
        at = whole.index(b"PK\x01\x02") + (10 if harm == "method" else 8)
        while at > 9:  # of every entry
            whole = whole[:at] + bytes([whole[at] | 1]) + whole[at + 1 :]
            at = whole.find(b"PK\x01\x02", at) + (10 if harm == "method" else 8)
        file.write_bytes(whole)
    else:
        file.write_bytes(whole[: len(whole) // 2] if harm == "truncated" else b"")
    assert started(run(folder, colour)).skipped == 0
    assert order.values(Faceset.open(folder), "blur").shape == (6,)


def test_the_index_is_hidden_and_disposable(folder, colour):
    run(folder, colour)
    assert folder_of(folder) == folder / ".index/measures"
    shutil.rmtree(folder / ".index")
    assert started(run(folder, colour)).skipped == 0


def test_a_broken_face_is_warned_of_and_comes_last(folder, colour):
    file = folder / "shot_t0.1002.exr"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    faceset = Faceset.open(folder)
    if len(faceset.records) < 6:
        pytest.skip("this index already leaves truncated files out")
    reports = run(folder, colour)
    (warned,) = [r for r in reports if isinstance(r, Warned)]
    assert warned.reason == "FRAME_UNREADABLE"
    assert "shot_t0.1002.exr" in warned.message
    for key in ("blur", "hist", "absolute", "hist_dissim", "best"):
        values = order.values(Faceset.open(folder), key)
        assert np.flatnonzero(np.isnan(values)).tolist() == [1], key
        assert order.order(Faceset.open(folder), key)[-1] == 1
        assert order.order(Faceset.open(folder), key, reverse=True)[-1] == 1


def test_numbers_are_those_of_the_proxy(tmp_path, colour):
    grey = np.full((128, 128, 3), 0.18, np.float32)
    red = grey * np.array([2.0, 0.4, 0.4], np.float32)
    black = grey.copy()
    black[:16] = 0.0
    for i, picture in enumerate((grey, red, black, 2 * grey)):
        add(tmp_path, 1001 + i, picture)
    found = measures.measured(measured(tmp_path, colour))
    code = float(colour.proxy(grey)[0, 0, 0])
    assert found["brightness"][0] == pytest.approx(code, abs=0.003)
    assert found["luma"][0] == pytest.approx(code, abs=0.003)
    assert found["luma"][3] > found["luma"][0] + 0.1
    assert found["black"].tolist() == [0, 0, 16 * 128 * 3, 0]
    assert abs(found["orange"][0]) < 0.005 < 0.1 < found["orange"][1]
    assert abs(found["green"][0]) < 0.005
    assert found["green"][1] < -0.02
    assert abs(found["hue"][1]) < 20
    assert found["blur"][0] == 0.0


def test_hue_does_not_tear_at_red(tmp_path, colour):
    """Two reds, one a little yellow, one a little magenta, have red between them, not cyan."""
    for i, tint in enumerate(((1.0, 0.25, 0.2), (1.0, 0.2, 0.25))):
        add(tmp_path, 1001 + i, np.full((128, 128, 3), 0.3, np.float32) * np.array(tint, np.float32))
    hue = measures.measured(measured(tmp_path, colour))["hue"]
    assert hue[1] < hue[0]
    assert hue[0] - hue[1] < 40
    assert np.abs(hue).max() < 40


def test_nan_and_light_beyond_range_are_measured(tmp_path, colour):
    picture = portrait(1)
    picture[60, 60] = np.nan
    picture[20:30, 20:30] = 9000.0
    picture[0, 0] = -3.0
    add(tmp_path, 1001, np.nan_to_num(picture, nan=0.0))
    add(tmp_path, 1002, picture)
    found = measures.measured(measured(tmp_path, colour))
    assert all(np.isfinite(numbers).all() for numbers in found.values())


def test_crops_smaller_than_a_thumbnail(colour):
    small = (np.random.default_rng(0).random((20, 20, 3)) * 255).astype(np.uint8)
    points = np.random.default_rng(1).random((68, 2)) * 20
    row = measures.measure(small, points)
    assert row["thumbnail"].shape == (32, 32)
    assert row["numbers"][measures.NUMBERS.index("blur")] == 0.0


def test_histograms_are_deepfacelabs(shared):
    golden = np.load(shared / "golden/dfl/sort.npz")
    rows = [
        measures.measure(image[..., ::-1], golden["landmarks"])["colours"] for image in golden["images_u8"]
    ]
    roots = order.roots(np.stack(rows))
    products = np.einsum("icb,jcb->ijc", roots, roots)
    ours = np.sqrt(np.maximum(1.0 - products, 0.0)).sum(axis=2)
    np.testing.assert_allclose(ours, golden["hist_bhattacharyya_bgr_sum"], atol=3e-3)
    # to the bit but for the halves that are stored
    counts = [
        [cv2.calcHist([im[..., c]], [0], None, [256], [0, 256]) for c in range(3)]
        for im in golden["images_u8"]
    ]
    exact = [[sum(cv2.compareHist(a, b, cv2.HISTCMP_BHATTACHARYYA) for a, b in zip(x, y, strict=True))
              for y in counts] for x in counts]  # fmt: skip
    np.testing.assert_allclose(exact, golden["hist_bhattacharyya_bgr_sum"], atol=1e-9)


def test_distances_to_a_reference_face(tmp_path, colour):
    folder = tmp_path / "faces"
    for i, seed in enumerate((5, 6, 5, 7)):
        add(folder, 1001 + i, portrait(seed))
    with pytest.raises(InvalidInput, match="name a picture"):
        run(folder, colour, keys=("reference",))
    with pytest.raises(NotMeasured, match="--reference PICTURE"):
        order.values(Faceset.open(folder), "reference")
    run(folder, colour, keys=("reference",), reference=folder / "shot_t0.1001.exr")
    faceset = Faceset.open(folder)
    distances = order.values(faceset, "reference")
    assert distances[0] == distances[2] == 0.0
    assert min(distances[[1, 3]]) > 0.05
    assert "reference" in order.available(faceset)
    assert "blur" not in order.available(faceset)  # faces were described, not looked at
    run(
        folder, colour, reference=folder / "shot_t0.1002.exr"
    )  # descriptors are kept, only the reference is new
    assert order.values(Faceset.open(folder), "reference")[1] == 0.0
    assert "blur" in order.available(Faceset.open(folder))
    kept = reference.kept(folder)
    assert kept is not None
    assert kept.source == str(folder / "shot_t0.1002.exr")


def test_the_reference_may_be_a_picture(tmp_path, clips, colour, weight_store):
    frame = plate.read_file(Path(clips.src % 1001), 1001)
    proxy = colour.proxy(colour.to_working(frame.rgb(), clips.colour_space), 1.0)
    picture = tmp_path / "reference.png"
    cv2.imwrite(str(picture), np.rint(proxy[..., ::-1] * 255).astype(np.uint8))
    look = reference.look(picture, weight_store, colour)
    low, high = look.points.min(axis=0), look.points.max(axis=0)
    assert (high - low > 40).all()
    cv2.imwrite(str(picture), np.rint(np.hstack([proxy, proxy])[..., ::-1] * 255).astype(np.uint8))
    with pytest.raises(InvalidInput, match="2 faces"):
        reference.look(picture, weight_store, colour)
    cv2.imwrite(str(picture), np.full((240, 320, 3), 90, np.uint8))
    with pytest.raises(InvalidInput, match="no face"):
        reference.look(picture, weight_store, colour)


def test_refusals(tmp_path, colour):
    with pytest.raises(InvalidInput, match="no sort key is called 'beauty'; there are frame, name"):
        MeasureSettings(faceset=tmp_path, keys=("beauty",))
    with pytest.raises(InvalidInput, match="no identity is called 'fingerprint'"):
        MeasureSettings(faceset=tmp_path, identity="fingerprint")
    with pytest.raises(NotFound):
        run(tmp_path / "none", colour)
    with pytest.raises(NoFace):
        run(tmp_path, colour)
    add(tmp_path, 1001)
    with pytest.raises(NotFound, match="reference"):
        run(tmp_path, colour, reference=tmp_path / "none.png")


def test_a_face_outside_of_the_crop_has_no_hull(tmp_path, colour):
    add(tmp_path, 1001)
    record = Faceset.open(tmp_path).records[0]
    away = replace(record.alignment, matrix=record.alignment.matrix + np.array([[0, 0, 1e4], [0, 0, 1e4]]))
    from understudy.core import faceset

    faceset.write(replace(record, alignment=away), portrait(1))
    found = measures.measured(measured(tmp_path, colour))
    assert found["luma"].tolist() == [0.0]
    assert math.isfinite(found["blur"][0])
    assert np.isfinite(order.values(Faceset.open(tmp_path), "hist_dissim")).all()


def test_a_pack_is_measured_beside_itself_and_gives_the_same_numbers(folder, tmp_path, colour):
    run(folder, colour)
    out = tmp_path / "packs/faces.faceset"
    assert list(pack.pack(pack.PackSettings(faceset=folder, out=out)))
    whole = out.read_bytes()
    assert started(run(out, colour)).skipped == 0
    assert folder_of(out) == tmp_path / "packs/.faces.faceset.index/measures"
    assert started(run(out, colour)).skipped == 6
    assert out.read_bytes() == whole
    ours, theirs = measures.measured(Faceset.open(out)), measures.measured(Faceset.open(folder))
    for name in measures.NUMBERS:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
