"""The plain training step that ours is measured against: the same maths as a tutorial would write it.

Eager float32 torch in the usual memory layout, a network of plain modules with DeepFaceLab's depth-to-space, filters
as depthwise convolutions with the full window, Adam without fusing, and samples made one by one on one CPU thread with
OpenCV, as DeepFaceLab makes them (core/imagelib/warp.py, samplelib/SampleProcessor.py): decode, cut, warp, affine.
Nothing is made slow on purpose. `load` takes our weights, so that the bench can hold both losses to one number.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from understudy.core.frames import Float
from understudy.core.model.layers import Upscale as Ours
from understudy.core.model.networks import Network
from understudy.core.model.presets import ModelConfig
from understudy.core.train.data import SHARE, Crops
from understudy.core.train.losses import windows
from understudy.core.train.plan import Plan

_CELLS = 2, 4, 8
FACE = 512  # pixels of a face on disk


def depth_to_space(x: Tensor) -> Tensor:
    """(B, 4·C, H, W) → (B, C, 2H, 2W), the sub-pixel first in the order of channels."""
    b, c, h, w = x.shape
    x = x.reshape(b, 2, 2, c // 4, h, w).permute(0, 3, 4, 1, 5, 2)
    return x.reshape(b, c // 4, 2 * h, 2 * w)


class Down(nn.Module):
    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 5, stride=2, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        return functional.leaky_relu(self.conv1(x), 0.1)


class Up(nn.Module):
    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 4 * out, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return depth_to_space(functional.leaky_relu(self.conv1(x), 0.1))


class Res(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return functional.leaky_relu(x + self.conv2(functional.leaky_relu(self.conv1(x), 0.2)), 0.2)


class Encoder(nn.Module):
    def __init__(self, e: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(Down(3, e), Down(e, 2 * e), Down(2 * e, 4 * e), Down(4 * e, 8 * e))

    def forward(self, x: Tensor) -> Tensor:
        x = self.layers(x).flatten(1)
        return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-6)


class Inter(nn.Module):
    def __init__(self, features: int, ae: int, out: int, side: int) -> None:
        super().__init__()
        self.out, self.side = out, side
        self.dense1, self.dense2 = nn.Linear(features, ae), nn.Linear(ae, side * side * out)
        self.upscale1 = Up(out, out)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dense2(self.dense1(x)).reshape(-1, self.out, self.side, self.side)
        code: Tensor = self.upscale1(x)
        return code


class Decoder(nn.Module):
    def __init__(self, channels: int, d: int, dm: int) -> None:
        super().__init__()
        self.face, self.matte, wide = nn.Sequential(), nn.Sequential(), channels
        for width in (8 * d, 4 * d, 2 * d):
            self.face.extend([Up(wide, width), Res(width)])
            wide = width
        self.out = nn.ModuleList(nn.Conv2d(wide, 3, k, padding=k // 2) for k in (1, 3, 3, 3))
        for width in (8 * dm, 4 * dm, 2 * dm, dm):
            self.matte.append(Up(channels, width))
            channels = width
        self.out_matte = nn.Conv2d(channels, 1, 1)

    def forward(self, code: Tensor) -> tuple[Tensor, Tensor]:
        x = self.face(code)
        face = depth_to_space(torch.cat([head(x) for head in self.out], 1))
        return torch.sigmoid(face), torch.sigmoid(self.out_matte(self.matte(code)))


class Peer(nn.Module):
    """DF or LIAE with the options `ud`, wired person by person as DeepFaceLab does."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        assert (config.options, config.hd) == ("ud", False), "the peer knows DF-ud and LIAE-ud"
        self.df = config.arch == "df"
        out = config.ae_dims * (1 if self.df else 2)
        features = 8 * config.e_dims * (config.resolution // 16) ** 2
        self.encoder = Encoder(config.e_dims)
        inters = [Inter(features, config.ae_dims, out, config.code_side) for _ in range(1 if self.df else 2)]
        channels, widths = out if self.df else 2 * out, (config.d_dims, config.d_mask_dims)
        if self.df:
            self.inter = inters[0]
            self.decoder_src, self.decoder_dst = Decoder(channels, *widths), Decoder(channels, *widths)
        else:
            self.inter_AB, self.inter_B = inters
            self.decoder = Decoder(channels, *widths)

    def forward(self, src: Tensor, dst: Tensor) -> list[tuple[Tensor, Tensor]]:
        """The face (B, 3, S, S) and matte (B, 1, S, S), 0 to 1, of src and of dst."""
        src, dst = self.encoder(src), self.encoder(dst)
        if self.df:
            return [self.decoder_src(self.inter(src)), self.decoder_dst(self.inter(dst))]
        shared_src, shared_dst = self.inter_AB(src), self.inter_AB(dst)
        codes = torch.cat([shared_src, shared_src], 1), torch.cat([self.inter_B(dst), shared_dst], 1)
        return [self.decoder(code) for code in codes]

    def load(self, ours: Network) -> None:
        """Take our weights; our sub-pixels come last in the order of channels, the peer's first."""
        state = {name: weight.detach().clone() for name, weight in ours.state_dict().items()}
        for name, module in ours.named_modules():
            if isinstance(module, Ours):
                for kind in ("weight", "bias"):
                    key = f"{name}.conv1.{kind}"
                    four = state[key].unflatten(0, (-1, 4)).transpose(0, 1)
                    state[key] = four.flatten(0, 1).contiguous()
        self.load_state_dict(state)


def _gauss(size: int, sigma: float, channels: int) -> Tensor:
    """(channels, 1, size, size), for a depthwise convolution."""
    x = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    kernel = torch.exp(-(x[:, None] ** 2 + x[None] ** 2) / (2 * sigma**2))
    return (kernel / kernel.sum()).float().expand(channels, 1, size, size).contiguous()


def blur(x: Tensor, sigma: float) -> Tensor:
    """A gaussian cut at twice σ; black beyond the border."""
    reach = max(3, int(4 * sigma)) // 2
    channels = x.shape[1]
    return functional.conv2d(x, _gauss(2 * reach + 1, sigma, channels), padding=reach, groups=channels)


def dssim(a: Tensor, b: Tensor, window: int, sigma: float) -> Tensor:
    """Structural dissimilarity per sample, (B,)."""
    kernel = _gauss(window, sigma, 3)

    def mean(x: Tensor) -> Tensor:
        return functional.conv2d(x, kernel, groups=3)

    c1, c2, mean_a, mean_b = 0.01**2, 0.03**2, mean(a), mean(b)
    cross, squares = mean_a * mean_b * 2, mean_a.square() + mean_b.square()
    luminance = (cross + c1) / (squares + c1)
    structure = (mean(a * b) * 2 - cross + c2) / (mean(a.square() + b.square()) - squares + c2)
    return (1 - (luminance * structure).mean(dim=(1, 2, 3))) / 2


def loss(target: Tensor, matte: Tensor, face: Tensor, face_matte: Tensor, beyond: float) -> Tensor:
    """SAEHD's loss of one person, masked, below 256 pixels; per sample, (B,)."""
    side = target.shape[-1]
    look = beyond + (1 - beyond) * (2 * blur(matte, max(1, side // 32))).clamp(0, 1)
    seen, made = target * look, face * look
    (window,) = windows(side)
    structure = 10 * dssim(seen, made, window, 1.5)
    pixels = 10 * (seen - made).square().mean(dim=(1, 2, 3))
    return structure + pixels + 10 * (matte - face_matte).square().mean(dim=(1, 2, 3))


class Faces:
    """Crops as DeepFaceLab keeps them: JPEGs of 512 pixels, which are decoded for each sample; mattes are given."""

    def __init__(self, crops: Crops) -> None:
        self.mattes = crops.array[..., 3:]
        large = (cv2.resize(each[..., :3].astype(np.float32), (FACE, FACE)) for each in crops.array)
        self.jpegs = [encoded(each) for each in large]

    def crop(self, number: int) -> Float:
        """(M, M, 5) float32."""
        mattes = self.mattes[number].astype(np.float32)
        return np.dstack([decoded(self.jpegs[number], len(mattes)), mattes])


class PeerTrainer:
    """The plain step: samples, both people forward and back, the optimiser."""

    def __init__(self, config: ModelConfig, plan: Plan) -> None:
        self.config, self.plan = config, plan
        self.net = Peer(config)
        weights, rate = self.net.parameters(), plan.learning_rate
        self.optimiser = torch.optim.Adam(weights, lr=rate, foreach=False, fused=False)
        self._dice = np.random.default_rng(1)

    def step(self, src: Faces, dst: Faces) -> float:
        """One iteration; the loss."""
        return self.learn(self.samples(src), self.samples(dst))

    def learn(self, src: tuple[Tensor, Tensor], dst: tuple[Tensor, Tensor]) -> float:
        """The step on inputs (B, 3, S, S) and targets (B, 5, S, S) of both people."""
        made = self.net(src[0], dst[0])
        parts = [
            loss(target[:, :3], target[:, 3:4], face, matte, self.plan.beyond)
            for (_, target), (face, matte) in zip((src, dst), made, strict=True)
        ]
        total = torch.cat(parts).mean()
        self.optimiser.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return float(total.detach())

    def samples(self, faces: Faces) -> tuple[Tensor, Tensor]:
        """Inputs and targets of a batch, made one by one."""
        side, dice = self.config.resolution, self._dice
        chosen = dice.integers(len(faces.jpegs), size=self.plan.batch_size).tolist()
        pairs = [sample(faces.crop(number), side, self.plan, dice) for number in chosen]
        inputs, targets = (
            torch.from_numpy(np.stack(each)).permute(0, 3, 1, 2).contiguous()
            for each in zip(*pairs, strict=True)
        )
        return inputs, targets


def decoded(jpeg: Any, side: int) -> Float:
    """(side, side, 3), 0 to 1."""
    whole: Any = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    small: Float = cv2.resize(whole.astype(np.float32) / 255, (side, side), interpolation=cv2.INTER_CUBIC)
    return small


def encoded(rgb: Float) -> Any:
    """A JPEG of DeepFaceLab's quality."""
    return cv2.imencode(".jpg", (rgb * 255 + 0.5).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 90])[1]


def sample(
    crop: Float, side: int, plan: Plan, dice: np.random.Generator, share: float = SHARE
) -> tuple[Float, Float]:
    """Input (side, side, 3), warped, and target (side, side, 5) of a crop (M, M, 5), of which `share` is seen."""
    amount = plan.augmentation
    margin = (1 - share) / 2 * len(crop)
    zoom = side / (share * len(crop))
    cut = np.array([[zoom, 0, -margin * zoom], [0, zoom, -margin * zoom]])
    cells = int(dice.choice(_CELLS))
    maps = [_bent(side, cells, amount.warp, axis, dice) for axis in (1, 0)]
    turn, scale = dice.uniform(-1, 1) * amount.rotation, 1 + dice.uniform(-1, 1) * amount.scale
    place = cv2.getRotationMatrix2D((side / 2, side / 2), turn, scale)
    place[:, 2] = place[:, 2] + dice.uniform(-1, 1, 2) * amount.shift * side
    made: list[Float] = []
    for channels, bent in (
        (slice(0, 3), True),
        (slice(0, 3), False),
        (slice(3, 4), False),
        (slice(4, 5), False),
    ):
        way = cv2.INTER_CUBIC if channels.stop == 3 else cv2.INTER_LINEAR
        border = cv2.BORDER_REPLICATE if channels.stop == 3 else cv2.BORDER_CONSTANT
        x: Any = cv2.warpAffine(crop[..., channels], cut, (side, side), flags=way, borderMode=border)
        if bent:
            x = cv2.remap(x, maps[0], maps[1], way)
        x = cv2.warpAffine(x, place, (side, side), flags=way, borderMode=border)
        made.append(np.clip(x, 0, 1).reshape(side, side, -1))
    light = 1 + dice.uniform(-1, 1) * amount.exposure + dice.uniform(-1, 1, 3) * amount.tint
    colours: list[Float] = [np.clip(x * light.astype(np.float32), 0, 1) for x in made[:2]]
    return colours[0], np.concatenate([colours[1], *made[2:]], axis=2)


def _bent(side: int, cells: int, strength: float, axis: int, dice: np.random.Generator) -> Float:
    """(side, side) where the warped picture takes its pixels from, along an axis."""
    cell = side // cells
    grid = np.linspace(0, side, cells + 1, dtype=np.float32)
    points = np.broadcast_to(grid if axis else grid[:, None], (cells + 1, cells + 1)).copy()
    z = np.clip(dice.standard_normal((cells - 1, cells - 1)), -2.5, 2.5) / 2.5
    points[1:-1, 1:-1] += (z * 0.24 * np.sqrt(2) * cell * strength).astype(np.float32)
    half = cell // 2
    dense: Any = cv2.resize(points, (side + cell, side + cell))[half:-half, half:-half]
    return np.ascontiguousarray(dense, np.float32)
