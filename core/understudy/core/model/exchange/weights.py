"""safetensors with a model card: what is published or archived of a model.

    performer_a-00120000/
    ├── model.safetensors   the weights, by our names, float32
    ├── config.json         what the network is, as in a model's folder
    ├── card.json           the model card
    └── README.md           the same to read

The weights are byte for byte those of the checkpoint: their SHA-256 is the digest that every frame names.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
from safetensors.torch import save_file

from understudy.core.checkpoints import CONFIG, FORMAT
from understudy.core.errors import InvalidInput, ModelInvalid
from understudy.core.files import making
from understudy.core.model.exchange.card import markdown
from understudy.core.model.exchange.wrapped import card_of
from understudy.core.model.swap import SwapModel

WEIGHTS, CARD, PAGE = "model.safetensors", "card.json", "README.md"


def export(model: SwapModel, folder: Path, *, paths: bool = False) -> Path:
    """Write the folder; returns the file of weights.

    Args:
        folder: empty, or not there yet.
        paths: whether the card tells folders of the machine that trained it.

    Raises:
        InvalidInput: there is something in the folder.
        ModelInvalid: the weights in memory are not those that the model's state names; nothing was written.
        DiskFull, WriteFailed: nothing was written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidInput(
            f"{folder}: is not an empty folder; name another", path=folder, field="out", value=folder
        )
    told = json.loads(card_of(model, paths=paths))
    with making(folder) as beside:
        tensors = {name: each.cpu().contiguous() for name, each in model._net.state_dict().items()}
        save_file(tensors, beside / WEIGHTS)
        found = hashlib.sha256(np.memmap(beside / WEIGHTS, np.uint8, "r").data).hexdigest()
        if found != model.digest:
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
