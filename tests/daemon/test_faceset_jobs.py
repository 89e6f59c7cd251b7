"""Jobs on facesets: what their specs refuse, what they make, and chains of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import cv2
import pytest

from tests.core import shots
from tests.daemon import facesets
from tests.daemon.support import ENDED, Daemon, until
from understudy.core import release
from understudy.core.colour import ColourConfig
from understudy.core.errors import UnderstudyError
from understudy.core.faceset import Faceset
from understudy.daemon import decode
from understudy.daemon.outputs import Output
from understudy.daemon.paths import Roots
from understudy.daemon.site import Site
from understudy.v1 import job_pb2
from understudy.v1 import resource_pb2 as pb

Decoded = Callable[..., decode.Work]


@pytest.fixture
def faceset(tmp_path: Path) -> Path:
    return facesets.make(tmp_path / "faces")


@pytest.fixture
def work(colour: ColourConfig, tmp_path: Path) -> Decoded:
    """Decodes for a site that may write below `tmp_path` only."""

    def decoded(promised: tuple[Output, ...] = (), **kind) -> decode.Work:
        roots = Roots(read=(tmp_path,), write=(tmp_path,))
        site = Site(weights_cache=tmp_path / "weights", roots=roots)
        return decode.work(job_pb2.JobSpec(**kind), promised, site=site, colour=colour)

    return decoded


# kind of spec → what is right about it; F stands for a faceset, D for the folder it lies in
GOOD: dict[str, dict] = {
    "measure_faceset": {"faceset": "F"},
    "faceset_sheet": {"faceset": "F", "output": "D/sheet.png"},
    "faceset_coverage": {"faceset": "F", "output": "D/coverage.png"},
    "pack_faceset": {"faceset": "F", "output": "D/a.faceset"},
    "unpack_faceset": {"pack": "D/packed.faceset", "output": "D/new"},
    "resize_faceset": {"faceset": "F", "output": "D/new", "size": 32},
    "import_faceset": {"source": "F", "output": "D/new"},
    "export_faceset": {"faceset": "F", "output": "D/new"},
    "join_facesets": {"facesets": ["F", "D/second"], "output": "D/new"},
}
WRONG = [
    ("measure_faceset", {"keys": ["beauty"]}, "INVALID_INPUT", "keys"),
    ("measure_faceset", {"reference": "D/nobody.png"}, "NOT_FOUND", "reference"),
    ("measure_faceset", {"reference": "/etc/passwd"}, "PATH_NOT_ALLOWED", "reference"),
    ("measure_faceset", {"identity": "nobody"}, "INVALID_INPUT", "identity"),
    ("faceset_sheet", {"output": "D/sheet.jpg"}, "INVALID_INPUT", "output"),
    ("faceset_sheet", {"output": "/elsewhere/sheet.png"}, "PATH_NOT_ALLOWED", "output"),
    ("faceset_sheet", {"query": {"order": "beauty"}}, "INVALID_INPUT", "query.order"),
    ("faceset_sheet", {"query": {"order": "blur"}}, "NOT_MEASURED", "query.key"),
    ("faceset_sheet", {"query": {"frames": [{"first": 1, "last": 2}]}}, "NOT_FOUND", "query"),
    ("faceset_sheet", {"count": -1}, "INVALID_INPUT", "count"),
    ("faceset_sheet", {"cell": 100000}, "INVALID_INPUT", "cell"),
    ("faceset_coverage", {"output": "D/coverage.exr"}, "INVALID_INPUT", "output"),
    ("faceset_coverage", {"against": "D/nowhere"}, "NOT_FOUND", "against"),
    ("pack_faceset", {"output": "D/a.zip"}, "INVALID_INPUT", "output"),
    ("unpack_faceset", {"pack": "D/nowhere.faceset"}, "NOT_FOUND", "pack"),
    ("unpack_faceset", {"output": "F"}, "INVALID_INPUT", "output"),
    ("resize_faceset", {"output": "F"}, "INVALID_INPUT", "output"),
    ("resize_faceset", {"size": 7}, "INVALID_INPUT", "size"),
    ("resize_faceset", {"size": 0}, "INVALID_INPUT", "size"),
    ("resize_faceset", {"face_type": "elbow"}, "INVALID_INPUT", "face_type"),
    ("resize_faceset", {"enhance": "magic"}, "INVALID_INPUT", "enhance"),
    ("import_faceset", {"source": "D/nowhere"}, "NOT_FOUND", "source"),
    ("import_faceset", {"release": "D/nobody.json"}, "NOT_FOUND", "release"),
    ("import_faceset", {"release": "D/old.json"}, "RELEASE_INVALID", None),
    ("export_faceset", {"quality": 101}, "INVALID_INPUT", "quality"),
    ("export_faceset", {"output": "F"}, "INVALID_INPUT", "output"),
    ("join_facesets", {"facesets": ["F"]}, "INVALID_INPUT", "facesets"),
    ("join_facesets", {"facesets": ["F", "D/nowhere"]}, "NOT_FOUND", "facesets"),
    ("join_facesets", {"output": "F"}, "INVALID_INPUT", "output"),
]


def placed(spec: dict, faceset: Path) -> dict:
    """The same with real paths."""

    def put(value: object) -> object:
        if isinstance(value, list):
            return [put(each) for each in value]
        if value == "F":
            return str(faceset)
        return value.replace("D/", f"{faceset.parent}/") if isinstance(value, str) else value

    return {name: put(value) for name, value in spec.items()}


@pytest.fixture
def beside(faceset: Path) -> Path:
    """What the specs above name."""
    facesets.make(faceset.parent / "second", numbers=[2001])
    (faceset.parent / "packed.faceset").write_bytes(b"")
    yesterday = date.today() - timedelta(days=1)
    release.write(shots.make_release(valid_until=yesterday), faceset.parent / "old.json")
    return faceset


@pytest.mark.parametrize("kind", GOOD)
def test_a_spec_is_decoded_and_locks_what_it_writes(work: Decoded, beside: Path, kind: str):
    spec = placed(GOOD[kind], beside)
    outputs = work(**{kind: spec}).outputs
    place = Path(spec.get("output") or spec["faceset"])
    assert any(
        output.overlaps(Output.of_folder(place)) or output == Output.of_file(place) for output in outputs
    )
    assert not any(output.overlaps(Output.of_folder(beside.parent / "second")) for output in outputs)


@pytest.mark.parametrize("kind", GOOD)
def test_every_spec_wants_its_paths(work: Decoded, beside: Path, kind: str):
    for name, value in GOOD[kind].items():
        if name == "size":
            continue
        for path, reason in (("", "INVALID_INPUT"), ("faces", "INVALID_INPUT"), ("/etc", "PATH_NOT_ALLOWED")):
            wrong = {**GOOD[kind], name: [path, path] if isinstance(value, list) else path}
            with pytest.raises(UnderstudyError) as error:
                work(**{kind: placed(wrong, beside)})
            assert (error.value.reason, error.value.field) == (reason, f"{kind}.{name}")


@pytest.mark.parametrize(("kind", "changes", "reason", "field"), WRONG)
def test_a_spec_names_what_is_wrong(
    work: Decoded, beside: Path, kind: str, changes: dict, reason: str, field: str | None
):
    with pytest.raises(UnderstudyError) as error:
        work(**{kind: placed({**GOOD[kind], **changes}, beside)})
    assert error.value.reason == reason, error.value
    assert field is None or error.value.field == f"{kind}.{field}"


def test_measures_do_not_follow_a_link_out_of_the_write_roots(tmp_path: Path, colour: ColourConfig):
    faceset, away = facesets.make(tmp_path / "out" / "faces"), tmp_path / "stage"
    away.mkdir()
    shutil.rmtree(faceset / ".index", ignore_errors=True)
    (faceset / ".index").symlink_to(away)
    roots = Roots(read=(tmp_path,), write=(tmp_path / "out",))
    spec = job_pb2.JobSpec(measure_faceset={"faceset": str(faceset)})
    with pytest.raises(UnderstudyError) as error:
        decode.work(spec, (), site=Site(weights_cache=tmp_path / "weights", roots=roots), colour=colour)
    assert (error.value.reason, error.value.field) == ("PATH_NOT_ALLOWED", "measure_faceset.faceset")


def test_where_it_may_only_read_a_daemon_leaves_no_index(make_daemon: Callable[..., Daemon], tmp_path: Path):
    stage, out = facesets.make(tmp_path / "stage" / "faces"), facesets.make(tmp_path / "out" / "faces")
    linked, away = facesets.make(tmp_path / "out" / "linked"), tmp_path / "stage" / "away"
    away.mkdir()
    for folder in (stage, out, linked):
        shutil.rmtree(folder / ".index", ignore_errors=True)
    (linked / ".index").symlink_to(away)
    daemon = make_daemon("--read-root", str(tmp_path), "--write-root", str(tmp_path / "out")).start()
    for folder in (stage, out, linked):
        daemon.facesets.GetFaceset(pb.GetFacesetRequest(path=str(folder)))
        daemon.facesets.ListReviewFrames(pb.ListReviewFramesRequest(path=str(folder)))
        spec = job_pb2.JobSpec(
            pack_faceset={"faceset": str(folder), "output": str(tmp_path / "out/a.faceset")}
        )
        daemon.succeed(daemon.submit(spec).id)
    assert [(folder / ".index" / "faces").exists() for folder in (stage, out, linked)] == [False, True, False]
    assert not list(away.iterdir())


def test_an_empty_faceset_is_refused_at_submit(work: Decoded, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnderstudyError, match="holds no face") as error:
        work(measure_faceset={"faceset": str(tmp_path / "empty")})
    assert (error.value.reason, error.value.field) == ("NOT_FOUND", "measure_faceset.faceset")


def test_what_a_job_will_make_need_not_be_there(work: Decoded, tmp_path: Path):
    coming = (Output.of_folder(tmp_path / "coming"), Output.of_file(tmp_path / "b.faceset"))
    for place in ("coming", "b.faceset"):
        path = str(tmp_path / place)
        assert work(coming, faceset_coverage={"faceset": path, "output": str(tmp_path / "c.png")})
        sheet = {"faceset": path, "output": str(tmp_path / "s.png"), "query": {"order": "blur"}}
        assert work(coming, faceset_sheet=sheet)
    assert work(coming, unpack_faceset={"pack": str(tmp_path / "b.faceset"), "output": str(tmp_path / "u")})
    with pytest.raises(UnderstudyError, match="no folder"):
        work(faceset_coverage={"faceset": str(tmp_path / "coming"), "output": str(tmp_path / "c.png")})


def submit(daemon: Daemon, kind: str, *after: str, **spec) -> str:
    return daemon.submit(job_pb2.JobSpec(**{kind: spec}), *after).id


def artifacts(daemon: Daemon, job: str) -> dict[str, Path]:
    return {each.kind: Path(each.path) for each in daemon.succeed(job).artifacts}


def warnings(daemon: Daemon, job: str) -> list[str]:
    messages = list(daemon.watch(job))
    return [m.event.warning.reason for m in messages if m.event.WhichOneof("event") == "warning"]


def test_pictures_of_a_faceset(daemon: Daemon, faceset: Path, tmp_path: Path):
    sheet = submit(
        daemon,
        "faceset_sheet",
        faceset=str(faceset),
        output=str(tmp_path / "sheet.png"),
        cell=48,
        count=4,
        query={"order": "yaw", "tracks": [0]},
    )
    picture = cv2.imread(str(artifacts(daemon, sheet)["faceset_sheet"]))
    assert picture is not None
    assert min(picture.shape[:2]) >= 48
    chart = submit(daemon, "faceset_coverage", faceset=str(faceset), output=str(tmp_path / "c.png"))
    assert cv2.imread(str(artifacts(daemon, chart)["coverage"])) is not None
    assert json.loads((tmp_path / "c.json").read_text())
    assert "COVERAGE_GAP" in warnings(daemon, chart)


def test_a_chain_from_pack_to_pictures(daemon: Daemon, faceset: Path, tmp_path: Path):
    """Every job is submitted before the first has run."""
    pack, copy = str(tmp_path / "a.faceset"), str(tmp_path / "copy")
    packed = submit(daemon, "pack_faceset", faceset=str(faceset), output=pack)
    unpacked = submit(daemon, "unpack_faceset", packed, pack=pack, output=copy)
    measured = submit(daemon, "measure_faceset", unpacked, faceset=copy)
    query = {"order": "blur", "limit": 3}
    sheet = submit(
        daemon, "faceset_sheet", measured, faceset=copy, output=str(tmp_path / "s.png"), query=query
    )
    assert artifacts(daemon, sheet)["faceset_sheet"].is_file()
    assert artifacts(daemon, packed)["pack"] == Path(pack)
    assert artifacts(daemon, unpacked)["faceset"] == Path(copy)
    assert daemon.job(packed).progress.unit == "face"
    assert Faceset.open(Path(copy)).digest() == Faceset.open(faceset).digest()


def test_a_sheet_whose_key_is_not_measured_when_its_turn_comes_fails_by_name(
    daemon: Daemon, faceset: Path, tmp_path: Path
):
    copy = str(tmp_path / "copy")
    pack = submit(daemon, "pack_faceset", faceset=str(faceset), output=str(tmp_path / "a.faceset"))
    unpack = submit(daemon, "unpack_faceset", pack, pack=str(tmp_path / "a.faceset"), output=copy)
    sheet = submit(
        daemon,
        "faceset_sheet",
        unpack,
        faceset=copy,
        output=str(tmp_path / "s.png"),
        query={"order": "blur"},
    )
    until(lambda: daemon.job(sheet).state in ENDED)
    assert daemon.job(sheet).error.reason == "NOT_MEASURED"


def test_another_size_and_several_in_one(daemon: Daemon, faceset: Path, tmp_path: Path):
    small = submit(daemon, "resize_faceset", faceset=str(faceset), output=str(tmp_path / "small"), size=32)
    made = Faceset.open(artifacts(daemon, small)["faceset"])
    assert (len(made.records), made.records[0].alignment.size) == (6, 32)
    other = facesets.make(tmp_path / "other", numbers=[2001, 2002], plate="/p/other.%04d.exr")
    join = submit(
        daemon, "join_facesets", facesets=[str(faceset), str(other)], output=str(tmp_path / "joined")
    )
    assert len(Faceset.open(artifacts(daemon, join)["faceset"]).records) == 8


def test_out_to_deepfacelab_and_back(daemon: Daemon, faceset: Path, tmp_path: Path):
    record = shots.make_release()
    release.write(record, tmp_path / "a.json")
    out = submit(daemon, "export_faceset", faceset=str(faceset), output=str(tmp_path / "dfl"), quality=100)
    daemon.succeed(out)
    assert len(list((tmp_path / "dfl").glob("*.jpg"))) == 6
    back = submit(
        daemon,
        "import_faceset",
        source=str(tmp_path / "dfl"),
        output=str(tmp_path / "back"),
        release=str(tmp_path / "a.json"),
    )
    made = Faceset.open(artifacts(daemon, back)["faceset"])
    assert len(made.records) == 6
    held = made.release()
    assert held is not None
    assert held.id == record.id
