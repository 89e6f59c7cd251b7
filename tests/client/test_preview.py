"""Previews from the client, of a real daemon: the library, its asyncio twin and the command line."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.client.command import Command
from tests.core import shots
from tests.core.shots import make_release
from tests.daemon import models
from tests.daemon.support import SECONDS, Daemon
from understudy.client import AsyncSession, Refused, Session, specs
from understudy.client.errors import INVALID, TimedOut
from understudy.core import plate

SOON = 240.0


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path_factory.mktemp("daemon") / "state").start()
    yield daemon
    assert daemon.stop() == 0


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> shots.Shot:
    return shots.make(tmp_path_factory.mktemp("scene"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.make(
        tmp_path_factory.mktemp("models") / "m", releases=(make_release(),), working_space="", iteration=3
    )


@pytest.fixture
def session(daemon: Daemon) -> Iterator[Session]:
    with Session(daemon.announced()["endpoint"]) as opened:
        yield opened


def given(scene: shots.Shot) -> specs.Plate:
    return specs.Plate(scene.plate.template.text, colour_space="ACEScg")


def test_a_frame_by_the_library_and_its_twin(
    daemon: Daemon, session: Session, scene: shots.Shot, model: Path
):
    shown = session.preview(given(scene), scene.faceset, model, shots.FIRST, size=50, device="cpu")
    assert (shown.iteration, shown.live, shown.faces) == (3, False, 1)
    found = cv2.imdecode(np.frombuffer(shown.data, np.uint8), cv2.IMREAD_COLOR)
    assert found is not None
    assert max(found.shape) == 50

    async def twin() -> object:
        async with AsyncSession(daemon.announced()["endpoint"]) as other:
            return await other.preview(given(scene), scene.faceset, model, shots.FIRST, size=50, device="cpu")

    assert asyncio.run(twin()) == shown


def test_a_cancelled_one_is_waited_for_by_nobody(daemon: Daemon, scene: shots.Shot, model: Path):
    async def story() -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(20))  # more than there are seats
        async with AsyncSession(daemon.announced()["endpoint"]) as session:

            async def ask(seconds: float) -> object:
                return await session.preview(
                    given(scene), scene.faceset, model, shots.FIRST, device="cpu", timeout=seconds
                )

            async def refused() -> bool:
                try:
                    await ask(1.0)
                except TimedOut:  # it was waited for
                    return False
                except Refused as error:
                    return error.reason == "LIMIT_REACHED"
                raise AssertionError("the worker stands still")

            await ask(SOON)
            os.kill(daemon.worker(), signal.SIGSTOP)
            try:
                asks = {asyncio.create_task(ask(SOON)) for _ in range(12)}
                while len(asks) > 8:  # as many as there are seats: the others are refused
                    done, asks = await asyncio.wait(asks, return_when=asyncio.FIRST_COMPLETED)
                    assert all(isinstance(each.exception(), Refused) for each in done)
                for each in asks:
                    each.cancel()
                end = asyncio.get_running_loop().time() + SECONDS
                while await refused():
                    assert asyncio.get_running_loop().time() < end
            finally:
                os.kill(daemon.worker(), signal.SIGCONT)

    asyncio.run(story())


def test_what_is_wrong_is_a_typed_error(session: Session, scene: shots.Shot, model: Path):
    with pytest.raises(Refused) as none:
        session.preview_training(model)
    assert (none.value.reason, none.value.field) == ("JOB_STATE", "model")
    with pytest.raises(Refused) as wrong:
        session.preview(given(scene), scene.faceset, model, 7)
    assert (wrong.value.reason, wrong.value.field) == ("INVALID_INPUT", "frame")
    with pytest.raises(TimedOut):
        session.preview(given(scene), scene.faceset, model, shots.FIRST, timeout=1e-6)


def test_by_the_command_line(daemon: Daemon, scene: shots.Shot, model: Path, tmp_path: Path):
    understudy = Command(tmp_path / "state", daemon.announced()["endpoint"], tmp_path)
    asked = ["preview", "frame", scene.plate.template.text, "--colour-space", "ACEScg", "--device", "cpu"]
    asked += ["--faceset", str(scene.faceset), "--model", str(model), "--frame", str(shots.FIRST)]
    done = understudy(*asked, "--out", "a.exr", "--set", "grain=1")
    assert (done.code, "iteration 3" in done.out, "leaves out grain" in done.out) == (0, True, True), done
    assert "mask_blend.A" in plate.read_file(tmp_path / "a.exr", shots.FIRST).planes
    before = (tmp_path / "a.exr").read_bytes()
    refused = understudy(*asked, "--out", "a.exr")
    assert (refused.code, "--overwrite" in refused.err) == (INVALID, True)
    assert (tmp_path / "a.exr").read_bytes() == before
    (line,) = understudy(*asked, "--out", "a.exr", "--overwrite", "--json").lines
    assert (line["event"], line["data"]["live"], line["data"]["faces"]) == ("preview", False, 1)
    assert understudy("preview", "training", str(model), "--out", "g.png").code == INVALID
    assert understudy(*asked, "--out", "a.jpg").code == INVALID
