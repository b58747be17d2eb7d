"""SCAN's loss against a twin written out from its equation."""

import math

import pytest
import torch

from covey.cluster._scan import add_gradients
from covey.nn import LinearHeads
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


def test_a_step_of_stacked_heads_is_the_loss_of_each_written_out():
    """SCAN's step: linear layer, softmax, loss, summed over heads; its gradient by finite differences."""
    generator = torch.Generator().manual_seed(6)
    heads = LinearHeads(2, 3, 3, generator=generator).double()
    pairs = torch.randn(8, 3, generator=generator, dtype=torch.float64)

    def naive_losses():
        weight, bias, x = heads.weight.tolist(), heads.bias.tolist(), pairs.tolist()
        losses = []
        for w, b in zip(weight, bias, strict=True):
            p = []
            for row in x:
                z = [math.exp(sum(w[c][d] * row[d] for d in range(3)) + b[c][0]) for c in range(3)]
                p.append([value / sum(z) for value in z])
            agreement = sum(math.log(sum(p[i][c] * p[i + 4][c] for c in range(3))) for i in range(4)) / 4
            mean = [sum(p[i][c] for i in range(4)) / 4 for c in range(3)]  # of the anchors alone
            losses.append(-agreement + 5.0 * sum(m * math.log(m) for m in mean))
        return losses

    expected = naive_losses()
    found = add_gradients(heads, pairs, entropy_weight=5.0)
    assert found.tolist() == pytest.approx(expected, rel=1e-12)
    for parameter, index in ((heads.weight, (1, 2, 0)), (heads.weight, (0, 1, 2)), (heads.bias, (1, 0, 0))):
        with torch.no_grad():
            parameter[index] += 1e-6
            slope = (sum(naive_losses()) - sum(expected)) / 1e-6
            parameter[index] -= 1e-6
        assert parameter.grad[index].item() == pytest.approx(slope, rel=1e-3, abs=1e-5)
