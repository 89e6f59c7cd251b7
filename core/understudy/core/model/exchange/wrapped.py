"""A model's network in the form that another program calls.

Shape suffixes: B batch, C channels, H and W pixels. All forms are traced, so they do nothing that depends on values.
"""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from understudy.core.colour import ColourConfig, SwapCurve
from understudy.core.model.exchange import card
from understudy.core.model.exchange.curve import Curve, from_srgb, to_srgb
from understudy.core.model.networks import Network
from understudy.core.model.swap import SwapModel


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A file that was written, and how well it answers.

    Attributes:
        difference: the largest by which any of its outputs differed from torch's on random crops.
        opset: of ONNX's operators; 0 where there are none.
    """

    path: Path
    difference: float
    opset: int = 0


class Swap(nn.Module):
    """RGB in swap space (B, 3, S, S) → face (B, 3, S, S), its matte and dst's own matte (B, 1, S, S).

    Args:
        net: of the model; it is kept as it is.
        half: whether it computes in float16. What goes in and comes out stays float32.
        back: whether dst's face goes on src; the matte beside is then src's own.
    """

    def __init__(self, net: Network, *, half: bool = False, back: bool = False) -> None:
        super().__init__()
        self.net = copy.deepcopy(net).cpu().to(torch.float16 if half else torch.float32)
        self.half_inside, self.back = half, back

    def forward(self, face_BCHW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        inside = face_BCHW.clamp(0, 1)  # as `SwapModel` does
        if self.half_inside:
            inside = inside.half()
        if self.back:
            as_src, as_dst = self.net.codes(self.net.encoder(inside))
            face, matte = self.net.decoders[1](as_dst)
            own = self.net.decoders[0].matte_only(as_src)
            return torch.sigmoid(face.float()), torch.sigmoid(matte.float()), torch.sigmoid(own.float())
        face, matte, own = self.net.swap_and_dst(inside)
        return face, matte, own


class Display(nn.Module):
    """Display codes (sRGB, Rec.709, 0 to 1) to swap space and back: what a screen shows to what a network learnt.

    Args:
        curve: the model's, with the gain that brings a shown face to mid grey.
        colour: its working space is the one that the curve encodes.
    """

    to_working: Tensor
    to_shown: Tensor

    def __init__(self, curve: SwapCurve, colour: ColourConfig) -> None:
        super().__init__()
        primaries = colour.from_srgb(np.eye(3, dtype=np.float32)[None])[0]  # row by row: red, green, blue
        for name, matrix in (("to_working", primaries.T), ("to_shown", np.linalg.inv(primaries.T))):
            self.register_buffer(name, torch.from_numpy(np.float32(matrix))[..., None, None])
        self.curve = Curve(curve)
        self.gain = curve.gain

    def to_swap(self, shown_BCHW: Tensor) -> Tensor:
        return self.curve.encode(functional.conv2d(from_srgb(shown_BCHW), self.to_working), self.gain)

    def from_swap(self, face_BCHW: Tensor) -> Tensor:
        linear = functional.conv2d(self.curve.decode(face_BCHW, self.gain), self.to_shown)
        return to_srgb(linear.clamp(0, 1))


class DeepFaceLive(nn.Module):
    """BGR (B, S, S, 3) → dst's own matte (B, S, S, 1), BGR face (B, S, S, 3), its matte (B, S, S, 1); all 0 to 1.

    Args:
        display: how its picture becomes swap space; None where the network learnt display codes.
    """

    def __init__(self, swap: Swap, display: Display | None) -> None:
        super().__init__()
        self.swap, self.display = swap, display

    def forward(self, face_BHWC: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        shown = face_BHWC.flip(3).permute(0, 3, 1, 2).clamp(0, 1)
        face, matte, own = self.swap(shown if self.display is None else self.display.to_swap(shown))
        if self.display is not None:
            face = self.display.from_swap(face)
        return own.permute(0, 2, 3, 1), face.permute(0, 2, 3, 1).flip(3), matte.permute(0, 2, 3, 1)


def swap_of(model: SwapModel, *, half: bool = False, back: bool = False) -> Swap:
    """A copy of the model's network, on the CPU."""
    return Swap(model.net, half=half, back=back).eval().requires_grad_(False)


def curve_of(model: SwapModel, gain: float = 1.0) -> SwapCurve:
    """The curve into the model's swap space; raises InvalidInput for a gain out of range."""
    return SwapCurve.from_dict({**model.state.curve, "gain": gain})


def card_of(model: SwapModel, *, folders: bool = False, export: Mapping[str, Any] | None = None) -> str:
    """The model card as one line of JSON: what travels inside a file. As `card.describe`."""
    count = sum(weight.numel() for weight in model.net.parameters())
    told = card.describe(model.config, model.state, parameters=count, folders=folders, export=export)
    return json.dumps(told, sort_keys=True)


def crops(model: SwapModel, count: int) -> Tensor:
    """(count, 3, S, S) to try a network on: in 0 to 1, drawn anew the same."""
    size = model.config.resolution
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(count))


class _Traceable(TorchFunctionMode):
    """While a network is traced, what a trace would hold too fast, or the exporters do not know, is said otherwise.

    A cast to the type that a tensor has does nothing, but would be written down with that type as a constant: when
    Nuke makes the network one of half precision, the next layer would refuse its input. ONNX has `unflatten` from
    opset 13 on.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        del types
        if func is Tensor.to and len(args) == 2 and args[1] is args[0].dtype:
            return args[0]
        if func in (Tensor.unflatten, torch.unflatten) and not kwargs:
            x, dim, sizes = args
            return x.reshape(*x.shape[:dim], *sizes, *x.shape[dim + 1 :])
        return func(*args, **(kwargs or {}))


@contextmanager
def tracing() -> Iterator[None]:
    """Around what runs a network to write down what it does."""
    with quiet(), _Traceable():
        yield


@contextmanager
def quiet() -> Iterator[None]:
    """Around torch's scripts and tracers. They announce successors, which neither DeepFaceLive nor Nuke can read."""
    with warnings.catch_warnings(), torch.inference_mode(False), torch.no_grad():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
