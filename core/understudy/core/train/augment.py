"""Every sample differs: moves, light, a warp of the input, and what lenses and codecs do to it.

The network sees a *warped* and spoilt crop and must paint the straight and clean one, so that it learns the face and
not the picture. Colour transfer comes first, then moves and light, which input and target share; then, for the input
alone, hue, shadow, motion, focus, resolution, noise and JPEG, in the order in which they befall a picture. All on the
training device: on CPUs one sample after the other, elsewhere one person's at a time.

Parameters are drawn on the CPU from one seeded generator, all of them at each call and in one order, so that all
devices see the same samples and an option that is turned on changes none of the others' draws.

Ranges are DeepFaceLab's (core/imagelib/warp.py) where it has them, but for its quirks. Its two displacement fields are
one and the same transposed, which makes warps √2 stronger along the diagonal and never independent; ours are
independent, at equal strength. It has one switch for both people's flips; ours have one each.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple, Protocol

import torch
from torch import Generator, Tensor
from torch.nn import functional

from understudy.core.train import degrade, transfer
from understudy.core.train.augmentation import Augmentation
from understudy.core.train.colours import apart, mixed, onto, plainly, power_, turns
from understudy.core.train.resampling import sampled

CELLS = (2, 4, 8)  # of the warp's grid along a side
REACH = 0.24 * math.sqrt(2)  # the farthest a grid point moves, in cells
_CUT = 2.5  # standard deviations at which the displacement is cut
_LOOKED_AT = 80  # pixels along a side, or a few more, that colour transfer is fitted on
_DRAWS = 9  # for each sample and each way to spoil it
_WIDE = 256  # pixels: widths are those of samples of this side
_TAPS = 4  # of a picture that moves
_GRAIN = 0.04  # deviation of noise at most, in codes
_COARSE = (0.1, 0.6, 1.0)  # pixels: deviations of what makes noise coarse


def pairs(
    src_BCHW: Tensor,
    dst_BCHW: Tensor,
    side: int,
    amount: Augmentation,
    generator: Generator,
    *,
    share: float,
) -> tuple[Tensor, Tensor]:
    """Warped and spoilt inputs and straight targets of one draw, src first.

    Where the input is warped it is sampled bilinearly, which costs a third of a bicubic sample.

    Args:
        src_BCHW, dst_BCHW: crops of the two people, (B, C, M, M) of any precision: three colours in swap space, then
            mattes.
        side: of the samples, in pixels.
        generator: on the CPU.
        share: of the crop's side that a sample without any augmentation shows; the rest is margin.

    Returns:
        inputs (2B, 3, side, side); targets (2B, C, side, side), colours and mattes. All in [0, 1].
    """
    sizes, device, size = [len(src_BCHW), len(dst_BCHW)], src_BCHW.device, src_BCHW.shape[-1]
    inputs = torch.empty(sum(sizes), 3, side, side, device=device)
    targets = torch.empty(sum(sizes), src_BCHW.shape[1], side, side, device=device)
    with plainly(device):
        change = _transfer(src_BCHW[:, :3], dst_BCHW[:, :3], amount.transfer, generator)
        drawn = _draw(sizes, size, amount, generator, share=share)
        for person, first, seen in ((src_BCHW, 0, change), (dst_BCHW, len(src_BCHW), transfer.none)):
            for some in _parts(person):
                rows = slice(first + some.start, first + some.stop)
                (down, along), own = drawn.part(rows).within(size)
                rgb, mattes = apart(person[some, :, down, along], 3)
                rgb = seen(rgb, transfer.Part(some, down, along, (size, size)))
                _make(rgb, mattes, own, amount, made=inputs[rows], target=targets[rows])
    return inputs, targets


def _parts(x: Tensor) -> list[slice]:
    """Which of the samples x (B, ...) to work out at a time: a CPU's cache holds one and what becomes of it."""
    few = 1 if x.device.type == "cpu" else max(1, len(x))
    return [slice(start, min(start + few, len(x))) for start in range(0, len(x), few)]


class _Drawn(NamedTuple):
    """What B samples differ by, on the CPU; see the functions that draw it. Places are pixels of a crop, x and y."""

    moves: Tensor  # (B, 2, 3)
    bends: Tensor  # (B, 2, N, N)
    gains: Tensor  # (B, 3, 1, 1)
    curves: Tensor  # (B, 1, 1, 1)
    turns: Tensor  # (B, 3, 3), of hues and saturation
    spoils: Tensor  # (B, K, 1 + _DRAWS), of each of `_SPOILS` whether and how
    ends: Tensor  # (B, 2, 2)

    def part(self, rows: slice) -> _Drawn:
        return _Drawn(*(each[rows] for each in self))

    def within(self, size: int) -> tuple[tuple[slice, slice], _Drawn]:
        """Rows and columns of crops of `size` pixels that the samples show, and the same as drawn for these alone.

        The rest, a quarter of a crop, need not be worked out.
        """
        low, high = self.ends[:, 0].amin(0).tolist(), self.ends[:, 1].amax(0).tolist()
        columns, rows = (_shown(*ends, size) for ends in zip(low, high, strict=True))
        moves = self.moves.clone()
        moves[..., 2] -= torch.tensor([columns.start, rows.start])
        return (rows, columns), self._replace(moves=moves)


def _shown(low: float, high: float, size: int) -> slice:
    """The pixels, of `size`, that a cubic reads between two places; one more, as places are rounded."""
    return slice(min(max(math.floor(low) - 2, 0), size - 1), min(max(math.floor(high) + 4, 1), size))


def _draw(sizes: list[int], size: int, amount: Augmentation, generator: Generator, *, share: float) -> _Drawn:
    """Of both people's samples, src's first, in crops of `size` pixels."""
    count = sum(sizes)
    moves, bends = (each * (size / 2) for each in _strays(sizes, amount, generator, share=share))
    moves[..., 2] += (size - 1) / 2
    light = _light(count, amount, generator)
    shift = uniform(generator, count, 2)
    hues = turns(shift[:, 0] * math.radians(amount.hue), 1 + shift[:, 1] * amount.saturation)
    spoils = torch.stack([torch.rand(count, 1 + _DRAWS, generator=generator) for _ in _SPOILS], 1)
    return _Drawn(moves, bends, *light, hues, spoils, _ends(moves, bends))


def _ends(moves: Tensor, bends: Tensor) -> Tensor:
    """(B, 2, 2): where in the crop samples begin and end along x and y; arguments as those of `_places`.

    The warp's nodes say it, as what lies between four of them stays there.
    """
    at = torch.linspace(-1, 1, bends.shape[-1])
    along, down, shift = moves[..., None, None].unbind(2)
    plain = along * at + down * at[:, None] + shift
    both = torch.stack([plain, plain + bends], 2).flatten(2)
    return torch.stack([both.amin(2), both.amax(2)], 1)


def _make(
    rgb: Tensor, mattes: Tensor, drawn: _Drawn, amount: Augmentation, *, made: Tensor, target: Tensor
) -> None:
    """Write inputs (B, 3, S, S) and targets (B, C, S, S) of crops (B, 3, H, W) and mattes (B, C - 3, H, W)."""
    moves, bends, gains, curves = (onto(each, rgb.device) for each in drawn[:4])
    plain, bent = _places(moves, bends, made.shape[-1])
    sampled(mattes, plain, "bilinear", target[:, 3:]).clamp_(0, 1)
    clean = _lit(sampled(rgb, plain, "bicubic", target[:, :3]), gains, curves, amount)
    if amount.warp:
        _lit(sampled(rgb, bent, "bilinear", made), gains, curves, amount)
    else:
        made.copy_(clean)
    # a filter's weights add up to 1 but for rounding
    torch.clamp(_spoilt(made, drawn, amount), 0, 1, out=made)


def straight(crops_BCHW: Tensor, side: int, *, share: float) -> Tensor:
    """The samples (B, C, side, side) without any augmentation."""
    still = torch.eye(2, 3)[None].expand(len(crops_BCHW), 2, 3) * share
    grid = functional.affine_grid(still, [len(crops_BCHW), 1, side, side], align_corners=False)
    return sample(crops_BCHW, onto(grid, crops_BCHW.device), "bicubic")


class Moves(Protocol):
    """What strays in place, of an augmentation; see `Augmentation`."""

    @property
    def rotation(self) -> float: ...
    @property
    def scale(self) -> float: ...
    @property
    def shift(self) -> float: ...


def sample(x_BCHW: Tensor, grid: Tensor, mode: str) -> Tensor:
    """(B, C, h, w) of the picture at `grid`, held to [0, 1]; beyond the crop are its edge pixels."""
    places = [
        (at + 1) * (size / 2) - 0.5 for at, size in zip(grid.unbind(-1), x_BCHW.shape[:1:-1], strict=True)
    ]
    return sampled(x_BCHW, torch.stack(places, 1), mode).clamp_(0, 1)  # bicubic overshoots


def uniform(generator: Generator, *shape: int) -> Tensor:
    """-1 to 1."""
    return torch.rand(*shape, generator=generator) * 2 - 1


def affine(count: int, amount: Moves, flip: float | Tensor, generator: Generator) -> Tensor:
    """(B, 2, 3): where in the crop, from -1 to 1, a point of the sample lies; `flip` is the chance, (B,) or one."""
    turn = uniform(generator, count) * math.radians(amount.rotation)
    low, high = 1 / (1 + amount.scale), 1 + amount.scale
    zoom = 1 / (low + (high - low) * torch.rand(count, generator=generator))
    mirror = 1 - 2 * (torch.rand(count, generator=generator) < flip).float()
    shift = uniform(generator, count, 2) * 2 * amount.shift
    cos, sin = zoom * turn.cos(), zoom * turn.sin()
    linear = torch.stack([torch.stack([cos * mirror, -sin], 1), torch.stack([sin * mirror, cos], 1)], 1)
    return torch.cat([linear, shift[:, :, None]], 2)


def field(count: int, side: int, strength: float, generator: Generator) -> Tensor:
    """(B, side, side, 2): displacements in units of half a side; each sample has a grid of 2, 4 or 8 cells."""
    choice = torch.randint(len(CELLS), (count,), generator=generator)
    total = torch.zeros(count, 2, side, side)
    for index, cells in enumerate(CELLS):
        u = uniform(generator, count, 2, cells + 1, cells + 1)
        z = math.sqrt(2) * torch.erfinv(u * math.erf(_CUT / math.sqrt(2)))  # normal, cut
        z[:, :, [0, -1], :] = 0
        z[:, :, :, [0, -1]] = 0  # the border stays
        moved = functional.interpolate(z / _CUT, (side, side), mode="bilinear", align_corners=True)
        total += moved * (REACH * 2 / cells * strength) * (choice == index)[:, None, None, None]
    return total.permute(0, 2, 3, 1)


def _strays(
    sizes: list[int], amount: Augmentation, generator: Generator, *, share: float
) -> tuple[Tensor, Tensor]:
    """Moves (B, 2, 3) of both people's samples, src's first, and bends (B, 2, N, N), see `_places`; the crop from -1
    to 1."""
    flips = torch.tensor([amount.flip_src, amount.flip_dst]).repeat_interleave(torch.tensor(sizes))
    moves = affine(len(flips), amount, flips, generator) * share
    bends = field(len(flips), CELLS[-1] + 1, amount.warp, generator)
    # the field bends the sample's own square, which then moves
    return moves, torch.einsum("bij,byxj->biyx", moves[:, :, :2], bends)


def _places(moves: Tensor, bends: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Where in the crop the pixels lie, along x and y: (B, 2, side, side), not warped and warped.

    Args:
        moves: (B, 2, 3), by which a point of the sample, from -1 to 1, lies in the crop.
        bends: (B, 2, N, N): how far the warp moves its nodes, in the crop; between them it is linear.
    """
    at, spread = _raster(side, bends.shape[-1], moves.device)
    along, down, shift = moves[..., None, None].unbind(2)
    plain = (along * at + shift) + down * at[:, None]
    return plain, (spread @ bends @ spread.T).add_(plain)


@lru_cache(maxsize=2)
def _raster(side: int, nodes: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Where pixels lie in the sample, from -1 to 1, (side,), and how much each has of each node, (side, nodes)."""
    pixels = torch.arange(side, device=device)
    away = pixels[:, None] * ((nodes - 1) / (side - 1)) - torch.arange(nodes, device=device)
    return (2 * pixels + 1) / side - 1, (1 - away.abs()).clamp(min=0)


def _light(count: int, amount: Augmentation, generator: Generator) -> tuple[Tensor, Tensor]:
    """(B, 3, 1, 1) gains and (B, 1, 1, 1) exponents, of codes: those go about as the square root of light."""
    exposure = uniform(generator, count, 1) * amount.exposure
    tint = uniform(generator, count, 3) * amount.tint
    curve = uniform(generator, count, 1, 1, 1) * math.log1p(amount.gamma)
    return (1 + exposure + tint)[:, :, None, None], curve.exp()


def _transfer(src: Tensor, dst: Tensor, kind: str, generator: Generator) -> transfer.Change:
    """What gives src's colours (B, 3, M, M) those of dst samples (B', 3, M, M), for each of any of them."""
    like = torch.randint(len(dst), (len(src),), generator=generator)
    own = Generator().manual_seed(int(torch.randint(2**62, (), generator=generator)))
    if kind == "none":
        return transfer.none
    every = max(1, src.shape[-1] // _LOOKED_AT)
    some, wanted = (each[..., ::every, ::every].contiguous().float() for each in (src, dst))
    change = transfer.fit(kind, some, wanted[onto(like, dst.device)], own)
    return lambda x, part: change(x, part).clamp_(0, 1)


def _lit(x: Tensor, gain: Tensor, curve: Tensor, amount: Augmentation) -> Tensor:
    """x (B, 3, S, S) in another light, in place; held to [0, 1]."""
    x.mul_(gain).clamp_(1e-6 if amount.gamma else 0, 1)
    return power_(x, curve) if amount.gamma else x


def _spoilt(x: Tensor, drawn: _Drawn, amount: Augmentation) -> Tensor:
    """What befalls the inputs (B, 3, S, S) alone, whose memory it takes; in [0, 1] but for rounding."""
    if amount.hue or amount.saturation:
        x = mixed(x, drawn.turns).clamp_(0, 1)
    for draws, dice, (name, change) in zip(
        drawn.spoils.unbind(1), drawn.spoils[..., 0].T.tolist(), _SPOILS.items(), strict=True
    ):
        chosen = [row for row, die in enumerate(dice) if die < getattr(amount, name)]
        if len(chosen) == len(x):
            x = change(x, draws[:, 1:])
        elif chosen:
            there = onto(torch.tensor(chosen), x.device)
            x.index_copy_(0, there, change(x.index_select(0, there), draws[chosen, 1:]))
    return x


def _shadowed(x: Tensor, draws: Tensor) -> Tensor:
    """A disc of any size, its edge soft, in which codes are up to a half darker or lighter."""
    there = onto(draws, x.device)
    inner = there[:, 2] * 0.8
    disc = degrade.discs(there[:, :2] * 1.5 - 0.25, inner, inner + 0.05 + 0.55 * there[:, 3], x.shape[-1])
    return x.mul_(disc.mul_(there[:, 4, None, None, None] - 0.5).add_(1)).clamp_(0, 1)


def _moved(x: Tensor, draws: Tensor) -> Tensor:
    length = (1 + 5 * draws[:, 0]) * x.shape[-1] / _WIDE
    return degrade.moved(x, length, draws[:, 1] * math.pi, _TAPS)


def _blurred(x: Tensor, draws: Tensor) -> Tensor:
    return degrade.blurred(x, (0.3 + 1.7 * draws[:, 0]) * x.shape[-1] / _WIDE)


def _shrunk(x: Tensor, draws: Tensor) -> Tensor:
    sizes = ((1 - 0.75 * draws[:, 0]) * x.shape[-1]).round().clamp(min=2)
    return degrade.shrunk(x, [int(size) for size in sizes.tolist()])


def _noisy(x: Tensor, draws: Tensor) -> Tensor:
    """Finer or coarser, more or less of it in colour."""
    noise = _noise(x.shape[-1], x.device)
    picks = (draws[:, 2:9] * torch.tensor([len(noise)] + 6 * [noise.shape[1]])).long()
    for planes, (tint, strong), (kind, *places) in zip(x, draws[:, :2].tolist(), picks.tolist(), strict=True):
        own = [noise[kind, row, column] for row, column in zip(places[:3], places[3:], strict=True)]
        for plane, coloured in zip(planes, own, strict=True):
            plane.add_(own[0], alpha=(1 - tint) * strong * _GRAIN).add_(
                coloured, alpha=tint * strong * _GRAIN
            )
    return x.clamp_(0, 1)


@lru_cache(maxsize=2)
def _noise(side: int, device: torch.device) -> Tensor:
    """(K, P, P, side, side): every piece of a large picture of noise, finer to coarser, deviation 1: a view.

    Drawn afresh it would cost as much as all else: random numbers are slow on CPUs, and others on each kind of device.
    """
    large = side + _WIDE
    noise = torch.randn(1, 1, large, large, generator=Generator().manual_seed(0))
    widths = torch.tensor(_COARSE) * max(side / _WIDE, 0.5)
    noise = degrade.both_ways(noise.expand(len(widths), -1, -1, -1), degrade.gaussian(widths, large))[:, 0]
    noise = noise / noise.std((1, 2), keepdim=True)
    return onto(noise, device).unfold(1, side, 1).unfold(2, side, 1)


def _compressed(x: Tensor, draws: Tensor) -> Tensor:
    return degrade.jpeg(x, 10 + 90 * draws[:, 0])


_SPOILS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "shadow": _shadowed,
    "motion": _moved,
    "blur": _blurred,
    "downscale": _shrunk,
    "noise": _noisy,
    "jpeg": _compressed,
}
"""By the share's field: each spoils its samples, whose memory it may take, by `_DRAWS` numbers from 0 to 1."""
