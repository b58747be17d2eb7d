"""SCAN's loss against a twin written out from its equation."""

import math

import pytest
import torch

from covey.objectives import scan_loss


def test_scan_loss_is_its_equation():
    generator = torch.Generator().manual_seed(3)
    log_a, log_n = torch.randn(2, 2, 6, 3, generator=generator, dtype=torch.float64).log_softmax(-1)
    found = scan_loss(log_a, log_n, entropy_weight=5.0)
    for head in range(2):
        p, p_n = log_a[head].exp().tolist(), log_n[head].exp().tolist()
        agreement = [math.log(sum(a * b for a, b in zip(p[i], p_n[i], strict=True))) for i in range(6)]
        mean = [sum(p[i][c] for i in range(6)) / 6 for c in range(3)]
        expected = -sum(agreement) / 6 + 5.0 * sum(m * math.log(m) for m in mean)
        assert found[head].item() == pytest.approx(expected, rel=1e-12)


def test_gradient():
    logits = torch.randn(2, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(4), requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: scan_loss(x[0].log_softmax(-1), x[1].log_softmax(-1)), (logits,))


def test_balanced_one_hot_reaches_the_lower_bound():
    one_hot = torch.where(torch.eye(4, dtype=bool).repeat(3, 1), 0.0, -200.0)
    assert scan_loss(one_hot, one_hot).item() == pytest.approx(-5 * math.log(4), rel=1e-6)


def test_different_shapes_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        scan_loss(torch.zeros(3, 2), torch.zeros(4, 2))
