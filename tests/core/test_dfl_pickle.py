"""Pickles of strangers: plain values and arrays come out as Python reads them, and nothing is ever run."""

from __future__ import annotations

import gc
import io
import os
import pickle
import pickletools
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.core.dflfaces import encoded, fields, mask, polygons
from understudy.core.errors import FrameUnreadable
from understudy.core.faceset.dfl import pickles, pickling

PROTOCOLS = range(2, 6)
PATH = Path("face.jpg")

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats()
    | st.text()
    | st.binary(max_size=300),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)
arrays = hnp.arrays(
    st.sampled_from(["<f2", "<f4", ">f4", "<f8", "|u1", "<i4", ">i8", "|b1", "<u2"]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5),
)


def same(a: Any, b: Any) -> bool:
    """Equal in type and to the bit; NaN is NaN."""
    if isinstance(a, (np.ndarray, np.generic)):
        return type(a) is type(b) and a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, float):
        return struct.pack(">d", a) == struct.pack(">d", b)
    return type(a) is type(b) and a == b


class Attack:
    """Pickles as a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def refused(data: bytes, match: str) -> None:
    with pytest.raises(FrameUnreadable, match=match) as caught:
        pickles.load(data, PATH)
    assert str(PATH) in caught.value.message


@settings(max_examples=150, deadline=None)
@given(plain, st.sampled_from(PROTOCOLS))
def test_plain_values_are_read_as_python_reads_them(value: Any, protocol: int):
    assert same(pickles.load(pickle.dumps(value, protocol), PATH), value)


@settings(max_examples=100, deadline=None)
@given(arrays, st.sampled_from(PROTOCOLS), st.booleans())
def test_arrays_and_scalars_too(array: np.ndarray, protocol: int, columns: bool):
    array = np.asfortranarray(array) if columns else array
    found = pickles.load(pickle.dumps({"a": [array], "s": array.ravel()[:1].sum()}, protocol), PATH)
    assert same(found["a"][0], array)
    assert same(found["s"], array.ravel()[:1].sum())


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("array", [np.eye(3)[:2], np.arange(5, dtype=np.uint8), np.array(2.5, np.float32)])
def test_numpy_1_names_are_known(array: np.ndarray, protocol: int):
    """What numpy 1.19 wrote: the same under the modules' former names."""
    today = pickle.dumps([array, array.ravel()[0]], protocol)
    assert b"numpy._core" in today
    if protocol == 4:  # text with its length, in a frame with its length
        then = today.replace(b"\x8c\x16numpy._core.multiarray", b"\x8c\x15numpy.core.multiarray")
        (length,) = struct.unpack_from("<Q", then, 3)
        then = then[:3] + struct.pack("<Q", length - (len(today) - len(then))) + then[11:]
    else:
        then = today.replace(b"numpy._core", b"numpy.core")
    assert b"numpy._core" not in then
    found = pickles.load(then, PATH)
    assert same(found[0], array)
    assert same(found[1], array.ravel()[0])


@pytest.mark.filterwarnings("ignore:numpy.core:DeprecationWarning")
@settings(max_examples=100, deadline=None)
@given(plain, arrays)
def test_what_is_written_python_reads(value: Any, array: np.ndarray):
    written = pickling.dumps({"v": value, "a": array})
    assert b"numpy._core" not in written
    assert same(pickle.loads(written), pickle.loads(pickle.dumps({"v": value, "a": array})))
    assert same(pickles.load(written, PATH), {"v": value, "a": array})


def test_what_is_written_another_python_reads():
    """A process that has nothing of ours, as DeepFaceLab's would."""
    said = {**fields(), "seg_ie_polys": polygons(), "xseg_mask": encoded(mask())}
    program = (
        "import pickle, sys, warnings; warnings.simplefilter('ignore');"
        "d = pickle.load(sys.stdin.buffer); m, x = d['image_to_face_mat'], d['xseg_mask'];"
        "print(type(m).__module__, m.dtype, m.shape, x.dtype, x.shape);"
        "print(m.tolist() + d['landmarks'] == eval(sys.argv[1]))"
    )
    expected = repr(said["image_to_face_mat"].tolist() + said["landmarks"])
    run = subprocess.run(
        [sys.executable, "-I", "-c", program, expected],
        input=pickling.dumps(said),
        capture_output=True,
        check=True,
    )
    count = len(said["xseg_mask"])
    assert run.stdout.decode().split("\n")[:2] == [f"numpy float64 (2, 3) uint8 ({count}, 1)", "True"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "function",
    [os.system, eval, exec, getattr, open, subprocess.Popen, np.load, np.fromfile, SimpleNamespace],
)
def test_calls_are_refused_by_name_and_not_run(function: Any, protocol: int, tmp_path: Path):
    ran = tmp_path / "ran"
    arguments = (f"touch {ran}",) if function is os.system else (f"open({str(ran)!r}, 'w')",)
    data = pickle.dumps({"landmarks": Attack(function, *arguments)}, protocol)
    former = {"builtins": "__builtin__", "subprocess": "commands"}  # how protocol 2 names them
    module = f"({function.__module__}|{former.get(function.__module__)})"
    refused(data, rf"asks for {module}\.{function.__name__}; it was not run")
    assert not ran.exists()


def test_the_attack_would_have_run(tmp_path: Path):
    """Python's own reader runs it: the test above can fail."""
    ran = tmp_path / "ran"
    pickle.loads(pickle.dumps(Attack(os.system, f"touch {ran}")))
    assert ran.exists()


@pytest.mark.parametrize("protocol", [0, 1])
def test_old_protocols_are_refused(protocol: int):
    refused(pickle.dumps([1, 2], protocol), "protocols 2 to 5")


KIND = b"\x8c\x05numpy\x8c\x05dtype\x93"
F8 = KIND + b"\x8c\x02f8\x89\x88\x87R"
NDARRAY = b"\x8c\x05numpy\x8c\x07ndarray\x93"
EMPTY = b"\x8c\x15numpy.core.multiarray\x8c\x0c_reconstruct\x93" + NDARRAY + b"K\x00\x85C\x01b\x87R"
SCALAR = b"\x8c\x15numpy.core.multiarray\x8c\x06scalar\x93"


@pytest.mark.parametrize(
    ("body", "match"),
    [
        (NDARRAY + b"K\x05\x85R", "calls numpy.ndarray"),
        (NDARRAY, "holds numpy.ndarray where a value should be"),
        (F8, "holds the type f8 where a value should be"),
        (KIND + b"\x8c\x01O\x89\x88\x87R", "type 'O'"),
        (KIND + b"\x8c\x04V100\x89\x88\x87R", "type 'V100'"),
        (KIND + b"K\x01K\x02\x86R", "calls numpy.dtype"),
        (KIND + b"]\x89\x88\x87R", "type"),
        (EMPTY, "does not say what is in it"),
        (EMPTY.replace(b"K\x00", b"K\x05"), "_reconstruct in a way"),
        (EMPTY.replace(NDARRAY, KIND), "_reconstruct in a way"),
        (EMPTY + b"}b", "changes a Array"),
        (EMPTY + b"(K\x01K\x02\x85" + F8 + b"\x89C\x08abcdefgh" + b"tb", "8 bytes for an array"),
        (EMPTY + b"(K\x01J\xff\xff\xff\x7f\x85" + F8 + b"\x89C\x00tb", "0 bytes for an array"),
        (EMPTY + b"(K\x01J\xff\xff\xff\xff\x85" + F8 + b"\x89C\x00tb", "impossible shape"),
        (EMPTY + b"(K\x01" + b"\x88\x85" + F8 + b"\x89C\x08abcdefghtb", "impossible shape"),
        (EMPTY + b"(K\x01K\x01\x85K\x00\x89C\x08abcdefghtb", "something else than numbers"),
        (EMPTY + 2 * (b"(K\x01K\x01\x85" + F8 + b"\x89C\x08abcdefghtb"), "changes a Array"),
        (F8 + 2 * b"(K\x03\x8c\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb", "changes a Kind"),
        (F8 + b"(K\x03\x8c\x01<N\x8c\x01aNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb", "changes a Kind"),
        (SCALAR + F8 + b"C\x04abcd\x86R", "4 bytes for an array"),
        (SCALAR + EMPTY + b"C\x04abcd\x86R", "something else than numbers"),
        (b"\x8c\x10facelib.FaceType\x8c\x08FaceType\x93\x8c\x01x\x85R", "FaceType in a way"),
        (b"\x8c\x07_codecs\x8c\x06encode\x93\x8c\x01x\x8c\x03rot\x86R", "_codecs.encode in a way"),
        (b"K\x01K\x02\x85R", "calls a int"),
        (b"}}b", "changes a dict"),
        (b"\x8c\x01a}b", "changes a str"),
        (NDARRAY + b"}b", "changes a Global"),
        (b"}]K\x01s", "has a list as a key"),
        (b"}" + EMPTY + b"K\x01s", "has a Array as a key"),
        (b"}(K\x01u", "a key without a value"),
        (b"]K\x01K\x02s", "treats a list as a dict"),
        (b"K\x01K\x02", "does not end with one value"),
        (b"", "does not end with one value"),
        (b"(K\x01", "does not end with one value"),
        (b"(a", "takes more than it has put down"),
        (b"K\x01(\x86", "takes more than it has put down"),
        (b"t", "takes more than it has put down"),
        (b"h\x07", "refers to value 7"),
        (NDARRAY + b")\x81", "asks for NEWOBJ"),
        (b"\x8c\x01aQ", "asks for BINPERSID"),
        (b"\x82\x01", "asks for EXT1"),
        (b"\x8f", "asks for EMPTY_SET"),
        (b"(i__main__\nX\n", "asks for INST"),
        (b"\x97", "asks for NEXT_BUFFER"),
        (b"K\x012", "asks for DUP"),
        (b"K\x01K\x02\x93", "by what is no text"),
        (b"\x8c\x08builtins\x8c\x07getattr\x93", "asks for builtins.getattr"),
        (b"cos\nsystem\n", "asks for os.system"),
        (b"\x8c\x05numpy\x8c\x0dndarray.dumps\x93", "asks for numpy.ndarray.dumps"),
        (b"\x8e" + struct.pack("<Q", 2**60) + b"ab", "damaged or breaks off"),
        (b"\x8d" + struct.pack("<Q", 2**60) + b"ab", "damaged or breaks off"),
        (b"\x96" + struct.pack("<Q", 2**60) + b"ab", "damaged or breaks off"),
        (b"\x8b" + struct.pack("<i", 2**30) + b"ab", "damaged or breaks off"),
        (b"\xff", "damaged or breaks off"),
    ],
)
def test_abuse_is_refused(body: bytes, match: str):
    refused(b"\x80\x04" + body + b".", match)


def test_a_large_place_in_the_memo_costs_nothing():
    data = b"\x80\x04K\x05r" + struct.pack("<I", 2**32 - 1) + b"j" + struct.pack("<I", 2**32 - 1) + b"\x86."
    assert pickles.load(data, PATH) == (5, 5)


@pytest.mark.parametrize("pair", [b"](h%ch%ce", b"h%ch%c\x86"])
def test_values_that_hold_each_other_twice_over_are_refused(pair: bytes):
    """Forty steps of doubling: 10¹² values in 500 bytes."""
    steps = b"".join(pair.replace(b"%c", bytes([i])) + b"\x94" for i in range(40))
    refused(b"\x80\x04(]\x94" + steps + b"t.", "more than 200000 values")


def test_a_value_that_holds_itself_is_refused():
    endless: list[Any] = []
    endless.append(endless)
    refused(pickle.dumps(endless, 4), "values within values")
    around: dict[str, Any] = {}
    around["a"] = {"b": around}
    refused(pickle.dumps(around, 4), "values within values")


def test_every_truncation_is_refused():
    whole = pickle.dumps({**fields(), "seg_ie_polys": polygons(), "xseg_mask": encoded(mask())}, 4)
    pickles.load(whole, PATH)
    for end in range(0, len(whole), 1 + len(whole) // 400):
        refused(whole[:end], "damaged|breaks off|protocols|put down|end with one")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damage_is_refused_or_read_as_plain_values(data: st.DataObject):
    whole = bytearray(
        pickle.dumps({"m": np.eye(3), "p": polygons(), "l": [[1.5, 2.5]], "s": np.float32(2)}, 4)
    )
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = pickles.load(bytes(whole), PATH)
    except FrameUnreadable:
        return
    plain_only(found)


def plain_only(value: Any) -> None:
    if isinstance(value, (list, tuple)):
        for each in value:
            plain_only(each)
    elif isinstance(value, dict):
        for each in value.values():
            plain_only(each)
    else:
        assert value is None or isinstance(
            value, (bool, int, float, str, bytes, np.ndarray, np.number, np.bool_)
        )
        assert getattr(value, "dtype", np.dtype("f8")).kind in "fiub"


@pytest.mark.parametrize(
    "value",
    [
        np.array(["a"]),
        np.array([None], object),
        np.array(["2020-01-01"], "M8[D]"),
        np.zeros(2, "c8"),
        np.zeros(2, [("a", "f4")]),
        {1, 2},
        Path("/etc"),
        np.ma.masked_array([1]),
    ],
)
def test_other_things_are_refused(value: Any):
    refused(pickle.dumps({"x": value}, 4), "asks for|of type|in a way|something else")


class TestEntries:
    def listed(self, count: int) -> list[dict[str, Any]]:
        shared = "a text that all of them have"
        return [
            {
                "filename": f"{i:05d}.jpg",
                "said": shared,
                "landmarks": [[i, j + 0.5] for j in range(20)],
                "pts": np.full(3, i),
            }
            for i in range(count)
        ]

    def read(self, value: Any, protocol: int = 4, extra: bytes = b"") -> list[Any]:
        data = pickle.dumps(value, protocol)
        return list(pickles.entries(io.BytesIO(data + extra), len(data), PATH))

    @pytest.mark.parametrize("protocol", PROTOCOLS)
    @pytest.mark.parametrize("count", [0, 1, 2, 1001])
    def test_all_come_in_order(self, count: int, protocol: int):
        listed = self.listed(count)
        assert same(self.read(listed, protocol, extra=b"what follows in the file"), listed)

    def test_no_more_than_its_length_is_read(self):
        data = pickle.dumps(self.listed(3), 4)
        stream = io.BytesIO(data + b"xyz")
        list(pickles.entries(stream, len(data), PATH))
        assert stream.read() == b"xyz"
        with pytest.raises(FrameUnreadable, match="breaks off"):
            list(pickles.entries(io.BytesIO(data), len(data) - 1, PATH))

    def test_entries_come_before_all_is_read(self):
        data = pickle.dumps(self.listed(3500), 4)
        stream = io.BytesIO(data)
        next(pickles.entries(stream, len(data), PATH))
        assert stream.tell() < len(data) / 3

    def test_memory_does_not_grow_with_the_list(self):
        def peak(count: int) -> int:
            data = pickle.dumps(self.listed(count), 4)
            gc.collect()  # lest it be chance when the next collection comes
            tracemalloc.start()
            total = sum(1 for _ in pickles.entries(io.BytesIO(data), len(data), PATH))
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert total == count
            return most

        grown = (peak(3000) - peak(1000)) / 2000
        assert grown < 1000  # names and their places in the memo; a face's values take several times that

    def test_another_face_s_list_is_not_at_hand(self):
        once: list[float] = [1.0, 2.0]
        with pytest.raises(FrameUnreadable, match="an earlier face"):
            self.read([*[{"a": once} for _ in range(1000)], {"a": once}])

    @pytest.mark.parametrize("value", [{"a": 1}, 5, (1, 2), [Attack(os.system, "true")]])
    def test_what_is_no_list_of_values_is_refused(self, value: Any):
        with pytest.raises(FrameUnreadable, match=r"face\.jpg.*(is not a list|asks for)"):
            self.read(value)

    def test_a_huge_text_is_refused_before_it_is_read(self):
        data = b"\x80\x04]\x8d" + struct.pack("<Q", 2**40) + b"x"
        with pytest.raises(FrameUnreadable, match="piece of 1099511627776 bytes"):
            list(pickles.entries(io.BytesIO(data), 2**50, PATH))


def test_all_that_is_acted_on_is_an_opcode():
    assert set(pickles._ACTIONS) <= {code.name for code in pickletools.opcodes}
