"""Weights in DeepFaceLab's layout, read into our networks.

Its saved files are mappings from variable names (`inter/dense1/weight:0`) to arrays. Three things differ from ours:
kernels are (kh, kw, in, out) and dense weights (in, out); pictures are BGR; and depth-to-space orders channels
sub-pixel first (`q·C + c`) where pixel shuffle has the channel first (`c·4 + q`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np
import torch

from understudy.core.errors import ModelInvalid
from understudy.core.frames import Array
from understudy.core.model.networks import build
from understudy.core.model.presets import ModelConfig

_DEEP_ENCODER = ("down1", "res1", "down2", "down3", "down4", "down5", "res5")

# of our names
_SEES = re.compile(r"encoder\.layers\.(columns\.\d\.)?0\.conv1\.weight")
_PAINTS = re.compile(r"\w+\.out\.")
_UPSCALE = re.compile(r"\w+\.(upscale1|matte\.\d|face\.([0246]|upscales\.\d|bumps\.\d\.up))\.conv1\.")


def state_dict(weights: Mapping[str, Array], config: ModelConfig) -> dict[str, torch.Tensor]:
    """What `build(config).load_state_dict` takes, from arrays by DeepFaceLab's names.

    Args:
        weights: arrays named `<part>/…:0`; parts are those of the network: `encoder`, `inter`, `inter_AB`, …. In its
            own files the part is the file's name. Others, as of optimisers, are left alone.

    Raises:
        ModelInvalid: a weight is missing or of another shape: names it, and both shapes.
    """
    with torch.device("meta"):
        wanted = build(config).state_dict()
    found: dict[str, torch.Tensor] = {}
    for ours, theirs in _names(wanted):
        if theirs not in weights:
            raise ModelInvalid(f"DeepFaceLab weights: {theirs} is missing", field="weights", value=theirs)
        array = _turned(np.asarray(weights[theirs], np.float32))
        if array.shape != wanted[ours].shape:
            raise ModelInvalid(
                f"DeepFaceLab weights: {theirs} becomes {array.shape}, but the model's {ours} is "
                f"{tuple(wanted[ours].shape)}: are resolution, options and dims those it was trained with?",
                field="weights",
                value=theirs,
            )
        found[ours] = torch.from_numpy(np.ascontiguousarray(_reordered(ours, array)))
    return found


def _names(wanted: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Pairs of our name and DeepFaceLab's."""
    deep = any(name.startswith("encoder.layers.6.") for name in wanted)
    for ours in wanted:
        part, _, rest = ours.partition(".")
        *path, kind = rest.split(".")
        match path:
            case ["layers", "columns", column, index, conv]:
                theirs = f"down{int(column) + 1}/downs_{index}/{conv}"
            case ["layers", index, conv]:
                layer = _DEEP_ENCODER[int(index)] if deep else f"down1/downs_{index}"
                theirs = f"{layer}/{conv}"
            case ["face", "bumps", index, *layer]:
                theirs = "/".join([f"res{index}", *layer])
            case ["face", "upscales", index, conv]:
                theirs = f"upscale{index}/{conv}"
            case ["face", index, conv]:
                theirs = f"{('upscale', 'res')[int(index) % 2]}{int(index) // 2}/{conv}"
            case ["matte", index, conv]:
                theirs = f"upscalem{index}/{conv}"
            case ["out", index]:
                theirs = "out_conv" + (index if index != "0" else "")
            case ["out_matte"]:
                theirs = "out_convm"
            case _:
                theirs = "/".join(path)
        yield ours, f"{part}/{theirs}/{kind}:0"


def _turned(array: Array) -> Array:
    """Our order of axes: (kh, kw, in, out) becomes (out, in, kh, kw), and (in, out) becomes (out, in)."""
    return array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T


def _reordered(ours: str, array: Array) -> Array:
    """Our order of channels, the axes being ours."""
    if _SEES.fullmatch(ours):
        array = array[:, ::-1]  # it sees BGR
    if _PAINTS.match(ours):
        array = array[::-1]  # it paints BGR
    if _UPSCALE.match(ours):
        sub_first = array.reshape(4, -1, *array.shape[1:])  # (q, C, …)
        array = sub_first.swapaxes(0, 1).reshape(array.shape)  # (C, q, …): channel first
    return array
