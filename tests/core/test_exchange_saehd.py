"""Models that DeepFaceLab saved come in, and nothing in their files is run."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.core.exchanging import TINY, Evil, deepfacelabs, options_of, save_as_deepfacelab
from tests.core.shots import make_release
from understudy.core.errors import InvalidInput, ModelInvalid, NotFound, UnderstudyError, WeightsCorrupt
from understudy.core.model import dfl, store, swap
from understudy.core.model.exchange import saehd
from understudy.core.model.networks import build


@pytest.fixture
def folder(tmp_path):
    return save_as_deepfacelab(tmp_path / "model", deepfacelabs(TINY), options_of(TINY))


GOLDEN = {
    "df": "df",
    "df_ud": "df-ud",
    "df_t": "df-t",
    "df_udc": "df-udc",
    "liae_ud": "liae-ud",
    "liae_udt": "liae-udt",
}


@pytest.mark.parametrize("name", GOLDEN)
def test_an_imported_model_swaps_as_deepfacelab_did(shared, tmp_path, name):
    with np.load(shared / "golden" / "dfl" / f"{name}.npz") as file:
        golden = dict(file)
    sizes = map(int, golden["cfg/resolution_e_d_dmask_ae"])
    options: dict = dict(
        zip(("resolution", "e_dims", "d_dims", "d_mask_dims", "ae_dims"), sizes, strict=True)
    )
    options |= {"archi": GOLDEN[name], "face_type": "wf"}
    parts = saehd.PARTS[GOLDEN[name].partition("-")[0]]
    weights = {
        n[2:]: each for n, each in golden.items() if n.startswith(tuple(f"w/{part}/" for part in parts))
    }
    saehd.import_(save_as_deepfacelab(tmp_path / "model", weights, options), tmp_path / "ours")
    model = swap.load(tmp_path / "ours", "cpu")
    faces, mattes = model.swap(golden["in/dst_u8"][..., ::-1].astype(np.float32) / np.float32(255))
    tolerance = 2e-3 if "c" in GOLDEN[name] else 1e-4  # float32 through x·cos(x); test_dfl has it in float64
    np.testing.assert_allclose(faces[..., ::-1], golden["out/src_dst"], atol=tolerance)
    np.testing.assert_allclose(mattes[:, ::3, ::3, None], golden["out/src_dst_mask_sub3"], atol=tolerance)


def test_everything_that_concerns_us_comes_in(folder, tmp_path):
    state = saehd.import_(folder, tmp_path / "ours", releases=(make_release(),))
    assert store.read_config(tmp_path / "ours") == TINY
    again, weights = store.load(tmp_path / "ours")
    assert again == state
    assert (state.iteration, state.releases, state.versions) == (
        250_000,
        (make_release(),),
        {"DeepFaceLab": "SAEHD"},
    )
    wanted = dfl.state_dict(deepfacelabs(TINY), TINY)
    assert weights.keys() == wanted.keys()
    assert all(torch.equal(weights[n], wanted[n]) for n in wanted)
    assert store.load_optimizer(tmp_path / "ours") == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"options": "", "resolution": 80, "face_type": "full"},
        {"options": "t", "face_type": "head"},
        {"options": "uc", "face_type": "half", "d_mask_dims": 6},
        {"options": "d", "face_type": "mid_full", "ae_dims": 16},
        {"arch": "liae"},
        {"arch": "liae", "options": "udtc"},
        {"arch": "dfhd", "options": ""},
        {"arch": "liaehd", "options": ""},
    ],
)
def test_every_configuration_is_told_by_the_options(tmp_path, changes):
    config = replace(TINY, **changes)
    folder = save_as_deepfacelab(tmp_path / "model", deepfacelabs(config), options_of(config))
    assert saehd.read(folder).config == config
    saehd.import_(folder, tmp_path / "ours")
    assert swap.load(tmp_path / "ours", "cpu").config == config


def test_a_long_training_is_no_bomb(tmp_path):
    """Of a face's metadata 200,000 values are too many; of 100,000 iterations' losses they are not."""
    folder = save_as_deepfacelab(tmp_path / "model", deepfacelabs(TINY), options_of(TINY), history=100_000)
    assert saehd.read(folder).iteration == 250_000


def test_quick96_has_one_configuration(tmp_path, monkeypatch):
    monkeypatch.setattr(saehd, "preset", {"quick96": TINY}.__getitem__)  # the real one has 38 million weights
    folder = save_as_deepfacelab(tmp_path / "model", deepfacelabs(TINY), {}, name="new_Quick96")
    saved = saehd.read(folder)
    assert (saved.kind, saved.config) == ("Quick96", TINY)


class TestWhichModel:
    def test_one_of_several_by_name(self, folder):
        save_as_deepfacelab(folder, deepfacelabs(TINY), options_of(TINY), name="bob_SAEHD", iteration=7)
        (folder / "XSeg_data.dat").write_bytes(b"")
        with pytest.raises(InvalidInput, match="name one of amy_SAEHD, bob_SAEHD") as refused:
            saehd.read(folder)
        assert refused.value.field == "name"
        with pytest.raises(InvalidInput, match="not 'eve'"):
            saehd.read(folder, "eve")
        assert saehd.read(folder, "bob").iteration == saehd.read(folder, "bob_SAEHD").iteration == 7

    def test_none(self, tmp_path):
        with pytest.raises(NotFound, match="no such folder"):
            saehd.read(tmp_path / "nowhere")
        with pytest.raises(NotFound, match=r"no file \*_data\.dat"):
            saehd.read(tmp_path)

    def test_amp_is_refused_by_name(self, tmp_path):
        folder = save_as_deepfacelab(tmp_path / "model", {}, {}, name="amy_AMP")
        with pytest.raises(ModelInvalid, match=r"amy_AMP can not be imported.*AMP mixes"):
            saehd.read(folder)

    def test_a_model_of_ours_is_not_written_over(self, folder, tmp_path):
        before = saehd.import_(folder, tmp_path / "ours")
        with pytest.raises(InvalidInput, match="there is a trained model already"):
            saehd.import_(folder, tmp_path / "ours")
        assert store.read_state(tmp_path / "ours") == before


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("field", "value", "says"),
        [
            ("archi", "liaech-ud", "archi 'liaech-ud' is none of df, liae, dfhd"),
            ("archi", None, "archi None is none of"),
            ("archi", "df-ux", "options 'ux' must be"),
            ("resolution", 72, "resolution 72 must be 64 to 640"),
            ("resolution", "64", "resolution '64' is no whole number"),
            ("e_dims", None, "e_dims None is missing"),
            ("d_dims", True, "d_dims True is no whole number"),
            ("ae_dims", 4096, "ae_dims 4096 must be"),
            ("face_type", "hat", "face_type 'hat' is none of h, mf"),
            ("face_type", ["f"], r"face_type \['f'\] is none of"),
        ],
    )
    def test_options_by_name_and_value(self, tmp_path, field, value, says):
        options = {**options_of(TINY), field: value}
        folder = save_as_deepfacelab(tmp_path / "model", deepfacelabs(TINY), options)
        with pytest.raises(ModelInvalid, match=says) as refused:
            saehd.read(folder)
        assert "amy_SAEHD_data.dat" in refused.value.message
        assert refused.value.details()["path"].endswith("amy_SAEHD_data.dat")
        assert refused.value.field in (field, "options")

    @pytest.mark.parametrize("iteration", [None, -1, 2.5, "7"])
    def test_an_impossible_iteration(self, tmp_path, iteration):
        folder = save_as_deepfacelab(
            tmp_path / "model", deepfacelabs(TINY), options_of(TINY), iteration=iteration
        )
        with pytest.raises(ModelInvalid, match="iter "):
            saehd.read(folder)

    @pytest.mark.parametrize("options", [None, [], "df"])
    def test_no_options(self, tmp_path, options):
        folder = save_as_deepfacelab(tmp_path / "model", deepfacelabs(TINY), options)
        with pytest.raises(ModelInvalid, match="is no table of options"):
            saehd.read(folder)

    def test_missing_files_are_listed(self, folder):
        for part in ("inter", "decoder_dst"):
            (folder / f"amy_SAEHD_{part}.npy").unlink()
        with pytest.raises(ModelInvalid, match=r"missing: amy_SAEHD_inter\.npy, amy_SAEHD_decoder_dst\.npy"):
            saehd.read(folder)

    def test_a_missing_weight_is_named(self, tmp_path):
        weights = deepfacelabs(TINY)
        del weights["inter/dense2/bias:0"]
        folder = save_as_deepfacelab(tmp_path / "model", weights, options_of(TINY))
        with pytest.raises(ModelInvalid, match=r"model: .*inter/dense2/bias:0 is missing") as refused:
            saehd.import_(folder, tmp_path / "ours")
        assert refused.value.value == "inter/dense2/bias:0"
        assert not (tmp_path / "ours").exists()

    def test_other_shapes_are_named_with_both(self, tmp_path):
        folder = save_as_deepfacelab(
            tmp_path / "model", deepfacelabs(replace(TINY, e_dims=6)), options_of(TINY)
        )
        with pytest.raises(
            ModelInvalid, match=r"downs_0/conv1/weight:0 becomes \(6, 3, 5, 5\).*\(8, 3, 5, 5\)"
        ):
            saehd.import_(folder, tmp_path / "ours")
        assert not (tmp_path / "ours").exists()

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_weights_that_are_not_finite(self, tmp_path, value):
        weights = deepfacelabs(TINY)
        weights["encoder/down1/downs_1/conv1/bias:0"][0] = value
        folder = save_as_deepfacelab(tmp_path / "model", weights, options_of(TINY))
        with pytest.raises(
            WeightsCorrupt, match=r"amy_SAEHD_encoder\.npy: down1/downs_1/conv1/bias:0 is no array"
        ):
            saehd.read(folder)


class TestHostileFiles:
    @pytest.mark.parametrize("name", ["data.dat", "encoder.npy", "decoder_dst.npy"])
    @pytest.mark.parametrize("protocol", [2, 3, 4, 5])
    def test_code_is_refused_and_not_run(self, folder, tmp_path, name, protocol):
        file = folder / f"amy_SAEHD_{name}"
        content = pickle.loads(file.read_bytes())
        evil = tmp_path / "it ran"
        file.write_bytes(pickle.dumps({**content, "more": Evil(evil)}, protocol))
        with pytest.raises(WeightsCorrupt, match=r"asks for .*mkdir; it was not run") as refused:
            saehd.import_(folder, tmp_path / "ours")
        assert file.name in refused.value.message
        assert not evil.exists()
        assert not (tmp_path / "ours").exists()
        pickle.loads(file.read_bytes())
        assert evil.exists(), "the file was harmless, the test shows nothing"

    @pytest.mark.parametrize("name", ["data.dat", "encoder.npy", "inter.npy", "decoder_src.npy"])
    def test_a_file_that_breaks_off(self, folder, tmp_path, name):
        file = folder / f"amy_SAEHD_{name}"
        whole = file.read_bytes()
        for length in (0, 1, 2, 50, len(whole) // 2, len(whole) - 1):
            file.write_bytes(whole[:length])
            with pytest.raises(WeightsCorrupt) as refused:
                saehd.import_(folder, tmp_path / "ours")
            assert file.name in refused.value.message
        assert not (tmp_path / "ours").exists()

    @pytest.mark.parametrize("name", ["data.dat", "inter.npy"])
    @pytest.mark.parametrize("content", [[], 7, None, "text", {1: np.zeros(2, np.float32)}, {"a": [1]}])
    def test_pickles_of_something_else(self, folder, name, content):
        (folder / f"amy_SAEHD_{name}").write_bytes(pickle.dumps(content, 4))
        with pytest.raises(UnderstudyError, match=f"amy_SAEHD_{name}"):
            saehd.read(folder)

    def test_files_beyond_measure(self, folder, monkeypatch):
        monkeypatch.setattr(saehd, "_LARGEST", 100)
        with pytest.raises(WeightsCorrupt, match=r"encoder\.npy: larger than .* no weights of SAEHD"):
            saehd.read(folder)
        monkeypatch.setattr(saehd, "_LARGEST_DATA", 100)
        with pytest.raises(WeightsCorrupt, match=r"data\.dat: larger than"):
            saehd.read(folder)

    def test_values_in_values(self, folder, monkeypatch):
        monkeypatch.setattr(saehd, "_VALUES", 100_000)  # sooner met
        bomb: list = [0.0]
        for _ in range(40):
            bomb = [bomb, bomb]
        file = folder / "amy_SAEHD_data.dat"
        file.write_bytes(pickle.dumps({**pickle.loads(file.read_bytes()), "loss_history": bomb}, 4))
        with pytest.raises(WeightsCorrupt, match="holds more than"):
            saehd.read(folder)


def test_what_was_imported_is_what_a_merge_loads(folder, tmp_path):
    saehd.import_(folder, tmp_path / "ours", releases=(make_release(),))
    model = swap.load(tmp_path / "ours", "cpu")
    net = build(TINY)
    net.load_state_dict(dfl.state_dict(deepfacelabs(TINY), TINY))
    crops = np.random.default_rng(0).random((2, 64, 64, 3), np.float32)
    with torch.inference_mode():
        face, _ = net.swap(torch.from_numpy(crops).permute(0, 3, 1, 2))
    np.testing.assert_allclose(model.swap(crops)[0], face.permute(0, 2, 3, 1).numpy(), atol=1e-5)
    assert model.releases == (make_release(),)
