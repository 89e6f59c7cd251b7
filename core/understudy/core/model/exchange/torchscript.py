"""TorchScript for Nuke: CatFileCreator makes a .cat of it, which the Inference node runs.

One tensor goes in, one comes out, as Foundry's guide asks (.cat File Creation Reference Guide):

- In: (1, 3, S, S) red, green, blue, **scene-linear in the model's working space** (ACEScg by default), as Nuke's
  pixels are when the project's working space is that one; the face's aligned crop, S the model's resolution. Channels
  In: `rgba.red, rgba.green, rgba.blue`. Values below 0 and above 1 are expected; NaN counts as 0.
- Out: (1, 4, S, S), Output Scale 1, Channels Out `rgba.red, rgba.green, rgba.blue, rgba.alpha`: the new face,
  unpremultiplied and scene-linear in the same space, and its matte from 0 to 1.
- Knob: a floating point slider called `gain`, the shot's exposure gain (in a merge's manifest); 1 without.

The swap curve is inside, in both directions, so no colour node is needed around it. `Use GPU` and `Optimize for Speed
and Memory` work: the network follows its weights' device and precision; the curve is always computed in float32.

Each Nuke has one version of torch, and Foundry asks for files of that one. Only plain operators are used here, but
whether a Nuke reads what this torch writes, only that Nuke can tell.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from understudy.core.errors import ModelInvalid
from understudy.core.files import replacing
from understudy.core.model.exchange.curve import Curve
from understudy.core.model.exchange.inside import FACTS
from understudy.core.model.exchange.wrapped import Exported, card_of, crops, curve_of, quiet, swap_of, tracing
from understudy.core.model.swap import SwapModel

_TOLERANCE = 1e-3


class Inference(nn.Module):
    """What Nuke calls; see the module. `gain` is what a knob can be linked to.

    Args:
        swap: RGB in swap space → face, matte and another; traced.
        curve: into swap space; its gain is where the knob begins.
        size: S.
    """

    def __init__(self, swap: nn.Module, curve: Curve, size: int) -> None:
        super().__init__()
        self.swap = swap
        self.curve = curve
        self.size = size
        self.gain = 1.0

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3 or more, S, S) scene-linear → (B, 4, S, S): face and matte, of the type that came."""
        if image.size(1) < 3 or image.size(2) != self.size or image.size(3) != self.size:
            raise ValueError(
                f"Understudy: the image must be an aligned crop of {self.size} x {self.size}, rgb"
            )
        gain = max(self.gain, 1e-6)
        rgb = image[:, :3].to(torch.float32)
        rgb = torch.where(torch.isnan(rgb), torch.zeros_like(rgb), rgb)
        code = torch.clamp(self.curve.encode(rgb, gain), 0.0, 1.0)
        face, matte, _ = self.swap(code.to(image.dtype))
        linear = self.curve.decode(face.to(torch.float32), gain)
        return torch.cat([linear, matte.to(torch.float32)], dim=1).to(image.dtype)


def export(
    model: SwapModel, path: Path, *, back: bool = False, said: Mapping[str, Any] | None = None
) -> Exported:
    """Write the model for Nuke's CatFileCreator. The model card is in the archive as `understudy.json`.

    Args:
        path: of the file, which CatFileCreator expects to end in `.pt`; replaced if it is there.
        back: src goes in and dst's face comes out.
        said: the options, for the card.

    Raises:
        ModelInvalid: what was written answers otherwise than the model; nothing is left.
        DiskFull, WriteFailed: nothing was written.
    """
    swap, size = swap_of(model, back=back), model.config.resolution
    curve = Curve(curve_of(model))
    with replacing(path) as beside:
        with tracing():
            traced = torch.jit.trace(swap, crops(model, 2), check_trace=False)  # type: ignore[no-untyped-call]
        with quiet():
            scripted = torch.jit.script(Inference(traced, curve, size).eval())
            _save(scripted, beside, card_of(model, export=said))
            written = torch.jit.load(str(beside), map_location="cpu")  # type: ignore[no-untyped-call]
            difference = _difference(written, Inference(swap, curve, size).eval(), crops(model, 1))
        if not difference <= _TOLERANCE:
            raise ModelInvalid(
                f"{path}: not written: the script's answer differs from the network's by {difference:.2g}",
                path=path,
                value=difference,
            )
    return Exported(path=path, difference=difference)


def _save(script: torch.jit.ScriptModule, path: Path, facts: str) -> None:
    """Save without the tables that say from where on this machine each line of code came."""
    whole = io.BytesIO()
    torch.jit.save(script, whole, _extra_files={FACTS: facts})
    with zipfile.ZipFile(whole) as archive, zipfile.ZipFile(path, "w") as kept:
        for entry in archive.infolist():
            if not entry.filename.endswith(".debug_pkl"):
                kept.writestr(zipfile.ZipInfo(entry.filename), archive.read(entry))


def _difference(written: nn.Module, ours: nn.Module, code: Tensor) -> float:
    """The largest, of light as a share where it is above 1; on light from black to far above white."""
    light = code.square() * 4 - 0.05
    found, wanted = written(light), ours(light)
    return float(((found - wanted).abs() / wanted.abs().clamp(min=1.0)).max())
