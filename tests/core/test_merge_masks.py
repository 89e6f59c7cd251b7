"""The mask of a merge: mattes by name, what is before the face, and what a segmenter says of it."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tests.core import segmenting, shots
from tests.core.masking import ALL, FIRST, LEFT, SIDE, face_of, give, label, layer, masked
from tests.core.merging import bits, made, reports, statuses, verified, warned
from understudy.core import _plugins, plate
from understudy.core.errors import InvalidInput, NotFound
from understudy.core.faceset import Faceset
from understudy.core.faceset.polygons import Polygon
from understudy.core.frames import FrameRange
from understudy.core.merge import expression, headers
from understudy.core.merge.expression import parse
from understudy.core.merge.manifest import Manifest
from understudy.core.merge.masking import Masker, Occlusion
from understudy.core.model import swap
from understudy.core.reports import FrameStatus
from understudy.core.segment import network


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return shots.tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def scene(tmp_path):
    """Two frames."""
    return shots.make(tmp_path, numbers=[FIRST, FIRST + 1], without_face=[])


@pytest.fixture
def bright(monkeypatch):
    """Whatever folder is named, the segmenter that takes bright pixels for face."""
    monkeypatch.setattr(network, "load", lambda path, device="auto": segmenting.segmenter())


@pytest.fixture
def mirror(monkeypatch):
    """The swap network that gives back what it sees."""
    monkeypatch.setattr(swap, "load", lambda *_: shots.Mirror(64))


class TestNames:
    def test_every_name_is_a_layer_and_the_mask_is_what_comes_of_them(self, scene, model, colour):
        settings = masked(scene, model, "min(eyes + mouth, dst)")
        assert set(statuses(settings, colour).values()) == {"done"}
        assert verified(settings, colour) == {""}
        ours = made(settings)
        mine = [f"mask_{n}" for n in ("blend", "dst", "eyes", "face", "hull", "mouth", "valid")]
        assert [n for n in settings.shown() if n.startswith("mask_")] == mine
        assert ours.metadata[headers.LAYERS] == ",".join(settings.shown())
        eyes, mouth, dst = (layer(settings, f"mask_{name}") for name in ("eyes", "mouth", "dst"))
        expected = np.minimum(np.minimum(eyes + mouth, 1.0), dst) * layer(settings, "mask_valid")
        assert expected.max() > 0.5
        np.testing.assert_allclose(layer(settings, "mask_blend"), expected, atol=0.03)
        empty = masked(scene, model, "full", out="full/comp.####.exr")
        statuses(empty, colour)
        assert "mask_full" not in empty.shown()
        blend, valid = layer(empty, "mask_blend"), layer(empty, "mask_valid")
        np.testing.assert_allclose(blend[valid > 0.9], valid[valid > 0.9], atol=2e-3)

    def test_only_what_the_mask_names_can_be_asked_for(self, scene, model, colour):
        with pytest.raises(InvalidInput, match=r"no 'mask_eyes' with the mask 'face'") as caught:
            masked(scene, model, "face", layers=("mask_eyes",))
        assert caught.value.field == "layers"
        settings = masked(scene, model, "face*eyes", layers=("mask_eyes",))
        assert settings.shown() == ("face", "mask_blend", "mask_eyes")
        statuses(settings, colour)
        assert layer(settings, "mask_eyes").max() > 0.5
        assert "mask_face.A" not in made(settings).planes

    def test_no_layers_and_a_dpx_free_mask(self, scene, model, colour):
        """What is used does not depend on what is shown."""
        shown = masked(scene, model, "face*mouth", out="shown/comp.####.exr")
        bare = masked(scene, model, "face*mouth", out="bare/comp.####.exr", layers=())
        for settings in (shown, bare):
            assert set(statuses(settings, colour).values()) == {"done"}
        for name in "RGB":
            assert (bits(made(shown).planes[name]) == bits(made(bare).planes[name])).all()
        assert headers.LAYERS not in made(bare).metadata
        assert verified(bare, colour) == {""}

    def test_verify_knows_no_layer_that_the_header_does_not_name(self, scene, model, colour):
        settings = masked(scene, model, "face", frames=FrameRange.of(FIRST, FIRST))
        statuses(settings, colour)
        ours = made(settings)
        hidden = {**ours.planes, "mask_secret.A": ours.planes["mask_face.A"]}
        plate.write(replace(ours, planes=hidden), settings.out.path(FIRST))
        assert any("mask_secret.A is neither" in fault for fault in verified(settings, colour))

    def test_a_studios_own_matte_sees_the_picture(self, scene, model, colour, monkeypatch):
        """A member that goes by pixels gets the proxy and the landmarks at the size of the faceset's crops."""
        seen: list[tuple] = []

        class Looker:
            def matte(self, proxy, landmarks):
                seen.append((proxy.shape, landmarks.shape, float(proxy.min()), float(proxy.max())))
                return np.ones(proxy.shape[:2], np.float32) * 0.5

        studio = SimpleNamespace(WEIGHTS=(), create=lambda store: Looker())
        names, load = _plugins.names, _plugins.load
        monkeypatch.setattr(_plugins, "names", lambda f: (*names(f), "studio") if f == "matte" else names(f))
        monkeypatch.setattr(_plugins, "load", lambda f, n, **k: studio if n == "studio" else load(f, n, **k))
        expression.names.cache_clear()
        try:
            settings = masked(scene, model, "hull*studio", frames=FrameRange.of(FIRST, FIRST))
            assert statuses(settings, colour) == {FIRST: "done"}
        finally:
            expression.names.cache_clear()
        assert {each[:2] for each in seen} == {((SIDE, SIDE, 3), (68, 2))}
        assert 0.0 <= min(low for *_, low, _ in seen) < max(high for *_, high in seen) <= 1.0
        assert layer(settings, "mask_blend").max() == pytest.approx(0.5, abs=2e-3)

    def test_the_mask_is_as_fine_as_the_finest_matte_it_names(self, scene, colour):
        occlusion = Occlusion.of(Faceset.open(scene.faceset))
        sides = {
            text: Masker.of(parse(text), size=64, colour=colour, occlusion=occlusion).side
            for text in ("face*hull", "eyes + dst", "hull*occ", "occ_face")
        }
        assert sides == {"face*hull": 64, "eyes + dst": 64, "hull*occ": SIDE, "occ_face": SIDE}
        large = Masker.of(parse("hull*occ"), size=128, colour=colour, occlusion=occlusion)
        assert large.side == 128


class TestOcc:
    def test_what_is_before_the_face_stays(self, scene, model, colour):
        give(scene, LEFT, *scene.plate.frames)
        settings = masked(scene, model, "face*hull*occ")
        assert set(statuses(settings, colour).values()) == {"done"}
        assert verified(settings, colour) == {""}
        occ, blend = layer(settings, "mask_occ"), layer(settings, "mask_blend")
        assert blend[occ > 0.99].max() > 0.5
        assert (blend[occ == 0] == 0).all()
        ours, theirs = made(settings), plate.read(scene.plate.template, FIRST)
        hidden = (occ == 0) & (layer(settings, "mask_hull") > 0.9)
        assert hidden.sum() > 100
        for name in "RGB":
            assert (bits(ours.planes[name])[hidden] == bits(theirs.planes[name])[hidden]).all()
        _, record = face_of(scene.faceset, FIRST)
        middle = record.alignment.inverse @ (48.0, 48.0, 1.0)
        row, column = int(middle[1]) - shots.DATA.y, int(middle[0]) - shots.DATA.x
        assert occ[row, column - 4] > 0.95
        assert occ[row, column + 4] < 0.05

    def test_the_face_goes_on_behind_what_is_before_it(self, scene, model, colour):
        """Hair or a hand cuts the matte, not the face: whoever moves the matte finds the network's picture there."""
        stripes = np.repeat((np.arange(SIDE) // 3 % 2)[None], SIDE, axis=0).astype(np.float32)
        merged = []
        for i, (occ, mask) in enumerate(
            (
                (np.ones_like(stripes), "face*hull*occ"),
                (stripes, "face*hull*occ"),
                (stripes, "(eyes + mouth)*face*hull*occ"),
            )
        ):
            give(scene, occ, *scene.plate.frames)
            merged.append(masked(scene, model, mask, out=f"{i}/comp.####.exr"))
            assert set(statuses(merged[-1], colour).values()) == {"done"}
        bare, cut, eyes = merged
        for name in "RGB":
            whole, behind, around = (bits(made(s).planes[f"face.{name}"]) for s in merged)
            assert (whole == behind).all()
            assert (whole == around).all()
        assert layer(eyes, "mask_blend").sum() < layer(cut, "mask_blend").sum()
        assert layer(cut, "mask_blend").sum() < 0.7 * layer(bare, "mask_blend").sum()

    def test_a_label_is_the_matte_where_there_is_one(self, scene, model, colour):
        give(scene, LEFT, FIRST, FIRST + 1)
        label(scene, FIRST, matte=1.0 - LEFT)
        square = np.array([(0.0, 0.0), (SIDE, 0.0), (SIDE, 48.0), (0.0, 48.0)])
        label(scene, FIRST + 1, polygons=(Polygon(include=True, points=square),))
        settings = masked(scene, model, "hull*occ")
        assert set(statuses(settings, colour).values()) == {"done"}
        for number, (x, y) in ((FIRST, (72.0, 48.0)), (FIRST + 1, (48.0, 24.0))):
            _, record = face_of(scene.faceset, number)
            occ = layer(settings, "mask_occ", number)
            for point, seen in (((x, y), True), ((SIDE - x, SIDE - y), False)):
                at = record.alignment.inverse @ (*point, 1.0)
                value = occ[int(at[1]) - shots.DATA.y, int(at[0]) - shots.DATA.x]
                assert (value > 0.95) if seen else (value < 0.05)

    def test_mattes_that_nobody_names_are_a_layer_and_change_nothing(self, scene, model, colour):
        before, after = (scene.settings(model, out=f"{name}/comp.####.exr") for name in ("before", "after"))
        statuses(before, colour)
        assert "mask_occ.A" not in made(before).planes
        give(scene, LEFT, FIRST)
        found = {r.frame: r for r in reports(after, colour)}
        assert not found[FIRST].warnings or "mask_occ" not in " ".join(found[FIRST].warnings)
        assert "neither a label nor a matte: mask_occ is empty" in " ".join(found[FIRST + 1].warnings)
        assert layer(after, "mask_occ", FIRST).max() == 1.0
        assert layer(after, "mask_occ", FIRST + 1).max() == 0.0
        for number in scene.plate.frames:
            once, again = made(before, number).planes, made(after, number).planes
            assert set(again) == {*once, "mask_occ.A"}
            for name, plane in once.items():
                assert bits(plane).tobytes() == bits(again[name]).tobytes(), name
        assert verified(after, colour) == {""}
        assert set(statuses(before, colour).values()) == {"done"}  # now they have a layer more
        assert "mask_occ" in Manifest(out=before.out).about()["layers"]

    def test_none_at_all_is_refused_and_one_that_lacks_fails_its_frame(self, scene, model, colour):
        settings = masked(scene, model, "face*occ")
        with pytest.raises(NotFound, match=r"neither a label nor a matte.*segment apply") as caught:
            reports(settings, colour)
        assert caught.value.field == "recipe.mask"
        give(scene, ALL, FIRST + 1)
        found = {r.frame: r for r in reports(settings, colour)}
        assert found[FIRST].status is FrameStatus.FAILED
        assert "dst_t0.1001.exr" in found[FIRST].message
        assert found[FIRST + 1].status is FrameStatus.DONE

    def test_a_broken_label_fails_its_frame_alone(self, scene, model, colour):
        give(scene, ALL, *scene.plate.frames)
        label(scene, FIRST, matte=ALL)
        (scene.faceset / "labels" / f"dst_t0.{FIRST}.exr").write_bytes(b"no picture")
        for match in ("none", "reinhard"):
            settings = masked(scene, model, "face*occ", match=match, out=f"{match}/comp.####.exr")
            found = {r.frame: r for r in reports(settings, colour)}
            assert (found[FIRST].status, found[FIRST].reason) == (FrameStatus.FAILED, "FRAME_UNREADABLE")
            assert f"labels/dst_t0.{FIRST}.exr" in found[FIRST].message
            assert found[FIRST + 1].status is FrameStatus.DONE

    def test_another_matte_makes_its_frame_again(self, scene, model, colour):
        give(scene, ALL, *scene.plate.frames)
        settings = masked(scene, model, "face*occ")
        assert statuses(settings, colour) == {FIRST: "done", FIRST + 1: "done"}
        assert statuses(settings, colour) == {FIRST: "skipped", FIRST + 1: "skipped"}
        give(scene, LEFT, FIRST + 1)
        assert statuses(settings, colour) == {FIRST: "skipped", FIRST + 1: "done"}
        label(scene, FIRST, matte=LEFT)
        assert statuses(settings, colour) == {FIRST: "done", FIRST + 1: "skipped"}

    @pytest.mark.parametrize("mask", ["hull*occ", "hull*occ_face"])
    @pytest.mark.usefixtures("bright")
    def test_a_larger_crop_makes_all_finer_and_again(self, scene, model, colour, mask):
        settings = masked(scene, model, mask, segmenter=scene.folder / "seg")
        statuses(settings, colour)
        assert set(statuses(settings, colour).values()) == {"skipped"}
        shots.write_faceset(scene.faceset, [FIRST + 10], scene.plate.template.text, size=SIDE)
        assert set(statuses(settings, colour).values()) == {"skipped"}
        shots.write_faceset(scene.faceset, [FIRST + 11], scene.plate.template.text, size=2 * SIDE)
        assert set(statuses(settings, colour).values()) == {"done"}

    def test_a_label_that_is_a_layer_alone_has_no_say_in_the_colour(self, scene, model, colour):
        """What is measured is the same before a broken label is mended, after, and in another folder."""
        label(scene, FIRST, matte=ALL)
        file = scene.faceset / "labels" / f"dst_t0.{FIRST}.exr"
        whole = file.read_bytes()
        file.write_bytes(b"no picture")
        settings = masked(scene, model, "face*hull", match="reinhard")
        assert statuses(settings, colour) == {FIRST: "failed", FIRST + 1: "done"}
        file.write_bytes(whole)
        assert statuses(settings, colour) == {FIRST: "done", FIRST + 1: "skipped"}
        fresh = masked(scene, model, "face*hull", match="reinhard", out="fresh/comp.####.exr")
        statuses(fresh, colour)
        tracks = [
            json.loads((s.out.directory / "track" / "comp.json").read_text()) for s in (settings, fresh)
        ]
        assert tracks[0] == tracks[1]
        assert set(tracks[0]["match"]["samples"]) == {str(FIRST), str(FIRST + 1)}

    def test_a_hands_colour_is_not_matched(self, scene, model, colour):
        """The match is measured where the face is seen, and again when that changes."""
        give(scene, ALL, *scene.plate.frames)
        settings = masked(scene, model, "face*hull*occ", match="reinhard")
        statuses(settings, colour)
        track = settings.out.directory / "track" / "comp.json"
        before = json.loads(track.read_text())
        give(scene, LEFT, *scene.plate.frames)
        statuses(settings, colour)
        after = json.loads(track.read_text())
        assert before["digest"] != after["digest"]
        assert before["match"]["samples"] != after["match"]["samples"]


@pytest.mark.usefixtures("bright")
class TestSegmenter:
    def test_makes_occ_where_there_is_no_matte(self, scene, model, colour):
        settings = masked(scene, model, "hull*occ", segmenter=scene.folder / "seg")
        assert set(statuses(settings, colour).values()) == {"done"}
        ours, theirs = made(settings), plate.read(scene.plate.template, FIRST)
        assert ours.metadata[headers.SEGMENTER] == "seg"
        assert ours.metadata[headers.SEGMENTER_SHA] == "a" * 64
        assert verified(settings, colour) == {""}
        hull, occ = layer(settings, "mask_hull") > 0.9, layer(settings, "mask_occ")
        light = np.nan_to_num(theirs.rgb(), posinf=0.0).mean(axis=-1)
        assert light[hull & (occ > 0.9)].mean() > 1.3 * light[hull & (occ < 0.1)].mean()
        give(scene, ALL, FIRST)
        assert statuses(settings, colour)[FIRST] == "done"
        assert layer(settings, "mask_occ")[hull].min() > 0.99

    def test_another_segmenter_makes_all_again(self, scene, model, colour, monkeypatch):
        settings = masked(scene, model, "hull*occ", segmenter=scene.folder / "seg")
        statuses(settings, colour)
        assert set(statuses(settings, colour).values()) == {"skipped"}
        monkeypatch.setattr(network, "load", lambda *_: segmenting.segmenter(digest="b" * 64))
        assert set(statuses(settings, colour).values()) == {"done"}

    @pytest.mark.usefixtures("mirror")
    def test_the_new_face_is_looked_at_where_it_is(self, scene, model, colour):
        """The network gives back dst: what is said of the new face is what is said of the plate."""
        settings = masked(scene, model, "occ_face*occ", segmenter=scene.folder / "seg")
        assert set(statuses(settings, colour).values()) == {"done"}
        hull = layer(settings, "mask_hull") > 0.9
        of_face, of_plate = layer(settings, "mask_occ_face")[hull], layer(settings, "mask_occ")[hull]
        assert 0.05 < of_plate.mean() < 0.95
        assert np.abs(of_face - of_plate).mean() < 0.12
        assert np.corrcoef(of_face, of_plate)[0, 1] > 0.9

    def test_needed_and_not_needed(self, scene, model, colour):
        with pytest.raises(InvalidInput, match="names occ_face") as caught:
            masked(scene, model, "face*occ_face")
        assert caught.value.field == "segmenter"
        with pytest.raises(InvalidInput, match="inside the segmenter folder"):
            masked(scene, model, "face*occ", out="seg/comp.####.exr", segmenter=scene.folder / "seg")
        settings = masked(scene, model, "face", segmenter=scene.folder / "seg")
        assert "names neither occ nor occ_face" in warned(settings, colour)["SEGMENTER_UNUSED"]
        assert headers.SEGMENTER not in made(settings).metadata

    def test_of_another_working_space_is_refused(self, scene, model, colour, monkeypatch):
        other = segmenting.segmenter()
        other.state = replace(other.state, working_space="ACES2065-1")
        monkeypatch.setattr(network, "load", lambda *_: other)
        with pytest.raises(InvalidInput, match="trained in 'ACES2065-1'") as caught:
            reports(masked(scene, model, "face*occ", segmenter=scene.folder / "seg"), colour)
        assert caught.value.field == "segmenter"
