"""A network that is compiled or captured, as far as a CPU can tell: what is chosen, tried and given up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
import torch

from tests.core.training import TINIER, apart, asked, make_facesets, one_thread, quick, state, steps, trainer
from understudy.core.model.networks import Network
from understudy.core.reports import Warned
from understudy.core.train import compiling, loop
from understudy.core.train.compiling import COMPILED, GRAPHS

pytestmark = pytest.mark.filterwarnings(
    "ignore:.torch.jit.script_method. is deprecated"
)  # torch's own compiler
CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(autouse=True)
def on_one_thread():
    with one_thread():
        yield


@pytest.fixture
def made(monkeypatch) -> list[Mapping[str, object]]:
    """What `torch.compile` was asked for; what it gives computes as the network does."""
    return _compiler(monkeypatch, {})


def _compiler(
    monkeypatch, broken: Mapping[object, Exception], where: str = "forward"
) -> list[Mapping[str, object]]:
    """Have `torch.compile` give what breaks, forward or back, where it is asked for a mode in `broken`."""
    found: list[Mapping[str, object]] = []

    def compiled(net: Network, **options: object) -> Callable[..., object]:
        found.append(options)
        error = broken.get(options.get("mode"))

        def call(src, dst):
            if error is not None and where == "forward":
                raise error
            given = net.reconstruct(src, dst)
            if error is not None:
                given.faces.register_hook(_raising(error))
            return given

        return call

    monkeypatch.setattr(torch, "compile", compiled)
    return found


def _raising(error: Exception) -> Callable[[object], None]:
    def hook(_gradient: object) -> None:
        raise error

    return hook


def test_graphs_are_for_gpus_whose_memory_has_no_limit():
    assert compiling.ways(CPU, limited=False) == ((COMPILED,), "")
    assert compiling.ways(CPU, limited=True) == ((COMPILED,), "")
    assert compiling.ways(GPU, limited=False) == ((GRAPHS, COMPILED), "")
    ways, why = compiling.ways(GPU, limited=True)
    assert ways == (COMPILED,)
    assert "without CUDA graphs: they keep memory" in why


def test_what_is_captured_has_one_shape(made):
    trainer(compiled=(GRAPHS, COMPILED))
    trainer(compiled=(COMPILED,))
    assert made == [{"mode": "reduce-overhead", "dynamic": False}, {}]


@pytest.mark.parametrize(
    "options", [{}, {"accumulate": "2"}, {"form": "dfl", "gan": "0.1", "gan_patch": "8"}]
)
def test_trying_a_way_changes_no_step(made, options):
    """The real path of graphs, on a compiler that leaves the network as it is."""
    plain, captured = trainer(options), trainer(options, compiled=(GRAPHS, COMPILED))
    assert steps(plain, 0, 2) == steps(captured, 0, 2)
    assert apart(state(plain), state(captured)) == 0
    assert captured.warnings == []


@pytest.mark.parametrize("where", ["forward", "back"])
def test_what_can_not_be_captured_is_compiled(monkeypatch, where):
    made = _compiler(monkeypatch, {"reduce-overhead": RuntimeError("captures unsupported\nat all")}, where)
    plain, captured = trainer(), trainer(compiled=(GRAPHS, COMPILED))
    assert steps(plain, 0, 2) == steps(captured, 0, 2)
    assert apart(state(plain), state(captured)) == 0
    assert captured.warnings == ["the network trains without CUDA graphs: captures unsupported"]
    assert made[-1] == {}  # the plain compiler's


@pytest.mark.parametrize("where", ["forward", "back"])
def test_what_can_not_be_compiled_trains_as_it_is(monkeypatch, where):
    error = RuntimeError("no compiler")
    _compiler(monkeypatch, {"reduce-overhead": error, None: error}, where)
    plain, captured = trainer(), trainer(compiled=(GRAPHS, COMPILED))
    assert steps(plain, 0, 2) == steps(captured, 0, 2)
    assert apart(state(plain), state(captured)) == 0
    assert captured.warnings == [
        "the network trains without CUDA graphs: no compiler",
        "the network can not be compiled here, and trains as it is: no compiler",
    ]


def test_a_way_is_tried_once_for_each_shape(monkeypatch):
    _compiler(monkeypatch, {})
    tried: list[tuple[int, ...]] = []
    trying = compiling.Compiled._try

    def noted(self, src, dst):
        tried.append(tuple(src.shape))
        trying(self, src, dst)

    monkeypatch.setattr(compiling.Compiled, "_try", noted)
    given = trainer(compiled=(GRAPHS, COMPILED))
    side = TINIER.resolution
    steps(given, 0, 3)
    assert tried == [(2, 3, side, side)]
    given.adopt(given.plan.with_options({"batch_size": "3"}))
    steps(given, 3, 5)
    assert tried[1:] == [(3, 3, side, side)]


def test_a_device_that_has_no_memory_is_no_matter_of_the_compiler(monkeypatch):
    _compiler(monkeypatch, {None: torch.OutOfMemoryError("none left")})
    with pytest.raises(torch.OutOfMemoryError):
        steps(trainer(compiled=(COMPILED,)), 0, 1)


def test_what_is_computed_twice_is_not_compiled(made):
    given = trainer({"recompute": "yes"}, compiled=(COMPILED,))
    assert given.warnings == ["recompute: the network trains as it is, not compiled, while it is on"]
    steps(given, 0, 1)
    given.adopt(given.plan.with_options({"recompute": "no"}))
    steps(given, 1, 2)
    assert len(given.warnings) == 1


def test_a_training_says_that_it_can_not_compile(tmp_path, colour, monkeypatch):
    quick(monkeypatch)
    _compiler(monkeypatch, {None: RuntimeError("no compiler")})
    settings = replace(asked(make_facesets(tmp_path), tmp_path / "m", preset="tinier"), compile=True)
    reports = list(loop.run(settings, colour=colour))
    (message,) = [r.message for r in reports if isinstance(r, Warned) and r.reason == "COMPILE"]
    assert "trains as it is: no compiler" in message
