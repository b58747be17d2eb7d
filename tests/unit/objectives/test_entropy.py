import math

import numpy as np
import torch
from scipy.stats import entropy as scipy_entropy

from covey.objectives import conditional_entropy, entropy, marginal_entropy, mean_log_probabilities


def test_entropies_agree_with_scipy():
    log_p = torch.randn(2, 6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).log_softmax(-1)
    p = log_p.exp().numpy()
    np.testing.assert_allclose(entropy(log_p), scipy_entropy(p, axis=-1))
    np.testing.assert_allclose(mean_log_probabilities(log_p), np.log(p.mean(1)))
    np.testing.assert_allclose(marginal_entropy(log_p), scipy_entropy(p.mean(1), axis=-1))
    np.testing.assert_allclose(conditional_entropy(log_p), scipy_entropy(p, axis=-1).mean(-1))


def test_a_class_that_never_occurs_adds_nothing():
    log_p = torch.tensor([0.0, -math.inf], requires_grad=True)
    value = entropy(log_p)
    value.backward()
    assert value.item() == 0
    assert torch.isfinite(log_p.grad).all()
