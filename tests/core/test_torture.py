"""Every plate of the torture set through a merge with a small model, and every promise looked at by itself.

`python -m pytest tests -k torture` prints the table: plate × promise.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import OpenEXR
import pytest

from tests.core import shots
from tests.core.torture_bench import GAIN, LINEAR, PICTURES, Merged, bits, one_thread
from tests.core.torture_files import dpx_head, exr_parts
from understudy.core import _plugins, plate, verify
from understudy.core.errors import InvalidInput, UnderstudyError
from understudy.core.frames import Frame, FrameRange
from understudy.core.merge import shot
from understudy.core.merge.recipe import Curve
from understudy.core.plate import LOSSLESS, TIMECODE_KEY, Template, torture
from understudy.core.plate.timing import KEYCODE_KEY
from understudy.core.plate.torture.scene import VALUES
from understudy.core.reports import Artifact, FrameReport, FrameStatus, Started

COLOUR = ("R", "G", "B")
BRIGHTEST = 64.0 / GAIN  # of the swap space's curve
BLENDS, MATCHES = _plugins.names("blend"), _plugins.names("match")
FINISH = {"grain": Curve.constant(1.0), "motion_blur": Curve.constant(0.5), "sharpen": Curve.constant(1.0)}


class Promises:
    """One row of the table; a broken promise does not hide the next."""

    def __init__(self, row: dict[str, str]) -> None:
        self.row = row
        self.broken: list[str] = []

    @contextmanager
    def keeps(self, name: str) -> Iterator[None]:
        try:
            yield
        except (AssertionError, UnderstudyError, KeyError, ValueError) as error:
            self.row[name] = "BROKEN"
            self.broken.append(f"{name}: {type(error).__name__}: {error}")
        else:
            self.row.setdefault(name, "ok")


@pytest.mark.parametrize("name", torture.names())
def test_torture(name, torture_bench, torture_table):
    row = torture_table.setdefault(name, {})
    done = torture_bench.merged(name)
    promises = Promises(row)
    with promises.keeps("frames"):
        frames(done)
    for number in done.entry["frames"]:
        for theirs, ours in done.files(number):
            with promises.keeps("header"):
                header(done, theirs, ours)
            with promises.keeps("channels"):
                channels(done, plate.read_file(theirs, number), plate.read_file(ours, number))
            with promises.keeps("codec"):
                codec(done, theirs, ours)
        for view in done.views:
            theirs, ours = done.pair(number, view)
            with promises.keeps("windows"):
                windows(done, theirs, ours)
            with promises.keeps("outside"):
                outside(done, theirs, ours, torture_bench.colour)
            if done.shown:
                with promises.keeps("mix"):
                    mix(done, theirs, ours, torture_bench.colour)
                with promises.keeps("finite"):
                    finite(done, theirs, ours)
            if done.shown and hot(done, theirs, ours).any():
                with promises.keeps("hot"):
                    highlights(done, theirs, ours)
    with promises.keeps("verify"):
        proven(done, torture_bench.colour)
    assert not promises.broken, "\n".join(dict.fromkeys(promises.broken))


def frames(done: Merged) -> None:
    expected = done.settings.plate.template.path(1).name.replace("0001", "")
    assert done.settings.out.path(1).name.replace("0001", "") == expected
    made = {path.name for number in done.entry["frames"] for _, path in done.files(number)}
    on_disk = {p.name for p in done.settings.out.directory.glob(f"*{done.settings.out.extension}")}
    assert on_disk == made
    statuses = {r.frame: r.status for r in done.frames}
    face = FrameStatus.DONE if done.shown else FrameStatus.NO_FACE
    assert statuses == {
        **dict.fromkeys(done.entry["missing"], FrameStatus.MISSING),
        **dict.fromkeys(done.entry["frames"], face),
    }, [r.message for r in done.frames]


def windows(done: Merged, theirs: Frame, ours: Frame) -> None:
    assert (ours.display, ours.data) == (theirs.display, theirs.data)
    assert struct.pack("<f", ours.pixel_aspect) == struct.pack("<f", theirs.pixel_aspect)
    entry = done.entry
    assert np.float32(theirs.pixel_aspect) == np.float32(entry["pixel_aspect"])
    for which in ("display", "data"):
        window = getattr(theirs, which)
        assert [window.x, window.y, window.width, window.height] == entry[which]


def header(done: Merged, theirs: Path, ours: Path) -> None:
    """Types and bytes of every attribute; of a DPX every byte before the picture."""
    if done.settings.dpx:
        assert dpx_head(theirs) == dpx_head(ours)
        return
    for before, after in zip(exr_parts(theirs), exr_parts(ours), strict=False):
        for key, value in before.kept().items():
            if key in done.entry["must_go"]:
                assert key not in after.attributes, f"{key} came along"
            else:
                found = after.attributes.get(key)
                assert found == value, f"{before.name} {key}: {found} instead of {value}"
        added = set(after.kept()) - set(before.attributes)
        assert all(key.startswith("understudy/") for key in added), f"made up: {sorted(added)}"


def channels(done: Merged, theirs: Frame, ours: Frame) -> None:
    """All that is not the picture: parts, their names, channels, types and bits."""
    others, mine = (theirs, *theirs.others), (ours, *ours.others)
    assert len(mine) >= len(others)
    pictures = PICTURES.get(done.entry["name"], {0})
    for index, (before, after) in enumerate(zip(others, mine, strict=False)):
        assert (after.name, after.data, after.display) == (before.name, before.data, before.display)
        for name, plane in before.planes.items():
            assert after.planes[name].dtype == plane.dtype or name in COLOUR, f"{before.name} {name}: type"
            is_picture = name in COLOUR or name in ("right.R", "right.G", "right.B")
            if not (is_picture and index in pictures):
                assert (bits(after.planes[name]) == bits(plane)).all(), f"{before.name} {name}: bits"


def codec(done: Merged, theirs: Path, ours: Path) -> None:
    """Lossless, the plate's own where that is; and it is said where the plate was not."""
    warned = "LOSSY_PLATE" in {w.reason for w in done.warned}
    assert warned == done.entry["lossy"], [w.message for w in done.warned]
    if done.settings.dpx:
        return
    for before, after in zip(exr_parts(theirs), exr_parts(ours), strict=False):
        assert after.codec in LOSSLESS
        assert after.codec == before.codec or before.codec not in LOSSLESS


def ground(done: Merged, theirs: Frame, colour) -> dict[str, np.ndarray]:
    """What the picture is where nothing was swapped: the plate's bits, or those made linear."""
    if done.settings.dpx or done.entry["colour_space"] in LINEAR:
        return {c: theirs.planes[c] for c in COLOUR}
    linear = np.clip(colour.to_working(theirs.rgb(), done.entry["colour_space"]), -65504.0, 65504.0)
    return {c: linear[..., i].astype(theirs.planes[c].dtype) for i, c in enumerate(COLOUR)}


def outside(done: Merged, theirs: Frame, ours: Frame, colour) -> None:
    matte = ours.planes["mask_blend.A"]
    assert (matte == 0).mean() > 0.3
    assert (matte > 0.5).any() == done.shown
    for name, plane in ground(done, theirs, colour).items():
        found = ours.planes[name]
        assert found.dtype == plane.dtype
        assert (bits(found) == bits(plane))[matte == 0].all(), f"{name} outside the matte"


def mix(done: Merged, theirs: Frame, ours: Frame, colour) -> None:
    """The published rule in double precision; and the picture has changed at all."""
    matte = ours.planes["mask_blend.A"].astype(np.float64)
    inside = matte > 0
    grounds = ground(done, theirs, colour)
    changed = np.stack([bits(ours.planes[c]) != bits(grounds[c]) for c in COLOUR])[:, matte > 0.5]
    assert changed.any(axis=0).mean() > 0.9
    if done.settings.dpx:
        return  # codes: the rule holds in linear light, which `verify` repeats
    for name, plane in grounds.items():
        found, face = ours.planes[name], ours.planes[f"face.{name}"].astype(np.float64)[inside]
        with np.errstate(invalid="ignore"):  # of signalling NaN
            start = plane[inside].astype(np.float64)
            mixed = np.where(np.isfinite(start), start * (1 - matte[inside]) + face * matte[inside], face)
        unit = np.spacing(np.abs(mixed).astype(found.dtype)).astype(np.float64)
        terms = np.abs(np.nan_to_num(start, posinf=0.0, neginf=0.0)) + np.abs(face)
        unit += np.finfo(np.float32).eps * terms  # the rule itself is worked out in float32
        assert (np.abs(found[inside].astype(np.float64) - mixed) <= unit).all(), name


def finite(done: Merged, theirs: Frame, ours: Frame) -> None:
    inside = ours.planes["mask_blend.A"] > 0
    assert np.isfinite(ours.rgb()[inside]).all()
    holes = ~np.isfinite(theirs.rgb()).all(axis=-1) & inside
    assert holes.any() == done.entry["non_finite"]
    said = " ".join(w for r in done.frames for w in r.warnings)
    assert ("not finite" in said) == done.entry["non_finite"], said


def hot(done: Merged, theirs: Frame, ours: Frame):
    """Where the plate is brighter than the network can say, well inside the matte."""
    if done.settings.dpx or done.entry["colour_space"] != "ACEScg" or done.entry["non_finite"]:
        return np.zeros(1, bool)
    return (ours.planes["mask_blend.A"] > 0.9) & (theirs.rgb().max(axis=-1) > 1.5 * BRIGHTEST)


def highlights(done: Merged, theirs: Frame, ours: Frame) -> None:
    """There the face keeps the plate's ratio to the brightest that could be said."""
    where = hot(done, theirs, ours)
    ratio = theirs.rgb().max(axis=-1)[where] / BRIGHTEST
    for name in COLOUR:
        raw, face = (
            ours.planes[f"{layer}.{name}"].astype(np.float32)[where] for layer in ("face_raw", "face")
        )
        np.testing.assert_allclose(face, raw * ratio, rtol=5e-3)


def proven(done: Merged, colour) -> None:
    asked = FrameRange.from_frames(done.entry["frames"])
    work = verify.run(done.settings.out, asked, colour=colour)
    said = {r.frame: (r.status, r.message) for r in work if isinstance(r, FrameReport)}
    assert said == dict.fromkeys(done.entry["frames"], (FrameStatus.DONE, ""))


@pytest.mark.parametrize(
    "name", ["dpx8_packed_big", "dpx10_a_little", "dpx12_a_big", "dpx16_a_little", "dpx_anamorphic"]
)
def test_torture_dpx_to_openexr(name, torture_bench, colour, tmp_path):
    """What a compositor gets by default of a DPX plate: linear, with the layers in one file, and proven."""
    settings = torture_bench.merged(name).settings
    out = Template.parse(str(tmp_path / f"{name}.####.exr"))
    statuses = {
        r.status for r in shot.run(replace(settings, out=out), colour=colour) if isinstance(r, FrameReport)
    }
    assert statuses == {FrameStatus.DONE}
    said = [(r.status, r.message) for r in verify.run(out, colour=colour) if isinstance(r, FrameReport)]
    assert said == [(FrameStatus.DONE, "")] * 2
    theirs, ours = plate.read(settings.plate.template, 1001), plate.read(out, 1001)
    assert (ours.display, ours.data, ours.pixel_aspect) == (theirs.display, theirs.data, theirs.pixel_aspect)
    for key in (TIMECODE_KEY, KEYCODE_KEY, "dpx:FrameId", "dpx:InputDevice"):
        assert ours.metadata[key.replace("dpx:", "dpx/")] == theirs.metadata[key], key
    outside = ours.planes["mask_blend.A"] == 0
    linear = colour.to_working(theirs.rgb(), settings.plate.colour_space)
    if settings.plate.colour_space in LINEAR:
        linear = theirs.rgb()
    np.testing.assert_allclose(ours.rgb()[outside], linear[outside], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "blend", "match"),
    [
        (name, BLENDS[i % len(BLENDS)], MATCHES[i // len(BLENDS) % len(MATCHES)])
        for i, name in enumerate(torture.names())
    ],
)
def test_torture_other_looks(name, blend, match, torture_bench, colour, tmp_path):
    """Each blend on every ninth plate, each time with another match, the finish on: proven by verify."""
    usual = torture_bench.merged(name)
    settings = replace(usual.settings, out=replace(usual.settings.out, directory=tmp_path))
    done = replace(usual, settings=shots.keyed(settings, blend=blend, match=match, **FINISH), reports=[])
    with one_thread():
        done.reports.extend(shot.run(done.settings, colour=colour))
    frames(done)
    proven(done, colour)


@pytest.mark.parametrize("name", torture.refused())
def test_torture_refused(name, torture_bench, torture_table):
    """By name, with the reason, and with nothing written."""
    entry = torture_bench.entries[name]
    row = torture_table.setdefault(f"refused/{name}", {})
    row["refused"] = "BROKEN"
    settings = torture_bench.settings(name)
    try:
        work = shot.run(torture_bench.facing(settings, "zips_half"), colour=torture_bench.colour)
        said = [r.message for r in work if isinstance(r, FrameReport) and r.status is FrameStatus.FAILED]
    except UnderstudyError as error:
        said = [error.message]
    assert len(said) == 1
    assert entry["refused"].lower() in said[0].lower()
    assert any(place in said[0] for place in (f"{name}.1001", f"{name}.####"))
    assert not list(settings.out.directory.glob("*.*x*"))
    row["refused"] = "ok"


def broken(change, done: Merged, tmp_path: Path) -> list[str]:
    """Which looks at the first frame fail, once `change` has altered a copy of the output's bytes."""
    number = done.entry["frames"][0]
    ((theirs, ours),) = done.files(number)
    copy = tmp_path / ours.name
    copy.write_bytes(change(ours.read_bytes()))
    promises = Promises({})
    with promises.keeps("header"):
        header(done, theirs, copy)
    with promises.keeps("codec"):
        codec(done, theirs, copy)
    return [name for name, state in promises.row.items() if state == "BROKEN"]


def test_torture_looks_see_what_is_wrong(tmp_path, torture_bench):
    """One bit of a time code, of a vendor's double, of a window; another codec."""
    done = torture_bench.merged("vendor_types")
    double = struct.pack("<d", 0.1)
    assert broken(lambda b: b, done, tmp_path) == []
    assert broken(lambda b: b.replace(double, struct.pack("<d", 0.2), 1), done, tmp_path) == ["header"]
    assert broken(lambda b: b.replace(b"acme/v3i", b"acme/v3x", 1), done, tmp_path) == ["header"]
    assert broken(lambda b: b.replace(b"m33f\0m33f", b"m33f\0m33e", 1), done, tmp_path) == ["header"]
    lossy = (b"compression\0compression\0\1\0\0\0" + bytes([code]) for code in (2, 5))
    assert broken(lambda b: b.replace(next(lossy), next(lossy), 1), done, tmp_path) == ["codec"]


def test_torture_looks_see_one_bit_outside_and_two_inside(torture_bench, colour):
    done = torture_bench.merged("zips_half")
    theirs, ours = done.pair(1001, "")
    matte = ours.planes["mask_blend.A"]

    def nudged(where, by: int):
        plane = ours.planes["G"].copy()
        row, column = np.argwhere(where)[0]
        plane.view(np.uint16)[row, column] += by
        return ours.with_planes({**ours.planes, "G": plane})

    with pytest.raises(AssertionError, match="G outside the matte"):
        outside(done, theirs, nudged(matte == 0, 1), colour)
    with pytest.raises(AssertionError, match="G"):
        mix(done, theirs, nudged((matte > 0.3) & (ours.planes["G"] > 0.1), 2), colour)


def test_torture_set_is_the_same_every_time_and_again_writes_nothing(tmp_path, torture_bench):
    def contents(folder: Path) -> dict[Path, bytes]:
        files = (path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder): hashlib.sha256(path.read_bytes()).digest() for path in files}

    assert torture_bench.entries
    there = torture_bench.root / "set"
    before = {path: path.stat().st_mtime_ns for path in there.rglob("*")}
    reports = list(torture.run(there))
    assert {path: path.stat().st_mtime_ns for path in there.rglob("*")} == before
    list(torture.run(tmp_path))
    assert contents(tmp_path) == contents(there)
    made = [r for r in reports if isinstance(r, Artifact) and r.kind == "plate"]
    assert reports[0] == Started(total=len(made), unit="plate")
    assert len(made) == len(torture.names()) + len(torture.refused())


def test_torture_set_leaves_other_peoples_files_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InvalidInput, match="holds files that are no torture set"):
        list(torture.run(tmp_path))
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_torture_set_shows_what_it_says(torture_bench):
    """The strip of exact values, and eyes, mouth and skin where the landmarks are."""
    entry = torture_bench.entries["zips_float"]
    path = torture_bench.root / "set" / entry["pattern"].replace("####", "1002")
    planes = OpenEXR.File(str(path), separate_channels=True).channels()
    values = planes["G"].pixels[180, 15 : 15 + 10 * len(VALUES) : 10]
    assert (bits(values) == bits(np.array(VALUES, np.float32))).all()
    points = np.array(entry["landmarks"][""]["1002"])
    colour = {
        part: [float(planes[c].pixels[int(y), int(x)]) for c in COLOUR]
        for part, (x, y) in {
            "mouth": points[60:68].mean(axis=0),
            "cheek": (points[4] + points[48]) / 2,
            "brow": points[19],
            "iris": points[36:42].mean(axis=0) + np.array([1.4, 0.0]),
        }.items()
    }
    assert max(colour["mouth"]) < 0.1
    assert max(colour["brow"]) < 0.1
    assert colour["cheek"][0] > colour["cheek"][1] > colour["cheek"][2] > 0.05
    assert colour["iris"][2] > 2 * colour["iris"][0]


@pytest.mark.parametrize(
    ("name", "aspect"), [("anamorphic_2", 2.0), ("anamorphic_133", 4 / 3), ("zips_half", 1.0)]
)
def test_torture_rings_are_round_once_unsqueezed(torture_bench, name, aspect):
    entry = torture_bench.entries[name]
    path = torture_bench.root / "set" / entry["pattern"].replace("####", "1001")
    green = OpenEXR.File(str(path), separate_channels=True).channels()["G"].pixels
    across = np.flatnonzero(green[34, round(197 / aspect) : round(247 / aspect)] < 0.2)
    down = np.flatnonzero(green[9:59, round(222 / aspect)] < 0.2)
    assert abs(np.ptp(across) * aspect - np.ptp(down)) <= 1.5 * aspect
    assert 44 <= np.ptp(down) <= 50
