"""Learning rates over the course of a training."""

import math
from collections.abc import Callable
from typing import Literal

Schedule = Literal["constant", "cosine"]


def learning_rate_schedule(
    peak: float, n_steps: int, *, warmup: float = 0.0, decay: Schedule = "constant"
) -> Callable[[int], float]:
    """Make the function that gives the learning rate of each step.

    Parameters
    ----------
    peak : float
        Rate at the end of the warm-up.
    n_steps : int
        Length of the training.
    warmup : float in [0, 1], default=0.0
        Share of the steps in which the rate rises linearly from 0.
    decay : {"constant", "cosine"}, default="constant"
        What follows: the peak to the end, or half a cosine down to 0.

    Returns
    -------
    rate_at : callable
        Maps a step in [0, n_steps) to its rate.

    Raises
    ------
    ValueError
        For another decay.
    """
    if decay not in ("constant", "cosine"):
        raise ValueError(f"The schedule is {decay!r}; it must be 'constant' or 'cosine'.")
    n_warmup = round(warmup * n_steps)

    def rate_at(step: int) -> float:
        if step < n_warmup:
            return peak * (step + 1) / (n_warmup + 1)
        if decay == "constant":
            return peak
        progress = (step - n_warmup) / max(n_steps - n_warmup, 1)
        return peak * 0.5 * (1 + math.cos(math.pi * progress))

    return rate_at
