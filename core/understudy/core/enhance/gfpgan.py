"""GFPGAN v1.4: a face of 512 pixels painted anew by what a StyleGAN2 knows of faces.

Wang et al., "Towards Real-World Blind Face Restoration with Generative Facial Prior", CVPR 2021. Code and weights are
Apache-2.0; they were trained on FFHQ, whose pictures are for non-commercial use: a production asks its lawyers.
"""

from __future__ import annotations

from understudy.core.enhance import Enhancer
from understudy.core.weights import WeightStore

WEIGHTS: tuple[str, ...] = ("gfpgan-1.4",)


def create(store: WeightStore, *, device: str = "auto") -> Enhancer:
    """Raises as `_restorer.opened`."""
    from understudy.core.enhance import _restorer

    return _restorer.opened(store, WEIGHTS[0], device)
