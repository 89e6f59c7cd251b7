"""Whole training steps of DeepFaceLab's SAEHD: our losses, discriminators and optimisers together repeat them.

Its own second run differs from its first by up to 0.002 in the losses of the second and third step, and in the sign of
AdaBelief's first step of weights that have hardly a gradient (shared/golden/dfl/README.md, train.npz). RMSprop's run,
which hangs on no sign, was the same twice, and is ours.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from understudy.core.model import dfl, discriminators
from understudy.core.model.discriminators import CodeDiscriminator, PatchDiscriminator
from understudy.core.model.networks import build
from understudy.core.model.presets import ModelConfig
from understudy.core.train import adversarial, losses, optimisers, style
from understudy.core.train.optimisers import OptimiserSettings


@pytest.fixture(scope="module")
def golden(shared):
    with np.load(shared / "golden" / "dfl" / "train.npz") as file:
        return dict(file)


def under(golden: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): array for name, array in golden.items() if name.startswith(prefix)}


def picture(bgr_u8: np.ndarray) -> Tensor:
    rgb = bgr_u8[..., ::-1].astype(np.float32) / np.float32(255)
    return torch.from_numpy(rgb.copy()).permute(0, 3, 1, 2)


def plain(array: np.ndarray, top: int = 1) -> Tensor:
    return torch.from_numpy(array.astype(np.float32) / np.float32(top)).permute(0, 3, 1, 2)


@dataclass(frozen=True, kw_only=True)
class Side:
    """One person's batch, and what the network makes of it."""

    warped: Tensor
    target: Tensor
    matte: Tensor
    eyes_mouth: Tensor


class Saehd:
    """DeepFaceLab's training step by step, made of our parts."""

    def __init__(self, golden: Mapping[str, np.ndarray], case: str) -> None:
        self.options: dict[str, Any] = json.loads(bytes(golden[f"{case}/options_json_utf8"]))
        arch = case.partition("_")[0]
        self.config = ModelConfig(
            arch=arch, options="ud", resolution=64, e_dims=4, d_dims=4, d_mask_dims=2, ae_dims=8
        )
        self.net = build(self.config)
        self.start = under(golden, f"w_{arch}_ud/")
        self.net.load_state_dict(dfl.state_dict(self.start, self.config))
        kept = under(golden, "w_disc/")
        self.patches, self.codes = PatchDiscriminator(8, 4), CodeDiscriminator(8, 4)
        self.patches.load_state_dict(discriminators.from_dfl(self.patches, under(kept, "D_src/")))
        self.codes.load_state_dict(discriminators.from_dfl(self.codes, under(kept, "dis/")))
        name = "adabelief-dfl" if self.options["adabelief"] else "rmsprop-dfl"
        settings = OptimiserSettings(clip=1.0 if self.options["clipgrad"] else None)
        still = () if self.options["random_warp"] else ("inter_AB.",)  # without warp LIAE's is not trained
        weights = [w for n, w in self.net.named_parameters() if not n.startswith(still or "-")]
        self.steps = [
            optimisers.build(name, part, settings)
            for part in (weights, self.codes.parameters(), self.patches.parameters())
        ]
        self.src, self.dst = (self._side(golden, name) for name in ("src", "dst"))

    def _side(self, golden: Mapping[str, np.ndarray], side: str) -> Side:
        target, matte = picture(golden[f"batch/target_{side}_u8"]), plain(golden[f"batch/target_{side}m_u8"])
        if self.options["blur_out_mask"]:
            target = losses.blurred_out(target, matte, "dfl")
        return Side(
            warped=picture(golden[f"batch/warped_{side}_u8"]),
            target=target,
            matte=matte,
            eyes_mouth=plain(golden[f"batch/target_{side}m_em_u8"], 255),
        )

    def generate(self) -> np.ndarray:
        """The first optimiser's step; the losses that DeepFaceLab reports: (2, B), src first."""
        codes, made = self._made()
        reported = [self._reconstruction(*pair) for pair in zip((self.src, self.dst), made, strict=True)]
        reported[0] = reported[0] + self._style(codes[1], made[1])
        self._descend(0, sum(reported) + self._judged(codes[0], made[0][0]))
        return torch.stack(reported).detach().numpy()

    @torch.no_grad()
    def _seen(self) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
        """Codes, src's target and its face, as the discriminators see them."""
        codes, made = self._made()
        look = losses.soften(self.src.matte)
        return codes, self.src.target * look, made[0][0] * look

    def discriminate(self) -> None:
        """The other two optimisers' steps."""
        codes, real, made = self._seen()
        if self.options["true_face_power"]:
            swapped = self.net.swapped(codes[1])
            self._descend(1, adversarial.discriminator_loss(self.codes(swapped), self.codes(codes[0])))
        if self.options["gan_power"]:
            self._descend(2, adversarial.discriminator_loss(self.patches(real), self.patches(made)))

    def _made(self) -> tuple[tuple[Tensor, ...], list[tuple[Tensor, Tensor]]]:
        """Codes, and faces with their mattes, of src and dst."""
        both = self.net.reconstruct(self.src.warped, self.dst.warped)
        faces, mattes = (torch.sigmoid(x).chunk(2) for x in (both.faces, both.mattes))
        return both.codes.chunk(2), list(zip(faces, mattes, strict=True))

    def _reconstruction(self, side: Side, made: tuple[Tensor, ...]) -> Tensor:
        parts = losses.reconstruction(
            side.target,
            side.matte,
            *made,
            masked=self.options["masked_training"],
            eyes_mouth_B1HW=side.eyes_mouth if self.options["eyes_mouth_prio"] else None,
            form="dfl",
        )
        return torch.stack(list(parts.values())).sum(0)

    def _style(self, code_dst: Tensor, dst: tuple[Tensor, ...]) -> Tensor:
        """Both style losses: of a swap whose code has no gradient, and of one whose code has."""
        if not self.options["face_style_power"]:
            return torch.zeros(2)
        code = self.net.swapped(code_dst)
        still, swap_matte = map(torch.sigmoid, self.net.decoders[0](code.detach()))
        moving = torch.sigmoid(self.net.decoders[0](code)[0])
        face = style.face_style(still, swap_matte, dst[0], dst[1], self.options["face_style_power"])
        return face + style.background_style(
            moving,
            self.dst.target,
            swap_matte_B1HW=swap_matte,
            dst_matte_B1HW=dst[1],
            src_matte_B1HW=self.src.matte,
            power=self.options["bg_style_power"],
            form="dfl",
        )

    def _judged(self, code_src: Tensor, face: Tensor) -> Tensor:
        """What the discriminators say, (B,)."""
        total = torch.zeros(2)
        if self.options["true_face_power"]:
            total = total + self.options["true_face_power"] * adversarial.generator_loss(self.codes(code_src))
        if self.options["gan_power"]:
            look = losses.soften(self.src.matte)
            total = total + self.options["gan_power"] * adversarial.generator_loss(self.patches(face * look))
            # `ours`: on CPUs, where this was made, DeepFaceLab's variation runs along the right axes
            total = total + adversarial.background(self.src.target, face, self.src.matte)
        return total

    def _descend(self, which: int, total: Tensor) -> None:
        """A step of one optimiser along the sum over samples, as TensorFlow's gradients of a vector are."""
        weights = [w for group in self.steps[which].param_groups for w in group["params"]]
        for weight, grad in zip(
            weights, torch.autograd.grad(total.sum(), weights, allow_unused=True), strict=True
        ):
            weight.grad = grad
        self.steps[which].step()


def recorded(golden: Mapping[str, np.ndarray], case: str, saehd: Saehd) -> dict[str, Tensor]:
    """Those of our weights that DeepFaceLab's first step left on record, and moved."""
    before = dfl.state_dict(saehd.start, saehd.config)
    after = dfl.state_dict({**saehd.start, **under(golden, f"{case}/after1/")}, saehd.config)
    return {name: weight for name, weight in after.items() if not torch.equal(weight, before[name])}


def by_part(values: Mapping[str, float], cut: str) -> dict[str, float]:
    """Sums by what stands before `cut` in the name."""
    sums: dict[str, float] = {}
    for name, value in values.items():
        part = name.partition(cut)[0]
        sums[part] = sums.get(part, 0.0) + value
    return sums


def assert_but_for_signs(apart: Tensor) -> None:
    """Hardly a weight is elsewhere, and none by more than a step the other way, 2 · 3.5 · 5e-5."""
    assert float(apart.max()) < 3.6e-4
    assert float((apart > 2e-6).float().mean()) < 0.05


REPEATABLE = "df_rms_clip_nomask"
CASES = ["df_base", "df_full", REPEATABLE, "liae_base", "liae_nowarp"]


@pytest.mark.parametrize("case", CASES)
def test_three_steps_are_deepfacelabs(golden, case):
    saehd = Saehd(golden, case)
    theirs = golden[f"{case}/losses_step_srcdst_sample"]
    room = 0.0 if case == REPEATABLE else 6e-3  # of steps of 0.4 and more
    for step in range(3):
        np.testing.assert_allclose(saehd.generate(), theirs[step], rtol=1e-5, atol=room if step else 0)
        saehd.discriminate()
    with torch.inference_mode():
        face = torch.sigmoid(saehd.net.reconstruct(saehd.src.warped, saehd.dst.warped).faces[:2])
    found = [float(face.mean()), float(face.std(correction=0))]
    np.testing.assert_allclose(found, golden[f"{case}/pred_src_src_after3_mean_std"], atol=1e-3)


@pytest.mark.parametrize("case", CASES)
def test_the_first_step_moves_weights_as_deepfacelabs(golden, case):
    saehd = Saehd(golden, case)
    saehd.generate()
    now = saehd.net.state_dict()
    expected = recorded(golden, case, saehd)
    assert len(expected) > 20
    apart = torch.cat([(now[name] - weight).abs().flatten() for name, weight in expected.items()])
    if case == REPEATABLE:
        assert float(apart.max()) < 1e-7
    else:
        assert_but_for_signs(apart)
    before = dfl.state_dict(saehd.start, saehd.config)
    ours = by_part({n: float((now[n] - w).abs().sum(dtype=torch.float64)) for n, w in before.items()}, ".")
    names = bytes(golden[f"{case}/weight_names_utf8"]).decode().split()
    sums = golden[f"{case}/after1_sum_abs_delta_per_weight"]
    assert ours == pytest.approx(by_part(dict(zip(names, sums, strict=True)), "/"), rel=5e-3)


@pytest.mark.parametrize("case", ["df_full", "liae_nowarp"])
def test_the_first_step_moves_discriminators_as_deepfacelabs(golden, case):
    saehd = Saehd(golden, case)
    saehd.generate()
    saehd.discriminate()
    parts = {"D_src": saehd.patches, "dis": saehd.codes}
    expected = under(golden, f"{case}/after1_disc/")
    assert len(expected) >= 8
    apart = []
    for name, theirs in expected.items():
        part, layer, kind = name.split("/")
        ours = parts[part].state_dict()[f"{layer.replace('convs_', 'convs.')}.{kind.removesuffix(':0')}"]
        apart.append((ours - torch.from_numpy(theirs)).abs())
    assert_but_for_signs(torch.cat(apart))
