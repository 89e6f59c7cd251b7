"""The spec of an enhancer's training: what it refuses at submit, what it locks, what may still be to come."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.core import enhancers
from tests.daemon.test_segment_decode import placed
from understudy.core.colour import ColourConfig
from understudy.core.enhancer.settings import EnhancerTrainSettings
from understudy.core.errors import UnderstudyError
from understudy.daemon import decode
from understudy.daemon.outputs import Output
from understudy.daemon.paths import Roots
from understudy.daemon.site import Site
from understudy.v1 import job_pb2

Decoded = Callable[..., decode.Work]
GOOD = {"enhancer": "D/new", "facesets": ["D/faces"], "target_iterations": 9}


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """The folder in which lies what the specs name."""
    enhancers.faces(tmp_path / "faces", 2)
    enhancers.faces(tmp_path / "bare", 2, granted=False)
    enhancers.on_disk(tmp_path / "there")
    (tmp_path / "empty").mkdir()
    return tmp_path


@pytest.fixture
def work(colour: ColourConfig, tmp_path: Path) -> Decoded:
    """Decodes for a site that may use `tmp_path` only."""

    def decoded(promised: tuple[Output, ...] = (), **kind) -> decode.Work:
        roots = Roots(read=(tmp_path,), write=(tmp_path,))
        site = Site(weights_cache=tmp_path / "weights", roots=roots)
        return decode.work(job_pb2.JobSpec(**kind), promised, site=site, colour=colour)

    return decoded


def test_it_holds_what_was_asked_and_locks_what_it_writes(work: Decoded, beside: Path):
    spec = {**GOOD, "resolution": 80, "seed": 3, "target_time": {"seconds": 90}, "preset": "large"}
    decoded = work(train_enhancer=placed(spec, beside))
    settings = decoded.settings
    assert isinstance(settings, EnhancerTrainSettings)
    assert settings.facesets == (beside / "faces",)
    assert (settings.target_iterations, settings.target_seconds) == (9, 90.0)
    assert (settings.resolution, settings.seed, settings.preset) == (80, 3, "large")
    assert settings.batch_size is None
    assert decoded.outputs == (Output.of_folder(beside / "new"),)
    assert decoded.label == "train enhancer new"


@pytest.mark.parametrize(
    ("changes", "reason", "field"),
    [
        ({"enhancer": ""}, "INVALID_INPUT", "enhancer"),
        ({"enhancer": "/etc/x"}, "PATH_NOT_ALLOWED", "enhancer"),
        ({"enhancer": "D/faces"}, "INVALID_INPUT", "enhancer"),
        ({"facesets": []}, "INVALID_INPUT", "facesets"),
        ({"facesets": ["D/faces", "D/faces"]}, "INVALID_INPUT", "facesets"),
        ({"facesets": ["D/nowhere"]}, "NOT_FOUND", "facesets"),
        ({"facesets": ["/etc"]}, "PATH_NOT_ALLOWED", "facesets"),
        ({"facesets": ["D/bare"]}, "RELEASE_MISSING", None),
        ({"target_iterations": 0}, "INVALID_INPUT", "target_iterations"),
        ({"target_iterations": -1}, "INVALID_INPUT", "target_iterations"),
        ({"target_time": {"seconds": -1}}, "INVALID_INPUT", "target_time"),
        ({"preset": "huge"}, "INVALID_INPUT", "preset"),
        ({"enhancer": "D/there", "preset": "small"}, "MODEL_INVALID", "preset"),
        ({"resolution": 3}, "INVALID_INPUT", "resolution"),
        ({"batch_size": 9999}, "INVALID_INPUT", "batch_size"),
        ({"device": "abacus"}, "INVALID_INPUT", "device"),
    ],
)
def test_it_names_what_is_wrong(work: Decoded, beside: Path, changes: dict, reason: str, field: str | None):
    with pytest.raises(UnderstudyError) as error:
        work(train_enhancer=placed({**GOOD, **changes}, beside))
    assert error.value.reason == reason, error.value
    assert field is None or error.value.field == f"train_enhancer.{field}"


def test_facesets_may_be_to_come(work: Decoded, beside: Path):
    promised = (Output.of_folder(beside / "later"),)
    work(promised, train_enhancer=placed({**GOOD, "facesets": ["D/later"]}, beside))


@pytest.mark.parametrize(
    ("changes", "reason", "field"),
    [
        ({"enhance": "trained"}, "INVALID_INPUT", "enhancer"),
        ({"enhance": "trained", "enhancer": "D/empty"}, "NOT_FOUND", "enhancer"),
        ({"enhance": "gfpgan"}, "WEIGHTS_MISSING", None),
    ],
)
def test_a_faceset_grows_by_an_enhancer(
    work: Decoded, beside: Path, changes: dict, reason: str, field: str | None
):
    spec = {"faceset": "D/faces", "output": "D/out", "size": 160}
    made = work(resize_faceset=placed({**spec, "enhance": "trained", "enhancer": "D/there"}, beside))
    assert getattr(made.settings, "enhancer", None) == beside / "there"
    with pytest.raises(UnderstudyError) as error:
        work(resize_faceset=placed({**spec, **changes}, beside))
    assert error.value.reason == reason
    assert field is None or error.value.field == f"resize_faceset.{field}"
