"""The losses' files where a disk takes no more."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from understudy.core.errors import OutOfMemory, WriteFailed
from understudy.core.reports import TrainReport
from understudy.core.train.history import History

ROOM = 1000  # bytes of a file


@pytest.fixture
def full(tmp_path: Path) -> Iterator[History]:
    """A history whose files may grow no more, with a report that is not on the disk."""
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    history = History(tmp_path, 0)
    history.__enter__()
    history._writer.add_text("note", "x" * ROOM)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, usual[1]))
    yield history
    resource.setrlimit(resource.RLIMIT_FSIZE, usual)


# tensorboard's thread ends by it
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
class TestAFullDisk:
    def test_is_told_as_one(self, full: History):
        with pytest.raises(WriteFailed, match=r"losses\.jsonl"):
            full.__exit__(None, None, None)

    def test_takes_no_other_errors_place(self, full: History):
        error = OutOfMemory("no memory")
        full.__exit__(OutOfMemory, error, None)

    def test_ends_the_writing(self, full: History):
        report = TrainReport(iteration=1, seconds=1.0, losses={"src": 1.0}, rate=1.0)

        def written() -> None:
            with full:
                for _ in range(100):
                    full.write(report)

        with pytest.raises(WriteFailed):
            written()
