"""What a daemon is told: arguments first, then its configuration file, then the environment, then what is usual."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from understudy.core.errors import InvalidInput, meant
from understudy.core.weights import registry
from understudy.daemon import configfile, pathmap
from understudy.daemon.config import DaemonConfig, Log
from understudy.daemon.paths import Roots
from understudy.daemon.site import Site
from understudy.daemon.slots import Workers


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(1, f"{self.format_usage()}{self.prog}: {message}\n")  # 2 would mean failed frames


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The arguments as they were given; ends the process with 1 where they are wrong."""
    parser = _Parser(prog="python -m understudy.daemon", description="The understudy daemon.")
    add = parser.add_argument
    add("--config", type=Path, metavar="FILE", help="daemon.toml; docs/operations.md has all keys")
    add("--state", type=Path, help="folder for jobs, socket and log; default $UNDERSTUDY_STATE or XDG's")
    add("--listen", default="", metavar="unix:PATH", help="socket; default daemon.sock in the state folder")
    add("--embedded", action="store_true", help="stop when standard input closes")
    add(
        "--idle",
        type=float,
        metavar="SECONDS",
        help="stop after so long without a call and a job; default never",
    )
    add("--read-root", type=Path, action="append", default=[], help="only read below; may be repeated")
    add("--write-root", type=Path, action="append", default=[], help="only write below; may be repeated")
    add("--colour-config", help="OpenColorIO config: a path or ocio:// name; default $OCIO or the pinned one")
    add("--weights-cache", type=Path, help="folder that weights are fetched to; default XDG's cache")
    add(
        "--weights-folder",
        type=Path,
        action="append",
        default=[],
        help="looked into first; may be repeated; default the folders in $UNDERSTUDY_WEIGHTS",
    )
    add(
        "--accept-licence",
        action="append",
        default=[],
        metavar="WEIGHTS",
        help="may be used though their licence forbids commercial use; may be repeated; default the names in "
        "$UNDERSTUDY_ACCEPTED_LICENCES, by commas",
    )
    add("--device", default="", metavar="cuda:0,cuda:1", help="GPUs that have a worker each")
    add("--workers", type=int, metavar="N", help="workers that compute on the CPU")
    add("--path-mapping-rules", type=Path, metavar="FILE", help="of Open Job Description, pathmapping-1.0")
    add("--verbose", action="store_true", help="log more")
    add("--check", action="store_true", help="run nothing; say whether it could run here")
    add("--json", action="store_true", help="with --check: one JSON object a line")
    return parser.parse_args(arguments)


def settled(given: argparse.Namespace, environment: Mapping[str, str]) -> DaemonConfig:
    """All that the daemon runs by.

    Raises:
        InvalidInput, NotFound: of an argument, or of the file, which is then named.
    """
    file = configfile.read(given.config) if given.config else configfile.File()
    rules = pathmap.read(given.path_mapping_rules) if given.path_mapping_rules else ()
    try:
        return _config(given, file, environment, rules)
    except InvalidInput as error:
        if given.config:
            error.message = f"{given.config}: {error.message}"
        raise


def _config(
    given: argparse.Namespace,
    file: configfile.File,
    environment: Mapping[str, str],
    rules: tuple[pathmap.Rule, ...],
) -> DaemonConfig:
    usual_state = environment.get("UNDERSTUDY_STATE") or _xdg(environment, "XDG_STATE_HOME", ".local/state")
    site = _site(given, file, environment)
    return DaemonConfig(
        state=Path(given.state or file.state or usual_state).absolute(),
        listen=given.listen or (f"unix:{file.listen.unix}" if file.listen.unix else ""),
        tcp=file.listen.tcp,
        tls=file.tls,
        tokens=file.access.tokens,
        metrics=file.metrics.listen,
        audit=file.audit.file,
        workers=_workers(given, file),
        queue=file.queue,
        retention=file.retention,
        drain=file.drain.seconds,
        idle=file.idle.seconds if given.idle is None else given.idle,
        log=Log(format=file.log.format, verbose=given.verbose or file.log.verbose),
        embedded=given.embedded,
        site=replace(site, path_mapping=(*rules, *site.path_mapping)),
    )


def _workers(given: argparse.Namespace, file: configfile.File) -> Workers:
    named = tuple(name.strip() for name in given.device.split(",")) if given.device else file.workers.devices
    try:
        return replace(
            file.workers,
            devices=named,
            cpu=file.workers.cpu if given.workers is None else given.workers,
        )
    except InvalidInput as error:
        option = {"devices": "--device", "cpu": "--workers"}[str(error.field)]
        raise InvalidInput(f"{option}: {error.message}", field=option, value=error.value) from error


def _site(given: argparse.Namespace, file: configfile.File, environment: Mapping[str, str]) -> Site:
    cache = given.weights_cache or file.weights.cache
    cache = cache or _xdg(environment, "XDG_CACHE_HOME", ".cache") / "weights"
    named = environment.get("UNDERSTUDY_WEIGHTS", "").split(os.pathsep)
    folders = given.weights_folder or file.weights.folders or [Path(folder) for folder in named if folder]
    accepted = environment.get("UNDERSTUDY_ACCEPTED_LICENCES", "").replace(",", " ").split()
    return Site(
        roots=Roots(
            read=tuple(given.read_root) or file.roots.read, write=tuple(given.write_root) or file.roots.write
        ),
        colour_config=given.colour_config or file.colour.config or environment.get("OCIO") or None,
        weights_cache=cache.absolute(),
        weights_folders=tuple(folder.absolute() for folder in folders),
        accepted_licences=_weights(given.accept_licence or file.weights.accepted_licences or accepted),
        limits=file.limits,
        path_mapping=file.path_mapping,
        scratch=file.scratch,
    )


def _weights(names: Sequence[str]) -> tuple[str, ...]:
    """The names; raises InvalidInput: there are no weights of one."""
    known = [entry.name for entry in registry()]
    for name in names:
        if name not in known:
            raise InvalidInput(
                f"weights.accepted_licences: no weights are called {name!r}{meant(name, known)}",
                field="weights.accepted_licences",
                value=name,
            )
    return tuple(names)


def _xdg(environment: Mapping[str, str], variable: str, usual: str) -> Path:
    home = environment.get(variable) or Path(environment.get("HOME") or Path.home()) / usual
    return Path(home) / "understudy"
