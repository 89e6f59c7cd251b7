"""Filter response normalisation and its threshold (FRN, TLU) in one step.

    y = max(weight · x / √(mean over pixels of x² + |eps|) + bias, tau)

Singh, Krishnan, "Filter Response Normalization Layer", CVPR 2020, arXiv 1911.09737. What a pixel costs here is
memory, not arithmetic: torch's own derivative of the formula passes over many more pictures of the size of x; this one
keeps x and y (the next layer keeps y anyway) and needs two more for a moment.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_PIXELS = (2, 3)
_ALL_BUT_CHANNELS = (0, 2, 3)


def frn_tlu(x_BCHW: Tensor, weight_C: Tensor, bias_C: Tensor, eps_1: Tensor, tau_C: Tensor) -> Tensor:
    """Normalise and threshold: of the shape, type and memory layout of `x`; sums are float32 at least."""
    return _FrnTlu.apply(x_BCHW, weight_C, bias_C, eps_1, tau_C)  # type: ignore[no-any-return, no-untyped-call]


class _FrnTlu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_BCHW: Tensor, *parameters: Tensor) -> Tensor:
        weight_C, bias_C, eps_1, tau_C = parameters
        with torch.autocast(x_BCHW.device.type, enabled=False):  # it would make float32 of all
            y = x_BCHW.square()
            energy = y.mean(_PIXELS, keepdim=True, dtype=_sums(x_BCHW))
            inverse_BC11 = torch.rsqrt(energy + eps_1.abs())
            scale = (_along(weight_C) * inverse_BC11).to(y.dtype)
            torch.addcmul(_along(bias_C).to(y.dtype), x_BCHW, scale, out=y)
            y.clamp_min_(_along(tau_C).to(y.dtype))
        ctx.save_for_backward(x_BCHW, y, weight_C, inverse_BC11, eps_1, tau_C)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_BCHW: Tensor) -> tuple[Tensor, ...]:
        x, y, weight_C, inverse_BC11, eps_1, tau_C = ctx.saved_tensors
        sums = _sums(x)
        with torch.autocast(x.device.type, enabled=False):
            live = torch.sub(y, _along(tau_C).to(y.dtype))  # above the threshold; then the derivative there
            torch.ops.aten.threshold_backward.grad_input(grad_BCHW, live, 0, grad_input=live)
            grad_bias = live.sum(_ALL_BUT_CHANNELS, dtype=sums)
            grad_tau = grad_BCHW.sum(_ALL_BUT_CHANNELS, dtype=sums) - grad_bias
            spare = live * x
            grad_scale = spare.sum(_PIXELS, keepdim=True, dtype=sums)
            grad_weight = (grad_scale * inverse_BC11).sum(_ALL_BUT_CHANNELS)
            grad_energy = -0.5 * _along(weight_C) * inverse_BC11**3 * grad_scale
            grad_eps = grad_energy.sum().reshape(1) * eps_1.sign()
            # energy is a mean of x²
            torch.mul(live, (_along(weight_C) * inverse_BC11).to(x.dtype), out=spare)
            spare.addcmul_(x, (grad_energy * (2.0 / x[0, 0].numel())).to(x.dtype))
        return spare, grad_weight, grad_bias, grad_eps, grad_tau


def _along(values_C: Tensor) -> Tensor:
    return values_C[:, None, None]


def _sums(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)
