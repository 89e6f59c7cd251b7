"""Training from the client: specs, files of phases, and the command line against a fake and a real daemon."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from tests.client.command import Command
from tests.client.fake import FakeDaemon
from tests.core.shots import make_release
from tests.daemon import facesets
from tests.daemon.support import Daemon
from understudy.client import Session, phases, specs
from understudy.client.cli.train import instant, size
from understudy.client.errors import INPUT_MISSING, INVALID, NotFound, Refused
from understudy.core import release
from understudy.v1 import job_pb2

GOOD = """
[[phase]]
from = "60%"
warp = 0
even_yaw = true

[[phase]]
from = 120000
gan = 0.1
optimiser = "adabelief"
"""


@pytest.fixture
def understudy(daemon: FakeDaemon, tmp_path: Path) -> Command:
    return Command(tmp_path / "state", daemon.endpoint, tmp_path)


class TestSpec:
    def test_says_nothing_that_was_not_said(self):
        spec = specs.train("/m", "/a", "/b", iterations=5).train
        assert {field.name for field, _ in spec.ListFields()} == {"model", "src", "dst", "target_iterations"}

    def test_holds_all_that_was(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.chdir(tmp_path)
        until = datetime(2031, 12, 1, 8, tzinfo=timezone(timedelta(hours=2)))
        spec = specs.train(
            "m",
            "a",
            "b",
            way="dfl",
            options={"gan": 0.1, "masked": False, "batch_size": 6, "optimiser": "adam"},
            phases=[specs.phase("62.5%", {"warp": 0}), specs.phase(9000, {"gan": "0.2"})],
            until_plateau=True,
            until=until,
            memory=2 * 2**30,
            compile=True,
            start_from="../other",
            new_inter=True,
            preview_exr=True,
        ).train
        assert dict(spec.options) == {"gan": "0.1", "masked": "no", "batch_size": "6", "optimiser": "adam"}
        share, late = spec.phases
        assert (share.WhichOneof("begin"), share.share, dict(share.options)) == (
            "share",
            0.625,
            {"warp": "0"},
        )
        assert (late.WhichOneof("begin"), late.iteration, dict(late.options)) == (
            "iteration",
            9000,
            {"gan": "0.2"},
        )
        assert (spec.way, spec.memory_bytes, spec.until_plateau) == ("dfl", 2**31, True)
        assert spec.until.ToJsonString() == "2031-12-01T06:00:00Z"
        assert (spec.compile, spec.new_inter, spec.preview_exr) == (True, True, True)
        assert spec.start_from == f"{tmp_path.parent}/other"

    def test_a_time_without_a_zone_is_this_machines(self):
        local = datetime(2031, 12, 1, 8)
        spec = specs.train("/m", "/a", "/b", until=local).train
        assert spec.until.ToSeconds() == int(local.timestamp())

    @pytest.mark.parametrize("value", [None, [1], {"a": 1}, datetime(2031, 1, 1)])
    def test_a_value_without_a_text_form_is_refused_by_its_name(self, value: object):
        with pytest.raises(Refused, match=r"^gan: ") as caught:
            specs.train("/m", "/a", "/b", options={"gan": value})
        assert caught.value.field == "gan"

    @pytest.mark.parametrize("begin", ["60", "%", "-1%", "sixty", -1, 0.6, True, 2**63, None])
    def test_a_phase_begins_at_an_iteration_or_a_share(self, begin):
        with pytest.raises(Refused, match="neither the number of an iteration nor a share") as caught:
            specs.phase(begin, {"gan": 0.1})
        assert caught.value.value == str(begin)


class TestPhasesFile:
    def test_is_read(self, tmp_path: Path):
        file = tmp_path / "phases.toml"
        file.write_text(GOOD)
        first, second = specs.train("/m", "/a", "/b", phases=file).train.phases
        assert (first.share, dict(first.options)) == (0.6, {"warp": "0", "even_yaw": "yes"})
        assert (second.iteration, dict(second.options)) == (120000, {"gan": "0.1", "optimiser": "adabelief"})
        assert specs.train("/m", "/a", "/b", phases=str(file)).train.phases[1] == second

    @pytest.mark.parametrize(
        ("text", "field", "says"),
        [
            ("", "phases", "has no [[phase]]"),
            ("phase = 3", "phases", "has no [[phase]]"),
            ("phase = [1]", "phases", "has no [[phase]]"),
            ("phase = []", "phases", "has no [[phase]]"),
            ("[[phases]]\nfrom = 1", "phases.phases", "has 'phases'; it may have [[phase]] only"),
            ("[[phase]]\nfrom = ", "phases", "not TOML"),
            ("[[phase]]\ngan = 0.1", "phases[0].from", "[[phase]] 1: has no 'from'"),
            (f"{GOOD}[[phase]]\nfrom = 0.6", "phases[2].from", "[[phase]] 3: from = 0.6: 0.6 is neither"),
            ('[[phase]]\nfrom = "late"', "phases[0].from", "[[phase]] 1: from = late: 'late' is neither"),
            ("[[phase]]\nfrom = 1\ngan = [1]", "phases[0].gan", "[[phase]] 1: gan = [1]: [1] is no number"),
            ("[[phase]]\nfrom = 1\ngan = 2031-01-01", "phases[0].gan", "[[phase]] 1: gan = 2031-01-01"),
        ],
    )
    def test_says_file_table_key_and_value(self, tmp_path: Path, text: str, field: str, says: str):
        file = tmp_path / "phases.toml"
        file.write_text(text)
        with pytest.raises(Refused) as caught:
            phases.read(file)
        assert caught.value.message.startswith(
            f"phases: {file}: " if field == "phases" else f"{field}: {file}: "
        )
        assert says in caught.value.message
        assert caught.value.field == field

    def test_that_is_not_there_or_not_text(self, tmp_path: Path):
        with pytest.raises(NotFound, match=r"phases\.toml"):
            phases.read(tmp_path / "phases.toml")
        (tmp_path / "phases.toml").write_bytes(b"\xff\xfe")
        with pytest.raises(Refused, match="not TOML"):
            phases.read(tmp_path / "phases.toml")

    def test_what_the_daemon_refuses_is_told_in_the_files_words(self):
        said = [specs.phase("50%", {}), specs.phase(7, {"gan": "9"})]
        refused = Refused.invalid(
            "train.phases[1].options.gan", 9.0, "phase 2: train: gan 9.0 must be 0 to 5"
        )
        told = phases.explained(refused, "p.toml", said)
        assert told.message.startswith("p.toml: [[phase]] 2: gan = 9: ")
        assert (told.field, told.reason) == (refused.field, "INVALID_INPUT")
        begin = Refused.invalid("train.phases[0]", -4, "phase 1: share -4 must be 0 to 1")
        assert phases.explained(begin, "p.toml", said).message.startswith(
            "p.toml: [[phase]] 1: train.phases[0]: "
        )
        other = Refused.invalid("train.options.gan", 9, "train: gan 9 must be 0 to 5")
        assert phases.explained(other, "p.toml", said) is other


@pytest.mark.parametrize(
    ("text", "count"),
    [("2GiB", 2**31), ("1.5 MiB", 3 * 2**19), ("800MB", 800_000_000), ("64 kB", 64_000), ("12B", 12)],
)
def test_sizes(text: str, count: int):
    assert size(text) == count


@pytest.mark.parametrize("text", ["2", "2G", "GiB", "-2GiB", "2gib", "two GiB"])
def test_what_is_no_size_is_refused(text: str):
    with pytest.raises(Refused, match="is no size") as caught:
        size(text)
    assert (caught.value.field, caught.value.value) == ("memory", text)


def test_times():
    assert instant("2031-12-01T08:00Z") == datetime(2031, 12, 1, 8, tzinfo=timezone.utc)
    assert instant("2031-12-01T08:00+02:00") == datetime(2031, 12, 1, 6, tzinfo=timezone.utc)
    assert instant("2031-12-01T08:00") == datetime(2031, 12, 1, 8).astimezone()
    with pytest.raises(Refused, match="is no time") as caught:
        instant("tomorrow")
    assert caught.value.field == "until"


def test_a_handle_tells_a_training(daemon: FakeDaemon, session: Session):
    daemon.script = None
    job = session.train("/m", "/a", "/b", iterations=9)
    job.update_training({"gan": 0.1, "masked": False}, preview=True)
    session.update_training(job.id, save=True, back_up=True)
    first, second = daemon.updates
    assert first == job_pb2.UpdateTrainingRequest(
        job_id=job.id, options={"gan": "0.1", "masked": "no"}, preview=True
    )
    assert second == job_pb2.UpdateTrainingRequest(job_id=job.id, save=True, back_up=True)


def test_an_update_that_was_done_is_an_event(daemon: FakeDaemon, session: Session):
    told = job_pb2.TrainingUpdate(options={"gan": "0.1"})
    daemon.script = [job_pb2.JobEvent(training_update=told)]
    events = list(session.train("/m", "/a", "/b", iterations=9).watch())
    assert [e.message for e in events if e.kind == "training_update"] == [told]


class TestCommand:
    def test_what_is_given_arrives(self, daemon: FakeDaemon, understudy: Command, tmp_path: Path):
        (tmp_path / "phases.toml").write_text(GOOD)
        done = understudy(
            *("train", "model", "--src", "a", "--dst", "b", "--preset", "ablation-df", "--way", "dfl"),
            *("--set", "gan=0.1", "--set", "warp = 0", "--phases", "phases.toml", "--start-from", "other"),
            *("--new-inter", "--memory", "2GiB", "--until-plateau", "--until", "2031-12-01T08:00Z"),
            *("--preview-exr", "--compile", "--device", "cuda:0,cuda:1"),
        )
        assert done.code == 0, done.err
        spec = daemon.requests[0].spec.train
        assert (spec.preset, spec.way, dict(spec.options)) == (
            "ablation-df",
            "dfl",
            {"gan": "0.1", "warp": "0"},
        )
        assert [dict(phase.options).get("gan") for phase in spec.phases] == [None, "0.1"]
        assert (spec.start_from, spec.new_inter, spec.memory_bytes) == (f"{tmp_path}/other", True, 2**31)
        assert (spec.until_plateau, spec.until.ToJsonString()) == (True, "2031-12-01T08:00:00Z")
        assert (spec.preview_exr, spec.compile, spec.device) == (True, True, "cuda:0,cuda:1")

    @pytest.mark.parametrize(
        ("more", "code", "says"),
        [
            (("--set", "gan"), INVALID, "'gan' is not NAME=VALUE"),
            (("--set", "gan="), INVALID, "'gan=' is not NAME=VALUE"),
            (("--set", "gan=1", "--set", "gan=2"), INVALID, "gan is set twice, to 1 and to 2"),
            (("--memory", "2"), INVALID, "'2' is no size"),
            (("--until", "soon"), INVALID, "'soon' is no time"),
            (("--phases", "none.toml"), INPUT_MISSING, "none.toml"),
        ],
    )
    def test_what_cannot_be_is_said_before_a_daemon_is_asked(
        self, daemon: FakeDaemon, understudy: Command, more: tuple[str, ...], code: int, says: str
    ):
        done = understudy("train", "model", "--src", "a", "--dst", "b", "--iterations", 9, *more)
        assert (done.code, says in done.err) == (code, True)
        assert not daemon.requests

    def test_jobs_update_tells_a_training(self, daemon: FakeDaemon, understudy: Command):
        daemon.script = None
        with Session(daemon.endpoint) as session:
            job = session.train("/m", "/a", "/b", iterations=9)
        done = understudy("jobs", "update", job.id, "--set", "gan=0.1", "--preview", "--back-up")
        assert done.code == 0, done.err
        assert done.out == f"{job.id}  train: queued\n"
        (asked,) = daemon.updates
        assert asked == job_pb2.UpdateTrainingRequest(
            job_id=job.id, options={"gan": "0.1"}, preview=True, back_up=True
        )
        (line,) = understudy("jobs", "update", job.id, "--save", "--json").lines
        assert (line["event"], line["data"]["id"]) == ("job", job.id)
        assert daemon.updates[1].save


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path_factory.mktemp("daemon") / "state").start()
    yield daemon
    assert daemon.stop() == 0


@pytest.fixture
def shot(tmp_path: Path) -> Path:
    """A folder with two facesets, of which src has a release."""
    for name in ("src", "dst"):
        facesets.make(tmp_path / name)
    release.write(make_release(), tmp_path / "src" / "release.json")
    return tmp_path


class TestAgainstARealDaemon:
    def test_options_are_listed_as_core_has_them(self, real: Daemon, tmp_path: Path):
        from understudy.core.train import plan

        understudy = Command(tmp_path / "state", real.announced()["endpoint"], tmp_path)
        rows = [line.split("  ") for line in understudy("train", "--list-options").out.splitlines()]
        assert [row[0] for row in rows] == ["option", *(each.name for each in plan.options())]
        table = understudy("train", "--list-options").out
        gan = next(line for line in table.splitlines() if line.startswith("gan "))
        assert gan.split()[1:5] == ["0", "0", "to", "5"]
        lines = understudy("train", "--list-options", "--json").lines
        assert {line["event"] for line in lines} == {"parameter"}
        assert {line["data"]["name"] for line in lines} == set(plan.NAMES)

    @pytest.mark.parametrize(
        ("more", "says"),
        [
            (("--set", "gan=7"), "gan 7.0 must be 0 to 5"),
            (("--set", "gam=1"), "there is no option 'gam'"),
            (("--way", "theirs"), "'theirs' is none of ours, dfl, pretrain"),
            (("--until", "2001-01-01"), "has passed"),
            (("--new-inter",), "start_from"),
        ],
    )
    def test_refusals_reach_the_person(self, real: Daemon, shot: Path, more: tuple[str, ...], says: str):
        understudy = Command(shot / "state", real.announced()["endpoint"], shot)
        done = understudy("train", "model", "--src", "src", "--dst", "dst", "--iterations", 9, *more)
        assert (done.code, says in done.err) == (INVALID, True), done.err

    def test_a_phase_is_refused_by_file_table_key_and_value(self, real: Daemon, shot: Path):
        (shot / "p.toml").write_text(f"{GOOD}noise = 3\n")
        understudy = Command(shot / "state", real.announced()["endpoint"], shot)
        done = understudy(
            "train", "m", "--src", "src", "--dst", "dst", "--iterations", 9, "--phases", "p.toml"
        )
        assert done.code == INVALID
        assert "p.toml: [[phase]] 2: noise = 3: " in done.err
        assert "0 to 1" in done.err
