"""Damaged plates: never a crash, a hang, memory beyond all measure, or a wrong answer that nobody notices."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from tests.core import fuzz, mutants, seedfiles

MUTANTS = range(2400)  # 1,600 of EXR and 800 of DPX


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return seedfiles.make(tmp_path_factory.mktemp("seeds"))


def test_no_mutant_does_harm(seeds):
    tally = fuzz.judge(seeds, MUTANTS)
    print(
        f"{tally.refused} refused, {tally.read} read, {tally.confirmed} confirmed, slowest {tally.slowest:.2f} s"
    )
    assert not tally.findings, "\n".join(map(str, tally.findings))
    # A fuzz of which all is refused at the door, or that nobody else can read either, would prove nothing.
    assert tally.refused + tally.read == len(MUTANTS)
    assert tally.read > len(MUTANTS) / 8
    assert tally.confirmed > 0.9 * tally.read


def test_the_seeds_are_whole_and_all_readers_agree_on_them(seeds, tmp_path):
    for number, (name, data) in enumerate(seeds.items()):
        seed = mutants.Mutant(number=number, seed=name, damage="none", original=data, data=data)
        path = tmp_path / f"f.{number:08d}{Path(name).suffix}"
        path.write_bytes(data)
        mine = fuzz.ours(path, seed)
        assert ("refused" if name.startswith("refused") else "parts") in mine, f"{name}: {mine}"
        if "parts" in mine:
            yours = fuzz.theirs(path, seed)
            assert "parts" in yours, name
            assert all("pixels" in part for part in yours["parts"]), name
            assert not fuzz.differences(mine, yours), name


def test_a_mutant_is_the_same_always(seeds):
    again = [mutants.mutant(number, seeds) for number in range(200)]
    assert again == [mutants.mutant(number, seeds) for number in range(200)]
    changed = [m for m in again if m.data != m.original]
    assert len(changed) > 190
    assert len({m.seed for m in changed}) == len(seeds)


# What the harness must notice: readers that go wrong on some mutants, in each of the ways there are.


def crashing(path: Path, mutant: mutants.Mutant) -> fuzz.Outcome:
    if mutant.number == 4:
        os.kill(os.getpid(), signal.SIGSEGV)
    return {"refused": "read"}


def hanging(path: Path, mutant: mutants.Mutant) -> fuzz.Outcome:
    if mutant.number == 5:
        time.sleep(60)
    return {"refused": "read"}


def greedy(path: Path, mutant: mutants.Mutant) -> fuzz.Outcome:
    if mutant.number == 6:
        np.zeros(2 * fuzz.ADDRESS_SPACE, np.uint8)
    return {"refused": "read"}


@pytest.mark.parametrize(
    ("reader", "number", "says"),
    [(crashing, 4, "died of SIGSEGV"), (hanging, 5, "hung"), (greedy, 6, "MemoryError")],
)
def test_what_would_kill_a_daemon_is_seen_and_named(seeds, monkeypatch, reader, number, says):
    if reader is hanging:
        monkeypatch.setattr(fuzz, "PATIENCE", 10.0)  # less than it hangs, and much for a file that is read
    name = f"tests.core.test_plate_fuzz:{reader.__name__}"
    found = fuzz.outcomes(name, seeds, range(9), processes=2)
    assert list(found) == list(range(9))
    assert says in found[number]["finding"]
    assert all(outcome.keys() == {"refused", "seconds"} for n, outcome in found.items() if n != number)


def test_answers_that_differ_are_seen():
    part = {"data window": [0, 0, 3, 1], "pixels": {"R": ["float16", [2, 4], "a"]}, "entry owner": "'x'"}
    mine = {"parts": [part]}
    assert not fuzz.differences(mine, {"parts": [dict(part)]})
    assert not fuzz.differences(mine, {"refused": "it warned"})
    for name, value in (
        ("pixels", {"R": ["float16", [2, 4], "b"]}),
        ("data window", [0, 0, 3, 2]),
        ("entry owner", "'y'"),
    ):
        assert name in fuzz.differences(mine, {"parts": [{**part, name: value}]})
    assert "the other reader 2" in fuzz.differences(mine, {"parts": [part, part]})
