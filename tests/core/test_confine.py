"""Nothing is written outside of the folders that a process may write, whatever links are laid meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from understudy.core import confine
from understudy.core.errors import WriteFailed
from understudy.core.files import appending, making, replacing, write_text

TURNS = 400


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """A root, and what lies outside of it."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    for folder in (root, outside):
        folder.mkdir()
    return root, outside


@contextmanager
def swapped(name: Path, outside: Path) -> Iterator[None]:
    """While the block lasts, `name` leads to a folder beside it, then out of the root, then …"""
    inside, beside, over = name.with_name("inside"), name.with_name("beside"), threading.Event()
    inside.mkdir()
    name.symlink_to(inside)

    def swap() -> None:
        while not over.is_set():
            for target in (outside, inside):
                beside.symlink_to(target)
                beside.replace(name)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def append(path: Path) -> None:
    with appending(path) as file:
        file.write(b"line\n")


def make(path: Path) -> None:
    with making(path) as folder:
        (folder / "a").write_text("a")


def replace(path: Path) -> None:
    with replacing(path) as beside:
        for part in (b"one", b"two"):  # as OpenEXR's writers do, by its name again and again
            with beside.open("ab") as file:
                file.write(part)


@pytest.mark.parametrize("write", [replace, make, append])
@pytest.mark.parametrize("below", ["", "new/deep"])
def test_no_link_that_is_swapped_in_leads_out(
    places: tuple[Path, Path], write: Callable[[Path], None], below: str
):
    root, outside = places
    turn = written = 0
    with confine.below([root]), swapped(root / "shot", outside):
        while turn < TURNS or not written:  # refusals are quick: all these turns may meet the link outside
            turn += 1
            with suppress(OSError, WriteFailed):  # the folder was not there, or led out
                write(root / "shot" / str(turn) / below / "file")
                written += 1
    assert list(outside.rglob("*")) == []


def test_a_link_that_leads_out_is_told(places: tuple[Path, Path]):
    root, outside = places
    (root / "shot").symlink_to(outside)
    with confine.below([root]):
        with pytest.raises(WriteFailed, match="outside of the folders that may be written"):
            write_text(root / "shot" / "a.json", "{}")
        with pytest.raises(WriteFailed):
            write_text(root / "shot" / "new" / "a.json", "{}")
        (root / "log").symlink_to(outside / "log")
        with pytest.raises(OSError, match="symbolic links"):
            append(root / "log")
    assert list(outside.iterdir()) == []


def test_a_link_within_the_roots_is_followed(places: tuple[Path, Path], tmp_path: Path):
    root, other = places
    (root / "shot").symlink_to(other)
    (tmp_path / "name").symlink_to(root)
    with confine.below([root, other]):
        write_text(root / "shot" / "deep" / "a.json", "{}")
        write_text(tmp_path / "name" / "b.json", "{}")
    assert (other / "deep" / "a.json").read_text() == (root / "b.json").read_text() == "{}"


def test_what_is_written_is_what_it_was_by_name(places: tuple[Path, Path]):
    root, _ = places
    with confine.below([root]):
        for _ in range(2):
            write_text(root / "a" / "b.json", "{}")
            append(root / "a" / "log")
        make(root / "made")
        (root / "b.json").symlink_to(root / "a" / "b.json")
        write_text(root / "b.json", "new")  # takes the link's place
    assert sorted(path.name for path in root.rglob("*")) == ["a", "a", "b.json", "b.json", "log", "made"]
    assert (root / "a" / "b.json").read_text() == "{}"
    assert (root / "a" / "log").read_text() == "line\nline\n"


def test_own_folders_and_no_roots_are_not_looked_at(places: tuple[Path, Path]):
    root, own = places
    with confine.below([root], own=[own]):
        write_text(own / "state.json", "{}")
        with confine.below([]):
            write_text(own.parent / "anywhere.json", "{}")
        with pytest.raises(WriteFailed):
            write_text(own.parent / "there.json", "{}")
    write_text(own.parent / "there.json", "{}")


def opened(folder: Path) -> list[Path]:
    """Where descriptors lead that lead below a folder: the process has others, which come and go meanwhile."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # closed since
            found.append(descriptor.readlink())
    return [path for path in found if path.is_relative_to(folder)]


def test_no_descriptor_is_left(places: tuple[Path, Path], tmp_path: Path):
    root, outside = places
    (root / "out").symlink_to(outside)
    with confine.below([root]):
        with confine.opened(root):
            assert opened(tmp_path) == [root]
        for turn in range(20):
            write_text(root / "a" / str(turn) / "b.json", "{}")
            with suppress(WriteFailed):
                write_text(root / "out" / str(turn) / "b.json", "{}")
        assert opened(tmp_path) == []
