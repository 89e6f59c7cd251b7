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
            x = x_BCHW.contiguous(memory_format=_layout(x_BCHW))
            y = x.square()
            energy_BC = y.mean(_PIXELS, dtype=_sums(x))
            inverse_BC = torch.rsqrt(energy_BC + eps_1.abs())
            rows = _rows(y)
            torch.mul(_rows(x), _along(weight_C * inverse_BC, x), out=rows)
            rows.add_(_along(bias_C, x)).clamp_min_(_along(tau_C, x))
        ctx.save_for_backward(x, y, weight_C, inverse_BC, eps_1, tau_C)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_BCHW: Tensor) -> tuple[Tensor, ...]:
        x, y, weight_C, inverse_BC, eps_1, tau_C = ctx.saved_tensors
        sums = _sums(x)
        with torch.autocast(x.device.type, enabled=False):
            grad = grad_BCHW.contiguous(memory_format=_layout(x))
            live = torch.empty_like(y)  # above the threshold; then the derivative there
            torch.sub(_rows(y), _along(tau_C, x), out=_rows(live))
            torch.ops.aten.threshold_backward.grad_input(grad, live, 0, grad_input=live)
            grad_bias = live.sum(_ALL_BUT_CHANNELS, dtype=sums)
            grad_tau = grad.sum(_ALL_BUT_CHANNELS, dtype=sums) - grad_bias
            spare = live * x
            grad_scale_BC = spare.sum(_PIXELS, dtype=sums)
            grad_weight = (grad_scale_BC * inverse_BC).sum(0)
            grad_energy_BC = -0.5 * weight_C * inverse_BC**3 * grad_scale_BC
            grad_eps = grad_energy_BC.sum().reshape(1) * eps_1.sign()
            # energy is a mean of x²
            torch.mul(_rows(live), _along(weight_C * inverse_BC, x), out=_rows(spare))
            torch.mul(_rows(x), _along(grad_energy_BC * (2.0 / x[0, 0].numel()), x), out=_rows(live))
            spare.add_(live)
        return spare, grad_weight, grad_bias, grad_eps, grad_tau


def _layout(x_BCHW: Tensor) -> torch.memory_format:
    """Channels innermost where `x` has them so, else pixels."""
    inner = not x_BCHW.is_contiguous() and x_BCHW.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if inner else torch.contiguous_format


def _rows(x_BCHW: Tensor) -> Tensor:
    """The same memory as (B, R, L), innermost what lies innermost: pixels of a channel, or a line with its channels.

    A loop over a few channels, each with its factor, takes ten times as long as one over a line.
    """
    if _layout(x_BCHW) is torch.contiguous_format:
        return x_BCHW.flatten(2)
    return x_BCHW.permute(0, 2, 3, 1).flatten(2)


def _along(values: Tensor, x_BCHW: Tensor) -> Tensor:
    """(C) or (B, C) values as factors of `_rows(x)`, in its type."""
    values = values.to(x_BCHW.dtype)
    if _layout(x_BCHW) is torch.contiguous_format:
        return values[..., None]
    return values.repeat(*(1,) * (values.ndim - 1), x_BCHW.shape[3])[..., None, :]


def _sums(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)
