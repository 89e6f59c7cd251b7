"""Convolutions of 3 × 3, in training on a CPU, with a quarter of the multiplications.

Winograd's minimal filtering F(4 × 4, 3 × 3) as Lavin and Gray give it for networks ("Fast Algorithms for Convolutional
Neural Networks", CVPR 2016): of each 6 × 6 tile of the input come 4 × 4 pixels of the output, by 36 products for each
pair of channels in place of 144. Here input, weights and output are brought over by matrices that are the Kronecker
square of theirs, and the products of all tiles are 36 matrix products. The backward pass is its transpose: it costs as
few, and nothing is kept for it but the input. Results differ from the plain sum's by 1e-5 of the largest.

What torch calls here (oneDNN) runs at the rate of plain sums: docs/LOG.md has what this gains.

Shape suffixes: B batch, C channels in, O channels out, H and W pixels, R and Q rows and columns of tiles, P tiles.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

_TILE, _OUT = 6, 4  # pixels along a side of what a tile sees, and gives
_POINTS = _TILE * _TILE
_TAPS = 9
_LEAST_CHANNELS = 32  # fewer, and bringing over costs more than is saved
_LEAST_TILES = 32  # fewer, and the weights' bringing over does
# Numbers, 8 MiB: what one step of the work has at the most of tiles, of weights or of their products.
_BLOCK = 1 << 21

KEPT = 7 * 4 * _BLOCK
"""Bytes that a process keeps for it at the most, but where a row of tiles is more than a block: see `_kept`."""


def _square(rows: list[list[float]]) -> Tensor:
    matrix = torch.tensor(rows, dtype=torch.float64)
    return torch.kron(matrix, matrix).float().contiguous()


# Lavin and Gray, equation (14): input, weights, output
_INPUT = _square(
    [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
     [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]]
)  # fmt: skip
_WEIGHT = _square(
    [[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6],
     [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]]
)  # fmt: skip
_OUTPUT = _square([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]])


class Convolution(nn.Conv2d):
    """`nn.Conv2d` of 3 × 3 with a margin of 1, computed the short way where that pays.

    Attributes:
        short: whether it may be.
    """

    short = True

    def __init__(self, channels: int, out: int) -> None:
        super().__init__(channels, out, 3, padding=1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        if not self.short or not _trains(x_BCHW, self.weight):
            return super().forward(x_BCHW)
        if pays(x_BCHW.shape, self.out_channels):
            return convolved(x_BCHW, self.weight, self.bias)
        return super().forward(x_BCHW.contiguous())  # laid as the weights, which are copied otherwise


def allow(net: nn.Module, allowed: bool) -> None:
    """Let a network take the short way, or have it add up plainly throughout."""
    for module in net.modules():
        if isinstance(module, Convolution):
            module.short = allowed


def pays(shape_BCHW: torch.Size, channels_out: int) -> bool:
    """Whether the short way is shorter for an input of this shape."""
    count, channels, height, width = shape_BCHW
    tiles = count * -(-height // _OUT) * -(-width // _OUT)
    return min(channels, channels_out) >= _LEAST_CHANNELS and tiles >= _LEAST_TILES


def convolved(x_BCHW: Tensor, weight_OC33: Tensor, bias_O: Tensor | None = None) -> Tensor:
    """As `functional.conv2d` with a margin of 1: (B, O, H, W) float32, channels last."""
    found: Tensor = _Convolved.apply(x_BCHW, weight_OC33, bias_O)  # type: ignore[no-untyped-call]
    return found


def _trains(x: Tensor, weight: Tensor) -> bool:
    """What else convolves (exports, merges, what is compiled, other precisions) does it plainly, and to the bit."""
    return (
        torch.is_grad_enabled()
        and weight.requires_grad
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    )


class _Convolved(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_BCHW: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x_BCHW, weight)
        ctx.biased = bias is not None
        (b, c, h, w), o = x_BCHW.shape, len(weight)
        tiles = _tiles(x_BCHW)
        rows, columns = tiles.shape[3:5]
        out = x_BCHW.new_empty(b, o, _OUT * rows, _OUT * columns).contiguous(
            memory_format=torch.channels_last
        )
        pixels = _pixels(out)
        for images, bands in _parts(tiles, o):
            part = tiles[:, :, images, bands]
            seen, shape = _seen(part), part.shape[2:5]
            for some in _channels(o, c):
                size = some.stop - some.start
                weights = _weights(weight[some])
                products = torch.bmm(
                    seen, weights.transpose(1, 2), out=_kept("products", _POINTS, seen.shape[1], size)
                )
                made = torch.mm(
                    _OUTPUT, products.view(_POINTS, -1), out=_kept("made", _OUT * _OUT, products[0].numel())
                )
                if bias is not None:
                    made.view(-1, size).add_(bias[some])
                pixels[:, :, images, bands, :, some] = made.view(_OUT, _OUT, *shape, size)
        if (h, w) != out.shape[2:]:
            out = out[:, :, :h, :w].contiguous(memory_format=torch.channels_last)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_BOHW: Tensor) -> tuple[Tensor | None, Tensor, Tensor | None]:
        x, weight = ctx.saved_tensors
        (b, c, h, w), o = x.shape, len(weight)
        tiles = _tiles(x)
        rows, columns = tiles.shape[3:5]
        margin = 0, _OUT * columns - w, 0, _OUT * rows - h
        grad = functional.pad(grad_BOHW, margin) if any(margin) else grad_BOHW
        pixels = _pixels(grad.contiguous(memory_format=torch.channels_last))
        to_weight = torch.empty(o, c * _TAPS)
        to_x = torch.zeros(b, _OUT * (rows + 1), _OUT * (columns + 1), c) if ctx.needs_input_grad[0] else None
        for number, (images, bands) in enumerate(_parts(tiles, o)):
            part = tiles[:, :, images, bands]
            seen, shape = _seen(part), part.shape[2:5]
            count = seen.shape[1]
            to_seen = _kept("to seen", _POINTS, count, c)
            for some in _channels(o, c):
                size = some.stop - some.start
                given = _kept("made", _OUT, _OUT, *shape, size).copy_(pixels[:, :, images, bands, :, some])
                to_products = torch.mm(
                    _OUTPUT.t(), given.view(_OUT * _OUT, -1), out=_kept("products", _POINTS, count * size)
                ).view(_POINTS, count, size)
                if to_x is not None:
                    beta = min(some.start, 1)
                    torch.baddbmm(to_seen, to_products, _weights(weight[some]), beta=beta, out=to_seen)
                to_weights = torch.bmm(
                    to_products.transpose(1, 2), seen, out=_kept("to weight", _POINTS, size, c)
                )
                sums, more = to_weight[some].view(-1, _TAPS), to_weights.view(_POINTS, -1).t()
                torch.addmm(sums, more, _WEIGHT, beta=min(number, 1), out=sums)
            if to_x is not None:
                _overlay(to_x[images, _OUT * (bands.start or 0) :], to_seen, shape)
        found = None if to_x is None else to_x[:, 1 : h + 1, 1 : w + 1].permute(0, 3, 1, 2)
        return found, to_weight.view_as(weight), grad_BOHW.sum(dim=(0, 2, 3)) if ctx.biased else None


def _tiles(x_BCHW: Tensor) -> Tensor:
    """(6, 6, B, R, Q, C) the tiles, overlapping by 2, with a margin of 1; a view of one copy of x."""
    b, c, h, w = x_BCHW.shape
    rows, columns = -(-h // _OUT), -(-w // _OUT)
    x = x_BCHW.new_empty(b, _OUT * rows + 2, _OUT * columns + 2, c)
    x[:, 1 : h + 1, 1 : w + 1] = x_BCHW.permute(0, 2, 3, 1)
    for border in (x[:, 0], x[:, h + 1 :], x[:, :, 0], x[:, :, w + 1 :]):
        border.zero_()
    image, row, column, _ = x.stride()
    return x.as_strided(
        (_TILE, _TILE, b, rows, columns, c), (row, column, image, _OUT * row, _OUT * column, 1)
    )


def _pixels(x_BOHW: Tensor) -> Tensor:
    """(4, 4, B, R, Q, O) what the tiles give; a view of a picture whose channels are last."""
    b, o, h, w = x_BOHW.shape
    x = x_BOHW.permute(0, 2, 3, 1).view(b, h // _OUT, _OUT, w // _OUT, _OUT, o)
    return x.permute(2, 4, 0, 1, 3, 5)


def _parts(tiles: Tensor, o: int) -> Iterator[tuple[slice, slice]]:
    """Pictures and rows of tiles that are one block: whole pictures, or a part of one. `o`: channels out."""
    count, rows, columns, c = tiles.shape[2:]
    widest = max(c, min(o, _width(c)))
    fit = max(1, _BLOCK // (_POINTS * columns * widest))  # rows
    many = fit // rows
    for first in range(0, count, max(1, many)):
        if many:
            yield slice(first, first + many), slice(None)
        else:
            for row in range(0, rows, fit):
                yield slice(first, first + 1), slice(row, row + fit)


def _channels(o: int, c: int) -> Iterator[slice]:
    """Channels out, as many at a time as keep their weights in a block."""
    for first in range(0, o, _width(c)):
        yield slice(first, min(o, first + _width(c)))


def _width(c: int) -> int:
    return max(16, _BLOCK // (_POINTS * c) // 16 * 16)


def _seen(tiles: Tensor) -> Tensor:
    """(36, P, C) tiles brought over."""
    c = tiles.shape[-1]
    cut = _kept("cut", *tiles.shape).copy_(tiles).view(_POINTS, -1)
    return torch.mm(_INPUT, cut, out=_kept("seen", *cut.shape)).view(_POINTS, -1, c)


def _weights(weight_OC33: Tensor) -> Tensor:
    """(36, O, C) weights brought over."""
    o, c = weight_OC33.shape[:2]
    taps = weight_OC33.reshape(-1, _TAPS).t()
    return torch.mm(_WEIGHT, taps, out=_kept("weights", _POINTS, o * c)).view(_POINTS, o, c)


def _overlay(x: Tensor, to_seen: Tensor, shape: torch.Size) -> None:
    """Add tiles (36, P, C), B·R·Q of them, brought over, where they lie in x (B, >= 4·R + 2, 4·Q + 4, C)."""
    _, rows, columns = shape
    back = torch.mm(_INPUT.t(), to_seen.view(_POINTS, -1), out=_kept("cut", _POINTS, to_seen[0].numel()))
    tiles = back.view(_TILE, _TILE, *shape, -1)
    for i in range(_TILE):
        for j in range(_TILE):
            x[:, i : i + _OUT * rows : _OUT, j : j + _OUT * columns : _OUT] += tiles[i, j]


class _Store(threading.local):
    def __init__(self) -> None:
        self.kept: dict[str, Tensor] = {}


_store = _Store()


def _kept(name: str, *shape: int) -> Tensor:
    """Memory for what is gone when the block is done, the same each time: fresh pages cost as much as the sums."""
    size = torch.Size(shape).numel()
    kept = _store.kept.get(name)
    if kept is None or kept.numel() < size:
        kept = _store.kept[name] = torch.empty(size)
    return kept[:size].view(shape)
