"""docs/operations.md does what it says: its own commands, in their order, as a new user gives them.

The machine is a folder; what only a real one has (users, packages, systemd) is played.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.daemon.support import SECONDS
from tests.daemon.test_operation import free_port
from understudy.daemon import access

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
PLAYED = ("useradd", "chown", "pip")  # not of a test
PROGRAMS = ("openssl", "curl", "sqlite3")
pytestmark = pytest.mark.skipif(
    any(shutil.which(name) is None for name in PROGRAMS), reason=f"takes {', '.join(PROGRAMS)}"
)


def blocks() -> Iterator[list[str]]:
    """The page's shell commands; containers and other heads than the page's own are left out."""
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL):
        yield [line for line in block.splitlines() if line]


@dataclass
class Machine:
    """A machine in a folder, whose commands are typed one by one.

    Attributes:
        said: what each command said, by the command, in order: (command, exit code, text).
    """

    folder: Path
    said: list[tuple[str, int, str]] = field(default_factory=list)
    daemon: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.cwd = self.folder
        self.tcp, self.metrics = free_port(), free_port()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("UNDERSTUDY_")}
        self.environment = {**kept, "HOME": str(self.folder), "COLUMNS": "200", "NO_COLOR": "1"}
        (self.folder / "deploy").symlink_to(ROOT / "deploy")
        (self.folder / "var" / "backups").mkdir(parents=True)
        (self.folder / "opt" / "bin").mkdir(parents=True)
        calls = {
            "understudy": f"'{sys.executable}' -m understudy.client.cli",
            "python": f"'{sys.executable}'",
        }
        calls |= dict.fromkeys(PLAYED, "true")
        for name, call in calls.items():
            program = self.folder / "opt" / "bin" / name
            program.write_text(f'#!/bin/sh\nexec {call} "$@"\n')
            program.chmod(0o755)
        self.environment["PATH"] = f"{self.folder}/opt/bin{os.pathsep}{kept['PATH']}"

    def here(self, text: str) -> str:
        """The same with this machine's folders and ports."""
        text = re.sub(r"/opt/understudy\b", f"{self.folder}/opt", text)
        text = re.sub(r"(?<![\w.])/(etc|var/lib|var/cache|run)/understudy\b", rf"{self.folder}/\1", text)
        text = re.sub(r"(?<![\w.])/(etc/systemd|var/backups)/", rf"{self.folder}/\1/", text)
        text = text.replace("daemon.example:7443", f"localhost:{self.tcp}").replace("sudo -u understudy ", "")
        text = text.replace("0.0.0.0:7443", f"127.0.0.1:{self.tcp}")
        return re.sub(r"\b9464\b", str(self.metrics), text)  # the whole number: it may be in another port's

    def type(self, line: str) -> None:
        """One line of the page."""
        words = line.split()
        if words[0] == "export":
            name, _, value = words[1].partition("=")
            self.environment[name] = self.here(value).replace("~", str(self.folder))
        elif words[0] == "cd":
            self.cwd = Path(self.here(words[1]))
        elif words[0] == "systemctl":
            for command in line.partition("#")[0].split("&&"):
                self.systemctl(command.split()[1])
        elif "-m venv" not in line:
            self.run(self.here(line))

    def run(self, line: str) -> str:
        done = subprocess.run(
            ["sh", "-c", line],
            check=False,
            cwd=self.cwd,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        self.said.append((line, done.returncode, done.stdout + done.stderr))
        return done.stdout

    def systemctl(self, verb: str) -> None:
        """What systemd does by the unit that was installed."""
        unit = (self.folder / "etc" / "systemd" / "system" / "understudy.service").read_text()
        if verb in ("start", "enable"):
            (command,) = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
                told.bind(f"{self.folder}/notify-{len(self.said)}")
                told.settimeout(SECONDS)
                environment = {**self.environment, "NOTIFY_SOCKET": told.getsockname()}
                log = (self.folder / "journal").open("ab")
                with log:
                    self.daemon = subprocess.Popen(self.here(command).split(), env=environment, stderr=log)
                assert told.recv(64) == b"READY=1"
        elif verb == "stop":
            assert self.daemon is not None
            self.daemon.send_signal(signal.SIGTERM)
            assert self.daemon.wait(SECONDS) == 0
        elif verb == "reload":
            assert self.daemon is not None
            assert "ExecReload=/bin/kill -HUP $MAINPID" in unit
            self.daemon.send_signal(signal.SIGHUP)

    def set(self, **keys: str) -> None:
        """Take the `#` away from keys of daemon.toml, or of their table, which a user is told to set."""
        path = self.folder / "etc" / "daemon.toml"
        text = path.read_text()
        for key, value in keys.items():
            table, _, name = key.partition("_")
            text = re.sub(rf"^# \[{table}\]$", f"[{table}]", text, flags=re.MULTILINE)
            before, head, behind = text.partition(f"\n[{table}]\n")
            behind = re.sub(
                rf"^(# )?{name} = [^\n]*$", f"{name} = {value}", behind, count=1, flags=re.MULTILINE
            )
            text = before + head + behind
        path.write_text(self.here(text))
        self.systemctl("stop")
        self.systemctl("start")

    def answers(self, part: str) -> list[tuple[int, str]]:
        """How the commands with these words ended, and what they said."""
        return [(code, text) for line, code, text in self.said if part in line]


@pytest.fixture(scope="module")
def story() -> Iterator[Machine]:
    """The machine after all commands of the page."""
    with tempfile.TemporaryDirectory(prefix="it") as name:
        machine = Machine(Path(name))
        try:
            for block in blocks():
                for line in block:
                    prepared(machine, line)
            yield machine
        finally:
            if machine.daemon is not None and machine.daemon.poll() is None:
                machine.daemon.kill()
                machine.daemon.wait()


def prepared(machine: Machine, line: str) -> None:
    """Type a line, after what the page says in words before it."""
    etc = machine.folder / "etc"
    if "weights pull" in line:
        return  # it takes a network
    if "doctor" in line and not machine.answers("doctor"):
        folders = f'["{machine.folder}/show"]'
        (machine.folder / "show").mkdir()
        text = machine.here((etc / "daemon.toml").read_text())
        (etc / "daemon.toml").write_text(text.replace("= []", f"= {folders}"))
    if " ID" in line:
        other = machine.run(
            machine.here(
                "understudy token create --tokens /etc/understudy/tokens.json --user gone --scope read"
            )
        )
        line = line.replace(" ID", f" {other.split('_')[1]}")
    if "ENDPOINT" in line:
        token = machine.answers("token create")[0][1].strip()
        (machine.folder / ".understudy-token").write_text(f"{token}\n")
        (machine.folder / ".understudy-token").chmod(0o600)
        of = {"tls_certificate": '"/etc/understudy/daemon.crt"', "tls_key": '"/etc/understudy/daemon.key"'}
        machine.set(listen_tcp='"0.0.0.0:7443"', access_tokens='"/etc/understudy/tokens.json"', **of)
    if "CERTIFICATE" in line:
        machine.run(f"understudy plate torture '{machine.folder}/show/t'")  # over TLS, as the user `farm`
        machine.set(tls_client_ca='"/etc/understudy/ca.crt"')
        machine.run("understudy jobs list")
    if "HASH" in line:
        line = line.replace(
            "HASH", json.loads((machine.folder / "var/lib/audit.jsonl").read_text().splitlines()[0])["hash"]
        )
    if "curl" in line and not machine.answers("curl"):
        machine.set(metrics_listen='"127.0.0.1:9464"', log_format='"json"')
        machine.run(machine.here("curl -s http://127.0.0.1:9464/metrics # all of it"))
    machine.type(line)


@pytest.mark.timeout(1800)
def test_every_command_ends_well(story: Machine):
    first, *wrong = [(line, code, text) for line, code, text in story.said if code and " doctor " not in line]
    assert not wrong
    assert first[:2] == ("understudy jobs list", 69)  # before it shows a certificate of its own
    assert "UNDERSTUDY_CERTIFICATE" in first[2]
    told = story.answers(" doctor ")
    assert len(told) == 2
    for code, text in told:  # the weights were never fetched, and nothing else is to be done
        assert (code, re.findall(r"^✗ (\w+)", text, re.MULTILINE)) == (1, ["weights"])
        assert f"--endpoint unix:{story.folder}/run/daemon.sock weights pull" in text


def test_a_job_of_the_farm_is_there_after_the_restore(story: Machine):
    ((code, told),) = story.answers("plate torture")
    assert (code, "time " in told) == (0, True)
    store, copy = (story.folder / "var" / name for name in ("lib/jobs.db", "backups/understudy-jobs.db"))
    for path in (store, copy):
        with sqlite3.connect(path) as db:
            assert db.execute("SELECT user, state FROM jobs").fetchall() == [("farm", 5)]
    assert " 1 jobs, schema" in story.answers(" doctor ")[1][1]
    assert (story.folder / "show" / "t" / "torture.json").is_file()


def test_the_metrics_are_those_of_the_page(story: Machine):
    ((_, said),) = story.answers("/metrics #")
    names = set(re.findall(r"^# TYPE (\w+)", said, re.MULTILINE))
    table = PAGE.split("| Metric | Labels | Watch for |")[1].split("\n\n")[0]
    assert names == set(re.findall(r"`(understudy_\w+)`", table))


def test_the_scopes_are_those_of_the_page():
    table = PAGE.split("| Scope | May |")[1].split("\n\n")[0]
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == list(access.SCOPES)


def test_the_log_is_one_object_a_line_from_when_it_was_asked_for(story: Machine):
    journal = (story.folder / "journal").read_text().splitlines()
    first = next(at for at, line in enumerate(journal) if line.startswith("{"))
    lines = [json.loads(line) for line in journal[first:]]
    assert {"time", "level", "logger", "message"} <= set.intersection(*(set(line) for line in lines))
    assert not [
        line for line in journal[:first] if "Handshake" in line
    ]  # told by gRPC itself, in a form of its own


def test_a_token_that_was_taken_away_is_gone_and_the_other_stays(story: Machine):
    (token,) = access.read(story.folder / "etc" / "tokens.json")
    assert (token.user, token.scopes) == ("farm", ("submit",))
