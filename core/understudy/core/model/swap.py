"""A trained model at work: crops of dst in, src's face and its matte out, or the other way round."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from understudy.core.errors import InvalidInput, ModelInvalid
from understudy.core.frames import Float
from understudy.core.model import store
from understudy.core.model.device import pick
from understudy.core.model.networks import Network, build
from understudy.core.model.presets import ModelConfig
from understudy.core.release import Release


class SwapModel:
    """Deterministic: the same crops give the same faces, alone or among others (to 1e-5).

    Attributes:
        config: what the network is; crops must be of its resolution and face type.
        state: of the checkpoint: swap curve, colour, releases and what it was trained on.
        device: where it computes.
        net: the network itself, for who brings it into another form; it is not trained here, and left as it is given:
            a training may lend its own.
    """

    def __init__(self, net: Network, state: store.State, device: torch.device) -> None:
        self.config: ModelConfig = net.config
        self.state = state
        self.device = device
        self.net = net

    @property
    def digest(self) -> str:
        """Names the weights: 64 hex digits."""
        return self.state.digest

    @property
    def iteration(self) -> int:
        return self.state.iteration

    @property
    def releases(self) -> tuple[Release, ...]:
        """The release records under which src's face was learnt."""
        return self.state.releases

    def swap(self, crops: Float, batch_size: int = 16) -> tuple[Float, Float]:
        """Put src's face on dst's crops.

        Args:
            crops: (N, S, S, 3) float32, finite, model space: RGB through the swap curve, held to [0, 1] here.
            batch_size: how many are computed at once; has no influence on the result.

        Returns:
            faces (N, S, S, 3) and mattes (N, S, S), float32 in [0, 1], in the same space.

        Raises:
            InvalidInput: the crops are not of the model's resolution.
        """
        faces, mattes = self._through(self.net.swap, crops, batch_size)
        return faces, mattes[..., 0]

    def swap_back(self, crops: Float, batch_size: int = 16) -> tuple[Float, Float]:
        """Put dst's face on src's crops, as `swap` puts src's on dst's; `releases` do not speak of dst's likeness."""
        faces, mattes = self._through(self.net.swap_back, crops, batch_size)
        return faces, mattes[..., 0]

    def swap_and_dst(self, crops: Float, batch_size: int = 16) -> tuple[Float, Float, Float]:
        """As `swap`, and the mattes (N, S, S) of dst's own faces in the crops."""
        faces, mattes, own = self._through(self.net.swap_and_dst, crops, batch_size)
        return faces, mattes[..., 0], own[..., 0]

    def _through(
        self, network: Callable[[Tensor], tuple[Tensor, ...]], crops: Float, batch_size: int
    ) -> list[Float]:
        """What a network makes of crops, each (N, S, S, C)."""
        size = self.config.resolution
        if crops.ndim != 4 or crops.shape[1:] != (size, size, 3):
            raise InvalidInput(
                f"crops: shape {crops.shape} is not (N, {size}, {size}, 3), which this model takes",
                field="crops",
                value=crops.shape,
            )
        parts: list[list[Float]] = []
        exact = torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=True, allow_tf32=False
        )
        with torch.inference_mode(), exact:
            for start in range(0, max(len(crops), 1), batch_size):
                given = np.ascontiguousarray(crops[start : start + batch_size], np.float32)
                face_BHWC = torch.from_numpy(given).to(self.device)
                found = network(face_BHWC.permute(0, 3, 1, 2).contiguous().clamp(0, 1))
                parts.append([each.permute(0, 2, 3, 1).cpu().numpy() for each in found])
        return [np.concatenate(each) for each in zip(*parts, strict=True)]


def load(path: Path, device: str = "auto") -> SwapModel:
    """Load the model in a folder.

    Raises:
        NotFound: there is no model, or it has no checkpoint yet.
        ModelInvalid: a file of it is missing, malformed or altered.
        InvalidInput: there is no such device.
    """
    where = pick(device)
    config = store.read_config(path)
    state, weights = store.load(path)
    with torch.device("meta"):
        net = build(config)
    try:
        net.load_state_dict(weights, assign=True)
    except RuntimeError as error:  # torch's word for weights of another network
        raise ModelInvalid(
            f"{path}: the weights are not of this configuration: {error}", path=path
        ) from error
    return SwapModel(net.to(where).eval().requires_grad_(False), state, where)
