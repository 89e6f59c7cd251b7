"""The spec of a training: every option by name, what is refused at submit, and whose preset a model has."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from tests.core.shots import make_release
from tests.daemon import facesets, models
from understudy.core import release
from understudy.core.colour import ColourConfig
from understudy.core.errors import UnderstudyError
from understudy.core.model import store
from understudy.core.model.presets import ABLATION, PRESETS
from understudy.core.train import plan
from understudy.core.train.control import BackUp, Change, Save, Show
from understudy.core.train.settings import TrainSettings
from understudy.daemon import decode
from understudy.daemon.decode import train
from understudy.daemon.outputs import Output
from understudy.daemon.site import Site
from understudy.v1 import job_pb2

Decoded = Callable[..., TrainSettings]


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two facesets, of which src has a release. Read only."""
    folder = tmp_path_factory.mktemp("shot")
    for name in ("src", "dst"):
        facesets.make(folder / name)
    release.write(make_release(), folder / "src" / "release.json")
    return folder


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(weights_cache=tmp_path / "weights")


@pytest.fixture
def work(colour: ColourConfig, site: Site, shot: Path, tmp_path: Path) -> Decoded:
    """Decodes a training of `tmp_path / "model"` for 10 iterations, as if it were asked for now."""

    def decoded(promised: tuple[Output, ...] = (), *, new: bool = True, **spec) -> TrainSettings:
        paths = {"model": str(tmp_path / "model"), "src": str(shot / "src"), "dst": str(shot / "dst")}
        asked = job_pb2.JobSpec(train={**paths, "target_iterations": 10, **spec})
        settings = decode.work(asked, promised, site=site, colour=colour, new=new).settings
        assert isinstance(settings, TrainSettings)
        return settings

    return decoded


def refused(call: Callable[[], object], reason: str, field: str, *words: str) -> None:
    with pytest.raises(UnderstudyError) as error:
        call()
    assert (error.value.reason, error.value.field) == (reason, field), error.value
    for word in words:
        assert word in error.value.message


def stamp(when: datetime) -> dict:
    return {"seconds": int(when.timestamp())}


NOW = datetime.now(timezone.utc)


def test_all_that_is_said_arrives(work: Decoded, tmp_path: Path):
    other = models.make(tmp_path / "other", bare=True)
    later = NOW + timedelta(days=2)
    found = work(
        way="dfl",
        options={"gan": "0.1", "masked": "no"},
        phases=[{"share": 0.6, "options": {"warp": "0"}}, {"iteration": 9, "options": {"gan": "0.2"}}],
        start_from=str(other),
        new_inter=True,
        memory_bytes=2**31,
        until_plateau=True,
        until=stamp(later),
        preview_exr=True,
        compile=True,
        device="cuda:0,cuda:1",
    )
    assert (found.way, found.options) == ("dfl", {"gan": "0.1", "masked": "no"})
    assert found.phases == (
        plan.Phase(share=0.6, options={"warp": "0"}),
        plan.Phase(iteration=9, options={"gan": "0.2"}),
    )
    assert (found.start_from, found.new_inter, found.memory) == (other, True, 2**31)
    assert (found.until_plateau, found.until) == (True, later.replace(microsecond=0))
    assert (found.preview_exr, found.compile, found.device) == (True, True, "cuda:0,cuda:1")
    plain = work()
    assert (plain.way, plain.options, plain.phases, plain.start_from) == ("", {}, (), None)
    assert (plain.memory, plain.until, plain.until_plateau, plain.compile) == (None, None, False, False)


@pytest.mark.parametrize(
    "ends",
    [
        {"target_iterations": 5},
        {"target_time": {"seconds": 5}},
        {"until_plateau": True},
        {"until": stamp(NOW + timedelta(days=1))},
    ],
)
def test_any_end_will_do_but_one_there_must_be(work: Decoded, ends: dict):
    assert work(**{"target_iterations": 0, **ends})
    refused(lambda: work(target_iterations=0), "INVALID_INPUT", "train.target_iterations", "until_plateau")


@pytest.mark.parametrize(
    ("spec", "field", "words"),
    [
        ({"way": "theirs"}, "train.way", ["theirs", "ours, dfl, pretrain"]),
        ({"options": {"gan": "7"}}, "train.options.gan", ["gan 7", "0 to 5"]),
        ({"options": {"gan": "much"}}, "train.options.gan", ["'much'", "a number"]),
        ({"options": {"gan": "nan"}}, "train.options.gan", ["nan"]),
        ({"options": {"gann": "0.1"}}, "train.options.gann", ["gann", "gan_patch"]),
        ({"options": {"masked": "maybe"}}, "train.options.masked", ["maybe", "yes or no"]),
        ({"options": {"optimiser": "sgd"}}, "train.options.optimiser", ["sgd", "adabelief"]),
        ({"options": {"accumulate": "3"}}, "train.options.accumulate", ["3", "batch_size"]),
        ({"options": {"augmentation": "1"}}, "train.options.augmentation", ["augmentation"]),
        ({"batch_size": -2}, "train.batch_size", ["-2"]),
        ({"batch_size": 2, "options": {"batch_size": "2"}}, "train.batch_size", ["say it once"]),
        (
            {"phases": [{"share": 0.5}, {"iteration": 5, "options": {"noise": "3"}}]},
            "train.phases[1].options.noise",
            ["phase 2", "noise 3", "0 to 1"],
        ),
        ({"phases": [{"options": {"gan": "0.1"}}]}, "train.phases[0]", ["phase 1", "either"]),
        ({"phases": [{"share": 1.5}]}, "train.phases[0]", ["phase 1", "1.5"]),
        ({"phases": [{"iteration": -1}]}, "train.phases[0]", ["phase 1", "-1"]),
        (
            {"target_iterations": 0, "until_plateau": True, "phases": [{"share": 0.5}]},
            "train.phases",
            ["0.5", "no target"],
        ),
        ({"new_inter": True}, "train.new_inter", ["start_from"]),
        ({"memory_bytes": -1}, "train.memory_bytes", ["-1"]),
        ({"until": stamp(NOW - timedelta(hours=1))}, "train.until", ["has passed"]),
        ({"until": {"seconds": 2**62}}, "train.until", ["is no time"]),
        ({"device": "cuda:0,cpu"}, "train.device", ["cuda:0,cpu", "cuda:0,cuda:1"]),
        ({"preset": "ablation-dg"}, "train.preset", ["ablation-dg", "ablation-df", "quick96"]),
    ],
)
def test_what_is_wrong_is_named_with_its_value(work: Decoded, spec: dict, field: str, words: list[str]):
    refused(lambda: work(**spec), "INVALID_INPUT", field, *words)


def test_a_time_that_passes_while_a_job_waits_is_no_fault(work: Decoded):
    """The worker decodes again: the training then has nothing to do."""
    passed = NOW - timedelta(hours=1)
    assert work(new=False, until=stamp(passed)).until == passed.replace(microsecond=0)


def test_what_to_start_from_is_there_or_promised(work: Decoded, tmp_path: Path):
    nowhere = str(tmp_path / "nowhere")
    refused(lambda: work(start_from=nowhere), "NOT_FOUND", "train.start_from", nowhere)
    (tmp_path / "nowhere").mkdir()
    refused(lambda: work(start_from=nowhere), "NOT_FOUND", "train.start_from", "no model")
    store.create(tmp_path / "nowhere", models.TINY)
    refused(lambda: work(start_from=nowhere), "NOT_FOUND", "train.start_from", "no trained model")
    assert work((Output.of_folder(tmp_path / "nowhere"),), start_from=nowhere).start_from == Path(nowhere)
    refused(
        lambda: work((Output.of_folder(tmp_path / "model"),), start_from=str(tmp_path / "model")),
        "INVALID_INPUT",
        "train.start_from",
        "the model itself",
    )
    models.make(tmp_path / "model", bare=True)
    assert work(start_from=str(tmp_path / "gone"))  # a model that has begun needs it no more


class TestPreset:
    @pytest.mark.parametrize("name", ABLATION)
    def test_every_row_of_the_ablation_is_one(self, work: Decoded, name: str):
        assert work(preset=name).preset == name

    def test_is_that_of_the_models_state_where_several_share_a_configuration(
        self, work: Decoded, tmp_path: Path
    ):
        assert ABLATION["ablation-df"] == ABLATION["ablation-df-gan-trueface"]
        for name, other in (
            ("ablation-df", "ablation-df-gan-trueface"),
            ("ablation-df-gan-trueface", "ablation-df"),
        ):
            assert train.preset_of(ABLATION[name], store.State(preset=name)) == name
            place = tmp_path / name
            models.make(place, preset=name, bare=True)
            assert work(model=str(place)).preset == name
            assert work(model=str(place), preset=name).preset == name
            refused(
                lambda: work(model=str(place), preset=other),  # noqa: B023  called at once
                "MODEL_INVALID",
                "train.preset",
                f"preset {name}, not {other}",
            )

    def test_of_an_older_model_is_found_by_its_configuration(self):
        for name, config in PRESETS.items():
            assert train.preset_of(config, None) == name
            assert train.preset_of(config, store.State(preset="ablation-df")) == name  # which it cannot be
            assert train.preset_of(config, store.State(preset="of another version")) == name

    def test_of_a_model_from_elsewhere_is_none(self, work: Decoded, tmp_path: Path):
        models.make(tmp_path / "model", bare=True)
        assert train.preset_of(models.TINY, None) == ""
        assert work().preset == ""
        refused(lambda: work(preset="quick96"), "MODEL_INVALID", "train.preset", "none of this version")

    def test_of_a_broken_checkpoint_is_found_by_its_configuration(self, work: Decoded, tmp_path: Path):
        """The training falls back to a backup, if there is one."""
        models.make(tmp_path / "model", preset="quick64", bare=True)
        (store.current(tmp_path / "model") / store.STATE).write_text("{")
        assert work().preset == "quick64"


class TestPerceptual:
    OPTIONS = (
        {"options": {"perceptual": "0.1"}},
        {"phases": [{"share": 0.5, "options": {"perceptual": "1"}}]},
    )

    @pytest.mark.parametrize("spec", OPTIONS)
    def test_wants_its_weights(self, work: Decoded, spec: dict):
        refused(lambda: work(**spec), "WEIGHTS_MISSING", "weights", "understudy weights pull vgg16")

    def test_may_have_them_promised(self, work: Decoded, site: Site, colour: ColourConfig):
        spec = job_pb2.JobSpec(pull_weights={"names": ["vgg16"]})
        pulled = decode.work(spec, site=site, colour=colour).outputs
        assert work(pulled, options={"perceptual": "0.1"}).options == {"perceptual": "0.1"}

    def test_of_0_wants_none(self, work: Decoded):
        assert work(options={"perceptual": "0"})


class TestCourse:
    def course(self, tmp_path: Path, **spec) -> plan.Course:
        return decode.course(job_pb2.TrainSpec(model=str(tmp_path / "model"), **spec))

    def test_is_what_the_spec_says_under_what_was_changed(self, site: Site, tmp_path: Path):
        changes = (plan.Phase(iteration=3, options={"gan": "0.5"}).to_dict(),)
        models.make(tmp_path / "model", preset="quick64", way="dfl", changes=changes, bare=True)
        course = self.course(tmp_path, batch_size=6, options={"gan": "0.1"}, phases=[{"iteration": 2}])
        assert course.at(0, 0.0) == plan.plan("quick64", "dfl").with_options(
            {"batch_size": "6", "gan": "0.1"}
        )
        assert course.at(3, 0.0).gan == 0.5
        then = decode.changed(course, {"accumulate": "3"}, 7, 0.5, site=site)
        assert (then.at(7, 0.5).accumulate, then.at(6, 0.5).accumulate) == (3, 1)

    @pytest.mark.parametrize(
        ("options", "field"),
        [
            ({"gan": "9"}, "options.gan"),
            ({"gam": "1"}, "options.gam"),
            ({"accumulate": "4"}, "options.accumulate"),  # batch_size is 6
        ],
    )
    def test_refuses_a_change(self, site: Site, tmp_path: Path, options: dict, field: str):
        course = self.course(tmp_path, batch_size=6)
        refused(lambda: decode.changed(course, options, 7, 0.5, site=site), "INVALID_INPUT", field)

    def test_refuses_a_change_that_only_a_later_phase_allows(self, site: Site, tmp_path: Path):
        course = self.course(
            tmp_path, batch_size=4, phases=[{"iteration": 100, "options": {"batch_size": "6"}}]
        )
        change = {"accumulate": "3"}
        refused(
            lambda: decode.changed(course, change, 7, 0.5, site=site), "INVALID_INPUT", "options.accumulate"
        )
        assert decode.changed(course, change, 100, 0.5, site=site)

    def test_refuses_what_needs_weights_that_are_not_here(self, site: Site, tmp_path: Path):
        course = self.course(tmp_path)
        refused(
            lambda: decode.changed(course, {"perceptual": "1"}, 0, 0.0, site=site),
            "WEIGHTS_MISSING",
            "weights",
        )


def test_what_a_training_is_told():
    every = job_pb2.TrainingUpdate(options={"gan": "0.1"}, preview=True, save=True, back_up=True)
    assert decode.commands(every) == (Change(options={"gan": "0.1"}), Show(), Save(), BackUp())
    assert decode.commands(job_pb2.TrainingUpdate(save=True)) == (Save(),)


def test_a_history_is_drawn_of_a_model_that_is_there(colour: ColourConfig, site: Site, tmp_path: Path):
    def asked(**spec) -> decode.Work:
        return decode.work(job_pb2.JobSpec(plot_history=spec), site=site, colour=colour)

    model = models.make(tmp_path / "model", bare=True)
    out = tmp_path / "h.png"
    found = asked(model=str(model), output=str(out))
    assert found.settings == decode.PlotHistory(model=model, out=out)
    assert found.outputs == (Output.of_file(out),)
    refused(
        lambda: asked(model=str(tmp_path), output=str(out)),
        "NOT_FOUND",
        "plot_history.model",
        "neither a model",
    )
    refused(
        lambda: asked(model=str(model), output=str(tmp_path / "h.jpg")),
        "INVALID_INPUT",
        "plot_history.output",
        ".png",
    )


def test_decoding_loads_no_torch():
    code = (
        "import sys; from understudy.daemon.decode import train; from understudy.v1 import job_pb2; "
        "train.course(job_pb2.TrainSpec(model='/nowhere', phases=[{'share': 0.5}])); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_settings_of_a_job_that_goes_on_are_those_it_was_accepted_with(work: Decoded):
    spec = {"options": {"gan": "0.1"}, "way": "dfl", "memory_bytes": 2**30}
    assert replace(work(new=False, **spec)) == work(**spec)
