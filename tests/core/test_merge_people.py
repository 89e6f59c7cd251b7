"""Several people in one plate, each with a model of their own, in one pass."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.core import enhancers, shots
from tests.core.merging import bits, contents, made, reports, statuses, verified
from understudy.core import _plugins, contact, enhance, plate
from understudy.core.errors import InvalidInput, NoFace, ReleaseMissing
from understudy.core.finish.grain import Grain
from understudy.core.frames import Frame, FrameRange
from understudy.core.merge import expression, headers, shot
from understudy.core.merge.grains import Grains, Measurer
from understudy.core.merge.recipe import Curve
from understudy.core.merge.settings import Person, UserMatte
from understudy.core.model import swap
from understudy.core.plate import Template
from understudy.core.reports import Artifact, FrameStatus

FIRST = shots.FIRST
BOTH, ANNA, BEN, NOBODY = FIRST, FIRST + 2, FIRST + 3, FIRST + 4
ANNAS, BENS = (FIRST, FIRST + 1, ANNA), (FIRST, FIRST + 1, BEN)
APART, CLOSE = (122.0, 62.0), (88.0, 58.0)  # where Ben is: beside Anna, or before her


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return [
        shots.tiny_model(folder / name, seed=seed) for name, seed in (("anna.model", 3), ("ben.model", 4))
    ]


def make(folder, centre=APART, numbers=range(FIRST, NOBODY + 1), **options):
    """A plate, and one faceset: track 0 is Anna, track 1 is Ben, who stands at `centre`."""
    options = {"without_face": [n for n in numbers if n not in ANNAS], **options}
    scene = shots.make(folder, numbers=list(numbers), **options)
    seen = [n for n in BENS if n in numbers]
    shots.write_faceset(scene.faceset, seen, scene.plate.template.text, centre=centre, track=1)
    return scene


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Both on two frames, then each alone, then nobody."""
    return make(tmp_path_factory.mktemp("scene"))


def anna(scene, models, **changes):
    items = {"name": "anna", "faceset": scene.faceset, "track": 0, "model": models[0], "recipe": shots.FAST}
    return Person(**{**items, **changes})


def ben(scene, models, **changes):
    look = replace(shots.FAST, blend="multiband", erode=Curve.constant(1.0))
    items = {"name": "ben", "faceset": scene.faceset, "track": 1, "model": models[1], "recipe": look}
    return Person(**{**items, **changes})


def both(scene, models, out="both/comp.####.exr", **changes):
    people = (anna(scene, models), ben(scene, models))
    return scene.settings(models[0], out=out, **{"people": people, **changes})


@pytest.fixture(scope="module")
def merged(scene, models, colour):
    settings = both(scene, models, aligned=True)
    found = reports(settings, colour)
    assert [r.status.value for r in found] == ["done"] * 4 + ["no_face"], [r.message for r in found]
    assert [r.faces for r in found] == [2, 2, 1, 1, 0]
    return settings


def mixed(under, face, matte):
    """The published rule, written down again."""
    p, f, m = (each.astype(np.float32) for each in (under, face, matte))
    with np.errstate(invalid="ignore"):
        inside = np.where(np.isfinite(p), p * (np.float32(1) - m) + f * m, f)
    return np.where(matte == 0, under, inside.astype(under.dtype))


def folded(settings, number=FIRST):
    """Channel → the plate with everybody's face mixed in, one after the other."""
    planes, theirs = made(settings, number).planes, plate.read(settings.plate.template, number)
    found = {}
    for c in "RGB":
        found[c] = theirs.planes[c]
        for index in range(len(settings.people)):
            prefix = settings.prefix(index)
            found[c] = mixed(found[c], planes[f"{prefix}face.{c}"], planes[f"{prefix}mask_blend.A"])
    return found


def is_folded(settings, number=FIRST):
    planes = made(settings, number).planes
    return all((bits(planes[c]) == bits(plane)).all() for c, plane in folded(settings, number).items())


class TestFold:
    @pytest.mark.parametrize("number", [BOTH, ANNA, BEN, NOBODY])
    def test_each_face_is_mixed_into_the_picture_so_far(self, merged, number):
        assert is_folded(merged, number)
        planes = made(merged, number).planes
        assert (planes["mask_blend.A"].max() > 0.3) == (number in ANNAS)
        assert (planes["ben_mask_blend.A"].max() > 0.3) == (number in BENS)

    def test_outside_all_mattes_are_the_plates_bits(self, merged):
        planes, theirs = made(merged).planes, plate.read(merged.plate.template, FIRST).planes
        outside = (planes["mask_blend.A"] == 0) & (planes["ben_mask_blend.A"] == 0)
        assert outside.mean() > 0.5
        assert all((bits(planes[c])[outside] == bits(theirs[c])[outside]).all() for c in "RGB")
        assert all((bits(planes[n]) == bits(theirs[n])).all() for n in theirs if n not in "RGB")

    def test_verify_understands_it(self, merged, colour):
        assert verified(merged, colour) == {""}

    @pytest.mark.parametrize("channel", ["face.R", "ben_face.R", "ben_mask_blend.A"])
    def test_verify_finds_a_layer_that_does_not_fit(self, tmp_path, merged, colour, channel):
        frame = plate.read(merged.out, FIRST)
        altered = frame.planes[channel].copy()
        altered[frame.planes["ben_mask_blend.A" if "ben" in channel else "mask_blend.A"] > 0.5] = 0.25
        out = Template.parse(str(tmp_path / "comp.####.exr"))
        plate.write(frame.with_planes({**frame.planes, channel: altered}), out.path(FIRST))
        (message,) = verified(replace(merged, out=out), colour)
        assert "person by person (face, ben_face)" in message

    def test_every_crop_is_cut_from_the_plate(self, scene, models, merged, colour):
        """Each person's layers are those that they have alone, to the bit, where nobody lies below."""
        for index, person in enumerate(merged.people):
            alone = scene.settings(models[0], out=f"{person.name}/comp.####.exr", people=(person,))
            statuses(alone, colour)
            ours, theirs = made(merged).planes, made(alone).planes
            prefix = merged.prefix(index)
            for name in theirs:
                if name.startswith(("face_raw", "mask_", "uv", *(["face."] if index == 0 else []))):
                    assert (bits(ours[prefix + name]) == bits(theirs[name])).all(), name

    def test_a_name_alone_changes_no_byte(self, scene, models, colour):
        """One person is what one person ever was."""
        found = []
        for name in ("", "anna"):
            settings = scene.settings(
                models[0], out=f"one{name}/comp.####.exr", people=(anna(scene, models, name=name),)
            )
            statuses(settings, colour)
            found.append(contents(settings.out.directory))
            assert headers.PEOPLE not in made(settings).metadata
        assert found[0] == found[1]

    def test_a_log_plate(self, tmp_path, models, colour):
        scene = make(tmp_path, CLOSE, [FIRST], colour_space="ACEScct")
        settings = both(scene, models)
        assert statuses(settings, colour) == {FIRST: "done"}
        assert verified(settings, colour) == {""}


@pytest.fixture(scope="module")
def close(tmp_path_factory):
    return make(tmp_path_factory.mktemp("close"), CLOSE, [FIRST, FIRST + 1])


class TestOverlap:
    def test_who_comes_later_lies_over_the_others(self, close, models, colour):
        one = both(close, models, out="one/comp.####.exr")
        other = replace(one, people=one.people[::-1], out=Template.parse(f"{close.folder}/two/comp.####.exr"))
        texts = [" ".join(reports(each, colour)[0].warnings) for each in (one, other)]
        assert "ben: the face lies over anna's: they share" in texts[0]
        assert "anna: the face lies over ben's: they share" in texts[1]
        assert is_folded(one)
        assert is_folded(other)
        assert verified(one, colour) == verified(other, colour) == {""}
        ours, theirs = made(one).planes, made(other).planes
        assert (ours["R"] != theirs["R"]).any()
        for name in ("face_raw.R", "mask_face.A"):  # what networks saw does not go by the order
            assert (bits(ours[f"ben_{name}"]) == bits(theirs[name])).all()
            assert (bits(ours[name]) == bits(theirs[f"anna_{name}"])).all()

    def test_a_blend_sees_the_picture_so_far(self, close, models, colour):
        """`seamless` takes the values around its matte, where Anna's face is by then."""
        look = replace(shots.FAST, blend="seamless")
        people = (anna(close, models), ben(close, models, recipe=look))
        one = both(close, models, out="seen/comp.####.exr", people=people)
        alone = replace(one, people=people[1:], out=Template.parse(f"{close.folder}/alone/comp.####.exr"))
        for settings in (one, alone):
            statuses(settings, colour)
        assert (made(one).planes["ben_face.R"] != made(alone).planes["face.R"]).any()
        assert is_folded(one)

    def test_apart_nobody_is_warned(self, tmp_path, models, colour):
        scene = make(tmp_path, (130.0, 70.0), [FIRST])
        (report,) = reports(both(scene, models), colour)
        assert "lies over" not in " ".join(report.warnings)


class TestFiles:
    def test_layers_are_named_after_who_comes_later(self, merged):
        names = list(made(merged, NOBODY).planes)
        own = [n for n in names if n.startswith("ben_")]
        assert {"ben_face.R", "ben_mask_blend.A", "ben_uv.u"} <= set(own)
        assert [n.removeprefix("ben_") for n in own] == [n for n in names if f"ben_{n}" in own]
        assert max(map(len, names)) <= 31
        assert all(n.count(".") <= 1 for n in names)

    def test_the_header_has_everybodys_keys(self, merged, models):
        said = headers.own(made(merged).metadata)
        assert max(map(len, said)) <= headers.LONGEST
        assert said[headers.PEOPLE] == "anna,ben"
        for index, person in enumerate(merged.people):
            assert said[headers.of_person(index, headers.MODEL)] == models[index].name
            assert json.loads(str(said[headers.of_person(index, headers.RECIPE)])) == person.recipe.to_dict()
            matte = made(merged).planes[merged.prefix(index) + "mask_blend.A"]
            rows, columns = np.nonzero(matte)
            box = json.loads(str(said[headers.box_key("", [""], index)]))
            assert box[2:] == [int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1]
        alone = made(merged, BEN).metadata
        assert headers.GAIN not in alone
        assert headers.of_person(1, headers.GAIN) in alone

    def test_side_products_of_each(self, merged, colour):
        folder = merged.out.directory
        assert (folder / "track/comp.json").is_file()
        assert (folder / "track/ben/comp.json").is_file()
        assert {int(p.stem[-4:]) for p in (folder / "aligned").glob("*.exr")} == {*ANNAS}
        assert {int(p.stem[-4:]) for p in (folder / "aligned/ben").glob("*.exr")} == {*BENS}
        *_, last = shot.run(merged, colour=colour)
        assert isinstance(last, Artifact)
        entry = json.loads(last.path.read_text())["sequences"]["comp.%04d.exr"]
        assert [p["name"] for p in entry["people"]] == ["anna", "ben"]
        assert [p["track"] for p in entry["people"]] == ["track/comp.json", "track/ben/comp.json"]
        faces = [{n for n, f in record["people"].items() if f["box"][2]} for record in entry["frames"]]
        assert faces == [{"anna", "ben"}, {"anna", "ben"}, {"anna"}, {"ben"}, set()]

    @pytest.mark.parametrize("size", [1, 3])
    def test_chunks_make_no_difference(self, scene, models, merged, colour, size):
        settings = replace(merged, out=Template.parse(f"{scene.folder}/chunks{size}/comp.####.exr"))
        numbers = list(settings.wanted)
        for start in reversed(range(0, len(numbers), size)):
            chunk = FrameRange.from_frames(numbers[start : start + size])
            reports(replace(settings, frames=chunk), colour)
        assert contents(settings.out.directory) == contents(merged.out.directory)
        for beside in ("track/comp.json", "track/ben/comp.json"):
            texts = [(s.out.directory / beside).read_text() for s in (settings, merged)]
            assert texts[0] == texts[1]

    def test_another_look_of_one_makes_the_frames_again(self, tmp_path, models, colour):
        scene = make(tmp_path, numbers=[FIRST, ANNA])
        settings = both(scene, models)
        reports(settings, colour)
        assert set(statuses(settings, colour).values()) == {"skipped"}
        before, track = made(settings).planes, (settings.out.directory / "track/comp.json").stat().st_mtime_ns
        changed = ben(scene, models, recipe=replace(shots.FAST, erode=Curve.constant(4.0)))
        again = replace(settings, people=(settings.people[0], changed))
        assert set(statuses(again, colour).values()) == {"done"}
        after = made(settings).planes
        assert (bits(before["face.R"]) == bits(after["face.R"])).all()
        assert after["ben_mask_blend.A"].sum() < before["ben_mask_blend.A"].sum()
        assert (settings.out.directory / "track/comp.json").stat().st_mtime_ns == track

    def test_a_comp_of_several_as_plate_keeps_no_word_of_them(self, tmp_path, scene, models, colour):
        first = both(scene, models, out="first/comp.####.exr", layers=(), frames=FrameRange.of(FIRST, FIRST))
        statuses(first, colour)
        assert verified(first, colour) == {""}
        again = shots.make(tmp_path, numbers=[FIRST], frames={FIRST: made(first)}, without_face=[])
        second = again.settings(models[0])
        assert statuses(second, colour) == {FIRST: "done"}
        said = headers.own(made(second).metadata)
        assert headers.PEOPLE not in said
        assert not [key for key in said if key.startswith(f"{headers.PREFIX}2/")]
        assert verified(second, colour) == {""}

    @pytest.mark.parametrize("layers", [None, ()])
    def test_dpx(self, tmp_path, models, colour, layers):
        window = shots.DISPLAY
        codes = (np.clip(shots.picture(FIRST, window), 0, 1) * 1023).astype(np.uint16)
        planes = {c: np.ascontiguousarray(codes[..., i]) for i, c in enumerate("RGB")}
        shown = Frame(number=FIRST, planes=planes, display=window, data=window, maximum=1023.0)
        scene = make(
            tmp_path, CLOSE, [FIRST], name="p.####.dpx", frames={FIRST: shown}, colour_space="ACEScct"
        )
        settings = both(scene, models, out="out/comp.####.dpx", layers=layers)
        assert statuses(settings, colour) == {FIRST: "done"}
        assert verified(settings, colour) == {""}
        ours, theirs = made(settings), plate.read(scene.plate.template, FIRST)
        assert (ours.planes["R"] != theirs.planes["R"]).any()
        if layers is None:
            assert "ben_face.R" in plate.read_file(tmp_path / f"out/comp_layers.{FIRST}.exr").planes

    def test_both_eyes(self, tmp_path, models, colour):
        scene = shots.make_stereo(tmp_path, numbers=[FIRST])
        for view, shift in shots.EYES.items():
            centre = (CLOSE[0] + shift, CLOSE[1])
            shots.write_faceset(
                scene.faceset, [FIRST], scene.plate.template.text, view=view, centre=centre, track=1
            )
        settings = both(scene, models, aligned=True)
        (report,) = reports(settings, colour)
        assert (report.status, report.faces) == (FrameStatus.DONE, 4)
        assert len(list((settings.out.directory / "aligned/ben").glob("*.exr"))) == 2
        assert "right: ben: the face lies over anna's" in " ".join(report.warnings)
        assert verified(settings, colour) == {""}
        assert "ben_face.right.R" in made(settings).planes

    def test_a_contact_sheet_of_each(self, tmp_path, merged, colour):
        sheets = [
            contact.sheet(merged.out, tmp_path / f"{name}.png", colour=colour, person=name).read_bytes()
            for name in ("", "ben")
        ]
        assert sheets[0] != sheets[1]

    def test_mattes_of_one_leave_the_other_alone(self, tmp_path, scene, models, colour, merged):
        whole = Template.parse(str(tmp_path / "keep.####.exr"))
        alpha = np.ones((shots.DISPLAY.height, shots.DISPLAY.width), np.float32)
        shown = Frame(number=FIRST, planes={"A": alpha}, display=shots.DISPLAY, data=shots.DISPLAY)
        plate.write(shown, whole.path(FIRST))
        kept = ben(scene, models, user_mattes=(UserMatte(template=whole, use="keep"),))
        people = (anna(scene, models), kept)
        settings = both(scene, models, out="kept/comp.####.exr", people=people)
        settings = replace(settings, frames=FrameRange.of(FIRST, FIRST))
        assert statuses(settings, colour) == {FIRST: "done"}
        planes = made(settings).planes
        assert planes["ben_mask_blend.A"].max() == 0
        assert (bits(planes["mask_blend.A"]) == bits(made(merged).planes["mask_blend.A"])).all()
        assert "mask_keep.A" not in planes


def test_what_people_share_is_loaded_once(tmp_path, models, colour, monkeypatch):
    loaded: list[object] = []

    def load(*given):
        loaded.append(given)
        return shots.Mirror()

    def opened(name, *given, **more):
        loaded.append(name)
        return load_enhancer(name, *given, **more)

    load_enhancer = enhance.opened
    monkeypatch.setattr(swap, "load", load)
    monkeypatch.setattr(enhance, "opened", opened)
    scene, finer = make(tmp_path, numbers=[FIRST]), enhancers.on_disk(tmp_path / "finer")
    look = replace(shots.FAST, super_resolution="trained")
    again = Path(f"{models[0].parent}/../{models[0].parent.name}/{models[0].name}")
    people = (
        anna(scene, models, recipe=look, enhancer=finer),
        ben(scene, models, recipe=look, enhancer=tmp_path / ".." / tmp_path.name / "finer", model=again),
    )
    assert statuses(both(scene, models, people=people), colour) == {FIRST: "done"}
    assert len(loaded) == 2
    assert "trained" in loaded


def test_each_has_grain_of_their_own(tmp_path, models, colour, monkeypatch):
    """Also where both are the same track of their facesets."""
    monkeypatch.setattr(swap, "load", lambda *_: shots.Mirror())
    way, look = (52, 7), replace(shots.FAST, grain=Curve.constant(1.0), match="none")
    scene = shots.make(tmp_path, numbers=[FIRST], without_face=[])
    centre = (shots.CENTRE[0] + way[0], shots.CENTRE[1] + way[1])
    shots.write_faceset(tmp_path / "bens", [FIRST], scene.plate.template.text, centre=centre)
    people = (
        anna(scene, models, track=None, recipe=look),
        ben(scene, models, track=None, recipe=look, faceset=tmp_path / "bens"),
    )
    settings = both(scene, models, people=people)
    known = Grain(
        levels=np.ones(1), deviations=np.ones((1, 3)), correlation=np.ones((3, 1, 1)), channels=np.eye(3)
    )
    monkeypatch.setattr(Measurer, "over", lambda *_: Grains(plate=known))
    assert statuses(settings, colour) == {FIRST: "done"}
    planes = made(settings).planes
    annas = planes["grain.G"][: -way[1], : -way[0]].astype(float)
    bens = planes["ben_grain.G"][way[1] :, way[0] :].astype(float)
    both_there = (annas != 0) & (bens != 0)
    assert both_there.sum() > 500
    assert abs(np.corrcoef(annas[both_there], bens[both_there])[0, 1]) < 0.2


class TestRefusals:
    @pytest.mark.parametrize(
        ("changes", "field", "words"),
        [
            ({"track": 0}, "track", "ben is the same person as anna"),
            ({"name": "anna"}, "name", "'anna' is another person's"),
            ({"name": ""}, "name", "person 2 has none"),
            ({"name": "Ben"}, "name", "small letter"),
            ({"name": "a_long_name_1"}, "name", "12 at most"),
            ({"name": "mask"}, "name", "layer mask_face, and 'anna' too"),
        ],
    )
    def test_people_who_cannot_be_told_apart(self, scene, models, changes, field, words):
        with pytest.raises(InvalidInput, match=words) as caught:
            both(scene, models, people=(anna(scene, models), ben(scene, models, **changes)))
        assert caught.value.field == field

    def test_a_name_that_makes_a_channel_too_long_for_readers(self, scene, models, monkeypatch):
        """A studio's own matte has a long one."""
        names = _plugins.names
        studio = {"matte": ("low_angle_face",)}
        monkeypatch.setattr(_plugins, "names", lambda f: (*names(f), *studio.get(f, ())))
        expression.names.cache_clear()
        try:
            look = replace(shots.FAST, mask="face*low_angle_face")
        finally:
            expression.names.cache_clear()
        people = (anna(scene, models), ben(scene, models, name="a_long_name", recipe=look))
        with pytest.raises(InvalidInput, match=r"a_long_name_mask_low_angle_face\.A, of 33") as caught:
            both(scene, models, people=people)
        assert caught.value.field == "name"

    def test_nobody_and_too_many(self, scene, models):
        crowd = tuple(anna(scene, models, name=f"p{i}", track=i) for i in range(9))
        for people in ((), crowd):
            with pytest.raises(InvalidInput, match="1 to 8") as caught:
                both(scene, models, people=people)
            assert caught.value.field == "people"

    def test_one_person_found_under_two_names(self, tmp_path, models, colour):
        """Who names no track has the only one there is."""
        scene = shots.make(tmp_path, numbers=[FIRST], without_face=[])
        people = (anna(scene, models), ben(scene, models, track=None))
        with pytest.raises(InvalidInput, match="ben is the same person as anna"):
            reports(both(scene, models, people=people), colour)

    def test_who_it_is_about_is_named(self, tmp_path, scene, models, colour):
        (tmp_path / "empty").mkdir()
        nowhere = ben(scene, models, faceset=tmp_path / "empty", track=None)
        with pytest.raises(NoFace, match=r"^ben: .*holds no face"):
            reports(both(scene, models, people=(anna(scene, models), nowhere)), colour)
        bare = ben(scene, models, model=shots.tiny_model(tmp_path / "m", releases=()))
        with pytest.raises(ReleaseMissing, match=r"^ben: "):
            reports(both(scene, models, people=(anna(scene, models), bare)), colour)
        roto = shots.user_matte(tmp_path, [FIRST])
        limited = ben(scene, models, user_mattes=(UserMatte(template=roto),))
        settings = both(scene, models, out="roto/comp.####.exr", people=(anna(scene, models), limited))
        found = {r.frame: r for r in reports(settings, colour)}
        assert found[FIRST].status is FrameStatus.DONE
        assert found[FIRST + 1].message.startswith("ben: ")
        assert "the user's matte has no frame 1002" in found[FIRST + 1].message
        assert found[ANNA].status is FrameStatus.DONE  # where Ben is not, his matte need not be
