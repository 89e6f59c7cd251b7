"""CodeFormer: a face of 512 pixels put together of a code book of good ones.

Zhou et al., "Towards Robust Blind Face Restoration with Codebook Lookup Transformer", NeurIPS 2022. Code and weights
are under the S-Lab License 1.0, which allows non-commercial use only: `WeightStore` gives them where that was
accepted. Its code is in `spandrel-extra-arches`, which no extra of ours installs: whoever may use it does.
"""

from __future__ import annotations

from understudy.core.enhance import Enhancer
from understudy.core.weights import WeightStore

WEIGHTS: tuple[str, ...] = ("codeformer",)


def create(store: WeightStore, *, device: str = "auto") -> Enhancer:
    """Raises as `_restorer.opened`."""
    from understudy.core.enhance import _restorer

    return _restorer.opened(store, WEIGHTS[0], device, extra=True)
