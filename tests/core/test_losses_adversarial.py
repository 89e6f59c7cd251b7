"""GAN, TrueFace, what goes with them, and the perceptual loss."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
import torch
from torch import nn

from understudy.core.errors import InvalidInput, WeightsCorrupt, WeightsMissing
from understudy.core.train import adversarial, perceptual
from understudy.core.train.adversarial import AdaptiveAugmentation
from understudy.core.weights import Weights, WeightStore


def logits(*values: float) -> torch.Tensor:
    """One map of one sample for each value."""
    return torch.tensor(values)[:, None, None, None].expand(-1, 1, 4, 4)


# What they ask of each other


def test_a_discriminator_that_guesses_costs_ln_2_an_output():
    made = adversarial.generator_loss([logits(0.0, 0.0), logits(0.0, 0.0)])
    np.testing.assert_allclose(made, [2 * math.log(2)] * 2, rtol=1e-6)
    told = adversarial.discriminator_loss([logits(0.0)] * 2, [logits(0.0)] * 2)
    np.testing.assert_allclose(told, [2 * math.log(2)], rtol=1e-6)


def test_losses_are_cross_entropies_of_each_sample():
    values = np.array([-30.0, -2.0, 0.5, 7.0])
    with np.errstate(over="ignore"):
        as_real, as_made = np.log1p(np.exp(-values)), np.log1p(np.exp(values))
    np.testing.assert_allclose(adversarial.generator_loss([logits(*values)]), as_real, rtol=1e-5)
    told = adversarial.discriminator_loss([logits(*values)], [logits(*values[::-1])])
    np.testing.assert_allclose(told, (as_real + as_made[::-1]) / 2, rtol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_smoothing_wants_no_more_than_that_belief(smoothing):
    """The slope at a belief is how far it is above the wish, here over the two halves and the four pixels."""
    for belief in (0.2, 0.5, 0.9, 0.99):
        real = torch.full((1, 1, 2, 2), math.log(belief / (1 - belief)), requires_grad=True)
        adversarial.discriminator_loss([real], [logits(0.0)], smoothing=smoothing).sum().backward()
        assert real.grad is not None
        np.testing.assert_allclose(real.grad, (belief - (1 - smoothing)) / 2 / 4, atol=1e-6)


def test_background_counts_outside_the_face_only_and_smooths_all():
    target, matte = torch.full((1, 3, 64, 64), 0.5), torch.zeros(1, 1, 64, 64)
    matte[..., 16:48, 16:48] = 1
    assert float(adversarial.background(target, target, matte)) == 0
    inside, outside = target.clone(), target.clone()
    inside[..., 30:34, 30:34] = 1
    outside[..., 2:6, 2:6] = 1
    jumps = 1e-6 * 3 * 2 * 8 * 0.25  # two sides of four rows and columns each
    assert float(adversarial.background(target, inside, matte)) == pytest.approx(jumps, rel=1e-4)
    whole = jumps + 0.02 * 0.25 * 16 / 64**2
    assert float(adversarial.background(target, outside, matte)) == pytest.approx(whole, rel=1e-3)


def test_background_has_deepfacelabs_form_too():
    target = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    whole = torch.ones(1, 1, 32, 32)
    assert float(adversarial.background(target, target, whole, "dfl")) != pytest.approx(
        float(adversarial.background(target, target, whole)), rel=0.05
    )


# How much to augment


def test_confidence_is_the_share_of_real_that_is_taken_so():
    assert float(adversarial.confidence([logits(1.0, 2.0, 3.0, -1.0)])) == pytest.approx(0.5)
    assert float(adversarial.confidence([logits(1.0), logits(-9.0)])) == pytest.approx(0.0)


def test_augmentation_grows_while_it_learns_by_heart_and_shrinks_else():
    state = AdaptiveAugmentation(horizon=1000, target=0.6)
    seen = [(state := state.after(0.9, 100)).probability for _ in range(12)]
    assert seen == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.8, 0.8, 0.8, 0.8])
    assert state.after(0.6, 100) == state
    seen = [(state := state.after(0.1, 300)).probability for _ in range(4)]
    assert seen == pytest.approx([0.5, 0.2, 0.0, 0.0])


def test_augmentation_settles_where_the_discriminator_is_as_sure_as_wanted():
    """One that is the less sure the more is augmented."""
    state = AdaptiveAugmentation(horizon=10_000)
    for _ in range(1000):
        state = state.after(1 - state.probability, 32)
    assert state.probability == pytest.approx(0.4, abs=0.01)


@pytest.mark.parametrize(
    ("field", "value"),
    [("probability", 0.9), ("limit", 1.5), ("target", 2.0), ("horizon", 0), ("target", math.nan)],
)
def test_augmentation_out_of_range_is_refused(field, value):
    with pytest.raises(InvalidInput, match=field) as caught:
        AdaptiveAugmentation(**{field: value})
    assert caught.value.field == field


# Perceptual


@pytest.fixture(scope="module")
def vgg():
    net = perceptual.Vgg("vgg16").eval().requires_grad_(False)
    perceptual.initialise(net, torch.Generator().manual_seed(1))
    return net


def faces(seed: int) -> torch.Tensor:
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


def plain_vgg(stages: tuple[int, ...]) -> nn.Sequential:
    """As torchvision lists it: a pool after each stage."""
    layers: list[nn.Module] = []
    before = 3
    for count, out in zip(stages, (64, 128, 256, 512, 512), strict=True):
        for _ in range(count):
            layers += [nn.Conv2d(before, out, 3, padding=1), nn.ReLU()]
            before = out
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


@pytest.mark.parametrize(
    ("name", "stages", "taps"),
    [("vgg16", (2, 2, 3, 3, 3), (3, 8, 15, 22)), ("vgg19", (2, 2, 4, 4, 4), (3, 8, 17, 26))],
)
def test_features_are_those_of_torchvisions_layers(name, stages, taps):
    theirs, ours = plain_vgg(stages), perceptual.Vgg(name)
    state = {f"features.{key}": value for key, value in theirs.state_dict().items()}
    ours.load_state_dict({key: state[key] for key in ours.state_dict()})
    with torch.inference_mode():
        seen, found = (faces(0) - torch.tensor([0.485, 0.456, 0.406])[:, None, None]), []
        seen = seen / torch.tensor([0.229, 0.224, 0.225])[:, None, None]
        for place, layer in enumerate(theirs):
            seen = layer(seen)
            if place in taps:
                found.append(seen)
        for mine, expected in zip(ours(faces(0)), found, strict=True):
            np.testing.assert_allclose(mine, nn.functional.normalize(expected), atol=1e-4)


def test_equal_faces_are_not_apart_and_others_are_within_bounds(vgg):
    assert perceptual.perceptual(vgg, faces(1), faces(1)).tolist() == [0.0, 0.0]
    apart = perceptual.perceptual(vgg, faces(1), faces(2))
    assert apart.shape == (2,)
    assert 0.01 < float(apart.min()) <= float(apart.max()) < 2


def test_the_face_is_moved_and_neither_target_nor_network(vgg):
    target, face = faces(1).requires_grad_(), faces(2).requires_grad_()
    before = perceptual.perceptual(vgg, target, face)
    before.sum().backward()
    assert target.grad is None
    assert face.grad is not None
    nearer = face.detach() - 0.01 * face.grad / face.grad.square().mean().sqrt()
    assert bool((perceptual.perceptual(vgg, target.detach(), nearer) < before.detach()).all())
    assert all(weight.grad is None for weight in vgg.parameters())


def test_where_nothing_is_seen_nothing_moves(vgg):
    blind = perceptual.Vgg("vgg16").requires_grad_(False)
    blind.load_state_dict({name: -weight.abs() - 1 for name, weight in vgg.state_dict().items()})
    face = torch.ones(1, 3, 16, 16, requires_grad=True)
    perceptual.perceptual(blind, face.detach(), face).sum().backward()
    assert face.grad is not None
    assert not bool(face.grad.any())


def published(folder, state, name="vgg16"):
    path = folder / f"{name}.pth"
    torch.save(state, path)
    entry = Weights(
        name=name,
        kind="perceptual",
        title="made up",
        licence="none",
        size=path.stat().st_size,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        url=f"https://nowhere.invalid/{path.name}",
    )
    return WeightStore(folder / "cache", (folder,), (entry,))


def test_published_weights_load_without_the_classifier(vgg, tmp_path):
    state = vgg.state_dict() | {
        "features.28.weight": torch.zeros(4),
        "classifier.0.weight": torch.zeros(8, 8),
    }
    net = perceptual.load(published(tmp_path, state), "vgg16", torch.device("cpu"))
    assert torch.equal(net(faces(1))[3], vgg(faces(1))[3])
    assert not any(weight.requires_grad for weight in net.parameters())


def test_weights_of_another_network_are_refused(vgg, tmp_path):
    with pytest.raises(WeightsCorrupt, match="not the weights of Vgg"):
        perceptual.load(published(tmp_path, vgg.state_dict(), "vgg19"), "vgg19", torch.device("cpu"))


def test_missing_weights_name_the_command(tmp_path, vgg):
    store = published(tmp_path, vgg.state_dict())
    (tmp_path / "vgg16.pth").unlink()
    with pytest.raises(WeightsMissing, match="weights pull vgg16"):
        perceptual.load(store, "vgg16", torch.device("cpu"))
