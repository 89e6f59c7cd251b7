"""`daemon.toml`: what it says is what runs, and what it should not say is refused by file, key and value."""

from __future__ import annotations

import json
import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from understudy.core.errors import InvalidInput, NotFound
from understudy.daemon import arguments, configfile
from understudy.daemon.config import DaemonConfig, Log
from understudy.daemon.limits import Limits
from understudy.daemon.settings import Queue, Retention
from understudy.daemon.slots import Workers

HOME = {"HOME": "/home/x"}
WHOLE = """
state = "{0}/state"
[listen]
unix = "{0}/d.sock"
tcp = "0.0.0.0:7443"
[tls]
certificate = "{0}/c.pem"
key = "{0}/k.pem"
client_ca = "{0}/ca.pem"
[access]
tokens = "{0}/tokens.json"
[roots]
read = ["{0}"]
write = ["{0}"]
[colour]
config = "ocio://default"
[weights]
cache = "{0}/weights"
folders = ["{0}/a", "{0}/b"]
accepted_licences = ["codeformer"]
[limits]
message_bytes = 1048576
frames_per_job = 5000
jobs_per_user = 20
jobs = 200
pixels = 40000000
channels = 64
[metrics]
listen = "127.0.0.1:9464"
[audit]
file = "{0}/audit.jsonl"
[drain]
seconds = 60
[idle]
seconds = 90
[log]
format = "json"
verbose = true
[[path_mapping]]
source_path_format = "WINDOWS"
source_path = 'P:\\show'
destination_path = "{0}/show"
"""


def settle(folder: Path, text: str, *given: str) -> DaemonConfig:
    file = folder / "daemon.toml"
    file.write_text(text)
    return arguments.settled(arguments.parse(["--config", str(file), *given]), HOME)


def test_every_key_comes_through(tmp_path: Path):
    config = settle(tmp_path, WHOLE.format(tmp_path))
    assert config.state == tmp_path / "state"
    assert config.socket() == tmp_path / "d.sock"
    assert config.tcp == "0.0.0.0:7443"
    assert config.tls is not None
    assert config.tls.client_ca == tmp_path / "ca.pem"
    assert config.tokens == tmp_path / "tokens.json"
    assert config.site.roots.read == config.site.roots.write == (tmp_path,)
    assert config.site.colour_config == "ocio://default"
    assert config.site.weights_cache == tmp_path / "weights"
    assert config.site.weights_folders == (tmp_path / "a", tmp_path / "b")
    assert config.site.weights().usable("codeformer").non_commercial
    assert list(vars(config.site.limits).values()) == [1048576, 5000, 20, 200, 40000000, 64]
    assert (config.metrics, config.audit_file) == ("127.0.0.1:9464", tmp_path / "audit.jsonl")
    assert config.idle == 90.0
    assert (config.drain, config.log.format, config.log.verbose) == (60.0, "json", True)
    assert config.site.path_mapping[0].source_path == "P:\\show"


def test_an_empty_file_changes_nothing_and_arguments_go_before_it(tmp_path: Path):
    assert settle(tmp_path, "") == arguments.settled(arguments.parse([]), HOME)
    config = settle(tmp_path, WHOLE.format(tmp_path), "--state", "/other", "--weights-folder", "/w")
    assert (config.state, config.site.weights_folders) == (Path("/other"), (Path("/w"),))


def test_licences_are_accepted_by_arguments_before_the_environment():
    environment = {**HOME, "UNDERSTUDY_ACCEPTED_LICENCES": "codeformer,prnet"}
    told = ["--accept-licence", "prnet"]
    for given, names in ((told, ("prnet",)), ([], ("codeformer", "prnet"))):
        assert arguments.settled(arguments.parse(given), environment).site.accepted_licences == names
    assert arguments.settled(arguments.parse([]), HOME).site.accepted_licences == ()


@pytest.mark.parametrize(
    ("text", "field", "says"),
    [
        ("stat = '/x'", "stat", "did you mean state?"),
        ("[limits]\nframes_per_jb = 1", "limits.frames_per_jb", "did you mean frames_per_job?"),
        ("[nonsense]\nx = 1", "nonsense", "there are state, listen"),
        ("[limits]\njobs = 'many'", "limits.jobs", "'many' is not a whole number"),
        ("[limits]\njobs = true", "limits.jobs", "True is not a whole number"),
        ("[limits]\njobs = 1.5", "limits.jobs", "1.5 is not a whole number"),
        ("[limits]\njobs = 0", "limits.jobs", "limits.jobs: 0 is not at least 1"),
        ("state = 'relative'", "state", "'relative' is not an absolute path"),
        ("state = '~/x'", "state", "is not an absolute path"),
        ("[roots]\nread = '/x'", "roots.read", "'/x' is not a list"),
        ("[roots]\nread = ['/x', 3]", "roots.read[1]", "3 is not an absolute path"),
        ("[roots]\nwrite = ['/nowhere/at/all']", "write_root", "roots.write"),
        ("listen = 'unix'", "listen", "is not a table"),
        ("[tls]\ncertificate = '/c.pem'", "tls.key", "tls.key is not set"),
        ("[log]\nformat = 'xml'", "log.format", "'xml' is neither text nor json"),
        ("[weights]\naccepted_licences = ['codefomer']", "weights.accepted_licences", "mean 'codeformer'?"),
        ("[drain]\nseconds = 0", "drain.seconds", "is not above 0"),
        ("[idle]\nseconds = -1", "idle.seconds", "is not 0 to"),
        ("[metrics]\nlisten = '0.0.0.0:9464'", "metrics.listen", "metrics have no lock"),
        ("[metrics]\nlisten = '9464'", "metrics.listen", "is not HOST:PORT"),
        ("[listen]\ntcp = '0.0.0.0:7443'", "listen.tcp", "needs TLS"),
        ("[listen]\ntcp = '127.0.0.1:7443'", "access.tokens", "needs tokens"),
        (
            "[[path_mapping]]\nsource_path_format = 'URI'\nsource_path = 'x'\ndestination_path = '/x'",
            "path_mapping[0].source_path_format",
            "'URI' is none of POSIX, WINDOWS",
        ),
        ("[[path_mapping]]\nsource_path = '/x'", "path_mapping[0].source_path_format", "is not set"),
        ("state = ", "config", "Invalid value"),
    ],
)
def test_what_cannot_be_is_refused_by_file_key_and_value(tmp_path: Path, text: str, field: str, says: str):
    with pytest.raises(InvalidInput) as refusal:
        settle(tmp_path, text)
    assert refusal.value.field == field
    assert refusal.value.message.startswith(f"{tmp_path / 'daemon.toml'}: ")
    assert says in refusal.value.message


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(NotFound, match="no such file"):
        configfile.read(tmp_path / "none.toml")


def test_rules_of_the_farm_go_before_the_sites(tmp_path: Path):
    rules = [{"source_path_format": "POSIX", "source_path": "/a", "destination_path": "/b"}]
    file = tmp_path / "rules.json"
    file.write_text(json.dumps({"version": "pathmapping-1.0", "path_mapping_rules": rules}))
    config = settle(tmp_path, WHOLE.format(tmp_path), "--path-mapping-rules", str(file))
    assert [rule.source_path for rule in config.site.path_mapping] == ["/a", "P:\\show"]


def test_the_file_that_we_ship_has_every_key_and_says_what_holds_without_it(tmp_path: Path):
    shipped = (Path(__file__).parents[2] / "deploy" / "daemon.toml").read_text()
    assert configfile.read(written(tmp_path, shipped)).limits == Limits()
    whole = configfile.read(
        written(tmp_path, re.sub(r"^# (?=[a-z_]+ = |\[)", "", shipped, flags=re.MULTILINE))
    )
    assert (whole.limits, whole.drain, whole.log) == (Limits(), configfile.Drain(), Log())
    assert (whole.workers, whole.queue, whole.retention) == (Workers(), Queue(), Retention())
    assert whole.tls is not None
    for table in fields(whole):
        value = getattr(whole, table.name)
        assert value not in (None, "", ()), table.name
        for key in fields(value) if is_dataclass(value) else ():
            assert f"{key.name} = " in shipped, key.name


def written(folder: Path, text: str) -> Path:
    file = folder / "shipped.toml"
    file.write_text(text)
    return file
