"""Rounding to bfloat16 that keeps a filter's sum."""

import numpy as np
import torch

from covey.backbones._efficientnet._rounding import _round_keeping_sums


def test_rounded_filters_are_bfloat16_and_keep_their_sums(rng: np.random.Generator) -> None:
    weight = rng.normal(size=(500, 1, 5, 5)).astype(np.float32)
    rounded = _round_keeping_sums(weight)
    as_bfloat16 = torch.from_numpy(rounded).bfloat16().float().numpy()
    assert np.array_equal(rounded, as_bfloat16)
    nearest = torch.from_numpy(weight).bfloat16().float().numpy()
    exact = weight.reshape(500, -1).sum(1, dtype=np.float64)
    error = np.abs(rounded.reshape(500, -1).sum(1, dtype=np.float64) - exact)
    usual = np.abs(nearest.reshape(500, -1).sum(1, dtype=np.float64) - exact)
    assert (error <= usual).all()
    assert error.mean() < 0.1 * usual.mean()


def test_each_weight_goes_to_one_of_its_two_neighbours(rng: np.random.Generator) -> None:
    weight = rng.normal(size=(200, 1, 3, 3)).astype(np.float32)
    spacing = 2.0 ** (np.floor(np.log2(np.abs(weight))) - 7)  # bfloat16 has 7 bits after the leading one
    assert (np.abs(_round_keeping_sums(weight) - weight) <= spacing).all()


def test_what_is_bfloat16_already_stays() -> None:
    weight = torch.randn(50, 1, 3, 3, generator=torch.Generator().manual_seed(0)).bfloat16().float().numpy()
    assert np.array_equal(_round_keeping_sums(weight), weight)
