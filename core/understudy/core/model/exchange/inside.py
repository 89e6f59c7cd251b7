"""The model card in an exported file, read without the packages that run it. Imports no torch.

Whoever holds a file can so be told whose likeness is in it.
"""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

from understudy.core.model.exchange.card import FORMAT

CARD, WEIGHTS = "card.json", "model.safetensors"  # in a folder of exported weights
FACTS = "understudy.json"  # among the extra files of TorchScript's archive
KEY = "understudy"  # of ONNX's metadata

_METADATA_PROPS = 14  # field of ONNX's ModelProto: entries of a key (1) and a value (2)
_DELIMITED, _VARINT = 2, 0  # wire types of protocol buffers
_LARGEST = 1 << 24  # bytes of a card


def read(path: Path) -> dict[str, Any]:
    """The card of an exported file or folder; empty where there is none, or it is no file of ours."""
    try:
        text = _text(path)
        found = json.loads(text) if text else None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return {}
    return found if isinstance(found, dict) and found.get("format") == FORMAT else {}


def _text(path: Path) -> bytes | None:
    if path.is_dir():
        return (path / CARD).read_bytes() if (path / CARD).stat().st_size <= _LARGEST else None
    if path.suffix.lower() == ".pt":
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(f"/extra/{FACTS}")]
            small = names and archive.getinfo(names[0]).file_size <= _LARGEST
            return archive.read(names[0]) if small else None
    with path.open("rb") as file:
        return _metadata(file)


def _metadata(file: BinaryIO) -> bytes | None:
    """The value of our key in an ONNX model; weights are skipped, not read."""
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    while file.tell() < end:
        number, kind = divmod(_varint(file), 8)
        if kind == _VARINT:
            _varint(file)
            continue
        if kind != _DELIMITED:
            raise ValueError(f"wire type {kind} in an ONNX model")
        length = _varint(file)
        if number == _METADATA_PROPS and length <= _LARGEST:
            entry = file.read(length)
            head = b"\x0a" + bytes([len(KEY)]) + KEY.encode() + b"\x12"
            if entry.startswith(head):
                return entry[entry.index(b"{") :]  # behind the value's length
        else:
            file.seek(length, os.SEEK_CUR)
    return None


def _varint(file: BinaryIO) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            break
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise ValueError("cut or altered")
