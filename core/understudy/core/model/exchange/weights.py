"""safetensors with a model card: what is published or archived of a model, and comes back.

    performer_a-00120000/
    ├── model.safetensors   the weights, by our names, float32
    ├── config.json         what the network is, as in a model's folder
    ├── card.json           the model card
    └── README.md           the same to read

The weights are byte for byte those of the checkpoint: their SHA-256 is the digest that every frame names. Release
records do not travel in it, since a card may be published and they say who granted what: who imports it attaches them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from understudy.core.checkpoints import CONFIG, FORMAT
from understudy.core.colour import SwapCurve
from understudy.core.errors import InvalidInput, ModelInvalid
from understudy.core.files import making
from understudy.core.model import store
from understudy.core.model.exchange import inside
from understudy.core.model.exchange.card import markdown
from understudy.core.model.exchange.inside import CARD, WEIGHTS
from understudy.core.model.exchange.settings import refuse_trained
from understudy.core.model.exchange.wrapped import card_of
from understudy.core.model.networks import build
from understudy.core.model.swap import SwapModel
from understudy.core.release import Release

PAGE = "README.md"


def export(
    model: SwapModel, folder: Path, *, folders: bool = False, said: Mapping[str, Any] | None = None
) -> Path:
    """Write the folder; returns the file of weights.

    Args:
        folder: empty, or not there yet.
        folders: whether the card tells those of the machine that trained it.
        said: the options, for the card.

    Raises:
        InvalidInput: there is something in the folder.
        ModelInvalid: the weights in memory are not those that the model's state names; nothing was written.
        DiskFull, WriteFailed: nothing was written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidInput(
            f"{folder}: is not an empty folder; name another", path=folder, field="out", value=folder
        )
    told = json.loads(card_of(model, folders=folders, export=said))
    with making(folder) as beside:
        tensors = {name: each.cpu().contiguous() for name, each in model.net.state_dict().items()}
        save_file(tensors, beside / WEIGHTS)
        if (found := _digest(beside / WEIGHTS)) != model.digest:
            raise ModelInvalid(
                f"{folder}: not written: the weights have the digest {found[:12]}…, the model's state names "
                f"{model.digest[:12]}…",
                path=folder,
                field="digest",
                value=found,
            )
        for name, values in ((CONFIG, {"format": FORMAT, **model.config.to_dict()}), (CARD, told)):
            (beside / name).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
        (beside / PAGE).write_text(markdown(told), encoding="utf-8")
    return folder / WEIGHTS


def import_(folder: Path, model: Path, *, releases: tuple[Release, ...] = ()) -> store.State:
    """Read what `export` wrote and make it a model of ours; training goes on from it with fresh moments and by what
    was asked for and changed before.

    Args:
        model: our folder; it must not hold a trained model yet.
        releases: records of whose face it is. Without one a merge refuses the model.

    Raises:
        InvalidInput: `model` is taken.
        NotFound, ModelInvalid: a file is missing, altered, or does not fit the others; names it.
        DiskFull, WriteFailed: no model was made.
    """
    refuse_trained(model)
    config, told = store.read_config(folder), inside.read(folder)
    state = _state(told, folder / CARD, releases)
    weights = _weights(folder / WEIGHTS, state.digest)
    with torch.device("meta"):
        net = build(config)
    try:
        net.load_state_dict(weights, assign=True)
    except RuntimeError as error:  # torch's word for weights of another network
        raise ModelInvalid(
            f"{folder}: the weights are not of the configuration beside them: {error}", path=folder
        ) from error
    store.create(model, config)
    return store.save(model, state, weights, {})


def _state(told: Mapping[str, Any], file: Path, releases: tuple[Release, ...]) -> store.State:
    """What the card says, as a checkpoint has it."""
    try:
        training, colour = told["training"], told["colour"]
        SwapCurve.from_dict({**colour["curve"], "gain": 1.0})
        iteration, seconds = int(training["iterations"]), float(training["hours"]) * 3600
        if iteration < 0 or not 0 <= seconds < float("inf"):
            raise ValueError(f"{iteration} iterations in {seconds} seconds")
        return store.State(
            iteration=iteration,
            seconds=seconds,
            digest=str(told["digest"]),
            curve={str(name): float(value) for name, value in colour["curve"].items()},
            working_space=str(colour["working_space"]),
            colour=str(colour["config"]),
            versions={str(name): str(value) for name, value in training["versions"].items()},
            preset=str(training["preset"]),
            way=str(training["way"]),
            options=_options(training.get("options", {})),  # cards of earlier versions do not tell
            changes=tuple(map(_change, training.get("changes", ()))),
            average=bool(training["average"]),
            losses={str(name): float(value) for name, value in training.get("losses", {}).items()},
            pretrained=str(training["started_from"]),
            combined={str(part): str(digest) for part, digest in training["parts_from"].items()},
            src=str(training["facesets"]["src"]["digest"]),
            dst=str(training["facesets"]["dst"]["digest"]),
            releases=releases,
        )
    except (KeyError, TypeError, ValueError, AttributeError, InvalidInput) as error:
        raise ModelInvalid(
            f"{file}: is no model card of ours, or was altered: {error!r}", path=file
        ) from error


def _change(said: Mapping[str, Any]) -> dict[str, Any]:
    """What a person changed at an iteration, as `train.plan.Phase` for JSON."""
    iteration = int(said["iteration"])
    if iteration < 0:
        raise ValueError(f"a change at iteration {iteration}")
    return {"iteration": iteration, "share": None, "options": _options(said["options"])}


def _options(said: Mapping[str, Any]) -> dict[str, str]:
    """Name → text."""
    return {str(name): str(value) for name, value in said.items()}


def _weights(file: Path, digest: str) -> dict[str, torch.Tensor]:
    """The tensors, which must be those that the card names."""
    if not file.is_file():
        raise ModelInvalid(f"{file}: is missing", path=file)
    if (found := _digest(file)) != digest:
        raise ModelInvalid(
            f"{file}: its content was altered: {found[:12]}…, the card names {digest[:12]}…",
            path=file,
            field="digest",
            value=found,
        )
    try:
        return dict(load_file(file))
    except (OSError, SafetensorError) as error:
        raise ModelInvalid(f"{file}: can not be read: {error}", path=file) from error


def _digest(file: Path) -> str:
    return hashlib.sha256(np.memmap(file, np.uint8, "r").data if file.stat().st_size else b"").hexdigest()
