"""What the authors' package makes of TernausNet: numbers that ours is held against.

Made by `python -m tests.core.golden.make_ternausnet` where ternausnet 0.0.1 is installed, and torchvision, of which it
takes the layers of `vgg11`. The weights are made up (`bench.parity_segment.louder`).

ternausnet.npz holds:
    logits: (1, 32, 32) every second row and column of UNet11's output for `picture()`, less ImageNet's mean and by its
        deviation, which the package leaves to its user
"""

from __future__ import annotations

from importlib import import_module

import numpy as np
import torch

from bench.parity_segment import FILE, louder, picture
from understudy.core.segment.config import PRESETS
from understudy.core.segmenter import ternausnet


def main() -> None:
    network = import_module("ternausnet.models").UNet11()
    made = louder(ternausnet.build(PRESETS["ternausnet"]))
    lacking = network.load_state_dict(made, strict=False)
    assert not lacking.unexpected_keys  # the rest are second names of the encoder's
    assert all(name.startswith("conv") for name in lacking.missing_keys)
    mean = torch.tensor((0.485, 0.456, 0.406))[:, None, None]
    deviation = torch.tensor((0.229, 0.224, 0.225))[:, None, None]
    with torch.inference_mode():
        logits = network.eval()((torch.from_numpy(picture()) - mean) / deviation)
    np.savez_compressed(FILE, logits=logits[:, 0, ::2, ::2].numpy())


if __name__ == "__main__":
    main()
