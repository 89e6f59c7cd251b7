"""2DFAN-4: 68 points as heatmaps of four stacked hourglasses.

Bulat & Tzimiropoulos, "How far are we from solving the 2D & 3D face alignment problem?", ICCV 2017. The names of the
weights, the square that is looked through and the reading of the heatmaps are those of the authors' package
`face-alignment`; its results are cut to whole pixels, ours are not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from understudy.core import _checkpoint
from understudy.core.face import Alignment, Detection, Landmarks
from understudy.core.frames import Float
from understudy.core.landmark import Found, Look, _square
from understudy.core.landmark._schemes import nothing, only_68
from understudy.core.model.device import pick

if TYPE_CHECKING:
    from understudy.core.weights import WeightStore

WEIGHTS = ("2dfan4",)

_STACKS = 4
_DEPTH = 4
_SIZE = 256  # side of the picture that the network looks at
_CELLS = 64  # side of its heatmaps
_REFERENCE = 195.0  # width + height of a box that is seen at 200 pixels a side
_UNIT = 200.0
_LIFT = 0.12  # of the box's height, from its middle to the middle of the square
_BATCH = 16  # faces at once on a GPU; a CPU is no faster with many than one by one


def create(store: WeightStore, *, device: str = "auto") -> Fan2D:
    path = store.path(WEIGHTS[0])
    return Fan2D(network(_checkpoint.load(path), path), pick(device))


class _Block(nn.Module):
    """Three convolutions in a row, of a half and two quarters of the channels, side by side; added to the input."""

    def __init__(self, given: int, made: int) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(given), _conv3(given, made // 2)
        self.bn2, self.conv2 = nn.BatchNorm2d(made // 2), _conv3(made // 2, made // 4)
        self.bn3, self.conv3 = nn.BatchNorm2d(made // 4), _conv3(made // 4, made // 4)
        self.downsample = (
            nn.Sequential(nn.BatchNorm2d(given), nn.ReLU(), nn.Conv2d(given, made, 1, bias=False))
            if given != made
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        half = self.conv1(functional.relu_(self.bn1(x)))
        quarter = self.conv2(functional.relu_(self.bn2(half)))
        last = self.conv3(functional.relu_(self.bn3(quarter)))
        made: Tensor = torch.cat((half, quarter, last), dim=1).add_(self.downsample(x))
        return made


class _Hourglass(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        for level in range(_DEPTH, 0, -1):
            for branch in ("b1", "b2", "b3", *(("b2_plus",) if level == 1 else ())):
                self.add_module(f"{branch}_{level}", _Block(256, 256))

    def forward(self, x: Tensor, level: int = _DEPTH) -> Tensor:
        aside = getattr(self, f"b1_{level}")(x)
        low = getattr(self, f"b2_{level}")(functional.avg_pool2d(x, 2))
        low = getattr(self, "b2_plus_1")(low) if level == 1 else self(low, level - 1)  # noqa: B009 - typed as a module
        low = getattr(self, f"b3_{level}")(low)
        summed: Tensor = aside.add_(functional.interpolate(low, scale_factor=2.0, mode="nearest"))
        return summed


class Network(nn.Module):
    """Pictures (N, 3, 256, 256) in [0, 1] → heatmaps (N, 68, 64, 64) of the last stack. Inference only.

    Children have the names that the published checkpoint gives their weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1: nn.Module = nn.Conv2d(3, 64, 7, stride=2, padding=3)
        self.bn1: nn.Module = nn.BatchNorm2d(64)
        self.conv2, self.conv3, self.conv4 = _Block(64, 128), _Block(128, 128), _Block(128, 256)
        for stack in range(_STACKS):
            self.add_module(f"m{stack}", _Hourglass())
            self.add_module(f"top_m_{stack}", _Block(256, 256))
            self.add_module(f"conv_last{stack}", nn.Conv2d(256, 256, 1))
            self.add_module(f"bn_end{stack}", nn.BatchNorm2d(256))
            self.add_module(f"l{stack}", nn.Conv2d(256, 68, 1))
            if stack < _STACKS - 1:
                self.add_module(f"bl{stack}", nn.Conv2d(256, 256, 1))
                self.add_module(f"al{stack}", nn.Conv2d(68, 256, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu_(self.bn1(self.conv1(x)))
        x = self.conv4(self.conv3(functional.avg_pool2d(self.conv2(x), 2)))
        for stack in range(_STACKS):
            seen = getattr(self, f"top_m_{stack}")(getattr(self, f"m{stack}")(x))
            seen = getattr(self, f"bn_end{stack}")(getattr(self, f"conv_last{stack}")(seen))
            heat: Tensor = getattr(self, f"l{stack}")(functional.relu_(seen))
            if stack < _STACKS - 1:
                x = x + getattr(self, f"bl{stack}")(seen).add_(getattr(self, f"al{stack}")(heat))
        return heat

    def folded(self) -> Network:
        """The same with each normalisation that follows a convolution within its weights, laid out for the processor.

        Those before a convolution stay: between them and it are a ReLU, and others who look at the same numbers.
        """
        pairs = [("conv1", "bn1"), *((f"conv_last{s}", f"bn_end{s}") for s in range(_STACKS))]
        for conv, norm in pairs:
            setattr(self, conv, fuse_conv_bn_eval(getattr(self, conv), getattr(self, norm)))
            setattr(self, norm, nn.Identity())
        return self.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def network(state: Mapping[str, Tensor], path: Path) -> Network:
    """The network with the weights of the published checkpoint `path`, ready to run.

    Raises:
        WeightsCorrupt: they are those of another network.
    """
    return _checkpoint.fill(Network(), state, path).folded()


class Fan2D:
    """See `landmark.Landmarker`.

    A point's confidence is the height of its heatmap's peak, the face's score their median: half of the points are
    seen at least so well, even where the other half is hidden.
    """

    def __init__(self, network: Network, device: torch.device) -> None:
        self._network = network.to(device)
        self._device = device

    def landmarks(self, looks: Sequence[Look]) -> list[Found]:
        squares = [squares_of(look.detection) for look in looks]
        there = [i for i, look in enumerate(looks) if _square.seen(look.proxy, squares[i][0])]
        heat = self._heat([_square.cut(looks[i].proxy, squares[i][0], "zero") for i in there])
        found = [nothing(look.detection) for look in looks]
        for i, maps in zip(there, heat, strict=True):
            cells, peaks = decode(maps)
            points = _square.back(squares[i][1], cells).astype(np.float32)
            confidence = peaks.clip(0.0, 1.0)
            found[i] = Found(
                landmarks=Landmarks(scheme="68", points=points, confidence=confidence),
                score=float(np.median(confidence)),
            )
        return found

    def to_68(self, landmarks: Landmarks) -> Landmarks:
        return only_68(landmarks, "fan2d")

    def _heat(self, pictures: Sequence[Float]) -> list[Float]:
        at_once = 1 if self._device.type == "cpu" else _BATCH
        heat: list[Float] = []
        with torch.inference_mode():
            for i in range(0, len(pictures), at_once):
                batch = torch.from_numpy(np.stack(pictures[i : i + at_once])).permute(0, 3, 1, 2)
                heat.extend(self._network(batch.to(self._device)).float().cpu().contiguous().numpy())
        return heat


def squares_of(detection: Detection) -> tuple[Alignment, Alignment]:
    """The square (256 px) that the published crop cuts for a detection, and the one (64 px) its points are read in.

    Heads that lie or stand on themselves are turned upright in quarters, others are looked at as they lean. The two
    are not quite one: the published crop begins one of its pixels after the square's first edge, and counts pixels
    of the picture from 1. The network learned points through both.
    """
    degrees = _square.quarter(_square.roll(detection))
    middle, width, height = _square.middle(detection)
    if round(degrees / 90.0) % 2:
        width, height = height, width
    side = _UNIT * (width + height) / _REFERENCE
    centre = middle + _square.along(degrees, (-0.5, -0.5 - _LIFT * height))
    late = side / _SIZE
    looked = _square.around(
        centre + _square.along(degrees, (late / 2.0, late / 2.0)), side - late, _SIZE, degrees
    )
    return looked, _square.around(centre, side, _CELLS, degrees)


def decode(heat: Float) -> tuple[npt.NDArray[np.float64], Float]:
    """Heatmaps (68, 64, 64) → points (68, 2) in cells, centres at +0.5, and the peaks (68,) float32.

    A point is the highest cell's centre, moved a quarter of a cell towards the higher neighbour on each axis; not
    moved at all when the cell lies on the map's edge.
    """
    flat = heat.reshape(len(heat), -1)
    best = flat.argmax(axis=1)
    rows, columns = np.divmod(best, heat.shape[2])
    at = np.arange(len(heat))
    x, y = columns.clip(1, heat.shape[2] - 2), rows.clip(1, heat.shape[1] - 2)
    inside = ((x == columns) & (y == rows))[:, None]
    slope = np.stack(
        [heat[at, y, x + 1] - heat[at, y, x - 1], heat[at, y + 1, x] - heat[at, y - 1, x]], axis=1
    )
    points = np.stack([columns, rows], axis=1) + 0.5 + 0.25 * np.sign(slope) * inside
    return points.astype(np.float64), flat[at, best]


def _conv3(given: int, made: int) -> nn.Conv2d:
    return nn.Conv2d(given, made, 3, padding=1, bias=False)
