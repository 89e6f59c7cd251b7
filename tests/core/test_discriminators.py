"""Discriminators, against DeepFaceLab's own numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from understudy.core.errors import InvalidInput, ModelInvalid
from understudy.core.model import discriminators
from understudy.core.model.discriminators import CodeDiscriminator, PatchDiscriminator


@pytest.fixture(scope="module")
def golden(shared):
    with np.load(shared / "golden" / "dfl" / "disc.npz") as file:
        return dict(file)


def theirs(golden, part: str) -> dict[str, np.ndarray]:
    prefix = f"w/{part}/"
    return {name.removeprefix(prefix): array for name, array in golden.items() if name.startswith(prefix)}


def faces(golden) -> torch.Tensor:
    rgb = golden["in/image_u8"][..., ::-1].astype(np.float32) / np.float32(255)
    return torch.from_numpy(rgb.copy()).permute(0, 3, 1, 2)


@pytest.mark.parametrize(("part", "patch", "dims"), [("D_src", 16, 4), ("D_src28", 28, 2)])
def test_patch_discriminator_agrees_with_deepfacelab(golden, part, patch, dims):
    net = PatchDiscriminator(patch, dims)
    net.load_state_dict(discriminators.from_dfl(net, theirs(golden, part)))
    with torch.inference_mode():
        patches, pixels = net(faces(golden))
    np.testing.assert_allclose(patches.permute(0, 2, 3, 1), golden[f"out/{part}_center"], atol=1e-5)
    np.testing.assert_allclose(pixels.permute(0, 2, 3, 1), golden[f"out/{part}_full"], atol=1e-5)


@pytest.mark.parametrize(("part", "side"), [("dis", 16), ("dis4", 4)])
def test_code_discriminator_agrees_with_deepfacelab(golden, part, side):
    net = CodeDiscriminator(16, side, width=8)
    net.load_state_dict(discriminators.from_dfl(net, theirs(golden, part)))
    with torch.inference_mode():
        (found,) = net(torch.from_numpy(golden[f"in/code{side}"]).permute(0, 3, 1, 2))
    np.testing.assert_allclose(found.permute(0, 2, 3, 1), golden[f"out/{part}"], atol=1e-5)


def test_layers_for_each_patch_are_deepfacelabs(golden):
    for patch, row, field in zip(
        golden["archi_patch_sizes"],
        golden["archi_strides_zero_padded"],
        golden["archi_receptive_field"],
        strict=True,
    ):
        steps = discriminators.strides(int(patch))
        assert steps == tuple(row[row > 0])
        assert discriminators.receptive_field(steps) == field


def test_a_patch_sees_what_the_receptive_field_says():
    net = PatchDiscriminator(28, 2)
    face = torch.zeros(1, 3, 96, 96, requires_grad=True)
    centre = net(face)[0][0, 0, 6, 6]
    centre.backward()
    assert face.grad is not None
    seen = face.grad.abs().sum(dim=(0, 1))
    assert [int((seen.sum(axis) > 0).sum()) for axis in (0, 1)] == [27, 27]


@pytest.mark.parametrize(("side", "patch"), [(64, 256), (96, 640), (90, 100), (64, 3)])
def test_any_patch_judges_each_pixel_of_any_face(side, patch):
    net = PatchDiscriminator(patch, 2)
    discriminators.initialise(net, torch.Generator().manual_seed(0))
    patches, pixels = net(torch.rand(2, 3, side, side))
    assert pixels.shape == (2, 1, side, side)
    assert patches.shape[:2] == (2, 1)
    assert bool(torch.isfinite(pixels).all())


def test_channels_double_to_512_at_most():
    net = PatchDiscriminator(256, 64)
    assert [conv.out_channels for conv in net.convs] == [128, 256, 512, 512, 512, 512, 512]
    code = CodeDiscriminator(32, 40, width=4)
    assert [conv.out_channels for conv in code.convs] == [4, 8, 16, 32, 32, 32]


def test_fresh_weights_are_the_seeds_unsure_and_keep_the_spread():
    first, again, other = (PatchDiscriminator(64, 16) for _ in range(3))
    for net, seed in ((first, 1), (again, 1), (other, 2)):
        discriminators.initialise(net, torch.Generator().manual_seed(seed))
    face = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        outs = [net(face) for net in (first, again, other)]
    assert all(torch.equal(a, b) for a, b in zip(outs[0], outs[1], strict=True))
    assert not torch.equal(outs[0][1], outs[2][1])
    for logits in outs[0]:
        assert 0.01 < float(logits.abs().mean()) < 1


def test_weights_of_other_sizes_are_named(golden):
    arrays = theirs(golden, "D_src")
    with pytest.raises(
        ModelInvalid, match=r"convs_0/weight:0 becomes \(8, 4, 3, 3\)|in_conv/weight:0 becomes"
    ):
        discriminators.from_dfl(PatchDiscriminator(16, 8), arrays)
    del arrays["center_out/bias:0"]
    with pytest.raises(ModelInvalid, match="center_out/bias:0 is missing"):
        discriminators.from_dfl(PatchDiscriminator(16, 4), arrays)


@pytest.mark.parametrize(
    ("patch", "dims", "field"), [(2, 16, "gan_patch"), (641, 16, "gan_patch"), (8, 1, "gan_dims")]
)
def test_sizes_out_of_range_are_refused(patch, dims, field):
    with pytest.raises(InvalidInput) as caught:
        PatchDiscriminator(patch, dims)
    assert caught.value.field == field
