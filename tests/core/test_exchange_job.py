"""Exports and imports as a person asks for them: checked before, done once, refused where they must be."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import onnxruntime
import pytest
import torch

from tests.core.exchanging import HOME, TINY, crops, deepfacelabs, made, options_of, save_as_deepfacelab
from tests.core.shots import make_release
from understudy.core.errors import InvalidInput, ModelInvalid, NotFound, ReleaseInvalid, ReleaseMissing
from understudy.core.model import dfl, store, swap
from understudy.core.model.exchange import inside, job, settings, weights
from understudy.core.model.exchange.curve import Curve
from understudy.core.model.exchange.settings import ExportSettings, ImportSettings
from understudy.core.model.exchange.wrapped import curve_of
from understudy.core.reports import Advanced, Artifact, Started, Warned

SUFFIXES = {"onnx": "a.onnx", "dfm": "a.dfm", "torchscript": "a.pt", "weights": "a"}
OTHER = make_release(subject="performer-b")


@pytest.fixture
def model(tmp_path):
    return made(tmp_path / "m")


def asked(tmp_path, form, **options):
    return ExportSettings(model=tmp_path / "m", out=tmp_path / "out" / SUFFIXES[form], format=form, **options)


def export(wanted, colour):
    return list(job.export(wanted, colour=colour))


def bchw(array):
    return np.ascontiguousarray(array.transpose(0, 3, 1, 2))


class TestExport:
    @pytest.mark.parametrize("form", SUFFIXES)
    def test_every_format_in_steps_and_only_once(self, tmp_path, model, colour, form):
        wanted = asked(tmp_path, form)
        file = Artifact(kind="export", path=wanted.out)
        steps = [Started(total=2, unit="step"), Advanced(done=1), Advanced(done=2), file]
        assert export(wanted, colour) == steps
        told = inside.read(wanted.out)
        assert (told["digest"], told["export"]) == (model.digest, wanted.options)
        assert told["releases"][0]["id"] == make_release().id
        before = {each: each.stat().st_mtime_ns for each in sorted(wanted.out.parent.rglob("*"))}
        assert export(wanted, colour) == [Started(total=2, unit="step", skipped=2), file]
        assert {each: each.stat().st_mtime_ns for each in sorted(wanted.out.parent.rglob("*"))} == before

    @pytest.mark.parametrize("form", SUFFIXES)
    def test_what_is_something_else_is_left_alone(self, tmp_path, model, colour, form):
        wanted = asked(tmp_path, form)
        place = wanted.out / "mine" if form == "weights" else wanted.out
        place.parent.mkdir(parents=True)
        place.write_bytes(b"mine")
        with pytest.raises(InvalidInput, match="is there already: no export of ours") as refused:
            export(wanted, colour)
        assert (refused.value.field, place.read_bytes()) == ("out", b"mine")

    def test_an_older_export_is_not_written_over(self, tmp_path, model, colour):
        wanted = asked(tmp_path, "torchscript")
        export(wanted, colour)
        weights_now = {name: each + 0.01 for name, each in model.net.state_dict().items()}
        now = store.save(tmp_path / "m", model.state, weights_now, {})
        with pytest.raises(InvalidInput, match=f"{model.digest[:12]}…, not this one of {now.digest[:12]}"):
            export(wanted, colour)
        assert inside.read(wanted.out)["digest"] == model.digest

    @pytest.mark.parametrize(
        ("form", "options"),
        [
            ("onnx", {"opset": 15}),
            ("onnx", {"half": True}),
            ("dfm", {"gain": 2.0}),
            ("weights", {"folders": True}),
        ],
    )
    def test_other_options_are_another_export(self, tmp_path, model, colour, form, options):
        export(asked(tmp_path, form), colour)
        with pytest.raises(InvalidInput, match="is there already: an export of"):
            export(asked(tmp_path, form, **options), colour)

    def test_options_come_through(self, tmp_path, model, colour):
        export(asked(tmp_path, "onnx", opset=13, half=True), colour)
        assert inside.read(tmp_path / "out/a.onnx")["export"] == {
            "format": "onnx", "opset": 13, "half": True, "swap_back": False,
        }  # fmt: skip
        export(asked(tmp_path, "weights", folders=True), colour)
        assert HOME in (tmp_path / "out/a/card.json").read_text()

    def test_of_a_model_that_learnt_here_a_screens_codes_are_converted(self, tmp_path, colour):
        made(tmp_path / "m", working_space=colour.working)
        export(asked(tmp_path, "dfm", gain=0.5), colour)
        assert inside.read(tmp_path / "out/a.dfm")["export"]["gain"] == 0.5
        made(tmp_path / "other", working_space="Linear Rec.709 (sRGB)")
        wanted = replace(asked(tmp_path, "dfm"), model=tmp_path / "other", out=tmp_path / "b.dfm")
        with pytest.raises(InvalidInput, match="export with the model's colour config") as refused:
            export(wanted, colour)
        assert refused.value.field == "colour_config"

    @pytest.mark.parametrize("package", settings.PACKAGES)
    def test_without_the_extra(self, tmp_path, model, colour, monkeypatch, package):
        monkeypatch.setattr(settings, "find_spec", lambda name: None if name == package else object())
        for form in ("onnx", "dfm"):
            with pytest.raises(
                InvalidInput, match=rf"package {package} .*`pip install understudy\[export\]`"
            ):
                export(asked(tmp_path, form), colour)
        assert export(asked(tmp_path, "torchscript"), colour)[-1].path.is_file()

    def test_no_model(self, tmp_path, colour):
        with pytest.raises(NotFound):
            export(asked(tmp_path, "onnx"), colour)


class TestReleases:
    """As for a merge: no likeness goes out without a record that holds."""

    @pytest.mark.parametrize("form", SUFFIXES)
    def test_none(self, tmp_path, colour, form):
        made(tmp_path / "m", releases=())
        with pytest.raises(ReleaseMissing, match="export of"):
            export(asked(tmp_path, form), colour)
        assert not (tmp_path / "out").exists()

    def test_one_of_several_is_over(self, tmp_path, colour):
        over = make_release(valid_until=make_release().granted)
        made(tmp_path / "m", releases=(make_release(), over))
        day = over.granted + timedelta(days=1)
        with pytest.raises(ReleaseInvalid, match=f"{over.id} .*valid until"):
            export(asked(tmp_path, "torchscript", on=day), colour)
        assert export(asked(tmp_path, "torchscript", on=over.granted), colour)

    @pytest.mark.parametrize("kind", ["df-ud", "liae-ud", "dfhd"])
    def test_the_way_back_takes_the_record_of_dst(self, tmp_path, colour, kind):
        model = made(tmp_path / "m", kind)
        with pytest.raises(ReleaseMissing):
            export(asked(tmp_path, "onnx", swap_back=True), colour)
        wanted = asked(tmp_path, "onnx", swap_back=True, release=OTHER)
        export(wanted, colour)
        told = inside.read(wanted.out)
        assert [each["id"] for each in told["releases"]] == [OTHER.id] == [told["export"]["release"]]
        given = crops(2)
        running = onnxruntime.InferenceSession(str(wanted.out), providers=["CPUExecutionProvider"])
        face, matte, own = running.run(["face", "matte", "matte_dst"], {"dst": bchw(given)})
        faces, mattes = model.swap_back(given)
        np.testing.assert_allclose(face, bchw(faces), atol=1e-4)
        np.testing.assert_allclose(matte[:, 0], mattes, atol=1e-4)
        assert np.abs(face - bchw(model.swap(given)[0])).max() > 0.01, "both ways are the same"
        with torch.inference_mode():
            seen = model.net.encoder(torch.from_numpy(bchw(given)))
            own_src = torch.sigmoid(model.net.decoders[0](model.net.code_as_src(seen))[1])
        np.testing.assert_allclose(own, own_src.numpy(), atol=1e-4)

    @pytest.mark.parametrize("form", ["dfm", "torchscript"])
    def test_the_way_back_in_the_other_formats(self, tmp_path, model, colour, form):
        export(asked(tmp_path, form, swap_back=True, release=OTHER), colour)
        given = crops(1)
        faces, mattes = model.swap_back(given)
        if form == "dfm":
            path = str(tmp_path / "out/a.dfm")
            running = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
            face = running.run(["out_celeb_face:0"], {"in_face:0": given[..., ::-1].copy()})[0][..., ::-1]
            np.testing.assert_allclose(face, faces, atol=1e-4)
        else:
            with pytest.warns(DeprecationWarning, match="torch.jit.load"):
                script = torch.jit.load(str(tmp_path / "out/a.pt"))
            curve = Curve(curve_of(model))
            light = curve.decode(torch.from_numpy(bchw(given)).clamp(0, 63 / 64), 1.0)
            faces, mattes = model.swap_back(curve.encode(light, 1.0).permute(0, 2, 3, 1).numpy())
            answer = script(light).numpy()
            wanted = curve.decode(torch.from_numpy(bchw(faces)), 1.0).numpy()
            np.testing.assert_allclose(answer[:, :3], wanted, rtol=1e-3, atol=1e-3)
            np.testing.assert_allclose(answer[:, 3], mattes, atol=1e-3)


@pytest.mark.parametrize(
    ("options", "says", "field"),
    [
        ({"format": "tflite"}, "format 'tflite' is none of onnx, dfm, torchscript, weights", "format"),
        ({"out": "a.dfm"}, r"a\.dfm' must end in \.onnx", "out"),
        ({"format": "weights"}, "ends as a file does, but weights are a folder", "out"),
        ({"opset": 10}, "opset '10' is not from 11 to 20", "opset"),
        ({"opset": 21}, "opset '21' is not from 11 to 20", "opset"),
        ({"gain": 2.0}, "gain '2.0' means nothing to onnx", "gain"),
        ({"format": "dfm", "out": "a.dfm", "gain": 0.0}, "gain '0.0' is not from", "gain"),
        ({"format": "dfm", "out": "a.dfm", "gain": float("nan")}, "gain 'nan' is not from", "gain"),
        ({"format": "dfm", "out": "a.dfm", "opset": 15}, "opset '15' means nothing to dfm", "opset"),
        ({"format": "torchscript", "out": "a.pt", "half": True}, "half 'True' means nothing to", "half"),
        ({"folders": True}, "folders 'True' means nothing to onnx", "folders"),
        (
            {"format": "weights", "out": "a", "swap_back": True},
            "swap_back .* nothing to weights",
            "swap_back",
        ),
        ({"release": OTHER}, "is for swap_back", "release"),
    ],
)
def test_settings_that_cannot_be(tmp_path, options, says, field):
    given = {"format": "onnx", "out": "a.onnx"} | options
    with pytest.raises(InvalidInput, match=says) as refused:
        ExportSettings(model=tmp_path / "m", **given | {"out": tmp_path / given["out"]})
    assert refused.value.field == field


class TestInside:
    """Who holds a file can be told whose likeness is in it; what is no file of ours has no card."""

    @pytest.mark.parametrize("name", ["a.onnx", "a.dfm", "a.pt", "a"])
    @pytest.mark.parametrize(
        "content", [b"", b"mine", b"\x0a\xff\xff\xff\xff\x0f", b"\x72\x05abc", b"\x0b" * 9]
    )
    def test_other_files(self, tmp_path, name, content):
        (tmp_path / name).write_bytes(content)
        assert inside.read(tmp_path / name) == {}

    def test_nothing(self, tmp_path):
        assert inside.read(tmp_path) == inside.read(tmp_path / "none.onnx") == {}

    def test_a_card_of_another_kind(self, tmp_path):
        (tmp_path / "card.json").write_text(json.dumps({"format": "other/1"}))
        assert inside.read(tmp_path) == {}

    @pytest.mark.parametrize("form", ["onnx", "torchscript"])
    def test_a_file_that_was_cut(self, tmp_path, model, colour, form):
        wanted = asked(tmp_path, form)
        export(wanted, colour)
        whole = wanted.out.read_bytes()
        for length in (1, 100, len(whole) // 2, len(whole) - 20):
            wanted.out.write_bytes(whole[:length])
            assert inside.read(wanted.out) == {}


class TestImport:
    def test_what_deepfacelab_saved(self, tmp_path):
        folder = save_as_deepfacelab(tmp_path / "dfl", deepfacelabs(TINY), options_of(TINY))
        wanted = ImportSettings(source=folder, out=tmp_path / "ours", releases=(make_release(),))
        assert list(job.import_(wanted)) == [
            Started(total=1, unit="step"),
            Advanced(done=1),
            Artifact(kind="model", path=tmp_path / "ours"),
        ]
        assert store.read_state(tmp_path / "ours").releases == (make_release(),)

    @pytest.mark.parametrize("kind", ["df-ud", "liae-udt", "dfhd-d"])
    def test_our_own_weights_in_deepfacelabs_layout_come_back(self, tmp_path, kind):
        """The layout undone by hand: kernels turned, sub-pixels first, BGR."""
        model = made(tmp_path / "m", kind)
        ours = model.net.state_dict()
        theirs = {}
        for name, their_name in dfl._names(ours):
            array = ours[name].numpy()
            if dfl._UPSCALE.match(name):  # (c·4 + q) → (q·C + c)
                array = np.concatenate([array[q::4] for q in range(4)])
            if dfl._PAINTS.match(name):
                array = array[::-1]
            if dfl._SEES.fullmatch(name):
                array = array[:, ::-1]
            theirs[their_name] = array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T
        folder = save_as_deepfacelab(tmp_path / "dfl", theirs, options_of(model.config))
        list(job.import_(ImportSettings(source=folder, out=tmp_path / "ours")))
        state, back = store.load(tmp_path / "ours")
        assert state.digest == model.digest
        assert all(torch.equal(back[name], ours[name]) for name in ours)

    def test_without_a_release_it_says_so(self, tmp_path, model, colour):
        export(asked(tmp_path, "weights"), colour)
        reports = list(job.import_(ImportSettings(source=tmp_path / "out/a", out=tmp_path / "back")))
        warned = [each for each in reports if isinstance(each, Warned)]
        assert [each.reason for each in warned] == ["RELEASE_MISSING"]
        wanted = replace(asked(tmp_path, "torchscript"), model=tmp_path / "back")
        with pytest.raises(ReleaseMissing):
            export(wanted, colour)

    def test_exported_weights_come_back_as_they_went(self, tmp_path, colour):
        model = made(
            tmp_path / "m", curve={"knee": 0.7, "maximum": 32.0}, working_space="ACEScg", colour="1f",
            preset="quick64", way="dfl", average=True, pretrained="d" * 64, combined={"encoder": "e" * 64},
            options={"gan_patch": "16"}, losses={"src": 0.25, "dst": 0.5},
            changes=({"iteration": 900, "share": None, "options": {"gan": "0.1", "warp": "0"}},),
        )  # fmt: skip
        export(asked(tmp_path, "weights"), colour)
        wanted = ImportSettings(source=tmp_path / "out/a", out=tmp_path / "back", releases=(make_release(),))
        assert wanted.exported
        list(job.import_(wanted))
        back = swap.load(tmp_path / "back", "cpu")
        assert back.config == model.config
        assert back.state == replace(model.state, src_folder="")
        np.testing.assert_array_equal(back.swap(crops(2))[0], model.swap(crops(2))[0])

    def test_a_model_is_not_written_over(self, tmp_path, model):
        with pytest.raises(InvalidInput, match="there is a trained model already") as refused:
            ImportSettings(source=tmp_path, out=tmp_path / "m")
        assert refused.value.field == "out"

    def test_a_name_where_there_is_one(self, tmp_path, model):
        weights.export(model, tmp_path / "out")
        with pytest.raises(InvalidInput, match="chooses among DeepFaceLab's models"):
            ImportSettings(source=tmp_path / "out", out=tmp_path / "back", name="amy")


class TestExportedWeights:
    """What is wrong with a folder is said by file, and no model is left."""

    @pytest.fixture
    def folder(self, tmp_path, model):
        return weights.export(model, tmp_path / "out").parent

    def refused(self, folder, kind, says):
        with pytest.raises(kind, match=says):
            weights.import_(folder, folder.parent / "back")
        assert not (folder.parent / "back").exists()

    def test_altered_weights(self, folder):
        file = folder / "model.safetensors"
        file.write_bytes(file.read_bytes()[:-1] + b"\x7f")
        self.refused(folder, ModelInvalid, r"model\.safetensors: its content was altered")

    @pytest.mark.parametrize("content", [b"", b"\x80\x04cos\nsystem\n."])
    def test_no_weights_at_all(self, folder, content):
        (folder / "model.safetensors").write_bytes(content)
        self.refused(folder, ModelInvalid, "its content was altered")

    def test_a_pickle_that_the_card_vouches_for(self, folder):
        """safetensors reads no pickle, whoever says that it is right."""
        evil = b"\x80\x04cos\nsystem\n(S'touch evil'\ntR."
        (folder / "model.safetensors").write_bytes(evil)
        told = json.loads((folder / "card.json").read_text())
        told["digest"] = hashlib.sha256(evil).hexdigest()
        (folder / "card.json").write_text(json.dumps(told))
        self.refused(folder, ModelInvalid, r"model\.safetensors: can not be read")

    def test_another_configuration(self, folder):
        told = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(told | {"d_dims": 6}))
        self.refused(folder, ModelInvalid, "not of the configuration beside them")

    @pytest.mark.parametrize(
        "change",
        [
            lambda told: told.pop("training"),
            lambda told: told.update(format="other"),
            lambda told: told["training"].update(iterations="many"),
            lambda told: told["training"].update(iterations=-1),
            lambda told: told["training"].update(hours=float("nan")),
            lambda told: told["training"].update(versions=7),
            lambda told: told["training"].update(options=["gan"]),
            lambda told: told["training"].update(changes=[7]),
            lambda told: told["training"].update(changes=[{"iteration": -1, "options": {}}]),
            lambda told: told["training"].update(losses={"src": "low"}),
            lambda told: told["colour"].update(curve={"knee": 2.0}),
            lambda told: told["colour"].update(curve={"gamma": 2.0}),
            lambda told: told.pop("digest"),
        ],
    )
    def test_an_altered_card(self, folder, change):
        told = json.loads((folder / "card.json").read_text())
        change(told)
        (folder / "card.json").write_text(json.dumps(told))
        self.refused(folder, ModelInvalid, r"card\.json: is no model card of ours")

    @pytest.mark.parametrize("name", ["card.json", "model.safetensors"])
    def test_a_file_that_is_missing(self, folder, name):
        (folder / name).unlink()
        self.refused(folder, ModelInvalid, name)


def test_what_is_decoded_at_submit_loads_no_torch():
    modules = "exchange.settings, exchange.job, exchange.saehd, combine, backups"
    lines = "; ".join(f"import understudy.core.model.{each}" for each in modules.split(", "))
    code = f"{lines}; import sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_today_is_the_day(tmp_path):
    before = date.today()
    assert before <= asked(tmp_path, "onnx").on <= date.today()
