"""Specs of segmentation: what they refuse at submit, what they lock, what may still be to come."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.core import shots
from tests.daemon import facesets, segmenters
from understudy.core import plate
from understudy.core.colour import ColourConfig
from understudy.core.errors import UnderstudyError
from understudy.core.segment.config import SegmenterConfig
from understudy.core.segment.label import LabelSettings
from understudy.daemon import decode
from understudy.daemon.outputs import Output
from understudy.daemon.paths import Roots
from understudy.daemon.site import Site
from understudy.v1 import job_pb2

Decoded = Callable[..., decode.Work]


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """The folder in which lies what the specs name."""
    facesets.make(tmp_path / "faces", tracks=(0, 1))
    segmenters.label(facesets.make(tmp_path / "labelled"), [1001, 1003])
    segmenters.make(tmp_path / "segmenter")
    segmenters.make(tmp_path / "light", SegmenterConfig(resolution=128, channels=16))
    (tmp_path / "untrained").mkdir()
    (tmp_path / "crops").mkdir()
    for name in ("polygons.json", "weights.npz", "packed.faceset"):
        (tmp_path / name).write_bytes(b"")
    plate.write(shots.frame(1001), tmp_path / "roto.1001.exr")
    return tmp_path


@pytest.fixture
def work(colour: ColourConfig, tmp_path: Path) -> Decoded:
    """Decodes for a site that may use `tmp_path` only."""

    def decoded(promised: tuple[Output, ...] = (), **kind) -> decode.Work:
        roots = Roots(read=(tmp_path,), write=(tmp_path,))
        site = Site(weights_cache=tmp_path / "weights", roots=roots)
        return decode.work(job_pb2.JobSpec(**kind), promised, site=site, colour=colour)

    return decoded


GOOD: dict[str, dict] = {
    "label_faces": {"faceset": "D/faces", "polygons": "D/polygons.json", "track": 1},
    "train_segmenter": {"segmenter": "D/new", "facesets": ["D/labelled"], "until_converged": True},
    "apply_segmenter": {"segmenter": "D/segmenter", "faceset": "D/faces"},
    "preview_segmentation": {"faceset": "D/faces", "output": "D/p.png", "segmenter": "D/segmenter"},
}
PATHS = {
    "label_faces": ("faceset", "polygons"),
    "train_segmenter": ("segmenter", "facesets"),
    "apply_segmenter": ("segmenter", "faceset"),
    "preview_segmentation": ("faceset", "output"),
}
WRITTEN = {
    "label_faces": "faces/labels",
    "train_segmenter": "new",
    "apply_segmenter": "faces/mattes",
    "preview_segmentation": "p.png",
}
ROTO = {"pattern": "D/roto.%04d.exr"}
WRONG = [
    ("label_faces", {"polygons": None}, "INVALID_INPUT", "roto"),
    ("label_faces", {"polygons": "D/nothing.json"}, "NOT_FOUND", "polygons"),
    ("label_faces", {"crops": "D/nowhere"}, "NOT_FOUND", "crops"),
    ("label_faces", {"crops": "/etc"}, "PATH_NOT_ALLOWED", "crops"),
    ("label_faces", {"roto": {"pattern": "D/none.%04d.exr"}}, "NOT_FOUND", None),
    ("label_faces", {"roto": {"pattern": "D/roto.exr"}}, "INVALID_INPUT", "roto.pattern"),
    ("label_faces", {"roto": {"pattern": "/etc/roto.%04d.exr"}}, "PATH_NOT_ALLOWED", "roto.pattern"),
    ("label_faces", {"roto": ROTO, "track": None}, "TRACK_AMBIGUOUS", "track"),
    ("label_faces", {"channel": "A"}, "INVALID_INPUT", "channel"),
    ("label_faces", {"marks": "ears"}, "INVALID_INPUT", "marks"),
    ("label_faces", {"track": 7}, "INVALID_INPUT", "track"),
    ("label_faces", {"faceset": "D/packed.faceset"}, "INVALID_INPUT", "faceset"),
    ("label_faces", {"faceset": "D/crops"}, "NOT_FOUND", "faceset"),
    ("train_segmenter", {"until_converged": False}, "INVALID_INPUT", "target_iterations"),
    ("train_segmenter", {"target_iterations": -1}, "INVALID_INPUT", "target_iterations"),
    ("train_segmenter", {"target_time": {"seconds": -1}}, "INVALID_INPUT", "target_time"),
    ("train_segmenter", {"facesets": []}, "INVALID_INPUT", "facesets"),
    ("train_segmenter", {"facesets": ["D/labelled", "D/labelled"]}, "INVALID_INPUT", "facesets"),
    ("train_segmenter", {"facesets": ["D/faces"]}, "NOT_FOUND", "facesets"),
    ("train_segmenter", {"facesets": ["D/labelled", "D/nowhere"]}, "NOT_FOUND", "facesets"),
    ("train_segmenter", {"facesets": ["D/crops"], "self_label": True}, "NOT_FOUND", "facesets"),
    ("train_segmenter", {"preset": "magic"}, "INVALID_INPUT", "preset"),
    ("train_segmenter", {"segmenter": "D/light", "preset": "xseg"}, "MODEL_INVALID", "preset"),
    ("train_segmenter", {"segmenter": "D/polygons.json"}, "INVALID_INPUT", "segmenter"),
    ("train_segmenter", {"segmenter": "D/labelled"}, "INVALID_INPUT", "segmenter"),
    ("train_segmenter", {"batch_size": -1}, "INVALID_INPUT", "batch_size"),
    ("train_segmenter", {"device": "abacus"}, "INVALID_INPUT", "device"),
    ("train_segmenter", {"start_from": "D/nowhere"}, "NOT_FOUND", "start_from"),
    ("train_segmenter", {"start_from": "D/untrained"}, "NOT_FOUND", "start_from"),
    ("train_segmenter", {"start_from": "/etc/passwd"}, "PATH_NOT_ALLOWED", "start_from"),
    ("train_segmenter", {"start_from": "D/light"}, "MODEL_INVALID", "start_from"),
    ("apply_segmenter", {"segmenter": "D/untrained"}, "NOT_FOUND", "segmenter"),
    ("apply_segmenter", {"segmenter": "D/nowhere"}, "NOT_FOUND", "segmenter"),
    ("apply_segmenter", {"faceset": "D/packed.faceset"}, "INVALID_INPUT", "faceset"),
    ("apply_segmenter", {"faceset": "D/crops"}, "NOT_FOUND", "faceset"),
    ("apply_segmenter", {"track": 7}, "INVALID_INPUT", "track"),
    ("apply_segmenter", {"device": "abacus"}, "INVALID_INPUT", "device"),
    ("preview_segmentation", {"output": "D/p.jpg"}, "INVALID_INPUT", "output"),
    ("preview_segmentation", {"segmenter": "D/untrained"}, "NOT_FOUND", "segmenter"),
    ("preview_segmentation", {"segmenter": "/etc"}, "PATH_NOT_ALLOWED", "segmenter"),
    ("preview_segmentation", {"query": {"order": "beauty"}}, "INVALID_INPUT", "query.order"),
    ("preview_segmentation", {"query": {"order": "blur"}}, "NOT_MEASURED", "query.key"),
    ("preview_segmentation", {"query": {"frames": [{"first": 1, "last": 2}]}}, "NOT_FOUND", "query"),
    ("preview_segmentation", {"count": -1}, "INVALID_INPUT", "count"),
    ("preview_segmentation", {"cell": 9}, "INVALID_INPUT", "cell"),
]


def placed(spec: Any, folder: Path) -> Any:
    """The same with real paths; what is None is left out."""
    if isinstance(spec, dict):
        return {name: placed(value, folder) for name, value in spec.items() if value is not None}
    if isinstance(spec, list):
        return [placed(each, folder) for each in spec]
    return spec.replace("D/", f"{folder}/") if isinstance(spec, str) else spec


@pytest.mark.parametrize("kind", GOOD)
def test_a_spec_is_decoded_and_locks_what_it_writes(work: Decoded, beside: Path, kind: str):
    decoded = work(**{kind: placed(GOOD[kind], beside)})
    place = beside / WRITTEN[kind]
    assert decoded.outputs == (Output.of_file(place) if place.suffix else Output.of_folder(place),)
    assert decoded.label


@pytest.mark.parametrize("kind", GOOD)
def test_every_spec_wants_its_paths(work: Decoded, beside: Path, kind: str):
    for name in PATHS[kind]:
        for path, reason in (("", "INVALID_INPUT"), ("faces", "INVALID_INPUT"), ("/etc", "PATH_NOT_ALLOWED")):
            wrong = {**GOOD[kind], name: [path] if name == "facesets" else path}
            with pytest.raises(UnderstudyError) as error:
                work(**{kind: placed(wrong, beside)})
            assert (error.value.reason, error.value.field) == (reason, f"{kind}.{name}")


@pytest.mark.parametrize(("kind", "changes", "reason", "field"), WRONG)
def test_a_spec_names_what_is_wrong(
    work: Decoded, beside: Path, kind: str, changes: dict, reason: str, field: str | None
):
    spec = {**GOOD[kind], **changes}
    if {"roto", "crops"} & set(changes):
        del spec["polygons"]
    with pytest.raises(UnderstudyError) as error:
        work(**{kind: placed(spec, beside)})
    assert error.value.reason == reason, error.value
    assert field is None or error.value.field == f"{kind}.{field}"


def test_labels_and_mattes_of_one_faceset_are_two_outputs(work: Decoded, beside: Path):
    (labels,) = work(label_faces=placed(GOOD["label_faces"], beside)).outputs
    (mattes,) = work(apply_segmenter=placed(GOOD["apply_segmenter"], beside)).outputs
    assert not labels.overlaps(mattes)
    measured = work(measure_faceset={"faceset": str(beside / "faces")}).outputs[0]  # all of the faceset
    assert measured.overlaps(labels)
    assert measured.overlaps(mattes)


def test_every_source_of_labels(work: Decoded, beside: Path):
    said = {"faceset": "D/faces", "track": 0, "invert": True, "marks": "occluder"}
    for source in (
        {"roto": ROTO, "channel": "G"},
        {"polygons": "D/polygons.json"},
        {"crops": "D/crops", "channel": "G"},
    ):
        settings: Any = work(label_faces=placed({**said, **source}, beside)).settings
        assert (settings.invert, settings.marks, settings.track) == (True, "occluder", 0)
        assert settings.channel == source.get("channel", "")
        given = [name for name in ("roto", "polygons", "crops") if getattr(settings, name) is not None]
        assert given == list(source)[:1]


def test_a_training_holds_what_was_asked(work: Decoded, beside: Path):
    spec = {
        **GOOD["train_segmenter"],
        "segmenter": "D/light",
        "facesets": ["D/labelled", "D/faces"],
        "self_label": True,  # then labels need not be there
        "all_labels": True,
        "target_iterations": 300,
        "target_time": {"seconds": 90},
        "batch_size": 3,
        "seed": 5,
        "device": "cpu",
        "preset": "xseg-light",
    }
    settings: Any = work(train_segmenter=placed(spec, beside)).settings
    assert (settings.target_iterations, settings.target_seconds, settings.until_converged) == (
        300,
        90.0,
        True,
    )
    assert (settings.batch_size, settings.seed, settings.device) == (3, 5, "cpu")
    assert (settings.preset, settings.self_label, len(settings.facesets)) == ("xseg-light", True, 2)
    assert (settings.start_from, settings.all_labels) == (None, True)


def test_a_training_starts_from_a_segmenter_or_a_file(work: Decoded, beside: Path):
    for place, preset in (("D/light", "xseg-light"), ("D/weights.npz", "xseg")):
        spec = {**GOOD["train_segmenter"], "preset": preset, "start_from": place}
        settings: Any = work(train_segmenter=placed(spec, beside)).settings
        assert settings.start_from == beside / place[2:]


def test_what_other_jobs_will_make_need_not_be_there(work: Decoded, beside: Path):
    coming = (Output.of_folder(beside / "coming"), Output.of_folder(beside / "faces" / "labels"))
    train = {**GOOD["train_segmenter"], "facesets": ["D/faces"]}
    assert work(coming, train_segmenter=placed(train, beside))
    assert work(coming, train_segmenter=placed({**train, "facesets": ["D/coming"]}, beside))
    apply = {**GOOD["apply_segmenter"], "segmenter": "D/coming"}
    assert work(coming, apply_segmenter=placed(apply, beside))
    later = (Output.of_folder(beside / "later"),)
    for kind in ("label_faces", "apply_segmenter", "preview_segmentation"):
        assert work(later, **{kind: placed({**GOOD[kind], "faceset": "D/later"}, beside)})
    with pytest.raises(UnderstudyError, match="no folder"):
        work(apply_segmenter=placed(apply, beside))


@pytest.mark.parametrize(
    ("kind", "folder"), [("label_faces", "labels"), ("apply_segmenter", "mattes")], ids=["labels", "mattes"]
)
def test_nothing_is_written_through_a_link_out_of_the_roots(
    colour: ColourConfig, beside: Path, tmp_path: Path, kind: str, folder: str
):
    away = tmp_path / "away"
    away.mkdir()
    (beside / "faces" / folder).symlink_to(away)
    roots = Roots(read=(tmp_path,), write=(tmp_path / "faces",))
    spec = job_pb2.JobSpec(**{kind: placed(GOOD[kind], beside)})
    with pytest.raises(UnderstudyError) as error:
        decode.work(spec, (), site=Site(weights_cache=tmp_path / "weights", roots=roots), colour=colour)
    assert (error.value.reason, error.value.field) == ("PATH_NOT_ALLOWED", f"{kind}.faceset")


def test_no_label_is_read_through_a_link_out_of_the_roots(work: Decoded, beside: Path):
    (beside / "labelled" / "labels" / "plate_t0.1001.json").unlink()
    (beside / "labelled" / "labels" / "plate_t0.1001.json").symlink_to("/etc/passwd")
    with pytest.raises(UnderstudyError) as error:
        work(train_segmenter=placed(GOOD["train_segmenter"], beside))
    assert (error.value.reason, error.value.field) == ("PATH_NOT_ALLOWED", "train_segmenter.facesets")


def test_decoding_loads_no_torch():
    code = (
        "import sys; from understudy.daemon.decode import segment\n"
        "from understudy.core.segment import apply, clear, label, preview, rank, settings, store\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_only_frames_that_are_named_can_be_missing(beside: Path, work: Decoded):
    """Roto of a few frames has holes between them; who names a range means all of it."""
    plate.write(shots.frame(1003), beside / "roto.1003.exr")
    label = {"faceset": str(beside / "faces"), "track": 1}
    roto = {"pattern": str(beside / "roto.%04d.exr")}
    for frames, missing in (([], []), ([{"first": 1001, "last": 1003}], [1002])):
        settings = work(label_faces={**label, "roto": {**roto, "frames": frames}}).settings
        assert isinstance(settings, LabelSettings)
        assert settings.roto is not None
        assert list(settings.roto.missing) == missing
