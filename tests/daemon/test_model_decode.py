"""Specs of work with models: what they refuse at submit, what they lock, what may still be to come."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.core.exchanging import TINY, deepfacelabs, made, options_of, save_as_deepfacelab
from tests.core.shots import make_release
from understudy.core import release
from understudy.core.colour import ColourConfig
from understudy.core.errors import UnderstudyError
from understudy.core.model import backups, store
from understudy.core.model.exchange import torchscript, weights
from understudy.core.model.exchange.settings import ExportSettings
from understudy.daemon import decode
from understudy.daemon.outputs import Output
from understudy.daemon.paths import Roots
from understudy.daemon.site import Site
from understudy.v1 import job_pb2

Decoded = Callable[..., decode.Work]
OVER = make_release(subject="performer-z", valid_until=make_release().granted)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which lies what the specs name; left as it is."""
    folder = tmp_path_factory.mktemp("models")
    model = made(folder / "a")
    store.back_up(folder / "a")
    made(folder / "b", curve={"knee": 0.5})
    made(folder / "liae", "liae-ud")
    made(folder / "nobodys", releases=())
    made(folder / "over", releases=(replace(OVER, valid_until=date.today() - timedelta(days=1)),))
    made(folder / "linear", working_space="Linear Rec.709 (sRGB)")
    store.create(folder / "untrained", TINY)
    release.write(make_release(), folder / "r.release.json")
    save_as_deepfacelab(folder / "dfl", deepfacelabs(TINY), options_of(TINY))
    save_as_deepfacelab(folder / "two", deepfacelabs(TINY), options_of(TINY))
    save_as_deepfacelab(folder / "two", deepfacelabs(TINY), options_of(TINY), name="bob_SAEHD")
    weights.export(model, folder / "exported")
    torchscript.export(model, folder / "made.pt", said=_export(folder).options)
    (folder / "mine.onnx").write_bytes(b"mine")
    (folder / "empty").mkdir()
    return folder


def _export(folder: Path) -> ExportSettings:
    return ExportSettings(model=folder / "a", out=folder / "made.pt", format="torchscript")


@pytest.fixture
def work(colour: ColourConfig, kept: Path) -> Decoded:
    """Decodes for a site that may use one folder only."""

    def decoded(promised: tuple[Output, ...] = (), **kind) -> decode.Work:
        roots = Roots(read=(kept,), write=(kept,))
        site = Site(weights_cache=kept / "weights", roots=roots)
        return decode.work(job_pb2.JobSpec(**kind), promised, site=site, colour=colour)

    return decoded


GOOD: dict[str, dict] = {
    "export_model": {"model": "D/a", "output": "D/new.pt"},
    "import_model": {"source": "D/dfl", "output": "D/new"},
    "combine_models": {"output": "D/new", "base": "D/a", "parts": {"encoder": "D/a"}},
    "restore_model": {"model": "D/a", "backup": "BACKUP"},
}
PATHS = {
    "export_model": ("model", "output"),
    "import_model": ("source", "output"),
    "combine_models": ("output",),
    "restore_model": ("model",),
}
WRITTEN = {"export_model": "new.pt", "import_model": "new", "combine_models": "new", "restore_model": "a"}
BACK = {"swap_back": True, "release": "D/r.release.json"}
WRONG = [
    ("export_model", {"model": "D/nowhere"}, "NOT_FOUND", "model"),
    ("export_model", {"model": "D/empty"}, "NOT_FOUND", "model"),
    ("export_model", {"model": "D/untrained"}, "NOT_FOUND", "model"),
    ("export_model", {"model": "D/nobodys"}, "RELEASE_MISSING", None),
    ("export_model", {"model": "D/over"}, "RELEASE_INVALID", None),
    ("export_model", {"format": "tflite"}, "INVALID_INPUT", "format"),
    ("export_model", {"format": "onnx"}, "INVALID_INPUT", "output"),
    ("export_model", {"format": "weights"}, "INVALID_INPUT", "output"),
    ("export_model", {"output": "D/mine.onnx"}, "INVALID_INPUT", "output"),
    ("export_model", {"output": "D/made.pt", "model": "D/b"}, "INVALID_INPUT", "output"),
    ("export_model", {"output": "D/made.pt", **BACK}, "INVALID_INPUT", "output"),
    ("export_model", {"output": "D/exported"}, "INVALID_INPUT", "output"),
    ("export_model", {"output": "D/n.onnx", "opset": 9}, "INVALID_INPUT", "opset"),
    ("export_model", {"output": "D/n.onnx", "opset": -1}, "INVALID_INPUT", "opset"),
    ("export_model", {"output": "D/n.onnx", "gain": 2.0}, "INVALID_INPUT", "gain"),
    ("export_model", {"output": "D/n.dfm", "gain": -1.0}, "INVALID_INPUT", "gain"),
    ("export_model", {"output": "D/n.dfm", "model": "D/linear"}, "INVALID_INPUT", "colour_config"),
    ("export_model", {"half": True}, "INVALID_INPUT", "half"),
    ("export_model", {"folders": True}, "INVALID_INPUT", "folders"),
    ("export_model", {"swap_back": True}, "RELEASE_MISSING", None),
    ("export_model", {**BACK, "swap_back": False}, "INVALID_INPUT", "release"),
    ("export_model", {**BACK, "release": "D/none.json"}, "NOT_FOUND", "release"),
    ("export_model", {**BACK, "release": "D/mine.onnx"}, "RELEASE_INVALID", None),
    ("export_model", {**BACK, "release": "/etc/passwd"}, "PATH_NOT_ALLOWED", "release"),
    ("export_model", {**BACK, "output": "D/w"}, "INVALID_INPUT", "swap_back"),
    ("import_model", {"source": "D/nowhere"}, "NOT_FOUND", "source"),
    ("import_model", {"source": "D/empty"}, "NOT_FOUND", "source"),
    ("import_model", {"source": "D/two"}, "INVALID_INPUT", "name"),
    ("import_model", {"source": "D/two", "name": "eve"}, "INVALID_INPUT", "name"),
    ("import_model", {"source": "D/exported", "name": "amy"}, "INVALID_INPUT", "name"),
    ("import_model", {"output": "D/a"}, "INVALID_INPUT", "output"),
    ("import_model", {"output": "D/dfl"}, "INVALID_INPUT", "output"),
    ("import_model", {"output": "D/dfl/in"}, "INVALID_INPUT", "output"),
    ("import_model", {"output": "D/mine.onnx"}, "INVALID_INPUT", "output"),
    ("import_model", {"releases": ["D/none.json"]}, "NOT_FOUND", "releases"),
    ("import_model", {"releases": ["/etc/passwd"]}, "PATH_NOT_ALLOWED", "releases"),
    ("combine_models", {"base": "D/nowhere"}, "NOT_FOUND", "base"),
    ("combine_models", {"base": "/etc"}, "PATH_NOT_ALLOWED", "base"),
    ("combine_models", {"parts": {}}, "INVALID_INPUT", "parts"),
    ("combine_models", {"parts": {"encoder": "D/untrained"}}, "NOT_FOUND", "parts"),
    ("combine_models", {"parts": {"encoder": "/etc"}}, "PATH_NOT_ALLOWED", "parts"),
    ("combine_models", {"parts": {"head": "D/a"}}, "INVALID_INPUT", "parts"),
    ("combine_models", {"parts": {"encoder": "D/b"}}, "INVALID_INPUT", "parts"),
    ("combine_models", {"parts": {"encoder": "D/liae"}}, "INVALID_INPUT", "parts"),
    ("combine_models", {"base": None}, "INVALID_INPUT", "parts"),
    ("combine_models", {"output": "D/a"}, "INVALID_INPUT", "output"),
    ("combine_models", {"output": "D/a/in"}, "INVALID_INPUT", "output"),
    ("restore_model", {"model": "D/nowhere"}, "NOT_FOUND", "model"),
    ("restore_model", {"model": "D/empty"}, "NOT_FOUND", "model"),
    ("restore_model", {"backup": ""}, "NOT_FOUND", "backup"),
    ("restore_model", {"backup": "../b"}, "NOT_FOUND", "backup"),
]


def placed(spec: Any, folder: Path) -> Any:
    """The same with real paths and names; what is None is left out."""
    if isinstance(spec, dict):
        return {name: placed(value, folder) for name, value in spec.items() if value is not None}
    if isinstance(spec, list):
        return [placed(each, folder) for each in spec]
    if spec == "BACKUP":
        return backups.listed(folder / "a")[0].name
    return spec.replace("D/", f"{folder}/") if isinstance(spec, str) else spec


@pytest.mark.parametrize("kind", GOOD)
def test_a_spec_is_decoded_and_locks_what_it_writes(work: Decoded, kept: Path, kind: str):
    decoded = work(**{kind: placed(GOOD[kind], kept)})
    place = kept / WRITTEN[kind]
    assert decoded.outputs == (Output.of_file(place) if place.suffix else Output.of_folder(place),)
    assert decoded.label


@pytest.mark.parametrize("kind", GOOD)
def test_every_spec_wants_its_paths(work: Decoded, kept: Path, kind: str):
    for name in PATHS[kind]:
        for path, reason in (
            ("", "INVALID_INPUT"),
            ("a", "INVALID_INPUT"),
            ("/etc/a.pt", "PATH_NOT_ALLOWED"),
        ):
            with pytest.raises(UnderstudyError) as error:
                work(**{kind: placed({**GOOD[kind], name: path}, kept)})
            assert (error.value.reason, error.value.field) == (reason, f"{kind}.{name}")


@pytest.mark.parametrize(("kind", "changes", "reason", "field"), WRONG)
def test_a_spec_names_what_is_wrong(
    work: Decoded, kept: Path, kind: str, changes: dict, reason: str, field: str | None
):
    with pytest.raises(UnderstudyError) as error:
        work(**{kind: placed({**GOOD[kind], **changes}, kept)})
    assert error.value.reason == reason, error.value
    assert field is None or error.value.field == f"{kind}.{field}"


@pytest.mark.parametrize(
    ("output", "form"), [("n.onnx", "onnx"), ("n.DFM", "dfm"), ("n.pt", "torchscript"), ("v1.2", "weights")]
)
def test_the_ending_says_the_format(work: Decoded, kept: Path, output: str, form: str):
    settings: Any = work(export_model={"model": str(kept / "a"), "output": str(kept / output)}).settings
    assert settings.format == form
    assert work(export_model={"model": str(kept / "a"), "output": str(kept / output), "format": form})


def test_an_export_holds_what_was_asked(work: Decoded, kept: Path):
    spec = {"model": "D/a", "output": "D/n.onnx", "opset": 13, "half": True, **BACK}
    settings: Any = work(export_model=placed(spec, kept)).settings
    assert (settings.opset, settings.half, settings.swap_back) == (13, True, True)
    assert settings.release == make_release()
    settings = work(export_model=placed({"model": "D/a", "output": "D/n.dfm"}, kept)).settings
    assert (settings.opset, settings.gain) == (17, 1.0)


def test_the_same_export_again_is_taken(work: Decoded, kept: Path):
    """So that a daemon that was killed may do it again."""
    assert work(export_model={"model": str(kept / "a"), "output": str(kept / "made.pt")})


def test_an_import_holds_what_was_asked(work: Decoded, kept: Path):
    spec = {"source": "D/two", "output": "D/new", "name": "bob", "releases": ["D/r.release.json"]}
    settings: Any = work(import_model=placed(spec, kept)).settings
    assert (settings.name, settings.releases, settings.exported) == ("bob", (make_release(),), False)
    settings = work(import_model=placed({"source": "D/exported", "output": "D/new"}, kept)).settings
    assert settings.exported


def test_what_other_jobs_will_make_need_not_be_there(work: Decoded, kept: Path):
    coming = (Output.of_folder(kept / "coming"),)
    for spec in (
        {"export_model": {"model": "D/coming", "output": "D/n.pt"}},
        {"import_model": {"source": "D/coming", "output": "D/new"}},
        {"combine_models": {"output": "D/new", "base": "D/a", "parts": {"decoder_src": "D/coming"}}},
    ):
        assert work(coming, **placed(spec, kept))
        with pytest.raises(UnderstudyError, match="no folder"):
            work(**placed(spec, kept))


def test_nothing_is_restored_through_a_link_out_of_the_roots(
    colour: ColourConfig, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
):
    made(tmp_path / "a")
    store.back_up(tmp_path / "a")
    away = tmp_path_factory.mktemp("away")
    (tmp_path / "a" / "backups").rename(away / "backups")
    (tmp_path / "a" / "backups").symlink_to(away / "backups")
    spec = job_pb2.JobSpec(restore_model=placed(GOOD["restore_model"], tmp_path))
    site = Site(weights_cache=tmp_path / "weights", roots=Roots(write=(tmp_path,)))
    with pytest.raises(UnderstudyError) as error:
        decode.work(spec, (), site=site, colour=colour)
    assert (error.value.reason, error.value.field) == ("PATH_NOT_ALLOWED", "restore_model.model")


def test_decoding_loads_no_torch():
    code = (
        "import sys; from understudy.daemon.decode import models\n"
        "from understudy.core.model import backups, combine\n"
        "from understudy.core.model.exchange import saehd, settings\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
