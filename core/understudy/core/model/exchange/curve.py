"""`colour.SwapCurve` and sRGB in operations that TorchScript and ONNX have alike; tests hold them to `colour`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from understudy.core.colour import (
    SRGB_OFFSET,
    SRGB_POWER,
    SRGB_TOE,
    SRGB_TOE_CODE,
    SRGB_TOE_SLOPE,
    TOP,
    SwapCurve,
)


class Curve(nn.Module):
    """See `SwapCurve` for the formula. The gain comes with every call, since hosts have a knob for it.

    Plain attributes: TorchScript takes no constants of a module from outside of a class.
    """

    def __init__(self, curve: SwapCurve) -> None:
        super().__init__()
        self.k, self.a, self.b = curve.shoulder
        self.knee, self.maximum = curve.knee, curve.maximum
        self.power, self.offset, self.top = SRGB_POWER, SRGB_OFFSET, TOP
        self.toe, self.toe_code, self.toe_slope = SRGB_TOE, SRGB_TOE_CODE, SRGB_TOE_SLOPE

    def encode(self, rgb: Tensor, gain: float) -> Tensor:
        """Scene-linear of any shape → codes in [−63/64, 63/64]."""
        x = torch.clamp(torch.abs(rgb * gain), 0.0, self.maximum)
        middle = (1.0 + self.offset) * torch.pow(torch.clamp(x, self.toe, self.maximum), 1.0 / self.power)
        shoulder = self.knee + self.a * torch.log(1.0 + torch.clamp(x - self.k, 0.0, self.maximum) / self.b)
        code = torch.where(x > self.k, shoulder, middle - self.offset)
        return torch.where(x <= self.toe, x * self.toe_slope, code) * torch.sign(rgb)

    def decode(self, code: Tensor, gain: float) -> Tensor:
        """Codes of any shape → scene-linear."""
        y = torch.clamp(torch.abs(code), 0.0, self.top)
        raised = (torch.clamp(y, self.toe_code, self.top) + self.offset) / (1.0 + self.offset)
        shoulder = self.k + self.b * (torch.exp(torch.clamp(y - self.knee, 0.0, self.top) / self.a) - 1.0)
        x = torch.where(y > self.knee, shoulder, torch.pow(raised, self.power))
        return torch.where(y <= self.toe_code, y / self.toe_slope, x) * torch.sign(code) / gain


def from_srgb(code: Tensor) -> Tensor:
    """sRGB codes in 0 to 1 → linear light."""
    raised = ((code.clamp(SRGB_TOE_CODE, 1.0) + SRGB_OFFSET) / (1.0 + SRGB_OFFSET)).pow(SRGB_POWER)
    return torch.where(code <= SRGB_TOE_CODE, code / SRGB_TOE_SLOPE, raised)


def to_srgb(linear: Tensor) -> Tensor:
    """Linear light in 0 to 1 → sRGB codes."""
    code = (1.0 + SRGB_OFFSET) * linear.clamp(SRGB_TOE, 1.0).pow(1.0 / SRGB_POWER) - SRGB_OFFSET
    return torch.where(linear <= SRGB_TOE, linear * SRGB_TOE_SLOPE, code)
