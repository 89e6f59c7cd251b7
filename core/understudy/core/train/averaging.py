"""A running mean of a network's weights, which swaps steadier than the weights of any one iteration."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from understudy.core.errors import InvalidInput

Net = TypeVar("Net", bound=nn.Module)


class Average(Generic[Net]):
    """Exponential moving average (Polyak and Juditsky, 1992; in this form the field's EMA) of a network's weights.

    Attributes:
        net: the network with the mean; frozen, for evaluation. Its state dict is all there is to save.
        decay: how much of the mean stays in an iteration; 0.999 looks about a thousand iterations back.

    Raises:
        InvalidInput: `decay` is not within 0 to 1.
    """

    def __init__(self, net: Net, decay: float = 0.999) -> None:
        if not 0 <= decay < 1:
            raise InvalidInput(f"average: decay {decay} must be 0 to below 1", field="decay", value=decay)
        self.net = copy.deepcopy(net).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, net: Net, iteration: int) -> None:
        """Take in the weights as `iteration` left them; a function of these, the mean and the number alone.

        Early on little stays, (1 + iteration) / (10 + iteration), so that the fresh weights are soon forgotten (as
        TensorFlow's ExponentialMovingAverage with `num_updates`).
        """
        kept = min(self.decay, (1 + iteration) / (10 + iteration))
        means: list[Tensor] = []
        news: list[Tensor] = []
        given = net.state_dict()
        for name, mean in self.net.state_dict().items():
            if mean.is_floating_point():
                means.append(mean)
                news.append(given[name])
            else:
                mean.copy_(given[name])
        torch._foreach_lerp_(means, news, 1 - kept)
