"""ONNX, written by torch's classic exporter and checked with onnxruntime before it gets its name.

The classic exporter (`dynamo=False`), because it writes any opset from 11 on, and DFM is opset 12; torch's newer one
begins at 18 and needs onnxscript. It needs the package onnx; the check needs onnxruntime. Both are the extra `export`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from understudy.core.errors import InvalidInput, ModelInvalid
from understudy.core.files import replacing
from understudy.core.model.exchange.inside import KEY
from understudy.core.model.exchange.settings import OPSET, OPSETS, PACKAGES, lacks
from understudy.core.model.exchange.wrapped import Exported, card_of, crops, swap_of, tracing
from understudy.core.model.swap import SwapModel

_LARGEST = 2**31 - 2**20  # bytes of a protobuf message, less what the graph takes
_TOLERANCE = 1e-3  # a code of 8 bits is 4e-3
_COARSE = 2e-2  # in half precision; and of x·cos(x), which multiplies rounding layer by layer
_BATCHES = (1, 3)


@dataclass(frozen=True, kw_only=True)
class Ports:
    """The names of what goes in and what comes out; axis 0 of each is the batch."""

    input: str
    outputs: tuple[str, ...]


PORTS = Ports(input="dst", outputs=("face", "matte", "matte_dst"))


def export(
    model: SwapModel,
    path: Path,
    *,
    opset: int = OPSET,
    half: bool = False,
    back: bool = False,
    said: Mapping[str, Any] | None = None,
) -> Exported:
    """Write the network as ONNX.

    `dst` (N, 3, S, S) RGB in swap space goes in; `face` (N, 3, S, S) likewise, its `matte` and dst's own `matte_dst`
    (N, 1, S, S) come out, all float32 from 0 to 1 and as `SwapModel.swap_and_dst` gives them. What swap space is,
    the model card says, which is in the file's metadata as `understudy`.

    Args:
        path: of the file; replaced if it is there.
        half: weights and arithmetic in float16.
        back: src goes in and dst's face comes out; `matte_dst` is then src's own.
        said: the options, for the card.

    Raises:
        InvalidInput: opset out of range, a package is not installed, or the model is too large for the format.
        ModelInvalid: onnxruntime answers otherwise than torch; nothing was written.
        DiskFull, WriteFailed: nothing was written.
    """
    swap, tried = swap_of(model, half=half, back=back), crops(model, max(_BATCHES))
    facts = card_of(model, export=said)
    return write(swap, tried, path, PORTS, facts, options=model.config.options, opset=opset, half=half)


def write(
    module: nn.Module,
    tried: Tensor,
    path: Path,
    ports: Ports,
    facts: str,
    *,
    options: str,
    opset: int,
    half: bool,
) -> Exported:
    """Write a form of a model, for any size of batch, and compare its answers on `tried`; raises as `export`.

    Args:
        facts: the model card.
        options: of the model's configuration.
    """
    if opset not in OPSETS:
        raise InvalidInput(
            f"export: opset {opset} is not from {OPSETS[0]} to {OPSETS[-1]}", field="opset", value=opset
        )
    size = sum(each.numel() * each.element_size() for each in module.state_dict().values())
    if size > _LARGEST:
        raise InvalidInput(
            f"export: the weights are {size / 2**30:.2f} GiB, and an ONNX file holds less than 2"
            + ("" if half else "; half precision halves them"),
            field="half",
            value=half,
        )
    onnx, onnxruntime = (_package(name) for name in PACKAGES)
    tolerance = _COARSE if half or "c" in options else _TOLERANCE
    with replacing(path) as beside:
        _trace(module, tried, beside, ports, opset)
        graph = onnx.load_model_from_string(beside.read_bytes())
        onnx.checker.check_model(graph)
        onnx.helper.set_model_props(graph, {KEY: facts})
        beside.write_bytes(graph.SerializeToString())
        difference = _difference(onnxruntime, beside, module, tried, ports)
        if not difference <= tolerance:  # NaN neither
            raise ModelInvalid(
                f"{path}: not written: onnxruntime's answer differs from torch's by {difference:.2g}, more than "
                f"{tolerance:g}",
                path=path,
                value=difference,
            )
    return Exported(path=path, difference=difference, opset=opset)


def _trace(module: nn.Module, tried: Tensor, file: Path, ports: Ports, opset: int) -> None:
    names = (ports.input, *ports.outputs)
    try:
        with tracing():
            torch.onnx.export(
                module, (tried,), str(file), dynamo=False, opset_version=opset, input_names=[ports.input],
                output_names=list(ports.outputs), dynamic_axes={name: {0: "batch"} for name in names},
            )  # fmt: skip
    except torch.onnx.errors.OnnxExporterError as error:
        raise InvalidInput(
            f"export: opset {opset} can not hold this network: {error}", field="opset", value=opset
        ) from error


def _difference(onnxruntime: Any, file: Path, module: nn.Module, tried: Tensor, ports: Ports) -> float:
    """The largest of any output, on batches of several sizes."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    worst = [0.0]
    for count in _BATCHES:
        with torch.no_grad():
            wanted = module(tried[:count])
        found = session.run(list(ports.outputs), {ports.input: tried[:count].numpy()})
        worst += [float(np.abs(f - w.numpy()).max()) for f, w in zip(found, wanted, strict=True)]
    return float(np.max(worst))  # NaN where any is


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise lacks(name) from error
