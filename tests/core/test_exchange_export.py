"""Models that go out answer elsewhere as they do here, and say whose likeness they hold."""

from __future__ import annotations

import hashlib
import importlib
import json
import warnings
import zipfile
from pathlib import Path

import numpy as np
import onnx as onnx_files
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from tests.core.exchanging import HOME, crops, made
from tests.core.shots import make_release
from understudy.core.colour import SwapCurve
from understudy.core.errors import InvalidInput, ModelInvalid, WriteFailed
from understudy.core.model.exchange import card, dfm, onnx, torchscript, weights
from understudy.core.model.exchange.curve import Curve, from_srgb, to_srgb
from understudy.core.model.exchange.inside import FACTS

KINDS = ["df", "df-ud", "df-udt", "df-udc", "liae-ud", "dfhd-ud", "liaehd"]


def session(path):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def as_bchw(array):
    return np.ascontiguousarray(array.transpose(0, 3, 1, 2))


class TestOnnx:
    @pytest.mark.parametrize("kind", KINDS)
    def test_onnxruntime_answers_as_the_model_for_any_batch(self, tmp_path, kind):
        model = made(tmp_path / "m", kind)
        found = onnx.export(model, tmp_path / "a.onnx")
        assert found.path == tmp_path / "a.onnx"
        assert found.opset == 17
        assert found.difference < 1e-4
        running = session(found.path)
        for count in (1, 2, 5):
            given_ = crops(count)
            faces, mattes, own = model.swap_and_dst(given_)
            answer = running.run(["face", "matte", "matte_dst"], {"dst": as_bchw(given_)})
            for theirs, ours in zip(answer, (as_bchw(faces), mattes[:, None], own[:, None]), strict=True):
                np.testing.assert_allclose(
                    theirs, ours, atol=3e-4
                )  # by CPU: cosines of -c keep rounding alive
            assert answer[0].std() > 0.05, "a grey face shows nothing"

    def test_what_lies_beyond_0_and_1_is_held(self, tmp_path):
        model = made(tmp_path / "m")
        running = session(onnx.export(model, tmp_path / "a.onnx").path)
        beyond = crops(1) * 3 - 1
        np.testing.assert_allclose(
            running.run(["face"], {"dst": as_bchw(beyond)})[0], as_bchw(model.swap(beyond)[0]), atol=1e-4
        )

    @pytest.mark.parametrize("opset", [11, 12, 17, 20])
    def test_the_opset_is_that_asked_for(self, tmp_path, opset):
        found = onnx.export(made(tmp_path / "m"), tmp_path / "a.onnx", opset=opset)
        graph = onnx_files.load_model_from_string(found.path.read_bytes())
        assert [each.version for each in graph.opset_import if each.domain == ""] == [opset] == [found.opset]

    def test_the_card_is_in_the_file(self, tmp_path):
        model = made(tmp_path / "m")
        found = onnx.export(model, tmp_path / "a.onnx")
        told = json.loads(session(found.path).get_modelmeta().custom_metadata_map["understudy"])
        assert told["digest"] == model.digest
        assert told["releases"][0]["id"] == make_release().id
        for place in (Path(onnx.__file__).parent, Path(torch.__file__).parent, tmp_path, HOME):
            assert str(place).encode() not in found.path.read_bytes(), place

    def test_half_precision_is_half_the_size_and_close(self, tmp_path):
        model = made(tmp_path / "m")
        whole = onnx.export(model, tmp_path / "a.onnx").path.stat().st_size
        found = onnx.export(model, tmp_path / "b.onnx", half=True)
        assert found.path.stat().st_size < 0.65 * whole
        answer = session(found.path).run(["face"], {"dst": as_bchw(crops(2))})[0]
        assert answer.dtype == np.float32
        np.testing.assert_allclose(answer, as_bchw(model.swap(crops(2))[0]), atol=2e-2)

    def test_the_model_is_left_as_it_was(self, tmp_path):
        model = made(tmp_path / "m")
        before = model.swap(crops(2))[0]
        onnx.export(model, tmp_path / "a.onnx", half=True)
        np.testing.assert_array_equal(model.swap(crops(2))[0], before)

    def test_a_file_that_answers_otherwise_gets_no_name(self, tmp_path, monkeypatch):
        model, path = made(tmp_path / "m"), tmp_path / "out" / "a.onnx"
        path.parent.mkdir()
        path.write_bytes(b"before")
        monkeypatch.setattr(onnx, "_TOLERANCE", -1.0)
        with pytest.raises(ModelInvalid, match=r"a\.onnx: not written: onnxruntime's answer differs"):
            onnx.export(model, path)
        assert [each.read_bytes() for each in path.parent.iterdir()] == [b"before"]

    def test_a_disk_that_takes_nothing(self, tmp_path):
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(WriteFailed, match=r"a\.onnx"):
            onnx.export(made(tmp_path / "m"), tmp_path / "file" / "a.onnx")

    def test_an_operator_that_the_opset_lacks(self, tmp_path, monkeypatch):
        def refuse(*_, **__):
            raise torch.onnx.errors.UnsupportedOperatorError("aten::bucketize", 11, 20)

        monkeypatch.setattr(torch.onnx, "export", refuse)
        with pytest.raises(InvalidInput, match="aten::bucketize") as refused:
            onnx.export(made(tmp_path / "m"), tmp_path / "a.onnx", opset=11)
        assert refused.value.field == "opset"

    @pytest.mark.parametrize("opset", [9, 10, 21])
    def test_an_opset_out_of_range(self, tmp_path, opset):
        with pytest.raises(InvalidInput, match=f"opset {opset} is not from 11 to 20") as refused:
            onnx.export(made(tmp_path / "m"), tmp_path / "a.onnx", opset=opset)
        assert (refused.value.field, refused.value.value) == ("opset", opset)

    def test_too_large_for_the_format(self, tmp_path, monkeypatch):
        monkeypatch.setattr(onnx, "_LARGEST", 1000)
        with pytest.raises(InvalidInput, match=r"GiB, and an ONNX file holds less than 2; half precision"):
            onnx.export(made(tmp_path / "m"), tmp_path / "a.onnx")

    def test_a_package_that_lacks_is_named(self, tmp_path, monkeypatch):
        def none(name):
            raise ImportError(name)

        monkeypatch.setattr(importlib, "import_module", none)
        with pytest.raises(InvalidInput, match=r"package onnx is not installed.*understudy\[export\]"):
            onnx.export(made(tmp_path / "m"), tmp_path / "a.onnx")
        assert not (tmp_path / "a.onnx").exists()


class TestDfm:
    @pytest.mark.parametrize("kind", KINDS)
    def test_it_has_deepfacelabs_names_and_layout(self, tmp_path, kind):
        """Of a model from DeepFaceLab: the codes go through as they are, BGR."""
        model = made(tmp_path / "m", kind)
        found = dfm.export(model, tmp_path / "a.dfm")
        assert found.opset == 12
        running = session(found.path)
        (port,) = running.get_inputs()
        assert (port.name, port.shape[1:]) == ("in_face:0", [64, 64, 3])
        names = [each.name for each in running.get_outputs()]
        assert names == ["out_face_mask:0", "out_celeb_face:0", "out_celeb_face_mask:0"]
        for count in (1, 4):
            bgr = crops(count)
            faces, mattes, own = model.swap_and_dst(bgr[..., ::-1])
            answer = running.run(None, {"in_face:0": bgr})
            wanted = (own[..., None], faces[..., ::-1], mattes[..., None])
            for theirs, ours in zip(answer, wanted, strict=True):
                assert theirs.shape == ours.shape
                np.testing.assert_allclose(
                    theirs, ours, atol=3e-4
                )  # by CPU: cosines of -c keep rounding alive

    @pytest.mark.parametrize("gain", [0.5, 1.0])
    def test_of_a_model_of_ours_the_picture_is_as_shown(self, tmp_path, colour, gain):
        curve = {"knee": 0.8, "maximum": 64.0}
        model = made(tmp_path / "m", curve=curve, working_space=colour.working)
        found = dfm.export(model, tmp_path / "a.dfm", colour=colour, gain=gain)
        rgb, swap_curve = crops(2), SwapCurve.from_dict({**curve, "gain": gain})
        code = np.stack([swap_curve.encode(colour.from_srgb(each)) for each in rgb])
        faces, mattes, _ = model.swap_and_dst(code)
        shown = np.stack([colour.proxy(swap_curve.decode(each)) for each in faces])
        _, answer, matte = session(found.path).run(None, {"in_face:0": np.ascontiguousarray(rgb[..., ::-1])})
        np.testing.assert_allclose(answer[..., ::-1], shown, atol=1e-3)
        np.testing.assert_allclose(matte[..., 0], mattes, atol=1e-3)
        plain = model.swap(rgb)[0]
        assert np.abs(plain - shown).max() > 0.01, "the conversion does nothing"

    def test_without_the_models_colour_config(self, tmp_path, colour):
        model = made(tmp_path / "m", working_space="Linear Rec.709 (sRGB)")
        for given_, named in ((None, "None"), (colour, "'ACEScg'")):
            with pytest.raises(
                InvalidInput, match=f"trained in 'Linear Rec.709 .sRGB.', .*{named}"
            ) as refused:
                dfm.export(model, tmp_path / "a.dfm", colour=given_)
            assert refused.value.field == "colour_config"

    def test_a_gain_out_of_range(self, tmp_path, colour):
        model = made(tmp_path / "m", working_space=colour.working)
        with pytest.raises(InvalidInput, match="gain 0"):
            dfm.export(model, tmp_path / "a.dfm", colour=colour, gain=0.0)


def loaded(path, **options):
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # it names its successor
        return torch.jit.load(str(path), **options)


def light(count: int) -> np.ndarray:
    """(count, 64, 64, 3) scene-linear, from -0.1 to about 50."""
    return (np.exp(crops(count) * 6.2 - 2.3) - 0.2).astype(np.float32)


def by_hand(model, rgb, gain):
    """What Nuke should get, by `SwapModel` and `SwapCurve`: (N, 64, 64, 4)."""
    curve = SwapCurve.from_dict({**model.state.curve, "gain": gain})
    faces, mattes = model.swap(curve.encode(rgb))
    return np.concatenate([curve.decode(faces), mattes[..., None]], axis=-1)


class TestTorchScript:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("curve", [{}, {"knee": 0.95, "maximum": 4.0}])
    def test_one_scene_linear_tensor_in_and_one_out(self, tmp_path, kind, curve):
        model = made(tmp_path / "m", kind, curve=curve)
        found = torchscript.export(model, tmp_path / "a.pt")
        assert found.difference < 1e-4
        script = loaded(found.path)
        assert script.gain == 1.0
        for count, gain in ((1, 1.0), (1, 0.25), (2, 4.0)):
            script.gain = gain  # as a knob sets it
            rgb = light(count)
            answer = script(torch.from_numpy(as_bchw(rgb)))
            wanted = as_bchw(by_hand(model, rgb, gain))
            np.testing.assert_allclose(answer.detach().numpy(), wanted, rtol=1e-3, atol=1e-3)

    @pytest.mark.parametrize("kind", KINDS)
    def test_half_precision_as_nuke_asks_for_it(self, tmp_path, kind):
        model = made(tmp_path / "m", kind)
        script = loaded(torchscript.export(model, tmp_path / "a.pt").path).half()
        rgb = light(1)
        answer = script(torch.from_numpy(as_bchw(rgb)).half())
        assert answer.dtype == torch.float16
        curve = SwapCurve(gain=1.0)
        ours, theirs = by_hand(model, rgb, 1.0), answer.detach().float().permute(0, 2, 3, 1).numpy()
        codes = np.abs(curve.encode(theirs[..., :3]) - curve.encode(ours[..., :3]))
        assert np.median(codes) < 5e-3
        assert codes.max() < (1.0 if "c" in kind else 5e-2)  # x·cos(x) multiplies rounding here and there

    def test_pixels_that_are_no_number(self, tmp_path):
        model = made(tmp_path / "m")
        script = loaded(torchscript.export(model, tmp_path / "a.pt").path)
        rgb = light(1)
        rgb[0, 5, 5], rgb[0, 6, 6] = np.nan, np.inf
        clean = rgb.copy()
        clean[0, 5, 5], clean[0, 6, 6] = 0.0, 64.0
        answer = script(torch.from_numpy(as_bchw(rgb)))
        assert bool(torch.isfinite(answer).all())
        torch.testing.assert_close(answer, script(torch.from_numpy(as_bchw(clean))))

    @pytest.mark.parametrize("shape", [(1, 3, 64, 65), (1, 3, 128, 128), (1, 2, 64, 64)])
    def test_another_size_is_refused_in_words(self, tmp_path, shape):
        script = loaded(torchscript.export(made(tmp_path / "m"), tmp_path / "a.pt").path)
        with pytest.raises(torch.jit.Error, match="aligned crop of 64 x 64"):
            script(torch.zeros(shape))

    def test_alpha_that_comes_along_is_not_looked_at(self, tmp_path):
        script = loaded(torchscript.export(made(tmp_path / "m"), tmp_path / "a.pt").path)
        rgb = torch.from_numpy(as_bchw(light(1)))
        torch.testing.assert_close(script(torch.cat([rgb, rgb[:, :1]], dim=1)), script(rgb))

    def test_the_card_is_in_the_file(self, tmp_path):
        model = made(tmp_path / "m")
        extra = {FACTS: ""}
        path = torchscript.export(model, tmp_path / "a.pt").path
        loaded(path, _extra_files=extra)
        assert json.loads(extra[FACTS])["digest"] == model.digest

    def test_the_archive_is_of_an_early_version_of_the_format(self, tmp_path):
        """What Nuke's older torch reads; a newer operator would raise it."""
        path = torchscript.export(made(tmp_path / "m"), tmp_path / "a.pt").path
        with zipfile.ZipFile(path) as archive:
            assert archive.read("archive/version") == b"4\n"

    def test_nothing_of_this_machine_is_in_the_file(self, tmp_path):
        """torch keeps where each line of code came from, compressed."""
        model = made(tmp_path / "m")
        path = torchscript.export(model, tmp_path / "a.pt").path
        with zipfile.ZipFile(path) as archive:
            content = b"".join(archive.read(entry) for entry in archive.infolist())
        for place in (Path(torchscript.__file__).parent, Path(torch.__file__).parent, tmp_path, HOME):
            assert str(place).encode() not in content, place

    def test_a_file_that_answers_otherwise_gets_no_name(self, tmp_path, monkeypatch):
        model, folder = made(tmp_path / "m"), tmp_path / "out"
        monkeypatch.setattr(torchscript, "_TOLERANCE", -1.0)
        with pytest.raises(ModelInvalid, match="the script's answer differs"):
            torchscript.export(model, folder / "a.pt")
        assert list(folder.iterdir()) == []


class TestWeights:
    def test_the_file_is_the_checkpoints_and_its_digest_the_models(self, tmp_path):
        model = made(tmp_path / "m")
        file = weights.export(model, tmp_path / "out")
        assert hashlib.sha256(file.read_bytes()).hexdigest() == model.digest
        stored = load_file(file)
        ours = model.net.state_dict()
        assert stored.keys() == ours.keys()
        assert all(torch.equal(stored[name], ours[name]) for name in ours)
        assert json.loads((tmp_path / "out/config.json").read_text()) == {
            "format": 1,
            **model.config.to_dict(),
        }

    def test_the_card_says_where_it_comes_from(self, tmp_path):
        model = made(tmp_path / "m")
        weights.export(model, tmp_path / "out")
        told = json.loads((tmp_path / "out/card.json").read_text())
        assert told["format"] == card.FORMAT
        assert told["configuration"]["resolution"] == 64
        assert told["configuration"]["parameters"] == sum(p.numel() for p in model.net.parameters())
        assert (told["training"]["iterations"], told["training"]["hours"]) == (1200, 1.5)
        assert told["training"]["facesets"] == {"src": {"digest": "a" * 64}, "dst": {"digest": "b" * 64}}
        assert told["training"]["versions"] == {"understudy": "0.1.0", "torch": "2.13.0"}
        assert told["releases"][0]["subject"] == "performer-a"
        assert "granted_by" not in told["releases"][0]
        page = (tmp_path / "out/README.md").read_text()
        for word in (model.digest, "a" * 64, make_release().id, "performer-a", "## Intended use", "2.13.0"):
            assert word in page, word

    @pytest.mark.parametrize("folders", [False, True])
    def test_folders_are_told_only_when_asked_for(self, tmp_path, folders):
        weights.export(made(tmp_path / "m"), tmp_path / "out", folders=folders)
        told = [each.name for each in (tmp_path / "out").iterdir() if HOME.encode() in each.read_bytes()]
        assert sorted(told) == (["README.md", "card.json"] if folders else [])
        everything = b"".join(each.read_bytes() for each in (tmp_path / "out").iterdir())
        assert str(tmp_path).encode() not in everything

    def test_the_page_says_what_became_of_it(self, tmp_path):
        change = {"iteration": 900, "share": None, "options": {"gan": "0.1", "warp": "0"}}
        said: dict = {"way": "dfl", "changes": (change,), "average": True, "pretrained": "d" * 64}
        weights.export(made(tmp_path / "m", combined={"encoder": "e" * 64}, **said), tmp_path / "out")
        page = (tmp_path / "out/README.md").read_text()
        assert "| Changed while it trained | gan 0.1, warp 0 from iteration 900 on |" in page
        assert f"| Part encoder from (digest) | {'e' * 64} |" in page
        for word in ("| dfl |", "d" * 64, "the mean over iterations"):
            assert word in page, word

    def test_a_model_without_a_release_says_so(self, tmp_path):
        weights.export(made(tmp_path / "m", releases=()), tmp_path / "out")
        assert "nobody's likeness" in (tmp_path / "out/README.md").read_text()

    def test_a_release_that_ends_or_was_revoked(self, tmp_path):
        release = make_release(valid_until=make_release().granted)
        weights.export(made(tmp_path / "m", releases=(release,)), tmp_path / "out")
        assert f"to {release.valid_until}" in (tmp_path / "out/README.md").read_text()

    def test_a_folder_with_something_in_it(self, tmp_path):
        (tmp_path / "out").mkdir()
        (tmp_path / "out/mine.txt").write_text("mine")
        with pytest.raises(InvalidInput, match="is not an empty folder"):
            weights.export(made(tmp_path / "m"), tmp_path / "out")
        assert [each.name for each in (tmp_path / "out").iterdir()] == ["mine.txt"]

    def test_weights_that_were_changed_in_memory(self, tmp_path):
        model = made(tmp_path / "m")
        next(iter(model.net.parameters())).add_(1.0)
        with pytest.raises(ModelInvalid, match="the model's state names"):
            weights.export(model, tmp_path / "out")
        assert not (tmp_path / "out").exists()


class TestCurve:
    @given(
        gain=st.floats(0.01, 100.0),
        knee=st.floats(0.1, 0.95),
        maximum=st.floats(4.0, 1000.0),
        seed=st.integers(0, 999),
    )
    @settings(max_examples=60, deadline=None)
    def test_it_is_the_swap_curve(self, gain, knee, maximum, seed):
        curve = SwapCurve(gain=gain, knee=knee, maximum=maximum)
        ours = Curve(curve)
        dice = np.random.default_rng(seed)
        values = (np.exp(dice.uniform(-12, 9, 200)) * dice.choice([-1, 1], 200) / gain).astype(np.float32)
        values[:1] = 0.0
        codes = ours.encode(torch.from_numpy(values), gain).numpy()
        np.testing.assert_allclose(codes, curve.encode(values), atol=1e-5)
        code = dice.uniform(-1.1, 1.1, 200).astype(np.float32)
        back = ours.decode(torch.from_numpy(code), gain).numpy()
        np.testing.assert_allclose(back, curve.decode(code), rtol=2e-4, atol=1e-6 / gain)

    def test_srgb_is_the_colour_configs(self, colour):
        ramp = np.linspace(0, 1, 4096, dtype=np.float32)[None, :, None].repeat(3, axis=2)
        neutral = colour.from_srgb(ramp)  # of grey, primaries do not matter
        np.testing.assert_allclose(from_srgb(torch.from_numpy(ramp)).numpy(), neutral, atol=3e-5)
        np.testing.assert_allclose(to_srgb(torch.from_numpy(neutral).clamp(0, 1)).numpy(), ramp, atol=3e-5)
