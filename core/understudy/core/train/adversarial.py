"""What a discriminator and the network that it judges ask of each other; GAN and TrueFace alike.

A GAN (Goodfellow et al., arXiv 1406.2661; the generator's loss is the non-saturating one) judges src's painted
faces against its real ones. TrueFace judges codes: real are those that a swap hands to src's decoder, of dst
(`Network.swapped`), and made are those that it is trained on, of src; so that these come to look like the former and
it is at home with a swap's. DeepFaceLab has it for DF alone, where dst's code is the swap's. For LIAE it is the code
of the inter that both people share, twice.
Discriminators are in `model.discriminators`; the losses and weights are DeepFaceLab's (models/Model_SAEHD/Model.py).
Suffixes: B batch, C channels, H, W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from understudy.core.errors import InvalidInput
from understudy.core.train import losses
from understudy.core.train.losses import Form


def generator_loss(made: Sequence[Tensor]) -> Tensor:
    """How far the judged is from passing as real, summed over the discriminator's outputs, per sample: (B,).

    Args:
        made: the discriminator's logits (B, 1, …) of what the network made.
    """
    return torch.stack([_cross_entropy(logits, 1.0) for logits in made]).sum(0)


def discriminator_loss(real: Sequence[Tensor], made: Sequence[Tensor], *, smoothing: float = 0.0) -> Tensor:
    """How far the discriminator is from telling one from the other, summed over its outputs, per sample: (B,).

    Args:
        real, made: its logits (B, 1, …), output by output; `made` from pictures or codes without gradient.
        smoothing: how much less than 1 it shall believe in what is real, 0 to 1: it then never grows too sure
            (Salimans et al., arXiv 1606.03498). DeepFaceLab's is 0.
    """
    halves = [
        _cross_entropy(x, 1.0 - smoothing) + _cross_entropy(y, 0.0) for x, y in zip(real, made, strict=True)
    ]
    return torch.stack(halves).sum(0) / 2


def background(target_BCHW: Tensor, face_BCHW: Tensor, matte_B1HW: Tensor, form: Form = "ours") -> Tensor:
    """What keeps a masked face's surroundings in order while a GAN, that never sees them, runs, per sample: (B,).

    Without it bright dots appear there. `form` is that of `losses.total_variation`.
    """
    around = 1 - losses.soften(matte_B1HW)
    apart = ((target_BCHW - face_BCHW.float()) * around).square().mean(dim=(1, 2, 3))
    return 1e-6 * losses.total_variation(face_BCHW, form) + 0.02 * apart


def confidence(real: Sequence[Tensor]) -> Tensor:
    """-1 to 1: the share of real that the discriminator takes as such, less the rest; the mean over its outputs.

    0 where it only guesses, 1 where it knows every one, as who learnt them by heart. A scalar on the logits' device.
    """
    return torch.stack([logits.detach().float().sign().mean() for logits in real]).mean()


@dataclass(frozen=True, kw_only=True)
class AdaptiveAugmentation:
    """How probably what a discriminator sees is augmented: more while it learns by heart, less while it does not.

    Karras et al., "Training Generative Adversarial Networks with Limited Data", arXiv 2006.06676, section 3.

    Attributes:
        probability: of each augmentation, 0 to `limit`.
        target: the `confidence` that is aimed at.
        horizon: samples over which the probability would go from 0 to 1.
        limit: beyond it augmentations show in what the network paints (section 2.2 of the paper).

    Raises:
        InvalidInput: names the field and the value.
    """

    probability: float = 0.0
    target: float = 0.6
    horizon: int = 500_000
    limit: float = 0.8

    def __post_init__(self) -> None:
        for name, low, high in (("limit", 0.0, 1.0), ("probability", 0.0, self.limit), ("target", -1.0, 1.0)):
            value = getattr(self, name)
            if not low <= value <= high:
                why = f"augmentation: {name} {value} must be {low:g} to {high:g}"
                raise InvalidInput(why, field=name, value=value)
        if self.horizon < 1:
            raise InvalidInput(
                f"augmentation: horizon {self.horizon} must be 1 or more", field="horizon", value=self.horizon
            )

    def after(self, confidence: float, samples: int) -> AdaptiveAugmentation:
        """As it is after so many real samples more, of which the discriminator had that mean confidence.

        The paper asks every 4 batches, which spares a device three of four waits.
        """
        step = samples / self.horizon
        moved = self.probability + (
            step if confidence > self.target else -step if confidence < self.target else 0.0
        )
        return replace(self, probability=min(self.limit, max(0.0, moved)))


def _cross_entropy(logits: Tensor, label: float) -> Tensor:
    """Of a sigmoid, against one label everywhere, the mean per sample: (B,)."""
    x = logits.float().flatten(1)
    return functional.binary_cross_entropy_with_logits(x, torch.full_like(x, label), reduction="none").mean(1)
