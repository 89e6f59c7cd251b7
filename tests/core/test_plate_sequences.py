"""Which sequences lie in a folder, and what is said to who names no sequence."""

from __future__ import annotations

from pathlib import Path

import pytest

from understudy.core.errors import NotFound
from understudy.core.plate.sequences import refuse_single, sequences


def folder(where: Path, *names: str) -> Path:
    for name in names:
        (where / name).touch()
    return where


def test_sequences_are_told_apart_by_name_padding_and_extension(tmp_path):
    folder(tmp_path, "p.0999.exr", "p.1000.exr", "p.9999.exr", "p.10000.exr", "p.1000.dpx", "q.8.exr")
    folder(tmp_path, "q.10.exr", "q.0008.exr", "r.-005.exr", "sh-1001.exr", "v2_left.0001.EXR")
    assert [str(found) for found in sequences(tmp_path)] == [
        "p.####.exr 999-1000,9999-10000",
        "p.####.dpx 1000",
        "q.#.exr 8,10",
        "q.####.exr 8",
        "r.####.exr -5",
        "sh-####.exr 1001",
        "v2_left.####.EXR 1",
    ]


@pytest.mark.parametrize(
    "name",
    [
        ".p.1001.0123456789ab.exr",
        "plate.exr",
        "p.1001.exr.tmp",
        "p.1001.jpg",
        "d.20260101123456.exr",
        "m.-0.exr",
    ],
)
def test_what_is_no_frame_is_in_no_sequence(tmp_path, name):
    assert sequences(folder(tmp_path, name)) == []


def test_a_folder_names_what_is_in_it_and_a_file_its_own_first(tmp_path):
    folder(tmp_path, "a.1001.exr", "a.1002.exr", "b.0001.dpx")
    with pytest.raises(NotFound) as error:
        refuse_single(tmp_path)
    assert f"{tmp_path} is a folder" in error.value.message
    assert (
        f"such as {tmp_path}/a.####.exr. In the folder: a.####.exr 1001-1002; b.####.dpx 1"
        in error.value.message
    )
    with pytest.raises(NotFound, match=r"is a single file.*name one, such as \S*b\.####\.dpx"):
        refuse_single(tmp_path / "b.0001.dpx")


def test_a_long_list_is_cut(tmp_path):
    folder(tmp_path, *(f"shot{letter}.0001.exr" for letter in "abcdefghijklm"))
    with pytest.raises(NotFound, match=r"shotj\.####\.exr 1 and 3 more$"):
        refuse_single(tmp_path)


def test_an_empty_folder_says_so_and_what_is_not_there_is_not_its_business(tmp_path):
    with pytest.raises(NotFound, match=r"no EXR or DPX sequence.*plate\.####\.exr"):
        refuse_single(tmp_path)
    refuse_single(tmp_path / "nowhere")
