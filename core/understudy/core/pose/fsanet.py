"""FSA-Net: pose from the picture, by two small capsule networks whose answers are averaged.

Yang et al., "FSA-Net: Learning Fine-Grained Structure Aggregation for Head Pose Estimation from a Single Image",
CVPR 2019 (shamangary/FSA-Net, Apache-2.0): the networks that weigh places by a 1×1 convolution and by variance,
trained on 300W-LP. (The authors' demo averages in a third one, that weighs nothing.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from understudy.core import _checkpoint, align
from understudy.core.errors import WeightsCorrupt
from understudy.core.frames import Float
from understudy.core.model.device import pick
from understudy.core.pose import Angles, PoseLook

if TYPE_CHECKING:
    from understudy.core.weights import WeightStore

WEIGHTS = ("fsanet", "fsanet-var")

_SIZE = 64
_MARGIN = 0.6  # of the box of the landmarks, added on each side
_MAP = 8  # side of the feature maps
_CAPSULES, _PARTS, _ROUTINGS = 21, 5, 2
_RANGE = 99.0  # degrees
_EPSILON = 1e-3  # of Keras's batch normalisation
_TINY = 1e-7  # Keras's epsilon elsewhere
_WIDTHS = ((3, 16), (16, 32), (32, 32), (32, 64), (64, 64), (64, 128), (128, 128))


def create(store: WeightStore, *, device: str = "auto") -> FSANet:
    return FSANet([load(store.path(name)) for name in WEIGHTS], pick(device))


class _Separable(nn.Module):
    """A convolution of each channel, then of each place, normalised."""

    def __init__(self, given: int, made: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(given, given, 3, padding=1, groups=given, bias=False)
        self.pointwise = nn.Conv2d(given, made, 1)
        self.norm = nn.BatchNorm2d(made, eps=_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.norm(self.pointwise(self.depthwise(x)))
        return made


class _Stage(nn.Module):
    """A stage of the soft stagewise regression: three bins of each angle, how far they shift and how wide they are."""

    def __init__(self) -> None:
        super().__init__()
        self.width, self.shift, self.bins = nn.Linear(4, 3), nn.Linear(4, 3), nn.Linear(8, 9)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Capsules (N, 16) → sums over the bins (N, 3), widths (N, 3)."""
        bins = self.bins(x[:, 8:]).relu().reshape(-1, 3, 3)
        places = torch.arange(-1.0, 2.0, device=x.device) + self.shift(x[:, 4:8]).tanh()[:, :, None]
        return (places * bins).sum(dim=2), 3.0 * (1.0 + self.width(x[:, :4]).tanh())


class Network(nn.Module):
    """Pictures (N, 3, 64, 64) BGR in 0…255 → yaw, pitch, roll (N, 3) in degrees, in the authors' signs.

    Args:
        by_variance: weighs places by the variance of their features, else by a convolution.
    """

    def __init__(self, *, by_variance: bool) -> None:
        super().__init__()
        self.even = nn.ModuleList(_Separable(*w) for w in _WIDTHS)  # ReLU, means
        self.sharp = nn.ModuleList(_Separable(*w) for w in _WIDTHS)  # tanh, maxima
        widths = (128, 64, 32)  # of the last three levels, the coarsest first
        self.even_out = nn.ModuleList(nn.Conv2d(w, 64, 1) for w in widths)
        self.sharp_out = nn.ModuleList(nn.Conv2d(w, 64, 1) for w in widths)
        self.weigh = None if by_variance else nn.Conv2d(64, 1, 1)
        self.right = nn.Linear(_MAP**2, _PARTS * 3 * _MAP**2)
        self.left = nn.Linear(3 * _MAP**2, _CAPSULES // 3 * _PARTS)
        self.routes = nn.Parameter(torch.empty(3, _CAPSULES, 16, 64))
        self.stages = nn.ModuleList(_Stage() for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        primary = self._primary(self._features(x))
        capsules = self._route(torch.einsum("jide,nie->njid", self.routes, primary))
        angles, width = torch.zeros_like(capsules[:, 0, :3]), torch.ones_like(capsules[:, 0, :3])
        for i, stage in enumerate(self.stages):
            summed, wide = stage(capsules[:, i])
            width = width * wide
            angles = angles + summed / width
        return _RANGE * angles

    def _features(self, x: Tensor) -> list[Tensor]:
        """Three maps (N, 64, 8, 8), the coarsest level's first: what both branches see alike."""
        even, sharp = x, x
        levels: list[tuple[Tensor, Tensor]] = []
        for i, (a, b) in enumerate(zip(self.even, self.sharp, strict=True)):
            even, sharp = a(even).relu(), b(sharp).tanh()
            if i in (0, 2, 4):
                even, sharp = nn.functional.avg_pool2d(even, 2), nn.functional.max_pool2d(sharp, 2)
            if i in (2, 4, 6):
                levels.insert(0, (even, sharp))
        maps = [
            b(sharp).tanh() * a(even).relu()
            for (even, sharp), a, b in zip(levels, self.even_out, self.sharp_out, strict=True)
        ]
        return [*maps[:2], nn.functional.avg_pool2d(maps[2], 2)]

    def _primary(self, maps: list[Tensor]) -> Tensor:
        """Capsules (N, 21, 64): weighted means of the features of all places and levels."""
        if self.weigh is None:
            weights = [m.var(dim=1, correction=0).flatten(1) for m in maps]
        else:
            weights = [self.weigh(m).sigmoid().flatten(1) for m in maps]
        features = torch.cat([m.flatten(2) for m in maps], dim=2).transpose(1, 2)
        left = self.left(torch.cat(weights, dim=1)).sigmoid().reshape(-1, _CAPSULES // 3, _PARTS)
        capsules = []
        for weight in weights:
            mix = left @ self.right(weight).sigmoid().reshape(-1, _PARTS, 3 * _MAP**2)
            capsules.append(mix @ features / mix.sum(dim=2, keepdim=True))
        return torch.cat(capsules, dim=1)

    def _route(self, votes: Tensor) -> Tensor:
        """Votes (N, 3, 21, 16) of each capsule for each of three → what these agree on (N, 3, 16)."""
        agreement = torch.zeros_like(votes[..., 0])
        for i in range(_ROUTINGS):
            summed = (agreement.softmax(dim=1)[..., None] * votes).sum(dim=2)
            square = summed.square().sum(dim=2, keepdim=True)
            made = square / (1.0 + square) / (square + _TINY).sqrt() * summed
            if i < _ROUTINGS - 1:
                agreement = agreement + (made[:, :, None] * votes).sum(dim=3)
        return made


def load(path: Path) -> Network:
    """The network of a Keras weights file, by the names that Keras gave its layers.

    Raises:
        WeightsCorrupt: not such a file, or the weights of another network.
    """
    import h5py  # here: whoever takes the pose from landmarks needs no HDF5

    arrays: dict[str, Tensor] = {}

    def keep(name: str, entry: object) -> None:
        if isinstance(entry, h5py.Dataset):
            arrays["/".join(name.split("/")[-2:]).removesuffix(":0")] = torch.from_numpy(entry[()])

    try:
        with h5py.File(path) as file:
            file.visititems(keep)
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        raise WeightsCorrupt(f"{path}: not a weights file of Keras: {error}", path=path) from error
    return network(arrays, path)


def network(arrays: Mapping[str, Tensor], path: Path) -> Network:
    """The network with the arrays of `path` by layer and kind, as in `dense_1/kernel`, in Keras's axes.

    Raises:
        WeightsCorrupt: they are those of another network.
    """
    made = Network(by_variance="conv2d_7/kernel" not in arrays)
    names = dict(_names())
    state = {}
    for name, value in arrays.items():
        layer, _, kind = name.partition("/")
        prefix, suffix = names.get(layer, layer), _KINDS.get(kind, kind)
        if kind == "bias" and layer.startswith("separable"):
            suffix = "pointwise.bias"
        tensor = value
        if value.dim() == 4 and kind != "W":  # height, width, two of channels
            tensor = value.permute(2, 3, 0, 1) if kind == "depthwise_kernel" else value.permute(3, 2, 0, 1)
        elif value.dim() == 2:
            tensor = value.T
        state["routes" if kind == "W" else f"{prefix}.{suffix}"] = tensor.contiguous()
    return _checkpoint.fill(made, state, path)


_KINDS = {
    "kernel": "weight",
    "gamma": "norm.weight",
    "beta": "norm.bias",
    "moving_mean": "norm.running_mean",
    "moving_variance": "norm.running_var",
    "depthwise_kernel": "depthwise.weight",
    "pointwise_kernel": "pointwise.weight",
}


def _names() -> list[tuple[str, str]]:
    """Keras's names of layers, counted in the order in which the authors' program makes them, and ours."""
    names = [("conv2d_7", "weigh"), ("dense_1", "right"), ("dense_2", "left")]
    for i in range(14):
        branch = f"{'even' if i < 7 else 'sharp'}.{i % 7}"
        names += [(f"separable_conv2d_{i + 1}", branch), (f"batch_normalization_{i + 1}", branch)]
    for i in range(3):
        names += [(f"conv2d_{2 * i + 1}", f"sharp_out.{i}"), (f"conv2d_{2 * i + 2}", f"even_out.{i}")]
        names += [
            (f"delta_s{i + 1}", f"stages.{i}.width"),
            (f"local_delta_stage{i + 1}", f"stages.{i}.shift"),
        ]
        names.append((f"dense_{i + 3}", f"stages.{i}.bins"))
    return names


class FSANet:
    """See `pose.Poser`. A face that lies wholly outside the picture has the pose of its landmarks."""

    def __init__(self, networks: Sequence[Network], device: torch.device) -> None:
        self._networks = [network.to(device) for network in networks]
        self._device = device

    def pose(self, looks: Sequence[PoseLook]) -> list[Angles]:
        angles: list[Angles] = []
        for look in looks:  # one by one: they are small, and none depends on another
            quarters = round(_lean(look.points) / 90.0)
            picture = crop(look, quarters)
            if picture is None:
                angles.append(align.pose(look.points, look.focal))
                continue
            yaw, pitch, roll = self._angles(picture)
            angles.append((pitch, -yaw, (roll + 90.0 * quarters + 180.0) % 360.0 - 180.0))
        return angles

    def _angles(self, picture: Float) -> list[float]:
        batch = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)[None])).to(self._device)
        with torch.inference_mode():
            return [float(v) for v in torch.stack([n(batch)[0] for n in self._networks]).mean(dim=0)]


def crop(look: PoseLook, quarters: int = 0) -> Float | None:
    """What the networks see of a face: (64, 64, 3) float32 BGR, spread over 0…255; None outside of the picture.

    The box of the landmarks with the margins it was trained with, cut off at the picture's edge, and turned back by
    as many quarter turns as the head leans.
    """
    (x0, y0), (x1, y1) = look.points.min(axis=0), look.points.max(axis=0)
    dx, dy = _MARGIN * (x1 - x0), _MARGIN * (y1 - y0)
    rows = slice(max(round(y0 - dy), 0), max(round(y1 + dy), 0))
    columns = slice(max(round(x0 - dx), 0), max(round(x1 + dx), 0))
    seen = look.proxy[rows, columns, ::-1]
    if not seen.size:
        return None
    seen = np.ascontiguousarray(np.rot90(seen, quarters % 4))
    kernel = cv2.INTER_AREA if min(seen.shape[:2]) > _SIZE else cv2.INTER_LINEAR
    small = cv2.resize(seen, (_SIZE, _SIZE), interpolation=kernel)
    return np.asarray(cv2.normalize(small, np.empty_like(small), 0.0, 255.0, cv2.NORM_MINMAX), np.float32)


def _lean(points: align.Points) -> float:
    """Degrees, clockwise, of the line through the eyes."""
    across = points[42:48].mean(axis=0) - points[36:42].mean(axis=0)
    return float(np.degrees(np.arctan2(across[1], across[0])))
