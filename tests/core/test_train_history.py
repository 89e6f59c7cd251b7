"""The losses' files where a disk takes no more."""

from __future__ import annotations

import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from understudy.core.errors import OutOfMemory, WriteFailed
from understudy.core.reports import TrainReport
from understudy.core.train.history import History

ROOM = 1000  # bytes of a file


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    others = set(threading.enumerate())
    yield History(tmp_path, 0).__enter__()
    for thread in set(threading.enumerate()) - others:
        thread.join()  # tensorboard's, that what it ends by is told in this test, not in the next one


@contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process grows beyond `ROOM`; not to be left on between tests, whose output is a file as well."""
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)


# tensorboard's thread ends by it
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
class TestAFullDisk:
    def test_is_told_as_one(self, history: History):
        with full_disk():
            history._writer.add_text("note", "x" * ROOM)
            with pytest.raises(WriteFailed, match=r"losses\.jsonl"):
                history.__exit__(None, None, None)

    def test_takes_no_other_errors_place(self, history: History):
        error = OutOfMemory("no memory")
        with full_disk():
            history._writer.add_text("note", "x" * ROOM)
            history.__exit__(OutOfMemory, error, None)

    def test_ends_the_writing(self, history: History):
        report = TrainReport(iteration=1, seconds=1.0, losses={"src": 1.0}, rate=1.0)

        def written() -> None:
            with history:
                for _ in range(100):
                    history.write(report)

        with full_disk(), pytest.raises(WriteFailed):
            written()
