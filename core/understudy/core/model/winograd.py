"""Convolutions of 3 × 3, in training on a CPU, with a quarter of the multiplications.

Winograd's minimal filtering F(4 × 4, 3 × 3) as Lavin and Gray give it for networks ("Fast Algorithms for Convolutional
Neural Networks", CVPR 2016): of each 6 × 6 tile of the input come 4 × 4 pixels of the output, by 36 products for each
pair of channels in place of 144. Here input and output are brought over by their matrices along one side of a tile
and then the other, weights by the Kronecker square of theirs; the products of all tiles are 36 matrix products, of
which 6 are made at a time, so that what is brought over of weights stays in cache. Each of torch's threads does a part
of the layer. The backward pass is the transpose: it costs as few, and nothing is kept for it but the input.
Results differ from the plain sum's by 1e-5 of the largest.

What torch calls here (oneDNN) runs at the rate of plain sums: docs/LOG.md has what this gains.

Shape suffixes: B batch, C channels in, O channels out, H and W pixels, R and Q rows and columns of tiles, P tiles.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from math import gcd
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from understudy.core.model.parallel import together

_TILE, _OUT = 6, 4  # pixels along a side of what a tile sees, and gives
_POINTS = _TILE * _TILE
_TAPS = 9
_LEAST_CHANNELS = 64  # fewer, and bringing over costs more than is saved
_LEAST_TILES = 32  # fewer, and the weights' bringing over does
_LEAST_PRODUCTS = 3 << 20  # tiles by channels in by channels out: fewer, and there is little to save
_FEW_PIXELS = 512  # of a batch; more, and oneDNN's convolution is as fast in bfloat16
# Numbers of 4 bytes
_BLOCK = 5 << 19  # what one step of the work has at the most of tiles or of their products
_LAYER = 3 << 17  # and of weights brought over
_PIECE = 1 << 19  # what is brought over in one go of tiles

_PARTS = 8  # of a layer, at the most: each has memory of its own
_KEPT = 4 * (2 * _BLOCK + 5 * _LAYER // 2 + 2 * _PIECE)  # bytes, of one part: see `_kept`

# Lavin and Gray, equation (14): input, weights, output
_INPUT = torch.tensor(
    [[4.0, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
     [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]]
)  # fmt: skip
_SIDE = torch.tensor(
    [[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6],
     [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]], dtype=torch.float64
)  # fmt: skip
_WEIGHT = torch.kron(_SIDE, _SIDE).float().contiguous()
_OUTPUT = torch.tensor([[1.0, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]])
_ROWS = tuple(slice(first, first + _TILE) for first in range(0, _POINTS, _TILE))  # of a tile's points


class Convolution(nn.Conv2d):
    """`nn.Conv2d` of 3 × 3 with a margin of 1, computed the short way where that pays.

    Attributes:
        short: whether it may be.
    """

    short = True

    def __init__(self, channels: int, out: int) -> None:
        super().__init__(channels, out, 3, padding=1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        if self.short and _trains_narrowly(x_BCHW, self.weight):
            return product(x_BCHW, self.weight, self.bias)
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
    wide = min(channels, channels_out) >= _LEAST_CHANNELS
    return wide and tiles >= _LEAST_TILES and tiles * channels * channels_out >= _LEAST_PRODUCTS


def kept() -> int:
    """Bytes that a process keeps for it at the most, but where a row of tiles is more than a block."""
    parts = min(_PARTS, torch.get_num_threads())
    return _KEPT * (parts + (parts > 1))  # a training also tries one thread, which is another


def convolved(x_BCHW: Tensor, weight_OC33: Tensor, bias_O: Tensor | None = None) -> Tensor:
    """As `functional.conv2d` with a margin of 1: (B, O, H, W) float32, channels last."""
    found: Tensor = _Convolved.apply(x_BCHW, weight_OC33, bias_O)  # type: ignore[no-untyped-call]
    return found


def product(x_BCHW: Tensor, weight_OC33: Tensor, bias_O: Tensor | None = None) -> Tensor:
    """As `functional.conv2d` with a margin of 1, as one matrix product: (B, O, H, W), channels last.

    Of small pictures and many channels that is weights before all: oneDNN lays them anew for each convolution.
    """
    height, width = x_BCHW.shape[2:]
    x = functional.pad(x_BCHW.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
    taps = [x[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]
    found = functional.linear(torch.cat(taps, dim=-1), weight_OC33.permute(0, 2, 3, 1).flatten(1), bias_O)
    return found.permute(0, 3, 1, 2)


def _trains_narrowly(x: Tensor, weight: Tensor) -> bool:
    """Whether it is a training in bfloat16 for which `product` pays."""
    return (
        torch.is_grad_enabled()
        and weight.requires_grad
        and x.device.type == "cpu"
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == torch.bfloat16
        and weight.is_contiguous(memory_format=torch.channels_last)
        and x.shape[0] * x.shape[2] * x.shape[3] <= _FEW_PIXELS
        and not torch.compiler.is_compiling()
    )


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
        (b, _, h, w), o = x_BCHW.shape, len(weight)
        tiles = _tiles(x_BCHW)
        rows, columns = tiles.shape[3:5]
        out = x_BCHW.new_empty(b, o, _OUT * rows, _OUT * columns).contiguous(
            memory_format=torch.channels_last
        )
        pixels = _pixels(out)

        def work(part: _Part) -> None:
            images, some = part
            own = None if bias is None else bias[some]
            _forward(tiles[:, :, images], weight[some], own, pixels[:, :, images, ..., some])

        together(work, _parts(tiles.shape, o))
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
        parts = _parts(tiles.shape, o)
        # of what several parts add to, one for each
        to_weights = {images.start: torch.empty(o, c, _TAPS) for images, _ in parts}
        shape = b, _OUT * (rows + 1), _OUT * (columns + 1), c
        to_xs = {some.start: torch.zeros(shape) for _, some in parts} if ctx.needs_input_grad[0] else {}

        def work(part: _Part) -> None:
            images, some = part
            _backward(
                tiles[:, :, images],
                pixels[:, :, images, ..., some],
                weight[some],
                to_weights[images.start][some],
                to_xs[some.start][images] if to_xs else None,
            )

        together(work, parts)
        to_x = _added(to_xs)[:, 1 : h + 1, 1 : w + 1].permute(0, 3, 1, 2) if to_xs else None
        to_bias = grad_BOHW.sum(dim=(0, 2, 3)) if ctx.biased else None
        return to_x, _added(to_weights).view(weight.shape), to_bias


_Part: TypeAlias = tuple[slice, slice]  # pictures, and channels out


def _parts(tiles: torch.Size, o: int) -> list[_Part]:
    """A part for each of torch's threads, of tiles (6, 6, B, R, Q, C): some of the pictures, or of channels out.

    All parts of the pictures bring all weights over, those of channels out all tiles: whichever is less.
    """
    count, rows, columns = tiles[2:5]
    threads = min(_PARTS, torch.get_num_threads())
    many = gcd(count, threads) if 2 * count * rows * columns >= o else 1
    few = max(1, min(threads // many, o // _LEAST_CHANNELS))
    wide = -(-o // (16 * few)) * 16
    return [
        (slice(first, first + count // many), slice(channel, min(o, channel + wide)))
        for first in range(0, count, count // many)
        for channel in range(0, o, wide)
    ]


def _added(some: dict[int, Tensor]) -> Tensor:
    first, *others = some.values()
    for each in others:
        first += each
    return first


def _forward(tiles: Tensor, weight_OC33: Tensor, bias_O: Tensor | None, pixels: Tensor) -> None:
    """Tiles (6, 6, B, R, Q, C) convolved, written to pixels (4, 4, B, R, Q, O)."""
    o, c = weight_OC33.shape[:2]
    for images, bands in _blocks(tiles.shape, o):
        seen = _brought(_INPUT, tiles[:, :, images, bands], "seen")
        products = _kept("products", _POINTS, seen.shape[1], o)
        for points in _ROWS:
            for some in _channels(o, c):
                weights = _weights(weight_OC33[some], points)
                torch.bmm(seen[points], weights.transpose(1, 2), out=products[points, :, some])
        _put(pixels[:, :, images, bands], products, bias_O)


def _backward(
    tiles: Tensor, pixels: Tensor, weight_OC33: Tensor, to_weight: Tensor, to_x: Tensor | None
) -> None:
    """From the gradient of pixels: that of the weights, written to (O, C, 9), and of x, added to (B, H, W, C)."""
    o, c = weight_OC33.shape[:2]
    for number, (images, bands) in enumerate(_blocks(tiles.shape, o)):
        part = tiles[:, :, images, bands]
        to_products = _brought(_OUTPUT.t(), pixels[:, :, images, bands], "products")
        if to_x is not None:
            to_seen = _kept("seen", _POINTS, to_products.shape[1], c)
            for points in _ROWS:
                onto = to_seen[points]
                for some in _channels(o, c):
                    weights = _weights(weight_OC33[some], points)
                    torch.baddbmm(
                        onto, to_products[points, :, some], weights, beta=min(some.start, 1), out=onto
                    )
            _overlay(
                _pixels(to_x.permute(0, 3, 1, 2))[:, :, images, bands.start : bands.stop + 1],
                to_seen,
                part.shape,
            )
        seen = _brought(_INPUT, part, "seen")
        for some in _channels(o, c):
            size = some.stop - some.start
            sums = _kept("sums", _TAPS, size * c)
            for points in _ROWS:
                to_weights = torch.bmm(
                    to_products[points, :, some].transpose(1, 2),
                    seen[points],
                    out=_kept("weights", _TILE, size, c),
                ).view(_TILE, -1)
                torch.addmm(sums, _WEIGHT[points].t(), to_weights, beta=min(points.start, 1), out=sums)
            here = to_weight[some].view(-1, _TAPS)
            if number:
                here += sums.t()
            else:
                here.copy_(sums.t())


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


def _blocks(tiles: torch.Size, o: int) -> Iterator[tuple[slice, slice]]:
    """Pictures and rows of tiles (6, 6, B, R, Q, C) that are one block."""
    return _cut(tiles, max(o, tiles[-1]), _BLOCK)


def _cut(tiles: torch.Size, channels: int, most: int) -> Iterator[tuple[slice, slice]]:
    """Pictures and rows of tiles that are `most` numbers: whole pictures, or a part of one."""
    count, rows, columns = tiles[2:5]
    fit = max(1, most // (_POINTS * columns * channels))  # rows
    many = fit // rows
    for first in range(0, count, max(1, many)):
        for row in range(0, rows, rows if many else fit):
            yield slice(first, min(count, first + max(1, many))), slice(row, min(rows, row + fit))


def _channels(o: int, c: int) -> Iterator[slice]:
    """Channels out, as many at a time as keep their weights in a block."""
    for first in range(0, o, _width(c)):
        yield slice(first, min(o, first + _width(c)))


def _width(c: int) -> int:
    return max(16, _LAYER // (_TILE * c) // 16 * 16)


def _brought(side: Tensor, x: Tensor, name: str) -> Tensor:
    """(36, P, C) of x (n, n, B, R, Q, C), by a matrix (6, n) along both sides; kept by that name."""
    n, c = len(x), x.shape[-1]
    found = _kept(name, _POINTS, x[0, 0, ..., 0].numel(), c)
    for images, bands, place in _pieces(x.shape):
        piece = x[:, :, images, bands]
        laid = _kept("piece", *piece.shape).copy_(piece).view(n, -1)
        half = torch.mm(side, laid, out=_kept("half", _TILE, laid.shape[1])).view(_TILE, n, -1)
        torch.bmm(side.expand(_TILE, -1, -1), half, out=found[:, place].view(_TILE, _TILE, -1))
    return found


def _pieces(tiles: torch.Size) -> Iterator[tuple[slice, slice, slice]]:
    """Pictures and rows of tiles (…, B, R, Q, C) that are one piece, and which of P they are."""
    rows, columns, c = tiles[3:]
    for images, bands in _cut(tiles, c, _PIECE):
        yield (
            images,
            bands,
            slice(
                (images.start * rows + bands.start) * columns,
                ((images.stop - 1) * rows + bands.stop) * columns,
            ),
        )


def _taken(side: Tensor, x_36PC: Tensor) -> Tensor:
    """(n, n·P·C) of x, by a matrix (n, 6) along both sides; good until the next piece."""
    n = len(side)
    half = _kept("half", _TILE, n, x_36PC[0].numel())
    torch.bmm(side.expand(_TILE, -1, -1), x_36PC.view(_TILE, _TILE, -1), out=half)
    half = half.view(_TILE, -1)
    return torch.mm(side, half, out=_kept("piece", n, half.shape[1]))


def _put(pixels: Tensor, products: Tensor, bias: Tensor | None) -> None:
    """Products (36, P, O) as pixels (4, 4, B, R, Q, O), and the bias on top."""
    for images, bands, place in _pieces(pixels.shape):
        here = pixels[:, :, images, bands]
        made = _taken(_OUTPUT, products[:, place])
        if bias is not None:
            made.view(-1, len(bias)).add_(bias)
        here.copy_(made.view(here.shape))


def _weights(weight_OC33: Tensor, points: slice) -> Tensor:
    """(6, O, C) weights brought over, those of some points."""
    o, c = weight_OC33.shape[:2]
    taps = weight_OC33.reshape(-1, _TAPS).t()
    return torch.mm(_WEIGHT[points], taps, out=_kept("weights", _TILE, o * c)).view(_TILE, o, c)


def _overlay(onto: Tensor, to_seen: Tensor, tiles: torch.Size) -> None:
    """Add tiles (6, 6, B, R, Q, C), brought over: (36, P, C), to the pixels (4, 4, B, R + 1, Q + 1, C) they lie on."""
    columns, over = tiles[4], _TILE - _OUT
    for images, bands, place in _pieces(tiles):
        here, rows = onto[:, :, images], bands.stop - bands.start
        shape = _TILE, _TILE, images.stop - images.start, rows, *tiles[4:]
        back = _taken(_INPUT.t(), to_seen[:, place]).view(shape)
        here[:, :, :, bands, :columns] += back[:_OUT, :_OUT]
        below = slice(bands.start + 1, bands.stop + 1)
        here[:over, :, :, below, :columns] += back[_OUT:, :_OUT]
        here[:, :over, :, bands, 1:] += back[:_OUT, _OUT:]
        here[:over, :over, :, below, 1:] += back[_OUT:, _OUT:]


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
