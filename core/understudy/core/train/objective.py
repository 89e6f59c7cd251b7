"""What a plan asks of a network: all losses of some samples, as named parts.

Every part is a function of its own elsewhere (`losses`, `style`, `adversarial`, `perceptual`); here is which of them a
plan takes, of what, and how much they count. Losses compute in float32, outside autocast; what they ask of networks
may be in bfloat16. Suffixes: B samples of each person, C channels, S the model's resolution. Faces are RGB in swap
space, mattes beside them, all 0 to 1; src comes first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from torch import Tensor

from understudy.core.model.networks import Network, Reconstruction
from understudy.core.train import adversarial, losses, perceptual, precision, style
from understudy.core.train.judges import Contest, Disguise, Judges
from understudy.core.train.losses import Form
from understudy.core.train.perceptual import Vgg
from understudy.core.train.plan import Plan

JUDGED = ("true_face", "gan", "gan_background")
"""Parts of which a person's loss is told without: they say how a contest stands and not how alike a face is."""


class Targets(NamedTuple):
    """What is to be painted: (2B, 3, S, S), (2B, 1, S, S) and (2B, 1, S, S)."""

    faces: Tensor
    mattes: Tensor
    eyes_mouth: Tensor

    def part(self, rows: slice) -> Targets:
        """Of some of the samples of each person."""
        return Targets(*(halves(each, rows) for each in self))


class Made(NamedTuple):
    """What the network makes of the samples: faces and mattes as `Targets` has them, float32; codes (2B, C, L, L)."""

    faces: Tensor
    mattes: Tensor
    codes: Tensor

    @staticmethod
    def of(both: Reconstruction) -> Made:
        """Of a network's logits."""
        return Made(torch.sigmoid(both.faces.float()), torch.sigmoid(both.mattes.float()), both.codes)


def halves(both: Tensor, rows: slice) -> Tensor:
    """Some of the samples of each person: (2B, …) → (2b, …)."""
    return torch.cat([each[rows] for each in both.chunk(2)])


def people(parts: Mapping[str, Tensor]) -> Tensor:
    """The losses of src and dst, (2, B), as DeepFaceLab tells them: all parts but `JUDGED`."""
    told = [part for name, part in parts.items() if name not in JUDGED]
    count = len(parts["matte"])
    src, dst = torch.stack([part for part in told if len(part) == count]).sum(0).chunk(2)
    for part in told:
        if len(part) < count:  # of the swap, which is src's to learn
            src = src + part
    return torch.stack([src, dst])


@dataclass(frozen=True, kw_only=True)
class Objective:
    """The losses of a plan.

    Attributes:
        vgg: what `plan.perceptual` looks through.
        bfloat16: whether networks compute in it.
    """

    plan: Plan
    net: Network
    judges: Judges
    vgg: Vgg | None = None
    bfloat16: bool = False

    def targets(self, targets_BCHW: Tensor) -> Targets:
        """What is to be painted, of samples (2B, 5, S, S)."""
        faces, mattes, eyes_mouth = targets_BCHW[:, :3], targets_BCHW[:, 3:4], targets_BCHW[:, 4:]
        if self.plan.blur_out:
            faces = losses.blurred_out(faces, mattes, self._form)
        return Targets(faces, mattes, eyes_mouth)

    def parts(self, made: Made, targets: Targets, disguise: Disguise | None = None) -> dict[str, Tensor]:
        """The losses per sample, weighted: of both people (2B,), or where they look at src or the swap alone (B,).

        A plan's loss is their sum over names and samples, in the form `ours` divided by 2B.
        """
        plan = self.plan
        parts = losses.reconstruction(
            targets.faces,
            targets.mattes,
            made.faces,
            made.mattes,
            beyond=plan.beyond,
            masked=plan.masked,
            eyes_mouth_B1HW=targets.eyes_mouth if plan.eyes_mouth else None,
            form=self._form,
        )
        if plan.perceptual:
            parts["perceptual"] = self._perceptual(made, targets)
        parts |= self._styles(made, targets)
        if plan.true_face:
            said = self.judges.codes(made.codes.chunk(2)[0])
            parts["true_face"] = plan.true_face * adversarial.generator_loss(said)
        if plan.gan:
            said = self.judges.patches(self.shown(made.faces, targets, disguise))
            parts["gan"] = plan.gan * adversarial.generator_loss(said)
            if plan.masked:
                wanted, face, matte = (
                    each.chunk(2)[0] for each in (targets.faces, made.faces, targets.mattes)
                )
                parts["gan_background"] = adversarial.background(wanted, face, matte, self._layout)
        return parts

    def shown(self, faces_BCHW: Tensor, targets: Targets, disguise: Disguise | None) -> Tensor:
        """src's half of faces as the GAN's discriminator sees them: (B, 3, S, S)."""
        seen = faces_BCHW.chunk(2)[0]
        if self.plan.masked:
            seen = seen * losses.soften(targets.mattes.chunk(2)[0])
        return seen if disguise is None else disguise(seen)

    @torch.no_grad()
    def contest(self, made: Made, targets: Targets, disguise: Disguise | None) -> Contest:
        """What the discriminators learn from."""
        real, painted = (self.shown(faces, targets, disguise) for faces in (targets.faces, made.faces))
        code_src, code_dst = made.codes.detach().chunk(2)
        return Contest(real, painted, self.net.swapped(code_dst), code_src)

    def _perceptual(self, made: Made, targets: Targets) -> Tensor:
        assert self.vgg is not None, "the trainer refuses such a plan"
        look = losses.soften(targets.mattes) if self.plan.masked else torch.ones_like(targets.mattes)
        return self.plan.perceptual * perceptual.perceptual(self.vgg, targets.faces * look, made.faces * look)

    def _styles(self, made: Made, targets: Targets) -> dict[str, Tensor]:
        """Of the swap: its face decoded of a code without gradient, its surroundings of one that has it."""
        plan, parts = self.plan, dict[str, Tensor]()
        if not (plan.face_style or plan.background_style):
            return parts
        code = self.net.swapped(made.codes.chunk(2)[1])
        own_face, own_matte = (each.chunk(2)[1] for each in (made.faces, made.mattes))
        if plan.face_style:
            swap = self._paint(code.detach())
            parts["face_style"] = style.face_style(*swap, own_face, own_matte, plan.face_style)
        if plan.background_style:
            face, matte = self._paint(code)
            parts["background_style"] = style.background_style(
                face,
                targets.faces.chunk(2)[1],
                swap_matte_B1HW=matte,
                dst_matte_B1HW=own_matte,
                src_matte_B1HW=targets.mattes.chunk(2)[0],
                power=plan.background_style,
                form=self._form,
            )
        return parts

    def _paint(self, code_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """src's face and its matte of a code."""
        with precision.autocast(code_BCHW.device, self.bfloat16):
            face, matte = self.net.decoders[0](code_BCHW)
        return torch.sigmoid(face.float()), torch.sigmoid(matte.float())

    @property
    def _form(self) -> Form:
        return cast(Form, self.plan.form)

    @property
    def _layout(self) -> Form:
        """Of the variation: DeepFaceLab takes the wrong axes only where its pictures have channels first, on GPUs."""
        on_cpu = next(self.net.parameters()).device.type == "cpu"
        return "ours" if on_cpu else self._form
