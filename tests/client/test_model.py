"""`understudy model` through a real daemon: what it shows, and every way out, in and back."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from tests.client.command import Command
from tests.core.exchanging import TINY, Evil, crops, deepfacelabs, made, options_of, save_as_deepfacelab
from tests.core.shots import make_release
from tests.daemon.support import Daemon
from understudy.client import Session
from understudy.client.errors import INPUT_MISSING, INVALID, NOT_ALLOWED, NotFound
from understudy.core import release
from understudy.core.model import store, swap
from understudy.core.model.exchange import inside

CHANGE = {"iteration": 900, "share": None, "options": {"warp": "0", "gan": "0.1"}}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path_factory.mktemp("daemon") / "state").start()
    yield daemon
    assert daemon.stop() == 0


@pytest.fixture
def understudy(daemon: Daemon, tmp_path: Path) -> Command:
    return Command(tmp_path / "state", daemon.announced()["endpoint"], tmp_path)


@pytest.fixture
def model(tmp_path: Path) -> swap.SwapModel:
    release.write(make_release(subject="performer-b"), tmp_path / "b.release.json")
    return made(tmp_path / "a.model")


class TestShow:
    def test_everything_there_is_to_tell(self, tmp_path: Path, understudy: Command):
        over = make_release(subject="performer-z", granted=date(2020, 1, 1), valid_until=date(2021, 1, 1))
        made(
            tmp_path / "a.model", releases=(make_release(), over), way="dfl", changes=(CHANGE,), average=True,
            pretrained="d" * 64, combined={"encoder": "e" * 64}, losses={"face": 0.0625}, working_space="ACEScg",
        )  # fmt: skip
        store.back_up(tmp_path / "a.model")
        done = understudy("model", "show", "a.model")
        assert done.code == 0, done.err
        card = {line[:14].strip(): line[14:] for line in done.out.splitlines()}
        assert card["network"] == "df-ud, 64 px, whole"
        assert card["dims"] == "encoder 8, decoder 4, its matte 2, inter 8"
        assert "encoder " in card["parameters"]
        assert card["trained"] == "1200 iterations in 1:30:00, way dfl"
        assert card["losses"] == "face 0.0625"
        assert card["weights"] == "the mean over iterations"
        assert card["colour"] == "ACEScg"
        assert card["started from"] == "d" * 12
        assert card["made of"] == "encoder " + "e" * 12
        assert card["at 900"] == "gan 0.1, warp 0"
        assert card["facesets"] == f"dst {'b' * 12}, src {'a' * 12}"
        assert "torch 2.13.0" in card["made with"]
        assert card["backups"] == "1"
        assert f"performer-a, test, for this production, valid ({make_release().id})" in done.out
        assert "performer-z" in card["release"]
        assert "NOT VALID" in done.out.replace("\n", " ")

    def test_parameters_are_counted_by_part(self, tmp_path: Path, understudy: Command, model: swap.SwapModel):
        (line,) = understudy("model", "show", "a.model", "--json").lines
        assert line["event"] == "model"
        counts = {name: sum(p.numel() for p in part.parameters()) for name, part in model.net.parts.items()}
        assert line["data"]["partParameters"] == counts
        assert line["data"]["parameters"] == sum(counts.values())
        text = understudy("model", "show", "a.model").out
        assert f"{sum(counts.values()):,} (decoder_dst {counts['decoder_dst']:,}," in text

    def test_one_that_is_not_trained_or_not_there(self, tmp_path: Path, understudy: Command):
        store.create(tmp_path / "new", TINY)
        done = understudy("model", "show", "new")
        assert done.code == 0
        assert "not yet: its training has not come to a checkpoint" in done.out
        missing = understudy("model", "show", "nowhere")
        assert missing.code == INPUT_MISSING
        assert "nowhere" in missing.err


class TestExport:
    def test_to_onnx_and_again(self, tmp_path: Path, understudy: Command, model: swap.SwapModel):
        done = understudy("model", "export", "a.model", "--out", "a.onnx", "--opset", 13)
        assert done.code == 0, done.err
        assert f"export        {tmp_path}/a.onnx" in done.out
        running = onnxruntime.InferenceSession(str(tmp_path / "a.onnx"), providers=["CPUExecutionProvider"])
        given = crops(1)
        (face,) = running.run(["face"], {"dst": given.transpose(0, 3, 1, 2).copy()})
        np.testing.assert_allclose(face.transpose(0, 2, 3, 1), model.swap(given)[0], atol=1e-4)
        before = (tmp_path / "a.onnx").stat().st_mtime_ns
        assert understudy("model", "export", "a.model", "--out", "a.onnx", "--opset", 13).code == 0
        assert (tmp_path / "a.onnx").stat().st_mtime_ns == before
        other = understudy("model", "export", "a.model", "--out", "a.onnx")
        assert other.code == INVALID
        assert "is there already" in other.err

    def test_every_option_arrives(self, tmp_path: Path, understudy: Command, model: swap.SwapModel):
        for words, options in (
            (("a.dfm", "--gain", 0.5, "--half"), {"format": "dfm", "gain": 0.5, "half": True}),
            (
                ("a.pt", "--swap-back", "--release", "b.release.json"),
                {"format": "torchscript", "swap_back": True},
            ),
            (("w", "--format", "weights", "--folders"), {"format": "weights", "folders": True}),
        ):
            done = understudy("model", "export", "a.model", "--out", *words)
            assert done.code == 0, done.err
            assert inside.read(tmp_path / str(words[0]))["export"].items() >= options.items()

    def test_what_is_refused(self, tmp_path: Path, understudy: Command, model: swap.SwapModel):
        made(tmp_path / "nobodys", releases=())
        for words, code, says in (
            (("a.model", "--out", "a.onnx", "--opset", 30), INVALID, "opset"),
            (("a.model", "--out", "a.pt", "--swap-back"), NOT_ALLOWED, "release"),
            (("nobodys", "--out", "a.pt"), NOT_ALLOWED, "no release record"),
            (("nowhere", "--out", "a.pt"), INPUT_MISSING, "nowhere"),
        ):
            done = understudy("model", "export", *words)
            assert (done.code, says in done.err) == (code, True), done.err
        assert not list(tmp_path.glob("a.*x")) + list(tmp_path.glob("*.pt"))


class TestImport:
    def test_of_deepfacelab_and_without_a_record(self, tmp_path: Path, understudy: Command):
        save_as_deepfacelab(tmp_path / "w", deepfacelabs(TINY), options_of(TINY))
        release.write(make_release(), tmp_path / "a.json")
        done = understudy(
            "model", "import", "w", "--out", "amy.model", "--release", "a.json", "--name", "amy"
        )
        assert done.code == 0, done.err
        assert f"model         {tmp_path}/amy.model" in done.out
        assert store.read_state(tmp_path / "amy.model").releases == (make_release(),)
        warned = understudy("model", "import", "w", "--out", "other.model")
        assert warned.code == 0
        assert "no release record was attached" in warned.out + warned.err

    def test_of_an_archive(self, tmp_path: Path, understudy: Command, model: swap.SwapModel):
        assert understudy("model", "export", "a.model", "--out", "archive").code == 0
        assert (
            understudy("model", "import", "archive", "--out", "back", "--release", "b.release.json").code == 0
        )
        assert store.read_state(tmp_path / "back").digest == model.digest
        again = understudy("model", "import", "archive", "--out", "back")
        assert again.code == INVALID
        assert "there is a trained model already" in again.err

    def test_a_pickle_with_code_in_it(self, tmp_path: Path, understudy: Command):
        save_as_deepfacelab(tmp_path / "w", deepfacelabs(TINY), options_of(TINY))
        file = tmp_path / "w/amy_SAEHD_inter.npy"
        named = pickle.loads(file.read_bytes())
        file.write_bytes(pickle.dumps({**named, "more": Evil(tmp_path / "evil")}, 4))
        done = understudy("model", "import", "w", "--out", "amy.model")
        assert done.code != 0
        assert "it was not run" in done.err
        assert not (tmp_path / "evil").exists()
        assert not (tmp_path / "amy.model").exists()


class TestCombine:
    def test_parts_of_two(self, tmp_path: Path, understudy: Command, model: swap.SwapModel):
        other = made(tmp_path / "b.model", releases=(make_release(subject="performer-b"),))
        weights = {name: each * 1.1 for name, each in other.net.state_dict().items()}
        theirs = store.save(tmp_path / "b.model", other.state, weights, {})
        done = understudy("model", "combine", "c.model", "--base", "a.model", "--part", "decoder_src=b.model")
        assert done.code == 0, done.err
        state = store.read_state(tmp_path / "c.model")
        assert state.combined["decoder_src"] == theirs.digest
        assert state.combined["encoder"] == model.digest
        shown = understudy("model", "show", "c.model").out.replace("\n" + " " * 14, " ")
        assert f"decoder_src {theirs.digest[:12]}" in shown
        assert "performer-a" in shown
        assert "performer-b" in shown

    @pytest.mark.parametrize("parts", [["decoder_src"], ["=a"], ["inter=a", "inter=b"]])
    def test_parts_that_are_none(self, understudy: Command, parts: list[str]):
        words = [word for part in parts for word in ("--part", part)]
        assert understudy("model", "combine", "c.model", *words).code == INVALID


class TestBackups:
    def test_there_and_back(self, tmp_path: Path, understudy: Command, daemon: Daemon):
        model = made(tmp_path / "a.model")
        kept = store.back_up(tmp_path / "a.model")
        weights = {name: each * 1.1 for name, each in model.net.state_dict().items()}
        store.save(tmp_path / "a.model", replace(model.state, iteration=2000), weights, {})
        listed = understudy("model", "backups", "a.model")
        assert listed.code == 0
        assert listed.out.splitlines()[1].split()[:3] == [kept.name, "1200", "1:30:00"]
        done = understudy("model", "restore", "a.model", kept.name)
        assert done.code == 0, done.err
        assert store.read_state(tmp_path / "a.model") == model.state
        lines = understudy("model", "backups", "a.model", "--json").lines
        assert [(each["event"], each["data"]["iteration"]) for each in lines] == [
            ("backup", 1200),
            ("backup", 2000),
        ]
        with Session(daemon.announced()["endpoint"]) as session:
            assert session.model_backups(tmp_path / "a.model")[0].id == model.digest

    def test_a_broken_one_is_in_the_list(self, tmp_path: Path, understudy: Command, model: swap.SwapModel):
        kept = store.back_up(tmp_path / "a.model")
        (kept / "state.json").write_text("{")
        assert "cannot be read" in understudy("model", "backups", "a.model").out
        assert understudy("model", "restore", "a.model", kept.name).code == INVALID

    def test_none(self, tmp_path: Path, understudy: Command, model: swap.SwapModel, daemon: Daemon):
        assert understudy("model", "backups", "a.model").out == "No backup was kept yet.\n"
        done = understudy("model", "restore", "a.model", "00001200-abcdef")
        assert done.code == INPUT_MISSING
        assert "there are none" in done.err
        with Session(daemon.announced()["endpoint"]) as session, pytest.raises(NotFound):
            session.model_backups(tmp_path / "nowhere")
