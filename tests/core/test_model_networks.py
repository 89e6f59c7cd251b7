"""What every architecture promises: both people rebuilt, both directions swapped, parts that hold all weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from understudy.core.model.networks import Network, build
from understudy.core.model.presets import ARCHS, ModelConfig
from understudy.core.train.data import SHARE, Crops
from understudy.core.train.plan import Plan
from understudy.core.train.trainer import Trainer

TINY = ModelConfig(options="ud", resolution=64, e_dims=8, d_dims=4, d_mask_dims=2, ae_dims=8)
PARTS = {
    "df": ["encoder", "inter", "decoder_src", "decoder_dst"],
    "liae": ["encoder", "inter_AB", "inter_B", "decoder"],
}


def lively(arch: str, options: str = "ud") -> Network:
    """A network in float64 in which every weight matters."""
    net = build(replace(TINY, arch=arch, options=options)).double()
    generator = torch.Generator().manual_seed(5)
    net.initialise(generator)
    with torch.no_grad():
        for weight in net.parameters():
            spread = 0.05 if weight.ndim == 1 else 0.3 / weight[0].numel() ** 0.5
            weight.add_(torch.randn(weight.shape, generator=generator, dtype=torch.float64) * spread)
    return net.requires_grad_(False)


def faces(seed: int, count: int = 3) -> torch.Tensor:
    return torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def same(a: torch.Tensor, b: torch.Tensor) -> None:
    torch.testing.assert_close(a.float(), b.float(), atol=1e-6, rtol=0)


CASES = [
    (arch, options)
    for arch in ARCHS
    for options in ("", "udc", "ut")
    if not (arch[-1] == "d" and options == "ut")
]


@pytest.mark.parametrize(("arch", "options"), CASES)
def test_rebuilding_and_swapping_agree(arch, options):
    """A swap of src is src rebuilt, a swap back of dst is dst rebuilt, and the code of dst holds the swap."""
    net, src, dst = lively(arch, options), faces(1), faces(2)
    both = net.reconstruct(src, dst)
    assert both.faces.shape == (6, 3, 64, 64)
    assert both.mattes.shape == (6, 1, 64, 64)
    assert both.codes.shape[0] == 6
    (face_src, face_dst), (matte_src, matte_dst) = (
        torch.sigmoid(x).chunk(2) for x in (both.faces, both.mattes)
    )
    for ours, rebuilt in zip(net.swap(src), (face_src, matte_src), strict=True):
        assert ours.dtype == torch.float32
        same(ours, rebuilt)
    for ours, rebuilt in zip(net.swap_back(dst), (face_dst, matte_dst), strict=True):
        same(ours, rebuilt)
    swapped, matte, own = net.swap_and_dst(dst)
    same(own, matte_dst)
    for ours, theirs, logits in zip(
        (swapped, matte), net.swap(dst), net.decoders[0](net.swapped(both.codes[3:])), strict=True
    ):
        same(ours, theirs)
        same(ours, torch.sigmoid(logits))
    assert float((swapped - face_dst).abs().max()) > 0.01
    torch.testing.assert_close(net(src, dst).faces, both.faces)


@pytest.mark.parametrize("arch", ARCHS)
def test_parts_hold_every_weight(arch):
    net = lively(arch)
    assert list(net.parts) == PARTS[arch.removesuffix("hd")]
    held = [f"{part}.{name}" for part, module in net.parts.items() for name, _ in module.named_parameters()]
    assert held == [name for name, _ in net.named_parameters()]


def outputs(net: Network) -> dict[str, torch.Tensor]:
    src, dst = faces(1), faces(2)
    rebuilt = net.reconstruct(src, dst).faces.chunk(2)
    return {"src": rebuilt[0], "dst": rebuilt[1], "swap": net.swap(dst)[0], "back": net.swap_back(src)[0]}


@pytest.mark.parametrize(
    ("arch", "part", "moved"),
    [
        ("df", "decoder_dst", {"dst", "back"}),
        ("df", "decoder_src", {"src", "swap"}),
        ("df", "inter", {"src", "dst", "swap", "back"}),
        ("liae", "inter_B", {"dst", "back"}),
        ("liae", "inter_AB", {"src", "dst", "swap", "back"}),
        ("liaehd", "inter_B", {"dst", "back"}),
    ],
)
def test_who_goes_through_which_part(arch, part, moved):
    net = lively(arch)
    before = outputs(net)
    for weight in net.parts[part].parameters():
        weight.add_(0.1)
    after = outputs(net)
    assert {name for name in before if not torch.equal(before[name], after[name])} == moved


@pytest.mark.parametrize("arch", ARCHS)
def test_every_weight_is_trained(arch):
    """One step's gradient reaches all of them, also from the first weights, where some paths begin closed."""
    net = build(replace(TINY, arch=arch))
    net.initialise(torch.Generator().manual_seed(1))
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3)
    for _ in range(3):
        both = net.reconstruct(faces(1).float(), faces(2).float())
        loss = (torch.sigmoid(both.faces) - 0.3).square().mean() + torch.sigmoid(both.mattes).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert [n for n, w in net.named_parameters() if w.grad is None or not w.grad.abs().max() > 0] == []


def discs(config: ModelConfig, seed: int) -> Crops:
    """Five faces that are discs on black, each of one colour."""
    size = round(config.resolution / SHARE)
    y, x = np.mgrid[:size, :size] / size - 0.5
    disc = (x * x + y * y < 0.1).astype(np.float32)
    colours = np.random.default_rng(seed).uniform(0.2, 0.8, (5, 1, 1, 3))
    faces = np.broadcast_to(disc[None, :, :, None], (5, size, size, 1))
    mattes = np.broadcast_to(disc[None, :, :, None], (5, size, size, 2))
    array = np.concatenate([faces * colours, mattes], axis=-1).astype(np.float16)
    return Crops(array=array, digest="")


@pytest.mark.parametrize("arch", ARCHS)
def test_every_architecture_learns_in_the_trainer(arch):
    config = replace(TINY, arch=arch, face_type="full")
    trainer = Trainer(
        config, Plan(batch_size=2, learning_rate=2e-3, warmup=1), torch.device("cpu"), seed=1, bfloat16=False
    )
    src, dst = discs(config, 1), discs(config, 2)
    losses = [trainer.step(src, dst, i, 0.0) for i in range(40)]
    first, last = (float(each["src"] + each["dst"]) for each in (losses[0], losses[-1]))
    assert last < 0.8 * first
    rows = trainer.look(*(crops.gather(np.array([0, 3, 4])) for crops in (src, dst)))
    assert [row.shape for row in rows] == [(3, 3, 64, 64)] * 9
    with torch.inference_mode():
        torch.testing.assert_close(rows[1], trainer.net.swap(rows[0])[0])  # src as src is the swap of src
        torch.testing.assert_close(rows[3], trainer.net.swap_back(rows[2])[0])
