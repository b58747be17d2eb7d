"""MMDC's targets and loss against the equations, written out."""

import math

import numpy as np
import pytest
import torch

from covey.objectives import draw_components, draw_noise, draw_targets, target_loss, target_means


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_loss_is_the_mean_over_rows_and_dimensions():
    outputs, targets = (torch.nn.functional.normalize(torch.randn(5, 3, generator=generator(i)), dim=1) for i in (0, 1))
    by_hand = [sum((a - b) ** 2 for a, b in zip(x, t, strict=True)) / 3 for x, t in zip(outputs, targets, strict=True)]
    assert target_loss(outputs, targets).item() == pytest.approx(float(sum(by_hand) / 5), rel=1e-6)
    cosines = (outputs * targets).sum(dim=1)
    assert target_loss(outputs, targets).item() == pytest.approx(float((2 - 2 * cosines).mean() / 3), rel=1e-5)
    with pytest.raises(ValueError, match="they must agree"):
        target_loss(outputs, targets[:1])


def test_an_output_that_says_nothing_has_the_loss_that_the_docstring_says():
    targets = torch.eye(10)
    outputs = torch.full((10, 10), 1 / math.sqrt(10))
    assert target_loss(outputs, targets).item() == pytest.approx((2 - 2 / math.sqrt(10)) / 10, rel=1e-6)


def test_means_are_on_the_sphere():
    torch.testing.assert_close(target_means(3, 5), torch.eye(3, 5))
    random = target_means(7, 4, kind="random", generator=generator())
    torch.testing.assert_close(random.norm(dim=1), torch.ones(7))
    assert not torch.equal(random, target_means(7, 4, kind="random", generator=generator(1)))
    with pytest.raises(ValueError, match="5 one-hot means need as many dimensions, not 4"):
        target_means(5, 4)
    with pytest.raises(ValueError, match="must be 'one_hot' or 'random'"):
        target_means(5, 5, kind="two_hot")


def test_targets_are_normal_around_their_means_and_then_projected():
    means = target_means(4, 6)
    labels = draw_components(40_000, 4, generator=generator())
    shares = np.bincount(labels.numpy()) / 40_000
    np.testing.assert_allclose(shares, 0.25, atol=0.01)
    assert len(set(shares)) > 1  # independent draws, not equal shares
    sigma = 1e-3
    targets = draw_targets(means, labels, sigma, generator=generator(1))
    torch.testing.assert_close(targets.norm(dim=1), torch.ones(40_000))
    # Across the mean's direction the projection changes nothing to first order: the variance is sigma.
    across = targets[labels == 0][:, 1:]
    assert across.var().item() == pytest.approx(sigma, rel=0.05)
    torch.testing.assert_close(draw_targets(means, labels, 0.0, generator=generator()), means[labels])


def test_noise_is_uniform_on_the_sphere():
    points = draw_noise(20_000, 3, generator=generator())
    torch.testing.assert_close(points.norm(dim=1), torch.ones(20_000))
    # Archimedes: each coordinate of a uniform point in three dimensions is uniform on [-1, 1].
    np.testing.assert_allclose(np.quantile(points.numpy(), [0.1, 0.5, 0.9], axis=0)[:, 0], [-0.8, 0, 0.8], atol=0.03)
