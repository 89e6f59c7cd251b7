"""Colour transfer: the colours of one picture become like those of another, batched, on any device.

    rct   means and deviations in CIE L*a*b*, as DeepFaceLab has it after Reinhard, Ashikhmin, Gooch and Shirley,
          "Color Transfer between Images", 2001
    lct   means and covariances of RGB: whitened by one's symmetric root, coloured by the other's
    mkl   the same by the map that moves colours least: Pitié and Kokaram, "The linear Monge-Kantorovitch linear
          colour mapping for example-based colour transfer", 2007
    idt   all of the distribution, along one random basis after the other: Pitié, Kokaram and Dahyot, "N-dimensional
          probability density function transfer and its application to colour transfer", 2005
    sot   the same with several bases at a time, and the change smoothed over the picture: Rabin, Delon and Gousseau,
          "Removing artefacts from color and contrast modifications", 2011

Codes of swap space are taken for sRGB's, which they are up to the curve's knee. Nothing is held to [0, 1].
idt and sot move some of the pixels, and what they find becomes a 3D look-up table, which is smooth and costs the same
whatever the size of the picture. DeepFaceLab's idt stops two
thirds of the way (it goes a twentieth of it twenty times), and its draws differ at each call; ours arrives, and the
generator says what it draws. A matte weighs the pixels of the statistics; DeepFaceLab counts those beyond it as black.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn import functional

from understudy.core.train.colours import mixed, onto, plainly, power_
from understudy.core.train.degrade import gaussian


class Part(NamedTuple):
    """Of pictures: which of them, and where in each."""

    samples: slice
    rows: slice
    columns: slice
    size: tuple[int, int]  # of a whole one


Change = Callable[[Tensor, Part], Tensor]
"""Gives other colours to a part (B, 3, H, W) of the pictures that it was made for."""

# linear sRGB to XYZ in units of its white, D65 (IEC 61966-2-1)
_CONES = torch.tensor(
    [
        [0.412453 / 0.950456, 0.357580 / 0.950456, 0.180423 / 0.950456],
        [0.212671, 0.715160, 0.072169],
        [0.019334 / 1.088754, 0.119193 / 1.088754, 0.950227 / 1.088754],
    ]
)
_LIGHT = torch.linalg.inv(_CONES)
_FOOT = 0.0031308  # of linear light, below which sRGB's curve is a line of the slope _SLOPE
_SLOPE = 12.92
_DARK = (6 / 29) ** 3  # below which the root of L*a*b* is a line
# L*, a* and b* of the three roots, up to scale, and back
_LAB = torch.tensor([[0.0, 1.0, 0.0], [1.0, -1.0, 0.0], [0.0, 1.0, -1.0]])
_BACK = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, -1.0]])
_TILE = 2**18  # numbers
_LEAST = 1e-3  # a deviation below it is noise, and is not stretched: a quarter of a code of 8 bits
_NOISE = {"lct": 1e-5, "mkl": _LEAST**2}  # variance that either picture is given; lct's is DeepFaceLab's
_ROUNDS = 48  # of a root by Newton's method: enough for float64 and any matrix with such a noise
_NODES = 17  # of a look-up table, along each axis
_AROUND = (
    (0.7, 1.0),
    (4.0, 1e-4),
)  # what counts at a node: deviations in nodes, and weights; far from all, what is near
_PIXELS = 40  # along a side, of those that idt and sot look at
_LEVELS = 128  # of a distribution
_STEPS = {"idt": (12, 1), "sot": (8, 4)}  # how often, and by how many bases at a time
_SMOOTH = 1 / 16  # sot: deviation of the blur of its change, in sides; 16 pixels of 256


def none(x: Tensor, _: Part) -> Tensor:
    """The `Change` that is none."""
    return x


def whole(x_BCHW: Tensor) -> Part:
    """All of the pictures."""
    every, (height, width) = slice(None), x_BCHW.shape[2:]
    return Part(every, every, every, (height, width))


def transfer(
    kind: str,
    x_BCHW: Tensor,
    like_BCHW: Tensor,
    generator: Generator,
    *,
    matte: Tensor | None = None,
    like_matte: Tensor | None = None,
) -> Tensor:
    """(B, 3, H, W): x with the colours of `like`, sample by sample; not held to [0, 1].

    Args:
        kind: one of `augmentation.TRANSFERS`.
        x_BCHW, like_BCHW: three channels of swap space's codes, finite; sizes may differ.
        generator: on the CPU; for idt and sot, others draw nothing.
        matte, like_matte: (B, 1, H, W) weights of the pixels in the statistics; where one is empty, all count.
    """
    change = fit(kind, x_BCHW, like_BCHW, generator, matte=matte, like_matte=like_matte)
    return change(x_BCHW, whole(x_BCHW))


def fit(
    kind: str,
    x_BCHW: Tensor,
    like_BCHW: Tensor,
    generator: Generator,
    *,
    matte: Tensor | None = None,
    like_matte: Tensor | None = None,
) -> Change:
    """What makes x (or the picture that x is a smaller copy of) like `like`; arguments as those of `transfer`."""
    if kind == "none":
        return none
    with plainly(x_BCHW.device):
        change = _FITS[kind](kind, (x_BCHW, _weights(matte)), (like_BCHW, _weights(like_matte)), generator)

    def changed(picture: Tensor, part: Part) -> Tensor:
        with plainly(picture.device):
            return change(picture, part)

    return changed


_Weighed = tuple[Tensor, Tensor | None]
"""A picture (B, 3, H, W) and the weights of its pixels (B, 1, H, W), or None where all count the same."""


def _weights(matte: Tensor | None) -> Tensor | None:
    return None if matte is None else matte.clamp(min=0) + 1e-9


def _mean(x: Tensor, weights: Tensor | None) -> Tensor:
    """(B, C, 1) of x (B, C, N)."""
    if weights is None:
        return x.mean(2, keepdim=True)
    return (x * weights).sum(2, keepdim=True) / weights.sum(2, keepdim=True)


def _moments(x: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
    """Means (B, C, 1) and covariances (B, C, C) over the pixels; float64, which Apple's GPUs have not."""
    x = x.flatten(2)
    weights = None if weights is None else weights.flatten(2)
    mean = _mean(x, weights)
    away = x - mean
    total = x.shape[2] if weights is None else weights.sum(2, keepdim=True)
    covariance = (away if weights is None else away * weights) @ away.mT / total
    place = "cpu" if x.device.type == "mps" else x.device
    return mean.to(place).double(), covariance.to(place).double()


def _rct(_: str, x: _Weighed, like: _Weighed, __: Generator) -> Change:
    """Means and deviations along L*, a* and b*; a map of the roots, since those are L*a*b* but for a matrix."""
    device = x[0].device
    (mean, spread), (wanted, wide) = (
        _moments(mixed(_roots(picture), _LAB), weights) for picture, weights in (x, like)
    )
    gain = wide.diagonal(dim1=1, dim2=2).sqrt() / spread.diagonal(dim1=1, dim2=2).sqrt().clamp(min=_LEAST)
    lab, back = (onto(each.double(), gain.device) for each in (_LAB, _BACK))
    change = _affine(back @ (gain[:, :, None] * lab), back @ mean, back @ wanted, device)

    def changed(picture: Tensor, part: Part) -> Tensor:
        made = [_unrooted(change(_roots(tile), part)) for tile in _tiles(picture)]
        return torch.cat(made, 2) if made[1:] else made[0]

    return changed


def _tiles(x: Tensor) -> tuple[Tensor, ...]:
    """x (B, C, H, W) by as many rows as a CPU's cache holds with what becomes of them; elsewhere in one piece."""
    rows = _TILE // (x.numel() // x.shape[2]) if x.device.type == "cpu" else x.shape[2]
    return torch.split(x, max(1, rows), 2)


def _affine(matrix: Tensor, mean: Tensor, wanted: Tensor, device: torch.device) -> Change:
    """The map by `matrix` (B, 3, 3) that takes `mean` (B, 3, 1) to `wanted`."""
    offset = (wanted - matrix @ mean).float().to(device)
    matrix = matrix.float().to(device)
    return lambda picture, part: mixed(picture, matrix[part.samples], offset[part.samples])


def _roots(x: Tensor) -> Tensor:
    """(B, 3, H, W): X, Y and Z of sRGB codes through the root of L*a*b*; its lines go on below black.

    Here and in the inverse, each curve is a power of what is above its knee plus a line of what is below: on CPUs that
    is much faster than to choose by pixel.
    """
    light = torch.add(x, 0.055, out=torch.empty_like(x))
    scale = 1.055**-2.4
    light = _kneed(light, _FOOT * _SLOPE + 0.055, 2.4, 1 / _SLOPE / scale)
    return _kneed(mixed(light, _CONES * scale), _DARK, 1 / 3, _DARK ** (-2 / 3) / 3)


def _unrooted(roots: Tensor) -> Tensor:
    """The inverse of `_roots`; takes its argument's memory."""
    knee = _DARK ** (1 / 3)
    high = roots.clamp(min=knee)
    cones = roots.sub_(high).mul_(3 * knee**2).add_(high.pow_(3))
    scale = 1.055**2.4  # which the power takes back: one multiplication less
    light = _kneed(mixed(cones, _LIGHT * scale), _FOOT * scale, 1 / 2.4, _SLOPE / scale)
    return light.sub_(0.055)


def _kneed(x: Tensor, knee: float, exponent: float, slope: float) -> Tensor:
    """The power of what of x is above the knee, plus a line for what is below; takes its argument's memory."""
    high = x.clamp(min=knee)
    below = x.sub_(high)
    return power_(high, exponent).add_(below, alpha=slope)


def _linear(kind: str, x: _Weighed, like: _Weighed, _: Generator) -> Change:
    """A matrix and an offset that make means and covariances of RGB equal."""
    (mean, spread), (wanted, wide) = _moments(*x), _moments(*like)
    noise = _NOISE[kind] * torch.eye(3, dtype=spread.dtype, device=spread.device)
    spread, wide = spread + noise, wide + noise
    root, inverse = _root(spread)
    matrix = _root(wide)[0] if kind == "lct" else inverse @ _root(root @ wide @ root)[0]
    matrix = matrix @ inverse
    return _affine(matrix, mean, wanted, x[0].device)


def _root(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """The symmetric root of positive definite matrices (B, C, C), and its inverse: Newton-Schulz's coupled iteration
    (Higham, "Functions of Matrices", 2008, 6.35), which a GPU works out without waiting for the host as eigenvalues
    would."""
    scale = matrix.diagonal(dim1=1, dim2=2).sum(1)[:, None, None]
    root = matrix / scale
    one = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
    inverse = one.expand_as(root)
    for _ in range(_ROUNDS):
        step = 1.5 * one - 0.5 * inverse @ root
        root, inverse = root @ step, step @ inverse
    return root * scale.sqrt(), inverse / scale.sqrt()


def _transport(kind: str, x: _Weighed, like: _Weighed, generator: Generator) -> Change:
    """Distributions made equal along one axis after the other, for the pixels and a lattice of colours alike."""
    steps, bases = _STEPS[kind]
    turns = onto(torch.linalg.qr(torch.randn(steps, bases, 3, 3, generator=generator)).Q, x[0].device)
    (some, weights), (wanted, wanted_weights) = (_few(*each) for each in (x, like))
    points = some
    for turn in turns:
        axes = turn.flatten(0, 1)
        along = axes @ points
        change = _carried(along, _levels(along, weights), _levels(axes @ wanted, wanted_weights)) - along
        points = points + axes.T @ change / bases
    table = _table(some, points - some, weights)
    if kind == "idt":
        return lambda picture, part: picture + _looked_up(picture, table[part.samples])
    smooth = _smoothed(_looked_up(x[0], table), x[1])

    def smoothly(picture: Tensor, part: Part) -> Tensor:
        change = functional.interpolate(smooth[part.samples], part.size, mode="bilinear", align_corners=False)
        return picture + change[..., part.rows, part.columns]

    return smoothly


_FITS: dict[str, Callable[[str, _Weighed, _Weighed, Generator], Change]] = {
    "rct": _rct,
    "lct": _linear,
    "mkl": _linear,
    "idt": _transport,
    "sot": _transport,
}


def _few(x: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor]:
    """Some of the pixels (B, 3, N), and their weights (B, 1, N), which sum to 1."""
    down, right = (math.ceil(size / _PIXELS) for size in x.shape[2:])
    some = x[..., ::down, ::right].flatten(2)
    few = torch.ones_like(some[:, :1]) if weights is None else weights[..., ::down, ::right].flatten(2)
    return some, few / few.sum(2, keepdim=True)


def _levels(x: Tensor, weights: Tensor) -> Tensor:
    """(B, D, K) quantiles of x (B, D, N), evenly spaced in weight."""
    values, order = x.sort(2)
    below = weights.expand_as(x).gather(2, order).cumsum(2)
    levels = (torch.arange(_LEVELS, device=x.device) + 0.5) / _LEVELS
    found = torch.searchsorted(below, levels.expand(*x.shape[:2], -1).contiguous())
    return values.gather(2, found.clamp_(max=x.shape[2] - 1))


def _carried(at: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """(B, D, N): each value of `at` from its place among the quantiles `before` to the same among those `after`;
    beyond the ends, as far as the ends go; from the middle of those that are equal."""
    inside = at.clamp(before[..., :1], before[..., -1:])
    first, last = (_along(inside, before, after, right=right) for right in (False, True))
    return (first + last) / 2 + (at - inside)


def _along(at: Tensor, x: Tensor, y: Tensor, *, right: bool) -> Tensor:
    """The line through the points (x, y), x in ascending order, at `at`; all (B, D, any).

    Args:
        right: where several x are equal, the last of them counts and not the first.
    """
    above = torch.searchsorted(x, at, right=right).clamp_(1, x.shape[2] - 1)
    low, high = x.gather(2, above - 1), x.gather(2, above)
    part = ((at - low) / (high - low).clamp_(min=1e-12)).clamp_(0, 1)
    return torch.lerp(y.gather(2, above - 1), y.gather(2, above), part)


def _table(x: Tensor, change: Tensor, weights: Tensor) -> Tensor:
    """(B, 3, blue, green, red): the mean of `change` (B, 3, N) over the colours x (B, 3, N) around each node."""
    nodes = torch.arange(_NODES, device=x.device)
    sums = torch.cat([change, torch.ones_like(weights)], 1) * weights
    total = x.new_zeros(len(x), 4, _NODES**2, _NODES)
    for width, share in _AROUND:
        away = (x.clamp(0, 1)[..., None] * (_NODES - 1) - nodes) / width
        red, green, blue = torch.exp(-0.5 * away**2).unbind(1)  # (B, N, nodes) each
        plane = (blue[..., None] * green[:, :, None]).flatten(2)
        total += share * (plane.mT[:, None] @ (sums[..., None] * red[:, None]))
    return (total[:, :3] / total[:, 3:]).reshape(-1, 3, _NODES, _NODES, _NODES)


def _looked_up(x: Tensor, table: Tensor) -> Tensor:
    """(B, 3, H, W) of a table (B, 3, blue, green, red) at the colours of x."""
    grid = (2 * x - 1).permute(0, 2, 3, 1)[:, None]
    return functional.grid_sample(table, grid, padding_mode="border", align_corners=True)[:, :, 0]


def _smoothed(x: Tensor, weights: Tensor | None) -> Tensor:
    """Blurred as DeepFaceLab's bilateral filter does it, whose width in value is above any difference."""
    down, right = (
        gaussian(torch.full((1,), size * _SMOOTH, device=x.device), size)[:, None] for size in x.shape[2:]
    )
    if weights is None:
        return down @ x @ right.mT
    return (down @ (x * weights) @ right.mT) / (down @ weights @ right.mT)
