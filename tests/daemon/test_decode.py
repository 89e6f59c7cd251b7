"""What a spec becomes, and what is refused before any work begins: every message names the field and the value."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import pytest

from tests.core import shots
from tests.core.shots import Shot
from understudy.core import release
from understudy.core.colour import ColourConfig
from understudy.core.errors import UnderstudyError
from understudy.core.extract import ExtractSettings, Pick
from understudy.core.frames import FrameRange
from understudy.core.merge.settings import UserMatte
from understudy.core.model import store
from understudy.core.model.presets import preset
from understudy.core.plate import Template
from understudy.core.train.settings import TrainSettings
from understudy.daemon import decode
from understudy.daemon.decode import Merge, Pull
from understudy.daemon.outputs import Output
from understudy.daemon.paths import Roots
from understudy.daemon.site import Site
from understudy.v1 import job_pb2

Work = Callable[..., decode.Work]


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> Shot:
    """A plate in ACEScg and its faceset, with a release that holds today."""
    made = shots.make(tmp_path_factory.mktemp("shot"))
    release.write(shots.make_release(), made.faceset / "release.json")
    return made


@pytest.fixture
def work(colour: ColourConfig, tmp_path: Path) -> Work:
    """Decodes for a site without weights."""

    def decoded(
        promised: tuple[Output, ...] = (),
        roots: Roots | None = None,
        accepted: tuple[str, ...] = (),
        new: bool = False,
        **kind,
    ) -> decode.Work:
        site = Site(weights_cache=tmp_path / "weights", roots=roots or Roots(), accepted_licences=accepted)
        return decode.work(job_pb2.JobSpec(**kind), promised, site=site, colour=colour, new=new)

    return decoded


def refused(call: Callable[[], object], reason: str, *words: str, field: str | None = None) -> None:
    with pytest.raises(UnderstudyError) as error:
        call()
    assert error.value.reason == reason, error.value
    assert field in (None, error.value.field)
    for word in words:
        assert word in error.value.message


def plate(shot: Shot, **changes) -> dict:
    return {"pattern": shot.plate.template.text, "colour_space": "ACEScg", **changes}


def merge(shot: Shot, folder: Path, **changes) -> dict:
    swap = {"faceset": str(shot.faceset), "model": str(folder / "model"), **changes.pop("swap", {})}
    output = str(folder / "out" / "comp.####.exr")
    return {"plate": plate(shot), "swaps": [swap], "output": output, **changes}


def train(shot: Shot, folder: Path, **changes) -> dict:
    target = {"target_iterations": 10}
    return {
        "model": str(folder / "model"),
        "src": str(shot.faceset),
        "dst": str(folder / "dst"),
        **target,
        **changes,
    }


def test_an_output_beside_itself_with_another_padding_is_refused(work: Work, shot: Shot, tmp_path: Path):
    """Nothing could read either of the two afterwards."""
    (tmp_path / "p.0999.exr").write_bytes(b"")
    pattern, video = str(tmp_path / "p.#.exr"), str(tmp_path / "a.mov")
    why = ("another padding, p.0999.exr",)
    spec = {**merge(shot, tmp_path), "output": pattern}
    refused(lambda: work(merge=spec), "INVALID_INPUT", *why, field="merge.output")
    spec = {"video": video, "pattern": pattern}
    refused(lambda: work(ingest=spec), "INVALID_INPUT", *why, field="ingest.pattern")


def test_an_output_in_a_folder_that_may_not_be_written_is_told_when_it_is_asked_for(
    work: Work, shot: Shot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """By the job itself it would be after hours of training. Finished frames are asked for again in closed folders."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)

    def allowed(path: Path, mode: int) -> bool:  # what root, who may, would be told as another user
        return not Path(path).samefile(closed) or mode == os.R_OK

    monkeypatch.setattr(os, "access", allowed)
    why = (f"may not write in {closed}",)
    for folder in (closed, closed / "sh010" / "v001"):
        spec = {**merge(shot, tmp_path), "output": str(folder / "p.####.exr")}
        refused(partial(work, merge=spec, new=True), "WRITE_FAILED", *why, field="merge.output")
    closed.chmod(0o755)
    (closed / "p.1001.exr").write_bytes(b"")
    spec = {**merge(shot, tmp_path), "output": str(closed / "p.####.exr")}
    refused(lambda: work(merge=spec, new=True), "NOT_FOUND", field="merge.swaps.model")


def test_a_preset_that_is_mistyped_is_refused_with_the_one_that_was_meant(
    work: Work, shot: Shot, tmp_path: Path
):
    spec = train(shot, tmp_path, dst=str(shot.faceset), preset="quik64")
    refused(lambda: work(train=spec), "INVALID_INPUT", "; did you mean 'quick64'?", field="train.preset")


def test_extract_needs_weights_unless_a_job_will_pull_them(work: Work, shot: Shot, tmp_path: Path):
    spec = {"plate": plate(shot), "faceset": str(tmp_path / "f")}
    refused(lambda: work(extract=spec), "WEIGHTS_MISSING", "understudy weights pull blazeface")
    pulled = work(pull_weights={})
    assert isinstance(pulled.settings, Pull)
    settings = work(pulled.outputs, extract=spec).settings
    assert isinstance(settings, ExtractSettings)
    assert (settings.face_type, settings.size, settings.detector) == ("whole", 512, "blazeface")
    assert settings.plate.present == shot.plate.present


@pytest.mark.parametrize(
    ("changes", "field", "word"),
    [
        ({"face_type": "elbow"}, "extract.face_type", "whole"),
        ({"size": 7}, "extract.size", "7"),
        ({"detector": "nobody"}, "extract.detector", "blazeface"),
        ({"landmarker": "nobody"}, "extract.landmarker", "facemesh"),
        ({"release": "/nowhere.json"}, "extract.release", "/nowhere.json"),
        ({"reference": "/nowhere.png"}, "extract.reference", "/nowhere.png"),
        ({"pose": "nobody"}, "extract.pose", "landmarks"),
        ({"identity": "nobody"}, "extract.identity", "appearance"),
        ({"search_every": -1}, "extract.search_every", "-1"),
        ({"smallest": -3.0}, "extract.smallest", "-3"),
        ({"smallest": float("nan")}, "extract.smallest", "nan"),
        ({"max_faces": -1}, "extract.max_faces", "-1"),
        ({"min_score": 1.5}, "extract.min_score", "1.5"),
        ({"looks": 1000}, "extract.looks", "1000"),
        ({"reference_distance": -1.0}, "extract.reference_distance", "-1"),
        ({"workers": -2}, "extract.workers", "-2"),
        ({"device": "toaster"}, "extract.device", "toaster"),
        ({"pick": {"frame": 1, "x": 5, "y": 5}}, "extract.pick.frame", "1"),
        ({"pick": {"frame": 1001, "x": float("nan")}}, "extract.pick.x", "nan"),
    ],
)
def test_extract_names_what_is_wrong(
    work: Work, shot: Shot, tmp_path: Path, changes: dict, field: str, word: str
):
    pulled = work(pull_weights={}).outputs
    spec = {"plate": plate(shot), "faceset": str(tmp_path / "f"), **changes}
    reason = "NOT_FOUND" if field in ("extract.release", "extract.reference") else "INVALID_INPUT"
    refused(lambda: work(pulled, extract=spec), reason, word, field=field)


def test_extract_takes_what_is_set_and_leaves_the_rest_to_core(work: Work, shot: Shot, tmp_path: Path):
    pulled = work(pull_weights={}).outputs
    spec = {"plate": plate(shot), "faceset": str(tmp_path / "f")}
    plain = work(pulled, extract=spec).settings
    assert isinstance(plain, ExtractSettings)
    assert (plain.pose, plain.identity, plain.search_every, plain.min_score) == (
        "landmarks",
        "appearance",
        8,
        0.7,
    )
    assert (plain.smallest, plain.pick, plain.reference, plain.device) == (None, None, None, "auto")
    picture = tmp_path / "who.png"
    picture.write_bytes(b"")
    more: dict = {"search_every": 1, "smallest": 24.0, "max_faces": 2, "min_score": 0.0, "looks": 5}
    more |= {"upright_only": True, "reference_distance": 0.8, "workers": 2, "device": "cpu"}
    who = {"reference": str(picture), "pick": {"frame": 1002, "x": 70.5, "y": 55.0}}
    chosen = work(pulled, extract={**spec, **more, **who}).settings
    assert isinstance(chosen, ExtractSettings)
    assert chosen.pick == Pick(frame=1002, x=70.5, y=55.0)
    assert chosen.reference == picture
    assert {name: getattr(chosen, name) for name in more} == more


def test_a_pick_on_a_plate_to_come_waits_for_it(work: Work, tmp_path: Path):
    coming = (*work(pull_weights={}).outputs, Output.of_sequence(Template.parse("/p/new.####.exr"), None))
    spec = {"plate": {"pattern": "/p/new.####.exr"}, "faceset": str(tmp_path / "f"), "pick": {"frame": 1001}}
    assert work(coming, extract=spec).outputs == (Output.of_folder(tmp_path / "f"),)


def test_weights_for_non_commercial_use_wait_until_the_site_says_that_it_may(
    work: Work, shot: Shot, tmp_path: Path
):
    spec = merge(shot, tmp_path, swap={"recipe": {"super_resolution": "codeformer"}})
    pull, model = {"names": ["codeformer"]}, (Output.of_folder(tmp_path / "model"),)
    told = ("codeformer", "non-commercial", "accepted_licences", "--accept-licence")
    for asked in ({"merge": spec}, {"pull_weights": pull}):
        refused(partial(work, model, **asked), "LICENCE_NOT_ACCEPTED", *told)
    accepted = partial(work, accepted=("codeformer",))
    refused(partial(accepted, model, merge=spec), "WEIGHTS_MISSING", "weights pull codeformer")
    promised = (*model, *accepted(pull_weights=pull).outputs)
    refused(partial(work, promised, merge=spec), "LICENCE_NOT_ACCEPTED", *told)
    assert accepted(promised, merge=spec).outputs


def test_weights_of_every_family_are_asked_for_without_loading_networks(
    work: Work, shot: Shot, tmp_path: Path
):
    pulled = work(pull_weights={}).outputs
    spec = {"plate": plate(shot), "faceset": str(tmp_path / "f")}
    for field, name, weights in (
        ("detector", "s3fd", "s3fd"),
        ("landmarker", "fan2d", "2dfan4"),
        ("pose", "fsanet", "fsanet"),
    ):
        chosen = {**spec, field: name}
        refused(
            partial(work, pulled, extract=chosen), "WEIGHTS_MISSING", f"understudy weights pull {weights}"
        )
    code = (
        "import sys; from understudy.daemon.decode import families; "
        "print(families.needed({'detect': 's3fd', 'landmark': 'fan2d', 'pose': 'fsanet'}), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("False\n")
    assert "s3fd" in done.stdout


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"colour_space": ""}, "extract.plate.colour_space", ["do not say", "plate"]),
        ({"colour_space": "ACESc"}, "extract.plate.colour_space", ["'ACESc'", "ACEScg"]),
        ({"frames": [{"first": 1001, "last": 1099}]}, "extract.plate.frames", ["1001-1099", "1001-1006"]),
        ({"frames": [{"first": 1003}]}, "extract.plate.frames", ["1003-0"]),
        (
            {"frames": [{"first": 1001, "last": 1003}, {"first": 1003, "last": 1004}]},
            "extract.plate.frames",
            ["twice"],
        ),
    ],
)
def test_a_wrong_plate_is_refused(
    work: Work, shot: Shot, tmp_path: Path, changes: dict, field: str, words: list
):
    spec = {"plate": plate(shot, **changes), "faceset": str(tmp_path / "f")}
    refused(lambda: work(extract=spec), "INVALID_INPUT", *words, field=field)


def test_training_wants_a_release_that_holds(work: Work, shot: Shot, tmp_path: Path):
    dst = (Output.of_folder(tmp_path / "dst"),)
    settings = work(dst, train=train(shot, tmp_path)).settings
    assert isinstance(settings, TrainSettings)
    assert (settings.preset, settings.device) == ("quick96", "auto")
    record = shot.faceset / "release.json"
    kept = record.read_text()
    yesterday = date.today() - timedelta(days=1)
    try:
        record.unlink()
        refused(
            lambda: work(dst, train=train(shot, tmp_path)), "RELEASE_MISSING", "understudy release create"
        )
        release.write(shots.make_release(valid_until=yesterday), record)
        refused(lambda: work(dst, train=train(shot, tmp_path)), "RELEASE_INVALID", str(yesterday))
    finally:
        record.write_text(kept)


def test_training_wants_a_target_and_a_known_preset(work: Work, shot: Shot, tmp_path: Path):
    dst = (Output.of_folder(tmp_path / "dst"),)
    spec = train(shot, tmp_path, target_iterations=0)
    refused(lambda: work(dst, train=spec), "INVALID_INPUT", field="train.target_iterations")
    spec = train(shot, tmp_path, preset="quick999")
    refused(lambda: work(dst, train=spec), "INVALID_INPUT", "quick96", field="train.preset")
    spec = train(shot, tmp_path, src_track=7)
    refused(lambda: work(dst, train=spec), "INVALID_INPUT", "no track 7", field="train.src_track")


def test_a_model_keeps_its_preset(work: Work, shot: Shot, tmp_path: Path):
    dst = (Output.of_folder(tmp_path / "dst"),)
    store.create(tmp_path / "model", preset("quick64"))
    settings = work(dst, train=train(shot, tmp_path)).settings
    assert isinstance(settings, TrainSettings)
    assert settings.preset == "quick64"
    spec = train(shot, tmp_path, preset="quick96")
    refused(lambda: work(dst, train=spec), "MODEL_INVALID", "quick64", "quick96", field="train.preset")


def test_merge_of_what_will_be_there(work: Work, shot: Shot, tmp_path: Path):
    promised = (Output.of_folder(tmp_path / "model"),)
    recipe = {"match": "none", "feather": {"keys": {"keys": [{"frame": 1001, "value": 3}, {"frame": 1005}]}}}
    frames = [{"first": 1002, "last": 1003}]
    spec = merge(shot, tmp_path, swap={"recipe": recipe}, frames=frames, no_contact_sheet=True)
    decoded = work(promised, merge=spec)
    assert isinstance(decoded.settings, Merge)
    core = decoded.settings.core
    assert (core.people[0].recipe.match, core.people[0].recipe.feather.at(1003)) == ("none", 1.5)
    assert core.wanted == FrameRange.of(1002, 1003)
    assert not decoded.settings.contact_sheet
    assert decoded.outputs[0].frames == FrameRange.of(1002, 1003)
    refused(lambda: work(merge=spec), "NOT_FOUND", "no folder", field="merge.swaps.model")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"output": "/o/comp.####.jpg"}, "merge.output"),
        ({"output": "/o/comp.####.dpx"}, "merge.output"),
        ({"frames": [{"first": 1001, "last": 2000}]}, "merge.frames"),
        ({"swap": {"recipe": {"match": "magic"}}}, "merge.swaps.recipe.match"),
        ({"swap": {"recipe": {"opacity": {"value": 2.0}}}}, "merge.swaps.recipe.opacity"),
        ({"swap": {"recipe": {"opacity": {}}}}, "merge.swaps.recipe.opacity"),
        ({"swap": {"track": 9}}, "merge.swaps.track"),
        ({"layers": ["face", "depth"]}, "merge.layers"),
        ({"layers": ["face"], "no_layers": True}, "merge.layers"),
    ],
)
def test_merge_names_what_is_wrong(work: Work, shot: Shot, tmp_path: Path, changes: dict, field: str):
    promised = (Output.of_folder(tmp_path / "model"),)
    refused(lambda: work(promised, merge=merge(shot, tmp_path, **changes)), "INVALID_INPUT", field=field)


def test_mattes_and_segmenter_of_a_merge(work: Work, shot: Shot, tmp_path: Path):
    promised = (Output.of_folder(tmp_path / "model"), Output.of_folder(tmp_path / "seg"))
    roto = {"pattern": shots.user_matte(tmp_path / "roto", [1001, 1003]).text}
    recipe = {"mask": "face*occ*occ_face", "mask_smooth": 3}
    mattes = [
        {"matte": roto},
        {"matte": {**roto, "frames": [{"first": 1003, "last": 1003}]}, "use": 2, "channel": "A"},
        {"matte": roto, "use": 3, "invert": True},
    ]
    swap = {"recipe": recipe, "segmenter": str(tmp_path / "seg")}
    settings = work(
        promised, merge=merge(shot, tmp_path, swap={**swap, "user_mattes": [{"matte": roto}, *mattes]})
    ).settings
    assert isinstance(settings, Merge)
    core = settings.core
    assert (core.people[0].segmenter, core.people[0].recipe.mask_smooth, core.layers) == (
        tmp_path / "seg",
        3,
        None,
    )
    template = Template.parse(roto["pattern"])
    assert core.people[0].user_mattes == (
        UserMatte(template=template),
        UserMatte(template=template),
        UserMatte(template=template, use="add", channel="A", frames=FrameRange.of(1003, 1003)),
        UserMatte(template=template, use="keep", invert=True),
    )
    refused(
        lambda: work((promised[0],), merge=merge(shot, tmp_path, swap=swap)),
        "NOT_FOUND",
        field="merge.swaps.segmenter",
    )
    (tmp_path / "seg").mkdir()  # with nothing in it
    refused(
        lambda: work((promised[0],), merge=merge(shot, tmp_path, swap=swap)),
        "NOT_FOUND",
        field="merge.swaps.segmenter",
    )


@pytest.mark.parametrize(
    ("changes", "reason", "field"),
    [
        ({"swap": {"recipe": {"mask": "face*hair"}}}, "INVALID_INPUT", "merge.swaps.recipe.mask"),
        ({"swap": {"recipe": {"mask_smooth": 4}}}, "INVALID_INPUT", "merge.swaps.recipe.mask_smooth"),
        ({"swap": {"recipe": {"mask": "occ_face"}}}, "INVALID_INPUT", "merge.swaps.segmenter"),
        ({"swap": {"recipe": {"mask": "face*occ"}}}, "NOT_FOUND", "merge.swaps.recipe.mask"),
        ({"layers": ["mask_eyes"]}, "INVALID_INPUT", "merge.layers"),
        ({"use": 7}, "INVALID_INPUT", "merge.swaps.user_mattes.use"),
        (
            {"frames": [{"first": 1001, "last": 1003}]},
            "INVALID_INPUT",
            "merge.swaps.user_mattes.matte.frames",
        ),
        ({"pattern": "/nowhere/m.####.exr"}, "NOT_FOUND", None),
    ],
)
def test_what_is_wrong_with_masks_and_mattes(
    work: Work, shot: Shot, tmp_path: Path, changes: dict, reason: str, field: str | None
):
    """1002 is not among the roto's frames."""
    promised = (Output.of_folder(tmp_path / "model"),)
    roto = {"pattern": shots.user_matte(tmp_path / "roto", [1001, 1003]).text}
    matte = {k: changes.pop(k) for k in ("pattern", "frames") if k in changes}
    mattes = [{"matte": {**roto, **matte}, "use": changes.pop("use", 1)}]
    spec = {**changes, "swap": {"user_mattes": mattes, **changes.get("swap", {})}}
    refused(lambda: work(promised, merge=merge(shot, tmp_path, **spec)), reason, field=field)


def test_mattes_that_a_job_will_make_are_not_asked_for(work: Work, shot: Shot, tmp_path: Path):
    """A segmenter's mattes, or all of the faceset."""
    spec = merge(shot, tmp_path, swap={"recipe": {"mask": "face*occ"}})
    for coming in (shot.faceset, shot.faceset / "mattes"):
        promised = (Output.of_folder(tmp_path / "model"), Output.of_folder(coming))
        assert work(promised, merge=spec).outputs


def test_several_people_want_a_choice(work: Work, shot: Shot, tmp_path: Path):
    crowd = shots.make(tmp_path / "crowd")
    for number in (1001, 1002, 1003, 1004):
        file = crowd.faceset / f"dst_t0.{number}.exr"
        shots.write_faceset(tmp_path / "more", [number], crowd.plate.template.text)
        as_second_person(tmp_path / "more" / file.name, crowd.faceset / f"dst_t1.{number}.exr")
    promised = (Output.of_folder(tmp_path / "model"),)
    spec = merge(crowd, tmp_path)
    refused(
        lambda: work(promised, merge=spec), "TRACK_AMBIGUOUS", "track 0", "track 1", field="merge.swaps.track"
    )
    assert work(promised, merge=merge(crowd, tmp_path, swap={"track": 1})).outputs


def test_two_people_with_a_model_each(work: Work, shot: Shot, tmp_path: Path):
    crowd = shots.make(tmp_path / "crowd")
    shots.write_faceset(crowd.faceset, [1001], crowd.plate.template.text, centre=(110.0, 60.0), track=1)
    promised = (Output.of_folder(tmp_path / "model"), Output.of_folder(tmp_path / "other"))
    anna = {"name": "anna", "faceset": str(crowd.faceset), "track": 0, "model": str(tmp_path / "model")}
    ben = {**anna, "name": "ben", "track": 1, "model": str(tmp_path / "other")}

    def spec(**changes) -> dict:
        return {**merge(crowd, tmp_path), "swaps": [anna, {**ben, **changes}]}

    settings = work(promised, merge=spec(recipe={"erode": {"value": 3}})).settings
    assert isinstance(settings, Merge)
    found = [(p.name, p.track, p.model.name, p.recipe.erode.at(1001)) for p in settings.core.people]
    assert found == [("anna", 0, "model", 0.0), ("ben", 1, "other", 3.0)]
    for changes, field, word in (
        ({"track": 0}, "merge.swaps.track", "ben is the same person as anna"),
        ({"name": "anna"}, "merge.swaps.name", "another person's"),
        ({"name": "B n"}, "merge.swaps.name", "small letter"),
        ({"track": 7}, "merge.swaps.track", "ben: "),
        ({"recipe": {"opacity": {"value": 2.0}}}, "merge.swaps.recipe.opacity", "ben: "),
    ):
        refused(partial(work, promised, merge=spec(**changes)), "INVALID_INPUT", word, field=field)
    bare = shots.tiny_model(tmp_path / "bare", releases=())
    refused(lambda: work(promised, merge=spec(model=str(bare))), "RELEASE_MISSING", "ben: ")


def as_second_person(source: Path, target: Path) -> None:
    from dataclasses import replace

    from understudy.core import faceset

    opened = faceset.Faceset.open(source.parent)
    record = next(r for r in opened.records if r.path == source)
    second = replace(record, path=target, face=replace(record.face, track=1))
    faceset.write(second, opened.load(record))


def test_a_link_in_a_faceset_does_not_lead_out(work: Work, shot: Shot, tmp_path: Path):
    inside, outside = tmp_path / "in", tmp_path / "out"
    shots.write_faceset(outside, [1001], "/p/plate.%04d.exr")
    (inside / "src").mkdir(parents=True)
    (inside / "src" / "x.exr").symlink_to(outside / "dst_t0.1001.exr")
    roots = Roots(read=(inside,))
    spec = train(shot, inside, src=str(inside / "src"))
    refused(lambda: work(roots=roots, train=spec), "PATH_NOT_ALLOWED", "a link to", field="train.src")


def test_a_views_folder_that_is_a_link_is_not_written_through(work: Work, tmp_path: Path):
    stereo = shots.make_stereo(tmp_path / "in", "files", numbers=[1001])
    allowed, secret = tmp_path / "allowed", tmp_path / "secret"
    for folder in (allowed / "left", secret):
        folder.mkdir(parents=True)
    (allowed / "right").symlink_to(secret)
    promised = (Output.of_folder(allowed / "model"),)
    spec = merge(stereo, tmp_path / "in", output=str(allowed / "%V" / "comp.####.exr"))
    spec["swaps"][0]["model"] = str(allowed / "model")
    roots = Roots(write=(allowed,))
    refused(lambda: work(promised, roots=roots, merge=spec), "PATH_NOT_ALLOWED", field="merge.output")
    (allowed / "right").unlink()
    (allowed / "right").mkdir()
    assert work(promised, roots=roots, merge=spec).outputs
