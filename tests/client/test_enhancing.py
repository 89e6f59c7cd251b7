"""An enhancer from the client to the core and back, through an embedded daemon on its socket: trained, merged with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.core import enhancers, shots
from understudy.client import Session
from understudy.client.specs import Plate, recipe
from understudy.core import plate
from understudy.core.enhancer import store
from understudy.core.merge import headers
from understudy.core.plate import Template

NUMBERS = (1001, 1002)
LAYERS = {"face.R", "face_raw.R", "mask_blend.A", "mask_face.A", "mask_hull.A", "mask_valid.A", "uv.u"}
TRAINING: dict[str, Any] = {"iterations": 2, "batch_size": 2, "device": "cpu"}
PATIENCE_S = 300.0


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with Session(state=tmp_path_factory.mktemp("state")) as opened:
        assert opened.embedded
        yield opened


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return enhancers.faces(tmp_path_factory.mktemp("large") / "faces")


def test_a_training_ends_in_an_enhancer(session: Session, faces: Path, tmp_path: Path):
    job = session.train_enhancer(tmp_path / "own.enhancer", [faces], **TRAINING).wait(PATIENCE_S)
    assert job.message.training.iteration == TRAINING["iterations"]
    assert {a.kind for a in job.message.artifacts} == {"preview", "enhancer"}
    assert all(Path(a.path).exists() for a in job.message.artifacts)
    state = store.read_state(tmp_path / "own.enhancer")
    assert (state.iteration, state.preset, state.resolution) == (2, "small", enhancers.SIDE)
    assert [r.subject for r in state.releases] == ["performer-a"]


def test_a_merge_waits_for_one_takes_its_detail_and_says_so(session: Session, faces: Path, tmp_path: Path):
    shot = shots.make(tmp_path / "shot", numbers=NUMBERS, without_face=())
    model = shots.tiny_model(tmp_path / "a.model")
    given = Plate(shot.plate.template.text, colour_space="ACEScg")
    plain, finer = (str(tmp_path / name / "comp.####.exr") for name in ("plain", "finer"))
    options: dict[str, Any] = {"device": "cpu", "contact_sheet": False}
    enhancer, look = tmp_path / "own.enhancer", recipe(super_resolution="trained")
    training = session.train_enhancer(enhancer, [faces], **TRAINING)
    merged = session.merge(
        given, shot.faceset, model, finer, look=look, enhancer=enhancer, depends_on=[training], **options
    )
    session.merge(given, shot.faceset, model, plain, **options).wait(PATIENCE_S)
    merged.wait(PATIENCE_S)
    assert [r.frame for r in merged.frames()] == list(NUMBERS)
    frame, other = (plate.read(Template.parse(text), NUMBERS[0]) for text in (finer, plain))
    assert set(frame.planes) >= LAYERS
    assert not np.array_equal(frame.planes["face.G"], other.planes["face.G"])
    np.testing.assert_array_equal(frame.planes["face_raw.G"], other.planes["face_raw.G"])
    assert frame.metadata[headers.ENHANCER] == enhancer.name
    assert frame.metadata[headers.ENHANCER_SHA] == store.read_state(enhancer).digest
    assert session.recipe(finer.replace("####", "1001")).super_resolution == "trained"
    assert session.verify(finer).wait(PATIENCE_S).message.frames_failed == 0
