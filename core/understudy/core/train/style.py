"""Style power: colours of the swap drawn towards dst's face, and its surroundings towards dst's.

Both look at the swap while src's own face is trained. They move faces by statistics alone, so they are for late in a
training and in small doses. Losses and weights are DeepFaceLab's (models/Model_SAEHD/Model.py, core/leras/ops), the
statistics those of instance normalisation (Huang and Belongie, arXiv 1703.06868). Suffixes: B batch, C channels, H, W
pixels. Faces are in swap space, mattes beside them, all 0 to 1.
"""

from __future__ import annotations

from torch import Tensor

from understudy.core.train import losses
from understudy.core.train.losses import Form


def style(content_BCHW: Tensor, like_BCHW: Tensor, sigma: float = 0.0) -> Tensor:
    """How far channels' means and standard deviations are apart, squared, the mean over channels, per sample: (B,).

    `sigma` blurs both before, in pixels.
    """
    pair = [losses.blur(x, sigma) if sigma else x.float() for x in (content_BCHW, like_BCHW)]
    means = [x.mean(dim=(2, 3)) for x in pair]
    deviations = [(x.var(dim=(2, 3), correction=0) + 1e-5).sqrt() for x in pair]
    apart = (means[0] - means[1]).square() + (deviations[0] - deviations[1]).square()
    return apart.mean(1)


def face_style(
    swap_BCHW: Tensor, swap_matte_B1HW: Tensor, dst_BCHW: Tensor, dst_matte_B1HW: Tensor, power: float
) -> Tensor:
    """The swap's face towards dst's as its own decoder paints it, per sample: (B,).

    Only `swap_BCHW` is moved; give it decoded from a code without gradient, and only the decoder is.

    Args:
        power: 0 to 100; DeepFaceLab's guide begins at 0.001.
    """
    content = swap_BCHW * swap_matte_B1HW.detach()
    like = (dst_BCHW * dst_matte_B1HW).detach()
    return 100 * power * style(content, like, content.shape[-1] // 8)


def background_style(
    swap_BCHW: Tensor,
    dst_BCHW: Tensor,
    *,
    swap_matte_B1HW: Tensor,
    dst_matte_B1HW: Tensor,
    src_matte_B1HW: Tensor,
    power: float,
    form: Form = "ours",
) -> Tensor:
    """What surrounds the swap's face towards what surrounds dst's, structure and pixels, per sample: (B,).

    The face is where both predicted mattes say so. DeepFaceLab computes that too, then takes src's target matte,
    which has nothing to do with the swap, and looks through one window only.

    Args:
        dst_BCHW: dst's target.
        swap_matte_B1HW, dst_matte_B1HW: predicted; they are not moved.
        src_matte_B1HW: src's target.
        power: 0 to 100; DeepFaceLab's guide names 2.
    """
    face = src_matte_B1HW if form == "dfl" else (swap_matte_B1HW * dst_matte_B1HW).detach()
    around = 1 - losses.soften(face)
    seen, made = dst_BCHW * around, swap_BCHW.float() * around
    if form == "dfl":
        window = losses.windows(seen.shape[-1])[0]
        structure = 10 * losses.dssim(seen, made, window).mean(1)
    else:
        structure = losses.structure(seen, made)
    return power / 100 * (structure + losses.squared(seen, made))
