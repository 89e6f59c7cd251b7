"""Every option of a plan changes what a step does, and every loss that it asks for is told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from tests.core.training import PLAN, apart, noise, one_thread, state, steps, trainer
from understudy.core import parameters
from understudy.core.errors import InvalidInput
from understudy.core.model import presets
from understudy.core.train import averaging, perceptual, precision, stepper
from understudy.core.train.augmentation import Augmentation
from understudy.core.train.judges import disguise
from understudy.core.train.perceptual import Vgg
from understudy.core.train.plan import NAMES, Plan

BASE = {"src", "dst", "dssim", "pixel", "matte"}

# What an option needs beside it to be felt within three steps.
OPTIONS: dict[str, dict[str, str]] = {
    "initial": {"initial": "glorot"},
    "batch_size": {"batch_size": "3"},
    "accumulate": {"accumulate": "2"},
    "even_yaw": {"even_yaw": "yes"},
    "pair_poses": {"pair_poses": "yes"},
    "optimiser": {"optimiser": "adabelief"},
    "learning_rate": {"learning_rate": "1e-3"},
    "warmup": {"warmup": "0"},
    "floor": {"floor": "1"},
    "cycle": {"cycle": "3"},
    "keep": {"keep": "0.5"},
    "clip": {"clip": "0.01", "optimiser": "rmsprop-dfl"},
    "average": {"average": "0.9"},
    "masked": {"masked": "no"},
    "beyond": {"beyond": "0.5"},
    "blur_out": {"blur_out": "yes", "beyond": "1"},
    "eyes_mouth": {"eyes_mouth": "yes"},
    "form": {"form": "dfl", "optimiser": "adabelief-dfl"},
    "face_style": {"face_style": "1"},
    "background_style": {"background_style": "10"},
    "perceptual": {"perceptual": "1"},
    "true_face": {"true_face": "0.1"},
    "gan": {"gan": "0.1"},
    "gan_patch": {"gan": "0.1", "gan_patch": "16"},
    "gan_dims": {"gan": "0.1", "gan_dims": "4"},
    "gan_smoothing": {"gan": "0.1", "gan_smoothing": "0.3"},
    "gan_adapt": {"gan": "0.1", "gan_adapt": "no"},
    "calm": {"calm": "0.001"},
    "recompute": {"recompute": "yes"},
    "offload": {"offload": "yes"},
    "transfer": {"transfer": "rct"},
    "flip_src": {"flip_src": "1"},
    "flip_dst": {"flip_dst": "1"},
    "warp": {"warp": "0"},
    **{name: {name: "1"} for name in ("rotation", "scale", "exposure", "tint", "gamma", "saturation")},
    **{name: {name: "1"} for name in ("downscale", "blur", "motion", "jpeg", "noise", "shadow")},
    "shift": {"shift": "0.1"},
    "hue": {"hue": "60"},
}
SAME = {"accumulate", "recompute", "offload"}  # they trade memory, and no result


@pytest.fixture(autouse=True)
def on_one_thread():
    with one_thread():
        yield


def vgg() -> Vgg:
    net = Vgg()
    perceptual.initialise(net, torch.Generator().manual_seed(1))
    return net.eval().requires_grad_(False)


def after(options: dict[str, str], count: int = 3) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
    """The weights after a few steps, and the last losses."""
    given = trainer(options, vgg=vgg() if "perceptual" in options else None)
    if "gan" in options:  # as after a long contest, where its discriminator knows every sample
        given.judges.adapt = type(given.judges.adapt)(probability=0.8)
    losses = steps(given, 0, count)[-1]
    return {n: w.clone() for n, w in given.weights().items()}, losses


def test_every_option_has_a_case():
    assert set(OPTIONS) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_option_changes_the_step(name):
    """Beside the same without it, so that what it needs beside it is not taken for it."""
    options = OPTIONS[name]
    without = {n: v for n, v in options.items() if n != name}
    default = {p.name: p.default for part in (PLAN, PLAN.augmentation) for p in parameters.of(part)}
    assert options[name] != default[name]
    (weights, losses), (others, expected) = after(options), after(without)
    if name in SAME:  # Adam makes a step of rounding where a gradient is next to none: weights say little
        assert losses == pytest.approx(expected, rel=1e-4)
    else:
        assert apart(weights, others) > 1e-5


PARTS = {
    "eyes_mouth": {"eyes_mouth"},
    "face_style": {"face_style"},
    "background_style": {"background_style"},
    "perceptual": {"perceptual"},
    "true_face": {"true_face", "true_face_judge"},
    "gan": {"gan", "gan_judge", "gan_background"},
}


@pytest.mark.parametrize("name", PARTS)
def test_every_loss_is_told(name):
    _, losses = after(OPTIONS[name], count=1)
    assert set(losses) == BASE | PARTS[name]
    assert all(np.isfinite(list(losses.values())))
    assert losses[name] > 0


def test_what_is_told_of_people_is_the_sum_of_what_is_theirs():
    everything = {"eyes_mouth": "yes", "face_style": "1", "background_style": "10", "gan": "0.1"}
    _, losses = after(everything, count=1)
    both = sum(losses[name] for name in ("dssim", "pixel", "matte", "eyes_mouth"))
    alone = losses["face_style"] + losses["background_style"]
    assert (losses["src"] + losses["dst"]) / 2 == pytest.approx(both + alone / 2, rel=1e-5)


def test_a_plan_of_everything_in_every_architecture():
    everything = {name: value for each in OPTIONS.values() for name, value in each.items()}
    everything |= {
        "batch_size": "2",
        "learning_rate": "1e-3",
        "optimiser": "adabelief",
        "form": "ours",
        "masked": "yes",
        "calm": "1",
    }
    for arch in presets.ARCHS:
        sizes = {"e_dims": 8, "ae_dims": 8} if arch.endswith("hd") else {}
        config = presets.ModelConfig(**{**trainer().config.to_dict(), **sizes, "arch": arch})
        given = trainer(everything, config=config, vgg=vgg())
        for losses in steps(given, 0, 2):
            assert set(losses) == BASE.union(*PARTS.values())
            assert all(np.isfinite(list(losses.values())))
        assert given.sound()


def test_bfloat16_trains_with_everything():
    if not precision._speedup():
        pytest.skip("bfloat16 ends the process on this machine")
    options = {"gan": "0.1", "true_face": "0.1", "face_style": "1", "background_style": "1", "average": "0.9"}
    given = trainer(options, bfloat16=True)
    exact = trainer(options)
    for losses, wanted in zip(steps(given, 0, 3), steps(exact, 0, 3), strict=True):
        assert losses.keys() == wanted.keys()
        assert losses["pixel"] == pytest.approx(wanted["pixel"], rel=0.2)
    assert given.sound()
    assert all(weight.dtype == torch.float32 for weight in given.weights().values())


@pytest.mark.parametrize("options", [{}, {"gan": "0.1", "true_face": "0.1", "clip": "0.1", "form": "dfl"}])
def test_parts_of_a_batch_make_the_step_of_the_whole(options):
    """Adam takes a step of the full learning rate wherever the gradient has a sign, so RMSprop's is compared."""
    options = {**options, "optimiser": "rmsprop", "batch_size": "4", "learning_rate": "1e-4"}
    found = []
    for parts in ("1", "2", "4"):
        given = trainer({**options, "accumulate": parts})
        losses = steps(given, 0, 2)
        found.append((state(given), losses))
    for there, losses in found[1:]:
        assert apart(there, found[0][0]) < 2e-4
        for one, other in zip(losses, found[0][1], strict=True):
            assert one == pytest.approx(other, rel=1e-4)


@pytest.mark.parametrize("name", ["recompute", "offload"])
def test_what_trades_memory_for_time_changes_no_bit(name):
    options = {"gan": "0.1", "true_face": "0.1", "face_style": "1", "average": "0.9", "keep": "0.7"}
    as_is, traded = trainer(options), trainer({**options, name: "yes"})
    assert steps(as_is, 0, 3) == steps(traded, 0, 3)
    assert apart(state(as_is), state(traded)) == 0


def test_recompute_keeps_less_for_the_backward_pass():
    kept = []
    for wanted in ("no", "yes"):
        given = trainer({"recompute": wanted})
        sizes: list[int] = []
        src, dst = torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            sizes.append(tensor.numel())  # noqa: B023  called before the loop goes on
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            given.net.reconstruct(src, dst)
        kept.append(sum(sizes))
    assert kept[1] < 0.7 * kept[0]


def test_offloaded_moments_lie_elsewhere_between_steps(monkeypatch):
    """On a machine without a second memory, what is carried there and back is noted."""
    places: list[str] = []
    place = stepper._place

    def noted(optimiser: torch.optim.Optimizer, where: torch.device) -> None:
        places.append(where.type)
        place(optimiser, where)

    monkeypatch.setattr(stepper, "_place", noted)
    steps(trainer({"offload": "yes"}), 0, 2)
    assert places == ["cpu", "cpu"] * 2
    places.clear()
    steps(trainer(), 0, 1)
    assert places == []


def test_chunks_take_the_step_of_the_whole(monkeypatch):
    found = []
    for size in (1 << 24, 1000):
        monkeypatch.setattr(stepper, "CHUNK", size)
        given = trainer({"clip": "0.1"})
        steps(given, 0, 2)
        found.append(state(given))
    assert len(stepper.Stepper(dict(trainer().net.named_parameters()), PLAN)._chunks) > 5
    assert apart(*found) == 0


def test_a_clip_holds_all_weights_together():
    given = trainer({"clip": "0.5", "optimiser": "rmsprop-dfl"})
    seen: list[float] = []
    clip = torch.nn.utils.clip_grad_norm_

    def noting(weights, norm):
        found = clip(weights, norm)
        seen.append(float(torch.nn.utils.get_total_norm([w.grad for w in weights])))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.utils, "clip_grad_norm_", noting)
        steps(given, 0, 1)
    assert seen == pytest.approx([0.5], rel=1e-3)


def test_the_mean_swaps_and_is_looked_at():
    given = trainer({"average": "0.9"})
    steps(given, 0, 12)
    own = dict(given.net.state_dict())
    assert isinstance(given.mean, averaging.Average)
    assert apart(given.weights(), given.mean.net.state_dict()) == 0
    assert apart(given.weights(), own) > 1e-4
    src, dst = (noise(seed).gather(np.array([0, 3])) for seed in (1, 2))
    rows = given.look(src, dst)
    assert [row.shape for row in rows] == [(2, 3, 64, 64)] * 9
    with torch.inference_mode():
        torch.testing.assert_close(rows[4], given.mean.net.swap(rows[2])[0])
        torch.testing.assert_close(rows[5], given.mean.net.swap_back(rows[0])[0])
    given.adopt(PLAN)  # without
    assert apart(given.weights(), own) == 0


def test_deepfacelabs_liae_leaves_the_shared_inter_once_the_warp_is_off():
    config = presets.ModelConfig(**{**trainer().config.to_dict(), "arch": "liae"})
    for form, warp, stays in (("dfl", "0", True), ("dfl", "1", False), ("ours", "0", False)):
        given = trainer({"form": form, "warp": warp}, config=config)
        before = {n: w.clone() for n, w in given.net.named_parameters()}
        steps(given, 0, 2)
        moved = {
            n.partition(".")[0] for n, w in given.net.named_parameters() if not torch.equal(w, before[n])
        }
        assert ("inter_AB" not in moved) == stays
        assert {"encoder", "inter_B", "decoder"} <= moved


def test_judges_are_made_when_they_get_power_and_stay():
    given = trainer()
    steps(given, 0, 1)
    assert given.judges.gan is None
    given.adopt(PLAN.with_options({"gan": "0.1", "true_face": "0.1"}))
    steps(given, 1, 3)
    gan, true_face = given.judges.gan, given.judges.true_face
    assert gan is not None
    assert true_face is not None
    kept = state(given)
    given.adopt(PLAN)
    losses = steps(given, 3, 5)
    assert set(losses[-1]) == BASE
    now = state(given)
    for name in kept:
        if name.startswith(("gan/", "true_face/", "adapt/")):
            assert torch.equal(now[name], kept[name])
    given.adopt(PLAN.with_options({"gan": "0.1"}))
    assert given.judges.gan is gan
    given.adopt(PLAN.with_options({"gan": "0.1", "gan_dims": "8"}))
    assert given.judges.gan is not gan


def test_a_discriminator_that_knows_samples_by_heart_sees_disguises():
    given = trainer({"gan": "0.1"})
    steps(given, 0, 4)
    assert given.judges.adapt.probability == 0  # it only guesses yet
    assert given.judges.gan is not None
    for name, weight in given.judges.gan.net.named_parameters():
        if name in ("out_conv.bias", "center_out.bias"):  # everything is real
            weight.data.fill_(50.0)
    steps(given, 4, 12)
    risen = given.judges.adapt.probability
    assert risen == pytest.approx(
        2 * 4 * PLAN.batch_size / 500_000
    )  # two looks at the samples of four iterations
    given.adopt(PLAN.with_options({"gan": "0.1", "gan_adapt": "no"}))
    steps(given, 12, 16)
    assert given.judges.adapt.probability == risen


def test_gradients_go_through_a_disguise_that_is_that_of_each_sample():
    dice = torch.Generator().manual_seed(1)
    hidden = disguise(16, 0.5, dice, torch.device("cpu"))
    face = torch.rand(16, 3, 32, 32, requires_grad=True)
    seen = hidden(face)
    same = [torch.allclose(a, b, atol=1e-5) for a, b in zip(seen, face, strict=True)]
    assert 0 < 16 - sum(same) <= 16
    seen.sum().backward()
    assert face.grad is not None
    assert bool((face.grad.abs().sum(dim=(1, 2, 3)) > 100).all())
    torch.testing.assert_close(hidden.part(slice(3, 7))(face[3:7]), seen[3:7])
    nobody = disguise(16, 0.0, dice, torch.device("cpu"))
    torch.testing.assert_close(nobody(face), face, atol=1e-5, rtol=0)


def test_a_perceptual_loss_without_its_network_is_refused():
    with pytest.raises(InvalidInput, match="needs the weights vgg16") as refused:
        trainer({"perceptual": "1"})
    assert refused.value.field == "perceptual"


def test_a_smaller_patch_than_there_is_becomes_the_smallest():
    given = trainer({"gan": "0.1", "gan_patch": "1"})
    assert given.judges.gan is not None
    assert given.judges.gan.sizes == (3, 16)


def test_samples_that_are_read_aside_are_the_same():
    src, dst = noise(1), noise(2)
    plain, ahead = trainer(), trainer()
    ahead.aside = ThreadPoolExecutor(1)
    for iteration, options in enumerate([{}, {}, {"even_yaw": "yes"}, {"even_yaw": "yes"}, {}, {}]):
        number = iteration + 3 * (iteration > 4)  # not all come one after the other
        both = []
        for given in (plain, ahead):
            given.adopt(PLAN.with_options(options))
            both.append(given.samples(src, dst, number, 0.0))
        assert all(torch.equal(a, b) for a, b in zip(*both, strict=True))


def test_one_face_trains():
    given = trainer({"even_yaw": "yes", "pair_poses": "yes", "transfer": "sot"})
    for iteration in range(2):
        losses = given.step(noise(1, count=1), noise(2, count=1), iteration, 0.0)
        assert all(torch.isfinite(value) for value in losses.values())


def test_options_of_the_plan_are_all_known():
    assert Plan().with_options(Plan().options()) == Plan()
    assert Augmentation() == Plan().augmentation
