"""The daemon under load and through faults, for hours or for minutes: is anything lost, torn, or done twice?

Bounded in time and count, on loopback only. What is lost is found by comparing what was started with the job store of
a daemon that was started anew; torn, by opening every finished frame and comparing its digest with the manifest (of
ingests, its pixels with those of the other ingests); done twice, by counting the reports of every frame of every job,
and by whether a finished file was written again. What is done when is by the seed, and by the machine too.
"""

from __future__ import annotations

import argparse
import importlib
import random
import shutil
import sys
import time
import traceback

from bench import common
from bench.soak.part import Found, Given

FOLDER = common.FOLDER / "soak"
PARTS = {  # name → (module, how many)
    "jobs": ("load", 10_000),
    "watch": ("load", 200),
    "cancel": ("load", 1_000),
    "slow": ("load", 50),
    "kill": ("faults", 100),
    "disk": ("faults", 20),
    "clock": ("faults", 20),
    "fuzz": ("hostility", 2_000),
    "paths": ("hostility", 1_000),
}
FLAT_MIB, FLAT_HANDLES = 16.0, 8  # that the last three quarters of a part may bring


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    parser.add_argument("--count", type=int, help="of each part named, in place of its own")
    parser.add_argument("--seed", type=int, default=8, help="of what is done when (%(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="of the daemon (%(default)s)")
    given = parser.parse_args()
    if unknown := sorted(set(given.parts) - set(PARTS)):
        parser.error(f"no part is called {unknown[0]}; there are {', '.join(PARTS)}")
    print(f"seed {given.seed}", flush=True)
    found = {name: run(name, given) for name in given.parts or PARTS}
    show(found)
    if any(each.faults for each in found.values()):
        sys.exit(1)


def run(name: str, given: argparse.Namespace) -> Found:
    """One part, in a folder of its own."""
    module, full = PARTS[name]
    count = given.count or (max(1, full // 10) if given.quick else full)
    folder = FOLDER.absolute() / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    print(f"{name}: {count}", flush=True)
    began = time.monotonic()
    try:
        part = getattr(importlib.import_module(f"bench.soak.{module}"), name)
        found: Found = part(Given(folder, count, random.Random(f"{given.seed} {name}"), str(given.workers)))
    except Exception:  # noqa: BLE001 - the other parts are worth having
        found = Found(faults=[traceback.format_exc()])
    found.seconds = time.monotonic() - began
    for what, (first, last), most in (
        ("MiB", found.taken.memory, FLAT_MIB),
        ("handles", found.taken.handles, FLAT_HANDLES),
    ):
        if last - first > most:
            found.fault(f"the daemon grew from {first:.0f} to {last:.0f} {what}")
    for text in found.faults:
        print(f"{name}: {text}", flush=True)
    print(f"{name}: {found.seconds:.0f} s, {found.count}", flush=True)
    return found


def show(found: dict[str, Found]) -> None:
    """The report."""
    rows = [(name, *row(each)) for name, each in found.items()]
    common.show(
        "soak",
        (
            "part",
            "what",
            "s",
            "lost",
            "torn",
            "twice",
            "refused",
            "left",
            "MiB",
            "MiB/min",
            "handles",
            "faults",
        ),
        rows,
    )


def row(found: Found) -> tuple[str, ...]:
    taken, (refused, asked) = found.taken, found.refused
    return (
        found.count,
        f"{found.seconds:.0f}",
        f"{found.lost} of {found.jobs}" if found.jobs else "",
        f"{found.torn} of {found.frames}" if found.frames else "",
        f"{found.twice}" if found.jobs else "",
        f"{refused} of {asked}" if asked else "",
        f"{found.left}",
        "{:.0f} to {:.0f}".format(*taken.memory),
        f"{taken.trend:+.2f}",
        "{} to {}".format(*taken.handles),
        f"{len(found.faults)}",
    )
