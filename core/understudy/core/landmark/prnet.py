"""PRNet: a map that says where each place of the face's skin lies, and from it 68 points, the hidden ones as well.

Feng et al., "Joint 3D Face Reconstruction and Dense Alignment with Position Map Regression Network", ECCV 2018
(YadiraF/PRNet, MIT): the network `resfcn256`, the squares and the indices of the 68 points are the authors'. For heads
that look far aside, where a network of visible points has none on the far cheek: these run along the head itself.
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

from understudy.core import _checkpoint
from understudy.core.errors import WeightsMissing
from understudy.core.face import Alignment, Detection, Landmarks
from understudy.core.frames import Float
from understudy.core.landmark import Found, Look, _square, _steady, _tf_bundle
from understudy.core.landmark._schemes import only_68
from understudy.core.model.device import pick

if TYPE_CHECKING:
    from understudy.core.weights import WeightStore

WEIGHTS = ("prnet",)

_SIZE = 256  # of the picture and of the map
_REACH = 1.1 * _SIZE  # pixels that a value of 1 means
_GAP = _SIZE / (_SIZE - 1)  # the published square ends on the middles of its first and last pixel
_OF_BOX, _LOWER = (
    1.58,
    0.14,
)  # a detector's box: side over its mean side, and how far the square hangs below it
_OF_POINTS = 1.6  # the box of the 68 points, likewise
_EPSILON = 1e-3  # of TensorFlow's batch normalisation
_ROOT = "resfcn256/"
_SUFFIXES = {
    "weights": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}

# Data/uv-data/uv_kpt_ind.txt of YadiraF/PRNet (MIT): the 68 points' columns and rows in the map.
# fmt: off
_COLUMNS = (
    15, 22, 26, 32, 45, 67, 91, 112, 128, 143, 164, 188, 210, 223, 229, 233, 240, 58, 71, 85, 97, 106,
    149, 158, 170, 184, 197, 128, 128, 128, 128, 117, 122, 128, 133, 138, 78, 86, 95, 102, 96, 87, 153,
    160, 169, 177, 168, 159, 108, 116, 124, 128, 131, 139, 146, 137, 132, 128, 123, 118, 110, 122, 128,
    133, 145, 132, 128, 123,
)
_ROWS = (
    96, 118, 141, 165, 183, 190, 188, 187, 193, 187, 188, 190, 183, 165, 141, 118, 96, 49, 42, 39, 40,
    42, 42, 40, 39, 42, 49, 59, 73, 86, 96, 111, 113, 115, 113, 111, 67, 60, 61, 65, 68, 69, 65, 61, 60,
    67, 69, 68, 142, 131, 127, 128, 127, 131, 142, 148, 150, 150, 150, 148, 141, 135, 134, 135, 142, 143,
    142, 143,
)
# fmt: on


def create(store: WeightStore, *, device: str = "auto") -> PRNet:
    """As `landmark.Family.create`. Beside the data of the checkpoint its index must lie, which comes with the project.

    Raises:
        WeightsMissing: either is not here.
        WeightsCorrupt: they are of another network.
    """
    data = store.path(WEIGHTS[0])
    index = data.with_name(data.name.partition(".data-")[0] + ".index")
    if not index.is_file():
        raise WeightsMissing(
            f"weights prnet: {index.name} is not beside {data}; it is in the project's repository "
            "(YadiraF/PRNet, Data/net-data)",
            path=index,
            field="weights",
            value=WEIGHTS[0],
        )
    arrays = {name: torch.from_numpy(a) for name, a in _tf_bundle.load(index, data).items()}
    return PRNet(network(arrays, data), pick(device))


class _Layer(nn.Module):
    """A convolution, or a transposed one, with TensorFlow's `SAME` padding, normalised unless told not to."""

    def __init__(
        self,
        given: int,
        made: int,
        kernel: int = 4,
        stride: int = 1,
        *,
        transposed: bool = False,
        norm: bool = True,
    ) -> None:
        super().__init__()
        sides = (given, made) if transposed else (made, given)
        self.weight = nn.Parameter(torch.empty(*sides, kernel, kernel))
        self.BatchNorm = nn.BatchNorm2d(made, eps=_EPSILON) if norm else nn.Identity()
        self._stride, self._transposed = stride, transposed
        missing = kernel - stride  # pixels that are added, or cut off again
        self._before, self._after = max(missing // 2, 0), max(missing - missing // 2, 0)

    def forward(self, x: Tensor) -> Tensor:
        before, after = self._before, self._after
        if self._transposed:
            whole = functional.conv_transpose2d(x, self.weight, stride=self._stride)
            made = whole[..., before : whole.shape[-2] - after, before : whole.shape[-1] - after]
        else:
            padded = functional.pad(x, (before, after, before, after))
            made = functional.conv2d(padded, self.weight, stride=self._stride)
        normal: Tensor = self.BatchNorm(made)
        return normal


class _Block(nn.Module):
    """Three convolutions, the middle one wide, added to the input. Children have TensorFlow's names."""

    def __init__(self, given: int, made: int, stride: int) -> None:
        super().__init__()
        self.shortcut = (
            _Layer(given, made, 1, stride, norm=False) if (given, stride) != (made, 1) else nn.Identity()
        )
        self.Conv = _Layer(given, made // 2, 1)
        self.Conv_1 = _Layer(made // 2, made // 2, 4, stride)
        self.Conv_2 = _Layer(made // 2, made, 1, norm=False)
        self.BatchNorm = nn.BatchNorm2d(made, eps=_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.Conv_1(functional.relu(self.Conv(x))))
        return functional.relu(self.BatchNorm(self.Conv_2(y) + self.shortcut(x)))


class Network(nn.Module):
    """Pictures (N, 3, 256, 256) RGB in [0, 1] → maps (N, 3, 256, 256) in [0, 1], x, y and depth. Inference only."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv = _Layer(3, 16)
        given, blocks = 16, []
        for made in (32, 64, 128, 256, 512):
            blocks += [(given, made, 2), (made, made, 1)]
            given = made
        for i, (wide, made, stride) in enumerate(blocks):
            self.add_module(_counted("resBlock", i), _Block(wide, made, stride))
        steps = [(512, 1)]
        for made, more in ((256, 2), (128, 2), (64, 2), (32, 1), (16, 1)):
            steps += [(made, 2), *[(made, 1)] * more]
        steps += [(3, 1)] * 3
        for i, (made, stride) in enumerate(steps):
            self.add_module(_counted("Conv2d_transpose", i), _Layer(given, made, 4, stride, transposed=True))
            given = made

    def forward(self, x: Tensor) -> Tensor:
        for name, layer in self.named_children():
            if name.startswith("resBlock"):
                x = layer(x)
            else:
                x = layer(x).sigmoid() if name == "Conv2d_transpose_16" else functional.relu(layer(x))
        return x


def network(arrays: Mapping[str, Tensor], path: Path) -> Network:
    """The network with the variables of the published checkpoint `path`, by their names there.

    Those of its optimiser, which are in it too, are left out.

    Raises:
        WeightsCorrupt: they are those of another network.
    """
    state = {}
    for name, value in arrays.items():
        stem, _, last = name.removeprefix(_ROOT).rpartition("/")
        if name.startswith(_ROOT) and last in _SUFFIXES:
            tensor = (
                value.permute(3, 2, 0, 1) if value.dim() == 4 else value
            )  # from height, width, two of channels
            state[f"{stem.replace('/', '.')}.{_SUFFIXES[last]}"] = tensor
    return _checkpoint.fill(Network(), state, path)


class PRNet:
    """See `landmark.Landmarker`; for the confidences see `_steady`."""

    def __init__(self, network: Network, device: torch.device) -> None:
        self._network = network.to(device)
        self._device = device

    def landmarks(self, looks: Sequence[Look]) -> list[Found]:
        return _steady.landmarks(self, looks)

    def to_68(self, landmarks: Landmarks) -> Landmarks:
        return only_68(landmarks, "prnet")

    def first(self, detection: Detection) -> Alignment:
        degrees = _square.quarter(_square.roll(detection))
        centre, width, height = _square.middle(detection)
        mean = (width + height) / 2.0
        lower = centre + _square.along(degrees, (0.0, _LOWER * mean))
        return _square.around(lower, _OF_BOX * mean * _GAP, _SIZE, degrees)

    def again(self, points: npt.NDArray[np.floating], degrees: float) -> Alignment:
        upright = _square.quarter(degrees)
        centre, width, height = _square.bounds(points, upright)
        return _square.around(centre, _OF_POINTS * (width + height) / 2.0 * _GAP, _SIZE, upright)

    def see(self, pictures: Sequence[Float]) -> list[npt.NDArray[np.float64]]:
        found = []
        with torch.inference_mode():
            for (
                picture
            ) in pictures:  # one by one: a processor is no faster with many, and none depends on another
                batch = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)[None]))
                position = self._network(batch.to(self._device))[0].float().cpu().numpy()
                found.append(points_of(position))
        return found


def points_of(position: Float) -> npt.NDArray[np.float64]:
    """A map (3, 256, 256) → 68 points (68, 2) in the picture's pixels, centres at +0.5."""
    return position[:2, list(_ROWS), list(_COLUMNS)].T.astype(np.float64) * _REACH + 0.5


def _counted(name: str, i: int) -> str:
    """TensorFlow's name of the i-th of its kind."""
    return f"{name}_{i}" if i else name
