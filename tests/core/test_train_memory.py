"""What a training needs is counted beforehand, and it trains in less where that is asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench import train_memory
from tests.core.training import PLAN, TINY, make_facesets, noise, one_thread
from understudy.core.errors import InvalidInput
from understudy.core.model import winograd
from understudy.core.model.networks import build
from understudy.core.model.summary import summarise
from understudy.core.train import memory
from understudy.core.train.plan import Plan
from understudy.core.train.trainer import Trainer

MIB = 2**20
WIDER = replace(TINY, resolution=128, ae_dims=64)
BATCH = Plan(batch_size=8)


@pytest.fixture(autouse=True)
def single():
    with one_thread():
        yield


def needed(plan: Plan, config=WIDER, **options) -> memory.Need:
    return memory.need(config, replace(plan, **options), bfloat16=False)


def parameters(config=WIDER) -> int:
    return sum(summarise(config, batch_size=1).parameters.values())


def test_weights_and_moments_are_held():
    """And what convolutions keep, whatever the network."""
    for options, numbers in (
        ({}, 12),
        ({"optimiser": "rmsprop"}, 8),
        ({"average": 0.99}, 16),
        ({"offload": True}, 4),
    ):
        held = needed(BATCH, **options).held - winograd.kept()
        assert held == pytest.approx(numbers * parameters(), rel=0.05 if numbers == 4 else 0.02)
    assert needed(BATCH, form="dfl").held == pytest.approx(12 * parameters(), rel=0.02)  # keeps nothing


def test_a_step_needs_at_least_its_activations():
    """On top of weights and moments, as the summary counts them."""
    activations = summarise(WIDER, batch_size=8).activation_bytes
    assert activations < needed(BATCH).peak - needed(BATCH).held < 6 * activations + 4 * parameters()


def test_what_is_traded_needs_less():
    wide = replace(WIDER, d_dims=32)  # what a decoder keeps is most of it
    whole = needed(BATCH, wide).peak
    parts = [needed(BATCH, wide, accumulate=n).peak for n in (2, 4, 8)]
    assert whole > parts[0] > parts[1] > parts[2]
    assert needed(BATCH, wide, recompute=True).peak < 0.9 * whole
    dense = replace(TINY, resolution=256, ae_dims=512)
    saved = needed(BATCH, dense, accumulate=8).peak - needed(BATCH, dense, accumulate=8, offload=True).peak
    assert saved > 0.9 * (8 * parameters(dense) - 2 * 4 * 2**24)  # less the moments that are there in a step


def test_discriminators_and_styles_are_counted():
    assert needed(BATCH, gan=0.1).peak > needed(BATCH).peak + MIB
    assert needed(BATCH, true_face=0.01).held > needed(BATCH).held + MIB
    assert needed(BATCH, background_style=1.0).peak > needed(BATCH).peak + MIB


def test_bfloat16_keeps_half_of_what_networks_keep():
    wide = replace(WIDER, d_dims=32)
    narrow, full = (memory.need(wide, replace(BATCH, batch_size=16), bfloat16=each) for each in (True, False))
    assert narrow.held == pytest.approx(full.held - winograd.kept(), rel=0.02)
    assert 0.5 < (narrow.peak - narrow.held) / (full.peak - full.held) < 0.95


def test_what_is_needed_is_not_taken():
    """A network of 8 GB is counted in a process that never has a tenth of it."""
    done = _run("""
        import sys
        from bench.peak import resident_peak
        from understudy.core.model.presets import PRESETS
        from understudy.core.train import memory
        from understudy.core.train.plan import Plan
        before = resident_peak()
        found = memory.need(PRESETS["liae-ud-512"], Plan(batch_size=4), bfloat16=False)
        print(found.peak, resident_peak() - before)
    """)
    counted, taken = map(int, done.stdout.split())
    assert counted > 16 * 397_195_115
    assert taken < counted / 10


def test_enough_memory_trades_nothing():
    assert memory.fit(WIDER, BATCH, 2**40, bfloat16=False) == (BATCH, ())


def test_the_cheapest_is_traded_first():
    """Between parts, recomputing and offloading: what comes first in order of price and fits."""
    wide = replace(TINY, resolution=128, d_dims=32, ae_dims=256)
    ways = [
        {"recompute": again, "offload": elsewhere} for elsewhere in (False, True) for again in (False, True)
    ]
    least = [needed(BATCH, wide, accumulate=8, **way).peak for way in ways]
    assert min(least[1:]) < least[0]
    for place, (way, need) in enumerate(zip(ways, least, strict=True)):
        if need < min(least[:place], default=need + 1):  # else what is cheaper does as well
            found, _ = memory.fit(wide, BATCH, int(need * memory._ROOM) + 1, bfloat16=False)
            assert {"recompute": found.recompute, "offload": found.offload} == way
    half = needed(BATCH, wide, accumulate=2).peak
    traded, said = memory.fit(wide, BATCH, int(half * memory._ROOM) + 1, bfloat16=False)
    assert traded == replace(BATCH, accumulate=2)
    assert said == (
        "memory: the batch of 8 is computed in 2 parts of 4, which changes no result (accumulate)",
    )


def test_too_little_memory_names_the_least_that_does():
    with pytest.raises(InvalidInput, match="memory 1 MiB is too little for df at 128 pixels") as refused:
        memory.fit(WIDER, BATCH, MIB, bfloat16=False)
    assert (refused.value.field, refused.value.value) == ("memory", MIB)
    least = int(refused.value.message.split(" needs ")[1].split(" MiB")[0].replace(",", ""))
    fitting, _ = memory.fit(WIDER, BATCH, (least + 1) * MIB, bfloat16=False)
    assert fitting.offload
    with pytest.raises(InvalidInput):
        memory.fit(WIDER, BATCH, (least - 1) * MIB, bfloat16=False)
    with pytest.raises(InvalidInput):  # a CPU has no other memory to lay moments in
        memory.fit(WIDER, BATCH, (least + 1) * MIB, bfloat16=False, offload=False)


def test_a_large_batch_has_no_more_parts_than_a_plan_may():
    with pytest.raises(InvalidInput, match="too little"):
        memory.fit(TINY, Plan(batch_size=1024), MIB, bfloat16=False)


@pytest.mark.parametrize("arch", ["df", "liae", "dfhd", "liaehd"])
def test_recomputing_changes_no_gradient(arch):
    net = build(replace(TINY, arch=arch))
    net.initialise(torch.Generator().manual_seed(1))
    face = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    gradients = []
    for again in (False, True):
        net.recompute = again
        net.zero_grad()
        both = net.reconstruct(face, face.flip(0))
        (both.faces.square().sum() + both.mattes.square().sum()).backward()
        gradients.append([weight.grad for weight in net.parameters()])
    torch.testing.assert_close(gradients[1], gradients[0], rtol=0, atol=0)


def test_what_is_traded_changes_no_losses():
    found = []
    for plan in (PLAN, replace(PLAN, accumulate=2, recompute=True)):
        trainer = Trainer(TINY, plan, torch.device("cpu"), seed=1, bfloat16=False)
        src, dst = noise(1, config=TINY), noise(2, config=TINY)
        found.append([torch.stack(list(trainer.step(src, dst, i, 0.0).values())) for i in range(4)])
    torch.testing.assert_close(torch.stack(found[1]), torch.stack(found[0]), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "options", [{"batch_size": "8"}, {"batch_size": "8", "accumulate": "4", "gan": "0.1"}]
)
def test_what_is_counted_is_what_is_taken(options):
    """Within a quarter, of the resident memory of a process that trains."""
    counted = memory.need(*train_memory.case("quick64", options), bfloat16=False).peak
    found = train_memory.taken("quick64", options)
    assert found is not None
    assert 0.75 < counted / found < 1.25


HUNGRY = replace(TINY, resolution=128)
LIMIT = 2 << 30
TRAIN = """
    import json, re, resource, sys
    from pathlib import Path
    import torch
    torch.set_num_threads(1)
    from tests.core import test_train_memory as here
    from tests.core.training import asked, name_presets
    from understudy.core.colour import ColourConfig
    from understudy.core.errors import OutOfMemory
    from understudy.core.model import presets
    from understudy.core.reports import TrainReport, Warned
    from understudy.core.train import loop
    name_presets()
    presets.PRESETS["hungry"] = here.HUNGRY
    folder, memory = Path(sys.argv[1]), int(sys.argv[2])
    def train(name, batch, **more):
        settings = asked(folder, folder / name, preset="hungry", batch_size=batch, target_iterations=2, **more)
        return list(loop.run(settings, colour=ColourConfig.open(None)))
    train(f"small{memory}", 1)  # what libraries take once
    taken = int(re.search(r"VmData:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (taken + here.LIMIT, resource.RLIM_INFINITY))
    try:
        reports = train(f"large{memory}", 256, memory=memory or None)
    except OutOfMemory as error:
        print(json.dumps({"field": error.field, "said": error.message}))
    else:
        told = [r.message for r in reports if isinstance(r, Warned) and r.reason == "MEMORY"]
        done = max(r.iteration for r in reports if isinstance(r, TrainReport))
        print(json.dumps({"iterations": done, "said": " ".join(told)}))
"""


def test_a_training_that_does_not_fit_in_2_gib_does_when_asked_to(tmp_path):
    """The system refuses the process more than 2 GiB on top of what it had; see `bench.train_memory` for a GPU."""
    make_facesets(tmp_path)
    without = json.loads(_run(TRAIN, tmp_path, 0).stdout)
    assert without["field"] == "batch_size"
    assert "memory of cpu is exhausted" in without["said"]
    within = json.loads(_run(TRAIN, tmp_path, LIMIT).stdout)
    assert within["iterations"] == 2
    assert "the batch of 256 is computed in" in within["said"]


def _run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join(path for path in (str(Path.cwd()), *sys.path) if path)
    command = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
