"""DeepFaceLab's saved models, SAEHD and Quick96, into a model folder of ours. Nothing in their files is run.

    workspace/model/
    ├── amy_SAEHD_data.dat          a pickle: `iter`, `options`, and what its own sessions need
    ├── amy_SAEHD_encoder.npy       a pickle: variable names, without the part's, to arrays
    └── amy_SAEHD_inter.npy, …      the other parts; optimisers and discriminators are not read

Source: DeepFaceLab's models/ModelBase.py (save), core/leras/layers/Saveable.py (save_weights), described in words;
Quick96's sizes from Model_Quick96/Model.py:125-151.

Such a network learnt sRGB codes of Rec.709. The model gets the swap curve that is nearest to them (the same up to code
0.95); in a working space with other primaries its colours are a little off until it is trained on.
Imports torch only to make the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.errors import FrameUnreadable, InvalidInput, ModelInvalid, NotFound, WeightsCorrupt
from understudy.core.faceset.dfl import arrays, pickles
from understudy.core.frames import Array
from understudy.core.model import store
from understudy.core.model.exchange.inside import WEIGHTS
from understudy.core.model.exchange.settings import refuse_trained
from understudy.core.model.presets import ModelConfig, preset
from understudy.core.release import Release

_DF = ("encoder", "inter", "decoder_src", "decoder_dst")
_LIAE = ("encoder", "inter_AB", "inter_B", "decoder")
PARTS = {"df": _DF, "liae": _LIAE, "dfhd": _DF, "liaehd": _LIAE}
"""By architecture, as `Network.parts` has them: each is a file of weights; of spring 2020 are the last two."""

CURVE = {"knee": 0.95, "maximum": 4.0}
"""Of the swap curves the one with the most of sRGB."""

_DATA = "_data.dat"
_KINDS = ("SAEHD", "Quick96")
_FACE_TYPES = {"h": "half", "mf": "mid_full", "f": "full", "wf": "whole", "head": "head"}
_SIZES = ("resolution", "e_dims", "d_dims", "d_mask_dims", "ae_dims")
_LARGEST = 8 << 30  # bytes of a file; the inter of LIAE at 640 px and 1024 dims has 3.4e9
_LARGEST_DATA = 1 << 30  # it holds sample pictures
_VALUES = 20_000_000  # and two losses of every iteration


@dataclass(frozen=True, kw_only=True)
class Saved:
    """A saved model, as far as it concerns us.

    Attributes:
        kind: `SAEHD` or `Quick96`.
        weights: arrays by DeepFaceLab's names, `<part>/…:0`.
    """

    kind: str
    config: ModelConfig
    iteration: int
    weights: Mapping[str, Array]


def import_(folder: Path, model: Path, *, name: str = "", releases: tuple[Release, ...] = ()) -> store.State:
    """Read a model that DeepFaceLab saved and write it as one of ours.

    Args:
        folder: DeepFaceLab's `model` folder.
        model: our folder; it must not hold a trained model yet.
        name: of the model, where the folder holds several.
        releases: records of whose face it is. Without one a merge refuses the model.

    Raises:
        InvalidInput: `model` is taken, or `name` is needed.
        NotFound, ModelInvalid, WeightsCorrupt: as `read`, and for weights that are missing or of other shapes.
        DiskFull, WriteFailed: no model was made.
    """
    from understudy.core.model import dfl  # torch

    refuse_trained(model)
    saved = read(folder, name)
    try:
        weights = dfl.state_dict(saved.weights, saved.config)
    except ModelInvalid as error:
        raise ModelInvalid(
            f"{folder}: {error.message}", path=folder, field=error.field, value=error.value
        ) from error
    state = store.State(
        iteration=saved.iteration, curve=CURVE, releases=releases, versions={"DeepFaceLab": saved.kind}
    )
    store.create(model, saved.config)
    return store.save(model, state, weights, {})


def read(folder: Path, name: str = "") -> Saved:
    """Read a model that DeepFaceLab saved.

    Raises:
        NotFound: no such folder, or no saved model in it.
        InvalidInput: there are several, or none of that name: lists them.
        ModelInvalid: of a kind or configuration that there is no network for, or a file is missing; names it.
        WeightsCorrupt: a file is cut, altered, or asks for anything but numbers.
    """
    data_file, kind = choose(folder, name)
    data = _data(data_file)
    config = preset("quick96") if kind == "Quick96" else _config(data.get("options"), data_file)
    iteration = _number(data.get("iter"), data_file, "iter")
    prefix = data_file.name.removesuffix(_DATA)
    files = {part: folder / f"{prefix}_{part}.npy" for part in PARTS[config.arch]}
    if missing := [file.name for file in files.values() if not file.is_file()]:
        raise ModelInvalid(
            f"{folder}: {prefix} is {config.arch!r}, of which these files are missing: {', '.join(missing)}",
            path=folder,
            field="weights",
            value=missing[0],
        )
    weights: dict[str, Array] = {}
    for part, file in files.items():
        weights |= {f"{part}/{name}": each for name, each in arrays.read(file, kind, _LARGEST).items()}
    return Saved(kind=kind, config=config, iteration=iteration, weights=weights)


def choose(folder: Path, name: str = "") -> tuple[Path, str]:
    """The file of data of the model that is meant, and its kind.

    Raises:
        NotFound, InvalidInput, ModelInvalid: as `read`, without a look into any file.
    """
    if not folder.is_dir():
        raise NotFound(f"{folder}: there is no such folder", path=folder, field="folder", value=folder)
    there = {file.name.removesuffix(_DATA): file for file in sorted(folder.glob(f"*{_DATA}"))}
    if not there:
        raise NotFound(
            f"{folder}: no model of DeepFaceLab is here (no file *{_DATA}), nor exported weights (no {WEIGHTS})",
            path=folder,
            field="folder",
            value=folder,
        )
    meant = {each: file for each, file in there.items() if name in ("", each, each.rpartition("_")[0])}
    known = {each: file for each, file in meant.items() if each.rpartition("_")[2] in _KINDS}
    if len(known) == 1:
        (prefix, file), *_ = known.items()
        return file, prefix.rpartition("_")[2]
    if known or not meant:
        raise InvalidInput(
            f"{folder}: name one of {', '.join(known or there)}" + (f", not {name!r}" if name else ""),
            path=folder,
            field="name",
            value=name,
        )
    raise ModelInvalid(
        f"{folder}: {', '.join(meant)} can not be imported: of DeepFaceLab's models {' and '.join(_KINDS)} can. "
        "AMP mixes two inters by a morph factor, for which there is no network here.",
        path=folder,
        field="name",
        value=next(iter(meant)),
    )


def _data(file: Path) -> dict[str, Any]:
    if file.stat().st_size > _LARGEST_DATA:
        raise WeightsCorrupt(f"{file}: larger than {_LARGEST_DATA >> 30} GiB: no data of a model", path=file)
    try:
        found = pickles.load(file.read_bytes(), file, "content", values=_VALUES)
    except FrameUnreadable as error:
        raise WeightsCorrupt(error.message, path=file) from error
    if not isinstance(found, dict):
        raise WeightsCorrupt(f"{file}: it does not hold data by name", path=file)
    return found


def _config(options: Any, file: Path) -> ModelConfig:
    """What SAEHD's options make of a network."""
    if not isinstance(options, dict):
        raise _refuse(file, "options", options, "is no table of options")
    arch, _, letters = str(options.get("archi", "")).partition("-")
    if arch not in PARTS:
        raise _refuse(
            file, "archi", options.get("archi"), f"is none of {', '.join(PARTS)}, with or without -udtc"
        )
    face_type = options.get("face_type")
    if not isinstance(face_type, str) or face_type not in _FACE_TYPES:
        raise _refuse(file, "face_type", face_type, f"is none of {', '.join(_FACE_TYPES)}")
    sizes = {size: _number(options.get(size), file, size) for size in _SIZES}
    try:
        return ModelConfig(arch=arch, options=letters, face_type=_FACE_TYPES[face_type], **sizes)
    except InvalidInput as error:
        raise ModelInvalid(
            f"{file}: {error.message}", path=file, field=error.field, value=error.value
        ) from error


def _number(value: Any, file: Path, field: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
        raise _refuse(file, field, value, "is no whole number from 0" if value is not None else "is missing")
    return int(value)


def _refuse(file: Path, field: str, value: object, why: str) -> ModelInvalid:
    return ModelInvalid(f"{file}: {field} {value!r} {why}", path=file, field=field, value=value)
