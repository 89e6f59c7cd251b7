"""`understudy token`, `audit` and `doctor --config`: handed on to the daemon's package, which answers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from understudy.daemon import access


def understudy(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "understudy.client.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_tokens_are_made_listed_and_taken_away(tmp_path: Path):
    file = tmp_path / "tokens.json"
    made = understudy("token", "create", "--tokens", str(file), "--user", "farm", "--scope", "submit")
    assert (made.returncode, made.stderr) == (0, "")
    token = made.stdout.strip()
    assert token.startswith(f"{access.PREFIX}_{access.read(file)[0].id}_")
    listed = understudy("--json", "token", "list", "--tokens", str(file))
    assert json.loads(listed.stdout)["user"] == "farm"
    assert token.split("_", 2)[2] not in listed.stdout
    wrong = understudy("token", "create", "--tokens", str(file), "--user", "x", "--scope", "root")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "'root' is none of read, submit, admin" in wrong.stderr
    assert understudy("token", "revoke", "--tokens", str(file), access.read(file)[0].id).returncode == 0
    assert access.read(file) == ()


def test_what_is_wrong_ends_with_1_and_a_sentence(tmp_path: Path):
    none = understudy("audit", "verify", str(tmp_path / "none.jsonl"))
    assert (none.returncode, none.stdout) == (1, "")
    assert "there is no audit log" in none.stderr
    file = tmp_path / "daemon.toml"
    file.write_text("[limits]\njobs = 0\n")
    doctor = understudy("doctor", "--config", str(file), "--json")
    assert doctor.returncode == 1
    last = json.loads(doctor.stdout.splitlines()[-1])["data"]
    assert (last["name"], last["ok"]) == ("configuration", False)
    assert f"{file}: limits.jobs: 0 is not at least 1" in last["fix"]


def test_a_daemon_that_is_served_stops_when_nobody_needs_it(tmp_path: Path):
    served = understudy("serve", "--state", str(tmp_path / "state"), "--idle", "0.2")
    assert served.returncode == 0, served.stderr
    assert "nothing to do for 0 s" in served.stderr
    wrong = understudy("serve", "--state", str(tmp_path / "state"), "--idle", "-1")
    assert (wrong.returncode, "idle.seconds: -1 is not 0 to" in wrong.stderr) == (1, True)
