"""Bundles: what they say is what was typed, whatever the names; what cannot be is refused; no secret in them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import typer
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.client.command import Command
from tests.client.fake import FakeDaemon
from tests.client.farming import Bundle, Openjd, messages
from understudy.client.cli.app import app
from understudy.client.errors import EXIT_CODES, TEMPORARY, Refused, UnderstudyError, Unreachable
from understudy.client.farm import bundle as bundles
from understudy.client.farm import openjd
from understudy.client.farm import yaml as ours
from understudy.client.farm.paths import OPTIONS

MERGE = ("merge", "plate.####.exr", "--faceset", "faces", "--model", "a.model", "--out", "out/comp.####.exr")
ODD = "a \"b\" 'c' {{Param.X}} $(d) `e` ü 漢 🙂 -x\\y;z&"  # a folder's name

# Commands as a person types them, and the verb's step.
TYPED = {
    "ingest": ("ingest", "a b.mov", "pl/{{x}}.####.exr", "--first", "-3", "--frames", "-3-10x2"),
    "extract": (
        *("extract", "pl/x.####.exr", "fa ces", "--frames", "1-9 11", "--frames-dialect", "nuke", "--view", "left"),
        *("--view", "right", "--release", "r's.json", "--pick", "1,2,3", "--upright-only", "--min-score", "0.25"),
    ),
    "train": ("train", "m", "--src", "a.faceset", "--dst", "b", "--minutes", 1.5, "--set", "gan=0.1", "--seed", 3),
    "merge": (
        *MERGE,
        *("--frames", "1001-1010", "--plate-frames", "1001-1100", "--aligned", "--set", "erode=1001:2,1010:6"),
        *("--set", "blend@1003-1005x2=over", "--keep-matte", "h's.####.exr=1001-1003", "--keep-matte", "b/q.%04d.exr"),
        *("--opacity", "0.5", "--mask", "face*hull", "--layers", "face,uv", "--recipe", "look s.json"),
    ),
    "merge of two": (
        *("merge", "plate.####.exr", "--out", "c.####.exr", "--faceset", "fs", "--frames", "1"),
        *("--person", "anna track=0 model='an na.model' set=blend=over keep-matte=g.#.exr=1-3 keep-matte=h.#.exr"),
        *("--person", "ben track=1 model=ben.model faceset=\"b's\""),
    ),
    "verify": ("verify", "out/comp.####.exr", "--plate", "plate.####.exr", "--frames", "1001"),
    "review": ("review", "out/comp.####.exr", "--out", "o.mov", "--sheet", "o.png", "--no-burn-in", "--exposure", -1),
}  # fmt: skip


@pytest.fixture
def understudy(daemon: FakeDaemon, tmp_path: Path) -> Command:
    return Command(tmp_path / "state", daemon.endpoint, tmp_path)


def made(understudy: Command, *words: object) -> Bundle:
    done = understudy("farm", "bundle", *words)
    assert done.code == 0, done.err
    assert understudy.folder is not None
    return Bundle(understudy.folder / "farm")


@pytest.mark.parametrize("name", TYPED)
def test_a_bundle_asks_for_what_its_command_asks_for(daemon: FakeDaemon, tmp_path: Path, name: str):
    words, here = TYPED[name], tmp_path / ODD
    here.mkdir()
    (here / "look s.json").write_text('{"blend": "multiband"}')
    understudy = Command(tmp_path / "state", daemon.endpoint, here)
    assert understudy(*words).code == 0
    bundle = made(understudy, "farm", *words)
    step = str(words[0]).capitalize()
    line = bundle.line(step, Frames="1001-1010")
    assert line[0] == "understudy"
    elsewhere = Command(tmp_path / "state", daemon.endpoint, tmp_path)
    done = elsewhere(*line[1:])
    assert done.code == 0, done.err
    typed, ran = (request.spec for request in daemon.requests)
    if step == "Merge":
        assert ran.merge.no_contact_sheet
        ran.merge.no_contact_sheet = False
        del typed.merge.frames[:], ran.merge.frames[:]
    assert ran == typed
    for each, where in bundle.values.items():
        if bundle.definition(each)["type"] == "PATH":
            assert Path(where).is_relative_to(here), each
        else:
            assert str(here) not in where, each


@pytest.mark.parametrize("name", TYPED)
def test_no_value_is_in_the_text_of_a_command(understudy: Command, name: str, tmp_path: Path):
    (tmp_path / "look s.json").write_text("{}")
    bundle = made(understudy, "farm", *TYPED[name])
    text = json.dumps(
        bundle.template["steps"], ensure_ascii=False
    )  # short ones are words of ours too: "left"
    for value in bundle.values.values():
        assert len(value) < 6 or json.dumps(value, ensure_ascii=False)[1:-1] not in text, value


def test_every_bundle_is_one_by_the_reference_implementation(understudy: Command, tmp_path: Path):
    (tmp_path / "look s.json").write_text("{}")
    chain = [word for words in TYPED.values() if words[0] != "merge" for word in (*words, "then")]
    made(understudy, "--gpus", 1, "farm", *chain, *MERGE, "--frames", "1001-1010,1020")
    run = Openjd(tmp_path, tmp_path)
    template = tmp_path / "farm" / "template.yaml"
    assert run("check", template) == (0, f"Template at '{template}' passes validation checks.\n")
    code, said = run("summary", *run.of(Bundle(tmp_path / "farm")))
    assert code == 0, said


def test_a_step_waits_for_what_it_reads_and_for_nothing_else(understudy: Command):
    bundle = made(
        understudy, "farm", "ingest", "a.mov", "p/a.####.exr",
        "then", "extract", "p/a.%04d.exr", "faces/a", "then", "extract", "p/b.####.exr", "faces/b",
        "then", "train", "m", "--src", "faces/a", "--dst", "faces/b", "--minutes", 1,
        "then", *MERGE[:2], "--faceset", "faces/b", "--model", "m", "--out", "out/c.####.exr", "--frames", "1-9",
        "then", "review", "out/c.####.exr", "--out", "out/c.mov",
    )  # fmt: skip
    after = {
        name: [each["dependsOn"] for each in step.get("dependencies", [])]
        for name, step in bundle.steps.items()
    }
    assert after == {
        "Ingest": [], "Extract": ["Ingest"], "Extract2": [], "Train": ["Extract", "Extract2"],
        "Analyse": ["Extract2", "Train"], "Merge": ["Extract2", "Train", "Analyse"],
        "Verify": ["Analyse", "Merge"], "Review": ["Analyse", "Merge"],
    }  # fmt: skip


def test_paths_say_what_they_are_and_which_way_files_go(understudy: Command):
    bundle = made(
        understudy, "farm", *MERGE, "--frames", "1", "then", "review", "out/comp.####.exr", "--sheet", "s.png"
    )
    found = {
        d["name"]: (d["objectType"], d["dataFlow"])
        for d in bundle.template["parameterDefinitions"]
        if d["type"] == "PATH"
    }
    assert found == {
        "MergePlateFolder": ("DIRECTORY", "IN"), "MergeFaceset": ("DIRECTORY", "IN"),
        "MergeModel": ("DIRECTORY", "IN"), "MergeOutFolder": ("DIRECTORY", "INOUT"), "ReviewSheet": ("FILE", "OUT"),
    }  # fmt: skip


def test_paths_in_scratch_are_texts_that_no_farm_maps_and_steps_still_wait(understudy: Command):
    bundle = made(
        understudy, "farm", "ingest", "a.mov", "scratch:p/a.####.exr",
        "then", "extract", "scratch:p/a.####.exr", "faces",
    )  # fmt: skip
    types = {d["name"]: d["type"] for d in bundle.template["parameterDefinitions"]}
    values = json.loads((bundle.folder / "parameters.json").read_text())
    named = {name for name, value in values.items() if str(value).startswith("scratch:")}
    assert len(named) == 2
    assert {types[name] for name in named} == {"STRING"}
    assert [each["dependsOn"] for each in bundle.steps["Extract"]["dependencies"]] == ["Ingest"]


def test_every_option_of_every_verb_is_known_as_path_or_not():
    """An option that names a path in its help, and is not in the table, would not be mapped."""
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    paths = ("FILE", "FOLDER", "FACESET", "MODEL", ".exr", "MOVIE", "VIDEO", "PICTURE", ".png", ".toml")
    for verb, table in OPTIONS.items():
        named = {
            option.name
            for option in commands[verb].params
            if any(word in (option.metavar or "") for word in paths)
            or (option.metavar or "").endswith("PATH")
        }
        assert named - {"person_path"} == set(table), verb


REFUSED = {
    "detach": (("extract", "c.####.exr", "f", "--detach"), "a farm's task stays until its work is done"),
    "unknown verb": (("swap", "--src", "a"), "'swap' is none of ingest"),
    "nothing": (("verify", "c.####.exr", "then"), "'' is none of ingest"),
    "range": ((*MERGE, "--frames", "9-1"), "runs backwards"),
    "look": ((*MERGE, "--frames", "1", "--set", "erode"), "erode"),
    "usage": ((*MERGE, "--frames", "1", "--nonsense"), "--nonsense"),
    "control character": (("verify", "c\x1b.####.exr"), "control character"),
    "line": (("review", "c.####.exr", "--burn-version", "a\nopenjd_env: A=b"), "control character"),
    "not UTF-8": ((b"verify", b"c\xff.####.exr"), "UTF-8"),
    "too long": (("review", "c.####.exr", "--burn-version", "x" * 1025), "1025 characters"),
    "person": ((*MERGE, "--frames", "1", "--person", "{{A}} track=0"), "must be a small letter"),
    "until": (("train", "m", "--src", "a", "--dst", "b", "--until", "soon"), "'soon' is no time"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_before_anything_is_written(understudy: Command, tmp_path: Path, name: str):
    words, why = REFUSED[name]
    done = understudy("farm", "bundle", "farm", *(os.fsdecode(word) for word in words))
    assert done.code == 1, done.out
    assert why in done.err
    assert not (tmp_path / "farm").exists()


def test_another_folder_is_left_alone(understudy: Command, tmp_path: Path):
    (tmp_path / "farm").mkdir()
    (tmp_path / "farm" / "template.yaml").write_text("specificationVersion: theirs\n")
    done = understudy("farm", "bundle", "farm", "verify", "c.####.exr")
    assert (done.code, "there is something else" in done.err) == (1, True)
    assert (tmp_path / "farm" / "template.yaml").read_text() == "specificationVersion: theirs\n"
    for _ in range(2):  # one of ours is replaced
        assert understudy("farm", "bundle", "own", "verify", "c.####.exr").code == 0


def test_no_secret_gets_in(daemon: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("UNDERSTUDY_TOKEN", "UNDERSTUDY_TOKEN_FILE", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "s3cr3t")
    bundle = made(Command(tmp_path / "state", daemon.endpoint, tmp_path), "farm", *MERGE, "--frames", "1")
    text = "".join(file.read_text() for file in bundle.folder.iterdir())
    assert "s3cr3t" not in text
    assert daemon.endpoint not in text


def test_deadline_has_the_same_values(understudy: Command):
    bundle = made(understudy, "farm", *MERGE, "--frames", "1001-1009x2")
    said = json.loads((bundle.folder / bundles.DEADLINE).read_text())["parameterValues"]
    assert {each["name"]: each["value"] for each in said} == bundle.values
    assert bundle.values["MergeFrames"] == "1001-1009:2"


def test_torchrun_gets_settings_without_paths(understudy: Command, tmp_path: Path):
    (tmp_path / "p.toml").write_text('[[phase]]\nfrom = "60%"\nwarp = 0\n')
    bundle = made(
        understudy, "--processes", 2, "farm", "train", "m", "--src", "a", "--dst", "b", "--minutes", 2, "--phases",
        "p.toml", "--set", "batch_size=4", "--memory", "2GiB", "--src-track", 0, "--until", "2026-12-01T08:00+00:00",
    )  # fmt: skip
    assert json.loads((bundle.folder / "train.settings.json").read_text()) == {
        "options": {"batch_size": "4"}, "phases": [{"share": 0.6, "options": {"warp": "0"}}],
        "target_seconds": 120.0, "until": "2026-12-01T08:00:00+00:00", "memory": 2**31, "seed": 0, "src_track": 0,
    }  # fmt: skip
    line = bundle.line("Train")
    assert line[0] == "torchrun"
    assert {f"--model={tmp_path}/m", f"--src={tmp_path}/a", "--nproc-per-node=2"} <= set(line)
    assert "stepEnvironments" not in bundle.steps["Train"]


@given(
    st.recursive(
        st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"])) | st.integers() | st.booleans(),
        lambda held: st.lists(held) | st.dictionaries(st.from_regex(r"\A[A-Za-z]\w{0,8}\Z"), held),
    )
)
def test_yaml_is_read_as_it_was(value):
    wanted = {"key": value}
    assert yaml.safe_load(ours.text(wanted)) == wanted


def test_a_message_is_one_line_whatever_it_says():
    assert openjd.message("status", "a\nopenjd_env: X=1\r\n\tb") == "openjd_status: a openjd_env: X=1 b"
    assert len(openjd.message("fail", "x" * 10_000)) < 2100


@pytest.mark.parametrize("reason", EXIT_CODES)
def test_a_failure_says_whether_to_try_again(reason: str):
    error = UnderstudyError("what is wrong", reason=reason)
    again = EXIT_CODES[reason] == TEMPORARY
    said = openjd.failure(error)
    assert f"[{reason}, exit code {EXIT_CODES[reason]}: " in said
    assert said.endswith(": try again]" if again else "trying again will not help]")


def test_the_command_tells_the_farm(understudy: Command, tmp_path: Path):
    gone = Command(tmp_path / "state", f"unix:{tmp_path}/none.sock", tmp_path)
    done = gone("--progress", "openjd", "verify", "c.####.exr")
    assert done.code == Unreachable("").exit_code
    assert messages(done.out, "fail")[0].endswith("[exit code 69: try again]")
    both = understudy("--json", "--progress=openjd", "verify", "c.####.exr")
    assert (both.code, "exclude each other" in both.err) == (Refused.invalid("", "", "").exit_code, True)
    done = understudy("verify", "c.####.exr", "--progress", "openjd")
    assert done.code == 0, done.err
    assert messages(done.out, "progress")[-1] == "100.0"
