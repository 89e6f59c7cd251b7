"""`python -m bench [NAME…]`: run the benchmarks, or those named."""

from __future__ import annotations

import argparse
import importlib

NAMES = (
    "colour",
    "extract",
    "steady",
    "train",
    "train_memory",
    "loader",
    "ablation",
    "merge",
    "modes",
    "flicker",
    "poisson",
    "plate",
    "daemon",
    "preview",
    "bridge",
    "scratch",
    "faceset",
    "dfl",
    "parity",
    "peer",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure; nothing is asserted.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which of {', '.join(NAMES)}; default: all")
    names = parser.parse_args().names
    if unknown := sorted(set(names) - set(NAMES)):
        parser.error(f"no benchmark is called {unknown[0]}; there are {', '.join(NAMES)}")
    for name in names or NAMES:
        importlib.import_module(f"bench.{name}").main()


if __name__ == "__main__":
    main()
