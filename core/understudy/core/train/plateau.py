"""How long a loss has not got better. Imports no torch.

The loss of single iterations jumps by a third and more, so what is looked at is a running mean of it.
"""

from __future__ import annotations

from collections.abc import Mapping

PATIENCE = 1000, 0.2
"""Iterations, and share of those so far, that a loss may stay where it is: the greater."""

GAIN = 0.001  # share of the best mean that counts as better
_MEMORY = 0.998  # of the running mean an iteration later


def after(plateau: Mapping[str, float], loss: float, iterations: int, iteration: int) -> dict[str, float]:
    """What is known after so many iterations more, of which `loss` is the mean.

    Args:
        plateau: what was known before: `mean`, `best` and `since`, the iteration of the best; empty at first.
        iteration: at which this is.
    """
    if not plateau:
        return {"mean": loss, "best": loss, "since": iteration}
    kept: float = _MEMORY**iterations
    mean = kept * plateau["mean"] + (1 - kept) * loss
    if mean < plateau["best"] * (1 - GAIN):
        return {"mean": mean, "best": mean, "since": iteration}
    return {**plateau, "mean": mean}


def reached(plateau: Mapping[str, float], iteration: int) -> bool:
    """Whether the loss has stayed where it is for as long as it may."""
    least, share = PATIENCE
    return bool(plateau) and iteration - plateau["since"] >= max(least, share * iteration)
