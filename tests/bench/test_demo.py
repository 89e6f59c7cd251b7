"""`make demo`: the order of its steps, what it says, what happens when one fails. The swap has its own tests."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from rich.console import Console

from bench import demo
from bench.demo import SRC, CommandError, Demo
from tests.daemon.support import SECONDS, until
from understudy.client.cli.app import app

STEPS = ["release", "weights", "swap", "verify"]  # that are commands

# Stands in for the command line: notes how it was called, and makes what a later run finds.
STAND_IN = """
import json, os, pathlib, signal, sys, time
here, arguments = pathlib.Path(__file__).parent, sys.argv[1:]
with (here / "calls").open("a") as calls:
    calls.write(json.dumps(arguments) + "\\n")
out = arguments[arguments.index("--out") + 1] if "--out" in arguments else ""
if arguments[0] == (here / "fails").read_text():
    print("performer-a: the reason why", file=sys.stderr)
    sys.exit(4)
if arguments[0] == (here / "hangs").read_text():
    def leave(*_):
        (here / "told").touch()
        time.sleep(0.5)
        (here / "ended").touch()
        sys.exit(130)
    signal.signal(signal.SIGINT, leave)
    (here / "hanging").touch()
    time.sleep(600)
if arguments[:2] == ["release", "create"]:
    pathlib.Path(out).write_text("{}")
if arguments[0] == "swap" and not pathlib.Path(out.replace("####", "1001")).exists():
    pathlib.Path(out).parent.mkdir()
    pathlib.Path(out.replace("####", "1001")).touch()
    pathlib.Path(out).with_name("contact_sheet.png").touch()
print("result of", arguments[0])
"""


@pytest.fixture
def small(tmp_path):
    """A demo that is over in a second, and the folder of its stand-in."""
    program = tmp_path / "understudy"
    program.write_text(f"#!{sys.executable}\n{STAND_IN}")
    program.chmod(0o755)
    for how in ("fails", "hangs"):
        (tmp_path / how).write_text("")
    return Demo(folder=tmp_path / "demo", minutes=1.5, frames=2, understudy=str(program))


def calls(small) -> list[list[str]]:
    return [json.loads(line) for line in (small.folder.parent / "calls").read_text().splitlines()]


def said(small) -> str:
    text = io.StringIO()
    demo.run(small, Console(file=text, width=400))
    return text.getvalue()


class TestSteps:
    def test_each_is_done_in_this_order(self, small):
        text = said(small)
        assert [call[0] for call in calls(small)] == STEPS
        assert len(list((small.folder / "plates").glob("*.exr"))) == 4
        for step in ("plates", *STEPS, "all"):
            assert step in text
        assert "4 frames made, 0 there already" in text
        assert "result of swap" in text
        assert "Nothing was made" not in text

    def test_the_second_run_makes_nothing_and_says_so(self, small):
        said(small)
        before = small.products()
        text = said(small)
        assert small.products() == before
        assert [call[0] for call in calls(small)] == [*STEPS, *STEPS[1:]]
        assert "0 frames made, 4 there already" in text
        assert f"there already: {small.release}" in text
        assert "Nothing was made" in text
        assert f"Look at {small.sheet}" in text

    def test_options_are_those_of_the_command_line(self, small):
        """Parsed by the real program, without running it: what it would refuse fails here."""
        said(small)
        create, _, swap, verify = (parsed(arguments) for arguments in calls(small))
        assert (create["kind"], create["subject"]) == ("public-domain", SRC)
        assert create["out"] == swap["release"] == str(small.release)
        assert (swap["src"], swap["out"]) == (small.plate(SRC), small.comp)
        assert (swap["preset"], swap["minutes"]) == ("quick64", 1.5)
        assert verify["output"] == small.comp


def parsed(arguments: list[str]) -> dict[str, object]:
    command = typer.main.get_command(app)
    while hasattr(command, "commands"):
        command, arguments = command.commands[arguments[0]], arguments[1:]
    return command.make_context("demo", arguments).params


class TestFailure:
    def test_tells_what_the_command_told_and_ends_with_its_code(self, small):
        (small.folder.parent / "fails").write_text("verify")
        with pytest.raises(CommandError) as caught:
            said(small)
        assert caught.value.code == 4
        assert str(caught.value).startswith("performer-a: the reason why\nexit code 4: ")
        assert small.comp in str(caught.value)

    def test_stops_at_the_step_that_failed_and_goes_on_from_there(self, small):
        (small.folder.parent / "fails").write_text("swap")
        with pytest.raises(CommandError):
            said(small)
        assert [call[0] for call in calls(small)] == STEPS[:3]
        (small.folder.parent / "fails").write_text("")
        said(small)
        assert [call[0] for call in calls(small)][3:] == STEPS[1:]

    def test_a_program_that_is_not_installed(self, small):
        absent = replace(small, understudy=str(small.folder / "understudy"))
        with pytest.raises(CommandError, match=r"No such file.*pip install") as caught:
            said(absent)
        assert caught.value.code == 1

    def test_a_wrong_setting_is_a_message_and_an_exit_code(self, tmp_path, capfd):
        assert demo.main(["--folder", str(tmp_path), "--frames", "0"]) == 1
        assert "clip: frames 0 is below 1" in capfd.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_cancel_reaches_the_command_and_waits_for_its_end(small, number):
    here = small.folder.parent
    (here / "hangs").write_text("swap")
    options = ("--folder", str(small.folder), "--frames", "1", "--understudy", small.understudy)
    # What a shell starts with `&` ignores it, and so would its children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.demo", *options],
        cwd=Path(demo.__file__).parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        until(lambda: (here / "hanging").exists() or process.poll() is not None)
        assert process.poll() is None, process.communicate()[0]
        process.send_signal(number)
        text, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert "cancelled: what is finished stays" in text
    assert (here / "told").exists()
    assert (here / "ended").exists()
